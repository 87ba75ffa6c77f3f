"""`envhub demo`: publish, find, refuse, run and film, with nothing but this machine."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from envhub.cli import gallery
from envhub.cli.gallery import Published
from envhub.cli.hub import extra
from envhub.cli.look import Problem, Table
from envhub.cli.numbers import count
from envhub.cli.options import examples, output_options
from envhub.cli.output import Output
from envhub.cli.report import Report
from envhub.cli.run import Run, perform
from envhub.cli.search import found_data, found_table
from envhub.client import Client
from envhub.errors import EnvHubError, UntrustedError
from envhub.search import Query, find
from envhub.settings import Settings

if TYPE_CHECKING:
    from envhub.testing import OwnHub


@click.command(epilog=examples("envhub demo", "envhub demo --into /tmp/envhub-demo --json"))
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".demo"),
    show_default=True,
    help="Folder of the demo's hub, its cache and the video.",
)
@output_options
@click.pass_obj
def demo(out: Output, /, *, into: Path) -> None:
    """Publish, find, refuse, run and film env repos, all on this machine.

    Its hub is the one that `envhub serve` serves, on a port that only this machine reaches.
    """
    begin = time.monotonic()
    folder = into.absolute()
    for old in ("cache", "hub"):
        shutil.rmtree(folder / old, ignore_errors=True)  # else the last demo's tags would move
    with extra():
        # Here, since the server is an optional extra.
        from envhub.testing.own import careless, own_hub

        with own_hub(folder / "hub", careless()) as hub:
            data, report = _show(out, folder, hub)
    seconds = time.monotonic() - begin
    out.emit(
        {**data, "run": report.as_dict(), "seconds": seconds},
        *report.parts(),
        f"Done in {seconds:.1f} s. Watch {report.videos[0]}",
        f"Look at its hub:      envhub serve --data {into / 'hub'}",
        brief=report.videos,
    )


def _show(out: Output, folder: Path, hub: OwnHub) -> tuple[dict[str, Any], Report]:
    """All steps, told as they are done."""
    published = _show_publishing(out, hub)
    chosen = published["pusht" if find_spec("gym_pusht") else "cartpole"]
    settings = replace(
        Settings.from_environ(),
        home=folder / "cache",
        config=folder / "config",
        endpoint=hub.url,
        token=None,
        offline=False,
    )
    found = _show_search(out, chosen, settings)
    user = Client(settings, lock=False)
    # In a process of its own, but with the packages that are here: the demo asks no network.
    wish = Run(chosen.ref, episodes=4, n_envs=4, max_steps=100, isolation="process")
    refusal = _show_refusal(out, wish, user)
    wish = replace(wish, trust_remote_code=True, video=folder / f"{chosen.name}.mp4")
    report = _show_run(out, wish, user)
    repos = [vars(repo) | {"repo": repo.repo, "ref": repo.ref} for repo in published.values()]
    return {"hub": hub.url, "published": repos, "found": found, "refusal": refusal}, report


def _show_publishing(out: Output, hub: OwnHub) -> dict[str, Published]:
    out.note(_head(1, f"Publish the gallery into a hub of one's own: {hub.url}"))
    published = {repo.name: repo for repo in gallery.publish(gallery.GALLERY, hub.inside)}
    rows = [
        (repo.repo, gallery.TAG, repo.commit[:12], count(repo.files, "file"))
        for repo in published.values()
    ]
    out.note(Table(("repo", "tag", "commit", "size"), rows))
    return published


def _show_search(out: Output, chosen: Published, settings: Settings) -> list[dict[str, Any]]:
    out.note(_head(2, "Find one"), f"$ envhub search {chosen.name}")
    (answer,) = find(Query(chosen.name), settings=settings)
    if answer.error:
        raise answer.error
    out.note(found_table(answer.found))
    return [found_data(each) for each in answer.found]


def _show_refusal(out: Output, wish: Run, user: Client) -> dict[str, str]:
    """Run it as somebody would who does not know of consent, and show what they get."""
    words = ["run", wish.ref, "--n-envs", str(wish.n_envs), "--episodes", str(wish.episodes)]
    words += ["--isolation", wish.isolation]
    out.note(_head(3, "Load one by ref and tag, without consent"), f"$ envhub {' '.join(words)}")
    try:
        perform(wish, user, Output(out.mode, words))
    except UntrustedError as error:
        problem = Problem.of(error)
        out.note(problem)
        return problem.as_dict()
    raise EnvHubError(f"{wish.ref} ran although nobody consented")


def _show_run(out: Output, wish: Run, user: Client) -> Report:
    out.note(_head(4, f"Consent, run and film it: --trust-remote-code --video {wish.video}"))
    report = perform(wish, user, out)
    failed = next((task.error for task in report.tasks if task.error), None)
    if failed:
        raise failed
    out.note("")
    return report


def _head(number: int, text: str) -> str:
    return f"\n{number} · {text}\n"
