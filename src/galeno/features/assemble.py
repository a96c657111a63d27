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
from galeno.features.described import DescribedEncoder
from galeno.features.diseases import name_diseases
from galeno.features.encoder import Block, CrossFitted, Encoder, FeatureColumn, Sample
from galeno.features.fusion import SEEN, Fusion, Part
from galeno.features.phenotype import PhenotypeEncoder
from galeno.features.projection import Projection
from galeno.features.selection import select_columns
from galeno.features.state import pack_arrays, read_arrays
from galeno.features.table import TableEncoder
from galeno.features.text import TextEncoder
from galeno.recipes import Features
from galeno.records import FloatMatrix, Labels
from galeno.storage.atomic import write_bytes, write_text
from galeno.study import Column, Study

FORMAT = 1
JSON_FILE = "features.json"
ARRAYS_FILE = "features.npz"
NGRAM_BYTES = 600_000_000
"""Memory that the n-grams of the fitting rows may take."""


class Modality(NamedTuple):
    """One kind of input: the column types it takes, and its encoders."""

    types: frozenset[str]
    encoders: Mapping[str, type[Encoder]]
    """By a name that the package keeps."""
    each: bool
    """One of each a column, instead of one for all columns."""


MODALITIES: dict[str, Modality] = {
    "table": Modality(frozenset({"number", "flag", "category", "date"}), {"table": TableEncoder}, each=False),
    "text": Modality(frozenset({"text"}), {"text": TextEncoder, "sentences": DescribedEncoder}, each=True),
    "phenotype": Modality(frozenset({"terms"}), {"phenotype": PhenotypeEncoder}, each=True),
    "audio": Modality(frozenset({"sound"}), {"audio": DescribedEncoder}, each=True),
    "image": Modality(frozenset({"image"}), {"image": DescribedEncoder}, each=True),
}
MODALITY_OF: Mapping[str, str] = {kind: name for name, one in MODALITIES.items() for kind in one.types}
"""Modality of each column type."""

_SHOWN: Mapping[str, frozenset[Block]] = {
    "all": frozenset({"table", "copies", "ngrams", "svd", "media", "projection"}),
    "linear": frozenset({"table", "copies", "ngrams", "media", "projection"}),
    "dense": frozenset({"table", "svd", "media", "projection"}),
    "late": frozenset({"late"}),
    "fused": frozenset({"table", "svd", "media", "projection", "late"}),
}
"""Views of the matrix, with the blocks of each."""
TENSOR, ONLY = "tensor ", "only "
"""Beginnings of the names of views: of one column's tensors, and of one modality."""


class Assembler:
    """From records to the matrix that every candidate learns on and every answer is made from."""

    def __init__(
        self,
        encoders: Iterable[tuple[str, Encoder]],
        projection: Projection | None = None,
        kept: NDArray[np.int64] | None = None,
        fusion: Fusion | None = None,
    ) -> None:
        """Join encoders.

        Args:
            encoders: name and encoder, in the order of their columns.
            projection: appended after them.
            fusion: appended after that.
            kept: indices of the columns that selection kept; None keeps all.
        """
        self._encoders = tuple(encoders)
        self._projection = projection
        self._fusion = fusion
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
        for name, made_by, columns in _share_out(study.features_columns):
            if name == "sentences" and not features.text.model:
                continue
            encoder, replaced = made_by.fit(columns, sample, features, seed, threads)
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
        if self._projection is None and self._fusion is None and self._kept is None:
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
        parts = [encoded]
        if self._projection is not None:
            parts.append(self._projection.project(encoded))
        if self._fusion is not None:
            parts.append(self._fusion.say(encoded))
        return self._select(np.hstack(parts) if len(parts) > 1 else encoded)

    @cached_property
    def encoded_sources(self) -> tuple[str, ...]:
        """Input column of each number that the encoders write."""
        return tuple(column.source for encoder, _ in self._places for column in encoder.columns)

    def view(self, name: str) -> NDArray[np.int64]:
        """Indices of the columns that a view shows.

        `all`: every number that is one by itself. `linear`: no SVD, which n-grams make redundant. `dense`: no
        n-grams and no rank copies, for trees and for models that want few columns. `late`: what each modality
        says by itself. `fused`: both `dense` and `late`. `only MODALITY`: what `all` shows of one modality.
        `tensor COLUMN`: what a network takes of a column. A view that would be empty shows `all`.

        Raises:
            LearningError: no view has that name.
        """
        if name.startswith(TENSOR):
            source = name.removeprefix(TENSOR)
            told = zip(self.blocks, self.sources, strict=True)
            return np.array([i for i, one in enumerate(told) if one == ("tensor", source)], np.int64)
        if name.startswith(ONLY):
            of = [_MODALITY[encoder] for encoder, one in self._encoders for _ in one.columns]
            of += [""] * (len(self._full_columns()) - len(of))
            kept = range(len(of)) if self._kept is None else self._kept.tolist()
            wanted = [of[place] == name.removeprefix(ONLY) for place in kept]
            shown = [i for i, block in enumerate(self.blocks) if wanted[i] and block in _SHOWN["all"]]
        elif name in _SHOWN:
            shown = [i for i, block in enumerate(self.blocks) if block in _SHOWN[name]]
        else:
            raise LearningError(f"no view is called {name!r}", remedy=f"Views: {', '.join(_SHOWN)}")
        shown = shown or [i for i, block in enumerate(self.blocks) if block in _SHOWN["all"]]
        return np.array(shown or range(len(self.blocks)), np.int64)

    @property
    def views(self) -> tuple[str, ...]:
        """Names of the views that there are."""
        sources = dict.fromkeys(s for b, s in zip(self.blocks, self.sources, strict=True) if b == "tensor")
        modalities = dict.fromkeys(_MODALITY[name] for name, _ in self._encoders)
        return (
            *_SHOWN,
            *(f"{ONLY}{modality}" for modality in modalities),
            *(f"{TENSOR}{source}" for source in sources),
        )

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
        if self._fusion is not None:
            content["fusion"], held = self._fusion.state()
            arrays |= {f"fusion.{key}": value for key, value in held.items()}
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
                encoders.append((state["modality"], _ENCODERS[state["modality"]].from_state(state, held)))
            projection = None
            if content["projection"] is not None:
                projection = Projection.from_arrays(content["projection"], _under("projection.", arrays))
            fusion = None
            if content.get("fusion") is not None:
                fusion = Fusion.from_state(content["fusion"], _under("fusion.", arrays))
            return cls(encoders, projection, arrays.get("kept"), fusion)
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise PackageError(
                f"cannot be read as features ({type(error).__name__})", where=str(path), remedy=remedy
            ) from None

    def _finish(
        self, study: Study, sample: Sample, crossed: CrossFitted, seed: int
    ) -> tuple[Self, FloatMatrix]:
        """Put the cross-fitted values in place, then learn projection, fusion and selection on it."""
        matrix = self._encode(sample.frame)
        for index, values in crossed.items():
            matrix[:, index] = values
        projection, fusion, kept = None, None, None
        columns = self._full_columns()
        parts = [matrix]
        if study.features.reduce != "none":
            shown = np.array(
                [i for i, c in enumerate(columns) if c.block not in ("ngrams", "tensor")], np.int64
            )
            projection, projected = Projection.fit(
                study.features.reduce, matrix, shown, sample, components=study.features.components, seed=seed
            )
            parts.append(projected)
        if fuses_late(study):
            fusion, said = Fusion.fit(matrix, self._parts(study), study.class_names, sample, seed)
            parts.append(said)
        matrix = np.hstack(parts) if len(parts) > 1 else matrix
        whole = type(self)(self._encoders, projection, None, fusion)
        told = np.array([i for i, block in enumerate(whole.blocks) if block != "tensor"], np.int64)
        if study.features.select is not None and study.features.select < len(told):
            # what a network takes is nothing by itself: it stays, and does not compete
            chosen = told[select_columns(matrix[:, told], sample.labels, study.features.select)]
            kept = np.union1d(chosen, np.setdiff1d(np.arange(matrix.shape[1]), told))
            matrix = np.ascontiguousarray(matrix[:, kept])
            whole = type(self)(self._encoders, projection, kept, fusion)
        return whole, matrix

    def _parts(self, study: Study) -> list[Part]:
        """The modalities that have columns for an expert to look at."""
        types = study.features_columns
        shown: dict[str, list[int]] = {}
        at = 0
        for _, encoder in self._encoders:
            for column in encoder.columns:
                if column.block in SEEN and not column.name.endswith(" missing"):
                    shown.setdefault(MODALITY_OF[types[column.source].type], []).append(at)
                at += 1
        return [Part(name, np.array(places, np.int64), name == "table") for name, places in shown.items()]

    def _encode(self, frame: pl.DataFrame) -> FloatMatrix:
        out = np.zeros((frame.height, self._encoded), np.float32)
        for encoder, place in self._places:
            encoder.write(frame, out[:, place])
        return out

    def _select(self, matrix: FloatMatrix) -> FloatMatrix:
        return matrix if self._kept is None else np.ascontiguousarray(matrix[:, self._kept])

    def _full_columns(self) -> list[FeatureColumn]:
        columns = [column for encoder, _ in self._places for column in encoder.columns]
        if self._projection is not None:
            columns += self._projection.columns
        return columns if self._fusion is None else [*columns, *self._fusion.columns]


_MODALITY: Mapping[str, str] = {encoder: name for name, one in MODALITIES.items() for encoder in one.encoders}
"""Modality of each encoder."""
_ENCODERS: Mapping[str, type[Encoder]] = {
    name: encoder for one in MODALITIES.values() for name, encoder in one.encoders.items()
}


def fuses_late(study: Study) -> bool:
    """Whether what each modality says by itself is learned too."""
    wanted = study.features.fusion
    if wanted != "auto":
        return wanted != "early"
    modalities = {MODALITY_OF[column.type] for column in study.features_columns.values()}
    return len(modalities) > 1 and bool(modalities & {"audio", "image"})


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


def _share_out(columns: Mapping[str, Column]) -> list[tuple[str, type[Encoder], dict[str, Column]]]:
    """Name, class and columns of each encoder to be."""
    shared: list[tuple[str, type[Encoder], dict[str, Column]]] = []
    for modality in MODALITIES.values():
        mine = {key: column for key, column in columns.items() if column.type in modality.types}
        groups = [{key: column} for key, column in mine.items()] if modality.each else [mine] if mine else []
        shared.extend(
            (name, encoder, group) for group in groups for name, encoder in modality.encoders.items()
        )
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
