"""A diagnosis as a page tells it: a sentence, bars, reasons in words, what spoke for and against.

Pure: no request, no desk.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from galeno.ingest.values import time_of
from galeno.records import Contribution, Explanation
from galeno.service.answers import StoredDiagnosis
from galeno.service.cds_cards import REASONS
from galeno.service.following import OTHER
from galeno.service.media_intake import HeldFile
from galeno.service.pages.file_words import file_reason, kind_text
from galeno.service.pages.signs import parse_signs
from galeno.service.pages.vocabulary import say_group, say_option, say_unit
from galeno.service.pages.words import Words, mark
from galeno.study import Column, Study

SPOKEN: Final = 6
"""Findings that are told for and against a condition."""
LEAST: Final = 0.0005
"""Contributions below it are not told: they would read 0.0 points."""
NO_NAMES: Final[Mapping[str, str]] = MappingProxyType({})
MODALITIES: Final[Mapping[str, str]] = {
    "table": mark("Measurements and answers"),
    "text": mark("Free text"),
    "phenotype": mark("Signs (HPO)"),
    "audio": mark("Sound"),
    "image": mark("Image"),
}
_MISSING: Final[Mapping[str, str]] = {
    "table": mark("There are no measurements; the model was trained with them."),
    "text": mark("There is no free text; the model was trained with it."),
    "phenotype": mark("There are no signs; the model was trained with them."),
    "audio": mark("There is no sound; the model was trained with it."),
    "image": mark("There is no image; the model was trained with it."),
}
_LONGEST: Final = 140
"""Characters of a text that are shown beside its contribution."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One condition of the ranking."""

    condition: str
    label: str
    probability: float
    share: str
    """The probability in words: never a certainty that rounding made."""
    open: bool
    """Not ruled out."""
    rare: bool
    first: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """What one input did to the probability of a condition."""

    label: str
    value: str
    entered: bool
    points: str
    """Percentage points with sign."""
    size: float
    """0 to 1, against the largest one."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """Why one condition has its probability."""

    label: str
    base: str
    share: str
    for_it: tuple[Finding, ...]
    against: tuple[Finding, ...]
    others: int
    """How many more findings had a part."""
    modalities: tuple[Finding, ...] = ()
    """What each kind of input did, the largest effect first; empty where there is only one."""


@dataclass(frozen=True, slots=True)
class Entered:
    """One group of the input as it was entered: labels and values."""

    title: str
    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was said of the diagnosis later."""

    time: str
    actor: str
    what: str
    detail: tuple[str, ...] = ()
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """The page of a diagnosis."""

    first: Bar
    sentence: str
    second: str
    """What is not ruled out, or that nothing else is left open."""
    note: str
    """Why the first condition is not the most probable one; empty where it is."""
    bars: tuple[Bar, ...]
    review: tuple[str, ...]
    """Why it needs review; empty where it does not."""
    coverage: str
    entered: tuple[Entered, ...]
    history: tuple[Event, ...]


def draw_result(
    stored: StoredDiagnosis,
    study: Study,
    words: Words,
    names: Mapping[str, str] = NO_NAMES,
    files: Mapping[str, str] = NO_NAMES,
) -> Result:
    """The page's view of a diagnosis.

    Args:
        stored: from the desk.
        study: the study as its champion knows it; a condition that it no longer has keeps its name.
        words: the reader's language.
        names: of signs, by their ids.
        files: what the sounds and images are, by their columns.
    """
    open_ = set(stored.not_ruled_out)
    rare = {each.name for each in study.classes if each.rare}
    bars = tuple(
        Bar(
            condition=ranked.condition,
            label=condition_label(study, ranked.condition, words),
            probability=ranked.probability,
            share=share(ranked.probability, words),
            open=ranked.condition in open_,
            rare=ranked.condition in rare,
            first=place == 0,
        )
        for place, ranked in enumerate(stored.ranking)
    )
    first = bars[0]
    top = max(bars, key=lambda bar: bar.probability)
    note = ""
    sentence = words.gettext(
        "Most likely: %(condition)s, with a probability of %(share)s.",
        condition=first.label,
        share=first.share,
    )
    if top.probability > first.probability:
        sentence = words.gettext(
            "First to consider: %(condition)s, with a probability of %(share)s.",
            condition=first.label,
            share=first.share,
        )
        note = words.gettext(
            "%(top)s has the higher probability (%(share)s). %(first)s still stands first, because the model "
            "gives conditions that are easily overlooked more weight.",
            top=top.label,
            share=top.share,
            first=first.label,
        )
    reasons = tuple(reason_text(study, reason, words) for reason in stored.reasons)
    return Result(
        first=first,
        sentence=sentence,
        second=_second(bars, words),
        note=note,
        bars=bars,
        review=(reasons or (words.gettext("The model asks for it."),)) if stored.needs_review else (),
        coverage=words.gettext(
            "“Not ruled out”: in %(coverage)s of patients like those that the model was tested on, the true "
            "condition is among those marked.",
            coverage=words.percent(study.learning.conformal.coverage),
        ),
        entered=_entered({**(stored.record or {}), **files}, study, words, names),
        history=_history(stored, study, words),
    )


def draw_spoken(
    explanations: Sequence[Explanation],
    study: Study,
    words: Words,
    names: Mapping[str, str] = NO_NAMES,
    files: Mapping[str, str] = NO_NAMES,
) -> tuple[Spoken, ...]:
    """What spoke for and against the first conditions, largest effect first.

    Args:
        explanations: of the desk.
        study: what answered.
        words: the reader's language.
        names: of signs, by their ids.
        files: what the sounds and images are, by their columns.
    """
    return tuple(_spoken(explanation, study, words, names, files) for explanation in explanations)


def condition_label(study: Study, name: str, words: Words) -> str:
    """A condition as clinicians call it; its name where the study has no label."""
    if name == OTHER and name not in study.class_names:
        return words.gettext("Another condition")
    label = next((each.label for each in study.classes if each.name == name), None)
    said = "" if label is None else (label.es if words.language == "es" else label.en)
    return said or name


def column_label(study: Study, name: str, words: Words) -> str:
    """A column as clinicians call it."""
    column = study.columns.get(name)
    if column is None:
        return name
    return (column.label.es if words.language == "es" else column.label.en) or name


def reason_codes(words: Words) -> dict[str, str]:
    """Why a diagnosis may be overridden: code and text, the same as CDS Hooks offers."""
    place = 0 if words.language == "es" else 1
    return {code: texts[place] for code, texts in REASONS.items()}


def reason_text(study: Study, reason: str, words: Words) -> str:
    """A reason to review in words."""
    code, _, what = reason.partition(":")
    if code == "missing":
        return _missing_text(what, words)
    bound = words.percent(study.evaluation.review_below)
    texts = {
        "low_confidence": words.gettext(
            "The probability of the first condition is low: below %(bound)s.", bound=bound
        ),
        "several_not_ruled_out": words.gettext("More than one condition is not ruled out."),
        "none_not_ruled_out": words.gettext(
            "No condition fits well: the patient is unlike those that the model was tested on."
        ),
    }
    name = column_label(study, what, words)
    about = {
        "out_of_range": words.gettext("%(name)s is outside the values that the model knows.", name=name),
        "bad_value": words.gettext("%(name)s could not be used as it was entered.", name=name),
    }
    return (about if what else texts).get(code) or file_reason(code, name, words) or reason


def _missing_text(modality: str, words: Words) -> str:
    if modality in _MISSING:
        return words.gettext(_MISSING[modality])
    return words.gettext("Missing: %(name)s.", name=modality)


def value_text(
    column: Column | None,
    value: object,
    words: Words,
    *,
    short: bool = False,
    names: Mapping[str, str] = NO_NAMES,
) -> str:
    """A value of a record as it is read.

    Args:
        column: of the study; None where the study no longer has it.
        value: plain or typed; None is missing.
        words: the reader's language.
        short: only the beginning of a long text.
        names: of signs, by their ids.
    """
    match value:
        case None | "":
            return words.gettext("not entered")
        case bool():
            return words.gettext("Yes") if value else words.gettext("No")
        case int() | float():
            unit = "" if column is None else say_unit(column.unit, words.language)
            return f"{number_text(value, words)} {unit}".strip()
        case HeldFile():
            return kind_text(value.kind, words)
    text = ";".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    if column is not None and column.type == "terms":
        text = signs_text(text, words, names)
    if column is not None and column.type == "category":
        text = say_option(text, column.options, words.language)
    elif column is not None and column.type == "date":
        time = time_of(text)
        text = text if time is None else words.date(time.date())
    elif short and len(text) > _LONGEST:
        text = text[:_LONGEST].rsplit(" ", 1)[0] + " …"
    return text


def signs_text(text: str, words: Words, names: Mapping[str, str]) -> str:
    """Signs of a record by their names, those that are absent last."""
    signs = parse_signs(text)
    present, absent = (
        "; ".join(sign.label or names.get(sign.token, sign.token) for sign in signs if sign.present is state)
        for state in (True, False)
    )
    denied = words.gettext("absent: %(names)s", names=absent) if absent else ""
    return "; ".join(part for part in (present, denied) if part)


def number_text(value: float, words: Words) -> str:
    """A number of a record with the decimals that it was entered with, at most six digits."""
    whole, _, decimals = f"{value:.6g}".partition(".")
    if "e" in whole or "e" in decimals:
        return words.number(value)
    most = 2 if abs(value) >= 10 else 6
    return words.number(value, min(len(decimals), most))


def share(probability: float, words: Words) -> str:
    """Whole percent; never a certainty that rounding made."""
    if probability >= 0.995:
        return "> " + words.percent(0.99)
    if probability < 0.005:
        return "< " + words.percent(0.01)
    return words.percent(probability)


def _second(bars: Sequence[Bar], words: Words) -> str:
    others = [bar.label for bar in bars if bar.open and not bar.first]
    if others and bars[0].open:
        return words.gettext("Not ruled out either: %(names)s.", names=_listed(others, words))
    if others:
        return words.gettext("Not ruled out: %(names)s.", names=_listed(others, words))
    if bars[0].open:
        return words.gettext("By its own threshold, the model leaves no other condition open.")
    return words.gettext("No condition fits well enough to be called likely.")


def _listed(names: Sequence[str], words: Words) -> str:
    if len(names) < 2:
        return "".join(names)
    return words.gettext("%(first)s and %(last)s", first=", ".join(names[:-1]), last=names[-1])


def _spoken(
    explanation: Explanation,
    study: Study,
    words: Words,
    names: Mapping[str, str],
    files: Mapping[str, str],
) -> Spoken:
    told = [each for each in explanation.contributions if abs(each.contribution) >= LEAST]
    largest = max((abs(each.contribution) for each in told), default=1.0)
    for_it = [each for each in told if each.contribution > 0]
    against = [each for each in told if each.contribution < 0]

    def finding(each: Contribution) -> Finding:
        value = files.get(each.column, each.value)
        return Finding(
            label=column_label(study, each.column, words),
            value=value_text(study.columns.get(each.column), value, words, short=True, names=names),
            entered=each.value is not None,
            points=_points(each.contribution, words),
            size=abs(each.contribution) / largest,
        )

    return Spoken(
        label=condition_label(study, explanation.condition, words),
        base=share(explanation.base, words),
        share=share(explanation.probability, words),
        for_it=tuple(finding(each) for each in for_it[:SPOKEN]),
        against=tuple(finding(each) for each in against[:SPOKEN]),
        others=max(0, len(for_it) - SPOKEN) + max(0, len(against) - SPOKEN),
        modalities=_modalities(explanation, words),
    )


def _modalities(explanation: Explanation, words: Words) -> tuple[Finding, ...]:
    shares = explanation.modalities
    if len(shares) < 2:
        return ()
    largest = max(abs(each.contribution) for each in shares) or 1.0
    return tuple(
        Finding(
            label=words.gettext(MODALITIES.get(each.modality, each.modality)),
            value="",
            entered=True,
            points=_points(each.contribution, words),
            size=each.contribution / largest,
        )
        for each in shares
    )


def _points(contribution: float, words: Words) -> str:
    """Percentage points with sign; none where they round to nothing."""
    sign = "" if abs(contribution) < LEAST else "+" if contribution > 0 else "\u2212"
    return sign + words.number(abs(contribution) * 100, 1)


def _entered(
    record: Mapping[str, Any], study: Study, words: Words, names: Mapping[str, str]
) -> tuple[Entered, ...]:
    groups: dict[str, list[tuple[str, str]]] = {}
    yes: dict[str, list[str]] = {}
    no: dict[str, list[str]] = {}
    for name, column in study.features_columns.items():
        value = record.get(name)
        if value is None:
            continue
        label = column_label(study, name, words)
        groups.setdefault(column.group, [])
        if column.type == "flag" and isinstance(value, bool):
            (yes if value else no).setdefault(column.group, []).append(label)
        else:
            groups[column.group].append((label, value_text(column, value, words, names=names)))
    for group, told in groups.items():
        # Long lists of yes and no are read faster as two lines.
        if group in yes:
            told.append((words.gettext("Present"), ", ".join(yes[group])))
        if group in no:
            told.append((words.gettext("Absent"), ", ".join(no[group])))
    return tuple(
        Entered(say_group(group, words.language) if group else words.gettext("Findings"), tuple(told))
        for group, told in groups.items()
    )


def _history(stored: StoredDiagnosis, study: Study, words: Words) -> tuple[Event, ...]:
    _ = words.gettext
    codes = reason_codes(words)
    events = [Event(stored.created, stored.actor, _("Diagnosis made"))]
    for said in stored.feedback:
        detail = []
        if said.condition is not None:
            name = condition_label(study, said.condition, words)
            detail.append(_("Own diagnosis: %(name)s", name=name))
        if said.reason is not None:
            detail.append(_("Reason: %(name)s", name=codes.get(said.reason, said.reason)))
        if said.rating is not None:
            detail.append(_("Usefulness: %(rating)s of 5", rating=said.rating))
        what = _("Agrees") if said.agrees else _("Does not agree")
        events.append(Event(said.created, said.actor, what, tuple(detail), said.comment or ""))
    for outcome in stored.outcomes:
        what = _("Confirmed: %(name)s", name=condition_label(study, outcome.condition, words))
        on = _("on %(day)s", day=words.date(outcome.confirmed_on))
        events.append(Event(outcome.created, outcome.actor, what, (on,)))
    return tuple(sorted(events, key=lambda event: event.time))
