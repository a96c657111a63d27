"""`galeno init`: the file it writes and what it says."""

from pathlib import Path

import pytest
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
    assert "records.drop" in notes[1]


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
