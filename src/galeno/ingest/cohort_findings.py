"""What simulated patients with a lung or heart complaint tell, as a note and as HPO terms.

How often a finding goes with a condition was chosen by hand: what sets heart failure from pneumonia is told
well, what sets asthma from COPD hardly. Notes are in Spanish or English, deny some of what is absent, and
never hold the name of a condition.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from galeno.ingest.cohort_note import Language

CONDITIONS = ("asthma", "copd", "heart_failure", "pneumonia")
"""Conditions of `cohort:everything`, in the order of the chances below."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a patient has or has not.

    Attributes:
        chances: for each of `CONDITIONS`, the chance that a patient has it.
        term: id in the HPO.
        es: how notes in Spanish say it; the first also after a negation.
        en: the same in English.
    """

    chances: tuple[float, float, float, float]
    term: str
    es: tuple[str, ...]
    en: tuple[str, ...]


FINDINGS: Mapping[str, Finding] = {
    "cough": Finding((0.65, 0.75, 0.4, 0.8), "HP:0012735", ("tos",), ("cough",)),
    "sputum": Finding(
        (0.15, 0.4, 0.1, 0.5),
        "HP:0031245",
        ("expectoración purulenta", "esputo verdoso"),
        ("productive cough", "green sputum"),
    ),
    "dyspnoea": Finding(
        (0.75, 0.8, 0.85, 0.6), "HP:0002094", ("disnea", "falta de aire"), ("SOB", "dyspnoea")
    ),
    "fever": Finding(
        (0.07, 0.12, 0.07, 0.55), "HP:0001945", ("fiebre", "sensación febril"), ("fever", "feeling hot")
    ),
    "chills": Finding(
        (0.04, 0.06, 0.04, 0.4), "HP:0025143", ("escalofríos", "tiritona"), ("chills", "rigors")
    ),
    "orthopnoea": Finding(
        (0.12, 0.2, 0.55, 0.1),
        "HP:0012764",
        ("ortopnea", "duerme con tres almohadas"),
        ("orthopnoea", "sleeps on three pillows"),
    ),
    "night_attacks": Finding(
        (0.2, 0.12, 0.35, 0.05),
        "HP:0012763",
        ("ahogo de noche", "se despierta con ahogo"),
        ("attacks of SOB at night", "wakes up breathless"),
    ),
    "oedema": Finding(
        (0.05, 0.15, 0.5, 0.06),
        "HP:0012398",
        ("edemas en MMII", "tobillos hinchados"),
        ("ankle swelling", "leg oedema"),
    ),
    "weight_gain": Finding(
        (0.05, 0.05, 0.3, 0.03),
        "HP:0004324",
        ("ganancia de peso", "ha engordado"),
        ("weight gain", "put on weight"),
    ),
    "pleuritic_pain": Finding(
        (0.07, 0.08, 0.1, 0.35),
        "HP:0033771",
        ("dolor de costado", "dolor al respirar hondo"),
        ("pain on deep breathing", "stabbing chest pain"),
    ),
    "palpitations": Finding((0.12, 0.1, 0.3, 0.1), "HP:0001962", ("palpitaciones",), ("palpitations",)),
    "rhinitis": Finding(
        (0.3, 0.12, 0.07, 0.1),
        "HP:0003193",
        ("rinitis", "estornudos en primavera"),
        ("hay fever", "sneezing"),
    ),
    "poor_appetite": Finding(
        (0.06, 0.15, 0.2, 0.4), "HP:0004396", ("inapetencia", "come poco"), ("poor appetite", "off food")
    ),
    "fatigue": Finding(
        (0.3, 0.45, 0.6, 0.5), "HP:0012378", ("cansancio", "astenia"), ("fatigue", "tiredness")
    ),
    "nocturia": Finding(
        (0.08, 0.15, 0.3, 0.08),
        "HP:0000017",
        ("nicturia", "orina de noche"),
        ("nocturia", "up at night to pass urine"),
    ),
}

_OPENERS: Mapping[Language, tuple[str, ...]] = {
    "es": (
        "{sex} de {age} años.",
        "Pac. de {age}a, {sex}.",
        "{age}a, {sex}, viene con un familiar.",
    ),
    "en": ("{age}yo {sex}.", "Pt is a {age} y/o {sex}.", "{sex}, {age}, self-referred."),
}
_SEX: Mapping[Language, Mapping[str, str]] = {
    "es": {"F": "Mujer", "M": "Varón"},
    "en": {"F": "Female", "M": "Male"},
}
_PRESENT: Mapping[Language, tuple[str, ...]] = {
    "es": ("Refiere {}.", "Consulta por {}.", "Presenta {}."),
    "en": ("C/o {}.", "Presents with {}.", "Reports {}."),
}
_ABSENT: Mapping[Language, tuple[str, ...]] = {
    "es": ("Niega {}.", "No refiere {}.", "Sin {}."),
    "en": ("Denies {}.", "No {}.", "Without {}."),
}
_SINCE: Mapping[Language, tuple[str, ...]] = {
    "es": ("Desde hace {} días.", "{} días de evolución."),
    "en": ("For {} days.", "Started {} days ago."),
}
_CLOSERS: Mapping[Language, tuple[str, ...]] = {
    "es": ("REG.", "Consciente y orientado.", "Aspecto cansado.", "Se solicita analítica.", ""),
    "en": ("Looks tired.", "Alert.", "Somewhat unwell.", "Bloods sent.", ""),
}
_OR: Mapping[Language, str] = {"es": " ni ", "en": " or "}

_TOLD, _DENIED = 0.75, 0.12
"""Chance that a note tells what is there, and denies what is not."""
_CODED, _CODED_ABSENT, _STRAY = 0.65, 0.08, 0.04
"""Chance that a term is coded for what is there, as absent for what is not, and by mistake."""

_Bools = NDArray[np.bool_]


def draw_findings(conditions: NDArray[np.int64], rng: np.random.Generator) -> _Bools:
    """Who has what.

    Args:
        conditions: places in `CONDITIONS`, shape (patients,).
        rng: source of chance.

    Returns:
        shape (patients, findings), in the order of `FINDINGS`.
    """
    chances = np.array([one.chances for one in FINDINGS.values()]).T[conditions]
    return np.asarray(rng.random(chances.shape) < chances, dtype=np.bool_)


def tell_findings(
    findings: _Bools, ages: Sequence[int], sexes: Sequence[str], rng: np.random.Generator
) -> list[str]:
    """A note for each patient; three in four are in Spanish.

    Args:
        findings: shape (patients, findings).
        ages: years.
        sexes: F or M.
        rng: source of chance.
    """
    told = findings & (rng.random(findings.shape) < _TOLD)
    denied = ~findings & (rng.random(findings.shape) < _DENIED)
    notes = []
    for row in range(len(findings)):
        language: Language = "es" if rng.random() < 0.75 else "en"
        opener = _pick(_OPENERS[language], rng).format(age=ages[row], sex=_SEX[language][sexes[row]])
        sentences = [opener]
        if words := _words(told[row], language, rng):
            sentences.append(_pick(_PRESENT[language], rng).format(", ".join(words)))
        if rng.random() < 0.6:
            sentences.append(_pick(_SINCE[language], rng).format(2 + rng.poisson(5)))
        if words := _words(denied[row], language):
            sentences.append(_pick(_ABSENT[language], rng).format(_OR[language].join(words)))
        sentences.append(_pick(_CLOSERS[language], rng))
        notes.append(" ".join(sentences).strip())
    return notes


def code_findings(findings: _Bools, rng: np.random.Generator) -> list[str | None]:
    """HPO terms of each patient in one cell, `-` before one that is absent; None where none was coded.

    Args:
        findings: shape (patients, findings).
        rng: source of chance.
    """
    terms = [one.term for one in FINDINGS.values()]
    dice = rng.random(findings.shape)
    present = (findings & (dice < _CODED)) | (~findings & (dice > 1 - _STRAY))
    absent = ~findings & (dice < _CODED_ABSENT)
    cells: list[str | None] = []
    for here, away in zip(present.tolist(), absent.tolist(), strict=True):
        coded = [
            ("-" if gone else "") + term
            for term, there, gone in zip(terms, here, away, strict=True)
            if there or gone
        ]
        cells.append("; ".join(coded) or None)
    return cells


def _words(mask: _Bools, language: Language, rng: np.random.Generator | None = None) -> list[str]:
    """The first wording of each finding, which can be denied, or any where chance is given."""
    wordings = [getattr(one, language) for one, there in zip(FINDINGS.values(), mask, strict=True) if there]
    return [_pick(choices, rng) if rng else choices[0] for choices in wordings]


def _pick(choices: Sequence[str], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]
