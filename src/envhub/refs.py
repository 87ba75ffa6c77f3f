"""What the user types: `user/repo@rev:path` and its longer forms. Never touches disk or network.

| form | means |
|---|---|
| `owner/name[@rev][:path]` | the default hub; `spaces/owner/name`, `datasets/owner/name` too |
| `hf://[models/]owner/name[@rev][/path]` | the Hugging Face Hub |
| `https://host/owner/name[/tree/rev[/path]]` | a pasted address (`/blob/rev/path` too) |
| `hub+https://host/owner/name[@rev][:path]` | any hub that speaks the same protocol |
| `git+https://host/repo[@rev][#subdirectory=dir][:path]` | any git URL (`ssh`, `file`, `http`) |
| `./folder[:path]`, `/folder`, `~/folder`, `file:/folder` | a folder on this machine |
| `pypi:package[==version][#EnvId]` | a package that registers Gymnasium ids |
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Literal
from urllib.parse import quote, unquote

from envhub.errors import RefError
from envhub.names import CONTROL, RIGHT_FORM, check_path, check_repo, check_revision

Kind = Literal["hub", "git", "local", "pypi"]
RepoType = Literal["model", "space", "dataset"]

HUGGING_FACE_HUB = "hf"

_TYPES: dict[str, RepoType] = {"models": "model", "spaces": "space", "datasets": "dataset"}
_PREFIXES: dict[RepoType, str] = {kind: prefix for prefix, kind in _TYPES.items()}
_GIT_HOSTS = {"github.com", "gitlab.com", "bitbucket.org", "codeberg.org"}
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_SCP = re.compile(r"[\w.-]+@[\w.-]+:[\w./~-]+")
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]")
_LOGIN = re.compile(r"(\s*(?:git\+|hub\+)?(https?|ssh)://)([^/]*)@", re.IGNORECASE)
_HOST = re.compile(r"(?:[\w.~%-]+(?::[^@/\s]*)?@)?(?:[\w.-]+|\[[0-9a-fA-F:]+\])(?::\d+)?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_VERSION = re.compile(r"\w[\w.!+-]*")
_BOUND = r"(===|[=~!<>]=|[<>])[\w.*+!-]+"
_PACKAGE = re.compile(
    rf"(?P<name>[A-Za-z0-9][\w.-]*(\[[\w,.-]+\])?)(?P<versions>{_BOUND}(,{_BOUND})*)?"
)
_HF_REVISION = re.compile(r"(refs/(?:pr|convert)/[^/]+|[^/]+)(?:/(.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference as a value; `parse(str(ref)) == ref`.

    Attributes:
        kind: which family of hubs answers it.
        location: `owner/name`, a git URL, a folder, or a package with its extras.
        endpoint: for `kind="hub"`: `""` is the default hub, `"hf"` Hugging Face, else its address.
        repo_type: for `kind="hub"`: the type if it was typed, else `None`.
        revision: branch, tag or commit as typed, else `None`; of a package its version, or the
            versions that would do, as in `>=3,<4`.
        path: file or folder inside the repo as typed, else `None`; of a package the env id.
        subdirectory: for `kind="git"`: the folder of the repo that is the env repo.
        login: for `kind="git"`: `user:password` of the address as typed. No text, no comparison
            and no file ever has it.
    """

    kind: Kind
    location: str
    endpoint: str = ""
    repo_type: RepoType | None = None
    revision: str | None = None
    path: str | None = None
    subdirectory: str | None = None
    login: str = field(default="", repr=False, compare=False)

    @property
    def is_pinned(self) -> bool:
        """Whether the revision is a full commit, or one version, which cannot move."""
        fixed = _VERSION if self.kind == "pypi" else _COMMIT
        return self.revision is not None and fixed.fullmatch(self.revision) is not None

    @property
    def params(self) -> dict[str, str]:
        """What the ref says to the repo's `make_env`: the id, if it names one of a package."""
        return {"env_id": self.path} if self.kind == "pypi" and self.path else {}

    def at(self, revision: str | None) -> Ref:
        """The same ref at another revision."""
        return replace(self, revision=revision)

    def __str__(self) -> str:
        return _FORMATS[self.kind](self)


def parse(text: str) -> Ref:
    """Parse what the user typed.

    Raises:
        RefError: the text is no ref; the message names the offending part.
    """
    if not isinstance(text, str):
        raise RefError(f"a ref is text, not {type(text).__name__}", hint=RIGHT_FORM)
    text, login = _cut_login(text)
    if not text.strip():
        raise RefError("the ref is empty", hint=RIGHT_FORM)
    if text != text.strip():
        raise RefError(f"{text!r} begins or ends with white space", hint=repr(text.strip()))
    if CONTROL.search(text):
        raise RefError(f"{text!r} has a control character in it", hint=RIGHT_FORM)
    ref = _parse_kind(text)
    if any(part != part.strip() for part in (ref.location, ref.path or "", ref.subdirectory or "")):
        raise RefError(f"a part of {text!r} begins or ends with white space", hint=RIGHT_FORM)
    if login and ref.kind != "git":
        raise RefError(
            f"a user name or a password stood before the host in {text!r}",
            why="they would be sent to a hub that takes tokens",
            hint="leave them out and give the token: token=…, ENVHUB_TOKEN or HF_TOKEN",
        )
    return replace(ref, login=login)


def _cut_login(text: str) -> tuple[str, str]:
    """Take `user:password@` out of an address, first of all, so that no message can show it."""
    found = _LOGIN.match(text)
    if not found:
        return text, ""
    start, scheme, login = found.groups()
    user, colon, _ = login.partition(":")
    if scheme.lower() == "ssh":  # there the user name is part of the address, and no secret
        start, login = f"{start}{user}@", login if colon else ""
    return start + text[found.end() :], login


def _parse_kind(text: str) -> Ref:
    if text.startswith(("./", "../", "/", "~/")) or text in {".", "..", "~"}:
        return _parse_local(text, text)
    if _WINDOWS.match(text) or text.startswith(".\\"):
        return Ref("local", text)
    scheme = _SCHEME.match(text)
    parser = _SCHEMES.get(scheme.group(1).lower()) if scheme else None
    if scheme and parser:
        return parser(text, text[scheme.end() :])
    if scheme and text[scheme.end() :].startswith("//"):
        raise RefError(
            f"{text!r} has the unknown scheme {scheme.group(1)!r}",
            hint=f"known ones are {', '.join(sorted(_SCHEMES))}",
        )
    if _SCP.fullmatch(text) and "/" not in text.partition(":")[0]:
        user_host, _, path = text.partition(":")
        raise RefError(
            f"{text!r} is git's short form of an address", hint=f"git+ssh://{user_host}/{path}"
        )
    return _parse_repo(text, text, endpoint="")


def _parse_repo(text: str, rest: str, *, endpoint: str) -> Ref:
    """`[type/]owner/name[@revision][:path]`."""
    address, path = _split_path(text, rest)
    repo, at, revision = address.partition("@")
    if at:
        check_revision(text, revision)
    repo_type, repo = _split_type(repo)
    check_repo(text, repo)
    return Ref("hub", repo, endpoint, repo_type, revision if at else None, path)


def _parse_hub(text: str, rest: str) -> Ref:
    """`hub+https://host/owner/name@rev:path`."""
    scheme = text.partition("://")[0].lower().removeprefix("hub+")
    host, path = _split_host(text, rest)
    return _parse_repo(text, path, endpoint=f"{scheme}://{host}")


def _parse_web(text: str, rest: str) -> Ref:
    """A pasted `https://host/owner/name/tree/rev/path`."""
    scheme = text.partition(":")[0].lower()
    host, tail = _split_host(text, rest)
    tail = tail.partition("?")[0].partition("#")[0].rstrip("/")
    if host.lower() in _GIT_HOSTS:
        return _parse_git_page(text, f"{scheme}://{host}", tail)
    repo_type, tail = _split_type(tail)
    owner, _, tail = tail.partition("/")
    name, _, tail = tail.partition("/")
    if "@" in name or ":" in name:
        return _parse_repo(
            text, f"{owner}/{name}/{tail}".rstrip("/"), endpoint=f"{scheme}://{host}"
        )
    check_repo(text, f"{owner}/{name}")
    revision, path = _split_page(text, tail)
    return Ref("hub", f"{owner}/{name}", f"{scheme}://{host}", repo_type, revision, path)


def _parse_git_page(text: str, site: str, tail: str) -> Ref:
    owner, _, tail = tail.partition("/")
    name, _, tail = tail.partition("/")
    if "@" in name or ":" in name:
        return _parse_git(text, f"//{site.partition('://')[2]}/{owner}/{name}/{tail}".rstrip("/"))
    check_repo(text, f"{owner}/{name.removesuffix('.git')}")
    revision, path = _split_page(text, tail.removeprefix("-/"))
    return Ref("git", f"{site}/{owner}/{name}", revision=revision, path=path)


def _split_page(text: str, tail: str) -> tuple[str | None, str | None]:
    """Revision and path of `tree/rev/path`, as web pages of hubs have them."""
    if not tail:
        return None, None
    view, _, tail = tail.partition("/")
    revision, _, path = tail.partition("/")
    if view not in {"tree", "blob", "resolve", "raw"} or not revision:
        raise RefError(
            f"{text!r} is not the address of a repo, a folder or a file",
            why=f"the part {view!r} after the repo's name is not /tree/<revision> or /blob/…",
            hint=RIGHT_FORM,
        )
    revision = unquote(revision)
    check_revision(text, revision)
    return revision, check_path(text, unquote(path)) if path else None


def _parse_hf(text: str, rest: str) -> Ref:
    """`hf://[models|spaces|datasets/]owner/name[@rev][/path]`."""
    if not rest.startswith("//"):
        raise RefError(f"{text!r} lacks the // after its scheme", hint=f"hf://{rest.lstrip('/')}")
    repo_type, rest = _split_type(rest.removeprefix("//"))
    if ":" in rest and "@" not in rest.partition(":")[2]:
        parsed = _parse_repo(text, rest, endpoint=HUGGING_FACE_HUB)
        return replace(parsed, repo_type=repo_type)
    owner, _, rest = rest.partition("/")
    name, at, tail = rest.partition("@") if "@" in rest.partition("/")[0] else (rest, "", "")
    revision = None
    if at:
        found = _HF_REVISION.fullmatch(tail)
        if not found:
            raise RefError(f"the revision of {text!r} is empty", hint=f"hf://{owner}/{name}@main")
        revision, path = unquote(found.group(1)), found.group(2)
        check_revision(text, revision)
    else:
        name, _, path = name.partition("/")
    check_repo(text, f"{owner}/{name}")
    path = check_path(text, unquote(path)) if path else None
    return Ref("hub", f"{owner}/{name}", HUGGING_FACE_HUB, repo_type, revision, path)


def _parse_git(text: str, rest: str) -> Ref:
    """`git+https://host/repo[@rev][#subdirectory=dir][:path]`."""
    scheme = text.partition(":")[0].lower().removeprefix("git+")
    if not rest.startswith("//"):
        raise RefError(f"{text!r} lacks the // after its scheme", hint="git+https://host/repo")
    host, slash, tail = rest.removeprefix("//").partition("/")
    if scheme != "file" and not _HOST.fullmatch(host):
        raise RefError(f"{text!r} has no host name", hint="git+https://host/repo")
    address, hash_, fragment = tail.partition("#")
    subdirectory = path = None
    if hash_:
        fragment, path = _split_path(text, fragment)
        key, _, value = fragment.partition("=")
        if key != "subdirectory":
            raise RefError(f"{text!r} has #{fragment}", hint="#subdirectory=folder is known")
        subdirectory = check_path(text, value)
    else:
        address, path = _split_path(text, address)
    repo, at, revision = address.rpartition("@") if "@" in address else (address, "", "")
    if at:
        check_revision(text, revision)
    if not repo.strip("/"):
        raise RefError(f"{text!r} names no repo", hint="git+https://host/repo")
    location = f"{scheme}://{host}{slash}{repo.rstrip('/')}"
    return Ref("git", location, "", None, revision if at else None, path, subdirectory)


def _parse_local(text: str, rest: str) -> Ref:
    """`./folder[:path]`; a file `./folder/env.py` is that file of its folder."""
    folder, path = _split_path(text, rest)
    folder = folder.rstrip("/") or folder[:1]
    if not folder:
        raise RefError(f"{text!r} names no folder", hint="./folder")
    if path is None and folder.endswith(".py") and "/" in folder:
        folder, _, path = folder.rpartition("/")
        folder, path = folder.rstrip("/") or "/", check_path(text, path)
    return Ref("local", folder, path=path)


def _parse_file(text: str, rest: str) -> Ref:
    """`file:/folder` and `file:///folder`."""
    folder = unquote(re.sub(r"^//(localhost(?=/))?", "", rest))
    if not folder.startswith(("/", "./", "../", "~/")) or CONTROL.search(folder):
        raise RefError(f"{text!r} names no folder", hint="file:///folder")
    return _parse_local(text, folder)


def _parse_pypi(text: str, rest: str) -> Ref:
    """`pypi:package[==version][#EnvId]`."""
    requirement, hash_, env_id = (part.strip() for part in rest.partition("#"))
    found = _PACKAGE.fullmatch(requirement)
    if not found:
        raise RefError(
            f"{text!r} names no package", hint="pypi:minigrid==3.2.0#MiniGrid-Empty-5x5-v0"
        )
    if hash_ and not env_id:
        raise RefError(f"the env id of {text!r} is empty", hint=f"pypi:{requirement}#EnvId-v0")
    versions = found["versions"]
    version = (versions or "").removeprefix("==")
    is_one = versions == f"=={version}" and _VERSION.fullmatch(version)
    revision = version if is_one else versions
    return Ref("pypi", found["name"], revision=revision, path=env_id or None)


def _split_path(text: str, rest: str) -> tuple[str, str | None]:
    """Cut `:path` off; there is one colon at most, since no path and no revision has one."""
    head, colon, path = rest.partition(":")
    return head, check_path(text, path) if colon else None


def _split_type(repo: str) -> tuple[RepoType | None, str]:
    prefix, slash, rest = repo.partition("/")
    if slash and prefix in _TYPES and "/" in rest:
        return _TYPES[prefix], rest
    return None, repo


def _split_host(text: str, rest: str) -> tuple[str, str]:
    host, _, tail = rest.removeprefix("//").partition("/")
    if not rest.startswith("//") or not _HOST.fullmatch(host) or "@" in host:
        raise RefError(f"{text!r} has no host name that works", hint="https://host/owner/name")
    return host, tail


def _format_hub(ref: Ref) -> str:
    prefix = f"{_PREFIXES[ref.repo_type]}/" if ref.repo_type else ""
    tail = _format_tail(ref)
    if ref.endpoint == HUGGING_FACE_HUB:
        revision = f"@{_quote_revision(ref.revision)}" if ref.revision else ""
        path = f"/{quote(ref.path)}" if ref.path else ""
        return f"hf://{prefix}{ref.location}{revision}{path}"
    if ref.endpoint:
        return f"hub+{ref.endpoint}/{prefix}{ref.location}{tail}"
    return f"{prefix}{ref.location}{tail}"


def _quote_revision(revision: str) -> str:
    return (
        revision
        if re.fullmatch(r"refs/(pr|convert)/[^/%]+", revision)
        else quote(revision, safe="")
    )


def _format_git(ref: Ref) -> str:
    revision = f"@{ref.revision}" if ref.revision else ""
    folder = f"#subdirectory={ref.subdirectory}" if ref.subdirectory else ""
    return f"git+{ref.location}{revision}{folder}" + (f":{ref.path}" if ref.path else "")


def _format_local(ref: Ref) -> str:
    slash = "/" if ref.location in {".", "..", "~"} else ""
    return f"{ref.location}{slash}{_format_tail(ref)}"


def _format_pypi(ref: Ref) -> str:
    versions = f"=={ref.revision}" if ref.is_pinned else ref.revision or ""
    return f"pypi:{ref.location}{versions}" + (f"#{ref.path}" if ref.path else "")


def _format_tail(ref: Ref) -> str:
    return (f"@{ref.revision}" if ref.revision else "") + (f":{ref.path}" if ref.path else "")


_FORMATS = {"hub": _format_hub, "git": _format_git, "local": _format_local, "pypi": _format_pypi}
_SCHEMES = {
    "hf": _parse_hf,
    "https": _parse_web,
    "http": _parse_web,
    "hub+https": _parse_hub,
    "hub+http": _parse_hub,
    "git+https": _parse_git,
    "git+http": _parse_git,
    "git+ssh": _parse_git,
    "git+file": _parse_git,
    "git+git": _parse_git,
    "file": _parse_file,
    "pypi": _parse_pypi,
}
