"""What every encoder is: fitted on some rows, it turns any record into numbers.

One class per modality follows the protocol `Encoder` and is named in `assemble.MODALITIES`. What can be said
of a sound, an image or a text alone is said before, by the `describer`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from galeno.recipes import Features
from galeno.records import FloatMatrix, Labels, owner_column
from galeno.study import Column

Block = Literal["table", "copies", "ngrams", "svd", "media", "tensor", "projection", "late"]
"""What kind of numbers a feature column holds; views of the matrix are made of blocks."""
DESCRIPTION = "\x1fdescription"
"""What follows a column's name in the name of its descriptions (see `describer`)."""
Arrays = dict[str, NDArray[Any]]
"""Named arrays of an encoder's state; the rest of the state is JSON."""
CrossFitted = dict[int, NDArray[np.float32]]
"""For the fitting rows alone: column index to values made without the row's own label."""


class FeatureColumn(NamedTuple):
    """One column of the matrix."""

    name: str
    source: str
    """Input column that it is made of; empty for a projection of many."""
    block: Block


@dataclass(frozen=True, slots=True)
class Sample:
    """The rows that encoders learn from, and no others."""

    frame: pl.DataFrame
    labels: Labels
    """Class index of each row; rows with -1 teach nothing about classes."""
    classes: int
    patients: NDArray[np.int64]
    """A number for each patient, from 0 without gaps, shape (rows,); cross-fitting goes by patient."""

    @classmethod
    def of(cls, frame: pl.DataFrame, labels: Labels, classes: int) -> Self:
        """Number the patients of a frame, those who share a file as one; without any every row is one."""
        who = owner_column(frame.columns)
        if who in frame.columns:
            _, patients = np.unique(frame[who].cast(pl.String).fill_null("").to_numpy(), return_inverse=True)
        else:
            patients = np.arange(frame.height)
        return cls(frame, np.asarray(labels, np.int64), classes, patients.astype(np.int64))

    def fewest_patients(self) -> int:
        """Patients that a word or level needs to be learned: 2, from 5,000 patients on 3, from 20,000 on 5.

        What fewer have teaches little, and may tell who a patient is; it must not go into a package.
        """
        patients = int(self.patients.max(initial=-1)) + 1
        return 2 if patients < 5_000 else 3 if patients < 20_000 else 5


class Encoder(Protocol):
    """From record to numbers. An encoder holds no rows, and learns only in `fit`."""

    @classmethod
    def fit(
        cls, columns: Mapping[str, Column], sample: Sample, features: Features, seed: int, threads: int
    ) -> tuple[Self, CrossFitted]:
        """Learn from the sample's rows alone."""
        ...

    @property
    def columns(self) -> tuple[FeatureColumn, ...]:
        """What it writes, in order."""
        ...

    def write(self, frame: pl.DataFrame, out: FloatMatrix) -> None:
        """Write every row of the frame into `out`, zeros of shape (rows, columns)."""
        ...

    def write_record(self, values: Mapping[str, object], out: NDArray[np.float32]) -> None:
        """Write one record into `out`, zeros of shape (columns,); equal to `write` bit by bit."""
        ...

    def write_records(self, records: Sequence[Mapping[str, object]], out: FloatMatrix) -> None:
        """Write records into `out`, zeros of shape (records, columns); each row equal to `write_record`."""
        ...

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """All it learned, as JSON values and arrays."""
        ...

    @classmethod
    def from_state(cls, state: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The encoder that `state` came from."""
        ...


def column_or_nulls(frame: pl.DataFrame, name: str, dtype: pl.DataType | type[pl.DataType]) -> pl.Series:
    """The column in the type that encoders work with; nulls where the frame has no such column."""
    if name not in frame.columns:
        return pl.Series(name, [None] * frame.height, dtype=dtype)
    series = frame[name]
    return series if series.dtype == dtype else series.cast(dtype)
