"""What single signs mean in a feature matrix: a table from each term's id to groups and ratios.

The table holds all that answering needs of the ontology, so that a server needs no knowledge files.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from galeno.features.encoder import Arrays
from galeno.knowledge.base import KnowledgeBase
from galeno.knowledge.ontology import PHENOTYPE, TERM_ID, Ontology
from galeno.knowledge.ratios import SignRatios


class Meaning(NamedTuple):
    """What one sign stands for; several signs may share it."""

    implied: tuple[int, ...]
    """Groups that a patient with the sign belongs to."""
    denied: tuple[int, ...]
    """Groups that a patient without the sign cannot belong to."""


class Kinds:
    """What each id is a kind of. Without an ontology every id is a kind of itself alone.

    Args:
        base: the knowledge base, if there is one.
    """

    def __init__(self, base: KnowledgeBase | None) -> None:
        self._ontology = None if base is None else base.ontology
        self._known: dict[str, frozenset[str]] = {}

    def of(self, term_id: str) -> frozenset[str]:
        """The sign itself and all signs that it is a kind of, without their root; empty for an unknown id."""
        known = self._known.get(term_id)
        if known is None:
            known = self._known[term_id] = self._look_up(term_id)
        return known

    def _look_up(self, term_id: str) -> frozenset[str]:
        if self._ontology is None:
            return frozenset({term_id} if TERM_ID.fullmatch(term_id) else ())
        found = self._ontology.find(term_id)
        if found is None or not self._ontology.is_phenotype[found.term]:
            return frozenset()
        ids, signs = self._ontology.ids, self._ontology.is_phenotype
        above = self._ontology.ancestors.row(found.term)
        return frozenset(ids[each] for each in above if signs[each]) - {PHENOTYPE}

    def name(self, term_id: str) -> str:
        """Its name; the id where there is no ontology."""
        return term_id if self._ontology is None else self._ontology.names[self._ontology.index[term_id]]


class SignTable:
    """From ids to their meanings and ratios.

    Args:
        numbers: of the ids known, ascending, int32, shape (terms,): HP:0001250 is 1250.
        aliases: former number and present one, int32, shape (any, 2).
        row: the row of each id in what follows, int32, shape (terms,).
        meanings: of each row.
        ratios: log-likelihood ratios of each row for each disease, float32, shape (rows, diseases).
    """

    def __init__(
        self,
        numbers: NDArray[np.int32],
        aliases: NDArray[np.int32],
        row: NDArray[np.int32],
        meanings: Sequence[Meaning],
        ratios: SignRatios,
    ) -> None:
        self._numbers, self._aliases, self._row = numbers, aliases, row
        self.meanings, self.ratios = tuple(meanings), ratios
        self._places: dict[int, int] = dict(zip(numbers.tolist(), row.tolist(), strict=True))
        self._present: dict[int, int] = dict(aliases.tolist())

    def find(self, ids: Sequence[str]) -> list[int]:
        """The rows of ids, each term once, in order; unknown ids are left out."""
        given = (int(each[3:]) for each in ids if TERM_ID.fullmatch(each))
        terms = dict.fromkeys(self._present.get(number, number) for number in given)
        return [self._places[term] for term in terms if term in self._places]

    @classmethod
    def of(
        cls,
        base: KnowledgeBase | None,
        groups: Sequence[str],
        deniable: Sequence[str],
        weighed: SignRatios | None = None,
    ) -> Self:
        """Build the table.

        Args:
            base: gives kinds and ratios; None knows the groups' own ids alone.
            groups: ids that implied groups have, in the order of their places.
            deniable: the same of denied groups.
            weighed: ratios of all terms of the base's ontology for each disease; None for no disease.
        """
        kinds = Kinds(base)
        below: dict[str, list[int]] = {}
        for place, group in enumerate(deniable):
            for above in kinds.of(group):
                below.setdefault(above, []).append(place)
        if base is None:
            known, aliases = sorted(groups), []
            implied: list[tuple[int, ...]] = [(groups.index(each),) for each in known]
        else:
            signs = np.flatnonzero(base.ontology.is_phenotype)
            known = [base.ontology.ids[each] for each in signs]
            aliases = sorted((_number(old), _number(new)) for old, new in base.ontology.replaced.items())
            implied = _implied(base.ontology, signs, groups)
        nothing = np.zeros((len(known), 0), np.float32)
        ratios = SignRatios(nothing, nothing)
        if base is not None and weighed is not None:
            ratios = SignRatios(*(each[base.ontology.is_phenotype] for each in weighed))
        rows: dict[tuple[Meaning, bytes, bytes], int] = {}
        first: list[int] = []
        row = np.zeros(len(known), np.int32)
        for place, each in enumerate(known):
            meaning = Meaning(implied[place], tuple(below.get(each, ())))
            key = meaning, ratios[0][place].tobytes(), ratios[1][place].tobytes()
            if key not in rows:
                rows[key] = len(rows)
                first.append(place)
            row[place] = rows[key]
        return cls(
            np.array([_number(each) for each in known], np.int32),
            np.array(aliases, np.int32).reshape(-1, 2),
            row,
            [key[0] for key in rows],
            SignRatios(ratios[0][first], ratios[1][first]),
        )

    def arrays(self) -> Arrays:
        """All of it, as arrays."""
        arrays: Arrays = {
            "numbers": self._numbers,
            "aliases": self._aliases,
            "row": self._row,
            **self.ratios._asdict(),
        }
        for name in Meaning._fields:
            lists: list[tuple[int, ...]] = [getattr(meaning, name) for meaning in self.meanings]
            arrays[name] = np.array([place for each in lists for place in each], np.int32)
            arrays[f"{name}_ends"] = np.cumsum([len(each) for each in lists], dtype=np.int64)
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The table that `arrays` came from."""
        lists = [_parts(arrays[name], arrays[f"{name}_ends"]) for name in Meaning._fields]
        meanings = [Meaning(*each) for each in zip(*lists, strict=True)]
        ratios = SignRatios(arrays["present"], arrays["absent"])
        return cls(arrays["numbers"], arrays["aliases"], arrays["row"], meanings, ratios)


def _implied(ontology: Ontology, signs: NDArray[np.int64], groups: Sequence[str]) -> list[tuple[int, ...]]:
    """The groups, by their places, that each sign is a kind of."""
    place = np.full(len(ontology.ids), -1)
    place[[ontology.index[group] for group in groups]] = np.arange(len(groups))
    above = ontology.ancestors
    held = np.flatnonzero(place[above.values] >= 0)
    owner = np.repeat(np.arange(len(ontology.ids)), np.diff(above.offsets))[held]
    found: dict[int, list[int]] = {}
    for sign, group in zip(owner.tolist(), place[above.values[held]].tolist(), strict=True):
        found.setdefault(sign, []).append(group)
    return [tuple(sorted(found.get(sign, ()))) for sign in signs.tolist()]


def _number(term_id: str) -> int:
    return int(term_id[3:])


def _parts(values: NDArray[Any], ends: NDArray[Any]) -> list[tuple[int, ...]]:
    borders = [0, *ends.tolist()]
    flat = values.tolist()
    return [tuple(flat[start:end]) for start, end in pairwise(borders)]
