"""Files of cases are read whole, or the first line that is none is named and no value of it."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.errors import InputError, SourceError
from galeno.knowledge.cases import Case, Patient, read_cases, read_phenopacket

CASE = {
    "id": "PMID_15266616_100",
    "hpo": ["HP:0000348", "HP:0011220"],
    "excluded": ["HP:0000243"],
    "age": 6.0,
    "sex": "MALE",
    "onset": "HP:0003577",
    "truth": ["OMIM:115470"],
    "source_pmid": "PMID:15266616",
}
PACKET = {
    "id": "packet.1",
    "subject": {"id": "p", "sex": "FEMALE", "timeAtLastEncounter": {"age": {"iso8601duration": "P3Y6M"}}},
    "phenotypicFeatures": [{"type": {"id": "HP:0001250", "label": "Seizure"}}],
    "diseases": [{"term": {"id": "OMIM:607208"}}],
    "metaData": {"phenopacketSchemaVersion": "2.0"},
}


def write(path: Path, rows) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def test_a_case_is_read(tmp_path):
    (found,) = read_cases(write(tmp_path / "cases.jsonl", [CASE]))
    assert found == Case(
        "PMID_15266616_100",
        Patient(("HP:0000348", "HP:0011220"), ("HP:0000243",), 6.0, "MALE", "HP:0003577"),
        ("OMIM:115470",),
        "PMID:15266616",
    )


def test_a_case_needs_its_signs_only(tmp_path):
    (found,) = read_cases(write(tmp_path / "cases.jsonl", [{"hpo": []}]))
    assert found == Case("line 1", Patient(()), ())


def test_optional_fields_that_say_nothing_count_as_not_given_and_are_named(tmp_path):
    row = {**CASE, "age": "P12T", "onset": [], "sex": 1}
    (found,) = read_cases(write(tmp_path / "cases.jsonl", [row]))
    assert (found.patient.age, found.patient.onset, found.patient.sex) == (None, None, None)
    assert found.unread == ("age", "onset", "sex")


@pytest.mark.parametrize("sex", [None, "UNKNOWN", "OTHER", "", "unknown"])
def test_an_unknown_sex_is_none(tmp_path, sex):
    (found,) = read_cases(write(tmp_path / "cases.jsonl", [{**CASE, "sex": sex}]))
    assert found.patient.sex is None
    assert found.unread == ()


@pytest.mark.parametrize(
    ("row", "paper"),
    [
        ({"source_pmid": "PMID:1"}, "PMID:1"),
        ({"source_pmid": "1"}, "PMID:1"),
        ({"source_pmid": 1}, "PMID:1"),
        ({"source_pmid": "pmid: 1"}, "PMID:1"),
        ({"source_pmid": "PMID_1"}, "PMID:1"),
        ({"source_pmid": "doi:10.1/x"}, "doi:10.1/x"),
        ({"source_pmid": None}, "PMID:15266616"),
        ({"source_pmid": None, "id": "PMID:27672653-Abdul_Wahab-2016-GCDH"}, "PMID:27672653"),
        ({"source_pmid": None, "id": "STX_28387369_C0108"}, None),
        ({"source_pmid": None, "id": "PMIDs"}, None),
    ],
)
def test_the_paper_is_the_one_named_else_the_one_of_the_id(tmp_path, row, paper):
    (found,) = read_cases(write(tmp_path / "cases.jsonl", [{**CASE, **row}]))
    assert found.paper == paper


def test_ids_of_diseases_are_spelt_one_way(tmp_path):
    row = {**CASE, "truth": ["Orphanet:558", "ORPHA:558", "MIM:154700"]}
    (found,) = read_cases(write(tmp_path / "cases.jsonl", [row]))
    assert found.truth == ("ORPHA:558", "OMIM:154700")


def test_packed_lines_blank_lines_and_phenopackets_are_read(tmp_path):
    path = tmp_path / "cases.jsonl.gz"
    path.write_bytes(gzip.compress(f"{json.dumps(CASE)}\n\n{json.dumps(PACKET)}".encode()))
    assert [case.id for case in read_cases(path)] == ["PMID_15266616_100", "packet.1"]


def test_a_folder_of_phenopackets_is_read_in_the_order_of_names(tmp_path):
    for name in ("b", "a"):
        (tmp_path / f"{name}.json").write_text(json.dumps({**PACKET, "id": name}), encoding="utf-8")
    (tmp_path / "notes.txt").write_text("no case", encoding="utf-8")
    assert [case.id for case in read_cases(tmp_path)] == ["a", "b"]
    assert [case.id for case in read_cases(tmp_path / "b.json")] == ["b"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "neither a case nor a phenopacket"),
        ("{}", "neither a case nor a phenopacket"),
        ('{"hpo": "SECRET", "truth": {"SECRET": 1}}', "truth: is not a list of texts"),
        ('{"hpo": [1]}', "hpo: is not a list of texts"),
        ('{"hpo": ["SECRET"], "excluded": [null]}', "excluded: is not a list of texts"),
        ('{"phenotypicFeatures": "SECRET"}', "phenopacket.phenotypicFeatures: is not a list"),
    ],
)
def test_a_line_that_is_no_case_is_named_and_not_told(tmp_path, line, said):
    path = tmp_path / "cases.jsonl"
    path.write_text(f"{json.dumps(CASE)}\n\n{line}\n", encoding="utf-8")
    with pytest.raises(SourceError) as caught:
        read_cases(path)
    assert f"{path}, line 3: " in str(caught.value)
    assert said in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_what_cannot_be_read_is_told(tmp_path):
    (tmp_path / "empty.jsonl").touch()
    whole = gzip.compress(json.dumps(CASE).encode() * 50)
    (tmp_path / "half.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "damaged.jsonl.gz").write_bytes(whole[:12] + b"\xff" * 20 + whole[32:])
    (tmp_path / "binary.jsonl").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "none").mkdir()
    for name in (
        "empty.jsonl",
        "half.jsonl.gz",
        "damaged.jsonl.gz",
        "binary.jsonl",
        "missing.jsonl",
        "none",
        "a.json",
    ):
        with pytest.raises(SourceError, match=name):
            read_cases(tmp_path / name)


@settings(max_examples=50, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*CASE, *PACKET, "x"]), inner)
        ),
        max_leaves=12,
    )
)
def test_any_json_is_a_case_or_refused(tmp_path_factory, row):
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_text(json.dumps(row), encoding="utf-8")
    try:
        found = read_cases(path)
    except SourceError:
        return
    assert len(found) == 1
    assert all(isinstance(term, str) for term in found[0].patient.observed)


def test_a_phenopacket_is_read_from_text_bytes_and_objects():
    found = read_phenopacket(PACKET)
    assert found == read_phenopacket(json.dumps(PACKET)) == read_phenopacket(json.dumps(PACKET).encode())
    assert found.patient == Patient(("HP:0001250",), (), 3.5, "FEMALE", None)
    assert found.truth == ("OMIM:607208",)


@pytest.mark.parametrize("content", ["{}", b"{", "[]", {}, "\xff", "[" * 100_000, b"\xff\xfe"])
def test_what_is_no_phenopacket_is_refused(content):
    with pytest.raises(InputError, match="phenopacket"):
        read_phenopacket(content)


@pytest.mark.parametrize(
    ("name", "cases", "unread"),
    [("lirical_385", 385, 2), ("reese_5193", 5193, 0), ("phenopacket_store_dev", 7361, 0)],
)
def test_real_cases_are_read(real_data, name, cases, unread):
    found = read_cases(real_data / "rare" / f"{name}.jsonl.gz")
    assert len(found) == cases
    assert sum(len(case.unread) for case in found) == unread
    assert all(case.truth for case in found)
