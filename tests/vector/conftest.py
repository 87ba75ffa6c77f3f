"""Lets the tests of this folder, and the workers that they start, import `tests.vector.zoo`."""

from __future__ import annotations

import sys
from pathlib import Path

import hypothesis

ROOT = str(Path(__file__).parents[2])
if ROOT not in sys.path:
    sys.path.append(ROOT)

# An example that starts processes takes as long as the machine makes it wait.
hypothesis.settings.register_profile("processes", deadline=None)
hypothesis.settings.load_profile("processes")
