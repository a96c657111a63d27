"""Slow clients: whoever sends a head or a body drop by drop holds a connection, or a place, for a while only.

This is what Slowloris and its like do (CWE-400); uvicorn waits for ever, and takes heads of any length.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from time import perf_counter
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from galeno.errors import TooLongError, TooSlowError

Message = MutableMapping[str, Any]

SLOWEST = 1000.0
"""Bytes a second of a body; whoever sends less uses the patience up."""
LONGEST = 120.0
"""Seconds that a client may take for a whole body, and a second more for each ON_AVERAGE bytes of it."""
ON_AVERAGE = 100_000.0


class Patience:
    """The body of one request as it comes in. What the service itself takes to read on does not count.

    Args:
        receive: of the server.
        seconds: that the client may be behind.
        longest: seconds that it may take in all, see LONGEST.
        limit: bytes of the whole body, whether or not its length was announced; None for any.
    """

    __slots__ = ("_left", "_length", "_limit", "_most", "_receive", "_total", "_whole")

    def __init__(
        self,
        receive: Callable[[], Awaitable[Message]],
        seconds: float,
        *,
        longest: float = LONGEST,
        limit: int | None = None,
    ) -> None:
        self._receive = receive
        self._most = self._left = seconds
        self._total = longest
        self._limit = limit
        self._length = 0
        self._whole = False

    async def __call__(self) -> Message:
        """The next part.

        Raises:
            TooSlowError: it does not come, or the whole takes too long.
            TooLongError: with it the body is too long.
        """
        if self._whole:
            return await self._receive()
        started = perf_counter()
        try:
            async with asyncio.timeout(min(self._left, self._total)):
                message = await self._receive()
        except TimeoutError:
            raise TooSlowError([("body", "does not come to its end")]) from None
        self._whole = not message.get("more_body", False)
        length, took = len(message.get("body", b"")), perf_counter() - started
        self._left = min(self._most, self._left + length / SLOWEST - took)
        self._total += length / ON_AVERAGE - took
        self._length += length
        if self._limit is not None and self._length > self._limit:
            raise TooLongError([("body", f"is longer than {self._limit} bytes")])
        return message


class Connection(HttpToolsProtocol):
    """A connection of a client. Who does not send a head in time, or no end of it, is cut off."""

    head_seconds = 20.0
    """For a whole head, from its first byte; and for the first byte of a new connection."""
    head_limit = 65_536
    """Bytes of a head."""

    _timer: asyncio.TimerHandle | None = None
    _length = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(self.head_seconds, self._cut)

    def data_received(self, data: bytes) -> None:
        """Count what belongs to a head."""
        super().data_received(data)
        if self._timer is None:
            return
        self._length += len(data)
        if self._length > self.head_limit and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def on_message_begin(self) -> None:
        """A head begins."""
        self._length = 0
        if self._timer is None:
            self._timer = self.loop.call_later(self.head_seconds, self._cut)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """It is there."""
        self._wait_no_more()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        self._wait_no_more()
        super().connection_lost(exc)

    def _wait_no_more(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _cut(self) -> None:
        self._timer = None
        self.transport.close()
