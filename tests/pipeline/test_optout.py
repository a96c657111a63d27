"""Patients from whom no model may learn are left out of a run, counted and not named."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from clinic import CANARY, open_clinic, visits
from sqlalchemy import insert

from galeno.errors import KeyRingError, LearningError
from galeno.governance.consent import Consents
from galeno.hospital import Policy
from galeno.pipeline.runner import prepare_run, run_step
from galeno.records import PATIENT
from galeno.storage.cipher import Cipher
from galeno.storage.home import Home
from galeno.storage.journal import Journal
from galeno.storage.keys import KeyRing
from galeno.storage.lake import Lake
from galeno.storage.vault import Vault
from galeno.study_file import load_study

OUT = f"{CANARY}0007"


def ingest(place: Path, home: Path, frame: pl.DataFrame | None = None, *, fresh: bool = False) -> dict:
    study = load_study(open_clinic(place, frame))
    return run_step(prepare_run(study, home, fresh=fresh), "ingest", home)


def opt_out(home: Path, *patients: str, journal_url: str | None = None) -> None:
    """Write down that patients do not want models to learn from them."""
    place = Home(home).create()
    ring = KeyRing.open_or_create(place.keys, data_exists=False)
    journal = Journal(journal_url or place.journal_url)
    journal.migrate()
    cipher = Cipher(ring, Vault(place.vault_url))
    with journal.begin() as connection:
        for patient in patients:
            ((table, row),) = Consents().record(
                cipher.pseudonym(patient),
                "clinic",
                Policy(),
                language="es",
                accepted=True,
                training=False,
                actor="eva",
            )
            connection.execute(insert(table).values(dict(row)))
    journal.close()


def rows_of(home: Path, result: dict) -> pl.DataFrame:
    return Lake(home / "lake").read(result["table"], result["version"], result["batches"])


def test_a_home_without_a_journal_is_as_before(tmp_path: Path) -> None:
    home = tmp_path / "home"
    result = ingest(tmp_path, home)
    assert result["report"]["good"] == 240
    assert {path.name for path in home.iterdir()} == {"lake", "runs", "packages"}


def test_rows_of_those_who_opted_out_go_nowhere(tmp_path: Path) -> None:
    home = tmp_path / "home"
    opt_out(home, OUT, "nobody-here")
    frame = visits()
    quarantined = frame.filter(pl.col("mrn") == OUT).head(1).with_columns(condition=pl.lit("Z"))
    frame = pl.concat([frame, quarantined.with_columns(visit=pl.lit("V0-x"))])
    count = frame["mrn"].to_list().count(OUT)
    result = ingest(tmp_path, home, frame)
    report = result["report"]
    assert (report["read"], report["good"], report["quarantined"]) == (241, 241 - count, 0)
    (line,) = (line for line in report["violations"] if line["check"] == "opted_out")
    assert line == {
        "check": "opted_out",
        "column": "mrn",
        "count": count,
        "rows": [],
        "behaviour": "leave_out",
    }
    assert OUT not in rows_of(home, result)[PATIENT].to_list()
    (run,) = (home / "runs").iterdir()
    assert not (run / "ingest" / "quarantine.parquet").exists()
    assert OUT not in (run / "ingest" / "validation.json").read_text(encoding="utf-8")


def test_opting_out_later_counts_for_a_fresh_run(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first = ingest(tmp_path, home)
    opt_out(home, OUT)
    second = ingest(tmp_path, home, fresh=True)
    assert first["batches"] != second["batches"]
    with_all, without = rows_of(home, first), rows_of(home, second)
    assert without.drop("_batch").equals(with_all.filter(pl.col(PATIENT) != OUT).drop("_batch"))
    again = ingest(tmp_path, home, fresh=True)
    assert again["batches"] == second["batches"]


def test_a_journal_elsewhere_is_asked(
    tmp_path: Path, fresh_journal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    opt_out(home, OUT, journal_url=fresh_journal_url)
    keys = tmp_path / "elsewhere.json"
    shutil.move(home / "keys.json", keys)
    monkeypatch.setenv("GALENO_JOURNAL", fresh_journal_url)
    monkeypatch.setenv("GALENO_KEYS", str(keys))
    assert ingest(tmp_path, home)["report"]["good"] < 240
    assert not (home / "journal.db").exists()


def test_without_the_keys_nobody_learns_by_mistake(tmp_path: Path) -> None:
    home = tmp_path / "home"
    opt_out(home, OUT)
    (home / "keys.json").unlink()
    with pytest.raises(KeyRingError, match="missing"):
        ingest(tmp_path, home)
    assert list((home / "lake").iterdir()) == []


def test_a_journal_in_which_nobody_opted_out_needs_no_keys(tmp_path: Path) -> None:
    home = tmp_path / "home"
    opt_out(home)
    (home / "keys.json").unlink()
    result = ingest(tmp_path, home)
    assert result["report"]["good"] == 240
    assert json.dumps(result["report"]).count("opted_out") == 0


def test_when_all_opted_out_there_is_nothing_to_learn_from(tmp_path: Path) -> None:
    home = tmp_path / "home"
    opt_out(home, *visits()["mrn"].unique())
    with pytest.raises(LearningError, match="no row passed validation"):
        ingest(tmp_path, home)
