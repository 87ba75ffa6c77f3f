"""Writing to a hub: repos, commits and tags, through huggingface_hub's own client.

It uploads large files in parallel, cut into chunks of which the hub gets only those that it lacks.
It notes every half minute what has arrived, so that an interrupted upload goes on from there.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub import errors as hf
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # exported lazily
    are_progress_bars_disabled,
    disable_progress_bars,
    enable_progress_bars,
)

from envhub import __version__
from envhub.errors import (
    AlreadyThereError,
    HubError,
    HubUnreachableError,
    NotAllowedError,
    RevisionNotFoundError,
)
from envhub.hubs.hfhttp import Place, meanings
from envhub.settings import HUGGING_FACE

MAIN: Final = "main"
_UNAUTHORIZED, _FORBIDDEN, _CONFLICT, _STALE, _LARGE = 401, 403, 409, 412, 413
_CLIENT_ERROR: Final = re.compile(r"status client error \(4\d\d")
_TOO_LARGE: Final = "a file, or all that its owner has there, is larger than this hub allows"


class Writer:
    """Writes to the repos of one hub in one user's name.

    Args:
        address: of the hub.
        token: sent to this hub only; `True` is the one that `hf auth login` stored, which belongs
            to Hugging Face; `False` is none.
        repo: `owner/name`.
        repo_type: `model`, `space` or `dataset`.
        progress: whether to show bars while large files are sent.

    Every method raises `NotAllowedError` where the token does not suffice, `HubUnreachableError`
    if there is no answer, and `HubError` for any other refusal, in the hub's words.
    """

    def __init__(
        self,
        address: str,
        token: str | bool,
        repo: str,
        *,
        repo_type: str = "model",
        progress: bool = True,
    ) -> None:
        self.address = address.rstrip("/")
        self.repo = repo
        self.repo_type = repo_type
        self._token = token
        self._progress = progress
        # A token of None would be the one that is stored, and belongs to another hub.
        self._api = HfApi(
            self.address, token=token, library_name="envhub", library_version=__version__
        )

    def whoami(self) -> str:
        """Whose token it is.

        Raises:
            NotAllowedError: nobody's, or there is none.
        """
        if self._token is False:
            raise self._refused("there is no token for this hub")
        with self._meant():
            name: str = self._api.whoami()["name"]
            return name

    def create(self, *, private: bool) -> None:
        """Make the repo.

        Raises:
            AlreadyThereError: there is one of that name.
        """
        with self._meant(), self._taken(f"{self.repo} is there already"):
            self._api.create_repo(self.repo, repo_type=self.repo_type, private=private)

    def is_private(self) -> bool:
        """Whether only some may see it."""
        with self._meant():
            return bool(self._api.repo_info(self.repo, repo_type=self.repo_type).private)

    def hide(self) -> None:
        """Make the repo private."""
        with self._meant():
            self._api.update_repo_settings(self.repo, repo_type=self.repo_type, private=True)

    def commit(
        self, files: Mapping[str, Path], gone: Sequence[str], message: str, *, parent: str | None
    ) -> str:
        """Change the repo's `main`, all at once or not at all.

        Args:
            files: path in the repo and on disk of what is new or changed.
            gone: paths of what is to be removed.
            message: of the commit.
            parent: the commit that `main` must be at; `None` if that does not matter.

        Returns:
            The new commit.

        Raises:
            AlreadyThereError: somebody else has changed it meanwhile.
        """
        adds = [CommitOperationAdd(path, file) for path, file in sorted(files.items())]
        removals = [CommitOperationDelete(path, is_folder=False) for path in sorted(gone)]
        title, _, description = message.partition("\n")
        with self._meant(), self._bars(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that a data file is one
            # By itself, since what `.gitignore` leaves out is not huggingface_hub's to decide.
            kind = self.repo_type
            self._api.preupload_lfs_files(
                self.repo, adds, repo_type=kind, gitignore_content="", free_memory=False
            )
            try:
                made = self._api.create_commit(
                    self.repo,
                    [*adds, *removals],
                    commit_message=title,
                    commit_description=description.strip(),
                    repo_type=kind,
                    parent_commit=parent,
                )
            except hf.HfHubHTTPError as error:
                if error.response.status_code in {_CONFLICT, _STALE}:
                    raise AlreadyThereError(
                        f"somebody has changed {self.repo} while this was sent",
                        why="nothing of theirs was overwritten, and nothing of yours is lost",
                        hint="look at what they did, and push again",
                    ) from error
                raise
        return str(made.oid)

    def tags(self) -> dict[str, str]:
        """Every tag and the commit that it names."""
        with self._meant():
            found = self._api.list_repo_refs(self.repo, repo_type=self.repo_type)
            return {tag.name: tag.target_commit for tag in found.tags}

    def tag(self, name: str, commit: str) -> None:
        """Name a commit.

        Raises:
            AlreadyThereError: another one has that name.
        """
        taken = f"{self.repo} has a tag {name!r} already"
        with self._meant(), self._taken(taken):
            self._api.create_tag(self.repo, tag=name, revision=commit, repo_type=self.repo_type)

    def untag(self, name: str) -> None:
        """Remove a tag; the commit stays.

        Raises:
            RevisionNotFoundError: there is no such tag.
        """
        with self._meant():
            try:
                self._api.delete_tag(self.repo, tag=name, repo_type=self.repo_type)
            except hf.RevisionNotFoundError as error:
                names = ", ".join(self.tags())
                hint = f"it has {names}" if names else "it has no tags"
                raise RevisionNotFoundError(
                    f"{self.repo} has no tag {name!r}", hint=hint
                ) from error

    def delete(self) -> None:
        """Remove the repo for good."""
        with self._meant():
            self._api.delete_repo(self.repo, repo_type=self.repo_type)

    @property
    def page(self) -> str:
        """The address of the repo's page."""
        prefix = "" if self.repo_type == "model" else f"{self.repo_type}s/"
        return f"{self.address}/{prefix}{self.repo}"

    @contextmanager
    def _meant(self) -> Iterator[None]:
        """Turn what goes wrong into one of our errors, with the way to a token in it."""
        try:
            with meanings(Place(self.address, self.repo, self.page, MAIN)):
                yield
        except HubError as error:
            cause = error.__cause__
            if isinstance(cause, hf.LocalTokenNotFoundError):
                raise self._refused("there is no token for this hub") from cause
            if isinstance(cause, hf.HfHubHTTPError):
                status = cause.response.status_code
                if status in {_UNAUTHORIZED, _FORBIDDEN}:
                    raise self._refused(_said(cause, status), status) from cause
            if isinstance(cause, ConnectionError):
                raise self._lost(cause) from cause
            raise
        except RuntimeError as error:  # hf_xet's, too, if it was told to stop
            raise self._lost(error) from error

    @contextmanager
    def _taken(self, what: str) -> Iterator[None]:
        try:
            yield
        except hf.HfHubHTTPError as error:
            if error.response.status_code != _CONFLICT:
                raise
            raise AlreadyThereError(what, hint="choose another name") from error

    @contextmanager
    def _bars(self) -> Iterator[None]:
        """Hide huggingface_hub's progress bars where nobody looks at them."""
        if self._progress or are_progress_bars_disabled():
            yield
            return
        disable_progress_bars()
        try:
            yield
        finally:
            enable_progress_bars()

    def _refused(self, why: str, status: int = _UNAUTHORIZED) -> NotAllowedError:
        what = f"{self.address} does not let you write to {self.repo}"
        hint = f"ENVHUB_ENDPOINT={self.address} ENVHUB_TOKEN=… , or --token-file FILE"
        if self._token is True or self.address == HUGGING_FACE:
            hint = "hf auth login   # or HF_TOKEN=…"
        if status == _FORBIDDEN:
            owner = self.repo.partition("/")[0]
            hint = f"ask {owner} for the right to, or take another token:\n{hint}"
        return NotAllowedError(what, why=why, hint=hint)

    def _lost(self, error: Exception) -> HubError:
        """What hf_xet, which sends large files, says in one class of exceptions and many words."""
        words = " ".join(str(error).split())[:300]
        if _CLIENT_ERROR.search(words):
            return HubError(
                f"{self.address} does not take what was sent to {self.repo}",
                why=words,
                hint=_TOO_LARGE if str(_LARGE) in words else "",
            )
        return HubUnreachableError(
            f"the connection to {self.address} broke while {self.repo} was sent",
            why=words,
            hint="try again: it goes on near where it was",
        )


def _said(error: hf.HfHubHTTPError, status: int) -> str:
    said = " ".join((error.server_message or "").split())[:300]
    return said or (
        "the token is refused" if status == _UNAUTHORIZED else "the token may only read"
    )
