"""Rare diseases over a real server, which knows the invented diseases of `small_knowledge`."""

import hashlib
import json
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from clinic import CANARY
from command_line import installed
from hospital import Hospital, add_user, open_hospital, problem, small_knowledge, wait_for_knowledge
from small_knowledge import write_small_translation

SEIZURE, DELAY, MICROCEPHALY, FEVER = "HP:0001250", "HP:0001263", "HP:0000252", "HP:0001945"
FIRST = "OMIM:100001"
"""The disease with seizures and developmental delay."""


@pytest.fixture(scope="module")
def rare(make_home: Callable[[], Path]) -> Iterator[Hospital]:
    """A service without any study: rare diseases need none."""
    with open_hospital(make_home(), wait=False) as opened:
        wait_for_knowledge(opened)
        yield opened


def rank(hospital: Hospital, role: str = "clinician", **asked: Any) -> httpx.Response:
    with hospital.client(role) as client:
        return client.post("/v1/rank", json=asked)


def test_diseases_are_ranked_and_kept(rare: Hospital) -> None:
    asked = {"terms": [SEIZURE, "global developmental delay"], "excluded": ["Fever"], "age": "P4Y", "top": 5}
    made = rank(rare, patient_id="p-one", sex="FEMALE", onset="HP:0003593", **asked)
    assert made.status_code == 201, made.text
    told = made.json()
    assert made.headers["location"] == f"/v1/rankings/{told['id']}"
    assert told["asked"]["observed"] == [SEIZURE, DELAY]
    assert told["asked"]["excluded"] == [FEVER]
    assert (told["asked"]["age"], told["asked"]["sex"], told["asked"]["onset"]) == (4, "FEMALE", "HP:0003593")
    assert told["diseases"][0]["id"] == FIRST
    assert [each["rank"] for each in told["diseases"]] == [1, 2, 3, 4, 5]
    assert {each["id"] for each in told["diseases"][0]["findings"]} >= {SEIZURE, DELAY}
    assert 0 <= told["absent"] <= 1
    assert told["candidates"] == 12
    assert "Human Phenotype Ontology" in told["provenance"]["attribution"]
    assert told["version"].startswith("hpo:2024-02-29-")
    with rare.client() as client:
        stored = client.get(f"/v1/rankings/{told['id']}").json()
    assert {key: stored[key] for key in told} == told
    assert (stored["patient_id"], stored["actor"], stored["face"]) == ("p-one", "clinician.one", "api")


def test_a_service_that_only_ranks_is_ready(rare: Hospital) -> None:
    with rare.client("") as nobody:
        assert nobody.get("/readyz").json() == {"status": "ready"}
        assert nobody.get("/v1/rankings").status_code == 401


def test_a_phenopacket_is_read(rare: Hospital) -> None:
    packet = {
        "id": "case",
        "subject": {"id": CANARY, "sex": "MALE", "timeAtLastEncounter": {"age": {"iso8601duration": "P3Y"}}},
        "phenotypicFeatures": [
            {"type": {"id": SEIZURE, "label": "Seizure"}},
            {"type": {"id": "HP:0001275", "label": "Seizure, by an old id"}},
            {"type": {"id": "HP:0000252"}, "excluded": True},
            {"type": {"id": "HP:9999999"}},
        ],
        "metaData": {"phenopacketSchemaVersion": "2.0"},
    }
    told = rank(rare, phenopacket=packet, age=7).json()
    assert (told["asked"]["observed"], told["asked"]["excluded"]) == ([SEIZURE], [MICROCEPHALY])
    assert (told["asked"]["age"], told["asked"]["sex"]) == (7, "MALE")
    assert any("HP:0001275" in notice for notice in told["notices"])
    assert any("left out" in notice and "HP:9999999" in notice for notice in told["notices"])
    with rare.client() as client:
        assert CANARY not in client.get(f"/v1/rankings/{told['id']}").text


def test_a_letter_is_read(rare: Hospital) -> None:
    letter = f"{CANARY} has seizures and global developmental delay. There is no microcephaly."
    named = rank(rare, patient_id="p-letter", text=letter, language="en").json()
    assert set(named["asked"]["observed"]) == {SEIZURE, DELAY}
    assert named["asked"]["excluded"] == [MICROCEPHALY]
    for mention in named["asked"]["mentions"]:
        assert letter[mention["start"] : mention["end"]] == mention["text"]
    assert named["asked"]["text"] == letter
    corrected = rank(rare, text=letter, excluded=[SEIZURE]).json()
    assert SEIZURE in corrected["asked"]["excluded"]
    assert any("Seizure" in notice for notice in corrected["notices"])
    assert corrected["asked"]["text"] == "", "a letter of nobody is not kept"


@pytest.mark.parametrize(
    ("asked", "field", "said"),
    [
        ({}, "terms", "at least one"),
        ({"excluded": [SEIZURE]}, "terms", "at least one"),
        ({"text": "nothing of note"}, "text", "at least one"),
        ({"terms": ["HP:0012825"]}, "terms[0]", ""),
        ({"terms": ["HP:0000006"]}, "terms[0]", "inheritance"),
        ({"terms": ["HP:9999999"]}, "terms[0]", ""),
        ({"terms": [SEIZURE, "micorcephaly"]}, "terms[1]", "Microcephaly"),
        ({"terms": [SEIZURE], "excluded": ["fevr"]}, "excluded[0]", "Fever"),
        ({"terms": [SEIZURE], "excluded": [SEIZURE]}, "excluded", "Seizure"),
        ({"terms": [SEIZURE], "age": "old"}, "age", "P14Y2M"),
        ({"terms": [SEIZURE], "onset": "HP:0001250"}, "onset", "onset"),
        ({"phenopacket": {}}, "phenopacket", "phenopacket"),
        ({"phenopacket": {"metaData": 3}}, "phenopacket.metaData", ""),
        ({"terms": [SEIZURE], "top": 1000}, "top", ""),
        ({"terms": [SEIZURE], "sex": "X"}, "sex", ""),
        ({"terms": [SEIZURE], "patient_id": "  "}, "patient_id", ""),
        ({"terms": [SEIZURE], "shoe": 43}, "shoe", ""),
        ({"text": "x" * 50_001}, "text", ""),
        ({"terms": ["x"] * 30}, "terms[0]", ""),
    ],
)
def test_what_cannot_be_used_names_its_field(
    rare: Hospital, asked: dict[str, Any], field: str, said: str
) -> None:
    told = problem(rank(rare, **asked), 422)
    assert told["errors"][0]["field"] == field
    assert said in told["errors"][0]["detail"]
    assert len(told["errors"]) <= 20


def test_what_a_patient_has_is_sealed(rare: Hospital) -> None:
    told = rank(rare, patient_id=f"{CANARY}-id", text=f"{CANARY} has seizures", terms=[FEVER]).json()
    with rare.client() as client:
        said = {"agrees": False, "disease": FIRST, "comment": CANARY}
        assert client.post(f"/v1/rankings/{told['id']}/feedback", json=said).status_code == 201
        problem(
            client.post(f"/v1/rankings/{told['id']}/feedback", json={"agrees": True, "disease": "x"}), 422
        )
        stored = client.get(f"/v1/rankings/{told['id']}").json()
    assert [(each["disease"], each["comment"]) for each in stored["feedback"]] == [(FIRST, CANARY)]
    kept = [path.read_bytes() for path in rare.home.rglob("*") if path.is_file()]
    assert not any(CANARY.encode() in content for content in kept)
    with sqlite3.connect(f"file:{rare.home / 'journal.db'}?mode=ro", uri=True) as journal:
        row = journal.execute(
            "SELECT patient, disease, version, latency_ms FROM rankings WHERE id = ?", (told["id"],)
        ).fetchone()
        entries = journal.execute(
            "SELECT action, patient, model, input_hash FROM audit WHERE subject = ? ORDER BY seq",
            (told["id"],),
        ).fetchall()
    assert row[:3] == (told["patient"], told["diseases"][0]["id"], told["version"])
    assert row[3] > 0
    assert [entry[0] for entry in entries] == ["disease.rank", "feedback.create", "diagnoses.read"]
    assert entries[0][1:3] == (told["patient"], told["version"])
    assert re.fullmatch("[0-9a-f]{32}", entries[0][3])


def test_a_patient_is_erased_with_the_rankings(rare: Hospital) -> None:
    told = rank(rare, patient_id="erase-me-1", terms=[SEIZURE]).json()
    with rare.client() as client:
        client.post(f"/v1/rankings/{told['id']}/feedback", json={"agrees": True})
    done = installed("privacy", "erase", "erase-me-1", "--yes", "--home", rare.home, "--json").ended(0)
    assert (done.object["journal"]["rankings"], done.object["journal"]["ranking_feedback"]) == (1, 1)
    with rare.client() as client:
        problem(client.get(f"/v1/rankings/{told['id']}"), 404)


def test_another_site_sees_nothing_but_in_an_emergency(rare: Hospital) -> None:
    told = rank(rare, patient_id="p-site", terms=[SEIZURE]).json()
    address = f"/v1/rankings/{told['id']}"
    key = add_user(rare.home, "south.one", "clinician", "--site", "south")
    with rare.client("", Authorization=f"Bearer {key}") as south:
        problem(south.get(address), 404)
        problem(south.post(f"{address}/feedback", json={"agrees": True}), 404)
        broken = south.get(address, headers={"Galeno-Emergency": "unconscious in the ward"})
        assert broken.json()["patient_id"] == "p-site"
        problem(south.get("/v1/rankings/rk_nothing"), 404)


def test_rankings_are_found_again(rare: Hospital) -> None:
    made = [rank(rare, terms=[sign], patient_id=f"{CANARY}-list").json() for sign in (SEIZURE, FEVER, DELAY)]
    made.append(rank(rare, terms=[FEVER]).json())
    newest = [each["id"] for each in reversed(made)]
    with rare.client() as client:
        first = client.get("/v1/rankings", params={"limit": 3}).json()
        rest = client.get("/v1/rankings", params={"limit": 3, "after": first["next"]}).json()
        assert [each["id"] for each in (*first["rankings"], *rest["rankings"])][:4] == newest
        nobody, somebody = first["rankings"][:2]
        assert (nobody["patient"], somebody["patient"]) == (None, made[2]["patient"])
        for row, told in zip(first["rankings"], reversed(made), strict=False):
            top = told["diseases"][0]
            assert (row["disease"], row["name"], row["probability"]) == (
                top["id"], top["name"], top["probability"]
            )  # fmt: skip
            assert (row["created"], row["version"]) == (told["created"], told["version"])
        assert CANARY not in json.dumps(first)
        for wrong in ({"limit": 0}, {"limit": 201}, {"after": "x" * 65}):
            problem(client.get("/v1/rankings", params=wrong), 422)
    key = add_user(rare.home, "west.one", "clinician", "--site", "west")
    with rare.client("", Authorization=f"Bearer {key}") as west:
        assert west.get("/v1/rankings").json() == {"rankings": [], "next": None}
    with rare.client("engineer") as engineer:
        assert newest[0] in {each["id"] for each in engineer.get("/v1/rankings").json()["rankings"]}
    with sqlite3.connect(f"file:{rare.home / 'journal.db'}?mode=ro", uri=True) as journal:
        details = journal.execute("SELECT detail FROM audit WHERE action = 'diagnoses.list'").fetchall()
    assert ("3 rankings listed",) in details


def test_terms_are_found(rare: Hospital) -> None:
    with rare.client() as client:
        for typed in (
            "HP:0001250",
            "seizure",
            "Seizures",
            "seiz",
            "seizrue",
            "epileptic seizure",
            "HP:0001275",
        ):
            found = client.get("/v1/terms", params={"q": typed}).json()["terms"]
            assert found[0]["id"] == SEIZURE, typed
            assert found[0]["name"] == "Seizure"
        spanish = client.get("/v1/terms", params={"q": "microcefalia", "language": "es"}).json()["terms"]
        assert (spanish[0]["id"], spanish[0]["label"]) == (MICROCEPHALY, "Microcefalia")
        assert client.get("/v1/terms", params={"q": "qqqqqq"}).json()["terms"] == []
        assert len(client.get("/v1/terms", params={"q": "abnormal", "limit": 2}).json()["terms"]) == 2
        for wrong in ({}, {"q": ""}, {"q": "   "}, {"q": "x" * 201}, {"q": "x", "limit": 0}):
            problem(client.get("/v1/terms", params=wrong), 422)
    with rare.client("auditor") as auditor:
        problem(auditor.get("/v1/terms", params={"q": "fever"}), 403)


def test_what_the_home_learns_is_ranked_with(rare: Hospital, tmp_path: Path) -> None:
    before = rank(rare, terms=[FEVER, MICROCEPHALY]).json()
    assert "learned_sha256" not in before["provenance"]
    case = {"id": "c", "hpo": [FEVER, MICROCEPHALY], "truth": ["OMIM:999999"], "source_pmid": "PMID:1"}
    (tmp_path / "cases.jsonl").write_text(json.dumps(case))
    settings = small_knowledge()
    learned = installed(
        "knowledge", "learn", tmp_path / "cases.jsonl", "--home", rare.home, "--json", **settings
    ).ended(0)
    until = time.monotonic() + 30
    while "learned_sha256" not in (told := rank(rare, terms=[FEVER, MICROCEPHALY]).json())["provenance"]:
        assert time.monotonic() < until
        time.sleep(0.2)
    assert told["version"] != before["version"]
    assert any(each["id"] == "OMIM:999999" for each in told["diseases"])
    installed("knowledge", "undo", learned.object["id"], "--home", rare.home, **settings).ended(0)


def test_figures_and_log_hold_no_patient(rare: Hospital) -> None:
    rank(rare, patient_id=f"{CANARY}-id", terms=[CANARY])
    rank(rare, patient_id=f"{CANARY}-id", terms=[SEIZURE], text=CANARY, phenopacket={CANARY: CANARY})
    with rare.client("engineer") as client:
        figures = client.get("/metrics").text
    assert re.search(r'galeno_rankings_total\{version="hpo:2024-02-29-[^"]*"\} [1-9]', figures)
    assert 'route="/v1/rank",status="201"' in figures
    assert "rk_" not in figures
    log = (rare.home / "service.log").read_text()
    assert CANARY not in log
    assert "unexpected" not in log


def test_names_of_a_translation_are_found_read_and_told(
    tmp_path: Path, make_home: Callable[[], Path]
) -> None:
    table = write_small_translation(tmp_path)
    with open_hospital(make_home(), wait=False, GALENO_HPO_TRANSLATION=str(table)) as opened:
        wait_for_knowledge(opened)
        with opened.client() as client:
            found = client.get("/v1/terms", params={"q": "escoliosis", "language": "es"}).json()["terms"]
        assert (found[0]["id"], found[0]["label"]) == ("HP:0002650", "Escoliosis")
        told = rank(opened, terms=["talla corta"], text="Tiene escoliosis, sin fiebre.", language="es").json()
    assert (told["asked"]["observed"], told["asked"]["excluded"]) == (["HP:0004322", "HP:0002650"], [FEVER])
    assert [each["label"] for each in told["asked"]["mentions"]] == ["Escoliosis", "Fiebre"]
    sha256 = hashlib.sha256(table.read_bytes()).hexdigest()
    assert told["provenance"]["translation_sha256"] == sha256
    assert sha256[:8] in told["version"]


def test_damaged_files_leave_the_service_standing(tmp_path: Path, make_home: Callable[[], Path]) -> None:
    damaged = tmp_path / "hp.obo"
    damaged.write_text("nothing")
    with open_hospital(make_home(), wait=False, GALENO_HPO_ONTOLOGY=str(damaged)) as opened:
        until = time.monotonic() + 60
        while "cannot be ranked" not in (opened.home / "service.log").read_text():
            assert time.monotonic() < until
            time.sleep(0.1)
        told = rank(opened, terms=[SEIZURE])
        assert "cannot be read" in problem(told, 503)["detail"]
        assert int(told.headers["retry-after"]) == 60
        assert str(tmp_path) not in told.text
        with opened.client() as client:
            assert client.get("/healthz").status_code == 200
            ready = client.get("/readyz")
            assert (ready.status_code, "rare diseases" in ready.json()["status"]) == (503, True)
