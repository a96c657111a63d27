"""CDS Hooks 2.0: the hospital's own system asks, and shows the answer beside the chart.

One `patient-view` service for each study with a `fhir` section. Data come by prefetch alone: the FHIR server
that a call names is never called, so that nobody can make this service call an address of theirs.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic_core import to_json

from galeno.errors import (
    ConsentError,
    GalenoError,
    IdentityError,
    MediaTypeError,
    NotFoundError,
    TooManyRequestsError,
)
from galeno.governance.access import Action, Caller
from galeno.ingest.fhir import FhirRecord, read_entries
from galeno.ingest.fhir_check import FhirInputError
from galeno.service.cds_cards import OTHER, REASONS, diagnosis_id, make_card
from galeno.service.cds_clients import FACE, CdsClient, CdsClients, read_clients
from galeno.service.cds_prefetch import ROOT, Prefetched, read_prefetch, templates
from galeno.service.cds_wire import (
    CardFeedback,
    CardFeedbackRequest,
    Cards,
    HookRequest,
    Service,
    Services,
)
from galeno.service.desk import Desk
from galeno.service.face import Reception, parse_json, read_model
from galeno.service.limits import Limiter
from galeno.service.problems import headers_of, problem_of, respond
from galeno.service.wire import Anything, Problem
from galeno.study import Study

PATH: Final = "/cds-services"
SUFFIX: Final = "-patient-view"
FHIR_JSON: Final = "application/fhir+json"
PREFLIGHT_SECONDS: Final = 600

_CLIENT: Final = "galeno.cds_client"
_USAGE: Final = {
    "es": "Ayuda a la decisión: no sustituye al criterio clínico. Los datos llegan por prefetch.",
    "en": "Decision support only; it does not replace clinical judgement. Data come by prefetch.",
}
_PROBLEMS: Final[Mapping[int | str, dict[str, Any]]] = {
    status: {"description": text, "model": Problem, "content": {"application/problem+json": {}}}
    for status, text in {
        401: "No token, or one that is not for this call.",
        403: "The caller may not.",
        404: "No such service, or no such card.",
        408: "What was sent did not come to its end.",
        413: "Longer than the service takes.",
        415: "Not application/json.",
        422: "Not valid; `errors` names each field.",
        429: "Too many requests.",
        503: "Not now; Retry-After says when.",
    }.items()
}

ServiceId = Annotated[str, Path(max_length=80, description="Id of a service, as discovery lists it.")]


class Door:
    """Who may come in: the hospital systems of the allow-list; in demo mode everybody from this machine.

    Args:
        reception: where requests come in.

    Raises:
        SettingError: the file of clients is not valid.
    """

    def __init__(self, reception: Reception) -> None:
        self._reception = reception
        settings = reception.settings
        self.clients = CdsClients(read_clients(settings.cds_clients), reception.desk.rooms.commits)
        self._public_url = settings.public_url.rstrip("/")

    async def enter(self, request: Request, action: Action) -> Caller:
        """The system that calls, which may do this.

        Raises:
            IdentityError: nobody can tell.
            AccessError: it may not.
            TooManyRequestsError: it calls too often, or comes with too many wrong tokens.
            JournalError: nobody can tell whether the token was used before.
        """
        credentials = request.headers.get("authorization")
        if self.clients and credentials is not None:
            caller = await self._identify(request, credentials)
        else:
            caller = await self._reception.caller(request, FACE)
            if not caller.demo:  # a key of a person is no hospital system's
                raise IdentityError(
                    "this is for hospital systems with a signed token",
                    remedy="List the system in GALENO_CDS_CLIENTS",
                    reason="missing",
                )
        await self._reception.desk.permit(caller, action)
        return caller

    def origin(self, request: Request) -> str | None:
        """The web page that calls from a browser, where it may."""
        origin = request.headers.get("origin")
        client: CdsClient | None = request.scope.get(_CLIENT)
        allowed = self.clients.origins if client is None else client.origins
        return origin if origin is not None and origin in allowed else None

    async def _identify(self, request: Request, credentials: str) -> Caller:
        address = request.client.host if request.client else ""
        try:
            caller, client = await self.clients.identify(credentials, self._audience(request), address)
        except IdentityError:
            _slow_down(self._reception.failures, address, "too many wrong tokens from this address")
            await self._reception.desk.note_stranger(address, FACE)
            raise
        request.scope[_CLIENT] = client
        _slow_down(self._reception.limiter, caller.name, "too many requests")
        return caller

    def _audience(self, request: Request) -> str:
        """The endpoint's address as clients know it; never by the Host header, which the caller writes."""
        base = self._public_url
        if not base:
            host, port = request.scope.get("server") or ("", None)
            base = f"{request.url.scheme}://{host}:{port}"
        return base + str(request.scope["path"])


def router(reception: Reception) -> APIRouter:
    """All routes of CDS Hooks.

    Raises:
        SettingError: the file of clients is not valid.
    """
    door = Door(reception)
    desk = reception.desk
    routes = APIRouter(prefix=PATH, tags=["CDS Hooks"], route_class=_route_class(door))

    @routes.get("", response_model=Services, responses=_some(401, 403, 429, 503), summary="Discover services")
    async def discover(request: Request) -> Response:
        await door.enter(request, Action.FORMS_READ)
        services = [_describe(study) for study in offered(desk).values()]
        return _json(Services(services=services))

    @routes.post(
        "/{service}",
        response_model=Cards,
        responses={412: _MISSING, **_PROBLEMS},
        openapi_extra=_body(HookRequest, _EXAMPLE_CALL),
        summary="Call a service",
    )
    async def call(service: ServiceId, request: Request) -> Response:
        caller = await door.enter(request, Action.DIAGNOSES_CREATE)
        study = _find(desk, service)
        asked = read_model(HookRequest, await _read(reception, request))
        sent = read_prefetch(study, asked.prefetch, asked.context.patientId)
        if sent.missing:
            return Response(to_json(_outcome(sent)), status_code=412, media_type=FHIR_JSON)
        return _json(await _advise(reception, caller, study, sent))

    @routes.post(
        "/{service}/feedback",
        response_model=Anything,
        responses=dict(_PROBLEMS),
        openapi_extra=_body(CardFeedbackRequest, _EXAMPLE_FEEDBACK),
        summary="Say what became of cards",
    )
    async def take_feedback(service: ServiceId, request: Request) -> Response:
        caller = await door.enter(request, Action.FEEDBACK_CREATE)
        study = _find(desk, service)
        told = read_model(CardFeedbackRequest, await _read(reception, request))
        for each in told.feedback:  # all of them, before anything is kept
            row = await desk.find(caller, Action.FEEDBACK_CREATE, diagnosis_id(each.card))
            if row["study"] != study.name or row["actor"] != caller.name:
                raise NotFoundError("no such card", where=service)
        for each in told.feedback:
            await _keep(desk, caller, each)
        return Response(b"{}", media_type="application/json")

    async def preflight() -> Response:
        return Response(status_code=204)

    for path in ("", "/{service}", "/{service}/feedback"):
        routes.add_api_route(path, preflight, methods=["OPTIONS"], include_in_schema=False)
    return routes


def offered(desk: Desk) -> dict[str, Study]:
    """The studies that can be asked, by id of their service."""
    return {f"{study.name}{SUFFIX}": study for study in desk.studies() if study.fhir.columns}


async def _advise(reception: Reception, caller: Caller, study: Study, sent: Prefetched) -> Cards:
    """The card for a patient; none where nothing of the study is known of the patient, or no consent."""
    found = _record(study, sent)
    if found is None:
        return Cards(cards=[])
    try:
        answer = await reception.desk.diagnose(caller, study.name, found.patient_id, found.record)
    except ConsentError:
        return Cards(cards=[])  # the desk wrote it down
    return Cards(cards=[make_card(study, answer, reception.settings.public_url.rstrip("/"))])


def _record(study: Study, sent: Prefetched) -> FhirRecord | None:
    """What was sent as a record; None where there is nothing but the patient.

    Raises:
        FhirInputError: naming every place that is wrong.
    """
    if not sent.found and len(templates(study)) > 1:
        return None
    try:
        found = read_entries(study, sent.entries, root=ROOT)
    except FhirInputError as error:
        if [(issue.code, issue.expression) for issue in error.issues] == [("required", f"{ROOT}.entry")]:
            return None  # resources, but none that the study maps
        raise
    beyond = [name for name in found.record if study.fhir.columns[name].resource != "Patient"]
    return found if beyond or len(templates(study)) == 1 else None


async def _keep(desk: Desk, caller: Caller, told: CardFeedback) -> None:
    """Keep what became of one card. A client may add reasons of its own: those are kept in the comment."""
    if told.outcome == "accepted":
        await desk.give_feedback(caller, diagnosis_id(told.card), agrees=True)
        return
    why = told.overrideReason
    code = why.reason.code if why is not None and why.reason is not None else None
    comment = (why.userComment or None) if why is not None else None
    if code is not None and code not in REASONS:
        comment = f"[{code}] {comment or ''}".rstrip()
        code = OTHER
    await desk.give_feedback(caller, diagnosis_id(told.card), agrees=False, reason=code, comment=comment)


def _find(desk: Desk, service: str) -> Study:
    study = offered(desk).get(service)
    if study is None:
        raise NotFoundError("no such service", remedy=f"GET {PATH} lists them")
    return study


async def _read(reception: Reception, request: Request) -> Any:
    named = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if named != "application/json":
        raise MediaTypeError([("Content-Type", "is not application/json")])
    return parse_json(await reception.body(request))


def _describe(study: Study) -> Service:
    return Service(
        id=f"{study.name}{SUFFIX}",
        title=study.title or study.name,
        description=study.question or study.title or study.name,
        prefetch=templates(study),
        usageRequirements=_USAGE[study.language],
    )


def _outcome(sent: Prefetched) -> dict[str, Any]:
    """What is missing, as FHIR says it."""
    issues = [
        {"severity": "error", "code": "required", "diagnostics": f"{place} {why}", "expression": [place]}
        for place, why in sent.missing
    ]
    return {"resourceType": "OperationOutcome", "issue": issues}


def _slow_down(limiter: Limiter, key: str, what: str) -> None:
    wait = limiter.take(key)
    if wait is not None:
        raise TooManyRequestsError(what, retry_after=max(1, round(wait)))


def _route_class(door: Door) -> type[APIRoute]:
    """Routes that browsers may use from the pages that clients are listed with, and from no other (CORS)."""

    class BrowserRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
            handle = super().get_route_handler()

            async def handled(request: Request) -> Response:
                try:
                    response = await handle(request)
                except GalenoError as error:
                    problem = problem_of(error)
                    if door.origin(request) is None or problem["status"] == 500:
                        raise
                    response = respond(problem, headers_of(error))
                response.headers.update(_cors(door.origin(request)))
                return response

            return handled

    return BrowserRoute


def _cors(origin: str | None) -> dict[str, str]:
    if origin is None:
        return {"Vary": "Origin"}
    return {
        "Vary": "Origin",
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
        "Access-Control-Allow-Headers": "Authorization, Content-Type",
        "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
    }


def _json(content: BaseModel) -> Response:
    return Response(content.model_dump_json(exclude_none=True), media_type="application/json")


def _some(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: _PROBLEMS[status] for status in statuses}


def _body(model: type[BaseModel], example: Mapping[str, Any]) -> dict[str, Any]:
    """What OpenAPI says of a body that is parsed by hand; definitions are put where they are used."""
    schema = model.model_json_schema()
    content = {"schema": _inline(schema, schema.pop("$defs", {})), "example": example}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def _inline(schema: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(schema, dict):
        if "$ref" in schema:
            return _inline(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions)
        return {key: _inline(value, definitions) for key, value in schema.items()}
    return [_inline(each, definitions) for each in schema] if isinstance(schema, list) else schema


_MISSING: Final[dict[str, Any]] = {
    "description": "Data that were asked for by prefetch did not come: an OperationOutcome.",
    "content": {FHIR_JSON: {"schema": {"type": "object"}}},
}
_EXAMPLE_CALL: Final = {
    "hook": "patient-view",
    "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
    "context": {"userId": "Practitioner/example", "patientId": "p1"},
    "prefetch": {
        "patient": {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1980-01-01"},
        "observations": {"resourceType": "Bundle", "type": "searchset", "entry": []},
    },
}
_EXAMPLE_FEEDBACK: Final = {
    "feedback": [
        {
            "card": "0199f3a1-c2d4-7a5b-8c3d-1e2f3a4b5c6d",
            "outcome": "overridden",
            "overrideReason": {"reason": {"code": "not-consistent"}, "userComment": "Sweat test negative"},
            "outcomeTimestamp": "2026-11-21T10:05:31Z",
        }
    ]
}
