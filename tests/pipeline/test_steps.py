"""Each step's own promise: quarantine, sides, trials, gate, registry."""

import json
import stat
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from clinic import clinic_study, open_clinic, visits
from striped_cells import STUDY, Cells

from galeno.errors import ContractError, LearningError
from galeno.pipeline.loading import load, open_registry
from galeno.pipeline.runner import RunResult, prepare_run, run_step, run_study
from galeno.pipeline.steps import STEPS
from galeno.progress import Silent
from galeno.study_file import load_study

GRAVE = ("gate.per_class.grave.recall=0.99", "gate.min_patients=50")


def test_the_steps_are_in_the_order_of_the_way() -> None:
    assert list(STEPS) == ["ingest", "split", "learn", "fit", "evaluate", "gate", "package", "register"]


def test_bad_rows_go_to_quarantine_and_are_counted(tmp_path: Path) -> None:
    frame = visits().with_columns(
        condition=pl.when(pl.col("visit") == "V0-3").then(pl.lit("SECRET")).otherwise(pl.col("condition")),
        mrn=pl.when(pl.col("visit") == "V0-4").then(None).otherwise(pl.col("mrn")),
    )
    study = load_study(open_clinic(tmp_path, pl.concat([frame, frame.slice(10, 1)])))
    name = prepare_run(study, tmp_path / "home")
    result = run_step(name, "ingest", tmp_path / "home")
    report = result["report"]
    assert (report["read"], report["good"], report["quarantined"]) == (241, 238, 3)
    found = {line["check"]: (line["count"], line["rows"]) for line in report["violations"]}
    assert found["unknown_class"] == (1, [4])
    assert found["missing_patient"] == (1, [5])
    assert found["duplicate"] == (1, [241])
    place = tmp_path / "home" / "runs" / name / "ingest"
    assert stat.S_IMODE((place / "quarantine.parquet").stat().st_mode) == 0o600
    assert pl.read_parquet(place / "quarantine.parquet")["_row"].sort().to_list() == [4, 5, 241]
    assert json.loads((place / "validation.json").read_text(encoding="utf-8")) == report
    assert "SECRET" not in (place / "validation.json").read_text(encoding="utf-8")


def test_a_refusing_rule_stops_before_the_lake(tmp_path: Path) -> None:
    study = clinic_study(tmp_path, "records.rules.range=refuse")
    with pytest.raises(ContractError, match=r"clinic\.csv.*age") as caught:
        run_study(study, tmp_path / "home")
    assert "65526" not in str(caught.value)
    assert list((tmp_path / "home" / "lake").iterdir()) == []


def test_no_good_row_is_an_error_of_its_own(tmp_path: Path) -> None:
    study = load_study(open_clinic(tmp_path, visits().with_columns(condition=pl.lit("Z"))))
    with pytest.raises(LearningError, match=r"clinic\.csv: no row passed validation.*validation\.json"):
        run_study(study, tmp_path / "home")


class Noting(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.mark.parametrize(("alone", "told"), [(40, ""), (20, "20 patients share"), (0, "40 patients share")])
def test_patients_who_share_a_file_are_told(cells: Cells, tmp_path: Path, alone: int, told: str) -> None:
    frame = cells.table.filter(pl.col("scan").str.slice(1).cast(pl.Int64) % 3 == 0).with_row_index("n")
    own = pl.when(pl.col("n") < alone).then(pl.col("picture")).otherwise(pl.lit("117.png"))
    cells.write(tmp_path, frame.with_columns(picture=own).drop("n"), "cells.csv")
    (tmp_path / "cells.yaml").write_text(STUDY, encoding="utf-8")
    name = prepare_run(load_study(tmp_path / "cells.yaml"), tmp_path / "home")
    reporter = Noting()
    run_step(name, "ingest", tmp_path / "home")
    if alone:
        run_step(name, "split", tmp_path / "home", reporter=reporter)
    else:
        with pytest.raises(LearningError, match=r"1 patients cannot.*share a file count as one"):
            run_step(name, "split", tmp_path / "home", reporter=reporter)
    assert len(reporter.notes) == bool(told)
    assert told in "".join(reporter.notes)


def test_too_few_patients_to_tell_is_a_refusal_of_its_own(
    tmp_path: Path, make_home: Callable[[], Path]
) -> None:
    home = make_home()
    result = run_study(clinic_study(tmp_path, *GRAVE), home)
    assert result.gate["passed"] is False
    assert {verdict["outcome"] for verdict in result.gate["verdicts"]} == {"too_few"}
    assert "patients stand under this figure; 50 are needed to tell" in result.refusals[0]
    assert (result.version, result.standing) == (None, "no: refused by the gate")
    assert open_registry(home).versions() == []
    assert list((home / "packages").iterdir()) == []
    report = Path(result.report).read_text(encoding="utf-8")
    assert "too few patients to tell" in report.lower()
    allowed = run_study(clinic_study(tmp_path, *GRAVE, "gate.too_few=allow"), home)
    assert allowed.gate["passed"]
    assert allowed.refusals == []
    assert allowed.gate_lines[1].startswith("too few patients to tell: per_class.grave.recall")


def test_a_challenger_is_compared_on_the_same_rows_and_waits(
    tmp_path: Path, make_home: Callable[[], Path]
) -> None:
    home = make_home()
    first = run_study(clinic_study(tmp_path), home)
    second = run_study(clinic_study(tmp_path, "features.select=2", "gate.margin=1"), home)
    contest = second.gate["verdicts"][-1]
    assert contest["bound"] == "champion"
    assert (contest["threshold"], contest["value"]) == (first.metrics["macro_f1"], second.metrics["macro_f1"])
    assert second.metrics["rows"] == first.metrics["rows"]
    assert second.standing.startswith("clinic version 2, challenger of champion 1; ")
    assert load("clinic@champion", home=home).version == "1"
    third = run_study(clinic_study(tmp_path, "records.drop=[lactate, note]", "gate.accuracy=0"), home)
    assert third.gate["passed"] is False
    assert third.refusals[0].startswith("macro_f1: ")
    assert "against the champion's" in third.refusals[0]
    assert len(open_registry(home).versions("clinic")) == 2


def test_a_champion_that_cannot_be_asked_refuses_unless_there_is_no_contest(
    tmp_path: Path, make_home: Callable[[], Path]
) -> None:
    home = make_home()
    run_study(clinic_study(tmp_path), home)
    changed = "classes=[{name: fine, values: [W]}, {name: ill, values: [I]}, {name: grave, values: [G]}]"
    refused = run_study(clinic_study(tmp_path, changed), home)
    assert refused.gate["passed"] is False
    assert "knows other classes" in refused.refusals[0]
    assert "set gate.champion to none" in refused.refusals[0]
    assert run_study(clinic_study(tmp_path, changed, "gate.champion=none"), home).version == "2"


def test_the_registry_keeps_the_main_figures(done: RunResult, clinic_home: Path) -> None:
    metrics = open_registry(clinic_home).get("clinic", "champion").metrics
    assert metrics["macro_f1"] == done.metrics["macro_f1"]
    assert "confidence" not in metrics
