"""A support vector machine with a Gaussian kernel that keeps no rows.

A kernel machine is its support vectors: encoded patients, which may not stand in
a package. Random Fourier features (Rahimi and Recht, NeurIPS 2007) approximate
the same kernel by cosines of random projections; on them a linear machine
learns one weight a cosine and class. It also fits in time linear in the rows.
"""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.kernel_approximation import RBFSampler
from sklearn.svm import LinearSVC

from galeno.records import FloatMatrix, Labels, Probabilities

COSINES = 800


class FourierSVC:
    """Random Fourier features and a linear support vector machine; fitted with labels 0..k-1.

    Attributes:
        classes_: the labels.
    """

    def __init__(self, C: float = 1.0, cosines: int = COSINES, random_state: int = 0) -> None:  # noqa: N803
        """C is the inverse strength of regularisation; more cosines come closer to scikit-learn's SVC."""
        self._count = cosines
        self._sampler = RBFSampler(gamma="scale", n_components=cosines, random_state=random_state)
        # the primal problem: the dual's solver draws from one generator that all threads of a process share
        self._machine = LinearSVC(C=C, dual=False)

    def fit(
        self, matrix: FloatMatrix, labels: Labels, sample_weight: NDArray[np.float64] | None = None
    ) -> Self:
        """Fit on float32 rows."""
        self._machine.fit(self._sampler.fit_transform(matrix), labels, sample_weight=sample_weight)
        self.classes_ = self._machine.classes_
        return self

    def decision_function(self, matrix: FloatMatrix) -> Probabilities:
        """Scores, shape (rows, k), or (rows,) for two classes."""
        scores: Probabilities = self._machine.decision_function(self._sampler.transform(matrix))
        return scores

    @property
    def cosines(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Projections, shape (features, COSINES), and phases, shape (COSINES,)."""
        return self._sampler.random_weights_, self._sampler.random_offset_

    @property
    def coef_(self) -> NDArray[np.float64]:
        """Weights of the cosines themselves, shape (k, COSINES); one row for two classes."""
        weights: NDArray[np.float64] = self._machine.coef_ * np.sqrt(2.0 / self._count)
        return weights

    @property
    def intercept_(self) -> NDArray[np.float64]:
        """One a row of `coef_`."""
        heights: NDArray[np.float64] = self._machine.intercept_
        return heights
