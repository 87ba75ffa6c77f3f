"""The uv program, kept away from the user's cache and from all settings but package indexes.

Where packages come from is the user's business: indexes are taken from uv's variables and from the
user's own file of settings for uv. Nothing that a repo says is read by uv: it runs in an empty
folder, is given one file of settings that is written here, and its requirements by standard input.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any, Final

import tomli_w
from uv import find_uv_bin

from envhub import disk, proc, settings
from envhub.errors import CommandError, InstallError, RequirementError
from envhub.settings import Settings

_INDEX_KEYS: Final = (
    "index",
    "index-url",
    "extra-index-url",
    "find-links",
    "no-index",
    "index-strategy",
    "keyring-provider",
    "allow-insecure-host",
    "native-tls",
    "system-certs",
    "http-proxy",
    "https-proxy",
    "no-proxy",
)
_HOMES: Final = (
    "HOME",
    "USERPROFILE",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "APPDATA",
    "TMPDIR",
)


Fence = Callable[[Sequence[Path], Sequence[Path]], Sequence[str]]
"""Folders to read and to write → the words in front of uv's command line when it builds."""


@dataclass(frozen=True, slots=True)
class Uv:
    """uv, as envhub runs it.

    Attributes:
        home: envhub's cache folder; uv's cache and the venvs lie in it.
        offline: open no socket.
        progress: show what takes longer than a second; on a terminal, as it goes on.
        torch: the build of PyTorch that the user wants: `cpu`, `cu128`, …, `auto`, or `index` for
            what the package index has; empty if the user does not say.
        links: gives a folder, for a while, that all packages come from instead of an index.
    """

    home: Path
    offline: bool = False
    progress: bool = False
    torch: str = ""
    links: Callable[[], AbstractContextManager[Path]] | None = None
    fence: Fence | None = None

    @classmethod
    def from_settings(cls, chosen: Settings) -> Uv:
        """As the settings say."""
        return cls(chosen.home, chosen.offline, chosen.progress, chosen.torch)

    @property
    def cache(self) -> Path:
        """The folder of uv's cache: never the user's own, which an env may have written to."""
        return self.home / "uv"

    def run(
        self,
        *words: str | Path,
        title: str = "",
        indexes: Collection[str] = (),
        stdin: bytes = b"",
        building: Sequence[Path] | None = None,
        downloads: str = "never",
    ) -> proc.Completed:
        """Run a command of uv's to its end, whatever its exit status is.

        Args:
            words: the command and its arguments.
            title: what to call it while it runs.
            indexes: names of the user's indexes that are used although they are `explicit`.
            stdin: bytes for its standard input.
            building: if it may run code of packages: the Python that does, and the folders that it
                may write to. That code shall not find the user's home folder, nor our cache.
            downloads: whether it may download a Python: `never`, or `manual` if it is told to.

        Raises:
            RequirementError: the user has no index of such a name.
            StoreError: the cache cannot be written.
            CommandError: uv is missing.
        """
        with disk.guarded(self.home):
            self.cache.mkdir(parents=True, exist_ok=True)
        with (
            TemporaryDirectory(prefix="envhub-uv-") as empty,
            self._where(indexes, words) as config,
            _shown(title, self.progress) as show,
        ):
            folder = Path(empty)
            (folder / "uv.toml").write_text(tomli_w.dumps(config), encoding="utf-8")
            before = self._fenced(folder, building, config) if building else []
            cache = folder / "cache" if before else self.cache
            done = proc.run(
                [*before, _program(), *words, *self._options(folder / "uv.toml", cache)],
                cwd=folder,
                env={
                    **settings.uv_environ(),
                    "UV_PYTHON_DOWNLOADS": downloads,
                    **(dict.fromkeys(_HOMES, empty) if building else {}),
                },
                stdin=stdin,
                check=False,
                heard=show,
            )
        return replace(done, argv=("uv", *map(str, words)))  # without our options, for messages

    @contextmanager
    def _where(
        self, indexes: Collection[str], words: Sequence[str | Path]
    ) -> Iterator[dict[str, Any]]:
        """Settings for uv that say where packages come from."""
        if self.links is None:
            yield _config(indexes)
        elif words[0] != "pip":
            yield {}
        else:
            with self.links() as folder:
                yield {"no-index": True, "find-links": [str(folder)]}

    def _fenced(
        self, folder: Path, building: Sequence[Path], config: dict[str, Any]
    ) -> Sequence[str]:
        if self.fence is None:
            return []
        python, *writes = building
        reads = [python, Path(_program()), *_local(config), *map(Path, settings.uv_folders())]
        return self.fence(reads, [folder, *writes])

    def _options(self, config: Path, cache: Path) -> list[str | Path]:
        offline = ["--offline"] if self.offline else []
        quiet = ["--no-progress", "--color", "never"]
        return [*offline, *quiet, "--config-file", config, "--cache-dir", cache]


def _local(config: object) -> Iterator[Path]:
    """Folders on this machine that settings of uv's name as package indexes."""
    if isinstance(config, dict):
        config = list(config.values())
    if isinstance(config, list):
        for each in config:
            yield from _local(each)
    elif isinstance(config, str):
        path = Path(config.removeprefix("file://"))
        if path.is_absolute() and path.exists():
            yield path


def last_words(done: proc.Completed) -> str:
    """The last lines that uv wrote, without its empty ones."""
    lines = [line.rstrip() for line in done.stderr.decode(errors="replace").splitlines()]
    return "\n".join([line for line in lines if line][-proc.LAST_LINES :])


def index_names() -> frozenset[str]:
    """Names of the package indexes that the user has configured for uv."""
    listed = _user_config().get("index", [])
    named = {each["name"] for each in listed if isinstance(each, dict) and "name" in each}
    return frozenset(named) | settings.uv_index_names()


def _config(indexes: Collection[str]) -> dict[str, Any]:
    """The user's package indexes; those that are named are no longer only for chosen packages."""
    if unknown := sorted(set(indexes) - index_names()):
        name = unknown[0]
        raise RequirementError(
            f"the env's packages come from an index called {name!r}, which you have not configured",
            why=f"configured are: {', '.join(sorted(index_names())) or 'none'}",
            hint=f"export UV_INDEX={name}=<its address>   # or [[index]] in uv.toml",
        )
    config = _user_config()
    for each in config.get("index", []):
        if isinstance(each, dict) and each.get("name") in indexes:
            each.pop("explicit", None)
    return config


def _user_config() -> dict[str, Any]:
    """What the user's own file of settings for uv says about package indexes."""
    path = settings.uv_config()
    if path is None:
        return {}
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InstallError(f"{path} cannot be read", why=str(error)) from error
    pip = document.get("pip")
    both = {**document, **(pip if isinstance(pip, dict) else {})}
    return {key: both[key] for key in _INDEX_KEYS if key in both}


@cache
def _program() -> str:
    try:
        return find_uv_bin()
    except FileNotFoundError as error:
        raise CommandError("the program 'uv' was not found", hint="pip install uv") from error


@contextmanager
def _shown(title: str, progress: bool) -> Iterator[Callable[[str], object] | None]:
    """Where uv's lines go while it runs: to a terminal, once it has taken longer than a second.

    Where there is no terminal, one line says what takes so long.
    """
    if not (title and progress):
        yield None
        return
    lines, over = [title], Event()
    thread = Thread(target=_show, args=(lines, over), daemon=True)
    thread.start()
    try:
        yield lambda line: lines.append(f"{title}: {line.strip()}")
    finally:
        over.set()
        thread.join()


def _show(lines: Sequence[str], over: Event) -> None:
    if over.wait(1.0):
        return
    from tqdm import tqdm  # here, since only what takes long should cost its 20 ms

    if not sys.stderr.isatty():
        # A bar would be noise in a pipe or a log, and silence would look like a program that hangs.
        tqdm.write(f"{lines[0]} …", file=sys.stderr)
        return
    form = "{desc} [{elapsed}]"
    with tqdm(desc=lines[-1], bar_format=form, leave=False, disable=None) as bar:
        while not over.wait(0.1):
            bar.set_description_str(lines[-1])
