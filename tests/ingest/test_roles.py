"""Which columns are identifiers, times and sites."""

import polars as pl
import pytest

from galeno.ingest.guess import Facts, facts_of
from galeno.ingest.roles import (
    find_file_properties,
    find_patient,
    find_record,
    find_site,
    find_time,
    is_device,
    is_identifier,
)

N = 40
DAYS = [f"2024-01-{1 + i % 28:02d}" for i in range(N)]


def facts(**columns: list[object]) -> dict[str, Facts]:
    return {name: facts_of(pl.Series(name, values)) for name, values in columns.items()}


@pytest.mark.parametrize(
    "name",
    ["patient", "patient_id", "patient_nbr", "MRN", "nhc", "subject", "paciente", "id_paciente", "historia"],
)
def test_patient_names(name: str) -> None:
    assert find_patient(facts(age=list(range(N)), **{name: [i // 2 for i in range(N)]})) == name


def test_few_values_are_no_patients() -> None:
    assert find_patient(facts(patient=["in", "out"] * 20)) is None
    assert find_patient(facts(patient_age=list(range(N)))) is None


def test_record_ids_differ_in_nearly_every_row() -> None:
    ids: list[object] = [f"r{i}" for i in range(N - 1)]
    table = facts(
        admission_type_id=[1, 2] * 20, height_id=[i + 0.5 for i in range(N)], record_id=[*ids, "r0"]
    )
    assert find_record(table, set()) == "record_id"
    assert find_record(table, {"record_id"}) is None


def test_time_is_not_the_birth() -> None:
    table = facts(birth_date=list(DAYS), other=list(DAYS), admission_date=list(DAYS))
    assert find_time(table, set()) == "admission_date"
    assert find_time(table, {"admission_date"}) == "other"
    assert find_time(facts(dob=list(DAYS)), set()) is None


def test_site() -> None:
    assert find_site(facts(time_in_hospital=[1, 2] * 20, hospital=["a", "b"] * 20), set()) == "hospital"
    assert find_site(facts(hospital=[f"h{i}" for i in range(N)]), set()) is None


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("patient_id", [f"p{i}" for i in range(N)], True),
        ("device_id", list(range(N)), True),
        ("surname", [f"García {i}" for i in range(N)], True),
        ("code", [f"X{i}" for i in range(N)], True),
        ("admission_type_id", [1, 2] * 20, False),
        ("glucose", [i * 1.5 for i in range(N)], False),
        ("note", [f"patient number {i} feels well" for i in range(N)], False),
        ("when", list(DAYS), False),
    ],
)
def test_identifiers(name: str, values: list[object], expected: bool) -> None:
    assert is_identifier(facts_of(pl.Series(name, values))) is expected


def test_properties_of_a_file() -> None:
    small, large, fraction = (
        [i % 9 for i in range(N)],
        [4000 + i for i in range(N)],
        [i + 0.5 for i in range(N)],
    )
    of_files = {
        "sample_rate": small, "sampleRateHz": small, "seconds": small, "file_size_bytes": small,
        "size": large, "file_name": small, "duration_s": small, "audio_format": small,
        "bytes": large, "fs": large, "image_width": small, "height": small,
    }  # fmt: skip
    of_patients = {
        "length": small, "lesion_size": large, "heart_rate": small, "rate": large, "symptom_duration": small,
        "sr": small, "name": small,
    }  # fmt: skip
    assert find_file_properties(facts(**of_patients, **of_files)) == tuple(of_files)
    assert not find_file_properties(facts(height=list(small)))
    assert not find_file_properties(facts(height=list(fraction), width=list(small)))


def test_devices() -> None:
    found = facts(stethoscope_filter=["a", "b"], ScannerModel=["a", "b"], chest_zone=["a", "b"])
    assert [name for name, fact in found.items() if is_device(fact)] == ["stethoscope_filter", "ScannerModel"]
