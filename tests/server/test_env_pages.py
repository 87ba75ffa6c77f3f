"""What the hub knows of envs, on the pages: spaces, tasks, checks, pictures, words to search by."""

from __future__ import annotations

import re
from html import unescape

from tests.server.conftest import Running
from tests.server.test_pages import CARD, page
from tests.server.visitor import visiting

from envhub.server.about import About, Check, Concern, Leaf, Suite, Task
from envhub.server.abouts import Preview

CAMERA = Leaf("camera/rgb", "Box", (96, 96, 3), "uint8", "0", "255")
TASK = Task(
    "Lift <b>it</b>.",
    checked=True,
    observation=(CAMERA, Leaf("angles", "Box", (4,), "float32", "-inf", "inf")),
    action=(Leaf("", "Discrete", (), "int64", "0", "1"),),
    steps_per_second=8123.0,
)
ABOUT = About(
    "checked",
    entry="env.py",
    python=">=3.11",
    requirements=("mujoco==3.3.2", "<script>"),
    permissions=("network",),
    parameters={"gravity": {"type": "float", "min": 0.0, "default": 9.81, "help": "<i>down</i>"}},
    engines=("mujoco",),
    suites={"arm": Suite("One arm.", {"0": TASK, "1": TASK})},
    n_tasks=2,
    findings=(Concern("network", "high", "env.py", 1, "socket.socket", "…", 2),),
    severities={"high": 1},
    checks=(Check("loads", True), Check("steps", False, "raised <u>Oops</u>")),
    sandbox="bubblewrap",
    facets=("action:discrete", "engine:mujoco", "python:3.11", "checked:loads", "engine:wombat"),
)


def known(running: Running, about: About | None = ABOUT, **settings: object) -> str:
    """A repo of which the hub knows something, and has a picture."""
    repo = running.new()
    head = running.commit(repo, {"env.py": "x = 1\n", "README.md": "# T\n\nLift it.\n"})
    found = running.hub.repos.find("model", repo)
    assert found
    if settings:
        running.ask("PUT", f"/api/models/{repo}/settings", user="ada", json=settings)
    sha = head.json()["commitOid"]
    running.hub.abouts.put(found.id, sha, about, Preview("image/webp", b"picture"), ran=True)
    running.hub.index.update(found, force=True)
    return repo


def test_data_sheet(running: Running) -> None:
    """An env's page says what it sees and does, needs and may, and how the hub found it."""
    repo = known(running)
    shown = page(running, f"/{repo}")
    text = unescape(re.sub(r"<[^>]*>", " ", shown))
    for words in (
        "camera/rgb", "96 × 96 × 3", "-inf … inf", "Discrete", "Lift <b>it</b>.", "8.1k steps/s",
        "gravity", "9.81", "≥ 0", "<i>down</i>", "reach other machines", "mujoco==3.3.2",
        ">=3.11", "Run in bubblewrap", "raised <u>Oops</u>", "1 high", "socket.socket",
    ):  # fmt: skip
        assert words in text, words
    assert len(re.findall("camera/rgb", shown)) == 1
    assert "<script>" not in shown
    picture = re.search(r'<img src="(/api/[^"]*/preview/[^"]*)"', shown)
    assert picture
    assert running.get(picture[1]).content == b"picture"


def test_while_the_hub_looks(running: Running) -> None:
    """Until it has looked, the page says so; where there is no env, it says nothing."""
    repo = known(running, About("waiting"))
    assert "The hub is looking" in page(running, f"/{repo}")
    plain = page(running, f"/{known(running, None)}")
    assert "Checks of this commit" not in plain
    assert "Permissions it asks for" not in plain


def test_cards(running: Running) -> None:
    """A list shows a picture, the first words, and how many tasks; hidden pictures stay hidden."""
    repo, gated = known(running), known(running, gated="manual")
    name, other = repo.partition("/")[2], gated.partition("/")[2]
    shown = page(running, f"/?q={name}")
    assert "Lift it." in shown
    assert "2 tasks" in shown
    assert "/preview/" in shown
    assert "/preview/" not in page(running, f"/?q={other}")
    assert "/preview/" in page(running, f"/?q={other}", "ada")
    assert "Lift it." not in page(running, f"/?q={other}")


def test_facets(running: Running) -> None:
    """The words to narrow down by are counted, switched on by a click, and off by another."""
    repo = known(running)
    first = page(running, "/?q=lift")
    link = re.search(r'<a href="([^"]*engine%3Awombat[^"]*)"', first)
    assert link
    narrowed = page(running, unescape(link[1]))
    assert f"/{repo}" in re.findall(CARD, narrowed)
    assert 'class="on" aria-current="true"' in narrowed
    off = re.search(r'<a href="([^"]*)" class="on" aria-current', narrowed)
    assert off
    assert unescape(off[1]) == "/?q=lift"


def test_private_pictures(running: Running) -> None:
    """The picture of a private env is for those who see the env, also at a browser."""
    repo = known(running, private=True)
    with visiting(running, "ada") as ada, visiting(running, "eve") as eve:
        address = re.search(r'<img src="(/api/[^"]*)"', ada.get(f"/{repo}"))
        assert address
        assert ada.client.get(running.url + address[1]).content == b"picture"
        assert eve.client.get(running.url + address[1]).status_code == 404
        assert running.get(address[1]).status_code == 401
