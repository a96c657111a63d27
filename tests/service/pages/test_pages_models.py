"""Models: the list, a version with figures, gate and card, and what is confirmed before it is done."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from filled_pages import Clinic, Tables, open_clinic_pages
from markupsafe import Markup
from open_pages import token

from galeno.service.pages.card_page import draw_card
from galeno.storage.home import Home
from galeno.storage.standing import read_standing


@pytest.fixture(scope="module")
def ward(clinic_copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    target = tmp_path_factory.mktemp("models") / "home"
    with open_clinic_pages(clinic_copy, target, number=5, versions=2) as opened:
        yield opened


@pytest.fixture(scope="module")
def engineer(ward: Clinic) -> httpx.Client:
    return ward.client("engineer")


def send(client: httpx.Client, path: str, **fields: str) -> httpx.Response:
    """Send a form as its page would."""
    return client.post(path, data={"csrf": token(client.get("/models")), **fields})


def champion(ward: Clinic) -> str:
    found = read_standing(Home(ward.pages.home).standing).champion("clinic")
    assert found is not None
    return found.version


def test_all_versions_are_listed(engineer: httpx.Client) -> None:
    page = engineer.get("/models")
    rows = Tables(page).tables[0]
    assert [row[0] for row in rows] == ["Version", "Version 2", "Version 1"]
    assert rows[2][2] == "answers"
    assert rows[1][3] == "0.500"
    assert "Version 1 answers" in page.text


@pytest.mark.parametrize("role", ["clinician", "auditor"])
def test_others_look_but_do_not_steer(ward: Clinic, role: str) -> None:
    client = ward.client(role)
    page = client.get("/models")
    assert page.status_code == 200
    assert "Stop the model" not in page.text
    assert "Let this version answer" not in client.get("/models/clinic/2").text
    for path in ("clinic/2/promote", "clinic/rollback", "clinic/stop", "clinic/start"):
        assert send(client, f"/models/{path}", reason="x").status_code == 403
    for path in ("clinic/2/promote", "clinic/stop/confirm", "clinic/rollback/confirm"):
        assert client.get(f"/models/{path}").status_code == 403
    assert champion(ward) == "1"


def test_a_version_shows_figures_gate_and_card(engineer: httpx.Client) -> None:
    page = engineer.get("/models/clinic/1")
    assert page.status_code == 200
    tables = Tables(page).tables
    figures = {row[0]: row[1] for row in tables[0][1:]}
    assert {"Accuracy", "Macro-F1", "Calibration error"} <= set(figures)
    assert re.match(r"0\.\d{3} 0\.\d{3}–[01]\.\d{3}", figures["Accuracy"])
    assert [row[0] for row in tables[1]] == ["Condition", "well", "ill", "grave"]
    gate = tables[2][1]
    assert (gate[0], gate[2]) == ("Accuracy at least 0.7", "passed")
    assert "Gate passed" in page.text
    assert "<h4>Limits</h4>" in page.text


def test_a_package_without_papers_still_has_a_page(ward: Clinic, engineer: httpx.Client) -> None:
    home = Home(ward.pages.home)
    folder = home.packages / "clinic" / "copy-2"
    kept = {name: (folder / name).read_bytes() for name in ("card.md", "evaluation.json", "study.json")}
    runs = home.root / "runs-away"
    shutil.move(home.runs, runs)
    try:
        (folder / "evaluation.json").write_text("{}")
        (folder / "card.md").unlink()
        (folder / "study.json").write_text("no JSON")
        page = engineer.get("/models/clinic/2")
        assert page.status_code == 200
        assert "holds no figures" in page.text
        assert "holds no card" in page.text
        assert "What the gate said is not known" in page.text
        for name, content in kept.items():
            (folder / name).write_bytes(content)
        assert "at least 0.7" in engineer.get("/models/clinic/2").text
    finally:
        for name, content in kept.items():
            (folder / name).write_bytes(content)
        shutil.move(runs, home.runs)


@pytest.mark.parametrize(
    "path", ["clinic/9", "nothing/1", "clinic/9/promote", "clinic/wave/confirm", "clinic/promote/confirm"]
)
def test_what_is_not_there_is_not_found(engineer: httpx.Client, path: str) -> None:
    page = engineer.get(f"/models/{path}")
    assert page.status_code == 404
    assert "<html" in page.text


def test_promotion_is_confirmed_and_can_be_taken_back(ward: Clinic, engineer: httpx.Client) -> None:
    asked = engineer.get("/models/clinic/2/promote")
    assert "Let version 2 answer?" in asked.text
    assert [row[-1] for row in Tables(asked).tables[0][1:3]] == ["worse", "the same"]
    assert champion(ward) == "1"
    refused = engineer.post("/models/clinic/2/promote", data={"csrf": "made up"})
    assert refused.status_code == 403
    assert champion(ward) == "1"
    done = send(engineer, "/models/clinic/2/promote")
    assert done.status_code == 200
    assert done.url.path == "/models/clinic/2"
    assert "The version answers now." in done.text
    assert champion(ward) == "2"
    assert "Go back to the version before?" in engineer.get("/models/clinic/rollback/confirm").text
    back = send(engineer, "/models/clinic/rollback")
    assert back.url.path == "/models/clinic/1"
    assert champion(ward) == "1"


def test_the_stop_switch_asks_why_and_stops(ward: Clinic, engineer: httpx.Client) -> None:
    asked = engineer.get("/models/clinic/stop/confirm")
    assert 'name="reason"' in asked.text
    missing = send(engineer, "/models/clinic/stop", reason=" ")
    assert missing.status_code == 422
    assert 'aria-invalid="true"' in missing.text
    long = send(engineer, "/models/clinic/stop", reason="because " * 60)
    assert long.status_code == 422
    assert "because because" in long.text
    stopped = send(engineer, "/models/clinic/stop", reason="figures <fell>")
    assert "The model was stopped." in stopped.text
    assert "figures &lt;fell&gt;" in stopped.text
    assert "Stopped" in engineer.get("/models/clinic/1").text
    assert "Start this model again?" in engineer.get("/models/clinic/start/confirm").text
    started = send(engineer, "/models/clinic/start")
    assert "The model answers again." in started.text
    assert "figures" not in started.text.lower().split("</table>")[0].split("<h1>")[1].split("<thead>")[0]


def test_cards_are_drawn_and_everything_is_escaped() -> None:
    drawn = draw_card(
        "# A \\<b\\> title\n\n- `co<de>`: x\n- **bold \\* one** two\n\n"
        "| a | b \\| c |\n| --- | --- |\n| <i> | `d` |\n\n"
        "> **careful**\n\ntext <script>alert(1)</script> [link](javascript:alert(1))"
    )
    assert isinstance(drawn, Markup)
    assert "<h3>A &lt;b&gt; title</h3>" in drawn
    assert "<li><code>co&lt;de&gt;</code>: x</li>" in drawn
    assert "<strong>bold * one</strong> two" in drawn
    assert '<th scope="col">b | c</th>' in drawn
    assert '<th scope="row">&lt;i&gt;</th><td><code>d</code></td>' in drawn
    assert '<div class="banner warn"><p><strong>careful</strong></p></div>' in drawn
    assert "<script>" not in drawn
    assert "<a" not in drawn
    assert draw_card("") == ""
