"""What is asked by a FHIR search of RiskAssessments."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

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
    until: datetime | None
    """Made before this time."""
    count: int

    def holds(self, created: str) -> bool:
        """Whether a diagnosis was made in the time that is asked for; times are texts that sort."""
        return self.reaches(created) and (self.until is None or created < _text(self.until))

    def reaches(self, created: str) -> bool:
        """Whether a diagnosis was not made too early."""
        return self.since is None or created >= _text(self.since)


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
    until: list[datetime] = []
    page: str | None = None
    for name, value in asked:
        if name in _SUBJECTS:
            if patient_id is not None:
                raise _fault(name, "stands twice")
            patient_id = _patient(name, value)
        elif name == "date":
            low, high = _range(value)
            since += [low] if low else []
            until += [high] if high else []
        elif name == "_count":
            if not value.isdecimal() or len(value) > 6 or int(value) < 1:
                raise _fault(name, "is not a whole number above 0")
            count = min(int(value), MOST)
        elif name == "page":
            if _CURSOR.fullmatch(value) is None:
                raise _fault(name, "is not the link of a page")
            page = value
        elif name != "_format":
            raise _fault(name[:64], "is not a search parameter here", code="not-supported")
    end = min(until, default=None)
    after = min((each for each in (page, _id_at(end)) if each is not None), default=None)
    return Search(patient_id, after, max(since, default=None), end, count)


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
        first, last = _ends(start, match)
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


def _ends(text: str, match: re.Match[str]) -> tuple[datetime, datetime]:
    """Start and end of the year, month, day, minute, second or fraction that a date parameter names."""
    if match[5]:
        time = datetime.fromisoformat(text).astimezone(UTC)
        fraction = len(text.partition(".")[2].rstrip("Z").partition("+")[0].partition("-")[0])
        seconds = 10.0**-fraction if fraction else 1.0 if text.count(":", 0, 19) == 2 else 60.0
        return time, time + timedelta(seconds=seconds)
    first = moment(datetime.fromisoformat(text).date() if match[4] else text)
    last = moment(datetime.fromisoformat(text).date() if match[4] else text, at_start=False)
    if first is None or last is None:
        raise ValueError
    return first, last


def _id_at(time: datetime | None) -> str | None:
    """An id that sorts after those made before a time: ids begin with hexadecimal milliseconds since 1970."""
    if time is None:
        return None
    return f"dx_{max(math.ceil(time.timestamp() * 1000), 0):012x}"


def _text(time: datetime) -> str:
    return time.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _fault(name: str, text: str, code: str = "value") -> FhirInputError:
    return FhirInputError([Issue(code, text, f"http.{name}")])
