"""A program for test_crashes: load a ref from many processes, or from processes that are killed.

python loading.py together <hub> <cache> <ref> <how many>
python loading.py killed   <hub> <cache> <ref> <how often> <seed>
python loading.py unplugged <hub> <cache> <ref>
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from envhub.fetch import Source, fetch
from envhub.hubs import hfhttp  # imported before forking, so that each child need not
from envhub.hubs.huggingface import HuggingFaceHub
from envhub.refs import parse
from envhub.resolve import resolve
from envhub.store import Store

FILE_EVENTS = ("open", "os.", "shutil.", "fcntl.", "tempfile.", "progress")


def load(hub: str, cache: Path, ref: str, *, offline: bool = False) -> Source:
    at, store = HuggingFaceHub(hub), Store(cache)
    pin = resolve(parse(ref), at, store, offline=offline)
    return fetch(pin, at, store, offline=offline, progress=lambda _: sys.audit("progress"))


def say(*words: object) -> None:
    """Print a line in one piece, whoever else is printing."""
    os.write(sys.stdout.fileno(), (" ".join(map(str, words)) + "\n").encode())


def in_child(work: Callable[[], object]) -> int:
    """Do something in a process of its own; its pid."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return pid


def ended(pid: int) -> int:
    """The exit status of a child, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def together(hub: str, cache: Path, ref: str, count: int) -> None:
    """Load in `count` processes that start at the same moment; print each one's result."""
    start, go = os.pipe()

    def work() -> None:
        os.close(go)
        os.read(start, 1)  # returns when the last one can write no more: now
        say(load(hub, cache, ref).root)

    children = [in_child(work) for _ in range(count)]
    os.close(go)
    say("ended", [ended(child) for child in children])


def on_file_event(do: Callable[[int], None]) -> None:
    """Call `do` with 0, 1, 2, … whenever this process is about to touch a file."""
    numbers = itertools.count()

    def hook(event: str, _: tuple[object, ...]) -> None:
        if event.startswith(FILE_EVENTS):
            do(next(numbers))

    sys.addaudithook(hook)


def count_events(hub: str, cache: Path, ref: str) -> int:
    """How many moments a load has at which it could be killed."""
    read, write = os.pipe()

    def work() -> None:
        seen: list[int] = []
        on_file_event(seen.append)
        load(hub, cache, ref)
        os.write(write, str(len(seen)).encode())

    assert ended(in_child(work)) == 0
    return int(os.read(read, 100))


def killed(hub: str, cache: Path, ref: str, trials: int, seed: int) -> None:
    """Kill loads at random moments; after each, load again and verify all that is there."""
    load(hub, cache / "warm", ref)  # what is imported late is imported now, not in each child
    events = count_events(hub, cache / "counted", ref)
    moments = random.Random(seed).sample(range(events), min(trials, events))
    died = 0
    for moment in moments:
        folder = cache / str(moment)

        def die(number: int, moment: int = moment) -> None:
            if number == moment:
                os.kill(os.getpid(), signal.SIGKILL)

        def work(folder: Path = folder, die: Callable[[int], None] = die) -> None:
            on_file_event(die)
            load(hub, folder, ref)

        died += ended(in_child(work)) == -signal.SIGKILL
        source = load(hub, folder, ref)
        store = Store(folder)
        assert [store.verify(entry) for entry in store.entries()] == [()], moment
        assert source.entry.is_file()
        assert store.usage().partial == 0, moment
    say("killed", died, "of", trials, "at", events, "moments")


def unplugged(hub: str, cache: Path, ref: str) -> None:
    """Load offline in a process that must not touch a socket."""

    def hook(event: str, args: tuple[object, ...]) -> None:
        if event.startswith("socket."):
            raise AssertionError(f"{event} {args}")

    sys.addaudithook(hook)
    say(load(hub, cache, ref, offline=True).root)


def main(what: str, hub: str, cache: str, ref: str, *rest: str) -> None:
    numbers = [int(word) for word in rest]
    actions: dict[str, Callable[..., None]] = {
        "together": together,
        "killed": killed,
        "unplugged": unplugged,
    }
    actions[what](hub, Path(cache), ref, *numbers)


if __name__ == "__main__":
    assert hfhttp
    main(*sys.argv[1:])
