"""Files beside the code that run or hide something are told, by name or by their first bytes."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pytest

from envhub.inspection.assets import read_assets
from envhub.pins import File, blob_id
from envhub.testing import repos


def array(value: object) -> bytes:
    file = io.BytesIO()
    np.save(file, np.asarray(value), allow_pickle=True)
    return file.getvalue()


FILES = {
    "lib/fast.so": (b"", "binary"),
    "run.EXE": (b"", "binary"),
    "tool": (b"\x7fELF\x02", "binary"),
    "tool.dat": (b"MZ\x90", "binary"),
    "mac": (b"\xcf\xfa\xed\xfe", "binary"),
    "module.bin": (b"\0asm\1", "binary"),
    "policy.pkl": (b"", "pickled-file"),
    "weights.pth": (b"", "pickled-file"),
    "data.bin": (pickle.dumps([1]), "pickled-file"),
    "objects.npy": (array([object]), "pickled-file"),
    "more.zip": (b"PK", "archive"),
    "more.tar.gz": (b"", "archive"),
    "install.sh": (b"", "script"),
    "install": (b"#!/bin/sh\n", "script"),
    "numbers.npy": (array([1.0]), None),
    "robot.xml": (b"<mujoco/>", None),
    "mesh.stl": (b"solid", None),
    "image.png": (b"\x89PNG", None),
    "empty": (b"", None),
    "env.py": (b"#!/usr/bin/env python\n", None),
    "card.md": (b"MZ is how it begins", None),
}


@pytest.mark.parametrize(
    ("name", "data", "kind"), [(n, d, k) for n, (d, k) in FILES.items()], ids=FILES
)
def test_assets(tmp_path: Path, name: str, data: bytes, kind: str | None) -> None:
    """One finding for what cannot be read, none for what can."""
    repos.write({name: data}, tmp_path)
    found = read_assets(tmp_path, [File(name, blob_id(data), len(data))])
    assert [each.kind for each in found] == ([kind] if kind else [])
    assert all(each.where == name for each in found)
