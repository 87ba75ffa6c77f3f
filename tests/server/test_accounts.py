"""What the protocol says beside the files of a repo: cards, users, their repos, and operations."""

from __future__ import annotations

import base64

import pytest
from tests.server.conftest import Running

CARDS = {
    "---\ntags: [a]\n---\n": 200,
    "no front matter": 200,
    "---\n---\n": 200,
    "---\ntags: [a\n---\n": 400,
    "---\n- a\n---\n": 400,
    "---\n" + "a: b\n" * 20_000 + "---\n": 400,
}


@pytest.mark.parametrize("card", CARDS, ids=range(len(CARDS)))
def test_validate_yaml(running: Running, card: str) -> None:
    """Front matter that nobody could read is told before it is committed."""
    answer = running.post("/api/validate-yaml", {"content": card, "repoType": "model"})
    assert answer.status_code == CARDS[card]
    assert bool(answer.json()["errors"]) == (CARDS[card] == 400)


def test_own_repos(running: Running) -> None:
    """`hf repos list` shows what is mine, private too, and an organisation's to its members."""
    repo = running.new(private=True)
    listed = running.get("/api/settings/repositories", "ada").json()
    mine = next(each for each in listed if each["id"] == repo)
    assert (mine["visibility"], mine["type"]) == ("private", "model")
    shared = running.new("lab")
    path = "/api/organizations/lab/settings/repositories"
    assert shared in [each["id"] for each in running.get(path, "bob").json()]
    assert running.get(path, "eve").status_code == 403
    assert running.get("/api/organizations/no/settings/repositories", "eve").status_code == 404


def test_users(running: Running) -> None:
    """Users and organisations can be looked up."""
    assert running.get("/api/users/ada/overview").json()["user"] == "ada"
    assert running.get("/api/organizations/lab/overview").json()["type"] == "org"
    assert running.get("/api/users/nobody/overview").status_code == 404


def test_operations(running: Running) -> None:
    """Health and counters can be asked for; tokens by password or bearer; noise is answered."""
    assert running.get("/healthz").json() == {"status": "ok"}
    running.get("/api/models")
    text = running.get("/metrics").text
    assert 'envhub_requests_total{route="listing",method="GET",status="200"}' in text
    assert 'envhub_request_seconds_bucket{route="listing",le="+Inf"}' in text
    assert running.get("/api/agent-harnesses").status_code == 200
    login = base64.b64encode(f"ada:{running.tokens['ada']}".encode()).decode()
    answer = running.get("/api/whoami-v2", headers={"Authorization": f"Basic {login}"})
    assert answer.json()["name"] == "ada"


def test_spaces(running: Running) -> None:
    """A space needs an sdk, and says which it has."""
    body = {"name": "space1", "type": "space"}
    assert running.post("/api/repos/create", body, "ada").status_code == 400
    assert running.post("/api/repos/create", body | {"sdk": "static"}, "ada").status_code == 200
    assert running.get("/api/spaces/ada/space1").json()["sdk"] == "static"
    assert running.post("/api/repos/create", body | {"type": "toy"}, "ada").status_code == 400
