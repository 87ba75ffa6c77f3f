"""Lets the tests of this folder, and the workers that they start, import `tests.vector.zoo`."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = str(Path(__file__).parents[2])
if ROOT not in sys.path:
    sys.path.append(ROOT)
