"""The overview, its CSV files, and the counting of time on pages."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from filled_pages import Clinic, Tables, open_clinic_pages
from open_pages import token

from galeno.service.pages.overview import TABLES, give_csv, kind_of
from galeno.service.span import LONGEST, day_of, last_days


@pytest.fixture(scope="module")
def ward(clinic_copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    with open_clinic_pages(clinic_copy, tmp_path_factory.mktemp("overview") / "home") as opened:
        yield opened


@pytest.fixture(scope="module")
def engineer(ward: Clinic) -> httpx.Client:
    return ward.client("engineer")


def rows_of(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith('attachment; filename="galeno-')
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_figures_and_charts_stand_on_the_page(ward: Clinic, engineer: httpx.Client) -> None:
    span = last_days(60)
    page = engineer.get(f"/overview?from={span.since}&to={span.until}")
    assert page.status_code == 200
    assert f"<b>{len(ward.past.diagnoses)}</b>" in page.text
    assert page.text.count('<svg class="chart"') == 3
    assert "style=" not in page.text
    heads = [table[0][0] for table in Tables(page).tables]
    assert heads == ["Day", "Condition", "Version", "Answers by", "Reason", "Page"]
    conditions = {row[0]: row[1] for row in Tables(page).tables[1][1:]}
    assert conditions == {
        key: str(n) for key, n in Counter(r["condition"] for r in ward.past.diagnoses).items()
    }


def test_every_table_is_there_as_csv(ward: Clinic, engineer: httpx.Client) -> None:
    span = last_days(60)
    base = f"/overview?from={span.since}&to={span.until}"
    page = engineer.get(base)
    offered = set(re.findall(r"csv=(\w+)", page.text))
    assert offered == set(TABLES)
    days = rows_of(engineer.get(f"{base}&csv=days"))
    counted = Counter(day_of(row["created"]).isoformat() for row in ward.past.diagnoses)
    assert {row["day"]: int(row["diagnoses"]) for row in days if row["diagnoses"] != "0"} == counted
    assert len(days) == 60
    for name in TABLES:
        assert rows_of(engineer.get(f"{base}&csv={name}"))
    versions = rows_of(engineer.get(f"{base}&csv=versions"))
    assert sum(int(row["diagnoses"]) for row in versions) == len(ward.past.diagnoses)


def test_long_spans_are_shown_by_week(engineer: httpx.Client) -> None:
    span = last_days(365)
    page = engineer.get(f"/overview?from={span.since}&to={span.until}")
    assert "Diagnoses per week" in page.text
    assert 52 <= len(Tables(page).tables[0]) - 1 <= 54


def test_empty_days_say_so(engineer: httpx.Client) -> None:
    page = engineer.get("/overview?from=1999-01-01&to=1999-01-31")
    assert page.status_code == 200
    assert "Nothing happened in these days" in page.text


def test_days_that_are_none_are_told(engineer: httpx.Client) -> None:
    assert engineer.get("/overview?from=x").status_code == 422


def test_too_many_days_are_cut(engineer: httpx.Client) -> None:
    today = last_days(1).since
    page = engineer.get(f"/overview?from=1999-01-01&to={today}")
    assert f'value="{last_days(LONGEST).since}"' in page.text


def test_unknown_tables_are_not_found(engineer: httpx.Client) -> None:
    assert engineer.get("/overview?csv=../users").status_code == 404


@pytest.mark.parametrize(("role", "status"), [("auditor", 200), ("clinician", 403), ("admin", 403)])
def test_roles_see_what_the_table_says(ward: Clinic, role: str, status: int) -> None:
    client = ward.client(role)
    assert client.get("/overview").status_code == status
    assert client.get("/overview?csv=days").status_code == status


def test_names_stand_nowhere(ward: Clinic, engineer: httpx.Client) -> None:
    span = last_days(60)
    base = f"/overview?from={span.since}&to={span.until}"
    texts = [engineer.get(base).text, *(engineer.get(f"{base}&csv={name}").text for name in TABLES)]
    names = {row["actor"] for row in ward.past.diagnoses}
    for text in texts:
        assert not any(name in text for name in {*names, *ward.past.names, *ward.past.names.values()})


def test_time_on_pages_is_counted(ward: Clinic, engineer: httpx.Client) -> None:
    client = ward.client("admin")
    csrf = token(client.get("/models"))
    for seconds in ("12.5", "7.5"):
        sent = client.post("/time", data={"csrf": csrf, "page": "/models/clinic/1", "seconds": seconds})
        assert sent.status_code == 204
    for fields, status in (
        ({"csrf": csrf, "page": "/new", "seconds": "soon"}, 422),
        ({"csrf": csrf, "page": "/new", "seconds": "-1"}, 422),
        ({"csrf": csrf, "page": "/new", "seconds": "nan"}, 422),
        ({"csrf": "other", "page": "/new", "seconds": "1"}, 403),
    ):
        assert client.post("/time", data=fields).status_code == status
    day = last_days(1).since
    rows = rows_of(engineer.get(f"/overview?from={day}&to={day}&csv=pages"))
    mine = [row for row in rows if row["role"] == "admin"]
    assert [(row["page"], row["views"], row["seconds"]) for row in mine] == [("model", "2", "20.0")]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "start"), ("/new/clinic?x=1", "new"), ("/diagnoses/dx_1", "result"), ("/models", "models"),
        ("/models/clinic/2", "model"), ("/worklist", "worklist"), ("/wherever", "other"), ("", "start"),
    ],
)  # fmt: skip
def test_addresses_become_kinds_of_pages(path: str, kind: str) -> None:
    assert kind_of(path) == kind


def test_csv_holds_no_formulas() -> None:
    given = give_csv("name", ("a", "b"), [("=1+1", 2), ("@x", None), ("plain, with comma", 1.5)])
    rows = list(csv.reader(io.StringIO(bytes(given.body).decode())))
    assert rows == [["a", "b"], ["'=1+1", "2"], ["'@x", ""], ["plain, with comma", "1.5"]]


def test_it_speaks_spanish(ward: Clinic) -> None:
    page = ward.client("engineer", **{"Accept-Language": "es"}).get("/overview")
    assert "Diagnósticos por día" in page.text
    assert "Diagnoses per day" not in page.text
