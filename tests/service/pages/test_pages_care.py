"""Consent, form, result and judgement over real HTTP, without script, as a browser does it."""

import html
import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import polars as pl
import pytest
from clinic import STUDY, visits
from open_pages import Pages, open_pages, token
from sqlalchemy import select

from galeno.pipeline.runner import run_study
from galeno.storage import schema
from galeno.storage.ids import now
from galeno.study_file import load_study

WARD = STUDY.replace("name: clinic", "name: ward").replace("clinic.csv", "ward.csv") + (
    "privacy:\n  consent: true\n"
    "  policy: {version: '2', es: 'Sus datos se guardan.', en: 'Your data are kept.'}\n"
)
"""The clinic, with consent, yes-or-no columns and a second unit."""
COLUMNS = {
    "lactate: {type: number, unit: mmol/L, min: 0, max: 30}": (
        "lactate: {type: number, unit: mmol/L, min: 0, max: 30, label: {es: Lactato, en: Lactate},"
        " convert: [{unit: mg/dL, scale: 0.111}], rules: {range: convert}}\n"
        "  fever: {type: flag, group: symptoms, label: {es: Fiebre, en: Fever}}\n"
        "  cough: {type: flag, group: symptoms, label: {es: Tos, en: Cough}}\n"
        "  dyspnoea: {type: flag, group: symptoms, label: {es: Disnea, en: Shortness of breath}}"
    )
}
TYPED = {"v.age": "61", "v.sex": "F", "v.lactate": "6,2", "v.note": "disnea y fiebre alta"}


@pytest.fixture(scope="module")
def home(make_home: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the ward's model."""
    folder = tmp_path_factory.mktemp("ward")
    seen = pl.col("note").str
    frame = visits().with_columns(
        fever=seen.contains("(^|y )fiebre"), cough=seen.contains("tos"), dyspnoea=seen.contains("disnea")
    )
    frame.write_csv(folder / "ward.csv")
    text = WARD
    for before, after in COLUMNS.items():
        text = text.replace(before, after)
    (folder / "ward.yaml").write_text(text, encoding="utf-8")
    home = make_home()
    home.chmod(0o700)
    run_study(load_study(folder / "ward.yaml"), home, threads=2)
    return home


@pytest.fixture(scope="module")
def ward(home: Path) -> Iterator[Pages]:
    with open_pages(home) as opened:
        opened.add("ana", "clinician", "north")
        opened.add("bea", "clinician", "south")
        opened.add("max", "engineer")
        opened.add("eva", "admin")
        yield opened


@pytest.fixture(scope="module")
def ana(ward: Pages) -> httpx.Client:
    """A clinician who has signed in."""
    return ward.signed_in("ana")


@pytest.fixture(scope="module")
def bea(ward: Pages) -> httpx.Client:
    """A clinician of another site."""
    return ward.signed_in("bea")


@pytest.fixture(scope="module")
def clinic_pages(clinic_copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """The clinic, whose study asks for no consent."""
    home = tmp_path_factory.mktemp("no-consent") / "home"
    shutil.copytree(clinic_copy, home)
    home.chmod(0o700)
    with open_pages(home) as opened:
        opened.add("ana")
        yield opened


def text_of(page: httpx.Response) -> str:
    """What is read on a page."""
    body = re.sub(r"<(script|style|svg).*?</\1>", " ", page.text, flags=re.S)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", body))).replace("\u00a0", " ")


def consent(client: httpx.Client, patient: str, answer: str = "accept", **more: str) -> httpx.Response:
    shown = client.get("/consent/ward")
    fields = {"csrf": token(shown), "patient_id": patient, "version": "2", "answer": answer, **more}
    return client.post("/consent/ward", data=fields)


def diagnosed(client: httpx.Client, patient: str, **typed: str) -> httpx.Response:
    """The result page of a patient who has consented."""
    form = consent(client, patient)
    fields = {"csrf": token(form), "patient_id": patient, **TYPED, **typed}
    done = client.post("/new/ward", data=fields)
    assert done.status_code == 200, text_of(done)
    assert done.url.path.startswith("/diagnoses/dx_")
    return done


WORDS = {
    "en": (
        "Patient and consent",
        "Your data are kept.",
        "Get the diagnosis",
        "Most likely:",
        "Why ",
        "Fever",
    ),
    "es": (
        "Paciente y consent",
        "Sus datos se",
        "Obtener el diagnóstico",
        "Lo más probable:",
        "¿Por qué",
        "Fiebre",
    ),
}


@pytest.mark.parametrize("language", ["en", "es"])
def test_from_the_way_in_to_the_judgement(ward: Pages, language: str) -> None:
    client = ward.signed_in("ana", **{"Accept-Language": language})
    heading, policy, button, sentence, why, fever = WORDS[language]
    shown = client.get("/")
    assert shown.url.path == "/consent/ward"  # the only study, and it asks for consent
    assert heading in text_of(shown)
    assert policy in text_of(shown)
    form = consent(client, f"first-{language}", training="on")
    assert form.url.path == "/new/ward"
    assert f"first-{language}" in text_of(form)
    assert f"first-{language}" not in str(form.url)
    for word in (button, fever, "mmol/L"):
        assert word in text_of(form)
    typed = {
        "csrf": token(form),
        "patient_id": f"first-{language}",
        **TYPED,
        "v.fever": "yes",
        "v.cough": "no",
    }
    result = client.post("/new/ward", data=typed)
    assert result.status_code == 200, text_of(result)
    for word in (sentence, why, "61", "disnea y fiebre alta", "/models/ward/1"):
        assert word in text_of(result) + result.text
    assert "<svg" in result.text
    said = {
        "csrf": token(result),
        "agrees": "no",
        "condition": "grave",
        "reason": "wrong-data",
        "rating": "2",
        "comment": "¿<b>grave</b>?",
    }
    thanked = client.post(f"{result.url.path}/feedback", data=said)
    assert thanked.url.path == result.url.path
    assert "¿&lt;b&gt;grave&lt;/b&gt;?" in thanked.text
    confirmed = {"csrf": token(result), "confirmed": "ill", "confirmed_on": "2026-01-31"}
    done = client.post(f"{result.url.path}/outcome", data=confirmed)
    assert done.status_code == 200
    with ward.journal.read() as connection:
        row = (
            connection.execute(select(schema.feedback).order_by(schema.feedback.c.id.desc()))
            .mappings()
            .first()
        )
        outcome = connection.execute(select(schema.outcomes)).mappings().first()
    assert row is not None
    assert outcome is not None
    assert (row["agrees"], row["condition"], row["reason"], row["rating"]) == (
        False,
        "grave",
        "wrong-data",
        2,
    )
    assert (outcome["condition"], outcome["source"]) == ("ill", "pages")


def test_no_consent_no_form(ana: httpx.Client) -> None:
    assert ana.get("/new/ward").url.path == "/consent/ward"
    assert ana.get("/new/ward?consent=cs_made_up").url.path == "/consent/ward"
    unanswered = consent(ana, "silent", answer="")
    assert unanswered.status_code == 422
    assert "silent" in unanswered.text
    assert "Say whether the patient accepts" in text_of(unanswered)
    declined = consent(ana, "decliner", answer="decline")
    assert declined.url.path == "/consent/ward"
    assert "The refusal was recorded" in text_of(declined)
    nameless = consent(ana, "  ")
    assert nameless.status_code == 422
    assert "Enter the patient&#39;s id" in nameless.text


def test_a_consent_is_found_used_and_withdrawn(ana: httpx.Client) -> None:
    form = consent(ana, "returning")
    fields = {"csrf": token(form), "patient_id": "returning"}
    found = ana.post("/consent/ward", data={**fields, "look_up": "yes"})
    assert "The consent is on record" in text_of(found)
    assert "Models may not learn from this patient" in text_of(found)  # nobody ticked the box
    assert ana.post("/consent/ward", data={**fields, "use": "yes"}).url.path == "/new/ward"
    address = re.search(r'action="(/consent/cs_[0-9a-f]+/withdraw)"', found.text)
    assert address
    gone = ana.post(address[1], data=fields)
    assert "The consent was withdrawn" in text_of(gone)
    assert ana.get(f"/new/ward?{form.url.query.decode()}").url.path == "/consent/ward"
    refused = ana.post("/new/ward", data={**fields, **TYPED})
    assert refused.status_code == 403
    assert "The consent of this patient is not on record" in text_of(refused)
    assert 'value="6,2"' in refused.text
    assert "never been asked" not in text_of(ana.post("/consent/ward", data={**fields, "look_up": "yes"}))


def test_a_consent_leads_only_its_writer_to_the_patient(ana: httpx.Client, bea: httpx.Client) -> None:
    form = consent(ana, "hers")
    other = bea.get(f"/new/ward?{form.url.query.decode()}")
    assert other.url.path == "/consent/ward"
    assert "hers" not in other.text


def test_an_error_keeps_everything(ana: httpx.Client) -> None:
    form = consent(ana, "keeper")
    typed = {
        "csrf": token(form),
        "patient_id": "keeper",
        **TYPED,
        "v.age": "four",
        "v.lactate": "6.2",
        "u.lactate": "mg/dL",
        "v.fever": "yes",
        "rest.0": "yes",
        "v.note": 'línea uno\nlínea "dos" <b>',
    }
    shown = ana.post("/new/ward", data=typed)
    assert shown.status_code == 422
    assert 'value="four"' in shown.text
    assert 'value="6.2"' in shown.text
    assert re.search(r'<option value="mg/dL"[^>]* selected>', shown.text)
    assert re.search(r'name="v.fever" value="yes" checked', shown.text)
    assert "línea uno\nlínea &#34;dos&#34; &lt;b&gt;" in shown.text
    assert "keeper" in shown.text
    assert re.search(r'<a href="#field-0">age</a>', shown.text)  # the summary leads to the field
    assert re.search(
        r'id="field-0"[^>]*aria-invalid="true"[^>]*aria-describedby="[^"]*field-0-error', shown.text
    )
    assert 'id="field-0-error"' in shown.text
    typed["v.age"] = "40"
    done = ana.post("/new/ward", data=typed)
    assert done.url.path.startswith("/diagnoses/")
    assert "0.6882 mmol/L" in text_of(done)  # in the study's own unit


def test_an_empty_form_is_no_question(ana: httpx.Client) -> None:
    form = consent(ana, "empty")
    shown = ana.post("/new/ward", data={"csrf": token(form), "patient_id": "empty", "v.age": " "})
    assert shown.status_code == 422
    assert "Nothing was entered" in text_of(shown)


def test_flags_left_open_are_missing_or_absent_as_was_said(ana: httpx.Client) -> None:
    groups = re.findall(r'name="(rest\.\d+)"', consent(ana, "flags").text)
    assert len(groups) == 1
    left = diagnosed(ana, "flags", **{"v.fever": "yes"})
    assert "Present Fever" in text_of(left)
    assert "Absent" not in text_of(left)
    said = diagnosed(ana, "flags", **{"v.fever": "yes", groups[0]: "yes"})
    assert "Absent Cough, Shortness of breath" in text_of(said)


def test_a_session_that_ended_loses_nothing(ward: Pages) -> None:
    client = ward.signed_in("ana")
    form = consent(client, "slow")
    typed = {"csrf": token(form), "patient_id": "slow", **TYPED}
    client.post("/sign-out", data={"csrf": token(form)})
    shown = client.post("/new/ward", data=typed)
    assert shown.status_code == 401
    kept = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', shown.text))
    assert {name: kept[name] for name in TYPED} == TYPED
    assert kept["patient_id"] == "slow"
    again = ward.signed_in("ana")
    drawn = again.post("/new/ward", data={name: kept[name] for name in kept if name != "next"})
    assert drawn.status_code == 403  # drawn, not done: the token is of another session
    assert "You were signed out meanwhile" in text_of(drawn)
    assert 'value="6,2"' in drawn.text
    done = again.post("/new/ward", data={**typed, "csrf": token(drawn)})
    assert done.url.path.startswith("/diagnoses/")


def test_a_form_from_elsewhere_is_not_even_drawn(ward: Pages, ana: httpx.Client) -> None:
    typed = {"csrf": "", "patient_id": "forged", **TYPED}
    assert ana.post("/new/ward", data=typed, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    fields = {"csrf": "wrong", "patient_id": "forged", "answer": "accept"}
    assert ana.post("/consent/ward", data=fields).status_code == 403
    with ward.journal.read() as connection:
        table = schema.audit
        made = connection.execute(select(table.c.seq).where(table.c.detail.contains("forged"))).first()
    assert made is None


def test_a_stopped_model_keeps_what_was_typed(ward: Pages, ana: httpx.Client) -> None:
    form = consent(ana, "stopped")
    row = {"study": "ward", "stopped": now(), "actor": "max", "reason": "drift seen"}
    with ward.journal.begin() as connection:
        connection.execute(schema.stops.insert(), row)
    try:
        typed = {"csrf": token(form), "patient_id": "stopped", **TYPED}
        until = time.monotonic() + 10
        while (shown := ana.post("/new/ward", data=typed)).status_code != 503:
            assert time.monotonic() < until
            time.sleep(0.2)
        assert "drift seen" in text_of(shown)
        assert 'value="6,2"' in shown.text
        assert "Get the diagnosis" not in text_of(shown)
    finally:
        with ward.journal.begin() as connection:
            connection.execute(schema.stops.delete())
    until = time.monotonic() + 10
    while ana.post("/new/ward", data=typed).status_code == 503:
        assert time.monotonic() < until
        time.sleep(0.2)


def test_a_journal_that_does_not_answer_keeps_what_was_typed(ward: Pages, ana: httpx.Client) -> None:
    form = consent(ana, "held up")
    typed = {"csrf": token(form), "patient_id": "held up", **TYPED}
    other = sqlite3.connect(ward.home / "journal.db", isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        shown = ana.post("/new/ward", data=typed)
    finally:
        other.close()
    assert shown.status_code == 503
    assert "Nothing can be saved at the moment" in text_of(shown)
    assert 'value="6,2"' in shown.text
    assert ana.post("/new/ward", data=typed).url.path.startswith("/diagnoses/")


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({}, "agrees"),
        ({"agrees": "no"}, "reason"),
        ({"agrees": "yes", "rating": "9"}, "rating"),
        ({"agrees": "no", "reason": "other", "condition": "plague"}, "condition"),
        ({"agrees": "no", "reason": "<script>"}, "reason"),
        ({"agrees": "yes", "comment": "x" * 4001}, "comment"),
    ],
)
def test_a_judgement_that_is_not_taken_stays_on_the_page(
    ana: httpx.Client, said: dict[str, str], field: str
) -> None:
    result = diagnosed(ana, "judged")
    shown = ana.post(f"{result.url.path}/feedback", data={"csrf": token(result), "comment": "hm", **said})
    assert shown.status_code == 422
    assert f'href="#{field}"' in shown.text
    assert f'id="{field}-error"' in shown.text
    assert said.get("comment", "hm") in shown.text


@pytest.mark.parametrize(
    ("confirmed", "day", "field"),
    [("", "2026-01-31", "confirmed"), ("ill", "soon", "confirmed_on"), ("ill", "2999-01-01", "confirmed_on")],
)
def test_an_outcome_that_is_not_taken_stays_on_the_page(
    ana: httpx.Client, confirmed: str, day: str, field: str
) -> None:
    result = diagnosed(ana, "outcome")
    fields = {"csrf": token(result), "confirmed": confirmed, "confirmed_on": day}
    shown = ana.post(f"{result.url.path}/outcome", data=fields)
    assert shown.status_code == 422
    assert f'id="{field}-error"' in shown.text
    assert day in shown.text


def test_a_case_of_another_site_is_not_there(ana: httpx.Client, bea: httpx.Client) -> None:
    result = diagnosed(ana, "northern")
    assert bea.get(result.url.path).status_code == 404
    fields = {"csrf": token(bea.get("/consent/ward")), "agrees": "yes"}
    assert bea.post(f"{result.url.path}/feedback", data=fields).status_code == 404


@pytest.mark.parametrize(("name", "start"), [("max", "/overview"), ("eva", "/models")])
def test_others_have_no_care(ward: Pages, name: str, start: str) -> None:
    client = ward.signed_in(name)
    assert client.get("/", follow_redirects=False).headers["location"] == start
    for path in ("/new", "/new/ward", "/diagnoses/dx_1"):
        assert client.get(path).status_code == 403
    fields = {"csrf": token(client.get("/welcome")), "patient_id": "p", **TYPED}
    assert client.post("/new/ward", data=fields).status_code == 403


def test_an_admin_records_consents_without_seeing_the_form(ward: Pages) -> None:
    client = ward.signed_in("eva")
    done = consent(client, "at the desk")
    assert done.url.path == "/consent/ward"
    assert "was recorded" in text_of(done)


def test_nobody_signed_in_is_sent_to_the_door(ward: Pages) -> None:
    client = ward.browser()
    for path in ("/", "/new", "/new/ward", "/consent/ward", "/diagnoses/dx_1"):
        answer = client.get(path, follow_redirects=False)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/sign-in?next=")


def test_unknown_places_are_pages(ana: httpx.Client) -> None:
    for path in ("/new/nothing", "/consent/nothing", "/diagnoses/dx_nothing"):
        answer = ana.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("text/html")


def test_pages_hold_no_inline_style_or_script(ana: httpx.Client) -> None:
    result = diagnosed(ana, "strict")
    for page in (ana.get("/consent/ward"), consent(ana, "strict"), result):
        assert "default-src 'self'" in page.headers["content-security-policy"]
        assert not re.search(r"\sstyle=|<style|\son\w+=|<script(?![^>]* src=)", page.text)
        assert len(page.content) < 100_000


def test_without_consent_the_form_comes_at_once(clinic_pages: Pages) -> None:
    client = clinic_pages.signed_in("ana")
    form = client.get("/new")
    assert form.url.path == "/new/clinic"
    nameless = client.post("/new/clinic", data={"csrf": token(form), **TYPED})
    assert nameless.status_code == 422
    assert 'href="#patient_id"' in nameless.text
    result = client.post("/new/clinic", data={"csrf": token(form), "patient_id": "p", **TYPED})
    assert result.url.path.startswith("/diagnoses/")
    few = client.post("/new/clinic", data={"csrf": token(form), "patient_id": "p", "v.age": "61"})
    assert "Needs review" in text_of(few)
    assert "There is no free text" in text_of(few)


def test_before_the_first_model_the_page_says_so(tmp_path: Path) -> None:
    with open_pages(tmp_path / "home", demo=True) as pages:
        browser = pages.browser()
        assert browser.get("/").url.path == "/rank", "rare diseases are ranked without any model"
        shown = browser.get("/new")
    assert shown.status_code == 200
    assert "No model answers yet" in text_of(shown)
