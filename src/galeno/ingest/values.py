"""One value of a record: what it means in a column of a given type.

The functions here are the definition; `columns.py` applies them to whole columns.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np

from galeno.knowledge.signs import ABSENT, Signs, Token, Vocabulary, tokens_of
from galeno.media.content import Kind, clean, from_data_url
from galeno.media.fault import MediaFault
from galeno.media.limits import LARGEST

Value = float | bool | str | datetime | bytes | None
"""A typed value; None is missing. Bytes are the clean content of a sound or an image."""
Fault = str | None
"""missing_code, type, category, range, convert, decimal_comma, a rule about files (`media.fault.RULES`), or
None where nothing is wrong."""
Reading = tuple[Value, Fault]
Parse = Callable[[object], Reading]

TRUE = frozenset({"1", "t", "true", "y", "yes", "s", "si", "sí", "v", "verdadero"})
"""Texts that mean yes, compared in lower case."""
FALSE = frozenset({"0", "f", "false", "n", "no", "falso"})
"""Texts that mean no, compared in lower case."""
BLANKS = " \t\r\n\f\v\u00a0\ufeff"
"""Characters stripped from both ends of a text."""

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_COMMA = re.compile(r"[+-]?([0-9]{1,3}),([0-9]+)")
_WHOLE = re.compile(r"([+-]?[0-9]+)\.0+")
_DAY_FIRST = re.compile(r"([0-9]{1,2})[/.-]([0-9]{1,2})[/.-]([0-9]{4})(?:[ T](.+))?")
_YEAR = re.compile(r"([0-9]{4})(?:-([0-9]{2}))?")
_NOT_SCALAR = (None, "type")


def text_of(value: object) -> str | None:
    """The text that a CSV file would hold for a value.

    Returns:
        None for a missing value; whole floats without their `.0`,
        booleans as true or false, times in ISO 8601.

    Raises:
        TypeError: the value is not a scalar.
    """
    if isinstance(value, str):
        return value.strip(BLANKS)
    if isinstance(value, np.generic | Decimal):
        value = value.item() if isinstance(value, np.generic) else float(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, int | date):
        return str(value) if isinstance(value, int) else value.isoformat()
    raise TypeError(type(value).__name__)


def code_of(text: str) -> str:
    """A text as codes are compared: `1.0` and `1` are the same code."""
    if text[-1:] == "0":
        match = _WHOLE.fullmatch(text)
        if match:
            return match[1]
    return text


def codes_of(texts: Iterable[str]) -> frozenset[str]:
    """Missing codes as they are compared; the empty text is always one."""
    return frozenset({"", *(code_of(text.strip(BLANKS)) for text in texts)})


def number_of(text: str) -> float | None:
    """A stripped text as a finite number with a decimal point, None where it is not one."""
    if _NUMBER.fullmatch(text) is None:
        return None
    number = float(text)
    return number if math.isfinite(number) else None


def comma_number_of(text: str) -> float | None:
    """A stripped text as a number with a decimal comma, None where it is not one.

    `36,8` and `0,125` are; `1,250` is not, because it may be a thousand and more.
    """
    match = _COMMA.fullmatch(text)
    if match is None or (len(match[2]) == 3 and match[1].lstrip("0")):
        return None
    return float(text.replace(",", "."))


def time_of(text: str) -> datetime | None:
    """A stripped text as a time without zone (UTC where it had one), None where it is not one.

    Takes ISO 8601, a year, a year and month, and day-first dates such as 31/12/2024 with or without a time.
    """
    day_first = _DAY_FIRST.fullmatch(text)
    if day_first:
        day, month, year, clock = day_first.groups()
        text = f"{year}-{month:0>2}-{day:0>2}" + (f"T{clock}" if clock else "")
    year_only = _YEAR.fullmatch(text)
    if year_only:
        text = f"{year_only[1]}-{year_only[2] or '01'}-01"
    try:
        return _without_zone(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return None


def _without_zone(time: datetime) -> datetime:
    return time if time.tzinfo is None else time.astimezone(UTC).replace(tzinfo=None)


def flag_parser(codes: frozenset[str]) -> Parse:
    """Parser of yes and no."""

    def parse(value: object) -> Reading:
        if value is True or value is False:
            return value, None
        text, fault = _code(value, codes)
        if text is None:
            return None, fault
        word = text.lower()
        return (True, None) if word in TRUE else (False, None) if word in FALSE else (None, "type")

    return parse


def category_parser(codes: frozenset[str], options: Iterable[str], keep: bool) -> Parse:
    """Parser of categories: known options come back as the study spells them.

    Args:
        codes: missing codes.
        options: known values; empty takes any.
        keep: whether an unknown value stays (it is a fault all the same).
    """
    known = {code_of(option.strip(BLANKS)): option for option in options}
    plain = {text: (option, None) for text, option in known.items() if text not in codes}

    def parse(value: object) -> Reading:
        if type(value) is str and value in plain:  # most are spelled as declared
            return plain[value]
        text, fault = _code(value, codes)
        if text is None:
            return None, fault
        if not known:
            return text, None
        option = known.get(text)
        return (option, None) if option is not None else (text if keep else None, "category")

    return parse


def text_parser(codes: frozenset[str]) -> Parse:
    """Parser of free text."""

    def parse(value: object) -> Reading:
        try:
            text = text_of(value)
        except TypeError:
            return _NOT_SCALAR
        if text is None or text in codes:
            return None, "missing_code" if text else None
        return text, None

    return parse


def terms_parser(codes: frozenset[str], vocabulary: Vocabulary | None, keep: bool) -> Parse:
    """Parser of cells of HPO terms; what they are kept as, see `knowledge.signs`.

    Terms that break a rule are left out of the cell, and the others stay.

    Args:
        codes: missing codes.
        vocabulary: knows which ids and names are signs; None takes every id as it is, and no name.
        keep: whether ids stay that are no sign (they are a fault all the same).
    """

    def parse(value: object) -> Reading:
        if value is None or (isinstance(value, str) and value.strip(BLANKS) in codes):
            return None, "missing_code" if value is not None and str(value).strip(BLANKS) else None
        tokens = tokens_of(value)
        if tokens is None:
            return None, "type"
        found: tuple[list[str], list[str]] = ([], [])
        fault: Fault = None
        for token in _named(tokens, vocabulary):
            term = token.text if token.is_id and vocabulary is None else None
            if vocabulary is not None:
                term = vocabulary.find(token.text)
            if term is None:
                fault = "category" if token.is_id and fault != "type" else "type"
                term = token.text if token.is_id and keep else None
            if term is not None:
                found[token.absent].append(term)
        signs = Signs.of(*found)
        if fault is None and set(found[0]) & set(found[1]):
            fault = "category"
        return signs.write() or None, fault

    return parse


def file_parser(codes: frozenset[str], kind: Kind, most: int = LARGEST) -> Parse:
    """Parser of sounds or images: the bytes of a file, or a data URL (RFC 2397), become their clean content.

    A path is no value of a record: `pipeline.gathering` reads the files that a table names.

    Args:
        codes: missing codes.
        kind: what the column holds.
        most: bytes of a file.
    """

    def parse(value: object) -> Reading:
        if value is None or (isinstance(value, str) and value.strip(BLANKS) in codes):
            return None, "missing_code" if isinstance(value, str) and value.strip(BLANKS) else None
        try:
            if isinstance(value, str) and is_file_value(value):
                value = from_data_url(value, most)
            return (clean(kind, value).data, None) if isinstance(value, bytes) else (None, "type")
        except MediaFault as fault:
            return None, fault.rule

    return parse


def is_file_value(text: str) -> bool:
    """Whether a text is a sound or an image by itself: a data URL."""
    return text[:5].lower() == "data:"


def _named(tokens: Iterable[Token], vocabulary: Vocabulary | None) -> Iterator[Token]:
    """The terms; words that are no name are taken apart at their commas."""
    for token in tokens:
        if token.is_id or vocabulary is None or "," not in token.text or vocabulary.find(token.text):
            yield token
            continue
        for part in filter(None, (part.strip() for part in token.text.split(","))):
            absent = part[0] in ABSENT
            yield Token(part.lstrip(ABSENT).strip(), absent or token.absent)


def date_parser(codes: frozenset[str]) -> Parse:
    """Parser of dates and times."""

    def parse(value: object) -> Reading:
        if isinstance(value, datetime):
            return _without_zone(value), None
        if isinstance(value, date):
            return datetime(value.year, value.month, value.day), None
        text, fault = _code(value, codes)
        if text is None:
            return None, fault
        time = time_of(text)
        return (time, None) if time is not None else (None, "type")

    return parse


def _code(value: object, codes: frozenset[str]) -> tuple[str | None, Fault]:
    try:
        text = text_of(value)
    except TypeError:
        return None, "type"
    if text is None:
        return None, None
    text = code_of(text)
    if text in codes:
        return None, "missing_code" if text else None
    return text, None
