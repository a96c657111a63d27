"""Each candidate's own calibration, fitted on rows that were held out.

Vector scaling (Guo et al., ICML 2017), shrunk towards no change, brings boosters,
candidates on balanced rows and scores of support vector machines to the same
true shares of the classes, so that they can be compared and mixed.
"""

from collections.abc import Sequence

import numpy as np

from galeno.learning.candidates import FittedCandidate
from galeno.model.calibration import Calibration
from galeno.model.ensemble import Link
from galeno.records import Labels, Probabilities

SCORE_SCALE = 2.0
"""Scale of support vector scores from which the fit starts, and to which it is shrunk."""


def fit_link(
    outputs: Sequence[tuple[FittedCandidate, Probabilities]], labels: Sequence[Labels], n_classes: int
) -> Link:
    """Fit the link of a candidate.

    Args:
        outputs: the candidate fitted on each fold, with its output on the fold's held-out rows.
        labels: class index of those rows, fold by fold.
        n_classes: classes of the study.
    """
    start = start_link(outputs[0][0].candidate.family, n_classes)
    answers = np.concatenate([fitted.spread(output, start) for fitted, output in outputs])
    truth = np.concatenate(
        # a class without fitting rows has probability zero, which no calibration can mend: it would only
        # flatten everything else
        [np.where(np.isin(y, fitted.present), y, -1) for (fitted, _), y in zip(outputs, labels, strict=True)]
    )
    found = Calibration.fit("vector", answers, truth)
    if start.kind == "softmax":
        return Link("softmax", (SCORE_SCALE / found.temperature,) * n_classes, found.bias)
    return Link("log", (1 / found.temperature,) * n_classes, found.bias)


def start_link(family: str, n_classes: int) -> Link:
    """The link before anything is fitted."""
    if family == "svm":
        return Link("softmax", (SCORE_SCALE,) * n_classes, (0.0,) * n_classes)
    return Link()
