"""An erased patient is nowhere in the home any more; everybody else is."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest
from clinic import CANARY, open_clinic, visits
from deltalake import DeltaTable, write_deltalake
from patients import COMMENT, NOTE, Ward, copy_home, open_ward

from galeno.errors import AccessError, KeyRingError, NotFoundError, RunError
from galeno.governance import erasure, lake_rows, run_files
from galeno.governance.access import Caller
from galeno.governance.audit import verify
from galeno.governance.consent import Consents
from galeno.governance.erasure import CLINICAL, erase, unfinished
from galeno.pipeline.runner import RunResult, prepare_run, run_step, run_study
from galeno.records import BATCH, KEY, PATIENT
from galeno.storage import database, schema
from galeno.storage.journal import Journal
from galeno.storage.lake import Lake
from galeno.storage.runs import RunFolder
from galeno.study import Study
from galeno.study_file import load_study

ERASED = f"{CANARY}0007"
OTHER = f"{CANARY}0008"
REDACTED = f"hermana de [erased], y de {ERASED}1"


def texts_of(path: Path) -> str:
    """A Parquet file's values as one text, decompressed."""
    frame = pl.read_parquet(path, hive_partitioning=False)
    return frame.select(pl.struct(pl.all()).struct.json_encode()).to_series().str.join("\n").item() or ""


def holders(root: Path, word: str) -> list[str]:
    """Files that hold a word: in their bytes, in Parquet's values, or in an SQLite file's values."""
    found = []
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        held = word.encode() in path.read_bytes()
        if path.suffix == ".parquet":
            held = held or word in texts_of(path)
        if path.suffix == ".db":
            with sqlite3.connect(path) as connection:
                held = held or any(word in line for line in connection.iterdump())
            connection.close()
        if held:
            found.append(path.relative_to(root).as_posix())
    return found


@pytest.fixture
def ward(done: RunResult, clinic_home: Path, tmp_path: Path) -> Iterator[Ward]:
    """The clinic's home, copied, with two patients who were there once more."""
    assert done.version == "1"
    ward = open_ward(copy_home(clinic_home, tmp_path / "home"))
    ward.visit(ERASED)
    ward.visit(OTHER, note="otherwise")
    yield ward
    ward.journal.close()
    ward.cipher.vault.close()


def lake_frame(ward: Ward) -> pl.DataFrame:
    """All rows of the clinic's table, at its latest version."""
    lake = Lake(ward.home.lake)
    (table,) = (path.parent for path in ward.home.lake.rglob("_delta_log"))
    name = table.relative_to(ward.home.lake).as_posix()
    version = lake.version(name)
    assert version is not None
    return lake.read(name, version)


def test_nothing_of_an_erased_patient_is_in_any_file(ward: Ward) -> None:
    assert any(name.startswith("lake/") for name in holders(ward.home.root, ERASED))
    before = lake_frame(ward)
    report = erase(ERASED, **ward.parts)
    for word in (ERASED, NOTE, COMMENT):
        assert holders(ward.home.root, word) == []
    after = lake_frame(ward)
    assert after.equals(before.filter(pl.col(PATIENT) != ERASED))
    assert after.height < before.height
    keys = before.filter(pl.col(PATIENT) == ERASED)[KEY].to_list()
    assert [name for key in keys for name in holders(ward.home.root, key)] == []
    assert report.key
    assert not report.again
    assert report.remains == ()
    assert report.journal == {table.name: 1 for table in CLINICAL}
    assert sum(report.lake.values()) == len(keys)
    (model,) = report.models
    assert (model.study, model.version, model.use) == ("clinic", "1", "taught")
    assert json.loads(json.dumps(report.to_dict()))["patient"].startswith("pt_")


def test_others_stay_whole(ward: Ward) -> None:
    diagnosis = ward.visit(OTHER, note="otherwise again")
    erase(ERASED, **ward.parts)
    assert ward.count(schema.diagnoses, OTHER) == 2
    patient = ward.cipher.pseudonym(OTHER)
    with ward.journal.read() as connection:
        table = schema.diagnoses
        row = connection.execute(table.select().where(table.c.id == diagnosis)).mappings().one()
    record = json.loads(ward.cipher.open(patient, row["record"], "diagnoses", "record", diagnosis))
    assert record["note"] == "otherwise again"
    assert holders(ward.home.root, OTHER)


def test_the_trail_and_a_tombstone_stay(ward: Ward) -> None:
    report = erase(ERASED, **ward.parts)
    with ward.journal.read() as connection:
        assert unfinished(connection) == ()
        assert report.patient in Consents().training_excluded(connection)
        stone = connection.execute(schema.erasures.select()).mappings().one()
        trail = connection.execute(schema.audit.select().order_by(schema.audit.c.seq)).mappings().all()
    assert (stone["patient"], stone["actor"]) == (report.patient, "ana")
    assert json.loads(stone["counts"])["journal"]["diagnoses"] == 1
    mine = [(row["action"], row["detail"]) for row in trail if row["patient"] == report.patient]
    assert mine == [
        ("diagnoses.create", ""),
        ("patients.erase", "key and journal"),
        ("patients.erase", "plain copies"),
    ]
    assert verify(ward.journal, ward.cipher.ring.audit_key).intact


def test_a_backup_of_the_journal_is_unreadable(ward: Ward, tmp_path: Path) -> None:
    backup = tmp_path / "backup.db"
    with sqlite3.connect(ward.home.root / "journal.db") as source, sqlite3.connect(backup) as target:
        source.backup(target)
    erase(ERASED, **ward.parts)
    patient = ward.cipher.pseudonym(ERASED)
    restored = Journal(f"sqlite:///{backup}")
    with restored.read() as connection:
        table = schema.diagnoses
        row = connection.execute(table.select().where(table.c.patient == patient)).mappings().one()
    restored.close()
    for column in ("record", "answer"):
        with pytest.raises(KeyRingError, match="destroyed"):
            ward.cipher.open(patient, row[column], "diagnoses", column, row["id"])
    ward.visit(ERASED, note="later")
    with pytest.raises(KeyRingError, match="does not open"):
        ward.cipher.open(patient, row["record"], "diagnoses", "record", row["id"])


def test_a_new_visit_after_an_erasure_starts_anew(ward: Ward) -> None:
    first = erase(ERASED, **ward.parts)
    diagnosis = ward.visit(ERASED, note="back again")
    patient = ward.cipher.pseudonym(ERASED)
    with ward.journal.read() as connection:
        row = connection.execute(schema.diagnoses.select().where(schema.diagnoses.c.id == diagnosis)).one()
        sealed = connection.execute(schema.identities.select().where(schema.identities.c.patient == patient))
        identity = sealed.one().sealed
    assert b"back again" in ward.cipher.open(patient, row.record, "diagnoses", "record", diagnosis)
    assert ward.cipher.open(patient, identity, "identities", "sealed", patient).decode() == ERASED
    second = erase(ERASED, **ward.parts)
    assert second.again
    assert second.key
    assert second.journal["diagnoses"] == 1
    assert second.models == first.models
    assert holders(ward.home.root, ERASED) == []


def test_erasing_twice_does_no_harm(ward: Ward) -> None:
    erase(ERASED, **ward.parts)
    before = lake_frame(ward)
    report = erase(ERASED, **ward.parts)
    assert report.again
    assert not report.key
    assert set(report.journal.values()) == {0}
    assert (report.lake, report.files) == ({}, {})
    assert len(report.models) == 1
    assert lake_frame(ward).equals(before)


def test_an_unknown_patient_is_told_and_written_down(ward: Ward) -> None:
    version = lake_frame(ward)
    with pytest.raises(NotFoundError) as caught:
        erase("nobody-here", **ward.parts)
    assert "nobody-here" not in str(caught.value)
    with ward.journal.read() as connection:
        assert connection.execute(schema.erasures.select()).all() == []
        last = (
            connection.execute(schema.audit.select().order_by(schema.audit.c.seq.desc())).mappings().first()
        )
    assert last is not None
    assert (last["action"], last["outcome"]) == ("patients.erase", "failed")
    assert lake_frame(ward).equals(version)


@pytest.mark.parametrize("role", ["clinician", "engineer", "auditor"])
def test_only_an_admin_may(ward: Ward, role: str) -> None:
    with pytest.raises(AccessError):
        erase(ERASED, **{**ward.parts, "caller": Caller(name="x", role=role)})  # type: ignore[arg-type]
    assert ward.count(schema.diagnoses, ERASED) == 1


def test_what_another_removal_left_is_no_patient(ward: Ward) -> None:
    (log,) = ward.home.lake.rglob("_delta_log")
    table = log.parent.relative_to(ward.home.lake).as_posix()
    Lake(ward.home.lake).remove(table, PATIENT, [OTHER])
    with pytest.raises(NotFoundError):
        erase("nobody-here", **ward.parts)


def test_a_home_without_runs_is_fine(tmp_path: Path) -> None:
    ward = open_ward(tmp_path / "home")
    ward.visit("p1")
    ward.visit("p2")
    report = erase("p1", **ward.parts)
    assert report.journal["diagnoses"] == 1
    assert not report.searched
    assert (ward.count(schema.diagnoses, "p1"), ward.count(schema.diagnoses, "p2")) == (0, 1)


def test_the_run_is_there_as_before_and_reads_on(ward: Ward, clinic: Study) -> None:
    (name,) = (path.name for path in ward.home.runs.iterdir())
    sides = ward.home.runs / name / "split" / "sides.parquet"
    had = pl.read_parquet(sides).height
    erase(ERASED, **ward.parts)
    ingested = RunFolder.open(ward.home.runs, name).result("ingest")
    assert ingested is not None
    rows = Lake(ward.home.lake).read(ingested["table"], ingested["version"], ingested["batches"])
    assert rows[KEY].equals(pl.read_parquet(sides)[KEY])
    assert rows.height < had
    assert run_study(clinic, ward.home.root).run == name


def test_a_fresh_run_leaves_the_erased_patient_out(ward: Ward, clinic: Study) -> None:
    erase(ERASED, **ward.parts)
    result = run_study(clinic, ward.home.root, fresh=True)
    assert holders(ward.home.root, ERASED) == []
    report = json.loads((ward.home.runs / result.run / "ingest" / "validation.json").read_text())
    (line,) = (line for line in report["violations"] if line["check"] == "opted_out")
    assert line["count"] >= 1
    assert line["rows"] == []


def test_quarantined_rows_and_mentions_go(tmp_path: Path) -> None:
    frame = visits().with_columns(
        condition=pl.when(pl.col("mrn") == ERASED).then(pl.lit("SECRET")).otherwise(pl.col("condition")),
        note=pl.when(pl.col("visit") == "V0-20")
        .then(pl.lit(f"hermana de {ERASED}, y de {ERASED}1"))
        .otherwise(pl.col("note")),
    )
    changed = pl.concat([frame, frame.filter(pl.col("visit") == "V0-20")])  # a duplicate, to quarantine
    home = tmp_path / "home"
    name = prepare_run(load_study(open_clinic(tmp_path, changed)), home)
    run_step(name, "ingest", home)
    ward = open_ward(home)
    # a finished run keeps its files, and this one has not begun to learn: the quarantine is looked at
    sent = home / "quarantine" / "clinic" / "sent-0.parquet"
    sent.parent.mkdir(parents=True)
    shutil.copy(home / "runs" / name / "ingest" / "quarantine.parquet", sent)
    report = erase(ERASED, **ward.parts)
    assert len(report.files) == 2
    for path in (home / "runs" / name / "ingest" / "quarantine.parquet", sent):
        kept = pl.read_parquet(path)
        assert ERASED not in kept["mrn"].to_list()
        assert kept.filter(pl.col("visit") == "V0-20")["note"].item() == REDACTED
        assert (path.stat().st_mode & 0o777) == 0o600
    assert lake_frame(ward).filter(pl.col("note").str.contains("hermana"))["note"].item() == REDACTED
    assert sum(report.lake.values()) == 1
    assert report.models == ()


def test_files_of_others_are_named_not_touched(ward: Ward) -> None:
    stray = ward.home.root / "predictions.csv"
    stray.write_text(f"patient,condition\n{ERASED},ill\n", encoding="utf-8")
    shutil.copy(stray, ward.home.root / "longer.csv")
    (ward.home.root / "longer.csv").write_text(f"{ERASED}1,ill\n", encoding="utf-8")
    report = erase(ERASED, **ward.parts)
    assert report.remains == ("predictions.csv",)
    assert stray.exists()


@contextmanager
def held(run: RunFolder) -> Iterator[None]:
    """Another process at work on a run."""
    code = (
        "import sys, time; from pathlib import Path; from galeno.storage.runs import RunFolder\n"
        "with RunFolder(Path(sys.argv[1])).hold():\n    print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(run.root)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        try:
            yield
        finally:
            process.kill()


def test_a_run_at_work_is_waited_for_by_the_operator(ward: Ward) -> None:
    (path,) = ward.home.runs.iterdir()
    with held(RunFolder(path)), pytest.raises(RunError, match="repeat"):
        erase(ERASED, **ward.parts)
    patient = ward.cipher.pseudonym(ERASED)
    with ward.journal.read() as connection:
        assert unfinished(connection) == (patient,)
        assert patient in Consents().training_excluded(connection)
    assert ward.cipher.find((patient,)) == {}
    report = erase(ERASED, **ward.parts)
    assert report.again
    assert [model.version for model in report.models] == ["1"]
    assert holders(ward.home.root, ERASED) == []


def test_a_deletion_that_was_cut_off_is_ended(ward: Ward) -> None:
    """States that a crash leaves in the lake: rows deleted, old files and the log not yet."""
    (log,) = ward.home.lake.rglob("_delta_log")
    before = lake_frame(ward)
    DeltaTable(log.parent).delete(f"{PATIENT} = '{ERASED}'")
    erase(ERASED, **ward.parts)
    assert holders(ward.home.root, ERASED) == []
    assert lake_frame(ward).equals(before.filter(pl.col(PATIENT) != ERASED))


def test_a_vacuum_without_the_end_of_the_log_is_ended(ward: Ward) -> None:
    (log,) = ward.home.lake.rglob("_delta_log")
    delta = DeltaTable(log.parent)
    delta.delete(f"{PATIENT} = '{ERASED}'")
    delta.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    assert any("_delta_log" in name for name in holders(ward.home.root, ERASED))
    erase(ERASED, **ward.parts)
    assert holders(ward.home.root, ERASED) == []


def test_a_data_file_that_no_version_names_goes(ward: Ward) -> None:
    (log,) = ward.home.lake.rglob("_delta_log")
    stray = log.parent / f"{BATCH}=x" / "part-0.parquet"
    stray.parent.mkdir()
    pl.DataFrame({KEY: ["k"], PATIENT: [ERASED]}).write_parquet(stray)
    erase(ERASED, **ward.parts)
    assert not stray.exists()


def test_an_erasure_that_was_killed_is_ended_by_the_same_command(ward: Ward) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[3]); from pathlib import Path; from patients import *\n"
        "from galeno.governance.erasure import erase\n"
        "ward = open_ward(Path(sys.argv[1])); print('ready', flush=True)\n"
        "erase(sys.argv[2], **ward.parts)"
    )
    arguments = [sys.executable, "-c", code, str(ward.home.root), ERASED, str(Path(__file__).parent)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.15)
        os.kill(process.pid, signal.SIGKILL)
    report = erase(ERASED, **ward.parts)
    assert holders(ward.home.root, ERASED) == []
    assert [model.version for model in report.models] == ["1"]


@pytest.mark.parametrize(
    ("room", "step"),
    [
        (database, "checkpoint"),  # the key is destroyed, the journal is not committed
        (run_files, "clean_runs"),
        (run_files, "remove_rows"),
        (lake_rows, "_rewrite"),
        (lake_rows, "_forget"),
        (run_files, "move_pins"),
        (erasure, "compact"),
        (erasure, "_finish"),
    ],
)
def test_wherever_it_stops_a_repetition_ends_it(
    ward: Ward, room: ModuleType, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    before = lake_frame(ward)
    with monkeypatch.context() as patch:
        patch.setattr(room, step, stop)
        with pytest.raises(KeyboardInterrupt):
            erase(ERASED, **ward.parts)
    assert ward.cipher.find((ward.cipher.pseudonym(ERASED),)) == {}
    report = erase(ERASED, **ward.parts)
    assert holders(ward.home.root, ERASED) == []
    assert report.remains == ()
    assert [model.version for model in report.models] == ["1"]
    assert ward.count(schema.diagnoses, ERASED) == 0
    assert lake_frame(ward).equals(before.filter(pl.col(PATIENT) != ERASED))
    with ward.journal.read() as connection:
        assert unfinished(connection) == ()


def test_an_unfinished_run_starts_over(ward: Ward, clinic: Study) -> None:
    (path,) = ward.home.runs.iterdir()
    run = RunFolder(path)
    (run.root / "steps" / "register.json").unlink()
    (run.root / "learn" / "fold-0.npy").write_bytes(b"rows")
    erase(ERASED, **ward.parts)
    assert run.result("ingest") is None
    assert not (run.root / "learn").exists()
    run_step(run.name, "ingest", ward.home.root)
    run_step(run.name, "split", ward.home.root)
    assert clinic.name == "clinic"
    assert holders(ward.home.root, ERASED) == []


def test_appends_go_on_after_an_erasure(ward: Ward) -> None:
    rows = lake_frame(ward)
    (log,) = ward.home.lake.rglob("_delta_log")
    table = log.parent.relative_to(ward.home.lake).as_posix()
    lake = Lake(ward.home.lake)
    erase(ERASED, **ward.parts)
    lake.append(table, rows.filter(pl.col(PATIENT) == OTHER).drop(BATCH), "another")
    erase(f"{CANARY}0009", **ward.parts)
    after = lake_frame(ward)
    assert {ERASED, f"{CANARY}0009"}.isdisjoint(after[PATIENT])
    assert after.filter(pl.col(BATCH) == "another").height == rows.filter(pl.col(PATIENT) == OTHER).height
    assert holders(ward.home.root, ERASED) == []


def test_both_kinds_of_journal(fresh_journal_url: str, tmp_path: Path) -> None:
    ward = open_ward(tmp_path / "home", fresh_journal_url)
    ward.visit("patient-one")
    ward.visit("patient-two")
    report = erase("patient-one", **ward.parts)
    assert set(report.journal.values()) == {1}
    assert ward.count(schema.diagnoses, "patient-one") == 0
    assert ward.count(schema.diagnoses, "patient-two") == 1
    ward.visit("patient-one")
    assert erase("patient-one", **ward.parts).again
    assert verify(ward.journal, ward.cipher.ring.audit_key).intact
    ward.journal.close()
    ward.cipher.vault.close()


def test_a_service_goes_on_meanwhile(fresh_journal_url: str, tmp_path: Path) -> None:
    """What is written beside an erasure is whole: no row under a key that is gone, no write refused."""
    ward = open_ward(tmp_path / "home", fresh_journal_url)
    ward.visit("patient-one")
    over = threading.Event()
    kept: list[str] = []

    def serve() -> None:
        while not over.is_set():
            ward.visit("patient-one", note="meanwhile")
            kept.append(ward.visit("patient-two", note="meanwhile"))

    ward.commits.start()
    service = threading.Thread(target=serve)
    service.start()
    for _ in range(3):
        assert erase("patient-one", **ward.parts).remains == ()
    over.set()
    service.join()
    ward.commits.close()
    assert kept
    assert ward.count(schema.diagnoses, "patient-two") == len(kept)
    patient = ward.cipher.pseudonym("patient-one")
    with ward.journal.read() as connection:
        table = schema.diagnoses
        rows = connection.execute(table.select().where(table.c.patient == patient)).all()
    for row in rows:
        assert b"meanwhile" in ward.cipher.open(patient, row.record, "diagnoses", "record", row.id)
    assert verify(ward.journal, ward.cipher.ring.audit_key).intact
    ward.journal.close()
    ward.cipher.vault.close()


@pytest.mark.parametrize("outside", [False, True])
def test_captured_rows_are_known_by_the_pseudonym(tmp_path: Path, *, outside: bool) -> None:
    ward = open_ward(tmp_path / "home")
    lake = tmp_path / "captured" if outside else ward.home.lake
    first, second = (ward.cipher.pseudonym(name) for name in ("p1", "p2"))
    table = lake / "captured" / "clinic"
    for day in ("2026-01-01", "2026-01-02"):
        frame = pl.DataFrame({"patient": [first, second], "note": [NOTE, "otherwise"], "day": [day] * 2})
        write_deltalake(table, frame, mode="append")
    report = erase("p1", **ward.parts, capture_lake=str(lake) if outside else "")
    assert list(report.lake.values()) == [2]
    left = pl.DataFrame(DeltaTable(table).to_pyarrow_table())
    assert left["patient"].to_list() == [second, second]
    assert holders(lake, NOTE) == []
    assert holders(lake, first) == []
