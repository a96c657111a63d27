"""What is in a package, and what is not."""

import json
import shutil
from pathlib import Path

import pytest
from clinic import CANARY

from galeno.errors import GalenoError, NotFoundError
from galeno.pipeline.packaging import copy_folder, find_report
from galeno.pipeline.runner import RunResult
from galeno.storage.home import Home
from galeno.storage.packages import read_manifest
from galeno.storage.runs import RunFolder
from galeno.study import Study

IDENTITY = {
    "study.json",
    "features.json",
    "features.npz",
    "model.json",
    "reference.json",
    "evidence.json",
}
BESIDE = {"card.md", "evaluation.json", "provenance.json"}


def test_a_package_holds_graphs_json_arrays_and_a_card(done: RunResult) -> None:
    files = read_manifest(Path(done.package)).files
    assert IDENTITY | BESIDE | {"members/0.onnx"} <= set(files)
    assert {Path(name).suffix for name in files} <= {".json", ".npz", ".md", ".onnx", ".ubj", ".txt"}


def test_times_and_places_are_not_part_of_the_hash(done: RunResult) -> None:
    manifest = read_manifest(Path(done.package))
    outside = {name for name, entry in manifest.files.items() if not entry.identity}
    assert outside == BESIDE
    assert set(manifest.files) >= IDENTITY


def test_provenance_tells_where_it_comes_from(done: RunResult) -> None:
    told = json.loads((Path(done.package) / "provenance.json").read_text(encoding="utf-8"))
    assert (told["run"], told["source"], told["lake"]["version"]) == (done.run, "clinic.csv", 0)
    assert told["libraries"]["galeno"]


def test_no_value_of_a_single_patient_leaves_the_records(done: RunResult, clinic_home: Path) -> None:
    places = [
        *Path(done.package).rglob("*"),
        Path(done.report),
        *(clinic_home / "runs" / done.run / "steps").iterdir(),
    ]
    for path in places:
        if path.is_file():
            assert CANARY.lower().encode() not in path.read_bytes().lower(), path


def test_no_path_of_this_machine_is_in_the_package(done: RunResult, clinic: Study) -> None:
    folder = str(Path(str(clinic.records.source)).parent)
    for path in Path(done.package).rglob("*.*"):
        assert folder.encode() not in path.read_bytes(), path


def test_a_copy_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "inner").mkdir(parents=True)
    (source / "inner" / "file").write_text("content", encoding="utf-8")
    copy_folder(source, tmp_path / "packages" / "copy")
    assert (tmp_path / "packages" / "copy" / "inner" / "file").read_text(encoding="utf-8") == "content"
    shutil.rmtree(source)
    with pytest.raises(OSError, match="No such file"):
        copy_folder(source, tmp_path / "packages" / "other")
    assert [path.name for path in (tmp_path / "packages").iterdir()] == ["copy"]


def test_a_report_is_found_by_its_run_or_its_model(
    done: RunResult, clinic_home: Path, tmp_path: Path
) -> None:
    home = Home(clinic_home)
    for name in (done.run, "clinic", "clinic@1", "clinic@champion"):
        assert find_report(name, home) == Path(done.report)
    for name in ("nothing", "clinic@9", "..", ""):
        with pytest.raises(GalenoError, match=r"no|unknown"):
            find_report(name, home)
    empty = RunFolder.create(tmp_path / "runs", "clinic-0", {})
    with pytest.raises(NotFoundError, match="no report"):
        find_report(empty.name, Home(tmp_path))
