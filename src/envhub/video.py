"""Frames of an env to a video file: mp4 through PyAV, gif and webp through Pillow."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from envhub.errors import ArgumentError, MissingExtraError
from envhub.rollout import AnyVectorEnv, Mask

Frame: TypeAlias = NDArray[np.uint8]
"""One picture, shape `(height, width, 3)`."""

DEFAULT_FPS = 30
SHOWN = 4


class Writer(Protocol):
    """Writes the frames of one file; all frames have the same, even, size."""

    def add(self, frame: Frame) -> None:
        """Append a frame."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...


Open: TypeAlias = Callable[[Path, int, tuple[int, int]], Writer]
"""Begins a file, given its path, frames per second, and the height and width of its frames."""


class Recorder:
    """Films up to four sub-envs of a vector env, side by side.

    Use it as a context manager and give `capture` to `rollout` as `record`. The file appears, as a
    whole, at the end; if the rollout fails, there is none.

    Args:
        path: where the video goes; its suffix chooses the format: `.mp4`, `.gif` or `.webp`.

    Attributes:
        frames: how many frames were taken.

    Raises:
        ArgumentError: the suffix is none of these.
        MissingExtraError: the library for this format is not installed.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.frames = 0
        self._aside = self.path.with_name(f".{self.path.stem}.partial{self.path.suffix}")
        self._open = _opener(self.path)
        self._writer: Writer | None = None
        self._size = (0, 0)
        self._shown: list[Frame] = []

    def capture(self, env: AnyVectorEnv, alive: Mask) -> None:
        """Take a frame; sub-envs that are not `alive` keep the picture that they had.

        Raises:
            ArgumentError: the env does not render pictures.
        """
        pictures = [_rgb(picture) for picture in _render(env)[:SHOWN]]
        old = self._shown or pictures
        self._shown = [
            new if alive[index] else kept
            for index, (new, kept) in enumerate(zip(pictures, old, strict=True))
        ]
        frame = _grid(self._shown)
        if self._writer is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._size = (frame.shape[0], frame.shape[1])
            self._writer = self._open(self._aside, frames_per_second(env), self._size)
        self._writer.add(_fit(frame, *self._size))
        self.frames += 1

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._writer is None:
            return
        try:
            self._writer.close()
            if kind is None:
                self._aside.replace(self.path)
        finally:
            self._aside.unlink(missing_ok=True)


def frames_per_second(env: AnyVectorEnv) -> int:
    """`render_fps` of the env's metadata, where it says something sensible."""
    metadata: Mapping[str, Any] = getattr(env, "metadata", None) or {}
    fps = metadata.get("render_fps") or DEFAULT_FPS
    return max(1, min(240, round(fps)))


def _render(env: AnyVectorEnv) -> list[Any]:
    """One picture per sub-env."""
    mode = getattr(env, "render_mode", None)
    pictures: Any = env.render() if mode in {"rgb_array", "rgb_array_list"} else None
    if pictures is None:
        raise ArgumentError(
            f"there is nothing to film: the env's render_mode is {mode!r}",
            why='only envs made with render_mode="rgb_array" give pictures',
            hint="--param render_mode=rgb_array if its make_env takes that, else no --video",
        )
    if isinstance(pictures, np.ndarray) and pictures.ndim < 4:
        return [pictures]
    # rgb_array_list: what was rendered since the last call; the last one is now.
    return [each[-1] if isinstance(each, list) else each for each in pictures]


def _rgb(picture: Any) -> Frame:
    """Any picture as `(height, width, 3)` bytes: grey, with alpha, or floats in [0, 1] too."""
    pixels = np.asarray(picture.cpu() if hasattr(picture, "cpu") else picture)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or pixels.shape[2] not in {1, 3, 4}:
        raise ArgumentError(
            f"the env renders arrays of shape {pixels.shape}, which are no pictures",
            why="a picture has the shape (height, width, 3)",
        )
    if pixels.dtype.kind == "f":
        pixels = np.clip(pixels, 0, 1) * 255
    pixels = pixels[..., :3].astype(np.uint8)
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def _grid(pictures: list[Frame]) -> Frame:
    """Pictures in two columns, padded with black to an even size, as h264 wants it."""
    columns = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    height = max(picture.shape[0] for picture in pictures)
    width = max(picture.shape[1] for picture in pictures)
    canvas = np.zeros((_even(rows * height), _even(columns * width), 3), np.uint8)
    for index, picture in enumerate(pictures):
        row, column = divmod(index, columns)
        top, left = row * height, column * width
        canvas[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return canvas


def _fit(frame: Frame, height: int, width: int) -> Frame:
    """The frame on a canvas of this size: cut, or padded with black."""
    if frame.shape[:2] == (height, width):
        return frame
    canvas = np.zeros((height, width, 3), np.uint8)
    part = frame[:height, :width]
    canvas[: part.shape[0], : part.shape[1]] = part
    return canvas


def _even(number: int) -> int:
    return number + number % 2


def _opener(path: Path) -> Open:
    """The writer for a suffix, with its library imported now rather than after the rollout."""
    if path.suffix.lower() not in _WRITERS:
        raise ArgumentError(
            f"{str(path)!r} is no video: its suffix is {path.suffix!r}",
            hint=f"--video {path.with_suffix('.mp4')} (or {', '.join(sorted(_WRITERS))})",
        )
    library, writer = _WRITERS[path.suffix.lower()]
    try:
        __import__(library)
    except ImportError as error:
        raise MissingExtraError(
            f"writing {path.suffix} needs {library}, which is not installed",
            hint='pip install "gym-envhub[video]"',
        ) from error
    return writer


class _H264:
    """An mp4 that every browser plays."""

    def __init__(self, path: Path, fps: int, size: tuple[int, int]) -> None:
        import av  # an optional extra

        self._to_video = av.VideoFrame.from_ndarray
        self._container = av.open(str(path), "w", options={"movflags": "faststart"})
        # More than twice as fast as the default preset, for files of the same size.
        options = {"crf": "23", "preset": "veryfast"}
        self._stream = self._container.add_stream("libx264", rate=fps, options=options)
        self._stream.height, self._stream.width = size
        self._stream.pix_fmt = "yuv420p"

    def add(self, frame: Frame) -> None:
        self._container.mux(self._stream.encode(self._to_video(frame, format="rgb24")))

    def close(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()


class _Animation:
    """A gif or webp. Pillow writes it in one go, so the frames wait in memory."""

    def __init__(self, path: Path, fps: int, _size: tuple[int, int]) -> None:
        from PIL import Image  # an optional extra

        self._to_image = Image.fromarray
        self._path = path
        self._milliseconds = round(1000 / fps)
        self._images: list[Any] = []

    def add(self, frame: Frame) -> None:
        self._images.append(self._to_image(frame))

    def close(self) -> None:
        first, *rest = self._images
        first.save(
            self._path, save_all=True, append_images=rest, duration=self._milliseconds, loop=0
        )


_WRITERS: dict[str, tuple[str, Open]] = {
    ".mp4": ("av", _H264),
    ".gif": ("PIL", _Animation),
    ".webp": ("PIL", _Animation),
}
