"""A folder becomes a commit on a hub: put aside, checked, described, and sent."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from envhub import card, disk
from envhub.check import Found
from envhub.check import check as step
from envhub.client import Client
from envhub.credentials import find_secrets
from envhub.errors import (
    EntryNotFoundError,
    EnvHubError,
    LoadError,
    MissingDependencyError,
    SecretError,
)
from envhub.manifest import Manifest, read_manifest
from envhub.parcel import Parcel, parcel
from envhub.pins import Pin
from envhub.refs import Ref
from envhub.shipping import Desk, Pushed, Say, Wish, load_line
from envhub.worlds import package_of

_MOST_SHOWN: Final = 20


def push(
    folder: str | Path = ".",
    to: str | Ref = "",
    *,
    tag: str = "",
    private: bool = False,
    message: str = "",
    check: bool = True,
    allow_secrets: Sequence[str] = (),
    replace: bool = False,
    dry_run: bool = False,
    client: Client | None = None,
    say: Say = lambda _doing: None,
) -> Pushed:
    """Publish a folder as a repo, or as its next commit; the commit is what the folder is.

    Args:
        folder: the env repo on this machine; nothing in it is changed.
        to: `owner/name`, or a longer form that names the hub.
        tag: a name for the new commit.
        private: whether only those see the repo whom its owner lets in.
        message: of the commit.
        check: whether to load, reset and step the env before anything is sent.
        allow_secrets: files that may have in them what looks like a secret.
        replace: whether files go that envhub did not publish and the folder lacks.
        dry_run: whether to stop before anything is sent.
        client: settings and tokens; by default those of the environment variables.
        say: is told what is being done.

    Raises:
        RefError: `to` does not name a repo on a hub, or the tag is no name.
        SecretError: a file looks as if it had a secret in it.
        AlreadyThereError: the tag or other files are there, or somebody was faster.
        NotAllowedError: the token does not suffice.
        EnvHubError: the folder is no env repo, or its env cannot be loaded; whatever the env
            itself raises comes through as it is.

    Examples:
        >>> envhub.push("./pick", "ada/pick", tag="v1.0")  # doctest: +SKIP
        Pushed(ref=Ref(kind='hub', location='ada/pick', ...
    """
    wish = Wish(tag, private, message, replace, dry_run)
    desk = Desk.open(client or Client(lock=False), to, tag, say)
    with parcel(Path(folder), desk.user.settings.home) as sent, _speaking_of(Path(folder), sent):
        root = sent.root
        say("looking for secrets")
        refuse_secrets(root, allow_secrets)
        pin = _entry(desk.user, root)
        manifest = read_manifest(root, pin.path)
        before = card.facts_of(card.read(root))
        there = desk.look(tag)
        found = _try(desk.user, pin, manifest, say) if check else None
        facts = facts_of(pin, manifest, found, before.get(card.ORIGIN))
        describe(root, facts, desk.target)
        return desk.send(root, there, wish, found)


def refuse_secrets(root: Path, allowed: Collection[str] = ()) -> None:
    """Find no secret in the files below a folder, but in those that are named.

    Raises:
        SecretError: there is one; `why` has every place.
    """
    paths = [file.relative_to(root).as_posix() for file in sorted(root.rglob("*"))]
    files = [path for path in paths if path not in allowed and (root / path).is_file()]
    found = sorted(find_secrets(root, files))
    if found:
        names = list(dict.fromkeys(secret.path for secret in found))
        more = f"\n… {len(found) - _MOST_SHOWN} more" if len(found) > _MOST_SHOWN else ""
        raise SecretError(
            f"{names[0]} has something in it that looks like a secret"
            if len(names) == 1
            else f"{len(names)} files have something in them that looks like a secret",
            why="\n".join(map(str, found[:_MOST_SHOWN])) + more,
            hint=f"take it out, or write the file into .gitignore\n"
            f"--allow-secret {' --allow-secret '.join(names[:3])}   # if it is none",
        )


def _entry(user: Client, root: Path) -> Pin:
    """The pin of a folder, if it has an entry file."""
    try:
        return user.resolve_anew(Ref("local", str(root)))
    except EntryNotFoundError as error:
        if not any(root.rglob("*.py")):
            error.why = "it has no Python file at all, so it is no env repo yet"
            error.hint = "envhub init NAME   # makes one that works, to begin with"
        raise


def facts_of(pin: Pin, manifest: Manifest, found: Found | None, origin: str | None) -> card.Facts:
    """What is written into the card: what the manifest says and what the check found out."""
    suites = {name: len(suite.tasks) for name, suite in manifest.suites.items()}
    known: dict[str, Any] = {"version": 1, "entry": pin.path}
    if found:
        known |= {
            "observation": found.observation,
            "action": found.action,
            "actions": found.actions,
            "pixels": found.pixels,
        }
    known |= {
        "suites": found.suites if found else suites,
        "requires-python": manifest.requires_python,
        "requirements": list(manifest.requirements),
        "permissions": list(manifest.permissions.words),
        card.ORIGIN: origin,
    }
    return {key: value for key, value in known.items() if value not in ("", None, [], {})}


def describe(root: Path, facts: card.Facts, target: Ref) -> None:
    """Write the machine part of the card in a folder."""
    text = card.with_facts(card.read(root), facts, load_line(target))
    disk.write(root / card.FILE, text.encode())


def _try(user: Client, pin: Pin, manifest: Manifest, say: Say) -> Found:
    """Load the env as a stranger would, with what its manifest asks for, and step it."""
    say("loading the env, and stepping it")
    permissions = manifest.permissions.words
    try:
        with user.make_env(pin.ref, trust_remote_code=True, permissions=permissions) as envs:
            return step(envs)
    except MissingDependencyError as error:
        package = package_of(error.name or "")
        error.hint = f'requirements = ["{package}"]   # in envhub.toml'
        raise


@contextmanager
def _speaking_of(folder: Path, sent: Parcel) -> Iterator[None]:
    """Name the user's folder where an error names the one that its files were put aside in."""
    try:
        yield
    except EnvHubError as error:
        for name in ("what", "why", "hint"):
            setattr(error, name, getattr(error, name).replace(str(sent.root), str(folder)))
        if isinstance(error, LoadError) and sent.left_out:  # it may be what the env looked for
            names = ", ".join(sent.left_out[:_MOST_SHOWN])
            error.hint = f"{error.hint}\n.gitignore leaves out {names}".strip()
        raise
