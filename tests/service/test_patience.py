"""Slow clients against a small application on a real port."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator

import uvicorn

from galeno.errors import TooSlowError
from galeno.service.patience import Connection, Message, Patience


class Quick(Connection):
    """A connection that waits for a head for a moment only."""

    head_seconds = 0.4
    head_limit = 4096


async def app(scope: Message, receive: object, send: object) -> None:
    """Reads the body with patience and says how long it was."""
    if scope["type"] != "http":
        return
    patience = Patience(receive, 0.3)  # type: ignore[arg-type]
    length, status = 0, 200
    try:
        while True:
            message = await patience()
            length += len(message.get("body", b""))
            if not message.get("more_body"):
                break
    except TooSlowError:
        status = 408
    body = str(length).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})  # type: ignore[operator]
    await send({"type": "http.response.body", "body": body})  # type: ignore[operator]


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[int]:
    """The application; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, http=Quick, lifespan="off", log_level="critical"))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        yield listener.getsockname()[1]
        server.should_exit = True
        await task


async def send(port: int, *parts: tuple[float, bytes]) -> tuple[bytes, float]:
    """Send parts, each after a pause; returns all that came back until the end, and the seconds of it all."""
    started = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(ConnectionError):
        for pause, part in parts:
            await asyncio.sleep(pause)
            writer.write(part)
            await writer.drain()
    told = b""
    with contextlib.suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(2):
            while part := await reader.read(65_536):
                told += part
    writer.close()
    return told, time.monotonic() - started


HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"


def ask(*parts: tuple[float, bytes]) -> tuple[bytes, float]:
    async def run() -> tuple[bytes, float]:
        async with serving() as port:
            return await send(port, *parts)

    return asyncio.run(run())


def test_a_whole_request_is_answered() -> None:
    told, _ = ask((0, HEAD + b"Content-Length: 3\r\n\r\nabc"))
    assert told.startswith(b"HTTP/1.1 200")
    assert told.endswith(b"\r\n\r\n3")


def test_a_body_that_stops_is_given_up() -> None:
    told, seconds = ask((0, HEAD + b"Content-Length: 9\r\n\r\nabc"))
    assert told.startswith(b"HTTP/1.1 408")
    assert seconds < 1.8


def test_a_body_that_drips_is_given_up() -> None:
    drops = [(0.1, b"x")] * 12
    told, _ = ask((0, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\n"), *drops)
    assert told.startswith(b"HTTP/1.1 408")


def test_a_slow_body_that_goes_on_is_taken() -> None:
    drops = [(0.1, b"x" * 500)] * 10
    told, _ = ask((0, HEAD + b"Content-Length: 5000\r\n\r\n"), *drops)
    assert told.startswith(b"HTTP/1.1 200")
    assert told.endswith(b"5000")


def test_a_head_that_drips_or_never_comes_is_cut_off() -> None:
    for parts in ([(0.0, b"")], [(0.0, b"POST / HT")], [(0.1, b"P"), *[(0.1, b"x")] * 8]):
        told, seconds = ask(*parts)
        assert told == b""
        assert seconds < 1.8


def test_a_head_without_end_is_refused() -> None:
    told, _ = ask((0, HEAD), *[(0.01, b"X-More: " + b"x" * 1000)] * 6)
    assert told.startswith(b"HTTP/1.1 400")


def test_a_second_head_is_waited_for_as_the_first() -> None:
    whole = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na"
    told, seconds = ask((0, whole), (0.1, whole), (0.1, b"POST / HT"))
    assert told.count(b"HTTP/1.1 200") == 2
    assert seconds < 1.8


def test_a_body_has_a_longest_time() -> None:
    async def drip() -> Message:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b"x" * 100, "more_body": True}

    async def read() -> int:
        patience = Patience(drip, 10, longest=0.3)
        for count in range(100):
            try:
                await patience()
            except TooSlowError:
                return count
        return 100

    assert 2 < asyncio.run(read()) < 30
