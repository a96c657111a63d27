"""Short clinical notes for the simulated cohort, in Spanish or English.

A note tells a part of what the form holds: some symptoms that are present, some that are denied, some
antecedents, how long, how the patient looks. It is written at triage, before anyone has an answer, so
it never holds the name of a class.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Language = Literal["es", "en"]

_SYMPTOMS: dict[str, dict[Language, tuple[str, ...]]] = {
    "fever": {
        "es": ("fiebre", "sensación febril", "febrícula y escalofríos"),
        "en": ("fever", "chills", "feeling hot"),
    },
    "cough": {"es": ("tos", "tos con expectoración"), "en": ("cough", "productive cough")},
    "dyspnoea": {
        "es": ("disnea", "falta de aire", "ahogo"),
        "en": ("SOB", "shortness of breath", "dyspnoea"),
    },
    "chest_pain": {
        "es": ("dolor torácico", "opresión en el pecho"),
        "en": ("chest pain", "CP", "chest tightness"),
    },
    "abdominal_pain": {
        "es": ("dolor abdominal", "molestias de tripa"),
        "en": ("abdominal pain", "abdo pain", "belly pain"),
    },
    "vomiting": {"es": ("vómitos", "náuseas y vómitos"), "en": ("vomiting", "N/V")},
    "diarrhoea": {"es": ("diarrea", "deposiciones líquidas"), "en": ("diarrhoea", "loose stools")},
    "headache": {"es": ("cefalea", "dolor de cabeza"), "en": ("headache", "HA")},
    "fatigue": {"es": ("astenia", "cansancio"), "en": ("fatigue", "tiredness", "feeling weak and tired")},
    "weight_loss": {"es": ("pérdida de peso", "adelgazamiento"), "en": ("weight loss", "lost weight")},
    "night_sweats": {"es": ("sudoración nocturna",), "en": ("night sweats",)},
    "oedema": {"es": ("edemas en MMII", "hinchazón de piernas"), "en": ("leg swelling", "ankle oedema")},
    "dizziness": {"es": ("mareo", "inestabilidad"), "en": ("dizziness", "light-headedness")},
    "rash": {"es": ("erupción cutánea", "lesiones en la piel"), "en": ("rash", "skin lesions")},
    "joint_pain": {"es": ("artralgias", "dolor articular"), "en": ("joint pain", "arthralgia")},
    "muscle_weakness": {
        "es": ("pérdida de fuerza", "debilidad en miembros"),
        "en": ("limb weakness", "loss of strength"),
    },
    "confusion": {"es": ("desorientación", "cuadro confusional"), "en": ("confusion", "disorientation")},
    "jaundice": {"es": ("ictericia", "color amarillento"), "en": ("jaundice", "yellow eyes")},
    "bruising": {"es": ("hematomas fáciles", "sangrado de encías"), "en": ("easy bruising", "gum bleeding")},
    "dark_urine": {"es": ("orina oscura", "coluria"), "en": ("dark urine",)},
    "thirst": {"es": ("polidipsia", "mucha sed"), "en": ("thirst", "polydipsia")},
    "exercise_intolerance": {
        "es": ("mala tolerancia al esfuerzo", "agotamiento al caminar"),
        "en": ("poor exercise tolerance", "tiring on walking"),
    },
}

_HISTORY: dict[str, dict[Language, tuple[str, ...]]] = {
    "hypertension": {"es": ("HTA", "hipertensión"), "en": ("HTN", "high blood pressure")},
    "diabetes": {"es": ("DM2", "diabetes"), "en": ("T2DM", "diabetes")},
    "copd": {"es": ("EPOC",), "en": ("COPD",)},
    "heart_failure": {"es": ("ICC", "insuficiencia cardiaca"), "en": ("CHF", "heart failure")},
    "kidney_disease": {"es": ("ERC", "insuficiencia renal"), "en": ("CKD", "renal impairment")},
    "cancer": {
        "es": ("neoplasia previa", "antecedente oncológico"),
        "en": ("previous ca", "oncology patient"),
    },
    "family_history": {
        "es": ("hermano con cuadro similar", "AF de interés"),
        "en": ("sibling with similar picture", "relevant FHx"),
    },
    "consanguinity": {"es": ("padres primos",), "en": ("parents are cousins",)},
}

_SIGNS: dict[str, dict[Language, tuple[str, ...]]] = {
    "inflammation": {
        "es": ("piel caliente y sudorosa", "faringe eritematosa"),
        "en": ("flushed and sweaty", "red throat"),
    },
    "respiratory": {
        "es": ("crepitantes en bases", "sibilancias espiratorias"),
        "en": ("basal crackles", "wheeze"),
    },
    "cardiac": {"es": ("soplo sistólico", "IY +"), "en": ("systolic murmur", "raised JVP")},
    "renal": {"es": ("PPR +", "palidez terrosa"), "en": ("renal angle tender", "sallow skin")},
    "wasting": {"es": ("caquexia", "atrofia de temporales"), "en": ("cachectic", "temporal wasting")},
    "digestive": {"es": ("defensa abdominal", "RHA aumentados"), "en": ("guarding", "brisk bowel sounds")},
    "neurological": {
        "es": ("ROT asimétricos", "lenguaje lento"),
        "en": ("asymmetric reflexes", "slow speech"),
    },
    "muscular": {
        "es": ("ptosis", "signo de Gowers", "fasciculaciones"),
        "en": ("ptosis", "Gowers sign", "fasciculations"),
    },
    "marrow": {"es": ("palidez mucosa",), "en": ("pale conjunctivae",)},
    "bleeding": {"es": ("petequias", "equimosis extensas"), "en": ("petechiae", "large ecchymoses")},
    "hepatic": {"es": ("hepatomegalia", "bazo palpable"), "en": ("hepatomegaly", "palpable spleen")},
    "connective": {
        "es": ("esclerodactilia", "sinovitis de manos", "livedo"),
        "en": ("sclerodactyly", "hand synovitis", "livedo"),
    },
    "energy": {"es": ("talla baja", "oftalmoparesia"), "en": ("short stature", "ophthalmoparesis")},
}

_OPENERS: dict[Language, tuple[str, ...]] = {
    "es": (
        "Pac. de {age}a, {sex}.",
        "{Sex} de {age} años.",
        "Paciente {sex}, {age} años, viene por su pie.",
        "{age}a, {sex}.",
    ),
    "en": ("{age}yo {sex}.", "{Sex}, {age} years old.", "Pt is a {age} y/o {sex}.", "{age}y, self-referred."),
}
_SEX: dict[Language, dict[str, str]] = {
    "es": {"F": "mujer", "M": "varón"},
    "en": {"F": "female", "M": "male"},
}
_PRESENT: dict[Language, tuple[str, ...]] = {
    "es": ("Refiere {}.", "Consulta por {}.", "Presenta {}.", "Acude por {}."),
    "en": ("C/o {}.", "Presents with {}.", "Reports {}.", "Here for {}."),
}
_ABSENT: dict[Language, tuple[str, ...]] = {
    "es": ("Niega {}.", "No refiere {}.", "Sin {}.", "No {}."),
    "en": ("Denies {}.", "No {}.", "Without {}.", "Not complaining of {}."),
}
_NOTHING: dict[Language, tuple[str, ...]] = {
    "es": (
        "Sin quejas hoy.",
        "Acude a revisión.",
        "Solicita certificado.",
        "Asintomático en el momento actual.",
    ),
    "en": ("No complaints today.", "Routine check.", "Needs a certificate.", "Feels well at present."),
}
_SINCE: dict[Language, tuple[str, ...]] = {
    "es": ("Desde hace {}.", "De {} de evolución.", "{} con ello."),
    "en": ("For {}.", "Ongoing {}.", "Started {} ago."),
}
_UNITS: dict[Language, tuple[tuple[float, str], ...]] = {
    "es": ((365, "años"), (30, "meses"), (7, "semanas"), (1, "días"), (1 / 24, "horas")),
    "en": ((365, "years"), (30, "months"), (7, "weeks"), (1, "days"), (1 / 24, "hours")),
}
_PAST: dict[Language, tuple[str, ...]] = {
    "es": ("AP: {}.", "Antecedentes: {}."),
    "en": ("PMH: {}.", "Known {}."),
}
_NO_PAST: dict[Language, tuple[str, ...]] = {
    "es": ("Sin AP de interés.", "NAMC."),
    "en": ("No PMH of note.", "NKDA."),
}
_LOOKS: dict[Language, tuple[str, ...]] = {
    "es": ("BEG.", "Buen aspecto.", "REG.", "Aspecto cansado.", "MEG.", "Impresiona de gravedad."),
    "en": (
        "Looks well.",
        "Comfortable.",
        "Looks tired.",
        "Somewhat unwell.",
        "Looks poorly.",
        "Frail, in distress.",
    ),
}
_EXAM: dict[Language, str] = {"es": "EF: {}.", "en": "O/E {}."}
_PLAIN: dict[Language, tuple[str, ...]] = {
    "es": ("EF anodina.", "ACP normal."),
    "en": ("O/E NAD.", "Exam unremarkable."),
}
_JOIN: dict[Language, str] = {"es": " y ", "en": " and "}
_NO_ACCENTS = str.maketrans("áéíóúÁÉÍÓÚñ", "aeiouAEIOUn")


def write_notes(
    form: Mapping[str, NDArray[Any]],
    latents: Mapping[str, NDArray[np.float64]],
    languages: Sequence[Language],
    rng: np.random.Generator,
) -> list[str]:
    """One note a row.

    Args:
        form: true values, before faults: age (years), sex (F or M), duration_days, illness (0 to about 4,
            how ill the patient looks), symptoms and antecedents as booleans.
        latents: disturbances, for the signs that an examination finds.
        languages: of each row.
        rng: where every choice comes from.
    """
    rows = len(languages)
    symptoms, history, signs = tuple(_SYMPTOMS), tuple(_HISTORY), tuple(_SIGNS)
    present = np.column_stack([form[name] for name in symptoms])
    told = present & (rng.random(present.shape) < 0.8)
    denied = ~present & (rng.random(present.shape) < 0.07)
    past = np.column_stack([form[name] for name in history]) & (rng.random((rows, len(history))) < 0.65)
    strength = np.column_stack([latents[name] for name in signs])
    found = rng.random(strength.shape) < 0.7 / (1 + np.exp(-2.2 * (strength - 1.5)))
    looks = np.clip(np.rint(form["illness"] + rng.normal(0, 0.6, rows)), 0, 5).astype(int)
    dice = rng.random((rows, 24))
    notes = []
    for row, language in enumerate(languages):
        die = iter(dice[row].tolist())
        sex = _SEX[language][form["sex"][row]]
        sentences = [
            _pick(_OPENERS[language], die).format(age=int(form["age"][row]), sex=sex, Sex=sex.capitalize()),
            *_complaint(told[row], denied[row], form["duration_days"][row], language, die),
            *_background(past[row], language, die),
            *_examination(found[row], int(looks[row]), language, die),
        ]
        notes.append(_hand(" ".join(sentences), next(die)))
    return notes


def _complaint(
    told: NDArray[np.bool_], denied: NDArray[np.bool_], days: float, language: Language, die: Any
) -> list[str]:
    words = _words(_SYMPTOMS, told, language, die)
    if words:
        sentences = [_pick(_PRESENT[language], die).format(_listed(words, language))]
        if next(die) < 0.6:
            sentences.append(_pick(_SINCE[language], die).format(_span(days, language)))
    else:
        sentences = [_pick(_NOTHING[language], die)]
    missing = _words(_SYMPTOMS, denied, language, die)
    if missing:
        ending = {"es": " ni ", "en": " or "}[language]
        sentences.append(_pick(_ABSENT[language], die).format(ending.join(missing)))
    return sentences


def _background(past: NDArray[np.bool_], language: Language, die: Any) -> list[str]:
    words = _words(_HISTORY, past, language, die)
    if words:
        return [_pick(_PAST[language], die).format(", ".join(words))]
    return [_pick(_NO_PAST[language], die)] if next(die) < 0.4 else []


def _examination(found: NDArray[np.bool_], looks: int, language: Language, die: Any) -> list[str]:
    sentences = [_LOOKS[language][looks]] if next(die) < 0.85 else []
    words = _words(_SIGNS, found, language, die)
    if words:
        sentences.append(_EXAM[language].format(", ".join(words)))
    elif next(die) < 0.4:
        sentences.append(_pick(_PLAIN[language], die))
    return sentences


def _words(
    table: Mapping[str, Mapping[Language, tuple[str, ...]]],
    mask: NDArray[np.bool_],
    language: Language,
    die: Any,
) -> list[str]:
    choice = next(die)
    names = tuple(table)
    return [
        table[names[n]][language][int(choice * 97 + n) % len(table[names[n]][language])]
        for n in np.flatnonzero(mask)
    ]


def _listed(words: Sequence[str], language: Language) -> str:
    return _JOIN[language].join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def _span(days: float, language: Language) -> str:
    for size, unit in _UNITS[language]:
        if days >= 2 * size:
            return f"{round(days / size)} {unit}"
    return f"2 {_UNITS[language][-1][1]}"


def _pick(choices: Sequence[str], die: Any) -> str:
    return choices[int(next(die) * len(choices))]


def _hand(text: str, die: float) -> str:
    """How it was typed: one in four without accents, one in twenty in capitals."""
    if die < 0.05:
        return text.upper()
    return text.translate(_NO_ACCENTS) if die < 0.3 else text
