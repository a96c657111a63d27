"""A machine with nothing but this repository: run, verify, predict, evaluate, promote, roll back."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from built_in import Story
from command_line import galeno, installed

import galeno as public
from galeno.storage.packages import read_manifest

KEYS = ["run", "version", "package", "package_sha256", "gate", "metrics"]
MAIN = ["accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "log_loss", "brier", "ece", "auc_ovr"]
PER_CLASS = {"precision", "recall", "f1", "average_precision", "auc", "n"}


@pytest.fixture
def new(cancer: Story, tmp_path: Path) -> Path:
    """Records without their conditions."""
    cancer.records.drop("target").head(40).write_csv(tmp_path / "new.csv")
    return tmp_path / "new.csv"


def test_run_ends_with_one_object(cancer: Story) -> None:
    assert len(cancer.outcome.out.splitlines()) == 1
    assert list(cancer.result)[: len(KEYS)] == KEYS
    assert cancer.result["version"] == "1"
    assert cancer.result["gate"]["passed"] is True
    assert cancer.result["metrics"]["accuracy"] > 0.9
    assert "learn" in cancer.outcome.err.splitlines()


def test_report_and_card_are_there_and_the_report_opens_offline(cancer: Story) -> None:
    report = Path(cancer.result["report"]).read_text(encoding="utf-8")
    card = Path(cancer.result["card"]).read_text(encoding="utf-8")
    assert "alignant" in card
    assert "alignant" in report
    assert "<svg" in report
    for fetched in (' src="http', 'href="http', "url(http", "@import", "<script src"):
        assert fetched not in report


def test_no_file_of_the_package_can_run_code(cancer: Story) -> None:
    for path in Path(cancer.result["package"]).rglob("*.*"):
        assert path.suffix in {".json", ".npz", ".md", ".onnx", ".ubj", ".txt"}
        assert not path.read_bytes().startswith(b"\x80\x04")


def test_verify_finds_one_changed_byte_in_any_file(cancer: Story, tmp_path: Path) -> None:
    package = Path(cancer.result["package"])
    assert cancer.result["package_sha256"] in installed("verify", package).ended(0).out
    copy = tmp_path / "copy"
    shutil.copytree(package, copy)
    for number, name in enumerate([*read_manifest(package).files, "manifest.json"]):
        path = copy / name
        before = path.read_bytes()
        place = (number * 7919) % len(before)
        path.write_bytes(before[:place] + bytes([before[place] ^ 1]) + before[place + 1 :])
        galeno("verify", copy).refused(name)
        galeno("evaluate", copy, "--input", "any.csv").refused(name)
        path.write_bytes(before)
    galeno("verify", copy).ended(0)
    (copy / "extra.txt").touch()
    galeno("verify", copy).refused("extra.txt: the file does not belong to the package")


def test_predict_by_the_installed_command(cancer: Story, new: Path, tmp_path: Path) -> None:
    answers = tmp_path / "answers.parquet"
    line = ["breast_cancer@champion", "--home", cancer.home, "--input", new, "--output", answers]
    shown = installed("predict", *line).ended(0)
    assert shown.out == ""
    assert shown.err.endswith(f"40 records diagnosed: {answers}\n")
    frame = pl.read_parquet(answers)
    truth = cancer.records["target"].head(40)
    assert (frame["condition"] == truth).mean() > 0.9
    first = ["row", "condition", "probability", "p_benign", "p_malignant"]
    assert frame.columns == [*first, "not_ruled_out", "needs_review", "reasons"]


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "jsonl", "jsonl.gz"])
def test_predict_to_files_of_every_kind(cancer: Story, new: Path, tmp_path: Path, ending: str) -> None:
    answers = tmp_path / f"answers.{ending}"
    galeno("predict", cancer.result["package"], "--input", new, "--output", answers).ended(0)
    read = pl.read_csv if "csv" in ending else pl.read_ndjson
    assert read(answers)["row"].to_list() == list(range(1, 41))


def test_evaluate_by_the_installed_command(cancer: Story, tmp_path: Path) -> None:
    cancer.records.write_csv(tmp_path / "labelled.csv")
    line = ["breast_cancer@champion", "--home", cancer.home, "--input", tmp_path / "labelled.csv", "--json"]
    figures = json.loads(installed("evaluate", *line).ended(0).out)
    assert list(figures)[:11] == ["n", *MAIN, "conformal", "per_class"]
    assert {"per_group", "per_patient"} <= set(figures)
    assert figures["n"] == 569
    assert set(figures["conformal"]) == {"coverage", "size"}
    assert set(figures["per_class"]["malignant"]) == PER_CLASS
    assert {"n", *MAIN, "conformal", "per_class"} <= set(figures["per_patient"])


def test_diagnose_in_python(cancer: Story) -> None:
    model = public.load("breast_cancer@champion", home=cancer.home)
    record = cancer.records.row(0, named=True)
    diagnosis = model.diagnose(record)
    assert diagnosis.condition == record["target"] == "malignant"
    assert diagnosis.condition in diagnosis.not_ruled_out
    assert sum(ranked.probability for ranked in diagnosis.ranking) == pytest.approx(1)
    assert (diagnosis.version, diagnosis.package_sha256) == ("1", cancer.result["package_sha256"])
    assert model.diagnose({}).needs_review


def test_a_second_version_waits_is_promoted_and_rolled_back(cancer: Story, repository: Path) -> None:
    study = repository / "studies" / "breast_cancer" / "study.yaml"
    changes = ["learning.budget.trials=1", "learning.families=[logistic]", "features.select=12"]
    changes += ["gate.margin=1", "evaluation.bootstrap=10"]
    overrides = [word for change in changes for word in ("--set", change)]
    shown = galeno("run", study, "--home", cancer.home, *overrides).ended(0)
    assert "breast_cancer version 2, challenger of champion 1" in shown.out
    assert "galeno models promote breast_cancer 2" in shown.out
    assert "against the champion's" in shown.out

    def champion() -> str:
        shown = galeno("models", "show", "breast_cancer", "--home", cancer.home, "--json").ended(0)
        return str(shown.object["version"])

    assert champion() == "1"
    assert len(installed("models", "list", "--home", cancer.home).ended(0).out.splitlines()) == 3
    galeno("models", "promote", "breast_cancer", "2", "--home", cancer.home).ended(0)
    assert champion() == "2"
    galeno("models", "rollback", "breast_cancer", "--home", cancer.home).ended(0)
    assert champion() == "1"
    galeno("models", "rollback", "breast_cancer", "--home", cancer.home).refused("no earlier champion")
