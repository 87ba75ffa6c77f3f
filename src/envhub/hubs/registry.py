"""Which hub answers a ref, and which token it gets: none but its own."""

from __future__ import annotations

from pathlib import Path

from envhub.bundles import SUFFIX
from envhub.hubs.base import Hub
from envhub.hubs.bundle import BundleFile
from envhub.hubs.git import GitRepo
from envhub.hubs.huggingface import HuggingFaceHub
from envhub.hubs.local import LocalFolder
from envhub.hubs.pypi import PackageIndex
from envhub.refs import HUGGING_FACE_HUB, Ref
from envhub.settings import Settings
from envhub.uvprogram import Uv


def hub_for(
    ref: Ref, settings: Settings, *, token: str | None = None, endpoint: str | None = None
) -> Hub:
    """The hub that answers a ref.

    Args:
        ref: the ref.
        settings: addresses, timeouts and the cache folder.
        token: the caller's token for the hub of this ref; it beats those of the settings.
        endpoint: the hub that `owner/name` means, instead of the settings'.
    """
    if ref.kind == "local":
        is_bundle = ref.location.endswith(SUFFIX) and Path(ref.location).expanduser().is_file()
        return BundleFile(ref.location) if is_bundle else LocalFolder(ref.location)
    if ref.kind == "git":
        return GitRepo(_git_url(ref), cache=settings.home / "git", limits=settings.limits)
    if ref.kind == "pypi":
        return PackageIndex(Uv.from_settings(settings))
    address = address_of(ref, settings, endpoint)
    return HuggingFaceHub(
        address,
        token=token_for(address, settings, token),
        timeout=settings.timeout,
        limits=settings.limits,
    )


def _git_url(ref: Ref) -> str:
    scheme, _, rest = ref.location.partition("://")
    return f"{scheme}://{ref.login}@{rest}" if ref.login and scheme != "ssh" else ref.location


def address_of(ref: Ref, settings: Settings, endpoint: str | None = None) -> str:
    """The address of the hub that a ref of the kind `hub` names."""
    if ref.endpoint == HUGGING_FACE_HUB:
        return settings.hf_endpoint
    return (ref.endpoint or endpoint or settings.endpoint).rstrip("/")


def token_for(address: str, settings: Settings, token: str | None) -> str | bool:
    """The caller's token, or the one that was stored for exactly this hub, or none."""
    if token:
        return token
    if address == settings.hf_endpoint:
        return True
    return (settings.token if address == settings.endpoint else None) or False
