"""What is asked by a FHIR search of RiskAssessments."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from galeno.ingest.fhir_check import FhirInputError, Issue, moment

MOST = 50
"""RiskAssessments of one page."""
_DATE = re.compile(
    r"(eq|ge|gt|le|lt|sa|eb)?"
    r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2})"
    r"(?:T([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?(?:Z|[+-][0-9]{2}:[0-9]{2})))?)?)?"
)
_SUBJECT = re.compile(r"(?:[^|?#\s]*/)?Patient/([A-Za-z0-9\-.]{1,64})")
_CURSOR = re.compile(r"dx_[0-9a-f]{1,40}")
_SUBJECTS = ("subject", "patient", "subject:identifier", "patient:identifier", "subject:Patient")


@dataclass(frozen=True, slots=True)
class Search:
    """A search as the desk understands it."""

    patient_id: str | None
    after: str | None
    """Diagnoses before this id, newest first."""
    since: datetime | None
    """Not made before this time."""
    count: int


def read_search(asked: Sequence[tuple[str, str]]) -> Search:
    """Read the parameters of a search.

    Args:
        asked: names and values as they were sent; a `date` may stand twice.

    Raises:
        FhirInputError: a parameter is not known or not valid. An unknown one is not left aside, because then
            more would be told than was asked for.
    """
    patient_id: str | None = None
    count = 20
    since: list[datetime] = []
    after: list[str] = []
    for name, value in asked:
        if name in _SUBJECTS:
            if patient_id is not None:
                raise _fault(name, "stands twice")
            patient_id = _patient(name, value)
        elif name == "date":
            low, high = _range(value)
            since += [low] if low else []
            after += [_id_at(high)] if high else []
        elif name == "_count":
            if not value.isdecimal() or len(value) > 6 or int(value) < 1:
                raise _fault(name, "is not a whole number above 0")
            count = min(int(value), MOST)
        elif name == "page":
            if _CURSOR.fullmatch(value) is None:
                raise _fault(name, "is not the link of a page")
            after.append(value)
        elif name != "_format":
            raise _fault(name[:64], "is not a search parameter here", code="not-supported")
    return Search(patient_id, min(after, default=None), max(since, default=None), count)


def _patient(name: str, value: str) -> str:
    """The hospital's id of a patient: `Patient/p1`, `p1`, or `system|value`."""
    if name.endswith(":identifier") or "|" in value:
        if not value.strip("| "):
            raise _fault(name, "is empty")
        return value.removeprefix("|")
    match = _SUBJECT.fullmatch(value)
    if match is None and re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", value) is None:
        raise _fault(name, "is not Patient/ID, ID, or system|value")
    return match[1] if match else value


def _range(value: str) -> tuple[datetime | None, datetime | None]:
    """From when (inclusive) to when (exclusive) a date parameter reaches."""
    match = _DATE.fullmatch(value)
    if match is None:
        raise _fault("date", "is not a FHIR date with an optional eq, ge, gt, le, lt, sa or eb before it")
    prefix, start = match[1] or "eq", value[len(match[1] or "") :]
    try:
        whole: datetime | str = start
        if match[5]:
            whole = datetime.fromisoformat(start)
        elif match[4]:
            whole = datetime.fromisoformat(start).replace(tzinfo=UTC)
        first, last = _ends(whole, is_day=bool(match[4] and not match[5]))
    except (ValueError, OverflowError):
        raise _fault("date", "is not a day of the calendar") from None
    return {
        "eq": (first, last),
        "ge": (first, None),
        "gt": (last, None),
        "sa": (last, None),
        "le": (None, last),
        "lt": (None, first),
        "eb": (None, first),
    }[prefix]


def _ends(value: datetime | str, *, is_day: bool) -> tuple[datetime, datetime]:
    plain = value.date() if is_day and isinstance(value, datetime) else value
    first, last = moment(plain), moment(plain, at_start=False)
    if first is None or last is None:
        raise ValueError
    return first, last


def _id_at(time: datetime) -> str:
    """An id that sorts as those made at a time: ids begin with milliseconds since 1970, in hexadecimal."""
    return f"dx_{max(int(time.timestamp() * 1000), 0):012x}"


def _fault(name: str, text: str, code: str = "value") -> FhirInputError:
    return FhirInputError([Issue(code, text, f"http.{name}")])
