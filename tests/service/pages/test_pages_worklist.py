"""The worklist: filters, order, pages, sites, and who may see it."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from filled_pages import Clinic, Tables, open_clinic_pages

from galeno.service.span import day_of


@pytest.fixture(scope="module")
def ward(clinic_copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    with open_clinic_pages(clinic_copy, tmp_path_factory.mktemp("worklist") / "home") as opened:
        yield opened


@pytest.fixture(scope="module")
def clinician(ward: Clinic) -> httpx.Client:
    return ward.client("clinician")


def links(page: httpx.Response) -> list[str]:
    """Ids of the diagnoses that a page leads to."""
    return re.findall(r'href="/diagnoses/(dx_\w+)"', page.text)


def test_it_begins_with_the_least_certain_of_the_own_site(ward: Clinic, clinician: httpx.Client) -> None:
    page = clinician.get("/worklist")
    rows = [
        row
        for row in ward.past.diagnoses
        if row["site"] == "north" and row["needs_review"] and row["reviewed"] is None
    ]
    rows.sort(key=lambda row: row["confidence"])
    assert rows
    assert links(page) == [row["id"] for row in rows][:25]
    shown = Tables(page).tables[0][1]
    assert ward.past.names[rows[0]["patient"]] in shown
    assert f"{rows[0]['confidence']:.0%}" in shown


def test_pages_lead_through_all(ward: Clinic, clinician: httpx.Client) -> None:
    seen: list[str] = []
    page = clinician.get("/worklist?state=all&order=newest")
    while True:
        seen += links(page)
        following = re.search(r'href="([^"]+)" rel="next"', page.text)
        if following is None:
            break
        page = clinician.get(following[1].replace("&amp;", "&"))
    mine = sorted((row["id"] for row in ward.past.diagnoses if row["site"] == "north"), reverse=True)
    assert len(mine) > 25
    assert seen == mine
    assert 'rel="prev"' in page.text


def test_days_and_states_filter(ward: Clinic, clinician: httpx.Client) -> None:
    day = day_of(next(row["created"] for row in ward.past.diagnoses if row["site"] == "north"))
    page = clinician.get(f"/worklist?state=all&from={day}&to={day}")
    mine = {
        row["id"] for row in ward.past.diagnoses if row["site"] == "north" and day_of(row["created"]) == day
    }
    assert set(links(page)) == mine
    assert f'value="{day}"' in page.text
    reviewed = links(clinician.get("/worklist?state=reviewed"))
    known = {row["id"]: row for row in ward.past.diagnoses}
    assert reviewed
    assert all(known[each]["reviewed"] for each in reviewed)


def test_days_may_be_named_either_way_round(ward: Clinic, clinician: httpx.Client) -> None:
    day = day_of(ward.past.diagnoses[0]["created"])
    forth, back = (
        links(clinician.get(f"/worklist?state=all&from={one}&to={other}"))
        for one, other in ((day, "2999-01-01"), ("2999-01-01", day))
    )
    assert forth == back
    assert forth


def test_empty_lists_say_what_to_do(clinician: httpx.Client) -> None:
    nothing = clinician.get("/worklist?from=1999-01-01&to=1999-01-02&state=all")
    assert nothing.status_code == 200
    assert "Nothing matches" in nothing.text
    assert 'href="/worklist?state=all"' in nothing.text


@pytest.mark.parametrize("query", ["from=yesterday", "from=2026-02-30", "to=10000-01-01", "to=0001-01-01"])
def test_days_that_are_none_are_told(clinician: httpx.Client, query: str) -> None:
    assert clinician.get(f"/worklist?{query}").status_code == 422


@pytest.mark.parametrize(
    "query",
    [
        "page=0",
        "page=-1",
        "page=9" * 40,
        "page=x",
        "state=%00",
        "order='",
        "study=<script>",
        "study=" + "a" * 3000,
    ],
)
def test_strange_filters_are_passed_over(clinician: httpx.Client, query: str) -> None:
    page = clinician.get(f"/worklist?{query}")
    assert page.status_code == 200
    assert "<script>" not in page.text


def test_engineers_see_pseudonyms_and_cannot_open(ward: Clinic) -> None:
    page = ward.client("engineer").get("/worklist?state=all")
    assert page.status_code == 200
    assert not links(page)
    assert not any(name in page.text for name in ward.past.names.values())
    assert {"north", "south"} <= {cell for row in Tables(page).tables[0] for cell in row}


@pytest.mark.parametrize("role", ["auditor", "admin"])
def test_others_may_not(ward: Clinic, role: str) -> None:
    assert ward.client(role).get("/worklist").status_code == 403


def test_nobody_signed_in_is_sent_to_sign_in(ward: Clinic) -> None:
    answer = ward.pages.browser().get("/worklist?state=all", follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in?next=/worklist")


def test_it_speaks_spanish(ward: Clinic) -> None:
    page = ward.client("clinician", **{"Accept-Language": "es"}).get("/worklist")
    assert "Lista de trabajo" in page.text
    assert "Por revisar" in page.text
    assert "To review" not in page.text
