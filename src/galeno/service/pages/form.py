"""The form of a study: fields drawn from `Desk.read_form`, and a record read back from what was typed.

Pure: no request, no desk. A number may come in any of its column's units and with a decimal comma; the
record holds it in the column's own unit. Because the unit is chosen here, a number outside the possible range
is a fault here: the contract would try the other units on it, which is right for tables of unknown origin and
wrong for somebody who said which unit it is.
"""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from galeno.ingest.values import comma_number_of, number_of, time_of
from galeno.media.content import IMAGE_ENDINGS, SOUND_ENDINGS
from galeno.service.pages.file_words import fault_text
from galeno.service.pages.form_body import NO_FILES
from galeno.service.pages.signs import cell_of, parse_signs, shape_fault
from galeno.service.pages.vocabulary import say_group, say_option, say_unit
from galeno.service.pages.words import Words, mark
from galeno.service.upload import File

PATIENT: Final = "patient_id"
VALUE: Final = "v."
UNIT: Final = "u."
REST: Final = "rest."
LOST: Final = "lost"
"""Names a field whose file was sent with a form before this one."""
YES: Final = "yes"
NO: Final = "no"
LONGEST_TEXT: Final = 20_000
"""Characters of one text field."""
SEARCH_FROM: Final = 7
"""Yes-or-no columns of a group from which on they can be searched."""
FEW_OPTIONS: Final = 3
"""Options that are shown side by side; more are a list."""
FEW_LETTERS: Final = 16
"""Letters of such options together; longer ones are a list."""
ENDINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "sound": (*SOUND_ENDINGS, "audio/wav", "audio/x-wav", "audio/flac", "audio/ogg", "audio/mpeg"),
    "image": (*IMAGE_ENDINGS, "image/png", "image/jpeg", "image/tiff", "application/dicom"),
}
"""What a browser offers when a file is chosen, by the type of its column: what can be read, and no more, so
that a phone shows no other recordings and makes a JPEG of its own kind of photograph."""
_FORMATS: Final[Mapping[str, str]] = {
    "sound": mark("Sounds are read from WAV, FLAC, OGG and MP3 files."),
    "image": mark("Images are read from PNG, JPEG, TIFF, NumPy and DICOM files."),
}
_DIGITS: Final = 6
"""Significant digits of a converted number."""
_RULE = re.compile(r"\((\w+)\)$")
"""How the desk names the rule that a file breaks."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit that a number may be typed in: value in the column's unit = typed * scale + offset."""

    name: str
    label: str
    scale: float = 1.0
    offset: float = 0.0
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a category."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Field:
    """One input column as a field.

    Attributes:
        id: of the element; faults are found by it.
        name: of the form's field.
        unit_name: of the form's field that tells the unit.
        column: of the study.
        type: number, category, flag, text, date, terms, sound or image; names the template.
        label: in the reader's language.
        value: as it was typed; `yes`, `no` or empty for a flag.
        units: that a number may be typed in, the column's own first; empty where it has none.
        options: of a category; empty takes any text.
        low: smallest possible number; None where there is no bound.
        high: largest possible number.
        usual: lowest and highest number that the model learned from.
        hint: the possible range in words; empty for none.
        required: whether the study asks for it.
        lost: whether a file was sent in it that must be chosen again.
        refusal: what is said of a file that cannot be read here; empty where it takes none.
    """

    id: str
    name: str
    unit_name: str
    column: str
    type: str
    label: str
    value: str
    units: tuple[Unit, ...]
    options: tuple[Option, ...]
    low: float | None
    high: float | None
    usual: tuple[float, float] | None
    hint: str
    required: bool
    lost: bool = False
    refusal: str = ""

    @property
    def accept(self) -> str:
        """What a browser offers when a file is chosen."""
        return ",".join(ENDINGS.get(self.type, ()))

    @property
    def few(self) -> bool:
        """Whether the options are shown side by side."""
        letters = sum(len(option.label) for option in self.options)
        return len(self.options) <= FEW_OPTIONS and letters <= FEW_LETTERS


@dataclass(frozen=True, slots=True)
class Group:
    """A section of the form.

    Attributes:
        id: of the element.
        title: in the reader's language.
        fields: all but the flags.
        flags: columns of yes or no, shown as a list that can be searched.
        rest_name: of the form's field that says that the flags left open are absent.
        rest: whether that was said.
    """

    id: str
    title: str
    fields: tuple[Field, ...]
    flags: tuple[Field, ...]
    rest_name: str
    rest: bool

    @property
    def searched(self) -> bool:
        """Whether the flags are so many that they can be searched."""
        return len(self.flags) >= SEARCH_FROM


def draw_groups(
    form: Mapping[str, Any], sent: Mapping[str, str], words: Words, lost: Collection[str] = ()
) -> tuple[Group, ...]:
    """The sections of a form, in the order of the study, with what was typed in them.

    Args:
        form: of `Desk.read_form`.
        sent: what was typed, by the fields' names; empty for a new form.
        words: the reader's language.
        lost: names of the fields whose files must be chosen again.
    """
    columns = form["fields"]
    groups = []
    for number, name in enumerate(form["groups"]):
        drawn = [
            _draw_field(place, column, sent, words, lost)
            for place, column in enumerate(columns)
            if column["group"] == name
        ]
        title = say_group(name, words.language) if name else words.gettext("Findings")
        rest = f"{REST}{number}"
        groups.append(
            Group(
                id=f"group-{number}",
                title=title,
                fields=tuple(field for field in drawn if field.type != "flag"),
                flags=tuple(field for field in drawn if field.type == "flag"),
                rest_name=rest,
                rest=sent.get(rest, "") == YES,
            )
        )
    return tuple(groups)


def has_files(form: Mapping[str, Any]) -> bool:
    """Whether a form takes sounds or images."""
    return any(column["type"] in ENDINGS for column in form["fields"])


def read_record(
    form: Mapping[str, Any],
    sent: Mapping[str, str],
    words: Words,
    files: Mapping[str, File] = NO_FILES,
) -> tuple[dict[str, object], dict[str, str]]:
    """The record that was typed.

    Args:
        form: of `Desk.read_form`.
        sent: what was typed, by the fields' names.
        words: the reader's language.
        files: that were chosen, by the fields' names; nothing of them is read here.

    Returns:
        column to value, without the fields that were left empty, and what is wrong, by the fields' ids.
    """
    record: dict[str, object] = {}
    faults: dict[str, str] = {}
    for group in draw_groups(form, sent, words):
        for field in (*group.fields, *group.flags):
            value, fault = _read_field(field, words, files)
            if field.type == "flag" and value is None and not fault and group.rest:
                value = False
            if fault:
                faults[field.id] = fault
            elif value is not None:
                record[field.column] = value
            elif field.required:
                faults[field.id] = words.gettext("This is needed.")
    places = {field_id(place): place for place in range(len(form["fields"]))}
    return record, dict(sorted(faults.items(), key=lambda one: places[one[0]]))


def field_id(place: int) -> str:
    """Id of the field of the column at this place of the form."""
    return f"field-{place}"


def labels_of(form: Mapping[str, Any], words: Words) -> dict[str, str]:
    """What people call the fields, by their ids."""
    labels = {field_id(place): label_of(column, words) for place, column in enumerate(form["fields"])}
    return {PATIENT: words.gettext("Patient id"), **labels}


def label_of(column: Mapping[str, Any], words: Words) -> str:
    """A column as people call it."""
    return str(column["label"][words.language])


def desk_faults(form: Mapping[str, Any], faults: Sequence[tuple[str, str]], words: Words) -> dict[str, str]:
    """What the desk found wrong, by the fields' ids.

    Args:
        form: of `Desk.read_form`.
        faults: of `InputError`: `record.COLUMN` or `patient_id`, and what is wrong, in English.
        words: the reader's language.
    """
    places = {f"record.{column['name'][:64]}": place for place, column in enumerate(form["fields"])}
    said = {
        "is in the future": words.gettext("This date is in the future."),
    }
    found = {}
    for field, fault in faults:
        if field == PATIENT:
            found[PATIENT] = words.gettext("Enter the patient's id, at most 200 characters.")
        else:
            rule = _RULE.search(fault)
            place = places.get(field)
            kind = "" if place is None else form["fields"][place]["type"]
            told = "" if rule is None else _file_fault(rule[1], kind, words)
            other = told or words.gettext("This value is not accepted.")
            found["form" if place is None else field_id(place)] = said.get(fault, other)
    return found


def _file_fault(rule: str, kind: str, words: Words) -> str:
    """What is wrong with a file, and what can be read instead; empty for a rule that is not of files."""
    fault = fault_text(rule, words)
    if rule == "wrong_type" and kind in _FORMATS:
        return f"{fault} {words.gettext(_FORMATS[kind])}"
    return fault


def _draw_field(
    place: int, column: Mapping[str, Any], sent: Mapping[str, str], words: Words, lost: Collection[str]
) -> Field:
    name = column["name"]
    chosen = sent.get(f"{UNIT}{name}", column["unit"])
    known = {column["unit"], *(one["unit"] for one in column["convert"])}
    chosen = chosen if chosen in known else column["unit"]
    units = (
        (
            Unit(column["unit"], say_unit(column["unit"], words.language), chosen=chosen == column["unit"]),
            *(
                Unit(
                    one["unit"],
                    say_unit(one["unit"], words.language),
                    one["scale"],
                    one["offset"],
                    chosen == one["unit"],
                )
                for one in column["convert"]
            ),
        )
        if column["unit"]
        else ()
    )
    usual = column["usual"]
    unit = next((each for each in units if each.chosen), Unit("", ""))
    return Field(
        id=field_id(place),
        name=f"{VALUE}{name}",
        unit_name=f"{UNIT}{name}",
        column=name,
        type=column["type"],
        label=label_of(column, words),
        value=sent.get(f"{VALUE}{name}", ""),
        units=units,
        options=tuple(
            Option(option, say_option(option, column["options"], words.language))
            for option in column["options"]
        ),
        low=column["min"],
        high=column["max"],
        usual=None if usual is None else (usual["min"], usual["max"]),
        hint=range_of(column["min"], column["max"], unit, words),
        required=column["required"],
        lost=f"{VALUE}{name}" in lost,
        refusal=_file_fault("wrong_type", column["type"], words) if column["type"] in ENDINGS else "",
    )


def range_of(low: float | None, high: float | None, unit: Unit, words: Words) -> str:
    """The possible range of a number in a unit, in words; empty where there is none."""
    least = None if low is None else (low - unit.offset) / unit.scale
    most = None if high is None else (high - unit.offset) / unit.scale
    if least is not None and most is not None:
        return f"{_figure(least, words)}\u2013{_figure(most, words)}"
    if least is not None:
        return words.gettext("from %(low)s", low=_figure(least, words))
    return "" if most is None else words.gettext("up to %(high)s", high=_figure(most, words))


def _figure(value: float, words: Words) -> str:
    """A bound as it is told: three digits are enough for one that was converted."""
    rounded = float(f"{value:.4g}")
    return words.number(rounded, 0 if rounded.is_integer() else None)


def _read_field(field: Field, words: Words, files: Mapping[str, File]) -> tuple[object, str]:
    """The value of a field, None where it was left empty, and what is wrong with it."""
    text = field.value.strip()
    if field.type in ENDINGS:
        return _read_file(field, text, files.get(field.name))
    if not text:
        return None, ""
    if field.type == "number":
        return _read_number(field, text, words)
    if field.type == "date":
        return _read_date(text, words)
    if field.type == "terms":
        return _read_terms(text, words)
    fault = ""
    value: object = text
    if field.type == "flag":
        value = {YES: True, NO: False}.get(text)
        fault = words.gettext("Choose yes or no.") if value is None else ""
    elif field.type == "category":
        known = {option.value for option in field.options} or {text}
        fault = "" if text in known else words.gettext("Choose one of the options.")
    elif len(text) > LONGEST_TEXT:
        most = words.number(LONGEST_TEXT)
        fault = words.gettext("At most %(most)s characters; shorten the text.", most=most)
    return value, fault


def _read_file(field: Field, text: str, file: File | None) -> tuple[bytes | None, str]:
    """The bytes of a file, which the desk reads; a text in its place comes from no page of ours."""
    if file is None:
        return None, field.refusal if text else ""
    if not file.fits("sound" if field.type == "sound" else "image"):
        return None, field.refusal
    return file.data, ""


def _read_terms(text: str, words: Words) -> tuple[str | None, str]:
    signs = parse_signs(text)
    return cell_of(signs) or None, shape_fault(signs, words)


def _read_date(text: str, words: Words) -> tuple[str | None, str]:
    time = time_of(text)
    if time is None:
        return None, words.gettext("Enter a date, for example 2026-01-31 or 31/01/2026.")
    whole = (time.hour, time.minute, time.second) == (0, 0, 0)
    return (time.date() if whole else time).isoformat(), ""


def _read_number(field: Field, text: str, words: Words) -> tuple[float | None, str]:
    typed = text.replace("\u2212", "-")
    number = number_of(typed)
    if number is None:
        number = comma_number_of(typed)
    if number is None:
        return None, words.gettext("Enter a number, for example 36.8 or 36,8, without thousands separators.")
    unit = next((each for each in field.units if each.chosen), Unit("", ""))
    value = number * unit.scale + unit.offset
    if unit.scale != 1.0 or unit.offset:
        value = _round(value)
    low = -math.inf if field.low is None else field.low
    high = math.inf if field.high is None else field.high
    if not (low <= value <= high):
        limits = range_of(field.low, field.high, unit, words)
        return None, words.gettext(
            "Not possible: %(limits)s. Check the number and the unit.",
            limits=f"{limits} {unit.label}".strip(),
        )
    return value, ""


def _round(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
