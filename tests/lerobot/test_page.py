"""The code of LeRobot's EnvHub page runs as printed, on a hub that has its repos.

Kinds of blocks in `page.txt`:
session  statements, run one block after the other in one namespace
env.py   the whole entry file of a repo
suites   the `make_env` of an entry file that makes three tasks
nothing  the `make_env` of an entry file that returns nothing
not run  with the reason
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from envhub.adapters import lerobot
from envhub.errors import ResultError
from envhub.testing import ServedHub

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
PAGE = CHECKOUT.parent / "shared" / "facts" / "envhub-page.md"
BLOCKS: list[tuple[str, str]] = re.findall(
    r"```python (.*?)\n(.*?)```", (HERE / "page.txt").read_text(), re.DOTALL
)
ENV = next(code for kind, code in BLOCKS if kind == "env.py")
NOT_RUN = ["not run: it needs a hub that can be written to"]
ABBREVIATED = ("abc123def456", "a1b2c3d4")
"""Commits on the page; the hub has others, of which an abbreviation is put in their place."""


def of_kind(kind: str) -> str:
    return next(code for found, code in BLOCKS if found == kind)


def fill(hub: ServedHub) -> dict[str, str]:
    """Give the hub the page's repos; the commits that stand for the page's."""
    names = "username/my-custom-env random-user/untrusted-env user/repo"
    for name in names.split():
        hub.add(name, {"env.py": ENV})
    # The page's loop waits for the step in which all episodes end at once: let there be one soon.
    soon = ENV.replace('make("CartPole-v1"', 'make("CartPole-v1", max_episode_steps=5')
    hub.add("lerobot/cartpole-env", {"env.py": soon})
    files = {"env.py": ENV, "custom_env.py": ENV, "envs/task_a.py": ENV}
    mine = hub.add("username/my-env", files, tag="v1.0")
    hub.add("username/my-env", {"notes.txt": "newer"}, tag="v1.0.0")
    verified = hub.add("trusted-org/verified-env", {"env.py": ENV})
    return dict(zip(ABBREVIATED, (mine[:12], verified[:8]), strict=True))


@pytest.fixture
def installed() -> Iterator[None]:
    """`install()` holds during the test."""
    lerobot.install()
    yield
    lerobot.uninstall()


def close(values: Any) -> None:
    for value in values:
        if isinstance(value, dict | gym.vector.VectorEnv) and not getattr(value, "closed", False):
            lerobot.close_envs(value)


def test_session(
    installed: None, hub: ServedHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All blocks of statements run as printed, but for the commits, which no hub can have."""
    commits = fill(hub)
    (tmp_path / "env.py").write_text(ENV)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    said = io.StringIO()
    for kind, block in BLOCKS:
        if kind == "session":
            code = block
            for theirs, ours in commits.items():
                code = code.replace(theirs, ours)
            with redirect_stdout(said):
                exec(compile(code, "page", "exec"), names)
            close(value for name, value in names.items() if not name.startswith("_"))
    assert re.fullmatch(
        r"Observation shape: \(2, 4\)\nAverage reward: \d+\.\d\d\n", said.getvalue()
    )


def test_asynchronous(installed: None, hub: ServedHub) -> None:
    """The page's eight asynchronous envs step."""
    fill(hub)
    names: dict[str, Any] = {}
    exec("from lerobot.envs.factory import make_env", names)
    exec(next(code for _, code in BLOCKS if "n_envs=8" in code), names)
    env = names["envs_dict"]["hub_env"][0]
    assert isinstance(env, gym.vector.AsyncVectorEnv)
    assert env.reset()[0].shape == (8, 4)
    env.close()


@pytest.fixture
def tasks() -> Iterator[None]:
    """The ids of the page's example of several suites are registered."""
    ids = [f"Task{number}-v0" for number in (1, 2, 3)]
    for name in ids:
        gym.register(name, "gymnasium.envs.classic_control:CartPoleEnv")
    yield
    for name in ids:
        del gym.registry[name]


def test_suites(installed: None, tasks: None, hub: ServedHub) -> None:
    """The page's example of several suites loads as it is."""
    hub.add("user/suites", {"env.py": "import gymnasium as gym\n\n\n" + of_kind("suites")})
    envs = lerobot.make_env("user/suites", n_envs=2, trust_remote_code=True)
    assert {suite: list(found) for suite, found in envs.items()} == {
        "suite_1": [0, 1],
        "suite_2": [0],
    }
    assert envs["suite_2"][0].reset()[0].shape == (2, 4)
    lerobot.close_envs(envs)


def test_nothing(installed: None, hub: ServedHub) -> None:
    """The page's empty `make_env` is answered with what it lacks."""
    hub.add("user/nothing", {"env.py": of_kind("nothing")})
    with pytest.raises(ResultError, match="did make_env forget its return"):
        lerobot.make_env("user/nothing", trust_remote_code=True)


def test_every_block_has_a_kind() -> None:
    """A block runs, or is listed here with the reason why it does not."""
    kinds = [kind for kind, _ in BLOCKS]
    assert [kind for kind in kinds if kind.startswith("not run")] == NOT_RUN
    assert set(kinds) - set(NOT_RUN) == {"session", "env.py", "suites", "nothing"}


@pytest.mark.skipif(not PAGE.is_file(), reason="the page does not lie beside the checkout")
def test_page() -> None:
    """The blocks here are the page's, all of them, token by token."""
    printed = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert len(printed) == len(BLOCKS)
    for (_, ours), theirs in zip(BLOCKS, printed, strict=True):
        assert words(ours) == words(theirs)


def words(code: str) -> list[str]:
    """The code's tokens without comments, docstrings and indentation, which copies may lack."""
    joined = re.sub(r'"""(.*?)"""', "", code, flags=re.DOTALL)
    flat = "\n".join(line.strip() for line in joined.splitlines())
    layout = {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
    }
    tokens = tokenize.generate_tokens(io.StringIO(flat).readline)
    return [token.string for token in tokens if token.type not in layout]


def test_first_words(hub: ServedHub, tmp_path: Path) -> None:
    """A program of its own needs nothing but `install()` before the page's first block."""
    fill(hub)
    program = "from envhub.adapters import lerobot\nlerobot.install()\n" + BLOCKS[0][1]
    done = subprocess.run(
        [sys.executable, "-c", program + "print(list(env), env['hub_env'][0].num_envs)"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("['hub_env'] 1\n", "")
