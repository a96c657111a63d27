"""What the pages say, in Spanish and English: messages by gettext, dates and numbers by Babel.

English texts are the message ids. The Spanish ones are in `locale/es/*.po`, a file for each part of the
pages, and are compiled when the service starts: no binary catalogue needs to be kept in step.
"""

import gettext
import io
from collections.abc import Sequence
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Final

from babel import Locale
from babel.dates import format_date, format_datetime
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent

LANGUAGES: Final = ("en", "es")
"""The first one is spoken where nothing else is asked for."""
NAMES: Final = {"en": "English", "es": "Español"}

Day = date
"""A name for annotations inside `Words`, whose own `date` is a verb."""

_LOCALE = Path(__file__).parent / "locale"


def mark(message: str) -> str:
    """Mark a message for translation where it is written; it is translated where it is shown."""
    return message


class Words:
    """One language. `_ = words.gettext` lets a program mark and translate messages.

    Args:
        language: `en` or `es`.
        translations: its messages.
    """

    def __init__(self, language: str, translations: gettext.NullTranslations) -> None:
        self.language = language
        self.translations = translations
        self._locale = Locale.parse(language)

    def gettext(self, message: str, **values: object) -> str:
        """A message in this language, its `%(name)s` filled in; without values a % stands for itself."""
        text = self.translations.gettext(message)
        return text % values if values else text

    def ngettext(self, one: str, many: str, number: int, **values: object) -> str:
        """A message about one or many; `%(num)s` is the number."""
        return self.translations.ngettext(one, many, number) % {"num": self.number(number), **values}

    def number(self, value: float | None, digits: int | None = None) -> str:
        """A number; `digits` after the separator, at most three of them where None. A dash for None."""
        if value is None:
            return "–"
        pattern = None if digits is None else "#,##0" + ("." + "0" * digits if digits else "")
        return format_decimal(value, format=pattern, locale=self._locale)

    def percent(self, value: float | None, digits: int = 0) -> str:
        """A share from 0 to 1 as a percentage. A dash for None."""
        if value is None:
            return "–"
        # Between number and sign stands a space that does not break in Spanish, as Babel knows.
        sign = self._locale.percent_formats[None].pattern[-2:].strip("0")
        pattern = "#,##0" + ("." + "0" * digits if digits else "") + sign
        return format_percent(value, format=pattern, locale=self._locale)

    def date(self, value: str | Day | None, style: str = "medium") -> str:
        """A day; ISO texts of times count in this machine's time zone. A dash for None."""
        if value is None or value == "":
            return "–"
        moment = _moment(value)
        day = moment.astimezone().date() if isinstance(moment, datetime) else moment
        return format_date(day, format=style, locale=self._locale)

    def time(self, value: str | Day | None, style: str = "short") -> str:
        """A day and its time, in this machine's time zone. A dash for None."""
        if value is None or value == "":
            return "–"
        moment = _moment(value)
        if not isinstance(moment, datetime):
            return self.date(moment)
        if style == "short":
            return f"{self.date(moment)}, {moment.astimezone():%H:%M}"
        return format_datetime(moment.astimezone(), format=style, locale=self._locale)


@cache
def words_of(language: str) -> Words:
    """The words of a language; those of the first language for one that is not known."""
    if language not in LANGUAGES or language == LANGUAGES[0]:
        return Words(LANGUAGES[0], gettext.NullTranslations())
    merged = Catalog(locale=language)
    for path in sorted((_LOCALE / language).glob("*.po")):
        with path.open("rb") as stream:
            for message in read_po(stream, locale=language):
                if message.id and not message.fuzzy and any(_strings(message.string)):
                    merged[message.id] = message
    compiled = io.BytesIO()
    write_mo(compiled, merged)
    compiled.seek(0)
    return Words(language, gettext.GNUTranslations(compiled))


def choose_language(accepted: str, chosen: str = "") -> str:
    """The language to speak.

    Args:
        accepted: header Accept-Language (RFC 9110, 12.5.4); weights of 0 refuse.
        chosen: what was chosen before; empty for nothing.
    """
    if chosen in LANGUAGES:
        return chosen
    wishes: list[tuple[float, int, str]] = []
    for place, part in enumerate(accepted[:500].split(",")):
        name, _, weight = part.partition(";")
        language = name.strip().lower().split("-")[0]
        try:
            wish = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if language in LANGUAGES and wish > 0:
            wishes.append((-wish, place, language))
    return min(wishes)[2] if wishes else LANGUAGES[0]


def _moment(value: str | Day) -> Day:
    if not isinstance(value, str):
        return value
    return date.fromisoformat(value) if len(value) == 10 else datetime.fromisoformat(value)


def _strings(text: str | Sequence[str] | None) -> Sequence[str]:
    return (text or "",) if text is None or isinstance(text, str) else text
