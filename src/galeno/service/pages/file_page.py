"""A sound or an image of a diagnosis: as it was sent, and with what speaks in it drawn over.

The page of a file stands by itself; where there is a script, the page of the diagnosis brings it in.
"""

import re
from typing import Final

from fastapi import APIRouter, Request, Response

from galeno.errors import NotFoundError
from galeno.governance.access import Action
from galeno.service.media_answer import send_file, send_picture
from galeno.service.pages.file_words import axes_text, extent_text, place_text
from galeno.service.pages.frame import Frame
from galeno.service.pages.result import column_label, condition_label, share

CONDITIONS: Final = 3
"""First conditions of the ranking that are offered."""

_RANGE = re.compile(r"bytes=(\d{1,15})-(\d{0,15})")


def add_routes(routes: APIRouter, frame: Frame) -> None:
    """Add the routes."""
    desk = frame.desk

    @routes.get("/diagnoses/{diagnosis}/files/{column:path}")
    async def show(request: Request, diagnosis: str, column: str) -> Response:
        session = await frame.need(request, Action.DIAGNOSES_EXPLAIN)
        stored = await desk.read_diagnosis(session.caller(), diagnosis, record=False)
        ranked = [each.condition for each in stored.ranking[:CONDITIONS]]
        asked = request.query_params.get("condition", "")
        condition = asked if asked in ranked else stored.condition
        found, held = await desk.locate(session.caller(), diagnosis, column, condition)
        study, words = desk.study(stored.study), frame.words(request, session)
        labels = {name: condition_label(study, name, words) for name in ranked}
        return await frame.page(
            request,
            session,
            "file.html",
            stored=stored,
            column=column,
            label=column_label(study, column, words),
            kind=held.kind,
            extent=extent_text(held, words),
            axes=axes_text(held, words) if held.kind == "sound" else "",
            condition=condition,
            conditions=labels,
            share=share(found.probability, words),
            places=place_text(found, held.kind, labels.get(condition, condition), words),
        )

    @routes.get("/diagnoses/{diagnosis}/relevance/{column:path}")
    async def draw_over(request: Request, diagnosis: str, column: str) -> Response:
        session = await frame.need(request, Action.DIAGNOSES_EXPLAIN)
        condition = request.query_params.get("condition") or None
        return send_picture(await desk.draw_relevance(session.caller(), diagnosis, column, condition))

    @routes.get("/diagnoses/{diagnosis}/picture/{column:path}")
    async def draw(request: Request, diagnosis: str, column: str) -> Response:
        session = await frame.need(request, Action.DIAGNOSES_READ)
        return send_picture(await desk.draw_file(session.caller(), diagnosis, column))

    @routes.get("/diagnoses/{diagnosis}/sound/{column:path}")
    async def play(request: Request, diagnosis: str, column: str) -> Response:
        session = await frame.need(request, Action.DIAGNOSES_READ)
        held, data = await desk.read_file(session.caller(), diagnosis, column)
        if held.kind != "sound":
            raise NotFoundError("no such file in this diagnosis", where="diagnoses")
        whole = send_file(diagnosis, held, data)
        whole.headers["accept-ranges"] = "bytes"
        return part_of(whole, data, request.headers.get("range", ""))


def part_of(whole: Response, data: bytes, wanted: str) -> Response:
    """The part of a file that a player asks for (RFC 9110, 14); without parts, it cannot jump in a sound.

    Args:
        whole: the answer with all of it, which is given where no part, or none that we know, is asked for.
        data: the file.
        wanted: header Range.
    """
    asked = _RANGE.fullmatch(wanted)
    if asked is None:
        return whole
    start, end = int(asked[1]), min(int(asked[2] or len(data)), len(data) - 1)
    headers = {name: value for name, value in whole.headers.items() if name != "content-length"}
    if start > end:
        headers["content-range"] = f"bytes */{len(data)}"
        return Response(status_code=416, headers=headers)
    headers["content-range"] = f"bytes {start}-{end}/{len(data)}"
    return Response(data[start : end + 1], status_code=206, headers=headers)
