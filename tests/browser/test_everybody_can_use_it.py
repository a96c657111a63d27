"""Whoever cannot see well or use a mouse gets by too: axe-core on each page, and the story by keyboard."""

import pytest
from axe_checker import faults, read_axe
from hospital import Hospital
from ward_story import PASSWORD, Desk, OpenDesk


@pytest.fixture(scope="module")
def axe() -> str:
    """The checker."""
    return read_axe()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_no_serious_fault_in_the_pages_of_care(open_desk: OpenDesk, axe: str, dark: bool) -> None:
    desk = open_desk("en", dark=dark)
    desk.go("/")
    found = faults(desk, axe)
    desk.sign_in("clinician.one", "wrong one, sorry")
    found += faults(desk, axe)
    desk.sign_in("clinician.one")
    desk.page.wait_for_url("**/consent/ward")
    found += faults(desk, axe)
    desk.press("Record and continue")  # with nothing in it
    found += faults(desk, axe)
    desk.go("/")
    desk.accept(f"axe-{dark}")
    found += faults(desk, axe)
    desk.fill(age="900", lactate="x")
    desk.press("Get the diagnosis")
    desk.page.locator(".banner.summary").wait_for()
    found += faults(desk, axe)
    desk.fill(age="90", lactate="29", note="disnea")
    desk.press("Get the diagnosis")
    desk.diagnosis()
    found += faults(desk, axe)
    desk.press("Save the judgement")
    desk.page.locator(".banner.summary").wait_for()
    found += faults(desk, axe)
    for path in ("/worklist", "/worklist?state=all", "/worklist?from=2020-01-01&to=2020-01-02",
                 "/models", "/models/ward/1", "/nowhere"):  # fmt: skip
        desk.go(path)
        found += faults(desk, axe)
    assert found == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("role", "paths"),
    [
        ("engineer", ("/overview", "/models", "/models/ward/1", "/models/ward/stop/confirm", "/new")),
        ("auditor", ("/overview", "/audit", "/worklist")),
    ],
)
def test_axe_finds_no_serious_fault_in_the_pages_of_oversight(
    open_desk: OpenDesk, axe: str, dark: bool, role: str, paths: tuple[str, ...]
) -> None:
    desk = open_desk("es", dark=dark)
    desk.go("/sign-in?next=/models")
    desk.sign_in(f"{role}.one")
    desk.page.wait_for_url("**/models")
    found = []
    for path in paths:
        desk.go(path)
        found += faults(desk, axe)
    assert found == []


def test_the_keyboard_is_enough(open_desk: OpenDesk, ward: Hospital) -> None:
    desk = open_desk("en")
    page, keys = desk.page, desk.page.keyboard
    desk.go("/")
    assert page.evaluate("document.activeElement.id") == "name"
    keys.type("clinician.one")
    keys.press("Tab")
    keys.type(PASSWORD)
    keys.press("Enter")
    page.wait_for_url("**/consent/ward")
    keys.type("by-keyboard")  # the field has the focus
    tab_to(desk, '[name="answer"]')
    keys.press("Space")
    tab_to(desk, "#consent .actions button")
    keys.press("Enter")
    page.wait_for_url("**/new/ward?consent=*")

    reached = tab_through(desk)
    wanted = page.evaluate(
        """() => [...new Set([...document.querySelectorAll('a[href], button, input, select, textarea')]
            .filter((each) => each.type !== 'hidden' && each.checkVisibility() && !each.disabled)
            .map((each) => each.type === 'radio' ? each.name : each.outerHTML))]"""
    )
    assert set(wanted) <= set(reached)

    desk.go(page.url.removeprefix(ward.url))
    tab_to(desk, '[name="v.age"]')
    keys.type("70")
    keys.press("Enter")  # to the next number
    assert page.evaluate("document.activeElement.name") == "v.lactate"
    keys.type("7")
    tab_to(desk, '[name="v.fever"]')
    keys.press("ArrowLeft")
    tab_to(desk, ".actions button")
    keys.press("Enter")
    desk.diagnosis()
    tab_to(desk, '[name="agrees"]')
    keys.press("Space")
    tab_to(desk, "form[action$=feedback] .actions button")
    keys.press("Enter")
    desk.sees(desk.say("Your feedback was saved."))


def test_where_the_focus_is_can_be_seen(open_desk: OpenDesk) -> None:
    desk = open_desk("en")
    desk.go("/sign-in")
    desk.page.keyboard.press("Tab")
    for _ in range(6):
        style = desk.page.evaluate(
            """() => { const s = getComputedStyle(document.activeElement);
                return [document.activeElement.tagName, s.outlineStyle, s.outlineWidth, s.boxShadow]; }"""
        )
        if style[0] != "BODY":  # beyond the last one is the browser's own bar
            assert style[1] != "none" or style[3] != "none", style
        desk.page.keyboard.press("Tab")


def tab_to(desk: Desk, selector: str) -> None:
    """Press Tab until an element has the focus."""
    for _ in range(80):
        desk.page.keyboard.press("Tab")
        if desk.page.evaluate("(wanted) => document.activeElement.matches(wanted)", selector):
            return
    raise AssertionError(f"Tab does not lead to {selector}")


def tab_through(desk: Desk) -> list[str]:
    """Everything that Tab leads to, once around; radio buttons by their name."""
    seen = []
    desk.page.evaluate("document.activeElement.blur()")
    for _ in range(120):
        desk.page.keyboard.press("Tab")
        seen.append(
            desk.page.evaluate(
                """() => { const it = document.activeElement;
                    return it.type === 'radio' ? it.name : it.outerHTML; }"""
            )
        )
    return seen
