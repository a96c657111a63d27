"""Columns of files: told from other columns, and looked for."""

import io
import wave
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from galeno.ingest.attachments import find_attachments, find_copies, kinds_of
from galeno.ingest.guess import MISSING
from galeno.media.places import open_place


def wav() -> bytes:
    """Half a second of a tone."""
    buffer = io.BytesIO()
    samples = (8000 * np.sin(np.arange(2400) / 5)).astype("<i2")
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(4000)
        file.writeframes(samples.tobytes())
    return buffer.getvalue()


def png(width: int, height: int) -> bytes:
    """A grey image of chance."""
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (height, width), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("values", "kinds"),
    [
        (["a.wav", "b.FLAC", "recordings/c.mp3"], ("sound",)),
        (["a.png", "x\\b.JPG", "s3://b/c.dcm", "data:image/png;base64,AA=="], ("image",)),
        (["a.png", "b.jpg", "c.wav"], ("image", "sound")),
        (["a.wav", None, "", "?"], ("sound",)),
        (["a.wav", "b.wav", "lost"], ("sound",)),
        (["a.wav", "none taken"], ()),
        (["E W", "N", "Crep"], ()),
        (["wav", "flac"], ()),
        ([None, None], ()),
    ],
)
def test_kinds_of_texts(values: list[str | None], kinds: tuple[str, ...]) -> None:
    assert kinds_of(pl.Series("file", values, pl.String), MISSING) == kinds


def test_kinds_of_bytes_and_numbers() -> None:
    assert kinds_of(pl.Series("x", [wav(), None, wav()]), MISSING) == ("sound",)
    assert kinds_of(pl.Series("x", [png(9, 9)] * 3), MISSING) == ("image",)
    assert kinds_of(pl.Series("x", [b"hello", b"there"]), MISSING) == ()
    assert kinds_of(pl.Series("x", [1, 2]), MISSING) == ()


@pytest.mark.parametrize("where", ["beside", "folder", "zip", "nowhere"])
def test_named_files_are_looked_for(tmp_path: Path, where: str) -> None:
    table = tmp_path / "table.csv"
    frame = pl.DataFrame({"file": ["lost.wav", "a.wav", "a.wav"], "scan": ["a.png", None, "b.png"]})
    files = {"a.wav": wav(), "a.png": png(20, 30), "b.png": png(40, 10)}
    folder = tmp_path / "recordings" if where == "folder" else tmp_path
    folder.mkdir(exist_ok=True)
    if where == "zip":
        with zipfile.ZipFile(tmp_path / "files.zip", "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    elif where != "nowhere":
        for name, data in files.items():
            (folder / name).write_bytes(data)
    with open_place("", table) as place:
        found = find_attachments(frame, frame.columns, MISSING, place)
    sound, image = found["file"], found["scan"]
    assert (sound.kind, image.kind) == ("sound", "image")
    there = where != "nowhere"
    assert (sound.looked, sound.found, image.looked, image.found) == (2, there, 2, 2 * there)
    assert image.side == (40 if there else 0)


def test_files_that_are_far_away_are_not_looked_for(tmp_path: Path) -> None:
    frame = pl.DataFrame({"file": ["s3://bucket/a.wav"]})
    with open_place("", tmp_path / "table.csv") as place:
        assert find_attachments(frame, ["file"], MISSING, place)["file"].looked == 0


def test_two_columns_of_the_same_files(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav())
    frame = pl.DataFrame(
        {"path": ["/old/a.wav", "/old/b.wav"], "file": ["a.wav", "b.wav"], "other": ["b.wav", "a.wav"]}
    )
    with open_place("", tmp_path / "table.csv") as place:
        found = find_attachments(frame, frame.columns, MISSING, place)
    assert find_copies(frame, found, MISSING) == {"path": "file"}
