"""How many workers: as told, by what a step does, by what was measured, or by trying."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.vector.zoo import Counter, Sampler

from envhub.errors import ArgumentError, ArgumentTypeError
from envhub.vector import AsyncVectorEnv, autotune, caller, profile
from envhub.vector.options import Options, split
from envhub.vector.profile import Keeper, Pace, pace_of
from envhub.worker.meter import STEPS, Meter


class Waiting(Counter):
    """Waits for something."""

    def step(self, action: Any) -> Any:
        time.sleep(0.002)
        return super().step(action)


@pytest.fixture
def _two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of two cores."""
    monkeypatch.setattr(caller, "cores", lambda: 2)


@pytest.mark.usefixtures("_two_cores")
@pytest.mark.parametrize(
    ("options", "num_envs", "limit", "expected"),
    [
        ({}, 64, None, 2),
        ({}, 1, None, 1),
        ({"step": "uneven"}, 64, None, 8),
        ({"step": "uneven"}, 5, None, 5),
        ({"step": "wait"}, 64, None, 64),
        ({"step": "wait"}, 64, 3, 3),
        ({"num_workers": 7}, 64, None, 7),
        ({"num_workers": 7, "step": "wait"}, 5, None, 5),
        ({"batch_size": 4}, 8, None, 2),
        ({"batch_size": 1}, 8, None, 8),
        ({"batch_size": 2}, 6, None, 3),
        ({"batch_size": 3}, 7, None, 7),
        ({"num_workers": 2, "batch_size": 1}, 8, None, 2),
    ],
)
def test_workers_for(
    options: dict[str, Any], num_envs: int, limit: int | None, expected: int
) -> None:
    """As many as told, else as the step's nature and the batch ask for, at most one per env."""
    assert Options(**options).workers_for(num_envs, limit) == expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"step": "gpu"},
        {"on_worker_failure": "ignore"},
        {"num_workers": 0},
        {"batch_size": -1},
        {"max_restarts": -1},
        {"step_timeout": 0},
        {"start_timeout": -1.0},
    ],
    ids=str,
)
def test_wrong_values(wrong: dict[str, Any]) -> None:
    """A value that cannot work is refused, with its name and what it was."""
    ((name, value),) = wrong.items()
    with pytest.raises(ArgumentError, match=f"{name}={value!r}"):
        AsyncVectorEnv([Counter], **wrong)


@pytest.mark.parametrize(
    "wrong", [{"num_workers": 1.5}, {"threads": True}, {"step_timeout": "1"}], ids=str
)
def test_wrong_types(wrong: dict[str, Any]) -> None:
    """So is a value of another type."""
    with pytest.raises(ArgumentTypeError):
        Options(**wrong)


def test_call_timeout() -> None:
    """A call may take as long as the longer of step and reset."""
    assert Options().call_timeout is None
    assert Options(step_timeout=1.0).call_timeout == 1
    assert Options(step_timeout=1.0, reset_timeout=3).call_timeout == 3


def test_split() -> None:
    """Envs are split as evenly as can be, in order."""
    assert split(5, 2) == [(0, 2), (2, 5)]
    assert split(3, 3) == [(0, 1), (1, 2), (2, 3)]


def test_cores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The quota of a container counts, if it is smaller than the machine."""
    file = tmp_path / "cpu.max"
    monkeypatch.setattr(caller, "CPU_MAX", file)
    own = caller.cores()
    assert own >= 1
    for text, expected in {
        "max 100000": own,
        "50000 100000": 1,
        "99900000 100000": own,
        "": own,
    }.items():
        file.write_text(text)
        assert caller.cores() == expected


@pytest.mark.parametrize(
    ("pace", "step"),
    [
        (Pace(1e-5, 0.99, 3.0), "cpu"),
        (Pace(1e-3, 0.99, 0.1), "cpu"),
        (Pace(1e-3, 0.99, 2.0), "uneven"),
        (Pace(1e-3, 0.1, 0.1), "wait"),
    ],
)
def test_what_a_pace_says(pace: Pace, step: str, tmp_path: Path) -> None:
    """Short or even steps compute, long uneven ones are uneven, idle ones wait."""
    assert pace.step == step
    profile.save("someone/some@commit", pace, tmp_path)
    assert profile.load("someone/some@commit", tmp_path) == step
    assert profile.load("someone/else", tmp_path) is None
    (file,) = (tmp_path / profile.FOLDER).iterdir()
    for damage in ("", "[]", json.dumps({"step": "never"})):
        file.write_text(damage)
        assert profile.load("someone/some@commit", tmp_path) is None


def test_pace_of() -> None:
    """The pace of one env follows from what shards of several measured."""
    pace = pace_of([[10, 0.2, 0.1, 0.004], [10, 0.2, 0.1, 0.004]], 4)
    assert pace.seconds == pytest.approx(0.005)
    assert pace.busy == pytest.approx(0.5)
    assert pace.spread == pytest.approx(0, abs=1e-6)
    assert pace_of([[1, 0.0, 0.0, 0.0]], 1).step == "cpu"


def test_a_meter_measures() -> None:
    """A meter knows waiting from working."""
    meter = Meter()
    for _ in range(3):
        meter.run(time.sleep, 0.01)
    steps, elapsed, busy, squares = meter.tell()
    assert steps == 3
    assert elapsed >= 0.03 > busy
    assert squares >= 0.0003


def test_a_profile_is_kept_and_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first steps of envs that have a name are measured; the next time they start right."""
    monkeypatch.setenv("ENVHUB_HOME", str(tmp_path))
    envs = AsyncVectorEnv([Waiting] * 5, profile="a/waiting@commit")
    assert len(envs.workers) == caller.cores()
    envs.reset()
    for _ in range(STEPS + 1):
        envs.step(np.zeros(5, np.int64))
    envs.close()
    assert profile.load("a/waiting@commit") == "wait"
    envs = AsyncVectorEnv([Waiting] * 5, profile="a/waiting@commit")
    assert len(envs.workers) == 5
    envs.close()


def test_a_profile_is_for_those_who_say_nothing() -> None:
    """What the user says of workers or steps is not overruled by what was measured."""
    assert Options().profiled("name").profile == "name"
    for told in (Options(num_workers=2), Options(step="cpu"), Options(profile="mine")):
        assert told.profiled("name") == told


@pytest.mark.skipif(not Path("/proc/thread-self/schedstat").exists(), reason="Linux tells it")
def test_others_at_the_processor() -> None:
    """Time in which others had the processor is no time in which an env rested."""
    cores = os.sched_getaffinity(0)
    core = {min(cores)}
    code = f"import os\nos.sched_setaffinity(0, {core})\nprint(flush=True)\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as rival:
        try:
            os.sched_setaffinity(0, core)
            assert rival.stdout is not None
            rival.stdout.readline()
            meter = Meter()
            meter.run(compute, 0.1)
        finally:
            os.sched_setaffinity(0, cores)
            rival.kill()
    _, elapsed, busy, _ = meter.tell()
    assert busy / elapsed > 0.9


def compute(seconds: float) -> None:
    """Use the processor for so long."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_a_profile_that_cannot_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that cannot be written is no harm."""
    home = tmp_path / "file"
    home.write_text("in the way")
    monkeypatch.setenv("ENVHUB_HOME", str(home))
    keeper = Keeper("name", 2, 1)
    keeper.note([50, 1.0, 1.0, 0.02])
    assert profile.load("name") is None
    Keeper(None, 2, 1).note([50, 1.0, 1.0, 0.02])


def test_autotune() -> None:
    """Trying tells waiting envs from others: many workers are faster for them."""
    tuning = autotune([Waiting] * 8, seconds=0.15, worker_counts=[1, 4, 8])
    assert tuning.step.num_workers > 1
    assert tuning.step.arguments == {"num_workers": tuning.step.num_workers}
    assert tuning.send_recv is not None
    assert tuning.send_recv.arguments.keys() == {"num_workers", "batch_size"}
    assert [trial.num_workers for trial in tuning.trials].count(1) == 1
    assert all(trial.steps_per_second > 0 for trial in tuning.trials)
    envs = AsyncVectorEnv([Waiting] * 8, **tuning.send_recv.arguments)
    envs.close()


def test_autotune_by_itself() -> None:
    """Without counts it tries from one worker to one per env; envs must be more than none."""
    tuning = autotune([partial(Sampler, odds=0.1)] * 3, seconds=0.02)
    assert {trial.num_workers for trial in tuning.trials} >= {1, 3}
    assert tuning.send_recv is not None or caller.cores() > 3
    with pytest.raises(ArgumentError, match="no env factories"):
        autotune([])
