"""The overview: what happened in some days, as figures, charts and tables, each table also as CSV."""

import csv
import io
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Any, Final

from babel.dates import format_skeleton
from fastapi import APIRouter, Request, Response
from markupsafe import Markup

from galeno.errors import InputError, NotFoundError
from galeno.governance.access import Action
from galeno.service.overview import Latency, Line, Overview
from galeno.service.pages.asked import address, read_choice, read_span, read_text
from galeno.service.pages.charts import Range, Series, column_chart, line_chart, range_chart
from galeno.service.pages.frame import Frame
from galeno.service.pages.naming import Naming
from galeno.service.pages.words import Words, mark
from galeno.service.span import Span, last_days

DAYS: Final = 30
"""That are shown where nobody asks for others."""
QUICK: Final = (7, 30, 90, 365)
_MOST_COLUMNS: Final = 62
"""Days that a chart shows one by one; more are put together by week."""
_RANGES: Final = 8

PAGE_LABELS: Final[Mapping[str, str]] = {
    "start": mark("Start page"),
    "consent": mark("Consent"),
    "new": mark("New diagnosis"),
    "result": mark("Result"),
    "worklist": mark("Worklist"),
    "overview": mark("Overview"),
    "models": mark("Models"),
    "model": mark("Model"),
    "audit": mark("Audit trail"),
    "other": mark("Other pages"),
}
ROLE_LABELS: Final[Mapping[str, str]] = {
    "clinician": mark("Clinician"),
    "engineer": mark("Engineer"),
    "auditor": mark("Auditor"),
    "admin": mark("Administrator"),
}
FACE_LABELS: Final[Mapping[str, str]] = {
    "pages": mark("Web pages"),
    "api": "REST API",
    "fhir": "FHIR",
    "cds_hooks": "CDS Hooks",
    "cli": mark("Command line"),
}


@dataclass(frozen=True, slots=True)
class Period:
    """One day, or the days of one week, of a chart."""

    first: date
    diagnoses: int
    needs_review: int
    users: int
    """Of its busiest day."""
    short: str
    """Day and month."""


def router(frame: Frame) -> APIRouter:
    """The overview, its tables, and the counting of time on pages."""
    routes = APIRouter()
    desk = frame.desk

    @routes.get("/overview")
    async def overview(request: Request) -> Response:
        session = await frame.need(request, Action.OVERVIEW_READ)
        query = request.query_params
        words = frame.words(request, session)
        naming = Naming(desk, words.language)
        span = read_span(query, DAYS).cut()
        study = read_choice(query, "study", naming.studies, "") or None
        table = read_text(query, "csv")
        if table and table not in TABLES:
            raise NotFoundError("no such table", where="overview")
        found = await desk.overview(
            session.caller(), span, study=study, purpose=f"{table} as CSV" if table else ""
        )
        if table:
            return give_csv(f"galeno-{table}-{span.since}-{span.until}", *TABLES[table](found))
        return await frame.page(
            request,
            session,
            "overview.html",
            seen=found,
            counts=found.counts,
            naming=naming,
            quick=_quick(span, study),
            charts=_draw(found, words),
            weekly=len(found.days) > _MOST_COLUMNS,
            periods=periods_of(found, words),
            page_labels=PAGE_LABELS,
            role_labels=ROLE_LABELS,
            face_labels=FACE_LABELS,
            table_address=lambda name: address(
                "/overview", from_=span.since, to=span.until, study=study, csv=name
            ),
        )

    @routes.post("/time")
    async def count_time(request: Request) -> Response:
        session = await frame.need(request)
        form = await frame.form(request, session, 2_000)
        try:
            seconds = float(form.get("seconds", ""))
        except ValueError:
            raise InputError([("seconds", "is not a length of time")]) from None
        await desk.add_time(session.caller(), kind_of(form.get("page", "")), seconds)
        return Response(status_code=204)

    return routes


def kind_of(path: str) -> str:
    """The kind of page that an address leads to; ids in it are not kept."""
    parts = [part for part in path.partition("?")[0].split("/") if part]
    if not parts:
        return "start"
    if parts[0] == "diagnoses":
        return "result"
    if parts[0] == "models":
        return "models" if len(parts) == 1 else "model"
    return parts[0] if parts[0] in PAGE_LABELS else "other"


def periods_of(seen: Overview, words: Words) -> list[Period]:
    """The days, or where there are many the weeks that they belong to, which begin on Monday."""
    if len(seen.days) <= _MOST_COLUMNS:
        return [
            Period(day.day, day.diagnoses, day.needs_review, day.users, _short(day.day, words))
            for day in seen.days
        ]
    weeks: defaultdict[date, list[Any]] = defaultdict(list)
    for day in seen.days:
        weeks[max(seen.span.since, day.day - timedelta(days=day.day.weekday()))].append(day)
    return [
        Period(
            first,
            sum(day.diagnoses for day in days),
            sum(day.needs_review for day in days),
            max(day.users for day in days),
            _short(first, words),
        )
        for first, days in weeks.items()
    ]


def _short(day: date, words: Words) -> str:
    return format_skeleton("MMMd", datetime.combine(day, time()), locale=words.language)


def give_csv(name: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    """A table as a file: UTF-8, commas, decimal points, names of columns in English."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(head)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return Response(
        text.getvalue(),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{name}.csv"'},
    )


def _cell(value: object) -> object:
    """A value that no spreadsheet takes for a formula."""
    if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"}:
        return f"'{value}"
    return "" if value is None else value


_Table = tuple[Sequence[str], Iterable[Sequence[object]]]
_COUNTS: Final = (
    "diagnoses", "needs_review", "waiting", "answered", "agreed", "overridden", "confirmed", "right",
    "mean_confidence",
)  # fmt: skip


def _counts(lines: Iterable[Line], name: str) -> _Table:
    rows = [[line.study, line.name, *(getattr(line.counts, key) for key in _COUNTS)] for line in lines]
    return ("study", name, *_COUNTS), rows


def _days(seen: Overview) -> _Table:
    rows = [[day.day.isoformat(), day.diagnoses, day.needs_review, day.users] for day in seen.days]
    return ("day", "diagnoses", "needs_review", "users"), rows


def _latency(seen: Overview) -> _Table:
    lines = [
        *([("all", "", seen.latency)] if seen.latency else []),
        *(("version", line.study, line) for line in seen.latencies),
        *(("face", "", line) for line in seen.faces),
    ]
    rows = [[by, study, line.name, line.answers, line.p50, line.p95, line.p99] for by, study, line in lines]
    return ("by", "study", "name", "answers", "p50_ms", "p95_ms", "p99_ms"), rows


def _pages(seen: Overview) -> _Table:
    rows = [[p.page, p.role, p.views, p.users, p.seconds, round(p.mean, 1)] for p in seen.pages]
    return ("page", "role", "views", "user_days", "seconds", "mean_seconds"), rows


TABLES: Final[Mapping[str, Callable[[Overview], _Table]]] = {
    "days": _days,
    "conditions": lambda seen: _counts(seen.conditions, "condition"),
    "versions": lambda seen: _counts(seen.versions, "version"),
    "reasons": lambda seen: (("reason", "diagnoses"), seen.reasons),
    "latency": _latency,
    "pages": _pages,
}
"""Tables that can be taken away, by the name in `?csv=`."""


def _quick(span: Span, study: str | None) -> list[tuple[int, str, bool]]:
    """Days back from today, the address, and whether that is what is shown."""
    found = []
    for days in QUICK:
        wanted = last_days(days)
        path = address("/overview", from_=wanted.since, to=wanted.until, study=study)
        found.append((days, path, wanted == span))
    return found


def _draw(seen: Overview, words: Words) -> dict[str, Markup]:
    """The charts of the page."""
    _ = words.gettext
    periods = periods_of(seen, words)
    labels = [period.short for period in periods]
    made = [
        Series(_("No review needed"), [period.diagnoses - period.needs_review for period in periods]),
        Series(_("Review needed"), [period.needs_review for period in periods]),
    ]
    lines = [seen.latency] if seen.latency else []
    return {
        "days": column_chart(
            _("Diagnoses over time"),
            _("Columns give the diagnoses; the upper part of each needed review."),
            labels,
            made,
            words,
        ),
        "users": line_chart(
            _("Active users over time"),
            _("The line gives how many people and systems asked for diagnoses or gave feedback."),
            labels,
            [period.users for period in periods],
            words,
        ),
        "latency": range_chart(
            _("Time to answer"),
            _("The thick bar ends at the median, the thin one at the 95th percentile, the tick at the 99th."),
            [_range(_("All answers"), line) for line in lines]
            + [_range(version_name(seen, line, words), line) for line in seen.latencies[-_RANGES:]],
            "ms",
            words,
        ),
    }


def version_name(seen: Overview, line: Latency, words: Words) -> str:
    """Name of a version, with its study where several are shown."""
    name = words.gettext("Version %(version)s", version=line.name)
    several = any(one.study != other.study for one, other in pairwise(seen.latencies))
    return f"{line.study} {name}" if several else name


def _range(name: str, line: Latency) -> Range:
    return Range(name, line.p50, line.p95, line.p99)
