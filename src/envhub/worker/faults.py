"""What can be wrong with a repo, as one exception that also travels over a wire.

The client turns a `Fault` into the error of its tree that has the same `code`.
"""

from __future__ import annotations

from typing import Dict


class Fault(Exception):  # noqa: N818 - the repo's fault, no error of ours
    """The repo cannot be loaded, or does not keep the contract.

    Args:
        code: the kebab-case code of the error that the client raises for it.
        what: what happened, one sentence.
        why: the reason, if it is known.
        hint: the command or line that fixes it.
        name: the module that is missing, for `missing-dependency`.
    """

    def __init__(self, code: str, what: str, why: str = "", hint: str = "", name: str = "") -> None:
        super().__init__(what)
        self.code = code
        self.what = what
        self.why = why
        self.hint = hint
        self.name = name

    def as_dict(self) -> Dict[str, str]:
        """The fields as text, for the wire."""
        return {
            "code": self.code,
            "what": self.what,
            "why": self.why,
            "hint": self.hint,
            "name": self.name,
        }
