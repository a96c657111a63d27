"""Run folders: what each step of a run left behind, so that a killed run goes on.

A run is named by its study and by a key over everything that decides its
outcome. Below its folder, `steps/NAME.json` appears when step NAME is done, and
not before; `NAME/` holds what the step is making or made.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galeno.errors import RunError
from galeno.storage.atomic import read_json, write_json
from galeno.storage.lock import lock

REPORT = "report.html"
"""File of the package step's folder, beside the package; it shows examples where the study allows it."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder of one run."""

    root: Path

    @classmethod
    def open(cls, runs: Path, name: str) -> "RunFolder":
        """An existing run.

        Raises:
            RunError: there is no such run.
        """
        folder = cls(runs / name)
        if Path(name).name != name or not folder._facts.is_file():
            raise RunError(
                f"no run {name!r}", where=str(runs), remedy="galeno run prints the name of its run"
            )
        return folder

    @classmethod
    def create(cls, runs: Path, name: str, facts: Mapping[str, Any]) -> "RunFolder":
        """The run of that name, made if it is not there yet."""
        folder = cls(runs / name)
        if not folder._facts.is_file():
            (folder.root / "steps").mkdir(parents=True, exist_ok=True)
            write_json(folder._facts, dict(facts))
        return folder

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.root.name

    @property
    def facts(self) -> dict[str, Any]:
        """What the run was started with."""
        return _read(self._facts)

    @property
    def _facts(self) -> Path:
        return self.root / "run.json"

    def result(self, step: str) -> dict[str, Any] | None:
        """What a finished step returned; None while it is not finished."""
        path = self.root / "steps" / f"{step}.json"
        return _read(path) if path.is_file() else None

    def finish(self, step: str, result: Mapping[str, Any]) -> None:
        """Record that a step is done."""
        write_json(self.root / "steps" / f"{step}.json", dict(result))

    def workplace(self, step: str, *, keep: bool = False) -> Path:
        """A folder for what a step makes; emptied first unless `keep`."""
        path = self.root / step
        if not keep and path.exists():
            shutil.rmtree(path)
        path.mkdir(parents=True, exist_ok=True)
        return path

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep other processes off this run; the system lets go when the process ends, however it ends.

        Raises:
            RunError: another process holds it.
        """
        descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        with lock(descriptor, wait=False) as locked:
            if not locked:
                raise RunError(
                    "another process is working on this run",
                    where=str(self.root),
                    remedy="Wait for it to end",
                )
            yield


def _read(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = read_json(path)
    except (OSError, ValueError) as error:
        raise RunError(
            f"cannot be read ({type(error).__name__})",
            where=str(path),
            remedy="Start over: galeno run --fresh",
        ) from None
    return content
