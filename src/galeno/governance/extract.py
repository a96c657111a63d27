"""Everything that is held of one patient (GDPR articles 15 and 20), as JSON and as a FHIR Bundle.

It holds clear text: whoever writes it to a file keeps that file safe.
"""

import json
from collections.abc import Mapping
from typing import Any

import polars as pl
from sqlalchemy import Connection, Table, select

from galeno.errors import LakeError, NotFoundError
from galeno.governance import audit, lake_rows, run_files
from galeno.governance.extract_bundle import to_bundle
from galeno.governance.learned import find_models
from galeno.governance.person import Person
from galeno.media.content import to_data_url
from galeno.storage import schema
from galeno.storage.cipher import Cipher, PatientKey
from galeno.storage.contents import TABLE as CONTENTS
from galeno.storage.contents import Contents
from galeno.storage.home import Home
from galeno.storage.ids import now
from galeno.storage.journal import Journal
from galeno.storage.lake import Lake

__all__ = ["FORMAT", "export", "to_bundle"]

FORMAT = 1
_SEALED = {
    "diagnoses": ("record", "answer"),
    "shadows": ("answer",),
    "feedback": ("comment",),
    "rankings": ("record", "answer"),
    "ranking_feedback": ("comment",),
}
_PAGE = 1000


def export(patient_id: str, *, home: Home, journal: Journal, cipher: Cipher) -> dict[str, Any]:
    """Gather everything that is held of a patient. Nothing is written, not even to the audit trail.

    Args:
        patient_id: the hospital's own id, as it was sent.
        home: with lake, runs and quarantine.
        journal: migrated.
        cipher: opens what is sealed.

    Returns:
        plain JSON: format, created, patient {id, pseudonym, known_since, erased}, consents, diagnoses (with
        record and answer), shadows, feedback (with comment), outcomes, rankings (with record and answer),
        ranking_feedback (with comment), records (rows of the lake by table), quarantine (rows by file),
        models (that learned from the patient), audit (entries about him). A sealed value whose key was
        destroyed is null. Sounds and images are data URLs, in records as well as in diagnoses.

    Raises:
        NotFoundError: nothing is held of such a patient.
        KeyRingError: the keys do not fit the data.
        JournalError: a database does not answer.
        LakeError: a table of the lake cannot be read, or holds a sound or an image that is none.
        OutputError: a file cannot be read.
    """
    person = Person(patient_id.strip(), cipher.pseudonym(patient_id))
    patient = person.pseudonym
    key = cipher.find((patient,)).get(patient)
    with journal.read() as connection:
        held = {
            table.name: _rows(connection, table, patient, key)
            for table in (
                schema.consents,
                schema.diagnoses,
                schema.shadows,
                schema.feedback,
                schema.outcomes,
                schema.rankings,
                schema.ranking_feedback,
            )
        }
        known_since = _scalar(connection, schema.identities, "created", patient)
        erased = _scalar(connection, schema.erasures, "erased", patient)
        entries = _entries(connection, patient)
    roles = run_files.id_columns(home)
    tables = [table for table in lake_rows.list_tables(home.lake) if table != CONTENTS]
    traces = {table: lake_rows.find_rows(home.lake, table, person, roles) for table in tables}
    records = {
        table: _plain(_with_files(found.rows, home)) for table, found in traces.items() if found.rows.height
    }
    quarantine = {
        name: _plain(rows) for name, rows in run_files.find_rows(home, person, roles).items() if rows.height
    }
    if not (any(held.values()) or known_since or erased or records or quarantine):
        raise NotFoundError("nothing is held of this patient", remedy="Check the id: it is taken as it is")
    return {
        "format": FORMAT,
        "created": now(),
        "patient": {
            "id": person.patient_id,
            "pseudonym": patient,
            "known_since": known_since,
            "erased": erased,
        },
        **held,
        "records": records,
        "quarantine": quarantine,
        "models": [model.to_dict() for model in find_models(home, traces)],
        "audit": entries,
    }


def _rows(connection: Connection, table: Table, patient: str, key: PatientKey | None) -> list[dict[str, Any]]:
    """A table's rows of the patient, oldest first, with what is sealed opened."""
    query = select(table).where(table.c.patient == patient).order_by(table.c.created, table.c.id)
    rows = []
    for row in map(dict, connection.execute(query).mappings()):
        opened = {column: _open(key, row, table.name, column) for column in _SEALED.get(table.name, ())}
        rows.append({**row, **opened})
    return rows


def _open(key: PatientKey | None, row: Mapping[str, Any], table: str, column: str) -> Any:
    if key is None or row[column] is None:
        return None
    value = key.open(row[column], table, column, row["id"])
    return value.decode() if column == "comment" else json.loads(value)


def _scalar(connection: Connection, table: Table, column: str, patient: str) -> str | None:
    return connection.execute(select(table.c[column]).where(table.c.patient == patient)).scalar()


def _entries(connection: Connection, patient: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    while True:
        after = entries[-1]["seq"] if entries else 0
        page = audit.read(connection, after=after, limit=_PAGE, patient=patient)
        entries += page
        if len(page) < _PAGE:
            return entries


def _with_files(rows: pl.DataFrame, home: Home) -> pl.DataFrame:
    """Rows with the sounds and images that they name by digest, as data URLs."""
    named = {
        name: digests
        for name, dtype in rows.schema.items()
        if dtype == pl.String and not name.startswith("_") and (digests := _digests(rows[name]))
    }
    wanted = {digest for digests in named.values() for digest in digests}
    found = {digest: _data_url(data) for digest, data in Contents(Lake(home.lake)).read(wanted)}
    if not found:
        return rows
    return rows.with_columns(pl.col(name).replace(found) for name in named)


def _digests(values: pl.Series) -> list[str]:
    texts = values.drop_nulls().unique()
    return texts.filter(texts.str.contains(r"^[0-9a-f]{64}$")).to_list()


def _data_url(data: bytes) -> str:
    try:
        return to_data_url(data)
    except ValueError:
        raise LakeError(
            "a sound or an image of the patient is neither FLAC nor PNG",
            remedy="Restore the lake from a backup, and repeat",
        ) from None


def _plain(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain JSON: times as ISO texts, not-a-number as null; columns without a value are left out."""
    files = [name for name, dtype in frame.schema.items() if dtype == pl.Binary]
    urls = [
        pl.Series(name, [v if v is None else _data_url(v) for v in frame[name]], pl.String) for name in files
    ]
    rows: list[dict[str, Any]] = json.loads(frame.with_columns(urls).write_json())
    return [{name: value for name, value in row.items() if value is not None} for row in rows]
