"""What a hub found out about an env, for `envhub info`: nobody has to run it again to know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from envhub.client import Client
from envhub.errors import HubError
from envhub.hubs.base import Commit
from envhub.hubs.huggingface import HuggingFaceHub
from envhub.pins import Pin
from envhub.server.about import About, Leaf

MOST_SHOWN = 6
"""Parts of a space that are told one by one."""


def ask(user: Client, pin: Pin) -> dict[str, Any]:
    """The block `env` of a commit; empty if its hub has none, or cannot be asked now."""
    hub = user.hub(pin.ref)
    if not isinstance(hub, HuggingFaceHub):
        return {}
    try:
        commit = Commit(pin.hub, pin.repo, pin.repo_type, pin.commit)
        return hub.about(pin.ref, commit) or {}
    except HubError:
        return {}  # what is in the cache can be shown all the same


def understood(block: dict[str, Any]) -> About | None:
    """The block as a value; `None` if there is none, or it is of another time than ours."""
    try:
        return msgspec.convert(block, About) if block else None
    except msgspec.ValidationError:
        return None


def facts(about: About) -> list[tuple[str, str]]:
    """What was looked at, and how it went."""
    marks = {True: "yes", False: "no", None: "unknown"}
    return [
        (f"the hub: {check.name}", f"{marks[check.ok]}, {check.text}".rstrip(", "))
        for check in about.checks
    ] + [("engine", ", ".join(about.engines))]


def tasks(about: About) -> list[dict[str, Any]]:
    """Every task that the hub knows of, as `envhub info` lists them."""
    return [
        {
            "suite": suite,
            "task": task,
            "description": told.description,
            "observation_space": space_text(told.observation),
            "action_space": space_text(told.action),
            "steps_per_second": told.steps_per_second,
        }
        for suite, family in about.suites.items()
        for task, told in family.tasks.items()
    ]


def space_text(leaves: Sequence[Leaf]) -> str:
    """A space in one line, from its parts."""
    shown = [_leaf(leaf) for leaf in leaves[:MOST_SHOWN]]
    more = [f"… {len(leaves) - MOST_SHOWN} more"] if len(leaves) > MOST_SHOWN else []
    return ", ".join([*shown, *more])


def _leaf(leaf: Leaf) -> str:
    bounds = [leaf.low, leaf.high] if leaf.low or leaf.high else []
    if leaf.shape:
        shape = f"({', '.join(map(str, leaf.shape))}{',' * (len(leaf.shape) == 1)})"
        text = f"{leaf.kind}({', '.join([*bounds, shape, leaf.dtype])})"
    else:
        text = f"{leaf.kind}({' … '.join(bounds)})"
    return f"{leaf.path}: {text}" if leaf.path else text
