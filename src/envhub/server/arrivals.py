"""Large files on their way from another hub: fetched once, handed on while they still come."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from envhub.errors import EnvHubError
from envhub.hubs.base import Progress
from envhub.server.threads import in_thread

logger = logging.getLogger("envhub.server")

PIECE = 1 << 20
AT_ONCE = 4


class Arrival:
    """A file that is being fetched, read by as many as want it meanwhile.

    Its last byte is held back until the whole of it was verified: a file that is not what it should
    be, or does not come to its end, is never complete for anybody.

    Args:
        path: where it is written; it is there from the beginning.
        size: bytes that it will have.
    """

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self.size = size
        self._lock = threading.Lock()
        self._end: int | None = None
        self._news: Future[None] = Future()

    def advance(self, _: int = 0) -> None:
        """There is more in the file."""
        with self._lock:
            news, self._news = self._news, Future()
        news.set_result(None)

    def end(self, *, whole: bool) -> None:
        """There will be no more; `whole` if all is there, and right."""
        self._end = self.size if whole else 0
        self.advance()

    async def pieces(self, low: int, high: int) -> AsyncIterator[bytes]:
        """The bytes from `low` to `high`, as soon as they are there; fewer if they never come."""
        with self.path.open("rb") as file:
            file.seek(low)
            while low < high:
                here = await self._reached(file, low)
                if here <= low:
                    return
                piece = await in_thread(file.read, min(PIECE, here - low, high - low))
                low += len(piece)
                yield piece

    async def _reached(self, file: BinaryIO, position: int) -> int:
        """Wait until more than `position` bytes can be read, or no more come; how many they are."""
        while True:
            with self._lock:
                news = self._news
            if self._end is not None:
                return self._end
            here = min(os.fstat(file.fileno()).st_size, self.size - 1)
            if here > position:
                return here
            await asyncio.shield(asyncio.wrap_future(news))


class Arrivals:
    """All files that are on their way; of each there is one, however many ask for it.

    Args:
        folder: where they are written; what was left behind there is gone on with.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._coming: dict[str, Arrival] = {}
        self._fetching = ThreadPoolExecutor(AT_ONCE, "arrivals")

    def get(self, key: str, size: int, fetch: Callable[[Path, Progress], object]) -> Arrival:
        """The file that is on its way, or is from now on.

        Args:
            key: of the file and whom it is for: one may be given what another may not.
            size: of it.
            fetch: writes it to a path, tells of the bytes that it wrote, and moves it away when it
                is verified; an exception if it could not.
        """
        with self._lock:
            arrival = self._coming.get(key)
            if arrival is None:
                path = self._folder / f"arriving-{key}"
                path.touch()
                arrival = self._coming[key] = Arrival(path, size)
                self._fetching.submit(self._fetch, key, arrival, fetch)
        return arrival

    def _fetch(
        self,
        key: str,
        arrival: Arrival,
        fetch: Callable[[Path, Progress], object],
    ) -> None:
        whole = False
        try:
            fetch(arrival.path, arrival.advance)
            whole = True
        except EnvHubError as error:
            logger.warning("the file %s did not come: %s", key, error)
        except Exception:
            logger.exception("the file %s did not come", key)
            raise
        finally:
            with self._lock:
                del self._coming[key]
            arrival.end(whole=whole)

    def close(self) -> None:
        """Begin nothing new, and wait for what is under way."""
        self._fetching.shutdown(cancel_futures=True)
