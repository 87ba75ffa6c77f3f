"""docs/hosting.md is walked from top to bottom: its lines work, and print what it says."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.server.test_serve import serving

from envhub.proc import run

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "hosting.md").read_text()
FIRST, SECOND = PAGE.partition("\n## What it knows")[0].split("\n## Find and load")
ADDRESS = "127.0.0.1:8765"
ELSEWHERE = ("pip install", "envhub serve")
"""What is done already when the test runs, or by the test itself."""


def steps(page: str) -> Iterator[tuple[str, list[str]]]:
    """The lines of a page that one types, and what it says that they print."""
    for block in re.findall(r"^```console\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, *said = step.splitlines()
            if not line.startswith(ELSEWHERE):
                yield line, said


def kept(line: str) -> str:
    """A line without what differs from time to time: hashes, numbers, widths of tables."""
    line = re.sub(r"\b[0-9a-f]{7,40}\b", "#", line)
    return " ".join(re.sub(r"\d[\d,.]*|─+", "#", line).split())


def shell(page: str, folder: Path, address: str, **env: str) -> None:
    """Type all lines of a page in one shell, and compare what they print."""
    walk = list(steps(page))
    script = "".join(f"echo '@@@{n}'\n{line}\n" for n, (line, _) in enumerate(walk))
    done = run(
        ["bash", "-e", "-c", f"exec 2>&1\n{script}".replace(ADDRESS, address)],
        cwd=folder,
        env={"HF_HUB_DISABLE_PROGRESS_BARS": None, "NO_COLOR": "1", **env},
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.text
    printed = re.split(r"^@@@\d+\n?", done.text, flags=re.MULTILINE)[1:]
    for (line, said), text in zip(walk, printed, strict=True):
        lines = [kept(each.replace(address, ADDRESS)) for each in text.splitlines()]
        # What takes long says so only where it does.
        wanted = [kept(each) for each in said if not each.endswith("…")]
        assert [each for each in wanted if each not in lines] == [], f"$ {line}\n{text}"


@pytest.mark.heavy
@pytest.mark.timeout(900)
def test_a_new_user_walks_through(tmp_path: Path) -> None:
    """Made, published in three ways, found and loaded by another user with nothing but a token."""
    shutil.copytree(ROOT / "examples" / "cartpole", tmp_path / "cartpole")
    mine = {"PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"}
    roles = [f"GIT_{who}_{what}" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")]
    bob = {"ENVHUB_HOME": str(tmp_path / "bob"), "ENVHUB_ISOLATION": "auto"}
    users, publish = FIRST.split("\n## Publish")
    with serving(tmp_path / "hub") as told:
        address = told["url"].removeprefix("http://")
        shell(users, tmp_path, address, **mine)
        shell(publish, tmp_path, address, **mine, **dict.fromkeys(roles, "ada@lab.org"))
        shell(SECOND, tmp_path, address, **mine, **bob)
