"""Settings from the environment."""

from pathlib import Path

import pytest

from galeno.errors import SettingError
from galeno.settings import ServiceSettings, Settings


def test_nothing_set_gives_defaults() -> None:
    settings = Settings.from_environment({})
    assert settings.home == Path.home() / ".galeno"
    assert 1 <= settings.threads <= 8
    assert settings.registry == ""


def test_what_is_set_is_taken() -> None:
    told = {"GALENO_HOME": "~/clinic", "GALENO_THREADS": "3", "GALENO_REGISTRY": "https://mlflow.example"}
    settings = Settings.from_environment(told)
    assert settings.home == Path.home() / "clinic"
    assert (settings.threads, settings.registry) == (3, "https://mlflow.example")


def test_empty_is_unset() -> None:
    empty = Settings.from_environment({"GALENO_HOME": "", "GALENO_THREADS": "", "GALENO_REGISTRY": ""})
    assert empty == Settings.from_environment({})


@pytest.mark.parametrize("threads", ["abc", "0", "-1", "1.5", "²", " "])
def test_threads_that_are_no_number_are_told(threads: str) -> None:
    with pytest.raises(SettingError, match=r"GALENO_THREADS is not a whole number above 0\. Set it to"):
        Settings.from_environment({"GALENO_THREADS": threads})


def test_the_environment_of_the_process_is_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GALENO_HOME", str(tmp_path))
    assert Settings.from_environment().home == tmp_path


def test_idle_minutes_are_a_number() -> None:
    assert ServiceSettings.from_environment({}).idle_minutes == 15
    assert ServiceSettings.from_environment({"GALENO_IDLE_MINUTES": "5"}).idle_minutes == 5


@pytest.mark.parametrize("minutes", ["abc", "0", "721", "-1", "1.5", "²", " "])
def test_idle_minutes_that_are_no_number_are_told(minutes: str) -> None:
    with pytest.raises(SettingError, match="GALENO_IDLE_MINUTES is not a whole number from 1 to 720"):
        ServiceSettings.from_environment({"GALENO_IDLE_MINUTES": minutes})


def test_the_size_of_uploads_is_a_number() -> None:
    assert ServiceSettings.from_environment({}).upload_mib == 48
    assert ServiceSettings.from_environment({"GALENO_UPLOAD_MIB": "100"}).upload_mib == 100
    with pytest.raises(SettingError, match="GALENO_UPLOAD_MIB is not a whole number from 1 to 512"):
        ServiceSettings.from_environment({"GALENO_UPLOAD_MIB": "513"})
