"""The registry, on a real SQLite file."""

import subprocess
import sys
from pathlib import Path

import pytest

from galeno.errors import RegistryError
from galeno.storage.registry import Registry


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return Registry(f"sqlite:///{tmp_path_factory.mktemp('home')}/registry.db")


@pytest.fixture
def study(request: pytest.FixtureRequest) -> str:
    """A study of its own for each test: making the tables takes seconds."""
    return str(request.node.name).removeprefix("test_").replace("[", "-").replace("]", "")


def add(registry: Registry, study: str, number: int) -> str:
    entry = registry.register(
        study, f"/packages/{number}", f"{number:064x}", f"run-{number}", {"macro_f1": number / 10}
    )
    return entry.version


def test_versions_are_numbered_and_remembered(shared: Registry, study: str) -> None:
    assert [add(shared, study, n) for n in (1, 2, 3)] == ["1", "2", "3"]
    entries = shared.versions(study)
    assert [entry.package for entry in entries] == ["/packages/1", "/packages/2", "/packages/3"]
    assert entries[1].metrics == {"macro_f1": 0.2}
    assert entries[1].run == "run-2"
    assert entries[1].study == study
    assert entries[1].created.endswith("+00:00")
    assert [entry.aliases for entry in entries] == [(), (), ("challenger",)]
    assert {entry.study for entry in shared.versions()} >= {study}


def test_the_same_package_keeps_its_version(shared: Registry, study: str) -> None:
    add(shared, study, 1)
    add(shared, study, 2)
    again = shared.register(study, "/elsewhere/1", f"{1:064x}", "another run", {})
    assert (again.version, again.package, again.run) == ("1", "/elsewhere/1", "run-1")
    assert len(shared.versions(study)) == 2


def test_promote_and_rollback(shared: Registry, study: str) -> None:
    assert shared.champion(study) is None
    for number in (1, 2, 3):
        add(shared, study, number)
    assert shared.champion(study) is None
    assert shared.promote(study, "1").aliases == ("champion",)
    shared.promote(study, "3")
    shared.promote(study, "3")
    assert shared.promote(study, "2").version == "2"
    assert not any("challenger" in entry.aliases for entry in shared.versions(study))
    found = shared.champion(study)
    assert found is not None
    assert found == shared.get(study, "champion") == shared.get(study, "2")
    assert [entry.version for entry in shared.versions(study) if entry.aliases] == ["2"]
    assert shared.rollback(study).version == "3"
    assert shared.rollback(study).version == "1"
    with pytest.raises(RegistryError, match=r"no earlier champion.*galeno models promote"):
        shared.rollback(study)
    assert shared.get(study, "champion").version == "1"


def test_another_client_sees_it(shared: Registry, study: str) -> None:
    add(shared, study, 1)
    shared.promote(study, "1")
    champion = Registry(shared.name).champion(study)
    assert champion is not None
    assert champion.version == "1"


def test_what_is_not_there(shared: Registry, study: str) -> None:
    add(shared, study, 1)
    with pytest.raises(RegistryError, match="no study 'absent' is registered"):
        shared.versions("absent")
    for act in (
        lambda: shared.get("absent", "1"),
        lambda: shared.promote("x' OR 1=1", "1"),
        lambda: shared.rollback("a"),
    ):
        with pytest.raises(RegistryError, match="no study"):
            act()
    with pytest.raises(RegistryError, match=r"no version or alias '7'.*Versions: 1"):
        shared.promote(study, "7")
    with pytest.raises(RegistryError, match=r"no champion yet.*galeno models promote"):
        shared.get(study, "champion")
    with pytest.raises(RegistryError, match="no earlier champion"):
        shared.rollback(study)
    assert shared.champion("absent") is None


def test_a_registry_out_of_reach(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RegistryError, match=r"does not answer.*GALENO_REGISTRY"):
        Registry(f"sqlite:///{tmp_path}/file/registry.db").versions()
    (tmp_path / "broken.db").write_text(
        "this is no database, but a text that is long enough to look like one" * 20
    )
    with pytest.raises(RegistryError, match="does not answer"):
        Registry(f"sqlite:///{tmp_path}/broken.db").versions()


def test_passwords_are_not_in_messages() -> None:
    with pytest.raises(RegistryError) as raised:
        Registry("nowhere://user:secret@host/registry").versions()
    assert "secret" not in str(raised.value)


def test_it_is_quiet_and_leaves_nothing_in_the_folder(tmp_path: Path) -> None:
    script = (
        "from galeno.storage.registry import Registry\n"
        f"r = Registry('sqlite:///{tmp_path}/home/registry.db')\n"
        "r.register('s', '/p', 'a', 'run', {}); r.promote('s', '1'); r.champion('s')\n"
    )
    (tmp_path / "work").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path / "work", capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list((tmp_path / "work").iterdir()) == []
    assert sorted(path.name for path in (tmp_path / "home").iterdir()) == ["registry.db"]


def test_mlflow_is_not_imported_before_it_is_needed() -> None:
    script = (
        "import sys\nfrom galeno.storage.registry import Registry\n"
        "Registry('sqlite:///x.db')\nsys.exit('mlflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
