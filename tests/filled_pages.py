"""The clinic's pages after some weeks: a user of each role, diagnoses, feedback, outcomes."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import httpx
from hospital import ROLES
from open_pages import Pages, open_pages
from past_weeks import PastWeeks, fill

from galeno.pipeline.loading import open_registry
from galeno.service.opening import open_rooms
from galeno.settings import ServiceSettings
from galeno.storage.home import Home
from galeno.storage.packages import read_manifest, seal


@dataclass
class Clinic:
    """Pages and what was written before they opened."""

    pages: Pages
    past: PastWeeks

    def client(self, role: str, **headers: str) -> httpx.Client:
        """A browser in which somebody of this role has signed in."""
        return self.pages.signed_in(f"{role}.one", **headers)


@contextmanager
def open_clinic_pages(home: Path, target: Path, *, number: int = 90, versions: int = 1) -> Iterator[Clinic]:
    """Answer from a copy of the clinic's home."""
    shutil.copytree(home, target)
    target.chmod(0o700)
    for version in range(2, versions + 1):
        add_version(target, f"copy-{version}")
    with open_rooms(target, ServiceSettings()) as rooms:
        past = fill(rooms, number=number, days=40, sites=("north", "south"))
    with open_pages(target) as pages:
        for role in ROLES:
            pages.add(f"{role}.one", role, "north" if role == "clinician" else "")
        yield Clinic(pages, past)


def add_version(home: Path, name: str) -> None:
    """Register the champion's package once more, under another hash; it does not answer."""
    registry = open_registry(home)
    first = registry.get("clinic", "1")
    folder = Home(home).packages / "clinic" / name
    shutil.copytree(first.package, folder)
    manifest = read_manifest(folder)
    identity = [each for each, entry in manifest.files.items() if entry.identity]
    sha256 = seal(folder, identity, {**manifest.about, "name": name})
    registry.register("clinic", str(folder), sha256, first.run, {**first.metrics, "accuracy": 0.5})


class Tables(HTMLParser):
    """The texts of all table cells of a page, a list of rows for each table."""

    def __init__(self, page: httpx.Response) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self._inside = False
        self.feed(page.text)

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002  (the parser's own name)
        """Note where tables, rows and cells begin."""
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in {"td", "th"}:
            self.tables[-1][-1].append("")
            self._inside = True

    def handle_endtag(self, tag: str) -> None:
        """Note where cells end."""
        if tag in {"td", "th"}:
            self._inside = False

    def handle_data(self, data: str) -> None:
        """Add a text to its cell."""
        if self._inside:
            self.tables[-1][-1][-1] = " ".join(f"{self.tables[-1][-1][-1]} {data}".split())
