"""Repos that are published: name a commit, copy one to another place, remove one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from envhub import card, disk
from envhub.client import Client
from envhub.errors import AlreadyThereError, ArgumentError
from envhub.fetch import Source
from envhub.hubs.registry import address_of
from envhub.names import check_revision
from envhub.pins import Pin
from envhub.refs import HUGGING_FACE_HUB, Ref, parse
from envhub.shipping import Desk, Pushed, Say, Wish, load_line, target_of, writer_for


def tag(ref: str | Ref, name: str, *, client: Client | None = None) -> Pin:
    """Name the commit that a ref means now; returns that commit.

    Args:
        ref: `owner/name`, or with a revision.
        name: of the tag, like `v1.0`.
        client: settings and tokens; by default those of the environment variables.

    Raises:
        AlreadyThereError: another commit has that name.
        NotAllowedError: the token does not suffice.
        EnvHubError: there is no such repo or revision, or no answer.
    """
    user, ref = client or Client(lock=False), _on_hub(ref)
    check_revision(f"{ref.location}@{name}", name)
    pin = user.resolve_anew(ref)
    writer = writer_for(user, replace(ref, repo_type=_type(pin)))
    held = writer.tags().get(name)
    if held and held != pin.commit:
        raise AlreadyThereError(
            f"{ref.location} has a tag {name!r} already, for another commit ({held[:12]})",
            why="whoever loads it by that name would get something else",
            hint=f"choose another tag, or first: envhub tag --rm {_plain(ref)} {name}",
        )
    if not held:
        writer.tag(name, pin.commit or "")
    return pin


def untag(ref: str | Ref, name: str, *, client: Client | None = None) -> None:
    """Remove a tag; the commit stays, and so does every pin of it.

    Raises:
        RevisionNotFoundError: there is no such tag.
        EnvHubError: as for `tag`.
    """
    user, ref = client or Client(lock=False), _on_hub(ref)
    writer_for(user, ref).untag(name)


def tags(ref: str | Ref, *, client: Client | None = None) -> dict[str, str]:
    """Every tag of a repo and the commit that it names.

    Raises:
        EnvHubError: there is no such repo, or no answer.
    """
    user, ref = client or Client(lock=False), _on_hub(ref)
    return writer_for(user, ref).tags()


def delete(repo: str | Ref, *, client: Client | None = None) -> None:
    """Remove a repo from its hub for good: all commits, tags and files, for everybody.

    Args:
        repo: `owner/name`, without a revision.
        client: settings and tokens; by default those of the environment variables.

    Raises:
        NotAllowedError: the token does not suffice.
        EnvHubError: there is no such repo, or no answer.
    """
    user, ref = client or Client(lock=False), target_of(repo)
    writer_for(user, ref).delete()


def fork(
    ref: str | Ref,
    to: str | Ref,
    *,
    tag: str = "",
    private: bool = False,
    message: str = "",
    client: Client | None = None,
    say: Say = lambda _doing: None,
) -> Pushed:
    """Copy one commit of a repo, from wherever, to a repo of one's own; nothing of it is run.

    The copy's card says where it is from, pinned. The copy of a private repo is private.

    Args:
        ref: what to copy.
        to: `owner/name`, which must not exist.
        tag: a name for the new commit.
        private: whether only those see the copy whom its owner lets in.
        message: of the commit.
        client: settings and tokens; by default those of the environment variables.
        say: is told what is being done.

    Raises:
        AlreadyThereError: there is a repo of that name.
        EnvHubError: as for `push`.
    """
    user = client or Client(lock=False)
    desk = Desk.open(user, to, tag, say)
    if desk.look() is not None:
        raise AlreadyThereError(
            f"{desk.target} is there already",
            why="a fork is a repo of its own; nothing was changed",
            hint="choose another name",
        )
    say("fetching the files")
    reader = _reader(user, ref, desk.writer.address)
    source = reader.fetch(reader.resolve_anew(ref))
    hidden = private or _is_private(reader, source.pin)
    wish = Wish(tag, hidden, message or f"Fork {source.pin}")
    with _copy(source) as root:
        facts = {**card.facts_of(card.read(root)), card.ORIGIN: full_ref(source.pin)}
        text = card.with_facts(card.read(root), {"version": 1, **facts}, load_line(desk.target))
        disk.write(root / card.FILE, text.encode())
        return desk.send(root, None, wish, None)


def full_ref(pin: Pin) -> str:
    """A pin as a ref that means the same wherever it is read."""
    if pin.ref.kind != "hub" or pin.ref.endpoint == HUGGING_FACE_HUB:
        return pin.pinned_ref
    return str(replace(pin.ref, endpoint=pin.hub).at(pin.commit))


@contextmanager
def _copy(source: Source) -> Iterator[Path]:
    """Second names of a commit's files in a folder of their own; the card can be changed there."""
    with TemporaryDirectory() as name:
        root = Path(name) / source.pin.repo.rpartition("/")[2]
        for file in source.files:
            target = root / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(source.root / file.path, target)
            except OSError:
                shutil.copyfile(source.root / file.path, target)
        yield root


def _reader(user: Client, ref: str | Ref, address: str) -> Client:
    """Who reads the original: without the caller's token, if that is for another hub."""
    ref = ref if isinstance(ref, Ref) else parse(ref)
    is_near = ref.kind == "hub" and address_of(ref, user.settings) == address
    return user if is_near else Client(user.settings, lock=False)


def _is_private(user: Client, pin: Pin) -> bool:
    """Whether a commit is of a repo that not everybody sees."""
    if pin.ref.kind != "hub":
        return False
    return writer_for(user, replace(pin.ref, repo_type=_type(pin))).is_private()


def _on_hub(ref: str | Ref) -> Ref:
    found = ref if isinstance(ref, Ref) else parse(ref)
    if found.kind != "hub":
        raise ArgumentError(f"{ref} is not a repo on a hub", hint="owner/name[@revision]")
    return found


def _plain(ref: Ref) -> Ref:
    return replace(ref, revision=None, path=None)


def _type(pin: Pin) -> Any:
    """The repo type of a pin on a hub, which is one that a ref can have."""
    return pin.repo_type
