"""Recordings that a table names, and images in arrays, go from `galeno init` to answers without an edit."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile
from command_line import galeno

from galeno.errors import MissingExtraError
from galeno.model.model import Model
from galeno.pipeline.runner import run_study, settle_networks
from galeno.storage.contents import Contents
from galeno.storage.lake import Lake
from galeno.study_file import load_study

SETS = (
    "learning.budget.trials=2",
    "learning.families=[logistic]",
    "evaluation.bootstrap=20",
    "gate.accuracy=0",
)
FEW = [word for one in SETS for word in ("--set", one)]
CONDITIONS = {"wheeze": 650, "hum": 180, "silence_between": 0}


def write_recordings(folder: Path, patients: range, seed: int) -> Path:
    """A table of two recordings a patient with a tone of the patient's condition; the first two are bad."""
    (folder / "recordings").mkdir(parents=True)
    rng = np.random.default_rng(seed)
    rows = []
    for patient in patients:
        condition = list(CONDITIONS)[patient % 3]
        for place in ("left", "right"):
            times = np.arange(4000) / 4000
            wave = 0.05 * rng.normal(size=4000)
            wave += 0.3 * np.sin(2 * np.pi * CONDITIONS[condition] * (1 + 0.05 * rng.normal()) * times)
            name = f"p{patient}_{place}.wav"
            soundfile.write(folder / "recordings" / name, wave.clip(-1, 1), 4000)
            rows.append((f"p{patient}", name, place, int(rng.integers(20, 80)), condition))
    frame = pl.DataFrame(rows, schema=["patient_id", "file", "side", "age", "condition"], orient="row")
    (folder / "recordings" / rows[0][1]).write_bytes(b"")
    (folder / "recordings" / rows[1][1]).unlink()
    frame.write_csv(folder / "recordings.csv")
    return folder / "recordings.csv"


@pytest.fixture(scope="module")
def home(make_home: Callable[[], Path]) -> Path:
    """A home with the model of the recordings."""
    return make_home()


@pytest.fixture(scope="module")
def run(home: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The run, as `--json` tells it."""
    folder = tmp_path_factory.mktemp("recordings")
    table = write_recordings(folder, range(60), 3)
    study = folder / "breaths.yaml"
    galeno("init", "--from", table, "--target", "condition", "-o", study).ended(0)
    drafted = load_study(study)
    assert drafted.columns["file"].type == "sound"
    assert drafted.records.patient == "patient_id"
    return dict(galeno("run", study, "--home", home, "--json", *FEW).ended(0).object)


def test_bad_files_are_named_with_their_rule(run: dict[str, object], home: Path) -> None:
    folder = home / "runs" / str(run["run"]) / "ingest"
    faulty = json.loads((folder / "files.json").read_text())
    assert [(one["file"], one["rule"]) for one in faulty] == [
        ("p0_left.wav", "empty_file"),
        ("p0_right.wav", "missing_file"),
    ]
    quarantine = pl.read_parquet(folder / "quarantine.parquet")
    assert quarantine["file"].to_list() == ["p0_left.wav", "p0_right.wav"]
    assert quarantine["_rules"].to_list() == [["empty_file:file"], ["missing_file:file"]]


def test_files_are_in_the_lake_once_and_by_digest(run: dict[str, object], home: Path) -> None:
    ingested = json.loads((home / "runs" / str(run["run"]) / "steps" / "ingest.json").read_text())
    rows = Lake(home / "lake").read(ingested["table"], ingested["version"])
    contents = dict(Contents(Lake(home / "lake")).read(rows["file"].to_list()))
    assert len(contents) == rows.height == 118
    assert all(content.startswith(b"fLaC") for content in contents.values())


def test_the_report_is_found_by_run_and_by_study(run: dict[str, object], home: Path) -> None:
    for name in (run["run"], "breaths", "breaths@1"):
        said = galeno("report", name, "--home", home).ended(0).out.strip()
        assert Path(said) == Path(str(run["report"]))
    ended = galeno("report", "nothing", "--home", home)
    assert ended.code == 2
    assert "Error: " in ended.err


def test_patients_never_stand_on_two_sides(run: dict[str, object], home: Path) -> None:
    folder = home / "runs" / str(run["run"])
    sides = pl.read_parquet(folder / "split" / "sides.parquet")
    ingested = json.loads((folder / "steps" / "ingest.json").read_text())
    rows = Lake(home / "lake").read(ingested["table"], ingested["version"])
    told = rows.with_columns(sides["part"], sides["fold"])
    assert told.group_by("_patient").agg(pl.col("part").n_unique())["part"].max() == 1
    assert told.group_by("_patient").agg(pl.col("fold").n_unique())["fold"].max() == 1


def test_new_recordings_are_answered_by_row_and_by_patient(run: dict[str, object], tmp_path: Path) -> None:
    table = write_recordings(tmp_path, range(100, 112), 8)
    answers = tmp_path / "answers.csv"
    galeno("predict", run["package"], "--input", table, "--output", answers).ended(0)
    told = pl.read_csv(answers)
    truth = pl.read_csv(table)["condition"]
    assert told.height == 24
    assert (told["patient_condition"] == truth).mean() > 0.8
    assert told["reasons"][0].split("|").count("empty_file:file") == 1
    review = pl.read_csv(tmp_path / "answers.review.csv")
    assert {"p100_left.wav", "p100_right.wav"} <= set(review["file"])
    figures = galeno("evaluate", run["package"], "--input", table, "--json").ended(0).object
    assert figures["per_patient"]["accuracy"] > 0.8
    assert figures["patients"]["per_patient"]["all"] == 12


def test_the_same_study_gives_the_same_package(run: dict[str, object], make_home: Callable[[], Path]) -> None:
    study = load_study(Path(str(run["package"])) / "study.json")
    folder = Path(str(run["report"])).parents[1]
    declared = json.loads((folder / "run.json").read_text())["study"]
    again = run_study(type(study).model_validate(declared), make_home())
    assert again.package_sha256 == run["package_sha256"]


def make_arrays(path: Path, count: int, seed: int) -> Path:
    """Squares to the left and to the right, in MedMNIST's layout."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(count) % 2).astype(np.uint8)
    images = rng.integers(60, 140, (count, 28, 28)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        left = 4 if label else 16
        image[9:19, left : left + 8] += 90
    held = count // 4
    parts = {"train": slice(held, None), "val": slice(held)}
    arrays = {f"{name}_images": images[part] for name, part in parts.items()}
    np.savez(path, **arrays, **{f"{name}_labels": labels[part] for name, part in parts.items()})
    return path


def test_arrays_are_a_table_of_images(tmp_path: Path, make_home: Callable[[], Path]) -> None:
    source = make_arrays(tmp_path / "films.npz", 120, 1)
    study = tmp_path / "films.yaml"
    galeno("init", "--from", source, "-o", study).ended(0)
    assert load_study(study).columns["image"].type == "image"
    package = galeno("run", study, "--home", make_home(), "--json", *FEW).ended(0).object["package"]
    images, labels = np.load(source)["val_images"], np.load(source)["val_labels"]
    plain = tmp_path / "plain.npz"
    np.savez(plain, images=images, labels=labels)
    figures = galeno("evaluate", package, "--input", plain, "--json").ended(0).object
    assert figures["accuracy"] > 0.9
    galeno("predict", package, "--input", plain, "--output", tmp_path / "answers.parquet").ended(0)
    assert pl.read_parquet(tmp_path / "answers.parquet").height == len(labels)


ANSWER = """
import sys
from pathlib import Path

from galeno.model.model import Model
from galeno.model.relevance import locate
model = Model.load(Path(sys.argv[1]))
image = Path(sys.argv[2]).read_bytes()
record = {"image": image}
try:
    import torch
except ImportError:
    pass
else:
    raise AssertionError("torch is there")
print(model.diagnose(record).condition, model.diagnose({}).condition)
print(locate(model, record, "image", "1").values.shape)
assert not any(name.startswith("galeno.deep") for name in sys.modules)
"""


def test_a_network_answers_where_torch_cannot_be_imported(
    tmp_path: Path, make_home: Callable[[], Path]
) -> None:
    if not os.environ.get("GALENO_REQUIRE_DEEP"):
        pytest.importorskip("torch", reason="needs the extra deep")
    source = make_arrays(tmp_path / "films.npz", 80, 2)
    study = tmp_path / "films.yaml"
    galeno("init", "--from", source, "-o", study).ended(0)
    sets = [*SETS, "learning.budget.trials=1", "features.image.network=required", "learning.ensemble=2"]
    result = run_study(load_study(study, sets), make_home())
    members = json.loads((Path(result.package) / "model.json").read_text())["members"]
    assert "network" in {member["name"] for member in members}
    np.save(tmp_path / "one.npy", np.load(source)["val_images"][1])
    for absent in ("torch", "transformers"):
        (tmp_path / "absent" / absent).mkdir(parents=True)
        (tmp_path / "absent" / absent / "__init__.py").write_text("raise ImportError\n")
    asked = [sys.executable, "-c", ANSWER, result.package, tmp_path / "one.npy"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "absent")}
    ended = subprocess.run(asked, capture_output=True, text=True, check=False, env=environment)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("1 ")
    model = Model.load(Path(result.package))
    assert model.study.features.image.network == "required"


def test_what_torch_is_needed_for_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_arrays(tmp_path / "films.npz", 40, 3)
    study = tmp_path / "films.yaml"
    galeno("init", "--from", source, "-o", study).ended(0)
    declared = load_study(study, ["features.image.network=auto"])
    monkeypatch.setattr("galeno.pipeline.runner.find_spec", lambda _: None)
    assert settle_networks(declared).features.image.network == "none"
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "torch", None)
    wanted = load_study(study, ["features.image.network=required", "learning.budget.trials=1"])
    with pytest.raises(MissingExtraError, match=r"galeno\[deep\]"):
        run_study(wanted, tmp_path / "home")
