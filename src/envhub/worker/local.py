"""A worker for factories of the client's own program: found by fork, or unpickled."""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any, Callable, List, NamedTuple, Optional, Sequence

from . import birth
from .codec import Codec, Pickled
from .doorbell import Bell
from .host import Factory, Host
from .places import Spot


class Ends(NamedTuple):
    """The worker's ends of what it shares with the client: file descriptors."""

    read_fd: int
    write_fd: int
    memory_fd: int
    log_fd: int


class Start(NamedTuple):
    """What a worker knows when it starts, see `birth.begin`."""

    spot: Spot
    ends: Ends
    parent: int
    die_with_parent: bool
    spin: bool

    def to_json(self) -> str:
        """As an argument of a program."""
        return json.dumps(self)

    @classmethod
    def from_json(cls, text: str) -> Start:
        """Read `to_json`."""
        spot, ends, *rest = json.loads(text)
        return cls(Spot(*spot), Ends(*ends), *rest)


def main(text: str) -> None:
    """Run a worker that was started as a program, to its end."""
    run(Start.from_json(text), unpack)


def run(
    start: Start, find: Callable[[Any], Sequence[Factory]], codec: Optional[Codec] = None
) -> None:
    """Be a worker, to the end of this process; what an env leaves behind at exit is not run."""
    code = 1
    try:
        birth.begin(start.ends.log_fd, start.parent, die_with_parent=start.die_with_parent)
        bell = Bell(start.ends.read_fd, start.ends.write_fd, spin=start.spin)
        Host(bell, codec or Pickled(), start.spot, start.ends.memory_fd, find).serve()
        code = 0
    except BaseException:  # noqa: BLE001 — the last frame of this process
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        os._exit(code)


def pack(factories: Sequence[Factory]) -> Any:
    """What `unpack` needs in a process that knows nothing of ours: the payload of BUILD."""
    from .gyms import registration  # the worker's own start needs no registry

    codec = Pickled()
    specs = {name: spec for name, spec in registration.registry.items() if _is_foreign(spec)}
    code = codec.encode_code((specs, list(factories)))
    return {"path": [path or os.getcwd() for path in sys.path], "code": code}


def unpack(told: Any) -> List[Factory]:
    """The factories that `pack` packed, with the import path and the env ids that they rely on."""
    from .gyms import registration

    sys.path[:] = told["path"]
    specs, factories = Pickled().decode(told["code"])
    for name, spec in specs.items():
        registration.registry.setdefault(name, spec)
    found: List[Factory] = factories
    return found


def _is_foreign(spec: Any) -> bool:
    entry = spec.entry_point
    return not (isinstance(entry, str) and entry.startswith("gymnasium."))
