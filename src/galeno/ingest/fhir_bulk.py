"""Files of a FHIR bulk export as records: NDJSON, a resource a line, one record an encounter.

A line that cannot be read is told with its file and number, and the others are read on. Lines are
streamed; what is held in memory are the values that the study maps, not the resources.
"""

import glob
import gzip
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO, cast

import polars as pl
from pydantic_core import from_json

from galeno.errors import SourceError
from galeno.ingest.fhir import READ, READ_WITH_FILES, identify
from galeno.ingest.fhir_check import (
    STATUS,
    VERIFICATION,
    FhirInputError,
    Issue,
    check_code,
    check_moment,
    element,
    load_resource,
    moment,
    resource_type,
)
from galeno.ingest.fhir_files import HOLDERS, plain_resource
from galeno.ingest.fhir_map import FhirMap, Finding
from galeno.ingest.fhir_rows import Case, Spell, Stay, rows_of
from galeno.ingest.fhir_value import codings, status_of, system_of
from galeno.study import Study

LONGEST_LINE = 48 * 2**20
"""Bytes of one line."""
MOST_FAULTS = 10_000
"""Faults that are kept; all are counted."""

_ENDINGS = (".ndjson", ".ndjson.gz")
_VOID_STAYS = ("cancelled", "entered-in-error", "planned")


@dataclass(frozen=True, slots=True)
class LineFault:
    """What is wrong with one line; never a value of it."""

    file: str
    """Its name, without the folder."""
    line: int
    """1-based."""
    what: str


@dataclass(frozen=True, slots=True, eq=False)
class BulkRead:
    """What a bulk export came to."""

    frame: pl.DataFrame
    """One row an encounter, or a patient where the export has no encounters; columns are String, those of
    sounds and images Binary: the bytes of files."""
    lines: int
    faulty: int
    """Lines that something is wrong with."""
    faults: tuple[LineFault, ...]
    """The first of what is wrong."""


@dataclass(slots=True)
class _Tally:
    """Lines and what is wrong with them."""

    lines: int = 0
    faulty: int = 0
    faults: list[LineFault] = field(default_factory=list)

    def add(self, file: str, line: int, issues: tuple[Issue, ...]) -> None:
        self.faulty += 1
        room = MOST_FAULTS - len(self.faults)
        told = [f"{issue.expression}: {issue.text}" if issue.expression else issue.text for issue in issues]
        self.faults += [LineFault(file, line, what) for what in told[: max(room, 0)]]


def read_bulk(place: str | Path, study: Study, *, now: datetime | None = None) -> BulkRead:
    """Read the files of a bulk export.

    Args:
        place: a folder with `*.ndjson` or `*.ndjson.gz` files, a pattern such as `export/Obs*.ndjson`, or
            one file.
        study: its `fhir` section says where its columns are, and by `fhir.classes` its target.
        now: the present time; None asks the clock.

    Raises:
        SourceError: there are no such files, one cannot be read at all, or no record came of them.
    """
    reader = _Reader(study, now or datetime.now(UTC))
    files = bulk_files(str(place))
    if reader.mapping.files:  # what attachments point at may come in any file
        for path in files:
            for _, line in _lines(path):
                reader.hold_binary(line)
    for path in files:
        for number, line in _lines(path):
            reader.tally.lines += 1
            try:
                reader.read(line)
            except FhirInputError as error:
                reader.tally.add(path.name, number, error.issues)
    frame = rows_of(reader.cases, reader.mapping, reader.now)
    if frame.height == 0:
        raise SourceError(
            "holds no record of this study",
            where=f"fhir:{place}",
            remedy="Check the codes in the study's fhir section against the files",
        )
    return BulkRead(frame, reader.tally.lines, reader.tally.faulty, tuple(reader.tally.faults))


def bulk_files(place: str) -> list[Path]:
    """The files of an export, in alphabetical order.

    Raises:
        SourceError: there are none.
    """
    path = Path(place)
    if path.is_dir():
        found = [each for each in path.iterdir() if each.name.lower().endswith(_ENDINGS)]
    elif path.is_file():
        found = [path]
    else:
        found = [Path(each) for each in glob.glob(place)]  # noqa: PTH207  (a Path takes no absolute pattern)
    files = sorted(each for each in found if each.is_file())
    if not files:
        raise SourceError(
            "there are no NDJSON files here",
            where=f"fhir:{place}",
            remedy="Name a folder with *.ndjson files",
        )
    return files


class _Reader:
    """Takes lines and keeps what the study maps, by patient."""

    def __init__(self, study: Study, now: datetime) -> None:
        self.mapping = FhirMap(study, export=True)
        self.now = now
        self.tally = _Tally()
        self.cases: dict[str, Case] = {}
        self._targets = {
            (system_of(coded.system), coded.code): next(c.raw[0] for c in study.classes if c.name == name)
            for name, coded in study.fhir.classes.items()
        }
        self._codes = {code for _, code in self._targets} | self.mapping.codes

    def hold_binary(self, line: bytes) -> None:
        """Keep a Binary with a sound or an image; any other line is left alone, for `read` to tell of."""
        if b'"Binary"' not in line or len(line) > LONGEST_LINE:
            return
        with suppress(ValueError):
            self.mapping.binaries.add(from_json(line, allow_inf_nan=True, cache_strings="keys"))

    def read(self, line: bytes) -> None:
        """Take one line.

        Raises:
            FhirInputError: it cannot be read, or a value in it; its other values were taken.
        """
        if len(line) > LONGEST_LINE:
            raise FhirInputError([Issue("too-long", f"is longer than {LONGEST_LINE} bytes", "")])
        try:
            raw = from_json(line, allow_inf_nan=True, cache_strings="keys")
        except ValueError:
            raise FhirInputError([Issue("structure", "is not JSON", "")]) from None
        kind = resource_type(raw, "resource")
        read = READ_WITH_FILES if self.mapping.files else READ
        if kind not in (*read, "Encounter") or not self._is_mapped(raw, kind):
            return
        resource = load_resource(plain_resource(raw), kind)
        if kind == "Patient":
            self._patient(resource, raw)
        elif kind == "Encounter":
            self._encounter(resource, raw)
        else:
            self._values(resource, raw, kind)

    def _is_mapped(self, raw: Mapping[str, Any], kind: str) -> bool:
        """Whether a resource may hold anything for this study; looked at before the slower checks."""
        if kind in ("Patient", "Encounter", *HOLDERS):
            return True
        components = raw.get("component") or []
        concepts = [raw.get("code")]
        concepts += [element(each, "code") for each in components] if isinstance(components, list) else [None]
        for concept in concepts:
            coded = element(concept, "coding")
            if not isinstance(coded, list):
                if element(concept, "text") is None:
                    return True  # let the checks say what is wrong
                continue
            if any(element(one, "code") in self._codes for one in coded if isinstance(one, Mapping)):
                return True
        return False

    def _patient(self, patient: Any, raw: Mapping[str, Any]) -> None:
        if not patient.id:
            raise FhirInputError([Issue("required", "is missing", "Patient.id")])
        # asked now, while the line is known; asked again for each record, because the age changes
        findings, issues = self.mapping.read_patient(patient, raw, "Patient", self.now, self.now)
        patient_id, _ = identify(patient, "Patient")
        case = self._case(patient.id)
        case.patient_id = patient_id
        _raise_errors([*issues, *(issue for finding in findings for issue in finding.issues)])
        case.person = SimpleNamespace(gender=patient.gender, birthDate=patient.birthDate)

    def _encounter(self, encounter: Any, raw: Mapping[str, Any]) -> None:
        issues = check_code(encounter.status, STATUS["Encounter"], "Encounter.status")
        start = end = None
        if encounter.period is not None:
            for name in ("start", "end"):
                value, sent = getattr(encounter.period, name), element(raw, "period", name)
                if name == "start" or not isinstance(sent, str):
                    issues += check_moment(value, sent, self.now, f"Encounter.period.{name}")
            start, end = moment(encounter.period.start), moment(encounter.period.end, at_start=False)
        owner = _target(encounter.subject)
        if not encounter.id or not owner:
            issues.append(Issue("required", "id or subject is missing", "Encounter"))
        _raise_errors(issues)
        provider = encounter.serviceProvider
        site = (provider.display or provider.reference) if provider is not None else None
        void = encounter.status in _VOID_STAYS
        self._case(owner).stays[encounter.id] = Stay(start, end, site, void=void)

    def _values(self, resource: Any, raw: Mapping[str, Any], kind: str) -> None:
        owner = _target(resource.subject)
        if not owner:
            raise FhirInputError([Issue("required", "is missing", f"{kind}.subject")])
        findings, issues = self.mapping.read(resource, raw, kind, self.now)
        _raise_errors(issues)
        stay = _stay_of(resource, kind)
        case = self._case(owner)
        if kind == "Condition":
            self._condition(case, resource, findings, stay)
            return
        for finding in findings:
            if finding.value is not None:
                case.add(stay, finding.column, finding.value, finding.at)
        _raise_errors([issue for finding in findings for issue in finding.issues])

    def _condition(self, case: Case, condition: Any, findings: list[Finding], stay: str) -> None:
        issues: list[Issue] = []
        verified = status_of(
            condition.verificationStatus, VERIFICATION, "Condition.verificationStatus", issues
        )
        _raise_errors([*issues, *(issue for finding in findings for issue in finding.issues)])
        at = moment(condition.onsetDateTime) or moment(condition.recordedDate)
        over = moment(condition.abatementDateTime)
        ended = over is not None or status_of(condition.clinicalStatus, frozenset(_OVER), "", []) in _OVER
        if verified in ("", "confirmed"):
            for pair in codings(condition.code):
                if pair in self._targets:
                    case.add_target(stay, self._targets[pair], moment(condition.recordedDate) or at)
        for name in dict.fromkeys(self.mapping.columns("Condition", condition.code)):
            value = self.mapping.answer(name, verified)
            if value is not None:
                case.spells.append(Spell(name, value, at, over, stay, ended=ended))

    def _case(self, owner: str) -> Case:
        return self.cases.setdefault(owner, Case(owner))


_OVER = ("inactive", "remission", "resolved")


def _raise_errors(issues: list[Issue]) -> None:
    errors = [issue for issue in issues if issue.severity == "error"]
    if errors:
        raise FhirInputError(errors)


def _target(reference: Any) -> str:
    """The id that a reference ends in, `p1` of `Patient/p1`; empty where there is none."""
    text = (reference.reference or "") if reference is not None else ""
    plain = text.partition("/_history/")[0]
    return plain.rpartition("/")[2] if "/" in plain else plain.rpartition(":")[2]


def _stay_of(resource: Any, kind: str) -> str:
    """The id of the encounter that a resource names; empty where it names none."""
    if kind != "DocumentReference":
        return _target(resource.encounter)
    context = resource.context
    named = (context.encounter or []) if context is not None else []
    return _target(named[0]) if named else ""


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file that are not empty, with their numbers; of one that is too long, its beginning."""
    number = 0
    try:
        with _open(path) as stream:
            while line := stream.readline(LONGEST_LINE + 1):
                number += 1
                rest = line
                while not rest.endswith(b"\n") and len(rest) > LONGEST_LINE:
                    rest = stream.readline(LONGEST_LINE + 1)
                text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                if text.strip():
                    yield number, text
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise SourceError(
            "the compressed file is damaged or cut short", where=str(path), remedy="Copy or export it again"
        ) from None
    except OSError as error:
        raise SourceError(f"cannot be read ({error.strerror})", where=str(path)) from None


def _open(path: Path) -> BinaryIO:
    packed = path.name.lower().endswith(".gz")
    return cast("BinaryIO", gzip.open(path, "rb")) if packed else path.open("rb")
