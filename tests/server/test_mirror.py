"""A mirror in front of another hub, both of them real: what it has, and what it must not give."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import huggingface_hub as hf
import pytest
from tests.server.conftest import USERS, Running, run_hub

from envhub.errors import ArgumentError
from envhub.proc import run
from envhub.server.checking import check
from envhub.server.config import Config, Upstream
from envhub.server.hub import Hub

LARGE = os.urandom(3_000_000)


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The hub that is mirrored."""
    yield from run_hub(tmp_path_factory.mktemp("upstream"), lfs_over=100_000)


@pytest.fixture
def mirrored(tmp_path: Path) -> Callable[..., Any]:
    """Makes mirrors of a hub."""

    @contextmanager
    def make(url: str, name: str = "mirror", **rules: Any) -> Iterator[Running]:
        mirror = Upstream(url, **{"seconds": 0.0, **rules})
        generator = run_hub(tmp_path / name, mirror=mirror)
        try:
            yield next(generator)
        finally:
            next(generator, None)

    return make


def published(upstream: Running, **wanted: Any) -> str:
    """A repo with a small file, a large one, and a tag."""
    repo = upstream.new(**wanted)
    oid = upstream.send_lfs(repo, LARGE)
    value = {"path": "large.bin", "algo": "sha256", "oid": oid}
    line = {"key": "lfsFile", "value": value}
    assert upstream.commit(repo, {"env.py": "x = 1\n"}, lines=[line]).status_code == 200
    tag = {"tag": "v1"}
    assert upstream.post(f"/api/models/{repo}/tag/main", tag, "ada").status_code == 200
    return repo


def test_served_when_upstream_is_gone(
    tmp_path: Path, mirrored: Callable[..., Any], git: Any
) -> None:
    """What was asked for once can be had, by all clients, when the other hub is gone."""
    generator = run_hub(tmp_path / "upstream", lfs_over=100_000)
    upstream = next(generator)
    repo = published(upstream)
    head = upstream.head(repo)
    with mirrored(upstream.url) as mirror:
        first = snapshot(mirror, repo, tmp_path / "first")
        assert first == {"env.py": b"x = 1\n", "large.bin": LARGE} | {
            ".gitattributes": first[".gitattributes"]
        }
        next(generator, None)
        assert snapshot(mirror, repo, tmp_path / "second") == first
        assert snapshot(mirror, repo, tmp_path / "third", head) == first
        api = hf.HfApi(endpoint=mirror.url, token=False)
        assert [tag.target_commit for tag in api.list_repo_refs(repo).tags] == [head]
        assert [found.id for found in api.list_models(search=repo)] == [repo]
        done = git("clone", "clone", mirror.remote(repo), "work")
        assert done.returncode == 0
        assert git("clone/work", "rev-parse", "HEAD").text == head
        assert mirror.get("/api/models/ada/never-seen").status_code == 401
        assert list(check(mirror.hub, deep=True)) == []


def snapshot(hub: Running, repo: str, cache: Path, revision: str = "v1") -> dict[str, bytes]:
    """All files, by the unmodified client with an empty cache."""
    folder = hf.snapshot_download(
        repo, revision=revision, endpoint=hub.url, token=False, cache_dir=cache
    )
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def test_it_follows(upstream: Running, mirrored: Callable[..., Any]) -> None:
    """Branches and tags are those of the other hub; commits that they left stay."""
    repo = published(upstream)
    with mirrored(upstream.url) as mirror:
        old = mirror.head(repo, "eve")
        upstream.post(f"/api/models/{repo}/branch/side", {}, "ada")
        upstream.commit(repo, {"env.py": "x = 2\n"}, revision="side")
        side = upstream.head(repo, revision="side")
        assert mirror.head(repo, "eve", "side") == side
        assert upstream.ask("DELETE", f"/api/models/{repo}/branch/side", user="ada").is_success
        assert mirror.get(f"/api/models/{repo}/revision/side").status_code == 404
        assert mirror.get(f"/{repo}/resolve/{side}/env.py").text == "x = 2\n"
        upstream.commit(repo, {"env.py": "x = 3\n"})
        assert mirror.get(f"/{repo}/resolve/main/env.py").text == "x = 3\n"
        assert mirror.get(f"/{repo}/resolve/{old}/env.py").text == "x = 1\n"


def test_it_asks_now_and_then(upstream: Running, mirrored: Callable[..., Any]) -> None:
    """Within some time it is not asked twice, neither for what is there nor for what is not."""
    repo, later = published(upstream), "ada/later"
    with mirrored(upstream.url, seconds=1000.0) as mirror:
        head = mirror.head(repo, "eve")
        upstream.commit(repo, {"env.py": "x = 2\n"})
        assert mirror.head(repo, "eve") == head
        assert mirror.get(f"/api/models/{later}").status_code == 401
        upstream.post("/api/repos/create", {"name": "later"}, "ada")
        assert mirror.get(f"/api/models/{later}").status_code == 401


def test_a_pin_that_no_branch_leads_to(upstream: Running, mirrored: Callable[..., Any]) -> None:
    """A commit that was left before the mirror knew the repo can be had by its full hash."""
    repo = published(upstream)
    upstream.post(f"/api/models/{repo}/branch/side", {}, "ada")
    upstream.commit(repo, {"env.py": "x = 2\n"}, revision="side")
    left = upstream.head(repo, revision="side")
    upstream.ask("DELETE", f"/api/models/{repo}/branch/side", user="ada")
    with mirrored(upstream.url) as mirror:
        assert mirror.get(f"/{repo}/resolve/{left}/env.py").text == "x = 2\n"
        assert mirror.get(f"/{repo}/resolve/{'1' * 40}/env.py").status_code == 404


WRITES: list[tuple[str, str, Any]] = [
    ("POST", "/api/repos/create", {"name": "x"}),
    ("DELETE", "/api/repos/delete", {"name": "{name}"}),
    ("POST", "/api/repos/move", {"fromRepo": "ada/{name}", "toRepo": "ada/y"}),
    ("PUT", "/api/models/ada/{name}/settings", {"visibility": "private"}),
    ("POST", "/api/models/ada/{name}/branch/b", {}),
    ("POST", "/api/models/ada/{name}/tag/main", {"tag": "v9"}),
    ("DELETE", "/api/models/ada/{name}/tag/v1", None),
    ("POST", "/api/models/ada/{name}/preupload/main", {"files": []}),
    ("POST", "/api/models/ada/{name}/commit/main", {"key": "header", "value": {"summary": "x"}}),
    ("GET", "/api/models/ada/{name}/xet-write-token/main", None),
    ("POST", "/ada/{name}.git/info/lfs/objects/batch", {"operation": "upload", "objects": []}),
    ("GET", "/ada/{name}.git/info/refs?service=git-receive-pack", None),
]


def test_no_writes(upstream: Running, mirrored: Callable[..., Any]) -> None:
    """Nobody changes anything in a mirror, not even the owner; it says where to."""
    repo = published(upstream)
    name = repo.partition("/")[2]
    with mirrored(upstream.url) as mirror:
        before = mirror.get(f"/api/models/{repo}/refs").json()
        for method, path, body in WRITES:
            filled = body and {
                key: value.format(name=name) if isinstance(value, str) else value
                for key, value in body.items()
            }
            answer = mirror.ask(method, path.format(name=name), user="ada", json=filled)
            assert answer.status_code == 403, (method, path, answer.text)
            assert f"publish to {upstream.url}" in answer.json()["error"]
        assert mirror.get(f"/api/models/{repo}/refs").json() == before


def test_private_stays_private(
    upstream: Running, mirrored: Callable[..., Any], tmp_path: Path
) -> None:
    """With a token of its own the mirror has private repos, for members of their owner only."""
    repo = published(upstream, private=True)
    with mirrored(upstream.url, "without") as mirror:
        for user in (None, *USERS):
            assert mirror.get(f"/api/models/{repo}", user).status_code in {401, 404}
        assert mirror.hub.repos.find("model", repo) is None
    file = tmp_path / "token"
    file.write_text(f"{upstream.tokens['ada']}\n")
    with mirrored(upstream.url, "with", token_file=str(file)) as mirror:
        for when in ("before", "after"):
            for user in (None, "bob", "eve"):
                for path in (f"/api/models/{repo}", f"/{repo}/resolve/main/large.bin"):
                    assert mirror.get(path, user).status_code in {401, 404}, (when, user, path)
            found = mirror.hub.repos.find("model", repo)
            assert (found is None) == (when == "before")
            assert mirror.get(f"/{repo}/resolve/main/large.bin", "ada").content == LARGE
        assert mirror.get("/api/models").json() == []


def test_withdrawn(upstream: Running, mirrored: Callable[..., Any]) -> None:
    """What the other hub does not show any more, or only to some, the mirror shows to nobody."""
    hidden, gated = published(upstream), published(upstream)
    with mirrored(upstream.url) as mirror:
        for repo in (hidden, gated):
            assert mirror.get(f"/{repo}/resolve/main/large.bin").content == LARGE
        settings = {"visibility": "private"}
        upstream.ask("PUT", f"/api/models/{hidden}/settings", user="ada", json=settings)
        settings = {"gated": "manual"}
        upstream.ask("PUT", f"/api/models/{gated}/settings", user="ada", json=settings)
        for repo in (hidden, gated):
            assert mirror.get(f"/{repo}/resolve/main/large.bin").status_code == 401
            assert mirror.get(f"/api/models/{repo}", "eve").status_code == 404
        settings = {"visibility": "public"}
        upstream.ask("PUT", f"/api/models/{hidden}/settings", user="ada", json=settings)
        assert mirror.get(f"/{hidden}/resolve/main/env.py").text == "x = 1\n"


def test_fetched_once(upstream: Running, mirrored: Callable[..., Any]) -> None:
    """However many ask for a large file at once, or for parts of it, it is fetched once."""
    repo = published(upstream)
    before = downloads(upstream)
    with mirrored(upstream.url) as mirror:
        mirror.head(repo, "eve")
        path = f"/{repo}/resolve/main/large.bin"
        assert mirror.ask("HEAD", path).headers["content-length"] == str(len(LARGE))
        assert downloads(upstream) == before

        def get(number: int) -> bool:
            low = number % 3 * 1_000_000
            answer = mirror.get(path, headers={"Range": f"bytes={low}-"})
            return bool(answer.content == LARGE[low:])

        with ThreadPoolExecutor(12) as pool:
            assert all(pool.map(get, range(12)))
        assert downloads(upstream) == before + 1
        found = mirror.hub.repos.find("model", repo)
        assert found
        assert mirror.hub.holdings.used([found]) >= len(LARGE)


def downloads(hub: Running) -> int:
    """How often a large file was fetched the LFS way."""
    lines = hub.get("/metrics").text.splitlines()
    wanted = 'envhub_requests_total{route="download",method="GET",status="200"} '
    return sum(int(line.removeprefix(wanted)) for line in lines if line.startswith(wanted))


def test_wrong_bytes(upstream: Running, mirrored: Callable[..., Any]) -> None:
    """A file that arrives with other bytes is complete for nobody, and not kept."""
    repo = upstream.new()
    data = os.urandom(2_000_000)
    oid = upstream.send_lfs(repo, data)
    upstream.commit(
        repo, {}, lines=[{"key": "lfsFile", "value": {"path": "f", "algo": "sha256", "oid": oid}}]
    )
    blob = upstream.hub.folder / "blobs" / oid[:2] / oid[2:4] / oid
    blob.chmod(0o600)
    blob.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with mirrored(upstream.url) as mirror:
        with pytest.raises(httpx2.RemoteProtocolError):
            mirror.get(f"/{repo}/resolve/main/f")
        assert list(mirror.hub.blobs) == []
        blob.write_bytes(data)
        assert mirror.get(f"/{repo}/resolve/main/f").content == data
        assert list((mirror.hub.folder / "tmp").iterdir()) == []
    blob.write_bytes(data)


def test_hash_opens_nothing(upstream: Running, mirrored: Callable[..., Any]) -> None:
    """A pointer to another repo's file gives nothing in a mirror, either."""
    victim, attacker = published(upstream), upstream.new("eve")
    secret = os.urandom(5000)
    oid = upstream.send_lfs(victim, secret)
    line = {"key": "lfsFile", "value": {"path": "s", "algo": "sha256", "oid": oid}}
    upstream.commit(victim, {}, lines=[line])
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 5000\n"
    assert upstream.commit(attacker, {"s": pointer}, "eve").status_code == 200
    with mirrored(upstream.url) as mirror:
        assert mirror.get(f"/{victim}/resolve/main/s").content == secret
        with pytest.raises(httpx2.RemoteProtocolError):
            mirror.get(f"/{attacker}/resolve/main/s")


def test_only_some_owners(upstream: Running, mirrored: Callable[..., Any]) -> None:
    """A mirror may be for some owners only."""
    repo, other = published(upstream), upstream.new("eve")
    with mirrored(upstream.url, owners=("Ada",)) as mirror:
        assert mirror.get(f"/api/models/{repo}").status_code == 200
        assert mirror.get(f"/api/models/{other}").status_code == 401


def test_closed_mirror(upstream: Running, tmp_path: Path) -> None:
    """A mirror that is closed to strangers fetches nothing for them."""
    repo = published(upstream)
    rules: dict[str, Any] = {"mirror": Upstream(upstream.url), "public_repos": False}
    for mirror in run_hub(tmp_path / "closed", **rules):
        assert mirror.get(f"/api/models/{repo}").status_code == 401
        assert mirror.hub.repos.find("model", repo) is None
        assert mirror.get(f"/api/models/{repo}", "eve").status_code == 200


def test_configured(tmp_path: Path) -> None:
    """The table `[mirror]` says it; a token that is not there is said at once."""
    path = tmp_path / "hub.toml"
    path.write_text('[mirror]\nurl = "https://envs.lab.example"\nowners = ["lab"]\n')
    assert Config.read(tmp_path).mirror == Upstream("https://envs.lab.example", owners=("lab",))
    with pytest.raises(ArgumentError, match="nowhere"):
        Upstream("https://envs.lab.example", token_file=str(tmp_path / "nowhere")).token()
    for url in ("envs.lab.example", "https://token@envs.lab.example", "file:///srv"):
        with pytest.raises(ArgumentError, match="no address"):
            Hub(tmp_path / "hub", Config(mirror=Upstream(url)))


def test_from_the_command_line(upstream: Running, tmp_path: Path) -> None:
    """`envhub serve --mirror` makes one, and `envhub fetch` gets its repos from there."""
    repo = published(upstream)
    argv = [sys.executable, "-m", "envhub", "serve", "--mirror", upstream.url, "--port", "0"]
    process = subprocess.Popen(
        [*argv, "--data", str(tmp_path / "data"), "--quiet", "--log-level", "error"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    try:
        url = process.stdout.readline().strip()
        env = {"ENVHUB_ENDPOINT": url, "ENVHUB_HOME": str(tmp_path / "home")}
        words = [sys.executable, "-m", "envhub", "fetch", f"{repo}@v1", "--json"]
        done = run(words, env={**env, "HF_HUB_OFFLINE": "0"}, timeout=60)
        assert upstream.head(repo) in done.text
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 0
        process.stdout.close()
