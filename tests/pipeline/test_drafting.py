"""`galeno init`: the file it writes and what it says."""

import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile
from clinic import open_clinic

from galeno.errors import OutputError, StudyError
from galeno.pipeline.drafting import draft_file
from galeno.study_file import load_study


def test_the_draft_can_be_run(tmp_path: Path) -> None:
    open_clinic(tmp_path)
    output = tmp_path / "Heart Study.yaml"
    notes = draft_file(str(tmp_path / "clinic.csv"), "condition", output)
    study = load_study(output)
    assert study.name == "heart_study"
    assert study.records.source == str(tmp_path / "clinic.csv")
    assert (study.records.patient, study.records.record) == ("mrn", "visit")
    assert {name: column.type for name, column in study.columns.items()} == {
        "age": "number",
        "sex": "category",
        "lactate": "number",
        "note": "text",
    } or study.columns["note"].type == "category"
    assert "3 classes, 1 of them rare; patient: mrn" in notes[0]
    assert "records.drop" in notes[-1]


def test_a_bundled_set_keeps_its_name(tmp_path: Path) -> None:
    draft_file("sklearn:iris", "target", tmp_path / "iris.yaml")
    assert load_study(tmp_path / "iris.yaml").records.source == "sklearn:iris"


def test_a_study_file_is_not_overwritten_unless_asked(tmp_path: Path) -> None:
    output = tmp_path / "iris.yaml"
    output.write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match=r"there already.*--force"):
        draft_file("sklearn:iris", "target", output)
    assert output.read_text(encoding="utf-8") == "mine"
    draft_file("sklearn:iris", "target", output, force=True)
    assert load_study(output).name == "iris"


def test_places_that_cannot_be_are_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no such folder"):
        draft_file("sklearn:iris", "target", tmp_path / "absent" / "iris.yaml")
    with pytest.raises(StudyError, match="needs a letter or digit"):
        draft_file("sklearn:iris", "target", tmp_path / "___.yaml")
    assert list(tmp_path.iterdir()) == []


def write_recordings(folder: Path, *, files: bool = True) -> Path:
    """A table of sounds, three a patient, and the sounds in a folder beside it."""
    (folder / "recordings").mkdir()
    names = [f"p{i // 3}_{i % 3}.wav" for i in range(90)]
    for name in names[: 90 * files]:
        soundfile.write(folder / "recordings" / name, np.sin(np.arange(2400) / 7) / 2, 4000)
    labels = [("normal", "asthma", "normal", "copd")[i // 3 % 4] for i in range(90)]
    table = pl.DataFrame(
        {
            "patient_id": [f"p{i // 3}" for i in range(90)],
            "file": names,
            "stethoscope": [f"s{i // 3 % 2}" for i in range(90)],
            "heard": ["N" if label == "normal" else f"{label[0]}{i % 2}" for i, label in enumerate(labels)],
            "age": [30 + i // 3 % 17 for i in range(90)],
            "seconds": ["0.6"] * 90,
            "condition": labels,
        }
    )
    table.write_csv(folder / "recordings.csv")
    return folder / "recordings.csv"


def test_sounds_are_seen_and_explained(tmp_path: Path) -> None:
    notes = draft_file(str(write_recordings(tmp_path)), "condition", tmp_path / "s.yaml")
    study = load_study(tmp_path / "s.yaml")
    assert (study.columns["file"].type, study.records.patient) == ("sound", "patient_id")
    assert study.records.drop == ("heard",)
    told = "\n".join(notes)
    for words in [
        "file: taken as sounds, and the files are there",
        "patient_id groups 90 rows into 30 patients",
        "heard: ",
        "take it out of there if it is known before",
        "stethoscope: tells what a patient was recorded with",
        "Left out: seconds (tells of the file",
        "below 0.5 asks for review",
        "30 patients are few: the gate asks for an accuracy of 0.5,",
    ]:
        assert words in told


def test_a_file_of_many_patients_is_told(tmp_path: Path) -> None:
    frame = pl.read_csv(write_recordings(tmp_path), infer_schema=False)
    same = pl.Series([name if at % 9 else "p0_0.wav" for at, name in enumerate(frame["file"])])
    logo = pl.lit("p0_0.wav").alias("logo")
    frame.with_columns(logo, file=same).write_csv(tmp_path / "recordings.csv")
    told = "\n".join(draft_file(str(tmp_path / "recordings.csv"), "condition", tmp_path / "s.yaml"))
    assert "file: 10 of 30 patients name the same file" in told
    assert "Left out: logo (names the same file wherever it names one)" in told
    assert "logo" not in load_study(tmp_path / "s.yaml").columns


def test_sounds_that_are_not_there_are_told(tmp_path: Path) -> None:
    notes = draft_file(str(write_recordings(tmp_path, files=False)), "condition", tmp_path / "s.yaml")
    assert load_study(tmp_path / "s.yaml").columns["file"].type == "sound"
    (note,) = [note for note in notes if note.startswith("file: ")]
    assert "none of 20" in note
    assert "records.files" in note


def test_a_value_that_stands_for_the_healthy_is_named(tmp_path: Path) -> None:
    frame = pl.read_csv(write_recordings(tmp_path), infer_schema=False)
    heard = [value if value == "N" else f"w{i % 2}" for i, value in enumerate(frame["heard"])]
    frame.with_columns(heard=pl.Series(heard)).write_csv(tmp_path / "recordings.csv")
    notes = draft_file(str(tmp_path / "recordings.csv"), "condition", tmp_path / "s.yaml")
    (note,) = [note for note in notes if note.startswith("heard: ")]
    assert "its value N goes with normal, and hardly with anything else" in note


@pytest.mark.parametrize(
    ("file", "target", "kind"),
    [("lungs/recordings.csv", "condition", "sound"), ("chest_xray/dev.npz", "label", "image")],
)
def test_real_sounds_and_images(real_data: Path, tmp_path: Path, file: str, target: str, kind: str) -> None:
    start = time.process_time()
    notes = draft_file(str(real_data / file), target, tmp_path / "s.yaml")
    assert time.process_time() - start < 3
    study = load_study(tmp_path / "s.yaml")
    assert [column.type for column in study.columns.values()].count(kind) == 1  # type: ignore[arg-type]
    assert not any("records.files" in note for note in notes)
    assert study.features.image.size == 28
    if kind == "sound":
        assert study.records.patient == "patient_id"
        assert set(study.features_columns) == {"file", "stethoscope_filter", "chest_zone", "age", "sex"}
