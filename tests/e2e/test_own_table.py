"""A table of one's own: init, run, evaluate, on the real thyroid records."""

import json
from pathlib import Path

from command_line import installed

from galeno.study_file import load_study


def test_from_a_table_to_a_judged_model(real_data: Path, tmp_path: Path) -> None:
    records = real_data / "thyroid" / "dev.csv.gz"
    drafted = installed(
        "init", "--from", records, "--target", "condition", "--output", "thyroid.yaml", folder=tmp_path
    ).ended(0)
    assert drafted.out == "thyroid.yaml\n"
    assert "9 classes" in drafted.err
    study = load_study(tmp_path / "thyroid.yaml")
    assert (study.name, study.records.patient) == ("thyroid", "patient_id")
    assert study.columns["age"].max == 120
    cheap = [
        "learning.budget.trials=1",
        "learning.families=[tree]",
        "split.folds=2",
        "evaluation.bootstrap=20",
    ]
    overrides = [word for change in ["records.drop=[diagnosis]", *cheap] for word in ("--set", change)]
    outcome = installed(
        "run",
        "thyroid.yaml",
        "--home",
        "home",
        *overrides,
        "--set",
        "gate.accuracy=0.2",
        "--json",
        folder=tmp_path,
    ).ended(0)
    result = outcome.object
    validation = json.loads(
        (tmp_path / "home" / "runs" / result["run"] / "ingest" / "validation.json").read_text(
            encoding="utf-8"
        )
    )
    ages = [line for line in validation["violations"] if (line["check"], line["column"]) == ("range", "age")]
    assert ages[0]["count"] >= 1
    assert ages[0]["rows"]
    package = Path(result["package"])
    assert "diagnosis" not in json.loads((package / "features.json").read_text(encoding="utf-8")).get(
        "sources", []
    )
    for path in package.rglob("*.*"):
        assert b"65526" not in path.read_bytes() or path.suffix == ".onnx", path
    judged = installed(
        "evaluate", "thyroid@champion", "--home", "home", "--input", records, "--json", folder=tmp_path
    ).ended(0)
    figures = json.loads(judged.out)
    assert len(figures["per_class"]) == 9
    assert figures["n"] == validation["read"]
