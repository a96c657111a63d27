"""The JSON that the ranking of rare diseases takes and gives."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from galeno.service.asked import LONGEST_TEXT, MOST_DISEASES, MOST_SIGNS, Asked, RankedRow, StoredRanking
from galeno.service.wire import PatientId, Sent

Sign = Annotated[str, Field(min_length=1, max_length=200, description="Id, name or synonym of a term.")]
Time = Annotated[
    Annotated[float, Field(ge=0, le=150)] | Annotated[str, Field(min_length=1, max_length=40)] | None,
    Field(description="Years, or an ISO 8601 duration such as P14Y2M."),
]
Phenopacket = Annotated[
    dict[str, Any],
    WithJsonSchema({"type": "object"}),
    Field(description="Phenopacket of version 2; only signs, age, sex and onset are read."),
]


class RankRequest(Sent):
    """What is known of a patient. At least one sign that is present is needed, wherever it comes from."""

    patient_id: PatientId | None = None
    terms: list[Sign] = Field([], max_length=MOST_SIGNS, description="Signs that are present.")
    excluded: list[Sign] = Field(
        [], max_length=MOST_SIGNS, description="Signs that were looked for and are absent."
    )
    text: str = Field(
        "",
        max_length=LONGEST_TEXT,
        description="A letter; signs that it affirms or denies are taken. Kept, encrypted, only with a "
        "`patient_id`.",
    )
    language: Literal["en", "es"] | None = Field(None, description="Of the text; both by default.")
    phenopacket: Phenopacket | None = None
    age: Time = None
    sex: Literal["MALE", "FEMALE"] | None = None
    onset: Annotated[Time, Field(description="Like `age`, or the id of an onset term.")] = None
    top: int = Field(20, ge=1, le=MOST_DISEASES, description="Diseases that are told.")

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "patient_id": "p1",
                "terms": ["HP:0001250", "Global developmental delay"],
                "excluded": ["Microcephaly"],
                "age": 4,
                "sex": "FEMALE",
            }
        },
    )

    def asked(self) -> Asked:
        """As the desk is asked."""
        return Asked(
            **{
                **{name: getattr(self, name) for name in type(self).model_fields},
                "terms": tuple(self.terms),
                "excluded": tuple(self.excluded),
            }
        )


class RankingFeedbackRequest(Sent):
    """What a clinician says of a ranking."""

    agrees: bool = Field(description="With the first disease.")
    disease: str | None = Field(
        None,
        max_length=64,
        description="Id of the clinician's own diagnosis.",
        examples=["OMIM:154700"],
    )
    comment: str | None = Field(None, max_length=4000, description="Free text; kept encrypted.")


class FindingOut(BaseModel):
    """A sign of the patient beside a disease."""

    id: str
    name: str
    state: Literal["observed", "excluded"]
    match: Literal["exact", "narrower", "broader", "related", "none"]
    matched_id: str | None = Field(description="The disease's sign that it was held against.")
    matched_name: str | None
    frequency: str = Field(description="As annotated: 3/8, 45%, Very frequent, or empty.")
    share: float | None = Field(description="The same as a share of patients.")
    weight: float = Field(description="Logarithm of the likelihood ratio: above 0 speaks for the disease.")
    references: list[str]


class MissingSignOut(BaseModel):
    """A sign of a disease that nobody has looked for."""

    id: str
    name: str
    frequency: str
    share: float | None
    weight: float = Field(description="What its presence would add.")
    against: float = Field(description="What its absence would add; 0 or less.")


class RankedDiseaseOut(BaseModel):
    """One disease of a ranking."""

    rank: int
    id: str
    name: str
    members: list[str] = Field(description="Entries of OMIM, Orphanet and DECIPHER that are this disease.")
    probability: float = Field(
        description="Calibrated, 0 to 1, given that the disease is one of those known; see `absent`."
    )
    score: float
    findings: list[FindingOut]
    missing: list[MissingSignOut]
    inheritance: list[str]
    onset: list[str]


class AskedOut(BaseModel):
    """What was read of what was asked."""

    observed: list[str]
    excluded: list[str]
    age: float | None
    sex: str | None
    onset: float | str | None
    mentions: list["MentionOut"]
    text: str = Field(description="Empty where no patient was named.")


class MentionOut(BaseModel):
    """A sign that the text mentions."""

    id: str
    name: str
    label: str
    start: int
    end: int
    text: str
    negated: bool


class RankingFeedbackOut(BaseModel):
    """A feedback that was given."""

    id: str
    created: str
    actor: str
    agrees: bool
    disease: str | None
    comment: str | None


class RankingOut(BaseModel):
    """A ranking of rare diseases."""

    id: str
    created: str
    patient: str | None = Field(description="Pseudonym; null where no patient was named.")
    version: str = Field(description="Release of the HPO, and beginnings of the hashes of what ranked.")
    asked: AskedOut
    diseases: list[RankedDiseaseOut]
    absent: float = Field(description="Probability that the disease is none that is known here.")
    notices: list[str] = Field(description="What was replaced or left out of what was asked.")
    candidates: int = Field(description="Diseases that were compared.")
    provenance: dict[str, Any] = Field(description="Versions, hashes and attribution of the files.")

    model_config = ConfigDict(extra="allow")


class StoredRankingOut(RankingOut):
    """A ranking as it is kept."""

    site: str
    actor: str
    face: str
    patient_id: str | None
    feedback: list[RankingFeedbackOut]


class RankedRowOut(BaseModel):
    """One ranking of a list."""

    id: str
    created: str
    patient: str | None = Field(description="Pseudonym; null where no patient was named.")
    site: str
    actor: str
    face: str
    version: str
    disease: str = Field(description="Id of the first disease.")
    name: str = Field(description="Its name; empty where it is not known now.")
    probability: float
    absent: float


class RankingList(BaseModel):
    """Rankings, the newest first."""

    rankings: list[RankedRowOut]
    next: str | None = Field(description="Ask with `after` for the next page; null at the end.")


class TermOut(BaseModel):
    """A term that was found."""

    id: str
    name: str
    label: str = Field(description="Name in the language asked for, where the files carry one.")
    matched: str = Field(description="The name or synonym that fits what was typed.")


class TermList(BaseModel):
    """Terms that were found, the best first."""

    terms: list[TermOut]


def tell_ranking(ranking: StoredRanking) -> dict[str, Any]:
    """A ranking that was just made, as `RankingOut`."""
    about = {name: getattr(ranking, name) for name in ("id", "created", "patient", "version", "asked")}
    return {**ranking.ranking, **about}


def tell_ranked_row(row: RankedRow) -> dict[str, Any]:
    """One ranking of a list, as `RankedRowOut`."""
    return {name: getattr(row, name) for name in RankedRowOut.model_fields}


def tell_stored_ranking(ranking: StoredRanking) -> dict[str, Any]:
    """A ranking of the journal, as `StoredRankingOut`."""
    more = {name: getattr(ranking, name) for name in ("site", "actor", "face", "patient_id", "feedback")}
    return {**tell_ranking(ranking), **more}
