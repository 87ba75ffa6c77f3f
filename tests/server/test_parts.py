"""The parts of the hub that need no hub: attributes, limits, caches, passes, index, metrics."""

from __future__ import annotations

import os
import re
import string
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from sqlite3 import IntegrityError

import msgspec
import pygit2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pygit2.enums import FileMode

from envhub.errors import ArgumentError
from envhub.proc import run
from envhub.server import packs
from envhub.server.attributes import DEFAULT, is_ignored, is_lfs, with_lfs
from envhub.server.blobs import FolderBlobs
from envhub.server.commits import Author, Draft, Write, commit
from envhub.server.config import Config
from envhub.server.database import Database
from envhub.server.gitrepo import GitRepo
from envhub.server.index import front_matter, tags_of
from envhub.server.limits import Limit
from envhub.server.metrics import Metrics
from envhub.server.names import check_path
from envhub.server.recent import Recent
from envhub.server.refusals import Refusal
from envhub.server.signing import Signer

RULES = [
    ("*.bin filter=lfs -text", "a.bin", True),
    ("*.bin filter=lfs -text", "deep/er/a.bin", True),
    ("*.bin filter=lfs -text", "a.bin.txt", False),
    ("/a.bin filter=lfs", "a.bin", True),
    ("/a.bin filter=lfs", "b/a.bin", False),
    ("b/*.bin filter=lfs", "b/a.bin", True),
    ("b/*.bin filter=lfs", "b/c/a.bin", False),
    ("b/** filter=lfs", "b/c/a.bin", True),
    ("**/c/*.bin filter=lfs", "c/a.bin", True),
    ("**/c/*.bin filter=lfs", "x/y/c/a.bin", True),
    ("*.bin filter=lfs\nsmall.bin -filter", "small.bin", False),
    ("*.bin filter=lfs\nsmall.bin !filter", "small.bin", False),
    ("*.bin filter=lfs\nsmall.bin filter=other", "small.bin", False),
    ("*.bin text", "a.bin", False),
    ("# *.bin filter=lfs\n\n   ", "a.bin", False),
    (DEFAULT, "weights/model.safetensors", True),
    (DEFAULT, "assets/arm.stl", False),
    (DEFAULT, "env.py", False),
]


@pytest.mark.parametrize(("rules", "path", "verdict"), RULES)
def test_lfs_rules(tmp_path: Path, rules: str, path: str, verdict: bool) -> None:
    """The hub reads `.gitattributes` as git does."""
    assert is_lfs(rules, path) == verdict
    run(["git", "init", "-q", tmp_path])
    (tmp_path / ".gitattributes").write_text(rules)
    said = run(["git", "check-attr", "filter", path], cwd=tmp_path).text
    assert said.endswith(": lfs") == verdict


names = st.text(string.ascii_letters + " *?[]!#-._+ü", min_size=1, max_size=8)


@settings(max_examples=30, deadline=None)
@given(st.lists(names, min_size=1, max_size=3), st.lists(names, min_size=1, max_size=3))
def test_lines_for_paths(one: list[str], other: list[str]) -> None:
    """A line that the hub adds means that path, and no other of the same depth."""
    path, another = "/".join(one), "/".join(other)
    try:
        check_path(path)
    except Refusal:
        return
    rules = with_lfs("*.txt text\n", [path])
    assert is_lfs(rules, path)
    assert path == another or not is_lfs(rules, another)
    assert with_lfs(rules, [path]) == rules


def test_lines_for_paths_in_git(tmp_path: Path) -> None:
    """Git agrees about the oddest of them."""
    paths = ["a b.x", "[a]*?.x", "deep/!#.x", "#x", "!x", "ü.x", "a]b"]
    run(["git", "init", "-q", tmp_path])
    (tmp_path / ".gitattributes").write_text(with_lfs("", paths))
    for path in paths:
        said = run(["git", "check-attr", "-z", "filter", path], cwd=tmp_path).text
        assert said.split("\0")[2] == "lfs", path


IGNORED = [
    ("*.pyc", "a/b.pyc", True),
    ("build/", "build/x", True),
    ("build/", "build", False),
    ("build", "a/build/x", True),
    ("/build", "a/build/x", False),
    ("*.log\n!keep.log", "keep.log", False),
    ("# a\n\n", "a", False),
]


@pytest.mark.parametrize(("rules", "path", "verdict"), IGNORED)
def test_ignore_rules(rules: str, path: str, verdict: bool) -> None:
    """The hub reads `.gitignore` well enough to leave out what is left out elsewhere."""
    assert is_ignored(rules, path) == verdict


def test_pack(tmp_path: Path) -> None:
    """Blobs of any size come out of a pack as they went in; so they do without the git program."""
    repo = GitRepo.create(tmp_path / "a.git")
    contents = [b"", b"x", os.urandom(15), os.urandom(16), os.urandom(5000), b"y" * 300_000, b"x"]
    for _ in range(2):
        oids = packs.write(repo, contents)
        assert [repo.data(str(oid)) for oid in oids] == contents
    assert len(list((tmp_path / "a.git" / "objects" / "pack").glob("*.pack"))) == 1


def test_pack_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the git program is missing the API still commits."""
    monkeypatch.setenv("PATH", str(tmp_path))
    repo = GitRepo.create(tmp_path / "a.git")
    draft = Draft("many", changes=[Write(f"f{n}", b"%d" % n) for n in range(150)])
    made = commit(repo, "main", draft, Author("ada", "ada@example.org"))
    assert len(repo.entries(made)) == 150


def test_executables_stay(tmp_path: Path) -> None:
    """A file that was executable is so after it was changed through the API."""
    repo = GitRepo.create(tmp_path / "a.git")
    author = Author("ada", "ada@example.org")
    first = commit(repo, "main", Draft("a", changes=[Write("run", b"1")]), author)
    index = pygit2.Index()
    index.read_tree(repo.git[first].peel(pygit2.Tree))
    entry = index["run"]
    entry.mode = FileMode.BLOB_EXECUTABLE
    index.add(entry)
    tree = index.write_tree(repo.git)
    by = repo.git[first].peel(pygit2.Commit).author
    repo.git.create_commit("refs/heads/main", by, by, "x", tree, [first])
    second = commit(repo, "main", Draft("b", changes=[Write("run", b"2")]), author)
    assert repo.git[second].peel(pygit2.Tree)["run"].filemode == 0o100755


def test_limit() -> None:
    """A bucket is empty after so many requests, and fills up again."""
    now = 0.0
    limit = Limit(60, lambda: now)
    for _ in range(60):
        limit.take("a")
    with pytest.raises(Refusal) as refused:
        limit.take("a")
    assert refused.value.headers["Retry-After"] == "2"
    limit.take("b")
    now = 1.5
    limit.take("a")
    now = 1000.0
    for _ in range(60):
        limit.take("a")
    Limit(0).take("nobody counts")


def test_recent() -> None:
    """The cache forgets what was not used for longest, by cost."""
    made: list[str] = []

    def value(text: str) -> str:
        made.append(text)
        return text

    cache: Recent[str, str] = Recent(6, len)
    for text in ("aa", "bbb", "aa", "cc", "aa", "bbb"):
        cache.get(text, lambda text=text: value(text))  # type: ignore[misc]  # mypy knows no default here
    assert made == ["aa", "bbb", "cc", "bbb"]


def test_recent_between_threads() -> None:
    """Threads that make the same value at once do not count it twice."""
    barrier = threading.Barrier(4)
    cache: Recent[int, str] = Recent(3)

    def work() -> None:
        cache.get(1, lambda: str(barrier.wait(timeout=10) < 9))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for key in (1, 2, 3):
        cache.get(key, str)
    assert cache.get(1, lambda: "made again") == "True"


def test_signer(tmp_path: Path) -> None:
    """A pass is good for its purpose and time, at every process of the hub and no other hub."""
    signer, same = Signer(tmp_path / "secret"), Signer(tmp_path / "secret")
    other = Signer(tmp_path / "other")
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    text = signer.sign("x", 60, a=1)
    assert same.open("x", text)["a"] == 1
    for wrong, purpose in ((text, "y"), (signer.sign("x", -1), "x"), ("", "x"), ("ü.é", "x")):
        with pytest.raises(Refusal):
            signer.open(purpose, wrong)
    with pytest.raises(Refusal):
        other.open("x", text)


def test_config(tmp_path: Path) -> None:
    """Without a file the defaults hold; a field that there is not is told with those that are."""
    assert Config.read(tmp_path) == Config()
    (tmp_path / "hub.toml").write_text("quota = 5\nimmutable_tags = true\n")
    assert Config.read(tmp_path) == Config(quota=5, immutable_tags=True)
    for text in ("quotta = 5", "quota = 'x'", "="):
        (tmp_path / "hub.toml").write_text(text)
        with pytest.raises(ArgumentError) as refused:
            Config.read(tmp_path)
        assert "immutable_tags" in refused.value.hint


def test_config_is_documented() -> None:
    """docs/hosting.md has a line for each key, with its default."""
    page = (Path(__file__).parents[2] / "docs" / "hosting.md").read_text()
    found = dict(re.findall(r"^\| `(\w+)` \| `?([^|`]*)`? \| .* \|$", page, re.MULTILINE))
    told = {key: text.strip() for key, text in found.items()}
    fields = msgspec.structs.asdict(Config())
    expected = {key: str(value).lower() for key, value in fields.items()}
    assert told == expected | {"public_url": "what was asked for"}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "db", durable=False)
    yield made
    made.close()


def test_database(database: Database, tmp_path: Path) -> None:
    """A transaction that fails leaves nothing; a copy is whole; another process's is the same."""
    database.change("INSERT INTO blobs VALUES ('a', 1)")
    for statement in ("INSERT INTO blobs VALUES ('b', 1)", "INSERT INTO blobs VALUES ('a', 2)"):
        with suppress(IntegrityError), database.write() as connection:
            connection.execute("INSERT INTO blobs VALUES ('c', 1)")
            connection.execute(statement)
            raise IntegrityError
    database.copy(tmp_path / "copy")
    for path in (tmp_path / "db", tmp_path / "copy"):
        other = Database(path)
        assert [tuple(row) for row in other.all("SELECT * FROM blobs")] == [("a", 1)]
        assert other.check() == []
        other.close()
    with database.read() as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("INSERT INTO holdings VALUES (7, 'a', 0)")
    assert database.check() == ["row of holdings refers to nothing"]


def test_blobs(tmp_path: Path) -> None:
    """Only hashes name blobs; what is not there is not there."""
    blobs = FolderBlobs(tmp_path)
    for wrong in ("../../etc/passwd", "", "A" * 64, "0" * 63):
        with pytest.raises(Refusal):
            blobs.size(wrong)
    assert blobs.size("0" * 64) is None
    assert blobs.since("0" * 64) > 0
    assert blobs.address("0" * 64) is None
    blobs.delete("0" * 64)
    assert list(blobs) == []


CARDS = {
    "---\na: 1\n---\ntext": {"a": 1},
    "---\r\na: 1\r\n---\r\n": {"a": 1},
    "---\na: 1\n---": {"a": 1},
    "text\n---\na: 1\n---\n": {},
    "---\n- 1\n---\n": {},
    "---\na: [\n---\n": {},
    "---\na: &x 1\nb: *x\n---\n": {},
    "": {},
}


@pytest.mark.parametrize("readme", CARDS, ids=range(len(CARDS)))
def test_front_matter(readme: str) -> None:
    """The card is the front matter, if there is one that can be read."""
    assert front_matter(readme) == CARDS[readme]


def test_tags() -> None:
    """Other fields are tags, too, each once, and nothing that is no text or number."""
    card = {
        "tags": ["a", 1, None, {"x": 1}, "a"],
        "library_name": "envhub",
        "license": "mit",
        "language": ["en", "de"],
        "datasets": "d/s",
    }
    expected = ["a", "1", "envhub", "license:mit", "en", "de", "dataset:d/s"]
    assert tags_of(card) == expected
    assert tags_of({}) == []


def test_metrics() -> None:
    """Buckets hold all that took no longer, as Prometheus wants them."""
    metrics = Metrics()
    for seconds in (0.001, 0.05, 99.0):
        metrics.count("info", "GET", 200, seconds)
    text = metrics.text({"repos": 3})
    assert "envhub_repos 3\n" in text
    assert 'envhub_request_seconds_bucket{route="info",le="0.005"} 1\n' in text
    assert 'envhub_request_seconds_bucket{route="info",le="0.1"} 2\n' in text
    assert 'envhub_request_seconds_bucket{route="info",le="+Inf"} 3\n' in text
    assert 'envhub_request_seconds_count{route="info"} 3\n' in text
    assert 'envhub_request_seconds_sum{route="info"} 99.051000\n' in text
