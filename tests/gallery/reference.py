"""A program for test_gallery: a repo under its own Python, without envhub, by Gymnasium alone.

python reference.py <folder> <entry> <task number> <params, as JSON> <actions.npy>

It prints a line for the reset, and one for each step.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np


def digest(*values: Any) -> str:
    """The same text for the same values, whatever they are nested in."""
    found = hashlib.sha256()
    for value in values:
        found.update(_flat(value))
    return found.hexdigest()[:16]


def _flat(value: Any) -> bytes:
    if isinstance(value, dict):
        return b"".join(key.encode() + _flat(value[key]) for key in sorted(value))
    if isinstance(value, (tuple, list)) and not all(isinstance(v, str) for v in value):
        return b"".join(map(_flat, value))
    array = np.asarray(value)
    if array.dtype.kind in "OUS":
        return repr(list(value)).encode()
    return str((array.dtype, array.shape)).encode() + np.ascontiguousarray(array).tobytes()


def play(env: Any, actions: Any, seed: int) -> list[str]:
    """What an env answers to a seed and actions; in the mode DISABLED what is over is reset."""
    observation, _ = env.reset(seed=seed)
    lines = [digest(observation)]
    disabled = str(getattr(env.metadata["autoreset_mode"], "value", "")) == "Disabled"
    for action in actions:
        observation, reward, terminated, truncated, info = env.step(action)
        last = info.get("final_obs", ())
        lines.append(
            digest(observation, reward, terminated, truncated, [v for v in last if v is not None])
        )
        if disabled and (terminated | truncated).any():
            observation, _ = env.reset(options={"reset_mask": terminated | truncated})
            lines.append(digest(observation))
    return lines


def load(folder: Path, entry: str) -> Any:
    """The entry file of a repo, as a module of a package."""
    spec = importlib.util.spec_from_file_location(
        "repo", folder / "__init__.py", loader=None, submodule_search_locations=[str(folder)]
    )
    assert spec
    sys.modules["repo"] = importlib.util.module_from_spec(spec)
    return importlib.import_module(f"repo.{entry}")


def main(folder: str, entry: str, number: str, params: str, actions: str) -> None:
    """Print what the repo's env answers."""
    warnings.simplefilter("ignore")
    found = load(Path(folder), entry).make_env(**json.loads(params))
    if isinstance(found, dict):
        found = [env for tasks in found.values() for env in tasks.values()][int(number)]
    sys.stdout.write("\n".join(play(found, np.load(actions), seed=3)))


if __name__ == "__main__":
    main(*sys.argv[1:])
