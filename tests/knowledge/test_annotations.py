"""Rows of phenotype.hpoa: every way in which a frequency is given, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.errors import KnowledgeError
from galeno.knowledge.annotations import COLUMNS, DTYPES, Annotations, Said, count_diseases, parse_annotations
from galeno.knowledge.base import KnowledgeBase

ROW = ("OMIM:1", "A disease", "", "HP:0001250", "PMID:1", "PCS", "", "", "", "", "P", "HPO:x[2020-01-31]")


def write(*rows: tuple[str, ...]) -> bytes:
    """A file of such rows."""
    lines = ["#version: 2024-01-01", "\t".join(COLUMNS), *("\t".join(row) for row in rows)]
    return ("\n".join(lines) + "\n").encode()


def change(**fields: str) -> tuple[str, ...]:
    """One row with other fields."""
    return tuple(fields.get(name, value) for name, value in zip(COLUMNS, ROW, strict=True))


@pytest.fixture(scope="module")
def read(small_base: KnowledgeBase):
    """Reads rows with the small ontology."""
    return lambda *rows: parse_annotations(write(*rows), small_base.ontology, "phenotype.hpoa")


def of(base: KnowledgeBase, disease: str, term: str) -> list[int]:
    """Rows about one sign of a disease."""
    rows = base.annotations
    entry, place = rows.disease_ids.index(disease), base.ontology.index[term]
    return np.flatnonzero((rows.disease == entry) & (rows.term == place)).tolist()


def test_the_columns_of_the_small_file(small_base: KnowledgeBase) -> None:
    rows = small_base.annotations
    first, second = of(small_base, "OMIM:100001", "HP:0001250")
    assert rows.said[first] == Said.COUNT
    assert rows.share[first] == 1
    assert rows.patients[first] == 8
    assert rows.share[second] == 0.75
    assert small_base.ontology.ids[rows.onset[second]] == "HP:0003593"
    assert rows.onset[first] == -1
    assert rows.references[rows.reference[second]] == "PMID:1000002"
    assert rows.curated[second] == 20220501
    assert rows.evidence[first] == 2
    assert rows.version == "2024-02-29"
    assert rows.disease_names[rows.disease[first]] == "Invented epileptic encephalopathy 1"


def test_what_is_denied_is_told_from_what_is_rare(small_base: KnowledgeBase) -> None:
    rows = small_base.annotations
    (denied,) = of(small_base, "ORPHA:900001", "HP:0000365")
    (nobody,) = of(small_base, "OMIM:100001", "HP:0001251")
    assert rows.negated[denied]
    assert not rows.negated[nobody]
    assert rows.share[nobody] == 0
    assert np.isnan(rows.share[denied])


def test_sex_and_several_curations(small_base: KnowledgeBase) -> None:
    rows = small_base.annotations
    assert rows.sex[of(small_base, "OMIM:100005", "HP:0001629")] == [1]
    assert rows.sex[of(small_base, "OMIM:100005", "HP:0001631")] == [2]
    assert rows.curated[of(small_base, "OMIM:100004", "HP:0001166")] == [20210509]


@pytest.mark.parametrize(
    ("text", "said", "share", "patients"),
    [
        ("", Said.NOTHING, None, 0),
        ("3/8", Said.COUNT, 0.375, 8),
        ("0/8", Said.COUNT, 0.0, 8),
        ("45.5%", Said.PERCENT, 0.455, 0),
        ("100%", Said.PERCENT, 1.0, 0),
        ("HP:0040280", Said.BAND, 1.0, 0),
        ("HP:0040282", Said.BAND, 0.545, 0),
        ("HP:0040285", Said.BAND, 0.0, 0),
    ],
)
def test_frequencies(read, text: str, said: Said, share: float | None, patients: int) -> None:
    rows = read(change(frequency=text))
    assert rows.said.tolist() == [said]
    assert rows.patients.tolist() == [patients]
    if share is None:
        assert np.isnan(rows.share[0])
    else:
        assert rows.share[0] == pytest.approx(share)


@settings(max_examples=50, deadline=None)
@given(of_all=st.integers(1, 10_000), part=st.floats(0, 1))
def test_counts_are_kept(read, of_all: int, part: float) -> None:
    seen = int(part * of_all)
    rows = read(change(frequency=f"{seen}/{of_all}"))
    assert rows.share[0] == pytest.approx(seen / of_all, rel=1e-6)
    assert rows.patients[0] == of_all


@pytest.mark.parametrize(
    "text", ["often", "9/8", "0/0", "1/", "-1/2", "120%", "%", "nan%", "HP:0040279", "1/2/3"]
)
def test_frequencies_that_mean_nothing_are_refused(read, text: str) -> None:
    with pytest.raises(KnowledgeError, match="frequency") as caught:
        read(change(frequency=text))
    assert "phenotype.hpoa" in str(caught.value)


def test_rows_with_unknown_terms_are_left_out_and_old_ids_replaced(read, small_base: KnowledgeBase) -> None:
    rows = read(change(hpo_id="HP:9999999"), change(hpo_id="HP:0000489"), change(hpo_id="HP:0001275"))
    assert [small_base.ontology.ids[t] for t in rows.term] == ["HP:0001250"]
    assert len(rows) == 1


def test_a_disease_is_one_under_two_names(read) -> None:
    rows = read(change(), change(disease_name="Another name", hpo_id="HP:0001251"))
    assert rows.disease_ids == ("OMIM:1",)
    assert rows.disease_names == ("A disease",)
    assert rows.disease.tolist() == [0, 0]


def test_quotes_in_names_are_kept(read) -> None:
    assert read(change(disease_name='A "quoted disease')).disease_names == ('A "quoted disease',)


@pytest.mark.parametrize(
    "content", [b"", b"#version: x\n", b"a\tb\n1\t2\n", b"\xff\xfe\x00nothing", b"\x00" * 50]
)
def test_other_files_are_refused(small_base: KnowledgeBase, content: bytes) -> None:
    with pytest.raises(KnowledgeError, match="not a file of HPO annotations"):
        parse_annotations(content, small_base.ontology, "phenotype.hpoa")


def test_a_file_that_was_cut_in_a_row_is_refused(read) -> None:
    with pytest.raises(KnowledgeError):
        read(change(), ROW[:8])


def test_the_arrays_have_their_types(small_base: KnowledgeBase, real_base: KnowledgeBase) -> None:
    for base in (small_base, real_base):
        rows = base.annotations
        assert {name: getattr(rows, name).dtype.type for name in DTYPES} == dict(DTYPES)
        assert {getattr(rows, name).size for name in DTYPES} == {len(rows)}


def test_the_release_is_whole(real_base: KnowledgeBase) -> None:
    rows: Annotations = real_base.annotations
    assert count_diseases(rows.disease_ids) == {"OMIM": 8359, "ORPHA": 4281, "DECIPHER": 47}
    assert len(rows) > 270_000
    assert ((rows.share >= 0) & (rows.share <= 1) | np.isnan(rows.share)).all()
    assert rows.curated.max() > 20_240_000
    assert rows.version == "2025-01-16"


def test_a_file_of_a_bare_header_has_no_rows(read) -> None:
    assert len(read()) == 0


def test_lines_are_read_alike_on_windows(small_base: KnowledgeBase, small_files: tuple[Path, Path]) -> None:
    content = small_files[1].read_bytes().replace(b"\n", b"\r\n")
    rows = parse_annotations(content, small_base.ontology, "phenotype.hpoa")
    assert rows.disease_ids == small_base.annotations.disease_ids
    assert np.array_equal(rows.curated, small_base.annotations.curated)
