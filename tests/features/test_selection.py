import numpy as np
from sklearn.feature_selection import f_classif

from galeno.features.selection import anova_f, select_columns


def test_f_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 300)
    matrix = (rng.normal(size=(300, 20)) + labels[:, None] * np.linspace(0, 1, 20)).astype(np.float32)
    assert np.allclose(anova_f(matrix, labels), f_classif(matrix.astype(np.float64), labels)[0], rtol=1e-4)


def test_best_columns_in_order_and_first_of_equals() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1])
    noise = np.array([1, 2, 3, 1, 2, 3.0])
    matrix = np.stack([noise, labels, np.ones(6), labels * 5 + noise / 10, labels], axis=1).astype(np.float32)
    assert select_columns(matrix, labels, 2).tolist() == [1, 4]
    assert select_columns(matrix, labels, 3).tolist() == [1, 3, 4]
    assert anova_f(matrix, labels)[2] == 0


def test_unknown_labels_do_not_count() -> None:
    matrix = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    labels = np.arange(30) % 3 - 1
    assert np.allclose(anova_f(matrix, labels), anova_f(matrix[labels >= 0], labels[labels >= 0]))
    assert not anova_f(matrix, np.full(30, -1)).any()
    assert not anova_f(matrix, np.zeros(30, np.int64)).any()
