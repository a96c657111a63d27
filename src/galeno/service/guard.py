"""The guard at the door: headers, limits, how much at a time, figures, and no stack trace outside."""

import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from time import perf_counter
from typing import Any

from starlette.requests import ClientDisconnect

from galeno.errors import BusyError, GalenoError, MediaTypeError, NotFoundError, TooLongError
from galeno.service.metrics import Metrics
from galeno.service.patience import Patience
from galeno.service.problems import headers_of, of_anything, problem_of, respond

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PROBES = ("/healthz", "/readyz", "/metrics")
"""Answered however busy the service is."""
LARGE = re.compile(
    r"/v1/studies/[^/]+/(?:diagnoses(?::batch)?|records|outcomes)|/fhir/\$predict-diagnosis|/new/[^/]+"
)
"""Paths that take uploads, batches and tables. Who asks is known there before a body is read, or, of a form
that took somebody longer than the session, has but one place."""
FORM = re.compile(r"/new/[^/]+")
"""The form with files, whose page drops what is too much as it comes in and keeps what was typed."""
DROPPED = 4
"""A form is read to so many times its limit; what comes then is too much even to be dropped."""
HEADERS: Mapping[str, str] = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""On every answer, unless the route says otherwise."""
OWN_NAMES = ("localhost", "127.0.0.1", "[::1]")
PATIENCE = 15.0
"""Seconds."""
HSTS = "max-age=31536000; includeSubDomains"


class Guard:
    """ASGI middleware around the whole app.

    Args:
        app: what is guarded.
        metrics: figures that are counted here.
        body_limit: bytes of a body, whether its length is announced or not; faces have their own, smaller
            limits.
        large_limit: bytes of a body that goes to where uploads, batches and tables are taken.
        in_flight: requests answered at a time; more get 503, so that no queue grows.
        patience: seconds that a client may be behind with a body.
        secure: clients reach the service over TLS: tell browsers to insist on it.
        loopback: only answer those who ask for this machine by a name of its own. Without a login, a page
            elsewhere whose name was made to point here would else have it all (DNS rebinding).
    """

    def __init__(
        self,
        app: App,
        *,
        metrics: Metrics,
        body_limit: int,
        in_flight: int,
        secure: bool,
        loopback: bool = False,
        patience: float = PATIENCE,
        large_limit: int = 0,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._body_limit = body_limit
        self._large_limit = max(body_limit, large_limit)
        self._most = in_flight
        self._patience = patience
        self._loopback = loopback
        self._now = 0
        headers = {**HEADERS, **({"strict-transport-security": HSTS} if secure else {})}
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]
        self._names = {name for name, _ in self._headers}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0

        async def reply(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = self._complete(message["headers"])
            await send(message)

        started = perf_counter()
        counted = scope["path"] not in PROBES
        self._now += counted
        try:
            limit = self._large_limit if LARGE.fullmatch(scope["path"]) else self._body_limit
            if counted:
                self._check(scope, limit)
            most = DROPPED * limit if FORM.fullmatch(scope["path"]) else limit
            await self._app(scope, Patience(receive, self._patience, limit=most), reply)
        except GalenoError as error:
            await respond(problem_of(error), headers_of(error))(scope, receive, reply)
        except ClientDisconnect:
            status = 499  # as web servers call it; nobody is there to be answered
        except Exception as error:
            problem = of_anything(error, scope["method"])
            if not status:
                await respond(problem)(scope, receive, reply)
        finally:
            self._now -= counted
            self._metrics.count(_route(scope), scope["method"], status, perf_counter() - started)

    def _check(self, scope: Scope, limit: int) -> None:
        """Turn away what is too much, too long, or packed.

        Raises:
            NotFoundError: the client asks for another host.
            BusyError: too many at a time.
            TooLongError: the body is longer than any that is taken. Where a browser asks, reading it says so
                (`Patience`): only the page that reads knows the reader's language.
            MediaTypeError: the body is compressed.
        """
        if self._loopback and not _is_here(scope):
            raise NotFoundError("nothing is served under this name", where="Host")
        if self._now > self._most:
            raise BusyError("the service has more to do than it can", remedy="Try again")
        shown = any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])
        for name, value in scope["headers"]:
            if name == b"content-encoding" and value.lower() not in {b"", b"identity"}:
                raise MediaTypeError([("Content-Encoding", "compressed bodies are not taken")])
            if name == b"content-length" and not (value.isdigit() and (shown or int(value) <= limit)):
                raise TooLongError([("body", f"is longer than {limit} bytes")])

    def _complete(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """The headers of an answer, with those of ours that it does not set itself."""
        given = {name for name, _ in headers} & self._names
        return [*headers, *(pair for pair in self._headers if pair[0] not in given)]


def _is_here(scope: Scope) -> bool:
    """Whether the client asked for this machine by its own name."""
    hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    return all(re.sub(r":\d*$", "", host) in OWN_NAMES for host in hosts)


def _route(scope: Scope) -> str:
    """The template of the address, so that no id stands in a figure; empty where no route fits."""
    if "route" not in scope:
        return ""
    path: str = scope["path"]
    for name, value in scope.get("path_params", {}).items():
        path = path.replace(f"/{value}", f"/{{{name}}}", 1)
    return path
