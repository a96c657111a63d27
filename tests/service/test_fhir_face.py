"""FHIR over HTTP, on a real home with a trained model: the shapes, the traps, and who may do what."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from clinic import clinic_study
from fhir.resources.R4B import get_fhir_model_class
from fhir_cases import HPO, bundle, document, observation, patient
from hospital import ROLES, free_port

from galeno.governance.users import Users
from galeno.ingest.fhir_check import FhirInputError
from galeno.pipeline.runner import run_study
from galeno.records import RankedCondition
from galeno.service.app import AppOptions, create_app
from galeno.service.diagnosing import Diagnosing
from galeno.service.fhir_answer import Telling, own_id, percent, risk_assessment
from galeno.service.fhir_search import read_search
from galeno.settings import ServiceSettings
from galeno.storage.home import Home
from galeno.storage.journal import Journal

FHIR = "application/fhir+json"
BASE = "https://galeno.example"
PREDICT = "/fhir/$predict-diagnosis"
MAPPED = {
    "columns": {
        "age": {"resource": "Patient", "element": "age"},
        "sex": {"resource": "Patient", "element": "gender", "values": {"female": "F", "male": "M"}},
        "lactate": {"code": "2524-7", "unit": "mmol/L"},
        "note": {"resource": "DocumentReference"},
    },
    "classes": {"grave": {"code": "R65.1", "display": "Grave"}, "ill": {"code": "R69"}},
}
SENT = bundle(observation("2524-7", 6.5, "mmol/L", id="o1"), document(b"fiebre alta y disnea"))


@dataclass
class Ward:
    """A service whose only study maps FHIR, and a key of each role."""

    url: str
    keys: dict[str, str]


@pytest.fixture(scope="module")
def ward(make_home: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    """The service, at a real port of this machine."""
    folder = tmp_path_factory.mktemp("ward")
    study = clinic_study(folder, f"fhir={json.dumps(MAPPED)}", "gate={accuracy: 0.1}")
    home = make_home()
    home.chmod(0o700)
    assert run_study(study, home, threads=2).version == "1"
    app = create_app(AppOptions(home, body_limit=300_000), ServiceSettings(public_url=BASE))
    journal = Journal(Home(home).journal_url)
    users = Users(journal)
    keys = {role: users.add(f"one.{role}", role)[1] for role in ROLES}
    keys["elsewhere"] = users.add("elsewhere", "clinician", site="sur")[1]
    journal.close()
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", lifespan="on"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.02)
    assert server.started
    try:
        yield Ward(f"http://127.0.0.1:{port}", keys)
    finally:
        server.should_exit = True
        thread.join(timeout=30)


@pytest.fixture(scope="module")
def service(ward: Ward) -> Iterator[httpx.Client]:
    """A clinician of the ward."""
    headers = {"Authorization": f"Bearer {ward.keys['clinician']}"}
    with httpx.Client(base_url=ward.url, headers=headers, timeout=30) as client:
        yield client


def predict(service: httpx.Client, sent: Any, query: str = "", **headers: str) -> Any:
    content = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
    return service.post(PREDICT + query, content=content, headers={"Content-Type": FHIR, **headers})


def valid(resource: dict[str, Any]) -> dict[str, Any]:
    """The resource, which fhir.resources and FHIR's own rules take."""
    get_fhir_model_class(resource["resourceType"]).model_validate(resource)
    kind = resource["resourceType"]
    if kind == "RiskAssessment":
        assert resource["status"] in {"preliminary", "final"}
        for each in resource["prediction"]:
            assert 0 <= each["probabilityDecimal"] <= 100  # ras-2
        assert len({"occurrenceDateTime", "occurrencePeriod"} & set(resource)) <= 1
    if kind == "OperationOutcome":
        for issue in resource["issue"]:
            assert issue["severity"] in {"fatal", "error", "warning", "information"}
    if "id" in resource:
        assert re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", resource["id"])
    for entry in resource.get("entry", []):
        valid(entry["resource"])
    return resource


def outcome(answer: Any, status: int) -> list[tuple[str, str]]:
    """Place and code of each issue of a refusal."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == FHIR
    told = valid(answer.json())
    assert told["resourceType"] == "OperationOutcome"
    return [("".join(issue.get("expression", [])), issue["code"]) for issue in told["issue"]]


def resources(answer: Any) -> dict[str, dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == FHIR
    told = valid(answer.json())
    return {entry["resource"]["resourceType"]: entry["resource"] for entry in told["entry"]}


def same_shape(ours: Any, shape: Any, path: str = "") -> None:
    """Every element of the shape is in ours, of the same JSON type."""
    if isinstance(shape, dict):
        assert isinstance(ours, dict), path
        for name, inner in shape.items():
            if name not in {"display"}:
                assert name in ours, f"{path}.{name}"
                same_shape(ours[name], inner, f"{path}.{name}")
    elif isinstance(shape, list):
        assert isinstance(ours, list), path
        assert ours, path
        same_shape(ours[0], shape[0], f"{path}[0]")
    elif isinstance(shape, int | float):
        assert isinstance(ours, int | float), path
    else:
        assert isinstance(ours, type(shape)), path


def test_an_answer_has_the_shape(service: httpx.Client, real_data: Path) -> None:
    shape = json.loads((real_data.parent / "shapes" / "response_bundle.json").read_text())
    answer = predict(service, SENT)
    resources(answer)
    for ours, theirs in zip(answer.json()["entry"], shape["entry"], strict=True):
        same_shape(ours["resource"], theirs["resource"])

    assert answer.json()["type"] == "collection"


def test_what_an_answer_says(service: httpx.Client) -> None:
    answer = predict(service, SENT, "?study=clinic&explain=true")
    told = resources(answer)
    risk, device, provenance = told["RiskAssessment"], told["Device"], told["Provenance"]
    assert risk["status"] == "preliminary"
    assert risk["meta"]["security"][0]["code"] == "AIAST"
    assert risk["subject"] == {"reference": "Patient/p1"}
    assert risk["basis"] == [{"reference": "Observation/o1"}, {"reference": "DocumentReference/d1"}]
    assert risk["method"]["coding"] == [{"system": f"{BASE}/models", "code": "clinic", "version": "1"}]
    grave = next(
        each for each in risk["prediction"] if each["outcome"].get("coding", [{}])[0].get("code") == "R65.1"
    )
    assert grave["outcome"]["coding"][0]["display"] == "Grave"
    p = float(re.match(r"p=([0-9.e-]+)", grave["rationale"])[1])  # type: ignore[index]
    assert grave["probabilityDecimal"] == pytest.approx(100 * p, abs=0.06)
    assert "lactate +" in " ".join(each["rationale"] for each in risk["prediction"])
    assert sum(each["probabilityDecimal"] for each in risk["prediction"]) == pytest.approx(100, abs=0.3)
    assert "LOW_CONFIDENCE=" in risk["note"][0]["text"]
    assert "a clinician decides" in risk["note"][0]["text"]
    assert device["version"][0]["value"] == "1"
    assert re.fullmatch("[0-9a-f]{64}", device["version"][1]["value"])
    assert provenance["target"] == [{"reference": f"RiskAssessment/{risk['id']}"}]
    assert provenance["entity"][0]["what"] == {"reference": "Observation/o1"}


def test_it_is_final_once_an_outcome_was_confirmed(service: httpx.Client) -> None:
    risk = resources(predict(service, bundle(observation("2524-7", 5, "mmol/L"))))["RiskAssessment"]
    address = f"/fhir/RiskAssessment/{risk['id']}"
    before = valid(service.get(address).json())
    assert before["status"] == "preliminary"
    assert before["subject"] == {"identifier": {"system": "urn:oid:1.2.3", "value": "MRN1"}}
    assert [each["probabilityDecimal"] for each in before["prediction"]] == [
        each["probabilityDecimal"] for each in risk["prediction"]
    ]
    confirmed = {"condition": "grave", "confirmed_on": "2024-11-20"}
    answer = service.post(f"/v1/diagnoses/{own_id(risk['id'])}/outcome", json=confirmed)
    assert answer.is_success, answer.text
    assert valid(service.get(address).json())["status"] == "final"


def test_what_cannot_be_read_is_named(service: httpx.Client) -> None:
    entry = "Bundle.entry[1].resource"

    def refused(*sent: Any, **changes: Any) -> list[tuple[str, str]]:
        return outcome(predict(service, bundle(*sent, **changes)), 422)

    assert refused(observation("2524-7", 5, "mmol/L", status="banana")) == [
        (f"{entry}.status", "code-invalid")
    ]
    assert refused(observation("2524-7", 50, "mg/dL")) == [(f"{entry}.valueQuantity.code", "value")]
    assert refused(observation("2524-7", 500, "mmol/L")) == [(f"{entry}.valueQuantity.value", "value")]
    assert refused(observation("2524-7", 5, "mmol/L", effectiveDateTime="2099-01-01")) == [
        (f"{entry}.effectiveDateTime", "business-rule")
    ]
    assert refused(observation("2524-7", float("nan"), "mmol/L")) == [
        (f"{entry}.valueQuantity.value", "value")
    ]
    assert refused(observation("2524-7", 5, "mmol/L", effectivePeriod={"start": "2024"})) == [
        (entry, "structure")
    ]
    assert refused(resourceType="Patient")[0] == ("Bundle", "structure")
    assert refused(patient(id="p2"))[0] == ("Bundle.entry", "multiple-matches")


def test_an_age_that_cannot_be_is_named_where_it_was_sent(service: httpx.Client) -> None:
    sent = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": patient(birthDate="1850-01-01")}],
    }
    assert outcome(predict(service, sent), 422) == [("Bundle.entry[0].resource.birthDate", "invalid")]


@pytest.mark.parametrize(
    "junk", [b"", b"junk", b"[", b"\xff\xfe", b"[" * 100_000, b'"x"', b"null", b"NaN", b"1e999"]
)
def test_junk(service: httpx.Client, junk: bytes) -> None:
    outcome(predict(service, junk), 422)


def test_too_much(service: httpx.Client) -> None:
    assert outcome(predict(service, b'{"a": "' + b"x" * 2_000_000 + b'"}'), 413) == [("", "too-long")]
    many = bundle(*(observation("1-8", True, id=f"o{number}") for number in range(100)))
    assert predict(service, many).status_code == 200
    several = {"resourceType": "Bundle", "type": "collection", "entry": [{}] * 6000}
    assert outcome(predict(service, several), 422) == [("Bundle.entry", "too-costly")]


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (FHIR, 200),
        ("application/json", 200),
        ("application/fhir+json; charset=UTF-8; fhirVersion=4.0", 200),
        ("application/fhir+json; fhirVersion=5.0", 415),
        ("application/fhir+json; charset=latin-1", 415),
        ("application/fhir+xml", 415),
        ("text/plain", 415),
        ("", 415),
    ],
)
def test_what_is_sent(service: httpx.Client, kind: str, status: int) -> None:
    answer = predict(service, SENT, **{"Content-Type": kind})
    assert answer.status_code == status
    if status == 415:
        assert outcome(answer, 415) == [("content-type", "not-supported")]


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        (FHIR, 200),
        ("application/json", 200),
        ("*/*", 200),
        ("application/fhir+xml, application/fhir+json;q=0.5", 200),
        ("application/fhir+xml", 406),
        ("text/html", 406),
        ("application/fhir+json;q=0", 406),
    ],
)
def test_what_is_accepted(service: httpx.Client, accept: str, status: int) -> None:
    assert predict(service, SENT, Accept=accept).status_code == status
    assert service.get("/fhir/metadata", headers={"Accept": accept}).status_code == status


def test_a_format_can_be_asked_for_in_the_address(service: httpx.Client) -> None:
    xml = {"Accept": "application/fhir+xml"}
    assert service.get("/fhir/metadata?_format=json", headers=xml).status_code == 200
    outcome(service.get("/fhir/metadata?_format=xml"), 406)


def test_sounds_and_images_are_ignored_with_a_warning(service: httpx.Client) -> None:
    media = {
        "resourceType": "Media",
        "status": "completed",
        "content": {"contentType": "audio/wav", "data": "UklGRg=="},
    }
    told = resources(predict(service, bundle(observation("2524-7", 5, "mmol/L"), media)))["OperationOutcome"]
    [issue] = told["issue"]
    assert issue["severity"] == "warning"
    assert issue["expression"] == ["Bundle.entry[2].resource"]


def test_which_study(service: httpx.Client) -> None:
    assert outcome(predict(service, SENT, "?study=nowhere"), 404)[0][1] == "not-found"
    assert outcome(predict(service, SENT, "?explain=maybe"), 422) == [("explain", "invalid")]


def test_the_search(service: httpx.Client) -> None:
    own = bundle(observation("2524-7", 5, "mmol/L"))
    own["entry"][0]["resource"]["identifier"] = [{"system": "urn:oid:9", "value": "SEARCH"}]
    made = [resources(predict(service, own))["RiskAssessment"] for _ in range(3)]

    def found(query: str) -> list[str]:
        page = valid(service.get(f"/fhir/RiskAssessment?{query}").json())
        assert page["type"] == "searchset"
        return [entry["resource"]["id"] for entry in page["entry"]]

    newest = [each["id"] for each in reversed(made)]
    assert found("subject:identifier=urn:oid:9|SEARCH") == newest
    assert found("subject=urn:oid:9%7CSEARCH&_count=2") == newest[:2]
    assert found("subject=Patient/nobody") == []
    day = made[0]["occurrenceDateTime"][:10]
    asked = "subject=urn:oid:9%7CSEARCH&date="
    assert found(f"{asked}{day}") == found(f"{asked}ge{day}") == found(f"{asked}le{day}") == newest
    assert found(f"{asked}lt{day}") == found(f"{asked}gt{day}") == found(f"{asked}2001-01") == []
    assert found(f"{asked}ge2001&date=lt2090") == newest
    assert found(f"{asked}gt{made[1]['occurrenceDateTime'].replace('+', '%2B')}")[:1] == newest[:1]
    first = service.get(f"/fhir/RiskAssessment?{asked}{day}&_count=2").json()
    link = next(each["url"] for each in first["link"] if each["relation"] == "next")
    assert link.startswith(f"{BASE}/fhir/RiskAssessment?")
    rest = service.get(link.removeprefix(BASE)).json()
    assert [entry["resource"]["id"] for entry in rest["entry"]] == newest[2:]
    form = service.post("/fhir/RiskAssessment/_search", data={"patient": "urn:oid:9|SEARCH"})
    assert [entry["resource"]["id"] for entry in form.json()["entry"]] == newest


@pytest.mark.parametrize(
    "query",
    ["code=x", "date=banana", "date=2026-02-30", "date=ap2026", "_count=0", "_count=x", "subject=a b",
     "page=1", "subject=Group/g", "subject=p1&patient=p1", "subject:identifier=|", "_lastUpdated=2026"],
)  # fmt: skip
def test_a_search_that_is_not_understood_is_refused(service: httpx.Client, query: str) -> None:
    [(place, _)] = outcome(service.get(f"/fhir/RiskAssessment?{query}"), 422)
    assert place.startswith("http.")


def test_an_assessment_is_told_without_its_input(
    service: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = predict(service, SENT)
    opened: list[str] = []
    unseal = Diagnosing._unseal

    def watch(self: Diagnosing, row: Any, column: str) -> Any:
        assert "record" not in row
        opened.append(column)
        return unseal(self, row, column)

    monkeypatch.setattr(Diagnosing, "_unseal", watch)
    assert service.get("/fhir/RiskAssessment").status_code == 200
    (resource,) = [e["resource"] for e in made.json()["entry"] if "prediction" in e["resource"]]
    assert service.get(f"/fhir/RiskAssessment/{resource['id']}").status_code == 200
    assert opened
    assert set(opened) == {"answer"}


def test_who_may(service: httpx.Client, ward: Ward) -> None:
    made = resources(predict(service, SENT))["RiskAssessment"]["id"]

    def as_(key: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {key}"}

    for role in ("engineer", "auditor", "admin"):
        headers = as_(ward.keys[role])
        assert outcome(predict(service, SENT, **headers), 403) == [("", "forbidden")]
        for address in (f"/fhir/RiskAssessment/{made}", "/fhir/RiskAssessment"):
            assert outcome(service.get(address, headers=headers), 403) == [("", "forbidden")]
        outcome(service.post("/fhir/RiskAssessment/_search", data={}, headers=headers), 403)
    stranger = predict(service, SENT, Authorization="Bearer gk_nobody")
    assert outcome(stranger, 401) == [("", "login")]
    assert stranger.headers["www-authenticate"] == "Bearer"
    elsewhere = as_(ward.keys["elsewhere"])
    assert outcome(service.get(f"/fhir/RiskAssessment/{made}", headers=elsewhere), 404) == [("", "not-found")]
    assert service.get("/fhir/RiskAssessment", headers=elsewhere).json()["entry"] == []
    assert service.get("/fhir/metadata", headers={"Authorization": ""}).status_code == 200


def test_no_such_assessment(service: httpx.Client) -> None:
    for name in ("dx-0", "x", "dx_1", "a" * 65):
        assert outcome(service.get(f"/fhir/RiskAssessment/{name}"), 404) == [("", "not-found")]


def test_statements(service: httpx.Client, real_data: Path) -> None:
    shape = json.loads((real_data.parent / "shapes" / "capability.json").read_text())
    statement = valid(service.get("/fhir/metadata").json())
    same_shape(statement, shape)
    assert statement["fhirVersion"] == "4.0.1"
    operation = statement["rest"][0]["operation"][0]["definition"]
    assert valid(service.get(operation.removeprefix(BASE)).json())["url"] == operation


def test_the_documentation_s_example(service: httpx.Client, repository: Path) -> None:
    page = (repository / "docs" / "fhir.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```json\n(.*?)```", page, flags=re.DOTALL)
    sent, shown = json.loads(blocks[0]), json.loads(blocks[1])
    told = resources(predict(service, sent))
    same_shape(told["RiskAssessment"], shown["entry"][0]["resource"])
    valid(shown)


@pytest.mark.parametrize(
    ("probability", "expected"),
    [
        (0.71, 71.0),
        (0.7134, 71.3),
        (1.0, 100.0),
        (0.99996, 99.9),
        (0.0, 0.0),
        (1.5, 100.0),
        (-0.1, 0.0),
        (150, 100.0),
    ],
)
def test_percent(probability: float, expected: float) -> None:
    assert percent(probability) == expected


def test_qualitative_risks_are_codes_of_fhir() -> None:
    ranking = tuple(RankedCondition(f"c{p}", p) for p in (0.0, 0.1, 0.3, 0.71, 1.0))
    telling = Telling(
        "dx_1", "s", "2026-01-01T00:00:00Z", "1", "", ranking, (), (), {"reference": "Patient/p"}, None
    )
    told = valid(risk_assessment(telling, BASE))["prediction"]
    codes = [each["qualitativeRisk"]["coding"][0]["code"] for each in told]
    assert codes == ["negligible", "low", "moderate", "high", "high"]


def test_the_codes_of_a_search_are_its_own() -> None:
    assert read_search([("subject", "https://h/fhir/Patient/p1")]).patient_id == "p1"
    assert read_search([("_count", "9999")]).count == 50
    assert read_search([("date", "lt1969")]).after == "dx_000000000000"
    minute = read_search([("date", "2026-11-21T10:05Z")])
    assert minute.holds("2026-11-21T10:05:59.999999Z")
    assert not minute.holds("2026-11-21T10:06:00.000000Z")
    second = read_search([("date", "2026-11-21T11:05:30+01:00")])
    assert second.holds("2026-11-21T10:05:30.500000Z")
    assert not second.holds("2026-11-21T10:05:31.000000Z")
    month = read_search([("date", "2026-02")])
    assert [month.holds(f"2026-{day}T00:00:00.000000Z") for day in ("01-31", "02-28", "03-01")] == [
        False,
        True,
        False,
    ]
    with pytest.raises(FhirInputError):
        read_search([(HPO, "")])
