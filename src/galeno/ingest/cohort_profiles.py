"""The tables behind the simulated cohort: what each kind of patient is like inside, and what shows outside.

A profile (say, pneumonia) pushes a few latent disturbances; symptoms, vital signs and labs read them with
noise. Numbers were chosen to look plausible and to overlap; none was estimated from patients.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

LATENTS = (
    "inflammation",
    "respiratory",
    "cardiac",
    "renal",
    "glycaemic",
    "wasting",
    "pain",
    "digestive",
    "neurological",
    "muscular",
    "marrow",
    "bleeding",
    "hepatic",
    "connective",
    "energy",
)
"""Disturbances of a patient's body, 0 where there is none, about 2 where it is marked."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One kind of patient within a class.

    Attributes:
        weight: share within the class, before norming.
        age: mean and standard deviation, years.
        duration: mean and standard deviation of log10 days since onset.
        latents: mean disturbances.
        history: probability of each antecedent, where it is not the background's.
    """

    weight: float
    age: tuple[float, float]
    duration: tuple[float, float]
    latents: Mapping[str, float]
    history: Mapping[str, float] = field(default_factory=dict)


SEVERITY: dict[str, tuple[Profile, ...]] = {
    "no enfermo": (
        Profile(5, (38, 18), (0.3, 0.5), {}),
        Profile(3, (41, 16), (1.1, 0.7), {"pain": 0.5, "neurological": 0.3, "digestive": 0.2}),
        Profile(
            2,
            (60, 12),
            (1.6, 0.8),
            {"glycaemic": 0.5, "cardiac": 0.4},
            {"hypertension": 0.6, "diabetes": 0.3},
        ),
    ),
    "enfermedad leve": (
        Profile(4, (34, 19), (0.6, 0.35), {"inflammation": 1.6, "respiratory": 1.2}),
        Profile(2, (32, 18), (0.4, 0.3), {"digestive": 2.3, "inflammation": 0.8, "pain": 0.8}),
        Profile(2, (38, 14), (0.8, 0.6), {"neurological": 1.6, "pain": 1.7}),
        Profile(2, (42, 17), (0.9, 0.5), {"pain": 2.3, "connective": 0.7}),
        Profile(1, (36, 16), (0.5, 0.3), {"inflammation": 1.1, "renal": 0.5, "pain": 1.4}),
    ),
    "enfermedad aguda": (
        Profile(3, (58, 21), (0.6, 0.35), {"inflammation": 2.8, "respiratory": 2.4}),
        Profile(3, (42, 20), (0.2, 0.4), {"inflammation": 2.2, "digestive": 2.2, "pain": 2.5}),
        Profile(
            2,
            (64, 13),
            (-0.2, 0.5),
            {"cardiac": 2.6, "pain": 2.0},
            {"hypertension": 0.55, "heart_failure": 0.15},
        ),
        Profile(2, (49, 20), (0.5, 0.3), {"inflammation": 2.5, "renal": 1.2, "pain": 1.5}),
        Profile(1, (70, 12), (-0.3, 0.4), {"neurological": 2.9, "cardiac": 0.9}, {"hypertension": 0.6}),
    ),
    "enfermedad crónica": (
        Profile(3, (58, 13), (2.2, 0.6), {"glycaemic": 2.6, "renal": 0.7, "energy": 0.3}, {"diabetes": 0.75}),
        Profile(2, (66, 10), (2.2, 0.6), {"respiratory": 2.0, "inflammation": 0.4}, {"copd": 0.7}),
        Profile(
            2,
            (71, 10),
            (1.8, 0.6),
            {"cardiac": 2.1, "respiratory": 0.9, "renal": 0.8},
            {"heart_failure": 0.6, "hypertension": 0.7},
        ),
        Profile(
            2,
            (64, 14),
            (2.3, 0.6),
            {"renal": 2.5, "marrow": 1.1},
            {"kidney_disease": 0.65, "hypertension": 0.65},
        ),
        Profile(2, (52, 14), (2.2, 0.5), {"connective": 1.9, "pain": 1.2, "inflammation": 0.8}),
        Profile(1, (55, 12), (2.1, 0.6), {"hepatic": 2.0, "digestive": 0.7}),
    ),
    "enfermedad terminal": (
        Profile(
            5,
            (69, 12),
            (2.1, 0.5),
            {"wasting": 2.4, "pain": 1.6, "marrow": 1.1, "hepatic": 1.0, "inflammation": 1.1},
            {"cancer": 0.8},
        ),
        Profile(
            3,
            (78, 9),
            (2.5, 0.5),
            {"cardiac": 2.6, "renal": 1.7, "respiratory": 1.7, "wasting": 1.4},
            {"heart_failure": 0.8, "kidney_disease": 0.5},
        ),
        Profile(1, (61, 10), (2.3, 0.5), {"hepatic": 2.9, "wasting": 1.8, "neurological": 1.0}),
        Profile(1, (73, 11), (2.7, 0.4), {"neurological": 2.4, "wasting": 2.0, "muscular": 1.3}),
    ),
}
"""Kinds of patient of the severity study, by class."""

FAMILY = {"family_history": 0.35, "consanguinity": 0.14}

ORPHAN: dict[str, tuple[Profile, ...]] = {
    "metabólica": (
        Profile(
            3, (27, 16), (2.9, 0.5), {"hepatic": 1.7, "marrow": 1.1, "pain": 1.0, "bleeding": 0.6}, FAMILY
        ),
        Profile(
            2,
            (24, 16),
            (2.8, 0.5),
            {"energy": 2.3, "muscular": 1.0, "neurological": 1.1, "wasting": 0.5},
            FAMILY,
        ),
        Profile(
            1,
            (21, 14),
            (2.4, 0.6),
            {"energy": 1.6, "glycaemic": -1.4, "hepatic": 1.1, "digestive": 1.0},
            FAMILY,
        ),
    ),
    "neuromuscular": (
        Profile(3, (24, 13), (3.0, 0.5), {"muscular": 2.9, "respiratory": 0.7, "cardiac": 0.6}, FAMILY),
        Profile(2, (47, 19), (2.2, 0.6), {"muscular": 1.5, "neurological": 1.4, "respiratory": 0.5}),
        Profile(2, (58, 12), (2.4, 0.4), {"muscular": 2.0, "neurological": 1.3, "wasting": 1.1}),
    ),
    "autoinmune rara": (
        Profile(3, (49, 16), (2.1, 0.5), {"connective": 2.5, "inflammation": 1.7, "renal": 1.4}),
        Profile(3, (46, 13), (2.6, 0.5), {"connective": 2.9, "respiratory": 1.3, "digestive": 1.0}),
        Profile(1, (40, 15), (2.2, 0.5), {"connective": 1.7, "muscular": 1.8, "inflammation": 1.1}),
    ),
    "hematológica rara": (
        Profile(2, (39, 15), (2.2, 0.6), {"marrow": 2.6, "hepatic": 0.9, "energy": 0.5}),
        Profile(2, (25, 16), (2.9, 0.5), {"bleeding": 2.8, "connective": 0.5, "marrow": 0.6}, FAMILY),
        Profile(1, (52, 17), (2.0, 0.5), {"marrow": 2.0, "bleeding": 1.9, "inflammation": 0.8}),
    ),
}
"""Kinds of patient of the four orphan categories; the others are the common patients of `SEVERITY`."""

NO_ORPHAN = "sin enfermedad huérfana"

SHARES: dict[str, dict[str, float]] = {
    "severity": {
        "no enfermo": 0.38,
        "enfermedad leve": 0.30,
        "enfermedad aguda": 0.17,
        "enfermedad crónica": 0.12,
        "enfermedad terminal": 0.03,
    },
    "orphan": {
        NO_ORPHAN: 0.86,
        "metabólica": 0.045,
        "neuromuscular": 0.04,
        "autoinmune rara": 0.03,
        "hematológica rara": 0.025,
    },
}
"""Share of patients of each class at the first encounter."""

COMMON_SHARES = {
    "no enfermo": 0.22,
    "enfermedad leve": 0.28,
    "enfermedad aguda": 0.18,
    "enfermedad crónica": 0.30,
    "enfermedad terminal": 0.02,
}
"""Mix of common patients that stand beside the orphan ones: referral brings more lasting disease."""

NEXT: dict[str, dict[str, float]] = {
    "no enfermo": {"no enfermo": 0.6, "enfermedad leve": 0.3, "enfermedad aguda": 0.1},
    "enfermedad leve": {"no enfermo": 0.4, "enfermedad leve": 0.45, "enfermedad aguda": 0.15},
    "enfermedad aguda": {
        "no enfermo": 0.3,
        "enfermedad leve": 0.2,
        "enfermedad aguda": 0.3,
        "enfermedad crónica": 0.2,
    },
    "enfermedad crónica": {"enfermedad aguda": 0.1, "enfermedad crónica": 0.84, "enfermedad terminal": 0.06},
    "enfermedad terminal": {"enfermedad terminal": 1.0},
}
"""Class at the next encounter of the same patient; orphan diseases last."""

ADJACENT: dict[str, str] = {
    "no enfermo": "enfermedad leve",
    "enfermedad leve": "no enfermo",
    "enfermedad aguda": "enfermedad leve",
    "enfermedad crónica": "enfermedad aguda",
    "enfermedad terminal": "enfermedad crónica",
}
"""Class that a second clinician would name where the two disagree."""

BACKGROUND = {
    "hypertension": (-3.2, 0.045),
    "diabetes": (-4.2, 0.035),
    "copd": (-5.6, 0.045),
    "heart_failure": (-6.6, 0.055),
    "kidney_disease": (-6.0, 0.045),
    "cancer": (-5.6, 0.04),
    "family_history": (-3.2, 0.0),
    "consanguinity": (-4.8, 0.0),
}
"""Antecedents of anyone: log-odds at birth and change per year of age."""

SYMPTOMS: dict[str, tuple[float, dict[str, float]]] = {
    "fever": (-4.3, {"inflammation": 2.5}),
    "cough": (-3.5, {"respiratory": 2.2, "inflammation": 0.5}),
    "dyspnoea": (-4.5, {"respiratory": 1.8, "cardiac": 1.3, "marrow": 0.7, "muscular": 0.4}),
    "chest_pain": (-4.6, {"cardiac": 1.7, "pain": 0.9, "respiratory": 0.4}),
    "abdominal_pain": (-4.1, {"digestive": 2.0, "pain": 0.7, "hepatic": 1.0}),
    "vomiting": (-4.2, {"digestive": 2.1, "neurological": 0.5, "renal": 0.5}),
    "diarrhoea": (-3.8, {"digestive": 2.1}),
    "headache": (-2.9, {"neurological": 1.4, "pain": 0.5}),
    "fatigue": (-2.7, {"wasting": 1.0, "marrow": 1.0, "energy": 1.2, "cardiac": 0.7, "inflammation": 0.5}),
    "weight_loss": (-4.6, {"wasting": 2.5, "glycaemic": 0.8}),
    "night_sweats": (-4.7, {"inflammation": 1.0, "wasting": 1.2}),
    "oedema": (-4.7, {"cardiac": 1.7, "renal": 1.3, "hepatic": 1.0}),
    "dizziness": (-3.3, {"neurological": 1.0, "cardiac": 0.7, "marrow": 0.8}),
    "rash": (-4.0, {"connective": 1.7, "bleeding": 0.7}),
    "joint_pain": (-3.3, {"connective": 1.8, "pain": 0.5, "bleeding": 0.4}),
    "muscle_weakness": (-4.2, {"muscular": 2.5, "energy": 0.7, "neurological": 0.7, "wasting": 0.4}),
    "confusion": (-5.5, {"neurological": 1.8, "hepatic": 0.9, "inflammation": 0.7}),
    "jaundice": (-5.9, {"hepatic": 2.5, "marrow": 0.5}),
    "bruising": (-4.6, {"bleeding": 2.5, "marrow": 0.9, "hepatic": 0.5}),
    "dark_urine": (-5.1, {"hepatic": 1.0, "marrow": 1.0, "muscular": 0.7, "renal": 0.9}),
    "thirst": (-3.9, {"glycaemic": 1.7}),
    "exercise_intolerance": (-3.7, {"energy": 1.6, "muscular": 1.0, "cardiac": 0.8, "respiratory": 0.7}),
}
"""Log-odds without disturbance, and added by each latent."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A number read from the latents: `base + effects + noise`, or `base * exp(effects + noise)` where `log`.

    `low` and `high` bound what the simulated body can show; faults come later.
    """

    base: float
    noise: float
    effects: Mapping[str, float]
    low: float
    high: float
    decimals: int = 0
    log: bool = False


VITALS: dict[str, Measure] = {
    "temperature": Measure(36.6, 0.35, {"inflammation": 0.72}, 34.5, 41.5, 1),
    "heart_rate": Measure(
        74, 9, {"inflammation": 8.5, "cardiac": 6, "pain": 4, "marrow": 5, "wasting": 3}, 38, 190
    ),
    "systolic": Measure(
        121, 13, {"inflammation": -4, "cardiac": 3, "renal": 7, "pain": 4, "wasting": -6}, 65, 230
    ),
    "diastolic": Measure(75, 9, {"inflammation": -3, "renal": 4, "pain": 2, "wasting": -4}, 35, 135),
    "respiratory_rate": Measure(15, 1.8, {"respiratory": 3.2, "inflammation": 1.3, "cardiac": 1.2}, 9, 44),
    "oxygen_saturation": Measure(
        97.6, 1.1, {"respiratory": -2.6, "cardiac": -0.8, "inflammation": -0.4, "muscular": -0.3}, 68, 100
    ),
    "pain": Measure(0.6, 1.0, {"pain": 2.3, "digestive": 0.6, "connective": 0.5}, 0, 10),
}
"""Units: °C, beats/min, mmHg, mmHg, breaths/min, %, 0 to 10."""

BASIC_LABS: dict[str, Measure] = {
    "haemoglobin": Measure(
        14.1, 1.1, {"marrow": -1.9, "renal": -0.5, "wasting": -0.8, "bleeding": -0.6}, 4, 19, 1
    ),
    "leukocytes": Measure(6.8, 0.26, {"inflammation": 0.27, "marrow": -0.15}, 0.6, 60, 1, log=True),
    "platelets": Measure(
        245,
        0.22,
        {"marrow": -0.38, "bleeding": -0.4, "hepatic": -0.16, "inflammation": 0.08},
        6,
        900,
        log=True,
    ),
    "crp": Measure(
        2.2, 0.75, {"inflammation": 1.25, "connective": 0.4, "wasting": 0.5}, 0.1, 480, 1, log=True
    ),
    "glucose": Measure(95, 0.13, {"glycaemic": 0.36, "inflammation": 0.04}, 32, 620, log=True),
    "creatinine": Measure(
        0.84,
        0.17,
        {"renal": 0.47, "cardiac": 0.06, "muscular": -0.08, "wasting": -0.05},
        0.25,
        14,
        2,
        log=True,
    ),
    "sodium": Measure(
        140, 2.2, {"cardiac": -0.8, "hepatic": -1.1, "digestive": -0.7, "wasting": -0.9}, 112, 158
    ),
}
"""Units: g/dL, 10^9/L, 10^9/L, mg/L, mg/dL, mg/dL, mmol/L."""

EXTENDED_LABS: dict[str, Measure] = {
    "potassium": Measure(4.2, 0.33, {"renal": 0.32, "digestive": -0.15}, 2.2, 7.6, 1),
    "alt": Measure(22, 0.4, {"hepatic": 0.62, "muscular": 0.42, "energy": 0.1}, 4, 3000, log=True),
    "albumin": Measure(
        4.3, 0.28, {"wasting": -0.45, "hepatic": -0.38, "renal": -0.12, "inflammation": -0.14}, 1.2, 5.6, 1
    ),
    "creatine_kinase": Measure(105, 0.5, {"muscular": 0.95, "cardiac": 0.18}, 12, 40000, log=True),
    "lactate": Measure(
        1.2, 0.28, {"energy": 0.5, "inflammation": 0.12, "cardiac": 0.1}, 0.3, 18, 1, log=True
    ),
    "ferritin": Measure(
        88, 0.65, {"inflammation": 0.32, "hepatic": 0.45, "bleeding": -0.3, "marrow": 0.25}, 3, 9000, log=True
    ),
    "esr": Measure(11, 0.5, {"inflammation": 0.42, "connective": 0.42, "wasting": 0.3}, 1, 140, log=True),
}
"""Units: mmol/L, U/L, g/dL, U/L, mmol/L, ng/mL, mm/h."""
