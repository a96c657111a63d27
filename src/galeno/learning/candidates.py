"""Model families: how each is built, fitted and asked.

Every fit runs on one thread, so that its result does not depend on the machine;
what runs side by side are folds and members.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from galeno.errors import LearningError
from galeno.learning.balance import class_weights, resample
from galeno.learning.export import fitted_output
from galeno.learning.fourier import COSINES, FourierSVC
from galeno.learning.network import NETWORK, Network
from galeno.model.ensemble import Link
from galeno.records import Candidate, FloatMatrix, Labels, Probabilities
from galeno.study import Balance, Family


@dataclass(frozen=True, slots=True)
class FittedCandidate:
    """An estimator with the classes that its rows held."""

    candidate: Candidate
    estimator: Any
    """Its labels are 0..k-1, positions in `present`; None where the rows held one class."""
    present: Labels
    """Study class of each of its labels, ascending."""
    n_classes: int

    @property
    def family(self) -> Family:
        """The model family."""
        return cast("Family", self.candidate.family)

    def output(self, matrix: FloatMatrix) -> Probabilities:
        """Raw output (rows, k): probabilities, or scores of a support vector machine."""
        if self.estimator is None:
            return np.ones((len(matrix), 1))
        return fitted_output(self.estimator, self.family, matrix)

    def probabilities(self, matrix: FloatMatrix, link: Link) -> Probabilities:
        """Probabilities of all classes of the study, shape (rows, classes)."""
        return self.spread(self.output(matrix), link)

    def spread(self, output: Probabilities, link: Link) -> Probabilities:
        """Raw output as probabilities of all classes; those without rows get zero."""
        answers = np.zeros((len(output), self.n_classes))
        answers[:, self.present] = self.narrow(link).apply(output) if self.estimator is not None else output
        return answers

    def narrow(self, link: Link) -> Link:
        """The link for the classes that are present."""
        if link.kind == "probability":
            return link
        chosen = [int(c) for c in self.present]
        return Link(link.kind, tuple(link.scale[c] for c in chosen), tuple(link.bias[c] for c in chosen))


def fit_candidate(
    candidate: Candidate, matrix: FloatMatrix, labels: Labels, *, n_classes: int, seed: int
) -> FittedCandidate:
    """Balance the rows and fit.

    Args:
        candidate: what to fit.
        matrix: float32, shape (rows, columns), the columns that the candidate sees.
        labels: class index of each row, shape (rows,).
        n_classes: classes of the study.
        seed: of sampler and estimator.

    Raises:
        LearningError: the sampler or the estimator cannot work with these rows.
    """
    rows, classes = resample(matrix, labels, cast("Balance", candidate.balance), seed)
    present, positions = np.unique(classes, return_inverse=True)
    if len(present) == 1:
        return FittedCandidate(candidate, None, present, n_classes)
    params = dict(candidate.params)
    power = float(params.pop("power", 1.0))
    weights = class_weights(classes, power) if candidate.balance == "weights" else None
    estimator = _BUILDERS[candidate.family](params, seed, rows.shape)
    try:
        estimator.fit(rows, positions, sample_weight=weights)
    except _refusals(candidate.family) as error:
        raise LearningError(f"{candidate.name} cannot be fitted ({type(error).__name__})") from None
    return FittedCandidate(candidate, estimator, present.astype(np.int64), n_classes)


def _refusals(family: str) -> tuple[type[Exception], ...]:
    """What a library raises on rows that it cannot work with."""
    if family != "lightgbm":
        return (ValueError,)
    from lightgbm.basic import LightGBMError

    return (ValueError, LightGBMError)


@contextmanager
def quietly() -> Iterator[None]:
    """Around fits: nothing is said of an estimator that stops before it converges, its figures tell.

    To be entered once, before the threads start: filters of warnings belong to the process, and threads
    that set and restore them side by side leave everything ignored for good.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


Shape = tuple[int, ...]


def _logistic(params: Mapping[str, Any], seed: int, _shape: Shape) -> Any:
    return LogisticRegression(**{"max_iter": 300, "random_state": seed, **params})


def _tree(params: Mapping[str, Any], seed: int, _shape: Shape) -> Any:
    return DecisionTreeClassifier(random_state=seed, **params)


def _forest(params: Mapping[str, Any], seed: int, shape: Shape) -> Any:
    return RandomForestClassifier(
        **{"n_estimators": _trees(shape), "random_state": seed, "n_jobs": 1, **params}
    )


def _extra_trees(params: Mapping[str, Any], seed: int, shape: Shape) -> Any:
    return ExtraTreesClassifier(
        **{"n_estimators": _trees(shape), "random_state": seed, "n_jobs": 1, **params}
    )


def _xgboost(params: Mapping[str, Any], seed: int, _shape: Shape) -> Any:
    from xgboost import XGBClassifier

    return XGBClassifier(
        **{"tree_method": "hist", "n_jobs": 1, "random_state": seed, "verbosity": 0, **params}
    )


def _lightgbm(params: Mapping[str, Any], seed: int, _shape: Shape) -> Any:
    from lightgbm import LGBMClassifier

    fixed = {"n_jobs": 1, "random_state": seed, "verbose": -1, "deterministic": True, "force_col_wise": True}
    return LGBMClassifier(**{**fixed, **params})


def _svm(params: Mapping[str, Any], seed: int, _shape: Shape) -> Any:
    strength = params.get("C", 1.0)
    if params.get("kernel") == "linear":
        # the primal problem: the dual's solver draws from one generator that all threads of a process share
        return LinearSVC(C=strength, dual=False)
    return FourierSVC(C=strength, cosines=params.get("cosines", COSINES), random_state=seed)


def _mlp(params: Mapping[str, Any], seed: int, _shape: Shape) -> Any:
    return MLPClassifier(**{"random_state": seed, **params})


def _trees(shape: Shape) -> int:
    """Fewer trees on many rows: there each tree is deep and steady, and 300 would take minutes."""
    return int(np.clip(3_000_000 / max(shape[0], 1), 60, 300))


def _network(params: Mapping[str, Any], seed: int, _shape: Shape) -> Any:
    return Network(**params, random_state=seed)


_BUILDERS = {
    "logistic": _logistic,
    "tree": _tree,
    "forest": _forest,
    "extra_trees": _extra_trees,
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
    "svm": _svm,
    "mlp": _mlp,
    NETWORK: _network,
}
