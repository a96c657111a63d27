"""Words of a free text in Spanish or English, with those under a negation marked."""

import re
import unicodedata
from collections.abc import Iterator

_ACCENTS = re.compile(r"[\u0300-\u036f]+")
_TOKEN = re.compile(r"[^\W_]+(?:'[^\W_]+)*|[.,;:!?()\n]")
_STOPS = frozenset(".;:!?()\n")
_TURNS = frozenset(
    ["pero", "aunque", "sino", "salvo", "excepto", "but", "although", "however", "except", "though"]
)
"""Words that begin a clause of their own."""
_NEGATIONS = frozenset(
    [
        "no",
        "sin",
        "ni",
        "nunca",
        "tampoco",
        "jamas",
        "ningun",
        "ninguna",
        "ninguno",
        "ausencia",
        "not",
        "without",
        "never",
        "neither",
        "nor",
        "none",
        "cannot",
        "absence",
    ]
)
_DENIALS = frozenset(
    [
        "niega",
        "niegan",
        "nego",
        "negaba",
        "negando",
        "descarta",
        "descartado",
        "denies",
        "denied",
        "deny",
        "denying",
    ]
)
"""Negations that a list with commas follows: niega fiebre, tos y disnea."""
_REACH = 6
"""Words that a negation marks at most; the window of NegEx (Chapman et al., 2001) is about as wide."""
MARK = "not_"
"""Put before a word that stands under a negation; no word has an underscore of its own."""


def fold(text: str) -> str:
    """Lower case without accents."""
    if not text.isascii():
        text = _ACCENTS.sub("", unicodedata.normalize("NFKD", text.replace("\u2019", "'")))
    return text.lower()


def split_words(folded: str) -> list[str]:
    """Words and the punctuation that ends clauses, of a folded text."""
    return _TOKEN.findall(folded)


def drop_punctuation(tokens: list[str]) -> list[str]:
    """The words alone."""
    return [word for word in tokens if word not in _STOPS and word != ","]


def mark_negations(tokens: list[str]) -> Iterator[str]:
    """The words alone, marked where a negation reaches them.

    A negation reaches six words, and ends with its clause: at punctuation, and at words such as
    `but` and `pero`. After a verb of denial commas do not end it.
    """
    reach, listing = 0, False
    for word in tokens:
        if word in _STOPS or (word == "," and not listing):
            reach, listing = 0, False
        elif word == ",":
            reach = _REACH
        elif word in _NEGATIONS or word in _DENIALS or word.endswith("n't"):
            reach, listing = _REACH, word in _DENIALS
            yield word
        elif word in _TURNS:
            reach, listing = 0, False
            yield word
        elif reach:
            reach -= 1
            yield MARK + word
        else:
            yield word
