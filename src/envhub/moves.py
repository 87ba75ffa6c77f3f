"""A ref that points elsewhere than when it last ran is announced, with what changed."""

from __future__ import annotations

import warnings
from dataclasses import replace

from envhub.errors import RefMovedWarning
from envhub.fetch import Source, fetch
from envhub.history import Run
from envhub.hubs.base import Hub
from envhub.inspection import diff
from envhub.store import Store


def announce(source: Source, last: Run, hub: Hub, store: Store) -> None:
    """Warn that a ref moved since it last ran, and say what changed.

    Args:
        source: what it means now.
        last: what it meant then.
        hub: the hub that answers it.
        store: the cache, which may still have what it meant then.
    """
    pin = source.pin
    lines = [
        f"{str(pin.ref)!r} moved since it last ran: {last.commit[:12]} → {pin.version[:12]}",
        _changes(source, last, hub, store),
    ]
    if pin.ref.kind != "local":  # of a bundle there is only what lies there now
        lines.append(f"→ to stay where you were: {pin.ref.at(last.commit)}")
    warnings.warn("\n".join(lines), RefMovedWarning, stacklevel=5)


def _changes(source: Source, last: Run, hub: Hub, store: Store) -> str:
    then = source.pin.ref.at(last.commit)
    old = replace(source.pin, ref=then, commit=last.commit, digest=last.digest)
    try:
        before = fetch(old, hub, store, offline=True)
    except OSError:
        return "what changed is not known: the cache no longer has the old commit"
    return diff(before, source).summary()
