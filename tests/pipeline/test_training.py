"""The fit step: what is fitted on which part, and the files it leaves."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from galeno.learning.selection import Selection
from galeno.model.conformal import ConformalSet
from galeno.model.model import Model
from galeno.pipeline.context import StepContext
from galeno.pipeline.runner import RunResult
from galeno.pipeline.training import FEW_PATIENTS, fit_model
from galeno.progress import Silent
from galeno.records import KEY
from galeno.storage.home import Home
from galeno.storage.runs import RunFolder
from galeno.study import Study


def context_of(clinic: Study, home: Path, run: str) -> StepContext:
    place = Home(home)
    return StepContext(clinic, place, RunFolder.open(place.runs, run), Silent(), threads=1)


def test_its_files_make_a_model(clinic: Study, clinic_home: Path, done: RunResult) -> None:
    context = context_of(clinic, clinic_home, done.run)
    fitted = context.result("fit")
    folder = context.made("fit") / "package"
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*")) == fitted["files"]
    model = Model.load(folder, verify=False)
    assert len(model.assembler.names) == fitted["features"]
    assert fitted["parity"] < 1e-4
    assert set(fitted["missing"]) == set(clinic.features_columns)


def test_the_conformal_threshold_holds_its_coverage_on_the_validation_part(
    clinic: Study, clinic_home: Path, done: RunResult
) -> None:
    conformal = context_of(clinic, clinic_home, done.run).result("fit")["conformal"]
    assert conformal["method"] == "lac"
    assert 0 < conformal["threshold"] <= 1


def test_few_validation_patients_are_joined_by_out_of_fold_predictions(
    clinic: Study, clinic_home: Path, done: RunResult
) -> None:
    context = context_of(clinic, clinic_home, done.run)
    validation, training = context.rows("validation"), context.rows("train")
    assert len(set(validation.patients)) < FEW_PATIENTS
    answers = pl.read_parquet(context.made("learn") / "out-of-fold.parquet").to_numpy()
    assert answers.shape == (len(training.labels), len(clinic.classes))
    inside = ConformalSet.from_dict(context.result("fit")["conformal"]).conforming(answers)
    covered = inside[np.arange(len(answers)), training.labels].mean()
    assert covered == pytest.approx(clinic.learning.conformal.coverage, abs=0.06)


def test_the_reference_describes_teaching_rows_only(
    clinic: Study, clinic_home: Path, done: RunResult
) -> None:
    context = context_of(clinic, clinic_home, done.run)
    teaching, test = context.rows("train", "validation"), context.rows("test")
    assert not set(teaching.frame[KEY]) & set(test.frame[KEY])
    model = Model.load(Path(done.package))
    low, high = model.reference.ranges["lactate"]
    seen = teaching.frame["lactate"].drop_nulls().to_numpy()
    assert low == pytest.approx(seen.min(), abs=0.5)
    assert high == pytest.approx(seen.max(), abs=0.5)


def test_fitting_again_writes_the_same_bytes(
    clinic: Study, clinic_home: Path, done: RunResult, tmp_path: Path
) -> None:
    context = context_of(clinic, clinic_home, done.run)
    copy = RunFolder.create(tmp_path, "copy", context.run.facts)
    for step in ("split", "learn"):
        (copy.root / step).symlink_to(context.made(step))
    copy.finish("ingest", dict(context.result("ingest")))
    other = StepContext(clinic, context.home, copy, Silent(), threads=2)
    fit_model(Selection.from_dict(context.result("learn")["selection"]), other)
    for name in context.result("fit")["files"]:
        before = (context.made("fit") / "package" / name).read_bytes()
        assert (tmp_path / "copy" / "fit" / "package" / name).read_bytes() == before, name
