"""What is built from source is built in a cage: without home folder, tokens and cache."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from envhub.interpreters import own
from envhub.isolation.sandbox import builds, probe
from envhub.requirements import lock_requirements
from envhub.testing.packages import only, sdist
from envhub.uvprogram import Fence, Uv
from envhub.venvs import build
from envhub.worker import landlock

SPY = """
import os, pathlib
def tried(path):
    try:
        return pathlib.Path(path).read_text()
    except OSError:
        return "refused"
def listed(path):
    try:
        return sorted(os.listdir(path))
    except OSError:
        return "refused"
found = [tried({secret!r}), os.environ.get("HF_TOKEN"), listed({cache!r})]
try:
    pathlib.Path({canary!r}).write_text("written")
except OSError:
    pass
raise SystemExit("FOUND " + repr(found))
"""

HERE = probe.abilities()
FENCES = [
    pytest.param(
        builds.words,
        id="bubblewrap",
        marks=pytest.mark.skipif(not HERE.bubblewrap, reason="there is no bubblewrap here"),
    ),
    pytest.param(
        partial(builds.words, able=replace(HERE, bubblewrap="")),
        id="landlock",
        marks=pytest.mark.skipif(
            HERE.landlock < landlock.OLDEST, reason="there is no Landlock here"
        ),
    ),
]


@pytest.mark.parametrize("fence", FENCES)
def test_a_hostile_build_finds_nothing(
    fence: Fence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code of a build sees no secret and writes nothing; without the cage it does."""
    monkeypatch.setenv("HF_TOKEN", "secret-token")
    links = only(monkeypatch, tmp_path / "links")
    secret, canary = tmp_path / "id_rsa", tmp_path / "canary"
    secret.write_text("secret-key")
    plain = Uv(tmp_path / "home")
    spy = SPY.format(secret=str(secret), cache=str(plain.cache), canary=str(canary))
    sdist(links, "spy", setup=spy)
    said = []
    for uv in (plain, replace(plain, fence=fence)):
        with pytest.raises(Exception, match="spy") as caught:
            lock_requirements(["spy"], own(), uv, allow_build=["spy"])
        said.append(str(caught.value))
        assert canary.exists() == (uv is plain)
        canary.unlink(missing_ok=True)
    assert "FOUND ['secret-key', None, ['.gitignore', " in said[0]
    assert "FOUND ['refused', None, 'refused']" in said[1]


@pytest.mark.parametrize("fence", FENCES)
def test_an_honest_build_works(
    fence: Fence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that must be built is built in the cage, and installed into its venv."""
    links = only(monkeypatch, tmp_path / "links")
    sdist(links, "nut")
    uv = Uv(tmp_path / "home", fence=fence)
    locked = lock_requirements(["nut"], own(), uv, allow_build=["nut"])
    assert (build(locked, own(), uv).site_packages / "nut.py").exists()


def test_on_a_bare_machine_there_is_no_cage(tmp_path: Path) -> None:
    """Without namespaces and Landlock, a build has the user's rights, as it has with pip."""
    assert builds.words([tmp_path], [], able=probe.Abilities("linux")) == []
