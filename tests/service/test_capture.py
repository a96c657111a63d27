"""Captured diagnoses in the lake: each exactly once, and none of who may not be there."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from clinic import CANARY, clinic_study
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select, update

from galeno.errors import ConflictError, LakeError
from galeno.governance.audit import Trail
from galeno.ingest.contract import Contract
from galeno.records import BATCH, KEY, PATIENT, AuditEntry
from galeno.service import capture
from galeno.service.capture import export_captured, export_home, is_waiting, keep_captured
from galeno.settings import ServiceSettings
from galeno.storage import schema
from galeno.storage.cipher import Cipher
from galeno.storage.commit import Change, GroupCommit
from galeno.storage.home import Home
from galeno.storage.ids import new_id, now
from galeno.storage.insert import Sealed
from galeno.storage.journal import Journal
from galeno.storage.keys import KeyRing
from galeno.storage.lake import Lake
from galeno.storage.vault import Vault
from galeno.study import Study

TABLE = "captured/clinic"
RECORD = {"age": 41, "sex": "F", "lactate": "2,5", "note": "tos"}


@dataclass
class House:
    """A home with a journal, keys and a study."""

    home: Home
    url: str
    journal: Journal
    cipher: Cipher
    commits: GroupCommit
    study: Study

    @property
    def lake(self) -> Lake:
        return Lake(self.home.lake)

    def diagnose(self, number: int = 0, *, study: str = "clinic", **changed: Any) -> str:
        """Write a diagnosis as the desk does."""
        patient_id = changed.pop("patient_id", f"{CANARY}{number:04d}")
        record = changed.pop("record", RECORD)
        patient = self.cipher.pseudonym(patient_id)
        row = {
            "id": new_id("dx"),
            "study": study,
            "created": now(),
            "patient": patient,
            "site": "A",
            "actor": "dra",
            "face": "api",
            "version": "3",
            "package_sha256": "ab" * 32,
            "condition": "ill",
            "confidence": 0.5 + number / 10_000,
            "needs_review": number % 2 == 0,
            "record": None if record is None else Sealed(json.dumps(record).encode()),
            "answer": Sealed(b"{}"),
            "latency_ms": 1.5,
            **changed,
        }
        entry = AuditEntry(
            action="diagnoses.create",
            outcome="done",
            time=row["created"],
            actor="dra",
            role="clinician",
            patient=patient,
            study=study,
            subject=row["id"],
        )
        change = Change(((schema.diagnoses, row),), (entry,), patient=patient, identity=patient_id)
        self.commits.commit_now(change)
        return str(row["id"])

    def look(self) -> None:
        """Something else in the audit trail."""
        entry = AuditEntry(action="audit.read", outcome="done", time=now(), actor="a", role="auditor")
        self.commits.commit_now(Change(audit=(entry,)))

    def export(self, lake: Lake | None = None, excluded: frozenset[str] = frozenset()) -> int:
        return export_captured(
            self.journal,
            self.cipher,
            lake or self.lake,
            self.study,
            Contract(self.study),
            excluded=excluded,
        )

    def exported(self, lake: Lake | None = None) -> pl.DataFrame:
        lake = lake or self.lake
        version = lake.version(TABLE)
        assert version is not None
        return lake.read(TABLE, version)

    def cursor(self, value: int | None = None) -> int:
        """How far the export went; with a value, put it back there."""
        table = schema.exports
        if value is not None:
            with self.journal.begin() as connection:
                connection.execute(update(table).where(table.c.study == "clinic").values(cursor=str(value)))
        with self.journal.read() as connection:
            query = select(table.c.cursor).where(table.c.study == "clinic")
            return int(connection.execute(query).scalar() or 0)


def open_house(folder: Path, url: str) -> House:
    home = Home(folder / "home").create()
    journal = Journal(url)
    journal.migrate()
    vault = Vault(home.vault_url)
    ring = KeyRing.open_or_create(home.keys, data_exists=False)
    cipher = Cipher(ring, vault)
    commits = GroupCommit(journal, cipher, Trail(ring.audit_key))
    return House(home, url, journal, cipher, commits, clinic_study(folder / "clinic"))


def close_house(house: House) -> None:
    house.journal.close()
    house.cipher.vault.close()


@pytest.fixture
def house(fresh_journal_url: str, tmp_path: Path) -> Iterator[House]:
    house = open_house(tmp_path, fresh_journal_url)
    yield house
    close_house(house)


on_sqlite = pytest.mark.parametrize("fresh_journal_url", ["sqlite"], indirect=True)


def test_appends_what_came_since_the_last_time(house: House) -> None:
    first = house.diagnose(1)
    house.look()
    second = house.diagnose(2)
    house.diagnose(3, study="other")
    assert house.export() == 2
    assert house.export() == 0
    house.look()
    third = house.diagnose(4)
    assert is_waiting(house.journal, ["clinic"])
    assert house.export() == 1
    assert not is_waiting(house.journal, ["clinic"])
    assert house.exported()[KEY].to_list() == sorted([first, second, third])
    assert len(set(house.exported()[BATCH])) == 2


@on_sqlite
def test_rows_hold_the_typed_input_and_no_patient_id(house: House) -> None:
    house.diagnose(1)
    house.diagnose(2, record=None)
    house.diagnose(3, record={"age": 500, "sex": "X"})
    house.export()
    frame = house.exported().sort("_confidence")
    assert dict(frame.schema) == {
        **capture.PLAIN,
        "age": pl.Float64(),
        "sex": pl.String(),
        "lactate": pl.Float64(),
        "note": pl.String(),
        BATCH: pl.String(),
    }
    row = frame.row(0, named=True)
    assert row[PATIENT] == house.cipher.pseudonym(f"{CANARY}0001")
    assert (row["age"], row["sex"], row["lactate"], row["note"]) == (41.0, "F", 2.5, "tos")
    assert (row["_condition"], row["_version"], row["_needs_review"]) == ("ill", "3", False)
    assert frame["_captured"].to_list() == [True, False, True]
    assert frame.row(1)[-5:-1] == (None, None, None, None)
    assert frame.row(2)[-5:-1] == (None, None, None, None)
    held = [path for path in house.home.lake.rglob("*") if path.is_file()]
    assert not [path for path in held if CANARY.encode() in path.read_bytes()]


@on_sqlite
def test_values_stand_in_no_log(house: House) -> None:
    house.diagnose(1, record={"note": "unmistakable words"})
    house.export()
    for path in (house.home.lake / TABLE / "_delta_log").glob("*.json"):
        assert b"unmistakable" not in path.read_bytes()


@on_sqlite
def test_who_may_not_be_there_is_left_out(house: House) -> None:
    house.diagnose(1)
    house.diagnose(2)
    house.diagnose(3)
    house.cipher.destroy(house.cipher.pseudonym(f"{CANARY}0002"))
    excluded = house.cipher.pseudonym(f"{CANARY}0003")
    assert house.export(excluded=frozenset({excluded})) == 1
    assert house.exported()[PATIENT].to_list() == [house.cipher.pseudonym(f"{CANARY}0001")]
    assert house.export() == 0


@on_sqlite
def test_nothing_to_export_makes_no_table(house: House) -> None:
    assert house.export() == 0
    house.look()
    house.diagnose(1)
    assert house.export(excluded=frozenset({house.cipher.pseudonym(f"{CANARY}0001")})) == 0
    assert house.lake.version(TABLE) is None
    assert house.cursor() == 2


@on_sqlite
def test_an_id_that_was_committed_late_is_not_passed_by(house: House) -> None:
    early = new_id("dx")
    house.diagnose(1)
    house.export()
    house.diagnose(2, id=early)
    assert house.export() == 1
    assert early in house.exported()[KEY].to_list()


@on_sqlite
def test_many_go_in_several_batches(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "ROWS", 4)
    ids = [house.diagnose(number) for number in range(8)]
    ids.append(house.diagnose(9))
    assert house.export() == 9
    assert house.exported()[KEY].to_list() == sorted(ids)
    assert house.exported()[BATCH].n_unique() == 3


def test_large_inputs_go_a_few_at_a_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [house.diagnose(number, record=RECORD if number else None) for number in range(7)]
    with house.journal.read() as connection:
        length = connection.execute(select(func.max(func.length(schema.diagnoses.c.record)))).scalar()
    monkeypatch.setattr(capture, "MOST_BYTES", 2 * int(length or 0))
    assert house.export() == 7
    assert house.exported()[KEY].to_list() == made
    assert len(house.lake.batches(TABLE, house.lake.version(TABLE) or 0)) == 3
    monkeypatch.setattr(capture, "MOST_BYTES", 1)  # one that is larger than all goes alone
    for number in range(3):
        house.diagnose(number)
    assert house.export() == 3


def test_a_crash_before_the_cursor_moved_doubles_none(house: House) -> None:
    for number in range(3):
        house.diagnose(number)
    house.export()
    house.diagnose(3)
    house.cursor(0)
    assert house.export() == 1
    assert house.exported()[KEY].n_unique() == house.exported().height == 4
    assert house.cursor() == 4


def test_who_was_erased_while_it_was_written_goes_again(house: House) -> None:
    kept = house.diagnose(1)
    erased = house.diagnose(2)
    house.export()
    house.cursor(0)  # as if the process had died before it looked again
    with house.journal.begin() as connection:
        connection.execute(delete(schema.diagnoses).where(schema.diagnoses.c.id == erased))
    assert house.export() == 0
    assert house.exported()[KEY].to_list() == [kept]
    files = (house.home.lake / TABLE).glob(f"{BATCH}=*/*.parquet")
    left = [key for file in files for key in pl.read_parquet(file, hive_partitioning=False)[KEY]]
    assert left == [kept]


@on_sqlite
def test_a_journal_that_was_put_back_is_another_story(house: House) -> None:
    first = house.diagnose(1)
    house.export()
    with house.journal.begin() as connection:  # a backup from before that diagnosis
        for table in (schema.diagnoses, schema.audit, schema.audit_head, schema.exports):
            connection.execute(delete(table))
    second = house.diagnose(2)
    assert house.export() == 1
    assert house.exported()[KEY].to_list() == sorted([first, second])


@on_sqlite
def test_new_columns_are_taken_and_changed_ones_refused(house: House) -> None:
    house.diagnose(1)
    house.export()
    columns = house.study.columns
    house.study = house.study.model_copy(update={"columns": {**columns, "weight": columns["age"]}})
    house.diagnose(2, record={"weight": 70})
    assert house.export() == 1
    assert sorted(house.exported()["weight"].to_list(), key=str) == [70.0, None]
    house.study = house.study.model_copy(update={"columns": {"age": columns["note"]}})
    house.diagnose(3)
    with pytest.raises(LakeError, match="'age' was of another type"):
        house.export()


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(st.sampled_from(["diagnose", "diagnose", "look", "export", "crash"]), max_size=10))
def test_any_order_of_events_gives_each_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("house")
    house = open_house(folder, f"sqlite:///{folder}/journal.db")
    ids = []
    for number, step in enumerate([*steps, "diagnose", "export"]):
        if step == "diagnose":
            ids.append(house.diagnose(number))
        elif step == "look":
            house.look()
        else:
            before = house.cursor()
            house.export()
            if step == "crash":
                house.cursor(before)
    assert house.exported()[KEY].to_list() == sorted(ids)
    close_house(house)


def test_exporters_at_once_double_none(house: House) -> None:
    ids = [house.diagnose(number) for number in range(40)]
    counts: list[int] = []

    def work() -> None:
        while is_waiting(house.journal, ["clinic"]):
            with suppress(ConflictError):
                counts.append(house.export(Lake(house.home.lake)))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert house.exported()[KEY].to_list() == sorted(ids)
    assert sum(counts) == 40


EXPORTER = """\
import json, os, sys
from pathlib import Path
from galeno.service.capture import export_home
from galeno.settings import ServiceSettings
from galeno.storage.home import Home
from galeno.study import Study

study = Study.model_validate(json.load(sys.stdin))
print("ready", flush=True)
while True:
    export_home(Home(Path(sys.argv[1])), [study], ServiceSettings(journal=sys.argv[2]))
"""


def test_killed_exporters_lose_none_and_double_none(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = []
    for round_ in range(3):
        exporter = subprocess.Popen(
            [sys.executable, "-c", EXPORTER, str(house.home.root), house.url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert exporter.stdin is not None
        assert exporter.stdout is not None
        exporter.stdin.write(house.study.model_dump_json())
        exporter.stdin.close()
        assert exporter.stdout.readline() == "ready\n"
        ids += [house.diagnose(number) for number in range(30)]
        time.sleep(0.05 * round_)
        exporter.kill()
        exporter.wait()
        exporter.stdout.close()
    house.export()
    assert house.exported()[KEY].to_list() == sorted(ids)


def test_the_schedule_exports_in_a_process_of_its_own(house: House, tmp_path: Path) -> None:
    house.diagnose(1)
    elsewhere = ServiceSettings(journal=house.url, capture_lake=str(tmp_path / "elsewhere"))
    lake = Lake(tmp_path / "elsewhere")

    async def wait() -> None:
        keeping = asyncio.create_task(keep_captured(house, lambda: [house.study], elsewhere, seconds=0.05))
        while is_waiting(house.journal, ["clinic"]):
            await asyncio.sleep(0.05)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)

    asyncio.run(asyncio.wait_for(wait(), 60))
    assert house.exported(lake).height == 1


@on_sqlite
def test_a_process_that_fails_is_told_once(
    house: House, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    house.diagnose(1)
    wrong = ServiceSettings(journal=house.url, keys=str(tmp_path / "absent.json"))

    async def wait() -> None:
        keeping = asyncio.create_task(keep_captured(house, lambda: [house.study], wrong, seconds=0.05))
        while "captured diagnoses wait" not in caplog.text:
            await asyncio.sleep(0.05)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)

    asyncio.run(asyncio.wait_for(wait(), 60))
    assert caplog.text.count("captured diagnoses wait") == 1
    assert "Traceback" not in caplog.text


def test_one_worker_does_it(house: House) -> None:
    assert capture._take_turn(house.journal, "ex_1", 300)
    assert not capture._take_turn(house.journal, "ex_2", 300)
    assert capture._take_turn(house.journal, "ex_1", -100)  # and does not come back in time
    assert capture._take_turn(house.journal, "ex_2", 300)
    assert not capture._take_turn(house.journal, "ex_1", 300)
    house.diagnose(1)
    assert house.export() == 1
    assert is_waiting(house.journal, []) is False


@on_sqlite
def test_a_whole_home_honours_who_opted_out(house: House) -> None:
    house.diagnose(1)
    house.diagnose(2)
    row = {
        "id": new_id("cs"), "patient": house.cipher.pseudonym(f"{CANARY}0002"), "study": "clinic",
        "policy_version": "1", "language": "es", "accepted": True, "training": False, "created": now(),
        "actor": "dra", "withdrawn": None,
    }  # fmt: skip
    house.commits.commit_now(Change(((schema.consents, row),)))
    done = export_home(house.home, [house.study], ServiceSettings(journal=house.url))
    assert done == {"clinic": 1}
    assert house.exported()[PATIENT].to_list() == [house.cipher.pseudonym(f"{CANARY}0001")]
