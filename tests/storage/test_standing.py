"""The standing: what the registry last said."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.errors import OutputError, RegistryError
from galeno.records import RegisteredModel
from galeno.storage.atomic import alone
from galeno.storage.registry import Registry
from galeno.storage.standing import Standing, publish, read_standing


def entry(study: str, version: str, *aliases: str) -> RegisteredModel:
    return RegisteredModel(
        study,
        version,
        f"/packages/{version}",
        "a" * 64,
        "run",
        "2026-01-01T00:00:00+00:00",
        aliases,
        {"f1": 0.5},
    )


MODELS = (
    entry("thyroid", "1"),
    entry("thyroid", "2", "champion"),
    entry("thyroid", "3", "challenger"),
    entry("breast", "1", "challenger"),
)


def test_says_what_was_published(tmp_path: Path) -> None:
    path = tmp_path / "standing.json"
    assert publish(path, MODELS)
    standing = read_standing(path)
    assert standing == Standing(MODELS)
    assert standing.studies() == ("breast", "thyroid")
    assert standing.champion("thyroid") == MODELS[1]
    assert standing.challenger("thyroid") == MODELS[2]
    assert standing.champion("breast") is None
    assert standing.champion("other") is None
    assert standing.find("thyroid", "1") == MODELS[0]
    assert standing.find("thyroid", "9") is None


def test_is_written_only_where_something_changed(tmp_path: Path) -> None:
    path = tmp_path / "standing.json"
    publish(path, MODELS)
    before = path.stat().st_ino
    assert not publish(path, list(MODELS))
    assert path.stat().st_ino == before
    assert publish(path, MODELS[:2])
    assert path.stat().st_ino != before


def test_nothing_published_is_empty(tmp_path: Path) -> None:
    assert read_standing(tmp_path / "standing.json") == Standing()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": 2, "models": []}', '{"format": 1, "models": [{"study": 1}]}', "null"]
)
def test_damage_is_told_and_mended(tmp_path: Path, text: str) -> None:
    path = tmp_path / "standing.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RegistryError, match="galeno models list"):
        read_standing(path)
    assert publish(path, MODELS)
    assert read_standing(path).models == MODELS


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.builds(
            RegisteredModel,
            *[st.text(st.characters(exclude_categories=["Cs"]), max_size=9)] * 6,
            aliases=st.lists(st.sampled_from(["champion", "challenger"]), max_size=2).map(tuple),
            metrics=st.dictionaries(
                st.text(st.characters(exclude_categories=["Cs"]), max_size=5), st.floats(0, 1)
            ),
        )
    )
)
def test_any_models_come_back(
    tmp_path_factory: pytest.TempPathFactory, models: list[RegisteredModel]
) -> None:
    path = tmp_path_factory.mktemp("any") / "standing.json"
    publish(path, models)
    assert read_standing(path).models == tuple(models)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OutputError), alone(tmp_path / "nowhere" / "standing.json"):
        pass


def test_one_publishes_at_a_time(tmp_path: Path) -> None:
    """Each process reads a counter and writes it back, as the registry is read and the standing written."""
    counter = tmp_path / "counter.json"
    counter.write_text("0", encoding="utf-8")
    program = (
        "import json, sys, pathlib; from galeno.storage.atomic import alone\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "for _ in range(50):\n"
        "    with alone(path.with_name('standing.json')):\n"
        "        path.write_text(str(int(path.read_text()) + 1))\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", program, str(counter)]) for _ in range(3)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    assert json.loads(counter.read_text(encoding="utf-8")) == 150


def test_the_registry_tells_every_change(tmp_path: Path) -> None:
    path = tmp_path / "standing.json"
    registry = Registry(f"sqlite:///{tmp_path}/registry.db", standing=path)
    for number in (1, 2):
        registry.register("thyroid", f"/packages/{number}", f"{number:064x}", "run", {})
    challenger = read_standing(path).challenger("thyroid")
    assert challenger is not None
    assert challenger.version == "2"
    registry.promote("thyroid", "1")
    registry.promote("thyroid", "2")
    assert (
        read_standing(path).champion("thyroid")
        == registry.champion("thyroid")
        == registry.get("thyroid", "2")
    )
    registry.rollback("thyroid")
    assert read_standing(path).champion("thyroid") == registry.get("thyroid", "1")
    path.unlink()
    assert read_standing(path) == Standing()
    assert tuple(registry.versions()) == read_standing(path).models
    path.unlink()
    registry.promote("thyroid", "1")
    assert tuple(registry.versions()) == read_standing(path).models
    registry.register("thyroid", "/moved/1", f"{1:064x}", "run", {})
    assert read_standing(path).models[0].package == "/moved/1"


def test_a_home_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    registry = Registry(f"sqlite:///{tmp_path}/registry.db", standing=tmp_path / "home" / "standing.json")
    registry.register("thyroid", "/packages/1", f"{1:064x}", "run", {})
    assert not (tmp_path / "home").exists()
