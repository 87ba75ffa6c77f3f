"""`envhub run` plays episodes and reports them, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest
from click.testing import Result

from envhub.cli.run import Films, parse_param
from envhub.testing import ServedHub, repos

Cli = Callable[..., Result]

FAILING = """
import gymnasium as gym
import numpy as np

class Failing(gym.Env):
    observation_space = gym.spaces.Box(0, 1, (1,))
    action_space = gym.spaces.Discrete(2)
    def reset(self, *, seed=None, options=None):
        print("noise of the env")
        return np.zeros(1, np.float32), {{}}
    def step(self, action):
        {step}

def make_env(n_envs=1, use_async_envs=False):
    {make}
    good = lambda: gym.make("CartPole-v1", render_mode="rgb_array")
    return {{"suite": {{
        "good": gym.vector.SyncVectorEnv([good] * n_envs),
        "bad": gym.vector.SyncVectorEnv([Failing] * n_envs),
    }}}}
"""


def failing(folder: Path, *, step: str = "1 / 0", make: str = "pass") -> Path:
    return repos.write({"env.py": FAILING.format(step=step, make=make)}, folder)


def test_table(cli: Cli, counter: Path) -> None:
    """People get a row per episode, the means, and the ref to run it again."""
    done = cli("run", counter, "--trust-remote-code", "--episodes", 3, "--policy", "zero")
    assert (done.exit_code, done.stderr) == (0, "")
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[0] == ["seed", "return", "length", "success", "end"]
    assert rows[2:5] == [[str(seed), "0.00", "10", "–", "terminated"] for seed in range(3)]
    assert rows[6][:4] == ["mean", "0.00", "10.0", "–"]
    assert rows[6][-1] == "steps/s"
    assert ["env", str(counter)] in rows
    assert ["where", "inline"] in rows
    assert "zero policy, 1 env, seed 0" in done.stdout


def test_json(cli: Cli, counter: Path) -> None:
    """Programs get every episode, its seed, and what one needs to run it again."""
    words = ("--trust-remote-code", "--json", "--n-envs", 2, "--episodes", 3, "--seed", 5)
    done = cli("run", counter, *words, "--max-steps", 4)
    data = json.loads(done.stdout)
    assert done.exit_code == 0
    assert data["digest"].startswith("sha256:")
    assert data["options"] == {
        "episodes": 3,
        "max_steps": 4,
        "n_envs": 2,
        "use_async_envs": False,
        "seed": 5,
        "policy": "random",
        "isolation": "auto",
        "sandbox": "auto",
        "params": {},
    }
    assert data["isolation"] == {"level": "inline", "sandbox": "none"}
    assert set(data["versions"]) == {"envhub", "python", "gymnasium", "numpy"}
    (task,) = data["tasks"]
    assert [(e["seed"], e["length"], e["end"]) for e in task["episodes"]] == [
        (5, 4, "cut"),
        (6, 4, "cut"),
        (7, 4, "cut"),
    ]
    assert task["steps"] == 16
    assert data["videos"] == []


def test_quiet(cli: Cli, suites: Path) -> None:
    """The bare essential is the mean return of each task."""
    words = ("--trust-remote-code", "-q", "--episodes", 1, "--policy", "zero")
    assert cli("run", suites, *words).stdout == "0.0\n0.0\n0.0\n"


def test_many_episodes_are_not_all_listed(cli: Cli, counter: Path) -> None:
    """Twenty rows are enough for a person; the means are of all."""
    done = cli("run", counter, "--trust-remote-code", "--episodes", 50, "--n-envs", 4)
    assert len(done.stdout.splitlines()) < 35
    assert "30 more" in done.stdout


def test_a_row_per_task(cli: Cli, suites: Path) -> None:
    """Several tasks get a row each, with their means."""
    done = cli("run", suites, "--trust-remote-code", "--episodes", 2, "--policy", "zero")
    rows = [line.split()[:5] for line in done.stdout.splitlines()[2:5]]
    assert rows == [
        ["short/0", "2", "0.00", "2.0", "–"],
        ["short/1", "2", "0.00", "3.0", "–"],
        ["long/0", "2", "0.00", "100.0", "–"],
    ]


@pytest.mark.parametrize(
    ("wanted", "played"),
    [
        (["short"], ["short/0", "short/1"]),
        (["long/0", "short/1"], ["short/1", "long/0"]),
        (["short", "short/0"], ["short/0", "short/1"]),
    ],
)
def test_choose_tasks(cli: Cli, suites: Path, wanted: list[str], played: list[str]) -> None:
    """`--task` names suites or tasks; nothing else is played."""
    options = [word for name in wanted for word in ("--task", name)]
    done = cli("run", suites, "--trust-remote-code", "--episodes", 1, "--json", *options)
    tasks = json.loads(done.stdout)["tasks"]
    assert [f"{task['suite']}/{task['task']}" for task in tasks] == played


def test_unknown_task(cli: Cli, suites: Path) -> None:
    """A task that is not there is answered with near names."""
    done = cli("run", suites, "--trust-remote-code", "--task", "shrt/1")
    assert done.exit_code == 1
    assert "has no task 'shrt/1'" in done.stderr
    assert "→ --task short/1" in done.stderr


@pytest.mark.parametrize("flag", [[], ["--async"]])
def test_ref_and_tag(cli: Cli, cartpole: str, flag: list[str]) -> None:
    """A repo of the hub runs at its tag, in one process or in several; the commit is said."""
    ref = "lerobot/cartpole-env@v1.0"
    done = cli("run", ref, "--trust-remote-code", "--n-envs", 2, "--json", *flag)
    assert json.loads(done.stdout)["commit"] == cartpole
    assert json.loads(done.stdout)["options"]["use_async_envs"] is bool(flag)


def test_refusal_has_the_users_own_command(cli: Cli, cartpole: str) -> None:
    """Nobody consented: exit status 1, and the command that would be allowed, pinned."""
    done = cli("run", "lerobot/cartpole-env", "--n-envs", 2, "--policy", "a b:c d")
    assert done.exit_code == 1
    pinned = f"lerobot/cartpole-env@{cartpole}"
    assert done.stderr.splitlines()[0].startswith("error[argument-invalid]")
    done = cli("run", "lerobot/cartpole-env", "--n-envs", 2, "--param", "a=b c")
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-4:] == [
        f"  → envhub inspect {pinned}   # read it, then",
        f"  → envhub run {pinned} --n-envs 2 --param 'a=b c' --trust-remote-code",
        f"  → or, to remember it: envhub trust add {pinned}",
        "  see docs/errors.md#untrusted",
    ]


def test_refused_code_does_not_run(cli: Cli, tmp_path: Path) -> None:
    """Without consent nothing of the repo is executed."""
    folder = repos.write(repos.canary(tmp_path / "dead"), tmp_path / "canary")
    assert cli("run", folder).exit_code == 1
    assert not (tmp_path / "dead").exists()
    assert cli("run", folder, "--trust-remote-code").exit_code == 0
    assert (tmp_path / "dead").exists()


def test_video(cli: Cli, tmp_path: Path) -> None:
    """The video is where it was asked for, one per task if there are several."""
    folder = failing(tmp_path / "env", step="return np.zeros(1, np.float32), 1.0, True, False, {}")
    words = ("--trust-remote-code", "--episodes", 2, "--task", "suite/good", "--max-steps", 5)
    done = cli("run", folder, *words, "--video", tmp_path / "out.mp4")
    assert done.exit_code == 0
    assert str(tmp_path / "out.mp4") in done.stdout
    with av.open(str(tmp_path / "out.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 6


def test_video_per_task(tmp_path: Path) -> None:
    """Names of tasks become names of files, whatever is in them."""
    films = Films(tmp_path / "out.gif")
    with films.film(("a b/c", 1), many=True):
        pass
    assert films.written == [tmp_path / "out-a-b-c-1.gif"]


@pytest.mark.parametrize("name", ["out.avi", "out"])
def test_video_of_an_unknown_kind(cli: Cli, counter: Path, name: str) -> None:
    """A suffix that cannot be written is refused before anything runs."""
    done = cli("run", counter, "--video", name)
    assert (done.exit_code, "argument-invalid" in done.stderr) == (1, True)


def test_env_that_does_not_render(cli: Cli, counter: Path) -> None:
    """An env without pictures says so, and how it could have some."""
    done = cli("run", counter, "--trust-remote-code", "--video", "out.mp4")
    assert done.exit_code == 1
    assert "nothing to film" in done.stderr
    assert "--param render_mode=rgb_array" in done.stderr


def test_partial_results(cli: Cli, tmp_path: Path) -> None:
    """A task that fails does not take the others' results along; the status tells."""
    done = cli("run", failing(tmp_path / "env"), "--trust-remote-code", "--episodes", 1)
    assert done.exit_code == 1
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[2][:2] == ["suite/good", "1"]
    assert rows[3] == ["suite/bad", "failed"]
    head, why, hint = done.stderr.splitlines()[-4:-1]
    assert head == "error[env-failed]: task suite/bad failed with an error of its own code"
    assert why == "  ZeroDivisionError: division by zero (env.py:12)"
    log = Path(hint.partition(": ")[2])
    assert "ZeroDivisionError" in log.read_text()


def test_partial_results_for_programs(cli: Cli, tmp_path: Path) -> None:
    """In JSON the error is beside the results of its task."""
    done = cli("run", failing(tmp_path / "env"), "--trust-remote-code", "--episodes", 1, "--json")
    good, bad = json.loads(done.stdout)["tasks"]
    assert (good["error"], good["episodes"][0]["seed"]) == (None, 0)
    assert bad["error"] == "ZeroDivisionError: division by zero (env.py:12)"
    assert json.loads(done.stderr.splitlines()[-1])["error"]["code"] == "env-failed"


def test_nothing_is_printed_if_all_failed(cli: Cli, tmp_path: Path) -> None:
    """Without one result there is no table."""
    words = ("--trust-remote-code", "--task", "suite/bad")
    done = cli("run", failing(tmp_path / "env"), *words)
    assert (done.exit_code, done.stdout) == (1, "")


def test_factory_that_raises(cli: Cli, tmp_path: Path) -> None:
    """What make_env raises is the env's mistake, not a bug of envhub's."""
    done = cli("run", repos.write(repos.RAISES, tmp_path / "env"), "--trust-remote-code")
    assert done.exit_code == 1
    assert "error[env-failed]" in done.stderr
    assert "ZeroDivisionError: the factory failed (env.py:2)" in done.stderr


@pytest.mark.parametrize(("step", "make"), [("raise SystemExit(0)", "pass"), ("1", "exit(3)")])
def test_env_that_exits(cli: Cli, tmp_path: Path, step: str, make: str) -> None:
    """An env that ends the program is an error, and does not end it with status 0."""
    done = cli("run", failing(tmp_path / "env", step=step, make=make), "--trust-remote-code")
    assert (done.exit_code, "error[env-exited]" in done.stderr) == (1, True)


def test_noise_of_the_env_is_no_data(cli: Cli, tmp_path: Path) -> None:
    """What an env prints goes to stderr: stdout stays JSON."""
    step = "print('more'); return np.zeros(1, np.float32), 1.0, True, False, {}"
    words = ("--trust-remote-code", "--json", "--task", "suite/bad", "--episodes", 1)
    done = cli("run", failing(tmp_path / "env", step=step), *words)
    assert json.loads(done.stdout)["tasks"][0]["mean_return"] == 1.0
    assert "noise of the env" in done.stderr
    assert "more" in done.stderr


def test_moved_ref_is_announced(cli: Cli, hub: ServedHub) -> None:
    """A branch that moved since it last ran is told, with what changed and the way back."""
    old = hub.add("you/env", repos.COUNTER)
    words = ("run", "you/env", "--trust-remote-code", "--episodes", 1)
    assert cli(*words).stderr == ""
    hub.add("you/env", {"requirements.txt": "numpy\n"})
    done = cli(*words)
    assert done.exit_code == 0
    assert "warning[RefMovedWarning]: 'you/env' moved since it last ran" in done.stderr
    assert "+ numpy" in done.stderr
    assert f"→ to stay where you were: you/env@{old}" in done.stderr
    hub.add("you/env", {"requirements.txt": None})
    warning = json.loads(cli(*words, "--json").stderr.splitlines()[0])["warning"]
    assert warning["code"] == "RefMovedWarning"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=1", {"a": 1}),
        ("a=true", {"a": True}),
        ('a=["x", 2]', {"a": ["x", 2]}),
        ("a=text", {"a": "text"}),
        ("a=b=c", {"a": "b=c"}),
        ("a=", {"a": ""}),
        ('a="1"', {"a": "1"}),
    ],
)
def test_param(text: str, value: Any) -> None:
    """The value of a parameter is JSON where it can be read as such."""
    assert parse_param(None, None, [text]) == value  # type: ignore[arg-type]  # unused there


def test_param_arrives(cli: Cli, tmp_path: Path) -> None:
    """`--param` reaches the repo's make_env."""
    folder = repos.write(repos.PARAMETERS, tmp_path / "env")
    words = ("--trust-remote-code", "--episodes", 1, "--json", "--param", "limit=3")
    task = json.loads(cli("run", folder, *words).stdout)["tasks"][0]
    assert task["mean_length"] == 3


@pytest.mark.parametrize("bad", ["limit", "=3", "a b=3"])
def test_param_must_be_an_assignment(cli: Cli, counter: Path, bad: str) -> None:
    """A parameter that is none is wrong usage."""
    done = cli("run", counter, "--param", bad)
    assert (done.exit_code, "is not name=value" in done.stderr) == (2, True)


def test_users_policy(cli: Cli, counter: Path) -> None:
    """A policy of the user's own decides, from a file of the working folder."""
    Path("mine.py").write_text("def act(obs):\n    return [1] * len(obs)\n")
    words = ("--trust-remote-code", "--episodes", 1, "--json", "--policy", "mine.py:act")
    assert json.loads(cli("run", counter, *words).stdout)["tasks"][0]["mean_return"] == 10.0


def test_a_level_that_is_not_there(cli: Cli, counter: Path) -> None:
    """An isolation level that does not exist is refused rather than replaced by a weaker one."""
    done = cli("run", counter, "--trust-remote-code", "--isolation", "sandbox")
    assert (done.exit_code, "'sandbox' is not one of 'auto'" in done.stderr) == (2, True)


def test_locked(cli: Cli, cartpole: str) -> None:
    """`--locked` refuses what the lock file does not have, and takes what it has."""
    ref = "lerobot/cartpole-env"
    words = ("run", ref, "--trust-remote-code", "--locked", "--episodes", 1)
    done = cli(*words)
    assert (done.exit_code, f"→ envhub lock {ref}" in done.stderr) == (1, True)
    assert cli("lock", ref).exit_code == 0
    assert cli(*words).exit_code == 0


def test_offline(cli: Cli, hub: ServedHub, cartpole: str) -> None:
    """What was run once runs again without a request."""
    words = ("run", "lerobot/cartpole-env", "--trust-remote-code", "--episodes", 1)
    assert cli(*words, "--offline").exit_code == 1
    assert cli(*words).exit_code == 0
    asked = len(hub.requests)
    assert cli(*words, "--offline").exit_code == 0
    assert len(hub.requests) == asked


@pytest.mark.parametrize("words", [(), ("--async", "--n-envs", 2), ("--isolation", "inline")])
def test_a_process_of_the_env_dies(cli: Cli, tmp_path: Path, words: tuple[Any, ...]) -> None:
    """Its death is told with its last words, and is not taken for somebody's Ctrl-C."""
    step = 'print("last words", flush=True); __import__("os")._exit(7)'
    vector = "    return gym.vector.AsyncVectorEnv([Failing] * n_envs)\n"
    source = FAILING.format(step=step, make="pass").partition("    good = ")[0] + vector
    folder = repos.write({"env.py": source}, tmp_path / "dying")
    done = cli("run", folder, "--trust-remote-code", *words)
    assert done.exit_code == 1
    assert "error[worker-died]: worker 0" in done.stderr
    assert "exit code 7" in done.stderr
    assert "last words" in done.stderr
