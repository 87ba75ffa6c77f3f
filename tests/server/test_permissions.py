"""Who may do what: private, gated and public repos, organisations, grants, tokens, limits."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.server.conftest import Running, run_hub

from envhub.server.accounts import Caller
from envhub.server.refusals import Refusal

EVERYBODY = (None, "ada", "bob", "eve")


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A hub with every rule that is off by default."""
    yield from run_hub(
        tmp_path_factory.mktemp("strict"),
        public_repos=False,
        immutable_tags=True,
        quota=1_000_000,
        lfs_over=1000,
        max_file=900_000,
        max_commit=400_000,
    )


def seen(running: Running, repo: str, **more: Any) -> dict[str | None, int]:
    return {who: running.get(f"/api/models/{repo}", who, **more).status_code for who in EVERYBODY}


def listed(running: Running, repo: str, user: str | None, token: str | None = None) -> bool:
    name = repo.partition("/")[2]
    answer = running.get(f"/api/models?search={name}&limit=1000", user, token=token)
    return repo in [each["id"] for each in answer.json()]


def grant(running: Running, repo: str, user: str, role: str) -> None:
    found = running.hub.repos.find("model", repo)
    assert found
    who = running.hub.accounts.get(user)["id"]
    running.hub.database.change("INSERT INTO grants VALUES (?, ?, ?)", found.id, who, role)


def test_public(running: Running) -> None:
    """Everybody reads a public repo, only its owner writes it."""
    repo = running.new()
    assert set(seen(running, repo).values()) == {200}
    assert running.commit(repo, {"x": "1"}, "ada").status_code == 200
    assert running.commit(repo, {"x": "2"}, "bob").status_code == 403


def test_private(running: Running) -> None:
    """To strangers a private repo looks like one that is not there, by every door."""
    repo = running.new(private=True)
    assert seen(running, repo) == {None: 401, "ada": 200, "bob": 404, "eve": 404}
    doors = [
        f"/{repo}/resolve/main/.gitattributes",
        f"/api/models/{repo}/tree/main",
        f"/api/models/{repo}/refs",
        f"/api/models/{repo}/commits/main",
        f"/api/models/{repo}/auth-check",
        f"/{repo}.git/info/refs?service=git-upload-pack",
    ]
    for door in doors:
        there, absent = running.get(door, "bob"), running.get(door.replace(repo, "ada/no"), "bob")
        assert there.status_code == absent.status_code == 404
        assert there.json() == absent.json()
        assert running.get(door).status_code == 401
        assert running.get(door, "ada").status_code == 200
    assert [listed(running, repo, who) for who in EVERYBODY] == [False, True, False, False]


def test_organisation(running: Running) -> None:
    """Members of an organisation do with its repos what their role says."""
    repo = running.new("lab", visibility="private")
    assert seen(running, repo) == {None: 401, "ada": 200, "bob": 200, "eve": 404}
    assert running.commit(repo, {"x": "1"}, "ada").status_code == 200
    assert running.commit(repo, {"x": "2"}, "bob").status_code == 403
    assert listed(running, repo, "bob")
    body = {"name": "another", "organization": "lab"}
    assert running.post("/api/repos/create", body, "bob").status_code == 403
    running.hub.accounts.join("lab", "bob", "write")
    assert running.commit(repo, {"x": "2"}, "bob").status_code == 200
    assert running.post("/api/repos/create", body, "bob").status_code == 200
    delete = {"name": repo.partition("/")[2], "organization": "lab"}
    assert running.ask("DELETE", "/api/repos/delete", user="bob", json=delete).status_code == 403
    running.hub.accounts.join("lab", "bob", "read")
    orgs = running.get("/api/whoami-v2", "bob").json()["orgs"]
    assert [(org["name"], org["roleInOrg"]) for org in orgs] == [("lab", "read")]


def test_grants(running: Running) -> None:
    """A single repo can be opened to somebody, to read or to write."""
    repo = running.new(private=True)
    grant(running, repo, "bob", "read")
    grant(running, repo, "eve", "write")
    assert seen(running, repo) == {None: 401, "ada": 200, "bob": 200, "eve": 200}
    assert running.commit(repo, {"x": "1"}, "bob").status_code == 403
    assert running.commit(repo, {"x": "1"}, "eve").status_code == 200
    assert running.ask(
        "PUT", f"/api/models/{repo}/settings", user="eve", json={"private": False}
    ).status_code in {403}
    assert listed(running, repo, "bob")


def settle(running: Running, repo: str, **settings: Any) -> None:
    answer = running.ask("PUT", f"/api/models/{repo}/settings", user="ada", json=settings)
    assert answer.status_code == 200


def test_gated_by_hand(running: Running) -> None:
    """Everybody sees a gated repo; its files are for those whom the owner let in."""
    repo = running.new()
    settle(running, repo, gated="manual")
    assert set(seen(running, repo).values()) == {200}
    file = f"/{repo}/resolve/main/.gitattributes"
    answer = running.get(file, "bob")
    assert (answer.status_code, answer.headers["x-error-code"]) == (403, "GatedRepo")
    assert running.get(file).status_code == 401
    assert running.get(f"/{repo}.git/info/refs?service=git-upload-pack", "bob").status_code == 403
    assert running.post(f"/{repo}/ask-access", {}, "bob").json() == {"status": "pending"}
    assert running.get(file, "bob").status_code == 403
    requests = f"/api/models/{repo}/user-access-request"
    assert running.get(f"{requests}/pending", "bob").status_code == 403
    asked = running.get(f"{requests}/pending", "ada").json()
    assert asked[0]["user"]["user"] == "bob"
    decision = {"requestId": asked[0]["requestId"], "status": "accepted"}
    assert running.post(f"{requests}/handle", decision, "ada").status_code == 200
    assert running.get(file, "bob").status_code == 200
    assert running.post(f"{requests}/grant", {"user": "bob"}, "ada").status_code == 400
    decision = {"user": "bob", "status": "rejected"}
    assert running.post(f"{requests}/handle", decision, "ada").status_code == 200
    assert running.get(file, "bob").status_code == 403
    assert running.post(f"{requests}/handle", {"user": "eve"}, "ada").status_code == 404
    assert running.post(f"{requests}/handle", {"status": "x"}, "ada").status_code == 400
    assert running.get(f"{requests}/nothing", "ada").status_code == 400


def test_gated_by_itself(running: Running) -> None:
    """Where nobody decides, asking is enough; who is not gated need not ask."""
    repo = running.new()
    assert running.post(f"/{repo}/ask-access", {}, "bob").status_code == 400
    assert running.get(f"/api/models/{repo}/user-access-request/pending", "ada").status_code == 400
    settle(running, repo, gated="auto")
    assert running.get("/api/models?gated=true&limit=1000").json()
    assert listed(running, repo, None)
    assert running.post(f"/{repo}/ask-access", {}).status_code == 401
    assert running.post(f"/{repo}/ask-access", {}, "bob").json() == {"status": "accepted"}
    assert running.get(f"/{repo}/resolve/main/.gitattributes", "bob").status_code == 200


def test_unknown_visibility(running: Running) -> None:
    """What this hub does not know is refused, not taken for public."""
    assert (
        running.post(
            "/api/repos/create", {"name": "half", "visibility": "protected"}, "ada"
        ).status_code
        == 400
    )
    repo = running.new()
    body = {"gated": "sometimes"}
    path = f"/api/models/{repo}/settings"
    assert running.ask("PUT", path, user="ada", json=body).status_code == 400


def test_read_token(running: Running) -> None:
    """A token for reading opens what its user may read, and changes nothing."""
    repo = running.new(private=True)
    token = running.hub.accounts.new_token("ada", "reader", "read")
    assert running.get(f"/api/models/{repo}", token=token).status_code == 200
    assert running.get("/api/whoami-v2", token=token).json()["auth"]["accessToken"] == {
        "displayName": "reader",
        "role": "read",
    }
    answer = running.ask("POST", "/api/repos/create", token=token, json={"name": "x"})
    assert answer.status_code == 403
    path = f"/api/models/{repo}/preupload/main"
    assert running.ask("POST", path, token=token, json={"files": []}).status_code == 403


def test_narrow_token(running: Running) -> None:
    """A fine-grained token opens what it lists, as far as its user may, and nothing else."""
    one, two = running.new(private=True), running.new(private=True)
    foreign, public = running.new("lab", private=True), running.new()
    scopes = {one: "write", "lab/*": "admin"}
    token = running.hub.accounts.new_token("bob", "narrow", "fine", scopes=scopes)
    assert running.get(f"/api/models/{one}", token=token).status_code == 404  # it is ada's
    grant(running, one, "bob", "read")
    grant(running, two, "bob", "admin")
    status = {
        repo: running.get(f"/api/models/{repo}", token=token).status_code
        for repo in (one, two, foreign, public)
    }
    assert status == {one: 200, two: 404, foreign: 200, public: 200}
    shown = [listed(running, repo, None, token) for repo in (one, two, foreign, public)]
    assert shown == [True, False, True, True]
    path = f"/api/models/{foreign}/preupload/main"
    assert running.ask("POST", path, token=token, json={"files": []}).status_code == 403
    answer = running.get("/api/whoami-v2", token=token).json()["auth"]["accessToken"]
    assert answer["role"] == "fineGrained"
    assert len(answer["fineGrained"]["scoped"]) == 2


def test_token_runs_out(running: Running) -> None:
    """A token is good until its time, and worthless when it is dropped or replaced."""
    accounts = running.hub.accounts
    token = accounts.new_token("ada", "short", seconds=3600)
    answer = running.get("/api/whoami-v2", token=token)
    assert answer.json()["auth"]["accessToken"]["expiresAt"].endswith("Z")
    gone = accounts.new_token("ada", "gone", seconds=-1)
    assert running.get("/api/whoami-v2", token=gone).status_code == 401
    again = accounts.new_token("ada", "short")
    assert running.get("/api/whoami-v2", token=token).status_code == 401
    assert running.get("/api/whoami-v2", token=again).status_code == 200
    assert accounts.drop_token("ada", "short")
    assert not accounts.drop_token("ada", "short")
    assert running.get("/api/whoami-v2", token=again).status_code == 401


BAD_TOKENS: list[dict[str, Any]] = [
    {"role": "king"},
    {"role": "fine"},
    {"role": "write", "scopes": {"a/b": "read"}},
    {"role": "fine", "scopes": {"a/b": "king"}},
    {"role": "fine", "scopes": {"ab": "read"}},
    {"secret": "short"},
]


@pytest.mark.parametrize("wanted", BAD_TOKENS)
def test_bad_tokens(running: Running, wanted: dict[str, Any]) -> None:
    """A token with rights that there are not, or that could be guessed, is not made."""
    with pytest.raises(Refusal):
        running.hub.accounts.new_token("ada", "bad", **wanted)


def test_tokens_are_not_kept(running: Running) -> None:
    """No file of the hub has a token in it."""
    secrets = [token.encode() for token in running.tokens.values()]
    files = [path for path in running.hub.folder.rglob("*") if path.is_file()]
    assert not [path for path in files if any(secret in path.read_bytes() for secret in secrets)]


def test_names_are_taken_once(running: Running) -> None:
    """Names differ by more than case, and roles are those that there are."""
    accounts = running.hub.accounts
    with pytest.raises(Refusal, match="already"):
        accounts.add("ADA")
    with pytest.raises(Refusal, match="no role"):
        accounts.join("lab", "bob", "king")
    with pytest.raises(Refusal, match="no org"):
        accounts.join("ada", "bob", "read")
    repo = running.new()
    body = {"name": repo.partition("/")[2].upper()}
    answer = running.post("/api/repos/create", body, "ada")
    assert (answer.status_code, answer.json()["name"]) == (409, repo)


def test_moves(running: Running) -> None:
    """A moved repo answers to both names until another takes the old one."""
    repo, other = running.new(), running.new()
    move = {"fromRepo": repo, "toRepo": other, "type": "model"}
    assert running.post("/api/repos/move", move, "ada").status_code == 409
    move["toRepo"] = "lab/moved"
    assert running.post("/api/repos/move", move, "bob").status_code == 403
    assert running.post("/api/repos/move", move, "ada").status_code == 200
    assert running.get(f"/api/models/{repo}").json()["id"] == "lab/moved"
    assert listed(running, "lab/moved", None)
    assert running.post("/api/repos/create", {"name": repo[4:]}, "ada").status_code == 200
    assert running.get(f"/api/models/{repo}").json()["id"] == repo
    move = {"fromRepo": "lab/moved", "toRepo": "eve/x", "type": "model"}
    assert running.post("/api/repos/move", move, "ada").status_code == 403
    move["toRepo"] = "nobody/x"
    assert running.post("/api/repos/move", move, "ada").status_code == 404


def test_closed_hub(strict: Running) -> None:
    """A hub can be closed to all who have no token."""
    repo = strict.new()
    assert seen(strict, repo) == {None: 401, "ada": 200, "bob": 200, "eve": 200}
    assert strict.get("/api/models").json() == []
    assert listed(strict, repo, "eve")


def test_immutable_tags(strict: Running, git: Any) -> None:
    """Where tags are to stay, neither the API nor a push moves or deletes one."""
    repo = strict.new()
    assert strict.post(f"/api/models/{repo}/tag/main", {"tag": "v1"}, "ada").status_code == 200
    path = f"/api/models/{repo}/tag/v1"
    assert strict.ask("DELETE", path, user="ada").status_code == 403
    git("clone", "clone", "-q", strict.remote(repo), ".")
    git("clone", "commit", "-q", "--allow-empty", "-m", "more")
    git("clone", "tag", "-f", "v1")
    for words in (["push", "-f", "origin", "v1"], ["push", "origin", ":v1"]):
        done = git("clone", *words, check=False)
        assert done.returncode
        assert b"tags of this hub stay where they are" in done.stderr
    git("clone", "push", "-q", "origin", "main", "HEAD:refs/tags/v2")
    assert strict.get(f"/api/models/{repo}/revision/v2", "ada").status_code == 200


def test_quota(strict: Running) -> None:
    """Nobody's repos grow beyond the quota: not by commits, LFS, or pushes."""
    repo = strict.new("lab")
    strict.send_lfs(repo, b"a" * 800_000, "ada")
    for size in (150_000, 10):
        answer = strict.commit(repo, {f"small{size}": b"b" * size}, "ada")
        assert answer.status_code == 200, answer.text
    assert strict.commit(repo, {"more": b"c" * 300_000}, "ada").status_code == 413
    oid = "1" * 64
    batch = {"operation": "upload", "objects": [{"oid": oid, "size": 300_000}]}
    answer = strict.post(f"/{repo}.git/info/lfs/objects/batch", batch, "ada")
    href = answer.json()["objects"][0]["actions"]["upload"]["href"]
    assert strict.client.put(href, content=b"d" * 300_000).status_code == 413


def test_sizes(strict: Running) -> None:
    """A file, a commit or a body that is too large is refused before it is kept."""
    repo = strict.new()
    batch = {"operation": "upload", "objects": [{"oid": "2" * 64, "size": 900_001}]}
    answer = strict.post(f"/{repo}.git/info/lfs/objects/batch", batch, "ada")
    assert answer.json()["objects"][0]["error"]["code"] == 413
    assert strict.commit(repo, {"huge": b"x" * 1_200_000}).status_code == 413
    body = b"[" + b" " * 21_000_000
    path = f"/api/models/{repo}/preupload/main"
    assert strict.ask("POST", path, user="ada", content=body).status_code == 413


def test_rate_limits(tmp_path: Path) -> None:
    """Who asks too often has to wait, each for themselves; so has who guesses tokens."""
    for running in run_hub(tmp_path / "hub", requests_per_minute=20, failures_per_minute=5):
        answers = [running.get("/api/models", "ada").status_code for _ in range(25)]
        assert answers == [200] * 20 + [429] * 5
        refused = running.get("/api/models", "ada")
        assert int(refused.headers["retry-after"]) >= 1
        assert "r=0" in refused.headers["ratelimit"]
        assert running.get("/api/models", "bob").status_code == 200
        guesses = [
            running.get("/api/whoami-v2", token=f"hf_guess{number:020}").status_code
            for number in range(8)
        ]
        assert guesses == [401] * 5 + [429] * 3
        assert running.get("/api/models", "bob").status_code == 200  # from the same address


def test_caller_is_a_value() -> None:
    """What is known of a caller cannot be changed on the way."""
    with pytest.raises(AttributeError):
        Caller(1, "ada").role = "admin"  # type: ignore[misc]  # that is the point


def test_time_is_not_told(running: Running) -> None:
    """A wrong token costs about as much time as none: tokens are found by their hash."""
    near, far = running.tokens["ada"][:-1] + "!", "x" * len(running.tokens["ada"])
    spent: dict[str, list[float]] = {near: [], far: []}
    for token in (near, far) * 1000:  # by turns, so that whatever else goes on is the same for both
        begin = time.perf_counter()
        assert running.hub.accounts.caller(token) is None
        spent[token].append(time.perf_counter() - begin)
    assert statistics.median(spent[near]) < 1.5 * statistics.median(spent[far])
