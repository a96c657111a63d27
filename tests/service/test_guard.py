"""The guard at the door."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from galeno.errors import JournalError
from galeno.service.guard import Guard
from galeno.service.metrics import Metrics


def ask(guard: Guard, *headers: tuple[bytes, bytes], path: str = "/v1/models") -> tuple[int, dict[str, str]]:
    """Status and headers of an answer."""
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "headers": list(headers)}
    asyncio.run(guard(scope, receive, send))
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], found


def guard(answer: Exception | None = None, *, in_flight: int = 10, **more: Any) -> Guard:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if answer is not None:
            raise answer
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"x-frame-options", b"SAMEORIGIN")]}
        )
        await send({"type": "http.response.body", "body": b""})

    return Guard(app, metrics=Metrics(), body_limit=1000, in_flight=in_flight, secure=True, **more)


def test_headers_are_added_where_the_answer_has_none() -> None:
    status, headers = ask(guard())
    assert status == 200
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["strict-transport-security"].startswith("max-age")


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ((b"content-length", b"1001"), 413),
        ((b"content-length", b"-1"), 413),
        ((b"content-encoding", b"gzip"), 415),
        ((b"content-encoding", b"identity"), 200),
    ],
)
def test_long_and_packed_bodies_are_turned_away(header: tuple[bytes, bytes], status: int) -> None:
    assert ask(guard(), header)[0] == status


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/consents", 413),
        ("/v1/studies/chest/diagnosesx", 413),
        ("/v1/studies/chest/diagnoses", 200),
        ("/v1/studies/chest/diagnoses:batch", 200),
        ("/v1/studies/chest/records", 200),
        ("/v1/studies/chest/outcomes", 200),
        ("/fhir/$predict-diagnosis", 200),
        ("/new/chest", 200),
    ],
)
def test_long_bodies_are_taken_where_uploads_are(path: str, status: int) -> None:
    assert ask(guard(large_limit=2000), (b"content-length", b"1500"), path=path)[0] == status
    assert ask(guard(large_limit=2000), (b"content-length", b"2001"), path=path)[0] == 413


def test_a_browser_is_answered_by_the_page_that_reads() -> None:
    """The guard knows neither the reader's language nor what a page looks like."""
    browser, long = (b"accept", b"text/html,*/*;q=0.8"), (b"content-length", b"1001")
    assert ask(guard(), long, (b"accept", b"*/*"), path="/rank")[0] == 413
    assert ask(guard(), long, browser, path="/rank")[0] == 200
    assert ask(guard(), (b"content-length", b"x"), browser, path="/rank")[0] == 413


@pytest.mark.parametrize(("path", "taken"), [("/rank", 900), ("/new/chest", 3900), ("/new/a/b", 900)])
def test_a_form_is_read_on_to_be_dropped(path: str, taken: int) -> None:
    assert _drip(path) == (413, taken)


def test_a_body_without_a_length_is_counted() -> None:
    assert _drip("/v1/consents") == (413, 900)


def _drip(path: str) -> tuple[int, int]:
    """Send without end: the status, and the bytes that got past the guard."""
    taken = 0

    async def app(_: Any, receive: Any, __: Any) -> None:
        nonlocal taken
        while True:
            taken += len((await receive())["body"])

    async def drip() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"x" * 300, "more_body": True}

    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "headers": []}
    door = Guard(app, metrics=Metrics(), body_limit=1000, in_flight=9, secure=False)
    asyncio.run(asyncio.wait_for(door(scope, drip, send), 5))
    return sent[0]["status"], taken


def test_more_than_can_be_done_is_turned_away_but_not_the_probes() -> None:
    busy = guard(in_flight=0)
    status, headers = ask(busy)
    assert status == 503
    assert headers["retry-after"] == "1"
    assert ask(busy, path="/healthz")[0] == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        (b"127.0.0.1:8000", 200),
        (b"localhost", 200),
        (b"[::1]:8000", 200),
        (b"attacker.example:8000", 404),
        (b"127.0.0.1.attacker.example", 404),
    ],
)
def test_without_a_login_only_this_machine_is_answered(host: bytes, status: int) -> None:
    assert ask(guard(loopback=True), (b"host", host))[0] == status
    assert ask(guard(), (b"host", host))[0] == 200


def test_an_unexpected_error_is_a_problem_without_its_message(caplog: pytest.LogCaptureFixture) -> None:
    assert ask(guard(KeyError("a value of a record")))[0] == 500
    assert "a value of a record" not in caplog.text
    assert "KeyError" in caplog.text


def test_errors_of_ours_have_their_status() -> None:
    assert ask(guard(JournalError("gone")))[0] == 503
