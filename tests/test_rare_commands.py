"""The commands for rare diseases, given as a person gives them."""

import json

import pytest
from command_line import galeno
from small_knowledge import write_small_knowledge, write_small_merge, write_small_translation


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("knowledge")
    ontology, annotations = write_small_knowledge(folder)
    return {
        "GALENO_HPO_ONTOLOGY": str(ontology),
        "GALENO_HPO_ANNOTATIONS": str(annotations),
        "GALENO_DISEASE_MERGE": str(write_small_merge(folder)),
        "GALENO_CACHE": str(folder / "cache"),
        "GALENO_HOME": str(folder / "home"),
    }


@pytest.fixture
def cases(tmp_path):
    path = tmp_path / "cases.jsonl"
    rows = [
        {"id": "a", "hpo": ["HP:0001250"], "truth": ["OMIM:100001"], "source_pmid": "PMID:1000001"},
        {"id": "b", "hpo": ["HP:0001166"], "truth": ["ORPHA:900004"], "source_pmid": "PMID:2"},
        {"id": "c", "hpo": [], "excluded": ["HP:0001250"], "truth": ["OMIM:100001"]},
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def test_diseases_are_ranked_for_a_person(surroundings):
    done = galeno(
        "rank", "HP:0001275", "Developmental delay", "--not", "Ataxia", "--top", 3, **surroundings
    ).ended(0)
    assert "Invented epileptic encephalopathy" in done.out
    assert "OMIM:100001" in done.out
    assert "None of the 12 known diseases" in done.out
    assert "Human Phenotype Ontology" in done.out
    assert "HP:0001275 is now HP:0001250" in done.err


def test_diseases_are_ranked_for_a_machine(surroundings, tmp_path):
    packet = tmp_path / "packet.json"
    content = {"phenotypicFeatures": [{"type": {"id": "HP:0001166"}}], "metaData": {}}
    packet.write_text(json.dumps(content), encoding="utf-8")
    given = (
        "--phenopacket",
        packet,
        "--text",
        "Scoliosis.",
        "--age",
        "P3Y",
        "--sex",
        "female",
        "--onset",
        "P1M",
    )
    answer = galeno("rank", *given, "--top", 2, "--json", **surroundings).ended(0).object
    assert answer["diseases"][0]["members"] == ["OMIM:100004", "ORPHA:900004"]
    assert len(answer["diseases"]) == 2
    assert answer["observed"] == ["HP:0001166", "HP:0002650"]
    assert len(answer["provenance"]["ontology_sha256"]) == 64


def test_faults_of_terms_are_told_together(surroundings):
    done = galeno("rank", "HP:0012825", "Seizre", "--age", "old", **surroundings)
    done.refused("terms[0]")
    assert "Seizure" in done.err
    assert "age: is neither years nor" in done.err
    galeno("rank", **surroundings).refused("no sign that is present")
    galeno("rank", "Fever", "--not", "Pyrexia", **surroundings).refused(
        "also among the signs that are present"
    )


def test_names_of_a_translation_are_known(surroundings, tmp_path):
    known = {**surroundings, "GALENO_HPO_TRANSLATION": str(write_small_translation(tmp_path))}
    answer = (
        galeno("rank", "escoliosis", "--text", "No tiene fiebre.", "--language", "es", "--json", **known)
        .ended(0)
        .object
    )
    assert (answer["observed"], answer["excluded"]) == (["HP:0002650"], ["HP:0001945"])
    assert answer["notices"] == ["denied in the text: Fever (HP:0001945)"]
    assert len(answer["provenance"]["translation_sha256"]) == 64
    missing = {**surroundings, "GALENO_HPO_TRANSLATION": str(tmp_path / "none.tsv")}
    galeno("rank", "HP:0002650", **missing).refused("none.tsv")


def test_a_ranking_is_judged(surroundings, cases):
    report = (
        galeno("knowledge", "evaluate", cases, "--own-paper-out", "--json", **surroundings).ended(0).object
    )
    assert report["n"] == 3
    assert report["no_usable_term"] == 1
    assert report["papers_taken_out"] == 1
    assert report["protocol"]["group_by"] == "source_pmid"
    shown = galeno("knowledge", "evaluate", cases, "--resamples", 0, **surroundings).ended(0).out
    assert "top_10" in shown
    assert "1 cases had no usable term" in shown


def test_few_shot_without_enough_papers_is_told(surroundings, cases):
    galeno("knowledge", "evaluate", cases, "--few-shot", 3, **surroundings).refused(
        "3 cases from other papers"
    )


def test_cases_are_learned_listed_and_undone(surroundings, cases, tmp_path):
    there = {**surroundings, "GALENO_HOME": str(tmp_path / "home")}
    assert "Nothing was learned" in galeno("knowledge", "list", **there).ended(0).err
    learned = galeno("knowledge", "learn", cases, "--json", **there).ended(0).object
    assert (learned["patients"], learned["left_out"]) == (2, 1)
    galeno("knowledge", "learn", cases, **there).refused("learned before")
    assert galeno("knowledge", "list", "--json", **there).object[0]["id"] == learned["id"]
    assert "2 learned" not in galeno("knowledge", "show", **there).ended(0).out
    assert "learned_patients: 2" in galeno("knowledge", "show", **there).out
    galeno("knowledge", "undo", learned["id"], **there).ended(0)
    assert "undone" in galeno("knowledge", "list", **there).out
    galeno("knowledge", "undo", "kl_none", **there).refused("no such batch")


def test_what_is_known_is_shown(surroundings):
    assert "ORPHA 4" in galeno("knowledge", "show", **surroundings).ended(0).out
    shown = galeno("knowledge", "show", "ORPHA:900001", **surroundings).ended(0).out
    assert "OMIM:100001" in shown
    assert "not Hearing impairment" in shown
    assert (
        galeno("knowledge", "show", "OMIM:100004", "--json", **surroundings).object["mondo"]
        == "MONDO:0000004"
    )
    galeno("knowledge", "show", "OMIM:1", **surroundings).refused("no such disease")
