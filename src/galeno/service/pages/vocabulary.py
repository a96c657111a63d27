"""Words of studies that carry no label: groups of columns, units and options, in Spanish and English.

A study labels its columns and conditions; the names of its groups, its units and the options of a category
are single words. Those that are plain and frequent are here, in both languages; any other stands as the
study has it.
"""

from collections.abc import Sequence
from typing import Final

_ES: Final = "es"
_GROUPS: Final = (
    ("paciente", "patient"),
    ("constantes", "vital signs"),
    ("síntomas", "symptoms"),
    ("exploración", "examination"),
    ("antecedentes", "history"),
    ("laboratorio", "laboratory"),
    ("medicación", "medication"),
    ("imagen", "imaging"),
    ("nota", "note"),
    ("fenotipo", "phenotype"),
    ("auscultación", "auscultation"),
)
_UNITS: Final = (
    ("años", "years"),
    ("meses", "months"),
    ("semanas", "weeks"),
    ("días", "days"),
    ("horas", "hours"),
    ("lat/min", "beats/min"),
    ("resp/min", "breaths/min"),
)
_OPTIONS: Final = (
    ("mujer", "female"),
    ("hombre", "male"),
    ("sí", "yes"),
    ("no", "no"),
    ("desconocido", "unknown"),
    ("otro", "other"),
    ("nunca", "never"),
    ("antes", "former"),
    ("actualmente", "current"),
    ("programada", "scheduled"),
    ("por su cuenta", "walk-in"),
    ("derivación", "referral"),
    ("ambulancia", "ambulance"),
    ("leve", "mild"),
    ("moderado", "moderate"),
    ("grave", "severe"),
)
_SEX: Final = {"F": 0, "M": 1}
"""Where these are all the options: the first two of the table above."""


def say_group(name: str, language: str) -> str:
    """A group of columns as a title."""
    said = _say(_GROUPS, name, language)
    return said[:1].upper() + said[1:]


def say_unit(unit: str, language: str) -> str:
    """A unit of measure; symbols are the same everywhere."""
    return _say(_UNITS, unit, language)


def say_option(option: str, options: Sequence[str], language: str) -> str:
    """An option of a category.

    Args:
        option: as the study has it.
        options: all options of its column; M means male only beside F.
        language: to say it in.
    """
    if option in _SEX and set(options) <= _SEX.keys() and len(options) > 1:
        es, en = _OPTIONS[_SEX[option]]
        said = es if language == _ES else en
    else:
        said = _say(_OPTIONS, option, language)
    return said[:1].upper() + said[1:]


def _say(table: Sequence[tuple[str, str]], word: str, language: str) -> str:
    folded = word.casefold()
    for es, en in table:
        if folded in {es, en}:
            return es if language == _ES else en
    return word
