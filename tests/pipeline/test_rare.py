"""The ranker of a home is opened, asked and taught; what is known is shown."""

import json
from pathlib import Path

import pytest
from small_knowledge import write_small_knowledge, write_small_merge

from galeno.errors import ConflictError, LearningError, NotFoundError, SourceError
from galeno.knowledge.opened import open_knowledge
from galeno.pipeline.question import Question
from galeno.pipeline.rare import (
    ask,
    learn,
    open_learned,
    open_ranker,
    read_bench,
    read_packet,
    read_prior,
    undo,
)
from galeno.pipeline.rare_showing import describe_base, describe_disease
from galeno.settings import KnowledgeSettings


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("knowledge")


@pytest.fixture(scope="module")
def settings(folder):
    ontology, annotations = write_small_knowledge(folder)
    return KnowledgeSettings(ontology, annotations, None, write_small_merge(folder), folder / "cache")


def write(path: Path, *rows) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def case(terms, disease, **more):
    return {"id": "c", "hpo": terms, "truth": [disease], **more}


def test_a_question_is_answered_with_notices(tmp_path, settings):
    ranker = open_ranker(tmp_path, settings=settings)
    answer = ask(ranker, Question(["HP:0001275", "Global developmental delay"]), top=3)
    assert len(answer.diseases) == 3
    assert answer.diseases[0].members == ("OMIM:100001", "ORPHA:900001")
    assert any("HP:0001275" in notice for notice in answer.notices)


def test_learned_cases_are_kept_in_the_home_and_taken_back(tmp_path, settings):
    cases = write(
        tmp_path / "cases.jsonl", case(["HP:0001250", "HP:0099999"], "OMIM:777777", source_pmid="PMID:1")
    )
    entry = learn(tmp_path / "home", cases, settings=settings)
    assert (entry.patients, entry.diseases) == (1, 1)
    assert list(open_learned(tmp_path / "home").counts()) == ["OMIM:777777"]
    with pytest.raises(ConflictError):
        learn(tmp_path / "home", cases, settings=settings)
    undo(tmp_path / "home", entry.id)
    assert open_learned(tmp_path / "home").counts() == {}
    with pytest.raises(NotFoundError):
        undo(tmp_path / "home", "kl_none")


def test_a_learned_disease_is_a_candidate(tmp_path, settings):
    terms = ["HP:0000510", "HP:0001639", "HP:0001166"]
    learn(tmp_path, write(tmp_path / "cases.jsonl", *[case(terms, "OMIM:777777")] * 3), settings=settings)
    answer = ask(open_ranker(tmp_path, settings=settings), Question(terms))
    assert answer.diseases[0].id == "OMIM:777777"


def test_cases_without_a_disease_teach_nothing(tmp_path, settings):
    with pytest.raises(LearningError):
        learn(tmp_path, write(tmp_path / "cases.jsonl", {"hpo": ["HP:0001250"]}), settings=settings)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("prior.json", '{"OMIM:100002": 3, "Orphanet:900001": 0.5, "OMIM:1": 9}'),
        ("prior.tsv", "disease\tprevalence\nOMIM:100002\t3\nORPHA:900001\t0.5\n"),
        ("prior.csv", "# of the region\nOMIM:100002,3\nORPHA:900001,5e-1\n"),
    ],
)
def test_a_prior_is_read(tmp_path, settings, name, content):
    base = open_knowledge(settings)
    (tmp_path / name).write_text(content, encoding="utf-8")
    first, second = base.find_disease("OMIM:100002"), base.find_disease("OMIM:100001")
    assert read_prior(tmp_path / name, base) == {first: 3.0, second: 0.5}


@pytest.mark.parametrize(
    "content",
    ["", "{", '{"OMIM:100002": -1}', '{"OMIM:100002": "x"}', '{"OMIM:1": 1}', "OMIM:100002\n", "[1]", "\xff"],
)
def test_what_is_no_prior_is_refused(tmp_path, settings, content):
    path = tmp_path / "prior"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(SourceError, match="prior"):
        read_prior(path, open_knowledge(settings))


def test_a_bench_holds_the_table_that_merged(tmp_path, settings, monkeypatch):
    for name, path in {"ONTOLOGY": settings.ontology, "ANNOTATIONS": settings.annotations}.items():
        monkeypatch.setenv(f"GALENO_HPO_{name}", str(path))
    monkeypatch.setenv("GALENO_CACHE", str(tmp_path))
    bench = read_bench(write(tmp_path / "cases.jsonl", case([], "OMIM:1")), tmp_path, settings.merge)
    assert len(bench.ranker.base.diseases) == 12
    assert bench.merge["OMIM:999999"][0] == "MONDO:0000099"


def test_a_packet_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(SourceError, match=r"packet\.json"):
        read_packet(tmp_path / "packet.json")


def test_the_base_is_described(tmp_path, settings):
    shown = describe_base(tmp_path, settings)
    assert shown["entries"] == {"OMIM": 9, "ORPHA": 4, "DECIPHER": 1}
    assert shown["diseases"] == 12
    assert "Human Phenotype Ontology" in shown["attribution"]
    assert len(shown["ontology_sha256"]) == 64


def test_a_disease_is_described_under_each_of_its_ids(tmp_path, settings):
    shown = describe_disease("Orphanet:900001", tmp_path, settings)
    assert shown == describe_disease("MONDO:0000001", tmp_path, settings)
    assert shown["members"] == ["OMIM:100001", "ORPHA:900001"]
    frequencies = {(sign["id"], sign["reference"]): sign["frequency"] for sign in shown["signs"]}
    assert frequencies["HP:0001250", "PMID:1000002"] == "3/4"
    assert frequencies["HP:0001263", "ORPHA:900001"] == "Very frequent"
    denied = {sign["id"] for sign in shown["signs"] if sign["denied"]}
    assert denied == {"HP:0000365", "HP:0001251"}
    assert shown["inheritance"] == ["Autosomal dominant inheritance"]
    assert shown["onset"] == ["Infantile onset"]
    percent = describe_disease("OMIM:100003", tmp_path, settings)["signs"]
    assert {sign["frequency"] for sign in percent} == {"90%", "45.5%", ""}


def test_a_learned_disease_is_described(tmp_path, settings):
    learn(tmp_path, write(tmp_path / "cases.jsonl", case(["HP:0007359"], "OMIM:777777")), settings=settings)
    shown = describe_disease("OMIM:777777", tmp_path, settings)
    assert shown["learned_patients"] == 1
    assert [(sign["id"], sign["frequency"]) for sign in shown["signs"]] == [("HP:0007359", "1/1")]
    with pytest.raises(NotFoundError):
        describe_disease("OMIM:1", tmp_path, settings)
