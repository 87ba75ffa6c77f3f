"""`envhub run`: a policy in an env, for a number of episodes."""

from __future__ import annotations

import contextlib
import difflib
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from envhub.cli.blame import blaming, env_failed
from envhub.cli.consent import asked_for
from envhub.cli.options import (
    allow_option,
    client,
    examples,
    offline_option,
    output_options,
    ref_argument,
    trust_option,
    wishes_options,
)
from envhub.cli.output import Output
from envhub.cli.report import Report, task_name
from envhub.client import Client
from envhub.envdict import EnvDict
from envhub.errors import ArgumentError
from envhub.isolation.sandbox.cage import WISHES
from envhub.make import AUTO, LEVELS
from envhub.parameters import Choice
from envhub.policies import policy_maker
from envhub.rollout import AnyVectorEnv, Record, Rollout, Task, TaskRollout, rollout, rollout_tasks
from envhub.video import Recorder
from envhub.wishes import Wishes


def parse_param(_ctx: click.Context, _param: click.Parameter, texts: Sequence[str]) -> Any:
    """`k=v` as a keyword argument: `v` is JSON if it can be read as such, else text."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise click.BadParameter(f"{text!r} is not name=value")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


@dataclass(frozen=True)
class Run:
    """The options of a run."""

    ref: str
    episodes: int = 10
    max_steps: int = 500
    n_envs: int = 1
    use_async_envs: bool = False
    seed: int = 0
    policy: str = "random"
    isolation: str = AUTO
    sandbox: str = AUTO
    trust_remote_code: bool = False
    permissions: tuple[str, ...] | None = None
    offline: bool = False
    locked: bool = False
    video: Path | None = None
    task: tuple[str, ...] = ()
    param: dict[str, Any] = field(default_factory=dict)
    wishes: Wishes = field(default_factory=Wishes)

    def asked(self) -> dict[str, Any]:
        """What decides about the numbers, for `--json`."""
        numbers = ("episodes", "max_steps", "n_envs", "use_async_envs", "seed")
        names = (*numbers, "policy", "isolation", "sandbox")
        return {**{name: getattr(self, name) for name in names}, "params": self.param}


param_option = click.option(
    "--param",
    multiple=True,
    metavar="NAME=VALUE",
    callback=parse_param,
    help="For the repo's make_env; VALUE is JSON or text; may be repeated.",
)
isolation_option = click.option(
    "--isolation",
    type=click.Choice([AUTO, *LEVELS]),
    default=AUTO,
    show_default=True,
    help="Where the env's code runs.",
)


@click.command(
    epilog=examples(
        "envhub run ./examples/cartpole --trust-remote-code",
        "envhub run ./examples/cartpole --trust-remote-code --n-envs 4 --async --seed 7",
        "envhub run ./examples/cartpole --trust-remote-code --episodes 1 --video out.mp4",
        "envhub run ./examples/multitask --trust-remote-code --task balance --policy zero",
        "envhub run ./examples/multitask --trust-remote-code --param max_episode_steps=50",
        "envhub run ./examples/cartpole --trust-remote-code --json",
    )
)
@ref_argument
@trust_option
@allow_option
@click.option(
    "--episodes", type=int, default=Run.episodes, show_default=True, help="Episodes per task."
)
@click.option(
    "--max-steps",
    type=int,
    default=Run.max_steps,
    show_default=True,
    help="Cut an episode after so many.",
)
@click.option(
    "--n-envs", type=int, default=Run.n_envs, show_default=True, help="Envs that step together."
)
@click.option("--async", "use_async_envs", is_flag=True, help="Step them in parallel processes.")
@click.option(
    "--seed",
    type=int,
    default=Run.seed,
    show_default=True,
    help="Episode k is reset with seed + k.",
)
@click.option(
    "--policy",
    default=Run.policy,
    show_default=True,
    metavar="NAME",
    help="random, zero, module:function or file.py:function.",
)
@click.option(
    "--video", type=click.Path(path_type=Path), help="Film the first round: .mp4, .gif or .webp."
)
@click.option("--task", multiple=True, metavar="SUITE[/TASK]", help="Only this; may be repeated.")
@param_option
@isolation_option
@click.option(
    "--sandbox",
    type=click.Choice(WISHES),
    default=Run.sandbox,
    show_default=True,
    help="Around its processes: the strongest there is, that or an error, none.",
)
@wishes_options
@click.option("--locked", is_flag=True, help="Refuse a ref that envhub.lock does not have.")
@offline_option
@output_options
@click.pass_obj
def run(out: Output, /, **options: Any) -> None:
    """Run a policy in an env: returns, success, speed, video."""
    wish = Run(**options)
    report = perform(wish, client(out, offline=wish.offline, locked=wish.locked), out)
    brief = [task.rollout.mean_return for task in report.tasks if task.rollout]
    if brief:
        out.emit(report.as_dict(), *report.parts(), brief=brief)
    failed = next((task for task in report.tasks if task.error), None)
    if failed and failed.error:
        raise env_failed(failed.error, f"task {task_name(failed.suite, failed.task)}")


def perform(wish: Run, user: Client, out: Output) -> Report:
    """Make the env and play all its tasks; one that fails does not stop the others.

    Raises:
        UntrustedError: nobody consented; its hint has the user's own command.
        EnvFailedError: the repo's code raised before it could be stepped.
    """
    make_policy = policy_maker(wish.policy, seed=wish.seed)
    films = Films(wish.video)
    with contextlib.ExitStack() as stack:
        stack.enter_context(out.warnings_shown())
        stack.enter_context(asked_for(wish.ref, out))
        stack.enter_context(out.strangers())
        stack.enter_context(blaming(user, wish.ref))
        envs = stack.enter_context(make(user, wish))
        wanted = choose(envs, wish.task)
        bar = stack.enter_context(out.bar(str(envs.pin), wish.episodes * len(wanted)))
        done: list[TaskRollout] = []

        def play(task: Task, env: AnyVectorEnv) -> Rollout:
            before = wish.episodes * len(done)
            with films.film(task, many=len(wanted) > 1) as record, closing(env):
                return rollout(
                    env,
                    make_policy(env),
                    episodes=wish.episodes,
                    max_steps=wish.max_steps,
                    seed=wish.seed,
                    on_step=lambda episodes, steps: bar(before + episodes, f"{steps:,} steps"),
                    record=record,
                )

        done.extend(rollout_tasks(envs, play, wanted=lambda task: task in wanted))
    return Report(
        envs.pin, done, films.written, wish.asked(), level=envs.level, sandbox=str(envs.sandbox)
    )


def make(user: Client, wish: Run) -> EnvDict:
    """The env, as the options ask for it."""
    params = dict(wish.param)
    choice = Choice(params.pop("suite", None), params.pop("task", None))
    return user.make_env(
        wish.ref,
        wish.n_envs,
        wish.use_async_envs,
        trust_remote_code=wish.trust_remote_code,
        permissions=wish.permissions,
        isolation=wish.isolation,
        sandbox=wish.sandbox,
        wishes=wish.wishes,
        choice=choice,
        **params,
    )


@contextlib.contextmanager
def closing(env: AnyVectorEnv) -> Iterator[None]:
    """Close an env at the end; what made the block fail is not hidden by what that says."""
    try:
        yield
    finally:
        failed = sys.exception() is not None
        try:
            env.close()
        except BaseException:  # Gymnasium raises what its workers did, Ctrl-C too
            env.closed = True  # so that nobody tries again
            if not failed:
                raise


def choose(envs: EnvDict, names: Sequence[str]) -> list[Task]:
    """The tasks that are named, by suite or by suite and task; all of them if none is.

    Raises:
        ArgumentError: there is no such task; the hint has near names.
    """
    by_name: dict[str, list[Task]] = {}
    for task, _ in envs.flat():
        by_name.setdefault(task[0], []).append(task)
        by_name.setdefault(task_name(*task), []).append(task)
    unknown = [name for name in names if name not in by_name]
    if unknown:
        near = difflib.get_close_matches(unknown[0], by_name, 3, 0.4) or list(by_name)[:5]
        raise ArgumentError(
            f"{envs.pin} has no task {unknown[0]!r}", hint=f"--task {' or '.join(near)}"
        )
    chosen = {task for name in names for task in by_name[name]}
    return [task for task, _ in envs.flat() if task in chosen or not names]


class Films:
    """The video files of a run: one, or one per task.

    Args:
        path: what the user asked for; its suffix is checked now, before anything runs.

    Attributes:
        written: the files that are there.
    """

    def __init__(self, path: Path | None) -> None:
        self.written: list[Path] = []
        self._path = Recorder(path).path if path else None

    @contextlib.contextmanager
    def film(self, task: Task, *, many: bool) -> Iterator[Record | None]:
        """What films one task, or nothing."""
        if self._path is None:
            yield None
            return
        name = re.sub(r"[^\w.-]+", "-", task_name(*task))
        path = self._path.with_stem(f"{self._path.stem}-{name}") if many else self._path
        with Recorder(path) as recorder:
            yield recorder.capture
        self.written.append(path)
