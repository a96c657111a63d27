"""The assembler: all encoders of a study joined into one float32 matrix."""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from galeno.errors import LearningError, PackageError
from galeno.features.diseases import name_diseases
from galeno.features.encoder import Block, CrossFitted, Encoder, FeatureColumn, Sample
from galeno.features.phenotype import PhenotypeEncoder
from galeno.features.projection import Projection
from galeno.features.selection import select_columns
from galeno.features.state import pack_arrays, read_arrays
from galeno.features.table import TableEncoder
from galeno.features.text import TextEncoder
from galeno.records import FloatMatrix, Labels
from galeno.storage.atomic import write_bytes, write_text
from galeno.study import Column, Features, Study

FORMAT = 1
JSON_FILE = "features.json"
ARRAYS_FILE = "features.npz"
NGRAM_BYTES = 600_000_000
"""Memory that the n-grams of the fitting rows may take."""


class Modality(NamedTuple):
    """One kind of input: the column types it takes, and its encoder."""

    types: frozenset[str]
    encoder: type[Encoder]
    each: bool
    """One encoder a column, instead of one for all columns."""


MODALITIES: dict[str, Modality] = {
    "table": Modality(frozenset({"number", "flag", "category", "date"}), TableEncoder, each=False),
    "text": Modality(frozenset({"text"}), TextEncoder, each=True),
    "phenotype": Modality(frozenset({"terms"}), PhenotypeEncoder, each=True),
}
"""Image and sound encoders are added here."""

_HIDDEN: Mapping[str, frozenset[Block]] = {
    "all": frozenset(),
    "linear": frozenset({"svd"}),
    "dense": frozenset({"ngrams", "copies"}),
}
"""Views of the matrix, with the blocks that each leaves out."""


class Assembler:
    """From records to the matrix that every candidate learns on and every answer is made from."""

    def __init__(
        self,
        encoders: Iterable[tuple[str, Encoder]],
        projection: Projection | None = None,
        kept: NDArray[np.int64] | None = None,
    ) -> None:
        """Join encoders.

        Args:
            encoders: modality and encoder, in the order of their columns.
            projection: appended after them.
            kept: indices of the columns that selection kept; None keeps all.
        """
        self._encoders = tuple(encoders)
        self._projection = projection
        self._kept = kept
        self._places: list[tuple[Encoder, slice]] = []
        at = 0
        for _, encoder in self._encoders:
            self._places.append((encoder, slice(at, at + len(encoder.columns))))
            at += len(encoder.columns)
        self._encoded = at
        columns = self._full_columns()
        self._columns = columns if kept is None else [columns[i] for i in kept]
        self.names: tuple[str, ...] = _distinct([column.name for column in self._columns])
        self.sources: tuple[str, ...] = tuple(column.source for column in self._columns)
        self.blocks: tuple[Block, ...] = tuple(column.block for column in self._columns)

    @classmethod
    def fit(
        cls, study: Study, frame: pl.DataFrame, labels: Labels, seed: int, threads: int
    ) -> tuple[Self, FloatMatrix]:
        """Learn the encoders from these rows, and no others.

        Args:
            study: says which columns there are and how they become numbers.
            frame: typed rows; a patient column (`records.PATIENT`) keeps a patient's rows together.
            labels: class index of each row, shape (rows,).
            seed: of cross-fitting folds and SVD.
            threads: for what can be shared out.

        Returns:
            The assembler, and the matrix of the fitting rows, shape (rows, columns). There, whatever is
            learned from labels (target encodings, LDA) is cross-fitted by patient, so that a row is not
            described by its own label. `transform` of the same rows would do that.

        Raises:
            LearningError: no column varies in these rows.
        """
        sample = Sample.of(frame, labels, len(study.classes))
        features = _bound_terms(study, name_diseases(study), frame.height)
        encoders: list[tuple[str, Encoder]] = []
        crossed: CrossFitted = {}
        at = 0
        for name, columns in _share_out(study.features_columns):
            encoder, replaced = MODALITIES[name].encoder.fit(columns, sample, features, seed, threads)
            crossed |= {at + index: values for index, values in replaced.items()}
            at += len(encoder.columns)
            encoders.append((name, encoder))
        if not at:
            raise LearningError(
                "no feature column varies in the training records",
                where=f"study {study.name}",
                remedy="Check the missing codes and types of its columns",
            )
        return cls(encoders)._finish(study, sample, crossed, seed)

    def transform(self, frame: pl.DataFrame) -> FloatMatrix:
        """The matrix of any rows, shape (rows, columns), C-contiguous, without NaN."""
        return self.finish(self._encode(frame))

    def transform_record(self, values: Mapping[str, object]) -> NDArray[np.float32]:
        """One record, shape (columns,); equal to `transform` on a frame of that one row."""
        out = self.encode_record(values)
        if self._projection is None and self._kept is None:
            return out
        row: NDArray[np.float32] = self.finish(out[np.newaxis])[0]
        return row

    def transform_records(self, records: Sequence[Mapping[str, object]]) -> FloatMatrix:
        """Several records, shape (records, columns); each row equal to `transform_record` of its record."""
        out = np.zeros((len(records), self._encoded), np.float32)
        for encoder, place in self._places:
            encoder.write_records(records, out[:, place])
        return self.finish(out)

    def encode_record(self, values: Mapping[str, object]) -> NDArray[np.float32]:
        """What the encoders alone make of a record, shape (encoded_sources,).

        Each number depends on one input column, so that rows of two records can be mixed column by column.
        """
        out = np.zeros(self._encoded, np.float32)
        for encoder, place in self._places:
            encoder.write_record(values, out[place])
        return out

    def finish(self, encoded: FloatMatrix) -> FloatMatrix:
        """The matrix of encoded rows: `transform` is `finish` of what the encoders write."""
        return self._select(self._project(encoded))

    @cached_property
    def encoded_sources(self) -> tuple[str, ...]:
        """Input column of each number that the encoders write."""
        return tuple(column.source for encoder, _ in self._places for column in encoder.columns)

    def view(self, name: str) -> NDArray[np.int64]:
        """Indices of the columns that a view shows.

        `all`: every column. `linear`: no SVD, which n-grams make redundant. `dense`: no n-grams and no rank
        copies, for trees and for models that want few columns. A view that would be empty shows all.

        Raises:
            LearningError: no view has that name.
        """
        if name not in _HIDDEN:
            raise LearningError(f"no view is called {name!r}", remedy=f"Views: {', '.join(_HIDDEN)}")
        shown = [i for i, block in enumerate(self.blocks) if block not in _HIDDEN[name]]
        return np.array(shown or range(len(self.blocks)), np.int64)

    def save(self, folder: Path) -> None:
        """Write features.json and features.npz; equal assemblers give equal bytes."""
        arrays: dict[str, NDArray[Any]] = {}
        listed = []
        for number, (name, encoder) in enumerate(self._encoders):
            state, held = encoder.state()
            listed.append({"modality": name, **state})
            arrays |= {f"{number}.{key}": value for key, value in held.items()}
        if self._projection is not None:
            arrays |= {f"projection.{key}": value for key, value in self._projection.arrays().items()}
        if self._kept is not None:
            arrays["kept"] = self._kept
        projection = None if self._projection is None else self._projection.kind
        content = {"format": FORMAT, "encoders": listed, "projection": projection}
        write_text(
            folder / JSON_FILE, json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
        )
        write_bytes(folder / ARRAYS_FILE, pack_arrays(arrays))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            PackageError: a file is missing, damaged or of another format.
        """
        path = folder / JSON_FILE
        remedy = "Take an undamaged copy of the package, or run the study again"
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["format"] != FORMAT:
                raise PackageError(f"features of format {content['format']}, not {FORMAT}", where=str(path))
            arrays = read_arrays(folder / ARRAYS_FILE)
            encoders = []
            for number, state in enumerate(content["encoders"]):
                held = _under(f"{number}.", arrays)
                encoders.append(
                    (state["modality"], MODALITIES[state["modality"]].encoder.from_state(state, held))
                )
            projection = None
            if content["projection"] is not None:
                projection = Projection.from_arrays(content["projection"], _under("projection.", arrays))
            return cls(encoders, projection, arrays.get("kept"))
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise PackageError(
                f"cannot be read as features ({type(error).__name__})", where=str(path), remedy=remedy
            ) from None

    def _finish(
        self, study: Study, sample: Sample, crossed: CrossFitted, seed: int
    ) -> tuple[Self, FloatMatrix]:
        """Put the cross-fitted values in place, then learn projection and selection on that matrix."""
        matrix = self._encode(sample.frame)
        for index, values in crossed.items():
            matrix[:, index] = values
        projection, kept = None, None
        if study.features.reduce != "none":
            columns = self._full_columns()
            shown = np.array([i for i, c in enumerate(columns) if c.block != "ngrams"], np.int64)
            projection, projected = Projection.fit(
                study.features.reduce, matrix, shown, sample, components=study.features.components, seed=seed
            )
            matrix = np.hstack([matrix, projected])
        if study.features.select is not None and study.features.select < matrix.shape[1]:
            kept = select_columns(matrix, sample.labels, study.features.select)
            matrix = np.ascontiguousarray(matrix[:, kept])
        return type(self)(self._encoders, projection, kept), matrix

    def _encode(self, frame: pl.DataFrame) -> FloatMatrix:
        out = np.zeros((frame.height, self._encoded), np.float32)
        for encoder, place in self._places:
            encoder.write(frame, out[:, place])
        return out

    def _project(self, matrix: FloatMatrix) -> FloatMatrix:
        return matrix if self._projection is None else np.hstack([matrix, self._projection.project(matrix)])

    def _select(self, matrix: FloatMatrix) -> FloatMatrix:
        return matrix if self._kept is None else np.ascontiguousarray(matrix[:, self._kept])

    def _full_columns(self) -> list[FeatureColumn]:
        columns = [column for encoder, _ in self._places for column in encoder.columns]
        return columns if self._projection is None else [*columns, *self._projection.columns]


def _bound_terms(study: Study, features: Features, rows: int) -> Features:
    """The features, with fewer n-grams where the dense matrix would pass `NGRAM_BYTES`.

    What fits is shared out evenly over text columns and kinds of n-grams; never fewer than 100 each.
    """
    text = features.text
    columns = sum(column.type == "text" for column in study.features_columns.values())
    kinds = columns * ((text.words > 0) + (text.characters > 0))
    if not kinds:
        return features
    most = max(100, NGRAM_BYTES // (4 * max(rows, 1) * kinds))
    bounded = text.model_copy(update={"max_terms": min(text.max_terms, most)})
    return features.model_copy(update={"text": bounded})


def _share_out(columns: Mapping[str, Column]) -> list[tuple[str, dict[str, Column]]]:
    """The columns of each encoder to be."""
    shared: list[tuple[str, dict[str, Column]]] = []
    for name, modality in MODALITIES.items():
        mine = {key: column for key, column in columns.items() if column.type in modality.types}
        if modality.each:
            shared.extend((name, {key: column}) for key, column in mine.items())
        elif mine:
            shared.append((name, mine))
    return shared


def _distinct(names: list[str]) -> tuple[str, ...]:
    """The names, with a number after those that stand twice (a column may be called `age missing`)."""
    taken: set[str] = set()
    for index, name in enumerate(names):
        fresh, number = name, 2
        while fresh in taken:
            fresh, number = f"{name} ({number})", number + 1
        taken.add(fresh)
        names[index] = fresh
    return tuple(names)


def _under(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}
