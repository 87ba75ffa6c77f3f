"""Signing in at a browser, and what others could do with it."""

from __future__ import annotations

import re

import httpx2
import pytest
from tests.server.conftest import Running, run_hub
from tests.server.visitor import HTML, Visitor, visiting

from envhub.server.call import Route
from envhub.server.routes import ROUTES


def form_routes() -> list[Route]:
    return [route for route in ROUTES if route.session and "POST" in route.methods]


def example(route: Route) -> str:
    """A path that a route's pattern fits, with `{owner}` and `{name}` in it."""
    pattern = re.sub(r"\(\?!(?:[^()]|\([^()]*\))*\)", "", route.pattern.pattern)
    pattern = re.sub(r"\(\?:\(\?P<kinds>[^)]*\)/\)\?", "", pattern)
    return re.sub(r"\(\?P<(\w+)>[^)]*\)", lambda name: f"{{{name[1]}}}", pattern)


def test_sign_in_and_out(running: Running) -> None:
    """A token signs in, the page then shows who it is and what is theirs, until one leaves."""
    hidden = running.new(private=True)
    running.commit(hidden, {"look.png": "png", "README.md": "![l](look.png)"})
    with visiting(running) as visitor:
        visitor.get(f"/{hidden}", status=401)
        answer = visitor.sign_in(f" {running.tokens['ada']}\n", following=f"/{hidden}")
        assert answer.headers["location"] == f"/{hidden}"
        shown = visitor.get(f"/{hidden}")
        picture = re.search(r'<img src="(/[^"]*look\.png)"', shown)
        assert picture
        assert visitor.client.get(running.url + picture[1]).content == b"png"
        assert visitor.client.get(running.url + "/login").status_code == 303
        visitor.send("/logout")
        assert visitor.cookie == ""
        visitor.get(f"/{hidden}", status=401)


def test_wrong_token(running: Running) -> None:
    """What is no token is told so, begins no session, and is not shown again."""
    with visiting(running) as visitor:
        visitor.sign_in("hf_wrong<b>", status=401)
        assert "no token of this hub" in visitor.page
        assert "hf_wrong" not in visitor.page
        assert visitor.cookie == ""


def test_cookie(running: Running, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The cookie is for no script and no other site; over TLS it goes over nothing else."""
    with visiting(running) as visitor:
        sent = visitor.sign_in(running.tokens["ada"]).headers["set-cookie"].lower()
        assert {"httponly", "samesite=lax", "path=/"} <= set(sent.split("; "))
        assert "secure" not in sent
        assert "domain" not in sent
        assert "max-age=1209600" in sent
        again = visitor.client.get(running.url + "/login", headers={"X-Forwarded-Proto": "https"})
        assert "envhub-visit" in again.headers["set-cookie"]
        assert "Secure" in again.headers["set-cookie"]
    for hub in run_hub(tmp_path_factory.mktemp("tls"), public_url="https://envs.lab.org"):
        with visiting(hub) as visitor:
            visit = visitor.client.get(hub.url + "/login")
            visitor.page = visit.text
            cookie = {"Cookie": visit.headers["set-cookie"].partition(";")[0]}
            form = {"form_pass": visitor.form_pass, "token": hub.tokens["ada"]}
            sent = visitor.post("/login", form, **cookie).headers["set-cookie"]
            assert sent.startswith("__Host-envhub=")
            assert {"Secure", "HttpOnly", "Path=/"} <= set(sent.split("; "))


def test_session_may_what_its_token_may(running: Running) -> None:
    """Who signs in with a narrow token sees and rules no more than with that token."""
    open_to_it, closed = running.new(private=True), running.new(private=True)
    accounts = running.hub.accounts
    fine = accounts.new_token("ada", "narrow", "fine", scopes={open_to_it: "read"})
    with visiting(running) as visitor:
        visitor.sign_in(fine)
        visitor.get(f"/{open_to_it}")
        visitor.get(f"/{closed}", status=404)
        visitor.get(f"/{open_to_it}/settings", status=403)
        assert "A new token" not in visitor.get("/settings/tokens")
        for path in ("/settings/tokens", "/settings/tokens/revoke"):
            visitor.send(path, expect=403, name="first", role="write", days="")
    assert len([row for row in accounts.tokens("ada") if row["name"] == "first"]) == 1


def test_stolen_cookie_dies_with_the_session(running: Running) -> None:
    """A cookie that was copied is worth nothing once its owner signs out, or revokes the token."""
    hidden = running.new(private=True)
    secret = running.hub.accounts.new_token("ada", "laptop")

    def stolen(cookie: str) -> int:
        headers = {**HTML, "Cookie": f"envhub={cookie}"}
        return running.get(f"/{hidden}", headers=headers).status_code

    with visiting(running) as visitor:
        visitor.sign_in(secret)
        first = visitor.cookie
        assert stolen(first) == 200
        visitor.get("/")
        visitor.send("/logout")
        assert stolen(first) == 401
        visitor.sign_in(secret)
        second = visitor.cookie
        running.hub.accounts.drop_token("ada", "laptop")
        assert stolen(second) == 401


def test_session_is_new_at_each_sign_in(running: Running) -> None:
    """Nobody can be made to use a session that somebody else knows: signing in makes a new one."""
    with visiting(running) as visitor:
        visitor.client.cookies.set("envhub", "chosen-by-somebody-else")
        visitor.sign_in(running.tokens["eve"])
        planted = visitor.client.cookies.jar
        assert "chosen-by-somebody-else" not in {
            each.value for each in planted if each.domain.startswith("127")
        }
        headers = {**HTML, "Cookie": "envhub=chosen-by-somebody-else"}
        assert "Sign in" in running.get("/", headers=headers).text


def test_signing_in_again_ends_what_was(running: Running) -> None:
    """Who signs in as somebody else leaves no session behind."""
    with visiting(running, "ada") as visitor:
        first = visitor.cookie
        visitor.get("/")
        visitor.send("/login", token=running.tokens["eve"], next="/")
        assert visitor.cookie != first
        assert running.hub.sessions.find(first) is None


def test_cookie_opens_no_api(running: Running) -> None:
    """The API asks for a token: what a browser sends along by itself changes nothing there."""
    repo = running.new(private=True)
    with visiting(running, "ada") as visitor:
        headers = {"Cookie": f"envhub={visitor.cookie}"}
    for method, path in (
        ("GET", "/api/whoami-v2"),
        ("GET", f"/api/models/{repo}"),
        ("PUT", f"/api/models/{repo}/settings"),
        ("POST", "/api/repos/create"),
        ("DELETE", "/api/repos/delete"),
        ("POST", f"/api/models/{repo}/commit/main"),
        ("POST", f"/{repo}.git/git-receive-pack"),
        ("POST", f"/{repo}.git/info/lfs/objects/batch"),
    ):
        body = {"name": repo.partition("/")[2], "private": False, "objects": []}
        body["operation"] = "download"
        answer = running.ask(method, path, headers=headers, json=body)
        assert answer.status_code == 401, path


@pytest.mark.parametrize("route", form_routes(), ids=lambda route: route.name)
def test_no_form_without_its_pass(running: Running, route: Route) -> None:
    """Every form is refused without a pass, with one of another session, and from another site."""
    owner, name = running.new().split("/")
    path = example(route).format(owner=owner, name=name)
    fields = {"visibility": "private", "gated": "", "name": f"{owner}/{name}", "role": "write"}
    fields |= {"token": running.tokens["ada"], "days": "", "status": "accepted", "request": "1"}
    with visiting(running, "eve") as other, visiting(running, "ada") as visitor:
        other.get("/")
        visitor.get("/")
        good = {**fields, "form_pass": visitor.form_pass}
        before = running.hub.database.value("SELECT count(*) FROM tokens"), visitor.cookie
        for wrong in ("", "x.y", other.form_pass, visitor.form_pass[:-2], "\0"):
            answer = visitor.post(path, {**fields, "form_pass": wrong})
            assert answer.status_code == 403, wrong
        for headers in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Sec_Fetch_Site": "cross-site"},
            {"Sec_Fetch_Site": "same-site"},
        ):
            assert visitor.post(path, good, **headers).status_code == 403
        with httpx2.Client(headers=HTML) as stranger:
            assert stranger.post(running.url + path, data=good).status_code == 403
        after = running.hub.database.value("SELECT count(*) FROM tokens"), visitor.cookie
        assert before == after
        assert running.get(f"/{owner}/{name}", headers=HTML).status_code == 200
        answer = visitor.post(path, good, Origin=running.url, Sec_Fetch_Site="same-origin")
        assert answer.status_code in {200, 303, 400, 404}


def test_nobody_is_signed_in_by_others(running: Running) -> None:
    """The form for signing in works only in the browser that it was shown to."""
    with visiting(running) as evil, visiting(running) as visitor:
        evil.get("/login")
        fields = {"form_pass": evil.form_pass, "token": running.tokens["eve"], "next": "/"}
        assert visitor.post("/login", fields).status_code == 403
        visitor.get("/login")
        assert visitor.post("/login", fields).status_code == 403
        assert visitor.cookie == ""


def test_old_form(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """A form that lay open for days is refused in words."""
    with visiting(running, "ada") as visitor:
        monkeypatch.setattr("envhub.server.forms.SECONDS", -1.0)
        visitor.get("/")
        answer = visitor.send("/logout", expect=403)
        assert "too old" in answer.text


@pytest.mark.parametrize(
    "following",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/%09/evil.example/\t",
        "/\n/evil.example",
        "evil",
        "",
    ],
)
def test_signing_in_leads_nowhere_else(running: Running, following: str) -> None:
    """After signing in one is at this hub, whatever the address said."""
    with visiting(running) as visitor:
        visitor.get("/login")
        answer = visitor.send("/login", token=running.tokens["ada"], next=following)
        assert answer.headers["location"] == "/"


def test_guessing_is_slow(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Who tries many tokens has to wait, also with a right one; who is signed in goes on."""
    for hub in run_hub(tmp_path_factory.mktemp("guess"), failures_per_minute=5):
        with visiting(hub, "ada") as known, visiting(hub) as guessing:
            statuses = []
            for number in range(8):
                guessing.get("/login")
                fields = {"form_pass": guessing.form_pass, "token": f"hf_{number}", "next": "/"}
                statuses.append(guessing.post("/login", fields).status_code)
            assert statuses == [401] * 4 + [429] * 4
            fields["token"] = hub.tokens["bob"]
            answer = guessing.post("/login", fields)
            assert answer.status_code == 429
            assert int(answer.headers["retry-after"]) > 0
            assert "ada" in known.get("/settings/tokens")


def test_guessed_cookies_are_nobody(running: Running) -> None:
    """A cookie that is none of ours counts as no cookie, and tells nothing."""
    for cookie in ("", "x", "a" * 5000, "%00;=", "0" * 64):
        visitor = {**HTML, "Cookie": f"envhub={cookie}"}
        assert "Sign in" in running.get("/", headers=visitor).text


def test_pages_of_a_session_are_not_kept(running: Running) -> None:
    """No cache on the way keeps what only one person may see."""
    hidden = running.new(private=True)
    running.commit(hidden, {"a.txt": "a"})
    with visiting(running, "ada") as visitor:
        for path in ("/", f"/{hidden}", "/settings/tokens"):
            answer = visitor.client.get(running.url + path)
            assert answer.headers["cache-control"] == "no-store"
        raw = visitor.client.get(f"{running.url}/{hidden}/resolve/main/a.txt")
        assert raw.headers["cache-control"] == "private, no-cache"


def test_visitor_without_session_has_no_form(running: Running) -> None:
    """Who comes with a token in a header, as a program may, gets pages without forms."""
    answer = running.get("/", "ada", headers=HTML)
    assert "ada" in answer.text
    assert 'method="post"' not in answer.text
    visitor: Visitor
    with visiting(running) as visitor:
        assert visitor.get("/settings/tokens", status=303) == ""
