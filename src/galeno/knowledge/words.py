"""Words of clinical English and Spanish, brought to one form so that spellings of a word compare equal."""

import re
import unicodedata
from typing import NamedTuple

_WORD = re.compile(r"(?:[^\W_][\u0300-\u036f]*)+(?:['’](?:s|S)\b)?")
_PLAIN = re.compile("[a-z0-9]+")
_IRREGULAR = {
    "feet": "foot", "teeth": "tooth", "vertebrae": "vertebra", "phalanges": "phalanx", "crises": "crisis",
    "metastases": "metastasis", "testes": "testis", "diverticula": "diverticulum", "nevi": "nevus",
    "ganglia": "ganglion", "thrombi": "thrombus", "emboli": "embolus", "naevi": "nevus", "naevus": "nevus",
    "stimuli": "stimulus", "septa": "septum", "grey": "gray", "calculi": "calculus", "foci": "focus",
    "maxillae": "maxilla", "scapulae": "scapula", "fistulae": "fistula", "bullae": "bulla",
    "petechiae": "petechia", "striae": "stria", "irides": "iris", "meninges": "meninx", "veces": "vez",
    "abnormality": "abnormal", "abnormalities": "abnormal", "delayed": "delay",
}  # fmt: skip
_SPELLINGS = (
    (re.compile(r"(?<=\w)our(?=$|ed$|al$|less$)"), "or"),  # tumour
    (re.compile(r"(?<=[a-z]{3})is(?=ation$|ed$|e$|ing$)"), "iz"),  # generalised
    (re.compile(r"(?<=[a-z]{3})ys(?=ed$|e$|ing$)"), "yz"),  # paralysed
    (re.compile(r"(?<=ent|fib|tit|lit|met)re$"), "er"),  # centre, fibre
)
"""British to American. They hold for both sides of a comparison, so a word that is bent wrongly does no harm
unless it meets another one."""


class Token(NamedTuple):
    """A word of a text."""

    word: str
    """Folded."""
    stem: str
    start: int
    end: int
    """Its place in the text, as Python slices it."""


def fold(text: str) -> str:
    """Lower case, without accents."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


def split(text: str) -> list[str]:
    """The words of a text, folded; hyphens and all other signs part them, `'s` falls away."""
    if text.isascii() and "'" not in text:
        return _PLAIN.findall(text.lower())
    return [_bare(match) for match in _WORD.findall(text)]


def tokens(text: str) -> list[Token]:
    """The words of a text, with their places."""
    words = ((_bare(match.group()), match.start(), match.end()) for match in _WORD.finditer(text))
    return [Token(word, stem(word), start, end) for word, start, end in words]


def _bare(word: str) -> str:
    return fold(word[:-2] if word[-2:-1] in ("'", "’") and len(word) > 2 else word)


def stem(word: str) -> str:
    """A folded word without plural and final e, in American spelling.

    It is no linguist's stem: it joins seizure and seizures, convulsión and convulsiones, oedema and edema,
    and leaves most adjectives, verbs and cases alone.
    """
    word = _IRREGULAR.get(word, word)
    if len(word) < 4 or not word.isascii():
        return word
    if len(word) > 5:
        word = word.replace("ae", "e").replace("oe", "e")
        for pattern, american in _SPELLINGS:
            word = pattern.sub(american, word)
    return _singular(word)


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    if word.endswith("oses") and len(word) > 6:
        return word[:-2] + "is"
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    return word[:-1] if word.endswith("e") and len(word) > 4 else word
