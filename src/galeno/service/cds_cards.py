"""A diagnosis as a card that a hospital's system shows beside the chart."""

import uuid
from typing import Final

from galeno.records import Diagnosis
from galeno.service.answers import Answer
from galeno.service.cds_wire import (
    LONGEST_SUMMARY,
    Card,
    Link,
    ReasonGiven,
    Source,
    Suggestion,
)
from galeno.study import Study

SHOWN: Final = 5
"""Conditions of a ranking that are shown."""
OTHER: Final = "other"
REASONS: Final = {
    "not-consistent": ("No concuerda con la exploración", "Not consistent with the examination"),
    "other-diagnosis": ("Otro diagnóstico es más probable", "Another diagnosis is more likely"),
    "already-known": ("Ya conocido o en tratamiento", "Already known or being treated"),
    "wrong-data": ("Los datos son erróneos o incompletos", "The data are wrong or incomplete"),
    "not-relevant": ("No es relevante en esta visita", "Not relevant to this visit"),
    OTHER: ("Otro motivo", "Another reason"),
}
"""Code of a reason to override, in Spanish and English."""
REASON_SYSTEM: Final = "urn:uuid:7d0c1c9e-6f57-4b3a-9d0e-2a4c3b1f5e60"
"""Code system of those codes."""

_DIAGNOSIS: Final = "dx_"
_WORDS: Final = {
    "consider": ("Valorar {name} ({share})", "Consider {name} ({share})"),
    "review": ("Revisar: {name} ({share})", "Needs review: {name} ({share})"),
    "head": ("| Diagnóstico | Probabilidad |", "| Diagnosis | Probability |"),
    "others": ("y {n} más", "and {n} more"),
    "kept": ("No descartado: {names}", "Not ruled out: {names}"),
    "why": ("Revisar porque: {reasons}", "Needs review because: {reasons}"),
    "model": (
        "Calculado por el modelo {model}; es una ayuda, decide quien atiende al paciente.",
        "Computed by the model {model}; it is an aid, the clinician decides.",
    ),
    "simulated": (
        "**El modelo aprendió de registros simulados: no usar con pacientes.**",
        "**The model learned from simulated records: not for use with patients.**",
    ),
    "agree": ("De acuerdo con el primer diagnóstico", "Agree with the first diagnosis"),
    "open": ("Abrir el resultado completo", "Open full result"),
    "low_confidence": ("probabilidad baja", "low probability"),
    "several_not_ruled_out": ("varios diagnósticos no descartados", "several diagnoses not ruled out"),
    "none_not_ruled_out": ("ningún diagnóstico encaja bien", "no diagnosis fits well"),
    "out_of_range": ("fuera de lo conocido: {what}", "outside what the model knows: {what}"),
    "bad_value": ("valor dudoso: {what}", "doubtful value: {what}"),
    "missing": ("falta: {what}", "missing: {what}"),
}
"""In Spanish and English."""
_MARKDOWN: Final = str.maketrans({c: f"\\{c}" for c in "\\`*_{}[]<>|#~"} | {"\n": " ", "\r": " "})


def make_card(study: Study, answer: Answer, public_url: str) -> Card:
    """The card of a diagnosis, in the study's language.

    Args:
        study: the study as the model that answered knows it.
        answer: from the desk.
        public_url: address that clients see; empty makes no links.
    """
    diagnosis = answer.diagnosis
    card = card_id(answer.id)
    version = diagnosis.version or ""
    model = f"{study.name} {version}".strip()
    page = f"{public_url}/v1/models/{study.name}/{version}/card" if public_url and version else None
    link = Link(label=_say(study, "open"), url=f"{public_url}/v1/diagnoses/{answer.id}")
    return Card(
        uuid=card,
        summary=_summary(study, diagnosis),
        indicator="warning" if diagnosis.needs_review else "info",
        detail=_detail(study, diagnosis, model),
        source=Source(label=model, url=page),
        suggestions=[Suggestion(label=_say(study, "agree"), uuid=_agreement(card))],
        selectionBehavior="at-most-one",
        overrideReasons=[
            ReasonGiven(code=code, system=REASON_SYSTEM, display=display[_column(study)])
            for code, display in REASONS.items()
        ],
        links=[link] if public_url else None,
    )


def card_id(diagnosis_id: str) -> str:
    """The uuid of a diagnosis' card: the same digits, so that it can be told back without a store."""
    return str(uuid.UUID(hex=diagnosis_id.removeprefix(_DIAGNOSIS)))


def diagnosis_id(card: str) -> str:
    """The diagnosis of a card.

    Args:
        card: a UUID as text.
    """
    return _DIAGNOSIS + uuid.UUID(card).hex


def _agreement(card: str) -> str:
    return str(uuid.uuid5(uuid.UUID(card), "agree"))


def _column(study: Study) -> int:
    return 0 if study.language == "es" else 1


def _say(study: Study, word: str, **values: object) -> str:
    return _WORDS[word][_column(study)].format(**values)


def _label(study: Study, name: str) -> str:
    """A condition as clinicians call it."""
    found = next((each.label for each in study.classes if each.name == name), None)
    own = "" if found is None else (found.es if study.language == "es" else found.en)
    coded = study.fhir.classes.get(name)
    return own or (coded.display if coded else "") or name


def _share(probability: float) -> str:
    """Whole percent; never a certainty that rounding made."""
    if probability >= 0.995:
        return "> 99 %"
    return "< 1 %" if probability < 0.005 else f"{100 * probability:.0f} %"


def _summary(study: Study, diagnosis: Diagnosis) -> str:
    word = "review" if diagnosis.needs_review else "consider"
    first = diagnosis.ranking[0]
    name = " ".join(_label(study, first.condition).split())
    whole = _say(study, word, name=name, share=_share(first.probability))
    over = len(whole) - LONGEST_SUMMARY
    if over > 0:
        whole = _say(study, word, name=f"{name[: -over - 1]}…", share=_share(first.probability))
    return whole


def _detail(study: Study, diagnosis: Diagnosis, model: str) -> str:
    """The ranking as a table of GitHub Flavored Markdown, and what to know of it."""
    rows = [_say(study, "head"), "|---|---:|"]
    for ranked in diagnosis.ranking[:SHOWN]:
        name = _label(study, ranked.condition).translate(_MARKDOWN)
        rows.append(f"| {name} | {_share(ranked.probability).translate(_MARKDOWN)} |")
    kept = [_label(study, name).translate(_MARKDOWN) for name in diagnosis.not_ruled_out]
    more = [_say(study, "others", n=len(kept) - SHOWN)] if len(kept) > SHOWN else []
    parts = ["\n".join(rows), _say(study, "kept", names=", ".join(kept[:SHOWN] + more))]
    if diagnosis.needs_review:
        reasons = "; ".join(_reason(study, reason) for reason in diagnosis.reasons)
        parts.append(_say(study, "why", reasons=reasons))
    if study.simulated:
        parts.append(_say(study, "simulated"))
    parts.append(_say(study, "model", model=model.translate(_MARKDOWN)))
    return "\n\n".join(parts)


def _reason(study: Study, reason: str) -> str:
    code, _, what = reason.partition(":")
    column = study.columns.get(what)
    label = "" if column is None else (column.label.es if study.language == "es" else column.label.en)
    if code not in _WORDS:
        return reason.translate(_MARKDOWN)
    return _say(study, code, what=(label or what).translate(_MARKDOWN))
