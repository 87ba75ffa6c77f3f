"""`envhub info`: what a ref is. Nothing of it is run, unless somebody consents."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec
import yaml

from envhub import tree
from envhub.check import space_text
from envhub.cli import hearsay
from envhub.cli.blame import blaming, where
from envhub.cli.consent import asked_for
from envhub.cli.look import Facts, Part, Table
from envhub.cli.numbers import count, size_text
from envhub.cli.options import (
    allow_option,
    client,
    examples,
    offline_option,
    output_options,
    ref_argument,
    trust_option,
)
from envhub.cli.output import Output
from envhub.cli.report import pin_data, task_name
from envhub.client import Client
from envhub.errors import (
    CorruptSourceError,
    ManifestError,
    OfflineError,
    RequirementError,
    UntrustedError,
)
from envhub.fetch import fetch
from envhub.hubs.base import Commit
from envhub.manifest import REQUIREMENTS, Manifest, parse_manifest
from envhub.parameters import declared, words
from envhub.permissions import Permissions
from envhub.pins import File, Pin
from envhub.trust import Consent, consent

CARD = "README.md"
MOST_FILES = 20
MOST_TEXT = 2_000_000
"""Bytes: nobody writes longer files by hand."""


@click.command(
    epilog=examples(
        "envhub info ./examples/cartpole",
        "envhub info ./examples/minigrid",
        "envhub info ./examples/multitask --trust-remote-code --spaces",
        "envhub info ./examples/cartpole --json",
    )
)
@ref_argument
@trust_option
@allow_option
@click.option(
    "--spaces", "build", is_flag=True, help="Build one env, of the first task, for its spaces."
)
@offline_option
@output_options
@click.pass_obj
def info(
    out: Output,
    /,
    ref: str,
    *,
    trust_remote_code: bool,
    permissions: tuple[str, ...] | None,
    build: bool,
    offline: bool,
) -> None:
    """Show what a ref is: pin, files, requirements, card, tasks, spaces.

    Parameters and tasks are those of the manifest. Where it has none, tasks are known only by
    running the repo's code, and spaces always are: that needs consent, with --trust-remote-code,
    or remembered by `envhub trust add`. At most one env is built.
    """
    user = client(out, offline=offline)
    pin = user.resolve(ref)
    files = _files(user, pin)
    with _reading(user, pin, files, offline=offline) as read:
        says, problem = _manifest(read, pin.path)
        card, requirements = _card(_text(read, CARD)), _requirements(_text(read, REQUIREMENTS))
    with asked_for(ref, out):
        said = consent(trust_remote_code, permissions)
        tasks, refusal = _tasks(user, pin, out, said, says, build=build)
    block = {} if user.settings.offline else hearsay.ask(user, pin)
    about = hearsay.understood(block)
    if about and about.suites and not _has_spaces(tasks):
        tasks, refusal = hearsay.tasks(about), ""
    data = {
        **pin_data(pin),
        "files": [{"path": file.path, "size": file.size, "oid": file.oid} for file in files],
        "size": sum(file.size for file in files),
        "requirements": says.pop("requirements", requirements),
        "manifest": says,
        "card": card,
        "env": block or None,
        "tasks": tasks,
    }
    known = hearsay.facts(about) if about else []
    out.emit(data, *_parts(pin, files, data, known), brief=[pin.pinned_ref])
    if problem:
        out.note(f"its manifest: {problem}")
    if refusal:
        out.note(f"suites and tasks: {refusal}")


def _files(user: Client, pin: Pin) -> Sequence[File]:
    """The listing: the cache has it since the ref was resolved, unless it cannot be written."""
    hub = user.hub(pin.ref)
    known = None if hub.live else user.store.recall(hub.address, pin.ref)
    if known and known.commit == pin.commit:
        return known.files
    return hub.files(pin.ref, Commit(pin.hub, pin.repo, pin.repo_type, pin.commit))


@contextmanager
def _reading(
    user: Client, pin: Pin, files: Sequence[File], *, offline: bool
) -> Iterator[Callable[[str], bytes | None]]:
    """Reads files by their paths: the cache's, else each is fetched when it is asked for.

    A file that is not there, or that no person wrote, is nothing.
    """
    hub, named = user.hub(pin.ref), {file.path: file for file in files}
    commit = Commit(pin.hub, pin.repo, pin.repo_type, pin.commit)
    with tempfile.TemporaryDirectory() as name:
        try:
            folder, lacking = fetch(pin, hub, user.store, offline=True).root, False
        except OfflineError:
            folder, lacking = Path(name), True

        @functools.cache
        def read(path: str) -> bytes | None:
            file = named.get(path)
            if file is None or file.size > MOST_TEXT or (lacking and offline):
                return None
            if lacking:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                hub.download(pin.ref, commit, [file], folder, lambda _size: None)
                if tree.hash_file(folder / path, file.oid) != file.oid:
                    raise CorruptSourceError(f"the hub gave other bytes for {path} of {pin}")
            return (folder / path).read_bytes()

        yield read


def _text(read: Callable[[str], bytes | None], path: str) -> str:
    return (read(path) or b"").decode("utf-8-sig", errors="replace").replace("\r\n", "\n")


def _card(text: str) -> dict[str, Any]:
    """The front matter of a card: the YAML between its first two lines of three dashes."""
    mark, _, rest = text.partition("---\n")
    if mark.strip() or "\n---" not in rest:
        return {}
    try:
        found = yaml.safe_load(rest.partition("\n---")[0])
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}


def _requirements(text: str) -> list[str]:
    bare = (line.partition(" #")[0].strip() for line in text.splitlines())
    return [line for line in bare if line and not line.startswith("#")]


def _manifest(read: Callable[[str], bytes | None], entry: str) -> tuple[dict[str, Any], str]:
    """What the repo says about itself; nothing but the reason if that cannot be understood."""
    try:
        found = parse_manifest(read, entry)
    except (ManifestError, RequirementError) as error:
        return {}, f"{error.what}; it cannot be loaded so"
    said: dict[str, Any] = msgspec.to_builtins(found)
    return {**said, "requirements": list(found.requirements)}, ""


def _tasks(
    user: Client, pin: Pin, out: Output, said: Consent, says: dict[str, Any], *, build: bool
) -> tuple[list[dict[str, Any]] | None, str]:
    """Every task, as far as they can be told, or `None` and the way to them."""
    texts = _texts_of_tasks(says)
    if texts and not build:
        rows = [{"suite": s, "task": t, "description": text} for (s, t), text in texts.items()]
        return rows, ""
    try:
        user.allow(pin, said)
    except UntrustedError:
        if build:
            raise
        return None, "say --trust-remote-code, since they are known only by running its code"
    with (
        out.warnings_shown(),
        out.strangers(),
        blaming(user, str(pin.ref)),
        user.make_env(
            pin.ref, trust_remote_code=said.boolean, permissions=said.permissions
        ) as envs,
    ):
        found = list(envs.flat())
        # An only one is built already.
        first = found[0] if build or len(found) == 1 else None
        return [_task(*each, texts, show=each is first) for each in found], ""


def _texts_of_tasks(says: dict[str, Any]) -> dict[tuple[str, str], str]:
    """The descriptions of the tasks that the manifest has."""
    return {
        (name, task): text.get("description", "")
        for name, suite in says.get("suites", {}).items()
        for task, text in suite.get("tasks", {}).items()
    }


def _task(
    task: tuple[str, str | int], env: Any, texts: dict[tuple[str, str], str], *, show: bool
) -> dict[str, Any]:
    data = {"suite": task[0], "task": task[1]}
    if text := texts.get((task[0], str(task[1]))):
        data["description"] = text
    if not show:
        return data
    try:
        found = space_text(env.single_observation_space), space_text(env.single_action_space)
    except Exception as error:  # noqa: BLE001 - one task that cannot be made must not hide the others
        return {**data, "error": where(error)}
    names = ("observation_space", "action_space")
    return {**data, **dict(zip(names, found, strict=True)), "render_mode": env.render_mode}


def _has_spaces(tasks: Sequence[dict[str, Any]] | None) -> bool:
    return any("observation_space" in task for task in tasks or ())


def _parts(
    pin: Pin, files: Sequence[File], data: dict[str, Any], known: Sequence[tuple[str, str]]
) -> Iterator[Part]:
    size = f"{count(len(files), 'file')}, {size_text(data['size'])}"
    what = [("ref", pin.ref), ("hub", pin.hub), ("type", pin.repo_type), ("commit", pin.commit)]
    yield Facts(str(pin.repo), [*what, ("digest", pin.digest), ("entry", pin.path), ("size", size)])
    rows = [(f.path, size_text(f.size), "LFS" if f.is_lfs else "git") for f in files[:MOST_FILES]]
    if len(files) > MOST_FILES:
        rows.append((f"… {len(files) - MOST_FILES} more", "", ""))
    yield Table(("file", "size", "kept in"), rows, right=("size",))
    facts = data["card"].get("envhub")
    claims = facts if isinstance(facts, dict) else {}
    said = {**data["card"], "envhub": None, **{f"card: {k}": v for k, v in claims.items()}}
    card = [(str(key), _line(value)) for key, value in said.items() if value]
    says = data["manifest"]
    asked = msgspec.convert(says.get("permissions", {}), Permissions).words
    agreed = [f"{name}={value}" for name, value in says.get("accept", {}).items()]
    yield Facts(
        "",
        [
            ("requires", "\n".join(data["requirements"])),
            ("Python", says.get("requires-python")),
            ("asks for", ", ".join(asked)),
            ("agree to", ", ".join(agreed)),
            *card,
            *known,
        ],
    )
    takes = declared(msgspec.convert(says, Manifest))
    if takes:
        rows = [(name, words(each), each.help) for name, each in takes.items()]
        yield Table(("parameter", "values", ""), rows)
    yield from _tables(data["tasks"] or [])


def _tables(tasks: Sequence[dict[str, Any]]) -> Iterator[Part]:
    """The tasks, with what is known of them."""
    columns = ("description", "observation_space", "action_space", "error")
    shown = [name for name in columns if any(task.get(name) for task in tasks)]
    if tasks:
        heads = ("task", *(name.replace("_", " ") for name in shown))
        names = [task_name(task["suite"], task["task"]) for task in tasks]
        cells = [[task.get(name, "") for name in shown] for task in tasks]
        yield Table(heads, [(name, *row) for name, row in zip(names, cells, strict=True)])


def _line(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {each}" for key, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
