"""Captured diagnoses go to the lake, each exactly once.

They go in the order of the audit trail, which is the order of their commits: ids are made before a diagnosis
is committed, so that an id may turn up after a later one, and a cursor over ids would pass it by. The cursor
is the number of the last entry that was looked at. A batch is named by the two ends of its stretch of the
trail; who finds a batch that begins at the cursor knows that it was written by somebody who died before the
cursor was moved.
"""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol

import polars as pl
from pydantic_core import from_json
from sqlalchemy import Connection, RowMapping, Select, func, select, text

from galeno.errors import ConflictError, GalenoError, KeyRingError
from galeno.governance.access import Action
from galeno.governance.consent import Consents
from galeno.ingest.columns import DTYPES
from galeno.ingest.contract import Contract
from galeno.records import KEY, PATIENT, SITE
from galeno.settings import ServiceSettings
from galeno.storage import schema
from galeno.storage.cipher import Cipher, PatientKey
from galeno.storage.home import Home
from galeno.storage.ids import later, new_id, now
from galeno.storage.journal import Journal
from galeno.storage.keys import KeyRing
from galeno.storage.lake import Lake
from galeno.storage.vault import Vault
from galeno.study import Study

SECONDS = 300.0
"""Seconds between exports."""
ROWS = 5000
"""Diagnoses of one batch at most."""
ROWS_WITH_FILES = 100
"""The same where inputs hold sounds or images, which stand in the rows."""
MOST_BYTES = 256 << 20
"""Bytes of the inputs of one batch, sealed as the journal holds them; one diagnosis may have more."""
PLAIN: Mapping[str, pl.DataType] = {
    KEY: pl.String(),
    PATIENT: pl.String(),
    SITE: pl.String(),
    "_created": pl.String(),
    "_version": pl.String(),
    "_package": pl.String(),
    "_condition": pl.String(),
    "_confidence": pl.Float64(),
    "_needs_review": pl.Boolean(),
    "_latency_ms": pl.Float64(),
    "_captured": pl.Boolean(),
}
"""Columns beside the study's own, whose names never begin with an underscore. KEY is the diagnosis' id,
PATIENT the pseudonym; where `_captured` is false, the input was not kept and its columns are null."""

_log = logging.getLogger("galeno.service")
_LEASE = "*"
"""Row of the exports that says who exports until when; no study is called so."""
_DIAGNOSES = schema.diagnoses
_AUDIT = schema.audit
_EXPORTS = schema.exports


class Place(Protocol):
    """What the schedule works with; `counter.Rooms` is one."""

    @property
    def home(self) -> Home: ...

    @property
    def journal(self) -> Journal: ...


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Part of the audit trail: the entries after `after` up to `last`, whose hash begins with `mark`."""

    after: int
    last: int
    mark: str

    @property
    def name(self) -> str:
        """Name of the batch."""
        return f"{self.after:012d}-{self.last:012d}-{self.mark}"


def table_of(study: str) -> str:
    """The lake's table of a study's captured diagnoses."""
    return f"captured/{study}"


def export_captured(
    journal: Journal,
    cipher: Cipher,
    lake: Lake,
    study: Study,
    contract: Contract,
    *,
    excluded: Collection[str],
) -> int:
    """Append the diagnoses that came since the last time to the study's table in the lake.

    Args:
        journal: holds diagnoses, and how far they went.
        cipher: opens the inputs.
        lake: where to.
        study: whose diagnoses.
        contract: types the inputs.
        excluded: pseudonyms of patients whose diagnoses are left out.

    Returns:
        how many were appended.

    Raises:
        JournalError: the journal does not answer.
        LakeError: the lake cannot be written to, or a column changed its type.
        ConflictError: somebody else appends now.
        KeyRingError: the keys do not fit.
    """
    appended = 0
    while True:
        cursor = _read_cursor(journal, study.name)
        with journal.read() as connection:
            end = _end(connection)
            waiting = connection.execute(_query(study.name, cursor, end.last).limit(1)).first()
        if waiting is None:
            _move_cursor(journal, study.name, cursor, end.last)
            return appended
        stretch, count = _append(journal, cipher, lake, contract, cursor, excluded=excluded)
        _forget_erased(journal, lake, study.name, stretch)
        _move_cursor(journal, study.name, cursor, stretch.last)
        appended += count


def is_waiting(journal: Journal, studies: Iterable[str]) -> bool:
    """Whether there are diagnoses that have not gone to the lake.

    Raises:
        JournalError: the journal does not answer.
    """
    names = list(studies)
    with journal.read() as connection:
        found = connection.execute(select(_EXPORTS)).all()
        cursors = {row.study: int(row.cursor) for row in found if row.study != _LEASE}
        end = _end(connection).last
        return any(
            connection.execute(_query(name, cursors.get(name, 0), end).limit(1)).first() is not None
            for name in names
        )


async def keep_captured(
    rooms: Place,
    studies: Callable[[], Sequence[Study]],
    settings: ServiceSettings,
    *,
    seconds: float = SECONDS,
) -> None:
    """Export again and again, in one of the workers, until cancelled.

    The work is done by a process of its own: opening and typing thousands of records would hold up requests.

    Args:
        rooms: home and journal of the service.
        studies: those that have a champion, as they are now.
        settings: journal, keys, and where the lake for captured diagnoses is.
        seconds: between exports.
    """
    worker = new_id("ex")
    told = False
    while True:
        await asyncio.sleep(seconds)
        try:
            now_served = studies()
            names = [study.name for study in now_served]
            if await asyncio.to_thread(
                _take_turn, rooms.journal, worker, seconds
            ) and await asyncio.to_thread(is_waiting, rooms.journal, names):
                await _spawn(rooms.home, now_served, settings)
            told = False
        except GalenoError as error:
            if not told:
                _log.warning("captured diagnoses wait: %s", error)
            told = True


def export_home(home: Home, studies: Iterable[Study], settings: ServiceSettings) -> dict[str, int]:
    """Export the captured diagnoses of some studies.

    Returns:
        study -> how many were appended.

    Raises:
        GalenoError: as `export_captured`, and where journal or keys cannot be opened.
    """
    journal = Journal(settings.journal or home.journal_url)
    vault = Vault(settings.vault or home.vault_url)
    try:
        ring = KeyRing.open(Path(settings.keys) if settings.keys else home.keys)
        cipher = Cipher(ring, vault)
        lake = Lake(settings.capture_lake or home.lake)
        with journal.read() as connection:
            excluded = Consents().training_excluded(connection)
        return {
            study.name: export_captured(journal, cipher, lake, study, Contract(study), excluded=excluded)
            for study in studies
        }
    finally:
        journal.close()
        vault.close()


def main() -> int:
    """The process that exports: reads {"home": PATH, "studies": [...]} from its standard input."""
    if hasattr(os, "nice"):
        os.nice(10)
    asked = json.load(sys.stdin)
    studies = [Study.model_validate(study) for study in asked["studies"]]
    try:
        export_home(Home(Path(asked["home"])), studies, ServiceSettings.from_environment())
    except GalenoError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


async def _spawn(home: Home, studies: Sequence[Study], settings: ServiceSettings) -> None:
    """Export in a process of its own; it ends with this task.

    Raises:
        ConflictError: it ended with an error; the message is the process's.
    """
    named = {field.name: getattr(settings, field.name) for field in fields(settings)}
    environment = {**os.environ, **{f"GALENO_{name.upper()}": str(value) for name, value in named.items()}}
    # -P: a folder called galeno where the service was started must not become the program.
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "galeno.service.capture",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        env=environment,
    )  # fmt: skip
    asked = {"home": str(home.root), "studies": [study.model_dump(mode="json") for study in studies]}
    try:
        _, said = await process.communicate(json.dumps(asked).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        lines = said.decode(errors="replace").strip().splitlines() or ["it was stopped"]
        raise ConflictError(f"the export ended with code {process.returncode}: {lines[-1]}")


def _append(
    journal: Journal,
    cipher: Cipher,
    lake: Lake,
    contract: Contract,
    cursor: int,
    *,
    excluded: Collection[str],
) -> tuple[_Stretch, int]:
    """Append what follows the cursor, unless it is there already.

    The rows are read while the table is held: an erasure that comes later waits for the table, and one that
    came before has taken the rows out of the journal.

    Returns:
        the stretch of the trail that is in the lake now, and how many rows were appended.
    """
    study = contract.study.name
    result: list[tuple[_Stretch, int]] = []

    def make(there: tuple[str, ...]) -> tuple[pl.DataFrame, str] | None:
        with journal.read() as connection:
            done = _find_done(connection, there, cursor)
            if done is not None:
                result.append((done, 0))
                return None
            most = ROWS_WITH_FILES if contract.files else ROWS
            stretch, rows = _read(connection, study, cursor, most)
        kept = [row for row in rows if row["patient"] not in excluded]
        frame = _frame(kept, cipher, contract)
        result.append((stretch, frame.height))
        return (frame, stretch.name) if frame.height else None

    lake.append_next(table_of(study), make)
    return result[0]


def _read(connection: Connection, study: str, cursor: int, most: int) -> tuple[_Stretch, list[RowMapping]]:
    """The next diagnoses after the cursor, and the stretch of the trail that they are all of."""
    end = _end(connection)
    query = _query(study, cursor, end.last)
    length = func.coalesce(func.length(_DIAGNOSES.c.record), 0)
    sizes = connection.execute(query.with_only_columns(length).limit(most)).scalars().all()
    taken = max(1, sum(total <= MOST_BYTES for total in accumulate(sizes)))
    rows = list(connection.execute(query.limit(taken)).mappings())
    if len(rows) < taken or taken == len(sizes) < most:  # none is left
        return _Stretch(cursor, end.last, end.mark), rows
    return _Stretch(cursor, rows[-1]["seq"], rows[-1]["mark"][:12]), rows


def _query(study: str, after: int, last: int) -> Select[Any]:
    """Diagnoses of a study by a stretch of the trail, in its order."""
    return (
        select(_AUDIT.c.seq, _AUDIT.c.hash.label("mark"), _DIAGNOSES)
        .join(_DIAGNOSES, _DIAGNOSES.c.id == _AUDIT.c.subject)
        .where(_AUDIT.c.seq > after, _AUDIT.c.seq <= last)
        .where(_AUDIT.c.action == str(Action.DIAGNOSES_CREATE), _AUDIT.c.outcome == "done")
        .where(_AUDIT.c.study == study, _DIAGNOSES.c.study == study)
        .order_by(_AUDIT.c.seq)
    )


def _end(connection: Connection) -> _Stretch:
    """The last entry of the trail; whoever sees it sees all before it."""
    query = select(_AUDIT.c.seq, _AUDIT.c.hash).order_by(_AUDIT.c.seq.desc()).limit(1)
    row = connection.execute(query).first()
    return _Stretch(0, 0, "") if row is None else _Stretch(0, row.seq, row.hash[:12])


def _find_done(connection: Connection, batches: Iterable[str], cursor: int) -> _Stretch | None:
    """The batch that begins at the cursor, if it is of this trail: a journal may have been put back."""
    for name in batches:
        after, last, mark = name.split("-")
        if int(after) == cursor:
            query = select(_AUDIT.c.hash).where(_AUDIT.c.seq == int(last))
            found = connection.execute(query).scalar()
            if found is not None and found.startswith(mark):
                return _Stretch(cursor, int(last), mark)
    return None


def _frame(rows: Sequence[RowMapping], cipher: Cipher, contract: Contract) -> pl.DataFrame:
    """Diagnoses as rows of the lake; those of patients who were erased meanwhile are left out."""
    columns = contract.study.features_columns
    schema_ = {**PLAIN, **{name: DTYPES[column.type] for name, column in columns.items()}}
    keys = cipher.find({row["patient"] for row in rows})
    made = []
    for row in rows:
        key = keys.get(row["patient"])
        if key is None:
            continue
        record = _open(row, key)
        typed = {} if record is None else contract.answer_record(record)[0]
        plain = (
            row["id"], row["patient"], row["site"], row["created"], row["version"], row["package_sha256"],
            row["condition"], row["confidence"], row["needs_review"], row["latency_ms"], record is not None,
        )  # fmt: skip
        made.append((*plain, *(typed.get(name) for name in columns)))
    return pl.DataFrame(made, schema=schema_, orient="row")


def _open(row: RowMapping, key: PatientKey) -> Mapping[str, object] | None:
    """The input; None where it was not kept."""
    if row["record"] is None:
        return None
    try:
        record: Mapping[str, object] = from_json(key.open(row["record"], "diagnoses", "record", row["id"]))
    except KeyRingError:
        _log.warning("the input of %s does not open", row["id"])
        return None
    return record


def _forget_erased(journal: Journal, lake: Lake, study: str, stretch: _Stretch) -> None:
    """Take out of the batch what left the journal while it was written: its patient was erased."""
    table = table_of(study)
    version = lake.version(table)
    if version is None or stretch.name not in lake.batches(table, version):
        return
    written = set(lake.read(table, version, [stretch.name])[KEY].to_list())
    with journal.read() as connection:
        rows = connection.execute(_query(study, stretch.after, stretch.last)).mappings()
        there = {row["id"] for row in rows}
    lake.remove(table, KEY, written - there)


def _read_cursor(journal: Journal, study: str) -> int:
    with journal.read() as connection:
        query = select(_EXPORTS.c.cursor).where(_EXPORTS.c.study == study)
        found = connection.execute(query).scalar()
    return 0 if found is None else int(found)


def _move_cursor(journal: Journal, study: str, before: int, after: int) -> None:
    """Move the cursor, unless somebody else did."""
    if before == after:
        return
    start = "INSERT INTO exports (study, cursor) VALUES (:study, '0') ON CONFLICT DO NOTHING"
    move = "UPDATE exports SET cursor = :after WHERE study = :study AND cursor = :before"
    with journal.begin() as connection:
        connection.execute(text(start), {"study": study})
        connection.execute(text(move), {"study": study, "before": str(before), "after": str(after)})


def _take_turn(journal: Journal, worker: str, seconds: float) -> bool:
    """Whether this worker is the one that exports; it stays so while it comes back in time."""
    until = later(2 * seconds + 60)
    values = {"lease": _LEASE, "mine": f"{until} {worker}", "worker": f"% {worker}", "now": now()}
    start = "INSERT INTO exports (study, cursor) VALUES (:lease, :mine) ON CONFLICT DO NOTHING"
    take = "UPDATE exports SET cursor = :mine WHERE study = :lease AND (cursor < :now OR cursor LIKE :worker)"
    with journal.begin() as connection:
        return bool(
            connection.execute(text(start), values).rowcount
            or connection.execute(text(take), values).rowcount
        )


if __name__ == "__main__":
    sys.exit(main())
