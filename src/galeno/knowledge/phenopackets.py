"""What a phenopacket (GA4GH version 2, ISO 4454:2022) says of a patient's signs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from galeno.errors import InputError
from galeno.knowledge.durations import STAGES, parse_age, parse_duration, parse_onset

_FIELD = "phenopacket"
_MOST = 2_000


@dataclass(frozen=True, slots=True)
class Fields:
    """The parts of a phenopacket that ranking needs."""

    id: str
    observed: tuple[str, ...]
    excluded: tuple[str, ...]
    age: float | None
    sex: str
    onset: float | str | None
    truth: tuple[str, ...]
    paper: str | None


def is_phenopacket(row: Mapping[str, Any]) -> bool:
    """Whether a JSON object looks like a phenopacket rather than like a case of Galeno's own."""
    return any(name in row for name in ("phenotypicFeatures", "phenotypic_features", "metaData", "meta_data"))


def read_fields(content: Any) -> Fields:
    """Take from a parsed phenopacket what ranking needs.

    Names are taken in lowerCamelCase and in snake_case, as parsers of protobuf JSON do.

    Raises:
        InputError: it is no phenopacket of version 2, or it has no sign; one fault for each field.
    """
    if not isinstance(content, Mapping) or not is_phenopacket(content):
        raise InputError(
            [(_FIELD, "this is not a phenopacket: it has neither phenotypicFeatures nor metaData")]
        )
    version = _get(_object(content, "metaData", _FIELD), "phenopacketSchemaVersion")
    if isinstance(version, str) and version.strip().startswith(("0", "1")):
        raise InputError([(f"{_FIELD}.metaData", "is of version 1; convert it to version 2")])
    subject = _object(content, "subject", _FIELD)
    observed, excluded, onsets = _signs(content)
    diseases = list(_objects(content, "diseases", _FIELD))
    onsets += [_onset(each, where) for where, each in diseases]
    sex = _get(subject, "sex")
    return Fields(
        id=_text(content, "id") or _text(subject, "id") or _FIELD,
        observed=observed,
        excluded=excluded,
        age=_age(subject),
        sex=sex if isinstance(sex, str) else "",
        onset=min((each for each in onsets if each is not None), key=_years, default=None),
        truth=_truth(content, [each for _, each in diseases]),
        paper=_paper(content),
    )


def _signs(content: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...], list[float | str | None]]:
    """Observed signs, excluded signs, onsets of the observed ones."""
    observed, excluded, onsets, faults = [], [], [], []
    features = list(_objects(content, "phenotypicFeatures", _FIELD))
    for where, feature in features:
        term = _text(_object(feature, "type", where), "id").strip()
        absent = _get(feature, "excluded", False)
        if not term:
            faults.append((f"{where}.type.id", "is missing"))
        elif "negated" in feature:
            faults.append((f"{where}.negated", "belongs to version 1; version 2 says excluded"))
        elif not isinstance(absent, bool):
            faults.append((f"{where}.excluded", "is neither true nor false"))
        elif absent:
            excluded.append(term)
        else:
            observed.append(term)
            onsets.append(_onset(feature, where))
    if not features:
        faults.append((f"{_FIELD}.phenotypicFeatures", "names no sign"))
    if faults:
        raise InputError(faults[:20])
    return tuple(observed), tuple(excluded), onsets


def _age(subject: Mapping[str, Any]) -> float | None:
    """Years at the last encounter, else at death."""
    where = f"{_FIELD}.subject"
    born = _get(subject, "dateOfBirth")
    vital = _object(subject, "vitalStatus", where)
    for holder, name, place in (
        (subject, "timeAtLastEncounter", where),
        (vital, "timeOfDeath", f"{where}.vitalStatus"),
    ):
        place = f"{place}.{name}"  # noqa: PLW2901
        time = _time(_object(holder, name, place), place, born)
        if isinstance(time, str):
            if time not in STAGES:
                continue
            return parse_age(time)
        if time is not None:
            return time
    return None


def _onset(holder: Mapping[str, Any], where: str) -> float | str | None:
    return _time(_object(holder, "onset", where), f"{where}.onset", None)


def _time(element: Mapping[str, Any], where: str, born: Any) -> float | str | None:
    """Years or HPO stage of a TimeElement; None where it is given in another way, or not at all."""
    age = _object(element, "age", where)
    start = _object(_object(element, "ageRange", where), "start", where)
    for holder in (age, start):
        duration = _get(holder, "iso8601duration")
        if duration is None:
            continue
        try:
            return parse_duration(duration if isinstance(duration, str) else "")
        except ValueError as error:
            raise InputError([(where, str(error))]) from None
    stage = _text(_object(element, "ontologyClass", where), "id")
    if stage:
        try:
            return parse_onset(stage)
        except ValueError:
            return None  # a stage of another ontology
    moment = _get(element, "timestamp")
    if isinstance(moment, str) and isinstance(born, str):
        return _between(born, moment)
    return None


def _between(born: str, moment: str) -> float | None:
    try:
        first, last = (datetime.fromisoformat(text[:10]) for text in (born, moment))
    except ValueError:
        return None
    years = (last - first).days / 365.25
    return years if 0 <= years <= 150 else None


def _years(onset: float | str) -> float:
    """For the order of onsets; a stage without years comes last."""
    return STAGES.get(onset, (1e3, 1e3))[1] if isinstance(onset, str) else onset


def _truth(content: Mapping[str, Any], diseases: list[Mapping[str, Any]]) -> tuple[str, ...]:
    solved = []
    for where, each in _objects(content, "interpretations", _FIELD):
        if _get(each, "progressStatus") in ("SOLVED", 3):
            disease = _object(_object(each, "diagnosis", where), "disease", where)
            solved.append(_text(disease, "id"))
    listed = [
        _text(_object(each, "term", _FIELD), "id") for each in diseases if _get(each, "excluded") is not True
    ]
    return tuple(dict.fromkeys(each for each in ((any(solved) and solved) or listed) if each))


def _paper(content: Mapping[str, Any]) -> str | None:
    meta = _object(content, "metaData", _FIELD)
    for _, each in _objects(meta, "externalReferences", f"{_FIELD}.metaData"):
        if _text(each, "id").startswith("PMID:"):
            return _text(each, "id")
    return None


def _get(holder: Mapping[str, Any], name: str, default: Any = None) -> Any:
    """A field by its name in lowerCamelCase or in snake_case; null counts as not given."""
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    value = holder.get(name, holder.get(snake))
    return default if value is None else value


def _text(holder: Mapping[str, Any], name: str) -> str:
    value = _get(holder, name)
    return value if isinstance(value, str) else ""


def _object(holder: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    value = _get(holder, name, {})
    if not isinstance(value, Mapping):
        raise InputError([(f"{where}.{name}", "is not an object")])
    return value


def _objects(holder: Mapping[str, Any], name: str, where: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Place and content of each object in a list."""
    values = _get(holder, name, [])
    if not isinstance(values, list):
        raise InputError([(f"{where}.{name}", "is not a list")])
    if len(values) > _MOST:
        raise InputError([(f"{where}.{name}", f"has more than {_MOST} entries")])
    for number, value in enumerate(values):
        if not isinstance(value, Mapping):
            raise InputError([(f"{where}.{name}[{number}]", "is not an object")])
        yield f"{where}.{name}[{number}]", value
