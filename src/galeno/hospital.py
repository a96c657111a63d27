"""What a study says of the hospital around it: consent, answering, notifications, FHIR codes."""

from typing import Literal

from pydantic import Field

from galeno.section import Section, Text


class Policy(Section):
    """The data policy that a patient accepts."""

    version: Text = Field("1", description="A new version asks every patient again.")
    es: str = Field("", description="The policy in Spanish.")
    en: str = Field("", description="The policy in English.")


class Privacy(Section):
    """What the patients of this study were promised."""

    consent: bool = Field(
        False, description="No diagnosis without the patient's recorded consent to the present policy."
    )
    policy: Policy = Field(default_factory=Policy, description="What is consented to.")
    examples_in_report: bool = Field(
        False,
        description="Whether reports may show sounds and images of real patients as examples; simulated ones "
        "are always shown.",
    )


class Answering(Section):
    """How the service answers for this study."""

    capture: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Share of diagnoses whose input is kept, encrypted; every answer is kept in any case.",
    )
    shadow: bool = Field(
        False, description="The challenger answers beside the champion, into the journal only."
    )


class Notifications(Section):
    """Who is told of a diagnosis that needs review. Messages hold ids, never patient data."""

    urls: tuple[str, ...] = Field(
        (),
        description="Apprise URLs (e-mail, SNS, Teams, Slack, webhook); ${NAME} is taken from the "
        "environment, so that no secret is here.",
    )
    reasons: tuple[Text, ...] = Field(
        ("low_confidence",),
        description="Review reasons that are told: low_confidence, several_not_ruled_out, "
        "none_not_ruled_out, out_of_range, missing.",
    )


class FhirColumn(Section):
    """Where a FHIR Bundle holds one input column."""

    code: Text = Field("", description="Code of the Observation or Condition, for example 2524-7.")
    system: str = Field(
        "http://loinc.org", description="Code system of the code; http://loinc.org for LOINC."
    )
    also: tuple[Text, ...] = Field(
        (), description="Other codes of that system which mean the same measurement."
    )
    unit: str = Field(
        "", description="UCUM unit of the column; values in other units are converted. Empty: no unit."
    )
    values: dict[str, Text] = Field(
        default_factory=dict, description="Coded answer to the column's option or yes/no, by its code."
    )
    resource: Literal["Observation", "Condition", "Patient", "DocumentReference"] = Field(
        "Observation",
        description="Condition: present means yes. Patient: gender or age. DocumentReference: free text.",
    )
    element: Literal["", "gender", "age", "birthDate"] = Field(
        "", description="Of a Patient: which element; age is in years at the time of the Bundle."
    )


class FhirClass(Section):
    """The code of one condition."""

    code: Text = Field(description="For example J18.9 or 586.")
    system: str = Field(
        "http://hl7.org/fhir/sid/icd-10", description="Its code system; http://www.orpha.net for ORPHAcodes."
    )
    display: str = Field("", description="Its name in that system.")


class Fhir(Section):
    """How FHIR Bundles become records of this study, and its conditions codes."""

    columns: dict[str, FhirColumn] = Field(default_factory=dict, description="By input column.")
    classes: dict[str, FhirClass] = Field(default_factory=dict, description="By class name.")
