"""A bulk export becomes records; a line that cannot be read is told and does not stop the others."""

import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from fhir_cases import NOW, condition, document, observation, patient, ward_study

from galeno.errors import SourceError
from galeno.ingest.contract import Contract
from galeno.ingest.fhir_bulk import LONGEST_LINE, BulkRead, LineFault, read_bulk
from galeno.ingest.source import read_records, read_source, source_name
from galeno.study import Study
from galeno.study_file import load_study

STUDY = ward_study()


def encounter(name: str, start: str | None, end: str | None, **changes: Any) -> dict[str, Any]:
    period = {key: at for key, at in (("start", start), ("end", end)) if at}
    return {
        "resourceType": "Encounter",
        "id": name,
        "status": "finished",
        "class": {"code": "EMER"},
        "subject": {"reference": "Patient/p1"},
        "serviceProvider": {"display": "Hospital Norte"},
        **({"period": period} if period else {}),
        **changes,
    }


def in_stay(name: str) -> dict[str, Any]:
    return {"encounter": {"reference": f"Encounter/{name}"}}


def write(folder: Path, **files: list[Any]) -> Path:
    """Files of lines; a text is written as it is, anything else as JSON."""
    for name, lines in files.items():
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        (folder / f"{name}.ndjson").write_text("\n".join(texts) + "\n", encoding="utf-8")
    return folder


def bulk(folder: Path, *lines: Any) -> BulkRead:
    return read_bulk(write(folder, all=[patient(), *lines]), STUDY, now=NOW)


def rows(read: BulkRead) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if v is not None} for row in read.frame.to_dicts()]


def test_a_record_for_each_encounter(tmp_path: Path) -> None:
    export = write(
        tmp_path,
        Condition=[
            condition("J18.9", encounter={"reference": "Encounter/e1"}, onsetDateTime="2024-01-01"),
            condition("J45.9", encounter={"reference": "Encounter/e2"}, onsetDateTime="2025-06-01"),
            condition("E11.9", onsetDateTime="2024-12-31"),
        ],
        Encounter=[
            encounter("e1", "2024-01-01T10:00:00Z", "2024-01-03T10:00:00Z"),
            encounter("e2", "2025-06-01T10:00:00Z", None),
            encounter("e3", "2025-07-01T10:00:00Z", None, status="cancelled"),
        ],
        Observation=[
            observation("8310-5", 38, "Cel", effectiveDateTime="2024-01-01T11:00:00Z", **in_stay("e1")),
            observation("8310-5", 39, "Cel", effectiveDateTime="2024-01-02T11:00:00Z", **in_stay("e1")),
            observation("8310-5", 36, "Cel", effectiveDateTime="2025-06-01T11:00:00Z", **in_stay("e2")),
            observation("8310-5", 35, "Cel", effectiveDateTime="2025-07-01T11:00:00Z", **in_stay("e3")),
            observation("2345-7", 5, "mmol/L", effectiveDateTime="2024-01-02T12:00:00Z"),
            observation("2345-7", 90, "mg/dL", effectiveDateTime="2023-01-02T12:00:00Z"),
        ],
        Patient=[patient()],
        DocumentReference=[
            document(
                b"tos", context={"encounter": [{"reference": "Encounter/e2"}]}, date="2025-06-01T10:00:00Z"
            )
        ],
    )
    read = read_bulk(export, STUDY, now=NOW)
    person = {
        "sex": "F",
        "born": "1962-03-01T00:00:00",
        "mrn": "urn:oid:1.2.3|MRN1",
        "site": "Hospital Norte",
    }
    assert sorted(rows(read), key=lambda row: row["visit"]) == [
        {
            **person,
            "age": "61",
            "temperature": "39",
            "glucose": "90.08",
            "condition": "P",
            "visit": "e1",
            "seen": "2024-01-01T10:00:00",
        },
        {
            **person,
            "age": "63",
            "temperature": "36",
            "diabetes": "true",
            "note": "tos",
            "condition": "A",
            "visit": "e2",
            "seen": "2025-06-01T10:00:00",
        },
    ]
    assert (read.lines, read.faulty) == (14, 0)
    admission = Contract(STUDY).admit(read.frame, "export")
    assert admission.report.good == 2


def test_a_record_for_each_patient_where_there_are_no_encounters(tmp_path: Path) -> None:
    read = bulk(
        tmp_path,
        observation("8310-5", 38, "Cel", effectiveDateTime="2025-01-01"),
        observation("8310-5", 37, "Cel", effectiveDateTime="2024-01-01"),
        condition("J18.9", recordedDate="2025-01-02"),
        patient(id="p2", identifier=[], gender="male"),
        observation("HP:0012735", True, subject={"reference": "Patient/p2"}),
        patient(id="p3"),
    )
    first, second = rows(read)
    assert first == {
        "mrn": "urn:oid:1.2.3|MRN1",
        "sex": "F",
        "born": "1962-03-01T00:00:00",
        "age": "62",
        "temperature": "38",
        "condition": "P",
        "seen": "2025-01-02T00:00:00",
    }
    assert (second["mrn"], second["cough"], second["sex"]) == ("p2", "true", "M")


def test_conditions_last_until_they_are_over(tmp_path: Path) -> None:
    stays = [
        encounter(f"e{year}", f"{year}-05-01T10:00:00Z", f"{year}-05-02T10:00:00Z")
        for year in range(2020, 2025)
    ]
    seen = [
        observation("72514-3", 1, "{score}", effectiveDateTime=f"{year}-05-01", **in_stay(f"e{year}"))
        for year in range(2020, 2025)
    ]

    def diabetic(name: str, **changes: Any) -> list[str]:
        (tmp_path / name).mkdir()
        read = bulk(tmp_path / name, *stays, *seen, condition("E11.9", **changes))
        return [row["visit"] for row in rows(read) if row.get("diabetes") == "true"]

    assert diabetic("a", onsetDateTime="2022-01-01") == ["e2022", "e2023", "e2024"]
    assert diabetic("b", onsetDateTime="2022-01-01", abatementDateTime="2023-06-01") == ["e2022", "e2023"]
    over = {"clinicalStatus": {"coding": [{"code": "resolved"}]}}
    assert diabetic("c", onsetDateTime="2022-01-01", **over) == []
    assert diabetic("d", onsetDateTime="2022-01-01", **over, **in_stay("e2022")) == ["e2022"]
    assert diabetic("e", onsetDateTime="2022-01-01", verified="differential") == []


def test_only_what_was_confirmed_is_a_target(tmp_path: Path) -> None:
    for number, verified in enumerate(("refuted", "differential", "provisional", "entered-in-error")):
        folder = tmp_path / str(number)
        folder.mkdir()
        read = bulk(folder, observation("8310-5", 37, "Cel"), condition("J18.9", verified=verified))
        assert "condition" not in rows(read)[0]


def test_faulty_lines_are_told_and_the_rest_is_read(tmp_path: Path) -> None:
    deep = '{"resourceType": "Observation", "extension": ' + "[" * 5000
    read = bulk(
        tmp_path,
        "",
        "junk",
        "[1]",
        '{"resourceType": "Banana"}',
        '{"a": 1}',
        observation("8310-5", 37, "Cel", status="banana"),
        observation("8310-5", 37, "mm[Hg]"),
        observation("8310-5", 37, "Cel", effectiveDateTime="2031-01-01"),
        observation("8310-5", 37, "Cel", subject=None),
        '{"resourceType": "Observation", "code": {"coding": [{"code": "8310-5"}]}, "valueInteger": NaN}',
        deep,
        "\x00\x01",
        condition("J18.9", verified="banana"),
        encounter("e1", "2031-01-01T10:00:00Z", None),
        {"resourceType": "Medication", "colour": "not looked at"},
        observation("8310-5", 38, "Cel"),
    )
    assert [row["temperature"] for row in rows(read)] == ["38"]
    told = [(fault.line, fault.what) for fault in read.faults]
    assert [line for line, _ in told if line < 11] == [3, 4, 5, 6, 7, 8, 9, 10]
    by_line = dict(told)
    assert by_line[3] == "is not JSON"
    assert by_line[5] == "resource.resourceType: is not a resource type of FHIR R4"
    assert by_line[7].startswith("Observation.status: is none of: amended")
    assert by_line[8].startswith(
        "Observation.valueQuantity.code: a value in mm[Hg] cannot be converted to Cel"
    )
    assert by_line[9] == "Observation.effectiveDateTime: is in the future"
    assert by_line[10] == "Observation.subject: is missing"
    assert set(range(11, 16)) <= set(by_line)
    assert {fault.file for fault in read.faults} == {"all.ndjson"}
    assert read.lines == 16  # the empty one does not count
    assert read.faulty == 13


def test_a_line_without_an_end(tmp_path: Path) -> None:
    with (tmp_path / "a.ndjson").open("wb") as stream:
        stream.write(b'{"resourceType": "Observation", "note": "')
        stream.writelines(b"x" * 2**20 for _ in range(LONGEST_LINE // 2**20 + 3))
        stream.write(b'"}\n')
        for resource in (patient(), observation("8310-5", 38, "Cel")):
            stream.write(json.dumps(resource).encode() + b"\n")
    read = read_bulk(tmp_path, STUDY, now=NOW)
    assert read.faults == (LineFault("a.ndjson", 1, f"is longer than {LONGEST_LINE} bytes"),)
    assert rows(read)[0]["temperature"] == "38"


def test_places(tmp_path: Path) -> None:
    lines = [json.dumps(each).encode() for each in (patient(), observation("8310-5", 38, "Cel"))]
    (tmp_path / "Patient.ndjson.gz").write_bytes(gzip.compress(b"\xef\xbb\xbf" + lines[0]))
    (tmp_path / "Observation.ndjson").write_bytes(lines[1])
    (tmp_path / "notes.txt").write_text("no part of it")
    for place in (tmp_path, tmp_path / "*.ndjson*"):
        assert rows(read_bulk(place, STUDY, now=NOW))[0]["sex"] == "F"
    assert "sex" not in rows(read_bulk(tmp_path / "Observation.ndjson", STUDY, now=NOW))[0]
    (tmp_path / "Patient.ndjson.gz").write_bytes(gzip.compress(lines[0])[:-9])
    with pytest.raises(SourceError, match="damaged or cut short"):
        read_bulk(tmp_path, STUDY)
    with pytest.raises(SourceError, match="no NDJSON files"):
        read_bulk(tmp_path / "nowhere", STUDY)
    (tmp_path / "Patient.ndjson.gz").unlink()
    (tmp_path / "Observation.ndjson").write_text("junk\n")
    with pytest.raises(SourceError, match="no record of this study"):
        read_bulk(tmp_path, STUDY)


def test_it_is_a_source_of_a_study(tmp_path: Path) -> None:
    write(tmp_path, all=[patient(), observation("8310-5", 38, "Cel"), "junk"])
    study = ward_study(records={**STUDY.records.model_dump(), "source": f"fhir:{tmp_path}"})
    frame, faults = read_records(study)
    assert isinstance(frame, pl.DataFrame)
    assert [fault.line for fault in faults] == [3]
    assert source_name(study.records.source) == f"fhir:{tmp_path.name}"
    with pytest.raises(SourceError, match="by a study's fhir section"):
        read_source(f"fhir:{tmp_path}")


def test_a_study_file_names_its_export_from_its_own_folder(tmp_path: Path) -> None:
    text = "name: ward\nrecords: {source: 'fhir:export', target: c}\nclasses: [{name: a}, {name: b}]\n"
    (tmp_path / "study.yaml").write_text(text + "columns: {x: {type: number}}\n")
    study: Study = load_study(tmp_path / "study.yaml")
    assert study.records.source == f"fhir:{tmp_path.resolve() / 'export'}"


def test_simulated_exports_are_read(repository: Path, real_data: Path, tmp_path: Path) -> None:
    with (tmp_path / "all.ndjson").open("w", encoding="utf-8") as stream:
        for path in sorted((real_data / "fhir" / "synthea").glob("*.json.gz"))[:6]:
            for entry in json.loads(gzip.decompress(path.read_bytes()))["entry"]:
                stream.write(json.dumps(entry["resource"]) + "\n")
    study = load_study(repository / "studies" / "severity" / "study.yaml")
    read = read_bulk(tmp_path, study)
    assert read.faults == ()
    assert read.frame["patient_id"].n_unique() == 6
    assert read.frame["systolic"].drop_nulls().len() > 20
