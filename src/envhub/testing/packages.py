"""Small Python packages, made on the spot, and an index on a loopback port that has them."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import pytest

from envhub.testing.web import Reply, Request, serve

DAY = "2024-01-01T00:00:00Z"

_METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
_WHEEL = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n"
_BACKEND = """
def build_wheel(folder, settings=None, metadata=None):
    import os, zipfile
    with zipfile.ZipFile(os.path.join(folder, {file!r}), "w") as archive:
        for path, text in {inside!r}.items():
            archive.writestr(path, text)
    return {file!r}
"""


def wheel(
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    files: Mapping[str, str] | None = None,
    requires: Sequence[str] = (),
    python: str = "",
    tag: str = "py3-none-any",
) -> Path:
    """Write a wheel into `folder`.

    Args:
        folder: where to; it is made if need be.
        name: of the package.
        version: its version.
        files: what is in it, by path; a module of the package's name by default.
        requires: its requirements.
        python: the versions of Python that it is for.
        tag: Python, ABI and platform that it is for.
    """
    plain = name.replace("-", "_")
    about = f"{plain}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {line}\n" for line in requires)
    needs += f"Requires-Python: {python}\n" if python else ""
    inside = {
        **({f"{plain}.py": f"version = {version!r}\n"} if files is None else files),
        f"{about}/METADATA": _METADATA.format(name=name, version=version) + needs,
        f"{about}/WHEEL": _WHEEL.format(tag=tag),
    }
    inside[f"{about}/RECORD"] = "".join(
        f"{path},sha256={_digest(text)},{len(text.encode())}\n" for path, text in inside.items()
    )
    folder.mkdir(exist_ok=True)
    path = folder / f"{plain}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in inside.items():
            archive.writestr(member, text)
    return path


def lend(folder: Path) -> Path:
    """Write wheels of gymnasium and numpy that lend the caller's own: small, and they work.

    In no sandbox, though: what they lend lies elsewhere.

    Args:
        folder: where to; it is made if need be.
    """
    path = sysconfig.get_paths()["purelib"]
    wheel(folder, "numpy", metadata.version("numpy"), files={"numpy-lent.pth": f"{path}\n"})
    version = metadata.version("gymnasium")
    wheel(folder, "gymnasium", version, files={"lent.txt": ""}, requires=["numpy"])
    return folder


def sdist(folder: Path, name: str, version: str = "1.0", *, setup: str = "") -> Path:
    """Write a package's source into `folder`.

    Args:
        folder: where to; it is made if need be.
        name: of the package.
        version: its version.
        setup: code that its build runs first.
    """
    plain = name.replace("-", "_")
    about = f"{plain}-{version}.dist-info"
    built = {
        f"{plain}.py": "built = True\n",
        f"{about}/METADATA": _METADATA.format(name=name, version=version),
        f"{about}/WHEEL": _WHEEL.format(tag="py3-none-any"),
        f"{about}/RECORD": "",
    }
    backend = _BACKEND.format(file=f"{plain}-{version}-py3-none-any.whl", inside=built)
    top = f"{name}-{version}"
    inside = {
        "PKG-INFO": _METADATA.format(name=name, version=version),
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\n'
        'backend-path = ["."]\n',
        "backend.py": setup + backend,
    }
    folder.mkdir(exist_ok=True)
    path = folder / f"{top}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for member, text in inside.items():
            entry = tarfile.TarInfo(f"{top}/{member}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return path


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


@contextmanager
def serve_index(
    folder: Path,
    uploaded: Mapping[str, str] | None = None,
    yanked: Mapping[str, str] | None = None,
) -> Iterator[str]:
    """Serve the packages of a folder as an index of the simple API; yields its address.

    Args:
        folder: wheels and sources.
        uploaded: when a file came, by its name; `DAY` by default.
        yanked: why a file was taken back, by its name.
    """
    times = uploaded or {}
    reasons = yanked or {}

    def answer(request: Request) -> Reply:
        if found := re.fullmatch(r"/files/([^/]+)", request.path):
            return Reply(200, folder / found[1])
        project = request.path.strip("/").rpartition("/")[2]
        files = [path for path in sorted(folder.iterdir()) if _project(path) == project]
        if not files:
            return Reply(404)
        document = {
            "meta": {"api-version": "1.1"},
            "name": project,
            "files": [
                _entry(path, times.get(path.name, DAY))
                | ({"yanked": reasons[path.name]} if path.name in reasons else {})
                for path in files
            ],
        }
        kind = {"Content-Type": "application/vnd.pypi.simple.v1+json"}
        return Reply(200, json.dumps(document).encode(), kind)

    with serve(answer) as url:
        yield f"{url}/simple"


def _project(path: Path) -> str:
    return re.split(r"-\d", path.name)[0].replace("_", "-")


def _entry(path: Path, uploaded: str) -> dict[str, object]:
    return {
        "filename": path.name,
        "url": f"/files/{path.name}",
        "hashes": {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()},
        "size": path.stat().st_size,
        "upload-time": uploaded,
    }


def only(patch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Let packages come from a folder, which is made, and from nowhere else."""
    folder.mkdir(exist_ok=True)
    config = folder / "uv.toml"
    config.write_text(f"no-index = true\nfind-links = [{json.dumps(str(folder))}]\n")
    patch.setenv("UV_CONFIG_FILE", str(config))
    return folder
