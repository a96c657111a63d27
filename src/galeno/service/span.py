"""Days from one to another, as people at this machine's clock count them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from galeno.errors import InputError

LONGEST = 731
"""Days that a span may have where figures are drawn for each of them."""


@dataclass(frozen=True, slots=True)
class Span:
    """Whole days, both ends included.

    Attributes:
        since: first day.
        until: last day.
    """

    since: date
    until: date

    @property
    def start(self) -> datetime:
        """When the first day begins."""
        return _midnight(self.since)

    @property
    def end(self) -> datetime:
        """When the last day has ended."""
        return _midnight(self.until + timedelta(days=1))

    def days(self) -> Iterator[date]:
        """Every day, in order."""
        for number in range((self.until - self.since).days + 1):
            yield self.since + timedelta(days=number)

    def cut(self, longest: int = LONGEST) -> "Span":
        """The last days of the span, as many as are allowed."""
        return Span(max(self.since, self.until - timedelta(days=longest - 1)), self.until)

    def check(self, longest: int = LONGEST) -> "Span":
        """Give the span back, if it is in order.

        Raises:
            InputError: it ends before it begins, or is too long.
        """
        if self.until < self.since:
            raise InputError([("to", "is before the first day")])
        if (self.until - self.since).days >= longest:
            raise InputError([("from", f"is more than {longest} days before the last day")])
        return self


def last_days(number: int) -> Span:
    """Today and the days before it, so many in all."""
    today = datetime.now().astimezone().date()
    return Span(today - timedelta(days=number - 1), today)


def day_of(moment: str) -> date:
    """The day of a time as `ids.now` writes it, or of its beginning down to ten minutes."""
    if len(moment) < len("2026-01-31T00:0"):
        raise ValueError("not a time")
    text = moment if moment.endswith("Z") else f"{moment[:15]}0:00Z"
    return datetime.fromisoformat(text).astimezone().date()


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min).astimezone()
