"""Signs of the simulated cohort as HPO terms, as a clinician who suspects something would code them.

Each profile of an orphan category is modelled on one disease. Which signs it has was taken from textbooks;
how often was chosen to look plausible, and to overlap. No number comes from patients, nor from the HPO's
annotations.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galeno.ingest.cohort_profiles import ORPHAN, Profile

SYMPTOM_SIGNS = {
    "fever": "HP:0001945",
    "cough": "HP:0012735",
    "dyspnoea": "HP:0002094",
    "chest_pain": "HP:0100749",
    "abdominal_pain": "HP:0002027",
    "vomiting": "HP:0002013",
    "diarrhoea": "HP:0002014",
    "headache": "HP:0002315",
    "fatigue": "HP:0012378",
    "weight_loss": "HP:0001824",
    "night_sweats": "HP:0030166",
    "oedema": "HP:0000969",
    "dizziness": "HP:0002321",
    "rash": "HP:0000988",
    "joint_pain": "HP:0002829",
    "muscle_weakness": "HP:0001324",
    "confusion": "HP:0001289",
    "jaundice": "HP:0000952",
    "bruising": "HP:0000978",
    "dark_urine": "HP:0040319",
    "thirst": "HP:0001959",
    "exercise_intolerance": "HP:0003546",
}
"""Symptom of the form to HPO term."""

DISEASE_SIGNS: Mapping[str, tuple[tuple[str, Mapping[str, float]], ...]] = {
    "metabólica": (
        (
            "ORPHA:77259",  # Gaucher disease type 1
            {
                "HP:0001744": 0.8, "HP:0002240": 0.6, "HP:0001873": 0.5, "HP:0001903": 0.4, "HP:0002653": 0.4,
                "HP:0003281": 0.3, "HP:0010885": 0.15, "HP:0000421": 0.2,
            },
        ),
        (
            "ORPHA:550",  # MELAS
            {
                "HP:0002151": 0.6, "HP:0003546": 0.5, "HP:0000407": 0.4, "HP:0001250": 0.4, "HP:0002076": 0.4,
                "HP:0002401": 0.3, "HP:0004322": 0.3, "HP:0003198": 0.3, "HP:0000819": 0.2,
            },
        ),
        (
            "OMIM:232200",  # glycogen storage disease Ia
            {
                "HP:0003162": 0.6, "HP:0002240": 0.7, "HP:0003128": 0.4, "HP:0003077": 0.4, "HP:0002149": 0.3,
                "HP:0004322": 0.3, "HP:0002910": 0.3,
            },
        ),
    ),
    "neuromuscular": (
        (
            "ORPHA:34515",  # limb-girdle muscular dystrophy R9
            {
                "HP:0003236": 0.7, "HP:0003701": 0.7, "HP:0003551": 0.5, "HP:0002515": 0.4, "HP:0008981": 0.4,
                "HP:0001644": 0.2, "HP:0002091": 0.2, "HP:0002650": 0.2,
            },
        ),
        (
            "ORPHA:589",  # myasthenia gravis
            {
                "HP:0000508": 0.6, "HP:0000651": 0.5, "HP:0003473": 0.5, "HP:0002015": 0.4, "HP:0001260": 0.3,
                "HP:0003690": 0.3, "HP:0100522": 0.1,
            },
        ),
        (
            "ORPHA:803",  # amyotrophic lateral sclerosis
            {
                "HP:0002380": 0.6, "HP:0003202": 0.6, "HP:0001347": 0.4, "HP:0001260": 0.4, "HP:0002015": 0.4,
                "HP:0001257": 0.3, "HP:0003394": 0.3,
            },
        ),
    ),
    "autoinmune rara": (
        (
            "ORPHA:900",  # granulomatosis with polyangiitis
            {
                "HP:0000246": 0.6, "HP:0000421": 0.4, "HP:0000790": 0.4, "HP:0000093": 0.4, "HP:0002113": 0.4,
                "HP:0002105": 0.3, "HP:0002633": 0.2,
            },
        ),
        (
            "ORPHA:90291",  # systemic sclerosis
            {
                "HP:0030880": 0.8, "HP:0001072": 0.6, "HP:0011838": 0.4, "HP:0002020": 0.4, "HP:0002206": 0.3,
                "HP:0001009": 0.3, "HP:0003493": 0.5,
            },
        ),
        (
            "ORPHA:221",  # dermatomyositis
            {
                "HP:0003701": 0.7, "HP:0040324": 0.5, "HP:0003326": 0.4, "HP:0025508": 0.4, "HP:0100614": 0.3,
                "HP:0003236": 0.4,
            },
        ),
    ),
    "hematológica rara": (
        (
            "ORPHA:447",  # paroxysmal nocturnal haemoglobinuria
            {
                "HP:0003641": 0.5, "HP:0001878": 0.6, "HP:0001903": 0.6, "HP:0004936": 0.3, "HP:0001876": 0.3,
                "HP:0025435": 0.4,
            },
        ),
        (
            "ORPHA:903",  # von Willebrand disease
            {"HP:0000421": 0.6, "HP:0000132": 0.3, "HP:0000225": 0.4, "HP:0003645": 0.3, "HP:0006298": 0.4},
        ),
        (
            "ORPHA:54057",  # thrombotic thrombocytopenic purpura
            {"HP:0001873": 0.8, "HP:0001937": 0.5, "HP:0000967": 0.4, "HP:0001289": 0.3, "HP:0000083": 0.2},
        ),
    ),
}  # fmt: skip
"""For each profile of `ORPHAN`: the disease that it is modelled on, and the chance of each of its signs."""

BROADER = {
    "HP:0003701": "HP:0001324",
    "HP:0003690": "HP:0001324",
    "HP:0001744": "HP:0001743",
    "HP:0001878": "HP:0001903",
    "HP:0001937": "HP:0001903",
    "HP:0002653": "HP:0012531",
    "HP:0003162": "HP:0001943",
    "HP:0040324": "HP:0000988",
    "HP:0000421": "HP:0001892",
    "HP:0000225": "HP:0001892",
    "HP:0002076": "HP:0002315",
}
"""A coarser term that some write instead."""

_CODED = 0.6
"""Chance that a sign that is present is coded, too."""
_DENIED = 0.04
"""Chance that a sign that is absent is coded as such."""
_SPELLINGS = ("{}:{}", "{}_{}", "{}:{}")
_BETWEEN = ("; ", " ", ", ")
_SLIPS = ("HP:9999999", "HP:0012828", "afebril")
"""No sign of the HPO: an id that was never given, a modifier (severe), and a word."""

_Texts = NDArray[np.object_]


def code_signs(
    profiles: Sequence[Profile], form: Mapping[str, NDArray[Any]], rng: np.random.Generator
) -> _Texts:
    """The signs of each encounter in one cell; None where nobody coded any.

    Args:
        profiles: of each encounter.
        form: true values of the form: symptoms, illness and site, shape (rows,) each.
        rng: source of chance.
    """
    own = {
        id(profile): signs
        for name, kinds in ORPHAN.items()
        for profile, (_, signs) in zip(kinds, DISEASE_SIGNS[name], strict=True)
    }
    anything = sorted({sign for signs in own.values() for sign in signs} | set(BROADER.values()))
    coded = rng.random(len(profiles)) < np.clip(0.25 + 0.18 * form["illness"], 0, 0.85)
    cells = np.empty(len(profiles), dtype=object)
    for row in np.flatnonzero(coded).tolist():
        chances: dict[str, float] = {sign: float(form[name][row]) for name, sign in SYMPTOM_SIGNS.items()}
        for sign, chance in own.get(id(profiles[row]), {}).items():
            chances[sign] = max(chance, chances.get(sign, 0.0))
        cells[row] = _write(chances, anything, int(form["site"][row]), rng)
    return cells


def _write(chances: Mapping[str, float], anything: Sequence[str], site: int, rng: np.random.Generator) -> str:
    """One cell as a site writes it, with what goes wrong there."""
    names = list(chances)
    present = rng.random(len(names)) < np.array(list(chances.values()))
    told = rng.random(len(names)) < np.where(present, _CODED, _DENIED)
    coarse = rng.random(len(names)) < 0.15
    terms: dict[str, bool] = {}
    for place in np.flatnonzero(told).tolist():
        sign = names[place]
        terms[BROADER.get(sign, sign) if coarse[place] and present[place] else sign] = bool(present[place])
    if rng.random() < 0.2:
        terms.setdefault(anything[int(rng.integers(len(anything)))], True)
    written = [
        ("" if there else "-") + _SPELLINGS[site].format(*sign.split(":")) for sign, there in terms.items()
    ]
    if rng.random() < 0.015:
        written.append(_SLIPS[int(rng.integers(len(_SLIPS)))])
    return _BETWEEN[site].join(written)
