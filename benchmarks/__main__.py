"""All benchmarks, or one with its options: `python -m benchmarks [vector | load | …] …`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from benchmarks import hub, inspecting, isolation, load, sandbox, startup, vector, venv

BENCHMARKS: dict[str, Callable[[Sequence[str]], None]] = {
    "startup": startup.main,
    "load": load.main,
    "inspect": inspecting.main,
    "venv": venv.main,
    "hub": hub.main,
    "isolation": isolation.main,
    "sandbox": sandbox.main,
    "vector": vector.main,
}


def main(argv: list[str]) -> None:
    """Run the named benchmark with the rest of the words; or all of them, with none."""
    if argv and argv[0] in BENCHMARKS:
        BENCHMARKS[argv[0]](argv[1:])
    elif argv:
        raise SystemExit(f"usage: python -m benchmarks [{' | '.join(BENCHMARKS)}] [options]")
    else:
        for name, run in BENCHMARKS.items():
            print(f"\n# {name}\n", flush=True)
            run([])


if __name__ == "__main__":
    main(sys.argv[1:])
