"""What a hospital's system is asked to send along with a call (prefetch), and what it did send."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from galeno.errors import InputError
from galeno.ingest.fhir import Entry
from galeno.study import Study

ROOT: Final = "prefetch"
PATIENT: Final = "{{context.patientId}}"
LONGEST_QUERY: Final = 1800
"""Characters; beyond that the codes are left out, because not every server takes longer addresses."""
MOST_RESULTS: Final = 200
"""Newest first."""

_SEARCHES: Final = (
    ("conditions", "Condition", "code", "_sort=-recorded-date"),
    ("observations", "Observation", "code", "_sort=-date"),
    ("documents", "DocumentReference", "type", "_sort=-date"),
)
"""Key, resource type, search parameter of its code, order."""
_PANELS: Final = {
    "http://loinc.org|8480-6": "http://loinc.org|85354-9",
    "http://loinc.org|8462-4": "http://loinc.org|85354-9",
}
"""Blood pressures come as components of a panel, which a search by their own code does not find."""


@dataclass(frozen=True, slots=True)
class Prefetched:
    """What was sent.

    Attributes:
        entries: the patient first, then what the searches found, each resource once.
        missing: place, and why it is as good as not sent; then nothing can be answered.
        found: whether the searches found anything.
    """

    entries: tuple[Entry, ...]
    missing: tuple[tuple[str, str], ...]
    found: bool


def templates(study: Study) -> dict[str, str]:
    """The queries that give a study's columns, by key: no more than the study reads."""
    queries = {"patient": f"Patient/{PATIENT}"}
    for key, kind, parameter, order in _SEARCHES:
        columns = [column for column in study.fhir.columns.values() if column.resource == kind]
        if not columns:
            continue
        tokens = [f"{c.system}|{code}" for c in columns if c.code for code in (c.code, *c.also)]
        tokens += [_PANELS[token] for token in tokens if token in _PANELS]
        codes = ",".join(quote(token, safe=":/|.-_") for token in dict.fromkeys(tokens))
        base, end = f"{kind}?patient={PATIENT}", f"&{order}&_count={MOST_RESULTS}"
        query = f"{base}&{parameter}={codes}{end}"
        narrow = all(column.code for column in columns) and len(query) <= LONGEST_QUERY
        queries[key] = query if narrow else base + end
    return queries


def read_prefetch(
    study: Study, prefetch: Mapping[str, Mapping[str, Any] | None] | None, patient: str
) -> Prefetched:
    """Take apart what was sent. Keys that were not asked for are not read.

    A key that is not there could not be provided, and null says that there is no data (CDS Hooks, "Prefetch
    Template"). A search without data is an answer; a patient without data is none.

    Args:
        study: whose columns are asked for.
        prefetch: by key.
        patient: FHIR id of the patient that the call is about.

    Raises:
        InputError: the patient is another one.
    """
    sent = prefetch or {}
    entries: list[Entry] = []
    missing: list[tuple[str, str]] = []
    for key in templates(study):
        place = f"{ROOT}.{key}"
        fault = "was not sent" if key not in sent else _fault(sent[key])
        inside = [] if fault else _unpack(sent[key], place)
        if key == "patient" and not fault:
            inside = [entry for entry in inside if entry.raw.get("resourceType") == "Patient"]
            fault = "" if len(inside) == 1 else "holds no Patient"
            if inside and inside[0].raw.get("id") != patient:
                # the wrong patient's advice does harm
                raise InputError([(place, "is not the patient of context.patientId")])
        if fault:
            missing.append((place, fault))
        entries += inside
    distinct = _distinct(entries)
    return Prefetched(distinct, tuple(missing), found=len(distinct) > 1)


def _fault(value: Mapping[str, Any] | None) -> str:
    """Why what was sent is as good as not sent; empty where it is not."""
    if value is None:
        return ""
    links = value.get("link")
    if isinstance(links, list) and any(isinstance(x, dict) and x.get("relation") == "next" for x in links):
        return "is one page of several; all are needed"
    if any(_tells_error(each) for each in (value, *(_resource(entry) for entry in _entries(value)))):
        return "could not be fetched by the client"
    return ""


def _tells_error(resource: Any) -> bool:
    """Whether a resource is an OperationOutcome with an error."""
    if not isinstance(resource, Mapping) or resource.get("resourceType") != "OperationOutcome":
        return False
    issues = resource.get("issue")
    told = [x.get("severity") for x in issues if isinstance(x, dict)] if isinstance(issues, list) else []
    return not told or any(severity in ("fatal", "error") for severity in told)


def _entries(bundle: Mapping[str, Any]) -> list[Any]:
    entries = bundle.get("entry")
    return entries if isinstance(entries, list) else []


def _resource(entry: Any) -> Any:
    return entry.get("resource") if isinstance(entry, dict) else None


def _unpack(value: Mapping[str, Any] | None, place: str) -> list[Entry]:
    """A resource itself, or those of a Bundle.

    Raises:
        InputError: an entry holds no resource.
    """
    if value is None:
        return []
    if value.get("resourceType") != "Bundle":
        return [Entry(place, value)]
    entries = []
    for number, entry in enumerate(_entries(value)):
        resource = _resource(entry)
        if not isinstance(resource, dict):
            raise InputError([(f"{place}.entry[{number}]", "holds no resource")])
        if resource.get("resourceType") != "OperationOutcome":  # hints that servers add to a search
            url = entry.get("fullUrl")
            path = f"{place}.entry[{number}].resource"
            entries.append(Entry(path, resource, url if isinstance(url, str) else ""))
    return entries


def _distinct(entries: list[Entry]) -> tuple[Entry, ...]:
    """Each resource once: two searches may find the same one."""
    known: dict[object, Entry] = {}
    for entry in entries:
        name = entry.raw.get("id")
        key = (str(entry.raw.get("resourceType")), name) if isinstance(name, str) else entry.path
        known.setdefault(key, entry)
    return tuple(known.values())
