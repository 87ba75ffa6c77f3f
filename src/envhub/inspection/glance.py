"""What is known of a pin without asking anybody, for those who are asked to consent to it."""

from __future__ import annotations

from envhub.errors import EnvHubError
from envhub.fetch import fetch
from envhub.hubs.base import Hub
from envhub.inspection.report import inspect, outline
from envhub.pins import Pin
from envhub.store import Store


def glance(pin: Pin, hub: Hub, store: Store) -> str:
    """A few lines about a pin: what its code could do if it is on this machine, else its size.

    Args:
        pin: what somebody wants to run.
        hub: the hub that has it; only a folder is looked at, nothing is downloaded.
        store: the cache.
    """
    try:
        return inspect(fetch(pin, hub, store, offline=True), lint=False).summary()
    except EnvHubError:  # not here yet; a refusal must not fail for that
        listing = store.recall(hub.address, pin.ref)
        return outline(listing.files) if listing else ""
