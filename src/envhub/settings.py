"""Every environment variable and default of envhub, in one table; imports nothing of envhub.

No other module reads the environment. `Settings` is a value: the client is given one, and tests
make their own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

HUGGING_FACE = "https://huggingface.co"
MACHINE = Path("/etc/envhub")
"""Folder of the policy of the whole machine. No variable moves it, since users could then."""


@dataclass(frozen=True)
class Variable:
    """An environment variable that envhub reads."""

    name: str
    help: str
    default: str = ""


VARIABLES = (
    Variable("ENVHUB_HOME", "folder of the cache", "the platform's cache folder + /envhub"),
    Variable("ENVHUB_CONFIG", "folder of trust.toml", "the platform's config folder + /envhub"),
    Variable("ENVHUB_ENDPOINT", "the hub that owner/name means", "HF_ENDPOINT"),
    Variable("ENVHUB_TOKEN", "token for ENVHUB_ENDPOINT, sent nowhere else"),
    Variable("ENVHUB_OFFLINE", "1: open no socket, use the cache", "HF_HUB_OFFLINE"),
    Variable("ENVHUB_LOCK", "path of the lock file", "envhub.lock, here or in a parent folder"),
    Variable("ENVHUB_ISOLATION", 'what isolation="auto" means', "by the env's manifest"),
    Variable("ENVHUB_SANDBOX", 'what sandbox="auto" means', "the strongest there is"),
    Variable(
        "ENVHUB_TORCH", "build of PyTorch: cpu, cu128, …, auto, index", "cpu, or auto with gpu"
    ),
    Variable("ENVHUB_MAX_FILES", "files that a repo may have", "20000"),
    Variable("ENVHUB_MAX_SIZE", "bytes that a repo may have: 500M, 20G, …", "50G"),
    Variable("ENVHUB_MAX_NAME", "bytes that the name of a file may have", "255"),
    Variable("ENVHUB_MAX_DEPTH", "folders that a file may be deep in", "32"),
    Variable("HF_ENDPOINT", "address of the Hugging Face Hub", HUGGING_FACE),
    Variable("HF_TOKEN", "token for the Hugging Face Hub, sent nowhere else"),
    Variable("HF_HOME", "where huggingface_hub keeps its token", "~/.cache/huggingface"),
    Variable("HF_HUB_OFFLINE", "1: open no socket"),
    Variable("HF_HUB_DISABLE_PROGRESS_BARS", "1: no progress bars"),
    Variable("HF_HUB_DOWNLOAD_TIMEOUT", "seconds that a silent connection may last", "10"),
    Variable("NO_COLOR", "any value: no colours"),
)

FOREIGN = (
    Variable("PATH", "where Pythons and git are looked for"),
    Variable("PYENV_ROOT", "where pyenv keeps Pythons", "~/.pyenv"),
    Variable("UV_PYTHON_INSTALL_DIR", "where uv keeps Pythons", "uv's data folder + /python"),
    Variable("UV_CONFIG_FILE", "uv's settings; package indexes are taken", "uv's config folder"),
    Variable("UV_DEFAULT_INDEX", "the package index"),
    Variable("UV_INDEX", "more package indexes: NAME=ADDRESS …"),
    Variable("UV_INDEX_URL", "older name of UV_DEFAULT_INDEX"),
    Variable("UV_EXTRA_INDEX_URL", "older name of UV_INDEX"),
    Variable("UV_FIND_LINKS", "folders and pages with packages"),
    Variable("UV_INDEX_STRATEGY", "which index wins where several have a package"),
    Variable("UV_KEYRING_PROVIDER", "where passwords for indexes are kept"),
    Variable("UV_INSECURE_HOST", "hosts whose certificates are not checked"),
    Variable("UV_SYSTEM_CERTS", "1: the system's certificates"),
    Variable("UV_HTTP_TIMEOUT", "seconds that an index may be silent", "30"),
    Variable("UV_HTTP_RETRIES", "how often to ask an index again", "3"),
    Variable("UV_CONCURRENT_DOWNLOADS", "how many downloads at once", "50"),
    Variable("UV_PYTHON_INSTALL_MIRROR", "where uv downloads Pythons from"),
)
"""Variables of other programs that envhub looks at or hands to uv."""

# What any program needs to run and to reach an index, by the name's beginning or the whole name.
_BASICS = re.compile(
    r"HOME|USER|LOGNAME|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|TEMP|TMP|LD_LIBRARY_PATH|NETRC"
    r"|XDG_(CONFIG|DATA)_(HOME|DIRS)|SSL_CERT_(FILE|DIR)|(HTTP|HTTPS|ALL|NO)_PROXY"
    r"|UV_INDEX_\w+_(USERNAME|PASSWORD)|SYSTEMROOT|WINDIR|COMSPEC|PATHEXT|USERPROFILE"
    r"|APPDATA|LOCALAPPDATA|PROGRAMDATA",
    re.IGNORECASE,
)

# What the process of an env may see of our environment: nothing that opens a door.
_HARMLESS = re.compile(
    r"PATH|LANG|LANGUAGE|LC_\w+|TZ|LD_LIBRARY_PATH|(OMP|OPENBLAS|MKL|NUMEXPR)_NUM_THREADS"
    r"|CUDA_VISIBLE_DEVICES|SYSTEMROOT|WINDIR"
)

_TOKENS = {"ENVHUB_TOKEN", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}
_TRUE = {"1", "on", "yes", "true"}


@dataclass(frozen=True)
class Limits:
    """How much a repo may bring; looked at in its listing, before anything of it is downloaded.

    Attributes:
        files: how many files.
        size: bytes of all of them.
        name: bytes of the longest name.
        depth: folders that a file may be deep in.
    """

    files: int = 20_000
    size: int = 50 * 10**9
    name: int = 255
    depth: int = 32

    @classmethod
    def from_environ(cls, env: Mapping[str, str]) -> Limits:
        """Read the limits from `env`.

        Raises:
            ValueError: one is no number.
        """
        names = {
            "files": "ENVHUB_MAX_FILES",
            "size": "ENVHUB_MAX_SIZE",
            "name": "ENVHUB_MAX_NAME",
            "depth": "ENVHUB_MAX_DEPTH",
        }
        given = {key: env.get(name) for key, name in names.items()}
        return cls(**{key: _amount(key, text) for key, text in given.items() if text})


NO_MORE = Limits()
"""What a repo may bring if nobody says otherwise."""


def _amount(what: str, text: str) -> int:
    """A number, perhaps with k, M, G or T behind it."""
    found = re.fullmatch(r"(\d{1,15})\s*([kmgt]?)b?", text.strip().lower())
    if not found:
        raise ValueError(f"ENVHUB_MAX_{what.upper()}={text} is no number like 20000 or 20G")
    thousands = " kmgt".index(found[2] or " ")
    return int(found[1] + "000" * thousands)


@dataclass(frozen=True)
class Settings:
    """What the environment says, read once.

    Attributes:
        home: folder of the cache.
        config: folder of the user's own `trust.toml`.
        machine: folder of the `trust.toml` of the whole machine, which users cannot loosen.
        endpoint: the hub that `owner/name` means.
        hf_endpoint: the hub that `hf://owner/name` means.
        token: token for `endpoint` when that is not the Hugging Face Hub, else `None`.
        offline: open no socket.
        progress: show progress bars.
        lock: path of the lock file if the environment names one.
        timeout: seconds that a silent connection may last.
        torch: the build of PyTorch that is wanted, if the user says.
        isolation: the isolation level of loads that ask for none.
        sandbox: whether they must have a sandbox: `auto`, `require` or `off`.
        limits: how much a repo may bring.
    """

    home: Path
    config: Path
    machine: Path = MACHINE
    endpoint: str = HUGGING_FACE
    hf_endpoint: str = HUGGING_FACE
    token: str | None = None
    offline: bool = False
    progress: bool = True
    lock: Path | None = None
    timeout: float = 10.0
    torch: str = ""
    isolation: str = "auto"
    sandbox: str = "auto"
    limits: Limits = NO_MORE

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the settings from `environ` (the process's own by default)."""
        env = os.environ if environ is None else environ
        hf_endpoint = env.get("HF_ENDPOINT", "").rstrip("/") or HUGGING_FACE
        home = env.get("ENVHUB_HOME") or platformdirs.user_cache_dir("envhub")
        config = env.get("ENVHUB_CONFIG") or platformdirs.user_config_dir("envhub")
        lock = env.get("ENVHUB_LOCK")
        return cls(
            home=Path(home).expanduser().absolute(),
            config=Path(config).expanduser().absolute(),
            machine=MACHINE if os.name == "posix" else Path(platformdirs.site_config_dir("envhub")),
            endpoint=env.get("ENVHUB_ENDPOINT", "").rstrip("/") or hf_endpoint,
            hf_endpoint=hf_endpoint,
            token=env.get("ENVHUB_TOKEN") or None,
            offline=_is_true(env.get("ENVHUB_OFFLINE") or env.get("HF_HUB_OFFLINE")),
            progress=not _is_true(env.get("HF_HUB_DISABLE_PROGRESS_BARS")),
            lock=Path(lock).expanduser().absolute() if lock else None,
            timeout=float(env.get("HF_HUB_DOWNLOAD_TIMEOUT") or 10),
            torch=env.get("ENVHUB_TORCH", "").strip().lower(),
            isolation=env.get("ENVHUB_ISOLATION") or "auto",
            sandbox=env.get("ENVHUB_SANDBOX") or "auto",
            limits=Limits.from_environ(env),
        )


def _is_true(value: str | None) -> bool:
    return (value or "").strip().lower() in _TRUE


def child_environ(extra: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """The environment for programs that envhub starts (git, uv): ours plus `extra`.

    A variable whose value is `None` is taken out.
    """
    merged = {**os.environ, **(extra or {})}
    return {name: value for name, value in merged.items() if value is not None}


def uv_environ() -> dict[str, str | None]:
    """What to change in our environment for uv: everything goes that it does not need.

    A package that is built from source runs as a child of uv, and no token should be there.
    """
    known = {variable.name for variable in FOREIGN}
    return {name: None for name in os.environ if name not in known and not _BASICS.fullmatch(name)}


def worker_environ(own: Mapping[str, str]) -> dict[str, str | None]:
    """What to change in our environment for the process of an env: all goes that is not harmless.

    Args:
        own: variables that are its own, like `HOME`.
    """
    gone = {name: None for name in os.environ if not _HARMLESS.fullmatch(name)}
    return {**gone, **own}


def variables(names: Iterable[str]) -> dict[str, str]:
    """Those variables of the user's that an env asks for and that are set; never a token."""
    return {name: os.environ[name] for name in names if name in os.environ and name not in _TOKENS}


def uv_config() -> Path | None:
    """The user's own file of settings for uv, if there is one."""
    folder = os.environ.get("XDG_CONFIG_HOME") or os.environ.get("APPDATA")
    usual = Path(folder or Path.home() / ".config") / "uv" / "uv.toml"
    path = Path(os.environ.get("UV_CONFIG_FILE") or usual)
    return path if path.is_file() else None


def uv_folders() -> list[str]:
    """Folders on this machine that variables of uv's name as package indexes."""
    names = ("UV_FIND_LINKS", "UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL")
    words = " ".join(os.environ.get(name, "") for name in names).replace(",", " ").split()
    plain = (word.rpartition("=")[2].removeprefix("file://") for word in words)
    return [word for word in plain if word.startswith("/")]


def certificates() -> list[Path]:
    """Files and folders with certificates that the environment names."""
    names = ("SSL_CERT_FILE", "SSL_CERT_DIR")
    return [Path(os.environ[name]) for name in names if os.environ.get(name)]


def uv_index_names() -> frozenset[str]:
    """Names that the environment gives to package indexes."""
    text = f"{os.environ.get('UV_INDEX', '')} {os.environ.get('UV_DEFAULT_INDEX', '')}"
    return frozenset(re.findall(r"(?:^|\s)([\w.-]+)=", text))


def search_path() -> tuple[Path, ...]:
    """The folders of `PATH`, but those that nobody wrote down."""
    parts = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return tuple(Path(part) for part in parts if Path(part).is_absolute())


def pyenv_root() -> Path:
    """Where pyenv keeps its Pythons."""
    return Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")


def uv_pythons() -> Path:
    """Where uv keeps its Pythons."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or Path(data) / "uv" / "python")
