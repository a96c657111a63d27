"""What is known of rare diseases, for people to look at."""

from pathlib import Path
from typing import Any

import numpy as np

from galeno.errors import NotFoundError
from galeno.knowledge.annotations import BANDS, Said, count_diseases
from galeno.knowledge.base import Disease, KnowledgeBase
from galeno.knowledge.learned import TermCounts
from galeno.knowledge.merging import normalise_disease, read_merge
from galeno.knowledge.opened import open_knowledge
from galeno.pipeline.rare import open_learned
from galeno.settings import KnowledgeSettings


def describe_base(home: Path, settings: KnowledgeSettings) -> dict[str, Any]:
    """Versions and sha256 of the files, how much is in them, and what the home has learned.

    Raises:
        MissingExtraError: no files are named, and the extra `rare` is not installed.
        KnowledgeError: a file is missing or damaged.
    """
    base = open_knowledge(settings)
    counts = open_learned(home).counts()
    return {
        **base.provenance.to_dict(),
        "terms": len(base.ontology.ids),
        "signs": int(base.ontology.is_phenotype.sum()),
        "annotations": len(base.annotations),
        "entries": count_diseases(base.annotations.disease_ids),
        "diseases": len(base.diseases),
        "learned_diseases": len(counts),
        "learned_patients": sum(each.patients for each in counts.values()),
    }


def describe_disease(entry: str, home: Path, settings: KnowledgeSettings) -> dict[str, Any]:
    """What the annotations and the home's confirmed cases say of one disease.

    Args:
        entry: OMIM, ORPHA, DECIPHER or Mondo id.
        home: its folder.
        settings: which files.

    Raises:
        NotFoundError: there is no such disease.
        MissingExtraError, KnowledgeError: see `describe_base`.
    """
    base = open_knowledge(settings)
    counts = open_learned(home).counts()
    wanted = normalise_disease(entry)
    place = base.find_disease(wanted)
    if place is None and settings.merge is not None:
        place = base.find_disease(read_merge(settings.merge).get(wanted, ("", ""))[0])
    if place is None and wanted not in counts:
        raise NotFoundError(
            "there is no such disease in the knowledge base",
            remedy="Give an id such as OMIM:607208 or ORPHA:33069",
        )
    known = (
        Disease(wanted, counts[wanted].name or wanted, (wanted,)) if place is None else base.diseases[place]
    )
    rows = np.flatnonzero(base.group_of[base.annotations.disease] == (-1 if place is None else place))
    taught = [counts[member] for member in known.members if member in counts]
    signs = [_tell_row(base, int(row)) for row in rows if base.annotations.aspect[row] == ord("P")]
    return {
        "id": known.id,
        "name": known.name,
        "members": list(known.members),
        "mondo": known.mondo,
        "inheritance": _names(base, rows, "I"),
        "onset": _names(base, rows, "C"),
        "learned_patients": sum(each.patients for each in taught),
        "signs": signs + [sign for each in taught for sign in _tell_learned(base, each)],
        "provenance": base.provenance.to_dict(),
    }


def _names(base: KnowledgeBase, rows: Any, aspect: str) -> list[str]:
    """Names of the terms of one aspect, each once."""
    terms = [base.annotations.term[row] for row in rows if base.annotations.aspect[row] == ord(aspect)]
    return list(dict.fromkeys(base.ontology.names[term] for term in terms))


def _tell_row(base: KnowledgeBase, row: int) -> dict[str, Any]:
    rows = base.annotations
    term = rows.term[row]
    return {
        "id": base.ontology.ids[term],
        "name": base.ontology.names[term],
        "frequency": _frequency(base, row),
        "denied": bool(rows.negated[row] or rows.share[row] == 0),
        "reference": base.annotations.references[rows.reference[row]],
    }


def _frequency(base: KnowledgeBase, row: int) -> str:
    """As it was annotated."""
    rows = base.annotations
    share, patients = float(rows.share[row]), int(rows.patients[row])
    match Said(rows.said[row]):
        case Said.COUNT:
            return f"{round(share * patients)}/{patients}"
        case Said.PERCENT:
            return f"{100 * share:.3g}%"
        case Said.BAND:
            band = min(BANDS, key=lambda each: abs(sum(BANDS[each]) / 2 - share))
            found = base.ontology.find(band)
            return band if found is None else base.ontology.names[found.term]
        case _:
            return ""


def _tell_learned(base: KnowledgeBase, counts: TermCounts) -> list[dict[str, Any]]:
    """What cases taught; signs that another, more special one implies in all of its patients are left out."""
    told = []
    for term, seen in counts.seen.items():
        found = base.ontology.find(term)
        if found is None or _implied(base, counts, found.term, seen):
            continue
        told.append(
            {
                "id": base.ontology.ids[found.term],
                "name": base.ontology.names[found.term],
                "frequency": f"{seen}/{counts.patients}",
                "denied": False,
                "reference": "learned",
            }
        )
    return told


def _implied(base: KnowledgeBase, counts: TermCounts, term: int, seen: int) -> bool:
    for other, patients in counts.seen.items():
        found = base.ontology.find(other)
        if (
            found
            and found.term != term
            and patients == seen
            and term in base.ontology.ancestors.row(found.term)
        ):
            return True
    return False
