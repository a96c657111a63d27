"""Tables of entries that are one disease are read in both shapes, and say the same in either direction."""

import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_knowledge import write_small_merge

from galeno.errors import SourceError
from galeno.knowledge.merging import normalise_disease, read_merge

SSSOM = """#curie_map:
#  MONDO: http://purl.obolibrary.org/obo/MONDO_
subject_id\tsubject_label\tpredicate_id\tobject_id\tobject_label\tmapping_justification
MONDO:0007030\tAarskog syndrome\tskos:exactMatch\tOMIM:100050\tAARSKOG\tsemapv:ManualMappingCuration
MONDO:0007030\tAarskog syndrome\tskos:exactMatch\tOrphanet:915\tAarskog-Scott\tsemapv:ManualMappingCuration
MONDO:0000001\tdisease\tskos:broadMatch\tOMIM:100070\twrong\tsemapv:ManualMappingCuration
MONDO:0000001\tdisease\tskos:exactMatch\tUMLS:C0012634\tdisease\tsemapv:ManualMappingCuration
MONDO:0000001\tdisease\tskos:exactMatch\tOMIMPS:100070\ta series\tsemapv:ManualMappingCuration
"""


def test_a_table_is_read(tmp_path):
    found = read_merge(write_small_merge(tmp_path))
    assert found["ORPHA:900001"] == ("MONDO:0000001", "invented epileptic encephalopathy 1")
    assert found["OMIM:100001"] == found["ORPHA:900001"]
    assert len(found) == 6


def test_a_packed_table_is_read(tmp_path):
    plain = write_small_merge(tmp_path)
    packed = tmp_path / "mondo.tsv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_merge(packed) == read_merge(plain)


def test_exact_matches_of_a_mapping_set_count_and_no_others(tmp_path):
    path = tmp_path / "mondo.sssom.tsv"
    path.write_text(SSSOM, encoding="utf-8")
    label = ("MONDO:0007030", "Aarskog syndrome")
    assert read_merge(path) == {"OMIM:100050": label, "ORPHA:915": label}


def test_a_mapping_set_can_be_turned_round(tmp_path):
    lines = SSSOM.splitlines()
    turned = [lines[2]]
    for line in lines[3:]:
        one, label, predicate, other, named, how = line.split("\t")
        turned.append("\t".join([other, named, predicate, one, label, how]))
    path, back = tmp_path / "one.tsv", tmp_path / "other.tsv"
    path.write_text(SSSOM, encoding="utf-8")
    back.write_text("\r\n".join(turned), encoding="utf-8")
    assert read_merge(path) == read_merge(back)


def test_a_negated_match_is_none(tmp_path):
    path = tmp_path / "not.tsv"
    rows = [
        "subject_id\tpredicate_modifier\tpredicate_id\tobject_id",
        "MONDO:1\tNot\tskos:exactMatch\tOMIM:1",
        "MONDO:2\t\tskos:exactMatch\tOMIM:2",
    ]
    path.write_text("\n".join(rows), encoding="utf-8")
    assert read_merge(path) == {"OMIM:2": ("MONDO:2", "")}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a\tb\n1\t2\n",
        b"disease_id\tmondo_id\n",
        b"disease_id\tmondo_id\nUMLS:1\tMONDO:1\n",
        b"\xff\xfe",
        b"\x1f\x8bx",
    ],
)
def test_what_is_no_such_table_is_refused(tmp_path, content):
    path = tmp_path / "table.tsv"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"table\.tsv"):
        read_merge(path)


def test_a_missing_table_is_refused(tmp_path):
    with pytest.raises(SourceError, match="cannot be read"):
        read_merge(tmp_path / "missing.tsv")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Orphanet:558", "ORPHA:558"),
        ("orpha:558", "ORPHA:558"),
        ("ORDO:558", "ORPHA:558"),
        ("http://www.orpha.net/ORDO/Orphanet_558", "ORPHA:558"),
        ("https://omim.org/entry/154700", "OMIM:154700"),
        ("https://www.omim.org/entry/154700", "OMIM:154700"),
        ("MIM:154700", "OMIM:154700"),
        ("http://purl.obolibrary.org/obo/MONDO_0007030", "MONDO:0007030"),
        (" DECIPHER:16 ", "DECIPHER:16"),
        ("OMIMPS:154700", "OMIMPS:154700"),
        ("SNOMED:1", "SNOMED:1"),
        ("", ""),
    ],
)
def test_an_id_is_spelt_as_the_annotations_do(written, meant):
    assert normalise_disease(written) == meant


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=30))
def test_spelling_twice_changes_nothing(text):
    assert normalise_disease(normalise_disease(text)) == normalise_disease(text)


def test_the_real_table_is_read(real_data):
    found = read_merge(real_data / "rare" / "mondo_exact.tsv.gz")
    assert len(found) == 19_830
    assert all(group.startswith("MONDO:") for group, _ in found.values())
