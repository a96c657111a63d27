"""The Human Phenotype Ontology: terms, their names, and what each of them is a kind of."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from galeno.errors import KnowledgeError

ALL = "HP:0000001"
PHENOTYPE = "HP:0000118"
"""Phenotypic abnormality: the branch of signs and symptoms."""
INHERITANCE = "HP:0000005"
ONSET = "HP:0003674"
TERM_ID = re.compile(r"HP:\d{7}")

Indices = NDArray[np.int32]


class Synonym(NamedTuple):
    """Another name of a term."""

    text: str
    scope: str
    """EXACT, NARROW, BROAD or RELATED."""
    kind: str
    """layperson, plural_form, abbreviation, uk_spelling, obsolete_synonym, a language code, or nothing."""


class Found(NamedTuple):
    """The term that an id leads to."""

    term: int
    notice: str
    """What was replaced; empty where nothing was."""


class Sparse(NamedTuple):
    """A list of indices for each row: those of row i are values[offsets[i] : offsets[i + 1]]."""

    offsets: NDArray[np.int64]
    values: Indices

    def row(self, index: int) -> Indices:
        """The indices of one row, ascending."""
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> "Sparse":
        """Rows of indices, put one after another."""
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        flat = np.fromiter((value for row in rows for value in row), np.int32, int(offsets[-1]))
        return cls(offsets, flat)


@dataclass(frozen=True)
class Ontology:
    """Terms of one release, without the obsolete ones, sorted by id.

    Attributes:
        version: release, as the file says it, for example 2025-01-16.
        ids: id of each term; the position of a term in this tuple is its index everywhere else.
        names: preferred label of each.
        synonyms: other names of each.
        parents: what each is directly a kind of.
        ancestors: what each is a kind of, itself included.
        replaced: alternative and obsolete id to the id that stands for it now.
        retired: obsolete id without a successor, to the ids that may be meant instead.
    """

    version: str
    ids: tuple[str, ...]
    names: tuple[str, ...]
    synonyms: tuple[tuple[Synonym, ...], ...]
    parents: Sparse
    ancestors: Sparse
    replaced: Mapping[str, str]
    retired: Mapping[str, tuple[str, ...]]

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Index of each term's id."""
        return {term: number for number, term in enumerate(self.ids)}

    @cached_property
    def is_phenotype(self) -> NDArray[np.bool_]:
        """Which terms are signs and symptoms, shape (terms,)."""
        return self.under(PHENOTYPE)

    def find(self, term_id: str) -> Found | None:
        """The term of an id; alternative and obsolete ids lead to the term that stands for them.

        Returns:
            None where the release knows no such id, or has retired it without a successor.
        """
        current = self.replaced.get(term_id, term_id)
        place = self.index.get(current)
        if place is None:
            return None
        if current == term_id:
            return Found(place, "")
        return Found(place, f"{term_id} is now {current} ({self.names[place]})")

    def under(self, root: str) -> NDArray[np.bool_]:
        """Which terms are a kind of `root`, itself included, shape (terms,)."""
        below = np.zeros(len(self.ids), bool)
        if root in self.index:
            owner = np.repeat(np.arange(len(self.ids)), np.diff(self.ancestors.offsets))
            below[owner[self.ancestors.values == self.index[root]]] = True
        return below


def parse_ontology(text: str, where: str) -> Ontology:
    """Read an ontology in OBO 1.2 or 1.4.

    Args:
        text: content of hp.obo.
        where: name of the file, for errors.

    Raises:
        KnowledgeError: it is not an ontology of phenotypes.
    """
    stanzas = list(_stanzas(text))
    current = sorted((s for s in stanzas if "is_obsolete" not in s), key=lambda s: s["id"][0])
    ids = tuple(stanza["id"][0] for stanza in current)
    if ALL not in ids or PHENOTYPE not in ids:
        raise KnowledgeError(
            "this is not the Human Phenotype Ontology in OBO format",
            where=where,
            remedy="Take hp.obo from a release of the HPO",
        )
    index = {term: number for number, term in enumerate(ids)}
    parents = [sorted(index[p] for p in _ids(s.get("is_a", ())) if p in index) for s in current]
    replaced = {alias: s["id"][0] for s in current for alias in s.get("alt_id", ())}
    retired: dict[str, tuple[str, ...]] = {}
    for stanza in stanzas:
        if "is_obsolete" not in stanza:
            continue
        successors = [t for t in _ids(stanza.get("replaced_by", ())) if t in index]
        for old in (stanza["id"][0], *stanza.get("alt_id", ())):
            if successors:
                replaced.setdefault(old, successors[0])
            else:
                retired[old] = tuple(t for t in _ids(stanza.get("consider", ())) if t in index)
    version = re.search(r"^data-version: (?:.*/)?(\d{4}-\d\d-\d\d)", text, re.MULTILINE)
    return Ontology(
        version=version[1] if version else "unknown",
        ids=ids,
        names=tuple(stanza.get("name", ("",))[0] for stanza in current),
        synonyms=tuple(
            tuple(_synonym(line) for line in stanza.get("synonym", ()) if line.startswith('"'))
            for stanza in current
        ),
        parents=Sparse.of(parents),
        ancestors=Sparse.of(_close(parents, where)),
        replaced={old: new for old, new in replaced.items() if old not in index},
        retired=retired,
    )


def _stanzas(text: str) -> Iterator[dict[str, list[str]]]:
    """The [Term] stanzas with an HP id, tag to values."""
    for block in text.split("\n[")[1:]:
        lines = block.split("\n")
        if lines[0].rstrip() != "Term]":
            continue
        stanza: dict[str, list[str]] = {}
        for line in lines[1:]:
            tag, colon, value = line.partition(": ")
            if colon:
                stanza.setdefault(tag, []).append(value.strip())
        if TERM_ID.fullmatch(stanza.get("id", [""])[0]):
            yield stanza


def _ids(values: Sequence[str]) -> list[str]:
    """Ids without the comments and qualifiers behind them."""
    return [value.split(" ", 1)[0] for value in values]


_SYNONYM = re.compile(r'"((?:[^"\\]|\\.)*)"\s+(EXACT|NARROW|BROAD|RELATED)\s*([^\[]*)')
_LANGUAGE = re.compile(r'lang(?:uage)?="(\w\w)"')


def _synonym(line: str) -> Synonym:
    match = _SYNONYM.match(line)
    if match is None:
        return Synonym(line.split('"')[1], "RELATED", "")
    language = _LANGUAGE.search(line)
    return Synonym(re.sub(r"\\(.)", r"\1", match[1]), match[2], language[1] if language else match[3].strip())


def _close(parents: Sequence[Sequence[int]], where: str) -> list[list[int]]:
    """Ancestors of each term, itself included, ascending."""
    closed: list[list[int] | None] = [None] * len(parents)
    for start in range(len(parents)):
        stack = [start]
        open_now: set[int] = set()
        while stack:
            term = stack[-1]
            waiting = [p for p in parents[term] if closed[p] is None]
            if not waiting:
                above = {a for p in parents[term] for a in closed[p] or ()}
                closed[term] = sorted(above | {term})
                open_now.discard(term)
                stack.pop()
                continue
            open_now.add(term)
            if not open_now.isdisjoint(waiting):
                raise KnowledgeError(
                    "the terms go round in a circle", where=where, remedy="Take an undamaged release"
                )
            stack.extend(waiting)
    return [row or [] for row in closed]
