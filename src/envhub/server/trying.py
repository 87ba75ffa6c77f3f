"""What an env does when it runs: its spaces and speed, whether seeds decide, and how it looks.

It runs a stranger's code: always in the strongest sandbox, never without one, and the hub does it
in a process of its own that it ends after a while (`examining`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from gymnasium import spaces

from envhub.client import Client
from envhub.envdict import EnvDict
from envhub.fetch import Source
from envhub.isolation.sandbox.quota import GIB, Quota
from envhub.isolation.world import World
from envhub.make import make
from envhub.server.about import About, Check, Leaf, Suite, Task
from envhub.server.facets import is_image
from envhub.server.reading import Module, words
from envhub.trajectory import follow
from envhub.trust import Allowed
from envhub.worker.spaces import leaves

TASKS: Final = 3
STEPS: Final = 200
SECONDS: Final = 2.0
SEEDS: Final = 2
FOLLOWED: Final = 50
FRAMES: Final = 48
FRAMES_PER_SECOND: Final = 16
WIDTH: Final = 320
MAX_PREVIEW: Final = 1_500_000
MAX_LEAVES: Final = 64
_LISTED: Final = 2000

Tell = Callable[[About], None]
"""Is told what is known so far, in case that it is the last thing that can be told."""


@dataclass
class Trial:
    """A trial of one env.

    Attributes:
        source: the repo's files.
        allowed: the hub's consent to run them, caged.
        world: where they run.
        memory: bytes that it may take.
        params: for its `make_env`.
        frames: pictures that were taken of it.
    """

    source: Source
    allowed: Allowed
    world: World | None
    memory: int
    params: dict[str, Any] = field(default_factory=dict)
    frames: list[Any] = field(default_factory=list)

    @contextmanager
    def made(self) -> Iterator[EnvDict]:
        """Its envs, in new processes."""
        quota = Quota(memory=self.memory, processes=128, disk=GIB // 2, open_files=1024)
        with make(
            self.source,
            self.allowed,
            params=self.params,
            world=self.world,
            sandbox="require",
            quota=quota,
        ) as envs:
            yield envs


def run(about: About, source: Source, modules: Sequence[Module], memory: int, tell: Tell) -> Any:
    """Load an env, reset and step it, and see whether it does the same twice.

    Args:
        about: what is known of it.
        source: its files.
        modules: its Python files.
        memory: bytes that it may take.
        tell: is told what is known, whenever that is more.

    Returns:
        The pictures that were taken of it.
    """
    begin = time.monotonic()
    taken: list[Any] = []

    def known(more: About, *checks: Check) -> About:
        seconds = round(time.monotonic() - begin, 2)
        more = msgspec.structs.replace(
            more, state="checked", seconds=seconds, checks=(*more.checks, *checks)
        )
        tell(more)
        return more

    stage = "loads"
    try:
        trial = _prepared(source, modules, memory)
        with trial.made() as envs:
            about = msgspec.structs.replace(_listed(about, envs), sandbox=str(envs.sandbox))
            about = known(about, Check("loads", True))
            stage, taken = "steps", trial.frames
            about, text = _stepped(about, envs, trial)
            about = known(about, Check("steps", True, text))
        stage = "deterministic"
        first, second = (_digest(trial) for _ in range(2))
        text = first if first == second else "two runs with the same seeds and actions differ"
        known(about, Check("deterministic", first == second, text))
    except Exception as error:  # noqa: BLE001 - whatever a stranger's code raises comes as it is
        known(about, Check(stage, False, words(error)))
    return taken


def _prepared(source: Source, modules: Sequence[Module], memory: int) -> Trial:
    """What the env declares is installed; it gets no permission."""
    user = Client(lock=False)
    ref = source.pin.ref
    source, allowed = user.prepare(ref, trust_remote_code=True, permissions=[])
    world = user.world(source, allowed)
    if world is not None:
        world = replace(world, startup_timeout=min(world.startup_timeout, 120.0))
    takes = next((each.takes for each in modules if each.path == source.pin.path), None) or ()
    params = {"render_mode": "rgb_array"} if "render_mode" in takes else {}
    return Trial(source, allowed, world, memory, params)


def _listed(about: About, envs: EnvDict) -> About:
    """The tasks that there really are, with what the manifest says of them."""
    found: dict[str, Suite] = {}
    for (suite, task), _ in islice(envs.flat(), _LISTED):
        told = about.suites.get(suite, Suite())
        before = found.get(suite, Suite(told.description, {}))
        tasks = {**before.tasks, str(task): told.tasks.get(str(task), Task())}
        found[suite] = Suite(told.description, tasks)
    n_tasks = sum(len(tasks) for tasks in envs.values())
    return msgspec.structs.replace(about, suites=found, n_tasks=n_tasks)


def _stepped(about: About, envs: EnvDict, trial: Trial) -> tuple[About, str]:
    """Step a few tasks; of the first that can be seen pictures are taken."""
    suites = dict(about.suites)
    total, speeds = 0, list[float]()
    for (suite, name), env in _chosen(envs):
        steps, speed = _speed(env)
        if not trial.frames:
            trial.frames += _pictures(env)
        seen = msgspec.structs.replace(
            suites[suite].tasks[str(name)],
            checked=True,
            observation=_leaves(env.single_observation_space),
            action=_leaves(env.single_action_space),
            steps_per_second=round(speed, 1),
        )
        tasks = {**suites[suite].tasks, str(name): seen}
        suites[suite] = Suite(suites[suite].description, tasks)
        env.close()
        total, speeds = total + steps, [*speeds, speed]
    text = f"{total} steps, {max(speeds, default=0):.0f} per second"
    return msgspec.structs.replace(about, suites=suites), text


def _chosen(envs: EnvDict) -> list[tuple[tuple[str, str | int], Any]]:
    """A few tasks: the first of each suite, then the second of each, and so on."""
    numbered = [
        (number, (suite, task), env)
        for suite, tasks in envs.items()
        for number, (task, env) in enumerate(islice(tasks.items(), TASKS))
    ]
    return [(path, env) for _, path, env in sorted(numbered, key=lambda each: each[0])[:TASKS]]


def _speed(env: Any) -> tuple[int, float]:
    """Some steps with random actions, and how many there are in a second."""
    env.action_space.seed(0)
    env.reset(seed=0)
    env.step(env.action_space.sample())
    begin, steps = time.perf_counter(), 0
    while steps < STEPS and time.perf_counter() - begin < SECONDS:
        env.step(env.action_space.sample())
        steps += 1
    return steps + 1, steps / (time.perf_counter() - begin)


def _pictures(env: Any) -> list[Any]:
    """What the env looks like: rendered, or else as it sees itself; nothing, if it does not."""
    observation, _ = env.reset(seed=1)
    found: list[Any] = []
    begin = time.perf_counter()
    while len(found) < FRAMES and time.perf_counter() - begin < 2 * SECONDS:
        picture = _picture(env, observation)
        if picture is None:
            return []
        found.append(picture)
        observation = env.step(env.action_space.sample())[0]
    return found


def _picture(env: Any, observation: Any) -> Any:
    """One picture, shape `(height, width, 3)`, or `None`."""
    if env.render_mode == "rgb_array":
        return _bytes(env.render()[0])
    for path, leaf in _flat(env.single_observation_space):
        if is_image(leaf):
            value = observation
            for key in path:
                value = value[key]
            return _bytes(value[0])
    return None


def _bytes(picture: Any) -> Any:
    pixels = np.asarray(picture)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim == 3 and pixels.shape[-1] not in {1, 3, 4} and pixels.shape[0] in {1, 3, 4}:
        pixels = np.moveaxis(pixels, 0, -1)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[-1] not in {1, 3, 4}:
        return None
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels[..., :3]


def _digest(trial: Trial) -> str:
    """What the first tasks do with some seeds, in new processes."""
    with trial.made() as envs:
        tasks: dict[str, dict[str | int, Any]] = {}
        for (suite, task), env in _chosen(envs):
            tasks.setdefault(suite, {})[task] = env
        part = EnvDict(tasks, pin=envs.pin)
        return follow(part, seeds=SEEDS, steps=FOLLOWED).digests[0]


def _leaves(space: Any) -> tuple[Leaf, ...]:
    return tuple(leaf for _, leaf in islice(_flat(space), MAX_LEAVES))


def _flat(space: spaces.Space[Any]) -> Iterator[tuple[tuple[Any, ...], Leaf]]:
    for path, part, dtype, shape in leaves(space):
        low, high = _bounds(part)
        kind = getattr(part, "name", "") or type(part).__name__
        yield (
            path,
            Leaf("/".join(map(str, path)), kind, shape, str(dtype or ""), low, high),
        )


def _bounds(space: Any) -> tuple[str, str]:
    """The least and the greatest value, in words."""
    match space:
        case spaces.Box() if math.prod(space.shape):
            return f"{space.low.min():g}", f"{space.high.max():g}"
        case spaces.Discrete():
            return str(space.start), str(space.start + space.n - 1)
        case spaces.MultiDiscrete():
            return str(np.min(space.start)), str(np.max(space.start + space.nvec) - 1)
        case spaces.MultiBinary():
            return "0", "1"
    return "", ""


def write_preview(frames: Sequence[Any], path: Path) -> bool:
    """Pictures to an animated webp that is small enough to show; whether there is one now."""
    try:
        from PIL import Image  # an optional extra
    except ImportError:
        return False
    if not frames:
        return False
    images = [Image.fromarray(frame) for frame in frames]
    for image in images:
        image.thumbnail((WIDTH, WIDTH))
    first, *rest = [image for image in images if image.size == images[0].size]
    milliseconds = 1000 // FRAMES_PER_SECOND
    first.save(path, save_all=True, append_images=rest, duration=milliseconds, loop=0, quality=70)
    if path.stat().st_size > MAX_PREVIEW:
        path.unlink()
    return path.exists()
