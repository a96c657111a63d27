"""Terms that a free text names, in English or Spanish, offline and by rules."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

from galeno.knowledge.context import Pause, Verdict, guess_language, judge
from galeno.knowledge.names import SCOPES, TermNames
from galeno.knowledge.ontology import TERM_ID, Ontology
from galeno.knowledge.words import Token, split, stem, tokens

Language = Literal["en", "es"]

LONGEST_TEXT = 200_000
"""Characters; what is beyond is not read."""
LONGEST_NAME = 16
"""Words."""
LONGEST_TURNED = 7
"""Words of a text among which a name is sought in another order."""


def _stems(text: str) -> frozenset[str]:
    return frozenset(map(stem, text.split()))


_LINKS = _stems("of in the a an is are was were his her its de del en la el los las")
"""Small words that a name may have lost or won when it was put in another order."""
_AMBIGUOUS = -1
_UNSAFE = _stems("""
    falls tearing cutting corn mole inertia ordering hopping jumping bouncing spinning rosette oncology
    dullness slowness piles intoe into undergrowth hostile fisting inaction coldness trance shyness anger
    hopeless 277000 sad prostration milia twirling
""")
"""Names of one word that mostly mean something else in a letter."""
_OTHERS = frozenset({"layperson", "plural_form", "abbreviation", "uk_spelling", "obsolete_synonym", ""})
_APART = frozenset(",()[]—–/")
_PAUSING = frozenset(",/()[]:")
_NEW_LINE = re.compile(r"\n\s*(?:\n|[-*•·–]|\d+[.)]\s|[A-ZÁÉÍÓÚÑ])")
_STOP = re.compile(r"[.!?](?=\s|$|[)\"'»”])|[;•]")
_NOT_A_STOP = frozenset(("dr", "dra", "sr", "sra", "mr", "mrs", "ms", "prof", "vs", "fig", "approx", "ca"))


class Mention(NamedTuple):
    """A term that a text names."""

    term: int
    start: int
    end: int
    """Its place in the text, as Python slices it."""
    text: str
    """The words of the text."""
    negated: bool
    """The text says that it is absent."""
    matched: str
    """The name or synonym that was recognised."""


class _Match(NamedTuple):
    first: int
    last: int
    """Tokens, `last` included."""
    entry: int
    turned: bool


@dataclass(frozen=True, eq=False, repr=False)
class Mentions:
    """Recognises the names of signs in a text.

    Attributes:
        names: the index of names.
        in_order: stems of a name, joined by blanks, to its entry.
        turned: stems of a name in alphabetical order, without small words, to its entry.
        longest: most words that a name beginning with a stem has.
        abbreviations: as written, to its entry.
        labels: entry of the preferred label of each sign.
    """

    names: TermNames
    in_order: Mapping[str, int]
    turned: Mapping[str, int]
    longest: Mapping[str, int]
    abbreviations: Mapping[str, int]
    labels: Mapping[int, int]

    @classmethod
    def of(cls, ontology: Ontology, names: TermNames | None = None) -> "Mentions":
        """Prepare an ontology; some 0.3 s for a release of the HPO where `names` stands already."""
        names = names or TermNames.of(ontology)
        in_order: dict[str, int] = {}
        bags: dict[str, int] = {}
        longest: dict[str, int] = {}
        for key, numbers in names.exact_keys.items():
            entry = _one_meaning(names, numbers)
            words = key.split()
            if entry is None or len(words) > LONGEST_NAME or not _is_safe(words):
                continue
            in_order[key] = entry
            longest[words[0]] = max(longest.get(words[0], 0), len(words))
            if len(words) > 1:
                bag = " ".join(sorted(set(words) - _LINKS))
                known = bags.setdefault(bag, entry)
                if known >= 0 and names.entries[known].term != names.entries[entry].term:
                    bags[bag] = _AMBIGUOUS
        return cls(
            names=names,
            in_order=in_order,
            turned={bag: entry for bag, entry in bags.items() if entry >= 0 and " " in bag},
            longest=longest,
            abbreviations=_abbreviations(names),
            labels={
                entry.term: number
                for number, entry in enumerate(names.entries)
                if entry.scope == 0 and names.is_sign[entry.term]
            },
        )

    def find(self, text: str, language: Language | None = None) -> list[Mention]:
        """The signs that a text names of its patient, in its order.

        Longest names first, each word once. Left out: signs of relatives, and those that are only feared,
        suspected or looked for. See docs/rare_text.md for what this cannot do.

        Args:
            text: at most 200,000 characters are read.
            language: what the text is written in; None guesses by its small words.
        """
        text = text[:LONGEST_TEXT]
        found = tokens(text)
        if not found:
            return []
        spoken = language or guess_language(token.word for token in found)
        pauses = _pauses(text, found)
        matches = _longest_first(self._matches(text, found, pauses, spoken))
        signs = [-1] * len(found)
        for number, match in enumerate(matches):
            signs[match.first : match.last + 1] = [number] * (match.last - match.first + 1)
        words = [_cue_word(text, token) for token in found]
        verdicts = judge(words, pauses, signs, spoken)
        mentions = []
        for match in matches:
            verdict = verdicts[match.first]
            if verdict is Verdict.LEFT_OUT:
                continue
            entry = self.names.entries[match.entry]
            start, end = found[match.first].start, found[match.last].end
            absent = verdict is Verdict.ABSENT
            mentions.append(Mention(entry.term, start, end, text[start:end], absent, entry.text))
        return mentions

    def _matches(
        self, text: str, found: Sequence[Token], pauses: Sequence[Pause], language: str
    ) -> Iterator[_Match]:
        stems = [token.stem for token in found]
        for first, token in enumerate(found):
            short = self.abbreviations.get(text[token.start : token.end])
            if short is not None:
                yield _Match(first, first, short, turned=False)
            by_id = self._by_id(text, found, first)
            if by_id is not None:
                yield _Match(first, first + 1, by_id, turned=False)
            close = _run(pauses, first, LONGEST_NAME, Pause.COLON)
            most = _run(pauses, first, self.longest.get(token.stem, 0), Pause.SENTENCE)
            for size in range(most, 0, -1):
                entry = self.in_order.get(" ".join(stems[first : first + size]))
                if entry is not None and self._is_spoken(entry, language) and self._fits(entry, size, close):
                    yield _Match(first, first + size - 1, entry, turned=False)
                    break
            if token.stem not in _LINKS:
                yield from self._turned(stems, first, min(close, LONGEST_TURNED), language)

    def _by_id(self, text: str, found: Sequence[Token], first: int) -> int | None:
        """The label of a sign that is named by its id."""
        if found[first].word != "hp" or first + 1 == len(found):
            return None
        written = text[found[first].start : found[first + 1].end].upper()
        sign = self.names.ontology.find(written) if TERM_ID.fullmatch(written) else None
        return None if sign is None else self.labels.get(sign.term)

    def _turned(self, stems: Sequence[str], first: int, most: int, language: str) -> Iterator[_Match]:
        """Names whose words come in another order: small words between them, or three and more of them."""
        for size in range(most, 1, -1):
            window = stems[first : first + size]
            if window[-1] in _LINKS:
                continue
            bag = set(window) - _LINKS
            linked = size - len(bag)
            if len(bag) < 2 or (not linked and len(bag) < 3) or linked > 3:
                continue
            entry = self.turned.get(" ".join(sorted(bag)))
            if entry is not None and self._is_spoken(entry, language):
                yield _Match(first, first + size - 1, entry, turned=True)
                return

    def _fits(self, entry: int, size: int, close: int) -> bool:
        """Whether the text pauses within a name only where the name does: `hearing loss, sensorineural`."""
        return size <= close or not _PAUSING.isdisjoint(self.names.entries[entry].text)

    def _is_spoken(self, entry: int, language: str) -> bool:
        """Whether a name belongs to a language: English lay words are not sought in Spanish texts."""
        kind = self.names.entries[entry].kind
        if language == "es":
            return kind == "es" or kind not in ("layperson", "plural_form", "uk_spelling")
        return kind in _OTHERS


def _one_meaning(names: TermNames, numbers: Sequence[int]) -> int | None:
    """The entry of the sign that a name means most closely; None where it is ambiguous or no sign."""
    best = -1
    nearest = len(SCOPES)
    is_ambiguous = False
    for number in numbers:
        term, _, scope, kind = names.entries[number]
        if kind in ("abbreviation", "obsolete_synonym") or not names.is_sign[term]:
            continue
        if scope < nearest:
            best, nearest, is_ambiguous = number, scope, False
        elif scope == nearest and names.entries[best].term != term:
            is_ambiguous = True
    return None if best < 0 or is_ambiguous else best


def _is_safe(words: Sequence[str]) -> bool:
    if len(words) == 1:
        return words[0] not in _UNSAFE and len(words[0]) > 2
    return any(len(word) > 2 for word in words)


def _abbreviations(names: TermNames) -> dict[str, int]:
    """Abbreviations of three letters and more that stand for one sign."""
    found: dict[str, set[int]] = {}
    for number, entry in enumerate(names.entries):
        if entry.kind == "abbreviation" and len(split(entry.text)) == 1 and len(entry.text) > 2:
            found.setdefault(entry.text, set()).add(number)
    terms = {text: {names.entries[n].term for n in numbers} for text, numbers in found.items()}
    return {
        text: min(numbers)
        for text, numbers in found.items()
        if len(terms[text]) == 1 and names.is_sign[next(iter(terms[text]))] and not text.islower()
    }


def _longest_first(matches: Iterable[_Match]) -> list[_Match]:
    """Matches that share no word, long ones chosen first, in the order of the text."""
    taken: set[int] = set()
    chosen = []
    for match in sorted(matches, key=lambda m: (m.first - m.last, m.turned, m.first)):
        places = range(match.first, match.last + 1)
        if taken.isdisjoint(places):
            taken.update(places)
            chosen.append(match)
    return sorted(chosen)


def _pauses(text: str, found: Sequence[Token]) -> list[Pause]:
    pauses = [Pause.SENTENCE]
    for before, token in pairwise(found):
        gap = text[before.end : token.start]
        if gap in (" ", "-"):
            pauses.append(Pause.NONE)
        elif _NEW_LINE.search(gap + text[token.start]) or (
            _STOP.search(gap + " ") and not (before.word in _NOT_A_STOP and gap.startswith("."))
        ):
            pauses.append(Pause.SENTENCE)
        elif ":" in gap:
            pauses.append(Pause.COLON)
        elif " - " in gap or not _APART.isdisjoint(gap):
            pauses.append(Pause.COMMA)
        else:
            pauses.append(Pause.NONE)
    return pauses


def _run(pauses: Sequence[Pause], first: int, most: int, until: Pause) -> int:
    """Words from one on that no such pause parts."""
    size = min(most, 1)
    while size < most and first + size < len(pauses) and pauses[first + size] < until:
        size += 1
    return size


def _cue_word(text: str, token: Token) -> str:
    """The word as cues know it; `sí` is no `si`."""
    return "sí" if text[token.start : token.end].lower() == "sí" else token.word
