"""What people decide at the pages: tokens, who sees a repo, who is let in, whether it stays."""

from __future__ import annotations

import re
import time

import pytest
from tests.server.conftest import Running
from tests.server.visitor import visiting


def tokens(running: Running, user: str = "ada") -> dict[str, str]:
    """The names of a user's tokens and what they may."""
    return {row["name"]: row["role"] for row in running.hub.accounts.tokens(user)}


def test_make_and_revoke_a_token(running: Running) -> None:
    """A new token is shown once, works at once, and is worth nothing when it is revoked."""
    with visiting(running, "ada") as visitor:
        visitor.get("/settings/tokens")
        form = {"name": "robot", "role": "read", "days": "7", "scopes": ""}
        visitor.send("/settings/tokens", expect=200, **form)
        shown = re.search(r"<code>(hf_[\w-]+)</code>", visitor.page)
        assert shown
        assert running.ask("GET", "/api/whoami-v2", token=shown[1]).json()["name"] == "ada"
        assert shown[1] not in visitor.get("/settings/tokens")
        row = next(row for row in running.hub.accounts.tokens("ada") if row["name"] == "robot")
        assert 6.9 < (row["expires"] - time.time()) / 86400 <= 7
        visitor.send("/settings/tokens/revoke", name="robot")
        assert running.ask("GET", "/api/whoami-v2", token=shown[1]).status_code == 401
        assert "robot" not in tokens(running)


def test_narrow_token(running: Running) -> None:
    """A token can be made that opens only what is listed."""
    with visiting(running, "ada") as visitor:
        visitor.get("/settings/tokens")
        form = {"name": "narrow1", "role": "fine", "days": ""}
        lines = "\n lab/cartpole read \nlab/*: write\n"
        visitor.send("/settings/tokens", expect=200, scopes=lines, **form)
        rows = {row["name"]: row for row in running.hub.accounts.tokens("ada")}
        assert rows["narrow1"]["scopes"] == '{"lab/cartpole": "read", "lab/*": "write"}'
        assert rows["narrow1"]["expires"] is None
        assert "lab/cartpole" in visitor.get("/settings/tokens")


@pytest.mark.parametrize(
    ("form", "word"),
    [
        ({"name": ""}, "needs a name"),
        ({"name": "a\0b"}, "needs a name"),
        ({"name": "first"}, "already"),
        ({"role": "admin"}, "no token has the role"),
        ({"role": "fine"}, "Say which repos"),
        ({"role": "fine", "scopes": "everything"}, "is no line like"),
        ({"days": "1000"}, "no number of days"),
    ],
)
def test_tokens_that_cannot_be(running: Running, form: dict[str, str], word: str) -> None:
    """A form that makes no sense is shown again with the reason, and makes nothing."""
    before = tokens(running)
    with visiting(running, "ada") as visitor:
        visitor.get("/settings/tokens")
        given = {"name": "new", "role": "read", "days": "7", **form}
        visitor.send("/settings/tokens", expect=400, **given)
        assert word in visitor.page
    assert tokens(running) == before


def test_token_ends_with_the_one_that_made_it(running: Running) -> None:
    """Who signs in with a token that runs out cannot make one that lasts longer."""
    soon = time.time() + 60
    with visiting(running) as visitor:
        visitor.sign_in(running.hub.accounts.new_token("bob", "short", seconds=60))
        assert "no longer than" in visitor.get("/settings/tokens")
        for name, days in (("for-ever", ""), ("for-a-week", "7")):
            form = {"name": name, "role": "write", "days": days}
            visitor.send("/settings/tokens", expect=200, **form)
    rows = {row["name"]: row["expires"] for row in running.hub.accounts.tokens("bob")}
    assert max(rows["for-ever"], rows["for-a-week"]) <= soon + 5


def test_visibility_and_gate(running: Running) -> None:
    """The owner decides who sees a repo and who may have its files; nonsense is refused."""
    repo = running.new()
    with visiting(running, "ada") as visitor:
        visitor.get(f"/{repo}/settings")
        visitor.send(f"/{repo}/settings", visibility="private", gated="auto")
        assert "Saved" in visitor.get(f"/{repo}/settings?saved")
        found = running.hub.repos.find("model", repo)
        assert found
        assert (found.visibility, found.gated) == ("private", "auto")
        for wrong in ({"visibility": "protected", "gated": ""}, {"visibility": "public"}):
            visitor.send(f"/{repo}/settings", expect=400, **{"gated": "no", **wrong})
    with visiting(running, "eve") as visitor:
        visitor.get("/")
        visitor.send(f"/{repo}/settings", expect=404, visibility="public", gated="")


def test_asking_to_be_let_in(running: Running) -> None:
    """A reader asks, the owner accepts or rejects, and the files open and close with it."""
    repo = running.new()
    running.commit(repo, {"README.md": "gated words"})
    running.ask("PUT", f"/api/models/{repo}/settings", user="ada", json={"gated": "manual"})
    with visiting(running, "eve") as eve, visiting(running, "ada") as ada:
        assert "Ask to be let in" in eve.get(f"/{repo}")
        eve.send(f"/{repo}/enter")
        eve.send(f"/{repo}/enter")
        assert "You have asked" in eve.get(f"/{repo}")
        ada.get(f"/{repo}/settings")
        number = re.search(r'name="request" value="(\d+)"', ada.page)
        assert number
        for status, word in (("rejected", "not to let you in"), ("accepted", "gated words")):
            ada.send(f"/{repo}/settings/requests", request=number[1], status=status)
            assert word in eve.get(f"/{repo}")
        ada.send(f"/{repo}/settings/requests", expect=400, request=number[1], nothing="x")
        other = running.new()
        ada.send(f"/{other}/settings/requests", request=number[1], status="rejected")
        assert "gated words" in eve.get(f"/{repo}")


def test_let_in_by_asking(running: Running) -> None:
    """Where nobody decides, asking is enough; where there is no gate, it does nothing."""
    repo, plain = running.new(), running.new()
    running.commit(repo, {"README.md": "gated words"})
    running.ask("PUT", f"/api/models/{repo}/settings", user="ada", json={"gated": "auto"})
    with visiting(running, "eve") as eve:
        eve.get(f"/{repo}")
        eve.send(f"/{repo}/enter")
        assert "gated words" in eve.get(f"/{repo}")
        eve.send(f"/{plain}/enter")
    assert running.hub.database.value("SELECT count(*) FROM admissions WHERE status = 'auto'") == 0


def test_delete(running: Running) -> None:
    """A repo is deleted only if its whole name is typed in, and only by who may."""
    repo = running.new()
    short = repo.partition("/")[2]
    with visiting(running, "eve") as eve:
        eve.get("/")
        eve.send(f"/{repo}/settings/delete", expect=403, name=repo)
    with visiting(running, "ada") as ada:
        ada.get(f"/{repo}/settings")
        for wrong in ("", short, repo.upper()):
            ada.send(f"/{repo}/settings/delete", expect=400, name=wrong)
            assert "not its name" in ada.page
        answer = ada.send(f"/{repo}/settings/delete", name=f" {repo} ")
        assert f"{repo} is deleted" in ada.get(answer.headers["location"])
        ada.get(f"/{repo}", status=404)
        assert "is deleted" not in ada.get("/ada?deleted=%3Cb%3E")


def test_repo_of_every_kind_has_settings(running: Running) -> None:
    """Datasets named like a page, too, have theirs."""
    wanted = {"name": "settings", "type": "dataset"}
    assert running.post("/api/repos/create", wanted, "ada").status_code == 200
    with visiting(running, "ada") as visitor:
        assert "Visibility" not in visitor.get("/datasets/ada/settings")
        assert "Who sees it" in visitor.get("/datasets/ada/settings/settings")
