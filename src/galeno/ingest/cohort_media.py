"""Simulated cohorts with sounds and images: `lungs`, `images`, and `everything` of the same patients.

Nobody in them exists, and nothing learned from them says anything about patients; docs/cohort.md tells in
words what is simulated. How a chest sounds is in `breath`, how a cell looks in `cells`, what patients tell in
`cohort_findings`. A cell of a sound or image column holds the bytes of a file.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from galeno.ingest.breath import MANNERS, STETHOSCOPES, ZONES, Chest, Manner, draw_chest, listen, write_wav
from galeno.ingest.cells import LEUKOCYTES, SMEARS, Look, draw_cell, write_png
from galeno.ingest.cohort_findings import CONDITIONS, FINDINGS, code_findings, draw_findings, tell_findings

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]
_Bools = NDArray[np.bool_]
_Cells = Sequence[str | None]
_Files = list[bytes | None]


@dataclass(frozen=True, slots=True)
class Prevalence:
    """Who has a condition: share of patients, mean and standard deviation of age in years, share of women."""

    share: float
    age: tuple[float, float]
    women: float


LUNGS: Mapping[str, Prevalence] = {
    "healthy": Prevalence(0.24, (44, 16), 0.48),
    "asthma": Prevalence(0.2, (46, 16), 0.6),
    "heart_failure": Prevalence(0.2, (64, 13), 0.45),
    "copd": Prevalence(0.18, (61, 11), 0.35),
    "pneumonia": Prevalence(0.18, (54, 18), 0.48),
}
IMAGES: Mapping[str, Prevalence] = {
    "normal": Prevalence(0.45, (42, 13), 1.0),
    "dysplastic": Prevalence(0.3, (41, 12), 1.0),
    "malignant": Prevalence(0.25, (52, 13), 1.0),
}
EVERYTHING: Mapping[str, Prevalence] = {
    "asthma": Prevalence(0.26, (53, 15), 0.58),
    "copd": Prevalence(0.24, (60, 12), 0.4),
    "heart_failure": Prevalence(0.24, (65, 13), 0.46),
    "pneumonia": Prevalence(0.26, (58, 17), 0.48),
}

_WHEEZY = replace(MANNERS["asthma"], wheezing=0.85, pitch=320.0, expiration=0.65, crackling=0.12)
_CRACKLY = replace(MANNERS["pneumonia"], crackling=0.86, crackles=9.0, ring=430.0, decay=3.0, wheezing=0.12)
_BREATHING: Mapping[str, Manner] = {
    "asthma": _WHEEZY,
    "copd": replace(_WHEEZY, loudness=0.75, pitch=280.0),
    "heart_failure": replace(_CRACKLY, ring=480.0),
    "pneumonia": _CRACKLY,
}
"""Everything: a chest tells the wheezy conditions from the crackling ones, and little more."""
_SMEARS: Mapping[str, tuple[float, float, float]] = {
    "asthma": (0.1, 0.07, 0.83),
    "copd": (0.12, 0.8, 0.08),
    "heart_failure": (0.78, 0.15, 0.07),
    "pneumonia": (0.13, 0.81, 0.06),
}
"""Everything: chance that a smear shows each of `LEUKOCYTES`; it does not tell COPD from pneumonia."""


@dataclass(frozen=True, slots=True)
class _Measure:
    """A vital sign or lab.

    Attributes:
        means: by condition; of the natural logarithm where `log`, like the spread.
        spread: standard deviation.
        low: least that is written.
        high: most that is written.
        decimals: that are written.
        missing: share of patients.
        log: whether the logarithm is normal.
    """

    means: tuple[float, float, float, float]
    spread: float
    low: float
    high: float
    decimals: int = 0
    missing: float = 0.03
    log: bool = False


MEASURES: Mapping[str, _Measure] = {
    "heart_rate": _Measure((88, 88, 93, 96), 15, 45, 180),
    "respiratory_rate": _Measure((20, 21, 21, 22), 4, 8, 50),
    "oxygen_saturation": _Measure((95.5, 93, 94, 93.5), 2.6, 70, 100),
    "temperature": _Measure((36.7, 36.8, 36.6, 37.4), 0.6, 34.5, 41.5, 1),
    "systolic": _Measure((128, 132, 138, 124), 19, 70, 230),
    "leukocytes": _Measure((2.1, 2.2, 2.07, 2.45), 0.35, 0.5, 60, 1, 0.25, True),
    "crp": _Measure((1.7, 2.2, 2.0, 3.2), 1.2, 0.2, 500, 1, 0.3, True),
    "bnp": _Measure((4.0, 4.3, 5.4, 4.4), 1.2, 5, 5000, 0, 0.5, True),
}
"""Of `cohort:everything`, in the order of `CONDITIONS`."""
_FLAGS: Mapping[str, tuple[float, float, float, float]] = {
    "smoker": (0.3, 0.65, 0.35, 0.35),
    "hypertension": (0.3, 0.45, 0.65, 0.35),
    "diabetes": (0.12, 0.2, 0.32, 0.2),
}
_LACKING = {"breath": 0.3, "smear": 0.3, "note": 0.2, "signs": 0.3}
"""Everything: share of patients who lack a modality."""
_FAULTY = 0.01
"""Share of files that are not what they should be."""


def _lungs(n: int, rng: np.random.Generator) -> pl.DataFrame:
    """One row a recording, one to three of each patient."""
    people = _people(LUNGS, n, rng)
    chests = [draw_chest(MANNERS[name], rng) for name in people["condition"]]
    owner = np.repeat(np.arange(n), rng.choice([1, 2, 3], n, p=[0.3, 0.4, 0.3]))
    filters = _drawn(tuple(STETHOSCOPES), len(owner), rng)
    zones = _drawn(tuple(ZONES), len(owner), rng)
    files: _Files = [
        _record(chests[patient], stethoscope, zone, rng)
        for patient, stethoscope, zone in zip(owner.tolist(), filters, zones, strict=True)
    ]
    return _frame(
        {
            "patient_id": _of(people["patient_id"], owner),
            "recording_id": [f"R{place}" for place in rng.permutation(len(owner)) + 10_000],
            "file": _spoiled(files, rng),
            "stethoscope_filter": filters,
            "chest_zone": zones,
            "age": _blanked(_of(people["age"], owner), 0.01, rng),
            "sex": _of(people["sex"], owner),
            "condition": _of(people["condition"], owner),
        },
        rng,
    )


def _images(n: int, rng: np.random.Generator) -> pl.DataFrame:
    """One row an image; one patient in ten has two."""
    people = _people(IMAGES, n, rng)
    owner = np.repeat(np.arange(n), 1 + (rng.random(n) < 0.1))
    conditions = _of(people["condition"], owner)
    files: _Files = [_picture(SMEARS[name], rng) for name in conditions]
    return _frame(
        {
            "patient_id": _of(people["patient_id"], owner),
            "image": _spoiled(files, rng),
            "age": _blanked(_of(people["age"], owner), 0.03, rng),
            "condition": conditions,
        },
        rng,
    )


def _everything(n: int, rng: np.random.Generator) -> pl.DataFrame:
    """One row a patient: a form, a note, HPO terms, a sound and an image, some of them missing."""
    people = _people(EVERYTHING, n, rng)
    codes = np.array([CONDITIONS.index(name) for name in people["condition"]], dtype=np.int64)
    lacks = {name: rng.random(n) < share for name, share in _LACKING.items()}
    findings = draw_findings(codes, rng)
    notes = tell_findings(findings, [int(age) for age in people["age"]], people["sex"], rng)
    terms = code_findings(findings, rng)
    columns: dict[str, _Cells | _Files] = {
        "patient_id": people["patient_id"],
        "record_id": [f"E{place}" for place in rng.permutation(n) + 500_000],
        "age": _blanked(people["age"], 0.01, rng),
        "sex": people["sex"],
    }
    for name, chances in _FLAGS.items():
        columns[name] = _blanked(_flags(rng.random(n) < np.array(chances)[codes]), 0.05, rng)
    for name in ("cough", "dyspnoea"):
        columns[name] = _blanked(_flags(findings[:, list(FINDINGS).index(name)]), 0.03, rng)
    for name, measure in MEASURES.items():
        columns[name] = _blanked(_measured(measure, codes, rng), measure.missing, rng)
    columns["note"] = _without(notes, lacks["note"])
    columns["signs"] = _without(terms, lacks["signs"])
    columns["breath"] = _spoiled(_breaths(people["condition"], lacks["breath"], rng), rng)
    columns["smear"] = _spoiled(_cells(people["condition"], lacks["smear"], rng), rng)
    columns["condition"] = people["condition"]
    return _frame(columns, rng)


_MAKERS: Mapping[str, tuple[Callable[[int, np.random.Generator], pl.DataFrame], int]] = {
    "lungs": (_lungs, 160),
    "images": (_images, 600),
    "everything": (_everything, 400),
}
MEDIA_KINDS: Mapping[str, int] = {kind: n for kind, (_, n) in _MAKERS.items()}
"""Cohorts with sounds or images, and how many patients each has by default."""


def simulate_media(kind: str, n: int, rng: np.random.Generator) -> pl.DataFrame:
    """Simulate a cohort with sounds or images.

    Args:
        kind: one of `MEDIA_KINDS`.
        n: patients, at least 1.
        rng: source of chance.

    Returns:
        One row a recording (`lungs`), an image (`images`) or a patient (`everything`). `file` and `breath`
        hold WAV files, `image` and `smear` PNG files, Binary; all else is String; null where a cell is empty.
    """
    return _MAKERS[kind][0](n, rng)


def _people(prevalence: Mapping[str, Prevalence], n: int, rng: np.random.Generator) -> dict[str, list[str]]:
    """Patients as texts: id, condition, age in whole years, sex."""
    names, rows = list(prevalence), list(prevalence.values())
    codes = rng.choice(len(names), n, p=[one.share for one in rows])
    mean, spread = np.array([one.age for one in rows])[codes].T
    ages = np.clip(np.rint(mean + spread * rng.standard_normal(n)), 18, 95).astype(int)
    women = rng.random(n) < np.array([one.women for one in rows])[codes]
    return {
        "patient_id": [f"P{number}" for number in (rng.permutation(n) + 100_000).tolist()],
        "condition": [names[code] for code in codes],
        "age": [str(age) for age in ages.tolist()],
        "sex": ["F" if woman else "M" for woman in women.tolist()],
    }


def _record(chest: Chest, stethoscope: str, zone: str, rng: np.random.Generator) -> bytes:
    return write_wav(listen(chest, stethoscope, zone, round(rng.uniform(5, 8), 1), rng))


def _picture(look: Look, rng: np.random.Generator) -> bytes:
    return write_png(draw_cell(look, rng))


def _breaths(conditions: Sequence[str], lacks: _Bools, rng: np.random.Generator) -> _Files:
    """One recording of each patient, at a base of the lung, where most can be heard."""
    bases = [zone for zone in ZONES if zone.endswith("base")]
    files: _Files = []
    for name, missing in zip(conditions, lacks.tolist(), strict=True):
        zone = bases[int(rng.integers(len(bases)))]
        files.append(None if missing else _record(draw_chest(_BREATHING[name], rng), "extended", zone, rng))
    return files


def _cells(conditions: Sequence[str], lacks: _Bools, rng: np.random.Generator) -> _Files:
    """The cell that there is most of in a smear of each patient."""
    looks = list(LEUKOCYTES.values())
    files: _Files = []
    for name, missing in zip(conditions, lacks.tolist(), strict=True):
        look = looks[int(rng.choice(len(looks), p=_SMEARS[name]))]
        files.append(None if missing else _picture(look, rng))
    return files


def _measured(measure: _Measure, codes: _Ints, rng: np.random.Generator) -> list[str]:
    values = rng.normal(np.array(measure.means)[codes], measure.spread)
    values = np.clip(np.exp(values) if measure.log else values, measure.low, measure.high)
    return [f"{value:.{measure.decimals}f}" for value in values.tolist()]


def _flags(values: _Bools) -> list[str]:
    return ["yes" if value else "no" for value in values.tolist()]


def _drawn(names: Sequence[str], n: int, rng: np.random.Generator) -> list[str]:
    return [names[place] for place in rng.integers(len(names), size=n).tolist()]


def _of(values: Sequence[str], owner: _Ints) -> list[str]:
    return [values[place] for place in owner.tolist()]


def _blanked(values: _Cells, share: float, rng: np.random.Generator) -> list[str | None]:
    return _without(values, rng.random(len(values)) < share)


def _without(values: _Cells, lacks: _Bools) -> list[str | None]:
    return [None if missing else value for value, missing in zip(values, lacks.tolist(), strict=True)]


def _spoiled(files: _Files, rng: np.random.Generator) -> _Files:
    """In one of a hundred files something went wrong: nothing in it, half of it, or a text in its place."""
    there = np.array([place for place, file in enumerate(files) if file is not None], dtype=np.int64)
    chosen = rng.permutation(there)[: round(_FAULTY * len(there))]
    for turn, place in enumerate(chosen.tolist()):
        whole = files[place] or b""
        files[place] = (b"", whole[: len(whole) // 2], b"recording failed\n")[turn % 3]
    return files


def _frame(columns: Mapping[str, Any], rng: np.random.Generator) -> pl.DataFrame:
    """The columns in any order of rows."""
    frame = pl.DataFrame(
        {
            name: pl.Series(values, dtype=pl.Binary if name in _FILES else pl.String)
            for name, values in columns.items()
        }
    )
    return frame[rng.permutation(frame.height)]


_FILES = frozenset({"file", "image", "breath", "smear"})
