"""What could this code do, and what changed? Read, never run. A help for reading, not a proof."""

from __future__ import annotations

from envhub.inspection.changes import Change, Diff, diff

__all__ = ["Change", "Diff", "diff"]
