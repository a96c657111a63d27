"""What FHIR R4 asks of a resource, before anything is read from it.

`fhir.resources` (R4B; the resources read here are the same in R4) holds names, types
and cardinalities. It lets required codes through as they come, status `banana`
included, so that codes and times are checked here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import MAXYEAR, UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Any, Literal

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from galeno.errors import InputError

MOST_ISSUES = 50
"""Issues of one request that are told."""
CLOCK_SKEW = timedelta(minutes=10)
"""How far ahead of this clock another one may go."""
ZONES = timedelta(hours=14)
"""A date without a clock time may be tomorrow's elsewhere."""
_DEEPEST = 40
_LONGEST_NAME = 64

Allowed = frozenset[str]


def _codes(listed: str) -> Allowed:
    return frozenset(listed.split("|"))


STATUS: Mapping[str, Allowed] = MappingProxyType(
    {
        "Observation": _codes(
            "registered|preliminary|final|amended|corrected|cancelled|entered-in-error|unknown"
        ),
        "DocumentReference": _codes("current|superseded|entered-in-error"),
        "Media": _codes(
            "preparation|in-progress|not-done|on-hold|stopped|completed|entered-in-error|unknown"
        ),
        "Encounter": _codes(
            "planned|arrived|triaged|in-progress|onleave|finished|cancelled|entered-in-error|unknown"
        ),
    }
)
"""Required codes of `status` (R4, required bindings)."""
GENDERS = _codes("male|female|other|unknown")
COMPARATORS = _codes("<|<=|>=|>")
CLINICAL = _codes("active|recurrence|relapse|inactive|remission|resolved")
VERIFICATION = _codes("unconfirmed|provisional|differential|confirmed|refuted|entered-in-error")


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing to tell about a resource; never a value of it."""

    code: str
    """A code of http://hl7.org/fhir/issue-type."""
    text: str
    expression: str
    """Where, such as `Bundle.entry[2].resource.valueQuantity.unit`."""
    severity: Literal["error", "warning", "information"] = "error"


class FhirInputError(InputError):
    """FHIR that cannot be read.

    Args:
        issues: what is wrong; at least one.
    """

    def __init__(self, issues: Iterable[Issue]) -> None:
        told = tuple(issues)[:MOST_ISSUES]
        super().__init__([(issue.expression, issue.text) for issue in told])
        self.issues = told


def load_resource(raw: Any, path: str) -> Any:
    """Hold a resource to the structure of its type.

    Args:
        raw: JSON value.
        path: where it stands.

    Returns:
        a model of `fhir.resources`.

    Raises:
        FhirInputError: it is no resource, or breaks the structure.
    """
    kind = resource_type(raw, path)
    _check_shape(raw, path)
    # contained resources are not read, and fhir.resources fails on some of them
    bare = {name: value for name, value in raw.items() if name != "contained"}
    try:
        resource = _model(kind).model_validate(bare)
    except ValidationError as error:
        raise FhirInputError(_structure_issue(one, path) for one in error.errors()) from None
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError):
        # its own validators let these through for values that they do not expect
        raise FhirInputError([Issue("structure", f"is not a valid {kind}", path)]) from None
    _check_modifiers(resource, path)
    return resource


def resource_type(raw: Any, path: str) -> str:
    """The type of a resource.

    Raises:
        FhirInputError: it is not an object, or of no known type.
    """
    if not isinstance(raw, Mapping):
        raise FhirInputError([Issue("structure", "is not a resource", path)])
    kind = raw.get("resourceType")
    if not isinstance(kind, str):
        raise FhirInputError([Issue("required", "resourceType is missing", f"{path}.resourceType")])
    if len(kind) > _LONGEST_NAME or not kind.isidentifier() or not _is_resource(kind):
        raise FhirInputError(
            [Issue("structure", "is not a resource type of FHIR R4", f"{path}.resourceType")]
        )
    return kind


def check_code(value: str | None, allowed: Allowed, path: str, *, required: bool = True) -> list[Issue]:
    """Hold a code to the codes that FHIR allows there; which were sent is not told."""
    if value is None:
        return [Issue("required", "is missing", path)] if required else []
    if value in allowed:
        return []
    return [Issue("code-invalid", f"is none of: {', '.join(sorted(allowed))}", path)]


def moment(value: Any, at_start: bool = True) -> datetime | None:
    """A FHIR date, dateTime or instant as `fhir.resources` gives it, as a time in UTC.

    Args:
        value: datetime, date, or a text `YYYY` or `YYYY-MM`; None gives None.
        at_start: take the start of a year, month or day; else its end.
    """
    if value is None:
        return None
    if isinstance(value, datetime):
        return _to_utc(value if value.tzinfo else value.replace(tzinfo=UTC))
    if isinstance(value, str):
        year, _, month = value.partition("-")
        day = date(int(year), int(month or 1), 1)
        days = 31 if month else 366
    else:
        day, days = value, 1
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    if at_start or start.year == MAXYEAR:
        return start
    after = start + timedelta(days=days)
    if days == 1:
        return after
    return after.replace(day=1) if days == 31 else after.replace(month=1, day=1)


def check_moment(value: Any, raw: Any, now: datetime, path: str) -> list[Issue]:
    """Refuse times to come.

    Args:
        value: as `fhir.resources` gives it.
        raw: as it was sent; numbers pass that library as seconds since 1970, but FHIR has texts only.
        now: the present time.
        path: where it stands.
    """
    if value is None:
        return []
    if raw is not None and not isinstance(raw, str):
        return [Issue("structure", "is not a text", path)]
    at = moment(value)
    ahead = CLOCK_SKEW if isinstance(value, datetime) else ZONES
    if at is not None and at > now + ahead:
        return [Issue("business-rule", "is in the future", path)]
    return []


def element(raw: Any, *names: str | int) -> Any:
    """What stands somewhere in a JSON value, None where there is no such place."""
    for name in names:
        if isinstance(name, int):
            raw = raw[name] if isinstance(raw, list) and name < len(raw) else None
        else:
            raw = raw.get(name) if isinstance(raw, Mapping) else None
    return raw


def _to_utc(time: datetime) -> datetime:
    try:
        return time.astimezone(UTC)
    except OverflowError:  # the year 1 or 9999 in another zone
        return time.replace(tzinfo=UTC)


def _check_shape(raw: Any, path: str) -> None:
    """Refuse endless nesting, and null, which FHIR knows in lists only but its library lets pass anywhere."""
    level = [raw]
    for _ in range(_DEEPEST):
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict) and None in value.values():
                raise FhirInputError([Issue("structure", "holds null, which is not FHIR", path)])
            inner += value.values() if isinstance(value, dict) else value
        level = [value for value in inner if isinstance(value, dict | list)]
        if not level:
            return
    raise FhirInputError([Issue("too-costly", f"is nested deeper than {_DEEPEST} levels", path)])


def _is_resource(kind: str) -> bool:
    from fhir.resources.R4B.resource import Resource

    try:
        return issubclass(_model(kind), Resource)
    except (ValueError, KeyError):
        return False


def _model(kind: str) -> Any:
    """The model of a resource type; the library is imported here, because it takes 0.3 s."""
    from fhir.resources.R4B import get_fhir_model_class

    return get_fhir_model_class(kind)


def _check_modifiers(resource: Any, path: str) -> None:
    """Refuse what changes the meaning in a way that is not understood here, as FHIR demands."""
    for name in ("modifierExtension", "implicitRules"):
        if getattr(resource, name, None):
            raise FhirInputError([Issue("not-supported", "is not understood here", f"{path}.{name}")])


def _structure_issue(error: ErrorDetails, path: str) -> Issue:
    """Say what a validation error means; the library's own texts may quote values."""
    names = [name for name in error["loc"] if name not in ("root", "resource_type")]
    place = path + "".join(
        f"[{name}]" if isinstance(name, int) else f".{name[:_LONGEST_NAME]}" for name in names
    )
    kind = error["type"]
    if kind.endswith("missing"):
        return Issue("required", "is missing", place)
    if kind == "extra_forbidden":
        return Issue("structure", "is not an element of this resource", place)
    if "but got multiple" in error["msg"]:
        return Issue("structure", "holds an element in several types, of which FHIR allows one", place)
    if kind.endswith("_type") or kind in ("model_validation_format", "json_invalid"):
        return Issue("structure", "is not of the type that FHIR has there", place)
    return Issue("value", "is not a valid value", place)
