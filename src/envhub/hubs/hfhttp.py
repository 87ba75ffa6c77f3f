"""HTTP with a hub that speaks the Hugging Face protocol, and what its errors mean.

The connections, the headers and the first reading of an error are `huggingface_hub`'s. Imported
late by `huggingface`, since its HTTP library takes longer to load than all of envhub.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, BinaryIO, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec
from huggingface_hub import errors as hf
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # exported lazily
    build_hf_headers,
    hf_raise_for_status,
    http_stream_backoff,
)

from envhub import __version__
from envhub.errors import (
    EntryNotFoundError,
    EnvHubError,
    GatedRepoError,
    HubError,
    HubUnreachableError,
    OfflineError,
    RepoNotFoundError,
    RevisionNotFoundError,
)
from envhub.hubs.base import Progress

if TYPE_CHECKING:
    import httpx2 as httpx
else:
    # huggingface_hub has httpx2 since its version 2, and httpx before, which LeRobot 0.6 needs.
    httpx = importlib.import_module(hf.HfHubHTTPError.__mro__[1].__module__.partition(".")[0])

T = TypeVar("T")

MAX_ANSWER = 32 << 20
"""Bytes: a page of a listing has a hundredth of that."""

_BUSY = (408, 429)


@dataclass(frozen=True)
class Place:
    """What a request is about, for the words of an error.

    Attributes:
        hub: address of the hub.
        repo: `owner/name`.
        page: address of the repo's page.
        revision: as typed, or empty.
    """

    hub: str
    repo: str
    page: str
    revision: str = ""


class Session:
    """Requests to one hub; a token goes to this hub and to no other address.

    Args:
        address: of the hub.
        token: sent with every request; `True` is the one that is stored on this machine, `None`
            and `False` are none.
        timeout: seconds that a silent connection may last.
    """

    def __init__(self, address: str, token: str | bool | None, timeout: float) -> None:
        self.address = address
        self.timeout = timeout
        # For huggingface_hub, None is the stored token if there is one, and True fails if not.
        self._headers = build_hf_headers(
            token=None if token is True else token or False,
            library_name="envhub",
            library_version=__version__,
            headers={"accept-encoding": "identity"},
        )

    def get(self, path: str, kind: type[T], place: Place, query: str = "") -> T:
        """Ask for JSON and read it as `kind`."""
        return self._get(path, kind, place, query)[0]

    def pages(self, path: str, kind: type[list[T]], place: Place, query: str = "") -> Iterator[T]:
        """Ask for a list and read its pages as `kind`, one after the other."""
        following: str | None = query
        while following is not None:
            page, following = self._get(path, kind, place, following)
            yield from page
            if not page:  # a listing of empty pages may have no end
                return

    def download(self, path: str, size: int, place: Place) -> Download:
        """A file of `size` bytes on the hub."""
        return Download(f"{self.address}{path}", self._headers, size, place, self.timeout)

    def _get(self, path: str, kind: type[T], place: Place, query: str) -> tuple[T, str | None]:
        with meanings(place):
            url = f"{self.address}{path}" + (f"?{query}" if query else "")
            with open_reply("GET", url, self._headers, self.timeout) as reply:
                body = _read(reply)
            following = reply.links.get("next", {}).get("url")
            # Only the query of the link is used, so it cannot lead the token to another address.
            return msgspec.json.decode(body, type=kind), following and urlsplit(following).query


@dataclass(frozen=True)
class Download:
    """A file that can be had by HTTP.

    Attributes:
        url: where it is.
        headers: sent with every request for it.
        size: bytes.
        place: for the words of an error.
        timeout: seconds that a silent connection may last.
    """

    url: str
    headers: Mapping[str, str]
    size: int
    place: Place
    timeout: float

    def into(self, target: BinaryIO, progress: Progress, stop: Event) -> None:
        """Append what `target` lacks, going on where a connection broke.

        Args:
            target: open for appending.
            progress: called with the bytes that arrived; negative if they were in vain.
            stop: set it to end the download early.
        """
        while (have := target.tell()) < self.size and not stop.is_set():
            with meanings(self.place):
                try:
                    self._stream(target, progress, stop)
                except (httpx.TransportError, EOFError):
                    if target.tell() <= have:  # it brought nothing: no use in asking again
                        raise

    def _stream(self, target: BinaryIO, progress: Progress, stop: Event) -> None:
        have = target.tell()
        part = {"range": f"bytes={have}-"} if have else {}
        with open_reply("GET", self.url, {**self.headers, **part}, self.timeout) as reply:
            if have and reply.status_code != httpx.codes.PARTIAL_CONTENT:
                target.seek(0)
                target.truncate()
                progress(-have)
            for chunk in reply.iter_bytes():
                if stop.is_set():
                    return
                target.write(chunk)
                progress(len(chunk))
                if target.tell() > self.size:
                    raise ValueError(f"the file is larger than the {self.size} bytes listed")
        if target.tell() < self.size:
            raise EOFError(f"the file ended after {target.tell()} of {self.size} bytes")


@contextmanager
def open_reply(
    method: Literal["GET", "POST"],
    url: str,
    headers: Mapping[str, str],
    timeout: float,
    body: bytes | None = None,
) -> Iterator[httpx.Response]:
    """Open a reply that is no error; a hub that asks to slow down is asked again when it wants."""
    stream = http_stream_backoff(
        method,
        url,
        headers=dict(headers),
        timeout=timeout,
        content=body,
        max_retries=3,
        retry_on_exceptions=(),
        retry_on_status_codes=_BUSY,
    )
    with stream as reply:
        hf_raise_for_status(reply)
        yield reply


@contextmanager
def meanings(place: Place) -> Iterator[None]:
    """Turn every error of huggingface_hub, its HTTP library and msgspec into one of ours.

    An `OSError` with a number is the disk's, not the hub's: it passes.
    """
    try:
        yield
    except EnvHubError:
        raise
    except FOREIGN as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        meaning = next(say for kind, say in _MEANINGS if isinstance(error, kind))
        raise meaning(place, error) from error


def _read(reply: httpx.Response) -> bytes:
    """The body of an answer, if it is one that could be meant."""
    body = bytearray()
    for chunk in reply.iter_bytes():
        body += chunk
        if len(body) > MAX_ANSWER:
            raise ValueError(f"it is longer than {MAX_ANSWER:,} bytes")
    return bytes(body)


def _gated(place: Place, _: Exception) -> EnvHubError:
    return GatedRepoError(
        f"{place.repo} is gated",
        why="its owner must let you in, or the token is not that of somebody who was let in",
        hint=f"visit {place.page} to ask, then load it with your token",
    )


def _no_repo(place: Place, _: Exception) -> EnvHubError:
    return RepoNotFoundError(
        f"{place.hub} has no repo {place.repo}",
        why="a private repo looks the same to those whom it is hidden from",
        hint="check the spelling; a private repo needs a token: token=…, ENVHUB_TOKEN or HF_TOKEN",
    )


def _no_revision(place: Place, _: Exception) -> EnvHubError:
    return RevisionNotFoundError(f"{place.repo} has no revision {place.revision!r}")


def _no_entry(place: Place, error: Exception) -> EnvHubError:
    return EntryNotFoundError(f"a file of {place.repo} is gone", why=_words(error))


def _disabled(place: Place, _: Exception) -> EnvHubError:
    return HubError(f"{place.repo} is disabled", why=f"{place.hub} no longer gives it out")


def _offline(place: Place, _: Exception) -> EnvHubError:
    return OfflineError(
        f"{place.repo} was asked for while offline", hint="unset HF_HUB_OFFLINE to go online"
    )


def _status(place: Place, error: Exception) -> EnvHubError:
    status = error.response.status_code if isinstance(error, hf.HfHubHTTPError) else 0
    what = f"{place.hub} answered with status {status} when asked for {place.repo}"
    if status >= 500 or status in _BUSY:
        return HubUnreachableError(what, why=_words(error), hint="try again in a while")
    if status in {401, 403}:
        return HubError(what, why=_words(error), hint="check the token: it is refused")
    return HubError(what, why=_words(error))


def _unreachable(place: Place, error: Exception) -> EnvHubError:
    return HubUnreachableError(
        f"{place.hub} could not be reached for {place.repo}",
        why=f"{type(error).__name__}: {_words(error)}",
        hint=f"check the connection and the address {place.hub}",
    )


def _nonsense(place: Place, error: Exception) -> EnvHubError:
    return HubError(
        f"{place.hub} gave an answer for {place.repo} that is none",
        why=f"{type(error).__name__}: {_words(error)}",
        hint=f"check that {place.hub} is the address of a hub",
    )


def _words(error: Exception) -> str:
    said = getattr(error, "server_message", None) or str(error)
    return " ".join(said.split())[:300]


# In this order: the first class that fits says what it means.
_MEANINGS: tuple[tuple[type[Exception], Callable[[Place, Exception], EnvHubError]], ...] = (
    (hf.GatedRepoError, _gated),
    (hf.RepositoryNotFoundError, _no_repo),
    (hf.RevisionNotFoundError, _no_revision),
    (hf.EntryNotFoundError, _no_entry),
    (hf.DisabledRepoError, _disabled),
    (hf.OfflineModeIsEnabled, _offline),
    (hf.HfHubHTTPError, _status),
    (httpx.TooManyRedirects, _nonsense),
    (httpx.DecodingError, _nonsense),
    (httpx.UnsupportedProtocol, _nonsense),
    (httpx.HTTPError, _unreachable),
    (EOFError, _unreachable),
    (httpx.InvalidURL, _nonsense),
    (httpx.CookieConflict, _nonsense),
    (httpx.StreamError, _nonsense),
    (msgspec.MsgspecError, _nonsense),
    (ValueError, _nonsense),
    (OSError, _nonsense),
)
FOREIGN = tuple(kind for kind, _ in _MEANINGS)
