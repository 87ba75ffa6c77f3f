"""What an env did, where it did it, and whether it would do the same elsewhere."""

from __future__ import annotations

import platform
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Final

from envhub.client import PLAIN, Client
from envhub.envdict import EnvDict
from envhub.errors import EnvHubError, LockMismatchError
from envhub.fetch import Source
from envhub.interpreters import ask, own
from envhub.isolation.world import World
from envhub.lockfile import Determinism, Fingerprint, Lock
from envhub.make import AUTO, INLINE, make
from envhub.refs import Ref
from envhub.trajectory import follow
from envhub.trust import Allowed
from envhub.wishes import Wishes
from envhub.worlds import packages

SEEDS: Final = 3
STEPS: Final = 100

_OTHER: Final = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONHASHSEED": "1",
}
_OLD_X86: Final = {
    "OPENBLAS_CORETYPE": "Nehalem",
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512_SKX X86_V3 X86_V4",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F",
}
"""What lets numpy, BLAS and the C library compute as they would on a processor of 2010."""


@dataclass(frozen=True, slots=True)
class Measure:
    """How a fingerprint is taken.

    Attributes:
        seeds: how many episodes are begun in each task.
        steps: how many steps are made after each.
    """

    seeds: int = SEEDS
    steps: int = STEPS


USUAL: Final = Measure()


def fingerprint(
    client: Client,
    ref: str | Ref,
    measure: Measure = USUAL,
    *,
    trust_remote_code: bool = False,
    isolation: str = AUTO,
    wishes: Wishes = PLAIN,
) -> Fingerprint:
    """Run an env twice, and once more as if on another machine, and say what it did.

    Args:
        client: who asks.
        ref: the env.
        measure: how many seeds and steps.
        trust_remote_code: consent to run it.
        isolation: the level that it runs at.
        wishes: what the user adds to what it declares.

    Raises:
        EnvHubError: it cannot be loaded.
    """
    source, allowed = client.prepare(ref, trust_remote_code=trust_remote_code)
    level = client.settings.isolation if isolation == AUTO else isolation
    world = client.world(source, allowed, isolation=level, wishes=wishes)
    runner = _Runner(client, source, allowed, measure)
    first = runner.run(world)
    determinism: Determinism = "not reproducible"
    if runner.run(world) == first:
        determinism = "exact" if runner.differs_nowhere(world, first) else "same machine only"
    python, where = _place(world)
    return Fingerprint(
        *first,
        determinism,
        measure.seeds,
        measure.steps,
        source.pin.digest,
        python,
        where,
        tuple(_packages(world)),
    )


@dataclass(frozen=True, slots=True)
class _Runner:
    client: Client
    source: Source
    allowed: Allowed
    measure: Measure

    def run(self, world: World | None) -> tuple[str, str]:
        """The digests of what it does, and of what it is told to do, in a new process."""
        with self._make(world) as envs:
            return follow(envs, seeds=self.measure.seeds, steps=self.measure.steps).digests

    def differs_nowhere(self, world: World | None, first: tuple[str, str]) -> bool:
        """Whether it does the same as if on another machine; in this process nobody can know."""
        if world is None:
            return False
        machine = _OLD_X86 if platform.machine().lower() in {"x86_64", "amd64"} else {}
        other = replace(world, variables={**_OTHER, **machine, **world.variables})
        try:
            return self.run(other) == first
        except EnvHubError:
            return False  # what does not even start there is not the same

    def _make(self, world: World | None) -> EnvDict:
        return make(
            self.source,
            self.allowed,
            isolation=INLINE if world is None else AUTO,
            params=self.source.pin.ref.params,
            world=world,
            sandbox=self.client.settings.sandbox,
        )


def _place(world: World | None) -> tuple[str, str]:
    found = (ask(world.python) if world else None) or own()
    return str(found.version), found.platform


def _packages(world: World | None) -> list[str]:
    """All packages of a venv; of the caller's those that every env runs with."""
    if world and world.level == "venv":
        return sorted(packages(world))
    return [f"{name}=={metadata.version(name)}" for name in ("gymnasium", "numpy")]


def compare(lock: Lock, ref: Ref, found: Fingerprint) -> str:
    """How a fingerprint compares with that of the lock file, in a few words.

    Raises:
        LockMismatchError: it is another one, though it should be the same.
    """
    entry = lock.entry(ref)
    held = [each for each in entry.fingerprints if each.seeds == found.seeds] if entry else []
    held = [each for each in held if each.steps == found.steps]
    here = [each for each in held if each.place == found.place]
    for each in here or [each for each in held if each.determinism == "exact"]:
        if each.digest == found.digest:
            return f"as on Python {each.python}, {each.platform}"
        why = "\n".join(each.differences(found)) or _why_not(each)
        raise LockMismatchError(
            f"{ref} does not do what it did when its fingerprint was taken",
            why=f"{each.digest} then, {found.digest} now\n{why}",
            hint=f"envhub fingerprint {ref} --update   # if the change is wanted",
        )
    return "new"


def _why_not(held: Fingerprint) -> str:
    if held.determinism == "not reproducible":
        return "it never does the same twice"
    if held.determinism == "same machine only":
        return "all that is written down is the same: is it another processor?"
    return "all that is written down is the same: something outside of it decides, too"
