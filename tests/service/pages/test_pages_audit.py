"""The audit trail's page: filters, pages, and for auditors only."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from filled_pages import Clinic, Tables, open_clinic_pages

from galeno.service.span import last_days


@pytest.fixture(scope="module")
def ward(clinic_copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    target = tmp_path_factory.mktemp("audit") / "home"
    with open_clinic_pages(clinic_copy, target, number=130) as opened:
        yield opened


@pytest.fixture(scope="module")
def auditor(ward: Clinic) -> httpx.Client:
    return ward.client("auditor")


def test_the_newest_entries_come_first(auditor: httpx.Client) -> None:
    rows = Tables(auditor.get("/audit")).tables[0][1:]
    numbers = [int(row[0]) for row in rows]
    assert len(numbers) == 100
    assert numbers == sorted(numbers, reverse=True)
    assert rows[0][3].startswith("sign_in")


def test_filters_hold_on_every_page(auditor: httpx.Client) -> None:
    page = auditor.get("/audit?action=diagnoses.create&outcome=done")
    rows = Tables(page).tables[0][1:]
    following = re.search(r'href="([^"]+)" rel="next"', page.text)
    assert following is not None
    more = auditor.get(following[1].replace("&amp;", "&"))
    rows += Tables(more).tables[0][1:]
    assert len(rows) == 130
    assert all(row[3].startswith("diagnoses.create") for row in rows)
    assert "To the newest" in more.text


def test_days_filter(auditor: httpx.Client) -> None:
    today = last_days(1).since
    assert len(Tables(auditor.get(f"/audit?from={today}&to={today}")).tables[0]) > 100
    nothing = auditor.get("/audit?from=1999-01-01&to=1999-01-02")
    assert "No entry fits these filters." in nothing.text
    assert auditor.get("/audit?from=soon").status_code == 422


def test_refusals_are_seen_and_patients_stand_by_pseudonym(ward: Clinic, auditor: httpx.Client) -> None:
    assert ward.client("clinician").get("/audit").status_code == 403
    page = auditor.get("/audit?outcome=denied&action=audit.read")
    assert "clinician.one" in page.text
    whole = auditor.get("/audit").text
    assert any(pseudonym in whole for pseudonym in ward.past.names)
    assert not any(name in whole for name in ward.past.names.values())


@pytest.mark.parametrize("role", ["engineer", "admin"])
def test_others_may_not(ward: Clinic, role: str) -> None:
    assert ward.client(role).get("/audit").status_code == 403
