"""Use cases after a diagnosis: what the clinician says of it, and what was confirmed in the end."""

import asyncio
import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
from sqlalchemy import Connection, insert, select, update

from galeno.errors import InputError
from galeno.governance.access import Action, Caller
from galeno.service.answers import OutcomeImport
from galeno.service.counter import Counter
from galeno.storage import schema
from galeno.storage.commit import Sealed
from galeno.storage.ids import new_id, now
from galeno.study import Study

LONGEST_COMMENT = 4000
OTHER = "other"
"""A confirmed condition that is none of the study's."""
EARLIEST = date(1900, 1, 1)
_REASON = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_OUTCOME_COLUMNS = ("diagnosis_id", "patient_id", "condition", "confirmed_on")


class Following(Counter):
    """Feedback and outcomes."""

    async def give_feedback(
        self,
        caller: Caller,
        diagnosis_id: str,
        *,
        agrees: bool,
        condition: str | None = None,
        rating: int | None = None,
        reason: str | None = None,
        comment: str | None = None,
    ) -> str:
        """Keep what a clinician said; a diagnosis can have several feedbacks, none is overwritten.

        Args:
            caller: who says it.
            diagnosis_id: of what.
            agrees: with the first condition.
            condition: the clinician's own diagnosis.
            rating: 1 to 5.
            reason: code of why it was overridden.
            comment: free text; kept encrypted.

        Returns:
            id of the feedback.

        Raises:
            InputError: a field is not valid.
            NotFoundError: no such diagnosis.
            AccessError: the caller may not.
        """
        row = await self.find(caller, Action.FEEDBACK_CREATE, diagnosis_id)
        faults = []
        if rating is not None and not 1 <= rating <= 5:
            faults.append(("rating", "is not a whole number from 1 to 5"))
        if reason is not None and not _REASON.fullmatch(reason):
            faults.append(("reason", "is not a code of small letters, digits, - and _"))
        if comment is not None and len(comment) > LONGEST_COMMENT:
            faults.append(("comment", f"is longer than {LONGEST_COMMENT} characters"))
        if condition is not None:
            faults += _check_condition(self.study(row["study"]), condition)
        if faults:
            raise InputError(faults)
        feedback = new_id("fb")
        created = now()
        kept = {
            "id": feedback,
            "diagnosis": row["id"],
            "patient": row["patient"],
            "created": created,
            "actor": caller.name,
            "role": caller.role,
            "agrees": agrees,
            "condition": condition,
            "rating": rating,
            "reason": reason,
            "comment": None if comment is None else Sealed(comment.encode()),
        }

        def review(connection: Connection) -> None:
            table = schema.diagnoses
            connection.execute(update(table).where(table.c.id == row["id"]).values(reviewed=created))

        entry = self.entry(
            caller,
            Action.FEEDBACK_CREATE,
            patient=row["patient"],
            study=row["study"],
            subject=row["id"],
            detail="agrees" if agrees else "overrides",
        )
        await self.record(entry, [(schema.feedback, kept)], patient=row["patient"], then=review)
        return feedback

    async def record_outcome(
        self, caller: Caller, diagnosis_id: str, *, condition: str, confirmed_on: date
    ) -> str:
        """Keep the confirmed condition of a diagnosis; the same outcome twice is one.

        Returns:
            id of the outcome.

        Raises:
            InputError: the condition is none of the study's (or `other`), or the date is not possible.
            NotFoundError: no such diagnosis.
            AccessError: the caller may not.
        """
        row = await self.find(caller, Action.OUTCOMES_CREATE, diagnosis_id)
        faults = _check_condition(self.study(row["study"]), condition) + _check_date(confirmed_on)
        if faults:
            raise InputError(faults)
        kept = _outcome(row, condition, confirmed_on, caller)
        entry = self.entry(
            caller, Action.OUTCOMES_CREATE, patient=row["patient"], study=row["study"], subject=row["id"]
        )
        await self.record(entry, then=lambda connection: _insert_new(connection, kept))
        return str(kept["id"])

    async def import_outcomes(self, caller: Caller, study: str, table: pl.DataFrame) -> OutcomeImport:
        """Keep the outcomes of a table: good rows are kept, faulty ones told; importing twice adds nothing.

        Args:
            caller: who imports.
            study: name of the study.
            table: texts: `condition`, `confirmed_on` (ISO date), and `diagnosis_id`, or `patient_id` whose
                latest diagnosis up to that day is meant.

        Raises:
            InputError: a column is missing.
            NotFoundError: no such study.
            AccessError: the caller may not.
        """
        await self.permit(caller, Action.OUTCOMES_CREATE)
        declared = self.study(study)
        # in a thread: a long table takes a while
        rows, faults = await asyncio.to_thread(_read_rows, declared, table, self.rooms.cipher.pseudonym)
        kept, lost = await self.read(lambda connection: _match(connection, declared.name, rows, caller))

        def write(connection: Connection) -> int:
            return sum(_insert_new(connection, each) for each in kept)

        entry = self.entry(caller, Action.OUTCOMES_CREATE, study=study, detail=f"{len(kept)} rows")
        imported = await self.record(entry, then=write)
        return OutcomeImport(imported, len(kept) - imported, tuple(sorted([*faults, *lost])))


def _check_condition(study: Study, condition: str) -> list[tuple[str, str]]:
    known = [*study.class_names, OTHER]
    if condition in known:
        return []
    return [("condition", f"is none of: {', '.join(known)}")]


def _check_date(day: date) -> list[tuple[str, str]]:
    if day > datetime.now(UTC).date():
        return [("confirmed_on", "is in the future")]
    if day < EARLIEST:
        return [("confirmed_on", f"is before {EARLIEST.year}")]
    return []


def _outcome(row: Mapping[str, Any], condition: str, day: date, caller: Caller) -> dict[str, Any]:
    """The outcome of a diagnosis' row; its id follows from what it says, so that it is kept once."""
    key = "|".join((row["id"], condition, day.isoformat()))
    return {
        "id": f"oc_{hashlib.sha256(key.encode()).hexdigest()[:32]}",
        "diagnosis": row["id"],
        "study": row["study"],
        "patient": row["patient"],
        "condition": condition,
        "confirmed_on": day.isoformat(),
        "created": now(),
        "actor": caller.name,
        "source": caller.face,
    }


def _insert_new(connection: Connection, row: Mapping[str, Any]) -> bool:
    """Insert an outcome unless it is there; one writer at a time makes look-then-insert safe on SQLite,
    and the primary key on PostgreSQL.
    """
    table = schema.outcomes
    if connection.execute(select(table.c.id).where(table.c.id == row["id"])).first() is not None:
        return False
    connection.execute(insert(table).values(dict(row)))
    return True


def _read_rows(
    study: Study, table: pl.DataFrame, pseudonym: Callable[[str], str]
) -> tuple[list[dict[str, Any]], list[tuple[int, str, str]]]:
    """The good rows of a table of outcomes, and the faults of the others."""
    if "condition" not in table.columns or "confirmed_on" not in table.columns:
        missing = next(name for name in ("condition", "confirmed_on") if name not in table.columns)
        raise InputError([(missing, "is not a column of the table")])
    if not {"diagnosis_id", "patient_id"} & set(table.columns):
        raise InputError([("diagnosis_id", "is not a column of the table, and neither is patient_id")])
    rows: list[dict[str, Any]] = []
    faults: list[tuple[int, str, str]] = []
    names = [name for name in _OUTCOME_COLUMNS if name in table.columns]
    for number, values in enumerate(table.select(names).iter_rows(named=True), start=1):
        row = {name: str(values.get(name) or "").strip() for name in _OUTCOME_COLUMNS}
        wrong = _check_condition(study, row["condition"])
        try:
            day = date.fromisoformat(row["confirmed_on"])
            wrong += _check_date(day)
        except ValueError:
            wrong.append(("confirmed_on", "is not a date such as 2026-01-31"))
        if not row["diagnosis_id"] and not row["patient_id"]:
            wrong.append(("diagnosis_id", "is empty, and so is patient_id"))
        if wrong:
            faults += [(number, column, what) for column, what in wrong]
        else:
            patient = pseudonym(row["patient_id"]) if row["patient_id"] else ""
            rows.append({**row, "row": number, "day": day, "patient": patient})
    return rows, faults


def _match(
    connection: Connection, study: str, rows: list[dict[str, Any]], caller: Caller
) -> tuple[list[dict[str, Any]], list[tuple[int, str, str]]]:
    """The outcome of each row, with the diagnosis that it belongs to."""
    table = schema.diagnoses
    kept, lost = [], []
    for row in rows:
        query = select(table.c.id, table.c.study, table.c.patient).where(table.c.study == study)
        if row["diagnosis_id"]:
            query = query.where(table.c.id == row["diagnosis_id"])
        else:
            latest = f"{row['day'].isoformat()}T23:59:59.999999Z"
            query = query.where(table.c.patient == row["patient"], table.c.created <= latest)
            query = query.order_by(table.c.id.desc()).limit(1)
        found = connection.execute(query).mappings().first()
        if found is None:
            column = "diagnosis_id" if row["diagnosis_id"] else "patient_id"
            lost.append((row["row"], column, "has no diagnosis in this study"))
            continue
        kept.append(_outcome(dict(found), row["condition"], row["day"], caller))
    return kept, lost
