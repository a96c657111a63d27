"""A real browser, and a ward whose service runs."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hospital import Hospital, open_hospital

REQUIRED = "GALENO_REQUIRE_BROWSER"

if TYPE_CHECKING:
    from playwright.sync_api import Browser

try:
    import playwright.sync_api
except ImportError:
    MISSING = "playwright is not installed"
    collect_ignore_glob = [] if os.environ.get(REQUIRED) == "1" else ["*"]
else:
    MISSING = "" if shutil.which("chromium") else "there is no chromium on the path"
    from ward_story import FLAGS, OpenDesk, copy_ward, make_ward, open_page, set_password

LOCALES = {"en": "en-GB", "es": "es-ES"}


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """Debian's Chromium, with an empty profile of its own.

    One a module: while it is open, an event loop runs in this thread, and other tests start theirs.
    """
    if MISSING:
        told = f"{MISSING}; the pages were not seen in a browser"
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(told)
        pytest.skip(told)
    with playwright.sync_api.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def ward_home(make_home: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the ward's model; copy it before it is written to."""
    home = make_home()
    make_ward(tmp_path_factory.mktemp("ward"), home)
    return home


@pytest.fixture(scope="session")
def ward(ward_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    """The ward's service, with a user of each role who has a password."""
    home = copy_ward(ward_home, tmp_path_factory.mktemp("open") / "home")
    with open_hospital(home) as opened:
        for role in opened.keys:
            set_password(home, f"{role}.one")
        yield opened


@pytest.fixture
def open_desk(browser: "Browser", ward: Hospital) -> "Iterator[OpenDesk]":
    """Opens windows; in the end none of them may have reported a fault."""
    desks = []

    def open_one(
        language: str, *, hospital: Hospital = ward, script: bool = True, dark: bool = False, **more: Any
    ) -> Any:
        context = browser.new_context(
            locale=LOCALES[language],
            java_script_enabled=script,
            color_scheme="dark" if dark else "light",
            viewport={"width": 1280, "height": 800},
            **more,
        )
        desks.append(open_page(context, hospital.url, language))
        return desks[-1]

    yield open_one
    for desk in desks:
        desk.page.context.close()
    assert [fault for desk in desks for fault in desk.faults] == []
