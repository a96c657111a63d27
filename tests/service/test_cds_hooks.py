"""CDS Hooks against a real desk: trained models, journal, keys, signed tokens. No server, no mock."""

import asyncio
import json
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from clinic import CANARY, open_clinic
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import OctKey
from local_issuer import local_issuer, make_key
from sqlalchemy import func, select

from galeno.governance.access import Caller
from galeno.governance.users import Users
from galeno.pipeline.runner import RunResult, run_study
from galeno.service import cds_hooks
from galeno.service.answers import StoredDiagnosis
from galeno.service.cds_cards import diagnosis_id
from galeno.service.cds_wire import Cards, Services
from galeno.service.desk import Desk
from galeno.service.face import Reception
from galeno.service.identity import Identity
from galeno.service.limits import Limiter
from galeno.service.opening import open_rooms
from galeno.service.problems import install
from galeno.settings import ServiceSettings
from galeno.storage import schema
from galeno.study_file import load_study

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "cds-hooks.md").read_text(encoding="utf-8")
KEY = make_key("ehr", "ES384")
NORTH, SOUTH = "https://north.example.org/", "https://south.example.org/"
SECOND = "https://second.north.example.org/"
URL = "https://dx.example.org"
ORIGIN = "https://pages.north.example.org"
SERVICE = "clinic-patient-view"
JWKS = {"keys": [KEY.as_dict(private=False)]}
CLIENTS = [
    {"iss": NORTH, "jwks": JWKS, "site": "north", "origins": [ORIGIN]},
    {"iss": SOUTH, "jwks": JWKS, "site": "south", "origins": ["https://pages.south.example.org"]},
    {"iss": SECOND, "jwks": JWKS, "site": "north"},
]


def shown(name: str) -> Any:
    """A block of the documentation, by the comment before it."""
    found = re.search(rf"<!-- {name} -->\n```(json|yaml)\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
    assert found, name
    return json.loads(found[2]) if found[1] == "json" else yaml.safe_load(found[2])


@dataclass
class Clinic:
    """A service over a home, without a socket."""

    app: FastAPI
    desk: Desk
    home: Path
    asked: list[httpx.Response] = field(default_factory=list)

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
                return await client.request(method, path, **more)

        return asyncio.run(once())

    def send(
        self, path: str = "", content: Any = None, *, token: str | None = "", **more: Any
    ) -> httpx.Response:
        """A call with a fresh token for it; content makes it a POST."""
        path = f"/cds-services{path}"
        headers = more.pop("headers", {})
        if token is not None:
            headers = {"Authorization": f"Bearer {token or sign(path)}"} | headers
        if content is None:
            return self.ask("GET", path, headers=headers, **more)
        return self.ask("POST", path, json=content, headers=headers, **more)

    def call(self, content: Any = None, service: str = SERVICE, **more: Any) -> httpx.Response:
        return self.send(f"/{service}", shown("call") if content is None else content, **more)

    def card(self, content: Any = None, **more: Any) -> dict[str, Any]:
        """The one card of a call that is answered."""
        response = self.call(content, **more)
        assert response.status_code == 200, response.text
        (card,) = response.json()["cards"]
        return dict(card)

    def tell(self, *feedback: Any, service: str = SERVICE, **more: Any) -> httpx.Response:
        return self.send(f"/{service}/feedback", {"feedback": list(feedback)}, **more)

    def stored(self, card: str, site: str = "north") -> StoredDiagnosis:
        reader = Caller("ana", "clinician", site)
        return asyncio.run(self.desk.read_diagnosis(reader, diagnosis_id(card)))

    def count(self, table: Any, *conditions: Any) -> int:
        with self.desk.rooms.journal.read() as connection:
            query = select(func.count()).select_from(table).where(*conditions)
            return int(connection.execute(query).scalar_one())


@pytest.fixture(scope="module")
def home(make_home: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two studies: the one of the documentation, and one that asks for consent."""
    home = make_home()
    mapped = yaml.safe_dump(shown("study"))
    for name, extra in {"clinic": mapped, "ward": f"{mapped}privacy: {{consent: true}}\n"}.items():
        path = open_clinic(tmp_path_factory.mktemp(name))
        path.write_text(path.read_text().replace("name: clinic", f"name: {name}") + extra)
        run_study(load_study(path, []), home, threads=2)
    home.chmod(0o700)
    return home


@pytest.fixture(scope="module")
def opened(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Clinic]]:
    """Opens the service on the home."""
    with ExitStack() as stack:

        def open_clinic_service(
            clients: Any = CLIENTS, *, demo: bool = False, url: str = URL, place: Path = home
        ) -> Clinic:
            path = tmp_path_factory.mktemp("clients") / "clients.json"
            path.write_text(json.dumps(clients))
            settings = ServiceSettings(cds_clients=str(path) if clients else "", public_url=url)
            rooms = stack.enter_context(open_rooms(place, settings))
            desk = Desk(rooms)
            identity = Identity(Users(rooms.journal), settings, demo=demo)
            reception = Reception(
                desk, identity, settings, 100_000, Limiter(1000.0, 1000), Limiter(1000.0, 1000)
            )
            app = FastAPI()
            install(app)
            app.include_router(cds_hooks.router(reception))
            return Clinic(app, desk, place)

        yield open_clinic_service


@pytest.fixture(scope="module")
def clinic_service(opened: Callable[..., Clinic]) -> Clinic:
    return opened()


def sign(path: str, key: Any = KEY, algorithm: str = "ES384", **changes: Any) -> str:
    now = int(time.time())
    claims = {"iss": NORTH, "aud": URL + path, "iat": now, "exp": now + 300, "jti": uuid.uuid4().hex}
    return jwt.encode({"alg": algorithm, "kid": "ehr"}, claims | changes, key, algorithms=[algorithm])


def changed(*path: str, to: Any = None, remove: bool = False) -> dict[str, Any]:
    """The documented call with one thing changed."""
    call: dict[str, Any] = shown("call")
    place = call
    for name in path[:-1]:
        place = place[name]
    if remove:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return call


def observed(value: float | str, **more: Any) -> dict[str, Any]:
    call: dict[str, Any] = shown("call")
    resource = call["prefetch"]["observations"]["entry"][0]["resource"]
    resource["valueQuantity"]["value"] = value
    resource["valueQuantity"].update(more)
    return call


def feedback(card: str, outcome: str = "accepted", **more: Any) -> dict[str, Any]:
    return {"card": card, "outcome": outcome, "outcomeTimestamp": "2026-11-21T10:05:31Z", **more}


# discovery


def test_discovery_is_as_documented(clinic_service: Clinic) -> None:
    response = clinic_service.send()
    assert response.status_code == 200
    services = Services.model_validate(response.json()).services
    assert [service.id for service in services] == [SERVICE, "ward-patient-view"]
    assert response.json()["services"][0] == shown("discovery")["services"][0]


def test_discovery_has_nothing_of_version_3(clinic_service: Clinic) -> None:
    for service in clinic_service.send().json()["services"]:
        assert not {"version", "hookVersion"} & set(service)
        for query in service["prefetch"].values():
            assert set(re.findall(r"{{(.*?)}}", query)) == {"context.patientId"}


def test_a_study_without_fhir_is_not_offered(
    opened: Callable[..., Clinic], done: RunResult, clinic_home: Path, tmp_path: Path
) -> None:
    clinic = opened(place=Path(shutil.copytree(clinic_home, tmp_path / "home")))
    assert [study.name for study in clinic.desk.studies()] == ["clinic"]
    assert clinic.send().json() == {"services": []}
    assert clinic.call().status_code == 404


# the call


def test_the_worked_example_runs(clinic_service: Clinic) -> None:
    said: dict[str, Any] = shown("cards")["cards"][0]
    card = clinic_service.card()
    assert set(card) == set(said)
    assert re.fullmatch(r"(Needs review|Consider): .+ \((> |< )?\d+ %\)", card["summary"])
    assert card["source"].keys() == said["source"].keys()
    assert card["overrideReasons"][0] == said["overrideReasons"][0]
    assert card["suggestions"][0]["label"] == said["suggestions"][0]["label"]
    assert card["links"][0]["url"] == f"{URL}/v1/diagnoses/{diagnosis_id(card['uuid'])}"
    assert card["detail"].startswith("| Diagnosis | Probability |\n|---|---:|\n| ")
    told: dict[str, Any] = shown("feedback")["feedback"][0]
    assert clinic_service.tell(told | {"card": card["uuid"]}).status_code == 200
    (kept,) = clinic_service.stored(card["uuid"]).feedback
    assert (kept.agrees, kept.reason, kept.comment) == (
        False,
        "not-consistent",
        "lactate falls, patient well",
    )


def test_the_answer_is_in_the_journal(clinic_service: Clinic) -> None:
    stored = clinic_service.stored(clinic_service.card()["uuid"])
    assert (stored.study, stored.actor, stored.site, stored.face) == ("clinic", NORTH, "north", "cds_hooks")
    assert stored.patient_id == "urn:oid:1.2.3|MRN1"
    assert stored.record is not None
    assert stored.record["lactate"] == 6.4
    assert stored.record["sex"] == "F"
    assert set(stored.record) == {"age", "sex", "lactate"}


def test_cards_hold_the_rules(clinic_service: Clinic) -> None:
    indicators = set()
    for value in (0.5, 1.0, 3.0, 4.5, 6.0, 9.0):
        card = clinic_service.card(observed(value))
        Cards.model_validate({"cards": [card]})
        stored = clinic_service.stored(card["uuid"])
        assert card["indicator"] == ("warning" if stored.needs_review else "info")
        assert len(card["summary"]) < 140
        assert f"clinic {stored.version}" == card["source"]["label"]
        indicators.add(card["indicator"])
    assert "warning" in indicators


def test_units_are_converted(clinic_service: Clinic) -> None:
    card = clinic_service.card(observed(6400, code="umol/L"))
    record = clinic_service.stored(card["uuid"]).record
    assert record is not None
    assert record["lactate"] == pytest.approx(6.4)


def test_a_resource_means_what_a_bundle_means(clinic_service: Clinic) -> None:
    resource = shown("call")["prefetch"]["observations"]["entry"][0]["resource"]
    one = clinic_service.card(changed("prefetch", "observations", to=resource))
    assert one["detail"] == clinic_service.card()["detail"]


def test_without_a_public_address_there_are_no_links(opened: Callable[..., Clinic]) -> None:
    clinic = opened(url="")
    token = sign("", aud=f"http://127.0.0.1:8000/cds-services/{SERVICE}")
    card = clinic.card(token=token)
    assert "links" not in card
    assert "url" not in card["source"]
    # the Host header is the caller's and changes nothing
    token = sign("", aud=f"https://evil.example.org/cds-services/{SERVICE}")
    assert clinic.call(token=token, headers={"Host": "evil.example.org"}).status_code == 401


@pytest.mark.parametrize("value", [None, {"resourceType": "Bundle", "type": "searchset", "entry": []}])
def test_no_advice_is_no_card(clinic_service: Clinic, value: Any) -> None:
    before = clinic_service.count(schema.diagnoses)
    response = clinic_service.call(changed("prefetch", "observations", to=value))
    assert (response.status_code, response.json()) == (200, {"cards": []})
    other = observed(1.0)
    other["prefetch"]["observations"]["entry"][0]["resource"]["code"]["coding"][0]["code"] = "1-8"
    assert clinic_service.call(other).json() == {"cards": []}
    assert clinic_service.count(schema.diagnoses) == before


@pytest.mark.parametrize(
    ("call", "places"),
    [
        (changed("prefetch", remove=True), ["patient", "observations", "documents"]),
        (changed("prefetch", to=None), ["patient", "observations", "documents"]),
        (changed("prefetch", "patient", to=None), ["patient"]),
        (changed("prefetch", "patient", remove=True), ["patient"]),
        (changed("prefetch", "observations", remove=True), ["observations"]),
        (
            changed("prefetch", "documents", to={"resourceType": "OperationOutcome", "issue": []}),
            ["documents"],
        ),
    ],
)
def test_missing_data_is_412_with_an_operation_outcome(
    clinic_service: Clinic, call: Any, places: list[str]
) -> None:
    from fhir.resources.R4B.operationoutcome import OperationOutcome

    response = clinic_service.call(call)
    assert response.status_code == 412
    assert response.headers["content-type"] == "application/fhir+json"
    outcome = OperationOutcome.model_validate(response.json())
    assert [issue.expression[0] for issue in outcome.issue or ()] == [f"prefetch.{place}" for place in places]


def test_without_consent_there_is_no_card_and_it_is_written_down(clinic_service: Clinic) -> None:
    denied = (schema.audit.c.study == "ward", schema.audit.c.outcome == "denied")
    before = clinic_service.count(schema.audit, *denied)
    response = clinic_service.call(service="ward-patient-view")
    assert (response.status_code, response.json()) == (200, {"cards": []})
    assert clinic_service.count(schema.audit, *denied) == before + 1


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (changed("hook", remove=True), "hook"),
        (changed("hook", to="order-sign"), "hook"),
        (changed("hookInstance", remove=True), "hookInstance"),
        (changed("hookInstance", to="7"), "hookInstance"),
        (changed("hookInstance", to=7), "hookInstance"),
        (changed("context", remove=True), "context"),
        (changed("context", "userId", remove=True), "context.userId"),
        (changed("context", "userId", to="ana"), "context.userId"),
        (changed("context", "userId", to="Practitioner/"), "context.userId"),
        (changed("context", "patientId", remove=True), "context.patientId"),
        (changed("context", "patientId", to="Patient/p1"), "context.patientId"),
        (changed("context", "encounterId", to=7), "context.encounterId"),
        (changed("context", "patientId", to="p2"), "prefetch.patient"),
        (changed("prefetch", to=[]), "prefetch"),
        (changed("prefetch", "observations", to="x"), "prefetch.observations"),
        (changed("fhirAuthorization", to={"access_token": "a"}), "fhirAuthorization.token_type"),
        (observed("6.4"), "prefetch.observations.entry[0].resource.valueQuantity.value"),
        (observed(6.4, code="stone"), "prefetch.observations.entry[0].resource.valueQuantity"),
    ],
)
def test_a_faulty_call_names_the_field(clinic_service: Clinic, call: Any, field: str) -> None:
    response = clinic_service.call(call)
    assert response.status_code == 422, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert any(fault["field"].startswith(field) for fault in response.json()["errors"]), response.text
    assert "MRN1" not in response.text


def test_another_patients_resource_is_refused(clinic_service: Clinic) -> None:
    call = observed(6.4)
    call["prefetch"]["observations"]["entry"][0]["resource"]["subject"] = {"reference": "Patient/p2"}
    assert clinic_service.call(call).status_code == 422


AUTHORIZATION = {
    "access_token": "secret-token-of-the-ehr", "token_type": "Bearer", "expires_in": 300,
    "scope": "user/Patient.read", "subject": "cds",
}  # fmt: skip


def test_fhir_authorization_needs_the_server(clinic_service: Clinic) -> None:
    response = clinic_service.call(changed("fhirAuthorization", to=AUTHORIZATION))
    assert response.status_code == 422
    assert "fhirServer is required" in response.text


def test_the_fhir_server_of_a_call_is_never_called(clinic_service: Clinic) -> None:
    with local_issuer() as server:
        extra = {"fhirServer": server.url, "fhirAuthorization": AUTHORIZATION}
        assert clinic_service.call(shown("call") | extra).status_code == 200
        missing = changed("prefetch", remove=True) | extra
        assert clinic_service.call(missing).status_code == 412
        assert server.asked == []
    kept = b"".join(path.read_bytes() for path in clinic_service.home.glob("*.db*"))
    assert b"secret-token-of-the-ehr" not in kept
    assert b"MRN1" not in kept


def test_what_cds_hooks_does_not_name_may_come(clinic_service: Clinic) -> None:
    call = shown("call") | {"extension": {"org.example.x": 1}, "new": []}
    call["context"]["more"] = 1
    assert clinic_service.call(call).status_code == 200


@pytest.mark.parametrize(
    ("content", "type_", "status"),
    [
        (b"{", "application/json", 422),
        (b"\xff", "application/json", 422),
        (b"[]", "application/json", 422),
        (b"null", "application/json", 422),
        (b'{"hook": NaN}', "application/json", 422),
        (b"[" * 50_000, "application/json", 422),
        (b"{}", "text/plain", 415),
        (b" " * 100_001, "application/json", 413),
    ],
)
def test_junk_is_refused(clinic_service: Clinic, content: bytes, type_: str, status: int) -> None:
    for path in (f"/{SERVICE}", f"/{SERVICE}/feedback"):
        headers = {"Content-Type": type_, "Authorization": f"Bearer {sign(f'/cds-services{path}')}"}
        response = clinic_service.ask("POST", f"/cds-services{path}", content=content, headers=headers)
        assert response.status_code == status, response.text
    assert clinic_service.call().status_code == 200


@pytest.mark.parametrize("service", ["none-patient-view", "clinic", "clinic-order-sign"])
def test_a_service_that_is_not_listed_is_not_there(clinic_service: Clinic, service: str) -> None:
    assert clinic_service.call(service=service).status_code == 404
    assert clinic_service.tell(feedback(str(uuid.uuid4())), service=service).status_code == 404


# feedback


def test_an_accepted_card_is_agreement(clinic_service: Clinic) -> None:
    card = clinic_service.card()
    taken = {"acceptedSuggestions": [{"id": card["suggestions"][0]["uuid"]}]}
    assert clinic_service.tell(feedback(card["uuid"], **taken)).status_code == 200
    (kept,) = clinic_service.stored(card["uuid"]).feedback
    assert (kept.agrees, kept.reason, kept.comment, kept.actor) == (True, None, None, NORTH)


@pytest.mark.parametrize(
    ("why", "reason", "comment"),
    [
        (None, None, None),
        ({}, None, None),
        ({"reason": {"code": "wrong-data", "system": "any"}}, "wrong-data", None),
        ({"userComment": f"seen by {CANARY}"}, None, f"seen by {CANARY}"),
        ({"reason": {"code": "Own Code 7"}, "userComment": "no"}, "other", "[Own Code 7] no"),
        ({"reason": {"code": "Own Code 7"}}, "other", "[Own Code 7]"),
    ],
)
def test_an_overridden_card_is_disagreement(
    clinic_service: Clinic, why: Any, reason: str | None, comment: str | None
) -> None:
    card = clinic_service.card()["uuid"]
    more = {} if why is None else {"overrideReason": why}
    assert clinic_service.tell(feedback(card, "overridden", **more)).status_code == 200
    (kept,) = clinic_service.stored(card).feedback
    assert (kept.agrees, kept.reason, kept.comment) == (False, reason, comment)
    assert not any(CANARY.encode() in path.read_bytes() for path in clinic_service.home.glob("journal.db*"))


def test_feedback_finds_its_diagnosis_after_a_restart(opened: Callable[..., Clinic]) -> None:
    card = opened().card()["uuid"]
    again = opened()
    assert again.tell(feedback(card)).status_code == 200
    assert len(again.stored(card).feedback) == 1


def test_all_feedback_of_a_request_is_kept_or_none(clinic_service: Clinic) -> None:
    first, second = clinic_service.card()["uuid"], clinic_service.card()["uuid"]
    unknown = feedback(str(uuid.uuid4()))
    assert clinic_service.tell(feedback(first), unknown).status_code == 404
    assert clinic_service.stored(first).feedback == ()
    assert clinic_service.tell(feedback(first), feedback(second, "overridden")).status_code == 200
    assert len(clinic_service.stored(first).feedback) == len(clinic_service.stored(second).feedback) == 1


def test_a_card_of_another_system_or_service_is_not_there(clinic_service: Clinic) -> None:
    card = clinic_service.card()["uuid"]
    path = f"/cds-services/{SERVICE}/feedback"
    for issuer in (SOUTH, SECOND):
        assert clinic_service.tell(feedback(card), token=sign(path, iss=issuer)).status_code == 404
    assert clinic_service.tell(feedback(card), service="ward-patient-view").status_code == 404
    assert clinic_service.stored(card).feedback == ()


@pytest.mark.parametrize(
    "told",
    [
        {},
        feedback("7"),
        feedback(str(uuid.uuid4()), "ignored"),
        feedback(str(uuid.uuid4())) | {"outcomeTimestamp": "yesterday"},
        feedback(str(uuid.uuid4())) | {"outcomeTimestamp": "2026-11-21T10:05:31"},
        feedback(str(uuid.uuid4()), acceptedSuggestions=[{}]),
        feedback(str(uuid.uuid4()), "overridden", overrideReason={"reason": {}}),
        feedback(str(uuid.uuid4()), "overridden", overrideReason={"userComment": "x" * 4000}),
        feedback(str(uuid.uuid4()), overrideReason={"userComment": "x"}),
    ],
)
def test_faulty_feedback_names_the_field(clinic_service: Clinic, told: Any) -> None:
    response = clinic_service.tell(told)
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"].startswith("feedback.0")
    assert clinic_service.tell().status_code == 422


# who may


def test_every_route_wants_a_token(clinic_service: Clinic) -> None:
    for path, content in (("", None), (f"/{SERVICE}", {}), (f"/{SERVICE}/feedback", {}), ("/none", {})):
        response = clinic_service.send(path, content, token=None)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        assert clinic_service.send(path, content, token="gk_" + "a" * 43).status_code == 401


def test_a_token_is_for_one_call_of_one_address(clinic_service: Clinic) -> None:
    token = sign(f"/cds-services/{SERVICE}")
    assert clinic_service.send(token=token).status_code == 401
    assert clinic_service.tell(feedback(str(uuid.uuid4())), token=token).status_code == 401
    assert clinic_service.call(service="ward-patient-view", token=token).status_code == 401
    assert clinic_service.call(token=token).status_code == 200
    assert clinic_service.call(token=token).status_code == 401


@pytest.mark.parametrize("wrong", ["none", "HS256", "stranger", "expired", "issuer"])
def test_a_wrong_token_is_refused_and_written_down(clinic_service: Clinic, wrong: str) -> None:
    path = f"/cds-services/{SERVICE}"
    tokens = {
        "none": "eyJhbGciOiJub25lIn0." + sign(path).split(".")[1] + ".",
        "HS256": sign(path, OctKey.import_key(json.dumps(JWKS)), "HS256"),
        "stranger": sign(path, make_key("ehr", "ES384")),
        "expired": sign(path, exp=int(time.time()) - 3600),
        "issuer": sign(path, iss="https://evil.example.org/"),
    }
    denied = (schema.audit.c.face == "cds_hooks", schema.audit.c.outcome == "denied")
    before = clinic_service.count(schema.audit, *denied)
    response = clinic_service.call(token=tokens[wrong])
    assert response.status_code == 401
    assert "evil" not in response.text
    assert clinic_service.count(schema.audit, *denied) == before + 1


def test_without_clients_everything_is_401(opened: Callable[..., Clinic]) -> None:
    clinic = opened([])
    key = Users(clinic.desk.rooms.journal).add(f"u{uuid.uuid4().hex[:8]}", "clinician")[1]
    for token in (None, key, sign("/cds-services")):
        assert clinic.send(token=token).status_code == 401
    assert clinic.call(token=None).status_code == 401
    assert clinic.tell(feedback(str(uuid.uuid4())), token=None).status_code == 401


def test_demo_mode_asks_for_no_token(opened: Callable[..., Clinic]) -> None:
    for clinic in (opened([], demo=True), opened(demo=True)):
        assert clinic.send(token=None).status_code == 200
        card = clinic.card(token=None)["uuid"]
        assert clinic.tell(feedback(card), token=None).status_code == 200


# browsers


def test_browsers_may_call_from_listed_pages_only(clinic_service: Clinic) -> None:
    allowed = "access-control-allow-origin"
    for path in ("/cds-services", f"/cds-services/{SERVICE}", f"/cds-services/{SERVICE}/feedback"):
        asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
        response = clinic_service.ask("OPTIONS", path, headers=asked)
        assert response.status_code == 204
        assert response.headers[allowed] == ORIGIN
        assert "authorization" in response.headers["access-control-allow-headers"].lower()
        for origin in ("https://evil.example.org", "null", "*", ORIGIN + ".evil.org"):
            response = clinic_service.ask("OPTIONS", path, headers=asked | {"Origin": origin})
            assert allowed not in response.headers
            assert "Origin" in response.headers["vary"]


def test_answers_and_refusals_can_be_read_by_the_page_that_asked(clinic_service: Clinic) -> None:
    allowed = "access-control-allow-origin"
    page = {"Origin": ORIGIN}
    assert clinic_service.call(headers=page).headers[allowed] == ORIGIN
    assert clinic_service.call(token=None, headers=page).headers[allowed] == ORIGIN
    assert clinic_service.call({}, headers=page).headers[allowed] == ORIGIN
    assert "access-control-allow-credentials" not in clinic_service.call(headers=page).headers
    other = {"Origin": "https://pages.south.example.org"}  # another client's page
    assert allowed not in clinic_service.call(headers=other).headers
    assert allowed not in clinic_service.call().headers


# the description


def test_the_description_has_every_route_with_examples_that_work(clinic_service: Clinic) -> None:
    paths = clinic_service.app.openapi()["paths"]
    assert set(paths) == {
        "/cds-services",
        "/cds-services/{service}",
        "/cds-services/{service}/feedback",
    }
    described = paths["/cds-services/{service}"]["post"]
    assert {"200", "401", "412", "422", "503"} <= set(described["responses"])
    body = described["requestBody"]["content"]["application/json"]
    assert "$ref" not in json.dumps(body)
    example = body["example"] | {"prefetch": body["example"]["prefetch"] | {"documents": None}}
    assert clinic_service.call(example).json() == {"cards": []}
    told = paths["/cds-services/{service}/feedback"]["post"]["requestBody"]["content"]["application/json"]
    assert clinic_service.send(f"/{SERVICE}/feedback", told["example"]).status_code == 404


def test_the_documented_clients_are_read(tmp_path: Path) -> None:
    from galeno.service.cds_clients import read_clients

    path = tmp_path / "clients.json"
    path.write_text(json.dumps(shown("clients")))
    (client,) = read_clients(str(path))
    assert client.site == "north"
