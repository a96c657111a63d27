"""A ward that asks for consent, and what a clinician does in its pages, step by step."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
from clinic import STUDY, visits
from command_line import INSTALLED, surroundings
from hospital import Hospital, wait_until_ready
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Response

from galeno.pipeline.runner import run_study
from galeno.service.pages.words import words_of
from galeno.study_file import load_study

PASSWORD = "four quiet words here"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")  # fmt: skip
POLICY = {"en": "Your data are kept encrypted.", "es": "Sus datos se guardan cifrados."}
_LACTATE = "lactate: {type: number, unit: mmol/L, min: 0, max: 30}"
_MORE = """\
lactate:
    type: number
    unit: mmol/L
    min: 0
    max: 30
    label: {es: Lactato, en: Lactate}
    convert: [{unit: mg/dL, scale: 0.111}]
    rules: {range: convert}
  fever: {type: flag, group: symptoms, label: {es: Fiebre, en: Fever}}
  cough: {type: flag, group: symptoms, label: {es: Tos, en: Cough}}
  dyspnoea: {type: flag, group: symptoms, label: {es: Disnea, en: Shortness of breath}}"""
_CONSENT = f"""\
privacy:
  consent: true
  policy: {{version: '2', es: '{POLICY["es"]}', en: '{POLICY["en"]}'}}
"""


def make_ward(folder: Path, home: Path) -> None:
    """Register the ward's model in a home.

    Args:
        folder: gets the records and the study.
        home: an empty home.
    """
    note = pl.col("note").str
    frame = visits().with_columns(
        fever=note.contains("(^|y )fiebre"), cough=note.contains("tos"), dyspnoea=note.contains("disnea")
    )
    frame.write_csv(folder / "ward.csv")
    text = STUDY.replace("name: clinic", "name: ward").replace("clinic.csv", "ward.csv")
    assert _LACTATE in text
    (folder / "ward.yaml").write_text(text.replace(_LACTATE, _MORE) + _CONSENT, encoding="utf-8")
    home.chmod(0o700)
    run_study(load_study(folder / "ward.yaml"), home, threads=2)


def copy_ward(home: Path, target: Path) -> Path:
    """A home of its own for those who break it."""
    shutil.copytree(home, target)
    target.chmod(0o700)
    return target


def set_password(home: Path, name: str, password: str = PASSWORD) -> None:
    """As an administrator does it."""
    subprocess.run(
        [str(INSTALLED), "users", "password", name, "--password-stdin", "--home", str(home)],
        input=f"{password}\n", text=True, check=True, capture_output=True, env=surroundings({}), timeout=60,
    )  # fmt: skip


def start_again(hospital: Hospital) -> None:
    """Start the service anew at its address after it was killed."""
    port = hospital.url.rsplit(":", 1)[1]
    hospital.process.wait(timeout=20)
    with (hospital.home / "service.log").open("ab") as log:
        hospital.process = subprocess.Popen(
            [str(INSTALLED), "serve", "--home", str(hospital.home), "--port", port],
            env={**os.environ, "GALENO_THREADS": "1"}, stdout=log, stderr=log,
        )  # fmt: skip
    wait_until_ready(hospital)


def count(home: Path, table: str) -> int:
    """Rows of a table of the journal."""
    with contextlib.closing(sqlite3.connect(home / "journal.db")) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608


def end_sessions(home: Path) -> None:
    """As if nobody had done anything for too long."""
    with contextlib.closing(sqlite3.connect(home / "journal.db", timeout=10)) as connection:
        connection.execute("DELETE FROM sessions")
        connection.commit()


@contextlib.contextmanager
def locked(home: Path) -> Iterator[None]:
    """Somebody else holds the journal: nothing can be written meanwhile."""
    with contextlib.closing(sqlite3.connect(home / "journal.db", timeout=10)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.rollback()


@dataclass
class Desk:
    """A browser window in a ward, which writes down every fault that the browser reports."""

    page: Page
    url: str
    language: str
    faults: list[str] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    """Pages that answered with an error on purpose: the browser reports these too, with this text."""

    def __post_init__(self) -> None:
        """Listen from the first page on."""
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("response", self._see)

    def say(self, message: str) -> str:
        """A message in the language of the pages."""
        return words_of(self.language).gettext(message)

    def press(self, message: str) -> None:
        """Press the first button with this text."""
        self.page.get_by_role("button", name=self.say(message), exact=True).first.click()

    def sees(self, text: str) -> None:
        """A text of the page, which is waited for."""
        self.page.get_by_text(text).first.wait_for()

    def go(self, path: str) -> None:
        """Open an address of the service."""
        self.page.goto(self.url + path)

    def sign_in(self, name: str, password: str = PASSWORD) -> None:
        """Type name and password."""
        self.page.get_by_label(self.say("Name"), exact=True).fill(name)
        self.page.get_by_label(self.say("Password"), exact=True).fill(password)
        self.press("Sign in")

    def accept(self, patient: str) -> None:
        """Write down that a patient accepts the policy."""
        self.page.wait_for_url("**/consent/ward")
        self.page.locator("#patient_id").fill(patient)
        self.page.locator('[name="answer"][value="accept"]').check()
        self.press("Record and continue")
        self.page.wait_for_url("**/new/ward?consent=*")

    def fill(self, **typed: str) -> None:
        """Type findings; options are pressed."""
        for name, value in typed.items():
            inputs = self.page.locator(f'[name="v.{name}"]')
            if inputs.first.get_attribute("type") == "radio":
                self.page.locator(f'label:has([name="v.{name}"][value="{value}"])').click()
            else:
                inputs.fill(value)

    def typed(self, *names: str) -> dict[str, str]:
        """What stands in the form."""
        found = {}
        for name in names:
            inputs = self.page.locator(f'[name="v.{name}"]')
            radio = inputs.first.get_attribute("type") == "radio"
            chosen = self.page.locator(f'[name="v.{name}"]:checked') if radio else inputs
            found[name] = chosen.input_value()
        return found

    def diagnosis(self) -> str:
        """Id of the diagnosis that is shown."""
        self.page.wait_for_url("**/diagnoses/dx_*")
        return self.page.url.split("/diagnoses/")[1].partition("#")[0]

    def _see(self, response: Response) -> None:
        if response.status >= 400 and response.request.is_navigation_request():
            self.refused.add(response.url)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"}:
            return
        told = message.text
        expected = told.startswith("Failed to load resource") and message.location["url"] in self.refused
        if not expected:
            self.faults.append(f"{message.location.get('url', '')}: {told}")


OpenDesk = Callable[..., Desk]
"""Opens a window: (language, hospital=..., script=True, dark=False) -> Desk."""


def open_page(context: BrowserContext, url: str, language: str) -> Desk:
    """A window whose violations of the content security policy become console errors."""
    context.add_init_script(
        "addEventListener('securitypolicyviolation', (e) =>"
        " console.error('policy violation', e.violatedDirective, e.blockedURI));"
    )
    context.set_default_timeout(15_000)
    return Desk(context.new_page(), url, language)
