"""Answers to pictures of patients: patients beside rows, files that cannot be used, what needs review."""

import base64
import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from command_line import galeno
from striped_cells import PICTURES, Cells

from galeno.errors import OutputError, SourceError
from galeno.ingest.tables import read_table
from galeno.pipeline import gathering, scoring
from galeno.pipeline.answers import (
    PATIENT_COLUMNS,
    PATIENT_REASON,
    identify,
    patients_of,
    review_beside,
)
from galeno.pipeline.loading import load
from galeno.pipeline.scoring import evaluate_file, predict_file


@pytest.fixture
def broken(cells: Cells, tmp_path: Path) -> Path:
    """The table with a missing, a cut, an empty and a wrong file, and a row without a file or a patient."""
    frame = cells.table.head(12).with_row_index("at")
    chosen = pl.when(pl.col("at") == 1).then(pl.lit("absent.png")).when(pl.col("at") == 4)
    frame = frame.with_columns(
        picture=chosen.then(pl.lit("notes.png"))
        .when(pl.col("at") == 7)
        .then(pl.lit(""))
        .otherwise("picture"),
        mrn=pl.when(pl.col("at").is_in([10, 11])).then(pl.lit("?")).otherwise("mrn"),
    )
    source = cells.write(tmp_path, frame.drop("at"))
    whole = (tmp_path / "pictures" / "2.png").read_bytes()
    (tmp_path / "pictures" / "2.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "pictures" / "3.png").write_bytes(b"")
    (tmp_path / "pictures" / "notes.png").write_text("no picture", encoding="utf-8")
    return source


def test_each_row_tells_the_answer_of_its_patient(cells: Cells, tmp_path: Path) -> None:
    source = cells.write(tmp_path, cells.table)
    done = predict_file(cells.model, source, tmp_path / "answers.parquet")
    answers = pl.read_parquet(tmp_path / "answers.parquet")
    assert done.rows == answers.height == 40 * PICTURES
    assert answers.columns[:4] == ["row", "scan", "mrn", "condition"]
    assert tuple(answers.columns[-3:]) == ("reasons", *PATIENT_COLUMNS)
    assert answers["row"].to_list() == list(range(1, answers.height + 1))
    shares = [f"p_{name}" for name in cells.model.classes]
    for _, rows in answers.group_by("mrn"):
        assert rows.height == PICTURES
        mean = rows.select(shares).mean().row(0)
        answer = int(cells.model.decision.answers(np.array([mean]))[0])
        assert rows["patient_condition"].to_list() == [cells.model.classes[answer]] * PICTURES
        assert rows["patient_probability"].to_list() == pytest.approx([mean[answer]] * PICTURES)
    truth = cells.table["kind"]
    assert (answers["patient_condition"] == truth).mean() >= (answers["condition"] == truth).mean()


def test_rows_of_a_patient_need_not_stand_together(cells: Cells, tmp_path: Path) -> None:
    shuffled = cells.table.sample(fraction=1, shuffle=True, seed=3)
    source = cells.write(tmp_path, shuffled)
    predict_file(cells.model, source, tmp_path / "mixed.parquet")
    cells.table.write_csv(tmp_path / "sorted.csv")
    predict_file(cells.model, tmp_path / "sorted.csv", tmp_path / "sorted.parquet")
    mixed = pl.read_parquet(tmp_path / "mixed.parquet").join(
        pl.read_parquet(tmp_path / "sorted.parquet"), on="scan", maintain_order="left"
    )
    assert mixed["scan"].to_list() == shuffled["scan"].to_list()
    assert mixed["patient_condition"].equals(mixed["patient_condition_right"])
    assert mixed["patient_probability"].to_list() == pytest.approx(
        mixed["patient_probability_right"].to_list()
    )


def test_a_row_of_a_faulty_file_is_answered_and_told(cells: Cells, broken: Path) -> None:
    output = broken.with_name("answers.csv")
    done = predict_file(cells.model, broken, output)
    answers = read_table(output)
    assert answers.height == 12
    faults = {1: "missing_file", 2: "truncated", 3: "empty_file", 4: "wrong_type"}
    for row, rule in faults.items():
        assert f"{rule}:picture" in answers["reasons"][row].split("|")
        assert answers["needs_review"][row] == "true"
        assert answers["condition"][row] in cells.model.classes
    assert "_file" not in answers["reasons"][7]
    review = read_table(broken.with_name("answers.review.csv"))
    assert (done.review, done.flagged) == (broken.with_name("answers.review.csv"), review.height)
    told = review.filter(pl.col("row").is_in([str(row + 1) for row in faults]))
    assert told["picture"].to_list() == ["absent.png", "2.png", "3.png", "notes.png"]
    assert told["scan"].to_list() == ["S1", "S2", "S3", "S4"]
    # patients that are not named are not one patient
    assert answers["patient_probability"][10] == answers["probability"][10]
    assert answers["patient_probability"][11] == answers["probability"][11]


def test_answers_do_not_depend_on_how_many_files_memory_holds(
    cells: Cells, broken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = [broken.with_name(f"{name}.parquet") for name in ("whole", "parts")]
    predict_file(cells.model, broken, outputs[0])
    figures = evaluate_file(cells.model, broken)
    monkeypatch.setattr(gathering, "PART", 1)
    predict_file(cells.model, broken, outputs[1])
    whole, parts = map(pl.read_parquet, outputs)
    told = ["row", "condition", "reasons", "patient_condition"]
    assert parts.select(told).equals(whole.select(told))
    assert parts["probability"].to_list() == pytest.approx(whole["probability"].to_list(), abs=1e-6)
    apart = evaluate_file(cells.model, broken)
    assert (apart["confusion"], apart["faults"]) == (figures["confusion"], figures["faults"])


def test_names_of_files_hold_no_files(cells: Cells) -> None:
    raw = pl.DataFrame({"picture": ["a.png", None, f"DATA:image/png;base64,{'A' * 100_000}"]})
    names = identify(cells.model, raw, 0, pl.DataFrame({"condition": ["lying"] * 3})).files["picture"]
    assert names.to_list() == ["a.png", None, None]
    assert names.to_arrow().get_total_buffer_size() < 1000


def test_the_review_holds_what_is_not_sure_and_nothing_else(
    cells: Cells, broken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "MEDIA_BATCH", 5)
    source = cells.folder / "cells.csv"
    output = broken.with_name("answers.parquet")
    predict_file(cells.model, source, output, review=broken.with_name("look.csv"))
    answers, review = pl.read_parquet(output), read_table(broken.with_name("look.csv"))
    head = ["row", "scan", "mrn", "picture", "condition", "probability", *PATIENT_COLUMNS, "reasons"]
    assert review.columns == head
    low = answers["probability"] < 0.9
    shaky = answers["patient_probability"] < 0.9
    assert 0 < low.sum() < answers.height
    assert 0 < (~low & shaky).sum() < answers.height
    assert review["row"].cast(pl.Int64).to_list() == answers.filter(low | shaky)["row"].to_list()
    reasons = review["reasons"].str.split("|")
    assert reasons.list.contains("low_confidence").to_list() == low.filter(low | shaky).to_list()
    assert reasons.list.contains(PATIENT_REASON).to_list() == shaky.filter(low | shaky).to_list()
    assert (reasons.list.contains("") | (reasons.list.len() == 0)).sum() == 0
    again = broken.with_name("again.csv")
    predict_file(cells.model, source, broken.with_name("again.parquet"), review=again)
    assert again.read_bytes() == broken.with_name("look.csv").read_bytes()


def test_where_all_is_sure_the_review_is_a_header(cells: Cells, tmp_path: Path) -> None:
    sure = load(cells.package, threads=1)
    sure.study = sure.study.model_copy(
        update={"evaluation": sure.study.evaluation.model_copy(update={"review_below": 0.0})}
    )
    done = predict_file(sure, cells.write(tmp_path, cells.table.head(6)), tmp_path / "answers.csv")
    assert done.flagged == 0
    assert len((tmp_path / "answers.review.csv").read_text(encoding="utf-8").splitlines()) == 1


def test_pictures_in_the_rows_are_answered_alike_and_have_no_name(cells: Cells, tmp_path: Path) -> None:
    frame = cells.table.head(9)
    source = cells.write(tmp_path, frame)
    files = [(tmp_path / "pictures" / name).read_bytes() for name in frame["picture"]]
    urls = [f"data:image/png;base64,{base64.b64encode(file).decode()}" for file in files]
    frame.with_columns(picture=pl.Series(files, dtype=pl.Binary)).write_parquet(tmp_path / "bytes.parquet")
    frame.with_columns(picture=pl.Series(urls)).write_csv(tmp_path / "urls.csv")
    for name in ("new.csv", "bytes.parquet", "urls.csv"):
        predict_file(cells.model, tmp_path / name, tmp_path / f"{name}.answers.csv")
    expected = (tmp_path / "new.csv.answers.csv").read_bytes()
    named = read_table(tmp_path / "new.csv.answers.review.csv")
    assert named.height > 0
    assert set(named["picture"]) <= set(frame["picture"])
    for name in ("bytes.parquet", "urls.csv"):
        assert (tmp_path / f"{name}.answers.csv").read_bytes() == expected
        review = read_table(tmp_path / f"{name}.answers.review.csv")
        assert review.drop("picture").equals(named.drop("picture"))
        assert set(review["picture"]) == {""}
    assert source.exists()


def test_json_lines_may_leave_the_patient_out(
    cells: Cells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "MEDIA_BATCH", 2)
    rows = cells.table.head(6).drop("kind").to_dicts()
    lines = [
        json.dumps({key: row[key] for key in row if key != "mrn" or at > 2}) for at, row in enumerate(rows)
    ]
    shutil.copytree(cells.folder / "pictures", tmp_path / "pictures")
    (tmp_path / "new.jsonl").write_text("\n".join(lines), encoding="utf-8")
    predict_file(cells.model, tmp_path / "new.jsonl", tmp_path / "answers.parquet")
    answers = pl.read_parquet(tmp_path / "answers.parquet")
    assert answers["mrn"].to_list() == [None, None, None, "P1", "P1", "P1"]
    assert answers["patient_probability"][:3].to_list() == pytest.approx(answers["probability"][:3].to_list())
    assert answers["patient_probability"][3:].n_unique() == 1
    without = cells.table.head(6).drop("mrn", "kind")
    without.write_csv(tmp_path / "nobody.csv")
    predict_file(cells.model, tmp_path / "nobody.csv", tmp_path / "nobody.parquet")
    assert not set(PATIENT_COLUMNS) & set(pl.read_parquet_schema(tmp_path / "nobody.parquet"))


def test_rows_in_a_row_without_a_target_are_counted(
    cells: Cells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "MEDIA_BATCH", 2)
    rows = cells.table.head(6).to_dicts()
    shutil.copytree(cells.folder / "pictures", tmp_path / "pictures")
    for name, without in (("first", {0, 1, 2}), ("last", {2, 3, 4, 5}), ("all", set(range(6)))):
        kept = [
            {key: row[key] for key in row if key != "kind" or at not in without}
            for at, row in enumerate(rows)
        ]
        (tmp_path / f"{name}.JSONL").write_text("\n".join(map(json.dumps, kept)), encoding="utf-8")
    for name, unlabelled in (("first", 3), ("last", 4)):
        found = evaluate_file(cells.model, tmp_path / f"{name}.JSONL")
        assert (found["n"], found["unlabelled"]) == (6 - unlabelled, unlabelled)
    with pytest.raises(SourceError, match="no column 'kind', the target"):
        evaluate_file(cells.model, tmp_path / "all.JSONL")


def test_a_row_without_a_patient_is_of_its_record(cells: Cells, tmp_path: Path) -> None:
    frame = cells.table.head(6).with_columns(
        mrn=pl.Series(["P1", "P1", "?", "?", None, None]), scan=pl.Series(["S1", "S2", "S3", "S3", "P1", "?"])
    )
    study, contract = cells.model.study, cells.model.contract
    found = patients_of(study, frame, np.arange(6))
    known = found[:5]
    admitted = contract.patients(frame)[:5].to_numpy()
    assert (known[:, None] == known).tolist() == (admitted[:, None] == admitted).tolist()
    assert np.unique(found, return_index=True)[1].tolist() == [0, 2, 5]
    # several rows of a record are one patient's, also where the file names no patients
    cells.write(tmp_path, frame.drop("mrn", "kind"))
    predict_file(cells.model, tmp_path / "new.csv", tmp_path / "answers.parquet")
    answers = pl.read_parquet(tmp_path / "answers.parquet")
    assert answers["patient_probability"][2] == answers["patient_probability"][3]
    assert answers["patient_probability"][0] == answers["probability"][0]


def test_both_outputs_appear_or_none(cells: Cells, broken: Path) -> None:
    before = set(broken.parent.iterdir())
    for review, says in (("absent/a.csv", "no such folder"), ("a.txt", "ending"), ("b.csv", "one file")):
        with pytest.raises(OutputError, match=says):
            predict_file(
                cells.model, broken, broken.with_name("b.csv"), review=broken.parent.joinpath(review)
            )
    assert set(broken.parent.iterdir()) == before


def test_evaluation_is_by_recording_and_by_patient(cells: Cells, broken: Path) -> None:
    found = evaluate_file(cells.model, broken)
    assert found["faults"] == {
        f"{rule}:picture": 1 for rule in ("empty_file", "missing_file", "truncated", "wrong_type")
    }
    assert (found["n"], found["per_patient"]["n"]) == (12, 6)
    assert found["pooling"] == {"rows_per_patient": 2.0, "several": 3, "mixed": 0}
    predict_file(cells.model, broken, broken.with_name("answers.parquet"))
    answers = pl.read_parquet(broken.with_name("answers.parquet"))
    truth = read_table(broken)["kind"]
    assert found["accuracy"] == pytest.approx((answers["condition"] == truth).mean())
    patients = answers.with_columns(right=answers["patient_condition"] == truth)
    who = pl.when(pl.col("mrn") == "?").then(pl.col("scan")).otherwise("mrn")
    assert found["per_patient"]["accuracy"] == pytest.approx(
        patients.group_by(who.alias("who")).agg(pl.col("right").first())["right"].mean()
    )


def test_the_commands_say_what_people_need(cells: Cells, broken: Path) -> None:
    pictures = broken.parent / "elsewhere"
    (broken.parent / "pictures").rename(pictures)
    line = [cells.package, "--input", broken, "--output", broken.with_name("answers.csv")]
    shown = galeno("predict", *line, "--files", pictures).ended(0)
    review = read_table(broken.with_name("answers.review.csv"))
    assert f"{review.height} of 12 records to review: {broken.with_name('answers.review.csv')}\n" in shown.err
    assert shown.err.endswith(f"12 records diagnosed: {broken.with_name('answers.csv')}\n")
    shown = galeno("evaluate", cells.package, "--input", broken, "--files", pictures).ended(0)
    lines = [line.split() for line in shown.out.splitlines()]
    assert lines[0] == ["figure", "per", "record", "per", "patient"]
    assert lines[1] == ["n", "12", "6"]
    assert ["class,", "per", "patient"] in [words[:3] for words in lines]
    assert "1 files could not be used (truncated:picture)" in shown.err


@pytest.mark.parametrize(
    ("output", "review"),
    [
        ("a.csv", "a.review.csv"),
        ("a.b.parquet", "a.b.review.parquet"),
        ("a.csv.gz", "a.review.csv.gz"),
        ("a.JSONL.GZ", "a.review.JSONL.GZ"),
    ],
)
def test_the_review_stands_beside_the_output(output: str, review: str) -> None:
    assert review_beside(Path("/x") / output) == Path("/x") / review
