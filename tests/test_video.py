"""Videos are real files: they are read back with the libraries that others use."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import av
import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv
from PIL import Image

from envhub.errors import ArgumentError, MissingExtraError
from envhub.rollout import rollout
from envhub.video import Recorder, frames_per_second


class Painter(gym.Env[Any, Any]):
    """An env that paints its step number, as bright as it is late."""

    observation_space = spaces.Box(0, 1, (1,))
    action_space: spaces.Space[Any] = spaces.Discrete(2)

    def __init__(self, size: tuple[int, int] = (31, 41), length: int = 10) -> None:
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": 20}
        self.render_mode = "rgb_array"
        self.size = size
        self.length = length

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        self.time = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.time += 1
        return np.zeros(1, np.float32), 1.0, self.time == self.length, False, {}

    def render(self) -> Any:
        return np.full((*self.size, 3), 20 * self.time, np.uint8)


class Broken(Painter):
    """An env that fails at its first step."""

    def step(self, action: Any) -> Any:
        raise ZeroDivisionError


class Pictures(VectorEnv[Any, Any, Any]):
    """A vector env that renders whatever it is given."""

    def __init__(self, pictures: Any, render_mode: str | None = "rgb_array") -> None:
        self.pictures = pictures
        self.render_mode = render_mode
        self.metadata = {}

    def render(self) -> Any:
        return self.pictures


def zeros(observations: Any) -> Any:
    return np.zeros(len(observations), int)


def frames(path: Path) -> list[Any]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def film(path: Path, env: Any, **options: Any) -> Recorder:
    with Recorder(path) as recorder:
        rollout(env, zeros, **{"episodes": 1, **options}, record=recorder.capture)
    env.close()
    return recorder


def test_mp4_plays_everywhere(tmp_path: Path) -> None:
    """The file is h264 in yuv420p, at the env's frame rate, padded to an even size."""
    recorder = film(tmp_path / "new" / "out.mp4", SyncVectorEnv([Painter]))
    with av.open(str(recorder.path)) as container:
        (stream,) = container.streams.video
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert stream.average_rate == 20
        assert (stream.height, stream.width) == (32, 42)
    assert len(frames(recorder.path)) == recorder.frames == 11
    assert list(recorder.path.parent.iterdir()) == [recorder.path]


@pytest.mark.parametrize("mode", AutoresetMode)
def test_frames_are_those_of_the_episode(tmp_path: Path, mode: AutoresetMode) -> None:
    """The first frame is of the reset, and none is of the next episode."""
    env = SyncVectorEnv([Painter], autoreset_mode=mode)
    film(tmp_path / "out.mp4", env)
    bright = [int(np.median(frame)) for frame in frames(tmp_path / "out.mp4")]
    last = 180 if mode is AutoresetMode.SAME_STEP else 200
    assert bright[0] < 5
    assert abs(bright[-1] - last) < 5
    assert sorted(bright) == bright


@pytest.mark.parametrize("vector", [SyncVectorEnv, AsyncVectorEnv])
@pytest.mark.parametrize(
    ("n", "size"), [(1, (32, 42)), (2, (32, 82)), (3, (62, 82)), (4, (62, 82)), (9, (62, 82))]
)
def test_grid_of_up_to_four(tmp_path: Path, vector: Any, n: int, size: tuple[int, int]) -> None:
    """Up to four sub-envs stand side by side, whatever steps them."""
    film(tmp_path / "out.mp4", vector([Painter] * n), episodes=n, max_steps=2)
    assert frames(tmp_path / "out.mp4")[0].shape == (*size, 3)


def test_finished_sub_env_stands_still(tmp_path: Path) -> None:
    """A sub-env that is done keeps its last picture while the others go on."""
    env = SyncVectorEnv([lambda: Painter((32, 32), 3), lambda: Painter((32, 32), 9)])
    film(tmp_path / "out.mp4", env, episodes=2)
    last = frames(tmp_path / "out.mp4")[-1]
    assert abs(int(np.median(last[:, :32])) - 60) < 5
    assert abs(int(np.median(last[:, 32:])) - 180) < 5


def test_only_the_first_round_is_filmed(tmp_path: Path) -> None:
    """Ten episodes of one sub-env make a video of one."""
    assert film(tmp_path / "out.mp4", SyncVectorEnv([Painter]), episodes=10).frames == 11


@pytest.mark.parametrize(("suffix", "kind"), [(".gif", "GIF"), (".webp", "WEBP"), (".GIF", "GIF")])
def test_animations(tmp_path: Path, suffix: str, kind: str) -> None:
    """Gif and webp hold every frame, and go on for ever at the env's rate."""
    film(tmp_path / f"out{suffix}", SyncVectorEnv([Painter]))
    with Image.open(tmp_path / f"out{suffix}") as image:
        assert (image.format, image.size, getattr(image, "n_frames", 1)) == (kind, (42, 32), 11)
        image.load()
        assert image.info["duration"] == 50
        assert image.info["loop"] == 0


PICTURES = [
    ("grey", np.full((2, 2), 255, np.uint8)),
    ("grey with a channel", np.full((2, 2, 1), 255, np.uint8)),
    ("alpha", np.full((2, 2, 4), 255, np.uint8)),
    ("floats", np.ones((2, 2, 3), np.float32)),
    ("too bright", np.full((2, 2, 3), 7.0)),
]


@pytest.mark.parametrize("picture", [each[1] for each in PICTURES], ids=[e[0] for e in PICTURES])
@pytest.mark.parametrize("shape", ["tuple", "list of lists", "array", "one"])
def test_any_picture(tmp_path: Path, picture: Any, shape: str) -> None:
    """Grey, alpha and floats become white; one picture, several, and histories are taken."""
    given = {"tuple": (picture,), "list of lists": [[picture * 0, picture]]}
    given |= {"array": picture[None], "one": picture}
    if picture.ndim == 2:
        given["array"] = (picture,)  # a batch of grey pictures would look like one picture
    with Recorder(tmp_path / "out.gif") as recorder:
        recorder.capture(Pictures(given[shape]), np.array([True]))
    with Image.open(recorder.path) as image:
        assert np.asarray(image.convert("RGB")).min() == 255


def test_size_may_change(tmp_path: Path) -> None:
    """A picture of another size than the first is put on the first one's canvas."""
    env = Pictures((np.full((4, 4, 3), 255, np.uint8),))
    with Recorder(tmp_path / "out.mp4") as recorder:
        recorder.capture(env, np.array([True]))
        env.pictures = (np.full((2, 8, 3), 255, np.uint8),)
        recorder.capture(env, np.array([True]))
    assert [frame.shape for frame in frames(recorder.path)] == [(4, 4, 3)] * 2


@pytest.mark.parametrize(
    ("env", "says"),
    [
        (Pictures(None), "nothing to film"),
        (Pictures((), render_mode="human"), "'human'"),
        (Pictures((), render_mode=None), "None"),
        (Pictures((np.zeros((3, 4, 5)),)), "shape"),
        (Pictures((np.zeros(3),)), "shape"),
    ],
)
def test_env_without_pictures(tmp_path: Path, env: Any, says: str) -> None:
    """An env that gives no pictures is told apart, and leaves no file."""
    with (
        pytest.raises(ArgumentError, match=says),
        Recorder(tmp_path / "out.mp4") as recorder,
    ):
        recorder.capture(env, np.array([True]))
    assert not list(tmp_path.iterdir())


def test_failed_rollout_leaves_no_file(tmp_path: Path) -> None:
    """When the rollout fails, what was there before stays, and no half video is added."""
    (tmp_path / "out.mp4").write_text("the old one")
    with pytest.raises(ZeroDivisionError):
        film(tmp_path / "out.mp4", SyncVectorEnv([lambda: Broken((8, 8))]))
    assert [path.read_text() for path in tmp_path.iterdir()] == ["the old one"]


@pytest.mark.parametrize("name", ["out.avi", "out", "out.mp5"])
def test_unknown_suffix(name: str) -> None:
    """Formats that are not written are refused before anything runs."""
    with pytest.raises(ArgumentError, match="no video") as caught:
        Recorder(name)
    assert "--video out.mp4" in caught.value.hint


@pytest.mark.parametrize(("suffix", "library"), [(".mp4", "av"), (".gif", "PIL")])
def test_missing_extra(monkeypatch: pytest.MonkeyPatch, suffix: str, library: str) -> None:
    """Without the library the message has the line that installs it."""
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=library) as caught:
        Recorder(f"out{suffix}")
    assert caught.value.hint == 'pip install "gym-envhub[video]"'


@pytest.mark.parametrize(
    ("metadata", "fps"),
    [
        (None, 30),
        ({}, 30),
        ({"render_fps": 50}, 50),
        ({"render_fps": 0}, 30),
        ({"render_fps": 9999}, 240),
        ({"render_fps": 0.2}, 1),
        ({"render_fps": 12.5}, 12),
    ],
)
def test_frame_rate(metadata: Any, fps: int) -> None:
    """The rate is the env's, where it says something that a video can have."""
    env = Pictures(())
    env.metadata = metadata
    assert frames_per_second(env) == fps
