"""What a sentence says of the signs it names: that they are there, that they are not, or neither.

After NegEx (Chapman et al. 2001) and ConText (Harkema et al. 2009): a cue opens a scope, which a conjunction,
a verb or the end of the sentence closes. The lists of cues are our own.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum

from galeno.knowledge.cues import CUES, Cues, Kind


class Verdict(IntEnum):
    """What is said of a sign."""

    PRESENT = 0
    ABSENT = 1
    LEFT_OUT = 2
    """Of somebody else, or not certain."""


class Pause(IntEnum):
    """What parts a word from the one before it."""

    NONE = 0
    COLON = 1
    COMMA = 2
    SENTENCE = 3


_AND = frozenset(("and", "or", "nor", "y", "e", "o", "u", "ni"))
_LIST_WORDS = 3
"""Other words that a part between commas may hold and still go on a list."""
LONGEST_SCOPE = 60
"""Words that a cue reaches at most; it keeps hostile texts from taking quadratic time."""
_SPEAKS_ANEW = frozenset((Kind.CLOSE, Kind.VERB, Kind.PATIENT))
_CLOSERS: Mapping[Kind, frozenset[Kind]] = {
    Kind.NEGATE: _SPEAKS_ANEW,
    Kind.NEGATED: _SPEAKS_ANEW,
    Kind.DOUBT: frozenset((Kind.CLOSE,)),
    Kind.FAMILY: frozenset((Kind.CLOSE, Kind.PATIENT)),
}
_SMALL_WORDS = {
    "en": "the of with and or but not without denies is was has had his her in to for at by from patient",
    "es": "el la los las de del con sin pero niega o ni y que una un por para se su al paciente fue es",
}


def guess_language(words: Iterable[str]) -> str:
    """English or Spanish, by their small words; English where they say nothing."""
    seen = list(words)
    counts = {language: sum(map(seen.count, small.split())) for language, small in _SMALL_WORDS.items()}
    return "es" if counts["es"] > counts["en"] else "en"


def judge(
    words: Sequence[str], pauses: Sequence[Pause], signs: Sequence[int], language: str
) -> list[Verdict]:
    """What a text says of each of its words.

    Args:
        words: folded, in the order of the text.
        pauses: what parts each from the one before it.
        signs: number of the sign that the word belongs to; -1 for other words.
        language: en or es.

    Returns:
        One verdict for each word; those of the words of signs are meant.
    """
    verdicts = [Verdict.PRESENT] * len(words)
    start = 0
    for place in range(1, len(words) + 1):
        if place == len(words) or pauses[place] is Pause.SENTENCE:
            _Sentence(words, pauses, signs, CUES[language], range(start, place)).judge(verdicts)
            start = place
    return verdicts


class _Sentence:
    """One sentence, read from left to right."""

    def __init__(
        self,
        words: Sequence[str],
        pauses: Sequence[Pause],
        signs: Sequence[int],
        cues: Cues,
        places: range,
    ) -> None:
        self.words, self.pauses, self.signs, self.cues, self.places = words, pauses, signs, cues, places

    def judge(self, verdicts: list[Verdict]) -> None:
        found = self._found()
        for place, (kind, end) in found.items():
            negates = kind in (Kind.NEGATE, Kind.NEGATED)
            verdict = Verdict.ABSENT if negates else Verdict.LEFT_OUT
            if self._looks_back(kind, place, end):
                self._backward(place, verdicts, verdict)
            elif kind in _CLOSERS:
                for after in range(end, self._scope(end, kind, found)):
                    verdicts[after] = max(verdicts[after], verdict)

    def _looks_back(self, kind: Kind, place: int, end: int) -> bool:
        if kind is Kind.NEGATE:
            return self._answers(place, end)
        if kind is Kind.NEGATED:
            return not self._leads(end)
        return kind is Kind.DOUBTED or (kind is Kind.DOUBT and self._trails(place, end))

    def _found(self) -> dict[int, tuple[Kind, int]]:
        """Cues by their place, with where they end; words of signs are none."""
        found: dict[int, tuple[Kind, int]] = {}
        place = self.places.start
        while place < self.places.stop:
            kind, end = self._cue(place)
            if kind is not None:
                found[place] = kind, end
                if kind is Kind.NEGATE:
                    # The verb of a negation does not end it: has not had, no presenta.
                    while end < self.places.stop and self._cue(end)[0] is Kind.VERB:
                        end = self._cue(end)[1]
                    found[place] = kind, end
            place = max(end, place + 1)
        return found

    def _cue(self, place: int) -> tuple[Kind | None, int]:
        if self.signs[place] >= 0:
            return None, place + 1
        relative = self._relative(place)
        if relative is not None:
            return relative
        for phrase, kind in self.cues.by_first.get(self.words[place], ()):
            end = place + len(phrase)
            if end <= self.places.stop and tuple(self.words[place:end]) == phrase:
                inside = range(place + 1, end)
                if all(self.signs[i] < 0 and self.pauses[i] < Pause.COMMA for i in inside):
                    return kind, end
        return None, place + 1

    def _relative(self, place: int) -> tuple[Kind, int] | None:
        """A relative who has what follows, or in whom was what came before."""
        word = self.words[place]
        if word in self.cues.of_relative:
            if place + 1 in self.places and self.signs[place + 1] >= 0:
                return Kind.DOUBT, place + 1
            if place - 1 in self.places and self.signs[place - 1] >= 0:
                return Kind.DOUBTED, place + 1
        if word in self.cues.within:
            relative = self._ahead(place, 3, self.cues.relatives)
            if relative is not None and self._ahead(relative, 1, self.cues.have) is None:
                return Kind.DOUBTED, relative + 1
        if word in self.cues.relatives:
            has = self._ahead(place, 5, self.cues.have)
            if has is not None and self._ahead(has - 1, 3, self.cues.observed) is None:
                return Kind.FAMILY, has + 1
        return None

    def _ahead(self, place: int, reach: int, words: frozenset[str]) -> int | None:
        """The next of some words, before any sign or comma."""
        for ahead in range(place + 1, min(place + 1 + reach, self.places.stop)):
            if self.signs[ahead] >= 0 or self.pauses[ahead] is Pause.COMMA:
                return None
            if self.words[ahead] in words:
                return ahead
        return None

    def _scope(self, start: int, kind: Kind, found: Mapping[int, tuple[Kind, int]]) -> int:
        """Where the scope of a cue ends: at a word that closes it, or a comma that no list follows."""
        stop = min(start + LONGEST_SCOPE, self.places.stop)
        for place in range(start, stop):
            if place in found and found[place][0] in _CLOSERS[kind]:
                return place
            is_comma = self.pauses[place] is Pause.COMMA and place > start
            if is_comma and kind is not Kind.FAMILY and not self._goes_on(place, found):
                return place
        return stop

    def _goes_on(self, start: int, found: Mapping[int, tuple[Kind, int]]) -> bool:
        """Whether what comes behind a comma is one more of a list, before anything new is said."""
        others = 0
        has_sign = False
        for place in range(start, self.places.stop):
            if place > start and self.pauses[place] is Pause.COMMA:
                break
            if place in found and found[place][0] in _SPEAKS_ANEW:
                return has_sign
            has_sign = has_sign or self.signs[place] >= 0
            others += self.signs[place] < 0 and self.words[place] not in _AND
            if others > _LIST_WORDS:
                return False
        return True

    def _leads(self, end: int) -> bool:
        """Whether a sign comes soon after a cue that usually stands behind one."""
        if end < self.places.stop and self.words[end] in _AND:
            return False
        for place in range(end, min(end + 4, self.places.stop)):
            if self.pauses[place] >= Pause.COMMA:
                return False
            if self.signs[place] >= 0:
                return True
        return False

    def _trails(self, place: int, end: int) -> bool:
        """Whether a cue that usually stands before a sign ends its part of the sentence, behind one."""
        ends = end == self.places.stop or self.pauses[end] is Pause.COMMA
        return ends and any(self.signs[i] >= 0 for i in range(max(self.places.start, place - 3), place))

    def _answers(self, place: int, end: int) -> bool:
        """Whether a cue is the answer of a form, as in `Seizures: no`."""
        return (
            place > self.places.start
            and self.pauses[place] is Pause.COLON
            and self.signs[place - 1] >= 0
            and (end == self.places.stop or self.pauses[end] is Pause.COMMA)
        )

    def _backward(self, place: int, verdicts: list[Verdict], verdict: Verdict) -> None:
        """Judge the signs before a cue: the nearest, and those that `and` or `or` join to it."""
        joined = False
        sign = -1
        others = 0
        for before in range(place - 1, max(self.places.start, place - LONGEST_SCOPE) - 1, -1):
            own = self.signs[before]
            if own >= 0:
                if sign not in (-1, own) and not joined:
                    return
                sign, others = own, 0
                verdicts[before] = max(verdicts[before], verdict)
            elif self.words[before] in _AND:
                joined = True
            else:
                others += 1
                cue = self._cue(before)[0]
                if others > _LIST_WORDS + 1 or cue in (Kind.CLOSE, Kind.PATIENT):
                    return
                if sign >= 0 and cue is Kind.VERB:
                    return
            if self.pauses[before] is Pause.COMMA and sign >= 0 and not joined:
                return
