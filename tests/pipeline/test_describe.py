"""What the report and the card say is what the steps found."""

from pathlib import Path

import pytest

from galeno.evaluation.content import ReportContent
from galeno.pipeline.context import StepContext
from galeno.pipeline.describe import describe
from galeno.pipeline.runner import RunResult
from galeno.progress import Silent
from galeno.storage.home import Home
from galeno.storage.runs import RunFolder
from galeno.study import Study


@pytest.fixture
def content(clinic: Study, clinic_home: Path, done: RunResult) -> ReportContent:
    home = Home(clinic_home)
    context = StepContext(clinic, home, RunFolder.open(home.runs, done.run), Silent(), threads=1)
    return describe(context, package_sha256=done.package_sha256, created="2026-01-02", libraries={"x": "1"})


def test_it_holds_the_figures_of_the_run(content: ReportContent, done: RunResult) -> None:
    assert content.evaluation.to_dict()["macro_f1"] == done.metrics["macro_f1"]
    assert content.gate.passed
    assert content.gate.to_dict()["verdicts"][0]["figure"] == "accuracy"
    assert (content.run, content.package_sha256, content.created) == (
        done.run,
        done.package_sha256,
        "2026-01-02",
    )
    assert (content.source, content.lake_version) == ("clinic.csv", 0)
    assert content.dates is None


def test_it_counts_what_validation_found(content: ReportContent) -> None:
    report = content.validation
    assert report is not None
    assert (report.read, report.good) == (240, 240)
    found = {(line.check, line.column): (line.count, line.behaviour) for line in report.violations}
    assert found["range", "age"] == (1, "blank")
    assert content.missing["sex"] > 0


def test_the_model_stands_beside_baselines_and_the_best_single(content: ReportContent) -> None:
    contenders = {contender.kind: contender for contender in content.contenders}
    assert set(contenders) == {"majority", "logistic", "single", "model"}
    for kind in ("majority", "logistic", "model"):
        assert contenders[kind].test is not None
    weights = [line.weight for line in content.candidates]
    assert sum(weights) == pytest.approx(1)
