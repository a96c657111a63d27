"""The encoder of what was described: sounds, images, and texts by a sentence model."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse
from threadpoolctl import threadpool_limits

from galeno.features.describer import unpack
from galeno.features.encoder import DESCRIPTION, Arrays, CrossFitted, FeatureColumn, Sample, column_or_nulls
from galeno.features.layout import Stretch, image_layout, sound_layout, text_layout
from galeno.features.projection import main_directions
from galeno.recipes import Features
from galeno.records import FloatMatrix
from galeno.study import Column

_CONSTANT = 1e-6
"""Numbers that vary less than this say nothing."""
_FAR = 4.0
"""Standard deviations beyond which a number is taken for no farther away."""


class _Directions(NamedTuple):
    """From numbers of one kind to their main directions."""

    center: NDArray[np.float32]
    scale: NDArray[np.float32]
    weights: NDArray[np.float32]
    """Shape (numbers, directions)."""

    def project(self, numbers: NDArray[np.float32]) -> NDArray[np.float32]:
        """Shape (rows, directions)."""
        held = np.clip((numbers - self.center) * self.scale, -_FAR, _FAR)
        # Sparse times dense adds in the same order for one row and for many; a matrix product need not.
        made: NDArray[np.float32] = sparse.csr_array(held) @ self.weights
        return made


class DescribedEncoder:
    """Main directions (PCA) of each kind of numbers, and tensors for networks as they are.

    Numbers are standardised before, and held within _FAR; each kind weighs the same, however many numbers it
    has, and all directions together have mean square 1. A row without a description is all zeros, and marked
    where fitting rows had such.

    Args:
        source: the column.
        kind: its type.
        stretches: how its descriptions are laid out.
        maps: of each stretch without a tensor.
        marks_missing: whether missing ones are marked.
    """

    def __init__(
        self,
        source: str,
        kind: str,
        stretches: Sequence[Stretch],
        maps: Sequence[_Directions],
        *,
        marks_missing: bool,
    ) -> None:
        self._source, self._kind, self._stretches = source, kind, tuple(stretches)
        self._maps, self._marks_missing = tuple(maps), marks_missing
        self._width = max((stretch.stop for stretch in stretches), default=0)
        self.columns: tuple[FeatureColumn, ...] = self._name_columns()

    @classmethod
    def fit(
        cls, columns: Mapping[str, Column], sample: Sample, features: Features, seed: int, threads: int
    ) -> tuple[Self, CrossFitted]:
        """Learn the directions from the sample's rows alone."""
        del seed, threads
        ((source, column),) = columns.items()
        given = _read(sample.frame, source)
        length = next((len(each) // 4 for each in given if each is not None), 0)
        stretches = _lay_out(column.type, features, length)
        numbers, there = unpack(given, length)
        most = features.image.components if column.type == "image" else features.audio.components
        if column.type == "text":
            most = length
        maps = _learn_directions(
            [numbers[there, stretch.start : stretch.stop] for stretch in stretches if not stretch.tensor],
            most,
        )
        marks = bool(there.any() and not there.all())
        return cls(source, column.type, stretches, maps, marks_missing=marks), {}

    def write(self, frame: pl.DataFrame, out: FloatMatrix) -> None:
        """Write every row of the frame."""
        self._write(_read(frame, self._source), out)

    def write_record(self, values: Mapping[str, object], out: NDArray[np.float32]) -> None:
        """Write one record."""
        self._write([values.get(f"{self._source}{DESCRIPTION}")], out[np.newaxis])

    def write_records(self, records: Sequence[Mapping[str, object]], out: FloatMatrix) -> None:
        """Write several records."""
        self._write([values.get(f"{self._source}{DESCRIPTION}") for values in records], out)

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """All it learned."""
        state = {
            "source": self._source,
            "kind": self._kind,
            "marks_missing": self._marks_missing,
            "stretches": [[s.name, s.start, s.stop, list(s.tensor)] for s in self._stretches],
        }
        arrays: Arrays = {}
        for number, directions in enumerate(self._maps):
            arrays |= {f"{name}{number}": value for name, value in directions._asdict().items()}
        return state, arrays

    @classmethod
    def from_state(cls, state: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The encoder that `state` came from."""
        stretches = [Stretch(name, a, b, tuple(shape)) for name, a, b, shape in state["stretches"]]
        count = sum(not stretch.tensor for stretch in stretches)
        maps = [
            _Directions(*(arrays[f"{name}{number}"] for name in _Directions._fields))
            for number in range(count)
        ]
        return cls(state["source"], state["kind"], stretches, maps, marks_missing=state["marks_missing"])

    def _write(self, descriptions: Sequence[Any], out: FloatMatrix) -> None:
        if not self._stretches:  # no row that it learned from had one
            return
        numbers, there = unpack(descriptions, self._width)
        at, maps = 0, iter(self._maps)
        for stretch in self._stretches:
            here = numbers[:, stretch.start : stretch.stop]
            made = here if stretch.tensor else next(maps).project(here) * there[:, np.newaxis]
            out[:, at : at + made.shape[1]] = made
            at += made.shape[1]
        if self._marks_missing:
            out[:, at] = ~there

    def _name_columns(self) -> tuple[FeatureColumn, ...]:
        source, maps = self._source, iter(self._maps)
        named: list[FeatureColumn] = []
        for stretch in self._stretches:
            if stretch.tensor:
                count = stretch.stop - stretch.start
                named += [
                    FeatureColumn(f"{source} {stretch.name} {i + 1}", source, "tensor") for i in range(count)
                ]
            else:
                count = next(maps).weights.shape[1]
                named += [
                    FeatureColumn(f"{source} {stretch.name} {i + 1}", source, "media") for i in range(count)
                ]
        if self._marks_missing:
            named.append(FeatureColumn(f"{source} missing", source, "table"))
        return tuple(named)


def _read(frame: pl.DataFrame, source: str) -> list[bytes | None]:
    return column_or_nulls(frame, f"{source}{DESCRIPTION}", pl.Binary()).to_list()


def _lay_out(kind: str, features: Features, length: int) -> tuple[Stretch, ...]:
    """How descriptions of this length are laid out; no row has one where the length is 0."""
    if not length:
        return ()
    if kind == "sound":
        return sound_layout(features.audio)
    if kind == "image":
        bare = image_layout(features.image)[-1].stop
        return image_layout(features.image, length - bare)
    return text_layout(length)


def _learn_directions(kinds: Sequence[NDArray[np.float32]], most: int) -> list[_Directions]:
    """Main directions of each kind of numbers; all together have mean square 1."""
    learned: list[_Directions] = []
    total, columns = 0.0, 0
    for numbers in kinds:
        x = numbers.astype(np.float64)
        center, spread = x.mean(axis=0), x.std(axis=0)
        scale = np.where(spread > _CONSTANT, 1 / np.maximum(spread, _CONSTANT), 0.0)
        held = np.clip((x - center) * scale, -_FAR, _FAR)
        with threadpool_limits(limits=1):  # so that the bits do not depend on how many there are
            turn = main_directions(held - held.mean(axis=0), most) / np.sqrt(max(x.shape[1], 1))
        total += float(((held @ turn) ** 2).sum()) / max(len(x), 1)
        columns += turn.shape[1]
        learned.append(_Directions(*(part.astype(np.float32) for part in (center, scale, turn))))
    size = np.float32(np.sqrt(total / columns) if total else 1.0)
    return [one._replace(weights=one.weights / size) for one in learned]
