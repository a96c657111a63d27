"""A ranking of rare diseases as its page tells it: sentences, bars, what fits, what to look for next.

Pure: no request, no desk.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from galeno.service.asked import StoredRanking
from galeno.service.pages.rare_form import ONSETS, SEXES, age_fields
from galeno.service.pages.rare_words import say_frequency, say_notice, say_phrase
from galeno.service.pages.result import share
from galeno.service.pages.signs import Sign, write_signs
from galeno.service.pages.words import Words

NEXT: Final = 6
"""Signs that are named as worth examining next over all diseases."""
MISSING: Final = 5
"""Signs of one disease that nobody has looked for, the weightiest first."""
LEADING: Final = 10
"""Diseases that have a say in it."""
RANKS: Final = 5
"""Diseases that are named beside such a sign."""
REFERENCES: Final = 3
NEUTRAL: Final = math.log(1.15)
"""Weights nearer to 0 neither speak for nor against."""
DOUBTFUL: Final = 0.5
_MOST_TIMES: Final = 1000
_FULL_BAR: Final = math.log(100)
"""Weight of a whole bar."""


@dataclass(frozen=True, slots=True)
class Met:
    """One sign of the patient beside what the disease is known for."""

    name: str
    absent: bool
    how: str
    frequency: str
    times: str
    """How many times as frequent as in others."""
    size: float
    kind: str
    """good, bad or quiet, as bars are coloured."""
    references: str


@dataclass(frozen=True, slots=True)
class Next:
    """A sign of a disease that nobody has looked for yet."""

    id: str
    name: str
    frequency: str
    present: str
    """What seeing it does: × 12."""
    absent: str
    """What its absence does: ÷ 3."""
    ranks: str = ""
    """Places of the diseases that it belongs to."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One disease."""

    rank: int
    id: str
    name: str
    probability: float
    share: str
    fits: tuple[Met, ...]
    neutral: tuple[Met, ...]
    against: tuple[Met, ...]
    missing: tuple[Next, ...]
    others: str
    """Other entries that are this disease."""
    inheritance: str
    onset: str


@dataclass(frozen=True, slots=True)
class View:
    """The page of a ranking."""

    sentence: str
    absent: str
    doubtful: bool
    candidates: tuple[Candidate, ...]
    next: tuple[Next, ...]
    lines: str
    """The signs as they are typed."""
    fields: Mapping[str, str]
    """What else was typed, by the fields' names."""
    about: tuple[str, ...]
    """Age, sex and onset in words."""
    notices: tuple[str, ...]
    sources: tuple[tuple[str, str], ...]
    attribution: str


def ids_of(ranking: Mapping[str, Any]) -> frozenset[str]:
    """Ids of all signs that a ranking names."""
    return frozenset(
        sign[key]
        for disease in ranking["diseases"]
        for sign in (*disease["findings"], *disease["missing"])
        for key in ("id", "matched_id")
        if sign.get(key)
    )


def draw_ranking(stored: StoredRanking, words: Words, names: Mapping[str, str] | None = None) -> View:
    """The page's view of a ranking.

    Args:
        stored: the ranking.
        words: the reader's language.
        names: of signs, by id, where the files carry them in that language; the others stand as they are.
    """
    ranking = stored.ranking if not names else _renamed(stored.ranking, names)
    candidates = tuple(_candidate(each, words) for each in ranking["diseases"])
    provenance = ranking["provenance"]
    fields = _fields(stored.asked, words)
    return View(
        sentence=_sentence(candidates, words),
        absent=_absent(stored.absent, words),
        doubtful=stored.absent >= DOUBTFUL,
        candidates=candidates,
        next=_next(ranking["diseases"], words),
        lines=write_signs(_signs(ranking)),
        fields=fields,
        about=_about(fields, words),
        notices=tuple(say_notice(each, words) for each in ranking["notices"]),
        sources=_sources(provenance, int(ranking["candidates"]), words),
        attribution=str(provenance.get("attribution", "")),
    )


def times(weight: float, words: Words) -> str:
    """A log-likelihood ratio as people read it: × 12, ÷ 3 or ≈ 1."""
    if abs(weight) < NEUTRAL:
        return "≈ 1"
    factor = math.exp(min(abs(weight), 700.0))
    sign = "×" if weight > 0 else "÷"
    if factor > _MOST_TIMES:
        return f"{sign} > {words.number(_MOST_TIMES, 0)}"
    return f"{sign} {words.number(factor, 0 if factor >= 9.95 else 1)}"


def _renamed(ranking: Mapping[str, Any], names: Mapping[str, str]) -> Mapping[str, Any]:
    """A ranking with other names of its signs."""

    def renamed(sign: Mapping[str, Any]) -> dict[str, Any]:
        told = {**sign, "name": names.get(sign["id"], sign["name"])}
        if sign.get("matched_id"):
            told["matched_name"] = names.get(sign["matched_id"], sign["matched_name"])
        return told

    diseases = [
        {**disease, **{part: [renamed(sign) for sign in disease[part]] for part in ("findings", "missing")}}
        for disease in ranking["diseases"]
    ]
    return {**ranking, "diseases": diseases}


def _sentence(candidates: Sequence[Candidate], words: Words) -> str:
    if not candidates:
        return words.gettext("No disease fits these signs.")
    first = candidates[0]
    return words.gettext(
        "First to consider: %(condition)s, with a probability of %(share)s among the known diseases.",
        condition=first.name,
        share=first.share,
    )


def _absent(probability: float, words: Words) -> str:
    said = share(probability, words)
    if probability >= DOUBTFUL:
        return words.gettext(
            "It may well be none of these: with a probability of %(share)s the disease is not among those "
            "that are known here.",
            share=said,
        )
    return words.gettext(
        "It may be none of these: the probability that the disease is not among those that are known here "
        "is %(share)s.",
        share=said,
    )


def _candidate(disease: Mapping[str, Any], words: Words) -> Candidate:
    met = [(float(each["weight"]), _met(each, words)) for each in disease["findings"]]
    met.sort(key=lambda pair: -abs(pair[0]))
    others = [member for member in disease["members"] if member != disease["id"]]
    return Candidate(
        rank=int(disease["rank"]),
        id=disease["id"],
        name=disease["name"],
        probability=float(disease["probability"]),
        share=share(float(disease["probability"]), words),
        fits=tuple(told for weight, told in met if weight >= NEUTRAL),
        neutral=tuple(told for weight, told in met if abs(weight) < NEUTRAL),
        against=tuple(told for weight, told in met if weight <= -NEUTRAL),
        missing=tuple(_missing(each, words) for each in disease["missing"][:MISSING]),
        others=", ".join(others),
        inheritance=", ".join(say_phrase(each, words) for each in disease["inheritance"]),
        onset=", ".join(say_phrase(each, words) for each in disease["onset"]),
    )


def _met(finding: Mapping[str, Any], words: Words) -> Met:
    weight = float(finding["weight"])
    return Met(
        name=finding["name"],
        absent=finding["state"] == "excluded",
        how=_how(finding, words),
        frequency=_frequency(finding, words),
        times=times(weight, words),
        size=min(1.0, abs(weight) / _FULL_BAR),
        kind="quiet" if abs(weight) < NEUTRAL else "good" if weight > 0 else "bad",
        references=_some(list(finding["references"]), REFERENCES),
    )


def _how(finding: Mapping[str, Any], words: Words) -> str:
    name = finding["matched_name"] or ""
    said = {
        "exact": words.gettext("described in this disease"),
        "broader": words.gettext("more general there: %(name)s", name=name),
        "narrower": words.gettext("more special there: %(name)s", name=name),
        "related": words.gettext("akin to: %(name)s", name=name),
    }
    return said.get(finding["match"], words.gettext("not described in this disease"))


def _frequency(sign: Mapping[str, Any], words: Words) -> str:
    """As it is annotated; the ranker's own estimate is told as such."""
    if sign["frequency"]:
        return say_frequency(str(sign["frequency"]), words)
    if sign["share"] is None:
        return ""
    return words.gettext("about %(share)s", share=words.percent(float(sign["share"])))


def _some(texts: Sequence[str], most: int = RANKS) -> str:
    """The first of some texts, and that there are more."""
    return ", ".join(texts[:most]) + (" …" if len(texts) > most else "")


def _missing(sign: Mapping[str, Any], words: Words) -> Next:
    return Next(
        id=sign["id"],
        name=sign["name"],
        frequency=_frequency(sign, words),
        present=times(float(sign["weight"]), words),
        absent=times(float(sign["against"]), words),
    )


def _next(diseases: Sequence[Mapping[str, Any]], words: Words) -> tuple[Next, ...]:
    """Signs that tell the leading diseases apart best.

    Ordered by the weight of evidence that is expected of looking for them (Good, Biometrika 1985), each
    disease counted as much as it is probable.
    """
    gain: dict[str, float] = {}
    told: dict[str, Next] = {}
    ranks: dict[str, list[str]] = {}
    for disease in diseases[:LEADING]:
        for sign in disease["missing"]:
            rate = 0.5 if sign["share"] is None else float(sign["share"])
            expected = rate * float(sign["weight"]) + (1 - rate) * float(sign["against"])
            gain[sign["id"]] = gain.get(sign["id"], 0.0) + float(disease["probability"]) * expected
            told.setdefault(sign["id"], _missing(sign, words))
            ranks.setdefault(sign["id"], []).append(str(disease["rank"]))
    best = sorted(gain, key=lambda each: (-gain[each], each))[:NEXT]
    return tuple(replace(one, ranks=_some(ranks[one.id])) for one in (told[each] for each in best))


def _signs(ranking: Mapping[str, Any]) -> tuple[Sign, ...]:
    names = {
        finding["id"]: finding["name"] for disease in ranking["diseases"] for finding in disease["findings"]
    }
    return (
        *(Sign(each, True, names.get(each, "")) for each in ranking["observed"]),
        *(Sign(each, False, names.get(each, "")) for each in ranking["excluded"]),
    )


def _fields(asked: Mapping[str, Any], words: Words) -> dict[str, str]:
    onset = asked.get("onset")
    fields = age_fields(asked.get("age"), words)
    fields["sex"] = asked.get("sex") or ""
    fields["onset"] = "" if onset is None else str(onset)
    return fields


def _about(fields: Mapping[str, str], words: Words) -> tuple[str, ...]:
    _ = words.gettext
    said = []
    if "age" in fields:
        age = f"{fields['age']} {words.gettext(fields['age_unit'])}"
        said.append(_("Age: %(age)s", age=age))
    if fields["sex"]:
        label = SEXES[fields["sex"]]
        sex = words.gettext(label).lower()
        said.append(_("Sex: %(sex)s", sex=sex))
    if fields["onset"]:
        onset = words.gettext(ONSETS.get(fields["onset"], fields["onset"]))
        said.append(_("Onset: %(onset)s", onset=onset))
    return tuple(said)


def _sources(provenance: Mapping[str, Any], candidates: int, words: Words) -> tuple[tuple[str, str], ...]:
    """What ranked: versions and fingerprints, so that a ranking can be done again."""
    _ = words.gettext
    labels = {
        "ontology": _("Human Phenotype Ontology"),
        "annotations": _("Annotations of diseases"),
        "translation": _("Names of signs in Spanish"),
        "merge": _("Table of equal diseases"),
        "parameters": _("Learned parameters"),
        "learned": _("Confirmed cases"),
    }
    told = [(_("Diseases compared"), words.number(candidates))]
    for name, label in labels.items():
        version = str(provenance.get(f"{name}_version") or "")
        sha256 = str(provenance.get(f"{name}_sha256") or "")
        if version or sha256:
            told.append((label, " · ".join(part for part in (version, sha256[:12]) if part)))
    return tuple(told)
