"""Starts a worker by path: a clean process that shares nothing with the client but descriptors.

The first argument is the module that has the program, `local` or `zygote`; the second is for it.
"""

from __future__ import annotations

import importlib.util
import os
import sys

NAME = "envhub_worker"


def become_package() -> None:
    """Make this folder the package `envhub_worker`, whatever is on `sys.path`."""
    if NAME in sys.modules:
        return
    # Our own folder must not lend its names (codec, info, …) to what the env imports.
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != here]
    spec = importlib.util.spec_from_file_location(
        NAME,
        os.path.join(here, "__init__.py"),
        submodule_search_locations=[here],
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{here} is no package")
    package = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = package
    spec.loader.exec_module(package)


if __name__ == "__main__":
    become_package()
    importlib.import_module(f"{NAME}.{sys.argv[1]}").main(sys.argv[2])
