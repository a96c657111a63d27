"""A model over files: every record answered, in order, as `diagnose` does; judged on labelled ones."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from clinic import visits
from striped_cells import Cells

from galeno.errors import OutputError, SourceError
from galeno.evaluation.metrics import MAIN
from galeno.ingest.tables import read_table
from galeno.media.places import ZipPlace
from galeno.model.model import Model
from galeno.pipeline import scoring
from galeno.pipeline.loading import load
from galeno.pipeline.runner import RunResult
from galeno.pipeline.scoring import evaluate_file, predict_file
from galeno.storage.writer import open_writer

ENDINGS = ["csv", "csv.gz", "parquet", "jsonl", "ndjson.gz"]


@pytest.fixture(scope="module")
def model(done: RunResult) -> Model:
    return load(done.package, threads=1)


@pytest.fixture
def records() -> pl.DataFrame:
    return visits(seed=5, n=50)


@pytest.fixture
def source(tmp_path: Path, records: pl.DataFrame) -> Path:
    records.write_csv(tmp_path / "new.csv")
    return tmp_path / "new.csv"


def test_every_record_is_answered_in_order_as_one_by_one(
    model: Model, records: pl.DataFrame, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "BATCH", 7)
    assert predict_file(model, source, tmp_path / "answers.parquet").rows == 50
    answers = pl.read_parquet(tmp_path / "answers.parquet")
    assert answers.columns[:4] == ["row", "visit", "mrn", "condition"]
    assert answers["row"].to_list() == list(range(1, 51))
    assert answers["visit"].equals(records["visit"])
    for answer, record in zip(answers.iter_rows(named=True), records.iter_rows(named=True), strict=True):
        diagnosis = model.diagnose(record)
        assert answer["condition"] == diagnosis.condition
        assert answer["probability"] == pytest.approx(diagnosis.ranking[0].probability, abs=1e-6)
        assert answer["not_ruled_out"] == "|".join(diagnosis.not_ruled_out)
        assert answer["reasons"].split("|") == list(diagnosis.reasons or [""])


@pytest.mark.parametrize("ending", ENDINGS)
def test_files_of_every_kind_say_the_same(model: Model, source: Path, tmp_path: Path, ending: str) -> None:
    answers = tmp_path / f"answers.{ending}"
    predict_file(model, source, answers)
    predict_file(model, source, tmp_path / "reference.parquet")
    read = read_table(answers)
    reference = pl.read_parquet(tmp_path / "reference.parquet")
    assert read.columns == reference.columns
    assert read["condition"].to_list() == reference["condition"].to_list()
    assert read["probability"].cast(pl.Float64).to_list() == pytest.approx(reference["probability"].to_list())


@pytest.mark.parametrize("ending", ENDINGS)
def test_records_of_every_kind_are_answered_alike(
    model: Model, source: Path, tmp_path: Path, ending: str
) -> None:
    predict_file(model, source, tmp_path / "expected.csv")
    frame = read_table(source)
    other = tmp_path / f"same.{ending}"
    with open_writer(other) as write:
        write(frame)
    predict_file(model, other, tmp_path / "found.csv")
    assert (tmp_path / "found.csv").read_bytes() == (tmp_path / "expected.csv").read_bytes()


def test_json_lines_may_leave_columns_out(model: Model, tmp_path: Path) -> None:
    source = tmp_path / "new.jsonl"
    source.write_text('{"age": 40}\n{"lactate": 7.5, "sex": "F", "other": 1}\n{}\n', encoding="utf-8")
    assert predict_file(model, source, tmp_path / "answers.jsonl").rows == 3
    lines = [
        json.loads(line) for line in (tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert [line["row"] for line in lines] == [1, 2, 3]
    assert "missing:text" in lines[0]["reasons"]
    assert lines[2]["needs_review"]


def test_a_table_without_needed_columns_is_the_wrong_table(
    model: Model, records: pl.DataFrame, tmp_path: Path
) -> None:
    records.drop("age", "note").write_csv(tmp_path / "other.csv")
    with pytest.raises(
        SourceError, match=r"other\.csv: columns that the model needs are not there: age, note"
    ):
        predict_file(model, tmp_path / "other.csv", tmp_path / "answers.csv")
    assert not (tmp_path / "answers.csv").exists()


def test_a_file_damaged_in_the_middle_leaves_no_output(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "BATCH", 2)
    source = tmp_path / "new.jsonl"
    source.write_text('{"age": 40}\n' * 5 + "not json\n", encoding="utf-8")
    answers = tmp_path / "answers.csv"
    answers.write_text("earlier answers", encoding="utf-8")
    with pytest.raises(SourceError, match="line 6"):
        predict_file(model, source, answers)
    assert answers.read_text(encoding="utf-8") == "earlier answers"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answers.csv", "new.jsonl"]


def test_archives_are_closed(cells: Cells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[ZipPlace] = []
    close = ZipPlace.close

    def note(place: ZipPlace) -> None:
        closed.append(place)
        close(place)

    monkeypatch.setattr(ZipPlace, "close", note)
    source = cells.write(tmp_path, cells.table.head(6))
    shutil.make_archive(str(tmp_path / "all"), "zip", tmp_path / "pictures")
    shutil.rmtree(tmp_path / "pictures")
    predict_file(cells.model, source, tmp_path / "answers.csv", files="all.zip")
    assert len(closed) == 1
    assert evaluate_file(cells.model, source, files="all.zip")["faults"] == {}
    assert len(closed) == 2
    with pytest.raises(OutputError):
        predict_file(cells.model, source, tmp_path / "absent" / "answers.csv", files="all.zip")
    assert len(closed) == 3


def test_a_record_id_may_have_the_name_of_an_answer(done: RunResult, tmp_path: Path) -> None:
    model = load(done.package)
    roles = model.study.records.model_copy(update={"record": "row", "patient": "probability"})
    model.study = model.study.model_copy(update={"records": roles})
    visits(n=5).rename({"visit": "row", "mrn": "probability"}).write_csv(tmp_path / "new.csv")
    predict_file(model, tmp_path / "new.csv", tmp_path / "answers.csv")
    answers = read_table(tmp_path / "answers.csv")
    assert answers.columns[:3] == ["row", "input_row", "input_probability"]


def test_the_output_s_place_is_checked_before_work(model: Model, source: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"ending is not known.*\.csv"):
        predict_file(model, source, tmp_path / "answers.xlsx")
    with pytest.raises(OutputError, match="no such folder"):
        predict_file(model, source, tmp_path / "absent" / "answers.csv")


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_what_needs_review_goes_apart_where_it_is_asked_for(
    model: Model, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    answers, review = tmp_path / "answers.csv", tmp_path / f"look.{ending}"
    alone = predict_file(model, source, tmp_path / "alone.csv")
    assert (alone.review, alone.flagged) == (None, 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone.csv", "new.csv"]
    monkeypatch.setattr(scoring, "BATCH", 7)
    judging = model.study.evaluation.model_copy(update={"review_below": 0.9})
    monkeypatch.setattr(model, "study", model.study.model_copy(update={"evaluation": judging}))
    done = predict_file(model, source, answers, review=review)
    whole, apart = read_table(answers), read_table(review)
    assert apart.columns == ["row", "visit", "mrn", "condition", "probability", "reasons"]
    low = whole.filter(pl.col("probability").cast(pl.Float64) < 0.9)
    assert 0 < low.height < whole.height
    assert (done.rows, done.flagged, done.review) == (50, low.height, review)
    assert apart["row"].cast(pl.String).to_list() == low["row"].to_list()
    assert all("low_confidence" in reasons.split("|") for reasons in apart["reasons"])


def test_evaluation_counts_other_labels_and_missing_ones(model: Model, tmp_path: Path) -> None:
    labels = pl.when(pl.col("visit") == "V5-0").then(pl.lit("Z"))
    labels = labels.when(pl.col("visit") == "V5-1").then(pl.lit("?")).otherwise(pl.col("condition"))
    visits(seed=5, n=50).with_columns(condition=labels).write_csv(tmp_path / "labelled.csv")
    figures = evaluate_file(model, tmp_path / "labelled.csv")
    assert (figures["n"], figures["unlabelled"], figures["unknown"]) == (49, 1, {"Z": 1})
    assert figures["package_sha256"] == model.package_sha256
    clean = visits(seed=5, n=50)
    clean.filter(~pl.col("visit").is_in(["V5-0", "V5-1"])).write_csv(tmp_path / "clean.csv")
    assert evaluate_file(model, tmp_path / "clean.csv")["accuracy"] > figures["accuracy"]


def test_evaluation_has_every_figure(model: Model, source: Path) -> None:
    figures = evaluate_file(model, source)
    assert {*MAIN, "n", "conformal", "per_class", "per_group", "per_patient"} <= set(figures)
    assert set(figures["conformal"]) == {"coverage", "size"}
    assert set(figures["per_class"]["grave"]) == {
        "precision",
        "recall",
        "f1",
        "average_precision",
        "auc",
        "n",
    }
    assert set(figures["per_group"]["sex"]) >= {"F", "M"}
    assert figures["per_patient"]["n"] <= figures["n"]
    json.dumps(figures, allow_nan=False)


def test_figures_do_not_depend_on_the_size_of_batches(
    model: Model, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = evaluate_file(model, source)
    monkeypatch.setattr(scoring, "BATCH", 7)
    parts = evaluate_file(model, source)
    assert (parts["confusion"], parts["n"]) == (whole["confusion"], whole["n"])
    assert [parts[name] for name in MAIN] == pytest.approx([whole[name] for name in MAIN], abs=1e-6)


def test_evaluation_needs_labels(model: Model, records: pl.DataFrame, tmp_path: Path) -> None:
    records.drop("condition").write_csv(tmp_path / "a.csv")
    with pytest.raises(SourceError, match="no column 'condition', the target"):
        evaluate_file(model, tmp_path / "a.csv")
    records.with_columns(condition=pl.lit("")).write_csv(tmp_path / "b.csv")
    with pytest.raises(SourceError, match="no row has a target"):
        evaluate_file(model, tmp_path / "b.csv")
