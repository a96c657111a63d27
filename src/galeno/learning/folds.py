"""Folds with their matrices: encoders are fitted inside each fold, on its fitting rows only."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from galeno.features.assemble import Assembler
from galeno.records import FloatMatrix, Labels
from galeno.study import Study


@dataclass(frozen=True, slots=True)
class Fold:
    """One division of the training part into rows to fit on and rows to judge.

    Attributes:
        fitting: row indices into the training part.
        held_out: row indices into the training part.
        matrix: features of the fitting rows, float32, memory-mapped.
        held_out_matrix: features of the held-out rows, by an assembler that never saw them.
        views: column indices by the name of a view.
    """

    fitting: NDArray[np.int64]
    held_out: NDArray[np.int64]
    matrix: FloatMatrix
    held_out_matrix: FloatMatrix
    views: dict[str, NDArray[np.int64]]


def prepare_folds(
    study: Study,
    frame: pl.DataFrame,
    labels: Labels,
    divisions: Sequence[Labels],
    folder: Path,
    *,
    threads: int,
) -> list[Fold]:
    """Encode every fold once; all candidates are judged on the same matrices.

    Args:
        study: says how records become features.
        frame: the training part.
        labels: class index of each row.
        divisions: fold number of each row; several give repeated cross-validation.
        folder: for the matrices, which are read back memory-mapped.
        threads: folds that are encoded side by side.
    """
    pairs = [(division, fold) for division in divisions for fold in range(int(division.max()) + 1)]

    def prepare(number: int) -> Fold:
        division, fold = pairs[number]
        fitting, held_out = np.flatnonzero(division != fold), np.flatnonzero(division == fold)
        assembler, matrix = Assembler.fit(study, frame[fitting], labels[fitting], study.seed, 1)
        return Fold(
            fitting=fitting,
            held_out=held_out,
            matrix=_store(folder / f"fold-{number}-fitting.npy", matrix),
            held_out_matrix=_store(
                folder / f"fold-{number}-held-out.npy", assembler.transform(frame[held_out])
            ),
            views={name: assembler.view(name) for name in assembler.views},
        )

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(prepare, range(len(pairs))))


def _store(path: Path, matrix: FloatMatrix) -> FloatMatrix:
    np.save(path, matrix, allow_pickle=False)
    mapped: FloatMatrix = np.load(path, mmap_mode="r", allow_pickle=False)
    return mapped
