"""The JSON of CDS Hooks 2.0: what a hospital's system sends, and the cards that it gets."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

HOOK: Literal["patient-view"] = "patient-view"
LONGEST_SUMMARY = 139
"""Characters; CDS Hooks wants fewer than 140."""
LONGEST_COMMENT = 3500
"""Characters; leaves room in ours for a reason that is not of our list."""

Uuid = Annotated[
    str,
    StringConstraints(
        pattern=r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
    ),
]
FhirId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.-]{1,64}$")]
Reference = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z]{1,63}/[A-Za-z0-9.-]{1,64}$")]
Code = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Received(BaseModel):
    """What a client sends: strict types. Fields that CDS Hooks does not name may come, and are not read."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, hide_input_in_errors=True)


class Given(BaseModel):
    """What a client gets."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FhirAuthorization(Received):
    """Access to the client's FHIR server. It is checked and thrown away: Galeno calls no FHIR server."""

    access_token: str = Field(min_length=1, repr=False)
    token_type: Literal["Bearer"]
    expires_in: int
    scope: str
    subject: str


class PatientViewContext(Received):
    """Who looks at whom."""

    userId: Reference = Field(description="`[Type]/[id]`, for example Practitioner/abc.")  # noqa: N815
    patientId: FhirId = Field(description="FHIR id of the patient.")  # noqa: N815
    encounterId: FhirId | None = None  # noqa: N815


class HookRequest(Received):
    """A call of a service."""

    hook: Literal["patient-view"]
    hookInstance: Uuid = Field(description="UUID of this call.")  # noqa: N815
    fhirServer: str | None = Field(None, max_length=2000, description="Never called.")  # noqa: N815
    fhirAuthorization: FhirAuthorization | None = None  # noqa: N815
    context: PatientViewContext
    prefetch: dict[str, dict[str, Any] | None] | None = Field(
        None, description="By key: a resource, a searchset Bundle, or null where there is no data."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.fhirAuthorization is not None and not self.fhirServer:
            raise ValueError("fhirServer is required where fhirAuthorization is given")
        return self


class Coding(Received):
    """A code of a code system."""

    code: Code
    system: str | None = Field(None, max_length=2000)


class OverrideReason(Received):
    """Why a card was overridden."""

    reason: Coding | None = None
    userComment: str | None = Field(None, max_length=LONGEST_COMMENT)  # noqa: N815


class AcceptedSuggestion(Received):
    """A suggestion that was taken."""

    id: Code


class CardFeedback(Received):
    """What became of one card."""

    card: Uuid = Field(description="The card's uuid.")
    outcome: Literal["accepted", "overridden"]
    acceptedSuggestions: list[AcceptedSuggestion] = []  # noqa: N815
    overrideReason: OverrideReason | None = None  # noqa: N815
    outcomeTimestamp: str = Field(max_length=64, description="RFC 3339, with time zone.")  # noqa: N815

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.outcome == "accepted" and self.overrideReason is not None:
            raise ValueError("overrideReason goes with overridden only")
        try:
            zone = datetime.fromisoformat(self.outcomeTimestamp).tzinfo
        except ValueError:
            zone = None
        if zone is None:
            raise ValueError("outcomeTimestamp is not a time such as 2026-11-21T10:05:31Z")
        return self


class CardFeedbackRequest(Received):
    """What became of cards."""

    feedback: list[CardFeedback] = Field(min_length=1, max_length=100)


class Service(Given):
    """A service as discovery shows it."""

    hook: Literal["patient-view"] = HOOK
    id: str
    title: str
    description: str
    prefetch: dict[str, str]
    usageRequirements: str  # noqa: N815


class Services(Given):
    """What discovery answers."""

    services: list[Service]


class Source(Given):
    """Where a card comes from."""

    label: str = Field(min_length=1)
    url: str | None = None


class Suggestion(Given):
    """Something that the clinician can take up; ours change nothing in the chart."""

    label: str = Field(min_length=1)
    uuid: Uuid


class ReasonGiven(Given):
    """A reason for which a card can be overridden."""

    code: str
    system: str
    display: str = Field(min_length=1)


class Link(Given):
    """Where more is."""

    label: str
    url: str
    type: Literal["absolute"] = "absolute"


class Card(Given):
    """One piece of advice."""

    uuid: Uuid
    summary: str = Field(min_length=1, max_length=LONGEST_SUMMARY)
    indicator: Literal["info", "warning", "critical"]
    detail: str
    source: Source
    suggestions: list[Suggestion] | None = None
    selectionBehavior: Literal["at-most-one", "any"] | None = None  # noqa: N815
    overrideReasons: list[ReasonGiven]  # noqa: N815
    links: list[Link] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.suggestions and self.selectionBehavior is None:
            raise ValueError("suggestions need selectionBehavior")
        return self


class Cards(Given):
    """What a service answers; empty where there is no advice."""

    cards: list[Card]
