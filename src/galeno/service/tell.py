"""The desk's answers as the JSON of the REST API."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from galeno.model.relevance import Relevance
from galeno.records import Explanation, RankedCondition
from galeno.service.answers import Answer, StoredDiagnosis
from galeno.service.media_intake import HeldFile


def tell_answer(answer: Answer) -> dict[str, Any]:
    """A diagnosis that was just made, as `DiagnosisOut`."""
    diagnosis = answer.diagnosis
    return {
        "id": answer.id,
        "study": answer.study,
        "created": answer.created,
        "patient": answer.patient,
        "model": _model(answer.study, diagnosis.version or "", diagnosis.package_sha256),
        "condition": diagnosis.condition,
        "confidence": diagnosis.ranking[0].probability,
        "ranking": _ranking(diagnosis.ranking),
        "not_ruled_out": diagnosis.not_ruled_out,
        "needs_review": diagnosis.needs_review,
        "review_reasons": diagnosis.reasons,
        "explanation": tell_explanations(answer.explanations) if answer.explanations else None,
    }


def tell_stored(stored: StoredDiagnosis) -> dict[str, Any]:
    """A diagnosis of the journal, as `StoredDiagnosisOut`."""
    return {
        "id": stored.id,
        "study": stored.study,
        "created": stored.created,
        "patient": stored.patient,
        "model": _model(stored.study, stored.version, stored.package_sha256),
        "condition": stored.condition,
        "confidence": stored.confidence,
        "ranking": _ranking(stored.ranking),
        "not_ruled_out": stored.not_ruled_out,
        "needs_review": stored.needs_review,
        "review_reasons": stored.reasons,
        "explanation": None,
        "site": stored.site,
        "actor": stored.actor,
        "face": stored.face,
        "reviewed": stored.reviewed,
        "patient_id": stored.patient_id,
        "record": None if stored.record is None else _record(stored.id, stored.record),
        "feedback": [asdict(each) for each in stored.feedback],
        "outcomes": [asdict(each) for each in stored.outcomes],
    }


def tell_explanations(explanations: Sequence[Explanation]) -> list[dict[str, Any]]:
    """Explanations, as a list of `ExplanationOut`."""
    return [explanation.to_dict() for explanation in explanations]


def tell_relevance(diagnosis_id: str, relevance: Relevance, held: HeldFile) -> dict[str, Any]:
    """Where a file speaks for a condition, as `RelevanceOut`."""
    return {
        "id": diagnosis_id,
        "column": relevance.column,
        "condition": relevance.condition,
        "kind": held.kind,
        "probability": float(relevance.probability),
        "values": relevance.values.tolist(),
        "row_edges": [float(edge) for edge in relevance.row_edges],
        "column_edges": [float(edge) for edge in relevance.column_edges],
    }


def _record(diagnosis_id: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """An input with addresses in the place of its files."""
    return {
        name: _file(f"/v1/diagnoses/{diagnosis_id}/files/{quote(name, safe='')}", value)
        if isinstance(value, HeldFile)
        else value
        for name, value in record.items()
    }


def _file(address: str, held: HeldFile) -> dict[str, Any]:
    return {
        "media_type": held.media_type,
        "bytes": held.bytes,
        "sha256": held.sha256,
        "href": address,
    }


def _model(study: str, version: str, package_sha256: str) -> dict[str, str]:
    card = f"/v1/models/{study}/{version}/card"
    return {"version": version, "package_sha256": package_sha256, "card": card}


def _ranking(ranking: Sequence[RankedCondition]) -> list[dict[str, Any]]:
    return [{"condition": each.condition, "probability": each.probability} for each in ranking]
