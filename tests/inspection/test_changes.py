"""What changed between two commits: in code, requirements, permissions and abilities."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.inspection.conftest import EVIL, Load

import envhub
from envhub import Client
from envhub.errors import RefMovedWarning, UntrustedError
from envhub.inspection.changes import Diff, diff
from envhub.testing import ServedHub, repos

OLD: repos.Repo = {
    "env.py": "import os\nos.getenv('DISPLAY')\n",
    "gone.py": "import ctypes\n",
    "requirements.txt": "numpy==1.0\n",
    "envhub.toml": "[permissions]\ngpu = true\n",
}
NEW: repos.Repo = {
    "env.py": "import os\n\nos.getenv('DISPLAY')\nos.system('id')\n",
    "requirements.txt": "numpy==1.0\n",
    "envhub.toml": "[permissions]\nnetwork = true\n",
    "lib.so": b"\x7fELF",
}


def test_diff(load: Load) -> None:
    """What the old code could do already is not told again, wherever it stands now."""
    changes = diff(load(OLD), load(NEW))
    assert changes.permissions == ("+ network", "- gpu")
    assert [(f.kind, f.where) for f in changes.findings] == [
        ("subprocess", "env.py:4"),
        ("binary", "lib.so"),
    ]
    text = changes.summary()
    for line in ("permissions:", "  + network", "new in it:", "  high: binary lib.so"):
        assert line in text
    assert "unchanged" not in text or "requirements: unchanged" in text
    data = json.loads(json.dumps(changes.as_dict()))
    assert data["permissions"] == ["+ network", "- gpu"]
    assert [change["path"] for change in data["changes"]][:3] == [
        "env.py",
        "envhub.toml",
        "gone.py",
    ]


def test_nothing_changed(load: Load) -> None:
    """Two folders with the same files do not differ."""
    assert diff(load(OLD), load(OLD)) == Diff((), ())


def test_long_lists_are_cut(load: Load) -> None:
    """Twelve new abilities are eight, and a number."""
    many = {"env.py": "".join(f"open('/etc/{k}')\n" for k in range(12))}
    assert "  … and 4 more" in diff(load({"env.py": ""}), load(many)).summary()


def test_broken_manifests(load: Load) -> None:
    """They ask for nothing; the lines that changed are shown all the same."""
    changes = diff(load(OLD), load({**OLD, "envhub.toml": "= nonsense\n"}))
    assert changes.permissions == ("- gpu",)
    assert "+ = nonsense" in changes.requirements


def test_moved_ref_says_what_is_new(hub: ServedHub) -> None:
    """The notice of a ref that moved has what its code could not do before."""
    hub.add("u/r", {**repos.COUNTER})
    envhub.make_env("u/r", trust_remote_code=True).close()
    hub.add("u/r", {"helper.py": "import subprocess\n"})
    with pytest.warns(RefMovedWarning, match=r"new in it:\n  high: subprocess helper.py:1"):
        envhub.make_env("u/r", trust_remote_code=True).close()


def test_refusal_says_what_it_could_do(hub: ServedHub, tmp_path: Path) -> None:
    """What is on this machine is read for it; of what is not, the listing is told."""
    hub.add("u/r", EVIL)
    client = Client(lock=False)
    with pytest.raises(UntrustedError) as caught:
        client.make_env("u/r")
    assert "it has 5 files, 2 of them Python" in caught.value.why
    assert "subprocess" not in caught.value.why
    client.fetch(client.resolve("u/r"))
    with pytest.raises(UntrustedError) as caught:
        client.make_env("u/r")
    assert "high: subprocess (env.py:1)" in caught.value.why
    with pytest.raises(UntrustedError, match=r"high: subprocess \(env\.py:1\)"):
        client.make_env(str(repos.write(EVIL, tmp_path / "folder")))
    assert not [r for r in hub.requests if "/resolve/" in r.path][5:]
