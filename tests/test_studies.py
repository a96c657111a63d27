"""Every example study loads, its records are admitted, and they can be split."""

from pathlib import Path

import pytest

from galeno.ingest.contract import Contract
from galeno.ingest.source import read_source
from galeno.learning.split import split
from galeno.study_file import dump_study, load_study, parse_value, validate_study

STUDIES = sorted((Path(__file__).resolve().parents[1] / "studies").glob("*/study.yaml"))


@pytest.fixture(params=STUDIES, ids=lambda path: path.parent.name)
def path(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


def test_the_examples_are_there() -> None:
    assert {path.parent.name for path in STUDIES} >= {"severity", "orphan", "breast_cancer"}


def test_it_loads_under_the_name_of_its_folder(path: Path) -> None:
    study = load_study(path)
    assert study.name == path.parent.name
    for said in (study.title, study.question, study.intended_use, study.owner):
        assert said
    for column in study.columns.values():
        assert column.label.es
        assert column.label.en
    for one in study.classes:
        assert one.label.es
        assert one.label.en


def test_it_survives_being_written(path: Path) -> None:
    study = load_study(path)
    assert validate_study(parse_value(dump_study(study)), {}, "written") == study


def test_simulated_records_say_so(path: Path) -> None:
    study = load_study(path)
    assert study.simulated == str(study.records.source).startswith("cohort:")


def test_gate_names_classes_of_the_study(path: Path) -> None:
    study = load_study(path)
    for figure in study.gate.bounds:
        if figure.startswith("per_class."):
            assert figure.removeprefix("per_class.").rpartition(".")[0] in study.class_names


def test_records_are_admitted_and_every_class_can_be_judged(path: Path) -> None:
    study = load_study(path)
    admission = Contract(study).admit(read_source(study.records.source), study.name)
    assert admission.report.good > 0.97 * admission.report.read
    evidence = split(admission.good, study).evidence
    assert evidence["absent"] == {"train": [], "validation": [], "test": []}
    for one in study.classes:
        assert evidence["classes"][one.name]["test"]["patients"] >= 5
