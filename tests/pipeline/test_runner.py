"""Runs: what they end with, how they go on, and that the same study and records give the same package."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from clinic import clinic_study, open_clinic, visits

from galeno.errors import RunError, StudyError
from galeno.pipeline.runner import RunResult, prepare_run, run_step, run_study
from galeno.pipeline.steps import STEPS
from galeno.progress import Silent
from galeno.storage.packages import verify
from galeno.study import Study
from galeno.study_file import load_study


class Watcher(Silent):
    """Remembers the steps that were begun."""

    def __init__(self) -> None:
        self.begun: list[str] = []

    def step(self, name: str) -> None:
        self.begun.append(name)


def test_a_run_ends_with_a_registered_package(done: RunResult, clinic_home: Path) -> None:
    assert done.gate["passed"]
    assert done.refusals == []
    assert (done.version, done.standing) == ("1", "clinic version 1, champion")
    assert verify(Path(done.package)).package_sha256 == done.package_sha256
    assert Path(done.package).is_relative_to(clinic_home / "packages")
    assert Path(done.report).is_file()
    assert Path(done.card).is_file()


def test_its_object_is_plain_json(done: RunResult) -> None:
    shown = json.loads(json.dumps(done.to_dict(), allow_nan=False))
    assert {"run", "version", "package", "package_sha256", "gate", "metrics"} <= set(shown)
    assert shown["metrics"]["per_class"].keys() == {"well", "ill", "grave"}


def test_gate_lines_name_figure_and_outcome(done: RunResult) -> None:
    assert len(done.gate_lines) == 1
    assert done.gate_lines[0].startswith("passed: accuracy: ")


def test_a_finished_run_is_not_done_again(clinic: Study, clinic_home: Path, done: RunResult) -> None:
    watcher = Watcher()
    assert run_study(clinic, clinic_home, reporter=watcher) == done
    assert watcher.begun == ["records"]


def test_a_run_goes_on_after_the_last_step_that_was_done(
    clinic: Study, make_home: Callable[[], Path], done: RunResult
) -> None:
    home = make_home()
    name = prepare_run(clinic, home)
    for step in ("ingest", "split", "learn"):
        run_step(name, step, home)
    unfinished = home / "runs" / name / "fit" / "package"
    unfinished.mkdir(parents=True)
    (unfinished / "half").write_text("written", encoding="utf-8")
    watcher = Watcher()
    again = run_study(clinic, home, reporter=watcher)
    assert watcher.begun == ["records", "fit", "evaluate", "gate", "package", "register"]
    assert again.package_sha256 == done.package_sha256


def test_steps_one_by_one_give_the_same_package(
    clinic: Study, make_home: Callable[[], Path], done: RunResult
) -> None:
    home = make_home()
    name = prepare_run(clinic, home)
    assert name == done.run
    for step in STEPS:
        result = run_step(name, step, home)
        assert run_step(name, step, home) == result
    assert result["version"] == "1"
    assert run_study(clinic, home).package_sha256 == done.package_sha256


def test_shuffled_rows_threads_and_folder_do_not_change_the_package(
    tmp_path: Path, make_home: Callable[[], Path], done: RunResult
) -> None:
    study = load_study(open_clinic(tmp_path, visits().sample(fraction=1, shuffle=True, seed=3)))
    shuffled = run_study(study, make_home(), threads=1)
    assert shuffled.run != done.run
    assert shuffled.package_sha256 == done.package_sha256


@pytest.mark.parametrize("override", ["seed=8", "learning.calibration=vector", "records.drop=[age]"])
def test_another_study_is_another_run(tmp_path: Path, done: RunResult, override: str) -> None:
    other = prepare_run(clinic_study(tmp_path, override), tmp_path / "home")
    assert other != prepare_run(clinic_study(tmp_path), tmp_path / "home")


def test_fresh_is_a_run_of_its_own(clinic: Study, tmp_path: Path) -> None:
    names = {prepare_run(clinic, tmp_path, fresh=fresh) for fresh in (False, False, True, True)}
    assert len(names) == 3


def test_a_step_needs_the_steps_before_it(clinic: Study, tmp_path: Path) -> None:
    name = prepare_run(clinic, tmp_path)
    with pytest.raises(RunError, match=f"needs step 'ingest', .* galeno step ingest --run {name}"):
        run_step(name, "learn", tmp_path)


def test_unknown_steps_and_runs_are_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no step 'train'.*ingest, split, learn"):
        run_step("clinic-1", "train", tmp_path)
    with pytest.raises(RunError, match="no run 'clinic-1'"):
        run_step("clinic-1", "ingest", tmp_path)


def test_records_that_changed_are_another_run(tmp_path: Path) -> None:
    study = clinic_study(tmp_path)
    name = prepare_run(study, tmp_path / "home")
    open_clinic(tmp_path, visits(seed=1))
    with pytest.raises(RunError, match=r"clinic\.csv changed after this run was made"):
        run_step(name, "ingest", tmp_path / "home")
    assert prepare_run(study, tmp_path / "home") != name


def test_a_mistyped_figure_is_told_before_anything_is_made(tmp_path: Path) -> None:
    study = clinic_study(tmp_path, "gate.acuracy=0.9")
    with pytest.raises(StudyError, match=r"gate\.acuracy.*Did you mean accuracy"):
        run_study(study, tmp_path / "home")
    assert not (tmp_path / "home").exists()
