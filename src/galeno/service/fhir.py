"""FHIR R4 over HTTP: it translates between Bundles and the desk."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from galeno.errors import GalenoError, InputError, MediaTypeError, NotFoundError
from galeno.governance.access import Action, Caller
from galeno.ingest.fhir import FhirRecord, read_bundle
from galeno.ingest.fhir_check import Issue
from galeno.service.answers import Answer, StoredDiagnosis
from galeno.service.face import Reception, parse_json
from galeno.service.fhir_answer import (
    Telling,
    answer_bundle,
    issues_of,
    operation_outcome,
    own_id,
    risk_assessment,
    search_bundle,
    tell_made,
    tell_stored,
)
from galeno.service.fhir_capability import OPERATION, capability_statement, operation_definition
from galeno.service.fhir_describe import PREDICT, READ, SEARCH, SEARCH_BY_FORM, statement
from galeno.service.fhir_search import Search, read_search
from galeno.service.problems import headers_of, status_of
from galeno.study import Study

MEDIA_TYPE = "application/fhir+json"
_TAKEN = (MEDIA_TYPE, "application/json")
_GIVEN = ("*/*", "application/*", *_TAKEN, "text/json", "json", "fhir+json")
_VERSIONS = ("4.0", "4.3")
"""FHIR versions that a client may name; what is read here is the same in both."""
_FORM = "application/x-www-form-urlencoded"
_FORM_LIMIT = 10_000

_log = logging.getLogger("galeno.service")

Handler = Callable[[Request], Awaitable[Response]]


class NotAcceptableError(InputError):
    """The client takes no format that is spoken here."""


def router(reception: Reception) -> APIRouter:
    """The routes of the FHIR face."""
    routes = APIRouter(prefix="/fhir", tags=["fhir"])
    face = _Face(reception)
    routes.add_api_route(
        f"/${OPERATION}", _guarded(face.predict), methods=["POST"], name="predict_diagnosis", **PREDICT
    )
    routes.add_api_route("/RiskAssessment", _guarded(face.search), name="search_risk_assessments", **SEARCH)
    routes.add_api_route(
        "/RiskAssessment/_search",
        _guarded(face.search_by_form),
        methods=["POST"],
        name="search_risk_assessments_by_form",
        **SEARCH_BY_FORM,
    )
    routes.add_api_route("/RiskAssessment/{id}", _guarded(face.read), name="read_risk_assessment", **READ)
    routes.add_api_route(
        "/metadata", _guarded(face.metadata), name="fhir_metadata", **statement("CapabilityStatement")
    )
    routes.add_api_route(
        f"/OperationDefinition/{OPERATION}",
        _guarded(face.operation),
        name="fhir_operation",
        **statement("OperationDefinition"),
    )
    return routes


@dataclass(frozen=True)
class _Face:
    """The handlers."""

    reception: Reception

    async def predict(self, request: Request) -> Response:
        caller = await self._caller(request, Action.DIAGNOSES_CREATE)
        _need_type(request, _TAKEN)
        study = self._study(request.query_params.get("study"))
        explain = _flag(request, "explain")
        if self.reception.takes_files(study.name):
            with self.reception.hold_place(request):
                sent, answer = await self._answer(
                    request, caller, study, self.reception.upload_limit, explain
                )
        else:
            sent, answer = await self._answer(request, caller, study, None, explain)
        telling = tell_made(answer, sent, study)
        return _respond(answer_bundle(telling, self._base(request), sent.issues))

    async def _answer(
        self, request: Request, caller: Caller, study: Study, limit: int | None, explain: bool
    ) -> tuple[FhirRecord, Answer]:
        """Read the Bundle and diagnose its patient."""
        body = await self.reception.body(request, limit)
        # in a thread: a large Bundle takes a while, and so does the first, which loads the FHIR models
        sent = await asyncio.to_thread(_read, study, body)
        del body
        try:
            answer = await self.reception.desk.diagnose(
                caller, study.name, sent.patient_id, sent.record, explain=explain
            )
        except InputError as error:
            raise _PlacedError(error, sent) from None
        return sent, answer

    async def read(self, request: Request) -> Response:
        caller = await self._caller(request, Action.FHIR_READ)
        stored = await self.reception.desk.read_diagnosis(
            caller, own_id(request.path_params["id"]), record=False
        )
        return _respond(risk_assessment(self._telling(stored, request), self._base(request)))

    async def search(self, request: Request) -> Response:
        caller = await self._caller(request, Action.FHIR_READ)
        return await self._search(request, caller, list(request.query_params.multi_items()))

    async def search_by_form(self, request: Request) -> Response:
        """The same with the parameters in the body, so that no patient id stands in an address."""
        caller = await self._caller(request, Action.FHIR_READ)
        _need_type(request, (_FORM,))
        body = await self.reception.body(request, _FORM_LIMIT)
        try:
            asked = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=20)
        except ValueError:
            raise InputError([("body", "is not a form of search parameters")]) from None
        return await self._search(request, caller, asked)

    async def metadata(self, request: Request) -> Response:
        _need_accept(request)
        return _respond(capability_statement(self._base(request)))

    async def operation(self, request: Request) -> Response:
        _need_accept(request)
        return _respond(operation_definition(self._base(request)))

    async def _search(self, request: Request, caller: Caller, asked: list[tuple[str, str]]) -> Response:
        search = read_search(asked)
        page, following = await self._page(caller, search)
        # one by one: each reading of a case is audited, and tells the patient and whether it was confirmed;
        # a RiskAssessment tells no input
        desk = self.reception.desk
        cases = await asyncio.gather(*(desk.read_diagnosis(caller, each.id, record=False) for each in page))
        base = self._base(request)
        kept = [pair for pair in asked if pair[0] not in ("page", "_format")]
        links = {"self": _link(base, kept)}
        if following is not None:
            links["next"] = _link(base, [*kept, ("page", following)])
        return _respond(search_bundle((self._telling(case, request) for case in cases), base, links))

    async def _page(self, caller: Caller, search: Search) -> tuple[list[StoredDiagnosis], str | None]:
        page, following = await self.reception.desk.list_diagnoses(
            caller, patient_id=search.patient_id, limit=search.count, after=search.after
        )
        inside = [each for each in page if search.holds(each.created)]
        # newest first: where the last is too old, so is all that follows
        return inside, following if page and search.reaches(page[-1].created) else None

    async def _caller(self, request: Request, action: Action) -> Caller:
        caller = await self.reception.caller(request, "fhir")
        await self.reception.desk.permit(caller, action)
        _need_accept(request)
        return caller

    def _study(self, name: str | None) -> Study:
        """The study that was asked for, else the only one that maps FHIR.

        Raises:
            NotFoundError: no such study.
            InputError: it does not map FHIR, or there are several that do.
        """
        if name is not None:
            study = self.reception.desk.study(name)
            if not study.fhir.columns:
                raise InputError([("study", "this study has no fhir section")])
            return study
        mapped = [study for study in self.reception.desk.studies() if study.fhir.columns]
        if len(mapped) == 1:
            return mapped[0]
        if not mapped:
            raise NotFoundError(
                "no study with a fhir section has a champion", remedy="Add one to a study and run it"
            )
        names = ", ".join(study.name for study in mapped)
        raise InputError([("study", f"several studies map FHIR; ask for one with ?study=: {names}")])

    def _telling(self, stored: StoredDiagnosis, request: Request) -> Telling:
        try:
            study: Study | None = self.reception.desk.study(stored.study)
        except NotFoundError:
            study = None
        return tell_stored(stored, study, self._base(request))

    def _base(self, request: Request) -> str:
        return self.reception.settings.public_url or str(request.base_url).rstrip("/")


def _read(study: Study, body: bytes) -> FhirRecord:
    return read_bundle(study, parse_json(body))


class _PlacedError(InputError):
    """A fault that the desk found, with where it stood in the Bundle."""

    def __init__(self, error: InputError, sent: FhirRecord) -> None:
        super().__init__(error.faults, remedy=error.remedy)
        self.cause = error
        self.paths = sent.paths


def _guarded(handler: Handler) -> Handler:
    """Let a handler's errors be told as OperationOutcome."""

    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except NotAcceptableError as error:
            issue = Issue("not-supported", error.faults[0][1], "http.accept")
            return _respond(operation_outcome([issue]), 406)
        except GalenoError as error:
            status, _ = status_of(error.cause if isinstance(error, _PlacedError) else error)
            if status == 500:
                _log.error("%s: %s", type(error).__name__, error)
            paths = error.paths if isinstance(error, _PlacedError) else None
            return _respond(operation_outcome(issues_of(error, paths)), status, headers_of(error))

    return handle


def _respond(resource: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(to_json(resource), status_code=status, media_type=MEDIA_TYPE, headers=headers)


def _need_type(request: Request, taken: tuple[str, ...]) -> None:
    """Refuse what is not sent as it is read here.

    Raises:
        MediaTypeError: another media type, charset or FHIR version.
    """
    kind, _, rest = request.headers.get("content-type", "").partition(";")
    named = dict(_parameters(rest))
    wrong = kind.strip().lower() not in taken
    wrong = wrong or named.get("charset", "utf-8").lower() not in ("utf-8", "utf8")
    wrong = wrong or named.get("fhirversion", _VERSIONS[0]) not in _VERSIONS
    if wrong:
        raise MediaTypeError([("content-type", f"is not {taken[0]} in UTF-8, FHIR {_VERSIONS[0]}")])


def _need_accept(request: Request) -> None:
    """Refuse to answer who does not take JSON.

    Raises:
        NotAcceptableError: `_format` or `Accept` ask for something else.
    """
    asked = request.query_params.get("_format") or request.headers.get("accept") or "*/*"
    for option in asked.replace(" json", "+json").split(","):
        kind, _, rest = option.partition(";")
        named = dict(_parameters(rest))
        if kind.strip().lower() in _GIVEN and named.get("q", "1") not in ("0", "0.0", "0.00", "0.000"):
            return
    raise NotAcceptableError([("accept", f"only {MEDIA_TYPE} is spoken here")])


def _parameters(text: str) -> list[tuple[str, str]]:
    """Parameters of a media type, names in lower case."""
    pairs = (part.partition("=") for part in text.split(";") if part.strip())
    return [(name.strip().lower(), value.strip().strip('"')) for name, _, value in pairs]


def _flag(request: Request, name: str) -> bool:
    value = request.query_params.get(name, "false")
    if value not in ("true", "false"):
        raise InputError([(name, "is not true or false")])
    return value == "true"


def _link(base: str, asked: list[tuple[str, str]]) -> str:
    query = urlencode(asked)
    return f"{base}/fhir/RiskAssessment?{query}" if query else f"{base}/fhir/RiskAssessment"
