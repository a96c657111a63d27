"""Rare diseases: open the ranker with what the home has learned, ask it, and teach it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from galeno.errors import InputError, LearningError, SourceError
from galeno.knowledge.base import KnowledgeBase
from galeno.knowledge.cases import LONGEST_LINE, Case, Patient, read_cases
from galeno.knowledge.learned import Entry, Learned
from galeno.knowledge.merging import normalise_disease, read_merge
from galeno.knowledge.names import TermNames
from galeno.knowledge.ontology import Ontology
from galeno.knowledge.opened import open_knowledge
from galeno.knowledge.ranker import Ranker
from galeno.knowledge.ranking import Ranking
from galeno.knowledge.reading import read_terms
from galeno.pipeline.question import Question, understand
from galeno.settings import KnowledgeSettings

FOLDER = "knowledge"
"""Of the home: what it has learned from confirmed cases."""
LARGEST_PRIOR = 20_000_000
"""Bytes of a file of prior odds."""


def open_settings(merge: Path | None = None) -> KnowledgeSettings:
    """The files that the environment names, with another merge table where one is named."""
    settings = KnowledgeSettings.from_environment()
    return settings if merge is None else replace(settings, merge=merge)


def open_ranker(
    home: Path | None = None, *, settings: KnowledgeSettings | None = None, prior: Path | None = None
) -> Ranker:
    """The ranker, with what a home has learned from confirmed cases.

    Args:
        home: its folder; None takes nothing learned.
        settings: which files; None takes those of the environment.
        prior: see `read_prior`; None takes all diseases for equally common.

    Raises:
        MissingExtraError: no files are named, and the extra `rare` is not installed.
        KnowledgeError: a file is missing or damaged.
        SourceError: the merge table or the prior is.
    """
    chosen = settings or KnowledgeSettings.from_environment()
    base = open_knowledge(chosen)
    more: dict[str, Any] = {}
    sources: dict[str, str] = {}
    if home is not None and (learned := open_learned(home)).counts():
        merge = None if chosen.merge is None else read_merge(chosen.merge)
        more["learned"] = learned.rows(base, merge)
        sources["learned_sha256"] = learned.fingerprint()
    if prior is not None:
        more["prior"] = read_prior(prior, base)
        sources["prior_sha256"] = _sha256(prior)
    return Ranker(base, cache=chosen.cache, sources=sources, **more)


@dataclass(frozen=True, slots=True)
class Bench:
    """What an evaluation needs: a ranker, cases, and the table that diseases were merged with."""

    ranker: Ranker
    cases: Sequence[Case]
    merge: Mapping[str, tuple[str, str]]
    taught: frozenset[str]
    """Fingerprints of papers whose cases the home has learned."""


def read_bench(cases: Path, home: Path | None, merge: Path | None = None) -> Bench:
    """Read cases and open the ranker that shall be judged on them.

    Raises:
        SourceError: the cases or the merge table cannot be read.
        MissingExtraError, KnowledgeError: see `open_ranker`.
    """
    read = read_cases(cases)
    settings = open_settings(merge)
    table = {} if settings.merge is None else read_merge(settings.merge)
    taught = frozenset[str]() if home is None else open_learned(home).papers()
    return Bench(open_ranker(home, settings=settings), read, table, taught)


def read_packet(path: Path) -> bytes:
    """The content of a file with one phenopacket.

    Raises:
        SourceError: it cannot be read, or is too long for one.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(LONGEST_LINE + 1)
    except OSError as error:
        raise SourceError(
            f"cannot be read ({error.strerror})", where=str(path), remedy="Name a phenopacket in JSON"
        ) from None
    if len(content) > LONGEST_LINE:
        raise SourceError("is longer than any phenopacket", where=str(path), remedy="Name another file")
    return content


def open_learned(home: Path) -> Learned:
    """What a home has learned from confirmed cases.

    Raises:
        KnowledgeError: the file is damaged.
    """
    return Learned.open(home / FOLDER)


def ask(ranker: Ranker, question: Question, top: int = 20) -> Ranking:
    """Rank diseases for what a person has typed; notices say which signs come from the text.

    Raises:
        InputError: see `understand`.
    """
    ontology = ranker.base.ontology
    read = understand(question, ontology)
    observed = set(read.patient.observed)
    added = []
    for term in read.added:
        name, term_id = ontology.names[term], ontology.ids[term]
        how = "found in the text" if term_id in observed else "denied in the text"
        added.append(f"{how}: {name} ({term_id})")
    ranking = ranker.rank(read.patient, top=top)
    return replace(ranking, notices=tuple(dict.fromkeys((*read.notices, *added, *ranking.notices))))


def read_prior(path: Path, base: KnowledgeBase) -> dict[int, float]:
    """Read how common diseases are where the patient comes from.

    Args:
        path: JSON {"OMIM:154700": 0.0002, ...}, or TSV or CSV of disease and number: prevalence, or any
            number in proportion to it.
        base: gives the diseases.

    Returns:
        index of a disease to its number, above 0.

    Raises:
        SourceError: the file cannot be read, a number is none or not above 0, or no disease of it is known.
    """
    remedy = 'Write JSON {"OMIM:154700": 0.0002, ...} or lines with an id, a tab and a number'
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_PRIOR + 1)
        text = content.decode("utf-8-sig").strip() if len(content) <= LARGEST_PRIOR else ""
        pairs = json.loads(text).items() if text.startswith("{") else _lines(text)
        numbers = {normalise_disease(entry): float(number) for entry, number in pairs}
    except OSError as error:
        raise SourceError(f"cannot be read ({error.strerror})", where=str(path), remedy=remedy) from None
    except (ValueError, TypeError, RecursionError):
        raise SourceError("this is not a table of priors", where=str(path), remedy=remedy) from None
    prior: dict[int, float] = {}
    for entry, number in numbers.items():
        if not 0 < number < float("inf"):
            raise SourceError("a prior is not a number above 0", where=str(path), remedy=remedy)
        disease = base.find_disease(entry)
        if disease is not None:
            prior[disease] = prior.get(disease, 0.0) + number
    if not prior:
        raise SourceError("none of these diseases is known", where=str(path), remedy=remedy)
    return prior


def learn(home: Path, source: Path, *, settings: KnowledgeSettings | None = None) -> Entry:
    """Learn from confirmed cases; the home keeps counts, no patient.

    Args:
        home: its folder.
        source: see `cases.read_cases`.
        settings: which files; None takes those of the environment.

    Raises:
        SourceError: the cases cannot be read.
        LearningError: none of them teaches anything.
        ConflictError: they were learned before.
    """
    cases = read_cases(source)
    chosen = settings or KnowledgeSettings.from_environment()
    base = open_knowledge(chosen)
    labels = {} if chosen.merge is None else read_merge(chosen.merge)
    names = {entry: labels[entry][1] for case in cases for entry in case.truth if entry in labels}
    reader = TermReader(base.ontology)
    usable = [replace(case, patient=_readable(case, reader)) for case in cases]
    if not any(case.truth for case in usable):
        raise LearningError(
            "no case has a confirmed disease", where=str(source), remedy='Give it as "truth": ["OMIM:..."]'
        )
    _, entry = open_learned(home).learn(usable, base, source_sha256=_sha256(source), names=names)
    return entry


def undo(home: Path, entry_id: str) -> Entry:
    """Take a batch of learned cases back.

    Raises:
        NotFoundError: there is no such batch.
        ConflictError: it was taken back before.
    """
    _, entry = open_learned(home).undo(entry_id)
    return entry


class TermReader:
    """Reads the terms of cases, where one unknown id shall not stop thousands of them."""

    def __init__(self, ontology: Ontology) -> None:
        self._ontology = ontology
        self._names: TermNames | None = None

    def read(self, tokens: Sequence[str]) -> tuple[tuple[str, ...], int]:
        """Ids of the signs among some terms, each once, and how many are none that the ontology knows."""
        found: dict[str, None] = {}
        unknown = 0
        for token in tokens:
            term = self._term(token)
            if term is None:
                unknown += 1
            else:
                found[self._ontology.ids[term]] = None
        return tuple(found), unknown

    def _term(self, token: str) -> int | None:
        at = self._ontology.find(token.strip())
        if at is not None:
            return at.term if self._ontology.is_phenotype[at.term] else None
        if self._names is None and not token.strip().upper().startswith("HP:"):
            self._names = TermNames.of(self._ontology)  # it takes a moment, and most files have ids only
        try:
            return read_terms(self._ontology, [token], names=self._names).terms[0]
        except InputError:
            return None


def _readable(case: Case, reader: TermReader) -> Patient:
    observed, excluded = reader.read(case.patient.observed)[0], reader.read(case.patient.excluded)[0]
    return replace(case.patient, observed=observed, excluded=excluded)


def _lines(text: str) -> list[tuple[str, str]]:
    rows = [line.replace(",", "\t").split("\t") for line in text.splitlines() if line and line[0] != "#"]
    if rows and len(rows[0]) > 1 and not rows[0][1].strip().replace(".", "").replace("e-", "").isdecimal():
        rows = rows[1:]  # a header
    return [(row[0], row[1].strip()) if len(row) > 1 else (row[0], "none") for row in rows]


def _sha256(source: Path) -> str:
    """Of a file; empty for a folder, whose cases are fingerprinted instead."""
    try:
        return hashlib.sha256(source.read_bytes()).hexdigest() if source.is_file() else ""
    except OSError as error:
        raise SourceError(
            f"cannot be read ({error.strerror})", where=str(source), remedy="Name a file that is there"
        ) from None
