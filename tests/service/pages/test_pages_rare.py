"""Rare diseases over real HTTP, without script, as a browser does it; few invented diseases are known."""

import html
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import polars as pl
import pytest
from clinic import STUDY, visits
from filled_pages import Tables
from hospital import small_knowledge
from open_pages import Pages, open_pages, token
from small_knowledge import write_small_translation
from sqlalchemy import select

from galeno.pipeline.runner import run_study
from galeno.storage import schema
from galeno.study_file import load_study

SEIZURE, DELAY, MICROCEPHALY, FEVER = "HP:0001250", "HP:0001263", "HP:0000252", "HP:0001945"
FIRST = "Invented epileptic encephalopathy 1"
LETTER = "Girl with hypotonia and small head. No fever."


@pytest.fixture(scope="module")
def pages(make_home: Callable[[], Path]) -> Iterator[Pages]:
    """Pages of a home without any study: rare diseases need none."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in small_knowledge().items():
            patch.setenv(name, value)
        home = make_home()
        home.chmod(0o700)
        with open_pages(home) as opened:
            opened.add("ana", "clinician", "north")
            opened.add("bea", "clinician", "south")
            opened.add("max", "engineer")
            ana = opened.signed_in("ana")
            until = time.monotonic() + 30
            while not ana.get("/terms", params={"q": "fever"}).json()["terms"]:
                assert time.monotonic() < until
                time.sleep(0.05)
            yield opened


@pytest.fixture(scope="module")
def ana(pages: Pages) -> httpx.Client:
    """A clinician who has signed in."""
    return pages.signed_in("ana")


def text_of(page: httpx.Response) -> str:
    """What is read on a page."""
    body = re.sub(r"<(script|style|svg|head).*?</\1>", " ", page.text, flags=re.S)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", body))).replace("\u00a0", " ")


def signs_of(page: httpx.Response) -> list[str]:
    """The lines of signs that a form holds."""
    found = re.search(r'<textarea id="signs".*?>\n(.*?)</textarea>', page.text, re.S)
    assert found
    return html.unescape(found[1]).splitlines()


def ask(client: httpx.Client, signs: str = "", **typed: str) -> httpx.Response:
    fields = {"csrf": token(client.get("/rank")), "signs": signs, "do": "rank", **typed}
    return client.post("/rank", data=fields)


def ranked(client: httpx.Client, signs: str = f"{SEIZURE}\n{DELAY}", **typed: str) -> httpx.Response:
    page = ask(client, signs, **typed)
    assert page.status_code == 200, text_of(page)
    assert page.url.path.startswith("/rankings/rk_"), text_of(page)
    return page


def hidden(page: httpx.Response, name: str) -> str:
    found = re.search(rf'<input type="hidden" name="{name}" value="([^"]*)"', page.text)
    assert found, name
    return html.unescape(found[1])


def test_signs_lead_to_diseases(ana: httpx.Client) -> None:
    known = {"age": "3,5", "age_unit": "years", "sex": "FEMALE", "onset": "HP:0003593", "patient_id": "p-1"}
    page = ranked(ana, "Epileptic seizure\nglobal developmental delay\n- fever", **known)
    text = text_of(page)
    assert f"First to consider: {FIRST}, with a probability of" in text
    assert "It may" in text
    assert "none of these" in text
    assert "Patient p-1" in text
    assert "Age: 3.5 years · Sex: female · Onset: in the first year" in text
    assert "hpo.jax.org" in text  # whose knowledge it is
    assert "2024-02-29" in text  # and which release
    assert signs_of(page) == [f"{SEIZURE} Seizure", f"{DELAY} Global developmental delay", f"- {FEVER} Fever"]
    rows = next(table for table in Tables(page).tables if table[0][:2] == ["Rank", "Disease"])
    assert rows[1][:2] == ["1", FIRST]
    assert [row[0] for row in rows[1:]] == [str(rank) for rank in range(1, len(rows))]


def test_the_page_speaks_spanish(pages: Pages) -> None:
    client = pages.signed_in("ana", **{"Accept-Language": "es"})
    assert "Ordenar las enfermedades" in text_of(client.get("/rank"))
    page = ranked(client, "Convulsiones\n- Microcefalia", age="14", age_unit="months")
    text = text_of(page)
    assert f"A considerar primero: {FIRST}" in text or FIRST in text
    assert "Puede no ser ninguna de estas" in text or "puede no ser ninguna" in text
    assert "Edad: 14 meses" in text
    assert signs_of(page)[0].startswith(SEIZURE)
    again = ask(client, "convulsionez")
    assert again.status_code == 422
    assert "no es un signo conocido" in text_of(again)


def test_a_text_is_read_for_signs_and_shown_before_it_counts(ana: httpx.Client) -> None:
    page = ask(ana, SEIZURE, text=LETTER, do="find")
    assert page.status_code == 200
    assert page.url.path == "/rank"
    assert signs_of(page) == [f"{SEIZURE} Seizure", "HP:0001252 Hypotonia", f"{MICROCEPHALY} Microcephaly",
                              f"- {FEVER} Fever"]  # fmt: skip
    assert re.search(r"<mark[^>]*>hypotonia</mark>", page.text)
    assert re.search(r"<del[^>]*>fever", page.text)
    # What was taken out stays out: the same text is not read again when it is sent.
    kept = {"text": LETTER, "read": hidden(page, "read")}
    done = ranked(ana, f"{SEIZURE}\n- {FEVER}", **kept)
    assert signs_of(done) == [f"{SEIZURE} Seizure", f"- {FEVER} Fever"]
    changed = ranked(ana, SEIZURE, text=LETTER + " Cataract.", read=kept["read"])
    assert "HP:0000518 Cataract" in signs_of(changed)


def test_a_text_alone_is_enough(ana: httpx.Client) -> None:
    assert "HP:0001252 Hypotonia" in signs_of(ranked(ana, text=LETTER))
    page = ask(ana, text="Nothing to report.")
    assert page.status_code == 422
    assert "Enter a sign that is present" in text_of(page)
    assert "Nothing to report." in page.text
    assert "No sign was recognised in this text." in text_of(page)


def test_what_is_found_next_is_one_click_away(ana: httpx.Client) -> None:
    page = ranked(ana, SEIZURE, age="2", sex="MALE")
    fields = {"csrf": token(page), "signs": "\n".join(signs_of(page))}
    for name in ("patient_id", "age", "age_unit", "sex", "onset"):
        fields[name] = hidden(page, name)
    more = ana.post("/rank", data={**fields, "add": f"{DELAY} Global developmental delay"})
    assert signs_of(more) == [f"{SEIZURE} Seizure", f"{DELAY} Global developmental delay"]
    assert "Age: 2 years · Sex: male" in text_of(more)
    less = ana.post("/rank", data={**fields, "deny": f"{FEVER} Fever"})
    assert signs_of(less) == [f"{SEIZURE} Seizure", f"- {FEVER} Fever"]
    edit = ana.post("/rank", data={**fields, "do": "edit"})
    assert edit.url.path == "/rank"
    assert signs_of(edit) == [f"{SEIZURE} Seizure"]
    assert '<option value="MALE" selected>' in edit.text


@pytest.mark.parametrize(
    ("signs", "typed", "said"),
    [
        ("", {}, "Enter a sign that is present"),
        (f"- {FEVER}", {}, "Enter a sign that is present"),
        ("Micrcephaly", {}, "“Micrcephaly” is no sign that is known. Is it: Microcephaly (HP:0000252)"),
        ("qqqqqqqq wwwwwwww", {}, "“qqqqqqqq wwwwwwww” is no sign that is known."),
        ("HP:9999999", {}, "HP:9999999 is not the id of a sign."),
        ("HP:0012828", {}, "HP:0012828 is not the id of a sign."),  # a severity
        ("Seizure\n- Epileptic seizure", {}, "A sign cannot be both present and absent."),
        ("a" * 300, {}, "One sign a line"),
        (SEIZURE, {"age": "old"}, "Enter a number"),
        (SEIZURE, {"age": "2000", "age_unit": "months"}, "An age is from 0 to"),
        (SEIZURE, {"sex": "X"}, "Choose one of the options."),
        (SEIZURE, {"onset": "never"}, "Choose one of the options."),
        (SEIZURE, {"onset": FEVER}, "This value is not accepted."),
        (SEIZURE, {"patient_id": "p" * 201}, "Enter the patient's id"),
        ("", {"text": "a" * 50_001}, "At most 50,000 characters"),
    ],
)
def test_what_is_wrong_is_said_and_what_was_typed_stays(
    ana: httpx.Client, signs: str, typed: dict[str, str], said: str
) -> None:
    page = ask(ana, signs, **typed)
    assert page.status_code == 422
    assert said in text_of(page)
    assert len(signs_of(page)) == len(signs.splitlines())
    for name, value in typed.items():
        assert name in {"age_unit", "sex", "onset"} or html.escape(value) in page.text


def test_names_that_lead_to_scripts_are_text(ana: httpx.Client) -> None:
    page = ask(ana, '<script>alert(1)</script>"', text="<img src=x> hypotonia", do="find")
    assert "<script>alert" not in page.text
    assert "<img src=x" not in page.text


def test_another_site_and_another_role_see_nothing(pages: Pages, ana: httpx.Client) -> None:
    path = ranked(ana).url.path
    assert ana.get(path).status_code == 200
    assert pages.signed_in("bea").get(path).status_code == 404
    max_ = pages.signed_in("max")
    assert max_.get("/rank").status_code == 403
    assert max_.get(path).status_code == 403
    assert 'href="/rank"' not in max_.get("/models").text
    assert 'href="/rank" aria-current="page"' in ana.get(path).text
    assert pages.browser().get("/rank").url.path == "/sign-in"
    assert ana.get("/rankings/rk_nothing").status_code == 404


def test_a_form_without_its_token_is_not_ranked(pages: Pages, ana: httpx.Client) -> None:
    page = ana.post("/rank", data={"csrf": "x", "signs": SEIZURE, "do": "rank"})
    assert page.status_code == 403
    assert "You were signed out meanwhile" in text_of(page)
    assert signs_of(page) == [f"{SEIZURE} Seizure"]
    gone = pages.browser().post("/rank", data={"csrf": "x", "signs": SEIZURE, "text": "kept"})
    assert gone.status_code == 401
    assert '<input type="hidden" name="text" value="kept">' in gone.text
    elsewhere = ana.post("/rank", data={"signs": SEIZURE}, headers={"Sec-Fetch-Site": "cross-site"})
    assert elsewhere.status_code == 403
    assert "rankings" not in elsewhere.url.path


def test_a_judgement_is_kept(ana: httpx.Client) -> None:
    page = ranked(ana)
    path = page.url.path + "/feedback"
    nothing = ana.post(path, data={"csrf": token(page)})
    assert nothing.status_code == 422
    assert "Say whether you agree." in text_of(nothing)
    wrong = ana.post(path, data={"csrf": token(page), "agrees": "no", "disease": "gout"})
    assert wrong.status_code == 422
    assert 'value="gout"' in wrong.text
    said = {"agrees": "no", "disease": "omim:100002", "comment": "Focal seizures."}
    done = ana.post(path, data={"csrf": token(page), **said})
    assert done.status_code == 200
    assert "Your feedback was saved." in text_of(done)
    assert "Does not agree · OMIM:100002" in text_of(done)
    assert "Focal seizures." in text_of(done)


def latest(client: httpx.Client) -> list[list[str]]:
    """Rows of the list below the form."""
    tables = [table for table in Tables(client.get("/rank")).tables if table[0][:1] == ["When"]]
    return tables[0][1:] if tables else []


def test_rankings_are_found_again(pages: Pages, ana: httpx.Client) -> None:
    ranked(ana, patient_id="p-again")
    made = ranked(ana, FEVER)
    shown = ana.get("/rank")
    rows = latest(ana)
    assert [row[1] for row in rows[:2]] == ["not named", "p-again"]
    assert rows[0][2].startswith("Invented fever")
    assert FIRST in rows[1][2]
    assert len(rows) <= 20
    assert f'<a href="{made.url.path}">' in shown.text
    pages.add("cora", "clinician", "west")
    assert latest(pages.signed_in("cora")) == []
    assert "p-again" not in pages.signed_in("bea").get("/rank").text
    with pages.journal.read() as connection:
        trail = connection.execute(select(schema.audit.c.detail).where(schema.audit.c.actor == "cora"))
        assert ("0 rankings listed, with patient ids",) in set(map(tuple, trail))


def test_names_of_a_translation_are_shown(make_home: Callable[[], Path], tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in small_knowledge().items():
            patch.setenv(name, value)
        patch.setenv("GALENO_HPO_TRANSLATION", str(write_small_translation(tmp_path)))
        home = make_home()
        home.chmod(0o700)
        with open_pages(home) as opened:
            opened.add("ana")
            client = opened.signed_in("ana", **{"Accept-Language": "es"})
            until = time.monotonic() + 20
            while not client.get("/terms", params={"q": "fiebre"}).json()["terms"]:
                assert time.monotonic() < until
                time.sleep(0.05)
            page = ranked(client, f"talla corta\n- {FEVER}")
            assert signs_of(page) == ["HP:0004322 Talla baja", f"- {FEVER} Fiebre"]
            text = text_of(page)
            assert "Talla baja" in text
            assert "Short stature" not in text
            assert "Nombres de los signos en español" in text
            english = opened.signed_in("ana", **{"Accept-Language": "en"})
            assert "Short stature" in text_of(english.get(page.url.path))


def test_terms_are_offered_while_somebody_types(pages: Pages, ana: httpx.Client) -> None:
    found = ana.get("/terms", params={"q": "seizu"})
    assert found.headers["content-type"] == "application/json"
    assert found.headers["cache-control"] == "no-store"
    assert found.json()["terms"][0] == {"id": SEIZURE, "label": "Seizure", "matched": "Seizure"}
    assert ana.get("/terms", params={"q": "small head"}).json()["terms"][0]["id"] == MICROCEPHALY
    for q in ("", "a" * 500, "qqqqqqqqqqq"):
        assert ana.get("/terms", params={"q": q}).json() == {"terms": [], "note": ""}
    assert pages.browser().get("/terms", params={"q": "x"}).url.path == "/sign-in"
    spanish = pages.signed_in("ana", **{"Accept-Language": "es"})
    assert spanish.get("/terms", params={"q": "convuls"}).json()["terms"][0]["label"] == "Convulsiones"


def test_the_page_says_when_nothing_is_known(make_home: Callable[[], Path], tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in small_knowledge().items():
            patch.setenv(name, value)
        patch.setenv("GALENO_HPO_ONTOLOGY", str(tmp_path / "missing.obo"))
        home = make_home()
        home.chmod(0o700)
        with open_pages(home) as opened:
            opened.add("ana")
            client = opened.signed_in("ana")
            until = time.monotonic() + 20
            while "cannot be read" not in text_of(client.get("/rank")):
                assert time.monotonic() < until
                time.sleep(0.05)
            page = ask(client, SEIZURE)
            assert page.status_code == 503
            assert signs_of(page) == [SEIZURE]
            assert "Everything you typed is still here." in text_of(page)
            assert client.get("/terms", params={"q": "fever"}).json()["note"]


def test_the_pages_are_quick_and_small(ana: httpx.Client) -> None:
    page = ranked(ana)
    for path, most in (("/rank", 40_000), (page.url.path, 150_000)):
        times = []
        for _ in range(3):
            began = time.perf_counter()
            shown = ana.get(path)
            times.append(time.perf_counter() - began)
        assert len(shown.content) < most
        assert min(times) < 1.0
        assert "default-src 'self'" in shown.headers["content-security-policy"]
        assert not re.search(r"<script(?![^>]* src=)|\son\w+=|\sstyle=", shown.text)


@pytest.fixture(scope="module")
def signs_study(make_home: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the model of a study that has a column of signs."""
    folder = tmp_path_factory.mktemp("signs")
    told = {"W": "", "I": f"{FEVER};-{SEIZURE}", "G": f"{SEIZURE};{DELAY}"}
    visits().with_columns(signs=pl.col("condition").replace_strict(told)).write_csv(folder / "clinic.csv")
    column = "  note: {type: text}\n  signs: {type: terms, label: {es: Signos, en: Signs}}"
    (folder / "clinic.yaml").write_text(STUDY.replace("  note: {type: text}", column), encoding="utf-8")
    home = make_home()
    home.chmod(0o700)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in small_knowledge().items():
            patch.setenv(name, value)
        run_study(load_study(folder / "clinic.yaml"), home, threads=2)
    return home


def test_the_form_of_a_study_takes_signs(signs_study: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in small_knowledge().items():
            patch.setenv(name, value)
        with open_pages(signs_study) as opened:
            opened.add("ana")
            client = opened.signed_in("ana")
            until = time.monotonic() + 20
            while not client.get("/terms", params={"q": "fever"}).json()["terms"]:
                assert time.monotonic() < until
                time.sleep(0.05)
            fields = {"csrf": token(client.get("/new/clinic")), "patient_id": "p1", "v.age": "50"}
            wrong = client.post("/new/clinic", data={**fields, "v.signs": "Micrcephaly"})
            assert wrong.status_code == 422
            assert "Is it: Microcephaly (HP:0000252)?" in text_of(wrong)
            typed = f"Epileptic seizure\n{DELAY} whatever stands here\n- fever"
            done = client.post("/new/clinic", data={**fields, "v.signs": typed})
            assert done.url.path.startswith("/diagnoses/dx_"), text_of(done)
            assert "Signs Seizure; Global developmental delay; absent: Fever" in text_of(done)
