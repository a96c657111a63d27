"""Rare diseases in a real browser: signs by keyboard and by mouse, without script, in both languages."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_checker import faults, read_axe
from hospital import small_knowledge
from open_pages import Pages, open_pages
from ward_story import PASSWORD, Desk, OpenDesk

FIRST = "Invented epileptic encephalopathy 1"
OPTION = ".terms-list [role=option]"
LETTER = "A girl with global developmental delay and hypotonia. No fever."


@pytest.fixture(scope="module")
def rare_pages(make_home: Callable[[], Path]) -> Iterator[Pages]:
    """Pages of a home without any study, which know a few invented diseases."""
    home = make_home()
    home.chmod(0o700)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in small_knowledge().items():
            patch.setenv(name, value)
        with open_pages(home) as opened:
            opened.add("clinician.one", "clinician", password=PASSWORD)
            yield opened


@pytest.fixture
def open_rank(open_desk: OpenDesk, rare_pages: Pages) -> Callable[..., Desk]:
    """Opens the page of rare diseases, signed in."""

    def open_one(language: str = "en", **more: Any) -> Desk:
        desk: Desk = open_desk(language, hospital=rare_pages, **more)
        for _ in range(100):
            desk.go("/rank")
            if desk.page.locator("#name").count():
                desk.sign_in("clinician.one")
                desk.page.wait_for_url("**/rank")
            if not desk.page.locator(".banner.info").count():  # the knowledge has been read
                return desk
        raise AssertionError(desk.page.content())

    return open_one


def add(desk: Desk, typed: str) -> None:
    """Choose the first sign that is offered."""
    desk.page.locator("#signs").press_sequentially(typed)
    desk.page.locator(OPTION).first.wait_for()
    desk.page.keyboard.press("Enter")


def listed(desk: Desk) -> list[str]:
    """The signs that are shown; absent ones with a minus."""
    return [
        ("-" if "absent" in (chip.get_attribute("class") or "") else "")
        + chip.locator(".name").inner_text().split(" HP:")[0]
        for chip in desk.page.locator(".chip").all()
    ]


@pytest.mark.parametrize("language", ["en", "es"])
def test_from_signs_and_a_letter_to_diseases(open_rank: Callable[..., Desk], language: str) -> None:
    desk = open_rank(language)
    page = desk.page
    add(desk, "epilep" if language == "en" else "convuls")
    desk.page.locator("#text").fill(LETTER)
    desk.press("Find the signs in the text")
    desk.sees(desk.say("Check what was recognised."))
    names = listed(desk)
    assert len(names) == 4
    assert names[3].startswith("-")
    page.locator(".chip button").nth(1).click()  # the delay is taken out again
    assert len(listed(desk)) == 3
    page.locator("[data-state=no]").nth(1).check()
    assert [name.startswith("-") for name in listed(desk)] == [False, True, True]
    page.locator("#age").fill("3,5")
    desk.press("Rank the diseases")
    page.wait_for_url("**/rankings/rk_*")
    assert len(listed(desk)) == 3
    assert FIRST in page.locator(".ranking").inner_text()
    assert page.locator(".why details[open]").count() == 1
    page.locator(".ranking a").nth(2).click()
    page.locator("#d-3[open]").wait_for()
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")


def test_a_sign_worth_examining_is_one_click_away(open_rank: Callable[..., Desk]) -> None:
    desk = open_rank()
    add(desk, "hypoton")
    desk.press("Rank the diseases")
    desk.page.wait_for_url("**/rankings/rk_*")
    before = desk.page.url
    asks = desk.page.locator(".ask")
    assert asks.count()
    asks.first.locator("[name=deny]").click()
    desk.page.wait_for_url(lambda url: "/rankings/" in url and url != before)
    assert [name.startswith("-") for name in listed(desk)] == [False, True]


def test_signs_by_keyboard_alone(open_rank: Callable[..., Desk]) -> None:
    desk = open_rank()
    page, keys = desk.page, desk.page.keyboard
    page.locator("#signs").focus()
    keys.type("seizure")
    page.locator(OPTION).nth(1).wait_for()
    field = page.locator("#signs")
    assert field.get_attribute("aria-expanded") == "true"
    keys.press("ArrowDown")
    pointed = page.locator(f"#{field.get_attribute('aria-activedescendant')}")
    assert pointed.get_attribute("aria-selected") == "true"
    keys.press("ArrowUp")
    keys.press("Enter")
    assert listed(desk) == ["Seizure"]
    keys.type("fever")
    page.locator(OPTION).first.wait_for()
    keys.press("Escape")
    assert not page.locator(OPTION).count()
    keys.press("Enter")  # as it stands: the service reads it
    assert listed(desk) == ["Seizure", "fever"]
    keys.press("Tab")
    keys.press("ArrowRight")  # of the first sign: absent
    assert listed(desk) == ["-Seizure", "fever"]
    keys.press("ArrowLeft")
    keys.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Remove Seizure"
    keys.press("Tab")
    keys.press("Tab")
    keys.press("Enter")
    assert listed(desk) == ["Seizure"]
    assert page.evaluate("document.activeElement.id") == "signs"
    desk.press("Rank the diseases")
    page.wait_for_url("**/rankings/rk_*")


def test_pasted_lists_become_signs(open_rank: Callable[..., Desk]) -> None:
    desk = open_rank()
    desk.page.locator("#signs").focus()
    desk.page.evaluate(
        """() => { const data = new DataTransfer();
            data.setData('text', 'HP:0001250 Seizure\\n- HP:0001945 Fever');
            document.activeElement.dispatchEvent(new ClipboardEvent('paste',
              {clipboardData: data, bubbles: true, cancelable: true})); }"""
    )
    assert listed(desk) == ["Seizure", "-Fever"]
    desk.page.reload()
    assert listed(desk) == []


def test_without_script_lines_are_enough(open_rank: Callable[..., Desk]) -> None:
    desk = open_rank(script=False)
    assert not desk.page.get_by_role("combobox", name="Signs").count()
    desk.page.locator("#signs").fill("Seizure\n- Fever")
    desk.page.locator("#text").fill(LETTER)
    desk.press("Find the signs in the text")
    assert "HP:0001263 Global developmental delay" in desk.page.locator("#signs").input_value()
    desk.press("Rank the diseases")
    desk.page.wait_for_url("**/rankings/rk_*")
    desk.sees(FIRST)
    desk.page.locator("#signs").fill("Micrcephaly")
    desk.press("Rank again")
    desk.sees("Is it: Microcephaly (HP:0000252)?")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_no_serious_fault(open_rank: Callable[..., Desk], dark: bool) -> None:
    desk = open_rank("es", dark=dark)
    found = faults(desk, read_axe())
    desk.page.locator("#signs").press_sequentially("microcef")
    desk.page.locator(OPTION).first.wait_for()
    found += faults(desk, read_axe())
    desk.page.keyboard.press("Enter")
    desk.page.locator("#text").fill(LETTER)
    desk.press("Find the signs in the text")
    desk.page.locator(".read").wait_for()
    found += faults(desk, read_axe())
    desk.page.locator("#age").fill("x")
    desk.press("Rank the diseases")
    desk.page.locator(".banner.summary").wait_for()
    found += faults(desk, read_axe())
    desk.page.locator("#age").fill("3")
    desk.press("Rank the diseases")
    desk.page.wait_for_url("**/rankings/rk_*")
    desk.page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    found += faults(desk, read_axe())
    desk.go("/rank")
    assert desk.page.locator(".latest tbody tr").count()
    found += faults(desk, read_axe())
    assert found == []
