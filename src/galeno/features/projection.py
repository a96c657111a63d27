"""Projections appended to the matrix: PCA, LDA, or the discriminant scores of the classes as they are."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from threadpoolctl import threadpool_limits

from galeno.features.crossfit import FOLDS, deal_patients
from galeno.features.encoder import Arrays, FeatureColumn, Sample
from galeno.records import FloatMatrix

_FEWEST = 1e-10
"""Directions with a smaller share of the variance are numerical noise."""


class Projection:
    """A linear map of some columns of the matrix, learned on the fitting rows.

    PCA by singular value decomposition, signs fixed. LDA: discriminant scores with Ledoit-Wolf shrinkage
    of the within-class covariance, turned to their main directions; scores: one a class, without the shares
    of the classes, so that nothing is said where nothing is known. The fitting rows get scores of maps
    learned without their patients.
    """

    def __init__(
        self, kind: str, shown: NDArray[np.int64], weights: NDArray[np.float64], offset: NDArray[np.float64]
    ) -> None:
        """Keep a map.

        Args:
            kind: pca, lda, or scores.
            shown: indices of the columns it looks at.
            weights: shape (shown, components).
            offset: added after the weights, shape (components,).
        """
        self.kind = kind
        self._shown, self._weights, self._offset = shown, weights, offset
        self.columns = tuple(FeatureColumn(f"{kind} {i + 1}", "", "projection") for i in range(len(offset)))

    @classmethod
    def fit(
        cls,
        kind: str,
        matrix: FloatMatrix,
        shown: NDArray[np.int64],
        sample: Sample,
        *,
        components: int,
        seed: int,
    ) -> tuple[Self, FloatMatrix]:
        """Learn the map, and give the columns of the fitting rows, shape (rows, components)."""
        with threadpool_limits(limits=1):  # so that the bits do not depend on how many there are
            x = matrix[:, shown].astype(np.float64)
            if kind == "pca":
                projection = cls(kind, shown, *_learn_pca(x, components))
                return projection, projection.project(matrix)
            shares = kind == "lda"
            weights, offset = _learn_lda(x, sample.labels, sample.classes, shares=shares)
            if kind == "scores":
                turn = np.eye(len(offset))
            else:
                turn = main_directions(x @ weights + offset, min(components, len(offset)))
            projection = cls(kind, shown, weights @ turn, offset @ turn)
            crossed = np.zeros((len(x), turn.shape[1]))
            folds = deal_patients(sample, seed)
            for fold in range(FOLDS):
                inside = folds == fold
                weights, offset = _learn_lda(
                    x[~inside], sample.labels[~inside], sample.classes, shares=shares
                )
                crossed[inside] = (x[inside] @ weights + offset) @ turn
            return projection, _to_float32(crossed)

    def project(self, matrix: FloatMatrix) -> FloatMatrix:
        """The projected columns of any rows, shape (rows, components)."""
        x = matrix[:, self._shown].astype(np.float64)
        # Sparse times dense adds in the same order for one row and for many; a matrix product need not.
        return _to_float32(sparse.csr_array(x) @ self._weights + self._offset)

    def of(self, shown: NDArray[np.int64]) -> Self:
        """The same map for a matrix that has its columns at these places."""
        return type(self)(self.kind, shown, self._weights, self._offset)

    def arrays(self) -> Arrays:
        """All it learned."""
        return {"shown": self._shown, "weights": self._weights, "offset": self._offset}

    @classmethod
    def from_arrays(cls, kind: str, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The projection that `arrays` came from."""
        return cls(kind, arrays["shown"], arrays["weights"], arrays["offset"])


def _learn_pca(x: NDArray[np.float64], components: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    center = x.mean(axis=0) if len(x) else np.zeros(x.shape[1])
    turn = main_directions(x - center, components)
    return turn, -center @ turn


def main_directions(x: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """Directions of largest variance, shape (columns, at most `most`), the largest entry of each positive."""
    if not x.size:
        return np.zeros((x.shape[1], 0))
    if len(x) < x.shape[1]:  # as many directions as rows at most: the covariance is not needed
        _, sizes, turned = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
        values, vectors = np.square(sizes) / len(x), turned.T
    else:
        covariance = np.cov(x, rowvar=False, bias=True).reshape(x.shape[1], x.shape[1])
        values, vectors = np.linalg.eigh(covariance)
    order = np.argsort(-values, kind="stable")[: min(most, len(x) - 1)]
    order = order[values[order] > _FEWEST * max(float(values.sum()), 1e-300)]
    turn = vectors[:, order]
    largest = turn[np.abs(turn).argmax(axis=0), np.arange(turn.shape[1])]
    return np.asarray(turn * np.where(largest < 0, -1.0, 1.0))


def _learn_lda(
    x: NDArray[np.float64], labels: NDArray[np.int64], classes: int, *, shares: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights, shape (columns, classes), and offsets of the discriminant scores; absent classes score 0.

    With `shares` a score is also the greater, the more rows a class has.
    """
    weights, offset = np.zeros((x.shape[1], classes)), np.zeros(classes)
    from sklearn.covariance import ledoit_wolf_shrinkage  # takes seconds, and answering does not need it

    known = labels >= 0
    present, codes = np.unique(labels[known], return_inverse=True)
    if not len(present):
        return weights, offset
    counts = np.bincount(codes)
    means = np.stack([x[known][codes == code].mean(axis=0) for code in range(len(present))])
    inside = x[known] - means[codes]
    covariance = inside.T @ inside / len(inside)
    shrink = float(ledoit_wolf_shrinkage(inside, assume_centered=True)) if len(inside) > 1 else 1.0
    size = float(np.trace(covariance)) / max(x.shape[1], 1)
    covariance = (1 - shrink) * covariance + (shrink * size + 1e-9 * size + 1e-12) * np.eye(x.shape[1])
    learned = np.linalg.solve(covariance, means.T)
    constant = -0.5 * np.einsum("kj,jk->k", means, learned) + shares * np.log(counts / counts.sum())
    # Only differences between classes tell them apart; what all scores share would be a direction of its own.
    weights[:, present] = learned - learned.mean(axis=1, keepdims=True)
    offset[present] = constant - constant.mean()
    return weights, offset


def _to_float32(values: NDArray[np.float64]) -> FloatMatrix:
    return np.clip(values, -1e6, 1e6).astype(np.float32)
