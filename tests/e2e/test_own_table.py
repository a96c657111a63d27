"""A table of one's own: init, run, evaluate, on the real thyroid records."""

import json
from collections.abc import Callable
from pathlib import Path

from command_line import galeno, installed

from galeno.study_file import load_study

QUICK = ["learning.budget.trials=1", "learning.families=[tree]", "split.folds=2", "evaluation.bootstrap=20"]
CHANGES = ["records.drop=[diagnosis]", "gate.accuracy=0.2", *QUICK]


def test_from_a_table_to_a_judged_model(
    real_data: Path, tmp_path: Path, make_home: Callable[[], Path]
) -> None:
    records, home = real_data / "thyroid" / "dev.csv.gz", make_home()
    line = ["--from", records, "--target", "condition", "--output", "thyroid.yaml"]
    drafted = installed("init", *line, folder=tmp_path).ended(0)
    assert drafted.out == "thyroid.yaml\n"
    assert "9 classes" in drafted.err
    study = load_study(tmp_path / "thyroid.yaml")
    assert (study.name, study.records.patient) == ("thyroid", "patient_id")
    assert study.columns["age"].max == 120

    overrides = [word for change in CHANGES for word in ("--set", change)]
    run = installed("run", "thyroid.yaml", "--home", home, *overrides, "--json", folder=tmp_path).ended(0)
    place = home / "runs" / run.object["run"] / "ingest"
    validation = json.loads((place / "validation.json").read_text(encoding="utf-8"))
    found = {(line["check"], line["column"]): line for line in validation["violations"]}
    assert found["range", "age"]["behaviour"] == "blank"
    assert found["range", "age"]["count"] == len(found["range", "age"]["rows"]) >= 1
    packaged = json.loads((Path(run.object["package"]) / "study.json").read_text(encoding="utf-8"))
    assert packaged["records"]["drop"] == ["diagnosis"]
    assert packaged["records"]["source"] == "package"

    judged = galeno("evaluate", "thyroid@champion", "--home", home, "--input", records, "--json")
    figures = judged.ended(0).object
    assert len(figures["per_class"]) == 9
    assert figures["n"] == validation["read"]
