"""The REST API, /v1: it translates between HTTP and the desk."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel
from pydantic_core import to_json

from galeno.errors import InputError, MediaTypeError
from galeno.governance.access import Action, Caller
from galeno.service.answers import Answer
from galeno.service.diagnosing import MOST_FAULTS
from galeno.service.face import Reception, parse_json, read_model
from galeno.service.intake import read_csv
from galeno.service.lines import LONGEST_LINE, LONGEST_WITH_FILES, Lines, answer_lines
from galeno.service.media_answer import send_file, send_picture
from galeno.service.media_intake import attach_files
from galeno.service.tell import tell_answer, tell_explanations, tell_relevance, tell_stored
from galeno.service.upload import MEDIA_TYPE as MULTIPART
from galeno.service.upload import Upload, is_upload, read_upload
from galeno.service.wire import (
    Anything,
    ConsentList,
    ConsentOut,
    ConsentRequest,
    DiagnosisOut,
    DiagnosisPage,
    DiagnosisRequest,
    ExplanationsOut,
    FeedbackRequest,
    ImportOut,
    Made,
    ModelList,
    OutcomeRequest,
    PatientQuery,
    Problem,
    PromotionRequest,
    RecordsRequest,
    RelevanceOut,
    StopRequest,
    StoredDiagnosisOut,
)

NDJSON = "application/x-ndjson"
BATCH_LIMIT = 32_000_000
"""Bytes of a batch, and of a file of outcomes."""
LONG = 1_000_000
"""Bytes of JSON that take a while to parse."""

Study = Annotated[str, Path(max_length=63, description="Name of a study.", examples=["severity"])]
Column = Annotated[str, Path(max_length=200, description="Name of a column of sounds or images.")]
DiagnosisId = Annotated[str, Path(max_length=64, description="Id of a diagnosis.")]

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": text,
        "model": Problem,
        "content": {"application/problem+json": {}},
    }
    for status, text in {
        401: "No key or token, or one that is not known.",
        403: "The role does not allow it, or the patient has not consented.",
        404: "No such thing.",
        409: "It does not fit what is there.",
        408: "What was sent did not come to its end.",
        413: "Longer than the service takes.",
        415: "A media type or encoding that is not taken.",
        422: "Not valid; `errors` names each field.",
        429: "Too many requests.",
        503: "Not now; Retry-After says when.",
    }.items()
}


def router(reception: Reception) -> APIRouter:
    """All routes of the REST API."""
    whole = APIRouter(prefix="/v1", responses=PROBLEMS)
    for part in (_diagnoses, _after, _studies, _consents, _models, _oversight):
        whole.include_router(part(reception))
    return whole


def diagnoser(reception: Reception) -> Callable[[str, Request], Awaitable[Response]]:
    """What answers the most used route: it parses by hand, and nobody takes a second look at the answer."""
    desk = reception.desk

    async def diagnose_files(caller: Caller, study: str, request: Request) -> Answer:
        if is_upload(request):
            form = await read_upload(request, reception, reception.count_files(study))
            asked = read_model(DiagnosisRequest, _fields(form))
            record = attach_files(desk.study(study), asked.record, form.files)
        else:
            _need_type(request, "application/json")
            body = await reception.body(request, reception.upload_limit)
            # a long one in a thread, so that nobody else waits for it
            parsed = parse_json(body) if len(body) < LONG else await asyncio.to_thread(parse_json, body)
            asked = read_model(DiagnosisRequest, parsed)
            record = asked.record
            del body, parsed  # while others are waited for, one copy of the files is enough
        return await desk.diagnose(caller, study, asked.patient_id, record, explain=asked.explain)

    async def diagnose(study: Study, request: Request) -> Response:
        caller = await reception.caller(request, "api")
        await desk.permit(caller, Action.DIAGNOSES_CREATE)
        if reception.takes_files(study):
            with reception.hold_place(request):
                answer = await diagnose_files(caller, study, request)
        else:
            desk.study(study)
            if is_upload(request):
                raise InputError([("body", "holds files, and this study has no sounds or images")])
            _need_type(request, "application/json")
            asked = read_model(DiagnosisRequest, parse_json(await reception.body(request)))
            answer = await desk.diagnose(caller, study, asked.patient_id, asked.record, explain=asked.explain)
        return Response(
            to_json(tell_answer(answer)),
            status_code=201,
            media_type="application/json",
            headers={"Location": f"/v1/diagnoses/{answer.id}"},
        )

    return diagnose


def _diagnoses(reception: Reception) -> APIRouter:
    routes = APIRouter(tags=["diagnoses"])
    desk = reception.desk
    routes.post(
        "/studies/{study}/diagnoses",
        status_code=201,
        response_model=DiagnosisOut,
        openapi_extra=_body(DiagnosisRequest),
        summary="Diagnose one record",
    )(diagnoser(reception))

    @routes.post(
        "/studies/{study}/diagnoses:batch",
        response_class=Lines,
        openapi_extra={
            "requestBody": {"required": True, "content": {NDJSON: {"schema": {"type": "string"}}}}
        },
        responses={
            200: {
                "description": "A line for each line: `line`, `status`, and the diagnosis or the problem.",
                "content": {NDJSON: {"schema": {"type": "string"}}},
            }
        },
        summary="Diagnose many records, a JSON line each",
    )
    async def diagnose_batch(study: Study, request: Request) -> Lines:
        caller = await reception.caller(request, "api")
        await desk.permit(caller, Action.DIAGNOSES_CREATE)
        desk.serving(study)
        _need_type(request, NDJSON, "application/ndjson", "application/jsonl")
        limit, longest = BATCH_LIMIT, LONGEST_LINE
        if reception.takes_files(study):
            limit, longest = max(limit, reception.upload_limit), LONGEST_WITH_FILES
        place = ExitStack()
        place.enter_context(reception.hold_place(request))
        lines = answer_lines(desk, caller, study, request.stream(), limit, longest=longest)
        return Lines(lines, media_type=NDJSON, close=place.close)

    @routes.get("/diagnoses", response_model=DiagnosisPage, summary="List diagnoses, newest first")
    async def list_diagnoses(
        caller: Annotated[Caller, Depends(reception.allow(Action.DIAGNOSES_LIST))],
        study: Annotated[str | None, Query(max_length=63)] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        after: Annotated[str | None, Query(max_length=64, description="`next` of the page before.")] = None,
    ) -> Response:
        page, following = await desk.list_diagnoses(caller, study=study, limit=limit, after=after)
        return _json({"diagnoses": [tell_stored(each) for each in page], "next": following})

    @routes.get("/diagnoses/{diagnosis}", response_model=StoredDiagnosisOut, summary="Read one diagnosis")
    async def read_diagnosis(
        diagnosis: DiagnosisId,
        caller: Annotated[Caller, Depends(reception.allow(Action.DIAGNOSES_READ))],
    ) -> Response:
        return _json(tell_stored(await desk.read_diagnosis(caller, diagnosis)))

    @routes.get(
        "/diagnoses/{diagnosis}/explanation",
        response_model=ExplanationsOut,
        summary="Why the first conditions have their probabilities",
    )
    async def explain(
        diagnosis: DiagnosisId,
        caller: Annotated[Caller, Depends(reception.allow(Action.DIAGNOSES_EXPLAIN))],
    ) -> Response:
        found = await desk.explain(caller, diagnosis)
        return _json({"id": diagnosis, "explanation": tell_explanations(found)})

    _add_files(routes, reception)
    return routes


def _add_files(routes: APIRouter, reception: Reception) -> None:
    """The routes of a diagnosis' sounds and images."""
    desk = reception.desk

    @routes.get(
        "/diagnoses/{diagnosis}/files/{column:path}",
        response_class=Response,
        responses={200: {"description": "The file.", "content": {"audio/flac": {}, "image/png": {}}}},
        summary="A sound or an image of the input, as the model read it",
    )
    async def read_file(
        diagnosis: DiagnosisId,
        column: Column,
        caller: Annotated[Caller, Depends(reception.allow(Action.DIAGNOSES_READ))],
    ) -> Response:
        held, data = await desk.read_file(caller, diagnosis, column)
        return send_file(diagnosis, held, data)

    @routes.get(
        "/diagnoses/{diagnosis}/relevance/{column:path}",
        response_model=RelevanceOut,
        responses={200: {"content": {"image/png": {}}}},
        summary="Where a sound or an image speaks for a condition; as a picture where PNG is asked for",
    )
    async def locate(
        request: Request,
        diagnosis: DiagnosisId,
        column: Column,
        caller: Annotated[Caller, Depends(reception.allow(Action.DIAGNOSES_EXPLAIN))],
        condition: Annotated[
            str | None, Query(max_length=200, description="By default the first of the ranking.")
        ] = None,
    ) -> Response:
        if "image/png" in request.headers.get("accept", ""):
            return send_picture(await desk.draw_relevance(caller, diagnosis, column, condition))
        found, held = await desk.locate(caller, diagnosis, column, condition)
        return _json(tell_relevance(diagnosis, found, held))


def _after(reception: Reception) -> APIRouter:
    routes = APIRouter(tags=["feedback and outcomes"])
    desk = reception.desk

    @routes.post(
        "/diagnoses/{diagnosis}/feedback", status_code=201, response_model=Made, summary="Agree or disagree"
    )
    async def give_feedback(
        diagnosis: DiagnosisId,
        said: FeedbackRequest,
        caller: Annotated[Caller, Depends(reception.allow(Action.FEEDBACK_CREATE))],
    ) -> Response:
        made = await desk.give_feedback(caller, diagnosis, **said.model_dump())
        return _json({"id": made}, 201)

    @routes.post(
        "/diagnoses/{diagnosis}/outcome",
        status_code=201,
        response_model=Made,
        summary="Record the confirmed condition",
    )
    async def record_outcome(
        diagnosis: DiagnosisId,
        confirmed: OutcomeRequest,
        caller: Annotated[Caller, Depends(reception.allow(Action.OUTCOMES_CREATE))],
    ) -> Response:
        made = await desk.record_outcome(caller, diagnosis, **dict(confirmed))
        return _json({"id": made}, 201)

    @routes.post(
        "/studies/{study}/outcomes",
        response_model=ImportOut,
        openapi_extra={
            "requestBody": {"required": True, "content": {"text/csv": {"schema": {"type": "string"}}}}
        },
        summary="Import outcomes from a CSV table",
    )
    async def import_outcomes(
        study: Study,
        request: Request,
        caller: Annotated[Caller, Depends(reception.allow(Action.OUTCOMES_CREATE))],
    ) -> Response:
        _need_type(request, "text/csv")
        with reception.hold_place(request):
            table = await asyncio.to_thread(read_csv, await reception.body(request, BATCH_LIMIT))
            done = await desk.import_outcomes(caller, study, table)
        faults = [{"row": row, "column": column, "detail": detail} for row, column, detail in done.faults]
        return _json({"imported": done.imported, "known": done.known, "faults": faults})

    return routes


def _studies(reception: Reception) -> APIRouter:
    routes = APIRouter(prefix="/studies", tags=["studies"])
    desk = reception.desk

    @routes.get("", response_model=Anything, summary="List the studies that have a model")
    async def list_studies(_: Annotated[Caller, Depends(reception.allow(Action.POLICIES_READ))]) -> Response:
        listed = [
            {"name": s.name, "title": s.title, "conditions": s.class_names, "consent": s.privacy.consent}
            for s in desk.studies()
        ]
        return _json({"studies": listed})

    @routes.get("/{study}/form", response_model=Anything, summary="What a form is drawn from")
    async def read_form(
        study: Study, caller: Annotated[Caller, Depends(reception.allow(Action.FORMS_READ))]
    ) -> Response:
        return _json(await desk.read_form(caller, study))

    @routes.get("/{study}/policy", response_model=Anything, summary="The data policy that is consented to")
    async def read_policy(
        study: Study, caller: Annotated[Caller, Depends(reception.allow(Action.POLICIES_READ))]
    ) -> Response:
        return _json(await desk.read_policy(caller, study))

    @routes.post(
        "/{study}/records",
        status_code=201,
        response_model=Anything,
        openapi_extra={"requestBody": {"required": True, "content": _json_of(RecordsRequest)}},
        summary="Add training records",
    )
    async def add_records(
        study: Study,
        request: Request,
        caller: Annotated[Caller, Depends(reception.allow(Action.RECORDS_CREATE))],
    ) -> Response:
        # by hand: the framework would read the body before it asks who sends it
        desk.study(study)
        _need_type(request, "application/json")
        takes_files = reception.takes_files(study)
        limit = max(BATCH_LIMIT, reception.upload_limit) if takes_files else BATCH_LIMIT
        with reception.hold_place(request, always=takes_files):
            body = await reception.body(request, limit)
            sent = await asyncio.to_thread(_read_records, body)
            del body
            return _json(await desk.add_records(caller, study, sent.records), 201)

    return routes


def _consents(reception: Reception) -> APIRouter:
    routes = APIRouter(prefix="/consents", tags=["consents"])
    desk = reception.desk

    @routes.post("", status_code=201, response_model=ConsentOut, summary="Record a patient's consent")
    async def give_consent(
        given: ConsentRequest,
        caller: Annotated[Caller, Depends(reception.allow(Action.CONSENTS_CREATE))],
    ) -> Response:
        return _json(await desk.give_consent(caller, **dict(given)), 201)

    @routes.post(":search", response_model=ConsentList, summary="All consents of a patient")
    async def list_consents(
        of: PatientQuery, caller: Annotated[Caller, Depends(reception.allow(Action.CONSENTS_READ))]
    ) -> Response:
        return _json({"consents": await desk.list_consents(caller, of.patient_id)})

    @routes.post("/{consent}/withdrawal", response_model=ConsentOut, summary="Take a consent back")
    async def withdraw_consent(
        consent: Annotated[str, Path(max_length=64)],
        caller: Annotated[Caller, Depends(reception.allow(Action.CONSENTS_CREATE))],
    ) -> Response:
        return _json(await desk.withdraw_consent(caller, consent))

    return routes


def _models(reception: Reception) -> APIRouter:
    routes = APIRouter(prefix="/models", tags=["models"])
    desk = reception.desk
    steer = Depends(reception.allow(Action.MODELS_PROMOTE))
    switch = Depends(reception.allow(Action.MODELS_STOP))

    @routes.get("", response_model=ModelList, summary="List registered models")
    async def list_models(
        caller: Annotated[Caller, Depends(reception.allow(Action.MODELS_LIST))],
    ) -> Response:
        return _json({"models": await desk.list_models(caller)})

    @routes.get(
        "/{study}/{version}/card",
        response_class=Response,
        responses={
            200: {"description": "The card.", "content": {"text/markdown": {"schema": {"type": "string"}}}}
        },
        summary="The card of a model",
    )
    async def read_card(
        study: Study,
        version: Annotated[str, Path(max_length=9)],
        caller: Annotated[Caller, Depends(reception.allow(Action.MODELS_LIST))],
    ) -> Response:
        return Response(await desk.read_card(caller, study, version), media_type="text/markdown")

    @routes.post("/{study}/promote", response_model=Anything, summary="Let a version answer")
    async def promote(study: Study, wanted: PromotionRequest, caller: Annotated[Caller, steer]) -> Response:
        return _json(await desk.promote(caller, study, wanted.version))

    @routes.post("/{study}/rollback", response_model=Anything, summary="Go back to the champion before")
    async def roll_back(study: Study, caller: Annotated[Caller, steer]) -> Response:
        return _json(await desk.roll_back(caller, study))

    @routes.post("/{study}/stop", status_code=204, response_class=Response, summary="Stop a model")
    async def stop(study: Study, why: StopRequest, caller: Annotated[Caller, switch]) -> Response:
        await desk.stop(caller, study, why.reason)
        return Response(status_code=204)

    @routes.post("/{study}/start", status_code=204, response_class=Response, summary="Start a stopped model")
    async def start(study: Study, caller: Annotated[Caller, switch]) -> Response:
        await desk.start(caller, study)
        return Response(status_code=204)

    return routes


def _oversight(reception: Reception) -> APIRouter:
    routes = APIRouter(tags=["oversight"])

    @routes.get("/audit", response_model=Anything, summary="Read the audit trail")
    async def read_audit(
        caller: Annotated[Caller, Depends(reception.allow(Action.AUDIT_READ))],
        after: Annotated[int, Query(ge=0, le=2**53, description="Number of the last entry seen.")] = 0,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> Response:
        entries = await reception.desk.read_audit(caller, after=after, limit=limit)
        return _json({"entries": entries, "next": entries[-1]["seq"] if entries else None})

    return routes


def _fields(form: Upload) -> dict[str, Any]:
    """What a form says beside its files, as JSON would say it.

    Raises:
        InputError: a field came twice, or the record is not JSON.
    """
    twice = [(name[:64], "came more than once") for name, values in form.fields.items() if len(values) > 1]
    if twice:
        raise InputError(twice[:MOST_FAULTS])
    told: dict[str, Any] = {"record": "{}", **{name: values[0] for name, values in form.fields.items()}}
    return {**told, "record": parse_json(told["record"].encode(), "record")}


def _json(content: Mapping[str, Any], status: int = 200) -> Response:
    return Response(to_json(content), status_code=status, media_type="application/json")


def _read_records(body: bytes) -> RecordsRequest:
    return read_model(RecordsRequest, parse_json(body))


def _json_of(model: type[BaseModel]) -> dict[str, Any]:
    """What OpenAPI says of JSON that is parsed by hand."""
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}


def _body(model: type[DiagnosisRequest]) -> dict[str, Any]:
    """What OpenAPI says of a body that is parsed by hand."""
    form = {
        "type": "object",
        "required": ["patient_id"],
        "properties": {
            "patient_id": {"type": "string"},
            "record": {"type": "string", "contentMediaType": "application/json"},
            "explain": {"type": "boolean"},
        },
        "additionalProperties": {
            "type": "string",
            "format": "binary",
            "description": "A sound or an image, by its column.",
        },
    }
    content = {**_json_of(model), MULTIPART: {"schema": form}}
    return {"requestBody": {"required": True, "content": content}}


def _need_type(request: Request, *taken: str) -> None:
    """Refuse another media type.

    Raises:
        MediaTypeError: it is none of these.
    """
    named = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if named not in taken:
        raise MediaTypeError([("Content-Type", f"is none of: {', '.join(taken)}")])
