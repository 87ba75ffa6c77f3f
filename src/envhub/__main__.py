"""`python -m envhub` is the command `envhub`."""

from __future__ import annotations

from envhub.cli import main

main()
