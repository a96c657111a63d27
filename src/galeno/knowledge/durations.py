"""Ages: ISO 8601 durations, numbers of years, and the HPO's stages of life."""

import re
from collections.abc import Mapping
from typing import Any

STAGES: Mapping[str, tuple[float, float]] = {
    "HP:0030674": (0.0, 0.0),  # antenatal
    "HP:0011460": (0.0, 0.0),  # embryonal
    "HP:0011461": (0.0, 0.0),  # fetal
    "HP:0034199": (0.0, 0.0),  # late first trimester
    "HP:0034198": (0.0, 0.0),  # second trimester
    "HP:0034197": (0.0, 0.0),  # third trimester
    "HP:0003577": (0.0, 0.0),  # congenital
    "HP:0003623": (0.0, 28 / 365.25),  # neonatal
    "HP:0410280": (28 / 365.25, 16.0),  # pediatric
    "HP:0003593": (28 / 365.25, 1.0),  # infantile
    "HP:0011463": (1.0, 5.0),  # childhood
    "HP:0003621": (5.0, 16.0),  # juvenile
    "HP:0003581": (16.0, 80.0),  # adult
    "HP:0011462": (16.0, 40.0),  # young adult
    "HP:0025708": (16.0, 19.0),  # early young adult
    "HP:0025709": (19.0, 25.0),  # intermediate young adult
    "HP:0025710": (25.0, 40.0),  # late young adult
    "HP:0003596": (40.0, 60.0),  # middle age
    "HP:0003584": (60.0, 80.0),  # late
}
"""Years of life that each term of onset stands for, as the HPO defines them; 80 stands for no end."""

OLDEST = 150.0
"""Years; no age is above."""

_NUMBER = r"([0-9]{1,6}(?:[.,][0-9]{1,9})?)"
_DURATION = re.compile(
    rf"P(?=.)(?:{_NUMBER}Y)?(?:{_NUMBER}M)?(?:{_NUMBER}W)?(?:{_NUMBER}D)?"
    rf"(?:T(?=.)(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?"
)
_PARTS = (1.0, 1 / 12, 7 / 365.25, 1 / 365.25, 1 / 8766, 1 / 525_960, 1 / 31_557_600)
_ID = re.compile(r"HP:\d{7}")


def parse_duration(text: str) -> float:
    """Years of an ISO 8601 duration such as P14Y2M, P3W or P1DT12H; a year has 365.25 days.

    Raises:
        ValueError: it is no such duration, or longer than 150 years.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError("not an ISO 8601 duration such as P14Y2M")
    parts = (float(part.replace(",", ".")) if part else 0.0 for part in match.groups())
    return _bounded(sum(part * years for part, years in zip(parts, _PARTS, strict=True)))


def parse_age(value: Any) -> float | None:
    """Years of an age: a number of years, an ISO duration, a stage of life (its middle), or none given.

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(value, str) and value.strip() in STAGES:
        low, high = STAGES[value.strip()]
        return (low + high) / 2
    onset = parse_onset(value)
    if isinstance(onset, str):
        raise ValueError("not a stage of life that the HPO has years for")  # noqa: TRY004
    return onset


def parse_onset(value: Any) -> float | str | None:
    """Years at onset, or the HPO id of a stage of life, which is left to the ontology to judge.

    Raises:
        ValueError: it is neither.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("neither years nor an ISO 8601 duration")  # noqa: TRY004 - of a file, not of a caller
    if isinstance(value, str) and _ID.fullmatch(value.strip()):
        return value.strip()
    if isinstance(value, str) and value.strip()[:1] == "P":
        return parse_duration(value)
    if isinstance(value, str) and not re.fullmatch(_NUMBER, value.strip()):
        raise ValueError("neither years nor an ISO 8601 duration such as P14Y2M")
    return _bounded(float(value.replace(",", ".") if isinstance(value, str) else value))


def _bounded(years: float) -> float:
    if not 0 <= years <= OLDEST:  # NaN too
        raise ValueError("not from 0 to 150 years")
    return years
