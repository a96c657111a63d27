"""Pictures of every page, in two sizes, light and dark, to be looked at.

    python scripts/screenshots.py FOLDER [--home HOME] [--language es] [--pages sign-in result ...]

HOME is a home in which `galeno demo --no-serve` has run (made anew without it, which takes a minute); it is
copied first. The pages show the simulated study `severity`: nobody in them exists. Needs playwright and
`chromium` on the path.
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from galeno.ingest.cohort import simulate

GALENO = Path(sys.executable).with_name("galeno")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
SIZES = {"1280x800": (1280, 800), "768x1024": (768, 1024)}
PASSWORD = "four quiet words here"  # noqa: S105  (of users who live as long as this script)
ROLES = ("clinician", "engineer", "auditor", "admin")
PATIENTS = 24


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--language", choices=("es", "en"), default="es")
    parser.add_argument("--pages", nargs="*", default=())
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        home = prepare_home(Path(scratch) / "home", asked.home)
        keys = {role: add_user(home, role) for role in ROLES}
        with running(home) as url:
            fill(url, keys)
            take(url, asked.folder, asked.language, set(asked.pages))


def prepare_home(home: Path, source: Path | None) -> Path:
    """A home with the champion of the example."""
    if source is None:
        subprocess.run([GALENO, "demo", "--no-serve", "--home", home], check=True, stdout=subprocess.DEVNULL)
    else:
        shutil.copytree(source, home)
    home.chmod(0o700)
    return home


def add_user(home: Path, role: str) -> str:
    """A user who can sign in; returns the key."""
    add = [
        GALENO,
        "users",
        "add",
        f"{role}.demo",
        "--role",
        role,
        "--site",
        "norte",
        "--home",
        home,
        "--json",
    ]
    if role in {"auditor", "admin", "engineer"}:
        add = [each for each in add if each not in {"--site", "norte"}]
    done = subprocess.run(add, check=True, capture_output=True, text=True)
    subprocess.run(
        [GALENO, "users", "password", f"{role}.demo", "--password-stdin", "--home", home],
        input=f"{PASSWORD}\n", check=True, capture_output=True, text=True,
    )  # fmt: skip
    return str(json.loads(done.stdout.splitlines()[-1])["key"])


@contextmanager
def running(home: Path) -> Iterator[str]:
    """The service, until the block ends; its address."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    log = (home / "service.log").open("wb")
    process = subprocess.Popen(
        [GALENO, "serve", "--home", home, "--port", str(port)],
        env={**os.environ, "GALENO_THREADS": "1"}, stdout=log, stderr=log,
    )  # fmt: skip
    try:
        until = time.monotonic() + 60
        while not ready(url):
            if process.poll() is not None or time.monotonic() > until:
                sys.exit((home / "service.log").read_text())
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=40)
        log.close()


def ready(url: str) -> bool:
    """Whether the service answers."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as response:  # noqa: S310
            return bool(response.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


def ask(url: str, key: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """A request to the API."""
    request = urllib.request.Request(  # noqa: S310
        url + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
        return json.loads(response.read() or b"null")


def fill(url: str, keys: dict[str, str]) -> None:
    """Diagnoses of simulated patients, some of them judged, two confirmed."""
    key = keys["clinician"]
    names = [each["name"] for each in ask(url, key, "/v1/studies/severity/form")["fields"]]
    rows = simulate("severity", n=400, seed=11).unique("patient_id", maintain_order=True).head(PATIENTS)
    for number, row in enumerate(rows.iter_rows(named=True)):
        patient = f"HC-{20480 + 37 * number}"
        record = {
            name: row[name] for name in names if row.get(name) not in {None, "", "?", "NA", "N/A", "ND", "-"}
        }
        consent = {"patient_id": patient, "study": "severity", "accepted": True, "language": "es"}
        ask(url, key, "/v1/consents", consent)
        try:
            made = ask(url, key, "/v1/studies/severity/diagnoses", {"patient_id": patient, "record": record})
        except urllib.error.HTTPError as error:  # this record holds a fault, as real ones do
            print(patient, error.read().decode()[:200], file=sys.stderr)
            continue
        if number % 3 == 0:
            said = {"agrees": True, "rating": 4} if number % 2 else {"agrees": False, "reason": "wrong-data"}
            ask(url, key, f"/v1/diagnoses/{made['id']}/feedback", said)


def take(url: str, folder: Path, language: str, wanted: set[str]) -> None:
    """All pictures."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for size, (width, height) in SIZES.items():
            for theme in ("light", "dark"):

                def picture(page: Page, name: str, end: str = f"{size}-{theme}") -> None:
                    if not wanted or name in wanted:
                        page.screenshot(path=folder / f"{name}-{end}.png")
                        page.screenshot(path=folder / f"{name}-{end}-full.png", full_page=True)

                def window() -> Page:
                    return browser.new_context(
                        locale="es-ES" if language == "es" else "en-GB",
                        viewport={"width": width, "height": height},  # noqa: B023  (called at once)
                        color_scheme=theme,  # type: ignore[arg-type]  # noqa: B023
                    ).new_page()

                walk(url, window, picture, f"HC-{9000 + len(size)}{theme[0]}")
        browser.close()


def walk(url: str, window: Any, picture: Any, patient: str) -> None:
    """A clinician's way through the pages, then an engineer's and an auditor's."""
    page = window()
    page.goto(f"{url}/")
    picture(page, "sign-in")
    sign_in(page, "clinician")
    page.wait_for_url("**/consent/severity")
    picture(page, "consent")
    page.locator("#patient_id").fill(patient)
    page.locator('[name="answer"][value="accept"]').check()
    page.locator("#consent .actions button").click()
    page.wait_for_url("**/new/severity?**")
    picture(page, "form")
    number = page.locator("input[data-number]")
    number.nth(0).fill("640")
    number.nth(1).fill("38,9")
    page.locator("#form .actions button").click()
    page.locator(".banner.summary").wait_for()
    picture(page, "form-wrong")
    number.nth(0).fill("64")
    number.nth(1).fill("")
    page.locator("textarea").first.fill("Disnea desde hace dos días, tos con esputo y fiebre alta.")
    for flag in page.locator(".flag label.yes").all()[:3]:
        flag.click()
    page.locator("#form .actions button").click()
    page.wait_for_url("**/diagnoses/*")
    picture(page, "result")
    page.emulate_media(media="print")
    picture(page, "result-print")
    page.emulate_media(media="screen")
    empty = "/worklist?from=2001-01-01&to=2001-01-02"
    shown = {"worklist": "/worklist", "worklist-all": "/worklist?state=all", "worklist-empty": empty}
    for name, path in {**shown, "not-found": "/none"}.items():
        page.goto(url + path)
        picture(page, name)
    rank(url, page, picture)
    page.context.close()
    for role, pages in (
        ("engineer", {"overview": "/overview", "models": "/models", "model": "/models/severity/1",
                      "model-stop": "/models/severity/stop/confirm"}),
        ("auditor", {"audit": "/audit"}),
    ):  # fmt: skip
        page = window()
        page.goto(f"{url}/sign-in?next=/models")
        sign_in(page, role)
        page.wait_for_url("**/models")
        for name, path in pages.items():
            page.goto(url + path)
            picture(page, name)
        page.context.close()


def rank(url: str, page: Page, picture: Any) -> None:
    """Rare diseases, from a letter about nobody."""
    page.goto(f"{url}/rank")
    page.locator('[name="text"]').fill(
        "Tall for his age, long fingers. Ectopia lentis and aortic root aneurysm. No seizures."
    )
    page.locator('button[value="find"]').click()
    page.locator("mark").first.wait_for()
    picture(page, "rank")
    page.locator('button[value="rank"]').click()
    page.wait_for_url("**/rankings/*")
    picture(page, "ranking")


def sign_in(page: Page, role: str) -> None:
    """Name and password."""
    page.locator("#name").fill(f"{role}.demo")
    page.locator("#password").fill(PASSWORD)
    page.locator("#password").press("Enter")


if __name__ == "__main__":
    main()
