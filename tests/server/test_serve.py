"""`envhub serve`, `envhub hub`, `hf` and envhub's own client, on a hub in a process of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from click.testing import CliRunner, Result
from tests.server.conftest import Running

import envhub
from envhub.cli import main
from envhub.errors import GatedRepoError, RepoNotFoundError
from envhub.proc import run
from envhub.testing import repos

Call = Callable[..., Result]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Runs `envhub` with the hub of the folder `data`."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str, status: int = 0) -> Result:
        result = CliRunner().invoke(main, list(words))
        assert result.exit_code == status, result.output
        return result

    return call


@contextmanager
def serving(folder: Path, *words: str) -> Iterator[dict[str, str]]:
    """`envhub serve` in a process; yields what it said."""
    argv = [sys.executable, "-m", "envhub", "serve", "--data", str(folder), "--port", "0"]
    with (folder.parent / "serve.log").open("w") as log:
        process = subprocess.Popen(
            [*argv, "--json", *words], stdout=subprocess.PIPE, stderr=log, text=True
        )
    assert process.stdout
    try:
        text = "".join(iter(process.stdout.readline, "}\n")) + "}"
        yield json.loads(text)
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 0
        process.stdout.close()


def test_a_lab_could_run_it(cli: Call, tmp_path: Path) -> None:
    """Make a user, serve, publish with `hf`, load by one line with a token: the whole way."""
    token = tmp_path / "ada.token"
    cli("hub", "user", "add", "ada", "--email", "ada@lab.org", "--token-file", str(token))
    assert token.stat().st_mode & 0o077 == 0
    source = repos.write(repos.COUNTER, tmp_path / "counter")
    data = tmp_path / "envhub-data"
    with serving(data) as told:
        url = told["url"]
        env = {"HF_ENDPOINT": url, "HF_TOKEN": token.read_text().strip(), "HF_HUB_OFFLINE": None}
        hf = Path(sys.executable).with_name("hf")
        run([hf, "repos", "create", "ada/counter", "--private"], env=env, timeout=60)
        run([hf, "upload", "ada/counter", source, "."], env=env, timeout=60)
        run([hf, "repos", "tag", "create", "ada/counter", "v1.0"], env=env, timeout=60)
        assert "ada/counter" in run([hf, "repos", "list"], env=env, timeout=60).text
        user = envhub.Client(endpoint=url, token=env["HF_TOKEN"])
        ref = "ada/counter@v1.0"
        with user.make_env(ref, trust_remote_code=True, isolation="inline") as envs:
            envs.only.reset(seed=0)
            commit = envs.pin.commit
        answer = httpx2.get(
            f"{url}/api/models/ada/counter", headers={"Authorization": f"Bearer {env['HF_TOKEN']}"}
        )
        assert answer.json()["sha"] == commit
        found = json.loads(cli("hub", "fsck", "--deep", "--json").output)
        assert found == {"problems": []}
    lines = [json.loads(line) for line in (tmp_path / "serve.log").read_text().splitlines()]
    loaded = next(line for line in lines if line.get("route") == "resolve")
    assert {"time", "level", "message", "status", "seconds", "client"} <= set(loaded)
    assert not [line for line in lines if line["level"] == "error"]


def test_hf_command(running: Running, tmp_path: Path) -> None:
    """The `hf` command signs in, makes, lists, changes, moves, downloads and deletes."""
    env = {"HF_ENDPOINT": running.url, "HF_HOME": str(tmp_path / "home"), "NO_COLOR": "1"}
    program = str(Path(sys.executable).with_name("hf"))
    code = "import sys; from huggingface_hub.cli.hf import main; sys.argv[0] = 'hf'; main()"

    def hf(*words: str) -> str:
        argv = [program, *words] if Path(program).exists() else [sys.executable, "-c", code, *words]
        return run(argv, env=env, timeout=60).text

    (tmp_path / "x.txt").write_text("x")
    hf("auth", "login", "--token", running.tokens["ada"])
    assert "ada" in hf("auth", "whoami")
    hf("upload", "ada/by-hf", str(tmp_path / "x.txt"), "x.txt")
    assert "by-hf" in hf("models", "ls", "--search", "by-hf", "--format", "json")
    hf("repos", "settings", "ada/by-hf", "--gated", "auto")
    hf("repos", "move", "ada/by-hf", "lab/by-hf")
    hf("download", "lab/by-hf", "x.txt", "--local-dir", str(tmp_path / "got"))
    assert (tmp_path / "got" / "x.txt").read_text() == "x"
    hf("repos", "delete", "lab/by-hf", "--yes")
    assert running.get("/api/models/lab/by-hf", "ada").status_code == 404


def test_own_client(running: Running, tmp_path: Path) -> None:
    """envhub's client resolves, refuses and loads like from any hub."""
    repo = running.new(private=True)
    files: dict[str, Any] = dict(repos.COUNTER)
    assert running.commit(repo, files).status_code == 200
    stranger = envhub.Client(endpoint=running.url, token=running.tokens["eve"])
    with pytest.raises(RepoNotFoundError):
        stranger.resolve(repo)
    owner = envhub.Client(endpoint=running.url, token=running.tokens["ada"])
    assert owner.resolve(repo).commit == running.head(repo)
    with owner.make_env(repo, trust_remote_code=True, isolation="inline", n_envs=2) as envs:
        assert envs.only.num_envs == 2
    gated = running.new()
    running.commit(gated, files)
    settings = {"gated": "manual"}
    running.ask("PUT", f"/api/models/{gated}/settings", user="ada", json=settings)
    with pytest.raises(GatedRepoError):
        stranger.make_env(gated, trust_remote_code=True, isolation="inline")


def test_tokens_and_organisations(cli: Call) -> None:
    """Users, organisations and tokens can be made, listed and taken back."""
    shown = cli("hub", "user", "add", "ada").output
    assert re.search(r"hf_[\w-]{40}", shown)
    assert "already" in cli("hub", "user", "add", "ada", status=1).output
    cli("hub", "org", "add", "lab", "--member", "ada:admin")
    cli("hub", "org", "add", "lab", "--member", "ada:read")
    assert "no role" in cli("hub", "org", "add", "lab", "--member", "ada:king", status=1).output
    scope = ("--scope", "lab/arm:read", "--days", "30")
    made = json.loads(cli("hub", "token", "add", "ada", "robot", *scope, "--json").output)
    assert made["token"].startswith("hf_")
    listed = json.loads(cli("hub", "token", "ls", "ada", "--json").output)["tokens"]
    assert [(each["name"], each["role"]) for each in listed] == [
        ("first", "write"),
        ("robot", "fine"),
    ]
    assert "robot" in cli("hub", "token", "ls", "ada").output
    cli("hub", "token", "rm", "ada", "robot")
    assert "no token" in cli("hub", "token", "rm", "ada", "robot", status=1).output


def test_known_token(cli: Call, tmp_path: Path) -> None:
    """A token that exists already, as a secret manager made it, is taken from its file."""
    (tmp_path / "t").write_text("a-token-from-elsewhere-0123456789\n")
    assert "a-token" not in cli("hub", "user", "add", "ada", "--token-file", "t").output
    (tmp_path / "short").write_text("guess")
    assert "20" in cli("hub", "user", "add", "bob", "--token-file", "short", status=1).output


def test_upkeep_commands(cli: Call, tmp_path: Path) -> None:
    """Backup, restore, clean-up and check work from the command line, and say what is wrong."""
    cli("hub", "user", "add", "ada")
    assert "repos" in cli("hub", "backup", "copy").output
    assert "not empty" in cli("hub", "backup", "copy", status=1).output
    assert "as it was" in cli("hub", "restore", "copy", "--data", "again").output
    assert "blobs" in cli("hub", "gc", "--data", "again").output
    assert "all is well" in cli("hub", "fsck", "--data", "again").output
    odd = tmp_path / "again" / "hub.sqlite3"
    run(
        [
            sys.executable,
            "-c",
            "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]);"
            "c.execute(\"INSERT INTO blobs VALUES ('00', 5)\"); c.commit()",
            odd,
        ]
    )
    assert "SHA-256" in cli("hub", "fsck", "--data", "again", status=1).output


def test_public_address(cli: Call, tmp_path: Path) -> None:
    """Behind a proxy the hub names its public address in all that it answers."""
    token = json.loads(cli("hub", "user", "add", "ada", "--json").output)["token"]
    with serving(tmp_path / "envhub-data", "--public-url", "https://envs.lab.org/") as told:
        assert told["url"] == "https://envs.lab.org/"
        answer = httpx2.post(
            f"{told['listening']}/api/repos/create",
            json={"name": "x"},
            headers={"Authorization": f"Bearer {token}"},
        )
        assert answer.json()["url"] == "https://envs.lab.org/ada/x"


def test_taken_port(cli: Call, running: Running) -> None:
    """A port that another program has is told in words."""
    port = running.url.rpartition(":")[2]
    result = cli("serve", "--port", port, status=1)
    assert "in use" in result.output


def test_missing_extra(cli: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the command says what to install."""
    monkeypatch.setitem(sys.modules, "envhub.server.hub", None)
    assert "gym-envhub[hub]" in cli("hub", "gc", status=1).output


def test_demo(cli: Call, tmp_path: Path) -> None:
    """`--demo` publishes the gallery, again and again, and says what to look at and to type."""
    for _ in range(2):
        with serving(tmp_path / "demo", "--demo") as told:
            found = cli("search", "cartpole", "--hub", told["url"], "--quiet").stdout
            assert f"hub+{told['url']}/gallery/cartpole\n" in found
    argv = [sys.executable, "-m", "envhub", "serve", "--demo", "--port", "0"]
    with subprocess.Popen(
        [*argv, "--data", str(tmp_path / "demo")], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        lines = list(
            iter(
                process.stderr.readline,
                "  envhub init my-env && envhub push ./my-env --to you/my-env\n",
            )
        )
        process.terminate()
        process.stderr.read()
    assert any("/gallery/pusht" in line for line in lines)
    token = next(line.rpartition("=")[2].strip() for line in lines if "HF_TOKEN" in line)
    assert token.startswith("hf_")
