"""Search for a term by what people call it: names and synonyms, beginnings of words, misspellings."""

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from galeno.knowledge.ontology import PHENOTYPE, Ontology, Sparse
from galeno.knowledge.words import split, stem

SKIPPED_KINDS = frozenset({"HP:0034334"})
"""Kinds of synonyms that nobody says: codes of allelic requirements."""
_SPEECH = frozenset({"", "layperson", "plural_form", "uk_spelling"})
"""Kinds that tell nothing more of a text that is the label itself."""
SCOPES = ("", "EXACT", "NARROW", "RELATED", "BROAD")
"""How near a name is to its term, nearest first; the preferred label has none."""
LONGEST_QUERY = 200
MOST_WORDS = 12
SPREAD = 60
"""Words of the vocabulary that one beginning or misspelling may stand for."""

EXACT, BEGINNING, MISSPELT = 1.0, 0.85, 0.7
"""How well a word of the question matches a word of a name, at best."""
LEAST = 0.45
"""Score below which nothing is told."""
DISCOUNT = np.array([1.0, 0.99, 0.93, 0.9, 0.88], np.float32)
"""What a name of each scope is worth."""

Floats = NDArray[np.float32]


class Hit(NamedTuple):
    """A term that was found."""

    term: int
    id: str
    name: str
    """Its preferred label."""
    matched: str
    """The name or synonym that matches best."""
    score: float
    """1 for the very name, less for beginnings, parts and misspellings."""


class Meaning(NamedTuple):
    """A term that a text names."""

    term: int
    matched: str
    scope: str
    """EXACT, NARROW, RELATED, BROAD, or empty for the preferred label."""


class Entry(NamedTuple):
    """One name of one term."""

    term: int
    text: str
    scope: int
    """Index into `SCOPES`."""
    kind: str
    """As in `ontology.Synonym`; empty for the preferred label."""


@dataclass(frozen=True, eq=False, repr=False)
class TermNames:
    """All names of an ontology, indexed.

    Matching is by words: each word of the question stands for itself, for words that begin with it, or for
    words a few letters away (Damerau 1964, candidates by shared trigrams), and rare words weigh more (inverse
    document frequency, Sparck Jones 1972).

    Attributes:
        ontology: what the names are of.
        entries: names and synonyms; the position of one is its index.
        exact_keys: the stems of a name, joined by blanks, to its entries.
        is_sign: which terms say something of a patient: phenotypes without the root of them all.
    """

    ontology: Ontology
    entries: tuple[Entry, ...]
    exact_keys: dict[str, tuple[int, ...]]
    is_sign: tuple[bool, ...]
    _words: tuple[str, ...]
    """Vocabulary, sorted."""
    _numbers: dict[str, int]
    _postings: Sparse
    """Entries of each word."""
    _weights: Floats
    """Weight of each word."""
    _entry_weights: Floats
    """Sum over the words of each entry."""
    _entry_scopes: NDArray[np.int8]
    _entry_terms: NDArray[np.int32]
    _trigrams: dict[str, NDArray[np.int32]]
    """Words of each trigram."""
    _trigram_counts: NDArray[np.int32]

    @classmethod
    def of(cls, ontology: Ontology) -> "TermNames":
        """Index the names of an ontology; some 0.5 s for a release of the HPO."""
        entries = tuple(_entries(ontology))
        stems: dict[str, str] = {}
        keys: dict[str, list[int]] = {}
        holders: dict[str, array[int]] = {}
        for number, entry in enumerate(entries):
            parts = []
            for word in split(entry.text):
                root = stems.get(word)
                if root is None:
                    root = stems[word] = stem(word)
                parts.append(root)
            keys.setdefault(" ".join(parts), []).append(number)
            for part in set(parts):
                holder = holders.get(part)
                if holder is None:
                    holder = holders[part] = array("i")
                holder.append(number)
        words = tuple(sorted(holders))
        postings = _joined([holders[word] for word in words])
        sizes = np.diff(postings.offsets)
        weights: Floats = np.log(1 + len(entries) / np.maximum(sizes, 1)).astype(np.float32)
        entry_weights: Floats = np.bincount(
            postings.values, weights=np.repeat(weights, sizes), minlength=len(entries)
        ).astype(np.float32)
        trigrams, counts = _trigrams_of(words)
        return cls(
            ontology=ontology,
            entries=entries,
            is_sign=tuple(
                bool(each) and term != PHENOTYPE
                for term, each in zip(ontology.ids, ontology.is_phenotype.tolist(), strict=True)
            ),
            exact_keys={key: tuple(numbers) for key, numbers in keys.items() if key},
            _words=words,
            _numbers={word: number for number, word in enumerate(words)},
            _postings=postings,
            _weights=weights,
            _entry_weights=entry_weights,
            _entry_scopes=np.array([entry.scope for entry in entries], np.int8),
            _entry_terms=np.array([entry.term for entry in entries], np.int32),
            _trigrams=trigrams,
            _trigram_counts=counts,
        )

    def meanings(self, text: str) -> list[Meaning]:
        """What a name means: the terms it belongs to most closely, several where it is ambiguous.

        Case, accents, plurals, hyphens and British spelling make no difference, unless they tell two terms
        apart. Signs go before other terms of the ontology.
        """
        words = split(text)
        found = [self.entries[n] for n in self.exact_keys.get(" ".join(map(stem, words)), ())]
        if not found:
            return []

        def distance(entry: Entry) -> tuple[bool, int, bool]:
            return not self.ontology.is_phenotype[entry.term], entry.scope, split(entry.text) != words

        nearest = min(map(distance, found))
        best = {e.term: Meaning(e.term, e.text, SCOPES[e.scope]) for e in found if distance(e) == nearest}
        return list(best.values())

    def exact(self, text: str) -> int | None:
        """The one term with this name or synonym; None where there is none, or more than one."""
        meanings = self.meanings(text)
        return meanings[0].term if len(meanings) == 1 else None

    def search(self, text: str, limit: int = 10, *, signs_only: bool = True) -> list[Hit]:
        """The terms whose names are most like a text, best first, ties in order of id.

        Args:
            text: words, beginnings of words, misspelt words, or the beginning of an id; what is longer
                than 200 characters or 12 words is cut.
            limit: terms to return.
            signs_only: leave out inheritance, onset, modifiers and the like.
        """
        text = text[:LONGEST_QUERY].strip()
        if text.upper().startswith("HP:") or (text.isdigit() and len(text) > 3):
            return self._by_id(text, limit, signs_only)
        words = [stem(word) for word in split(text)][:MOST_WORDS]
        if not words or limit < 1:
            return []
        score = self._score(self._mended(words))
        for number in self.exact_keys.get(" ".join(words), ()):
            score[number] = 1.0
        score *= DISCOUNT[self._entry_scopes]
        if signs_only:
            score[~self.ontology.is_phenotype[self._entry_terms]] = 0
        return self._best(score, limit)

    def _by_id(self, text: str, limit: int, signs_only: bool) -> list[Hit]:
        ids = self.ontology.ids
        begin = "HP:" + text.upper().removeprefix("HP:").strip()
        found = self.ontology.find(begin)
        if found is not None:
            places = [found.term]
        else:
            first = bisect_left(ids, begin)
            last = bisect_left(ids, begin + "~")
            places = list(range(first, last))
        shown = [place for place in places if not signs_only or self.ontology.is_phenotype[place]][:limit]
        return [Hit(p, ids[p], self.ontology.names[p], self.ontology.names[p], 1.0) for p in shown]

    def _mended(self, words: list[str]) -> list[str]:
        """Words written apart that are one, and one that are two: micro cephaly, shortstature."""
        mended: list[str] = []
        for word in words:
            if (
                mended
                and mended[-1] + word in self._numbers
                and not (mended[-1] in self._numbers and word in self._numbers)
            ):
                mended[-1] += word
            else:
                mended.append(word)
        return [part for word in mended for part in self._parted(word)]

    def _parted(self, word: str) -> list[str]:
        if len(word) < 8 or word in self._numbers or self._beginning(word, 1):
            return [word]
        cuts = ((word[:cut], word[cut:]) for cut in range(3, len(word) - 2))
        for left, right in cuts:
            if stem(left) in self._numbers and right in self._numbers:
                return [stem(left), right]
        return [word]

    def _beginning(self, begin: str, most: int) -> range:
        """Words that begin so, at most so many."""
        first = bisect_left(self._words, begin)
        last = bisect_left(self._words, begin + "\U0010ffff", lo=first)
        return range(first, min(last, first + most))

    def _score(self, words: list[str]) -> Floats:
        """How like the words each entry is, 0 to 1, shape (entries,)."""
        asked = np.zeros(len(self.entries), np.float32)
        covered = np.zeros(len(self.entries), np.float32)
        total = 0.0
        quality = np.empty(len(self.entries), np.float32)
        weight = np.empty(len(self.entries), np.float32)
        for place, word in enumerate(words):
            matches = self._matches(word, is_last=place == len(words) - 1)
            # A word that no name has weighs as much as a rare one, so that what is found is told as doubtful.
            heaviest = max(
                (float(self._weights[n]) for n, each in matches if each == matches[-1][1]), default=8.0
            )
            total += heaviest
            quality[:] = 0
            weight[:] = 0
            for number, value in matches:
                holders = self._postings.row(number)
                quality[holders] = value
                weight[holders] = self._weights[number]
            np.add(asked, np.float32(heaviest) * quality, out=asked)
            np.add(covered, weight * quality, out=covered)
        share = np.minimum(covered / np.maximum(self._entry_weights, 1e-6), 1)
        score = (asked / np.float32(total)) * (np.float32(0.6) + np.float32(0.39) * share)
        score[score < LEAST] = 0
        return score

    def _matches(self, word: str, *, is_last: bool) -> list[tuple[int, float]]:
        """Words of the vocabulary that a word may stand for, worst first."""
        found: dict[int, float] = {}
        own = self._numbers.get(word)
        if len(word) >= 4 and own is None:
            found |= self._misspelt(word, is_last=is_last)
        if len(word) >= 2 or is_last:
            for number in self._beginning(word, 400 if is_last else SPREAD):
                longer = len(self._words[number]) - len(word)
                value = BEGINNING + 0.1 * (len(word) / (len(word) + longer)) - (0.0 if is_last else 0.1)
                found[number] = max(value, found.get(number, 0.0))
        if own is not None:
            found[own] = EXACT
        return sorted(found.items(), key=lambda pair: pair[1])

    def _misspelt(self, word: str, *, is_last: bool) -> dict[int, float]:
        # A swap in a short word leaves no trigram of it whole.
        swapped = (word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(len(word) - 1))
        found = {self._numbers[each]: MISSPELT + 0.1 for each in swapped if each in self._numbers}
        lists = [self._trigrams[each] for each in _trigrams(word) if each in self._trigrams]
        if not lists:
            return found
        shared = np.bincount(np.concatenate(lists), minlength=len(self._words))
        alike = 2 * shared / (self._trigram_counts + len(word) + 1)
        if is_last:
            # Words that are not typed to their end share few of all trigrams, but most of those typed.
            alike = np.maximum(alike, 0.8 * shared / (len(word) + 1))
        places = np.argpartition(-alike, min(SPREAD, len(alike) - 1))[:SPREAD]
        allowed = 1 if len(word) < 6 else 2 if len(word) < 9 else 3
        for place in map(int, places[alike[places] > 0.2]):
            whole, begun = _distances(word, self._words[place], allowed)
            if whole <= allowed:
                found[place] = MISSPELT + 0.2 * (1 - whole / allowed) + 0.05 * float(alike[place])
            elif is_last and len(word) > 4 and begun < allowed:
                found[place] = MISSPELT - 0.05 + 0.05 * float(alike[place])
        return found

    def _best(self, score: Floats, limit: int) -> list[Hit]:
        places = np.flatnonzero(score)
        if places.size > 2000:
            places = places[np.argpartition(-score[places], 2000)[:2000]]
        order = places[np.lexsort((places, -score[places]))]
        hits: dict[int, Hit] = {}
        for place in map(int, order):
            entry = self.entries[place]
            if entry.term not in hits:
                ontology = self.ontology
                name = ontology.names[entry.term]
                hits[entry.term] = Hit(
                    entry.term, ontology.ids[entry.term], name, entry.text, round(float(score[place]), 4)
                )
                if len(hits) == limit:
                    break
        return list(hits.values())


def _entries(ontology: Ontology) -> Iterator[Entry]:
    for term, (name, synonyms) in enumerate(zip(ontology.names, ontology.synonyms, strict=True)):
        yield Entry(term, name, 0, "")
        for text, scope, kind in synonyms:
            if kind not in SKIPPED_KINDS and (text != name or kind not in _SPEECH):
                level = SCOPES.index(scope) if scope in SCOPES else SCOPES.index("RELATED")
                yield Entry(term, text, max(level, 1) if kind != "obsolete_synonym" else 4, kind)


def _joined(rows: list["array[int]"]) -> Sparse:
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    return Sparse(offsets, np.frombuffer(b"".join(row.tobytes() for row in rows), np.int32))


def _trigrams(word: str) -> set[str]:
    padded = f"\x02{word}\x03"
    return {padded[place : place + 3] for place in range(len(padded) - 2)}


def _trigrams_of(words: tuple[str, ...]) -> tuple[dict[str, NDArray[np.int32]], NDArray[np.int32]]:
    """Words of each trigram, and how many trigrams each word has."""
    holders: dict[str, array[int]] = {}
    counts = np.zeros(len(words), np.int32)
    for number, word in enumerate(words):
        own = _trigrams(word)
        counts[number] = len(own)
        for trigram in own:
            holder = holders.get(trigram)
            if holder is None:
                holder = holders[trigram] = array("i")
            holder.append(number)
    return {trigram: np.array(holder, np.int32) for trigram, holder in holders.items()}, counts


def _distances(word: str, other: str, most: int) -> tuple[int, int]:
    """Edits from a word to another, and to the nearest beginning of it; neighbours that swapped are one edit.

    Both are told as `most` + 1 where they are more.
    """
    far = most + 1
    if len(word) - len(other) > most:
        return far, far
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(word, 1):
        current = [i]
        for j, its in enumerate(other, 1):
            cost = min(row[j] + 1, current[j - 1] + 1, row[j - 1] + (letter != its))
            if i > 1 and j > 1 and letter == other[j - 2] and word[i - 2] == its:
                cost = min(cost, before[j - 2] + 1)
            current.append(cost)
        if min(current) > most:
            return far, far
        before, row = row, current
    return min(row[-1], far), min(*row, far)
