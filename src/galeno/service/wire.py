"""The JSON that the REST API takes and gives."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, WithJsonSchema

PatientId = Annotated[
    str,
    Field(min_length=1, max_length=200, description="The hospital's own id; kept encrypted only."),
]
Record = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "null"]}}
    ),
    Field(
        description="Column to value, as `/v1/studies/{study}/form` lists them. Missing columns are missing "
        "values; unknown ones are refused. A sound or an image is a data URL (RFC 2397, base64).",
        examples=[{"age": 41, "sex": "F"}],
    ),
]
Condition = Annotated[str, Field(max_length=200, description="Name of a condition.")]


class Sent(BaseModel):
    """What a client sends: no unknown fields, no NaN."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class DiagnosisRequest(Sent):
    """One record to diagnose."""

    patient_id: PatientId
    record: Record
    explain: bool = Field(False, description="Explain the first conditions at once.")

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"patient_id": "p1", "record": {"age": 41, "sex": "F"}, "explain": False}
        },
    )


class FeedbackRequest(Sent):
    """What a clinician says of a diagnosis."""

    agrees: bool = Field(description="With the first condition of the ranking.")
    condition: Condition | None = Field(None, description="The clinician's own diagnosis.")
    rating: int | None = Field(None, ge=1, le=5, description="How useful the answer was, 1 to 5.")
    reason: str | None = Field(
        None, pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$", description="Code of why it was overridden."
    )
    comment: str | None = Field(None, max_length=4000, description="Free text; kept encrypted.")


class OutcomeRequest(Sent):
    """The confirmed condition."""

    condition: Condition = Field(description="One of the study's conditions, or `other`.")
    confirmed_on: date = Field(description="Day on which it was confirmed.")


class ConsentRequest(Sent):
    """What a patient said to the data policy."""

    patient_id: PatientId
    study: str | None = Field(None, max_length=63, description="May be left out where just one asks for it.")
    policy_version: str | None = Field(None, max_length=64, description="Version that was shown.")
    language: Literal["es", "en"] | None = Field(None, description="Language in which it was shown.")
    accepted: bool = Field(True, description="False for a refusal.")
    training: bool = Field(True, description="Whether models may learn from the patient.")
    time: datetime | None = Field(None, description="When it was said, with time zone; now by default.")


class PatientQuery(Sent):
    """A patient who is asked about; ids stay out of addresses, which proxies log."""

    patient_id: PatientId


class RecordsRequest(Sent):
    """New training records."""

    records: list[Record] = Field(
        min_length=1,
        max_length=10_000,
        description="Columns as the study's source has them, target included.",
    )


class PromotionRequest(Sent):
    """The version that shall answer."""

    version: str = Field(pattern=r"^[0-9]{1,9}$", description="Number of the version.", examples=["2"])


class StopRequest(Sent):
    """Why a model is stopped."""

    reason: str = Field(
        min_length=1,
        max_length=200,
        description="For colleagues; no patient data.",
        examples=["under review"],
    )


class Ranked(BaseModel):
    """One condition of a ranking."""

    condition: str
    probability: float = Field(description="Calibrated, 0 to 1.")


class ModelName(BaseModel):
    """What answered."""

    version: str
    package_sha256: str
    card: str = Field(description="Where its model card is.")


class ContributionOut(BaseModel):
    """What one column did to a probability."""

    column: str
    value: str | float | bool | None
    contribution: float


class ModalityOut(BaseModel):
    """What all columns of one modality did to a probability."""

    modality: str
    contribution: float


class ExplanationOut(BaseModel):
    """Why one condition has its probability: base and all contributions add up to it."""

    condition: str
    base: float
    probability: float
    contributions: list[ContributionOut]
    method: str
    modalities: list[ModalityOut] = []


class RelevanceOut(BaseModel):
    """Where a sound or an image speaks for a condition."""

    id: str
    column: str
    condition: str
    kind: Literal["sound", "image"]
    probability: float = Field(description="Of the condition, with the whole file.")
    values: list[list[float]] = Field(
        description="What the probability loses when a part is hidden, -1 to 1; rows by columns, from an "
        "image's top, or from a sound's lowest frequency."
    )
    row_edges: list[float] = Field(
        description="Borders of the rows: Hz of a sound, share of an image's height."
    )
    column_edges: list[float] = Field(
        description="Borders of the columns: seconds of a sound, share of an image's width."
    )


class FileOut(BaseModel):
    """A sound or an image of an input, as it was kept."""

    media_type: str
    bytes: int
    sha256: str
    href: str = Field(description="Where its bytes are.")


class DiagnosisOut(BaseModel):
    """A diagnosis."""

    id: str
    study: str
    created: str
    patient: str = Field(description="Pseudonym.")
    model: ModelName
    condition: str = Field(description="First of the ranking.")
    confidence: float = Field(description="Its probability.")
    ranking: list[Ranked]
    not_ruled_out: list[str]
    needs_review: bool
    review_reasons: list[str]
    explanation: list[ExplanationOut] | None


class ExplanationsOut(BaseModel):
    """Why the first conditions of a diagnosis have their probabilities."""

    id: str
    explanation: list[ExplanationOut]


class FeedbackOut(BaseModel):
    """A feedback that was given."""

    id: str
    created: str
    actor: str
    agrees: bool
    condition: str | None
    rating: int | None
    reason: str | None
    comment: str | None


class OutcomeOut(BaseModel):
    """A confirmed condition."""

    id: str
    created: str
    actor: str
    condition: str
    confirmed_on: str
    source: str


class StoredDiagnosisOut(DiagnosisOut):
    """A diagnosis as it was captured."""

    site: str
    actor: str
    face: str
    reviewed: str | None
    patient_id: str | None = None
    record: dict[str, FileOut | JsonValue] | None = None
    feedback: list[FeedbackOut] = []
    outcomes: list[OutcomeOut] = []


class DiagnosisPage(BaseModel):
    """A page of diagnoses, newest first."""

    diagnoses: list[StoredDiagnosisOut]
    next: str | None = Field(description="Give it as `after` for the next page; null at the end.")


class Made(BaseModel):
    """Something that was kept."""

    id: str


class ConsentOut(BaseModel):
    """A consent as it was kept."""

    id: str
    patient: str
    study: str
    policy_version: str
    language: str
    accepted: bool
    training: bool
    created: str
    actor: str
    withdrawn: str | None


class ConsentList(BaseModel):
    """All consents of a patient."""

    consents: list[ConsentOut]


class ImportOut(BaseModel):
    """What became of a file of outcomes."""

    imported: int
    known: int = Field(description="Rows that were there already.")
    faults: list[dict[str, int | str]] = Field(description="Rows that were not taken: row, column, detail.")


class ModelOut(BaseModel):
    """A registered model."""

    study: str
    version: str
    package_sha256: str
    run: str
    created: str
    aliases: list[str]
    metrics: dict[str, float]
    stopped: str | None = Field(description="Why it was stopped; null while it answers.")


class ModelList(BaseModel):
    """All registered models."""

    models: list[ModelOut]


class Anything(BaseModel):
    """An object whose keys the documentation lists."""

    model_config = ConfigDict(extra="allow")


class Fault(BaseModel):
    """What is wrong with one field."""

    field: str
    detail: str


class Problem(BaseModel):
    """What went wrong, as RFC 9457 says."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[Fault] | None = None


Json = dict[str, Any]
