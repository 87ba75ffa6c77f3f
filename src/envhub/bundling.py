"""Refs → a bundle: their files and the wheels of their packages, for this platform."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from envhub import bundles
from envhub.bundles import SUFFIX, Contents, Packed
from envhub.client import PLAIN, Client
from envhub.errors import ArgumentError
from envhub.refs import Ref
from envhub.uvprogram import Uv
from envhub.wheels import download
from envhub.wishes import Wishes


def bundle(
    client: Client, refs: Iterable[str | Ref], path: Path, *, wishes: Wishes = PLAIN
) -> Contents:
    """Write refs, with all that they need on this platform, into one file.

    What the lock file has is taken as it says. Nothing is run or installed.

    Args:
        client: who asks.
        refs: what to bundle.
        path: the file, `<name>.envhub`.
        wishes: what the user adds to what the envs declare.

    Raises:
        ArgumentError: the file is called otherwise.
        InstallError: a package has no wheel, or the index does not give it.
    """
    if path.suffix != SUFFIX:
        what = f"a bundle's name ends in {SUFFIX}, and {path.name!r} does not"
        raise ArgumentError(what, hint=f"-o {path.with_suffix(SUFFIX)}")
    uv = Uv.from_settings(client.settings)
    with TemporaryDirectory(prefix="envhub-bundle-") as name:
        repos, wheels = [], []
        for ref in refs:
            source = client.fetch(client.resolve(ref))
            locked = client.packages(source, wishes=wishes)
            worlds = [locked] if locked else []
            repos.append((Packed.of(source.pin, source.files, worlds), source.root))
            wheels += [wheel for each in worlds for wheel in download(each, uv, Path(name))]
        return bundles.write(path, repos, wheels)
