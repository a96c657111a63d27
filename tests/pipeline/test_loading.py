"""From a name to a model."""

import shutil
from pathlib import Path

import pytest
from clinic import visits

from galeno.errors import PackageError, RegistryError
from galeno.pipeline.loading import load, open_registry
from galeno.pipeline.runner import RunResult


@pytest.mark.parametrize("name", ["clinic@champion", "clinic@1", "clinic@"])
def test_a_registered_model_knows_its_version(done: RunResult, clinic_home: Path, name: str) -> None:
    model = load(name, home=clinic_home, threads=1)
    assert (model.package_sha256, model.version) == (done.package_sha256, "1")
    diagnosis = model.diagnose(visits().row(0, named=True))
    assert (diagnosis.version, diagnosis.package_sha256, diagnosis.study) == (
        "1",
        done.package_sha256,
        "clinic",
    )


def test_a_package_folder_needs_no_registry(done: RunResult, tmp_path: Path) -> None:
    shutil.copytree(done.package, tmp_path / "copy")
    model = load(tmp_path / "copy", home=tmp_path / "absent")
    assert (model.package_sha256, model.version) == (done.package_sha256, None)


def test_home_and_registry_come_from_the_environment(
    done: RunResult, clinic_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GALENO_HOME", str(clinic_home))
    assert load("clinic@champion").package_sha256 == done.package_sha256
    monkeypatch.setenv("GALENO_REGISTRY", f"sqlite:///{clinic_home}/registry.db")
    assert load("clinic@champion", home=tmp_path / "absent").version == "1"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("other@champion", "no study 'other' is registered. Registered: clinic"),
        ("clinic@2", "no version or alias '2'. Versions: 1"),
        ("clinic@challenger", "no version or alias 'challenger'"),
    ],
)
def test_what_is_not_registered_is_told(done: RunResult, clinic_home: Path, name: str, says: str) -> None:
    with pytest.raises(RegistryError, match=says):
        load(name, home=clinic_home)


def test_a_mistyped_home_is_told_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="no home here"):
        load("clinic@champion", home=tmp_path / "hmoe")
    assert not (tmp_path / "hmoe").exists()


def test_a_name_that_is_neither_folder_nor_registered_is_told(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"no package folder here.*STUDY@champion"):
        load("clinic", home=tmp_path)


def test_a_package_that_was_replaced_is_refused(done: RunResult, clinic_home: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(clinic_home / "registry.db", home)
    registry = open_registry(home)
    registry.register("clinic", str(done.package), "0" * 64, "another-run", {})
    with pytest.raises(RegistryError, match="not the one that was registered"):
        load("clinic@2", home=home)
