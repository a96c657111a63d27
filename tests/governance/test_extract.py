"""What is held of a patient, all of it and of nobody else."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clinic import CANARY, visits
from fhir.resources.R4B.bundle import Bundle
from patients import COMMENT, NOTE, Ward, consent, copy_home, open_ward

from galeno.errors import NotFoundError
from galeno.governance.erasure import erase
from galeno.governance.extract import export, to_bundle
from galeno.pipeline.runner import RunResult
from galeno.storage import schema
from galeno.storage.commit import Change

PATIENT_ID = f"{CANARY}0007"
OTHER = f"{CANARY}0008"


@pytest.fixture(scope="module")
def ward(done: RunResult, clinic_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    """The clinic's home, copied, with two patients who were there once more."""
    assert done.version == "1"
    ward = open_ward(copy_home(clinic_home, tmp_path_factory.mktemp("extract") / "home"))
    ward.visit(PATIENT_ID)
    ward.visit(OTHER, note="otherwise")
    yield ward
    ward.journal.close()
    ward.cipher.vault.close()


def held(ward: Ward, patient_id: str) -> dict[str, Any]:
    return export(patient_id, home=ward.home, journal=ward.journal, cipher=ward.cipher)


def test_it_is_whole_and_plain_json(ward: Ward) -> None:
    found = held(ward, PATIENT_ID)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["patient"]["id"] == PATIENT_ID
    assert found["patient"]["erased"] is None
    (diagnosis,) = found["diagnoses"]
    assert diagnosis["record"]["note"] == NOTE
    assert diagnosis["answer"]["ranking"] == [["ill", 0.7], ["well", 0.3]]
    assert found["shadows"][0]["answer"]["ranking"][0] == ["well", 0.6]
    assert found["feedback"][0]["comment"] == COMMENT
    assert found["outcomes"][0]["confirmed_on"] == "2026-01-31"
    assert found["rankings"][0]["record"]["observed"] == ["HP:0001250"]
    assert found["rankings"][0]["answer"]["diseases"][0]["id"] == "OMIM:100001"
    assert found["ranking_feedback"][0]["comment"] == COMMENT
    assert found["consents"][0]["policy_version"] == "1"
    (rows,) = found["records"].values()
    assert len(rows) == visits()["mrn"].to_list().count(PATIENT_ID)
    assert [entry["action"] for entry in found["audit"]] == ["diagnoses.create"]
    assert [(model["version"], model["use"]) for model in found["models"]] == [("1", "taught")]


def test_nothing_of_others_is_in_it(ward: Ward) -> None:
    text = json.dumps(held(ward, PATIENT_ID))
    assert OTHER not in text
    assert ward.cipher.pseudonym(OTHER) not in text
    assert "otherwise" not in text


def test_an_unknown_patient_is_told_without_the_id(ward: Ward) -> None:
    with pytest.raises(NotFoundError) as caught:
        held(ward, "nobody-here")
    assert "nobody-here" not in str(caught.value)


def test_the_bundle_is_fhir(ward: Ward) -> None:
    bundle = to_bundle(held(ward, PATIENT_ID))
    Bundle.model_validate(bundle)
    kinds = [entry["resource"]["resourceType"] for entry in bundle["entry"]]
    assert set(kinds) == {
        "Patient",
        "Consent",
        "RiskAssessment",
        "QuestionnaireResponse",
        "Observation",
        "Condition",
        "AuditEvent",
    }
    ids = [(entry["resource"]["resourceType"], entry["resource"]["id"]) for entry in bundle["entry"]]
    assert len(ids) == len(set(ids))
    text = json.dumps(bundle)
    assert NOTE in text
    assert COMMENT in text
    answers = [entry["resource"] for entry in bundle["entry"] if entry["resource"].get("prediction")]
    assert [answer["status"] for answer in answers] == ["final", "preliminary", "preliminary"]
    assert answers[2]["prediction"] == [
        {"outcome": {"text": "Invented (OMIM:100001)"}, "probabilityDecimal": 40}
    ]
    assert answers[0]["prediction"][0]["probabilityDecimal"] == 70
    assert answers[0]["basis"][0]["reference"].removeprefix("QuestionnaireResponse/") in str(ids)


def test_every_kind_of_consent_is_fhir(tmp_path: Path) -> None:
    ward = open_ward(tmp_path / "home")
    patient = ward.cipher.pseudonym("p1")
    said = [
        {"training": False},
        {"accepted": False, "training": False},
        {"withdrawn": "2026-02-01T00:00:00.000000Z"},
    ]
    rows = tuple((schema.consents, consent(patient, "clinic", **more)) for more in said)
    ward.commits.commit_now(Change(rows=rows, patient=patient, identity="p1"))
    bundle = to_bundle(held(ward, "p1"))
    Bundle.model_validate(bundle)
    kept = [entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == "Consent"]
    assert sorted(resource["status"] for resource in kept) == ["active", "inactive", "rejected"]


def test_after_an_erasure_only_the_tombstone_and_the_trail_are_left(ward: Ward, tmp_path: Path) -> None:
    copy = open_ward(copy_home(ward.home.root, tmp_path / "home"))
    erase(PATIENT_ID, **copy.parts)
    found = held(copy, PATIENT_ID)
    assert found["patient"]["erased"]
    assert found["patient"]["known_since"] is None
    assert not any(found[name] for name in ("consents", "diagnoses", "feedback", "outcomes", "records"))
    assert {entry["action"] for entry in found["audit"]} == {"diagnoses.create", "patients.erase"}
    Bundle.model_validate(to_bundle(found))
