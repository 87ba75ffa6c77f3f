"""Every environment variable and default of envhub, in one table; imports nothing of envhub.

No other module reads the environment. `Settings` is a value: the client is given one, and tests
make their own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

HUGGING_FACE = "https://huggingface.co"


@dataclass(frozen=True)
class Variable:
    """An environment variable that envhub reads."""

    name: str
    help: str
    default: str = ""


VARIABLES = (
    Variable("ENVHUB_HOME", "folder of the cache", "the platform's cache folder + /envhub"),
    Variable("ENVHUB_CONFIG", "folder of trust.toml", "the platform's config folder + /envhub"),
    Variable("ENVHUB_ENDPOINT", "the hub that owner/name means", "HF_ENDPOINT"),
    Variable("ENVHUB_TOKEN", "token for ENVHUB_ENDPOINT, sent nowhere else"),
    Variable("ENVHUB_OFFLINE", "1: open no socket, use the cache", "HF_HUB_OFFLINE"),
    Variable("ENVHUB_LOCK", "path of the lock file", "envhub.lock, here or in a parent folder"),
    Variable("HF_ENDPOINT", "address of the Hugging Face Hub", HUGGING_FACE),
    Variable("HF_TOKEN", "token for the Hugging Face Hub, sent nowhere else"),
    Variable("HF_HOME", "where huggingface_hub keeps its token", "~/.cache/huggingface"),
    Variable("HF_HUB_OFFLINE", "1: open no socket"),
    Variable("HF_HUB_DISABLE_PROGRESS_BARS", "1: no progress bars"),
    Variable("HF_HUB_DOWNLOAD_TIMEOUT", "seconds that a silent connection may last", "10"),
    Variable("NO_COLOR", "any value: no colours"),
)

_TRUE = {"1", "on", "yes", "true"}


@dataclass(frozen=True)
class Settings:
    """What the environment says, read once.

    Attributes:
        home: folder of the cache.
        config: folder of `trust.toml`.
        endpoint: the hub that `owner/name` means.
        hf_endpoint: the hub that `hf://owner/name` means.
        token: token for `endpoint` when that is not the Hugging Face Hub, else `None`.
        offline: open no socket.
        progress: show progress bars.
        lock: path of the lock file if the environment names one.
        timeout: seconds that a silent connection may last.
    """

    home: Path
    config: Path
    endpoint: str = HUGGING_FACE
    hf_endpoint: str = HUGGING_FACE
    token: str | None = None
    offline: bool = False
    progress: bool = True
    lock: Path | None = None
    timeout: float = 10.0

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the settings from `environ` (the process's own by default)."""
        env = os.environ if environ is None else environ
        hf_endpoint = env.get("HF_ENDPOINT", "").rstrip("/") or HUGGING_FACE
        home = env.get("ENVHUB_HOME") or platformdirs.user_cache_dir("envhub")
        config = env.get("ENVHUB_CONFIG") or platformdirs.user_config_dir("envhub")
        lock = env.get("ENVHUB_LOCK")
        return cls(
            home=Path(home).expanduser().absolute(),
            config=Path(config).expanduser().absolute(),
            endpoint=env.get("ENVHUB_ENDPOINT", "").rstrip("/") or hf_endpoint,
            hf_endpoint=hf_endpoint,
            token=env.get("ENVHUB_TOKEN") or None,
            offline=_is_true(env.get("ENVHUB_OFFLINE") or env.get("HF_HUB_OFFLINE")),
            progress=not _is_true(env.get("HF_HUB_DISABLE_PROGRESS_BARS")),
            lock=Path(lock).expanduser().absolute() if lock else None,
            timeout=float(env.get("HF_HUB_DOWNLOAD_TIMEOUT") or 10),
        )


def _is_true(value: str | None) -> bool:
    return (value or "").strip().lower() in _TRUE


def child_environ(extra: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """The environment for programs that envhub starts (git, uv): ours plus `extra`.

    A variable whose value is `None` is taken out.
    """
    merged = {**os.environ, **(extra or {})}
    return {name: value for name, value in merged.items() if value is not None}
