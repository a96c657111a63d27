"""What happened in some days, in figures: counts, reviews, agreement, latency, users, time on pages.

Everything is counted by the database, in statements that SQLite and PostgreSQL share; days are put together
here, from parts of ten minutes, since only this machine's clock knows where a local day begins.
"""

from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Subquery, Table, case, func, select

from galeno.service.span import Span, day_of
from galeno.service.worklist import within
from galeno.storage import schema

SAMPLE = 50_000
"""Latencies that percentiles are taken from: the newest of the days."""
QUANTILES = (0.5, 0.95, 0.99)

_DX, _FB, _PT = schema.diagnoses.c, schema.feedback.c, schema.page_times.c
_TEN_MINUTES = 15
"""Characters of a time down to ten minutes, which every time zone in use keeps whole but Nepal's kind."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Figures of some diagnoses. Shares are None where there is nothing to share.

    Attributes:
        diagnoses: how many.
        needs_review: of them, those that needed review.
        waiting: of those, not yet reviewed.
        answered: diagnoses on which a clinician gave feedback; the last word of each counts.
        agreed: of those, agreed with.
        overridden: of those, disagreed with, and a reason or another diagnosis given.
        confirmed: diagnoses with a confirmed condition; the last one of each counts.
        right: of those, the condition that was named first.
        confidence: sum of the probabilities of the first conditions.
    """

    diagnoses: int = 0
    needs_review: int = 0
    waiting: int = 0
    answered: int = 0
    agreed: int = 0
    overridden: int = 0
    confirmed: int = 0
    right: int = 0
    confidence: float = 0.0

    @property
    def review_share(self) -> float | None:
        """Share that needed review."""
        return _share(self.needs_review, self.diagnoses)

    @property
    def agreement(self) -> float | None:
        """Share of the feedback that agreed."""
        return _share(self.agreed, self.answered)

    @property
    def override_rate(self) -> float | None:
        """Share of the feedback that overrode (CLINICAL.md [25], automation bias)."""
        return _share(self.overridden, self.answered)

    @property
    def right_share(self) -> float | None:
        """Share of the confirmed conditions that had been named first."""
        return _share(self.right, self.confirmed)

    @property
    def mean_confidence(self) -> float | None:
        """Mean probability of the first condition."""
        return _share(self.confidence, self.diagnoses)


@dataclass(frozen=True, slots=True)
class Day:
    """One day; days without a diagnosis are there too."""

    day: date
    diagnoses: int
    needs_review: int
    users: int
    """People and systems that asked for a diagnosis that day, or gave feedback on one of the span."""


@dataclass(frozen=True, slots=True)
class Line:
    """Figures of one condition or one version of a study."""

    study: str
    name: str
    counts: Counts


@dataclass(frozen=True, slots=True)
class Latency:
    """How long answers took, in milliseconds: nearest-rank percentiles."""

    name: str
    """`version`, `face`, or empty for all."""
    answers: int
    p50: float
    p95: float
    p99: float
    study: str = ""


@dataclass(frozen=True, slots=True)
class PageTime:
    """How long one kind of page was looked at."""

    page: str
    role: str
    views: int
    users: int
    """Users of a day, summed over days: nobody is followed from day to day."""
    seconds: float
    """In all."""

    @property
    def mean(self) -> float:
        """Seconds of a view."""
        return self.seconds / self.views


@dataclass(frozen=True, slots=True)
class Overview:
    """What happened in some days."""

    span: Span
    study: str | None
    counts: Counts
    users: int
    days: tuple[Day, ...]
    conditions: tuple[Line, ...]
    versions: tuple[Line, ...]
    reasons: tuple[tuple[str, int], ...]
    """Code of a reason to override, and how often; empty code for none."""
    rating: float | None
    ratings: int
    latency: Latency | None
    latencies: tuple[Latency, ...]
    """By version."""
    faces: tuple[Latency, ...]
    pages: tuple[PageTime, ...]


def read_overview(connection: Connection, span: Span, study: str | None) -> Overview:
    """Count what happened.

    Args:
        connection: for reading.
        span: the days.
        study: only of this one; None for all. Time on pages is not kept by study.
    """
    chosen = within(span)
    if study is not None:
        chosen &= _DX.study == study
    said = _said(connection, chosen)
    cells = _count(connection, chosen, said)
    users, days = _days(connection, span, chosen)
    sample = select(_DX.study, _DX.version, _DX.face, _DX.latency_ms).where(chosen)
    latencies = sample.order_by(_DX.id.desc()).limit(SAMPLE).subquery("latencies")
    ratings = sum(each.ratings for each in said)
    return Overview(
        span=span,
        study=study,
        counts=_sum(cells.values()),
        users=users,
        days=days,
        conditions=_lines(cells, 1),
        versions=_lines(cells, 2),
        reasons=_reasons(said),
        rating=_share(sum(each.rating for each in said), ratings),
        ratings=ratings,
        latency=next(iter(_latencies(connection, latencies)), None),
        latencies=tuple(_latencies(connection, latencies, "study", "version")),
        faces=tuple(_latencies(connection, latencies, "face")),
        pages=_pages(connection, span),
    )


_Cell = tuple[str, str, str]
"""Study, condition, version."""
_SAID = ("answered", "agreed", "overridden")
_KEYS = (_DX.study, _DX.condition, _DX.version)


class _Said(NamedTuple):
    """Last words on diagnoses that say the same."""

    study: str
    condition: str
    version: str | None
    agrees: bool
    reason: str | None
    other: bool
    """Whether another diagnosis was given."""
    diagnoses: int
    rating: int
    """Sum."""
    ratings: int

    @property
    def cell(self) -> _Cell:
        return self.study, self.condition, self.version or ""

    @property
    def overrides(self) -> bool:
        return not self.agrees and (self.other or self.reason is not None)


def _said(connection: Connection, chosen: ColumnElement[bool]) -> list[_Said]:
    """The last word of clinicians on each diagnosis, counted."""
    last = _last(schema.feedback, chosen)
    other = last.c.own.is_not(None)
    keys = [*_keys(last), last.c.agrees, last.c.reason, other.label("other")]
    rating = func.coalesce(func.sum(last.c.rating), 0)
    query = select(*keys, func.count(), rating, func.count(last.c.rating)).group_by(*keys[:-1], other)
    return [_Said._make(row) for row in connection.execute(query)]


def _count(connection: Connection, chosen: ColumnElement[bool], said: Sequence[_Said]) -> dict[_Cell, Counts]:
    """All counts by study, condition and version."""
    found: defaultdict[_Cell, dict[str, Any]] = defaultdict(lambda: dict.fromkeys(_SAID, 0))
    waiting = _DX.needs_review & _DX.reviewed.is_(None)
    made = select(
        *_KEYS,
        func.count().label("diagnoses"),
        _number(_DX.needs_review).label("needs_review"),
        _number(waiting).label("waiting"),
        func.sum(_DX.confidence).label("confidence"),
    ).where(chosen)
    known = _last(schema.outcomes, chosen)
    confirmed = select(
        *_keys(known),
        func.count().label("confirmed"),
        _number(known.c.own == known.c.condition).label("right"),
    )
    for query in (made, confirmed):
        keys = list(query.selected_columns)[: len(_KEYS)]
        for row in connection.execute(query.group_by(*keys)).mappings():
            values = dict(row)
            cell = (values.pop("study"), values.pop("condition"), values.pop("version") or "")
            found[cell].update(values)
    for each in said:
        for name, counted in zip(_SAID, (True, each.agrees, each.overrides), strict=True):
            found[each.cell][name] += each.diagnoses if counted else 0
    return {cell: Counts(**values) for cell, values in found.items()}


def _last(table: Table, chosen: ColumnElement[bool]) -> Subquery:
    """The last row of each diagnosis in `feedback` or `outcomes`; its own condition is called `own`."""
    place = func.row_number().over(
        partition_by=table.c.diagnosis, order_by=(table.c.created.desc(), table.c.id.desc())
    )
    columns = [table.c[name] for name in ("agrees", "rating", "reason") if name in table.c]
    ranked = (
        select(*_KEYS, *columns, table.c.condition.label("own"), place.label("place"))
        .select_from(schema.diagnoses.join(table, table.c.diagnosis == _DX.id))
        .where(chosen)
        .subquery()
    )
    return select(ranked).where(ranked.c.place == 1).subquery()


def _keys(found: Subquery) -> list[ColumnElement[Any]]:
    return [found.c[column.name] for column in _KEYS]


def _days(connection: Connection, span: Span, chosen: ColumnElement[bool]) -> tuple[int, tuple[Day, ...]]:
    """How many people there were, and the figures of each day."""
    made: Tally[date] = Tally()
    review: Tally[date] = Tally()
    people: defaultdict[date, set[str]] = defaultdict(set)
    asked = func.substr(_DX.created, 1, _TEN_MINUTES)
    query = select(asked, _DX.actor, func.count(), _number(_DX.needs_review)).where(chosen)
    for moment, actor, number, needing in connection.execute(query.group_by(asked, _DX.actor)):
        day = _inside(span, day_of(moment))
        made[day] += number
        review[day] += needing
        people[day].add(actor)
    answered = func.substr(_FB.created, 1, _TEN_MINUTES)
    both = schema.diagnoses.join(schema.feedback, _FB.diagnosis == _DX.id)
    spoke = select(answered, _FB.actor).select_from(both).where(chosen).distinct()
    for moment, actor in connection.execute(spoke):
        people[day_of(moment)].add(actor)
    days = tuple(Day(day, made[day], review[day], len(people[day])) for day in span.days())
    return len(set().union(*people.values())), days


def _reasons(said: Iterable[_Said]) -> tuple[tuple[str, int], ...]:
    """Why clinicians disagreed, the most frequent reason first."""
    found: Tally[str] = Tally()
    for each in said:
        if not each.agrees:
            found[each.reason or ""] += each.diagnoses
    return tuple(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))


def _latencies(connection: Connection, sample: Subquery, *by: str) -> Iterable[Latency]:
    """Percentiles of the sample, for each value of some columns."""
    columns = [sample.c[name] for name in by]
    place = func.row_number().over(partition_by=columns or None, order_by=sample.c.latency_ms)
    size = func.count().over(partition_by=columns or None)
    ranked = select(*columns, sample.c.latency_ms, place.label("place"), size.label("size")).subquery()
    figures = [
        # nearest rank: the smallest value that the share q does not exceed, in whole numbers
        func.min(case((ranked.c.place * 100 >= ranked.c.size * round(q * 100), ranked.c.latency_ms))).label(
            f"p{round(q * 100)}"
        )
        for q in QUANTILES
    ]
    keys = [ranked.c[name] for name in by]
    query = select(*keys, func.max(ranked.c.size).label("answers"), *figures).group_by(*keys)
    for row in connection.execute(query).mappings():
        if row["answers"]:
            name = str(row[by[-1]] or "") if by else ""
            study = row["study"] if "study" in by else ""
            yield Latency(name, row["answers"], row["p50"], row["p95"], row["p99"], study)


def _pages(connection: Connection, span: Span) -> tuple[PageTime, ...]:
    """Time on pages, the longest in all first."""
    user = _PT.day + " " + _PT.user_hash
    query = (
        select(_PT.page, _PT.role, func.count(), func.count(user.distinct()), func.sum(_PT.seconds))
        .where(_PT.day >= span.since.isoformat(), _PT.day <= span.until.isoformat())
        .group_by(_PT.page, _PT.role)
    )
    found = [PageTime(*row) for row in connection.execute(query)]
    return tuple(sorted(found, key=lambda each: (-each.seconds, each.page, each.role)))


def _lines(cells: Mapping[_Cell, Counts], place: int) -> tuple[Line, ...]:
    """Cells put together by study and condition (place 1), or study and version (place 2)."""
    together: defaultdict[tuple[str, str], list[Counts]] = defaultdict(list)
    for cell, counts in cells.items():
        together[cell[0], cell[place]].append(counts)
    found = [Line(study, name, _sum(counts)) for (study, name), counts in together.items()]
    return tuple(sorted(found, key=lambda line: (line.study, -line.counts.diagnoses, line.name)))


def _sum(counts: Iterable[Counts]) -> Counts:
    listed: Sequence[Counts] = list(counts)
    return Counts(*(sum(getattr(each, field.name) for each in listed) for field in fields(Counts)))


def _number(condition: ColumnElement[bool]) -> ColumnElement[int]:
    """How many rows fulfil a condition."""
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


def _inside(span: Span, day: date) -> date:
    """A day of the span: where a zone's offset is no multiple of ten minutes, the ends spill over."""
    return min(max(day, span.since), span.until)


def _share(part: float, whole: int) -> float | None:
    return part / whole if whole else None
