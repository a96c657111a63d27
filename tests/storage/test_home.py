"""The home's folders."""

import stat
from pathlib import Path

import pytest

from galeno.errors import OutputError
from galeno.storage.home import Home


def test_create_makes_private_folders_once_or_twice(tmp_path: Path) -> None:
    home = Home(tmp_path / "a" / "home").create().create()
    assert home.lake.is_dir()
    assert home.runs.is_dir()
    assert home.packages.is_dir()
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o700


def test_registry_uri_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Home(Path("h")).registry_uri == f"sqlite:///{tmp_path}/h/registry.db"


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(OutputError, match="is a file; a home is a folder"):
        Home(tmp_path / "home").create()
