"""A question about a patient, as people and programs ask it, brought to the ontology's terms."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from galeno.errors import InputError
from galeno.knowledge.cases import Patient, Sex, read_phenopacket
from galeno.knowledge.durations import parse_age, parse_onset
from galeno.knowledge.mentions import Mention, Mentions
from galeno.knowledge.names import TermNames
from galeno.knowledge.ontology import ONSET, Ontology
from galeno.knowledge.reading import needs_names, read_terms

Language = Literal["en", "es"]

LONGEST_TEXT = 50_000
"""Characters of a letter."""
MOST_SIGNS = 500
"""Signs of one patient."""
MOST_FAULTS = 20

_NOBODY = Patient(observed=())


@dataclass(frozen=True, slots=True)
class Question:
    """What is known of a patient, as it was typed or sent.

    Attributes:
        terms: signs that are present, each an HPO id, a name or a synonym.
        excluded: signs that were looked for and are absent, likewise.
        text: free text; signs that it affirms and denies are taken as well.
        language: of the text, en or es; None takes both.
        phenopacket: JSON of a phenopacket v2; what is given beside it counts more.
        age: years, or an ISO 8601 duration such as P3Y6M.
        sex: male, female, or nothing.
        onset: years, duration, or the HPO term of a stage of life by id or name.
    """

    terms: Sequence[str] = ()
    excluded: Sequence[str] = ()
    text: str = ""
    language: Language | None = None
    phenopacket: Mapping[str, Any] | bytes | str | None = None
    age: float | str | None = None
    sex: str | None = None
    onset: float | str | None = None


class Understood(NamedTuple):
    """What was read of a question."""

    patient: Patient
    """With ids of signs."""
    notices: tuple[str, ...]
    """What was replaced, left out, or said in two ways."""
    mentions: tuple[Mention, ...]
    """Signs that the text names, in its order."""
    added: tuple[int, ...]
    """Terms of the patient that only the text names."""


def understand(
    question: Question,
    ontology: Ontology,
    names: TermNames | None = None,
    mentions: Mentions | None = None,
) -> Understood:
    """Bring what was asked to a patient with ids of signs.

    What was named one by one counts more than a phenopacket, and that more than the text. Where one of the
    latter two says of a sign that it is present and that it is absent, it counts as present: what was seen
    was seen. Terms of a phenopacket that cannot be used are left out, with a notice.

    Args:
        question: what was typed or sent.
        ontology: the release.
        names: the index of its names, where one stands; otherwise it is built where it is needed.
        mentions: what recognises its names in a text, likewise.

    Raises:
        InputError: a term, the text, the age, the sex or the onset cannot be understood, a sign was named as
            present and as absent, or none is present; every fault at once, at most 20, with suggestions.
    """
    reading = _Reading(ontology, names, mentions)
    packet = reading.read_packet(question.phenopacket)
    reading.open_names(question, packet)
    reading.take_named(question)
    reading.take_packet(packet)
    found = reading.take_text(question)
    age = reading.value("age", question.age, parse_age, packet.age)
    onset = reading.value("onset", question.onset, reading.stage, packet.onset)
    sex = reading.value("sex", question.sex, parse_sex, packet.sex)
    reading.check(question)
    signs = [(ontology.ids[term], present) for term, present in reading.present.items()]
    patient = Patient(
        tuple(sign for sign, present in signs if present),
        tuple(sign for sign, present in signs if not present),
        age,
        sex,
        onset,
    )
    return Understood(patient, tuple(dict.fromkeys(reading.notices)), found, tuple(reading.added))


@dataclass
class _Reading:
    """Signs as they are gathered: the first that says whether one is present is believed."""

    ontology: Ontology
    names: TermNames | None
    mentions: Mentions | None
    present: dict[int, bool] = field(default_factory=dict)
    added: list[int] = field(default_factory=list)
    faults: list[tuple[str, str]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def read_packet(self, packet: Mapping[str, Any] | bytes | str | None) -> Patient:
        """What a phenopacket says of its patient."""
        if packet is None:
            return _NOBODY
        try:
            return read_phenopacket(packet).patient
        except InputError as error:
            self.faults += error.faults
            return _NOBODY

    def open_names(self, question: Question, packet: Patient) -> None:
        """Build the index of names, where anything was given by name; it takes a moment."""
        given = [*question.terms, *question.excluded, *packet.observed, *packet.excluded]
        if self.names is None and (question.text.strip() or needs_names(self.ontology, given)):
            self.names = TermNames.of(self.ontology)

    def take_named(self, question: Question) -> None:
        """Terms that were given one by one; each must be one that is known."""
        observed = self._terms("terms", question.terms)
        excluded = self._terms("excluded", question.excluded)
        self.faults += [
            ("excluded", f"{self._told(term)} is also among the signs that are present")
            for term in excluded
            if term in observed
        ]
        self.present |= dict.fromkeys(observed, True) | dict.fromkeys(excluded, False)

    def take_packet(self, packet: Patient) -> None:
        """Signs of a phenopacket that were not named; what cannot be used of it is told and left out."""
        said: dict[int, bool] = {}
        refused = 0
        for present, ids in ((True, packet.observed), (False, packet.excluded)):
            for term_id in ids:
                if refused >= MOST_FAULTS and not self._is_known(term_id):
                    refused += 1  # what may be meant takes time to look for
                    continue
                try:
                    read = read_terms(self.ontology, [term_id], field="phenopacket", names=self.names)
                except InputError as error:
                    self.notices.append(f"left out of the phenopacket: {error.faults[0][1]}")
                    refused += 1
                    continue
                self.notices += read.notices
                for term in read.terms:
                    if said.setdefault(term, present) is not present:
                        self.notices.append(
                            f"the phenopacket says that {self._told(term)} is present and that it is absent: "
                            "it is taken as present"
                        )
        if refused > MOST_FAULTS:
            more = refused - MOST_FAULTS
            self.notices.append(f"left out of the phenopacket: {more} more that are no signs of the HPO")
        for term, present in said.items():
            self._add(term, present, "phenopacket")

    def take_text(self, question: Question) -> tuple[Mention, ...]:
        """Signs that the text affirms, and then those that it denies."""
        if not question.text.strip():
            return ()
        if len(question.text) > LONGEST_TEXT:
            self.faults.append(("text", f"is longer than {LONGEST_TEXT} characters"))
            return ()
        mentions = self.mentions or Mentions.of(self.ontology, self.names)
        found = tuple(mentions.find(question.text, question.language))
        for mention in sorted(found, key=lambda each: each.negated):
            if self._add(mention.term, not mention.negated, "text"):
                self.added.append(mention.term)
        return found

    def value(self, where: str, value: Any, parse: Callable[[Any], Any], otherwise: Any) -> Any:
        """A value that was given, else what the phenopacket says."""
        try:
            read = None if value is None or value == "" else parse(value)
        except ValueError as error:
            self.faults.append((where, f"is {error}"))
            return None
        return otherwise if read is None else read

    def stage(self, value: Any) -> float | str | None:
        """Years, or the id of a stage of life that is given by id or name.

        Raises:
            ValueError: it is neither.
        """
        stages = self.ontology.under(ONSET)
        if isinstance(value, str):
            text = value.strip()
            found = self.ontology.find(text.upper())
            if found is not None and not stages[found.term]:
                raise ValueError("no term of the onset branch; HP:0003593 (Infantile onset) is one")
            named = [t for t in stages.nonzero()[0] if self.ontology.names[t].lower() == text.lower()]
            if found is not None or named:
                return self.ontology.ids[found.term if found is not None else named[0]]
        onset = parse_onset(value)
        if isinstance(onset, str):
            raise ValueError("no term of the onset branch that is known; HP:0003593 is one")  # noqa: TRY004
        return onset

    def check(self, question: Question) -> None:
        """Look at what all of it comes to.

        Raises:
            InputError: something was wrong, or no sign is present, or there are too many.
        """
        if not self.faults and True not in self.present.values():
            where = next((name for name in ("phenopacket", "text") if getattr(question, name)), "terms")
            self.faults.append((where, "holds no sign that is present; at least one is needed"))
        if not self.faults and len(self.present) > MOST_SIGNS:
            self.faults.append(("terms", f"are more than {MOST_SIGNS} signs"))
        if self.faults:
            raise InputError(self.faults[:MOST_FAULTS])

    def _terms(self, where: str, tokens: Sequence[str]) -> tuple[int, ...]:
        if not tokens:
            return ()
        try:
            read = read_terms(self.ontology, tokens, field=where, names=self.names)
        except InputError as error:
            self.faults += error.faults
            return ()
        self.notices += read.notices
        return read.terms

    def _add(self, term: int, present: bool, source: str) -> bool:
        """Whether nobody had said anything of the sign before."""
        if term not in self.present:
            self.present[term] = present
            return True
        if self.present[term] is not present:
            state, says = ("absent", "affirms") if present else ("present", "denies")
            self.notices.append(f"{self._told(term)} is taken as {state}, though the {source} {says} it")
        return False

    def _is_known(self, token: str) -> bool:
        """Whether the ontology has such an id, name or synonym."""
        if self.ontology.find(token.strip()) is not None:
            return True
        return self.names is not None and bool(self.names.meanings(token))

    def _told(self, term: int) -> str:
        return f"{self.ontology.names[term]} ({self.ontology.ids[term]})"


def parse_sex(value: Any) -> Sex | None:
    """MALE or FEMALE; unknown and other count as not given.

    Raises:
        ValueError: it is none of these words.
    """
    words: dict[str, Sex | None] = {"M": "MALE", "MALE": "MALE", "F": "FEMALE", "FEMALE": "FEMALE"}
    words |= dict.fromkeys(("", "UNKNOWN", "OTHER", "UNKNOWN_SEX", "OTHER_SEX"))
    word = "" if value is None else str(value).strip().upper()
    if word not in words:
        raise ValueError("neither male, female, other nor unknown")
    return words[word]
