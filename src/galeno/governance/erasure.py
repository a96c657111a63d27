"""Erasure of a patient (GDPR article 17): the key first, then every plain copy, and a look at what remains.

The patient's key is destroyed, so that what was sealed with it is noise in backups of the journal too (NIST
SP 800-88 rev. 2, "cryptographic erase"). The journal's rows go, and the rows in lake, quarantine and runs. A
tombstone and the audit trail keep the pseudonym alone. Every part may be repeated: an erasure that was cut
off is ended by the same command. Models are not changed; the report names those that had learned from the
patient, and training leaves an erased patient out.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, delete, exists, insert, select, update

from galeno.errors import NotFoundError
from galeno.governance import lake_rows, run_files
from galeno.governance.access import Action, Caller, require
from galeno.governance.compaction import compact
from galeno.governance.lake_rows import Traces
from galeno.governance.learned import LearnedModel, find_models
from galeno.governance.leftovers import drop_gathered, drop_received
from galeno.governance.orphans import drop_orphans
from galeno.governance.person import Person
from galeno.governance.remains import find_remains
from galeno.records import PATIENT, AuditEntry
from galeno.storage import database, schema
from galeno.storage.cipher import Cipher
from galeno.storage.commit import Trail
from galeno.storage.contents import TABLE as CONTENTS
from galeno.storage.home import Home
from galeno.storage.ids import now
from galeno.storage.journal import Journal
from galeno.storage.lake import Lake
from galeno.storage.vault import Vault

CLINICAL = (
    schema.diagnoses,
    schema.shadows,
    schema.feedback,
    schema.outcomes,
    schema.rankings,
    schema.ranking_feedback,
    schema.consents,
    schema.identities,
)
"""Tables whose rows of the patient are deleted. The trail and the outbox hold pseudonyms and ids only."""
_LEASE = "*"
"""Row of the exports that is no study: who exports now."""
_LOG = logging.getLogger("galeno.governance")


@dataclass(frozen=True, slots=True)
class ErasureReport:
    """What an erasure did.

    Attributes:
        patient: pseudonym.
        erased: when.
        again: whether the patient had been erased before, or an erasure had been cut off.
        key: whether there was a key to destroy.
        journal: rows deleted, by table.
        lake: rows deleted or blanked, by table; 0 where earlier versions alone held the patient. Of the table
            of sounds and images, those that no row of anybody names any more.
        files: rows deleted or blanked, by file.
        runs: runs that had read the patient's rows.
        models: those that had learned from the patient, or were judged on his rows.
        remains: files of the home that still name the patient, or could not be read or emptied: they are not
            Galeno's own, or a service is at work on them.
        searched: whether free texts and all files were searched. An id shorter than `person.LEAST_LETTERS`
            stands in them by chance.
    """

    patient: str
    erased: str
    again: bool
    key: bool
    journal: Mapping[str, int]
    lake: Mapping[str, int]
    files: Mapping[str, int]
    runs: int
    models: tuple[LearnedModel, ...]
    remains: tuple[str, ...]
    searched: bool

    def to_dict(self) -> dict[str, Any]:
        """The object that `privacy erase --json` prints."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Work:
    """Who is erased where, and for whom."""

    home: Home
    journal: Journal
    cipher: Cipher
    trail: Trail
    caller: Caller
    person: Person

    def note(
        self, connection: Connection, detail: str, *, time: str, outcome: Literal["done", "failed"] = "done"
    ) -> None:
        """Add to the audit trail."""
        caller = self.caller
        entry = AuditEntry(
            action=str(Action.PATIENTS_ERASE),
            outcome=outcome,
            time=time,
            actor=caller.name,
            role=caller.role,
            site=caller.site,
            address=caller.address,
            face=caller.face,
            purpose=caller.purpose,
            patient=self.person.pseudonym,
            detail=detail,
        )
        self.trail.extend(connection, [entry])


@dataclass(frozen=True, slots=True)
class _Found:
    """What a home holds of a patient beside the journal."""

    roles: frozenset[str]
    lakes: Mapping[Path, Mapping[str, Traces]]
    files: Mapping[str, int]

    @property
    def any(self) -> bool:
        return bool(self.files) or any(held.named for lake in self.lakes.values() for held in lake.values())


def erase(
    patient_id: str,
    *,
    home: Home,
    journal: Journal,
    cipher: Cipher,
    vault: Vault,
    trail: Trail,
    caller: Caller,
    capture_lake: str = "",
) -> ErasureReport:
    """Erase a patient. May be repeated, and has to be where it was cut off.

    What killed processes left behind goes in any case, as it could be anybody's: sounds and images, and what
    was never brought to its end in the lake. A request at work removes its own.

    Args:
        patient_id: the hospital's own id, as it was sent.
        home: with lake, runs and quarantine.
        journal: migrated.
        cipher: makes the pseudonym.
        vault: holds the patient's key; the cipher's own.
        trail: gets an entry when the key is destroyed, and one when the plain copies are gone.
        caller: who asks for it.
        capture_lake: folder or s3:// address of captured diagnoses, where it is not the home's lake.

    Raises:
        AccessError: the caller may not.
        NotFoundError: nothing is held of such a patient, and none was erased.
        RunError: a run is at work. Key and journal are erased by then; repeat when it has ended.
        JournalError: a database does not answer.
        LakeError: a table of the lake cannot be read or written.
        OutputError: a file cannot be read or written.
    """
    require(caller, Action.PATIENTS_ERASE)
    person = Person(patient_id.strip(), cipher.pseudonym(patient_id))
    work = _Work(home, journal, cipher, trail, caller, person)
    found = _look(home, capture_lake, person)
    _drop_leftovers(home, found, held=False)
    if not (found.any or _is_known(work) or find_remains(home.root, person)):
        drop_orphans(home)
        with journal.begin() as connection:
            work.note(connection, "not found", time=now(), outcome="failed")
        raise NotFoundError("nothing is held of this patient", remedy="Check the id: it is taken as it is")
    before = _read_tombstone(journal, person)
    models = _merge(before, find_models(home, found.lakes[home.lake]))
    erased, key, rows = _erase_journal(work, models)
    with run_files.hold_runs(home):
        with Lake(home.lake).hold_intake():
            pass  # who asked before the tombstone stood has written; who asks now leaves the patient out
        found = _look(home, capture_lake, person)
        _drop_leftovers(home, found, held=True)
        runs = run_files.clean_runs(home, found.lakes[home.lake])
        run_files.forget_names(home, person, found.roles, found.lakes[home.lake])
        run_files.remove_rows(home, person, found.roles)
        lake = _erase_lake(home, found, person)
        contents = drop_orphans(home)
        if _is_remote(capture_lake):
            lake |= _erase_captured(journal, Lake(capture_lake), person)
        run_files.move_pins(home)
    busy = compact(journal, vault)
    # Closing a file that was read drops the locks that this process has on it (POSIX): no SQLite database
    # may be open while all files are searched. They open again when they are next asked.
    for engine in (journal.engine, vault.engine):
        if database.sqlite_file(engine) is not None:
            engine.dispose()
    report = ErasureReport(
        patient=person.pseudonym,
        erased=erased,
        again=before is not None,
        key=key,
        journal=rows,
        lake=lake | ({CONTENTS: contents} if contents else {}),
        files=found.files,
        runs=runs,
        models=models,
        remains=tuple(sorted({*find_remains(home.root, person), *busy})),
        searched=person.telling,
    )
    _finish(work, report)
    return report


def unfinished(connection: Connection) -> tuple[str, ...]:
    """Pseudonyms of patients whose erasure was cut off and has to be repeated."""
    table = schema.erasures
    rows = connection.execute(select(table.c.patient, table.c.counts).order_by(table.c.patient))
    return tuple(row.patient for row in rows if not json.loads(row.counts).get("done"))


def _look(home: Home, capture_lake: str, person: Person) -> _Found:
    roles = run_files.id_columns(home)
    lakes = [home.lake]
    if capture_lake and not _is_remote(capture_lake):
        lakes.append(Path(capture_lake))
    traces = {
        lake: {
            table: lake_rows.find_rows(lake, table, person, roles)
            for table in lake_rows.list_tables(lake)
            if table != CONTENTS  # names nobody, and may be large
        }
        for lake in lakes
    }
    return _Found(roles, traces, run_files.count_rows(home, person, roles))


def _drop_leftovers(home: Home, found: _Found, *, held: bool) -> None:
    drop_gathered(home, held=held)
    drop_received(home)
    for lake in found.lakes:
        lake_rows.drop_unfinished(lake)


def _is_remote(lake: str) -> bool:
    return "://" in lake


def _is_known(work: _Work) -> bool:
    patient = work.person.pseudonym
    if work.cipher.find((patient,)):
        return True
    with work.journal.read() as connection:
        return any(
            connection.execute(select(exists().where(table.c.patient == patient))).scalar()
            for table in (*CLINICAL, schema.erasures)
        )


def _read_tombstone(journal: Journal, person: Person) -> dict[str, Any] | None:
    table = schema.erasures
    with journal.read() as connection:
        query = select(table.c.counts).where(table.c.patient == person.pseudonym)
        counts = connection.execute(query).scalar()
    return None if counts is None else dict(json.loads(counts))


def _merge(before: Mapping[str, Any] | None, models: Sequence[LearnedModel]) -> tuple[LearnedModel, ...]:
    """The models found now and those of an earlier erasure, whose rows are no longer there to tell."""
    known = [LearnedModel(**model) for model in (before or {}).get("models", ())]
    merged = {(model.study, model.run): model for model in (*known, *models)}
    return tuple(merged[key] for key in sorted(merged))


def _erase_journal(work: _Work, models: Sequence[LearnedModel]) -> tuple[str, bool, dict[str, int]]:
    """Put up the tombstone, delete the rows and destroy the key, while no other writer is at work.

    The key goes before the commit: a crash in between leaves rows that nobody can open, never the reverse.

    Returns:
        when; whether there was a key; rows deleted by table.
    """
    table, patient = schema.erasures, work.person.pseudonym
    counts = json.dumps({"done": False, "models": [model.to_dict() for model in models]})
    erased = now()
    with work.journal.begin() as connection:
        # First of all, since PostgreSQL's group commits wait for this table, see commit.py.
        connection.execute(delete(table).where(table.c.patient == patient))
        tombstone = {"patient": patient, "erased": erased, "actor": work.caller.name, "counts": counts}
        connection.execute(insert(table).values(tombstone))
        rows = {
            each.name: connection.execute(delete(each).where(each.c.patient == patient)).rowcount
            for each in CLINICAL
        }
        work.note(connection, "key and journal", time=erased)
        key = work.cipher.destroy(patient)
    _LOG.info("erased the key and the journal of %s", patient)
    return erased, key, rows


def _erase_lake(home: Home, found: _Found, person: Person) -> dict[str, int]:
    counts = {}
    for lake, tables in found.lakes.items():
        for table, traces in tables.items():
            if traces.any:
                lake_rows.remove_rows(lake, table, person, found.roles)
            if traces.named:
                name = table if lake == home.lake else str(lake / table)
                counts[name] = traces.rows.height + traces.mentions
    return counts


def _erase_captured(journal: Journal, lake: Lake, person: Person) -> dict[str, int]:
    """Remove captured diagnoses from an object store. Their log keeps no values, see `Lake.append_next`."""
    with journal.read() as connection:
        studies = connection.execute(select(schema.exports.c.study)).scalars().all()
    counts = {}
    for study in studies:
        table = f"captured/{study}"
        version = None if study == _LEASE else lake.version(table)
        if version is not None:
            rows = lake.read(table, version)
            counts[f"{lake.root}/{table}"] = int((rows[PATIENT] == person.pseudonym).sum())
            lake.remove(table, PATIENT, [person.pseudonym])
    return counts


def _finish(work: _Work, report: ErasureReport) -> None:
    """Note on the tombstone and in the trail that the plain copies are gone."""
    table = schema.erasures
    counts = {
        "done": True,
        **{name: dict(getattr(report, name)) for name in ("journal", "lake", "files")},
        "models": [model.to_dict() for model in report.models],
        "remains": len(report.remains),
    }
    with work.journal.begin() as connection:
        mine = update(table).where(table.c.patient == report.patient)
        connection.execute(mine.values(counts=json.dumps(counts)))
        work.note(connection, "plain copies", time=now())
