"""Contents stand in the lake once each, and leave it for good."""

from pathlib import Path
from threading import Thread

import polars as pl
import pytest

from galeno.errors import LakeError
from galeno.records import KEY
from galeno.storage.contents import TABLE, Contents
from galeno.storage.lake import Lake

ONE, TWO, THREE = "1" * 64, "2" * 64, "3" * 64


@pytest.fixture
def contents(tmp_path: Path) -> Contents:
    """Two contents in a lake."""
    kept = Contents(Lake(tmp_path))
    kept.keep([(ONE, "sound", b"one"), (TWO, "image", b"two")])
    return kept


def test_what_is_kept_is_read_by_its_digest(contents: Contents) -> None:
    assert dict(contents.read([ONE, THREE])) == {ONE: b"one"}
    assert dict(contents.read([ONE, TWO])) == {ONE: b"one", TWO: b"two"}
    assert list(contents.read([])) == []


def test_a_content_is_written_once(contents: Contents, tmp_path: Path) -> None:
    contents.keep([(ONE, "sound", b"one"), (THREE, "sound", b"three"), (THREE, "sound", b"three")])
    rows = pl.concat(Lake(tmp_path).scan(TABLE, [KEY]))
    assert sorted(rows[KEY]) == [ONE, TWO, THREE]


def test_what_is_removed_stands_in_no_file(contents: Contents, tmp_path: Path) -> None:
    contents.remove([ONE])
    assert dict(contents.read([ONE, TWO])) == {TWO: b"two"}
    files = list(tmp_path.rglob("*.parquet"))
    assert files
    assert not any(b"one" in path.read_bytes() for path in files)


def test_who_holds_the_intake_may_write_and_others_wait(contents: Contents, tmp_path: Path) -> None:
    told: list[str] = []

    def wait() -> None:
        with Lake(tmp_path).hold_intake():
            told.append("waited")

    other = Thread(target=wait, daemon=True)
    with Lake(tmp_path).hold_intake():
        other.start()
        contents.keep([(THREE, "sound", b"three")])
        contents.remove([ONE])
        other.join(0.3)
        assert told == []
    other.join(10)
    assert told == ["waited"]
    assert dict(contents.read([ONE, THREE])) == {THREE: b"three"}


def test_a_lake_that_cannot_be_held_is_told(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("in the way")
    with pytest.raises(LakeError, match="cannot be read or written"), Lake(tmp_path / "lake").hold_intake():
        pass


def test_an_empty_lake_holds_nothing(tmp_path: Path) -> None:
    empty = Contents(Lake(tmp_path))
    assert list(empty.read([ONE])) == []
    empty.remove([ONE])
    empty.keep([])
    assert not list(tmp_path.rglob("*.parquet"))


def test_many_are_written_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("galeno.storage.contents.CHUNK", 100)
    kept = Contents(Lake(tmp_path))
    told = {f"{number:064x}": bytes([number]) * 60 for number in range(7)}
    kept.keep((digest, "image", data) for digest, data in told.items())
    assert dict(kept.read(list(told))) == told
    assert len(Lake(tmp_path).batches(TABLE, Lake(tmp_path).version(TABLE) or 0)) == 4
