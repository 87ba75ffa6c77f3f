"""A tiny processor for classic BPF, to ask a seccomp filter about calls that nobody makes."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from envhub.worker import seccomp, syscalls


def ask(
    steps: seccomp.Program,
    call: str | int,
    args: Sequence[int] = (),
    *,
    machine: str = "x86_64",
    architecture: int | None = None,
) -> int:
    """What the filter answers to a call: `seccomp.ALLOW`, or `seccomp.ERRNO` and a code."""
    number = syscalls.table(machine)[call] if isinstance(call, str) else call
    arch = seccomp.ARCHITECTURES[machine] if architecture is None else architecture
    full = [arg & 0xFFFFFFFFFFFFFFFF for arg in (*args, *[0] * 6)][:6]
    data = struct.pack("<IIQ6Q", number, arch, 0, *full)
    place = accumulator = 0
    while True:
        step = steps[place]
        place += 1
        if step.code == seccomp.ANSWER:
            return step.operand
        if step.code == seccomp.LOAD:
            (accumulator,) = struct.unpack_from("<I", data, step.operand)
            continue
        truth = {
            seccomp.EQUAL: accumulator == step.operand,
            seccomp.AT_LEAST: accumulator >= step.operand,
            seccomp.ANY_BIT: bool(accumulator & step.operand),
        }[step.code]
        place += step.yes if truth else step.no
