"""A study drafted from a table."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from galeno.errors import StudyError
from galeno.ingest.contract import Contract
from galeno.ingest.draft import NETWORK_MINUTES, draft, draft_study
from galeno.ingest.source import read_source
from galeno.study import Study
from galeno.study_file import dump_study, load_study

N = 100
TABLE = pl.DataFrame(
    {
        "patient_id": [f"p{i // 2}" for i in range(N)],
        "visit_id": list(range(N)),
        "visit_date": [f"2024-01-{1 + i % 28:02d}" for i in range(N)],
        "hospital": ["north", "south"] * 50,
        "surname": [f"s{i}" for i in range(N)],
        "sex": ["F", "M", "F", "?"] * 25,
        "age": list(range(N)),
        "constant": ["x"] * N,
        "empty": [""] * N,
        "_index": list(range(N)),
        "illness": ["no"] * 60 + ["yes"] * 37 + ["maybe"] * 2 + [""],
    }
)


def test_roles_columns_and_classes() -> None:
    study = draft_study(TABLE, name="s", source="x.csv", target="illness")
    roles = study.records
    assert (roles.patient, roles.record, roles.time, roles.site) == (
        "patient_id",
        "visit_id",
        "visit_date",
        "hospital",
    )
    assert {name: column.type for name, column in study.columns.items()} == {
        "sex": "category",
        "age": "number",
    }
    assert [(c.name, c.rare) for c in study.classes] == [("no", False), ("yes", False), ("maybe", True)]
    assert study.evaluation.groups == ("sex", "age")
    assert not study.simulated


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("ilness", "Did you mean 'illness'?"),
        ("zzz", "Known: patient_id"),
        ("constant", "has one value"),
        ("empty", "has no value"),
        ("visit_id", "looks like a number"),
        ("surname", "looks like an identifier"),
    ],
)
def test_targets_that_are_none(target: str, message: str) -> None:
    with pytest.raises(StudyError) as caught:
        draft_study(TABLE, name="s", source="x.csv", target=target)
    assert message in str(caught.value)


def test_a_table_of_identifiers_is_of_no_use() -> None:
    with pytest.raises(StudyError, match="of use"):
        draft_study(TABLE.select("patient_id", "illness"), name="s", source="x", target="illness")


def test_the_cohort_is_marked_as_simulated_and_its_codes_are_found() -> None:
    source = "cohort:severity?n=800"
    study = draft_study(read_source(source), name="s", source=source, target="condition")
    assert study.simulated
    assert {"-", "ND"} <= set(study.records.missing)
    assert not {"-", "ND"} & set(study.class_names)


REAL = [
    ("thyroid/dev.csv.gz", "condition", 9, {"number": 7, "flag": 20, "category": 3}),
    ("symptom_texts/dev.csv.gz", "label", 24, {"text": 1}),
    ("symptom_checklist/dev.csv.gz", "diseases", 15, {"flag": 75}),
    ("diabetes_readmission/dev.parquet", "readmitted", 3, {"category": 34, "number": 8, "flag": 1}),
    ("tables/arrhythmia.csv.gz", "class", 13, None),
    ("tables/audiology.csv.gz", "class", 24, None),
    ("tables/dermatology.csv.gz", "class", 6, None),
    ("tables/heart_cleveland.csv.gz", "num", 2, {"number": 6, "category": 5, "flag": 2}),
    ("tables/lymphography.csv.gz", "class", 4, None),
    ("tables/primary_tumor.csv.gz", "class", None, None),
    ("tables/cardiotocography.csv.gz", "NSP", 3, {"number": 21}),
    ("tables/stroke.csv.gz", "stroke", 2, {"category": 4, "number": 3, "flag": 3}),
]


@pytest.mark.parametrize(("file", "target", "classes", "types"), REAL)
def test_drafts_of_real_records_say_what_is_there(
    real_data: Path, file: str, target: str, classes: int | None, types: dict[str, int] | None
) -> None:
    study = draft_study(read_source(str(real_data / file)), name="s", source=file, target=target)
    assert classes is None or len(study.classes) == classes
    assert types is None or count_types(study) == types
    assert study.records.drop == (("diagnosis",) if "thyroid" in file else ())


@pytest.mark.parametrize(("file", "target"), [case[:2] for case in REAL])
def test_drafts_of_real_records_admit_them(real_data: Path, tmp_path: Path, file: str, target: str) -> None:
    frame = read_source(str(real_data / file))
    study = draft_study(frame, name="s", source=str(real_data / file), target=target)
    (tmp_path / "study.yaml").write_text(dump_study(study), encoding="utf-8")
    assert load_study(tmp_path / "study.yaml") == study
    report = Contract(study).admit(frame, file).report
    assert report.good == frame.height
    faulty = sum(v.count for v in report.violations if v.check in ("type", "range", "category"))
    assert faulty <= 0.0005 * frame.height * len(study.columns)


def count_types(study: Study) -> dict[str, int]:
    kinds = [column.type for column in study.columns.values()]
    return {kind: kinds.count(kind) for kind in kinds}


def test_hospital_stays(real_data: Path) -> None:
    path = str(real_data / "diabetes_readmission" / "dev.parquet")
    study = draft_study(read_source(path), name="s", source=path, target="readmitted")
    assert (study.records.patient, study.records.record) == ("patient_nbr", "encounter_id")
    assert study.class_names == ("NO", ">30", "<30")
    assert study.evaluation.groups == ("race", "gender", "age")
    assert study.columns["discharge_disposition_id"].type == "category"
    assert study.columns["diag_1"].options == ()


@pytest.mark.parametrize(("patients", "train", "folds"), [(120, 0.8, 10), (499, 0.8, 10), (500, 0.7, 5)])
def test_few_patients_teach_more(patients: int, train: float, folds: int) -> None:
    frame = pl.DataFrame(
        {
            "age": [str(20 + i % 60) for i in range(patients)],
            "condition": ["ill", "well"] * (patients // 2) + ["ill"] * (patients % 2),
        }
    )
    study = draft_study(frame, name="few", source="few.csv", target="condition")
    assert (study.split.train, study.split.folds) == (train, folds)


RECORDINGS = pl.DataFrame(
    {
        "patient_id": [f"p{i // 3}" for i in range(N)],
        "recording_id": [f"r{i}" for i in range(N)],
        "file": [f"p{i // 3}_{i % 3}.wav" for i in range(N)],
        "filename": [f"old/p{i // 3}_{i % 3}.wav" for i in range(N)],
        "filter": ["bell", "diaphragm", "extended", "bell"] * 25,
        "device": [f"d{i // 3 % 2}" for i in range(N)],
        "age": [20 + i // 3 for i in range(N)],
        "sample_rate": ["4000"] * 90 + ["44100"] * 10,
        "empty": [None] * N,
        "condition": ["normal" if i // 3 % 3 else "ill" for i in range(N)],
    }
)


def test_recordings_of_few_patients() -> None:
    drafted = draft(RECORDINGS, name="s", source="x.csv", target="condition")
    study = drafted.study
    assert {name: column.type for name, column in study.columns.items()} == {
        "file": "sound",
        "filter": "category",
        "device": "category",
        "age": "number",
    }
    assert (study.records.patient, study.records.record) == ("patient_id", "recording_id")
    assert list(drafted.left_out) == ["filename", "sample_rate", "empty"]
    assert drafted.devices == ("device",), "each patient was heard through all filters, but with one device"
    assert (drafted.rows, drafted.patients) == (N, 34)
    assert study.evaluation.review_below == 0.7
    assert study.gate.bounds["accuracy"].min == 0.66


def test_a_table_keeps_what_would_tell_of_files() -> None:
    drafted = draft(RECORDINGS.drop("file", "filename"), name="s", source="x.csv", target="condition")
    assert "sample_rate" in drafted.study.columns
    assert drafted.devices == ()
    assert drafted.study.evaluation.review_below == 0.5
    assert drafted.study.gate.bounds["accuracy"].min == 0.7


def test_files_are_no_identifiers_and_no_record_ids() -> None:
    frame = RECORDINGS.select("patient_id", "condition", record_file="file")
    study = draft_study(frame, name="s", source="x.csv", target="condition")
    assert study.records.record is None
    assert {name: column.type for name, column in study.columns.items()} == {"record_file": "sound"}


@pytest.mark.parametrize(("side", "size"), [(20, 28), (28, 28), (29, 32), (40, 48), (64, 64), (200, 64)])
def test_images_keep_their_size(tmp_path: Path, side: int, size: int) -> None:
    rng = np.random.default_rng(1)
    arrays = {
        f"{part}_{what}": rng.integers(0, 255, (20, side, side - 3), dtype=np.uint8)
        if what == "images"
        else np.arange(20).reshape(20, 1) % 2
        for part in ("train", "val")
        for what in ("images", "labels")
    }
    np.savez(tmp_path / "scans.npz", **arrays)
    frame = read_source(str(tmp_path / "scans.npz"))
    drafted = draft(frame, name="s", source=str(tmp_path / "scans.npz"), target="label")
    assert {name: column.type for name, column in drafted.study.columns.items()} == {"image": "image"}
    assert sorted(drafted.study.class_names) == ["0", "1"]
    assert list(drafted.left_out) == ["part"]
    assert drafted.study.features.image.size == size


FILMS = pl.DataFrame(
    {
        "patient_id": [f"p{i // 2}" for i in range(N)],
        "film": ["none.png" if i // 2 % 3 == 0 else f"f{i}.png" for i in range(N)],
        "logo": ["logo.png"] * 90 + ["?"] * 10,
        "age": [20 + i // 3 for i in range(N)],
        "condition": ["normal" if i // 2 % 3 else "ill" for i in range(N)],
    }
)


def test_one_file_for_all_is_left_out_and_for_many_is_told() -> None:
    drafted = draft(FILMS, name="s", source="x.csv", target="condition")
    assert [found.column for found in drafted.attachments] == ["film"]
    assert drafted.left_out == {"logo": "names the same file wherever it names one"}
    assert set(drafted.study.columns) == {"film", "age"}
    assert drafted.shared == {"film": 17}, "of 50 patients"
    rows = draft(FILMS.drop("patient_id"), name="s", source="x.csv", target="condition")
    assert rows.shared == {"film": 34}, "each row is a patient"
    few = FILMS.with_columns(film=pl.Series([f"f{max(i, 5)}.png" for i in range(N)]))
    assert draft(few, name="s", source="x.csv", target="condition").shared == {}
    cells = pl.Series([b"\x89PNG\r\n\x1a\n" + bytes([i // 40]) for i in range(N)])
    held = FILMS.with_columns(film=cells, logo=cells.gather([0] * N))
    drafted = draft(held, name="s", source="x.parquet", target="condition")
    assert list(drafted.left_out) == ["logo"]
    assert drafted.shared == {"film": 20}


@pytest.mark.parametrize(
    ("patients", "pictured", "network"), [(1000, 1000, True), (999, 999, False), (1500, 999, False)]
)
def test_a_network_needs_many_patients_with_images(patients: int, pictured: int, network: bool) -> None:
    rows = range(2 * patients)
    frame = pl.DataFrame(
        {
            "patient_id": [f"p{i // 2}" for i in rows],
            "film": [f"{i}.png" if i // 2 < pictured else "" for i in rows],
            "condition": ["ill" if i // 2 % 2 else "well" for i in rows],
        }
    )
    study = draft_study(frame, name="s", source="x.csv", target="condition")
    assert (study.split.folds, study.learning.budget.minutes == NETWORK_MINUTES) == (
        (3, True) if network else (5, False)
    )


def test_leaks_are_declared_and_dropped() -> None:
    words = {"normal": "N", "ill": "sick"}
    frame = RECORDINGS.with_columns(condition_text=pl.col("condition").replace_strict(words))
    study = draft_study(frame, name="s", source="x.csv", target="condition")
    assert study.records.drop == ("condition_text",)
    assert study.columns["condition_text"].type == "category"
    alone = draft(frame.select("condition_text", "condition"), name="s", source="x.csv", target="condition")
    assert (alone.study.records.drop, len(alone.leaks)) == ((), 1)


def test_a_column_of_terms_is_no_identifier() -> None:
    terms = [f"HP:{1250 + i:07};HP:0001250" for i in range(N)]
    study = draft_study(
        TABLE.with_columns(hpo_id=pl.Series(terms)), name="s", source="x.csv", target="illness"
    )
    assert study.columns["hpo_id"].type == "terms"
    assert study.records.record == "visit_id"
