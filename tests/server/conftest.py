"""A hub that runs for a whole module, users of it, and a plain HTTP client."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
import pytest

from envhub.proc import Completed, run
from envhub.server.config import Config
from envhub.server.hub import Hub
from envhub.server.patience import Patience
from envhub.server.serving import served

USERS = ("ada", "bob", "eve")
_numbers = count(1)


@dataclass
class Running:
    """A hub that runs, and how to talk to it.

    Attributes:
        hub: its insides.
        url: its address.
        tokens: of `ada`, `bob` and `eve`.
    """

    hub: Hub
    url: str
    tokens: dict[str, str]
    client: httpx2.Client = field(repr=False)

    def ask(
        self,
        method: str,
        path: str,
        *,
        user: str | None = None,
        token: str | None = None,
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> httpx2.Response:
        """Send a request in the name of a user, or of a token."""
        secret = token or (self.tokens[user] if user else None)
        signed = {"Authorization": f"Bearer {secret}"} if secret else {}
        address = path if path.startswith("http") else self.url + path
        return self.client.request(method, address, headers={**signed, **(headers or {})}, **more)

    def get(self, path: str, user: str | None = None, **more: Any) -> httpx2.Response:
        return self.ask("GET", path, user=user, **more)

    def post(self, path: str, body: Any, user: str | None = None, **more: Any) -> httpx2.Response:
        return self.ask("POST", path, user=user, json=body, **more)

    def new(self, owner: str = "ada", **wanted: Any) -> str:
        """Make a repo of a name that no other test has, and return its full name."""
        name = f"repo{next(_numbers)}"
        body = {"name": name, **wanted}
        user = owner if owner in self.tokens else "ada"
        if user != owner:
            body["organization"] = owner
        answer = self.post("/api/repos/create", body, user)
        assert answer.status_code == 200, answer.text
        return f"{owner}/{name}"

    def commit(
        self,
        repo: str,
        files: dict[str, bytes | str | None],
        user: str = "ada",
        *,
        revision: str = "main",
        lines: list[dict[str, Any]] | None = None,
        **header: Any,
    ) -> httpx2.Response:
        """Commit files (`None` deletes one), and further lines."""
        body = [{"key": "header", "value": {"summary": "change", **header}}]
        body += [_line(path, content) for path, content in files.items()]
        text = "\n".join(json.dumps(line) for line in [*body, *(lines or [])])
        path = f"/api/models/{repo}/commit/{revision}"
        return self.ask("POST", path, user=user, content=text.encode())

    def head(self, repo: str, user: str = "ada", revision: str = "main") -> str:
        """The commit that a revision means."""
        answer = self.get(f"/api/models/{repo}/revision/{revision}", user)
        assert answer.status_code == 200, answer.text
        sha: str = answer.json()["sha"]
        return sha

    def send_lfs(self, repo: str, data: bytes, user: str = "ada") -> str:
        """Upload a large file the LFS way; returns its SHA-256."""
        oid = hashlib.sha256(data).hexdigest()
        wanted = {"operation": "upload", "objects": [{"oid": oid, "size": len(data)}]}
        answer = self.post(f"/{repo}.git/info/lfs/objects/batch", wanted, user)
        actions = answer.json()["objects"][0].get("actions")
        if actions:
            sent = self.client.put(actions["upload"]["href"], content=data)
            assert sent.status_code == 200, sent.text
        return oid

    def remote(self, repo: str, user: str | None = "ada") -> str:
        """The address that git clones from."""
        login = f"{user}:{self.tokens[user]}@" if user else ""
        return f"http://{login}{self.url.removeprefix('http://')}/{repo}"


def _line(path: str, content: bytes | str | None) -> dict[str, Any]:
    if content is None:
        return {"key": "deletedFile", "value": {"path": path}}
    data = content.encode() if isinstance(content, str) else content
    text = base64.b64encode(data).decode()
    return {"key": "file", "value": {"path": path, "content": text, "encoding": "base64"}}


def populated(folder: Path, **rules: Any) -> tuple[Hub, dict[str, str]]:
    """A hub's folder with three users and the organisation `lab` of ada (admin) and bob (read)."""
    hub = Hub(folder, Config(**{"durable": False, "examine": False, **rules}))
    for user in USERS:
        hub.accounts.add(user, email=f"{user}@example.org")
    hub.accounts.add("lab", "org")
    hub.accounts.join("lab", "ada", "admin")
    hub.accounts.join("lab", "bob", "read")
    return hub, {user: hub.accounts.new_token(user, "first") for user in USERS}


def run_hub(
    folder: Path, *, protocol: type[Patience] = Patience, **rules: Any
) -> Iterator[Running]:
    """A running hub for as long as the generator is not exhausted."""
    hub, tokens = populated(folder, **rules)
    limits = httpx2.Limits(max_keepalive_connections=0)  # so that no test leaves a socket
    with served(hub, protocol=protocol) as url, httpx2.Client(limits=limits, timeout=60) as client:
        yield Running(hub, url, tokens, client)
    hub.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A hub with the usual rules."""
    yield from run_hub(tmp_path_factory.mktemp("hub"), lfs_over=100_000)


@pytest.fixture
def git(tmp_path: Path) -> Any:
    """Runs git in a folder; the first word is the folder's name."""
    config = tmp_path / "gitconfig"
    config.write_text(
        "[user]\nname = Ada\nemail = ada@example.org\n[init]\ndefaultBranch = main\n"
        "[protocol]\nversion = 2\n"
        '[filter "lfs"]\nclean = git-lfs clean -- %f\nsmudge = git-lfs smudge -- %f\n'
        "process = git-lfs filter-process\nrequired = true\n"
    )
    environ = {"GIT_CONFIG_GLOBAL": str(config), "GIT_TERMINAL_PROMPT": "0"}

    def call(folder: str, *words: str, check: bool = True, **more: str) -> Completed:
        where = tmp_path / folder
        where.mkdir(exist_ok=True)
        return run(["git", *words], cwd=where, env={**environ, **more}, check=check, timeout=60)

    return call
