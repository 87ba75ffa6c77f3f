"""What the hub finds out about an env by running it, caged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from gymnasium import spaces
from tests.server.test_jobs import ENV, HEAD, PLAIN, SMALL

from envhub.server import examining, trying
from envhub.server.about import About
from envhub.server.facets import kind_of
from envhub.server.reading import read

MEMORY = 1_000_000_000
RENDERED = (
    HEAD
    + """
class Drawn(gym.Env):
    metadata = {"render_modes": ["rgb_array"]}
    observation_space = gym.spaces.Discrete(2)
    action_space = gym.spaces.Box(-1, 1, (1,))

    def __init__(self, render_mode):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 0, {}

    def step(self, action):
        return 1, 0.0, False, False, {}

    def render(self):
        return np.full((40, 60, 3), 200, np.uint8)


def make_env(n_envs=1, use_async_envs=False, render_mode=None):
    return Drawn(render_mode)
"""
)


def tried(root: Path, code: str) -> tuple[About, Any]:
    """What was told last of an env, and the pictures that were taken."""
    root.mkdir(exist_ok=True)
    (root / "env.py").write_text(code)
    told: list[About] = []
    about, source, modules = read(root)
    assert about
    assert source
    frames = trying.run(about, source, modules, MEMORY, told.append)
    return told[-1], frames


def test_run(tmp_path: Path) -> None:
    """Spaces, tasks, speed, determinism and pictures of what the env sees; not of all its tasks."""
    found, frames = tried(tmp_path / "repo", ENV)
    assert found.state == "checked"
    assert {check.name: check.ok for check in found.checks} == dict.fromkeys(
        ("manifest", "entry", "loads", "steps", "deterministic"), True
    )
    assert found.n_tasks == 3
    assert found.suites["touch"].tasks["0"].checked
    near = found.suites["look"].tasks["near"]
    assert [kind_of(leaf) for leaf in near.observation] == ["pixels", "vector"]
    assert near.steps_per_second
    assert len(frames) == trying.FRAMES
    assert trying.write_preview(frames, tmp_path / "preview.webp")
    assert (tmp_path / "preview.webp").read_bytes()[8:12] == b"WEBP"


def test_rendered(tmp_path: Path) -> None:
    """An env whose factory takes a render mode is asked to render, and filmed."""
    found, frames = tried(tmp_path / "repo", RENDERED)
    assert all(check.ok for check in found.checks)
    assert frames[0].shape == (40, 60, 3)


WRONG: list[tuple[str, str, str]] = [
    ("raise RuntimeError('no luck')\n" + PLAIN, "loads", "no luck"),
    (PLAIN, "loads", "None"),
    (SMALL.replace("ODD", "raise ValueError('stuck')"), "steps", "stuck"),
    (
        SMALL.replace("ODD", "return np.random.rand(2), 0.0, False, False, {}"),
        *("deterministic", "two runs with the same seeds and actions differ"),
    ),
]


@pytest.mark.filterwarnings("ignore:.*ERROR")  # Gymnasium logs by warnings
@pytest.mark.parametrize(("code", "stage", "text"), WRONG)
def test_what_is_wrong(tmp_path: Path, code: str, stage: str, text: str) -> None:
    """An env that fails, or that seeds do not decide about, fails that check and no other."""
    found, frames = tried(tmp_path / "repo", code)
    failed = [check for check in found.checks if not check.ok]
    assert [check.name for check in failed] == [stage]
    assert text in failed[0].text
    assert frames == []


def test_process(tmp_path: Path) -> None:
    """The process reads its order, and leaves what it found; what is no env is told, too."""
    (tmp_path / "name").mkdir()
    (tmp_path / "name" / "env.py").write_text(SMALL.replace("ODD", ""))
    for run, state in ((False, "read"), (True, "checked")):
        order = examining.Order("name", run=run, memory=MEMORY)
        (tmp_path / examining.ORDER).write_bytes(msgspec.json.encode(order))
        examining.examine(tmp_path, limits={})
        about = msgspec.json.decode((tmp_path / examining.ABOUT).read_bytes(), type=About)
        assert about.state == state
        assert "permission:none" in about.facets
    (tmp_path / "name" / "env.py").write_text("")
    (tmp_path / "name" / "env.py").rename(tmp_path / "name" / "other.py")
    examining.examine(tmp_path, limits={})
    assert (tmp_path / examining.ABOUT).read_bytes() == b"null"


SPACES: list[tuple[spaces.Space[Any], list[tuple[str, str, str, str]]]] = [
    (spaces.Box(-1, 2, (3,), np.float32), [("", "Box", "-1", "2")]),
    (spaces.Box(-1, 2, (0,), np.float32), [("", "Box", "", "")]),
    (spaces.Discrete(3, start=2), [("", "Discrete", "2", "4")]),
    (spaces.MultiDiscrete([2, 5]), [("", "MultiDiscrete", "0", "4")]),
    (spaces.MultiBinary(2), [("", "MultiBinary", "0", "1")]),
    (spaces.Text(5), [("", "Text", "", "")]),
    (
        spaces.Dict({"a": spaces.Tuple([spaces.Discrete(2), spaces.MultiBinary(1)])}),
        [("a/0", "Discrete", "0", "1"), ("a/1", "MultiBinary", "0", "1")],
    ),
]


@pytest.mark.parametrize(("space", "rows"), SPACES)
def test_rows(space: spaces.Space[Any], rows: list[tuple[str, str, str, str]]) -> None:
    """Each part of a space is a row with its bounds."""
    found = [(leaf.path, leaf.kind, leaf.low, leaf.high) for leaf in trying._leaves(space)]
    assert found == rows


PICTURES: list[tuple[tuple[int, ...], str, tuple[int, ...] | None]] = [
    ((20, 30, 3), "uint8", (20, 30, 3)),
    ((20, 30, 4), "uint8", (20, 30, 3)),
    ((20, 30), "uint8", (20, 30, 3)),
    ((3, 20, 30), "uint8", (20, 30, 3)),
    ((20, 30, 3), "float32", None),
    ((20, 30, 7), "uint8", None),
    ((4, 20, 30, 3), "uint8", None),
]


@pytest.mark.parametrize(("shape", "dtype", "expected"), PICTURES)
def test_pictures(shape: tuple[int, ...], dtype: str, expected: tuple[int, ...] | None) -> None:
    """Grey, colour, with alpha, channels first or last: all become pictures; the rest does not."""
    picture = trying._bytes(np.zeros(shape, dtype))
    assert (None if picture is None else picture.shape) == expected


def test_no_preview(tmp_path: Path) -> None:
    """Without pictures, and of pictures that need too many bytes, there is no preview."""
    assert not trying.write_preview([], tmp_path / "none.webp")
    assert not (tmp_path / "none.webp").exists()
    noise = np.random.default_rng(0)
    frames = [noise.integers(0, 255, (320, 320, 3), np.uint8) for _ in range(60)]
    assert not trying.write_preview(frames, tmp_path / "noise.webp")
