"""What an address asks for: filters in its query, read without trust, and put back into addresses."""

from collections.abc import Collection, Mapping
from datetime import date, timedelta
from typing import TypeVar
from urllib.parse import urlencode

from galeno.errors import InputError
from galeno.service.span import Span, last_days

T = TypeVar("T", bound=str)
LONGEST = 100
"""Characters of one filter."""


def read_choice(query: Mapping[str, str], name: str, known: Collection[T], default: T) -> T:
    """One of the known values; the default where it is none of them."""
    asked = query.get(name, "")
    return next((value for value in known if value == asked), default)


def read_text(query: Mapping[str, str], name: str) -> str:
    """A short text, empty where there is none or it cannot be a name of anything."""
    text = query.get(name, "").strip()
    return text if len(text) <= LONGEST and text.isprintable() else ""


def read_number(query: Mapping[str, str], name: str) -> int | None:
    """A whole number from 0, None where it is none."""
    text = query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else None


def read_day(query: Mapping[str, str], name: str) -> date | None:
    """A day, None where it is empty.

    Raises:
        InputError: not a day such as 2026-01-31.
    """
    text = query.get(name, "").strip()
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise InputError([(name, "is not a day such as 2026-01-31")]) from None
    if not 1900 <= day.year <= 2999:
        raise InputError([(name, "is not a day such as 2026-01-31")])
    return day


def read_span(query: Mapping[str, str], days: int) -> Span:
    """From one day to another, whichever is named first; today and the days before it where none is named.

    Raises:
        InputError: not days.
    """
    since, until = read_day(query, "from"), read_day(query, "to")
    usual = last_days(days)
    if since is None and until is None:
        return usual
    if since is None or until is None:
        only = since or until or usual.until
        return Span(only, max(only, usual.until)) if until is None else Span(only - timedelta(days - 1), only)
    return Span(min(since, until), max(since, until))


def address(path: str, **query: object) -> str:
    """An address with the values that are not empty; `from_` stands for `from`."""
    told = {name.rstrip("_"): str(value) for name, value in query.items() if value not in {None, ""}}
    return f"{path}?{urlencode(told)}" if told else path
