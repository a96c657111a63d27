"""Sounds and images of an erased patient are nowhere any more; everybody else's are."""

import base64
import hashlib
import json
import shutil
from collections.abc import Collection, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from chest import CANARY, STUDY, draw_xray, record_breath
from deltalake import DeltaTable
from patients import Ward, open_ward

from galeno.errors import LakeError, NotFoundError, RunError
from galeno.governance.erasure import erase
from galeno.governance.extract import export, to_bundle
from galeno.governance.leftovers import receive
from galeno.governance.orphans import drop_orphans
from galeno.media.content import clean
from galeno.pipeline.runner import prepare_run, run_step
from galeno.records import PATIENT
from galeno.service.capture import table_of
from galeno.storage.contents import TABLE, Contents
from galeno.storage.lake import Lake
from galeno.storage.runs import RunFolder
from galeno.study_file import load_study

ERASED, OTHER = f"{CANARY}0001", f"{CANARY}0002"
OWN, SHARED, THEIRS, LOST = (draw_xray(ill=False, seed=each) for each in range(4))
BREATH = record_breath(ill=True, seed=9)
TABLE_OF_FILES = f"""\
mrn,age,xray,breath,condition
{ERASED},40,{ERASED}_own.png,b.wav,W
{ERASED},41,shared.png,{ERASED} cut.wav,I
{ERASED},42,lost.png,,?
{OTHER},43,shared.png,b.wav,I
{OTHER},44,theirs.png,other cut.wav,W
"""


@dataclass(frozen=True)
class Chest:
    """A ward whose lake holds sounds and images, and the run that brought them."""

    ward: Ward
    run: RunFolder

    @property
    def lake(self) -> Lake:
        return Lake(self.ward.home.lake)

    def held(self) -> set[str]:
        """Digests of the contents in the lake."""
        return {str(key) for part in self.lake.scan(TABLE, ["_key"]) for key in part["_key"]}

    def holders(self, file: bytes) -> list[Path]:
        """Files of the contents that hold an image, or name it by its digest."""
        found = []
        for path in sorted(path for path in (self.ward.home.lake / TABLE).rglob("*") if path.is_file()):
            held = {path.read_bytes()}
            if path.suffix == ".parquet" and path.parent.name != "_delta_log":  # compressed
                held |= set(pl.read_parquet(path, hive_partitioning=False)["content"])
            words = (clean("image", file).data, digest("image", file).encode())
            if any(word in each for word in words for each in held):
                found.append(path)
        return found

    def described(self) -> set[str]:
        """Digests that the run kept a description of."""
        paths = sorted(self.run.root.glob("ingest/described-*.parquet"))
        assert paths
        return {each for path in paths for each in pl.read_parquet(path)[:, 0]}

    def faulty(self) -> list[str]:
        """Names of the files that could not be taken."""
        return [each["file"] for each in json.loads((self.run.root / "ingest" / "files.json").read_text())]


def digest(kind: str, file: bytes) -> str:
    return hashlib.sha256(clean("sound" if kind == "sound" else "image", file).data).hexdigest()


@pytest.fixture
def chest(tmp_path: Path) -> Iterator[Chest]:
    """Two patients: one X-ray and one sound are in the rows of both."""
    source = tmp_path / "source"
    source.mkdir()
    files = {f"{ERASED}_own.png": OWN, "shared.png": SHARED, "theirs.png": THEIRS, "lost.png": LOST,
             "b.wav": BREATH, f"{ERASED} cut.wav": BREATH[:100], "other cut.wav": BREATH[:100]}  # fmt: skip
    for name, data in files.items():
        (source / name).write_bytes(data)
    (source / "chest.csv").write_text(TABLE_OF_FILES)
    rules = "  rules: {file: blank, duplicate: keep, two_targets: keep}\n"
    (source / "chest.yaml").write_text(STUDY.replace("classes:", f"{rules}classes:", 1))
    ward = open_ward(tmp_path / "home")
    name = prepare_run(load_study(source / "chest.yaml"), ward.home.root)
    run_step(name, "ingest", ward.home.root)
    run = RunFolder.open(ward.home.runs, name)
    run.finish("register", {"version": None})  # else an erasure would let it start over
    yield Chest(ward, run)
    ward.journal.close()
    ward.cipher.vault.close()


def test_the_patients_own_files_go_and_shared_ones_stay(chest: Chest) -> None:
    own, shared, theirs = (digest("image", each) for each in (OWN, SHARED, THEIRS))
    breath = digest("sound", BREATH)
    assert chest.held() == {own, shared, theirs, breath}  # of a row in quarantine nothing is kept
    assert chest.described() == {own, shared, theirs, breath}
    report = erase(ERASED, **chest.ward.parts)
    assert chest.held() == {shared, theirs, breath}
    assert chest.described() == {shared, theirs, breath}
    assert report.lake[TABLE] == 1
    assert report.remains == ()
    assert chest.faulty() == ["other cut.wav"]
    assert chest.holders(OWN) == []
    assert chest.holders(SHARED)
    erase(OTHER, **chest.ward.parts)
    assert chest.held() == set()


def test_nobody_named_is_nothing_lost(chest: Chest) -> None:
    before = chest.held()
    assert drop_orphans(chest.ward.home) == 0
    Contents(chest.lake).keep([("f" * 64, "image", b"nobody's")])
    assert drop_orphans(chest.ward.home) == 1
    assert chest.held() == before


def test_a_report_that_may_show_the_patient_goes(chest: Chest) -> None:
    report = chest.run.root / "package" / "report.html"
    report.parent.mkdir()
    report.write_text("pictures")
    erase(OTHER, **chest.ward.parts)
    assert report.exists()  # the study allows no examples
    facts = json.loads((chest.run.root / "run.json").read_text())
    facts["study"]["privacy"]["examples_in_report"] = True
    (chest.run.root / "run.json").write_text(json.dumps(facts))
    erase(ERASED, **chest.ward.parts)
    assert not report.exists()


@pytest.mark.parametrize("patient", [ERASED, "nobody-at-all"])
def test_what_killed_processes_left_goes_with_every_erasure(chest: Chest, patient: str) -> None:
    home = chest.ward.home
    (chest.run.root / "steps" / "ingest.json").unlink()  # as of a run that was killed in its first step
    table, name = home.lake / TABLE, "_batch=x/part-0.snappy.parquet"
    Contents(chest.lake).keep([("e" * 64, "image", b"of rows that never came")])
    with receive(home) as at_work:
        left = [
            chest.run.root / "ingest" / "files" / "f", home.receiving / "a" / "f", table / f"{name}#1",
            home.lake / "begun" / name, home.lake / "begun" / f"{name}#2", table / "_delta_log" / "9.json#1",
        ]  # fmt: skip
        for file in (*left, at_work / "f"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(clean("image", OWN).data)
        with nullcontext() if patient == ERASED else pytest.raises(NotFoundError):
            erase(patient, **chest.ward.parts)
        assert [file for file in (*left, at_work / "f") if file.exists()] == [at_work / "f"]
    assert "e" * 64 not in chest.held()
    assert [path for path in home.receiving.iterdir() if path != at_work] == []


def test_a_removal_that_was_cut_off_is_ended(chest: Chest, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(_: Contents, digests: Collection[str]) -> None:
        (gone,) = digests
        DeltaTable(chest.ward.home.lake / TABLE).delete(f"\"_key\" = '{gone}'")  # and not yet a vacuum
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Contents, "remove", stop)
        with pytest.raises(KeyboardInterrupt):
            erase(ERASED, **chest.ward.parts)
    assert chest.holders(OWN)
    erase(ERASED, **chest.ward.parts)
    assert chest.holders(OWN) == []
    assert chest.held() == {digest("image", SHARED), digest("image", THEIRS), digest("sound", BREATH)}


def test_contents_that_were_written_and_never_committed_go(chest: Chest) -> None:
    (path,) = (path for path in chest.holders(OWN) if path.suffix == ".parquet")
    shutil.copy(path, path.with_name("part-00001-0-c000.snappy.parquet"))
    erase(ERASED, **chest.ward.parts)
    assert chest.holders(OWN) == []
    assert chest.holders(SHARED)


def test_a_run_at_work_keeps_its_files(chest: Chest) -> None:
    gathered = chest.run.root / "ingest" / "files"
    gathered.mkdir()
    with chest.run.hold():
        with pytest.raises(NotFoundError):
            erase("nobody-at-all", **chest.ward.parts)
        with pytest.raises(RunError):
            erase(ERASED, **chest.ward.parts)
        assert gathered.exists()
    erase(ERASED, **chest.ward.parts)
    assert not gathered.exists()


def test_an_extract_names_no_content_that_is_none(chest: Chest) -> None:
    (image,) = (each for each in chest.held() if each == digest("image", OWN))
    contents = Contents(chest.lake)
    contents.remove([image])
    contents.keep([(image, "image", b"RIFF....WAVE")])
    parts = {name: chest.ward.parts[name] for name in ("home", "journal", "cipher")}
    with pytest.raises(LakeError, match="neither FLAC nor PNG"):
        export(ERASED, **parts)


def test_an_extract_holds_the_files(chest: Chest) -> None:
    parts = {name: chest.ward.parts[name] for name in ("home", "journal", "cipher")}
    told = export(ERASED, **parts)
    (rows,) = told["records"].values()
    urls = {row["xray"] for row in rows}
    wanted = {clean("image", file).data for file in (OWN, SHARED)}
    assert {base64.b64decode(url.removeprefix("data:image/png;base64,")) for url in urls} == wanted
    assert json.loads(json.dumps(told)) == told
    attached = [
        answer["valueAttachment"]
        for entry in to_bundle(told)["entry"]
        for item in entry["resource"].get("item", [])
        for answer in item["answer"]
        if "valueAttachment" in answer
    ]
    assert {
        base64.b64decode(each["data"]) for each in attached if each["contentType"] == "image/png"
    } == wanted
    assert {each["contentType"] for each in attached} == {"image/png", "audio/flac"}


def test_captured_rows_with_files_go(chest: Chest) -> None:
    ward = chest.ward
    patients = [ward.cipher.pseudonym(each) for each in (ERASED, OTHER)]
    contents = [clean("image", each).data for each in (OWN, THEIRS)]
    frame = pl.DataFrame(
        {"_key": ["dx1", "dx2"], PATIENT: patients, "xray": contents, "age": np.array([40.0, 44.0])},
        schema_overrides={"xray": pl.Binary},
    )
    table = table_of("chest")
    chest.lake.append_next(table, lambda _: (frame, "one"))
    parts = {name: ward.parts[name] for name in ("home", "journal", "cipher")}
    (captured,) = export(ERASED, **parts)["records"][table]
    assert base64.b64decode(captured["xray"].partition(",")[2]) == contents[0]
    erase(ERASED, **ward.parts)
    kept = chest.lake.read(table, chest.lake.version(table) or 0)
    assert kept["xray"].to_list() == contents[1:]
    for path in (ward.home.lake / table).rglob("*.parquet"):
        assert contents[0] not in path.read_bytes()


def test_a_home_without_files_has_no_orphans(tmp_path: Path) -> None:
    ward = open_ward(tmp_path / "home")
    assert drop_orphans(ward.home) == 0
    assert not (ward.home.lake / TABLE).exists()
    assert list(Contents(Lake(ward.home.lake)).read(["0" * 64])) == []
    ward.journal.close()
    ward.cipher.vault.close()
