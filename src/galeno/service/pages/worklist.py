"""The worklist: cases that wait for a clinician's eyes, the least certain first."""

from typing import Final

from fastapi import APIRouter, Request, Response

from galeno.governance.access import Action, decide
from galeno.service.pages.asked import address, read_choice, read_day, read_number, read_span
from galeno.service.pages.frame import Frame
from galeno.service.pages.naming import Naming
from galeno.service.pages.words import mark
from galeno.service.span import Span
from galeno.service.worklist import ORDERS, STATES, Wanted

STATE_LABELS: Final = {"open": mark("To review"), "reviewed": mark("Reviewed"), "all": mark("All")}
ORDER_LABELS: Final = {"unsure": mark("Least certain first"), "newest": mark("Newest first")}
_DAYS = 3650


def router(frame: Frame) -> APIRouter:
    """The worklist's page."""
    routes = APIRouter()
    desk = frame.desk

    @routes.get("/worklist")
    async def worklist(request: Request) -> Response:
        session = await frame.need(request, Action.DIAGNOSES_LIST)
        caller = session.caller()
        query = request.query_params
        naming = Naming(desk, frame.language(request, session))
        span: Span | None = None
        if read_day(query, "from") or read_day(query, "to"):
            span = read_span(query, _DAYS)
        wanted = Wanted(
            study=read_choice(query, "study", naming.studies, "") or None,
            state=read_choice(query, "state", STATES, "open"),
            span=span,
            order=read_choice(query, "order", ORDERS, "unsure"),
            page=read_number(query, "page") or 1,
        )
        found = await desk.list_work(caller, wanted)

        def at(page: int) -> str:
            return address(
                "/worklist",
                study=wanted.study,
                state=wanted.state,
                order=wanted.order,
                from_=query.get("from"),
                to=query.get("to"),
                page=page,
            )

        return await frame.page(
            request,
            session,
            "worklist.html",
            work=found,
            wanted=wanted,
            naming=naming,
            states=STATE_LABELS,
            orders=ORDER_LABELS,
            since=query.get("from", ""),
            until=query.get("to", ""),
            opens=decide(caller, Action.DIAGNOSES_READ).allowed,
            makes=decide(caller, Action.DIAGNOSES_CREATE).allowed,
            filtered=bool(wanted.study or span or wanted.state != "open"),
            several_sites=len({row.site for row in found.rows}) > 1,
            previous=at(found.page - 1) if found.page > 1 else None,
            following=at(found.page + 1) if found.page < found.pages else None,
        )

    return routes
