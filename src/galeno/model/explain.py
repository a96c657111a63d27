"""Why a condition has its probability: SHAP values of the input columns, and of the modalities.

The Shapley value of a column is what the probability gains when the column takes the record's value instead
of the reference's, averaged over all orders in which the columns could have been told (Lundberg and Lee, A
unified approach to interpreting model predictions, NIPS 2017, with one reference record). Up to EXACT columns
that differ from the reference, all their sets are asked; above, random orders and their reverses are (Castro,
Gómez and Tejada, Computers & OR 2009; antithetic pairs: Mitchell et al., Sampling permutations for Shapley
value estimation, JMLR 2022). Either way the columns add up to exactly the difference to the reference.

It asks the same encoders, graphs and calibration that answer; nothing is approximated by another model.
"""

from collections.abc import Mapping
from datetime import datetime
from math import comb, fsum

import numpy as np
from numpy.typing import NDArray

from galeno.features.assemble import MODALITY_OF
from galeno.ingest.values import Value
from galeno.model.ensemble import SMALL
from galeno.model.model import Model
from galeno.records import Contribution, Explanation, ModalityShare, Probabilities

EXACT = 8
"""Up to so many columns that differ from the reference, every set of them is asked."""
_NUMBERS = 4_000_000
"""Numbers of the feature matrix that are held at a time."""

Sets = NDArray[np.bool_]
"""Which columns take the record's value, shape (sets, columns)."""


def explain(
    model: Model, record: Mapping[str, object], *, conditions: int = 3, permutations: int = 16, seed: int
) -> tuple[Explanation, ...]:
    """Explain the first conditions of a diagnosis. The same arguments give the same answer.

    Args:
        model: what answered.
        record: column to raw value, as in `Model.diagnose`.
        conditions: how many conditions, in the order of the diagnosis.
        permutations: orders of the columns that are tried, rounded up to pairs; more are more precise.
        seed: of the orders.

    Returns:
        for each condition base + contributions = probability. A column that the model does not use, or that
        has the reference's value, contributes 0.
    """
    typed, _ = model.contract.answer_record(record)
    values = model.describer.describe_record(typed)
    reference = reference_record(model)
    names = _differing(model, values, reference)
    game = _Game(model, values, reference, names)
    if len(names) <= EXACT:
        shares = _exact(game, len(names))
        method = "shapley_exact"
    else:
        pairs = -(-permutations // 2)
        shares = _sampled(game, len(names), pairs, seed)
        method = f"shapley_sampling_{2 * pairs}"
    p = model.answer_matrix(model.assembler.transform_record(values)[np.newaxis])
    shown = {name: _shown(values[name]) for name in model.study.features_columns}
    explained = []
    for c in model.decision.order(p)[0, :conditions].tolist():
        gains = dict(zip(names, shares[:, c].tolist(), strict=True))
        told = [Contribution(name, value, gains.get(name, 0.0)) for name, value in shown.items()]
        told.sort(key=lambda one: -abs(one.contribution))
        # Sums of float32 scores differ in their last bits between one row and many; the base takes them up.
        base = float(p[0, c]) - fsum(gains.values())
        explained.append(
            Explanation(
                model.classes[c], base, float(p[0, c]), tuple(told), method, _by_modality(model, gains)
            )
        )
    return tuple(explained)


def _by_modality(model: Model, gains: Mapping[str, float]) -> tuple[ModalityShare, ...]:
    """Shapley values add up: what a modality did is what its columns did."""
    columns = model.study.features_columns
    shares: dict[str, float] = {MODALITY_OF[column.type]: 0.0 for column in columns.values()}
    for name, gain in gains.items():
        shares[MODALITY_OF[columns[name].type]] += gain
    told = [ModalityShare(name, gain) for name, gain in shares.items()]
    return tuple(sorted(told, key=lambda one: -abs(one.contribution)))


def reference_record(model: Model) -> dict[str, Value]:
    """The record that explanations start from, typed: medians and most frequent values of the training rows.

    Texts and dates, whose values no statistic keeps, are missing.
    """
    known = model.reference.columns
    return {name: _typical(known.get(name, {})) for name in model.study.features_columns}


def _typical(summary: Mapping[str, object]) -> Value:
    kind = summary.get("type")
    if kind == "number":
        return _median(summary)
    if kind == "flag" and isinstance(share := summary.get("true"), float):
        return share >= 0.5
    if kind == "category" and isinstance(levels := summary.get("levels"), Mapping) and levels:
        return str(max(levels, key=lambda level: levels[level]))
    return None


def _median(summary: Mapping[str, object]) -> float | None:
    """The border at which half of the histogram is reached."""
    edges, counts = summary["edges"], summary["counts"]
    if not isinstance(edges, list) or not isinstance(counts, list) or not edges:
        return None
    place = int(np.searchsorted(np.cumsum(counts), sum(counts) / 2, side="right"))
    return float(edges[min(max(place - 1, 0), len(edges) - 1)])


def _differing(model: Model, values: Mapping[str, Value], reference: Mapping[str, Value]) -> list[str]:
    """Columns that reach the features and have not the reference's value, in the study's order."""
    used = set(model.assembler.encoded_sources)
    return [name for name in model.study.features_columns if name in used and values[name] != reference[name]]


class _Game:
    """What the model answers when some columns take the record's values and the others the reference's."""

    def __init__(
        self, model: Model, values: Mapping[str, Value], reference: Mapping[str, Value], names: list[str]
    ) -> None:
        self._model = model
        self.classes = len(model.classes)
        self._record = model.assembler.encode_record(values)
        self._reference = model.assembler.encode_record(reference)
        places = {name: place for place, name in enumerate(names)}
        sources = [places.get(source, -1) for source in model.assembler.encoded_sources]
        self._differs = np.flatnonzero(self._record != self._reference)
        # Features that are equal in both need no column of their own: any of them will do.
        self._source = np.array(sources, np.int64)[self._differs]

    def ask(self, sets: Sets) -> Probabilities:
        """Probabilities for each set of columns, shape (sets, classes); equal sets are asked once."""
        distinct, place = np.unique(np.packbits(sets, axis=1), axis=0, return_inverse=True)
        chosen = np.unpackbits(distinct, axis=1, count=sets.shape[1]).astype(bool)
        answers = np.empty((len(chosen), self.classes))
        # Small batches are answered by the graphs, as one record is; large ones might load a booster.
        size = min(SMALL, max(1, _NUMBERS // max(len(self._record), 1)))
        for start in range(0, len(chosen), size):
            answers[start : start + size] = self._ask_few(chosen[start : start + size])
        return answers[place.reshape(-1)]

    def _ask_few(self, sets: Sets) -> Probabilities:
        matrix = np.tile(self._reference, (len(sets), 1))
        here = self._differs
        matrix[:, here] = np.where(sets[:, self._source], self._record[here], self._reference[here])
        return self._model.answer_matrix(self._model.assembler.finish(matrix))


def _exact(game: _Game, n: int) -> Probabilities:
    """Shapley values from all sets, shape (n, classes)."""
    if not n:
        return np.empty((0, game.classes))
    sets = (np.arange(2**n)[:, np.newaxis] >> np.arange(n) & 1).astype(bool)
    answers = game.ask(sets)
    sizes = sets.sum(axis=1)
    values = np.empty((n, answers.shape[1]))
    for column in range(n):
        without = np.flatnonzero(~sets[:, column])
        gains = answers[without + 2**column] - answers[without]
        weights = np.array([1 / (n * comb(n - 1, size)) for size in sizes[without].tolist()])
        values[column] = weights @ gains
    return values


def _sampled(game: _Game, n: int, pairs: int, seed: int) -> Probabilities:
    """Shapley values from random orders and their reverses, shape (n, classes)."""
    rng = np.random.default_rng(seed)
    forward = [rng.permutation(n) for _ in range(pairs)]
    orders = np.array([order for one in forward for order in (one, one[::-1])])
    rank = np.argsort(orders, axis=1)
    # Of an order the k-th set holds its first k columns, k from 0 to n.
    sets = rank[:, np.newaxis, :] < np.arange(n + 1)[np.newaxis, :, np.newaxis]
    answers = game.ask(sets.reshape(-1, n)).reshape(len(orders), n + 1, -1)
    gains = np.diff(answers, axis=1)
    values: Probabilities = np.take_along_axis(gains, rank[:, :, np.newaxis], axis=1).mean(axis=0)
    return values


def _shown(value: Value) -> str | float | bool | None:
    if isinstance(value, bytes):
        return f"{len(value) / 1024:.0f} KiB"
    return value.isoformat() if isinstance(value, datetime) else value
