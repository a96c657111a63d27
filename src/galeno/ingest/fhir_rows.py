"""Values of a bulk export, put together into records: one an encounter."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import polars as pl

from galeno.ingest.fhir_map import FhirMap
from galeno.ingest.values import text_of
from galeno.records import TARGET

Value = float | bool | str | bytes
Dated = tuple[datetime, Value]
_EARLIEST = datetime.min.replace(tzinfo=UTC)
_LATEST = datetime.max.replace(tzinfo=UTC) - timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Stay:
    """An encounter."""

    start: datetime | None
    end: datetime | None
    site: str | None
    void: bool = False
    """Cancelled, planned or entered in error."""


@dataclass(frozen=True, slots=True)
class Spell:
    """A condition that a patient had, or was said not to have, for a while."""

    column: str
    value: Value
    start: datetime | None
    end: datetime | None
    stay: str
    """Encounter that it was recorded in; empty where it names none."""
    ended: bool
    """It is over, by its end or by its status."""

    def covers(self, start: datetime, end: datetime, stay: str) -> bool:
        """Whether it was so in an encounter."""
        if self.stay and self.stay == stay:
            return True
        if self.ended and self.end is None:
            return False  # over, and nobody says since when
        return (self.start or _EARLIEST) <= end and (self.end or _LATEST) >= start


@dataclass(slots=True)
class Case:
    """What is known of one patient."""

    patient_id: str
    person: SimpleNamespace | None = None
    """gender and birthDate of the Patient."""
    stays: dict[str, Stay] = field(default_factory=dict)
    linked: dict[str, dict[str, Dated]] = field(default_factory=dict)
    """Encounter to column to the latest value."""
    loose: list[tuple[str, Dated]] = field(default_factory=list)
    """Values that name no encounter."""
    spells: list[Spell] = field(default_factory=list)

    def add(self, stay: str, column: str, value: Value, at: datetime | None) -> None:
        """Keep a value of an Observation or a note."""
        dated = (at or _EARLIEST, value)
        if stay:
            _keep(self.linked.setdefault(stay, {}), column, dated)
        else:
            self.loose.append((column, dated))

    def add_target(self, stay: str, value: str, at: datetime | None) -> None:
        """Keep a confirmed condition of the study's classes."""
        self.add(stay, TARGET, value, at)


def rows_of(cases: Mapping[str, Case], mapping: FhirMap, now: datetime) -> pl.DataFrame:
    """The records of all patients, in the order in which these came.

    Args:
        cases: by patient.
        mapping: of the study.
        now: the present time; ages count then where nothing says when the patient was seen.

    Returns:
        all columns that the study names, String, of sounds and images Binary; null where nothing is known.
    """
    study = mapping.study
    roles = study.records
    named = [*study.columns, roles.target, roles.patient, roles.record, roles.time, roles.site]
    names = list(dict.fromkeys(name for name in named if name is not None))
    rows = [row for case in cases.values() for row in _rows(case, mapping, now)]
    files = mapping.files.kinds
    columns = {
        name: [row.get(name) if name in files else _text(row.get(name)) for row in rows] for name in names
    }
    return pl.DataFrame(columns, schema={name: pl.Binary if name in files else pl.String for name in names})


def _rows(case: Case, mapping: FhirMap, now: datetime) -> Iterator[dict[str, Any]]:
    """The records of one patient: one an encounter, or one in all where there are no encounters."""
    void = {name for name, stay in case.stays.items() if stay.void}
    names = [name for name in dict.fromkeys([*case.stays, *case.linked]) if name not in void]
    if not names and (case.loose or case.spells):
        times = [at for _, (at, _) in case.loose if at != _EARLIEST]
        end = max(times, default=now)
        yield from _row(case, mapping, "", (_EARLIEST, _LATEST, end))
    for name in names:
        stay = case.stays.get(name, Stay(None, None, None))
        own = [at for at, _ in case.linked.get(name, {}).values() if at != _EARLIEST]
        start = stay.start or min(own, default=now)
        end = stay.end or max([*own, start])
        yield from _row(case, mapping, name, (start, end, start))


def _row(
    case: Case, mapping: FhirMap, name: str, window: tuple[datetime, datetime, datetime]
) -> Iterator[dict[str, Any]]:
    """One record, unless nothing but the person is known."""
    start, end, at = window
    values: dict[str, Dated] = {}
    for spell in case.spells:
        if spell.covers(start, end, name):
            _keep(values, spell.column, (spell.start or _EARLIEST, spell.value))
    for column, dated in case.loose:
        if not name or start <= dated[0] <= end:
            _keep(values, column, dated)
    values.update(case.linked.get(name, {}))
    if not values:
        return
    row: dict[str, Any] = {column: value for column, (_, value) in values.items()}
    if case.person is not None:
        findings, _ = mapping.read_patient(case.person, None, "Patient", at, max(at, datetime.now(UTC)))
        row |= {finding.column: finding.value for finding in findings if finding.value is not None}
    stay = case.stays.get(name)
    roles = mapping.study.records
    row[roles.target] = row.pop(TARGET, None)
    special = {
        roles.patient: case.patient_id,
        roles.record: name or None,
        roles.time: at.replace(tzinfo=None).isoformat(),
        roles.site: stay.site if stay is not None else None,
    }
    row |= {role: value for role, value in special.items() if role is not None}
    yield row


def _keep(values: dict[str, Dated], column: str, dated: Dated) -> None:
    """Keep the latest; of two of one time the later in order."""
    before = values.get(column)
    if before is None or dated[0] >= before[0]:
        values[column] = dated


def _text(value: object) -> str | None:
    return None if value is None else text_of(value)
