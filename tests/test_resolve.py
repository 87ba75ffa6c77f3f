"""Ref → Pin: what is asked of whom, what is known without asking, and what is said if it fails."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from envhub.errors import (
    EntryNotFoundError,
    HubError,
    HubUnreachableError,
    OfflineError,
    RepoNotFoundError,
    RevisionNotFoundError,
)
from envhub.fetch import fetch
from envhub.hubs.base import Commit
from envhub.hubs.git import GitRepo
from envhub.hubs.gitprogram import git
from envhub.hubs.huggingface import HuggingFaceHub
from envhub.hubs.local import LocalFolder
from envhub.pins import File, Pin, blob_id, tree_digest
from envhub.refs import Ref, parse
from envhub.resolve import entry_path, resolve
from envhub.store import Store
from envhub.testing import ServedHub, repos, serve_hub

FILES = {"env.py": "", "envs/env.py": "", "envs/pick.py": "", "README.md": "", "envs/a/x.txt": ""}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedHub]:
    with serve_hub(tmp_path / "hub") as hub:
        hub.add("u/r", FILES, tag="v1")
        yield hub


@pytest.fixture
def hub(served: ServedHub) -> HuggingFaceHub:
    return HuggingFaceHub(served.url)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


def test_pin(served: ServedHub, hub: HuggingFaceHub, store: Store) -> None:
    """A pin says everything: hub, repo, type, full commit, entry file and the tree's digest."""
    ref = parse("u/r@v1:envs/pick.py")
    repo = served.repo("model", "u/r")
    assert repo
    files = [File(path, blob_id(b""), 0) for path in FILES]
    expected = Pin(
        ref, served.url, "u/r", "model", repo.find("v1"), "envs/pick.py", tree_digest(files)
    )
    assert resolve(ref, hub, store) == expected


@pytest.mark.parametrize("repo_type", ["space", "dataset"])
def test_repo_type(repo_type: str, served: ServedHub, hub: HuggingFaceHub, store: Store) -> None:
    """A repo that is no model is found, and its type is on the pin, also offline."""
    served.add("u/other", FILES, repo_type=repo_type)
    pin = resolve(parse("u/other"), hub, store)
    assert pin.repo_type == repo_type
    assert resolve(parse(pin.pinned_ref), hub, store, offline=True).repo_type == repo_type


@pytest.mark.parametrize("name", ["envhub.toml", "pyproject.toml"])
def test_declared_entry(
    name: str, served: ServedHub, hub: HuggingFaceHub, store: Store, tmp_path: Path
) -> None:
    """Where there is no env.py and the ref names no file, the manifest does; offline, too."""
    table = "[tool.envhub]\n" if name == "pyproject.toml" else ""
    files: repos.Repo = {name: f'{table}entry = "envs/pick.py"\n', "envs/pick.py": "x = 1\n"}
    served.add("u/declared", files)
    ref = parse("u/declared")
    pin = resolve(ref, hub, store)
    assert pin.path == "envs/pick.py"
    fetch(pin, hub, store)
    assert resolve(ref, hub, store, offline=True) == pin
    folder = repos.write(files, tmp_path / "folder")
    assert resolve(parse(str(folder)), LocalFolder(folder), store).path == "envs/pick.py"
    assert resolve(parse("u/declared:envs/pick.py"), hub, store).path == "envs/pick.py"
    repos.write({"env.py": ""}, folder)
    assert resolve(parse(str(folder)), LocalFolder(folder), store).path == "env.py"


def test_declared_entry_that_is_not_there(tmp_path: Path, store: Store) -> None:
    """The manifest may be wrong, or say nothing about it."""
    folder = repos.write({"envhub.toml": 'entry = "envs/x.py"', "a.py": ""}, tmp_path / "folder")
    with pytest.raises(EntryNotFoundError, match=r"envs/x\.py"):
        resolve(parse(str(folder)), LocalFolder(folder), store)
    repos.write({"envhub.toml": ""}, folder)
    with pytest.raises(EntryNotFoundError, match=r"env\.py"):
        resolve(parse(str(folder)), LocalFolder(folder), store)


@pytest.mark.parametrize(
    ("path", "entry"),
    [
        (None, "env.py"),
        ("env.py", "env.py"),
        ("envs", "envs/env.py"),
        ("envs/pick.py", "envs/pick.py"),
    ],
)
def test_entry(path: str | None, entry: str) -> None:
    """No path is env.py, a folder is its env.py, and a file is that file."""
    files = [File(name, blob_id(b""), 0) for name in FILES]
    assert entry_path(Ref("hub", "u/r", path=path), files) == entry


@pytest.mark.parametrize(
    ("ref", "what", "hint"),
    [
        ("u/r@v1:envv.py", "no file 'envv.py'", "did you mean u/r@v1:env.py"),
        ("u/r:pick.py", "no file 'pick.py'", "u/r:envs/pick.py"),
        ("u/r:envs/a", "no file 'envs/a/env.py'", "u/r:envs/env.py"),
        ("u/r:qqq", "no file 'qqq'", "u/r:env.py or u/r:envs/env.py or u/r:envs/pick.py"),
        ("u/r:README.md", "is no Python file", "u/r:env.py"),
    ],
)
def test_no_such_entry(ref: str, what: str, hint: str) -> None:
    """A missing file is answered with near names, each as a ref that would work."""
    files = [File(name, blob_id(b""), 0) for name in FILES]
    with pytest.raises(EntryNotFoundError, match=what) as caught:
        entry_path(parse(ref), files)
    assert hint in caught.value.hint


def test_no_python_at_all() -> None:
    """A repo without code says so."""
    with pytest.raises(FileNotFoundError, match="no Python file at all"):
        entry_path(parse("u/r"), [File("model.bin", blob_id(b""), 0)])


def test_answer_from_the_listing(served: ServedHub, hub: HuggingFaceHub, store: Store) -> None:
    """For a misspelt file nothing is downloaded."""
    with pytest.raises(EntryNotFoundError):
        resolve(parse("u/r:envv.py"), hub, store)
    assert [r for r in served.requests if "/resolve/" in r.path] == []


def test_known_commit(served: ServedHub, hub: HuggingFaceHub, store: Store) -> None:
    """A full commit that was seen before is not asked about, however it was typed then."""
    pin = resolve(parse("u/r@v1"), hub, store)
    served.requests.clear()
    again = resolve(parse(f"u/r@{pin.commit}:envs"), hub, store)
    assert served.requests == []
    assert (again.commit, again.digest, again.path) == (pin.commit, pin.digest, "envs/env.py")


def test_moving_ref(served: ServedHub, hub: HuggingFaceHub, store: Store) -> None:
    """A branch is asked about every time."""
    old = resolve(parse("u/r"), hub, store)
    new = served.add("u/r", {"env.py": "new"})
    assert old.commit != resolve(parse("u/r"), hub, store).commit == new


def test_unreachable(
    served: ServedHub, hub: HuggingFaceHub, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """If the hub is away, a ref means what it last meant, and the log says so."""
    pin = resolve(parse("u/r@v1"), hub, store)
    served.fail(503)
    with caplog.at_level(logging.WARNING, "envhub"):
        assert resolve(parse("u/r@v1"), hub, store) == pin
    assert str(pin.commit) in caplog.text
    with pytest.raises(HubUnreachableError):
        resolve(parse("u/r@main"), hub, store)


def test_offline(served: ServedHub, hub: HuggingFaceHub, store: Store) -> None:
    """Offline a ref means what it last meant; one never resolved is refused."""
    pin = resolve(parse("u/r@v1"), hub, store)
    served.requests.clear()
    assert resolve(parse("u/r@v1"), hub, store, offline=True) == pin
    with pytest.raises(OfflineError, match="never resolved") as caught:
        resolve(parse("u/r@main:envs"), hub, store, offline=True)
    assert caught.value.hint.startswith("envhub fetch u/r@main:envs ")
    assert served.requests == []


def test_hubs_do_not_share(
    served: ServedHub, hub: HuggingFaceHub, store: Store, tmp_path: Path
) -> None:
    """A repo of the same name on another hub is another repo."""
    resolve(parse("u/r"), hub, store)
    with serve_hub(tmp_path / "other") as other:
        other.add("u/r", {"env.py": "another"})
        pin = resolve(parse("u/r"), HuggingFaceHub(other.url), store)
    assert pin.digest != resolve(parse("u/r"), hub, store, offline=True).digest
    unknown = HuggingFaceHub("http://127.0.0.1:9")
    with pytest.raises(OfflineError):
        resolve(parse("u/r"), unknown, store, offline=True)


def test_folder_of_that_name(
    hub: HuggingFaceHub, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If there is no such repo, or no hub, but a folder of that name, the hint is the folder."""
    (tmp_path / "my" / "env").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RepoNotFoundError) as caught:
        resolve(parse("my/env"), hub, store)
    assert caught.value.hint.startswith("./my/env ")
    nobody = HuggingFaceHub("http://127.0.0.1:9")
    for offline, kind in ((False, HubUnreachableError), (True, OfflineError)):
        with pytest.raises(kind) as alone:
            resolve(parse("my/env"), nobody, store, offline=offline)
        assert alone.value.hint.startswith("./my/env ")


def test_gone_from_the_hub(served: ServedHub, hub: HuggingFaceHub, store: Store) -> None:
    """If a revision vanished, the hint is the commit that it last meant."""
    pin = resolve(parse("u/r@v1"), hub, store)
    served.fail(404)
    with pytest.raises(HubError):
        resolve(parse("u/r@v1"), hub, store)
    served.fail(None)
    repo = served.repo("model", "u/r")
    assert repo
    git("update-ref", "-d", "refs/tags/v1", folder=repo.folder)
    with pytest.raises(RevisionNotFoundError) as caught:
        resolve(parse("u/r@v1"), hub, store)
    assert caught.value.hint.startswith(f"u/r@{pin.commit} ")


def test_nothing_anywhere(hub: HuggingFaceHub, store: Store) -> None:
    """A repo that is nowhere keeps the hub's own hint."""
    with pytest.raises(RepoNotFoundError) as caught:
        resolve(parse("no/where"), hub, store)
    assert caught.value.hint


@pytest.mark.parametrize("commit", ["", "main", "../../x", "A" * 40, "0" * 39])
def test_no_commit(commit: str, served: ServedHub, store: Store) -> None:
    """A hub that answers with something that is no commit is refused before it names a folder."""

    class Odd(HuggingFaceHub):
        def resolve(self, ref: Ref) -> Commit:
            return replace(super().resolve(ref), id=commit)

    with pytest.raises(HubError, match="answered with the commit"):
        resolve(parse("u/r"), Odd(served.url), store)
    assert not store.root.exists()


def test_subdirectories(served: ServedHub, store: Store) -> None:
    """Two folders of one git commit are two env repos with listings of their own."""
    repo = served.repo("model", "u/r")
    assert repo
    url = f"git+file://{repo.folder}"
    hub = GitRepo(f"file://{repo.folder}", cache=store.git)
    whole, part = (parse(text) for text in (url, f"{url}#subdirectory=envs"))
    pins = [resolve(ref, hub, store) for ref in (whole, part)]
    assert [resolve(ref, hub, store, offline=True) for ref in (whole, part)] == pins
    assert pins[0].commit == pins[1].commit
    assert pins[0].digest != pins[1].digest
    assert pins[1].path == "env.py"


def test_folder(store: Store, tmp_path: Path) -> None:
    """A folder on this machine has no commit; its digest follows its files; nothing is stored."""
    (tmp_path / "env.py").write_text("1")
    ref = parse(str(tmp_path))
    hub = LocalFolder(tmp_path)
    first = resolve(ref, hub, store, offline=True)
    assert (first.commit, first.dirty, first.repo_type) == (None, True, "local")
    (tmp_path / "env.py").write_text("2")
    assert resolve(ref, hub, store).digest != first.digest
    assert not store.root.exists()


def test_damaged_memory(served: ServedHub, hub: HuggingFaceHub, store: Store) -> None:
    """A cache whose notes are damaged knows nothing and asks again."""
    pin = resolve(parse("u/r@v1"), hub, store)
    for path in [*store.root.glob("refs/*"), *store.root.glob("sources/*/*/*/files.json")]:
        path.write_text("{")
    with pytest.raises(OfflineError):
        resolve(parse("u/r@v1"), hub, store, offline=True)
    assert resolve(parse("u/r@v1"), hub, store) == pin
    assert resolve(parse("u/r@v1"), hub, store, offline=True) == pin
