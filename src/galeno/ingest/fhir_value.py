"""One value out of a FHIR resource: what it means in a column of a study, with its unit converted."""

import base64
import binascii
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType
from typing import Any

from galeno.hospital import FhirColumn
from galeno.ingest.fhir_check import (
    CLINICAL,
    COMPARATORS,
    GENDERS,
    VERIFICATION,
    FhirInputError,
    Issue,
    check_code,
    element,
    moment,
)
from galeno.ingest.ucum import UCUM, apply, conversion, plain_unit
from galeno.ingest.values import FALSE, TRUE
from galeno.media.content import Kind
from galeno.study import Column

LARGEST_NOTE = 400_000
"""Bytes of a note after decoding."""
_CHARSETS = MappingProxyType(
    {name: name for name in ("utf-8", "us-ascii", "iso-8859-1", "iso-8859-15", "windows-1252")}
    | {"utf8": "utf-8", "ascii": "us-ascii", "latin1": "iso-8859-1"}
)
_ANSWERS: Mapping[tuple[str, str], bool] = MappingProxyType(
    {
        ("http://loinc.org", "LA33-6"): True,
        ("http://loinc.org", "LA32-8"): False,
        ("http://terminology.hl7.org/CodeSystem/v2-0136", "Y"): True,
        ("http://terminology.hl7.org/CodeSystem/v2-0136", "N"): False,
    }
)
"""Coded yes and no that need no mapping."""
_TAKEN = MappingProxyType(
    {
        "number": ("valueQuantity", "valueInteger"),
        "flag": ("valueBoolean", "valueCodeableConcept"),
        "category": ("valueCodeableConcept", "valueString", "valueBoolean"),
        "text": ("valueString",),
        "terms": ("valueString",),
        "date": ("valueDateTime",),
    }
)
"""Value types of an Observation that fit a column's type."""
_VALUES = tuple(
    f"value{kind}"
    for kind in (
        "Quantity",
        "Integer",
        "Boolean",
        "CodeableConcept",
        "String",
        "DateTime",
        "Period",
        "Range",
        "Ratio",
        "SampledData",
        "Time",
    )
)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What was read: a value, or None where there is none, and what is to be told of it."""

    value: float | bool | str | bytes | None = None
    issues: tuple[Issue, ...] = ()


def system_of(system: str | None) -> str:
    """A code system as systems are compared: Orphanet's is written in two ways, some end in a slash."""
    plain = (system or "").rstrip("/")
    return "http://www.orpha.net" if plain == "https://www.orpha.net" else plain


def media_kind(content_type: Any) -> Kind | None:
    """What an attachment of this media type holds; None where that is neither a sound nor an image."""
    plain = content_type.partition(";")[0].strip().lower() if isinstance(content_type, str) else ""
    if plain.startswith("audio/"):
        return "sound"
    return "image" if plain.startswith("image/") or plain == "application/dicom" else None


def codings(concept: Any) -> list[tuple[str, str]]:
    """System and code of each coding of a CodeableConcept."""
    coded = (concept.coding or []) if concept is not None else []
    return [(system_of(one.system), one.code) for one in coded if one.code]


def read_observed(observed: Any, raw: Any, column: Column, mapped: FhirColumn, path: str) -> Meaning:
    """The value of an Observation, or of one of its components.

    Args:
        observed: of `fhir.resources`.
        raw: the same as JSON.
        column: that it goes to.
        mapped: how the study maps the column.
        path: where it stands.
    """
    held = next((name for name in _VALUES if getattr(observed, name, None) is not None), None)
    if held is None:
        return Meaning()
    place = f"{path}.{held}"
    if held not in _TAKEN[column.type]:
        return _fault(
            "value", f"a column of type {column.type} takes {' or '.join(_TAKEN[column.type])}", place
        )
    value = getattr(observed, held)
    if held == "valueQuantity":
        return _read_quantity(value, element(raw, held), column, mapped, place)
    if held == "valueDateTime":
        return Meaning(_date_text(value))
    if held == "valueString":
        return Meaning(mapped.values.get(value, value))
    read = {"valueInteger": _read_integer, "valueBoolean": _read_boolean}.get(held, _read_concept)
    return read(value, column, mapped, place)


def read_condition(condition: Any, path: str) -> Meaning:
    """Whether the patient has the condition: True, False (refuted), or None where it does not say."""
    issues: list[Issue] = []
    clinical = status_of(condition.clinicalStatus, CLINICAL, f"{path}.clinicalStatus", issues)
    verified = status_of(condition.verificationStatus, VERIFICATION, f"{path}.verificationStatus", issues)
    if issues or verified == "entered-in-error":
        return Meaning(issues=tuple(issues))
    if verified == "refuted":
        return Meaning(False)
    if verified not in ("", "confirmed"):
        told = Issue(
            "informational", "is not established, and not used", f"{path}.verificationStatus", "warning"
        )
        return Meaning(issues=(told,))
    if clinical in ("inactive", "remission", "resolved"):
        told = Issue("informational", "is over, and not used", f"{path}.clinicalStatus", "warning")
        return Meaning(issues=(told,))
    return Meaning(True)


def read_person(patient: Any, column: Column, mapped: FhirColumn, at: datetime, path: str) -> Meaning:
    """Gender, age at a time (whole years) or birth date of a Patient."""
    if mapped.element == "gender":
        return _read_gender(patient.gender, column, mapped, f"{path}.gender")
    if patient.birthDate is None:
        return Meaning()
    if mapped.element == "birthDate":
        return Meaning(_date_text(patient.birthDate))
    return Meaning(_years(patient.birthDate, at))


def read_note(document: Any, raw: Any, path: str, *, with_files: bool = False) -> Meaning:
    """The plain text of a DocumentReference; attachments that are elsewhere are never fetched.

    Args:
        document: of `fhir.resources`.
        raw: the same as JSON.
        path: where it stands.
        with_files: somebody else reads its sounds and images.
    """
    texts: list[str] = []
    issues: list[Issue] = []
    for number, content in enumerate(document.content):
        place = f"{path}.content[{number}].attachment"
        if with_files and media_kind(content.attachment.contentType) is not None:
            continue
        data = element(raw, "content", number, "attachment", "data")
        text = _decode(content.attachment, data, place, issues)
        if text is not None:
            texts.append(text)
    return Meaning("\n".join(texts) if texts else None, tuple(issues))


def _read_gender(gender: str | None, column: Column, mapped: FhirColumn, path: str) -> Meaning:
    wrong = check_code(gender, GENDERS, path, required=False)
    if wrong or gender is None:
        return Meaning(issues=tuple(wrong))
    if gender in mapped.values:
        return Meaning(mapped.values[gender])
    return Meaning(gender) if not column.options or gender in column.options else _unmapped(path)


def _read_quantity(quantity: Any, raw: Any, column: Column, mapped: FhirColumn, path: str) -> Meaning:
    if quantity.value is None:
        return Meaning()
    number = float(quantity.value)
    if isinstance(element(raw, "value"), str) or not math.isfinite(number):
        return _fault("value", "is not a finite number", f"{path}.value")
    wrong = check_code(quantity.comparator, COMPARATORS, f"{path}.comparator", required=False)
    if wrong:
        return Meaning(issues=tuple(wrong))
    try:
        unit = _unit_of(quantity, column, mapped, path)
    except FhirInputError as error:
        return Meaning(issues=error.issues)
    converted = _convert(number, unit, column, mapped)
    if converted is None:
        wanted = mapped.unit or column.unit or "1"
        return _fault(
            "value",
            f"a value in {_shown(unit)} cannot be converted to {wanted}, the unit of this column; "
            "mass and amount of substance take an entry in the column's convert list",
            f"{path}.{'code' if quantity.code else 'unit'}",
        )
    told: tuple[Issue, ...] = ()
    if quantity.comparator:
        text = "the value is a bound, and the bound was taken as the value"
        told = (Issue("informational", text, f"{path}.comparator", "warning"),)
    return _in_range(converted, column, f"{path}.value", told)


def _unit_of(quantity: Any, column: Column, mapped: FhirColumn, path: str) -> str:
    """The unit of a quantity in UCUM."""
    if quantity.code and quantity.system == UCUM:
        return str(quantity.code)
    if quantity.code:
        code = "required" if quantity.system is None else "code-invalid"
        raise FhirInputError([Issue(code, f"units are coded in {UCUM}", f"{path}.system")])
    wanted = mapped.unit or column.unit
    if quantity.unit:
        # a text for people; taken only where it is the column's own unit to the letter
        if plain_unit(quantity.unit) not in (plain_unit(wanted), plain_unit(column.unit)):
            raise FhirInputError([Issue("required", f"a unit takes its code in {UCUM}", f"{path}.code")])
    elif plain_unit(wanted):
        raise FhirInputError([Issue("required", f"is missing; {wanted} is expected", f"{path}.unit")])
    return wanted


def _convert(value: float, unit: str, column: Column, mapped: FhirColumn) -> float | None:
    line = conversion(unit, mapped.unit or column.unit)
    if line is not None:
        return apply(line, value)
    for known in column.convert:
        line = conversion(unit, known.unit)
        if line is not None:
            return apply((known.scale, known.offset), apply(line, value))
    return None


def _read_integer(value: int, column: Column, mapped: FhirColumn, path: str) -> Meaning:
    if plain_unit(mapped.unit or column.unit):
        return _fault("value", f"has no unit; {mapped.unit or column.unit} is expected", path)
    return _in_range(float(value), column, path)


def _in_range(value: float, column: Column, path: str, told: tuple[Issue, ...] = ()) -> Meaning:
    """Refuse what cannot be: with the unit given, there is nothing to guess, as there is in a table."""
    low = column.min is not None and value < column.min
    high = column.max is not None and value > column.max
    if (low or high) and column.rules.range != "keep":
        return _fault("value", "is outside what is possible for this column; check value and unit", path)
    return Meaning(value, told)


def _read_boolean(value: bool, column: Column, mapped: FhirColumn, path: str) -> Meaning:
    if column.type == "flag":
        return Meaning(value)
    option = mapped.values.get("true" if value else "false")
    return _unmapped(path) if option is None else Meaning(option)


def _read_concept(concept: Any, column: Column, mapped: FhirColumn, path: str) -> Meaning:
    coded = codings(concept)
    for pair in coded:
        option = mapped.values.get(pair[1])
        if option is None and column.type == "category" and pair[1] in column.options:
            option = pair[1]
        if option is None:
            if column.type == "flag" and pair in _ANSWERS:
                return Meaning(_ANSWERS[pair])
            continue
        if column.type == "category":
            return Meaning(option)
        if option.lower() in TRUE | FALSE:
            return Meaning(option.lower() in TRUE)
    if not coded and column.type == "category" and concept.text in column.options:
        return Meaning(concept.text)
    return _unmapped(path)


def status_of(concept: Any, allowed: frozenset[str], path: str, issues: list[Issue]) -> str:
    """The code of a Condition's status; empty where there is none."""
    codes = [one.code for one in (concept.coding or []) if one.code] if concept is not None else []
    known = [code for code in codes if code in allowed]
    if codes and not known:
        issues.extend(check_code(codes[0], allowed, path))
    return known[0] if known else ""


def _decode(attachment: Any, data: Any, path: str, issues: list[Issue]) -> str | None:
    """The text of one attachment, None where it has none that is read here."""
    kind, _, parameters = (attachment.contentType or "").partition(";")
    if kind.strip().lower() != "text/plain" or not isinstance(data, str):
        text = "only texts of type text/plain in data are read; ignored"
        issues.append(Issue("not-supported", text, path, "warning"))
        return None
    charset = _charset(parameters)
    fault = Issue("too-long", f"is longer than {LARGEST_NOTE} bytes", f"{path}.data")
    if charset not in _CHARSETS:
        fault = Issue("not-supported", "this charset is not read here", f"{path}.contentType")
    elif len(data) <= LARGEST_NOTE * 3 // 2:
        try:
            plain = base64.b64decode("".join(data.split()), validate=True)
            if len(plain) <= LARGEST_NOTE:
                return plain.decode(_CHARSETS[charset]).removeprefix("\ufeff")
        except (binascii.Error, ValueError):
            fault = Issue("value", "is not base64 of text in its charset", f"{path}.data")
    issues.append(fault)
    return None


def _charset(parameters: str) -> str:
    """The charset of a media type's parameters, UTF-8 where none is named."""
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"').lower()
    return "utf-8"


def _years(born: Any, at: datetime) -> float | None:
    """Whole years lived; who is known by year or month alone is taken as born in its middle."""
    if isinstance(born, str):
        year, _, month = born.partition("-")
        day = date(int(year), int(month or 7), 15 if month else 1)
    else:
        day = born
    years = at.year - day.year - ((at.month, at.day) < (day.month, day.day))
    return float(max(years, 0))


def _date_text(value: Any) -> str | None:
    at = moment(value)
    return None if at is None else at.replace(tzinfo=None).isoformat()


def _unmapped(path: str) -> Meaning:
    text = "this answer is not mapped by the study; taken as missing"
    return Meaning(issues=(Issue("code-invalid", text, path, "warning"),))


def _fault(code: str, text: str, path: str) -> Meaning:
    return Meaning(issues=(Issue(code, text, path),))


def _shown(unit: str) -> str:
    """A unit that was sent, short enough and harmless to show."""
    plain = "".join(character for character in unit if character.isprintable())[:40]
    return plain or "no unit"
