"""What `envhub serve` serves, in a thread of this program, for as long as a block runs.

Needs the extra `hub`. For tests of what publishes, searches or signs in; `ServedHub` needs nothing,
and can fail on demand, but only reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path

from envhub.errors import MissingExtraError

try:
    from envhub.server import seeding
    from envhub.server.config import Config
    from envhub.server.hub import Hub
    from envhub.server.serving import served
except ImportError as error:
    raise MissingExtraError(
        "a hub of one's own needs packages that are not installed",
        why=str(error),
        hint='pip install "gym-envhub[hub]"',
    ) from error


class OwnHub:
    """A hub that runs; make one with `own_hub`.

    Attributes:
        url: its address, `http://127.0.0.1:<port>`.
        inside: the hub itself.
    """

    def __init__(self, url: str, inside: Hub) -> None:
        self.url = url
        self.inside = inside

    @cached_property
    def token(self) -> str:
        """The token of the user `you`."""
        return self.token_of("you")

    def token_of(self, user: str, role: str = "write") -> str:
        """A token for a user, who is made if there is no such one.

        Args:
            user: the name.
            role: `read` or `write`.
        """
        if self.inside.accounts.find(user) is None:
            self.inside.accounts.add(user)
        return self.inside.accounts.new_token(user, role, role)

    def add(
        self,
        repo_id: str,
        files: seeding.Files | Path,
        *,
        repo_type: str = "model",
        branch: str = "main",
        tag: str = "",
        private: bool | None = None,
        gated: bool | None = None,
        message: str = "Add files",
    ) -> str:
        """Commit files to a repo; owner and repo are made if they are not there.

        Args:
            repo_id: `owner/name`.
            files: path → content (`None` deletes the file), or a folder.
            repo_type: `model`, `space` or `dataset`.
            branch: where to commit.
            tag: a tag for the commit.
            private: only its owner sees the repo; `None` leaves it as it is.
            gated: everybody sees the repo, only who was let in may download; `None` leaves it.
            message: of the commit.

        Returns:
            The full hash of the commit.
        """
        content = seeding.files_of(files) if isinstance(files, Path) else files
        seed = seeding.Seed(
            repo_id,
            content,
            kind=repo_type,
            branch=branch,
            tag=tag,
            private=private,
            gated=None if gated is None else "manual" * gated,
            message=message,
        )
        return seeding.sow(self.inside, seed)


@contextmanager
def own_hub(folder: Path, config: Config | None = None) -> Iterator[OwnHub]:
    """Serve the hub in a folder, new or old, for as long as the block runs.

    Args:
        folder: its data folder; it is made if it does not exist.
        config: its rules; those of its `hub.toml` if not given.

    Raises:
        MissingExtraError: (when this module is imported) its packages are not installed.
    """
    with closing(Hub(folder, config)) as inside, served(inside) as url:
        yield OwnHub(url, inside)


def careless() -> Config:
    """Rules for a hub that lives as long as a test: it waits for no disk, and lets all ask."""
    return Config(durable=False, requests_per_minute=0, examine=False)
