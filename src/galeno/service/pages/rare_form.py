"""What is asked of the ranking of rare diseases, as its page has it: read from what was typed.

Pure: no request, no desk.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from galeno.ingest.values import comma_number_of, number_of
from galeno.knowledge.durations import OLDEST
from galeno.service.asked import LONGEST_TEXT, Asked, TermMention
from galeno.service.pages.signs import Sign, is_id, parse_signs, shape_fault, with_sign
from galeno.service.pages.words import Words, mark

SIGNS: Final = "signs"
SEXES: Final[Mapping[str, str]] = {"FEMALE": mark("Female"), "MALE": mark("Male")}
AGE_UNITS: Final[Mapping[str, tuple[str, float]]] = {
    "years": (mark("years"), 1.0),
    "months": (mark("months"), 1 / 12),
    "days": (mark("days"), 1 / 365.25),
}
"""What an age may be typed in, and how many years each is."""
ONSETS: Final[Mapping[str, str]] = {
    "HP:0030674": mark("before birth"),
    "HP:0003577": mark("at birth"),
    "HP:0003623": mark("in the first 28 days"),
    "HP:0003593": mark("in the first year"),
    "HP:0011463": mark("from 1 to 5 years"),
    "HP:0003621": mark("from 5 to 15 years"),
    "HP:0011462": mark("from 16 to 40 years"),
    "HP:0003596": mark("from 40 to 60 years"),
    "HP:0003584": mark("after 60 years"),
}
"""Terms of the onset branch of the HPO, in the order of life."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a text: `present` or `absent` where it mentions a sign, else nothing."""

    text: str
    kind: str = ""
    label: str = ""


def read_signs(sent: Mapping[str, str]) -> tuple[Sign, ...]:
    """The signs that were typed, with the one whose button was pressed."""
    signs = parse_signs(sent.get(SIGNS, ""))
    for button, present in (("add", True), ("deny", False)):
        for pressed in parse_signs(sent.get(button, ""))[:1]:
            signs = with_sign(signs, Sign(pressed.token, present, pressed.label))
    return signs


def read_asked(sent: Mapping[str, str], signs: Sequence[Sign], words: Words) -> tuple[Asked, dict[str, str]]:
    """What is asked, and what is wrong with it by the fields' ids.

    The text is no part of it: what it mentions is among the signs, from which the reader may have taken some.

    Args:
        sent: what was typed, by the fields' names.
        signs: of the lines and of the text.
        words: the reader's language.
    """
    faults = {}
    wrong = shape_fault(signs, words)
    if not wrong and not any(sign.present for sign in signs):
        wrong = words.gettext("Enter a sign that is present, or a text that mentions one.")
    if wrong:
        faults[SIGNS] = wrong
    age, wrong = _read_age(sent, words)
    if wrong:
        faults["age"] = wrong
    sex, onset = sent.get("sex", ""), sent.get("onset", "")
    if sex not in {"", *SEXES}:
        faults["sex"] = words.gettext("Choose one of the options.")
    # A ranking that came by another way may have been asked with years, or with a finer term.
    years = number_of(onset)
    if onset and years is None and not is_id(onset):
        faults["onset"] = words.gettext("Choose one of the options.")
    asked = Asked(
        patient_id=sent.get("patient_id", "").strip() or None,
        terms=tuple(sign.token for sign in signs if sign.present),
        excluded=tuple(sign.token for sign in signs if not sign.present),
        age=age,
        sex="FEMALE" if sex == "FEMALE" else "MALE" if sex == "MALE" else None,
        onset=(onset or None) if years is None else years,
    )
    return asked, faults


def text_fault(text: str, words: Words) -> str:
    """What is wrong with a text; empty for nothing."""
    if len(text) <= LONGEST_TEXT:
        return ""
    most = words.number(LONGEST_TEXT)
    return words.gettext("At most %(most)s characters; shorten the text.", most=most)


def mark_of(text: str) -> str:
    """Tells a text that was read from one that was not; empty for no text."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16] if text.strip() else ""


def add_mentions(signs: Sequence[Sign], mentions: Iterable[TermMention]) -> tuple[Sign, ...]:
    """Signs and those that a text mentions: what was typed counts more, and what is affirmed more.

    A sign that a text both affirms and denies is present.
    """
    known = {sign.token.casefold() for sign in signs}
    found: dict[str, Sign] = {}
    for mention in sorted(mentions, key=lambda each: each.negated):
        if mention.id.casefold() not in known:
            found.setdefault(mention.id, Sign(mention.id, not mention.negated, mention.label))
    return (*signs, *found.values())


def cut_text(text: str, mentions: Iterable[TermMention]) -> tuple[Piece, ...]:
    """A text in pieces, so that what was recognised can be shown in it."""
    pieces: list[Piece] = []
    at = 0
    for mention in sorted(mentions, key=lambda each: each.start):
        if mention.start < at:
            continue
        pieces.append(Piece(text[at : mention.start]))
        kind = "absent" if mention.negated else "present"
        pieces.append(Piece(text[mention.start : mention.end], kind, mention.label))
        at = mention.end
    return (*(piece for piece in pieces if piece.text), Piece(text[at:]))


def age_fields(years: float | None, words: Words) -> dict[str, str]:
    """An age as the fields of the form have it."""
    if years is None:
        return {}
    unit = "years" if years >= 2 or years == 0 else "months" if years >= 1 / 12 else "days"
    return {"age": words.number(round(years / AGE_UNITS[unit][1], 2)), "age_unit": unit}


def _read_age(sent: Mapping[str, str], words: Words) -> tuple[float | None, str]:
    """Years, and what is wrong with them."""
    text = sent.get("age", "").strip()
    if not text:
        return None, ""
    number = number_of(text)
    if number is None:
        number = comma_number_of(text)
    if number is None:
        return None, words.gettext("Enter a number, for example 36.8 or 36,8, without thousands separators.")
    years = number * AGE_UNITS.get(sent.get("age_unit", ""), ("", 1.0))[1]
    if not 0 <= years <= OLDEST:
        most = words.number(OLDEST, 0)
        return None, words.gettext("An age is from 0 to %(most)s years.", most=most)
    return years, ""
