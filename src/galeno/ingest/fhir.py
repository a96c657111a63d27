"""FHIR R4 Bundles as records of a study, mapped by its `fhir` section.

Of each column the latest value by its time is taken. What was entered in error or
cancelled counts as never sent. docs/fhir.md says it in full.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from galeno.ingest.fhir_check import (
    FhirInputError,
    Issue,
    check_code,
    check_moment,
    element,
    load_resource,
    moment,
    resource_type,
)
from galeno.ingest.fhir_files import plain_resource
from galeno.ingest.fhir_map import FhirMap, latest
from galeno.study import Study

MOST_ENTRIES = 5000
"""Entries of one Bundle."""
READ = ("Patient", "Observation", "Condition", "DocumentReference")
"""Resource types that records are made of."""
READ_WITH_FILES = (*READ, "Media")
"""The same of a study with sounds or images."""
_TYPES = ("collection", "searchset", "document", "message", "batch", "transaction")


@dataclass(frozen=True, slots=True)
class Entry:
    """A resource and where it stands."""

    path: str
    """For messages, such as `Bundle.entry[2].resource`."""
    raw: Any
    """JSON value."""
    full_url: str = ""


@dataclass(frozen=True, slots=True)
class FhirRecord:
    """What a Bundle says of its patient in one study."""

    patient_id: str
    """`system|value` of the first identifier in use, or the resource's id."""
    subject: str
    """Reference to the Patient, such as `Patient/p1`."""
    record: Mapping[str, float | bool | str | bytes]
    """Column to value, in the column's unit; a sound or an image is the bytes of its file."""
    paths: Mapping[str, str]
    """Column to the place of its value in the Bundle."""
    basis: tuple[str, ...]
    """References to the resources whose values were taken."""
    issues: tuple[Issue, ...]
    """Warnings and information; errors are raised."""


def read_bundle(study: Study, bundle: Any, *, now: datetime | None = None) -> FhirRecord:
    """Read the one patient of a Bundle.

    Args:
        study: whose `fhir` section says where its columns are.
        bundle: JSON value of a Bundle of type collection, searchset, document or message.
        now: the present time; None asks the clock.

    Raises:
        FhirInputError: naming every place that is wrong, such as `Bundle.entry[2].resource.status`.
    """
    present = now or datetime.now(UTC)
    kind = resource_type(bundle, "Bundle")
    if kind != "Bundle":
        raise FhirInputError([Issue("structure", "a Bundle is expected", "Bundle")])
    entries = bundle.get("entry", [])
    if not isinstance(entries, list) or len(entries) > MOST_ENTRIES:
        raise FhirInputError(
            [Issue("too-costly", f"is not a list of at most {MOST_ENTRIES} entries", "Bundle.entry")]
        )
    frame = load_resource({name: value for name, value in bundle.items() if name != "entry"}, "Bundle")
    issues = check_code(frame.type, frozenset(_TYPES), "Bundle.type")
    issues += check_moment(frame.timestamp, bundle.get("timestamp"), present, "Bundle.timestamp")
    if issues:
        raise FhirInputError(issues)
    return read_entries(
        study,
        list(_entries(entries)),
        now=present,
        at=moment(frame.timestamp) or present,
        root="Bundle",
    )


def read_entries(
    study: Study,
    entries: Sequence[Entry],
    *,
    now: datetime | None = None,
    at: datetime | None = None,
    root: str = "Bundle",
) -> FhirRecord:
    """Read the one patient of some resources.

    Args:
        study: whose `fhir` section says where its columns are.
        entries: resources and where they stand; those of other types are ignored with a word.
        now: the present time; None asks the clock.
        at: time that the patient's age is told for; None means now.
        root: what a missing Patient is missing from.

    Raises:
        FhirInputError: naming every place that is wrong.
    """
    present = now or datetime.now(UTC)
    mapping = FhirMap(study)
    loaded, issues = _load(entries, mapping)
    place, patient = _only_patient(loaded, issues, root)
    patient_id, wrong = identify(patient, place.path)
    findings, told = mapping.read_patient(patient, place.raw, place.path, at or present, present)
    issues += [*wrong, *told]
    names = _names_of(patient, place.full_url)
    for entry, resource in loaded:
        if resource is patient:
            continue
        issues += _check_subject(resource, names, patient, entry.path)
        found, told = mapping.read(resource, entry.raw, entry.path, present)
        issues += told
        reference = reference_to(resource, entry.full_url)
        findings += [replace(finding, reference=reference) for finding in found]
    newest = latest(findings)
    issues += [issue for finding in newest.values() for issue in finding.issues]
    taken = {name: finding for name, finding in newest.items() if finding.value is not None}
    errors = [issue for issue in issues if issue.severity == "error"]
    if not taken and not errors:
        errors = [Issue("required", "holds nothing that this study maps", f"{root}.entry")]
    if errors:
        raise FhirInputError(errors)
    return FhirRecord(
        patient_id=patient_id,
        subject=reference_to(patient, place.full_url),
        record={name: f.value for name, f in taken.items() if f.value is not None},
        paths={name: finding.path for name, finding in taken.items()},
        basis=tuple(dict.fromkeys(f.reference for f in taken.values() if f.reference)),
        issues=tuple(dict.fromkeys(issues)),
    )


def _load(entries: Sequence[Entry], mapping: FhirMap) -> tuple[list[tuple[Entry, Any]], list[Issue]]:
    """The resources that are read here, held to their structure, and what is to be told of the others."""
    loaded: list[tuple[Entry, Any]] = []
    issues: list[Issue] = []
    ignored: dict[str, list[str]] = {}
    read = READ_WITH_FILES if mapping.files else READ
    for entry in entries:
        try:
            kind = resource_type(entry.raw, entry.path)
            if kind in read:
                loaded.append((entry, load_resource(plain_resource(entry.raw), entry.path)))
            elif not (mapping.files and mapping.binaries.add(entry.raw, entry.full_url)):
                ignored.setdefault(kind, []).append(entry.path)
        except FhirInputError as error:
            issues += error.issues
    issues += [_tell_ignored(kind, paths) for kind, paths in ignored.items()]
    return loaded, issues


def _only_patient(loaded: list[tuple[Entry, Any]], issues: list[Issue], root: str) -> tuple[Entry, Any]:
    people = [pair for pair in loaded if pair[1].get_resource_type() == "Patient"]
    if len(people) == 1:
        return people[0]
    errors = [issue for issue in issues if issue.severity == "error"]
    if people:
        what = f"holds {len(people)} Patients; one is expected"
        raise FhirInputError([Issue("multiple-matches", what, f"{root}.entry"), *errors])
    missing = Issue("required", f"Patient missing from {root}", f"{root}.entry")
    # what cannot be read may have been the Patient, so that it is told first
    raise FhirInputError([*errors, missing])


def identify(patient: Any, path: str) -> tuple[str, list[Issue]]:
    """The id by which a patient is known: the official identifier, else the first in use, else Patient.id."""
    usable = [
        one
        for one in patient.identifier or ()
        if one.value and one.value.strip() and one.use not in ("old", "temp", "secondary")
    ]
    usable.sort(key=lambda one: one.use != "official")
    if usable:
        first = usable[0]
        return f"{first.system}|{first.value}" if first.system else str(first.value), []
    if patient.id:
        return str(patient.id), []
    return "", [Issue("required", "a Patient needs an identifier or an id", f"{path}.identifier")]


def _entries(entries: list[Any]) -> Iterable[Entry]:
    for number, entry in enumerate(entries):
        path = f"Bundle.entry[{number}].resource"
        full_url = element(entry, "fullUrl")
        yield Entry(path, element(entry, "resource"), full_url if isinstance(full_url, str) else "")


def _names_of(patient: Any, full_url: str) -> set[str]:
    """References that mean this patient."""
    return {name for name in (f"Patient/{patient.id}" if patient.id else "", full_url) if name}


def _check_subject(resource: Any, names: set[str], patient: Any, path: str) -> list[Issue]:
    """Refuse what is another patient's: two patients in one record are never right."""
    subject = resource.subject
    if subject is None:
        return []
    fault = Issue("business-rule", "is not the Patient of this Bundle", f"{path}.subject")
    if subject.reference:
        plain = subject.reference.partition("/_history/")[0]
        relative = "/".join(plain.split("/")[-2:])
        return [] if plain in names or relative in names else [fault]
    identifier = subject.identifier
    if identifier is None or not identifier.value:
        return []
    known = {(one.system, one.value) for one in patient.identifier or ()}
    return [] if (identifier.system, identifier.value) in known else [fault]


def reference_to(resource: Any, full_url: str = "") -> str:
    """A reference to a resource by its id, else by where it was in its Bundle."""
    return f"{resource.get_resource_type()}/{resource.id}" if resource.id else full_url


def _tell_ignored(kind: str, paths: list[str]) -> Issue:
    if kind in ("Media", "ImagingStudy", "Binary"):
        return Issue("not-supported", "sounds and images are not read from it; ignored", paths[0], "warning")
    count = f"{len(paths)} resources" if len(paths) > 1 else "a resource"
    return Issue("informational", f"{count} of type {kind} not read", paths[0], "information")
