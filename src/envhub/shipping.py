"""A folder that is ready becomes what a repo is: compared, sent, tagged, and looked at again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from envhub import card
from envhub.check import Found
from envhub.client import Client
from envhub.errors import (
    AlreadyThereError,
    ArgumentError,
    HubError,
    ManifestError,
    OfflineError,
    RepoNotFoundError,
)
from envhub.hubs.base import Commit
from envhub.hubs.registry import address_of, token_for
from envhub.hubs.writing import Writer
from envhub.names import check_revision
from envhub.parcel import listing
from envhub.pins import File, tree_digest
from envhub.refs import Ref, parse
from envhub.tree import check_limits, check_listing, hash_file

MODEL: Final = "model"
"""Env repos are published as this type, since LeRobot and everybody else looks for them there."""

_OF_HUB: Final = ".gitattributes"
"""The hub adds what git-lfs must know to it, so once it is there the hub's own is the right one."""
_MOST_SHOWN: Final = 5

Say = Callable[[str], object]
"""Called with what is being done, in a few words."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to become of the repo, and its new commit.

    Attributes:
        tag: a name for the new commit.
        private: whether only those see the repo whom its owner lets in.
        message: of the commit.
        replace: whether files go that envhub did not publish and the folder lacks.
        dry_run: whether to stop before anything is sent.
    """

    tag: str = ""
    private: bool = False
    message: str = ""
    replace: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of a push.

    Attributes:
        ref: names the commit for good; without one if nothing was sent (`dry_run`).
        hub: the hub's address.
        page: the address of the repo's page.
        digest: of the whole tree, as a pin has it.
        created: whether the repo is new.
        sent: the files that were new or had changed.
        removed: paths of files that the folder no longer has.
        kept: how many files were there already.
        found: what the check found out, if there was one.
        tag: the tag, if one was asked for.
    """

    ref: Ref
    hub: str
    page: str
    digest: str
    created: bool
    sent: tuple[File, ...]
    removed: tuple[str, ...]
    kept: int
    found: Found | None
    tag: str

    @property
    def commit(self) -> str:
        """The full hash."""
        return self.ref.revision or ""

    @property
    def line(self) -> str:
        """What loads exactly this, to paste."""
        return load_line(self.ref)

    def as_dict(self) -> dict[str, Any]:
        """All of it, as `--json` prints it."""
        return {
            "ref": str(self.ref),
            "hub": self.hub,
            "page": self.page,
            "commit": self.commit,
            "digest": self.digest,
            "created": self.created,
            "tag": self.tag,
            "sent": [asdict(file) for file in self.sent],
            "removed": list(self.removed),
            "kept": self.kept,
            "check": asdict(self.found) if self.found else None,
            "line": self.line,
        }


@dataclass(frozen=True, slots=True)
class There:
    """What a repo has now."""

    commit: Commit
    files: Mapping[str, File]


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a repo is written to."""

    user: Client
    target: Ref
    writer: Writer
    say: Say

    @staticmethod
    def open(user: Client, to: str | Ref, tag: str, say: Say) -> Desk:
        """The desk for the repo that `to` names.

        Raises:
            ArgumentError: it names no repo, or not one that env repos are published as.
            RefError: the tag is no name for one.
            OfflineError: offline mode is on.
        """
        target = target_of(to)
        if target.repo_type not in {None, MODEL}:
            raise ArgumentError(
                f"{to} is a {target.repo_type}, and env repos are models",
                why="that is where LeRobot and everybody else looks for them",
                hint=str(replace(target, repo_type=None)),
            )
        if tag:
            check_revision(f"{target}@{tag}", tag)
        return Desk(user, target, writer_for(user, target), say)

    def look(self, tag: str = "") -> There | None:
        """What the repo has; nothing if it does not exist. The token is tried, too.

        Raises:
            AlreadyThereError: another commit than the newest has the tag.
        """
        self.say(f"asking {self.writer.address}")
        self.writer.whoami()
        hub = self.user.hub(self.target)
        try:
            commit = hub.resolve(replace(self.target, repo_type=MODEL))
        except RepoNotFoundError:
            return None
        files = {file.path: file for file in hub.files(self.target, commit)}
        there = There(commit, files)
        if tag and (taken := self.writer.tags().get(tag)) not in {None, commit.id}:
            raise self._tagged(tag, taken or "")
        return there

    def send(self, root: Path, there: There | None, wish: Wish, found: Found | None) -> Pushed:
        """Make the repo what the folder is."""
        files = listing(root)
        check_listing(files, str(self.target))
        check_limits(files, self.user.settings.limits, str(self.target))
        new = [file for file in files if not _same(root, file, there)]
        mine = {file.path for file in files} | {_OF_HUB}
        gone = sorted(set(there.files) - mine) if there else []
        self._check_change(there, new, gone, wish)
        commit = self._write(root, there, new, gone, wish) if not wish.dry_run else None
        ref = self.target.at(commit)
        digest = self._verified(ref, files) if commit else ""
        address, page = self.writer.address, self.writer.page
        kept = len(files) - len(new)
        sent, removed, created = tuple(new), tuple(gone), there is None
        return Pushed(ref, address, page, digest, created, sent, removed, kept, found, wish.tag)

    def _check_change(
        self, there: There | None, new: Sequence[File], gone: Sequence[str], wish: Wish
    ) -> None:
        """Nothing goes that somebody put there by hand, and no tag is moved."""
        if there and (new or gone) and wish.tag and wish.tag in self.writer.tags():
            raise self._tagged(wish.tag, there.commit.id or "")
        if gone and there and not wish.replace and not self._is_ours(there):
            names = ", ".join(gone[:_MOST_SHOWN]) + (" …" if len(gone) > _MOST_SHOWN else "")
            raise AlreadyThereError(
                f"{self.target} has files that the folder lacks, and envhub did not put them there",
                why=names,
                hint="--replace removes them; the commits before keep them\nor choose another name",
            )

    def _is_ours(self, there: There) -> bool:
        """Whether the repo's card has what envhub writes into cards."""
        if card.FILE not in there.files:
            return False
        with TemporaryDirectory() as name:
            files = [there.files[card.FILE]]
            hub = self.user.hub(self.target)
            hub.download(self.target, there.commit, files, Path(name), lambda _size: None)
            try:
                return bool(card.facts_of(card.read(Path(name))))
            except ManifestError:
                return False

    def _write(
        self, root: Path, there: There | None, new: Sequence[File], gone: Sequence[str], wish: Wish
    ) -> str:
        commit = there.commit.id if there else None
        if there is None:
            self.writer.create(private=wish.private)
        elif wish.private and not self.writer.is_private():
            self.writer.hide()
        if new or gone or commit is None:
            self.say(f"sending {len(new)} file{'s' * (len(new) != 1)}")
            title = wish.message or ("Publish" if there is None else "Update") + f" {root.name}"
            adds = {file.path: root / file.path for file in new}
            commit = self.writer.commit(adds, gone, title, parent=commit)
        if wish.tag and self.writer.tags().get(wish.tag) != commit:
            self.writer.tag(wish.tag, commit)
        return commit

    def _verified(self, ref: Ref, files: Sequence[File]) -> str:
        """The digest of what the hub has now.

        Raises:
            HubError: it is not what was sent.
        """
        hub = self.user.hub(ref)
        commit = hub.resolve(replace(ref, repo_type=MODEL))
        has = {file.path: file for file in hub.files(ref, commit)}
        for file in files:
            other = file if file.path == _OF_HUB else has.get(file.path)
            # Of a large file the hub has compared the hash itself, or it would not have it.
            if other is None or (other.size != file.size if other.is_lfs else other != file):
                raise HubError(
                    f"{self.writer.address} has not kept {file.path} of {ref} as it was sent",
                    hint="push again; if it stays so, ask whoever runs the hub",
                )
        return tree_digest(has.values())

    def _tagged(self, tag: str, commit: str) -> AlreadyThereError:
        return AlreadyThereError(
            f"{self.target} has a tag {tag!r} already, for another commit ({commit[:12]})",
            why="whoever loads it by that name would get something else",
            hint=f"choose another tag, or first: envhub tag --rm {self.target} {tag}",
        )


def load_line(ref: Ref) -> str:
    """The line that loads a ref."""
    return f'envhub.make_env("{ref}", trust_remote_code=True)'


def target_of(text: str | Ref) -> Ref:
    """The repo that is to be written to.

    Raises:
        ArgumentError: the text names something that cannot be written to like this.
    """
    ref = text if isinstance(text, Ref) else parse(text)
    if ref.kind != "hub":
        what = f"{text} is not a repo on a hub"
        raise ArgumentError(what, hint="owner/name, or hub+https://host/owner/name")
    if ref.revision or ref.path:
        plain = str(replace(ref, revision=None, path=None))
        more = f" --tag {ref.revision}" if ref.revision else ""
        raise ArgumentError(f"{text} names more than a repo", hint=f"{plain}{more}")
    return ref


def writer_for(user: Client, ref: Ref) -> Writer:
    """Who writes to a repo, with the token of its hub and no other.

    Raises:
        OfflineError: offline mode is on.
    """
    if user.settings.offline:
        hint = "unset HF_HUB_OFFLINE and ENVHUB_OFFLINE to go online"
        raise OfflineError(f"{ref} cannot be written to while offline", hint=hint)
    address = address_of(ref, user.settings)
    token = token_for(address, user.settings, user.token)
    kind, progress = ref.repo_type or MODEL, user.settings.progress
    return Writer(address, token, ref.location, repo_type=kind, progress=progress)


def _same(root: Path, file: File, there: There | None) -> bool:
    other = there.files.get(file.path) if there else None
    if other is None:
        return False
    return file.path == _OF_HUB or hash_file(root / file.path, other.oid) == other.oid
