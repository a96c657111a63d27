"""Signs of confirmed cases, counted by disease: no patient, but how many of them had what."""

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from galeno.errors import LearningError
from galeno.knowledge.base import Disease, KnowledgeBase
from galeno.knowledge.cases import Case
from galeno.knowledge.ontology import Ontology


@dataclass(frozen=True, slots=True)
class TermCounts:
    """What the patients of one disease had.

    Attributes:
        patients: how many there were.
        seen: patients with a sign, by HPO id; a patient has all that his signs are a kind of, too.
        ruled_out: patients in whom a sign was looked for and absent, by HPO id, as it was written.
        papers: fingerprints of the papers that they come from.
        name: of the disease; empty where nobody gave one.
    """

    patients: int
    seen: Mapping[str, int]
    ruled_out: Mapping[str, int]
    papers: tuple[str, ...] = ()
    name: str = ""

    def __add__(self, other: "TermCounts") -> "TermCounts":
        return TermCounts(
            self.patients + other.patients,
            _add(self.seen, other.seen),
            _add(self.ruled_out, other.ruled_out),
            tuple(sorted({*self.papers, *other.papers})),
            self.name or other.name,
        )


@dataclass(frozen=True, slots=True)
class LearnedRows:
    """Learned counts, a row for each disease and sign.

    What a sign is a kind of has a row of its own only where more patients had it than any one kind of it:
    two patients with two kinds of seizure give 1 of 2, 1 of 2, and seizures in 2 of 2.

    Attributes:
        disease: index into the base's diseases; those from `len(base.diseases)` on are `new`, shape (rows,).
        term: index into the ontology's terms, shape (rows,).
        seen: patients with the sign or a kind of it, shape (rows,).
        of: all learned patients of the disease, shape (rows,).
        new: diseases that the base lacks.
        taught: index of each disease with learned patients, ascending, shape (diseases,).
        patients: how many taught each of them, shape (diseases,).
    """

    disease: NDArray[np.int32]
    term: NDArray[np.int32]
    seen: NDArray[np.int32]
    of: NDArray[np.int32]
    new: tuple[Disease, ...]
    taught: NDArray[np.int32]
    patients: NDArray[np.int32]


def fingerprint_paper(paper: str) -> str:
    """The first 16 digits of the sha256 of a paper's id, by which it is known again and not read."""
    return hashlib.sha256(paper.strip().encode()).hexdigest()[:16]


def count_cases(
    cases: Sequence[Case], base: KnowledgeBase, names: Mapping[str, str] | None = None
) -> tuple[dict[str, TermCounts], int]:
    """Count the signs of confirmed cases, by disease.

    A sign counts for all that it is a kind of as well, once a patient: two patients with two kinds of seizure
    are 2 of 2 with seizures, which cannot be told from the counts of either kind.

    Args:
        cases: patients with their confirmed diseases.
        base: gives ontology and diseases.
        names: of diseases, by id.

    Returns:
        counts by the disease's id as the cases gave it, and how many cases had no usable sign.

    Raises:
        LearningError: a case has no confirmed disease, or several.
    """
    counts: dict[str, TermCounts] = {}
    left_out = 0
    for number, case in enumerate(cases, start=1):
        disease = _one_disease(case, base, number)
        observed = _terms(case.patient.observed, base.ontology)
        if not observed:
            left_out += 1
            continue
        seen = {int(above) for term in observed for above in base.ontology.ancestors.row(term)}
        ruled_out = _terms(case.patient.excluded, base.ontology) - seen
        one = TermCounts(
            patients=1,
            seen={base.ontology.ids[t]: 1 for t in sorted(seen) if base.ontology.is_phenotype[t]},
            ruled_out={base.ontology.ids[t]: 1 for t in sorted(ruled_out)},
            papers=(fingerprint_paper(case.paper),) if case.paper else (),
            name=(names or {}).get(disease, ""),
        )
        counts[disease] = counts[disease] + one if disease in counts else one
    return counts, left_out


def count_rows(
    counts: Mapping[str, TermCounts],
    base: KnowledgeBase,
    merge: Mapping[str, tuple[str, str]] | None = None,
) -> LearnedRows:
    """Learned counts as rows, see `Learned.rows`."""
    places: dict[str, int] = {}
    new: list[Disease] = []
    summed: dict[int, TermCounts] = {}
    for disease, each in counts.items():
        group, label = (merge or {}).get(disease, (disease, ""))
        place = base.find_disease(disease)
        if place is None and group != disease:
            place = base.find_disease(group)
        if place is None:
            place = places.setdefault(group, len(base.diseases) + len(new))
            if place == len(base.diseases) + len(new):
                name = each.name or label or disease
                new.append(Disease(disease, name, (disease,), group if group != disease else None))
            else:
                known = new[place - len(base.diseases)]
                members = (*known.members, disease)
                new[place - len(base.diseases)] = Disease(known.id, known.name, members, known.mondo)
        summed[place] = summed[place] + each if place in summed else each
    rows = [
        (place, term, seen, each.patients)
        for place, each in sorted(summed.items())
        for term, seen in _telling(each.seen, base.ontology).items()
    ]
    table = np.array(rows, np.int32).reshape(-1, 4)
    taught = sorted(summed)
    return LearnedRows(
        disease=table[:, 0],
        term=table[:, 1],
        seen=table[:, 2],
        of=table[:, 3],
        new=tuple(new),
        taught=np.array(taught, np.int32),
        patients=np.array([summed[place].patients for place in taught], np.int32),
    )


def _telling(seen: Mapping[str, int], ontology: Ontology) -> dict[int, int]:
    """Counts by term, without those of terms that one kind of them already tells."""
    counts: dict[int, int] = {}
    for term_id, patients in seen.items():
        found = ontology.find(term_id)
        if found is not None:
            counts[found.term] = max(patients, counts.get(found.term, 0))
    told: dict[int, int] = {}
    for term, patients in counts.items():
        for above in ontology.ancestors.row(term).tolist():
            if above != term:
                told[above] = max(patients, told.get(above, 0))
    return {term: patients for term, patients in counts.items() if patients > told.get(term, 0)}


def _one_disease(case: Case, base: KnowledgeBase, number: int) -> str:
    """The confirmed disease of a case: the first of its ids that the base knows, else the first."""
    known = {disease: base.find_disease(disease) for disease in case.truth}
    for database in {disease.partition(":")[0] for disease in known}:
        same = [place for disease, place in known.items() if disease.partition(":")[0] == database]
        if len(same) > 1 and (None in same or len(set(same)) > 1):
            raise LearningError(
                "the case has several confirmed diseases; nobody can tell which sign is of which",
                where=f"case {number}",
                remedy="Leave the case out, or name the table that merges these diseases",
            )
    if not known:
        raise LearningError(
            "the case has no confirmed disease",
            where=f"case {number}",
            remedy="Give the id of the disease as its truth, or leave the case out",
        )
    return next((disease for disease, place in known.items() if place is not None), case.truth[0])


def _terms(ids: Collection[str], ontology: Ontology) -> set[int]:
    """The signs among some ids; others are left out."""
    found = (ontology.find(term) for term in ids)
    return {each.term for each in found if each is not None and ontology.is_phenotype[each.term]}


def _add(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted((Counter(one) + Counter(other)).items()))
