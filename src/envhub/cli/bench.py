"""`envhub bench`: how fast an env steps, by how many there are and how many processes step them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import click

from envhub.bench import Advice, Row, advise, measure
from envhub.cli.blame import blaming
from envhub.cli.consent import asked_for
from envhub.cli.look import Facts, Table
from envhub.cli.numbers import count
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
from envhub.cli.report import pin_data, task_name
from envhub.cli.run import choose, isolation_option, param_option
from envhub.client import Client
from envhub.make import AUTO, make
from envhub.pins import Pin
from envhub.rollout import AnyVectorEnv
from envhub.vector import Options
from envhub.wishes import Wishes

N_ENVS = (1, 8, 64)


@dataclass(frozen=True)
class Bench:
    """The options of a benchmark."""

    ref: str
    n_envs: tuple[int, ...]
    workers: tuple[int, ...]
    seconds: float
    task: str | None
    param: dict[str, Any]
    isolation: str
    trust_remote_code: bool
    permissions: tuple[str, ...] | None
    offline: bool
    locked: bool
    wishes: Wishes


@click.command(
    epilog=examples(
        "envhub bench ./examples/cartpole --trust-remote-code",
        "envhub bench ./examples/cartpole --trust-remote-code --n-envs 16 --workers 1 --workers 2",
        "envhub bench ./examples/multitask --trust-remote-code --task balance --seconds 2",
        "envhub bench ./examples/cartpole --trust-remote-code --json",
    )
)
@ref_argument
@trust_option
@allow_option
@click.option(
    "--n-envs",
    type=click.IntRange(1),
    multiple=True,
    default=N_ENVS,
    show_default=True,
    help="Envs that step together; may be repeated.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    multiple=True,
    help="Processes to try; may be repeated.  [default: from one to one per env]",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0, min_open=True),
    default=0.5,
    show_default=True,
    help="Length of each measurement.",
)
@click.option("--task", metavar="SUITE[/TASK]", help="Which task, if not the first.")
@param_option
@isolation_option
@wishes_options
@click.option("--locked", is_flag=True, help="Refuse a ref that envhub.lock does not have.")
@offline_option
@output_options
@click.pass_obj
def bench(out: Output, /, **options: Any) -> None:
    """Measure how fast an env steps, and advise how many workers.

    The env is stepped with random actions, so think twice if it is a robot.
    """
    wish = Bench(**options)
    user = client(out, offline=wish.offline, locked=wish.locked)
    with contextlib.ExitStack() as stack:
        stack.enter_context(out.warnings_shown())
        stack.enter_context(asked_for(wish.ref, out))
        stack.enter_context(out.strangers())
        stack.enter_context(blaming(user, wish.ref))
        stand = Stand(wish, user)
        bar = stack.enter_context(out.bar(wish.ref, len(wish.n_envs)))
        rows = []
        for row in measure(stand.make, wish.n_envs, workers=wish.workers, seconds=wish.seconds):
            rows.append(row)
            bar(wish.n_envs.index(row.n_envs), f"{row.steps_per_second:,.0f} steps/s")
    advice = advise(rows)
    data = {**pin_data(stand.pin), "task": stand.task, "isolation": stand.level}
    data["rows"] = [_data(row) for row in rows]
    data["advice"] = {"step": _data(advice.step), "send_recv": _data(advice.send_recv)}
    facts = Facts("", list(_facts(stand, advice)))
    out.emit(data, _table(rows), facts, brief=[round(advice.step.steps_per_second)])


class Stand:
    """Makes the env again and again, from files that were fetched and allowed once.

    Args:
        wish: the options.
        user: the client.

    Attributes:
        pin: what is measured.
        task: which of its tasks, as it is written on the command line.
        level: the isolation level that was reached.
    """

    def __init__(self, wish: Bench, user: Client) -> None:
        self._wish = wish
        self._user = user
        self._source, self._allowed = user.prepare(
            wish.ref, trust_remote_code=wish.trust_remote_code, permissions=wish.permissions
        )
        level = user.settings.isolation if wish.isolation == AUTO else wish.isolation
        world = user.world(self._source, self._allowed, isolation=level, wishes=wish.wishes)
        self._where: dict[str, Any] = {
            "isolation": level,
            "world": world,
            "sandbox": user.settings.sandbox,
        }
        self.pin: Pin = self._source.pin
        self.task = self.level = ""

    @contextlib.contextmanager
    def make(self, n_envs: int, **options: Any) -> Iterator[AnyVectorEnv]:
        """So many envs of the task, stepped as the options say."""
        with make(
            self._source,
            self._allowed,
            n_envs=n_envs,
            use_async_envs=True,
            params={**self.pin.ref.params, **self._wish.param},
            vector=Options(**options),
            **self._where,
        ) as envs:
            suite, task = choose(envs, [self._wish.task] if self._wish.task else [])[0]
            if not self.task:
                self._user.note(self._allowed, envs.level)
            self.task, self.level = task_name(suite, task), envs.level
            yield envs[suite][task]


def _data(row: Row | None) -> dict[str, Any] | None:
    return None if row is None else {name: getattr(row, name) for name in Row.__slots__}


def _table(rows: Sequence[Row]) -> Table:
    base = rows[0].steps_per_second
    lines = [
        (
            str(row.n_envs),
            "–" if row.num_workers is None else str(row.num_workers),
            "step" if row.batch_size is None else f"send, recv of {row.batch_size}",
            f"{row.steps_per_second:,.0f}",
            f"{row.steps_per_second / base:.1f}",
        )
        for row in rows
    ]
    columns = ("envs", "workers", "how", "steps/s", "× first")
    return Table(columns, lines, right=("envs", "workers", "steps/s", "× first"))


def _facts(stand: Stand, advice: Advice) -> Iterator[tuple[str, object]]:
    yield "env", stand.pin.pinned_ref
    yield "task", stand.task
    yield "isolation", stand.level
    yield from _advice("advice", advice.step)
    if advice.send_recv:
        yield from _advice("send, recv", advice.send_recv)


def _advice(name: str, row: Row) -> Iterator[tuple[str, object]]:
    options = ", ".join(f"{name}={value}" for name, value in row.options.items())
    vector = f", vector=Options({options})" if options else ""
    yield name, f"{_words(row)}: {row.steps_per_second:,.0f} steps/s"
    yield "", f"n_envs={row.n_envs}, use_async_envs=True{vector}"


def _words(row: Row) -> str:
    workers = "" if row.num_workers is None else f" in {count(row.num_workers, 'worker')}"
    return count(row.n_envs, "env") + workers
