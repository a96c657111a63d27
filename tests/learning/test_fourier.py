"""The Gaussian kernel without its rows: near the kernel machine, and nothing of a patient kept."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from sklearn.datasets import make_moons
from sklearn.svm import SVC

from galeno.learning.candidates import quietly
from galeno.learning.export import check_parity, export, fitted_output
from galeno.learning.fourier import COSINES, FourierSVC


def moons(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    matrix, labels = make_moons(rows, noise=0.2, random_state=seed)
    return matrix.astype(np.float32), labels.astype(np.int64)


def test_it_answers_nearly_as_the_kernel_machine_does() -> None:
    matrix, labels = moons(600, 1)
    unseen, truth = moons(600, 2)
    found = FourierSVC(C=1.0).fit(matrix, labels).decision_function(unseen) > 0
    kernel = SVC(C=1.0).fit(matrix, labels).predict(unseen)
    assert (found == kernel).mean() > 0.97
    assert (found == truth).mean() > 0.93


@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("strength", [0.1, 100.0])
def test_its_graph_answers_alike_and_holds_no_row(k: int, strength: float) -> None:
    matrix, halves = moons(500, 3)
    labels = halves if k == 2 else halves * 2 + (matrix[:, 0] > 0.5)
    with quietly():
        estimator = FourierSVC(C=strength).fit(matrix, labels)
    graph = export(estimator, "svm", 2, range(k), k)
    expected = fitted_output(estimator, "svm", matrix)
    assert expected.shape == (500, k)
    assert check_parity(graph.onnx, expected, matrix) < 1e-4
    constants = [numpy_helper.to_array(c) for c in onnx.load_from_string(graph.onnx).graph.initializer]
    assert sorted(c.shape for c in constants) == sorted([(2, COSINES), (COSINES,), (COSINES, k), (k,)])


def test_weights_of_rows_count() -> None:
    matrix, labels = moons(300, 4)
    weights = np.where(labels == 1, 50.0, 0.02)
    fitted = FourierSVC().fit(matrix, labels, sample_weight=weights)
    assert (fitted.decision_function(matrix) > 0).mean() > 0.6
