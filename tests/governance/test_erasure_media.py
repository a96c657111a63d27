"""Sounds and images of an erased patient are nowhere any more; everybody else's are."""

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from chest import CANARY, STUDY, draw_xray, record_breath
from patients import Ward, open_ward

from galeno.governance.erasure import erase
from galeno.governance.extract import export, to_bundle
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
    assert chest.held() >= {own, shared, theirs, breath, digest("image", LOST)}
    assert chest.described() == {own, shared, theirs, breath}
    report = erase(ERASED, **chest.ward.parts)
    # the X-ray of the row in quarantine is named by a path only, so that no row names its content
    assert chest.held() == {shared, theirs, breath}
    assert chest.described() == {shared, theirs, breath}
    assert report.lake[TABLE] == 2
    assert report.remains == ()
    assert chest.faulty() == ["other cut.wav"]
    folder = chest.ward.home.lake / TABLE
    for path in folder.rglob("*"):
        if path.is_file():
            assert own.encode() not in path.read_bytes()
            assert clean("image", OWN).data not in path.read_bytes()
    erase(OTHER, **chest.ward.parts)
    assert chest.held() == set()


def test_nobody_named_is_nothing_lost(chest: Chest) -> None:
    assert drop_orphans(chest.ward.home) == 1
    before = chest.held()
    assert drop_orphans(chest.ward.home) == 0
    assert chest.held() == before


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
