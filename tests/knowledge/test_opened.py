"""The knowledge that the environment names, read once."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from named_knowledge import named_knowledge, no_knowledge
from small_knowledge import VERSION, write_small_translation

from galeno.errors import KnowledgeError, MissingExtraError
from galeno.knowledge.opened import open_knowledge, open_ratios, open_vocabulary
from galeno.knowledge.translations import translated_name
from galeno.settings import KnowledgeSettings


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with named_knowledge(tmp_path):
        yield tmp_path


def test_it_is_read_once_and_again_when_it_changed(folder: Path) -> None:
    first = open_knowledge()
    assert open_knowledge() is first
    assert first.ontology.version == VERSION
    ontology = folder / "hp.obo"
    ontology.write_text(ontology.read_text().replace(VERSION, "2024-03-31"), encoding="utf-8")
    assert open_knowledge().ontology.version == "2024-03-31"


def test_names_of_a_translation_are_known(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = open_knowledge()
    table = write_small_translation(folder)
    monkeypatch.setenv("GALENO_HPO_TRANSLATION", str(table))
    known = open_knowledge()
    fever = known.ontology.index["HP:0001945"]
    assert translated_name(known.ontology, fever) == "Fiebre"
    assert translated_name(plain.ontology, fever) is None
    assert known.ontology.names == plain.ontology.names
    sha256 = hashlib.sha256(table.read_bytes()).hexdigest()
    assert (plain.provenance.translation_sha256, known.provenance.translation_sha256) == ("", sha256)
    vocabulary = open_vocabulary()
    assert vocabulary is not None
    assert vocabulary.find("escoliosis") == "HP:0002650"
    table.write_text(table.read_text(encoding="utf-8").replace("Escoliosis", "Desviación"), encoding="utf-8")
    vocabulary = open_vocabulary()
    assert vocabulary is not None
    assert (vocabulary.find("escoliosis"), vocabulary.find("desviacion")) == (None, "HP:0002650")
    table.unlink()
    with pytest.raises(KnowledgeError):
        open_knowledge()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("HP:0001250", "HP:0001250"),
        ("HP:0001275", "HP:0001250"),  # an alternative id
        ("HP:0000057", "HP:0000252"),  # an obsolete one with a successor
        ("HP:0000489", None),  # one without
        ("HP:9999999", None),
        ("HP:0012825", None),  # a modifier
        ("HP:0000007", None),  # a mode of inheritance
        ("Ataxia", "HP:0001251"),
        ("seizures", "HP:0001250"),
        ("hipotonía", "HP:0001252"),
        ("no such sign", None),
    ],
)
def test_vocabulary(folder: Path, text: str, found: str | None) -> None:
    vocabulary = open_vocabulary()
    assert vocabulary is not None
    assert vocabulary.find(text) == found


def test_ratios_are_weighed_once(folder: Path) -> None:
    assert open_ratios((0, 1)) is open_ratios((0, 1))
    assert open_ratios((0,)).present.shape == (len(open_knowledge().ontology.ids), 1)


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    named = KnowledgeSettings.from_environment({"GALENO_HPO_ONTOLOGY": str(tmp_path / "hp.obo")})
    with pytest.raises((KnowledgeError, MissingExtraError)):
        open_vocabulary(named)


def test_without_the_extra_there_is_none() -> None:
    with no_knowledge():
        assert open_vocabulary() is None
        with pytest.raises(MissingExtraError, match="rare"):
            open_knowledge()
