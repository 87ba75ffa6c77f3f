"""The commands that publish: what they print, ask and refuse, each against a hub that runs."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result

import envhub
from envhub.cli import main
from envhub.testing import OwnHub, repos

Cli = Callable[..., Result]


@pytest.fixture
def mine(cli: Cli, envhub_hub: OwnHub, monkeypatch: pytest.MonkeyPatch) -> OwnHub:
    """A hub and my token for it; `pick` and `bare` are folders beside me, `you/old` a repo."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("ENVHUB_TOKEN", envhub_hub.token)
    repos.write(repos.COUNTER, Path("pick"))
    Path("bare").mkdir()
    Path("you.token").write_text(envhub_hub.token + "\n")
    envhub_hub.add("you/old", repos.COUNTER, tag="v1.0")
    return envhub_hub


def test_push(cli: Cli, mine: OwnHub) -> None:
    """What a person reads: where it is, what was sent and found, and the line that loads it."""
    done = cli("push", "pick", "--to", "you/pick", "--tag", "v1.0")
    assert done.exit_code == 0, done.stderr
    commit = envhub.Client(lock=False).resolve("you/pick@v1.0").commit
    assert done.stdout == (
        f"repo     {mine.url}/you/pick (new)\n"
        f"commit   {commit}\n"
        "tag      v1.0\n"
        "files    2 sent\n"
        "checked  Box(-1, 2.14748e+09, (2,), int64) → Discrete(2), 10 steps\n"
        "\n"
        "Load it:\n"
        f'  envhub.make_env("you/pick@{commit}", trust_remote_code=True)\n'
    )
    assert done.stderr.splitlines() == [
        "looking for secrets …",
        f"asking {mine.url} …",
        "loading the env, and stepping it …",
        "sending 2 files …",
    ]
    again = cli("push", "pick", "--to", "you/pick")
    assert "files    2 there already, nothing has changed\n" in again.stdout


def test_push_for_programs(cli: Cli, mine: OwnHub) -> None:
    """JSON has all of it; quietly it is the pinned ref; both say nothing else."""
    done = cli("push", "pick", "--to", "you/pick", "--json", "--private", "-m", "First")
    found = json.loads(done.stdout)
    assert done.stderr == ""
    assert set(found) == {
        *("ref", "hub", "page", "commit", "digest", "created", "tag", "sent", "removed", "kept"),
        *("check", "line"),
    }
    assert found["check"]["suites"] == {"hub_env": 1}
    assert [file["path"] for file in found["sent"]] == ["README.md", "env.py"]
    quiet = cli("push", "pick", "--to", "you/pick", "-q")
    assert (quiet.stdout, quiet.stderr) == (f"{found['ref']}\n", "")
    assert cli("info", found["ref"], "-q").stdout == quiet.stdout


def test_dry_run(cli: Cli, mine: OwnHub) -> None:
    """What would be sent and removed, as a table."""
    assert cli("push", "pick", "--to", "you/pick").exit_code == 0
    Path("pick/env.py").rename("pick/other.py")
    Path("pick/envhub.toml").write_text('entry = "other.py"\n')
    done = cli("push", "pick", "--to", "you/pick", "--dry-run", "--tag", "v2")
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith(" ")][1:]
    assert [(row[0], row[-1]) for row in rows] == [
        ("README.md", "send"),
        ("envhub.toml", "send"),
        ("other.py", "send"),
        ("env.py", "remove"),
    ]
    assert done.stdout.endswith("Nothing was sent, since this was a dry run.\n")
    assert json.loads(cli("tag", "you/pick", "--json").stdout) == {}


def test_another_hub(cli: Cli, mine: OwnHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--hub` and `--token-file` name a hub and its token; the printed line names it, too."""
    monkeypatch.delenv("ENVHUB_TOKEN")
    monkeypatch.setenv("ENVHUB_ENDPOINT", "http://127.0.0.1:1")
    words = ("push", "./pick", "--to", "you/pick", "--hub", mine.url)
    assert "there is no token for this hub" in cli(*words).stderr
    done = cli(*words, "--token-file", "you.token")
    assert f'envhub.make_env("hub+{mine.url}/you/pick@' in done.stdout
    host = mine.url.removeprefix("http://")
    assert f"https://{host}" in cli("tag", "you/pick", "--hub", host).stderr


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ("push pick", 2, "Missing option '--to'"),
        ("push none --to you/pick", 1, "does not exist"),
        ("push bare --to you/pick", 1, "→ envhub init NAME"),
        ("push pick/env.py --to you/pick", 2, "is a file"),
        ("push pick --to you/pick@v1", 1, "→ you/pick --tag v1"),
        ("push pick --to hf://you/pick --hub http://x", 2, "says where it is"),
        ("push pick --to ./pick", 1, "not a repo on a hub"),
        ("push pick --to you/pick --token-file empty", 2, "has 0 words, and no token"),
        ("push pick --to you/pick --tag ..", 1, "error[ref-invalid]"),
        ("push pick --to them/pick", 1, "nobody named them"),
        ("tag you/old v1.0 --rm --json", 0, ""),
        ("tag you/old --rm", 2, "which tag?"),
        ("tag you/old@v2 v3", 1, "has no revision 'v2'"),
        ("tag you/none v1", 1, "error[repo-not-found]"),
        ("fork you/old --to you/old", 1, "error[already-there]"),
        ("fork you/none --to you/new", 1, "error[repo-not-found]"),
        ("delete you/old", 2, "--yes you/old"),
        ("delete you/old --yes you/other", 1, "'you/other' is not you/old"),
        ("delete you/none --yes you/none", 1, "error[repo-not-found]"),
        ("init pick", 1, "error[already-there]"),
        ("init 'my env'", 1, "→ envhub init my-env"),
        ("init x --from gymnasium:CartPol-v1", 1, "→ --from gymnasium:CartPole-v1"),
    ],
)
def test_wrong_input(cli: Cli, mine: OwnHub, words: str, status: int, said: str) -> None:
    """What cannot be done is told in a line, with the way out; the exit status says which kind."""
    Path("empty").write_text("")
    done = cli(*shlex.split(words))
    assert (done.exit_code, said in done.stderr) == (status, True), done.stderr
    assert "Traceback" not in done.stderr


def test_failing_envs(cli: Cli, mine: OwnHub) -> None:
    """An env that raises is its author's, and is not published."""
    repos.write(repos.RAISES, Path("pick"))
    done = cli("push", "pick", "--to", "you/pick")
    assert done.exit_code == 1
    assert "error[env-failed]: ./pick failed" in done.stderr
    assert "ZeroDivisionError: the factory failed (env.py:2)" in done.stderr
    assert cli("push", "pick", "--to", "you/pick", "--no-check").exit_code == 0


def test_secrets(cli: Cli, mine: OwnHub) -> None:
    """A secret is told by file and line, and let through by name only."""
    Path("pick/notes.md").write_text("\nhf_" + "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789")
    done = cli("push", "pick", "--to", "you/pick", "--json")
    error = json.loads(done.stderr)["error"]
    assert (done.exit_code, error["code"]) == (1, "secret-found")
    assert error["why"] == "notes.md:2: a token of a hub"
    assert cli("push", "pick", "--to", "you/pick", "--allow-secret", "notes.md").exit_code == 0


def test_tag(cli: Cli, mine: OwnHub) -> None:
    """Tags are listed, made, refused and removed."""
    commit = json.loads(cli("tag", "you/old", "--json").stdout)["v1.0"]
    done = cli("tag", "you/old@v1.0", "best")
    line = 'envhub.make_env("you/old@best", trust_remote_code=True)'
    assert done.stdout == f"tag     best\ncommit  {commit}\n\nLoad it:\n  {line}\n"
    assert cli("tag", "you/old", "-q").stdout.split() == ["best", "v1.0"]
    mine.add("you/old", {"more.txt": "x"})
    assert "error[already-there]" in cli("tag", "you/old", "best").stderr
    assert cli("tag", "--rm", "you/old", "best").stdout == (
        "you/old has no tag best any more; its commit stays\n"
    )
    assert "→ it has v1.0" in cli("tag", "--rm", "you/old", "best").stderr
    cli("tag", "--rm", "you/old", "v1.0")
    assert cli("tag", "you/old").stdout == "you/old has no tags\n"


def test_fork(cli: Cli, mine: OwnHub) -> None:
    """A fork is told like a push; nothing of it was checked."""
    done = cli("fork", "you/old@v1.0", "--to", "you/new", "--tag", "v0", "--json")
    assert json.loads(done.stdout)["check"] is None
    assert cli("tag", "you/new", "-q").stdout == "v0\n"
    assert f"forked-from: hub+{mine.url}/you/old@" in _card("you/new")


def _card(ref: str) -> str:
    user = envhub.Client(lock=False)
    return (user.fetch(user.resolve(ref)).root / "README.md").read_text()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Somebody is there to answer."""
    monkeypatch.setattr("envhub.cli.tag.asks", lambda _out: True)
    return iter(())


def test_delete(cli: Cli, mine: OwnHub, terminal: None) -> None:
    """The name is typed, or said; anything else leaves the repo alone."""
    done = cli("delete", "you/old", stdin="yes\n")
    assert (done.exit_code, "so nothing was removed" in done.stderr) == (1, True)
    assert "you/old would be gone for everybody" in done.stderr
    assert cli("delete", "you/old", stdin="\n").exit_code == 1
    assert cli("delete", "you/old", stdin="you/old\n").stdout == "you/old is gone\n"
    mine.add("you/two", repos.COUNTER)
    done = cli("delete", "you/two", "--yes", "you/two", "--json")
    assert json.loads(done.stdout) == {"deleted": "you/two"}


def test_init(cli: Cli) -> None:
    """What to do next is printed, to be pasted."""
    done = cli("init", "my-pick")
    assert done.stdout == (
        "folder  ./my-pick\n"
        "files   .gitignore, README.md, env.py, envhub.toml, test_env.py\n"
        "\n"
        "Next:\n"
        "  envhub run ./my-pick --trust-remote-code\n"
        "  pytest ./my-pick\n"
        "  envhub push ./my-pick --to <you>/my-pick\n"
    )
    found = json.loads(cli("init", "envs/other", "--json").stdout)
    assert found["folder"].endswith("envs/other")
    assert found["next"][0] == "envhub run ./envs/other --trust-remote-code"
    assert cli("init", Path("third").absolute(), "-q").stdout.endswith("/third\n")


def test_init_run_push(cli: Cli, mine: OwnHub) -> None:
    """From nothing to a repo that loads, in three commands."""
    assert cli("init", "reach").exit_code == 0
    assert cli("run", "./reach", "--trust-remote-code", "--episodes", 1).exit_code == 0
    done = cli("push", "./reach", "--to", "you/reach", "--tag", "v1.0", "-q")
    assert cli("run", done.stdout.strip(), "--trust-remote-code", "--episodes", 1).exit_code == 0
    text = _card("you/reach")
    assert 'envs = envhub.make_env("you/reach", trust_remote_code=True)' in text
    assert "| action | `Box(-1, 1, (2,), float32)` |" in text


def _examples() -> list[str]:
    texts = [main.commands[name].epilog or "" for name in ("push", "fork", "tag", "delete")]
    return [line.strip() for text in texts for line in text.splitlines() if "envhub" in line]


@pytest.mark.parametrize("line", _examples())
def test_examples(cli: Cli, mine: OwnHub, line: str, terminal: None) -> None:
    """What the help texts show can be typed as it stands, where the repos are there."""
    if "pypi:" in line:
        pytest.skip("asks a package index")
    mine.inside.accounts.add("lab", "org")
    mine.inside.accounts.join("lab", "you", "write")
    mine.add("them/pick", repos.COUNTER, tag="v1.0")
    commit = ""
    if not line.startswith(("envhub push", "envhub fork")):
        commit = mine.add("you/pick", repos.COUNTER, tag="v1.1")
    line = line.replace("http://127.0.0.1:8765", mine.url).replace("1969fbe", commit[:7])
    done = cli(*shlex.split(line)[1:], stdin="you/pick\n")
    assert done.exit_code == 0, done.stderr
