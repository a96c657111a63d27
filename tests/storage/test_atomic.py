"""Files appear whole or not at all."""

import stat
from pathlib import Path

import pytest

from galeno.errors import OutputError
from galeno.storage.atomic import read_json, replacing, write_bytes, write_json, write_text


def test_writes_and_reads_back(tmp_path: Path) -> None:
    write_json(tmp_path / "new" / "a.json", {"b": 1, "a": ["é", None]})
    assert read_json(tmp_path / "new" / "a.json") == {"b": 1, "a": ["é", None]}
    assert (tmp_path / "new" / "a.json").read_text().startswith('{\n  "b": 1,')
    write_text(tmp_path / "t", "línea\n")
    assert (tmp_path / "t").read_bytes() == "línea\n".encode()


def test_failure_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "f"
    write_bytes(path, b"old")

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_bytes(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_nan_is_not_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_mode(tmp_path: Path) -> None:
    with replacing(tmp_path / "private", mode=0o600) as temporary:
        temporary.write_bytes(b"x")
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o600


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is a folder"):
        write_bytes(tmp_path, b"")


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot be written"):
        write_bytes(tmp_path / "file" / "x", b"")
