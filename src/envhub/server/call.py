"""One request on its way through the hub: who asks, what for, in which repo."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote, unquote, urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from envhub.server import refusals
from envhub.server.access import ADMIN, NONE, READ, WRITE
from envhub.server.accounts import Caller
from envhub.server.commits import Author
from envhub.server.hub import Hub
from envhub.server.refusals import Refusal
from envhub.server.repos import Repo
from envhub.server.sessions import Session

MAX_BODY = 20_000_000
ANYBODY = "anonymous"

T = TypeVar("T")
_HEX = re.compile(r"[0-9a-f]{40}")
_WANTED = {READ: "read", WRITE: "write", ADMIN: "administrate"}


@dataclass(slots=True)
class Call:
    """A request and what is known of it.

    Attributes:
        hub: that was asked.
        request: as it came.
        words: the parts of the path, unquoted.
        body: all of it, for handlers that do not read it themselves.
        caller: whose token came along; `None` for nobody's.
        session: of the browser, if that is how the caller is known.
    """

    hub: Hub
    request: Request
    words: Mapping[str, str]
    body: bytes = b""
    caller: Caller | None = None
    session: Session | None = None
    _args: dict[str, list[str]] | None = field(default=None)

    def identify(self, *, session: bool = False) -> None:
        """Find out who asks, and whether they ask too often.

        Args:
            session: whether a browser's cookie counts, too. Others' pages can make a browser send
                it, so it counts for what only reads, and for forms that prove to be ours.

        Raises:
            Refusal: 401 for a token that is nobody's; 429 for too many requests or wrong tokens.
        """
        secret = _secret(self.request.headers.get("authorization", ""))
        if secret is not None:
            self.caller = self.hub.accounts.caller(secret)
            if self.caller is None:
                # Only wrong tokens: others at this address may have right ones.
                self.hub.failures.take(self.address)
                raise Refusal(
                    401,
                    "Invalid credentials in Authorization header",
                    WWW_Authenticate='Basic realm="envhub"',
                )
        elif session and self.cookie in self.request.cookies:
            self.session = self.hub.sessions.find(self.request.cookies[self.cookie])
            self.caller = self.session.caller if self.session else None
        self.hub.requests.take(
            f"user {self.caller.id}" if self.caller else f"address {self.address}"
        )

    @property
    def user(self) -> Caller:
        """Who asks, if that must be known.

        Raises:
            Refusal: 401, nobody's token came along.
        """
        if self.caller is None:
            raise Refusal(401, "Invalid username or password.")
        return self.caller

    @property
    def author(self) -> Author:
        """Who commits."""
        return Author(self.user.name, self.user.email or f"{self.user.name}@users.noreply")

    @property
    def address(self) -> str:
        """Where the request came from."""
        return self.request.client.host if self.request.client else ""

    @property
    def base(self) -> str:
        """The hub's address, as whoever asks knows it."""
        return self.hub.config.public_url.rstrip("/") or str(self.request.base_url).rstrip("/")

    @property
    def secure(self) -> bool:
        """Whether browsers reach the hub over TLS."""
        return "https" in {self.base.partition(":")[0], self.request.url.scheme}

    @property
    def cookie(self) -> str:
        """The name of the session's cookie; over TLS browsers take it from nobody else."""
        return "__Host-envhub" if self.secure else "envhub"

    @property
    def kind(self) -> str:
        """The kind of repo that the path names."""
        return (self.words.get("kinds") or "models").removesuffix("s")

    def repo(self, level: int = READ) -> Repo:
        """The repo that the path names.

        Raises:
            Refusal: RepoNotFound if there is none, or the caller may not know of it; 401 or 403 if
                the caller may not do that much with it.
        """
        name = f"{self.words['owner']}/{self.words['name'].removesuffix('.git')}"
        repo = self.named(self.kind, name, level)
        if self.hub.mirror and _HEX.fullmatch(self.words.get("revision", "")):
            self.hub.mirror.pin(repo, self.words["revision"])
        return repo

    def named(self, kind: str, name: str, level: int = READ) -> Repo:
        """As `repo`, for a name that came another way."""
        if self.hub.mirror and (self.caller or self.hub.config.public_repos):
            self.hub.mirror.refresh(self.caller, kind, name)
        repo = self.hub.repos.find(kind, name)
        may = self.hub.access.level(self.caller, repo) if repo else NONE
        if repo is None or may < READ:
            raise refusals.repo_not_found(anonymous=self.caller is None)
        if level > READ:
            self.check_writable()
        if may < level:
            what = f"You don't have the rights to {_WANTED[level]} {repo.full_name}"
            raise Refusal(401 if self.caller is None else 403, what)
        return repo

    def check_writable(self) -> None:
        """Make sure that this hub takes changes.

        Raises:
            Refusal: 403, it is a mirror.
        """
        if self.hub.mirror:
            raise self.hub.mirror.refuse()

    def check_gate(self, repo: Repo) -> None:
        """Make sure that the caller may have the files.

        Raises:
            Refusal: GatedRepo.
        """
        if not self.hub.access.may_download(self.caller, repo):
            raise refusals.gated(repo.full_name, anonymous=self.caller is None)

    def args(self, name: str) -> list[str]:
        """All values of an argument of the query."""
        if self._args is None:
            self._args = {}
            query = self.request.scope["query_string"].decode("latin-1")
            for key, value in parse_qsl(query, keep_blank_values=True, max_num_fields=1000):
                self._args.setdefault(key, []).append(value)
        return self._args.get(name, [])

    def arg(self, name: str, default: str = "") -> str:
        """The first value of an argument of the query."""
        return next(iter(self.args(name)), default)

    def flag(self, name: str) -> bool:
        """Whether an argument of the query says yes."""
        return self.arg(name).lower() in {"1", "true"}

    def count(self, name: str, default: int, most: int) -> int:
        """A number of the query between 1 and `most`."""
        text = self.arg(name)
        return (
            max(1, min(int(text), most)) if re.fullmatch(r"\d{1,9}", text) else min(default, most)
        )

    def json(self, kind: type[T]) -> T:
        """The body, as a value of a type.

        Raises:
            Refusal: 400, it is something else.
        """
        try:
            return msgspec.json.decode(self.body or b"{}", type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise refusals.bad(f"the body makes no sense: {error}") from error

    def form(self) -> dict[str, list[str]]:
        """The body, as a form."""
        found: dict[str, list[str]] = {}
        try:
            pairs = parse_qsl(self.body.decode(), keep_blank_values=True, max_num_fields=100_000)
        except ValueError as error:
            raise refusals.bad(f"the body is no form: {error}") from error
        for key, value in pairs:
            found.setdefault(key, []).append(value)
        return found

    def page(self, items: list[Any], cursor: str) -> Response:
        """A page of a list, with the address of the next one if there is one."""
        if not cursor:
            return reply(items)
        pairs = parse_qsl(self.request.scope["query_string"].decode("latin-1"))
        kept = [(key, value) for key, value in pairs if key != "cursor"]
        path = quote(self.request.scope["raw_path"].decode("latin-1"), safe="/%:@,;=+$&!~*'()")
        following = f"{self.base}{path}?{urlencode([*kept, ('cursor', cursor)])}"
        return reply(items, Link=f'<{following}>; rel="next"')


Handler = Callable[[Call], Any]


@dataclass(frozen=True, slots=True)
class Route:
    """Which requests a handler answers.

    Attributes:
        methods: of HTTP, with spaces between.
        pattern: of the path as it came, still quoted.
        handler: a function that runs in a thread and gets the whole body, or an `async` one that
            reads the body itself.
        open: whether it is answered without asking who asks.
        session: whether a browser's cookie says who asks.
    """

    methods: str
    pattern: re.Pattern[str]
    handler: Handler
    open: bool = False
    session: bool = False

    @property
    def name(self) -> str:
        """What metrics call it."""
        return self.handler.__name__


def route(
    methods: str, pattern: str, handler: Handler, *, open: bool = False, session: bool = False
) -> Route:
    """Make a route from the text of its pattern."""
    return Route(methods, re.compile(pattern), handler, open, session)


def reply(value: Any, status: int = 200, **headers: str) -> Response:
    """A reply with a JSON body."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Response(
        msgspec.json.encode(value), status, {"Content-Type": "application/json", **named}
    )


def words_of(match: re.Match[str]) -> dict[str, str]:
    """The named parts of a path, unquoted.

    Raises:
        Refusal: 400, a part is not text.
    """
    try:
        return {
            name: unquote(part, errors="strict")
            for name, part in match.groupdict().items()
            if part is not None
        }
    except UnicodeDecodeError as error:
        raise refusals.bad("the path is not text") from error


def _secret(header: str) -> str | None:
    """The token of an `Authorization` header; git sends it as a password."""
    kind, _, rest = header.partition(" ")
    if kind.lower() == "bearer":
        return rest.strip()
    if kind.lower() != "basic":
        return None
    try:
        name, _, password = base64.b64decode(rest).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return password or name or None
