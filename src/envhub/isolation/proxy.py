"""An env that lives in another process, by its attributes and methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envhub.isolation.remote import HostedVectorEnv


class EnvProxy:
    """One env of a `HostedVectorEnv`."""

    def __init__(self, envs: HostedVectorEnv, index: int) -> None:
        self._envs = envs
        self._index = index
