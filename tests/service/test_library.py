"""The library: read in a thread, and told plainly where there is nothing to read."""

import time
from pathlib import Path

import pytest
from hospital import small_knowledge
from pydantic_core import from_json, to_json

from galeno.errors import BusyError, NotFoundError
from galeno.knowledge import base
from galeno.knowledge.cases import Patient
from galeno.service.library import LOADING, Library
from galeno.storage.home import Home


def wait(library: Library) -> None:
    until = time.monotonic() + 30
    while not (library.ready() or library.problem):
        assert time.monotonic() < until
        time.sleep(0.01)


def test_it_is_read_in_a_thread_when_first_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in small_knowledge().items():
        monkeypatch.setenv(name, value)
    library = Library(Home(tmp_path / "home"))
    with pytest.raises(BusyError) as caught:
        library.get()
    assert caught.value.retry_after == LOADING
    wait(library)
    held = library.get()
    assert held.ontology.version == "2024-02-29"
    assert "learned_sha256" not in held.ranker.provenance
    assert library.get() is held
    ranking = held.ranker.rank(Patient(("HP:0001250",)), top=3)
    assert from_json(to_json(ranking)) == from_json(to_json(ranking.to_dict())), "the desk tells the first"


def test_without_the_extra_there_is_no_such_thing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in small_knowledge():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GALENO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(base, "WHEEL", "no-package-of-this-name")
    library = Library(Home(tmp_path / "home"))
    library.start()
    wait(library)
    with pytest.raises(NotFoundError, match=r"galeno\[rare\]"):
        library.get()
