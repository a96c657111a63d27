"""The worklist's page: diagnoses by study, review state and day, the least certain or the newest first."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, Connection, func, select, true

from galeno.service.span import Span
from galeno.storage import schema
from galeno.storage.ids import id_at, written

State = Literal["open", "reviewed", "all"]
Order = Literal["unsure", "newest"]
STATES: tuple[State, ...] = get_args(State)
ORDERS: tuple[Order, ...] = get_args(Order)
SIZE = 25
"""Rows of a page."""
FARTHEST = 400
"""Last page that is looked up; a worklist is for the next cases, not for archives."""

_DX = schema.diagnoses.c
_SLACK = timedelta(minutes=1)
"""An id is made a moment before the time beside it is read."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants to see of the worklist.

    Attributes:
        study: only of this one; None for all.
        state: `open` needs review and had none, `reviewed` was looked at, `all`.
        span: days; None for all.
        order: `unsure` the least certain first, `newest`.
        page: from 1.
        site: only of this one; None for all.
    """

    study: str | None = None
    state: State = "open"
    span: Span | None = None
    order: Order = "unsure"
    page: int = 1
    site: str | None = None


@dataclass(frozen=True, slots=True)
class WorkRow:
    """One diagnosis of the worklist."""

    id: str
    created: str
    study: str
    site: str
    patient: str
    """Pseudonym."""
    condition: str
    confidence: float
    needs_review: bool
    reviewed: str | None
    version: str
    patient_id: str | None = None
    """The hospital's own; only for those who may read the case, None also where the patient was erased."""


@dataclass(frozen=True, slots=True)
class Worklist:
    """One page of it."""

    rows: tuple[WorkRow, ...]
    found: int
    """Diagnoses on all pages."""
    page: int
    pages: int


def read_worklist(connection: Connection, wanted: Wanted) -> Worklist:
    """One page; one past the end gives the last."""
    condition = _where(wanted)
    found = connection.execute(
        select(func.count()).select_from(schema.diagnoses).where(condition)
    ).scalar_one()
    pages = max(1, min(FARTHEST, -(-found // SIZE)))
    page = min(max(1, wanted.page), pages)
    order = (_DX.id.desc(),) if wanted.order == "newest" else (_DX.confidence, _DX.id.desc())
    columns = (
        _DX.id, _DX.created, _DX.study, _DX.site, _DX.patient, _DX.condition, _DX.confidence,
        _DX.needs_review, _DX.reviewed, _DX.version,
    )  # fmt: skip
    query = select(*columns).where(condition).order_by(*order).limit(SIZE).offset((page - 1) * SIZE)
    rows = tuple(_row(dict(row)) for row in connection.execute(query).mappings())
    return Worklist(rows, found, page, pages)


def within(span: Span) -> ColumnElement[bool]:
    """Diagnoses of these days. Their ids sort by time, so that the key finds them without an index more."""
    return (
        (_DX.id >= id_at("dx", span.start - _SLACK))
        & (_DX.id < id_at("dx", span.end))
        & (_DX.created >= written(span.start))
        & (_DX.created < written(span.end))
    )


def _where(wanted: Wanted) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = true()
    if wanted.study is not None:
        condition &= _DX.study == wanted.study
    if wanted.site is not None:
        condition &= _DX.site == wanted.site
    if wanted.span is not None:
        condition &= within(wanted.span)
    if wanted.state == "open":
        condition &= _DX.needs_review.is_(True) & _DX.reviewed.is_(None)
    elif wanted.state == "reviewed":
        condition &= _DX.reviewed.is_not(None)
    return condition


def _row(row: Mapping[str, Any]) -> WorkRow:
    return WorkRow(**{**row, "needs_review": bool(row["needs_review"]), "version": row["version"] or ""})
