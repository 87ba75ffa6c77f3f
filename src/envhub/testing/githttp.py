"""Git's smart HTTP protocol, answered by git's own `http-backend`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from envhub.hubs.gitprogram import git

_PASSED_ON = {
    "content-type": "CONTENT_TYPE",
    "content-encoding": "HTTP_CONTENT_ENCODING",
    "git-protocol": "HTTP_GIT_PROTOCOL",
}


def serve_git(
    repo: Path, service: str, method: str, query: str, headers: Mapping[str, str], body: bytes
) -> tuple[int, dict[str, str], bytes]:
    """Answer one request of a git client.

    Args:
        repo: the git directory.
        service: `info/refs`, `git-upload-pack` or `git-receive-pack`.
        method: of the request.
        query: of the request.
        headers: of the request, names in lower case.
        body: of the request.

    Returns:
        Status, headers and body of the reply.
    """
    env = {
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_PROJECT_ROOT": str(repo.parent),
        "PATH_INFO": f"/{repo.name}/{service}",
        "QUERY_STRING": query,
        "REQUEST_METHOD": method,
        "REMOTE_USER": "owner",
        "CONTENT_LENGTH": str(len(body)),
        **{name: headers[key] for key, name in _PASSED_ON.items() if key in headers},
    }
    done = git("http-backend", stdin=body, env=env, check=False)  # it says why in what it answers
    head, _, content = done.stdout.partition(b"\r\n\r\n")
    lines = [line.partition(": ") for line in head.decode().split("\r\n") if line]
    found = {name: value for name, _, value in lines}
    return int(found.pop("Status", "200").split()[0]), found, content
