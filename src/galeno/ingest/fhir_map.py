"""How the resources of FHIR become values of a study's columns."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from galeno.ingest.fhir_check import STATUS, Issue, check_code, check_moment, element, moment
from galeno.ingest.fhir_files import HOLDERS, Binaries, FileMap
from galeno.ingest.fhir_value import (
    Meaning,
    codings,
    read_condition,
    read_note,
    read_observed,
    read_person,
    system_of,
)
from galeno.study import Study

_VOID = ("entered-in-error", "cancelled", "superseded", "not-done")


@dataclass(frozen=True, slots=True)
class Finding:
    """What one resource says of one column."""

    column: str
    value: float | bool | str | bytes | None
    """None where it says something that cannot be used, and the issues tell why."""
    at: datetime | None
    """When it was so, in UTC."""
    path: str
    reference: str = ""
    """To the resource that it is from, such as `Observation/o1`."""
    issues: tuple[Issue, ...] = ()
    """They count only where this is the latest finding of its column."""


@dataclass(slots=True)
class _Reading:
    """What one resource came to."""

    kind: str
    path: str
    at: datetime | None
    findings: list[Finding] = field(default_factory=list)


class FhirMap:
    """How resources become values of a study's columns.

    Args:
        study: with a `fhir` section.
        binaries: of the same Bundle or export.
        export: the resources are an export's, all of one server.
    """

    def __init__(self, study: Study, binaries: Binaries | None = None, *, export: bool = False) -> None:
        self.study = study
        self.files = FileMap(study)
        self.binaries = Binaries() if binaries is None else binaries
        self._export = export
        self._coded: dict[tuple[str, str, str], list[str]] = {}
        self._person: list[str] = []
        self._notes: list[str] = []
        self.codes: set[str] = set()
        """All codes that are mapped, of whatever system."""
        for name, mapped in study.fhir.columns.items():
            if name in self.files.kinds:
                continue
            if mapped.resource == "Patient":
                self._person.append(name)
            elif not mapped.code:
                self._notes.append(name)
            for code in (mapped.code, *mapped.also) if mapped.code else ():
                key = (mapped.resource, system_of(mapped.system), code)
                self._coded.setdefault(key, []).append(name)
                self.codes.add(code)

    def read(self, resource: Any, raw: Any, path: str, now: datetime) -> tuple[list[Finding], list[Issue]]:
        """The values of an Observation, Condition, DocumentReference or Media.

        Args:
            resource: as `load_resource` gives it.
            raw: the same as JSON.
            path: where it stands.
            now: the present time.

        Returns:
            findings, and what is to be told of the resource as a whole; where that is an error there are no
            findings.
        """
        kind = resource.get_resource_type()
        issues = list(_check_status(resource, kind, path))
        at, late = _time_of(resource, raw, kind, path, now)
        issues += late
        if issues or _is_void(resource, kind):
            return [], issues
        reading = _Reading(kind, path, at)
        if kind == "Observation":
            self._observation(resource, raw, reading)
        elif kind != "Media":
            self._whole(resource, raw, reading)
        if kind in HOLDERS and self.files:
            issues += self._attached(resource, raw, reading)
        return reading.findings, issues

    def read_patient(
        self, patient: Any, raw: Any, path: str, at: datetime, now: datetime
    ) -> tuple[list[Finding], list[Issue]]:
        """Gender, age and birth date of a Patient, as the study maps them; `at` is when the age counts."""
        issues = check_moment(patient.birthDate, element(raw, "birthDate"), now, f"{path}.birthDate")
        findings: list[Finding] = []
        for name in self._person if not issues else ():
            mapped = self.study.fhir.columns[name]
            meaning = read_person(patient, self.study.columns[name], mapped, at, path)
            issues += meaning.issues
            if meaning.value is not None:
                place = f"{path}.{'gender' if mapped.element == 'gender' else 'birthDate'}"
                findings.append(Finding(name, meaning.value, at, place))
        return findings, issues

    def _observation(self, resource: Any, raw: Any, reading: _Reading) -> None:
        """Its own value and those of its components, as of a blood pressure."""
        parts = [(resource, raw, reading.path)]
        for number, component in enumerate(resource.component or ()):
            place = f"{reading.path}.component[{number}]"
            parts.append((component, element(raw, "component", number), place))
        for part, inner, place in parts:
            for name in self.columns("Observation", part.code):
                column, mapped = self.study.columns[name], self.study.fhir.columns[name]
                self._keep(name, read_observed(part, inner, column, mapped, place), place, reading)

    def _whole(self, resource: Any, raw: Any, reading: _Reading) -> None:
        """What the resource says as a whole: that a condition is there, or a note."""
        is_condition = reading.kind == "Condition"
        names = self.columns(reading.kind, resource.code if is_condition else resource.type)
        if not is_condition:
            names += self._notes
        if not names:
            return
        path = reading.path
        meaning = (
            read_condition(resource, path)
            if is_condition
            else read_note(resource, raw, path, with_files=bool(self.files))
        )
        for name in names:
            self._keep(name, self._fitted(name, meaning), path, reading)

    def _attached(self, resource: Any, raw: Any, reading: _Reading) -> list[Issue]:
        """Its sounds and images; what is told of those that no column takes."""
        issues: list[Issue] = []
        for each in self.files.read(resource, raw, reading.path, self.binaries, anywhere=self._export):
            if each.column:
                self._keep(each.column, each.meaning, each.path, reading)
            else:
                issues += each.meaning.issues
        return issues

    def answer(self, name: str, verified: str) -> float | bool | str | None:
        """What a Condition with this verification status says in a column; None where it says nothing."""
        if verified not in ("", "confirmed", "refuted"):
            return None
        said = verified != "refuted"
        if self.study.columns[name].type == "flag":
            return said
        return self.study.fhir.columns[name].values.get("yes" if said else "no")

    def _fitted(self, name: str, meaning: Meaning) -> Meaning:
        """A Condition's yes or no as the column holds it."""
        if not isinstance(meaning.value, bool):
            return meaning
        return Meaning(self.answer(name, "confirmed" if meaning.value else "refuted"), meaning.issues)

    def columns(self, kind: str, concept: Any) -> list[str]:
        """Columns that any coding of the concept is mapped to, each once."""
        found = [name for pair in codings(concept) for name in self._coded.get((kind, *pair), ())]
        return list(dict.fromkeys(found))

    @staticmethod
    def _keep(name: str, meaning: Meaning, path: str, reading: _Reading) -> None:
        if meaning.value is not None or meaning.issues:
            reading.findings.append(Finding(name, meaning.value, reading.at, path, issues=meaning.issues))


def latest(findings: Iterable[Finding]) -> dict[str, Finding]:
    """The latest finding of each column; of two of one time the later in order, one without a time first."""
    taken: dict[str, Finding] = {}
    for finding in findings:
        before = taken.get(finding.column)
        if before is None or _rank(finding) >= _rank(before):
            taken[finding.column] = finding
    return taken


def _check_status(resource: Any, kind: str, path: str) -> list[Issue]:
    allowed = STATUS.get(kind)
    if allowed is None:  # a Condition has statuses of another kind
        return []
    return check_code(resource.status, allowed, f"{path}.status")


def _is_void(resource: Any, kind: str) -> bool:
    """Whether it counts as never sent."""
    if kind == "DocumentReference" and resource.docStatus == "entered-in-error":
        return True
    return kind in STATUS and resource.status in _VOID


def _time_of(
    resource: Any, raw: Any, kind: str, path: str, now: datetime
) -> tuple[datetime | None, list[Issue]]:
    """When a resource's value was so, the first of its times that is there; all of them are checked."""
    if kind == "Observation":
        names: tuple[str, ...] = ("effectiveDateTime", "effectiveInstant", "issued")
    elif kind == "Media":
        names = ("createdDateTime", "issued")
    else:
        names = ("date",) if kind == "DocumentReference" else ("recordedDate", "onsetDateTime")
    issues: list[Issue] = []
    times: list[datetime | None] = []
    for name in names:
        value = getattr(resource, name)
        issues += check_moment(value, element(raw, name), now, f"{path}.{name}")
        times.append(moment(value))
    spell = "createdPeriod" if kind == "Media" else "effectivePeriod"
    period = getattr(resource, spell, None)
    if period is not None:
        start = element(raw, spell, "start")
        issues += check_moment(period.start, start, now, f"{path}.{spell}.start")
        times.insert(0, moment(period.end) or moment(period.start))
    return next((time for time in times if time is not None), None), issues


def _rank(finding: Finding) -> datetime:
    return finding.at or datetime.min.replace(tzinfo=UTC)
