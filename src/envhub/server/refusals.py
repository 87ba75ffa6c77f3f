"""What the hub answers when it does not do what was asked: status, code, words, headers."""

from __future__ import annotations


class Refusal(Exception):  # noqa: N818 - it is an answer, and no error of the hub's
    """An answer that ends the handling of a request early.

    Args:
        status: of the HTTP reply.
        message: for people.
        code: what huggingface_hub tells the kinds of "not found" apart by.
        headers: more of them, with `_` for `-`.
    """

    def __init__(self, status: int, message: str, code: str = "", **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def bad(message: str) -> Refusal:
    """The request makes no sense."""
    return Refusal(400, message)


def repo_not_found(*, anonymous: bool) -> Refusal:
    """No such repo, or none that the caller may know of; both look the same."""
    return Refusal(401 if anonymous else 404, "Repository not found", "RepoNotFound")


def revision_not_found(revision: str) -> Refusal:
    """The repo has no such branch, tag or commit."""
    return Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")


def entry_not_found(path: str, commit: str) -> Refusal:
    """The commit has no such file."""
    message = f"Entry not found: {path}"
    return Refusal(404, message, "EntryNotFound", X_Repo_Commit=commit)


def gated(repo: str, *, anonymous: bool) -> Refusal:
    """The repo can be seen, but its files only by those whom its owner lets in."""
    message = f"Access to {repo} is restricted and you are not in the authorized list."
    return Refusal(401 if anonymous else 403, message, "GatedRepo")


def forbidden(message: str) -> Refusal:
    """The caller is known, and may not."""
    return Refusal(403, message)
