"""The shelf: the models that answer now, swapped when the registry's standing changes.

A model is loaded, checked and warmed up apart, in a thread; then one reference is swapped. A request takes
its `Served` once and ends with it, whatever is promoted meanwhile; the old model goes when its last request
has ended.
"""

import asyncio
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from galeno.errors import GalenoError, NotFoundError, PackageError
from galeno.model.model import Model
from galeno.records import RegisteredModel
from galeno.storage.atomic import read_json
from galeno.storage.home import Home
from galeno.storage.standing import Standing, read_standing
from galeno.study import Study

_log = logging.getLogger("galeno.service")

OLDER = 2
"""Models kept that answer no more, to explain older diagnoses."""
RETRY_SECONDS = 10.0
"""After so long a package that could not be loaded is tried again."""

Stamp = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class Served:
    """What answers for one study."""

    model: Model
    entry: RegisteredModel
    challenger: Model | None = None
    """Answers beside the champion, into the journal only."""


class Shelf:
    """Champions by study.

    Args:
        home: its `standing.json` says which packages answer.
        threads: of each inference session.
    """

    def __init__(self, home: Home, *, threads: int = 1) -> None:
        self._home = home
        self._threads = threads
        self._lock = threading.Lock()
        self._older: OrderedDict[tuple[str, str, str], Model] = OrderedDict()
        self._older_lock = threading.Lock()
        self._served: Mapping[str, Served] = {}
        self._stamp: Stamp = None
        self._tried = float("-inf")
        self.standing = Standing()
        """What the registry last said."""
        self.problems: Mapping[str, str] = {}
        """What could not be loaded, as `STUDY@VERSION` or file name, with the reason."""

    def load(self) -> None:
        """Bring the shelf up to date; what is there keeps answering where something new cannot be loaded."""
        with self._lock:
            self._tried = time.monotonic()
            self._stamp = self._look()
            problems: dict[str, str] = {}
            try:
                standing = self._read()
            except GalenoError as error:
                self._tell({self._home.standing.name: str(error)})
                return
            names = [name for name in standing.studies() if standing.champion(name)]
            served = {name: self._serve(name, standing, problems) for name in names}
            # Each of these is one reference: a reader sees the old or the new, never something between.
            self._served = {name: found for name, found in served.items() if found is not None}
            self.standing = standing
            self._tell(problems)

    async def refresh(self) -> None:
        """`load` in a thread; requests are answered meanwhile."""
        await asyncio.to_thread(self.load)

    async def watch(self, seconds: float = 0.5) -> None:
        """Bring the shelf up to date whenever the standing changes; ends when it is cancelled."""
        while True:
            await asyncio.sleep(seconds)
            due = self.problems and time.monotonic() - self._tried >= RETRY_SECONDS
            if due or self._look() != self._stamp:
                await self.refresh()

    def get(self, study: str) -> Served:
        """What answers for a study now; keep it for the whole request.

        Raises:
            NotFoundError: no such study has a champion.
        """
        served = self._served.get(study)
        if served is None:
            raise NotFoundError("no such study has a model that answers", where="study")
        return served

    def names(self) -> tuple[str, ...]:
        """Studies that are answered, in alphabetical order."""
        return tuple(self._served)

    def ready(self) -> bool:
        """Whether any study is answered."""
        return bool(self._served)

    def version(self, study: str, version: str) -> Model:
        """A version of a study, loaded if it is not; the last OLDER stay. Takes time: call it in a thread.

        Raises:
            NotFoundError: no such version is registered.
            PackageError: its package is missing or damaged.
        """
        served = self._served.get(study)
        if served is not None and served.entry.version == version:
            return served.model
        entry = self.standing.find(study, version)
        if entry is None:
            raise NotFoundError("no such version of the study's model", where="version")
        key = _key(entry)
        with self._older_lock:
            if key not in self._older:
                self._older[key] = self._open(entry)
                while len(self._older) > OLDER:
                    self._older.popitem(last=False)
            self._older.move_to_end(key)
            return self._older[key]

    def files(self, study: str, version: str) -> tuple[str, ...]:
        """Columns of sounds and images of a version of a study, as its champion knows them where the version
        is gone; none where nobody knows. Takes a moment: call it in a thread.
        """
        served = self._served.get(study)
        entry = self.standing.find(study, version)
        if entry is not None and (served is None or served.entry.version != version):
            found = read_study(self.folder_of(entry))
            if found is not None:
                return tuple(name for name, column in found.features_columns.items() if column.holds_file)
        return () if served is None else served.model.contract.files

    def folder_of(self, entry: RegisteredModel) -> Path:
        """Where the package of a version is; the home may have been moved, or be mounted elsewhere."""
        folder = Path(entry.package)
        moved = self._home.packages / entry.study / folder.name
        return moved if not folder.is_dir() and moved.is_dir() else folder

    def _serve(self, study: str, standing: Standing, problems: dict[str, str]) -> Served | None:
        """What shall answer; where the champion cannot be loaded, what answered until now."""
        before = self._served.get(study)
        entry = standing.champion(study)
        model = self._take(entry, before, problems)
        if model is None or entry is None:
            return before
        challenger = None
        if model.study.answering.shadow:
            challenger = self._take(standing.challenger(study), before, problems)
        return Served(model, entry, challenger)

    def _take(
        self, entry: RegisteredModel | None, before: Served | None, problems: dict[str, str]
    ) -> Model | None:
        """A model that is there already, or else is loaded."""
        if entry is None:
            return None
        for known in () if before is None else (before.model, before.challenger):
            if known and (known.version, known.package_sha256) == (entry.version, entry.package_sha256):
                return known
        try:
            return self._open(entry)
        except GalenoError as error:
            problems[f"{entry.study}@{entry.version}"] = str(error)
            return None

    def _open(self, entry: RegisteredModel) -> Model:
        """Load a package, hold its hash against the registered one, and let it answer once."""
        folder = self.folder_of(entry)
        try:
            model = Model.load(folder, threads=self._threads)
        except OSError as error:
            raise PackageError(f"cannot be read ({type(error).__name__})", where=str(folder)) from None
        if model.package_sha256 != entry.package_sha256 or model.study.name != entry.study:
            raise PackageError(
                "the package is not the one that was registered",
                where=str(folder),
                remedy="Restore it, or promote another version",
            )
        model = model.with_version(entry.version)
        model.diagnose({})
        return model

    def _read(self) -> Standing:
        if self._stamp is None and self._served:
            raise NotFoundError("is gone", where=str(self._home.standing), remedy="galeno models list")
        return read_standing(self._home.standing)

    def _look(self) -> Stamp:
        try:
            found = self._home.standing.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _tell(self, problems: dict[str, str]) -> None:
        for name, problem in problems.items():
            if self.problems.get(name) != problem:
                _log.error("%s cannot be loaded: %s", name, problem)
        self.problems = problems


def read_study(folder: Path) -> Study | None:
    """The study of a package; None where it cannot be read."""
    try:
        return Study.model_validate(read_json(folder / "study.json"))
    except (OSError, ValueError):
        return None


def _key(entry: RegisteredModel) -> tuple[str, str, str]:
    return entry.study, entry.version, entry.package_sha256
