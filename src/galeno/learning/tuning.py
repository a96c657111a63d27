"""Optuna proposes candidates from the trials so far (tree-structured Parzen estimator, Bergstra 2011).

Three proposals in four go to the best, the second and the third family so far, the
fourth to the others in turn: members of several families make the better mix. The
sampler is made anew for each trial, seeded by study and trial number, and told of
the earlier trials of the family: what it proposes does not depend on whether the
search was interrupted.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from galeno.learning.portfolio import usable_families, view_of
from galeno.learning.trials import Trial
from galeno.records import Candidate
from galeno.study import Family, Study

LEADING = 3
"""So many families, best first, have a proposal each; then another family has its turn."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A candidate to try."""

    candidate: Candidate
    suggested: Mapping[str, Any] | None
    """Optuna's own parameters; None for the portfolio."""


def propose(study: Study, trials: Sequence[Trial], number: int, n_rows: int) -> Proposal:
    """The next candidate.

    Args:
        study: which families and balancing strategies may be tried, and the seed.
        trials: all trials before this one.
        number: of the trial to come.
        n_rows: training rows, which rule out families that would take too long.
    """
    family = _choose_family(usable_families(study, n_rows), trials, number)
    space: dict[str, BaseDistribution] = {
        "balance": CategoricalDistribution(list(study.learning.balance)),
        "power": FloatDistribution(0.1, 1.0),
        **_SPACES[family],
    }
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(seed=study.seed + number, multivariate=True, n_startup_trials=6)
    optimiser = optuna.create_study(direction="maximize", sampler=sampler)
    told = [trial for trial in trials if trial.suggested is not None and trial.candidate.family == family]
    worst = min((trial.score for trial in told if trial.score is not None), default=0.0)
    for trial in told:
        value = worst if trial.score is None else trial.score
        optimiser.add_trial(
            optuna.trial.create_trial(params=dict(trial.suggested or {}), distributions=space, value=value)
        )
    suggested = optimiser.ask(space).params
    return Proposal(_candidate(family, suggested), suggested)


def _choose_family(families: Sequence[Family], trials: Sequence[Trial], number: int) -> Family:
    scores = {
        family: max(
            (t.score for t in trials if t.candidate.family == family and t.score is not None), default=-1.0
        )
        for family in families
    }
    ranking = sorted(families, key=lambda family: -scores[family])
    turn, place = divmod(number, LEADING + 1)
    others = ranking[LEADING:] or ranking
    return ranking[place % len(ranking)] if place < LEADING else others[turn % len(others)]


def _candidate(family: Family, suggested: Mapping[str, Any]) -> Candidate:
    params = {key: value for key, value in suggested.items() if key not in ("balance", "power")}
    if suggested["balance"] == "weights":
        params["power"] = suggested["power"]
    if family == "mlp":
        params["hidden_layer_sizes"] = [params.pop("width")]
    return Candidate(family, suggested["balance"], params, view_of(family))


_SPACES: Mapping[Family, Mapping[str, BaseDistribution]] = {
    "logistic": {"C": FloatDistribution(0.01, 100.0, log=True)},
    "tree": {
        "max_depth": IntDistribution(3, 20),
        "min_samples_leaf": IntDistribution(1, 30, log=True),
        "criterion": CategoricalDistribution(["gini", "entropy"]),
    },
    "forest": {
        "max_features": FloatDistribution(0.05, 1.0),
        "min_samples_leaf": IntDistribution(1, 10, log=True),
        "criterion": CategoricalDistribution(["gini", "entropy"]),
    },
    "extra_trees": {
        "max_features": FloatDistribution(0.05, 1.0),
        "min_samples_leaf": IntDistribution(1, 10, log=True),
        "criterion": CategoricalDistribution(["gini", "entropy"]),
    },
    "xgboost": {
        "n_estimators": IntDistribution(60, 400, log=True),
        "max_depth": IntDistribution(2, 9),
        "learning_rate": FloatDistribution(0.02, 0.3, log=True),
        "subsample": FloatDistribution(0.5, 1.0),
        "colsample_bytree": FloatDistribution(0.3, 1.0),
        "min_child_weight": FloatDistribution(0.1, 20.0, log=True),
        "reg_lambda": FloatDistribution(0.1, 20.0, log=True),
    },
    "lightgbm": {
        "n_estimators": IntDistribution(50, 400, log=True),
        "num_leaves": IntDistribution(4, 64, log=True),
        "learning_rate": FloatDistribution(0.02, 0.3, log=True),
        "subsample": FloatDistribution(0.5, 1.0),
        "subsample_freq": CategoricalDistribution([1]),
        "colsample_bytree": FloatDistribution(0.3, 1.0),
        "min_child_samples": IntDistribution(1, 50, log=True),
        "reg_lambda": FloatDistribution(1e-3, 10.0, log=True),
    },
    "svm": {
        "C": FloatDistribution(0.03, 10.0, log=True),
        "kernel": CategoricalDistribution(["gaussian", "linear"]),
    },
    "mlp": {
        "width": CategoricalDistribution([32, 64, 128]),
        "alpha": FloatDistribution(1e-3, 3.0, log=True),
        "learning_rate_init": FloatDistribution(5e-4, 1e-2, log=True),
        "max_iter": IntDistribution(40, 200, log=True),
    },
}
