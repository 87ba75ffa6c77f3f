"""The LFS batch API: ask where objects are, download them, log in if asked to."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from threading import Event
from urllib.parse import urlsplit, urlunsplit

import msgspec
from huggingface_hub.errors import HfHubHTTPError

from envhub.hubs.base import Progress
from envhub.hubs.gitremote import Remote
from envhub.hubs.hfhttp import Download, Place, meanings, open_reply
from envhub.hubs.lfs import Pointer, Wanted, missing
from envhub.hubs.parallel import each

TIMEOUT = 10.0
_PER_REQUEST = 100
_MEDIA_TYPE = "application/vnd.git-lfs+json"


class _Action(msgspec.Struct):
    href: str
    header: dict[str, str] = {}


class _Actions(msgspec.Struct):
    download: _Action | None = None


class _Object(msgspec.Struct):
    oid: str
    actions: _Actions | None = None


class _Batch(msgspec.Struct):
    objects: list[_Object]


def download(remote: Remote, files: Sequence[Wanted], progress: Progress) -> None:
    """Write LFS files, several at a time.

    Raises:
        EntryNotFoundError: the remote lacks the bytes of a pointer.
        HubError: the remote does not give them, or gives others.
    """
    place = Place(remote.url, remote.name, remote.url)
    for start in range(0, len(files), _PER_REQUEST):  # links expire: ask for a few at a time
        part = files[start : start + _PER_REQUEST]
        actions = _actions(remote, [wanted.pointer for wanted in part], place)

        def fetch(
            wanted: Wanted,
            report: Progress,
            stop: Event,
            actions: Mapping[str, _Action] = actions,
        ) -> None:
            action = actions.get(wanted.pointer.oid)
            if action is None:
                raise missing(wanted, remote)
            source = Download(action.href, action.header, wanted.pointer.size, place, TIMEOUT)
            with wanted.target.open("ab") as target:
                report(target.tell())
                source.into(target, report, stop)
            if not stop.is_set():
                wanted.check()

        each(fetch, part, progress)


def _actions(remote: Remote, pointers: Sequence[Pointer], place: Place) -> dict[str, _Action]:
    """Where to get objects; those that the remote lacks are left out."""
    address = _address(remote.url)
    objects = [{"oid": pointer.oid, "size": pointer.size} for pointer in pointers]
    asked = {"operation": "download", "transfers": ["basic"], "objects": objects}
    with meanings(place):
        body = _ask(remote, address, msgspec.json.encode(asked))
        batch = msgspec.json.decode(body, type=_Batch)
    return {
        item.oid: item.actions.download
        for item in batch.objects
        if item.actions and item.actions.download
    }


def _ask(remote: Remote, address: str, body: bytes) -> bytes:
    headers = {"accept": _MEDIA_TYPE, "content-type": _MEDIA_TYPE}
    try:
        return _post(address, headers, body)
    except HfHubHTTPError as error:
        if error.response.status_code != 401:
            raise
    user, password = remote.login(address)
    secret = base64.b64encode(f"{user}:{password}".encode()).decode()
    return _post(address, {**headers, "authorization": f"Basic {secret}"}, body)


def _post(address: str, headers: Mapping[str, str], body: bytes) -> bytes:
    with open_reply("POST", address, headers, TIMEOUT, body) as reply:
        return reply.read()


def _address(url: str) -> str:
    """The batch API of a repo, where git-lfs looks for it; for ssh, that of the same host."""
    parts = urlsplit(url)
    scheme = parts.scheme if parts.scheme in {"http", "https"} else "https"
    host = parts.netloc if scheme == parts.scheme else parts.hostname or ""
    path = parts.path.rstrip("/").removesuffix(".git")
    return urlunsplit((scheme, host, f"{path}.git/info/lfs/objects/batch", "", ""))
