"""Who may do what: one table, read top to bottom; what is not in it is denied."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal, get_args

from galeno.errors import AccessError

Role = Literal["clinician", "engineer", "auditor", "admin"]

ROLES: Final[tuple[Role, ...]] = get_args(Role)


class Action(StrEnum):
    """Everything that can be asked of Galeno and is checked."""

    DIAGNOSES_CREATE = "diagnoses.create"
    DIAGNOSES_READ = "diagnoses.read"
    DIAGNOSES_LIST = "diagnoses.list"
    DIAGNOSES_EXPLAIN = "diagnoses.explain"
    FEEDBACK_CREATE = "feedback.create"
    OUTCOMES_CREATE = "outcomes.create"
    CONSENTS_CREATE = "consents.create"
    CONSENTS_READ = "consents.read"
    FHIR_READ = "fhir.read"
    DISEASE_RANK = "disease.rank"
    FORMS_READ = "forms.read"
    RECORDS_CREATE = "records.create"
    MODELS_LIST = "models.list"
    MODELS_PROMOTE = "models.promote"
    MODELS_STOP = "models.stop"
    OVERVIEW_READ = "overview.read"
    METRICS_READ = "metrics.read"
    AUDIT_READ = "audit.read"
    AUDIT_EXPORT = "audit.export"
    PATIENTS_EXPORT = "patients.export"
    PATIENTS_ERASE = "patients.erase"
    USERS_MANAGE = "users.manage"
    POLICIES_READ = "policies.read"


def _roles(*roles: Role) -> frozenset[Role]:
    return frozenset(roles)


PERMISSIONS: Final[Mapping[Action, frozenset[Role]]] = MappingProxyType(
    {
        # care: cases of the clinician's own site
        Action.DIAGNOSES_CREATE: _roles("clinician"),
        Action.DIAGNOSES_READ: _roles("clinician"),
        Action.DIAGNOSES_LIST: _roles("clinician", "engineer"),  # the engineer sees pseudonyms, no input
        Action.DIAGNOSES_EXPLAIN: _roles("clinician"),
        Action.FEEDBACK_CREATE: _roles("clinician"),
        Action.OUTCOMES_CREATE: _roles("clinician", "engineer"),
        Action.CONSENTS_CREATE: _roles("clinician", "admin"),
        Action.CONSENTS_READ: _roles("clinician", "admin"),
        Action.FHIR_READ: _roles("clinician"),
        Action.DISEASE_RANK: _roles("clinician"),
        # models
        Action.FORMS_READ: _roles("clinician", "engineer", "admin"),
        Action.RECORDS_CREATE: _roles("engineer"),
        Action.MODELS_LIST: _roles("clinician", "engineer", "auditor", "admin"),
        Action.MODELS_PROMOTE: _roles("engineer", "admin"),  # rolling back too
        Action.MODELS_STOP: _roles("engineer", "admin"),
        # oversight
        Action.OVERVIEW_READ: _roles("engineer", "auditor"),
        Action.METRICS_READ: _roles("engineer", "auditor", "admin"),
        Action.AUDIT_READ: _roles("auditor"),
        Action.AUDIT_EXPORT: _roles("auditor"),
        # administration: no clinical reading
        Action.PATIENTS_EXPORT: _roles("admin"),
        Action.PATIENTS_ERASE: _roles("admin"),
        Action.USERS_MANAGE: _roles("admin"),
        Action.POLICIES_READ: _roles("clinician", "engineer", "auditor", "admin"),
    }
)

BREAK_GLASS: Final[frozenset[Action]] = frozenset(
    {
        Action.DIAGNOSES_READ,
        Action.DIAGNOSES_LIST,
        Action.DIAGNOSES_EXPLAIN,
        Action.CONSENTS_READ,
        Action.FHIR_READ,
    }
)
"""What a clinician may do with another site's case in an emergency: read, not change."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, from where and what for.

    Attributes:
        name: unique name of the person or system; no shared accounts.
        role: what the person is here for.
        site: the caller's hospital or department; empty where a home knows no sites.
        address: network address that the request came from.
        face: the way in: api, fhir, cds_hooks, cli or pages.
        purpose: `treatment`, or `emergency` to read another site's case (break-glass).
        demo: nobody signed in: demo mode on the loopback address, where everything is allowed.
        reason: why the glass was broken; the audit trail keeps it, so it holds no patient data.
    """

    name: str
    role: Role
    site: str = ""
    address: str = ""
    face: str = "api"
    purpose: str = "treatment"
    demo: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether an action is allowed, and why: a sentence without a full stop."""

    allowed: bool
    reason: str


def decide(caller: Caller, action: Action, *, site: str | None = None) -> Decision:
    """Say whether the caller may do something.

    Args:
        caller: who asks.
        action: what for; an action that the table does not name is denied to everyone.
        site: site of the case that is asked for; None where the action is not about one case.
    """
    if caller.demo:
        return Decision(True, "demo mode allows everything")
    if caller.role not in PERMISSIONS.get(action, frozenset()):
        return Decision(False, f"the role {caller.role} may not do {action}")
    if site is None or caller.role != "clinician" or site == caller.site:
        return Decision(True, f"the role {caller.role} may do {action}")
    return _decide_elsewhere(caller, action)


def require(caller: Caller, action: Action, site: str | None = None) -> None:
    """Refuse what the caller may not do.

    Args:
        caller: who asks.
        action: what for.
        site: site of the case that is asked for; None where the action is not about one case.

    Raises:
        AccessError: the table denies it; the message holds the decision's reason.
    """
    decision = decide(caller, action, site=site)
    if not decision.allowed:
        raise AccessError(decision.reason, remedy="Ask an administrator for the role or site that it takes")


def _decide_elsewhere(caller: Caller, action: Action) -> Decision:
    """Decide on another site's case: denied, unless the glass is broken with a reason."""
    if caller.purpose != "emergency":
        return Decision(False, f"{action} of a case of another site takes an emergency")
    if action not in BREAK_GLASS:
        return Decision(False, f"an emergency lets read another site's cases, not do {action}")
    if not caller.reason.strip():
        return Decision(False, "an emergency takes a reason")
    return Decision(True, f"emergency access to {action} of a case of another site")
