"""`envhub doctor`: what this machine has, and what it lacks."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import click
import huggingface_hub
import uv

from envhub import __version__
from envhub.cli.look import Table
from envhub.cli.numbers import count, size_text
from envhub.cli.options import client, examples, offline_option, output_options
from envhub.cli.output import Output
from envhub.client import Client
from envhub.errors import CommandError, EnvHubError, HubUnreachableError, NotFoundError
from envhub.hubs.huggingface import HuggingFaceHub
from envhub.interpreters import interpreters
from envhub.isolation.sandbox import cage
from envhub.isolation.sandbox.levels import NONE
from envhub.isolation.sandbox.probe import Abilities, abilities
from envhub.make import LEVELS
from envhub.proc import run
from envhub.refs import Ref

PACKAGES = ("gymnasium", "numpy", "huggingface-hub")
EXTRAS = {"rich": "cli", "av": "video", "pillow": "video"}
PATIENCE = 3.0
"""Seconds for a hub to answer."""

PROGRAM_PATIENCE = 20.0
"""Seconds for a program on this machine, which may be busy, to answer."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what.
        state: `ok`, `warn` (something will not work) or `bad` (nothing will).
        value: what was found.
        hint: what to do about it.
    """

    name: str
    state: str
    value: str
    hint: str = ""


@click.command(epilog=examples("envhub doctor", "envhub doctor --offline --json"))
@offline_option
@output_options
@click.pass_context
def doctor(context: click.Context, /, *, offline: bool) -> None:
    """Check this machine: versions, hubs, cache, isolation.

    Ends with 1 if envhub cannot work here.
    """
    out: Output = context.obj
    user = client(out, offline=offline)
    checks: tuple[Callable[[Client], Iterator[Finding]], ...] = (
        _versions,
        _extras,
        _programs,
        _interpreters,
        _hubs,
        _tokens,
        _folders,
        _isolation,
        _sandbox,
    )
    findings: list[Finding] = []
    with out.bar("checking", len(checks)) as bar:
        for index, check in enumerate(checks):
            bar(index, "")
            try:
                findings += check(user)
            except EnvHubError as error:
                findings.append(
                    Finding(error.code, "bad", f"{error.what}: {error.why}", error.hint)
                )
    bad = [finding.name for finding in findings if finding.state == "bad"]
    signs = {"ok": "✓", "warn": "!", "bad": "✗"}
    rows = [(signs[each.state], each.name, each.value, each.hint) for each in findings]
    out.emit(
        {"ok": not bad, "findings": [asdict(finding) for finding in findings]},
        Table(("", "what", "found", "what to do"), rows),
        brief=bad,
    )
    context.exit(1 if bad else 0)


def _versions(_user: Client) -> Iterator[Finding]:
    yield Finding("envhub", "ok", __version__)
    version = f"{platform.python_version()} ({sys.executable})"
    yield Finding("Python", "ok", version)
    yield Finding(
        "platform", "ok", f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    )
    for name in PACKAGES:
        yield Finding(name, "ok", metadata.version(name))


def _extras(_user: Client) -> Iterator[Finding]:
    for name, extra in EXTRAS.items():
        try:
            yield Finding(name, "ok", metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Finding(name, "warn", "not installed", f'pip install "gym-envhub[{extra}]"')


def _programs(_user: Client) -> Iterator[Finding]:
    for name, program in (("git", "git"), ("uv", uv.find_uv_bin())):
        try:
            done = run([program, "--version"], timeout=PROGRAM_PATIENCE)
        except CommandError as error:
            yield Finding(name, "warn", error.what, f"install {name}")
        else:
            yield Finding(name, "ok", done.text.removeprefix(name).removeprefix(" version").strip())


def _interpreters(_user: Client) -> Iterator[Finding]:
    """The Pythons that envs can run under."""
    yield Finding("interpreters", "ok", "\n".join(map(str, interpreters())))


def _hubs(user: Client) -> Iterator[Finding]:
    settings = user.settings
    for address in dict.fromkeys((settings.endpoint, settings.hf_endpoint)):
        if settings.offline:
            yield Finding("hub", "ok", f"{address}: not asked, offline mode is on")
            continue
        # Without a token, and by a repo that does not exist: to say so, a hub must be there.
        ref = Ref("hub", "envhub/doctor", endpoint=address, repo_type="model")
        try:
            HuggingFaceHub(address, token=False, timeout=PATIENCE).resolve(ref)
        except NotFoundError:
            yield Finding("hub", "ok", f"{address}: answers")
        except HubUnreachableError as error:
            hint = "ENVHUB_OFFLINE=1 uses the cache alone"
            yield Finding("hub", "warn", f"{address}: {error.why or error.what}", hint)
        except EnvHubError as error:
            yield Finding("hub", "warn", f"{address}: {error.what}")
        else:
            yield Finding("hub", "ok", f"{address}: answers")


def _tokens(user: Client) -> Iterator[Finding]:
    """Whether there are tokens; what they are is nobody's business."""
    known = {user.settings.hf_endpoint: bool(huggingface_hub.get_token())}
    if user.settings.token:
        known[user.settings.endpoint] = True
    for address, present in known.items():
        yield Finding("token", "ok", f"{address}: {'there' if present else 'none'}")


def _folders(user: Client) -> Iterator[Finding]:
    root = user.store.root
    size = size_text(user.store.usage().total)
    if _writable(root):
        yield Finding("cache", "ok", f"{root}, {size}")
    else:
        yield Finding("cache", "bad", f"{root} cannot be written", "ENVHUB_HOME=another folder")
    yield Finding("policy", "ok", f"{user.policy_path}, {count(len(user.policy.grants), 'grant')}")
    yield Finding("lock file", "ok", str(user.lock_path or "none here"))


def _writable(folder: Path) -> bool:
    while not folder.exists():
        folder = folder.parent
    return os.access(folder, os.W_OK)


def _isolation(_user: Client) -> Iterator[Finding]:
    for name in LEVELS:
        yield Finding(f"isolation {name}", "ok", "works")


def _sandbox(_user: Client) -> Iterator[Finding]:
    """The level that envs get here, its parts, and what it does not cover."""
    able = abilities()
    level = cage.strongest(able)
    state = "ok" if not level.why else "warn"
    hint = _remedy(able) if level.why else ""
    yield Finding("sandbox", state, f"{level}: {', '.join(level.layers) or 'nothing'}", hint)
    parts = {
        "bubblewrap": able.bubblewrap,
        "landlock": f"version {able.landlock}" if able.landlock else "",
        "seccomp": "works" if able.seccomp else "",
    }
    for name, found in parts.items() if able.platform == "linux" else ():
        yield Finding(f"  {name}", "ok" if found else "warn", found or able.reason(name))
    for gap in level.gaps:
        yield Finding("  not covered", "ok" if level.name != NONE else "warn", gap)


def _remedy(able: Abilities) -> str:
    """What would bring a stronger sandbox."""
    if able.platform != "linux":
        return "run envhub in Linux: a virtual machine, or WSL 2"
    if "not found" in able.reason("bubblewrap"):
        return 'apt install bubblewrap, or pip install "gym-envhub[sandbox]"'
    return "allow user namespaces: docs/security.md"
