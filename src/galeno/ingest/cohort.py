"""Simulated cohorts: a triage form, a note and the confirmed condition, as a hospital would send them.

Nobody in them exists, and nothing learned here says anything about patients. docs/cohort.md tells in words
what is simulated; the tables are in `cohort_profiles`, the notes in `cohort_note`; cohorts with sounds and
images are made in `cohort_media`.

Each encounter has a class, the class a profile, the profile latent disturbances; symptoms, vital signs, labs
and the note read the disturbances with noise. Then the record is spoiled as records are: some clinicians
disagree, labs are ordered for those who look ill, units and missing codes differ by site, fingers slip.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from galeno.errors import SourceError
from galeno.ingest.cohort_media import MEDIA_KINDS, simulate_media
from galeno.ingest.cohort_note import write_notes
from galeno.ingest.cohort_profiles import (
    ADJACENT,
    BACKGROUND,
    BASIC_LABS,
    COMMON_SHARES,
    EXTENDED_LABS,
    LATENTS,
    NEXT,
    NO_ORPHAN,
    ORPHAN,
    SEVERITY,
    SHARES,
    SYMPTOMS,
    VITALS,
    Measure,
    Profile,
)
from galeno.ingest.cohort_signs import code_signs

FORM_KINDS = tuple(SHARES)
"""Cohorts of the triage form."""
KINDS = (*FORM_KINDS, *MEDIA_KINDS)
"""All cohorts; a new one comes last, since chance starts from its place."""
TARGET = "condition"

_Floats = NDArray[np.float64]
_Texts = NDArray[np.object_]

_SITES = ("hospital norte", "hospital sur", "clínica costa")
_SITE_SHARES = (0.45, 0.35, 0.2)
_ARRIVALS = ("scheduled", "walk-in", "referral", "ambulance")
_SMOKING = ("never", "former", "current")
_START = datetime(2023, 1, 1)
_CODES = ("?", "NA", "ND", "-", "N/A")
_NOT_NUMBERS = ("pendiente", "hemolizada", "no procede", "error")
_REVISITS = (0.84, 0.11, 0.04, 0.01)
"""Share of patients with one, two, three and four encounters."""
_UNTICKED = 0.08
"""Share of present symptoms and antecedents that the form does not tick; the note may tell them."""
_PATIENTS = 3000
"""Of a cohort of the triage form, by default."""
_DISAGREEMENT = {"severity": 0.03, "orphan": 0.02}
"""Share of encounters whose recorded condition is a neighbouring one."""


def simulate(kind: str, n: int | None = None, seed: int = 7) -> pl.DataFrame:
    """Simulate a cohort.

    Args:
        kind: `severity` or `orphan` (triage form), `lungs`, `images` or `everything` (`cohort_media`).
        n: patients; None for 3000, or for what `MEDIA_KINDS` says.
        seed: the same kind, n and seed give the same frame.

    Returns:
        Of the triage form one row an encounter, about 1.2 a patient, 66 columns and, of `orphan`, HPO terms
        in `signs`, all String as read from a CSV file; null where a cell is empty. Of the others see
        `simulate_media`.

    Raises:
        SourceError: no such kind, or no patients asked for.
    """
    if kind not in KINDS:
        raise SourceError(
            f"no simulated cohort {kind!r}", where=f"cohort:{kind}", remedy=f"There are: {', '.join(KINDS)}"
        )
    n = MEDIA_KINDS.get(kind, _PATIENTS) if n is None else n
    if n < 1:
        raise SourceError(
            "a cohort has at least one patient", where=f"cohort:{kind}", remedy="Ask for more with n="
        )
    rng = np.random.default_rng([KINDS.index(kind), seed])
    if kind in MEDIA_KINDS:
        return simulate_media(kind, n, rng)
    patients = _people(n, rng)
    visits = _visits(kind, patients, rng)
    latents = _latents(visits, rng)
    form = _form(visits, latents, rng)
    notes = write_notes(form, latents, form["language"].tolist(), rng)
    written = _written(kind, form, notes, rng)
    if kind == "orphan":
        # chance of its own: without this column the cohort is the same
        written["signs"] = code_signs(
            visits["profile"].tolist(), form, np.random.default_rng([KINDS.index(kind), seed, 1])
        )
    return _spoil(written, form, rng)


def _people(n: int, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    """What stays with a patient: id, sex, language, site, height, habits, own noise."""
    sex = np.where(rng.random(n) < 0.52, "F", "M")
    site = rng.choice(len(_SITES), n, p=_SITE_SHARES)
    return {
        "patient": rng.permutation(n) + 100_000,
        "sex": sex,
        "site": site,
        "language": np.where(rng.random(n) < np.array([0.95, 0.85, 0.35])[site], "es", "en"),
        "height": np.where(sex == "F", 162.0, 175.0) + rng.normal(0, 6.5, n),
        "body_mass": np.exp(rng.normal(np.log(25.8), 0.16, n)),
        "smoking": rng.choice(3, n, p=[0.58, 0.22, 0.2]),
        "constitution": rng.normal(0, 0.18, (n, len(LATENTS))),
        "start": rng.uniform(0, 730, n),
        "visits": 1 + rng.choice(len(_REVISITS), n, p=_REVISITS),
    }


def _visits(
    kind: str, people: Mapping[str, NDArray[Any]], rng: np.random.Generator
) -> dict[str, NDArray[Any]]:
    """Encounters, with their class and profile; patients that come again come later and older."""
    n = len(people["patient"])
    shares = SHARES[kind]
    first = np.array(list(shares), dtype=object)[rng.choice(len(shares), n, p=list(shares.values()))]
    common = np.array(list(COMMON_SHARES), dtype=object)
    hidden = np.where(
        first == NO_ORPHAN, common[rng.choice(len(common), n, p=list(COMMON_SHARES.values()))], first
    )
    rank = np.concatenate([np.arange(count) for count in people["visits"]])
    owner = np.repeat(np.arange(n), people["visits"])
    state = np.empty(len(owner), dtype=object)
    for turn in range(len(_REVISITS)):
        now = rank == turn
        hidden = hidden if turn == 0 else _draw_next(hidden, rng)
        state[now] = hidden[owner[now]]
    elapsed = _since_first(np.exp(rng.normal(3.6, 1.0, len(owner))) * (rank > 0), rank)
    visits = {name: values[owner] for name, values in people.items() if name != "visits"}
    visits |= {"onset": elapsed, "time": visits["start"] + elapsed}
    visits["truth"] = np.where(first[owner] == NO_ORPHAN, NO_ORPHAN, state) if kind == "orphan" else state
    visits["profile"] = _profiles(state, rank, rng)
    ages = np.array([rng.normal(*one.age) for one in visits["profile"]])
    visits["age"] = np.floor(np.clip(ages[_held(rank == 0)], 1, 97) + elapsed / 365)
    visits["duration"] = np.array([one.duration for one in visits["profile"]])
    return visits


def _profiles(state: _Texts, rank: NDArray[np.int64], rng: np.random.Generator) -> _Texts:
    """A profile of each encounter's class; a patient that stays in its class stays in its profile."""
    profiles: Mapping[str, Sequence[Profile]] = SEVERITY | ORPHAN
    drawn = np.empty(len(state), dtype=object)
    for name in sorted(set(state)):
        own = np.flatnonzero(state == name)
        weights = np.array([one.weight for one in profiles[name]])
        for row, choice in zip(
            own.tolist(), rng.choice(len(weights), len(own), p=weights / weights.sum()), strict=True
        ):
            drawn[row] = profiles[name][choice]
    same = (rank > 0) & (state == np.roll(state, 1))
    return np.asarray(drawn[_held(~same)], dtype=object)


def _held(fresh: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each row the last row, up to it, that is fresh; the first row always is."""
    return np.maximum.accumulate(np.where(fresh, np.arange(len(fresh)), 0)).astype(np.int64)


def _draw_next(states: _Texts, rng: np.random.Generator) -> _Texts:
    drawn = states.copy()
    for name, following in NEXT.items():
        own = np.flatnonzero(states == name)
        drawn[own] = np.array(list(following), dtype=object)[
            rng.choice(len(following), len(own), p=list(following.values()))
        ]
    return drawn


def _since_first(waits: _Floats, rank: NDArray[np.int64]) -> _Floats:
    """Days since the patient's first encounter; encounters of a patient stand together in order."""
    total = np.cumsum(waits)
    return np.asarray(total - total[_held(rank == 0)], dtype=np.float64)


def _latents(visits: Mapping[str, NDArray[Any]], rng: np.random.Generator) -> dict[str, _Floats]:
    """Disturbances: the profile's mean times how marked the case is, plus constitution, age and noise."""
    rows = len(visits["age"])
    means = np.array([[one.latents.get(name, 0.0) for name in LATENTS] for one in visits["profile"]])
    marked = np.exp(rng.normal(-0.03, 0.24, (rows, 1)))
    values = means * marked + visits["constitution"] + rng.normal(0, 0.24, (rows, len(LATENTS)))
    latents = dict(zip(LATENTS, values.T, strict=True))
    old = np.clip((visits["age"] - 55) / 30, 0, None)
    for name, share in (("cardiac", 0.35), ("renal", 0.3), ("neurological", 0.2), ("connective", 0.2)):
        latents[name] = latents[name] + share * old
    return latents


def _form(
    visits: Mapping[str, NDArray[Any]], latents: Mapping[str, _Floats], rng: np.random.Generator
) -> dict[str, NDArray[Any]]:
    """True values of the whole form, before anything is left out or spoiled."""
    age = visits["age"]
    form = {name: visits[name] for name in ("patient", "sex", "site", "language", "time", "truth", "age")}
    ill = np.sqrt(sum(np.clip(values, 0, None) ** 2 for values in latents.values()))
    form["illness"] = np.clip(ill - 0.8, 0, 5)
    for name, (base, slope) in BACKGROUND.items():
        chance = _sigmoid(base + slope * age)
        own = np.array([one.history.get(name, -1.0) for one in visits["profile"]])
        form[name] = rng.random(len(age)) < np.maximum(chance, own)
    for name, (base, effects) in SYMPTOMS.items():
        form[name] = rng.random(len(age)) < _sigmoid(base + _mix(effects, latents))
    for name, measure in (VITALS | BASIC_LABS | EXTENDED_LABS).items():
        form[name] = _read(measure, latents, rng)
    form["systolic"] = form["systolic"] + np.rint(0.3 * (age - 45)) + 9 * form["hypertension"]
    form["height"] = np.rint(visits["height"] * np.clip(0.55 + age / 38, 0.55, 1.0))
    mass = (
        visits["body_mass"]
        * np.exp(-0.06 * np.clip(latents["wasting"], 0, None))
        * np.clip(0.66 + age / 60, 0, 1)
    )
    form["weight"] = np.round(mass * (form["height"] / 100) ** 2, 1)
    form["smoking"] = np.array(_SMOKING, dtype=object)[np.where(age < 15, 0, visits["smoking"])]
    mean, spread = visits["duration"].T
    form["duration_days"] = np.round(10 ** rng.normal(mean, spread) + visits["onset"] * (mean > 1.5), 1)
    burden = sum(
        form[name].astype(float) for name in ("hypertension", "diabetes", "copd", "heart_failure", "cancer")
    )
    form["medications"] = rng.poisson(0.4 + 1.5 * burden + 0.35 * form["illness"])
    form["admissions_last_year"] = rng.poisson(0.05 + 0.16 * burden + 0.09 * form["illness"])
    way = np.clip(form["illness"] + rng.normal(-0.3, 0.7, len(age)), 0, 3.9)
    form["arrival"] = np.array(_ARRIVALS, dtype=object)[(way * 0.98).astype(int)]
    return form


def _sigmoid(values: _Floats) -> _Floats:
    return np.asarray(1 / (1 + np.exp(-values)), dtype=np.float64)


def _mix(effects: Mapping[str, float], latents: Mapping[str, _Floats]) -> _Floats:
    return np.asarray(sum(weight * latents[name] for name, weight in effects.items()), dtype=np.float64)


def _read(measure: Measure, latents: Mapping[str, _Floats], rng: np.random.Generator) -> _Floats:
    shift = _mix(measure.effects, latents)
    shift = shift + rng.normal(0, measure.noise, len(shift))
    values = measure.base * np.exp(shift) if measure.log else measure.base + shift
    return np.asarray(
        np.round(np.clip(values, measure.low, measure.high), measure.decimals), dtype=np.float64
    )


def _written(
    kind: str, form: Mapping[str, NDArray[Any]], notes: Sequence[str], rng: np.random.Generator
) -> dict[str, _Texts]:
    """The form as texts, one column each, in the order of the file; nothing missing yet."""
    rows = len(notes)
    yes = np.array(["sí", "1", "yes"], dtype=object)[form["site"]]
    no = np.array(["no", "0", "no"], dtype=object)[form["site"]]
    times = [_START + timedelta(days=day) for day in form["time"].tolist()]
    columns: dict[str, _Texts] = {
        "patient_id": _texts(form["patient"], "P{}".format),
        "record_id": _texts(rng.permutation(rows) + 500_000, "E{}".format),
        "encounter_time": np.array([f"{time:%Y-%m-%d %H:%M}" for time in times], dtype=object),
        "site": np.array(_SITES, dtype=object)[form["site"]],
        "age": _number(form["age"], 0),
        "sex": form["sex"].astype(object),
        "arrival": form["arrival"].copy(),
        "weight": _number(form["weight"], 1),
        "height": _number(form["height"], 0),
    }
    columns |= {name: _number(form[name], measure.decimals) for name, measure in VITALS.items()}
    columns["duration_days"] = _number(form["duration_days"], 1)
    for name in (*SYMPTOMS, *BACKGROUND):
        ticked = form[name] & (rng.random(rows) >= _UNTICKED)
        columns[name] = np.where(ticked, yes, no)
    columns["smoking"] = form["smoking"].copy()
    columns |= {name: _number(form[name], 0) for name in ("medications", "admissions_last_year")}
    labs = (BASIC_LABS | EXTENDED_LABS).items()
    columns |= {name: _number(form[name], measure.decimals) for name, measure in labs}
    columns["note"] = np.array(notes, dtype=object)
    recorded = form["truth"].copy()
    for row in np.flatnonzero(rng.random(rows) < _DISAGREEMENT[kind]):
        recorded[row] = NO_ORPHAN if kind == "orphan" else ADJACENT[recorded[row]]
    columns[TARGET] = recorded
    return columns


def _texts(values: NDArray[Any], write: Callable[[Any], str]) -> _Texts:
    return np.array([write(value) for value in values.tolist()], dtype=object)


def _number(values: NDArray[Any], decimals: int) -> _Texts:
    return _texts(np.asarray(values, dtype=np.float64), f"{{:.{decimals}f}}".format)


def _spoil(
    columns: dict[str, _Texts], form: Mapping[str, NDArray[Any]], rng: np.random.Generator
) -> pl.DataFrame:
    """The frame as it would be sent: other units, slips of the finger, gaps, duplicates."""
    rows = len(columns["age"])
    _other_units(columns, form, rng)
    _slips(columns, rng)
    _gaps(columns, form, rng)
    frame = pl.DataFrame(
        {name: pl.Series(texts.tolist(), dtype=pl.String) for name, texts in columns.items()}
    )
    order = rng.permutation(rows)
    again = rng.choice(rows, max(1, round(0.006 * rows)), replace=False)
    places = np.sort(rng.integers(0, rows, len(again)))
    return frame[np.insert(order, places, again)]


def _other_units(
    columns: dict[str, _Texts], form: Mapping[str, NDArray[Any]], rng: np.random.Generator
) -> None:
    """Units as a site sends them: the third mixes SI labs, Fahrenheit and pounds, the rest slip at times."""
    changes: tuple[tuple[str, tuple[float, float, float], Callable[[Any], Any], int], ...] = (
        ("temperature", (0.01, 0.01, 0.15), lambda celsius: celsius * 1.8 + 32, 1),
        ("weight", (0.005, 0.005, 0.12), lambda kilograms: kilograms / 0.45359237, 0),
        ("height", (0.02, 0.02, 0.02), lambda centimetres: centimetres / 100, 2),
        ("glucose", (0.0, 0.03, 0.35), lambda milligrams: milligrams / 18.016, 1),
        ("creatinine", (0.0, 0.03, 0.35), lambda milligrams: milligrams * 88.42, 0),
    )
    for name, shares, convert, decimals in changes:
        chosen = rng.random(len(columns[name])) < np.array(shares)[form["site"]]
        columns[name][chosen] = _number(convert(form[name][chosen]), decimals)


def _slips(columns: dict[str, _Texts], rng: np.random.Generator) -> None:
    """Values that cannot be, and values that are no numbers."""
    slips: dict[str, tuple[float, tuple[str, ...]]] = {
        "age": (0.008, ("455", "-3", "65526", "199")),
        "heart_rate": (0.01, ("0", "999")),
        "systolic": (0.006, ("0", "1200")),
        "oxygen_saturation": (0.006, ("970", "0")),
        "pain": (0.006, ("11", "99")),
        "height": (0.004, ("17", "1720")),
        "sex": (0.006, ("9", "X")),
        "smoking": (0.006, ("unknown",)),
        "sodium": (0.005, ("14", "1400")),
    }
    for name, (share, values) in slips.items():
        _replace(columns[name], share, values, rng)
    for name in (*BASIC_LABS, *EXTENDED_LABS):
        _replace(columns[name], 0.004, _NOT_NUMBERS, rng)
    comma = rng.random(len(columns["temperature"])) < 0.008
    columns["temperature"][comma] = [text.replace(".", ",") for text in columns["temperature"][comma]]


def _gaps(columns: dict[str, _Texts], form: Mapping[str, NDArray[Any]], rng: np.random.Generator) -> None:
    """Missing values: labs by how ill the patient looks, the rest by chance; one in three has a code."""
    rows = len(columns["age"])
    ill = form["illness"] + rng.normal(0, 0.7, rows)
    basic = rng.random(rows) < _sigmoid(-1.1 + 1.25 * ill)
    extended = basic & (rng.random(rows) < _sigmoid(-1.3 + 0.9 * ill))
    for names, ordered in ((BASIC_LABS, basic), (EXTENDED_LABS, extended)):
        for name in names:
            _blank(columns[name], ~ordered | (rng.random(rows) < 0.03), rng)
    confused = form["confusion"] & (rng.random(rows) < 0.6)
    _blank(columns["pain"], confused | (rng.random(rows) < 0.06), rng)
    quiet = (form["illness"] < 0.6) & (rng.random(rows) < 0.5)
    _blank(columns["duration_days"], quiet | (rng.random(rows) < 0.05), rng)
    chances = dict.fromkeys(SYMPTOMS, 0.02) | dict.fromkeys(BACKGROUND, 0.03) | dict.fromkeys(VITALS, 0.025)
    chances |= {"weight": 0.1, "height": 0.14, "smoking": 0.12, "arrival": 0.02, "sex": 0.004, "age": 0.004}
    chances |= {"medications": 0.05, "admissions_last_year": 0.06, "note": 0.04, "encounter_time": 0.003}
    for name, chance in chances.items():
        _blank(columns[name], rng.random(rows) < chance, rng)
    _blank(columns["patient_id"], rng.random(rows) < 0.001, rng)
    _blank(columns[TARGET], rng.random(rows) < 0.005, rng)
    _replace(columns[TARGET], 0.002, ("en estudio",), rng)


def _replace(column: _Texts, share: float, values: Sequence[str], rng: np.random.Generator) -> None:
    chosen = np.flatnonzero(rng.random(len(column)) < share)
    column[chosen] = np.array(values, dtype=object)[rng.integers(0, len(values), len(chosen))]


def _blank(column: _Texts, chosen: NDArray[np.bool_], rng: np.random.Generator) -> None:
    rows = np.flatnonzero(chosen)
    codes = np.array([*_CODES, *[None] * (2 * len(_CODES))], dtype=object)
    column[rows] = codes[rng.integers(0, len(codes), len(rows))]
