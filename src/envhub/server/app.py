"""The hub as an ASGI application: finds the route, runs the handler, words the refusals."""

from __future__ import annotations

import asyncio
import inspect
import logging
import re
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress

import pygit2
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Router as Lifespan
from starlette.types import ASGIApp, Receive, Scope, Send

from envhub.errors import CommandError
from envhub.server import bodies, html
from envhub.server.call import MAX_BODY, Call, Route, reply, words_of
from envhub.server.hub import Hub
from envhub.server.refusals import Refusal, bad
from envhub.server.routes import ROUTES
from envhub.server.threads import in_thread

logger = logging.getLogger("envhub.server")

FLUSH_SECONDS = 10.0
QUICK = 4
"""Threads for requests that only look something up; more would only wait for each other."""
WAITING = 64


class Router:
    """Sends requests to handlers, by the path as it came.

    Revisions and paths arrive quoted (`refs%2Fpr%2F1`), so a path must not be unquoted before it is
    taken apart.

    Args:
        hub: that answers.
        routes: the first that fits is taken.
        quick: where requests are answered that only look something up.
    """

    def __init__(self, hub: Hub, routes: Sequence[Route], quick: Executor) -> None:
        self._hub = hub
        self._routes = routes
        self._quick = quick

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        begin = time.perf_counter()
        request = Request(scope, receive)
        name, response = await self._answer(request)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        with suppress(ClientDisconnect):
            await response(scope, receive, send)
        seconds = time.perf_counter() - begin
        self._hub.metrics.count(name, request.method, response.status_code, seconds)
        logger.info(
            "%s %s",
            request.method,
            request.scope["path"],
            extra={
                "route": name,
                "status": response.status_code,
                "seconds": round(seconds, 4),
                "client": request.client.host if request.client else "",
            },
        )

    async def _answer(self, request: Request) -> tuple[str, Response]:
        """The route's name, and what it answers."""
        path = request.scope["raw_path"].decode("latin-1").partition("?")[0]
        wrong_method = False
        for route in self._routes:
            match = route.pattern.fullmatch(path)
            if match and request.method in route.methods.split():
                call = Call(self._hub, request, {})
                return route.name, await self._tried(route, call, match)
            wrong_method = wrong_method or match is not None
        none = Refusal(405 if wrong_method else 404, "there is no such page")
        return "none", refused(none, Call(self._hub, request, {}))

    async def _tried(self, route: Route, call: Call, match: re.Match[str]) -> Response:
        try:
            call.words = words_of(match)
            return await self._run(route, call)
        except Refusal as refusal:
            return refused(refusal, call)
        except ClientDisconnect:
            return Response(status_code=499)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
            return refused(self._failed(call.request, error), call)

    async def _run(self, route: Route, call: Call) -> Response:
        if inspect.iscoroutinefunction(route.handler):
            if not route.open:
                await in_thread(call.identify, session=route.session)
            answered: Response = await route.handler(call)
            return answered
        if call.request.method in {"GET", "HEAD"}:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._quick, _handle, route, call)
        call.body = await bodies.whole(call.request, MAX_BODY)
        return await in_thread(_handle, route, call)

    def _failed(self, request: Request, error: Exception) -> Refusal:
        if isinstance(error, CommandError):
            logger.error("a program failed: %s", error)
            return Refusal(501, f"this hub cannot do that: {error.what}")
        if isinstance(error, (pygit2.GitError, UnicodeError)):
            logger.warning("git refused %s: %s", request.url.path, error)
            return bad(f"git does not take this: {error}")
        logger.exception("%s %s failed", request.method, request.url.path, exc_info=error)
        return Refusal(500, "Internal Error - we're working hard to fix this")


def _handle(route: Route, call: Call) -> Response:
    """Find out who asks and answer, in one go: each trip to a thread costs."""
    if not route.open:
        call.identify(session=route.session)
    response: Response = route.handler(call)
    return response


def refused(refusal: Refusal, call: Call) -> Response:
    """A refusal, as clients understand it: words and kind in headers, since they read those.

    A browser, which says that it wants HTML, gets a page.
    """
    if "text/html" in call.request.headers.get("accept", ""):
        return html.refused(call, refusal)
    # What the client sent may be in it, and a header is one line of printable ASCII.
    headers = {"X-Error-Message": re.sub(r"[^ -~]+", " ", refusal.message), **refusal.headers}
    if refusal.code:
        headers["X-Error-Code"] = refusal.code
    return reply({"error": refusal.message}, refusal.status, **headers)


def make_app(hub: Hub, routes: Sequence[Route] = ROUTES) -> ASGIApp:
    """The ASGI application of a hub, which writes down what it counted when it ends."""
    # In a mirror a lookup may have to wait for the other hub.
    quick = ThreadPoolExecutor(WAITING if hub.mirror else QUICK, "quick")

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        ended = asyncio.Event()
        flushing = asyncio.create_task(_flush(hub, ended))
        await in_thread(hub.jobs.start)
        yield
        ended.set()
        await in_thread(hub.jobs.stop)
        await flushing
        quick.shutdown()

    # Starlette's application has middleware besides, for what is done here already.
    router = Router(hub, routes, quick)
    return Lifespan(default=router, lifespan=lifespan, redirect_slashes=False)


async def _flush(hub: Hub, ended: asyncio.Event) -> None:
    while not ended.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), FLUSH_SECONDS)
        await in_thread(hub.downloads.flush)
