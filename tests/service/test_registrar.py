"""The registrar: promotes in a process of its own."""

import asyncio
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import run

import pytest

from galeno.errors import ConflictError, GalenoError, NotFoundError, RegistryError
from galeno.pipeline.loading import open_registry
from galeno.service.registrar import Registrar, _translate
from galeno.storage.home import Home
from galeno.storage.registry import Registry
from galeno.storage.standing import read_standing


@pytest.fixture(scope="module")
def home(clinic_copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The clinic's registry, with a second version that nobody loads."""
    folder = tmp_path_factory.mktemp("registrar")
    shutil.copy(clinic_copy / "registry.db", folder)
    open_registry(folder).register("clinic", "/packages/2", "2" * 64, "run", {})
    return Home(folder)


def test_promotes_and_says_why_it_cannot_go_back(home: Home) -> None:
    async def act() -> None:
        registrar = Registrar(home)
        with pytest.raises(ConflictError, match="no earlier champion"):
            await registrar.rollback("clinic")
        promoted = await registrar.promote("clinic", "2")
        assert (promoted.version, promoted.aliases) == ("2", ("champion",))
        assert read_standing(home.standing).champion("clinic") == promoted

    asyncio.run(act())
    assert open_registry(home.root).champion("clinic") == read_standing(home.standing).champion("clinic")


def test_publishes_where_the_standing_is_missing(home: Home) -> None:
    home.standing.unlink(missing_ok=True)
    asyncio.run(Registrar(home).publish())
    assert read_standing(home.standing).champion("clinic") is not None


def test_what_the_registry_says_becomes_an_error_without_its_path(home: Home, tmp_path: Path) -> None:
    """The words by which errors are told apart are those of the registry itself."""
    registry = open_registry(home.root)
    (tmp_path / "registry.db").write_text("no database", encoding="utf-8")
    broken = Registry(f"sqlite:///{tmp_path}/registry.db")
    cases: list[tuple[Callable[[], object], type[GalenoError]]] = [
        (lambda: registry.promote("surgery", "1"), NotFoundError),
        (lambda: registry.promote("clinic", "99"), NotFoundError),
        (lambda: registry.rollback("surgery"), NotFoundError),
        (lambda: broken.promote("clinic", "1"), RegistryError),
    ]
    for act, kind in cases:
        with pytest.raises(RegistryError) as caught:
            act()
        told = _translate(f"Warning: something else\nError: {caught.value}\n")
        assert type(told) is kind
        assert str(tmp_path) not in str(told)
        assert str(home.root) not in str(told)
    assert type(_translate("Traceback")) is RegistryError


@pytest.mark.parametrize(
    "name", ["", "--home=/", "-h", "a b", "a/../b", "clinic@1", "x" * 200, "a\nb", "\x00"]
)
def test_a_name_is_never_an_option(home: Home, name: str) -> None:
    async def act() -> None:
        with pytest.raises(NotFoundError):
            await Registrar(home).promote(name, "1")
        with pytest.raises(NotFoundError):
            await Registrar(home).promote("clinic", name)
        with pytest.raises(NotFoundError):
            await Registrar(home).rollback(name)

    asyncio.run(act())


def test_a_registry_that_hangs(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("galeno.service.registrar.SECONDS", 0.05)
    with pytest.raises(RegistryError, match="timeout"):
        asyncio.run(Registrar(home).promote("clinic", "1"))


def test_mlflow_stays_outside(home: Home) -> None:
    program = "import sys, galeno.service.registrar, galeno.service.shelf; print('mlflow' in sys.modules)"
    done = run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"
