"""The pages in a real browser: no script of a stranger's runs, and people get where they want.

Needs Chromium (Debian: `apt-get install chromium`) and `pip install playwright`; `ENVHUB_HEAVY=1`
runs it.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.server.conftest import Running
from tests.server.vectors import VECTORS

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(600)]

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
NAMES = ("chromium", "chromium-browser", "google-chrome")
PROGRAM = next(filter(None, map(shutil.which, NAMES)), "")
if not PROGRAM:
    pytest.skip("there is no Chromium on this machine", allow_module_level=True)

PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
# What a vector would call if it could.
TRAP = "window.ran = []; window.alert = window.msgbox = (name) => ran.push(name);"
TOUCH = """() => {
  for (const each of document.querySelectorAll('.readme *')) {
    for (const name of ['mouseover', 'mouseenter', 'focus', 'toggle', 'error', 'load', 'begin'])
      each.dispatchEvent(new Event(name, { bubbles: true }));
    const leads = each.closest('a[href]');
    if (!leads || !/^https?:/.test(leads.href)) each.click();
  }
  return window.ran;
}"""


@dataclass
class Page:
    """A page of the browser, and all that went wrong in it."""

    page: Any
    url: str
    wrong: list[str] = field(default_factory=list)

    def open(self, path: str) -> Any:
        """Go somewhere; the page must be as wide as the screen, and not wider."""
        answer = self.page.goto(self.url + path)
        self.fits()
        return answer

    def said(self, line: Any) -> None:
        if line.type in {"error", "warning"}:
            self.wrong.append(line.text)

    def asked(self, dialog: Any) -> None:
        self.wrong.append("dialog")
        dialog.dismiss()

    def fits(self) -> None:
        wide = self.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= self.page.viewport_size["width"], self.page.url


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=PROGRAM)
        yield started
        started.close()


@contextmanager
def opened(browser: Any, running: Running, **how: Any) -> Iterator[Page]:
    """A page of a fresh browser, which reaches no machine but this one."""
    context = browser.new_context(**{"viewport": DESKTOP, **how})
    shown = Page(context.new_page(), running.url)
    context.route(
        lambda url: not url.startswith(running.url), lambda route: route.fulfill(status=204)
    )
    shown.page.on("console", shown.said)
    shown.page.on("pageerror", lambda error: shown.wrong.append(str(error)))
    shown.page.on("dialog", shown.asked)
    try:
        yield shown
    finally:
        context.close()


def publish(running: Running) -> str:
    """A repo as people make them, with two commits and a tag."""
    repo = running.new("lab")
    example = Path(__file__).parents[2] / "examples" / "cartpole"
    files: dict[str, bytes | str | None] = {
        path.name: path.read_bytes() for path in example.iterdir() if path.is_file()
    }
    running.commit(repo, {"README.md": "# Draft\n", "assets/a.txt": "a\n"}, summary="Begin")
    running.post(f"/api/models/{repo}/tag/main", {"tag": "v0.1"}, "ada")
    running.commit(repo, files, summary="Publish it")
    return repo


@pytest.mark.parametrize("bypass", [False, True], ids=["as it is", "without the page's policy"])
def test_no_script_of_a_readme_runs(browser: Any, running: Running, bypass: bool) -> None:
    """Whatever a README holds, and whatever one touches in it, runs nothing and breaks nothing."""
    repo = running.new()
    with opened(browser, running, bypass_csp=bypass) as shown:
        shown.page.add_init_script(TRAP)
        for vector in VECTORS:
            made = running.commit(repo, {"README.md": f"# Title\n\n{vector}\n\nend\n"}).json()
            shown.open(f"/{repo}/at/{made['commitOid']}")
            assert shown.page.evaluate(TOUCH) == [], vector
            assert shown.page.evaluate("window.ran") == [], vector
            assert "/at/" in shown.page.url, vector
            missing = re.compile(r"Failed to load resource: .*404")  # a picture that is not there
            assert [line for line in shown.wrong if not missing.match(line)] == [], vector


def test_no_file_runs(browser: Any, running: Running) -> None:
    """A file that is opened by itself, or shown on its page, runs nothing in the hub's name."""
    repo = running.new()
    script = "<script>document.cookie; alert(1)</script>"
    files: dict[str, bytes | str | None] = {
        "a.html": script,
        "b.svg": f'<svg xmlns="http://www.w3.org/2000/svg">{script}</svg>',
        "c.xhtml": f'<html xmlns="http://www.w3.org/1999/xhtml">{script}</html>',
        "d.xml": '<x xmlns:h="http://www.w3.org/1999/xhtml"><h:script>alert(1)</h:script></x>',
        "e.pdf": "%PDF-1.4 nothing",
        "f.js": "alert(1)",
        "<img src=x onerror=alert(1)>.py": "x = 1\n",
        "g.md": script,
    }
    made = running.commit(repo, files, summary="<img src=x onerror=alert(1)>").json()["commitOid"]
    running.post(f"/api/models/{repo}/tag/main", {"tag": "<b>alert(1)"}, "ada")
    with opened(browser, running) as shown:
        shown.page.add_init_script(TRAP)
        for name in files:
            with suppress(playwright.Error):  # a download is no page
                shown.page.goto(f"{running.url}/{repo}/resolve/main/{name}")
                assert not shown.page.evaluate("window.ran && window.ran.length")
            shown.page.goto(f"{running.url}/{repo}/blob/main/{name}")
            assert shown.page.evaluate("window.ran") == [], name
        for view in (f"commit/{made}", "commits/main", "tree/main", f"compare?from={made}&to=main"):
            shown.page.goto(f"{running.url}/{repo}/{view}")
            assert shown.page.evaluate("window.ran") == [], view
        assert "dialog" not in shown.wrong


WAYS = [
    pytest.param({"viewport": screen, "java_script_enabled": js, "color_scheme": scheme}, id=name)
    for name, screen, js, scheme in [
        ("desktop", DESKTOP, True, "light"),
        ("phone", PHONE, True, "dark"),
        ("desktop without scripts", DESKTOP, False, "dark"),
        ("phone without scripts", PHONE, False, "light"),
    ]
]


@pytest.mark.parametrize("how", WAYS)
def test_looking_around(browser: Any, running: Running, how: dict[str, Any]) -> None:
    """From the first page by a search to an env, its files and what changed in them."""
    repo = publish(running)
    name = repo.partition("/")[2]
    with opened(browser, running, **how) as shown:
        page = shown.page
        shown.open("/")
        page.fill("main input[type=search]", name)
        page.click("main form button")
        page.wait_for_url("**q=*")
        page.click(f".card a.name[href='/{repo}']")
        assert f'make_env("{repo}@{running.head(repo)}"' in page.inner_text(".way:visible")
        shown.fits()
        page.click("label[for=way-git]")
        assert f"git clone {running.url}/{repo}" in page.inner_text(".way:visible")
        for clicked, there in (
            (".tabs >> text=Files", "tree/main"),
            (".files >> text=env.py", "blob/main/env.py"),
            (".tabs >> text=History", "commits/main"),
            (".commits >> text=Publish it", "commit/"),
        ):
            page.click(clicked)
            page.wait_for_url(f"**/{repo}/{there}*")
            shown.fits()
        assert page.is_visible("text=def make_env")
        page.click(".tabs >> text=History")
        page.select_option("select[name=from]", "v0.1")
        page.select_option("select[name=to]", "main")
        page.click(".compare button")
        assert page.is_visible("h1:has-text('From v0.1 to main')")
        page.click(".where a >> nth=0")
        assert page.is_visible(".card")
        shown.fits()
        shown.open("/no/such/thing/here")
        assert page.is_visible("text=There is nothing here")
        assert [line for line in shown.wrong if "404" not in line] == []


@pytest.mark.parametrize("how", WAYS)
def test_ruling(browser: Any, running: Running, how: dict[str, Any]) -> None:
    """Sign in, make a token, hide a repo, let somebody in, delete it, sign out."""
    repo = publish(running)
    name = f"{'phone' if how['viewport'] is PHONE else 'desk'}-{how['java_script_enabled']}"
    with opened(browser, running, **how) as shown:
        page = shown.page
        shown.open(f"/{repo}")
        page.click("text=Sign in")
        page.fill("#token", running.tokens["ada"])
        page.click("main button:has-text('Sign in')")
        page.wait_for_url(f"**/{repo}")
        page.click("text=Tokens")
        page.fill("#name", name)
        page.click("text=Make the token")
        token = page.inner_text(".secret code")
        shown.fits()
        assert running.ask("GET", "/api/whoami-v2", token=token).json()["name"] == "ada"
        page.click(f"tr:has-text('{name}') button")
        page.wait_for_url("**/settings/tokens")
        assert running.ask("GET", "/api/whoami-v2", token=token).status_code == 401
        shown.open(f"/{repo}/settings")
        page.check("input[value=private]")
        page.check("input[value=manual]")
        page.click("text=Save")
        assert page.is_visible("text=Saved.")
        assert running.get(f"/api/models/{repo}").status_code == 401
        page.fill("#name", "something else")
        page.click("text=Delete it for good")
        assert page.is_visible("text=That is not its name")
        page.fill("#name", repo)
        page.click("text=Delete it for good")
        assert page.is_visible(f"text={repo} is deleted")
        page.click("text=Sign out")
        assert page.is_visible("text=Sign in")
        assert [line for line in shown.wrong if "400" not in line] == []


def test_results_come_as_one_types(browser: Any, running: Running) -> None:
    """With scripts the results follow the words, and the address follows the results."""
    repo = publish(running)
    other = running.new()
    with opened(browser, running) as shown:
        page = shown.page
        shown.open("/")
        page.keyboard.press("/")
        page.keyboard.type(repo.partition("/")[2])
        page.wait_for_selector(f".card a[href='/{other}']", state="detached")
        assert page.is_visible(f".card a[href='/{repo}']")
        assert f"q={repo.partition('/')[2]}" in page.url
        page.keyboard.type("nosuchthing")
        page.wait_for_selector("text=Nothing fits")
        assert shown.wrong == []


def test_copy(browser: Any, running: Running) -> None:
    """The button copies the line that it stands beside; without scripts it is not there."""
    repo = publish(running)
    with opened(browser, running, permissions=["clipboard-read", "clipboard-write"]) as shown:
        shown.open(f"/{repo}")
        shown.page.click("button:has-text('Copy') >> nth=0")
        shown.page.wait_for_selector("text=Copied")
        copied = shown.page.evaluate("navigator.clipboard.readText()")
        head = running.head(repo)
        assert copied == f'envhub.make_env("{repo}@{head}", trust_remote_code=True)'
        assert shown.wrong == []
    with opened(browser, running, java_script_enabled=False) as shown:
        shown.open(f"/{repo}")
        assert not shown.page.is_visible("button:has-text('Copy')")


def test_keyboard(browser: Any, running: Running) -> None:
    """Tab leads to all that can be used, the way to the content first; where one is, is seen."""
    repo = publish(running)
    with opened(browser, running) as shown:
        page = shown.page
        shown.open(f"/{repo}")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to content"
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('main') !== null")
        seen = set()
        for _ in range(60):
            page.keyboard.press("Tab")
            outline, label = page.evaluate(
                "[getComputedStyle(document.activeElement).outlineStyle,"
                " document.activeElement.textContent.trim().slice(0, 40)]"
            )
            if page.evaluate("document.activeElement === document.body"):
                break
            seen.add(label)
            ring = page.evaluate(
                "document.activeElement.matches('.ways input') ? getComputedStyle("
                "document.activeElement.nextElementSibling).outlineStyle : ''"
            )
            assert "solid" in {outline, ring}, label
        assert {"Files", "History", "env.py", "Publish it"} <= seen
