"""Pages for people: what they show, and to whom."""

from __future__ import annotations

import re
from html import unescape

import pytest
from tests.server.conftest import Running, run_hub
from tests.server.visitor import HTML, visiting

CARD = r'class="name" href="([^"]*)"'


def page(running: Running, path: str, user: str | None = None, status: int = 200) -> str:
    """A page, as a browser asks for it."""
    answer = running.get(path, user, headers=HTML)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    text: str = answer.text
    return text


def published(running: Running) -> tuple[str, str]:
    """A repo with two commits and a tag on the first; its name and that first commit."""
    repo = running.new()
    files: dict[str, bytes | str | None] = {
        "README.md": "---\ntags: [wombat, envhub]\n---\n# Hello\n\n[e](env.py)\n",
        "env.py": "def make_env():\n    return '<b>'\n",
        "deep/er/a.txt": "a\n",
        "data.raw": bytes(range(256)),
        "look.png": b"\x89PNG",
        "film.mp4": b"0",
        "empty.txt": "",
    }
    first = running.commit(repo, files, summary="<i>evil</i> title").json()["commitOid"]
    running.post(f"/api/models/{repo}/tag/main", {"tag": "v1.0"}, "ada")
    more: dict[str, bytes | str | None] = {
        "env.py": "def make_env():\n    return '<u>'\n",
        "deep/er/a.txt": None,
    }
    running.commit(repo, more, summary="Second")
    return repo, first


def test_home(running: Running) -> None:
    """The first page lists and finds repos, a page at a time, with tags to click."""
    for _ in range(26):
        running.new()
    first = page(running, "/")
    following = re.search(r'class="button next" href="([^"]*)"', first)
    assert following
    second = page(running, unescape(following[1]))
    names = re.findall(CARD, first + second)
    assert len(names) == len(set(names)) > 24
    repo = running.new()
    running.commit(repo, {"README.md": "---\ntags: [koala, envhub]\n---\nA koala walks.\n"})
    for query in ("?q=koala", "?tag=koala", "?q=walks&tag=envhub", "?q=koala&sort=downloads"):
        assert re.findall(CARD, page(running, f"/{query}")) == [f"/{repo}"]
    assert "Nothing fits" in page(running, "/?q=nosuchthing")
    both = page(running, "/?q=walks&tag=koala&tag=envhub")
    assert 'href="/?q=walks&amp;tag=envhub"' in both
    evil = page(running, "/?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&tag=%3Cb%3E&sort=%3Cu%3E")
    assert "<script>" not in evil
    assert "<b>" not in evil


def test_empty_hub(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A hub with nothing in it says how to publish the first env."""
    for hub in run_hub(tmp_path_factory.mktemp("empty")):
        assert f"export HF_ENDPOINT={hub.url}" in page(hub, "/")


def test_env_page(running: Running) -> None:
    """An env's page has its README, a line to copy that is pinned, files, refs and history."""
    repo, first = published(running)
    head = running.head(repo)
    shown = page(running, f"/{repo}")
    assert f'make_env("{repo}@{head}", trust_remote_code=True)' in unescape(shown)
    assert "<h1>Hello</h1>" in shown
    assert f'href="/{repo}/resolve/{head}/env.py"' in shown
    assert "<i>evil" not in shown
    assert f'make_env("{repo}@{first}"' in unescape(page(running, f"/{repo}/at/v1.0"))
    assert "No README yet" in page(running, f"/{running.new()}")


def test_every_link_leads_somewhere(running: Running) -> None:
    """All that the pages of a repo link to is there, for signed-in people and for others."""
    repo, _ = published(running)
    for user in ("", "ada"):
        with visiting(running, user) as visitor:
            seen: set[str] = set()
            todo = {f"/{repo}"}
            while todo - seen:
                path = (todo - seen).pop()
                seen.add(path)
                answer = visitor.client.get(running.url + path)
                assert answer.status_code == 200, path
                if answer.headers["content-type"].startswith("text/html"):
                    links = re.findall(r'(?:href|src)="(/[^"#]*)', answer.text)
                    inside = {unescape(link) for link in links}
                    todo |= {link for link in inside if repo in link and "/login" not in link}
            assert len(seen) > 25


def test_files(running: Running) -> None:
    """Folders list what is in them and which commit changed it last; files look as they are."""
    repo, first = published(running)
    top = page(running, f"/{repo}/tree/main")
    assert "Second" in top
    assert f"/{repo}/tree/main/deep" not in top
    assert f"/{repo}/blob/v1.0/deep/er/a.txt" in page(running, f"/{repo}/tree/v1.0/deep/er")
    code = page(running, f"/{repo}/blob/{first}/env.py")
    assert "make_env" in code
    assert "'<b>'" not in code
    assert f"/{repo}/resolve/{first}/env.py" in code
    for path, word in {
        "data.raw": "no text",
        "empty.txt": "An empty file",
        "look.png": "<img src=",
        "film.mp4": "<video src=",
    }.items():
        assert word in page(running, f"/{repo}/blob/main/{path}")
    for path in ("tree/main/none", "tree/none", "blob/main/none.py", "blob/main/deep"):
        assert "There is nothing here" in page(running, f"/{repo}/{path}", status=404)


def test_large_files(running: Running) -> None:
    """A file that is kept outside git, or is very long, has its size and a way to get it."""
    repo = running.new()
    oid = running.send_lfs(repo, b"weights" * 1000)
    line = {"key": "lfsFile", "value": {"path": "w.bin", "algo": "sha256", "oid": oid}}
    running.commit(repo, {"long.txt": "x\n" * 40_000}, lines=[line])
    shown = page(running, f"/{repo}/blob/main/w.bin")
    assert "kept outside git" in shown
    assert "7.0 kB" in shown
    assert "x\n" in page(running, f"/{repo}/blob/main/long.txt")
    assert "LFS" in page(running, f"/{repo}/tree/main")


def test_history_and_changes(running: Running) -> None:
    """The history leads to what each commit changed; any two revisions can be compared."""
    repo, first = published(running)
    head = running.head(repo)
    log = page(running, f"/{repo}/commits/main")
    assert f"/{repo}/commit/{head}" in log
    assert "<i>evil" not in log
    assert "&lt;i&gt;evil" in log
    older = page(running, f"/{repo}/commits/main?from=2")
    assert f"/{repo}/commit/{head}" not in older
    change = page(running, f"/{repo}/commit/{head}")
    assert "-" in change
    assert "return &#39;&lt;u&gt;&#39;" in change
    assert f"/{repo}/commit/{first}" in change
    assert "deleted" in change
    compared = page(running, f"/{repo}/compare?from=v1.0&to=main")
    assert "return &#39;&lt;u&gt;&#39;" in compared
    assert "No difference" in page(running, f"/{repo}/compare?from=main&to=main")
    page(running, f"/{repo}/compare?to=main", status=400)
    page(running, f"/{repo}/compare?from=--output&to=main", status=404)
    begin = page(running, f"/{repo}/commits/main")
    last = re.findall(rf"/{repo}/commit/(\w+)", begin)[-1]
    assert ".gitattributes" in page(running, f"/{repo}/commit/{last}")


def test_owners(running: Running) -> None:
    """A user's page shows what they have, an organisation's its members, to whom may see it."""
    hidden, seen = running.new("lab", private=True), running.new("lab")
    org = page(running, "/lab")
    assert seen in org
    assert hidden not in org
    assert 'href="/ada"' in org
    assert hidden in page(running, "/lab", "bob")
    assert 'href="/lab"' in page(running, "/ada")
    dataset = running.new(type="dataset")
    assert f"/datasets/{dataset}" in page(running, "/ada")
    assert "has published nothing" in page(running, "/eve")
    assert "nobody named" in page(running, "/nobody", status=404)


def test_hidden_repos(running: Running) -> None:
    """Who may not see a repo is told the same as if there was none, on every page."""
    hidden = running.new(private=True)
    running.commit(hidden, {"README.md": "secret words", "env.py": "secret = 1\n"})
    views = ("", "/tree/main", "/blob/main/env.py", "/commits/main", "/commit/main", "/at/main")
    for view in (*views, "/compare?from=main&to=main", "/settings", "/resolve/main/env.py"):
        refusals = [page(running, f"/{name}{view}", status=401) for name in (hidden, "ada/nosuch")]
        assert refusals[0].count("Repository not found") == 1
        assert len({re.sub(r"repo\d+|nosuch|<svg.*?</svg>", "", text) for text in refusals}) == 1
        others = running.get(f"/{hidden}{view}", "eve", headers=HTML)
        assert others.status_code == 404
    assert "secret words" in page(running, f"/{hidden}", "ada")
    assert hidden not in page(running, "/")
    assert hidden in page(running, "/", "ada")


def test_closed_hub(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A hub that shows nothing without a token asks to sign in, and names nobody."""
    for hub in run_hub(tmp_path_factory.mktemp("closed"), public_repos=False):
        repo = hub.new()
        assert "for its members" in page(hub, "/")
        page(hub, f"/{repo}", status=401)
        assert page(hub, "/ada", status=401).count("Sign in to see") == 1
        with visiting(hub, "eve") as visitor:
            assert repo in visitor.get("/")
            assert repo in visitor.get("/ada")


def test_gated_files(running: Running) -> None:
    """Of a gated repo everybody sees that it is there; its files are not for all."""
    repo, _ = published(running)
    running.ask("PUT", f"/api/models/{repo}/settings", user="ada", json={"gated": "manual"})
    shown = page(running, f"/{repo}")
    assert "Hello" not in shown
    assert "lets people in" in shown
    page(running, f"/{repo}/tree/main")
    for view in ("blob/main/env.py", "commit/main", "compare?from=v1.0&to=main"):
        page(running, f"/{repo}/{view}", status=401)
        page(running, f"/{repo}/{view}", "ada")


def test_refusals(running: Running) -> None:
    """A browser gets a page also where there is none; programs get what they understand."""
    assert "There is nothing here" in page(running, "/no/such/page/at/all", status=404)
    assert "Not that way" in running.ask("DELETE", "/login", headers=HTML).text
    wrong = running.ask("GET", "/", token="hf_wrong", headers=HTML)
    assert wrong.status_code == 401
    assert running.get("/no/such/page/at/all").json()["error"]
    assert running.get("/%ff/x", headers=HTML).status_code == 400


def test_headers(running: Running) -> None:
    """Pages allow no script but the hub's own, nothing inline, no frame, and no shared cache."""
    for path in ("/", "/?q=x", "/login", "/no/thing"):
        answer = running.get(path, headers=HTML)
        policy = dict(
            part.strip().split(" ", 1)
            for part in answer.headers["content-security-policy"].split(";")
        )
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == "'self'"
        assert policy["style-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert policy["form-action"] == "'self'"
        assert policy["base-uri"] == "'none'"
        assert re.match("private|no-store", answer.headers["cache-control"])
        assert {"Authorization", "Cookie"} <= set(answer.headers["vary"].split(", "))
        scripts = re.findall(r"<script[^>]*>.*?</script>", answer.text)
        assert [bool(re.match(r'<script src="/static/hub', each)) for each in scripts] == [True]
        assert not re.search(r"\sstyle=|\son\w+=", answer.text)


def test_raw_files_are_no_scripts(running: Running) -> None:
    """A stranger's file is never a script or a page of the hub's, however it is called."""
    repo = running.new()
    names = ("x.js", "x.mjs", "x.html", "x.svg", "x.xhtml", "x.css", "x.xml", "x.htm", "x.shtml")
    running.commit(repo, dict.fromkeys(names, "alert(1)"))
    for name in names:
        answer = running.get(f"/{repo}/resolve/main/{name}", headers=HTML)
        kind = answer.headers["content-type"].partition(";")[0]
        assert kind in {"text/plain", "application/octet-stream"}, name
        assert "sandbox" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_static(running: Running) -> None:
    """Style and script are kept by browsers for as long as they stay the same."""
    addresses = re.findall(r'(?:href|src)="(/static/[^"]*)"', page(running, "/"))
    kinds = {}
    for address in addresses:
        answer = running.get(address)
        kinds[address.partition("?")[0]] = answer.headers["content-type"].partition(";")[0]
        assert "immutable" in answer.headers["cache-control"]
    assert kinds == {
        "/static/icon.svg": "image/svg+xml",
        "/static/hub.css": "text/css",
        "/static/hub.js": "text/javascript",
    }
    assert "immutable" not in running.get("/static/hub.css").headers["cache-control"]
    assert running.get("/static/base.html").status_code == 404
