"""The express lane: one record to diagnose goes past the router, whose way costs more than the diagnosis.

The route is declared in `api` like any other, and this calls the same function; only the finding of it,
and of what it depends on, is left out.
"""

import re
from collections.abc import Awaitable, Callable

from fastapi import Request, Response
from starlette.types import ASGIApp, Receive, Scope, Send

PATH = re.compile(r"/v1/studies/([^/]{1,63})/diagnoses")

Diagnose = Callable[[str, Request], Awaitable[Response]]


class Express:
    """ASGI middleware before the router.

    Args:
        app: everything else.
        diagnose: answers `POST /v1/studies/{study}/diagnoses`.
    """

    def __init__(self, app: ASGIApp, *, diagnose: Diagnose) -> None:
        self._app = app
        self._diagnose = diagnose

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            found = PATH.fullmatch(scope["path"])
            if found is not None:
                scope["route"], scope["path_params"] = None, {"study": found[1]}
                response = await self._diagnose(found[1], Request(scope, receive))
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)
