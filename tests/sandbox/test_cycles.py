"""Starting and stopping leaves nothing: no process, mount, descriptor or file."""

from __future__ import annotations

import dataclasses
import os
import sys
import tempfile
from pathlib import Path

import pytest

from envhub.isolation.launch import prepare
from envhub.isolation.sandbox import cage, probe
from envhub.isolation.sandbox.cage import Cage
from envhub.isolation.sandbox.levels import OFF
from envhub.isolation.world import callers
from envhub.isolation.zygote import Zygote
from envhub.worker import usage

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="these cages are Linux's")


def cages() -> list[Cage]:
    """One of each level that this machine has."""
    able = probe.abilities()
    lesser = dataclasses.replace(able, bubblewrap="")
    chosen = [cage.choose("require", able=each) for each in (able, lesser) if each.landlock]
    return [*chosen, Cage(OFF, able)]


@pytest.mark.parametrize(
    "count", [3, pytest.param(300, marks=[pytest.mark.heavy, pytest.mark.timeout(1800)])]
)
def test_cycles(count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After many starts and stops, some of them by a kill, everything is as it was."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    fences = cages()

    def look() -> tuple[object, ...]:
        return (
            usage.family(os.getpid())[0],
            Path("/proc/self/mountinfo").read_text(),
            len(list(Path("/proc/self/fd").iterdir())),
            list(tmp_path.iterdir()),
        )

    Zygote(fences[0](prepare(callers(), ()))).close()  # what is made once for all
    before = look()
    for number in range(count):
        zygote = Zygote(fences[number % len(fences)](prepare(callers(), ())))
        if number % 2:
            zygote.kill()
        zygote.close()
        assert zygote.wait() is not None
    assert look() == before
