"""The shelf: which model answers, and how it is swapped."""

import asyncio
import gc
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from galeno.errors import NotFoundError, PackageError
from galeno.model.parts import ModelParts
from galeno.records import RegisteredModel
from galeno.service.shelf import Shelf
from galeno.storage.home import Home
from galeno.storage.packages import seal
from galeno.storage.standing import publish

if TYPE_CHECKING:
    from galeno.pipeline.runner import RunResult

RECORD = {"age": 41, "sex": "F", "lactate": 5.5, "note": "disnea y fiebre alta"}


@pytest.fixture(scope="module")
def packages(done: "RunResult", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Packages 1 to 6 of the clinic's model, told apart by their titles; 4 to 6 let the challenger shadow."""
    folder = tmp_path_factory.mktemp("packages")
    parts = ModelParts.load(Path(done.package))
    for number in range(1, 7):
        answering = parts.study.answering.model_copy(update={"shadow": number > 3})
        study = parts.study.model_copy(update={"title": f"title {number}", "answering": answering})
        kept = ModelParts(
            study,
            parts.assembler,
            parts.describer,
            parts.ensemble,
            parts.calibration,
            parts.decision,
            parts.conformal,
            parts.reference,
        )
        seal(folder / str(number), kept.save(folder / str(number)), {"study": study.name})
    return folder


@pytest.fixture
def crown(packages: Path, tmp_path: Path) -> Callable[..., None]:
    """Publishes versions, with the champion and the challenger by number; 0 for none."""

    def say(champion: int, challenger: int = 0, folder: Path = packages) -> None:
        entries = []
        for number in range(1, 7):
            aliases = [
                alias
                for alias, chosen in (("champion", champion), ("challenger", challenger))
                if chosen == number
            ]
            sha256 = _sha256(packages / str(number))
            created = "2026-01-01T00:00:00+00:00"
            place = str(folder / str(number))
            entries.append(
                RegisteredModel("clinic", str(number), place, sha256, "run", created, tuple(aliases), {})
            )
        publish(tmp_path / "standing.json", entries)

    return say


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(Home(tmp_path))


def answered(shelf: Shelf) -> str:
    """The version that answers, after a look that its title and its answer belong together."""
    served = shelf.get("clinic")
    diagnosis = served.model.diagnose(RECORD)
    assert diagnosis.version == served.entry.version == served.model.study.title.removeprefix("title ")
    assert diagnosis.package_sha256 == served.entry.package_sha256
    return str(diagnosis.version)


def test_empty_home(shelf: Shelf) -> None:
    shelf.load()
    assert not shelf.ready()
    assert shelf.names() == ()
    assert shelf.problems == {}
    with pytest.raises(NotFoundError):
        shelf.get("clinic")
    with pytest.raises(NotFoundError):
        shelf.version("clinic", "1")


def test_serves_the_champion(shelf: Shelf, crown: Callable[..., None]) -> None:
    crown(2, 3)
    shelf.load()
    assert shelf.ready()
    assert shelf.names() == ("clinic",)
    assert answered(shelf) == "2"
    assert shelf.get("clinic").challenger is None  # this study does not let it shadow
    assert [model.version for model in shelf.standing.models] == ["1", "2", "3", "4", "5", "6"]


def test_challenger_shadows_where_the_study_says_so(shelf: Shelf, crown: Callable[..., None]) -> None:
    crown(4, 5)
    shelf.load()
    challenger = shelf.get("clinic").challenger
    assert challenger is not None
    assert challenger.diagnose(RECORD).version == "5"
    crown(5, 0)
    shelf.load()
    served = shelf.get("clinic")
    assert served.model is challenger  # promoted as it stood
    assert served.challenger is None


def test_columns_of_files_are_those_of_the_version_that_answered(
    shelf: Shelf, crown: Callable[..., None], packages: Path
) -> None:
    crown(1)
    shelf.load()
    assert shelf.files("clinic", "1") == shelf.files("clinic", "7") == shelf.files("other", "1") == ()
    path = packages / "2" / "study.json"
    good = path.read_bytes()
    try:
        content = json.loads(good)
        content["columns"]["note"] = {"type": "image"}
        path.write_text(json.dumps(content))
        assert shelf.files("clinic", "2") == ("note",)
        assert shelf.files("clinic", "3") == ()
        path.write_bytes(b"{")
        assert shelf.files("clinic", "2") == ()  # as the champion knows them
    finally:
        path.write_bytes(good)


def test_same_standing_keeps_the_loaded_model(shelf: Shelf, crown: Callable[..., None]) -> None:
    crown(1)
    shelf.load()
    first = shelf.get("clinic").model
    crown(1, 2)
    shelf.load()
    assert shelf.get("clinic").model is first


def test_broken_package_leaves_the_old_one_answering(
    shelf: Shelf, crown: Callable[..., None], packages: Path, tmp_path: Path
) -> None:
    crown(1)
    shelf.load()
    path = packages / "2" / "model.json"
    good = path.read_bytes()
    try:
        path.write_bytes(good.replace(b"1", b"2", 1))
        crown(2)
        shelf.load()
        assert answered(shelf) == "1"
        assert list(shelf.problems) == ["clinic@2"]
        assert "changed" in shelf.problems["clinic@2"]
        assert shelf.ready()
    finally:
        path.write_bytes(good)
    shelf.load()
    assert answered(shelf) == "2"
    assert shelf.problems == {}


def test_another_package_than_the_registered_one(
    shelf: Shelf, crown: Callable[..., None], packages: Path, tmp_path: Path
) -> None:
    crown(1)
    shelf.load()
    other = shelf.get("clinic").entry
    publish(tmp_path / "standing.json", [_changed(other, version="9", package=str(packages / "2"))])
    shelf.load()
    assert "not the one that was registered" in shelf.problems["clinic@9"]
    assert answered(shelf) == "1"


def test_broken_challenger_does_not_hold_the_champion_up(
    shelf: Shelf, crown: Callable[..., None], tmp_path: Path
) -> None:
    crown(4, 5)
    shelf.load()
    models = [
        _changed(model, package=str(tmp_path / "nowhere")) if model.version == "5" else model
        for model in shelf.standing.models
    ]
    again = Shelf(Home(tmp_path))
    publish(tmp_path / "standing.json", models)
    again.load()
    assert answered(again) == "4"
    assert again.get("clinic").challenger is None
    assert list(again.problems) == ["clinic@5"]


@pytest.mark.parametrize("text", [None, "{"])
def test_lost_standing_stops_nobody(
    shelf: Shelf, crown: Callable[..., None], tmp_path: Path, text: str | None
) -> None:
    crown(1)
    shelf.load()
    path = tmp_path / "standing.json"
    path.unlink()
    if text is not None:
        path.write_text(text, encoding="utf-8")
    shelf.load()
    assert answered(shelf) == "1"
    assert list(shelf.problems) == ["standing.json"]
    crown(2)
    shelf.load()
    assert answered(shelf) == "2"
    assert shelf.problems == {}


def test_moved_home(crown: Callable[..., None], packages: Path, tmp_path: Path) -> None:
    """The registry names paths of the machine that trained; here the home is mounted elsewhere."""
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "clinic").symlink_to(packages)
    crown(3, folder=Path("/on/another/machine"))
    shelf = Shelf(Home(tmp_path))
    shelf.load()
    assert answered(shelf) == "3"


def test_older_versions_explain_older_answers(shelf: Shelf, crown: Callable[..., None]) -> None:
    crown(3)
    shelf.load()
    assert shelf.version("clinic", "3") is shelf.get("clinic").model
    first = shelf.version("clinic", "1")
    assert first.diagnose(RECORD).version == "1"
    shelf.version("clinic", "2")
    assert shelf.version("clinic", "1") is first
    shelf.version("clinic", "4")
    assert shelf.version("clinic", "1") is first
    assert len(shelf._older) == 2
    with pytest.raises(NotFoundError):
        shelf.version("clinic", "99")
    with pytest.raises(NotFoundError):
        shelf.version("other", "1")
    crown(3, folder=Path("/gone"))
    shelf.load()
    with pytest.raises(PackageError):
        shelf.version("clinic", "5")


def test_watch_swaps_and_requests_never_see_a_gap(shelf: Shelf, crown: Callable[..., None]) -> None:
    async def serve() -> list[str]:
        crown(1)
        await shelf.refresh()
        watching = asyncio.create_task(shelf.watch(0.02))
        seen = []
        for number in (2, 3, 1):
            crown(number)
            while not seen or seen[-1] != str(number):
                held = shelf.get("clinic")
                version = answered(shelf)
                await asyncio.sleep(0)
                assert held.model.diagnose(RECORD).version == held.entry.version
                seen.append(version)
        watching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watching
        return seen

    seen = asyncio.run(asyncio.wait_for(serve(), 30))
    assert [a for a, b in zip(seen, [*seen[1:], ""], strict=True) if a != b] == ["1", "2", "3", "1"]


def test_watch_tries_a_broken_package_again(
    shelf: Shelf, crown: Callable[..., None], packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("galeno.service.shelf.RETRY_SECONDS", 0.05)
    hidden = packages / "2" / "study.json"

    async def serve() -> None:
        crown(1)
        await shelf.refresh()
        watching = asyncio.create_task(shelf.watch(0.02))
        hidden.rename(packages / "study.json")
        try:
            crown(2)
            while not shelf.problems:
                await asyncio.sleep(0.01)
            assert answered(shelf) == "1"
        finally:
            (packages / "study.json").rename(hidden)
        while answered(shelf) != "2":
            await asyncio.sleep(0.01)
        watching.cancel()

    asyncio.run(asyncio.wait_for(serve(), 30))
    assert shelf.problems == {}


def test_swaps_under_load_from_threads(shelf: Shelf, crown: Callable[..., None]) -> None:
    crown(1)
    shelf.load()
    done = threading.Event()
    seen: list[set[str]] = []

    def ask() -> None:
        mine: set[str] = set()
        while not done.is_set():
            mine.add(answered(shelf))
        seen.append(mine)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in (2, 3, 4, 5, 6):
        crown(number)
        shelf.load()
    done.set()
    for thread in threads:
        thread.join()
    assert len(seen) == 3  # nobody fell over
    assert answered(shelf) == "6"
    assert len(set.union(*seen)) > 1


def test_memory_does_not_grow_with_swaps(shelf: Shelf, crown: Callable[..., None]) -> None:
    process = psutil.Process()

    def swap(times: int) -> None:
        for number in range(times):
            crown(number % 3 + 1)
            shelf.load()
            answered(shelf)
        gc.collect()

    swap(6)
    before = process.memory_info().rss
    swap(30)
    assert process.memory_info().rss - before < 10_000_000


def _sha256(folder: Path) -> str:
    from galeno.storage.packages import read_manifest

    return read_manifest(folder).package_sha256


def _changed(entry: RegisteredModel, **values: object) -> RegisteredModel:
    return RegisteredModel.from_dict({**entry.to_dict(), **values})
