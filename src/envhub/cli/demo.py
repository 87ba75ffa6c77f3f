"""`envhub demo`: publish, refuse, run and film, with no network and nothing but this machine."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import click

import envhub
from envhub.cli.look import Problem, Table
from envhub.cli.numbers import count
from envhub.cli.options import examples, output_options
from envhub.cli.output import Output
from envhub.cli.report import Report
from envhub.cli.run import Run, perform
from envhub.client import Client
from envhub.errors import EnvHubError, NotFoundError, UntrustedError
from envhub.proc import run
from envhub.settings import Settings

GALLERY = Path(envhub.__file__).parents[2] / "examples"
"""Where the gallery is in a checkout; an installed envhub does not have it."""

TAG = "v1.0"
ALWAYS = "2026-11-01T00:00:00Z"
"""The date of the commits, so that each demo makes the same ones."""


@dataclass(frozen=True)
class Published:
    """An env repo in the demo's hub."""

    name: str
    url: str
    commit: str
    files: int

    @property
    def ref(self) -> str:
        """What to type to load it."""
        return f"git+{self.url}@{TAG}"


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
    """Publish, refuse, run and film env repos, all on this machine."""
    begin = time.monotonic()
    folder = into.absolute()
    shutil.rmtree(folder / "cache", ignore_errors=True)  # else the last demo's tags would move
    published = _show_publishing(out, folder)
    chosen = published["pusht" if find_spec("gym_pusht") else "cartpole"]
    settings = replace(
        Settings.from_environ(), home=folder / "cache", config=folder / "config", offline=False
    )
    user = Client(settings, lock=False)
    # In a process of its own, but with the packages that are here: the demo asks no network.
    wish = Run(chosen.ref, episodes=4, n_envs=4, max_steps=100, isolation="process")
    refusal = _show_refusal(out, wish, user)
    wish = replace(wish, trust_remote_code=True, video=folder / f"{chosen.name}.mp4")
    report = _show_run(out, wish, user)
    seconds = time.monotonic() - begin
    out.emit(
        {
            "published": [vars(repo) | {"ref": repo.ref} for repo in published.values()],
            "refusal": refusal,
            "run": report.as_dict(),
            "seconds": seconds,
        },
        *report.parts(),
        f"Done in {seconds:.1f} s. Watch {wish.video}",
        brief=report.videos,
    )


def publish(gallery: Path, hub: Path) -> Iterator[Published]:
    """Make a git repo with a tag of every env repo in a folder.

    Raises:
        NotFoundError: the folder has none.
        CommandError: git failed, or is not installed.
    """
    found = sorted(path.parent for path in gallery.glob("*/env.py"))
    if not found:
        raise NotFoundError(
            f"the gallery is not in {gallery}",
            why="the demo publishes the env repos of a checkout, and this envhub was installed "
            "without one",
            hint="run it in a checkout: make demo",
        )
    for folder in found:
        repo = hub / folder.name
        shutil.rmtree(repo, ignore_errors=True)
        shutil.copytree(folder, repo, ignore=shutil.ignore_patterns("__pycache__"))
        commit = _commit(repo)
        files = sum(path.is_file() and ".git" not in path.parts for path in repo.rglob("*"))
        yield Published(folder.name, repo.as_uri(), commit, files)


def _commit(repo: Path) -> str:
    """Commit and tag all that is in a folder, in nobody's name; return the commit."""
    dates = {"GIT_AUTHOR_DATE": ALWAYS, "GIT_COMMITTER_DATE": ALWAYS}
    nobody = ("-c", "user.name=envhub demo", "-c", "user.email=demo@localhost")
    plain = ("-c", "commit.gpgSign=false", "-c", "tag.gpgSign=false", "-c", "core.autocrlf=false")
    for words in (
        ("init", "--quiet", "--initial-branch=main"),
        ("add", "--all", "--force"),
        ("commit", "--quiet", "--no-verify", f"--message=Publish {repo.name}"),
        ("tag", TAG),
    ):
        run(["git", *nobody, *plain, *words], cwd=repo, env=dates)
    return run(["git", "rev-parse", "HEAD"], cwd=repo).text


def _show_publishing(out: Output, folder: Path) -> dict[str, Published]:
    hub = folder / "hub"
    out.note(_head(1, f"Publish the gallery as git repos into a hub in a folder: {hub}"))
    published = {repo.name: repo for repo in publish(GALLERY, hub)}
    rows = [
        (repo.name, TAG, repo.commit[:12], count(repo.files, "file")) for repo in published.values()
    ]
    out.note(Table(("repo", "tag", "commit", "size"), rows))
    return published


def _show_refusal(out: Output, wish: Run, user: Client) -> dict[str, str]:
    """Run it as somebody would who does not know of consent, and show what they get."""
    words = ["run", wish.ref, "--n-envs", str(wish.n_envs), "--episodes", str(wish.episodes)]
    words += ["--isolation", wish.isolation]
    out.note(_head(2, "Load one by ref and tag, without consent"), f"$ envhub {' '.join(words)}")
    try:
        perform(wish, user, Output(out.mode, words))
    except UntrustedError as error:
        problem = Problem.of(error)
        out.note(problem)
        return problem.as_dict()
    raise EnvHubError(f"{wish.ref} ran although nobody consented")


def _show_run(out: Output, wish: Run, user: Client) -> Report:
    out.note(_head(3, f"Consent, run and film it: --trust-remote-code --video {wish.video}"))
    report = perform(wish, user, out)
    failed = next((task.error for task in report.tasks if task.error), None)
    if failed:
        raise failed
    out.note("")
    return report


def _head(number: int, text: str) -> str:
    return f"\n{number} · {text}\n"
