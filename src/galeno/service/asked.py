"""What is asked of the ranking of rare diseases, and what is answered: read from what a client sends."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from galeno.errors import InputError
from galeno.knowledge.cases import Patient, Sex
from galeno.knowledge.mentions import Mention
from galeno.knowledge.ontology import Ontology
from galeno.knowledge.translations import translated_name
from galeno.pipeline.question import LONGEST_TEXT, MOST_SIGNS, Language, Question, understand
from galeno.service.library import Held

__all__ = ["LONGEST_TEXT", "MOST_SIGNS", "Asked", "Language", "Read", "StoredRanking"]

MOST_DISEASES = 100


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known of a patient. At least one sign that is present is needed, wherever it comes from.

    Attributes:
        patient_id: the hospital's own id; None where the patient is not named.
        terms: signs that are present: ids, names or synonyms.
        excluded: signs that were looked for and are absent.
        text: a letter; signs that it affirms and denies are taken as well.
        language: of the text; None takes both.
        phenopacket: of version 2, as JSON; what is named beside it counts more.
        age: years, or an ISO 8601 duration such as P14Y2M.
        sex: MALE, FEMALE, or None where it is not known.
        onset: years, an ISO 8601 duration, or the id of an onset term of the HPO.
        top: diseases that are told, 1 to 100.
    """

    patient_id: str | None = None
    terms: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    text: str = ""
    language: Language | None = None
    phenopacket: Mapping[str, Any] | None = None
    age: float | str | None = None
    sex: Sex | None = None
    onset: float | str | None = None
    top: int = 20


@dataclass(frozen=True, slots=True)
class TermFound:
    """A term that a search found."""

    id: str
    name: str
    """Preferred label of the release."""
    label: str
    """Name in the language that was asked for, where the files carry one, else `name`."""
    matched: str
    """The name or synonym that fits what was typed."""


@dataclass(frozen=True, slots=True)
class TermMention:
    """A sign that a text mentions: text[start:end]."""

    id: str
    name: str
    label: str
    start: int
    end: int
    text: str
    negated: bool


@dataclass(frozen=True, slots=True)
class RankingFeedback:
    """What a clinician said of a ranking."""

    id: str
    created: str
    actor: str
    agrees: bool
    disease: str | None
    comment: str | None


@dataclass(frozen=True, slots=True)
class StoredRanking:
    """A ranking as the journal holds it.

    Attributes:
        patient: pseudonym; None where no patient was named.
        version: release of the HPO and beginnings of the hashes of what ranked.
        asked: what was read: observed, excluded (ids), age, sex, onset, mentions (of the text), and the text
            itself where a patient was named.
        ranking: `knowledge.ranker.Ranking.to_dict()`.
        patient_id: the hospital's own id, for those who may read the case.
    """

    id: str
    created: str
    patient: str | None
    site: str
    actor: str
    face: str
    version: str
    asked: Mapping[str, Any]
    ranking: Mapping[str, Any]
    patient_id: str | None = None
    feedback: tuple[RankingFeedback, ...] = ()

    @property
    def disease(self) -> str:
        """Id of the first disease; empty where there is none."""
        diseases = self.ranking["diseases"]
        return str(diseases[0]["id"]) if diseases else ""

    @property
    def probability(self) -> float:
        """Of the first disease."""
        diseases = self.ranking["diseases"]
        return float(diseases[0]["probability"]) if diseases else 0.0

    @property
    def absent(self) -> float:
        """Probability that the disease is none that is known here."""
        return float(self.ranking["absent"])


@dataclass(frozen=True, slots=True)
class RankedRow:
    """One ranking of a list: what can be told without opening it."""

    id: str
    created: str
    patient: str | None
    """Pseudonym."""
    site: str
    actor: str
    face: str
    version: str
    disease: str
    """Id of the first one."""
    probability: float
    absent: float
    name: str = ""
    """Of the disease; empty where it is not known now."""
    patient_id: str | None = None
    """The hospital's own; only where it was asked for, None also where the patient was erased."""


@dataclass(frozen=True, slots=True)
class Read:
    """What was read of what was asked."""

    patient: Patient
    notices: tuple[str, ...]
    mentions: tuple[TermMention, ...]
    text: str
    """Empty where no patient was named: a letter that nobody's erasure would find is not kept."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON, as it is kept sealed."""
        mentions = [asdict(mention) for mention in self.mentions]
        return {**asdict(self.patient), "mentions": mentions, "text": self.text}


def find_terms(held: Held, q: str, limit: int, language: Language | None) -> tuple[TermFound, ...]:
    """Terms by id, name, synonym or misspelling, the best first."""
    ontology = held.ontology
    return tuple(
        TermFound(hit.id, hit.name, label(ontology, hit.term, language), hit.matched)
        for hit in held.names.search(q, limit)
    )


def label(ontology: Ontology, term: int, language: Language | None) -> str:
    """Name of a term in a language where the files carry one, else its preferred label."""
    translated = None if language in {None, "en"} else translated_name(ontology, term, str(language))
    return translated or ontology.names[term]


def name_terms(held: Held, ids: Iterable[str], language: Language | None) -> dict[str, str]:
    """Names of terms by id, in a language where the files carry them; without ids that are not known."""
    found = {term_id: held.ontology.find(term_id) for term_id in ids}
    return {
        term_id: label(held.ontology, term.term, language)
        for term_id, term in found.items()
        if term is not None
    }


def recognise(held: Held, text: str, language: Language | None) -> tuple[TermMention, ...]:
    """Signs that a text mentions, in the order of the text.

    Raises:
        InputError: the text is too long.
    """
    if len(text) > LONGEST_TEXT:
        raise InputError([("text", f"is longer than {LONGEST_TEXT} characters")])
    return _tell_mentions(held.ontology, held.mentions.find(text, language), language)


def read_asked(held: Held, asked: Asked) -> Read:
    """Make a patient of what was sent, see `pipeline.question.understand`.

    Raises:
        InputError: fields that are not valid, with suggestions, or no sign that is present.
    """
    fields = ("terms", "excluded", "text", "language", "phenopacket", "age", "sex", "onset")
    question = Question(**{name: getattr(asked, name) for name in fields})
    try:
        read = understand(question, held.ontology, held.names, held.mentions)
    except InputError as error:
        raise InputError(error.faults, remedy="GET /v1/terms?q= finds terms") from None
    mentions = _tell_mentions(held.ontology, read.mentions, asked.language)
    kept = asked.text if asked.patient_id is not None else ""
    return Read(read.patient, read.notices, mentions, kept)


def _tell_mentions(
    ontology: Ontology, mentions: Iterable[Mention], language: Language | None
) -> tuple[TermMention, ...]:
    return tuple(
        TermMention(
            id=ontology.ids[found.term],
            name=ontology.names[found.term],
            label=label(ontology, found.term, language),
            start=found.start,
            end=found.end,
            text=found.text,
            negated=found.negated,
        )
        for found in mentions
    )
