"""The shared block: sealed, laid out alike on both sides, never believed; and last words."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from envhub.worker import block, lastwords
from envhub.worker.layout import PAGE, Field, Layout, Shape
from envhub.worker.spaces import Leaf

SPACE = spaces.Discrete(2)

leaf = st.builds(
    lambda dtype, shape: Leaf((), SPACE, np.dtype(dtype), tuple(shape)),
    st.sampled_from(["<f4", "|u1", "|b1", "<f8", "<f2"]),
    st.lists(st.integers(0, 5), max_size=3),
)
shapes = st.builds(
    Shape,
    st.integers(1, 40),
    st.integers(1, 8),
    st.integers(1, 4),
    st.lists(leaf, max_size=4),
    st.none() | st.just(("<i8", ())) | st.just(("<f4", (3,))),
)


def fields(layout: Layout) -> list[Field]:
    """All fields of a layout."""
    named = [layout.cursors, layout.rewards, layout.flags, layout.kinds, layout.records]
    actions = [] if layout.actions is None else [layout.actions]
    return [*named, *actions, *(field for slot in layout.slots for field in slot)]


@given(shapes)
def test_fields_do_not_overlap(shape: Shape) -> None:
    """Every field starts on a page of its own, ends before the next, and fits the block."""
    layout = Layout(shape)
    end = 0
    for field in fields(layout):
        assert field.offset % PAGE == 0
        assert field.offset >= end
        end = field.offset + field.nbytes
        assert field.view(bytearray(layout.size)).shape == field.shape
    assert end <= layout.size


@given(shapes)
def test_both_sides_agree(shape: Shape) -> None:
    """The same shape has the same layout, whoever computes it."""
    assert fields(Layout(shape)) == fields(Layout(shape))


def test_absurd_sizes() -> None:
    """A block that nobody can mean is refused."""
    huge = Leaf((), SPACE, np.dtype("|u1"), (1 << 30,))
    with pytest.raises(ValueError, match="would take"):
        Layout(Shape(1000, 1, 1, [huge]))


def test_the_size_is_for_ever() -> None:
    """Neither side can change the block's size: a worker cannot make the client's memory vanish."""
    fd = block.create()
    block.give_size(fd, 3 * PAGE)
    memory = block.map_memory(fd, 3 * PAGE)
    for size in (0, PAGE, 4 * PAGE):
        with pytest.raises(PermissionError):
            os.ftruncate(fd, size)
    memory[0] = 7
    assert block.map_memory(fd, 3 * PAGE)[0] == 7
    with pytest.raises(ValueError, match="not 16384"):
        block.map_memory(fd, 4 * PAGE)
    os.close(fd)


def test_without_memfd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no memfd, the block is a file without a name."""
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr("sys.platform", "darwin")
    fd = block.create()
    assert os.fstat(fd).st_nlink == 0
    block.give_size(fd, PAGE)
    memory: mmap.mmap = block.map_memory(fd, PAGE)
    memory[0] = 1
    os.close(fd)


def test_last_words(tmp_path: Path) -> None:
    """The end of what was printed is remembered, however much it was, and then a crash's stack."""
    fd = os.open(tmp_path / "log", os.O_RDWR | os.O_CREAT)
    assert lastwords.recall(fd) == ""
    lastwords.remember(fd, b"hello\n")
    assert lastwords.recall(fd) == "hello"
    for number in range(20_000):
        lastwords.remember(fd, f"line {number}\n".encode())
    lastwords.remember(fd, b"x" * 3)
    assert lastwords.recall(fd).splitlines()[-2:] == ["line 19999", "xxx"]
    lastwords.remember(fd, b"y" * (lastwords.SIZE + 100))
    assert lastwords.recall(fd) == "y" * lastwords.SIZE
    os.pwrite(fd, b"Fatal Python error", lastwords.CRASH)
    assert lastwords.recall(fd).endswith("\nFatal Python error")
    os.close(fd)


def test_a_tee(tmp_path: Path) -> None:
    """What is printed goes where it went before, and is remembered."""

    class Screen:
        text = ""

        def write(self, text: str) -> int:
            self.text += text
            return len(text)

    fd = os.open(tmp_path / "log", os.O_RDWR | os.O_CREAT)
    screen: Any = Screen()
    tee: Any = lastwords.Tee(screen, fd)
    assert tee.write("hello") == 5
    assert (screen.text, tee.text, lastwords.recall(fd)) == ("hello", "hello", "hello")
    os.close(fd)
