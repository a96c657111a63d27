"""Units of measure as UCUM writes them (https://ucum.org/ucum), converted by pint.

pint does not read UCUM, so that the text is taken apart here; only what pint then
finds commensurable is converted. Mass and amount of a substance are not: that
takes its molar mass, which a study gives in a column's `convert` list.
"""

import math
import re
from functools import cache, lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pint

UCUM = "http://unitsofmeasure.org"
"""Code system of UCUM."""

Linear = tuple[float, float]
"""Scale and offset: value in the other unit = value * scale + offset."""

_LONGEST = 40
_MOST_POWER = 6
_MOST_TENS = 30
_PREFIXES = MappingProxyType(
    {"da": 1e1, "T": 1e12, "G": 1e9, "M": 1e6, "k": 1e3, "h": 1e2}
    | {"d": 1e-1, "c": 1e-2, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15}
)
_METRIC = MappingProxyType(
    {
        "m": "meter",
        "g": "gram",
        "s": "second",
        "L": "liter",
        "l": "liter",
        "mol": "mole",
        "eq": "ucum_equivalent",
        "osm": "ucum_osmole",
        "U": "enzyme_unit",
        "[IU]": "ucum_international_unit",
        "[iU]": "ucum_international_unit",
        "kat": "katal",
        "Pa": "pascal",
        "bar": "bar",
        "m[Hg]": "ucum_meter_mercury",
        "m[H2O]": "ucum_meter_water",
        "K": "kelvin",
        "J": "joule",
        "cal": "calorie",
        "W": "watt",
        "V": "volt",
        "A": "ampere",
        "Hz": "hertz",
        "N": "newton",
        "t": "metric_ton",
    }
)
"""Atoms that take a prefix, and pint's names of them."""
_PLAIN = MappingProxyType(
    {
        "min": "minute",
        "h": "hour",
        "d": "day",
        "wk": "week",
        "mo": "ucum_month",
        "a": "ucum_year",
        "%": "percent",
        "[ppm]": "ppm",
        "[lb_av]": "pound",
        "[oz_av]": "ounce",
        "[in_i]": "inch",
        "[ft_i]": "foot",
        "[pH]": "ucum_acidity",
    }
)
_SHIFTED = MappingProxyType({"Cel": "degree_Celsius", "[degF]": "degree_Fahrenheit"})
"""Units with a zero of their own: they stand alone."""
_OWN = (
    "ucum_equivalent = [ucum_charge]",
    "ucum_osmole = [ucum_osmotic]",
    "ucum_international_unit = [ucum_activity]",
    "ucum_acidity = [ucum_acidity_scale]",
    "ucum_month = 30.4375 * day",
    "ucum_meter_mercury = 133322 * pascal",
    "ucum_meter_water = 9806.65 * pascal",
    "ucum_year = 365.25 * day",
)
"""Units that pint lacks, or that UCUM calls arbitrary and forbids to convert."""
_WRITTEN = MappingProxyType(
    {"°C": "Cel", "ºC": "Cel", "°F": "[degF]", "ºF": "[degF]", "lb": "[lb_av]", "lbs": "[lb_av]"}
    | {"mmHg": "mm[Hg]", "years": "a", "days": "d", "beats/min": "/min", "breaths/min": "/min"}
)
"""Texts that people write in studies and on screens, and the unit that each of them means."""
_TOKEN = re.compile(r"10[*^]([+-]?[0-9]{1,2})?|[0-9]{1,6}(?![0-9])|[./()]|[A-Za-z%]*(?:\[[A-Za-z0-9'_]+\])?")
_ATOM = re.compile(r"(?P<name>.*?)(?P<power>[+-]?[0-9])?", re.DOTALL)


class _UnknownUnitError(ValueError):
    """The text is no unit that is known here."""


def plain_unit(text: str) -> str:
    """A unit as units are compared: in UCUM where people write it otherwise, micro as `u`, no annotations."""
    text = text.strip()
    text = _WRITTEN.get(text, text).replace("µ", "u").replace("μ", "u").replace("10^", "10*")
    text = re.sub(r"\{[^{}]*\}", "", text) if "{" in text else text
    return "" if text == "1" else text


@lru_cache(maxsize=1024)
def conversion(given: str, wanted: str) -> Linear | None:
    """How to get from one unit to another.

    Args:
        given: UCUM unit that a value has.
        wanted: UCUM unit that it is to have.

    Returns:
        scale and offset; None where one of them is not known here or they measure different things.
    """
    given, wanted = plain_unit(given), plain_unit(wanted)
    if given == wanted:
        return 1.0, 0.0
    if max(len(given), len(wanted)) > _LONGEST:
        return None
    try:
        source, target = _parse(given), _parse(wanted)
    except _UnknownUnitError:
        return None
    if not source.is_compatible_with(target):
        return None
    return _line(source, target)


def apply(line: Linear, value: float) -> float:
    """Convert a value; what arithmetic adds beyond twelve digits is cut off."""
    if line == (1.0, 0.0):
        return value
    return float(f"{value * line[0] + line[1]:.12g}")


def _line(source: "pint.Quantity[Any]", target: "pint.Quantity[Any]") -> Linear:
    """The straight line between two units, through two points."""
    registry = _registry()

    def convert(value: float) -> float:
        own = registry.Quantity(value * float(source.magnitude), source.units)
        return float(own.to(target.units).magnitude) / float(target.magnitude)

    offset = convert(0.0)
    return convert(1.0) - offset, offset


def _parse(text: str) -> "pint.Quantity[Any]":
    registry = _registry()
    if text in _SHIFTED:
        return registry.Quantity(1.0, _SHIFTED[text])
    try:
        quantity, rest = _term(_tokens(text), registry, 0)
    except (ZeroDivisionError, OverflowError):  # such as mg/0
        raise _UnknownUnitError from None
    if rest or not 0 < float(quantity.magnitude) < math.inf:
        raise _UnknownUnitError
    return quantity


def _tokens(text: str) -> list[str]:
    """A unit in its parts: operators, brackets, numbers, and atoms with their exponents."""
    parts: list[str] = []
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None or match.end() == place:
            raise _UnknownUnitError
        part, place = match[0], match.end()
        power = re.compile(r"[+-]?[0-9](?![0-9])").match(text, place)
        if power and not re.match(r"[0-9./()]", part):
            part, place = part + power[0], power.end()
        parts.append(part)
    return parts


def _term(
    parts: list[str], registry: "pint.UnitRegistry[Any]", depth: int
) -> tuple["pint.Quantity[Any]", list[str]]:
    """Components joined by `.` and `/`, from left to right, up to the end or a closing bracket."""
    if depth > 4:
        raise _UnknownUnitError
    product = registry.Quantity(1.0)
    divide, open_ended = False, False
    while parts and parts[0] != ")":
        part, *parts = parts
        if part in "./":
            divide, open_ended = part == "/", True
            continue
        if part == "(":
            factor, parts = _term(parts, registry, depth + 1)
            if not parts:
                raise _UnknownUnitError
            parts = parts[1:]
        else:
            factor = _factor(part, registry)
        product = product / factor if divide else product * factor
        divide, open_ended = False, False
    if open_ended:
        raise _UnknownUnitError
    return product, parts


def _factor(part: str, registry: "pint.UnitRegistry[Any]") -> "pint.Quantity[Any]":
    """One number or one atom with its exponent."""
    if part.startswith(("10*", "10^")):
        power = int(part[3:] or "1")
        if abs(power) > _MOST_TENS:
            raise _UnknownUnitError
        return registry.Quantity(10.0**power)
    if part.isdecimal():
        return registry.Quantity(float(part))
    match = _ATOM.fullmatch(part)
    power = int((match and match["power"]) or "1")
    if match is None or abs(power) > _MOST_POWER:
        raise _UnknownUnitError
    scale, name = _atom(match["name"])
    factor: pint.Quantity[Any] = registry.Quantity(scale, name) ** power
    return factor


def _atom(name: str) -> tuple[float, str]:
    """Prefix and pint's name of an atom."""
    if name in _PLAIN:
        return 1.0, _PLAIN[name]
    if name in _METRIC:
        return 1.0, _METRIC[name]
    for prefix, scale in _PREFIXES.items():
        if name.startswith(prefix) and name[len(prefix) :] in _METRIC:
            return scale, _METRIC[name[len(prefix) :]]
    raise _UnknownUnitError


@cache
def _registry() -> "pint.UnitRegistry[Any]":
    """Pint's units and ours; takes half a second once, and only where a value must be converted."""
    import pint

    registry: pint.UnitRegistry[Any] = pint.UnitRegistry()
    for definition in _OWN:
        registry.define(definition)
    return registry
