"""Terms as people give them, by id or by name, brought to the terms of the ontology."""

import re
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

from galeno.errors import InputError
from galeno.knowledge.names import TermNames
from galeno.knowledge.ontology import INHERITANCE, ONSET, PHENOTYPE, Ontology

MOST_FAULTS = 20
LONGEST = 300
"""Characters of one term."""
SUGGESTIONS = 3

_ID = re.compile(r"(?:^|[\s(\[/])(HP[:_]\d{7})(?=$|[\s)\]|,;])", re.IGNORECASE)
_LIKE_ID = re.compile(r"HP\s*[:_]?\s*\d+", re.IGNORECASE)
_BRANCHES = (
    (INHERITANCE, "is a mode of inheritance, not a sign of the patient"),
    (ONSET, "is an age of onset, not a sign; give it as the onset"),
    ("HP:0012823", "qualifies a sign (severity, side, course, ...), and is none by itself"),
    ("HP:0040279", "is a frequency, not a sign"),
    ("HP:0031797", "is a clinical course, not a sign"),
    ("HP:0032443", "is a past medical history, not a sign"),
    ("HP:0032223", "is a blood group, not a sign"),
)


class Read(NamedTuple):
    """Terms that were read."""

    terms: tuple[int, ...]
    """Indices into the ontology, in the order given, each once."""
    notices: tuple[str, ...]
    """What was replaced, dropped or taken in a wider sense; for the caller, not for logs."""


class _FaultError(ValueError):
    """Why one term cannot be taken."""


def read_terms(
    ontology: Ontology, tokens: Sequence[str], *, field: str = "terms", names: TermNames | None = None
) -> Read:
    """Bring terms given by id, name or synonym to terms of the ontology.

    An id may be written HP:0001250, hp_0001250 or as the end of an OBO address, with its name before or
    behind. Names are compared without case, accents, plural, hyphens and British spelling, in every language
    that the ontology carries.

    Args:
        ontology: the release.
        tokens: one term each.
        field: what to call the list in errors.
        names: the index of names, where one stands; otherwise it is built when the first name is met.

    Raises:
        InputError: some are unknown, ambiguous or no signs of a patient; all faults at once, at most 20, each
            with suggestions. It tells ids, never words that were typed.
    """
    reader = _Reader(ontology, names)
    terms: dict[int, None] = {}
    notices: dict[str, None] = {}
    faults: list[tuple[str, str]] = []
    for place, token in enumerate(tokens):
        try:
            term, notice = reader.read(token)
        except _FaultError as fault:
            faults.append((f"{field}[{place}]", str(fault)))
            if len(faults) == MOST_FAULTS:
                break  # suggestions take time, and no more are told
            continue
        if notice:
            notices[notice] = None
        if ontology.ids[term] == PHENOTYPE:
            notices[f"{_told(ontology, term)} says nothing of the patient and was left out"] = None
        elif term in terms:
            notices[f"{_told(ontology, term)} was given more than once"] = None
        else:
            terms[term] = None
    if faults:
        raise InputError(faults)
    return Read(tuple(terms), tuple(notices))


def needs_names(ontology: Ontology, tokens: Sequence[str]) -> bool:
    """Whether `read_terms` would build the index of names: for what is neither id nor label of a sign."""
    given = [token.strip() for token in tokens]
    others = [token for token in given if ontology.find(token) is None]
    labels = _signs_by_label(ontology) if others else {}
    return any(token.casefold() not in labels for token in others)


def _signs_by_label(ontology: Ontology) -> dict[str, int]:
    """Most names are given so, and the index of all names takes half a second."""
    names = enumerate(ontology.names)
    return {name.casefold(): term for term, name in names if ontology.is_phenotype[term]}


class _Reader:
    """Reads one term after another."""

    def __init__(self, ontology: Ontology, names: TermNames | None) -> None:
        self._ontology = ontology
        self._names = names

    @cached_property
    def _labels(self) -> dict[str, int]:
        return _signs_by_label(self._ontology)

    def read(self, token: str) -> tuple[int, str]:
        text = token.strip()
        if not text:
            raise _FaultError("it is empty")
        if len(text) > LONGEST:
            raise _FaultError(f"it is longer than {LONGEST} characters")
        match = _ID.search(text)
        term, notice = self._by_id(match[1]) if match else self._by_name(text)
        if not self._ontology.is_phenotype[term]:
            raise _FaultError(f"{_told(self._ontology, term)} {self._branch(term)}")
        return term, notice

    def _by_id(self, written: str) -> tuple[int, str]:
        ontology = self._ontology
        term_id = written.upper().replace("_", ":")
        found = ontology.find(term_id)
        if found is not None:
            return found.term, found.notice
        if term_id in ontology.retired:
            instead = [ontology.index[each] for each in ontology.retired[term_id]]
            advice = f"; consider {self._listed(instead)}" if instead else ""
            raise _FaultError(f"{term_id} was withdrawn from the HPO without a successor{advice}")
        raise _FaultError(
            f"{term_id} is not in release {ontology.version} of the HPO; search for the sign by its name"
        )

    def _by_name(self, text: str) -> tuple[int, str]:
        if _LIKE_ID.fullmatch(text):
            raise _FaultError("an HPO id is HP: and seven digits, such as HP:0001250")
        if self._names is None:
            label = self._labels.get(text.casefold())
            if label is not None:
                return label, ""
            self._names = TermNames.of(self._ontology)
        meanings = self._names.meanings(text)
        terms = list(dict.fromkeys(each.term for each in meanings))
        if len(terms) > 1:
            raise _FaultError(f"it has several meanings; give one of {self._listed(terms[:6])}")
        if terms:
            scope = meanings[0].scope
            wider = {"BROAD": "a wider name", "RELATED": "a related name", "NARROW": "a narrower name"}.get(
                scope
            )
            notice = f"{_told(self._ontology, terms[0])} was taken for {wider} of it" if wider else ""
            return terms[0], notice
        close = [hit.term for hit in self._names.search(text, SUGGESTIONS)]
        advice = f"; did you mean {self._listed(close)}?" if close else "; search for it by another name"
        raise _FaultError(f"no sign of the HPO has this name{advice}")

    def _branch(self, term: int) -> str:
        above = {self._ontology.ids[each] for each in self._ontology.ancestors.row(term)}
        return next((told for root, told in _BRANCHES if root in above), "is not a sign of a patient")

    def _listed(self, terms: Sequence[int]) -> str:
        return ", ".join(_told(self._ontology, term) for term in terms)


def _told(ontology: Ontology, term: int) -> str:
    return f"{ontology.names[term]} ({ontology.ids[term]})"
