"""What every kind of hub keeps to: one contract, one set of files, three places."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from envhub import proc
from envhub.errors import RepoNotFoundError
from envhub.hubs.base import Hub, below
from envhub.hubs.registry import hub_for
from envhub.pins import File, blob_id, tree_digest
from envhub.refs import Ref, parse
from envhub.settings import Settings
from envhub.testing import repos
from envhub.testing.hub import ServedHub
from envhub.tree import check_listing, hash_file

FILES: repos.Repo = {
    "env.py": "x = 1\n",
    "README.md": "# The repo\n",
    "assets/deep/mesh.bin": bytes(range(256)),
    "empty.txt": "",
    "odd name ü.txt": "odd\n",
}


@dataclass(frozen=True)
class Place:
    """A hub that has `FILES`, the ref that names them there, and one that names nothing."""

    hub: Hub
    ref: Ref
    missing: Hub
    missing_ref: Ref


Make = Callable[[str], Place]


@pytest.fixture(params=["model", "space", "dataset", "git+http", "git+file", "local"])
def place(request: pytest.FixtureRequest, hub: ServedHub, tmp_path: Path) -> Place:
    """The same files on each kind of hub, found by what a user would type."""
    kind: str = request.param
    repo_type = kind if kind in {"space", "dataset"} else "model"
    hub.add("user/repo", FILES, repo_type=repo_type)
    folder = repos.write(FILES, tmp_path / "folder" / "repo")
    address = {
        "git+http": f"git+{hub.git_url('user/')}",
        "git+file": f"git+file://{hub.folder}/models/user/",
        "local": f"{folder.parent}/",
    }.get(kind, "user/")
    tail = ".git" if kind == "git+file" else ""
    settings = Settings(tmp_path / "home", tmp_path / "config", endpoint=hub.url)
    refs = [parse(f"{address}{name}{tail}") for name in ("repo", "missing")]
    hubs = [hub_for(ref, settings) for ref in refs]
    return Place(hubs[0], refs[0], hubs[1], refs[1])


def fetch(place: Place, into: Path) -> tuple[File, ...]:
    commit = place.hub.resolve(place.ref)
    files = place.hub.files(place.ref, commit)
    into.mkdir(exist_ok=True)
    place.hub.download(place.ref, commit, files, into, lambda _: None)
    return files


def test_same_files_have_the_same_digest_everywhere(place: Place) -> None:
    """The pin does not depend on the kind of hub."""
    content = {k: v.encode() if isinstance(v, str) else v for k, v in FILES.items()}
    expected = {File(path, blob_id(data), len(data)) for path, data in content.items()}
    files = place.hub.files(place.ref, place.hub.resolve(place.ref))
    assert expected == set(files)
    assert tree_digest(expected) == tree_digest(files)
    check_listing(files, "user/repo")


def test_commit_is_full_or_none(place: Place) -> None:
    """None only for a folder, whose files are used where they are."""
    commit = place.hub.resolve(place.ref)
    assert place.hub.live == (commit.id is None)
    assert commit.id is None or len(commit.id) == 40
    assert commit.hub == place.hub.address
    assert commit.repo.rpartition("/")[2] == "repo"


def test_download_writes_real_files_with_the_listed_hashes(place: Place, tmp_path: Path) -> None:
    """And nothing else."""
    files = fetch(place, tmp_path / "out")
    written = [p for p in (tmp_path / "out").rglob("*") if not p.is_dir()]
    assert {f.path for f in files} == {p.relative_to(tmp_path / "out").as_posix() for p in written}
    assert all(hash_file(tmp_path / "out" / f.path, f.oid) == f.oid for f in files)
    assert not any(path.is_symlink() for path in written)


def test_download_into_a_folder_that_is_filled_already(place: Place, tmp_path: Path) -> None:
    """Ends with the same files."""
    assert fetch(place, tmp_path / "out") == fetch(place, tmp_path / "out")


def test_part_of_the_files(place: Place, tmp_path: Path) -> None:
    """Only what is asked for is written; progress tells its bytes."""
    commit = place.hub.resolve(place.ref)
    files = [f for f in place.hub.files(place.ref, commit) if f.path != "env.py"]
    told: list[int] = []
    place.hub.download(place.ref, commit, files, tmp_path / "out", told.append)
    assert sum(f.size for f in files) == sum(told)
    assert not (tmp_path / "out/env.py").exists()


def test_date(place: Place) -> None:
    """A commit is as old as its author says; a folder has no date."""
    commit = place.hub.resolve(place.ref)
    date = place.hub.date(place.ref, commit)
    assert (date is None) == place.hub.live
    assert date is None or (date.tzinfo is not None and date <= datetime.now(UTC))


def test_log(place: Place, hub: ServedHub) -> None:
    """The commits up to one, the newest first and no more than asked for; a folder has none."""
    first = place.hub.resolve(place.ref)
    if place.hub.live:
        assert place.hub.log(place.ref, first, 5) == ()
        return
    repo_type = first.repo_type if first.repo_type in {"space", "dataset"} else "model"
    for number in (1, 2):
        more = {f"{number}.txt": "new\n"}
        hub.add("user/repo", more, repo_type=repo_type, message=f"Change {number}\n\nmore")
    last = place.hub.resolve(place.ref)
    found = place.hub.log(place.ref, last, 5)
    assert [entry.title for entry in found] == ["Change 2", "Change 1", "Add files"]
    assert (found[0].id, found[-1].id) == (last.id, first.id)
    assert all(entry.author and entry.date.tzinfo for entry in found)
    assert place.hub.log(place.ref, last, 2) == found[:2]
    assert place.hub.log(place.ref, first, 5) == found[-1:]


def test_missing_repo(place: Place) -> None:
    """The same error with the name in it."""
    with pytest.raises(RepoNotFoundError, match="missing"):
        place.missing.resolve(place.missing_ref)


def test_address_names_the_hub_without_secrets(place: Place) -> None:
    """It goes into pins, lock files and the cache."""
    assert place.hub.address.startswith(("http://127.0.0.1:", "file:///"))
    assert "@" not in place.hub.address


@pytest.mark.parametrize("path", ["../x", "/x", "a/../../x"])
def test_below_never_leaves_the_folder(path: str, tmp_path: Path) -> None:
    """The second lock behind the check of the listing."""
    with pytest.raises(OSError, match="does not lie inside"):
        below(tmp_path, path)
    assert below(tmp_path, "a/b") == tmp_path / "a" / "b"


def test_program_that_is_talked_to_ends_with_the_block() -> None:
    """Also when the block fails while the program still has things to say."""
    with proc.talk(["cat"]) as (ask, answer):
        ask.write(json.dumps([1]).encode() + b"\n")
        ask.flush()
        assert answer.readline() == b"[1]\n"
    with pytest.raises(KeyError), proc.talk(["yes"]):
        raise KeyError
