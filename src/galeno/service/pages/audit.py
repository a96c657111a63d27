"""The audit trail for auditors, the newest entries first."""

from typing import Final

from fastapi import APIRouter, Request, Response

from galeno.governance.access import Action
from galeno.service.overseeing import TrailWanted
from galeno.service.pages.asked import address, read_choice, read_day, read_number, read_span
from galeno.service.pages.frame import Frame
from galeno.service.pages.words import mark

OUTCOME_LABELS: Final = {"done": mark("done"), "denied": mark("denied"), "failed": mark("failed")}
ACTIONS: Final = ("sign_in", *sorted(str(action) for action in Action))
_DAYS: Final = 7


def router(frame: Frame) -> APIRouter:
    """The page of the audit trail."""
    routes = APIRouter()
    desk = frame.desk

    @routes.get("/audit")
    async def audit(request: Request) -> Response:
        session = await frame.need(request, Action.AUDIT_READ)
        query = request.query_params
        dated = bool(read_day(query, "from") or read_day(query, "to"))
        wanted = TrailWanted(
            action=read_choice(query, "action", ACTIONS, ""),
            outcome=read_choice(query, "outcome", tuple(OUTCOME_LABELS), ""),
            span=read_span(query, _DAYS) if dated else None,
            before=read_number(query, "before"),
        )
        found = await desk.read_trail(session.caller(), wanted)

        def at(before: int | None) -> str:
            return address(
                "/audit",
                action=wanted.action,
                outcome=wanted.outcome,
                from_=query.get("from"),
                to=query.get("to"),
                before=before,
            )

        return await frame.page(
            request,
            session,
            "audit.html",
            trail=found,
            wanted=wanted,
            actions=ACTIONS,
            outcomes=OUTCOME_LABELS,
            since=query.get("from", ""),
            until=query.get("to", ""),
            filtered=bool(wanted.action or wanted.outcome or dated),
            newest=at(None) if wanted.before is not None else None,
            following=at(found.following) if found.following is not None else None,
        )

    return routes
