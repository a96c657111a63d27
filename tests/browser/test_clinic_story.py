"""From the sign-in to the worklist in a real browser, in both languages, with and without script."""

import re
from pathlib import Path

import pytest
from hospital import Hospital, open_hospital
from ward_story import (
    PASSWORD,
    POLICY,
    OpenDesk,
    copy_ward,
    count,
    end_sessions,
    locked,
    set_password,
    start_again,
)

TYPED = {"age": "61", "sex": "F", "lactate": "6,2", "note": "disnea y fiebre alta", "fever": "yes"}
SPOKEN = {
    "en": {"lang": "en", "likely": "Most likely", "tenth": "0.6882 mmol/L"},
    "es": {"lang": "es", "likely": "Lo más probable", "tenth": "0,6882 mmol/L"},
}


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
@pytest.mark.parametrize("language", ["en", "es"])
def test_from_the_sign_in_to_the_worklist(open_desk: OpenDesk, language: str, script: bool) -> None:
    desk = open_desk(language, script=script)
    patient = f"{language}-{script}"
    desk.go("/")
    assert desk.page.locator("html").get_attribute("lang") == SPOKEN[language]["lang"]
    desk.sign_in("clinician.one", "not the password at all")
    desk.sees(desk.say("Name and password do not fit. Check both and try again."))
    assert desk.page.locator("#name").input_value() == "clinician.one"
    desk.sign_in("clinician.one")
    desk.page.wait_for_url("**/consent/ward")
    desk.sees(POLICY[language])
    desk.page.locator("#patient_id").fill(patient)
    desk.press("Record and continue")
    desk.sees(desk.say("Say whether the patient accepts."))
    assert desk.page.locator("#patient_id").input_value() == patient
    desk.accept(patient)

    desk.fill(**{**TYPED, "age": "610"})
    desk.press("Get the diagnosis")
    desk.page.locator(".banner.summary a").first.click()
    wrong = desk.page.locator('[name="v.age"]')
    assert wrong.get_attribute("aria-invalid") == "true"
    assert desk.typed(*TYPED) == {**TYPED, "age": "610"}
    wrong.fill("61")
    desk.press("Get the diagnosis")

    diagnosis = desk.diagnosis()
    desk.sees(SPOKEN[language]["likely"])
    desk.sees(desk.say("Decision support: the clinician decides."))
    assert desk.page.locator("table.ranking tbody tr").count() == 3
    assert desk.page.locator("table.ranking svg.bar").count() == 3
    desk.page.locator('a[href="/models/ward/1"]').first.click()
    desk.page.wait_for_url("**/models/ward/1")
    desk.page.go_back()
    assert desk.diagnosis() == diagnosis

    desk.press("Save the judgement")
    desk.sees(desk.say("Say whether you agree."))
    desk.page.get_by_label(desk.say("I agree"), exact=True).check()
    desk.page.locator("#comment").fill("¿<b>claro</b>?")
    desk.press("Save the judgement")
    desk.sees(desk.say("Your feedback was saved."))
    desk.sees("¿<b>claro</b>?")

    desk.page.get_by_role("link", name=desk.say("Worklist"), exact=True).click()
    desk.page.wait_for_url("**/worklist")
    desk.page.locator("#state").select_option("all")
    if not script:
        desk.press("Show")
    row = desk.page.get_by_role("row").filter(has=desk.page.get_by_role("cell", name=patient, exact=True))
    row.get_by_text(desk.say("Reviewed"), exact=True).wait_for()
    row.get_by_role("link").click()
    assert desk.diagnosis() == diagnosis
    desk.press("Sign out")
    desk.page.wait_for_url("**/sign-in*")
    desk.go(f"/diagnoses/{diagnosis}")
    desk.page.wait_for_url("**/sign-in?next=**")


def test_what_is_not_possible_is_said_while_typing(open_desk: OpenDesk) -> None:
    desk = open_desk("en")
    desk.go("/")
    desk.sign_in("clinician.one")
    desk.accept("typing")
    lactate = desk.page.locator('[name="v.lactate"]')
    lactate.fill("45")
    lactate.press("Tab")
    desk.page.locator(".say", has_text=desk.say("Not possible")).wait_for()
    desk.page.locator('[name="u.lactate"]').select_option("mg/dL")  # 45 mg/dL are 5 mmol/L
    desk.page.locator(".say", has_text=desk.say("Not possible")).wait_for(state="hidden")
    lactate.fill("many")
    lactate.press("Tab")
    desk.page.locator(".say", has_text=desk.say("Enter a number")).wait_for()


def test_a_language_is_chosen_and_kept(open_desk: OpenDesk) -> None:
    desk = open_desk("en")
    desk.go("/sign-in")
    desk.page.get_by_role("button", name="Español").click()
    desk.page.locator("html[lang=es]").wait_for()
    desk.language = "es"
    desk.sign_in("clinician.one")
    desk.accept("idioma")
    assert desk.page.locator("html").get_attribute("lang") == "es"
    desk.fill(lactate="6,2")
    desk.page.locator('[name="u.lactate"]').select_option("mg/dL")
    desk.press("Get the diagnosis")
    desk.diagnosis()
    desk.sees(SPOKEN["es"]["tenth"])


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_a_session_that_ended_loses_nothing_that_was_typed(
    open_desk: OpenDesk, ward: Hospital, script: bool
) -> None:
    desk = open_desk("es", script=script)
    desk.go("/")
    desk.sign_in("clinician.one")
    desk.accept(f"slow-{script}")
    desk.fill(**TYPED)
    before = count(ward.home, "diagnoses")
    end_sessions(ward.home)
    desk.press("Get the diagnosis")
    desk.sees(desk.say("You were signed out"))
    with desk.page.context.expect_page() as opened:
        desk.page.get_by_role("link", name=desk.say("Sign in, in a new window")).click()
    window = opened.value
    window.get_by_label(desk.say("Name"), exact=True).fill("clinician.one")
    window.get_by_label(desk.say("Password"), exact=True).fill(PASSWORD)
    window.get_by_role("button", name=desk.say("Sign in"), exact=True).click()
    window.wait_for_url("**/consent/ward")
    window.close()
    desk.press("Go on with the form")
    desk.sees(desk.say("You were signed out meanwhile"))
    assert desk.typed(*TYPED) == TYPED
    assert count(ward.home, "diagnoses") == before
    desk.press("Get the diagnosis")
    desk.diagnosis()
    assert count(ward.home, "diagnoses") == before + 1


def test_after_the_sign_in_one_is_back_where_one_was(open_desk: OpenDesk, ward: Hospital) -> None:
    desk = open_desk("en")
    desk.go("/")
    desk.sign_in("clinician.one")
    desk.page.wait_for_url("**/consent/ward")
    end_sessions(ward.home)
    desk.go("/worklist?state=all&order=newest")
    desk.page.wait_for_url("**/sign-in?next=**")
    desk.sign_in("clinician.one")
    desk.page.wait_for_url("**/worklist?state=all&order=newest")


def test_a_result_prints_on_one_page(open_desk: OpenDesk) -> None:
    desk = open_desk("es")
    desk.go("/")
    desk.sign_in("clinician.one")
    desk.accept("printed")
    desk.fill(**TYPED)
    desk.press("Get the diagnosis")
    desk.diagnosis()
    printed = desk.page.pdf(prefer_css_page_size=True, print_background=True)
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1
    desk.page.emulate_media(media="print")
    assert not desk.page.get_by_role("button").locator("visible=true").count()


def test_a_service_that_is_down_saves_nothing_by_halves(
    open_desk: OpenDesk, ward_home: Path, tmp_path: Path
) -> None:
    home = copy_ward(ward_home, tmp_path / "home")
    with open_hospital(home) as hospital:
        set_password(home, "clinician.one")
        desk = open_desk("en", hospital=hospital)
        desk.go("/")
        desk.sign_in("clinician.one")
        desk.accept("down")
        desk.fill(**TYPED)
        with locked(home):  # the database answers nobody who wants to write
            desk.press("Get the diagnosis")
            desk.sees(desk.say("Nothing can be saved at the moment"))
        assert desk.typed(*TYPED) == TYPED
        hospital.process.kill()
        hospital.process.wait()
        desk.press("Get the diagnosis")
        desk.page.wait_for_url("chrome-error://**")
        desk.faults.clear()  # the browser says that it could not connect
        start_again(hospital)
        assert [count(home, table) for table in ("diagnoses", "feedback")] == [0, 0]
        desk.page.reload()  # sends once more what was typed
        desk.diagnosis()
        desk.sees(TYPED["note"])
        assert count(home, "diagnoses") == 1
