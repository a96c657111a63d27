"""Patients as the ranker takes them, and files of cases whose disease is known."""

import gzip
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from galeno.errors import InputError, SourceError
from galeno.knowledge.durations import parse_age, parse_duration, parse_onset
from galeno.knowledge.merging import normalise_disease
from galeno.knowledge.phenopackets import is_phenopacket, read_fields

__all__ = ["Case", "Patient", "Sex", "parse_duration", "read_cases", "read_phenopacket"]

Sex = Literal["MALE", "FEMALE"]

LONGEST_LINE = 4_000_000
"""Bytes of one case."""
MOST_TERMS = 2_000
"""Terms of one case, observed or excluded."""
_PAPER = re.compile(r"\s*PMID[:_]?\s*(\d{1,9})(?!\d)", re.IGNORECASE)
_SEXES: Mapping[str, Sex] = {"MALE": "MALE", "M": "MALE", "FEMALE": "FEMALE", "F": "FEMALE"}


@dataclass(frozen=True, slots=True)
class Patient:
    """What is known of a patient who has no diagnosis yet.

    Attributes:
        observed: signs that are there, as HPO ids or names.
        excluded: signs that were looked for and are not there.
        age: years at the last visit.
        sex: MALE, FEMALE or None.
        onset: years at the first sign, or the HPO id of a stage of life such as HP:0003593.
    """

    observed: tuple[str, ...]
    excluded: tuple[str, ...] = ()
    age: float | None = None
    sex: Sex | None = None
    onset: float | str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A patient whose disease is known.

    Attributes:
        id: name of the case in its source.
        patient: the signs.
        truth: ids of the confirmed disease; several are the same disease in several databases.
        paper: where it was published, such as PMID:31675180: the field source_pmid, else what an id such as
            PMID_31675180_patient_2 begins with; None where neither says it.
        unread: optional fields (age, onset, sex) that hold nothing readable, and count as not given.
    """

    id: str
    patient: Patient
    truth: tuple[str, ...]
    paper: str | None = None
    unread: tuple[str, ...] = ()


def read_phenopacket(content: Mapping[str, Any] | bytes | str) -> Case:
    """Read one phenopacket, GA4GH version 2 (ISO 4454:2022), in JSON.

    The age is that at the last encounter, else at death; the onset is the earliest of the signs' and the
    diseases'. The confirmed disease is the one of a solved interpretation, else those listed as diseases and
    not excluded. A sex other than male and female counts as not given.

    Args:
        content: the JSON, or what it was parsed to.

    Raises:
        InputError: it is not JSON, not a phenopacket, of version 1, or has no sign at all.
    """
    if isinstance(content, bytes | str):
        try:
            content = json.loads(content)
        except (ValueError, RecursionError):
            raise InputError([("phenopacket", "this is not JSON")]) from None
    fields = read_fields(content)
    patient = Patient(
        fields.observed, fields.excluded, fields.age, _SEXES.get(fields.sex.upper()), fields.onset
    )
    truth = tuple(dict.fromkeys(map(normalise_disease, fields.truth)))
    return Case(fields.id, patient, truth, fields.paper or _paper({}, fields.id))


def read_cases(path: Path) -> list[Case]:
    """Read cases whose disease is known.

    Args:
        path: JSON lines (.jsonl, .jsonl.gz), each {"id", "hpo": [...], "excluded": [...], "age", "sex",
            "onset", "truth": [...], "source_pmid"} or a phenopacket; or one phenopacket (.json), or a folder
            of them. Only hpo has to be there. Age and onset are ISO durations, years, HPO onsets or null.

    Returns:
        The cases in the order of the file; of a folder in the order of the names.

    Raises:
        SourceError: nothing can be read there, or a line is no case; names file and line, never a value.
    """
    if path.is_dir():
        files = sorted(each for each in path.rglob("*.json") if each.is_file())
        cases = [_read_file(each) for each in files]
    elif path.suffix.lower() == ".json":
        cases = [_read_file(path)]
    else:
        cases = list(_read_lines(path))
    if not cases:
        raise SourceError("there is no case here", where=str(path), remedy="Name JSON lines or phenopackets")
    return cases


def _read_file(path: Path) -> Case:
    try:
        with path.open("rb") as stream:
            content = stream.read(LONGEST_LINE + 1)
    except OSError as error:
        raise _unreadable(path, error.strerror or "") from None
    if len(content) > LONGEST_LINE:
        raise SourceError("is longer than any phenopacket", where=str(path), remedy="Name another file")
    return _case(content, str(path), path.stem)


def _read_lines(path: Path) -> Iterator[Case]:
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            with gzip.open(file) if packed else file as stream:
                for number, line in _lines(stream, path):
                    yield _case(line, f"{path}, line {number}", f"line {number}")
    except OSError as error:
        raise _unreadable(path, error.strerror or "not a whole gzip file") from None
    except (EOFError, zlib.error):
        raise _unreadable(path, "not a whole gzip file") from None


def _lines(stream: BinaryIO | gzip.GzipFile, path: Path) -> Iterator[tuple[int, bytes]]:
    """Number and content of the lines that are not blank."""
    number = 0
    while line := stream.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            raise SourceError(
                "the line is too long for a case",
                where=f"{path}, line {number}",
                remedy="Give each case a line",
            )
        if line.strip():
            yield number, line


def _case(line: bytes, where: str, name: str) -> Case:
    remedy = 'A case is {"id", "hpo": [...], "truth": [...], ...} or a phenopacket of version 2'
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise SourceError("this is not JSON", where=where, remedy=remedy) from None
    if not isinstance(row, dict) or not (is_phenopacket(row) or "hpo" in row):
        raise SourceError("this is neither a case nor a phenopacket", where=where, remedy=remedy)
    try:
        if is_phenopacket(row):
            return read_phenopacket(row)
        observed, excluded = _texts(row, "hpo"), _texts(row, "excluded")
        truth = tuple(dict.fromkeys(map(normalise_disease, _texts(row, "truth"))))
    except InputError as error:
        faults = "; ".join(f"{field}: {fault}" for field, fault in error.faults[:3])
        raise SourceError(faults, where=where, remedy=remedy) from None
    unread = []
    values: dict[str, Any] = {}
    for field, parse in (("age", parse_age), ("onset", parse_onset), ("sex", _parse_sex)):
        try:
            values[field] = parse(row.get(field))
        except ValueError:
            values[field] = None
            unread.append(field)
    case = str(row.get("id") or name)
    return Case(case, Patient(observed, excluded, **values), truth, _paper(row, case), tuple(unread))


def _paper(row: Mapping[str, Any], case: str) -> str | None:
    """In one spelling, whatever the source's: annotations are taken out by it."""
    named = row.get("source_pmid")
    if isinstance(named, str | int) and not isinstance(named, bool) and str(named).strip():
        text = str(named).strip()
        number = _PAPER.fullmatch(text)
        return f"PMID:{number[1] if number else text}" if number or text.isdecimal() else text
    begins = _PAPER.match(case)
    return f"PMID:{begins[1]}" if begins else None


def _texts(row: Mapping[str, Any], field: str) -> tuple[str, ...]:
    values = row.get(field)
    values = [values] if isinstance(values, str) else values or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise InputError([(field, "is not a list of texts")])
    if len(values) > MOST_TERMS:
        raise InputError([(field, f"has more than {MOST_TERMS} entries")])
    return tuple(values)


def _parse_sex(value: Any) -> Sex | None:
    """MALE or FEMALE; anything else that is a text (unknown, other) counts as not given."""
    if value is None or isinstance(value, str):
        return _SEXES.get((value or "").strip().upper())
    raise ValueError("not a text")


def _unreadable(path: Path, reason: str) -> SourceError:
    return SourceError(
        f"cannot be read ({reason})", where=str(path), remedy="Name JSON lines or phenopackets"
    )
