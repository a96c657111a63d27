"""The REST API over real HTTP."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from clinic import CANARY
from hospital import ROLES, Hospital, problem

from galeno.governance.access import PERMISSIONS, Action

PUBLIC = {("GET", "/healthz"), ("GET", "/readyz")}
ACTIONS = {
    ("POST", "/v1/studies/{study}/diagnoses"): Action.DIAGNOSES_CREATE,
    ("POST", "/v1/studies/{study}/diagnoses:batch"): Action.DIAGNOSES_CREATE,
    ("GET", "/v1/diagnoses"): Action.DIAGNOSES_LIST,
    ("GET", "/v1/diagnoses/{diagnosis}"): Action.DIAGNOSES_READ,
    ("GET", "/v1/diagnoses/{diagnosis}/explanation"): Action.DIAGNOSES_EXPLAIN,
    ("GET", "/v1/diagnoses/{diagnosis}/files/{column}"): Action.DIAGNOSES_READ,
    ("GET", "/v1/diagnoses/{diagnosis}/relevance/{column}"): Action.DIAGNOSES_EXPLAIN,
    ("POST", "/v1/diagnoses/{diagnosis}/feedback"): Action.FEEDBACK_CREATE,
    ("POST", "/v1/diagnoses/{diagnosis}/outcome"): Action.OUTCOMES_CREATE,
    ("POST", "/v1/studies/{study}/outcomes"): Action.OUTCOMES_CREATE,
    ("GET", "/v1/studies"): Action.POLICIES_READ,
    ("GET", "/v1/studies/{study}/form"): Action.FORMS_READ,
    ("GET", "/v1/studies/{study}/policy"): Action.POLICIES_READ,
    ("POST", "/v1/studies/{study}/records"): Action.RECORDS_CREATE,
    ("POST", "/v1/consents"): Action.CONSENTS_CREATE,
    ("POST", "/v1/consents:search"): Action.CONSENTS_READ,
    ("POST", "/v1/consents/{consent}/withdrawal"): Action.CONSENTS_CREATE,
    ("GET", "/v1/models"): Action.MODELS_LIST,
    ("GET", "/v1/models/{study}/{version}/card"): Action.MODELS_LIST,
    ("POST", "/v1/models/{study}/promote"): Action.MODELS_PROMOTE,
    ("POST", "/v1/models/{study}/rollback"): Action.MODELS_PROMOTE,
    ("POST", "/v1/models/{study}/stop"): Action.MODELS_STOP,
    ("POST", "/v1/models/{study}/start"): Action.MODELS_STOP,
    ("POST", "/v1/rank"): Action.DISEASE_RANK,
    ("GET", "/v1/rankings"): Action.DIAGNOSES_LIST,
    ("GET", "/v1/rankings/{ranking}"): Action.DIAGNOSES_READ,
    ("POST", "/v1/rankings/{ranking}/feedback"): Action.FEEDBACK_CREATE,
    ("GET", "/v1/terms"): Action.FORMS_READ,
    ("GET", "/v1/audit"): Action.AUDIT_READ,
    ("GET", "/metrics"): Action.METRICS_READ,
}
"""What each route asks for; a route that is not here fails the test below."""
OTHER_FACES = ("/fhir", "/cds-services")
"""Held to the same by their own tests."""
RECORD = {"age": 61, "sex": "F", "lactate": 6.2, "note": "disnea y fiebre alta"}


def routes(hospital: Hospital) -> set[tuple[str, str]]:
    with hospital.client("") as client:
        described = client.get("/openapi.json").json()
    return {
        (method.upper(), path)
        for path, methods in described["paths"].items()
        for method in methods
        if not path.startswith(OTHER_FACES)
    }


def test_every_route_asks_for_an_action(hospital: Hospital) -> None:
    assert routes(hospital) - PUBLIC == set(ACTIONS)


@pytest.mark.parametrize(("method", "path"), sorted(ACTIONS))
def test_routes_let_in_whom_the_table_says(hospital: Hospital, method: str, path: str) -> None:
    action = ACTIONS[method, path]
    address = path.format(
        study="nothing", diagnosis="dx_none", column="none", consent="cs_none", version="1", ranking="rk_none"
    )
    with hospital.client("") as nobody:
        answer = nobody.request(method, address, content=b"{}")
        problem(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"
    for role in ROLES:
        with hospital.client(role) as client:
            answer = client.request(method, address, content=b"{}")
        if role in PERMISSIONS[action]:
            assert answer.status_code not in {401, 403}, (role, answer.text)
        else:
            problem(answer, 403)


def test_a_wrong_key_is_nobody(hospital: Hospital) -> None:
    with hospital.client("", Authorization="Bearer gk_wrong") as client:
        problem(client.get("/v1/models"), 401)
    with hospital.client("auditor") as client:
        entries = client.get("/v1/audit", params={"limit": 500}).json()["entries"]
    assert any(entry["action"] == "sign_in" and entry["outcome"] == "denied" for entry in entries)


def test_a_diagnosis_and_what_follows_it(hospital: Hospital) -> None:
    made = hospital.diagnose("p-one", **RECORD)
    assert made.status_code == 201
    told = made.json()
    assert made.headers["location"] == f"/v1/diagnoses/{told['id']}"
    assert {"id", "study", "model", "ranking", "not_ruled_out", "confidence", "needs_review"} <= set(told)
    assert set(told["model"]) >= {"version", "package_sha256"}
    assert abs(sum(each["probability"] for each in told["ranking"]) - 1) < 1e-6
    assert told["explanation"] is None
    address = f"/v1/diagnoses/{told['id']}"
    with hospital.client() as clinician:
        said = {
            "agrees": False,
            "condition": "grave",
            "rating": 2,
            "reason": "not-consistent",
            "comment": CANARY,
        }
        assert clinician.post(f"{address}/feedback", json=said).status_code == 201
        outcome = {"condition": "ill", "confirmed_on": "2026-01-31"}
        first = clinician.post(f"{address}/outcome", json=outcome)
        assert first.status_code == 201
        assert clinician.post(f"{address}/outcome", json=outcome).json() == first.json()
        stored = clinician.get(address).json()
        explained = clinician.get(f"{address}/explanation").json()
    assert stored["ranking"] == told["ranking"]
    assert stored["record"] == RECORD
    assert stored["patient_id"] == "p-one"
    assert stored["reviewed"] is not None
    assert [each["comment"] for each in stored["feedback"]] == [CANARY]
    assert [each["condition"] for each in stored["outcomes"]] == ["ill"]
    for reason, ranked in zip(explained["explanation"], told["ranking"], strict=False):
        assert reason["condition"] == ranked["condition"]
        total = reason["base"] + sum(each["contribution"] for each in reason["contributions"])
        assert total == pytest.approx(ranked["probability"], abs=1e-6)
        assert {each["column"] for each in reason["contributions"]} == set(RECORD)


def test_an_explanation_can_come_at_once(hospital: Hospital) -> None:
    with hospital.client() as client:
        asked = {"patient_id": "p2", "record": RECORD, "explain": True}
        told = client.post("/v1/studies/clinic/diagnoses", json=asked).json()
    assert told["explanation"][0]["condition"] == told["condition"]


def test_missing_columns_are_missing_values(hospital: Hospital) -> None:
    told = hospital.diagnose("p3").json()
    assert told["needs_review"]
    assert "missing:text" in told["review_reasons"]


@pytest.mark.parametrize(
    ("record", "field"),
    [
        ({"shoe size": 43}, "record.shoe size"),
        ({"age": "old"}, "record.age"),
        ({"age": 400}, "record.age"),
        ({"lactate": 9999}, "record.lactate"),
        ({"sex": "X"}, "record.sex"),
        ({"age": [1]}, "record.age"),
        ({"age": {"value": 1}}, "record.age"),
        ({"condition": "W"}, "record.condition"),
        ({"note": "x" * 300_000}, "record.note"),
        ({"age": 10**30}, "record.age"),
        ({f"column {i}": i for i in range(10_000)}, "record.column 0"),
    ],
)
def test_faulty_values_name_their_field(hospital: Hospital, record: dict[str, Any], field: str) -> None:
    told = problem(hospital.diagnose("p4", **record), 422)
    assert told["errors"][0]["field"] == field
    assert len(told["errors"]) <= 20


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_name_their_field(hospital: Hospital, number: str) -> None:
    body = f'{{"patient_id": "p5", "record": {{"age": {number}}}}}'
    with hospital.client("clinician", **{"Content-Type": "application/json"}) as client:
        told = problem(client.post("/v1/studies/clinic/diagnoses", content=body), 422)
    assert told["errors"][0]["field"] == "record.age"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"1", b"\xff\xfe", b"junk" * 200_000, b'{"record": {}}'])
def test_junk_is_refused(hospital: Hospital, body: bytes) -> None:
    with hospital.client("clinician", **{"Content-Type": "application/json"}) as client:
        told = problem(client.post("/v1/studies/clinic/diagnoses", content=body), 422)
    assert told["errors"]


def test_long_packed_and_foreign_bodies_are_refused(hospital: Hospital) -> None:
    address = "/v1/studies/clinic/diagnoses"
    with hospital.client("clinician", **{"Content-Type": "application/json"}) as client:
        problem(client.post(address, content=b" " * 1_100_000), 413)
        problem(client.post(address, content=iter([b" " * 600_000] * 2)), 413)
        problem(client.post(address, content=b"{}", headers={"Content-Encoding": "gzip"}), 415)
        problem(client.post(address, content=b"{}", headers={"Content-Type": "text/plain"}), 415)


def test_unknown_places_are_told_as_problems(hospital: Hospital) -> None:
    problem(hospital.diagnose("p6", study="no-such-study", **RECORD), 404)
    with hospital.client() as client:
        problem(client.get("/v1/diagnoses/dx_nothing"), 404)
        problem(client.get("/nothing"), 404)
        problem(client.delete("/v1/diagnoses"), 405)
        problem(client.get("/v1/diagnoses", params={"limit": "many"}), 422)


def test_answers_carry_security_headers(hospital: Hospital) -> None:
    with hospital.client() as client:
        headers = client.get("/v1/models").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "server" not in headers


def test_a_batch_answers_line_by_line(hospital: Hospital) -> None:
    lines = [
        json.dumps({"patient_id": f"b{i}", "record": {**RECORD, "age": 20 + i % 60}}) for i in range(150)
    ]
    lines[3] = "not json"
    lines[7] = json.dumps({"patient_id": "b7", "record": {"age": "old"}})
    lines[9] = ""
    with hospital.client("clinician", **{"Content-Type": "application/x-ndjson"}) as client:
        answer = client.post("/v1/studies/clinic/diagnoses:batch", content="\n".join(lines))
    assert answer.status_code == 200
    told = [json.loads(line) for line in answer.text.splitlines()]
    assert [each["line"] for each in told] == [i + 1 for i in range(150) if i != 9]
    statuses = {each["line"]: each["status"] for each in told}
    assert [line for line, status in statuses.items() if status != 201] == [4, 8]
    alone = hospital.diagnose("b0", **{**RECORD, "age": 20}).json()
    # a graph adds up many rows in another order than one
    for together, single in zip(told[0]["ranking"], alone["ranking"], strict=True):
        assert together["condition"] == single["condition"]
        assert together["probability"] == pytest.approx(single["probability"], abs=2e-6)


def test_pages_hold_every_diagnosis_once(hospital: Hospital) -> None:
    made = [hospital.diagnose(f"page{i}", age=30 + i).json()["id"] for i in range(7)]
    seen: list[str] = []
    after = None
    with hospital.client() as client:
        while True:
            params = {"study": "clinic", "limit": 5, **({"after": after} if after else {})}
            page = client.get("/v1/diagnoses", params=params).json()
            seen += [each["id"] for each in page["diagnoses"]]
            assert all(each["record"] is None for each in page["diagnoses"])
            after = page["next"]
            if after is None:
                break
    assert len(seen) == len(set(seen))
    assert seen == sorted(seen, reverse=True)
    assert set(made) <= set(seen)


def test_a_form_has_what_is_needed_to_draw_it(hospital: Hospital) -> None:
    with hospital.client() as client:
        form = client.get("/v1/studies/clinic/form").json()
    fields = {field["name"]: field for field in form["fields"]}
    assert list(fields) == ["age", "sex", "lactate", "note"]
    assert fields["lactate"]["unit"] == "mmol/L"
    assert fields["age"]["max"] == 120
    assert fields["sex"]["options"] == ["F", "M"]
    assert set(fields["age"]["label"]) == {"es", "en"}


def test_training_records_are_held_to_the_contract(hospital: Hospital) -> None:
    record = {
        "visit": "V1",
        "mrn": "new-1",
        "age": "50",
        "sex": "F",
        "lactate": "1.1",
        "note": "tos",
        "condition": "W",
    }
    with hospital.client("engineer") as client:
        sent = {"records": [record, {**record, "visit": "V2", "condition": "unheard of"}]}
        done = client.post("/v1/studies/clinic/records", json=sent).json()
        again = client.post("/v1/studies/clinic/records", json=sent).json()
        told = problem(client.post("/v1/studies/clinic/records", json={"records": [{"age": 1}]}), 422)
    assert done["report"]["good"] == 1
    assert done["report"]["quarantined"] == 1
    assert again["version"] == done["version"]
    assert "missing_target" in told["detail"]


def test_a_stopped_model_answers_no_more(hospital: Hospital) -> None:
    with hospital.client("engineer") as engineer:
        assert engineer.post("/v1/models/clinic/stop", json={"reason": "under review"}).status_code == 204
        try:
            answer = hospital.diagnose("p7", **RECORD)
            problem(answer, 503)
            assert int(answer.headers["retry-after"]) > 0
            assert engineer.get("/v1/models").json()["models"][0]["stopped"] == "under review"
        finally:
            assert engineer.post("/v1/models/clinic/start").status_code == 204
    assert hospital.diagnose("p7", **RECORD).status_code == 201


def test_outcomes_come_as_a_table(hospital: Hospital) -> None:
    made = hospital.diagnose("late", **RECORD).json()["id"]
    day = time.strftime("%Y-%m-%d", time.gmtime())
    lines = ["patient_id,diagnosis_id,condition,confirmed_on", f"late,,ill,{day}"]
    lines += [f",{made},well,2026-02-30", f"nobody,,ill,{day}"]
    table = "\n".join(lines)
    with hospital.client("engineer", **{"Content-Type": "text/csv"}) as client:
        done = client.post("/v1/studies/clinic/outcomes", content=table).json()
        again = client.post("/v1/studies/clinic/outcomes", content=table).json()
    assert (done["imported"], done["known"]) == (1, 0)
    assert [(fault["row"], fault["column"]) for fault in done["faults"]] == [
        (2, "confirmed_on"),
        (3, "patient_id"),
    ]
    assert (again["imported"], again["known"]) == (0, 1)


def test_figures_are_told_without_names(hospital: Hospital) -> None:
    hospital.diagnose("metric-patient", **RECORD)
    with hospital.client("engineer") as client:
        text = client.get("/metrics").text
    assert (
        'galeno_request_seconds_count{method="POST",route="/v1/studies/{study}/diagnoses",status="201"}'
        in text
    )
    assert "galeno_diagnoses_total" in text
    assert "metric-patient" not in text
    assert "dx_" not in text


def test_the_card_of_the_model_is_one_step_away(hospital: Hospital) -> None:
    told = hospital.diagnose("card", **RECORD).json()
    with hospital.client() as client:
        card = client.get(told["model"]["card"])
    assert card.status_code == 200
    assert "clinic" in card.text


def test_no_patient_data_is_in_the_log(hospital: Hospital) -> None:
    hospital.diagnose(f"{CANARY}-id", note=f"{CANARY} fiebre")
    hospital.diagnose(f"{CANARY}-id", **{CANARY: "x"})
    hospital.diagnose(f"{CANARY}-id", age=CANARY)
    assert CANARY not in (hospital.home / "service.log").read_text()


def test_a_large_batch_holds_a_place_until_it_is_answered(hospital: Hospital) -> None:
    head = {"content-type": "application/x-ndjson"}
    address = "/v1/studies/clinic/diagnoses:batch"
    turn = threading.Event()

    def slow() -> Iterator[bytes]:
        yield b"\n"
        turn.wait(20)

    def send() -> int:
        with hospital.client() as client:
            return client.post(address, content=slow(), headers=head).status_code

    with ThreadPoolExecutor(2) as pool, hospital.client() as client:
        first = [pool.submit(send) for _ in range(2)]
        try:
            time.sleep(0.5)
            busy = client.post(address, content=iter([b"\n"]), headers=head)
            small = client.post(address, content=b"\n", headers=head)
        finally:
            turn.set()
        assert [each.result() for each in first] == [200, 200]
        problem(busy, 503)
        assert small.status_code == 200
        assert client.post(address, content=iter([b"\n"]), headers=head).status_code == 200


def test_forms_are_not_read_where_no_files_are_taken(hospital: Hospital) -> None:
    head = {"content-type": "multipart/form-data; boundary=x"}
    with hospital.client() as client:
        problem(client.post("/v1/studies/nobody/diagnoses", content=b"nothing", headers=head), 404)
        refused = client.post("/v1/studies/clinic/diagnoses", content=b"nothing", headers=head)
        assert "no sounds or images" in problem(refused, 422)["errors"][0]["detail"]


def test_long_bodies_of_strangers_are_not_read(hospital: Hospital) -> None:
    with hospital.client("") as client:
        head = {"content-type": "application/json"}
        problem(client.post("/v1/consents", content=b"x" * 1_000_001, headers=head), 413)
        problem(client.post("/v1/studies/clinic/records", content=b"nothing", headers=head), 401)
