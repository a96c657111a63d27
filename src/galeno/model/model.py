"""A trained model: from a raw record to a diagnosis, and from a frame of them to a frame of answers."""

from collections.abc import Mapping, Sequence
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from galeno.features.assemble import MODALITIES
from galeno.ingest.contract import Contract
from galeno.ingest.values import Value
from galeno.model.ensemble import CHUNK
from galeno.model.parts import ModelParts
from galeno.records import Diagnosis, FloatMatrix, Labels, Probabilities, RankedCondition
from galeno.storage.packages import MANIFEST, read_manifest
from galeno.storage.packages import verify as check_files

DESCRIBED_CHUNK = 256
"""Rows answered at a time where sounds, images or texts are described for them."""


class Model:
    """What answers.

    Args:
        parts: everything that was fitted.
        package_sha256: hash of the package that it was loaded from.
        version: registry version, where it came from the registry.
    """

    def __init__(self, parts: ModelParts, *, package_sha256: str = "", version: str | None = None) -> None:
        self.parts = parts
        self.study = parts.study
        self.classes = parts.study.class_names
        self.contract = Contract(parts.study)
        self.assembler = parts.assembler
        self.describer = parts.describer
        self.ensemble = parts.ensemble
        self.calibration = parts.calibration
        self.decision = parts.decision
        self.conformal = parts.conformal
        self.reference = parts.reference
        self.package_sha256 = package_sha256
        self.version = version

    @classmethod
    def load(cls, folder: Path, *, threads: int = 1, verify: bool = True) -> Self:
        """Load a package.

        Args:
            folder: of the package.
            threads: of each inference session.
            verify: check every file's hash first.

        Raises:
            PackageError: no package there, a changed file, or another format.
        """
        sha256 = ""
        if verify or (folder / MANIFEST).exists():
            sha256 = (check_files(folder) if verify else read_manifest(folder)).package_sha256
        return cls(ModelParts.load(folder, threads=threads), package_sha256=sha256)

    def with_version(self, version: str) -> Self:
        """The same model, which names its registry version in every diagnosis."""
        named = copy(self)
        named.version = version
        return named

    def save_parts(self, folder: Path) -> tuple[str, ...]:
        """Write everything that the model needs to answer; sealing is left to the caller.

        Returns:
            Names of the files written, relative to the folder: the package's identity.
        """
        return self.parts.save(folder)

    def probabilities(self, frame: pl.DataFrame) -> Probabilities:
        """Calibrated probabilities of typed records (as `contract.answer` gives them).

        Returns:
            float64, shape (rows, classes).
        """
        answers = np.empty((frame.height, len(self.classes)))
        chunk = DESCRIBED_CHUNK if self.describer.columns else CHUNK
        for start in range(0, frame.height, chunk):
            matrix = self.assembler.transform(self.describer.describe_frame(frame.slice(start, chunk)))
            answers[start : start + chunk] = self.answer_matrix(matrix)
        return answers

    def answer_matrix(self, matrix: FloatMatrix) -> Probabilities:
        """Calibrated probabilities of feature rows (as `assembler.transform` gives them).

        Returns:
            float64, shape (rows, classes).
        """
        return self.calibration.apply(self.ensemble.probabilities(matrix))

    def diagnose(self, record: Mapping[str, object]) -> Diagnosis:
        """Answer one record.

        Args:
            record: column to raw value, as a form or a hospital's system gives it; columns that are not
                there are missing, columns that the study does not know are ignored.
        """
        return self.diagnose_typed(*self.contract.answer_record(record))

    def diagnose_typed(self, values: Mapping[str, Value], faults: tuple[str, ...] = ()) -> Diagnosis:
        """Answer one typed record.

        Args:
            values: every feature column to its typed value, None where missing (as `contract.answer_record`
                gives them).
            faults: reasons to review it that were found when it was typed.
        """
        row = self.assembler.transform_record(self.describer.describe_record(values))[np.newaxis]
        return self._conclude(self.answer_matrix(row)[0].tolist(), values, faults)

    def diagnose_many(self, typed: Sequence[tuple[Mapping[str, Value], tuple[str, ...]]]) -> list[Diagnosis]:
        """Answer several typed records at once, each as `diagnose_typed` does; cheaper than one by one.

        Args:
            typed: values and faults of each, as `diagnose_typed` takes them.
        """
        if len(typed) == 1:
            return [self.diagnose_typed(*typed[0])]
        matrix = self.assembler.transform_records([self.describer.describe_record(v) for v, _ in typed])
        shares = self.answer_matrix(matrix).tolist()
        return [self._conclude(row, *each) for row, each in zip(shares, typed, strict=True)]

    def _conclude(
        self, shares: list[float], values: Mapping[str, Value], faults: tuple[str, ...]
    ) -> Diagnosis:
        """From the probability of each class to the diagnosis."""
        order = self.decision.order_one(shares)
        inside = self.conformal.conforming_one(shares)
        none = not any(inside)
        inside[order[0]] = True
        reasons = self._judge(shares[order[0]], sum(inside), none)
        reasons += [*faults, *self._compare(values, faults)]
        return Diagnosis(
            condition=self.classes[order[0]],
            ranking=tuple(RankedCondition(self.classes[c], shares[c]) for c in order),
            not_ruled_out=tuple(name for name, within in zip(self.classes, inside, strict=True) if within),
            needs_review=bool(reasons),
            reasons=tuple(reasons),
            study=self.study.name,
            package_sha256=self.package_sha256,
            version=self.version,
        )

    def answer_frame(
        self, frame: pl.DataFrame, faults: Sequence[tuple[str, ...]] | None = None
    ) -> pl.DataFrame:
        """Answer raw records; row by row the same as `diagnose`.

        Args:
            frame: raw columns, of any types.
            faults: for each row, reasons to review it that were found before.

        Returns:
            condition, probability, `p_<class>` for each class, not_ruled_out and reasons (joined by `|`),
            needs_review; as many rows as came in, in their order.
        """
        parts = [
            self._answer_chunk(frame.slice(start, CHUNK), faults and faults[start : start + CHUNK])
            for start in range(0, max(frame.height, 1), CHUNK)
        ]
        return pl.concat(parts)

    def conforming(self, probabilities: Probabilities) -> NDArray[np.bool_]:
        """Conditions that conform to the study's coverage, before the answer is taken in; (rows, classes)."""
        return self.conformal.conforming(probabilities)

    def _answer_chunk(self, raw: pl.DataFrame, before: Sequence[tuple[str, ...]] | None) -> pl.DataFrame:
        typed, faults = self.contract.answer(raw)
        if before is not None:
            faults = [(*first, *then) for first, then in zip(before, faults, strict=True)]
        p = self.probabilities(typed)
        answers = self.decision.answers(p)
        rows = np.arange(len(p))
        inside = self.conforming(p)
        none = np.logical_not(inside.any(axis=1))
        inside[rows, answers] = True
        chosen = p[rows, answers]
        reasons = self._reasons(typed, faults, chosen, inside.sum(axis=1), none)
        names = pl.Series("condition", self.classes, dtype=pl.String)
        return pl.DataFrame(
            [
                names.gather(answers),
                pl.Series("probability", chosen),
                *(pl.Series(f"p_{name}", p[:, c]) for c, name in enumerate(self.classes)),
                _join_sets(inside, self.classes),
                pl.Series("needs_review", reasons != ""),
                reasons,
            ]
        )

    def _reasons(
        self,
        typed: pl.DataFrame,
        faults: Sequence[tuple[str, ...]],
        chosen: NDArray[np.float64],
        sizes: Labels,
        none: NDArray[np.bool_],
    ) -> pl.Series:
        low = chosen < self.study.evaluation.review_below
        code = low * 1 + (sizes > 1) * 2 + none * 4
        texts = [
            "|".join(self._judge(0.0 if c & 1 else 2.0, 2 if c & 2 else 1, bool(c & 4))) for c in range(8)
        ]
        judged = pl.Series(texts).gather(code)
        special: dict[int, list[str]] = {row: list(found) for row, found in enumerate(faults) if found}
        for reason, mask in self._unlike(typed):
            for row in mask.arg_true():
                found = special.setdefault(row, [])
                if reason not in found:
                    found.append(reason)
        if special:
            places = list(special)
            added = pl.Series(["|".join(found) for found in special.values()])
            before = judged.gather(places)
            judged = judged.scatter(places, (before + pl.select(_bar(before)).to_series() + added))
        return judged.alias("reasons")

    def _judge(self, probability: float, size: int, none: bool) -> list[str]:
        reasons = []
        if probability < self.study.evaluation.review_below:
            reasons.append("low_confidence")
        if size > 1:
            reasons.append("several_not_ruled_out")
        if none:
            reasons.append("none_not_ruled_out")
        return reasons

    def _compare(self, values: Mapping[str, Any], faults: tuple[str, ...]) -> list[str]:
        """How a typed record is unlike the training records."""
        reasons = []
        for name, low, high, reason in self._ranges:
            value = values[name]
            if value is not None and not low <= value <= high and reason not in faults:
                reasons.append(reason)
        for reason, columns in self._modalities:
            if all(values[column] is None for column in columns):
                reasons.append(reason)
        return reasons

    def _unlike(self, typed: pl.DataFrame) -> list[tuple[str, pl.Series]]:
        """Each way to be unlike the training records, with the rows that are, shape (rows,)."""
        ranges = [~pl.col(name).is_between(low, high) for name, low, high, _ in self._ranges]
        absences = [pl.all_horizontal(pl.col(columns).is_null()) for _, columns in self._modalities]
        reasons = [reason for *_, reason in self._ranges] + [reason for reason, _ in self._modalities]
        masks = typed.select(
            mask.fill_null(value=False).alias(str(i)) for i, mask in enumerate(ranges + absences)
        )
        return [(reason, mask) for reason, mask in zip(reasons, masks, strict=True) if mask.any()]

    @cached_property
    def _ranges(self) -> list[tuple[str, float, float, str]]:
        known = self.study.features_columns
        ranges = self.reference.ranges.items()
        return [(name, low, high, f"out_of_range:{name}") for name, (low, high) in ranges if name in known]

    @cached_property
    def _modalities(self) -> list[tuple[str, list[str]]]:
        columns = self.study.features_columns.items()
        found = [
            (f"missing:{name}", [key for key, column in columns if column.type in modality.types])
            for name, modality in MODALITIES.items()
        ]
        return [(reason, names) for reason, names in found if names]


def _join_sets(inside: NDArray[np.bool_], classes: tuple[str, ...]) -> pl.Series:
    """The names of each row's set, joined; there are far fewer different sets than rows."""
    packed = np.packbits(inside, axis=1)
    whole = np.zeros((len(packed), -(-packed.shape[1] // 8) * 8), dtype=np.uint8)
    whole[:, : packed.shape[1]] = packed
    words, place = np.unique(whole.view(np.uint64), axis=0, return_inverse=True)
    sets = np.unpackbits(words.view(np.uint8), axis=1, count=len(classes)).astype(bool)
    names = np.array(classes, dtype=object)
    joined = ["|".join(names[chosen]) for chosen in sets]
    return pl.Series("not_ruled_out", joined, dtype=pl.String).gather(place.reshape(-1))


def _bar(before: pl.Series) -> pl.Expr:
    return pl.when(pl.lit(before) == "").then(pl.lit("")).otherwise(pl.lit("|"))
