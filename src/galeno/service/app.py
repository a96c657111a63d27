"""The service as an ASGI application: faces on one desk, behind one guard."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Response
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from pydantic_core import to_json
from starlette.types import ASGIApp

from galeno.errors import GalenoError, JournalError
from galeno.governance.access import Action, Caller
from galeno.governance.audit import move_anchor
from galeno.governance.users import Users
from galeno.service import api, cds_hooks, fhir, rank_api
from galeno.service.capture import keep_captured
from galeno.service.counter import Rooms
from galeno.service.desk import Desk
from galeno.service.express import Express
from galeno.service.face import Reception
from galeno.service.guard import Guard
from galeno.service.identity import Identity
from galeno.service.limits import Limiter
from galeno.service.metrics import CONTENT_TYPE, Metrics
from galeno.service.notify import Courier
from galeno.service.opening import open_rooms
from galeno.service.pages import frame
from galeno.service.pages.care import FORM_LIMIT
from galeno.service.problems import install
from galeno.service.wire import DiagnosisRequest, RecordsRequest
from galeno.settings import ServiceSettings

_log = logging.getLogger("galeno.service")

REFRESH = 0.5
"""Seconds between looks at what was promoted or stopped."""
ANCHOR = 30.0
"""Seconds between notes of where the audit trail ends."""


@dataclass(frozen=True)
class AppOptions:
    """What `galeno serve` was told."""

    home: Path
    demo: bool = False
    pages: bool = True
    threads: int = 1
    rate: float = 2000.0
    """Requests a second of one caller."""
    in_flight: int = 256
    """Requests answered at a time by one worker."""
    body_limit: int = 1_000_000
    """Bytes of one request; batches and tables have their own, larger limit."""
    secure: bool = False
    """Clients come over TLS."""


def create_app(options: AppOptions, settings: ServiceSettings) -> ASGIApp:
    """Open the home and build the application.

    The home is opened here, not at the first request, so that a home that does not open ends the command
    with one message. It is closed when the application ends.

    Raises:
        GalenoError: the home, its journal or its keys cannot be opened.
    """
    rooms_context = open_rooms(options.home, settings, threads=options.threads)
    rooms = rooms_context.__enter__()
    metrics = Metrics()
    desk = Desk(rooms, metrics.diagnosed, metrics.ranked)
    reception = Reception(
        desk=desk,
        identity=Identity(Users(rooms.journal), settings, demo=options.demo),
        settings=settings,
        body_limit=options.body_limit,
        limiter=Limiter(options.rate, max(1, int(options.rate * 2))),
        failures=Limiter(1.0, 60),
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await desk.refresh()
        rooms.library.start()
        courier = Courier(rooms.journal, desk.study)
        tasks = [
            asyncio.create_task(rooms.shelf.watch(REFRESH)),
            asyncio.create_task(rooms.library.watch()),
            asyncio.create_task(courier.run()),
            asyncio.create_task(keep_captured(rooms, desk.studies, settings)),
            asyncio.create_task(_repeat(desk.refresh, REFRESH)),
            asyncio.create_task(_repeat(lambda: asyncio.to_thread(_note_end, rooms), ANCHOR)),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            rooms_context.__exit__(None, None, None)

    app = FastAPI(
        title="Galeno",
        version=version("galeno"),
        description="Diagnoses that a hospital can trust. Decision support: the clinician decides.",
        lifespan=lifespan,
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    install(app)
    app.include_router(api.router(reception))
    app.include_router(rank_api.router(reception))
    app.include_router(fhir.router(reception))
    app.include_router(cds_hooks.router(reception))
    if options.pages:
        frame.add_pages(app, reception, secure=options.secure)
    _add_probes(app, reception, metrics)
    _describe(app)
    # around the application and not in it: its own layers come after, where most requests never get
    return Guard(
        Express(app, diagnose=api.diagnoser(reception)),
        metrics=metrics,
        body_limit=max(FORM_LIMIT, options.body_limit),
        large_limit=max(api.BATCH_LIMIT, reception.upload_limit),
        in_flight=options.in_flight,
        secure=options.secure,
        loopback=options.demo,
    )


def _add_probes(app: FastAPI, reception: Reception, metrics: Metrics) -> None:
    desk = reception.desk

    @app.get("/healthz", tags=["probes"], summary="The process is alive")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get(
        "/readyz",
        tags=["probes"],
        summary="Diagnoses can be made, or rare diseases ranked where there is no model",
        responses={503: {"description": "Not now; `status` says why."}},
    )
    async def readyz() -> Response:
        status = "ready"
        if not desk.studies() and not desk.rooms.library.ready():
            status = "no model has been promoted yet, and rare diseases cannot be ranked"
        try:
            await desk.refresh()
        except JournalError:
            status = "the journal does not answer"
        code = 200 if status == "ready" else 503
        return Response(to_json({"status": status}), status_code=code, media_type="application/json")

    @app.get(
        "/metrics",
        tags=["probes"],
        summary="Figures for Prometheus",
        response_class=Response,
        responses={
            200: {"description": "Figures.", "content": {"text/plain": {"schema": {"type": "string"}}}},
            **{code: api.PROBLEMS[code] for code in (401, 403, 429, 503)},
        },
    )
    async def read_metrics(
        _: Annotated[Caller, Depends(reception.allow(Action.METRICS_READ))],
    ) -> Response:
        metrics.told(len(desk.rooms.shelf.problems))
        return Response(metrics.render(), media_type=CONTENT_TYPE)


def _describe(app: FastAPI) -> None:
    """Complete the OpenAPI description: how to sign in, and bodies that are parsed by hand."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            described = get_openapi(
                title=app.title, version=app.version, description=app.description, routes=app.routes
            )
            parts = described.setdefault("components", {})
            _, models = models_json_schema(
                [(DiagnosisRequest, "validation"), (RecordsRequest, "validation")],
                ref_template="#/components/schemas/{model}",
            )
            parts.setdefault("schemas", {}).update(models["$defs"])
            parts["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            described["security"] = [{"key": []}]
            for path in ("/healthz", "/readyz"):
                described["paths"][path]["get"]["security"] = []
            app.openapi_schema = described
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _note_end(rooms: Rooms) -> None:
    move_anchor(rooms.journal, rooms.ring.audit_key, rooms.home.anchor)


async def _repeat(work: Callable[[], Awaitable[Any]], seconds: float) -> None:
    """Do something again and again; a fault is told once and tried again."""
    told = False
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
            told = False
        except GalenoError as error:
            if not told:
                _log.warning("%s", error)
            told = True
