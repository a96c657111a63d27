"""A candidate's link makes its probabilities honest and never leaves rows that do not sum to one."""

import numpy as np
import pytest

from galeno.learning.links import SCORE_SCALE, fit_link, start_link
from galeno.learning.score import log_loss
from galeno.model.ensemble import Link

from .learning_cases import draw_matrix, fit_quickly


@pytest.mark.parametrize("family", ["tree", "svm", "forest"])
def test_it_lowers_the_loss_of_the_rows_it_was_fitted_on(family: str) -> None:
    matrix, labels = draw_matrix(500, seed=1)
    outputs = []
    for part in (slice(0, 250), slice(250, 500)):
        fitted = fit_quickly(family, matrix[part], labels[part], 3)
        outputs.append((fitted, fitted.output(matrix[::2] if part.start else matrix[1::2])))
    truth = [labels[1::2], labels[::2]]
    link = fit_link(outputs, truth, 3)
    assert link.kind == ("softmax" if family == "svm" else "log")

    def loss(each: Link) -> float:
        answers = np.concatenate([fitted.spread(output, each) for fitted, output in outputs])
        assert answers.sum(axis=1) == pytest.approx(np.ones(len(answers)))
        return log_loss(answers, np.concatenate(truth))

    assert loss(link) <= loss(start_link(family, 3)) + 1e-3


def test_a_class_that_a_fold_lacks_gets_nothing_from_that_fold() -> None:
    matrix, labels = draw_matrix(300, seed=2)
    without = labels != 2
    fitted = [fit_quickly("svm", matrix[without], labels[without], 3), fit_quickly("svm", matrix, labels, 3)]
    link = fit_link([(each, each.output(matrix)) for each in fitted], [labels, labels], 3)
    first = fitted[0].probabilities(matrix, link)
    assert (first[:, 2] == 0).all()
    assert first.sum(axis=1) == pytest.approx(np.ones(300))
    assert (fitted[1].probabilities(matrix, link)[:, 2] > 0).all()


def test_the_start_is_no_change_or_a_plain_softmax() -> None:
    assert start_link("forest", 4) == Link()
    assert start_link("svm", 4) == Link("softmax", (SCORE_SCALE,) * 4, (0.0,) * 4)
