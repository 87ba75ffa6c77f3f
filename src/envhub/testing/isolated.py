"""Keep a test away from the user's files, tokens and network."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from envhub.settings import child_environ

_SECRET = re.compile(r"(^|_)(TOKEN|TOKENS|SECRET|PASSWORD|PASSWD|API_?KEY|CREDENTIALS?)($|_)")
_ADDRESSES = ("ENVHUB_ENDPOINT", "HF_ENDPOINT", "ENVHUB_LOCK", "ENVHUB_OFFLINE", "HF_HUB_OFFLINE")
# huggingface_hub computes these when it is imported, so setting its variables later is not enough.
_HF_PATHS = {
    "HF_HOME": "",
    "HF_HUB_CACHE": "hub",
    "HUGGINGFACE_HUB_CACHE": "hub",
    "HF_ASSETS_CACHE": "assets",
    "HUGGINGFACE_ASSETS_CACHE": "assets",
    "HF_XET_CACHE": "xet",
    "HF_TOKEN_PATH": "token",
    "HF_STORED_TOKENS_PATH": "stored_tokens",
    "HF_UPDATE_CHECK_PATH": ".check_for_update_done",
}


class NetworkBlockedError(AssertionError):
    """A test wanted to talk to another machine."""


def isolate(patch: pytest.MonkeyPatch, home: Path) -> None:
    """Aim every variable that names one of the user's folders below `home`; remove tokens.

    Where uv and pip keep what they downloaded stays, else every test would download it again.
    """
    kept = _download_caches()
    for name in child_environ():
        if _SECRET.search(name.upper()) or name in _ADDRESSES:
            patch.delenv(name)
    folders = {
        "HOME": home,
        "USERPROFILE": home,
        "ENVHUB_HOME": home / "envhub",
        "ENVHUB_CONFIG": home / "config" / "envhub",
        "HF_HOME": home / "huggingface",
        "HF_HUB_CACHE": home / "huggingface" / "hub",
        "XDG_CACHE_HOME": home / "cache",
        "XDG_CONFIG_HOME": home / "config",
        "XDG_DATA_HOME": home / "data",
        "XDG_STATE_HOME": home / "state",
        **kept,
    }
    for name, folder in folders.items():
        patch.setenv(name, str(folder))
    for name in ("HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_PROGRESS_BARS"):
        patch.setenv(name, "1")
    # What a repo declares would be installed from an index; a test that wants that says so.
    patch.setenv("ENVHUB_ISOLATION", "inline")
    if constants := sys.modules.get("huggingface_hub.constants"):
        for name, tail in _HF_PATHS.items():
            if hasattr(constants, name):
                patch.setattr(constants, name, str(home / "huggingface" / tail))


def block_network(patch: pytest.MonkeyPatch) -> None:
    """Let sockets of this process reach no machine but this one."""
    for name in ("connect", "connect_ex", "sendto"):
        patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))
    ask = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **more: Any) -> Any:
        _check_host(host)
        return ask(host, *args, **more)

    patch.setattr(socket, "getaddrinfo", getaddrinfo)


def _guarded(method: Callable[..., Any]) -> Callable[..., Any]:
    def call(self: socket.socket, *args: Any) -> Any:
        address = args[-1]  # connect(address), sendto(data[, flags], address)
        if self.family in {socket.AF_INET, socket.AF_INET6}:
            _check_host(address[0])
        return method(self, *args)

    return call


def _check_host(host: Any) -> None:
    name = host.decode() if isinstance(host, bytes) else host
    if name in {None, "", "localhost"}:
        return
    try:
        address = ip_address(name.partition("%")[0])
    except ValueError:
        address = None
    if address is None or not (address.is_loopback or address.is_unspecified):
        raise NetworkBlockedError(f"a test wanted to reach {name}, which is not this machine")


def _download_caches() -> dict[str, Path]:
    """Variables that keep uv and pip where they are though `HOME` moves."""
    set_already = child_environ()
    config = Path(platformdirs.user_config_dir())
    found = {
        "UV_CACHE_DIR": Path(platformdirs.user_cache_dir("uv")),
        "UV_PYTHON_INSTALL_DIR": Path(platformdirs.user_data_dir("uv")) / "python",
        "PIP_CACHE_DIR": Path(platformdirs.user_cache_dir("pip")),
        "PIP_CONFIG_FILE": config / "pip" / "pip.conf",
        "UV_CONFIG_FILE": config / "uv" / "uv.toml",
    }
    return {
        name: path
        for name, path in found.items()
        if name not in set_already and (name.endswith("_DIR") or path.is_file())
    }
