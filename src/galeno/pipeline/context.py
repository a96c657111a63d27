"""What every step is given: the study, the home, the run, and the records of a part."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from galeno.errors import RunError
from galeno.progress import Reporter
from galeno.records import KEY, PATIENT, TARGET, UNIT, Labels, Part, owner_column
from galeno.storage.home import Home
from galeno.storage.lake import Lake
from galeno.storage.runs import RunFolder
from galeno.study import Study


def digest_frame(frame: pl.DataFrame) -> str:
    """Sha256 over a frame's names, types and values, in their order."""
    buffer = io.BytesIO()
    frame.write_ipc(buffer)
    return hashlib.sha256(buffer.getbuffer()).hexdigest()


def label_indices(names: pl.Series, classes: tuple[str, ...]) -> Labels:
    """Class indices of class names; -1 for anything else."""
    positions = {name: index for index, name in enumerate(classes)}
    return np.array([positions.get(name, -1) for name in names.to_list()], dtype=np.int64)


def join_patients(frame: pl.DataFrame, files: Sequence[str]) -> pl.Series:
    """Patients who share a file, as one: the same image must not teach and judge, whoever it is filed under.

    Args:
        frame: rows of the lake.
        files: columns of digests.

    Returns:
        UNIT, String, shape (rows,): the first of the patients who are joined, by their ids' order.
    """
    patients, owner = np.unique(
        frame[PATIENT].cast(pl.String).to_numpy().astype(np.str_), return_inverse=True
    )
    nodes = len(patients)
    ends: list[NDArray[np.int64]] = []
    starts: list[NDArray[np.int64]] = []
    for name in files:
        there = frame[name].is_not_null().to_numpy()
        found, place = np.unique(frame[name].drop_nulls().to_numpy().astype(np.str_), return_inverse=True)
        starts.append(owner[there])
        ends.append(place + nodes)
        nodes += len(found)
    start, end = np.concatenate(starts), np.concatenate(ends)
    links = sparse.coo_array((np.ones(len(start)), (start, end)), shape=(nodes, nodes))
    _, group = connected_components(links, directed=False)
    _, first, joined = np.unique(group[: len(patients)], return_index=True, return_inverse=True)
    return pl.Series(UNIT, patients[first][joined][owner], pl.String)


def add_descriptions(frame: pl.DataFrame, place: Path) -> pl.DataFrame:
    """Rows with the descriptions of their sounds, images and texts, which `describing` left in a folder."""
    for path in sorted(place.glob("described-*.parquet")):
        told = pl.read_parquet(path)
        frame = frame.join(told, on=told.columns[0], how="left", maintain_order="left")
    return frame


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one or more parts, in the lake's order."""

    frame: pl.DataFrame
    labels: Labels
    folds: Labels
    """Cross-validation fold of each training row; -1 outside the training part."""

    @property
    def patients(self) -> NDArray[np.str_]:
        """Whose each row is, those who share a file as one; shape (rows,)."""
        return self.frame[owner_column(self.frame.columns)].cast(pl.String).to_numpy().astype(np.str_)


@dataclass(frozen=True, slots=True)
class StepContext:
    """The surroundings of one step."""

    study: Study
    home: Home
    run: RunFolder
    reporter: Reporter
    threads: int

    def result(self, step: str) -> Mapping[str, Any]:
        """Result of an earlier step.

        Raises:
            RunError: it is not done.
        """
        result = self.run.result(step)
        if result is None:
            raise RunError(f"step {step!r} is not done", where=self.run.name)
        return result

    def place(self, step: str, *, keep: bool = False) -> Path:
        """Folder for what a step makes."""
        return self.run.workplace(step, keep=keep)

    def made(self, step: str) -> Path:
        """Folder of what an earlier step made."""
        return self.run.root / step

    def records(self) -> pl.DataFrame:
        """The good rows that this run learns from, at its lake version, ordered by key.

        Where the study has sounds or images, UNIT says who stays on one side of every split.
        """
        ingested = self.result("ingest")
        frame = Lake(self.home.lake).read(ingested["table"], ingested["version"], ingested["batches"])
        files = [name for name, c in self.study.features_columns.items() if c.holds_file]
        return frame.with_columns(join_patients(frame, files)) if files else frame

    def rows(self, *parts: Part) -> Rows:
        """The rows of these parts.

        A row without a class of the study (rules that say `keep`) cannot teach: it is left out unless the
        test part is asked for, where it counts as a miss.
        """
        sides = pl.read_parquet(self.made("split") / "sides.parquet")
        frame = self.records()
        if not frame[KEY].equals(sides[KEY]):
            raise RunError(
                "the lake no longer holds the rows that were split",
                where=self.run.name,
                remedy="Run with --fresh",
            )
        chosen = sides["part"].is_in(list(parts))
        if "test" not in parts:
            chosen &= frame[TARGET].is_in(list(self.study.class_names)).fill_null(value=False)
        frame = add_descriptions(frame.filter(chosen), self.made("ingest"))
        return Rows(
            frame=frame,
            labels=label_indices(frame[TARGET], self.study.class_names),
            folds=sides.filter(chosen)["fold"].to_numpy().astype(np.int64),
        )
