"""The signs of one patient in one cell: what people write there, and the one way in which it is kept.

Kept is `HP:0001250;HP:0001263;-HP:0000252`: present terms ascending, then those that were looked for and
are absent. Read are ids in their usual spellings with `;`, `|`, `,` or blanks between them, names and
synonyms, lists, JSON lists, and ids with their names beside them, as in `Seizure (HP:0001250)`.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from galeno.knowledge.ontology import Ontology

ABSENT = "-!\u2212\u2013"
"""A term that starts with one of these was looked for and is absent."""

ID = r"(?:https?://purl\.obolibrary\.org/obo/)?[Hh][Pp][:_]?([0-9]{7})"
"""Pattern of an id in its usual spellings; its group is the number."""
_IDS = re.compile(rf"(?<![\w/])([{ABSENT}]?)\s?{ID}(?![0-9])")
_ONLY_IDS = re.compile(rf"(?:[{ABSENT}]?\s?{ID}(?![0-9])[\s;,|]*+)++")
"""Possessive: a blank between ids is read in one way, else a long cell takes for ever."""
_NAMED = re.compile(rf"[^()]*\(\s*{ID}\s*\)|{ID}\s*\([^()]*\)")
_PIECES = re.compile(r"[;|\r\n\t]+")


class Token(NamedTuple):
    """One term as it was written."""

    text: str
    """An id, spelled as the HPO does, or words that may be a name."""
    absent: bool

    @property
    def is_id(self) -> bool:
        return self.text.startswith("HP:") and self.text[3:].isdecimal()


@dataclass(frozen=True, slots=True)
class Signs:
    """What a patient has, and what was looked for and is absent; ids, ascending."""

    observed: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()

    @classmethod
    def read(cls, text: str) -> "Signs":
        """What `write` wrote."""
        parts = [part for part in text.split(";") if part]
        return cls(
            tuple(part for part in parts if part[0] != "-"),
            tuple(part[1:] for part in parts if part[0] == "-"),
        )

    @classmethod
    def of(cls, observed: Iterable[str], excluded: Iterable[str]) -> "Signs":
        """Sort ids and leave out repeated ones, and those that are said to be both present and absent."""
        present, absent = set(observed), set(excluded)
        return cls(tuple(sorted(present - absent)), tuple(sorted(absent - present)))

    def write(self) -> str:
        """The signs as one text; empty where there are none."""
        return ";".join([*self.observed, *(f"-{term}" for term in self.excluded)])


def tokens_of(value: object) -> list[Token] | None:
    """The terms of a cell.

    Args:
        value: a text, or a list or tuple of texts.

    Returns:
        the terms in their order; None where the value is neither.
    """
    if isinstance(value, str):
        text = value.strip()
        if text[:1] == "[" and text[-1:] == "]":
            try:
                return tokens_of(json.loads(text))
            except (ValueError, RecursionError):
                return _split(text[1:-1].replace("'", "").replace('"', ""))
        return _split(text)
    if not isinstance(value, list | tuple) or not all(
        each is None or isinstance(each, str) for each in value
    ):
        return None
    return [token for each in value if each for token in _split(each.strip())]


def looks_like_ids(text: str) -> bool:
    """Whether a cell holds ids of terms and nothing else, but for their names beside them."""
    tokens = tokens_of(text)
    return bool(tokens) and all(token.is_id for token in tokens or ())


def spell_id(text: str) -> str | None:
    """An id in any usual spelling as the HPO spells it, None where it is none."""
    match = re.fullmatch(ID, text.strip())
    return None if match is None else f"HP:{match[1]}"


class Vocabulary:
    """Which terms are signs, and what their ids and names are.

    Args:
        ontology: the terms.
        exact: finds the term of a name or synonym, see `names.TermNames.exact`.
    """

    def __init__(self, ontology: Ontology, exact: Callable[[str], int | None]) -> None:
        self.ontology = ontology
        self.version = ontology.version
        self._exact = exact

    def find(self, text: str) -> str | None:
        """The present id of a sign by an id or a name; None where there is no such sign."""
        if Token(text, absent=False).is_id:
            found = self.ontology.find(text)
            term = None if found is None else found.term
        else:
            term = self._exact(text)
        if term is None or not self.ontology.is_phenotype[term]:
            return None
        return self.ontology.ids[term]


def _split(text: str) -> list[Token]:
    if _ONLY_IDS.fullmatch(text):
        return _ids(text)
    tokens: list[Token] = []
    for piece in _PIECES.split(text):
        whole = piece.strip()
        if not whole:
            continue
        sign = whole[0] in ABSENT
        if _NAMED.fullmatch(whole.lstrip(ABSENT).strip()):
            tokens.extend(Token(token.text, sign) for token in _ids(whole))
        elif _IDS.search(whole):
            for part in filter(None, (part.strip() for part in whole.split(","))):
                tokens.extend(_ids(part) or [_name(part)])
        else:
            tokens.append(_name(whole))
    return tokens


def _ids(text: str) -> list[Token]:
    return [Token(f"HP:{match[2]}", bool(match[1])) for match in _IDS.finditer(text)]


def _name(text: str) -> Token:
    return Token(text.lstrip(ABSENT).strip(), text[0] in ABSENT)
