"""Sounds and images in a real browser: chosen, recorded, seen before they are sent, and where they speak."""

import re
import shutil
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from axe_checker import faults, read_axe
from chest import draw_xray, record_breath
from hospital import Hospital, open_hospital
from ward_story import FLAGS, Desk, OpenDesk, set_password

if TYPE_CHECKING:
    from playwright.sync_api import Browser

MICROPHONE = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
"""Chromium's own microphone, which beeps once a second, and whoever would be asked says yes."""
COLOURS = """(canvas) => {
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    return new Set(new Uint32Array(pixels.buffer)).size;
}"""
"""How many colours a canvas shows."""


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """A browser with a microphone."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        path = shutil.which("chromium")
        opened = driver.chromium.launch(executable_path=path, args=[*FLAGS, *MICROPHONE])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def chest(chest_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    """A service whose champion reads X-rays and breath sounds."""
    home = tmp_path_factory.mktemp("chest") / "home"
    shutil.copytree(chest_home, home)
    home.chmod(0o700)
    with open_hospital(home) as opened:
        set_password(home, "clinician.one")
        yield opened


@pytest.fixture(scope="module")
def xray(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An X-ray of somebody ill."""
    path = tmp_path_factory.mktemp("files") / "x-ray.png"
    path.write_bytes(draw_xray(ill=True, seed=801))
    return path


@pytest.fixture(scope="module")
def breath(xray: Path) -> Path:
    """Two and a half seconds of their breath."""
    path = xray.with_name("breath.wav")
    path.write_bytes(record_breath(ill=True, seed=802, seconds=2.5))
    return path


def at_the_form(desk: Desk, patient: str) -> None:
    """Sign in, and name the patient."""
    desk.go("/")
    desk.sign_in("clinician.one")
    desk.page.wait_for_url("**/new/chest")
    desk.page.locator("#patient_id").fill(patient)


def choose(desk: Desk, column: str, path: Path) -> None:
    """Choose a file."""
    desk.page.locator(f'[name="v.{column}"]').set_input_files(path)


def brought_in(desk: Desk, kind: str) -> str:
    """Wait until it is shown where a file speaks.

    Returns:
        what the picture says to those who cannot see it.
    """
    over = desk.page.locator(f".located.{kind} .over img")
    desk.page.locator("[data-located]", has=desk.page.locator(f".{kind}")).scroll_into_view_if_needed()
    over.wait_for(timeout=60_000)
    over.scroll_into_view_if_needed()
    desk.page.wait_for_function("(image) => image.complete", arg=over.element_handle())
    assert over.evaluate("(image) => image.naturalWidth") > 0
    return over.get_attribute("alt") or ""


@pytest.mark.parametrize("language", ["en", "es"])
def test_files_are_seen_sent_and_explained(
    open_desk: OpenDesk, chest: Hospital, xray: Path, breath: Path, language: str
) -> None:
    desk, axe = open_desk(language, hospital=chest, dark=language == "es"), read_axe()
    page = desk.page
    at_the_form(desk, f"files-{language}")
    found = faults(desk, axe)
    choose(desk, "xray", xray)
    choose(desk, "breath", breath)
    for kind, colours in (("image", 20), ("sound", 100)):
        canvas = page.locator(f'[data-media="{kind}"] canvas')
        canvas.wait_for()
        assert canvas.evaluate(COLOURS) > colours
        assert canvas.get_attribute("aria-label")
    desk.sees("24 × 24")
    desk.sees("2.5 s" if language == "en" else "2,5 s")
    player = page.locator('[data-media="sound"] audio')
    player.wait_for()
    page.wait_for_function("(audio) => audio.duration > 2", arg=player.element_handle())
    found += faults(desk, axe)
    page.set_viewport_size({"width": 768, "height": 1024})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.set_viewport_size({"width": 1280, "height": 800})
    desk.press("Get the diagnosis")
    desk.diagnosis()
    for kind in ("image", "sound"):
        assert "ill" in brought_in(desk, kind)
    desk.sees(desk.say("By kind of input"))
    found += faults(desk, axe)

    overlay = page.locator(".located.image")
    overlay.get_by_role("checkbox").uncheck()
    overlay.locator(".bare img").wait_for()
    assert overlay.locator(".over").is_hidden()
    other = overlay.get_by_role("link", name="well")
    other.click()
    page.locator(".located.image [data-locate][aria-current]", has_text="well").wait_for()
    assert page.evaluate("document.activeElement.textContent") == "well"
    heard = page.locator(".located.sound audio")
    heard.evaluate("(audio) => { audio.load(); audio.preload = 'auto'; }")
    page.wait_for_function("(audio) => audio.duration > 2", arg=heard.element_handle())
    page.set_viewport_size({"width": 768, "height": 1024})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert found == []


def test_a_faulty_file_is_told_and_chosen_again(
    open_desk: OpenDesk, chest: Hospital, xray: Path, tmp_path: Path
) -> None:
    desk, axe = open_desk("en", hospital=chest), read_axe()
    at_the_form(desk, "faulty")
    wrong = tmp_path / "notes.png"
    wrong.write_text("This is only a text. " * 20, encoding="utf-8")
    choose(desk, "xray", wrong)
    desk.sees(desk.say("This browser cannot show this file; it is sent as it is."))
    desk.fill(age="44")
    desk.press("Get the diagnosis")
    desk.page.locator(".banner.summary").wait_for()
    field = desk.page.locator('[name="v.xray"]')
    assert field.get_attribute("aria-invalid") == "true"
    desk.sees(desk.say("The file that was sent here is not kept: choose it again."))
    assert desk.typed("age") == {"age": "44"}
    assert faults(desk, axe) == []
    choose(desk, "xray", xray)
    desk.page.locator('[data-media="image"] canvas').wait_for()
    assert field.get_attribute("aria-invalid") is None
    desk.page.get_by_role("button", name=desk.say("Remove the file: %(name)s") % {"name": "xray"}).click()
    assert field.input_value() == ""
    assert desk.page.locator('[data-media="image"] canvas').is_hidden()
    choose(desk, "xray", xray)
    desk.press("Get the diagnosis")
    desk.diagnosis()


def test_a_sound_is_recorded_with_the_keyboard(open_desk: OpenDesk, chest: Hospital) -> None:
    desk, axe = open_desk("en", hospital=chest, permissions=["microphone"]), read_axe()
    page = desk.page
    at_the_form(desk, "recorded")
    page.get_by_role("button", name="Record", exact=True).focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Stop", exact=True).wait_for()
    page.get_by_role("status").filter(has_text="Recording").wait_for()
    page.wait_for_function("() => parseFloat(document.querySelector('[data-time]').textContent) > 2.5")
    assert faults(desk, axe) == []
    page.keyboard.press("Enter")
    canvas = page.locator('[data-media="sound"] canvas')
    canvas.wait_for()
    assert canvas.evaluate(COLOURS) > 100
    desk.sees("recording.wav")
    desk.press("Get the diagnosis")
    desk.diagnosis()
    assert brought_in(desk, "sound")


def test_a_recording_ends_by_itself_and_with_the_form(open_desk: OpenDesk, chest: Hospital) -> None:
    desk = open_desk("en", hospital=chest, permissions=["microphone"])
    page = desk.page
    at_the_form(desk, "long")
    recorder = page.locator("[data-recorder]")
    assert recorder.get_attribute("data-longest") == "30"
    recorder.evaluate("(place) => { place.dataset.longest = '1'; }")
    desk.press("Record")
    page.get_by_text(re.compile(r"recording\.wav \(\d+ kB, 1\.\d s\)")).wait_for()
    recorder.evaluate("(place) => { place.dataset.longest = '30'; }")
    desk.press("Record")
    page.wait_for_function("() => parseFloat(document.querySelector('[data-time]').textContent) > 1.5")
    desk.press("Get the diagnosis")
    desk.diagnosis()
    page.locator(".entered").get_by_text(re.compile(r"sound, (1\.[5-9]|[2-9]\.\d) s")).wait_for()


def test_whoever_refuses_the_microphone_is_told(open_desk: OpenDesk, chest: Hospital) -> None:
    desk = open_desk("en", hospital=chest)
    desk.page.add_init_script(
        "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotAllowedError'));"
    )
    at_the_form(desk, "refused")
    desk.press("Record")
    desk.page.get_by_role("status").filter(has_text="does not allow the microphone").wait_for()


def test_a_microphone_that_fails_later_is_let_go(open_desk: OpenDesk, chest: Hospital) -> None:
    desk = open_desk("en", hospital=chest, permissions=["microphone"])
    desk.page.add_init_script("""
        const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        navigator.mediaDevices.getUserMedia = async (what) => (window.given = await ask(what));
        const add = AudioWorklet.prototype.addModule;
        AudioWorklet.prototype.addModule = function (address) {
            AudioWorklet.prototype.addModule = add;
            return Promise.reject(new DOMException("", "AbortError"));
        };
    """)
    at_the_form(desk, "failing")
    desk.press("Record")
    desk.page.get_by_role("status").filter(has_text=desk.say("No microphone can be used.")).wait_for()
    assert desk.page.evaluate("given.getTracks().map((track) => track.readyState)") == ["ended"]
    desk.press("Record")  # the second time it works
    desk.page.get_by_role("button", name="Stop", exact=True).wait_for()


@pytest.mark.parametrize("language", ["en", "es"])
def test_what_the_service_refuses_is_told_before_it_is_sent(
    open_desk: OpenDesk, chest: Hospital, breath: Path, language: str
) -> None:
    desk, axe = open_desk(language, hospital=chest), read_axe()
    page = desk.page
    at_the_form(desk, f"refused-{language}")
    field = page.locator('[name="v.breath"]')
    said = page.locator('[data-media="sound"] .media-said')

    def choose_made(name: str, kind: str, size: int, column: str = "breath") -> None:
        """Choose a file that the page makes: no test sends so much to the browser."""
        page.locator(f'[name="v.{column}"]').evaluate(
            """(field, [name, kind, size]) => {
                const held = new DataTransfer();
                held.items.add(new File([new Uint8Array(size)], name, { type: kind }));
                field.files = held.files;
                field.dispatchEvent(new Event("change", { bubbles: true }));
            }""",
            [name, kind, size],
        )

    mib = 1 << 20
    for name, kind, size, why in (
        ("breath.m4a", "audio/mp4", 9, desk.say("Sounds are read from WAV, FLAC, OGG and MP3 files.")),
        ("breath.webm", "video/webm", 9, desk.say("Sounds are read from WAV, FLAC, OGG and MP3 files.")),
        ("breath.wav", "audio/wav", 32 * mib + 1, desk.say("This file is too large.")),
    ):
        choose(desk, "breath", breath)
        page.locator('[data-media="sound"] canvas').wait_for()
        choose_made(name, kind, size)
        assert name in said.inner_text()
        assert why in said.inner_text()
        assert field.input_value() == ""
        assert page.locator('[data-media="sound"] .media-shown').is_hidden()
    assert faults(desk, axe) == []
    choose_made("scan", "", 30 * mib, "xray")  # as DICOM files often are: without an ending
    page.locator('[data-media="image"]').get_by_text(desk.say("Remove"), exact=True).wait_for()
    choose_made("breath.wav", "audio/wav", 30 * mib)
    assert desk.say("With this one the files together are too large.") in said.inner_text()
    assert field.input_value() == ""
    assert page.locator('[name="v.xray"]').input_value() != ""


def test_a_very_long_sound_is_not_unpacked(open_desk: OpenDesk, chest: Hospital, tmp_path: Path) -> None:
    desk = open_desk("en", hospital=chest)
    desk.page.add_init_script("""
        window.unpacked = 0;
        const decode = BaseAudioContext.prototype.decodeAudioData;
        BaseAudioContext.prototype.decodeAudioData = function (...what) {
            window.unpacked += 1;
            return decode.apply(this, what);
        };
    """)
    at_the_form(desk, "very long")
    said = desk.page.locator('[data-media="sound"] .media-said')
    for seconds, message, times in ((601, "This sound is too long.", 0), (599, "599.0 s", 1)):
        path = tmp_path / f"{seconds}.wav"
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 1, 8000, 0, "NONE", ""))
            file.writeframes(bytes(8000 * seconds))
        choose(desk, "breath", path)
        said.filter(has_text=message).wait_for()
        assert desk.page.evaluate("unpacked") == times
        assert bool(desk.page.locator('[name="v.breath"]').input_value()) == bool(times)


def test_an_upload_that_was_stopped_is_sent_again(open_desk: OpenDesk, chest: Hospital) -> None:
    desk = open_desk("en", hospital=chest)
    page = desk.page
    at_the_form(desk, "stopped")
    desk.fill(age="44")
    page.evaluate("""() => {
        window.sent = 0;
        window.stopped = true;
        addEventListener("submit", (event) => {
            window.sent += !event.defaultPrevented;
            if (window.stopped) event.preventDefault();  // for the page it is as if the browser were stopped
        });
    }""")
    button = page.get_by_role("button", name=desk.say("Get the diagnosis"), exact=True).last
    button.dblclick()
    sending = page.get_by_role("status").filter(has_text=desk.say("This is being sent."))
    assert page.evaluate("sent") == 1, "a double click sends once"
    assert sending.count() == 0
    page.wait_for_timeout(2000)
    button.click()
    sending.wait_for()
    assert page.evaluate("sent") == 1
    page.evaluate("window.stopped = false")
    button.click()
    desk.diagnosis()


@pytest.mark.parametrize("language", ["en", "es"])
def test_without_script_too_large_files_take_nothing_with_them(
    open_desk: OpenDesk, chest: Hospital, tmp_path: Path, language: str
) -> None:
    """The browser sends all of it before it looks at the answer, which is a page with what was typed."""
    desk = open_desk(language, hospital=chest, script=False)
    at_the_form(desk, "large")
    desk.fill(age="44")
    large = tmp_path / "large.wav"
    large.write_bytes(bytes(30 << 20))
    choose(desk, "xray", large)
    choose(desk, "breath", large)
    desk.press("Get the diagnosis")
    desk.sees(desk.say("The files together are too large"))
    assert desk.typed("age") == {"age": "44"}
    assert (
        desk.page.get_by_text(desk.say("The file that was sent here is not kept: choose it again.")).count()
        == 2
    )


def test_without_script_there_is_a_page_for_each_file(
    open_desk: OpenDesk, chest: Hospital, xray: Path, breath: Path
) -> None:
    desk = open_desk("es", hospital=chest, script=False)
    at_the_form(desk, "no-script")
    choose(desk, "xray", xray)
    choose(desk, "breath", breath)
    assert desk.page.get_by_role("button", name="Grabar").count() == 0
    desk.press("Get the diagnosis")
    desk.diagnosis()
    desk.page.get_by_role("link", name=desk.say("Show where it speaks")).first.click()
    desk.page.wait_for_url("**/files/xray")
    desk.sees(desk.say("as it was sent"))
    desk.page.get_by_role("link", name="well", exact=True).click()
    desk.page.wait_for_url("**/files/xray?condition=well")
