"""Worklist, overview, audit trail and time on pages: figures against plain Python on the same rows."""

import asyncio
import math
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import product
from operator import itemgetter
from pathlib import Path
from typing import Any, get_args

import pytest
from past_weeks import PastWeeks, fill
from sqlalchemy import select

from galeno.errors import AccessError, InputError, NotFoundError
from galeno.governance.access import Caller, Role
from galeno.service.desk import Desk
from galeno.service.opening import open_rooms
from galeno.service.overseeing import PAGE_NAMES, TRAIL_PAGE, TrailWanted
from galeno.service.span import Span, day_of, last_days
from galeno.service.worklist import ORDERS, SIZE, STATES, Wanted, Worklist, WorkRow
from galeno.settings import ServiceSettings
from galeno.storage import schema
from galeno.storage.commit import Change

SITES = ("north", "south")


@pytest.fixture
def desk(tmp_path: Path, fresh_journal_url: str) -> Iterator[Desk]:
    with open_rooms(tmp_path / "home", ServiceSettings(journal=fresh_journal_url)) as rooms:
        yield Desk(rooms)


@pytest.fixture
def past(desk: Desk) -> PastWeeks:
    return fill(desk.rooms, number=240, days=40, sites=SITES)


@pytest.fixture(params=["UTC", "America/Bogota", "Asia/Kolkata"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def caller(role: Role, site: str = "north") -> Caller:
    return Caller(f"{role}.one", role, site, face="pages")


def all_of(desk: Desk, wanted: Wanted) -> tuple[Worklist, list[WorkRow]]:
    """The first page of a clinician's worklist, and the rows of all pages."""

    async def read() -> list[Worklist]:
        first = await desk.list_work(caller("clinician"), wanted)
        others = range(2, first.pages + 1)
        return [first, *[await desk.list_work(caller("clinician"), replace(wanted, page=n)) for n in others]]

    found = asyncio.run(read())
    return found[0], [row for page in found for row in page.rows]


def last_of(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The last row of each diagnosis."""
    ordered = sorted(rows, key=lambda row: (row["created"], row["id"]))
    return {row["diagnosis"]: row for row in ordered}


def rank(values: list[float], q: float) -> float:
    return sorted(values)[math.ceil(q * len(values)) - 1]


def test_the_overview_counts_as_plain_python_does(desk: Desk, past: PastWeeks, zone: None) -> None:
    span = Span(last_days(30).since, last_days(4).until - timedelta(days=3))
    found = asyncio.run(desk.overview(caller("engineer"), span))
    rows = [row for row in past.diagnoses if span.since <= day_of(row["created"]) <= span.until]
    ids = {row["id"] for row in rows}
    said = {key: row for key, row in last_of(past.feedback).items() if key in ids}
    known = {key: row for key, row in last_of(past.outcomes).items() if key in ids}
    named = {row["id"]: row["condition"] for row in rows}
    counts = found.counts
    assert 0 < counts.diagnoses == len(rows) < len(past.diagnoses)
    assert counts.needs_review == sum(row["needs_review"] for row in rows)
    assert counts.waiting == sum(row["needs_review"] and row["reviewed"] is None for row in rows)
    assert counts.answered == len(said)
    assert counts.agreed == sum(row["agrees"] for row in said.values())
    overridden = [r for r in said.values() if not r["agrees"] and (r["reason"] or r["condition"])]
    assert 0 < counts.overridden == len(overridden)
    assert counts.confirmed == len(known)
    assert counts.right == sum(row["condition"] == named[key] for key, row in known.items())
    assert counts.agreement == counts.agreed / counts.answered
    assert counts.mean_confidence == pytest.approx(statistics.fmean(row["confidence"] for row in rows))

    by_day = Counter(day_of(row["created"]) for row in rows)
    assert [(day.day, day.diagnoses) for day in found.days] == [(day, by_day[day]) for day in span.days()]
    people: dict[date, set[str]] = {day: set() for day in span.days()}
    for row in [*rows, *(row for row in past.feedback if row["diagnosis"] in ids)]:
        people.setdefault(day_of(row["created"]), set()).add(row["actor"])
    assert [day.users for day in found.days] == [len(people[day]) for day in span.days()]
    assert found.users == len(set().union(*people.values()))

    for lines, key in ((found.conditions, "condition"), (found.versions, "version")):
        assert {line.name: line.counts.diagnoses for line in lines} == Counter(row[key] for row in rows)
        assert sum(line.counts.agreed for line in lines) == counts.agreed
        assert sum(line.counts.right for line in lines) == counts.right
    reasons = Counter(row["reason"] or "" for row in said.values() if not row["agrees"])
    assert dict(found.reasons) == reasons
    ratings = [row["rating"] for row in said.values() if row["rating"] is not None]
    assert (found.rating, found.ratings) == (pytest.approx(statistics.fmean(ratings)), len(ratings))

    latencies = [row["latency_ms"] for row in rows]
    assert found.latency is not None
    assert (found.latency.p50, found.latency.p95, found.latency.p99) == tuple(
        rank(latencies, q) for q in (0.5, 0.95, 0.99)
    )
    for line in found.latencies:
        assert line.p95 == rank([row["latency_ms"] for row in rows if row["version"] == line.name], 0.95)
    assert {line.name: line.answers for line in found.faces} == Counter(row["face"] for row in rows)

    looks = [row for row in past.times if span.since.isoformat() <= row["day"] <= span.until.isoformat()]
    for page in found.pages:
        mine = [row for row in looks if row["page"] == page.page]
        assert (page.views, page.users) == (len(mine), len({(row["day"], row["user_hash"]) for row in mine}))
        assert page.seconds == pytest.approx(sum(row["seconds"] for row in mine))
    assert sum(page.views for page in found.pages) == len(looks)


def test_an_overview_of_nothing_is_empty(desk: Desk) -> None:
    found = asyncio.run(desk.overview(caller("auditor"), last_days(3)))
    assert (found.counts.diagnoses, found.counts.agreement, found.latency, found.users) == (0, None, None, 0)
    assert [day.diagnoses for day in found.days] == [0, 0, 0]
    assert (found.conditions, found.versions, found.reasons, found.pages, found.rating) == (
        (),
        (),
        (),
        (),
        None,
    )


def test_an_overview_keeps_to_its_study(desk: Desk, past: PastWeeks) -> None:
    span = last_days(60)
    assert asyncio.run(desk.overview(caller("engineer"), span, study="other")).counts.diagnoses == 0
    found = asyncio.run(desk.overview(caller("engineer"), span, study="clinic"))
    assert found.counts.diagnoses == len(past.diagnoses)


def test_spans_are_held_to_their_order(desk: Desk) -> None:
    today = last_days(1).since
    for span in (Span(today, today - timedelta(days=1)), Span(today - timedelta(days=800), today)):
        with pytest.raises(InputError):
            asyncio.run(desk.overview(caller("engineer"), span))


def test_the_worklist_holds_the_own_site_page_by_page(desk: Desk, past: PastWeeks) -> None:
    mine = sorted(
        (row for row in past.diagnoses if row["site"] == "north"), key=itemgetter("id"), reverse=True
    )
    chosen = {
        "open": [row for row in mine if row["needs_review"] and row["reviewed"] is None],
        "reviewed": [row for row in mine if row["reviewed"] is not None],
        "all": mine,
    }
    for state, order in product(STATES, ORDERS):
        rows = chosen[state]
        if order == "unsure":
            rows = sorted(rows, key=itemgetter("confidence"))
        found, seen = all_of(desk, Wanted(state=state, order=order))
        assert (found.found, found.pages) == (len(rows), max(1, math.ceil(len(rows) / SIZE)))
        assert [row.id for row in seen] == [row["id"] for row in rows]
        assert all(row.patient_id == past.names[row.patient] for row in seen)


def test_the_worklist_keeps_to_its_days(desk: Desk, past: PastWeeks, zone: None) -> None:
    span = Span(last_days(20).since, last_days(10).since)
    found = asyncio.run(desk.list_work(caller("engineer"), Wanted(state="all", span=span)))
    days = [day_of(row["created"]) for row in past.diagnoses]
    assert 0 < found.found == sum(span.since <= day <= span.until for day in days)
    assert all(row.patient_id is None for row in found.rows)


def test_a_page_past_the_end_is_the_last(desk: Desk, past: PastWeeks) -> None:
    found = asyncio.run(desk.list_work(caller("clinician"), Wanted(state="all", page=10**9)))
    assert found.page == found.pages
    assert found.rows


def test_erased_patients_have_no_name(desk: Desk, past: PastWeeks) -> None:
    row = next(row for row in past.diagnoses if row["site"] == "north")
    desk.rooms.cipher.destroy(row["patient"])
    _, seen = all_of(desk, Wanted(state="all", order="newest"))
    assert {each.patient for each in seen if each.patient_id is None} == {row["patient"]}


def test_the_trail_is_read_backwards_in_pages(desk: Desk, past: PastWeeks) -> None:
    auditor = caller("auditor")
    seen: list[int] = []
    before = None
    while True:
        found = asyncio.run(desk.read_trail(auditor, TrailWanted(action="diagnoses.create", before=before)))
        seen += [entry["seq"] for entry in found.entries]
        assert len(found.entries) <= TRAIL_PAGE
        if found.following is None:
            break
        before = found.following
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == len(past.diagnoses)
    read = asyncio.run(desk.read_trail(auditor, TrailWanted(action="audit.read")))
    assert read.entries[0]["detail"] == f"{len(past.diagnoses) % TRAIL_PAGE} entries of diagnoses.create"


def test_the_trail_is_found_by_day(desk: Desk) -> None:
    now = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    entries = [
        replace(
            desk.entry(caller("clinician"), "diagnoses.read"),
            time=moment.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        )
        for moment in (now - timedelta(hours=6 * number) for number in range(40, 0, -1))
    ]

    async def write() -> None:
        for entry in entries:
            await desk.rooms.commits.commit(Change(audit=(entry,)))

    asyncio.run(write())
    for day in sorted({day_of(entry.time) for entry in entries}):
        wanted = TrailWanted(action="diagnoses.read", span=Span(day, day))
        found = asyncio.run(desk.read_trail(caller("auditor"), wanted))
        expected = [entry.time for entry in entries if day_of(entry.time) == day]
        assert [entry["time"] for entry in reversed(found.entries)] == expected
    nothing = TrailWanted(span=Span(date(1999, 1, 1), date(1999, 12, 31)))
    assert asyncio.run(desk.read_trail(caller("auditor"), nothing)).entries == ()


def test_time_on_pages_is_summed_and_names_nobody(desk: Desk) -> None:
    async def look() -> None:
        for name in ("ana", "luis", "ana"):
            await desk.add_time(Caller(name, "clinician"), "new", 30.0)
        await desk.add_time(Caller("ana", "clinician"), "../../etc", 10**9)

    asyncio.run(look())
    found = asyncio.run(desk.overview(caller("engineer"), last_days(1)))
    assert [(p.page, p.views, p.users, p.seconds) for p in found.pages] == [
        ("other", 1, 1, 3600.0),
        ("new", 3, 2, 90.0),
    ]
    with desk.rooms.journal.read() as connection:
        rows = connection.execute(select(schema.page_times)).mappings().all()
    assert not any("ana" in str(value) for row in rows for value in row.values())
    assert {row["page"] for row in rows} <= set(PAGE_NAMES)
    for seconds in (math.nan, -1.0, math.inf):
        with pytest.raises(InputError):
            asyncio.run(desk.add_time(caller("clinician"), "new", seconds))


def test_roles_see_what_the_table_says(desk: Desk) -> None:
    for role in get_args(Role):
        who = caller(role)
        asked: list[tuple[Callable[[], Any], set[str]]] = [
            (partial(desk.list_work, who, Wanted()), {"clinician", "engineer"}),
            (partial(desk.overview, who, last_days(1)), {"engineer", "auditor"}),
            (partial(desk.read_trail, who, TrailWanted()), {"auditor"}),
        ]
        for work, roles in asked:
            if role in roles:
                asyncio.run(work())
            else:
                with pytest.raises(AccessError):
                    asyncio.run(work())
        with pytest.raises(NotFoundError):
            asyncio.run(desk.read_model(who, "nothing", "1"))
