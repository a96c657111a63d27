"""Judging on the test part: the model, the baselines and the champion, all on the same rows."""

from dataclasses import replace
from pathlib import Path

import pytest

from galeno.evaluation.evaluation import Evaluation
from galeno.model.model import Model
from galeno.pipeline.context import StepContext
from galeno.pipeline.judging import judge_baselines, judge_champion, judge_rows
from galeno.pipeline.loading import open_registry
from galeno.pipeline.runner import RunResult
from galeno.progress import Silent
from galeno.records import RegisteredModel
from galeno.storage.home import Home
from galeno.storage.runs import RunFolder
from galeno.study import Study
from galeno.study_file import validate_study


@pytest.fixture
def context(clinic: Study, clinic_home: Path, done: RunResult) -> StepContext:
    home = Home(clinic_home)
    return StepContext(clinic, home, RunFolder.open(home.runs, done.run), Silent(), threads=1)


@pytest.fixture
def champion(clinic_home: Path, done: RunResult) -> RegisteredModel:
    return open_registry(clinic_home).get("clinic", "champion")


def change(study: Study, **keys: object) -> Study:
    return validate_study({**study.model_dump(mode="json"), **keys}, {}, "changed")


def test_the_packaged_model_gets_the_figures_of_the_run(context: StepContext, done: RunResult) -> None:
    model = Model.load(Path(done.package))
    judged = judge_rows(model, context.rows("test"), context.study)
    assert judged.to_dict() == done.metrics


def test_the_champion_is_judged_on_the_rows_of_this_run(
    context: StepContext, champion: RegisteredModel, done: RunResult
) -> None:
    judged = judge_champion(champion, context)
    assert isinstance(judged, Evaluation)
    assert judged.rows == Evaluation.from_dict(done.metrics).rows


def test_a_champion_of_other_classes_cannot_be_asked(context: StepContext, champion: RegisteredModel) -> None:
    renamed = [
        {"name": "fine", "values": ["W"]},
        {"name": "ill", "values": ["I"]},
        {"name": "grave", "values": ["G"]},
    ]
    other = replace(context, study=change(context.study, classes=renamed))
    assert judge_champion(champion, other) == "champion 1 knows other classes than this study"


def test_baselines_learn_from_the_other_parts(context: StepContext) -> None:
    rows = context.rows("test")
    found = judge_baselines(context, rows)
    assert set(found) == {"majority", "logistic"}
    share = (rows.labels == 0).mean()
    assert found["majority"]["accuracy"] == pytest.approx(share)
    assert found["logistic"]["macro_f1"] > found["majority"]["macro_f1"]
    assert found["majority"]["conformal"]["coverage"] is None
