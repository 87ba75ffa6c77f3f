"""What a run found out: as data for programs and as tables for people."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from envhub import __version__
from envhub.cli.blame import where
from envhub.cli.look import Facts, Part, Table
from envhub.cli.numbers import count
from envhub.pins import Pin
from envhub.rollout import Rollout, TaskRollout

MOST_ROWS = 20


@dataclass(frozen=True)
class Report:
    """A finished run.

    Attributes:
        pin: what ran.
        tasks: what happened in each task.
        videos: the files that were written.
        asked: the options of the run, by name.
        level: the isolation level that was reached.
        sandbox: what kept the env from the rest of this machine, in words.
    """

    pin: Pin
    tasks: Sequence[TaskRollout]
    videos: Sequence[Path]
    asked: dict[str, Any]
    level: str
    sandbox: str

    def as_dict(self) -> dict[str, Any]:
        """Everything, with what one needs to run it again."""
        return {
            **pin_data(self.pin),
            "options": self.asked,
            "isolation": {"level": self.level, "sandbox": self.sandbox},
            "versions": {
                "envhub": __version__,
                "python": platform.python_version(),
                "gymnasium": gymnasium.__version__,
                "numpy": np.__version__,
            },
            "tasks": [_task_data(task) for task in self.tasks],
            "videos": [str(path) for path in self.videos],
        }

    def parts(self) -> Iterable[Part]:
        """Tables and facts; one row per episode, or per task if there are several."""
        done = [task.rollout for task in self.tasks if task.rollout]
        yield _episodes(done[0]) if len(self.tasks) == len(done) == 1 else _tasks(self.tasks)
        yield Facts("", list(self._facts(done)))

    def _facts(self, rollouts: Sequence[Rollout]) -> Iterator[tuple[str, object]]:
        asked = self.asked
        envs = count(asked["n_envs"], "env")
        envs += " in parallel" if asked["use_async_envs"] else ""
        steps = sum(each.steps for each in rollouts)
        seconds = sum(each.seconds for each in rollouts)
        yield "env", self.pin.pinned_ref
        yield "run", f"{asked['policy']} policy, {envs}, seed {asked['seed']}"
        around = "" if self.level == "inline" else f", sandbox {self.sandbox}"
        yield "where", f"{self.level}{around}"
        yield "steps", f"{steps:,} in {seconds:.2f} s, the policy's time included"
        for path in self.videos:
            yield "video", path


def pin_data(pin: Pin) -> dict[str, Any]:
    """A pin for `--json`."""
    return {
        "ref": str(pin.ref),
        "pinned_ref": pin.pinned_ref,
        "hub": pin.hub,
        "repo": pin.repo,
        "repo_type": pin.repo_type,
        "commit": pin.commit,
        "path": pin.path,
        "digest": pin.digest,
    }


def task_name(suite: str, task: str | int) -> str:
    """How a task is written on the command line."""
    return f"{suite}/{task}"


def _task_data(task: TaskRollout) -> dict[str, Any]:
    return {
        "suite": task.suite,
        "task": task.task,
        "error": where(task.error) if task.error else None,
        **(task.rollout.as_dict() if task.rollout else {}),
    }


def _episodes(rollout: Rollout) -> Table:
    rows = [
        (str(e.seed), f"{e.return_:.2f}", str(e.length), _yes(e.success), e.end)
        for e in rollout.episodes[:MOST_ROWS]
    ]
    if len(rollout.episodes) > MOST_ROWS:
        rows.append(("…", "", "", "", f"{len(rollout.episodes) - MOST_ROWS} more"))
    mean = (f"{rollout.mean_return:.2f}", f"{rollout.mean_length:.1f}", _rate(rollout))
    rows.append(("mean", *mean, _speed(rollout)))
    return Table(
        ("seed", "return", "length", "success", "end"),
        rows,
        right=("seed", "return", "length", "success"),
        last_is_sum=True,
    )


def _tasks(tasks: Sequence[TaskRollout]) -> Table:
    rows = []
    for task in tasks:
        name = task_name(task.suite, task.task)
        if task.rollout:
            r = task.rollout
            figures = (f"{r.mean_return:.2f}", f"{r.mean_length:.1f}", _rate(r), _speed(r))
            rows.append((name, str(len(r.episodes)), *figures))
        else:
            rows.append((name, "", "", "", "", "failed"))
    columns = ("task", "episodes", "return", "length", "success", "speed")
    return Table(columns, rows, right=columns[1:])


def _rate(rollout: Rollout) -> str:
    return "–" if rollout.success_rate is None else f"{rollout.success_rate:.0%}"


def _speed(rollout: Rollout) -> str:
    return f"{rollout.steps_per_second:,.0f} steps/s"


def _yes(success: bool | None) -> str:
    return {None: "–", True: "yes", False: "no"}[success]
