"""Collecting: vector envs that a repo makes are noted, built at first use, and then real ones."""

from __future__ import annotations

import abc
import contextlib
import gc
import multiprocessing
import pickle
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv

from envhub.testing.repos import write
from envhub.worker import collect, contain, lazy, repos
from envhub.worker.faults import Fault

ENV = "CartPole-v1"


class Counting:
    """An env factory that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> gym.Env[Any, Any]:
        self.calls += 1
        return gym.make(ENV)


class Ours(AsyncVectorEnv[Any, Any]):
    """Another class to build for `AsyncVectorEnv`."""

    def __init__(self, env_fns: Any, **options: Any) -> None:
        self.prepare()
        super().__init__(env_fns, **options)

    def prepare(self) -> None:
        self.prepared = True


@pytest.fixture
def repo(tmp_path: Path) -> repos.Repo:
    root = write(
        {"env.py": "import gymnasium\n\ndef one(): return gymnasium.make('CartPole-v1')"}, tmp_path
    )
    return repos.open_repo(repos.Place(str(root), "env.py", "u/r", "model", "", "1"))


@pytest.fixture
def collector(repo: repos.Repo) -> collect.Collector:
    return collect.Collector(repo)


def by_vector(fns: list[Any], **options: Any) -> VectorEnv[Any, Any, Any]:
    return gym.vector.SyncVectorEnv(fns, **options)


def by_module(fns: list[Any], **options: Any) -> VectorEnv[Any, Any, Any]:
    return gym.vector.sync_vector_env.SyncVectorEnv(env_fns=fns, **options)


def by_alias(fns: list[Any], **options: Any) -> VectorEnv[Any, Any, Any]:
    from gymnasium.vector import SyncVectorEnv as Alias

    return Alias(fns, **options)


def by_generic(fns: list[Any], **options: Any) -> VectorEnv[Any, Any, Any]:
    return gym.vector.SyncVectorEnv[Any, Any](fns, **options)


@pytest.mark.parametrize("make", [by_vector, by_module, by_alias])
def test_built_at_first_use(collector: collect.Collector, make: Callable[..., Any]) -> None:
    """Until it is used an env makes nothing; then it is exactly the real one."""
    fn = Counting()
    with collector.collecting():
        env = make([fn] * 3, autoreset_mode="SameStep")
        assert isinstance(env, gym.vector.SyncVectorEnv)
        assert issubclass(type(env), gym.vector.SyncVectorEnv)
    assert isinstance(env, SyncVectorEnv)
    assert (fn.calls, env.num_envs, env.closed, env.spec) == (0, 3, False, None)
    assert env.unwrapped is env
    assert repr(env) == "SyncVectorEnv(num_envs=3, not built yet)"
    waiting = lazy.recipe(env)
    assert waiting is not None
    assert (waiting.kind, len(waiting.env_fns)) == (SyncVectorEnv, 3)
    observation, _ = env.reset(seed=3)
    assert fn.calls == 3
    assert type(env) is SyncVectorEnv
    assert lazy.recipe(env) is None
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    real = SyncVectorEnv([fn] * 3)
    assert np.array_equal(observation, real.reset(seed=3)[0])
    assert vars(env).keys() == vars(real).keys()
    real.close()
    env.close()


def test_generic_alias_is_real(collector: collect.Collector) -> None:
    """`SyncVectorEnv[...]`, as type checkers like it, can be called too."""
    with collector.collecting():
        env = by_generic([Counting()])
    assert type(env) is SyncVectorEnv


def test_classes_are_back_afterwards(collector: collect.Collector) -> None:
    """After a collection, also a nested or failing one, Gymnasium has its own classes again."""
    with contextlib.suppress(ZeroDivisionError), collector.collecting():
        with collector.collecting():
            assert gym.vector.SyncVectorEnv is not SyncVectorEnv
        assert gym.vector.SyncVectorEnv is not SyncVectorEnv
        _ = 1 / 0
    assert gym.vector.SyncVectorEnv is SyncVectorEnv
    assert gym.vector.async_vector_env.AsyncVectorEnv is AsyncVectorEnv
    assert gym.make_vec.__module__ == "gymnasium.envs.registration"


def test_names_bound_meanwhile_go_on_working(collector: collect.Collector) -> None:
    """A name that a repo imported makes real envs later, and collected ones in a collection."""
    with collector.collecting():
        bound = gym.vector.SyncVectorEnv
    assert type(bound([Counting()])) is SyncVectorEnv
    assert isinstance(bound([Counting()]), bound)
    assert (bound.__name__, bound.__module__) == ("SyncVectorEnv", SyncVectorEnv.__module__)
    with collector.collecting():
        assert lazy.recipe(bound([Counting()])) is not None


def test_subclasses_are_real(collector: collect.Collector) -> None:
    """A repo's own subclass is one of the real class, with `super()`, and is not collected."""
    with collector.collecting():

        class Own(gym.vector.SyncVectorEnv):
            def __init__(self, fns: Any) -> None:
                super().__init__(fns)
                self.mine = 1

        class Wrapping(gym.vector.SyncVectorEnv[Any, Any]):
            def __init__(self) -> None:
                self.num_envs = 5

        class Abstract(gym.vector.AsyncVectorEnv[Any, Any], abc.ABC):
            @abc.abstractmethod
            def more(self) -> None: ...

        own, wrapping = Own([Counting()]), Wrapping()
    assert Own.__mro__[1] is SyncVectorEnv
    assert Abstract.__abstractmethods__ == {"more"}
    assert (own.mine, own.num_envs, wrapping.num_envs) == (1, 1, 5)
    own.close()


def test_other_threads_are_left_alone(collector: collect.Collector) -> None:
    """The user's own threads make real envs while a repo's are collected."""
    made: list[Any] = []
    with collector.collecting():
        thread = threading.Thread(target=lambda: made.append(by_vector([Counting()])))
        thread.start()
        thread.join()
    assert type(made[0]) is SyncVectorEnv


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_make_vec(collector: collect.Collector, mode: str) -> None:
    """What `gymnasium.make_vec` makes is collected too, with its spec."""
    with collector.collecting():
        env = gym.make_vec(ENV, 2, mode, vector_kwargs={"autoreset_mode": AutoresetMode.DISABLED})
    assert lazy.recipe(env) is not None
    assert env.spec is not None
    assert env.spec.id == ENV
    assert env.metadata["autoreset_mode"] is AutoresetMode.DISABLED
    assert lazy.recipe(env) is None
    assert repr(env) == f"{type(env).__name__}({ENV}, num_envs=2)"
    env.close()


def test_class_for_async(repo: repos.Repo) -> None:
    """One argument decides what is built where a repo says `AsyncVectorEnv`."""
    collector = collect.Collector(repo, Ours)
    with collector.collecting():
        env = gym.vector.AsyncVectorEnv([Counting()], shared_memory=False)
    assert isinstance(env, AsyncVectorEnv)
    env.reset(seed=0)
    assert type(env) is Ours
    assert env.prepared
    env.close()


def test_wrong_arguments_are_errors_at_once(collector: collect.Collector) -> None:
    """A call that the real class would refuse is refused when it is made."""
    with collector.collecting(), pytest.raises(TypeError, match="nonsense"):
        by_vector([Counting()], nonsense=1)


def test_failed_build_can_be_tried_again(collector: collect.Collector) -> None:
    """If building fails the env is as before, and its own exception comes through."""
    fns = iter([ZeroDivisionError("first"), None])

    def make() -> Any:
        if error := next(fns):
            raise error
        return gym.make(ENV)

    with collector.collecting():
        env = by_vector([make])
    env.name = "kept"  # type: ignore[attr-defined]  # as some do
    with pytest.raises(ZeroDivisionError, match="first"):
        env.reset()
    assert lazy.recipe(env) is not None
    env.reset()
    assert env.name == "kept"  # type: ignore[attr-defined]  # see above


def test_built_once_by_many_threads(collector: collect.Collector) -> None:
    """Threads that use an env for the first time at once get one env."""
    fn = Counting()
    with collector.collecting():
        env = by_vector([fn] * 4)
    start = threading.Barrier(4)
    got: list[Any] = []

    def use() -> None:
        start.wait(10)
        got.append(env.single_action_space)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fn.calls == 4
    assert len(set(map(id, got))) == 1


@pytest.mark.parametrize("kind", [SyncVectorEnv, AsyncVectorEnv])
def test_dropping_and_closing_build_nothing(collector: collect.Collector, kind: type) -> None:
    """An env that nobody used goes away without ever being made, and says so afterwards."""
    fn = Counting()
    with collector.collecting():
        env = getattr(gym.vector, kind.__name__)([fn])
        dropped = getattr(gym.vector, kind.__name__)([fn])
    del dropped
    gc.collect()
    env.close()
    env.close()
    assert env.closed
    assert fn.calls == 0
    with pytest.raises(gym.error.ClosedEnvironmentError, match="closed before its first use"):
        env.reset()


def test_faults_in_factories_are_explained(repo: repos.Repo) -> None:
    """A package that only a factory misses is named when the env is built."""

    @contextlib.contextmanager
    def guard() -> Iterator[None]:
        try:
            yield
        except Fault as fault:
            raise LookupError(fault.hint) from fault

    def make() -> Any:
        import nowhere  # type: ignore[import-not-found]  # that is what is tested

        return nowhere

    collector = collect.Collector(repo, guard=guard)
    with collector.collecting():
        env = by_vector([make])
    with pytest.raises(LookupError, match="pip install nowhere"):
        env.reset()


def test_factories_travel(repo: repos.Repo) -> None:
    """A factory can be packed, opens its repo where it arrives, and brings the repo's ids along."""
    with contain.learning(repo):
        gym.register("Travels-v0", entry_point="env:one")
    spec = gym.registry.pop("Travels-v0")
    assert spec.entry_point == f"{repo.entry}:one"
    factory = pickle.loads(pickle.dumps(collect.Factory(repo, lambda: gym.make("Travels-v0"))))
    assert factory.repo is repo
    assert factory().spec.id == "Travels-v0"
    del gym.registry["Travels-v0"]
    assert repos.at_work() == []


def _arrive(packed: bytes, results: Any) -> None:
    results.put((type(pickle.loads(packed)()).__name__, [r.package for r in repos.at_work()]))


@pytest.mark.parametrize("context", ["spawn", "forkserver"])
def test_factories_arrive_in_new_processes(repo: repos.Repo, context: Any) -> None:
    """In a process of its own a repo is at work for good."""
    packed = cloudpickle.dumps(collect.Factory(repo, lambda: gym.make(ENV)))
    ctx: Any = multiprocessing.get_context(context)
    results = ctx.Queue()
    process = ctx.Process(target=_arrive, args=(packed, results))
    process.start()
    assert results.get(timeout=60) == ("TimeLimit", [repo.package])
    process.join()


def test_collections_of_two_threads(repo: repos.Repo) -> None:
    """Two threads that load at once do not leave each other's classes behind."""
    inside, leave = threading.Event(), threading.Event()

    def first() -> None:
        with collect.Collector(repo).collecting():
            inside.set()
            leave.wait(10)

    def second() -> None:
        env = collect.Collector(repo).vector([Counting()], use_async_envs=False)
        leave.set()
        with collect.Collector(repo).collecting():
            env.close()

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    inside.wait(10)
    threads[1].start()
    for thread in threads:
        thread.join(20)
    assert gym.vector.SyncVectorEnv is SyncVectorEnv
