"""Feature selection: the columns in which the classes differ most."""

import numpy as np
from numpy.typing import NDArray

from galeno.records import FloatMatrix, Labels


def select_columns(matrix: FloatMatrix, labels: Labels, most: int) -> NDArray[np.int64]:
    """Indices, ascending, of the `most` columns of largest ANOVA F; the first of equals."""
    order = np.argsort(-anova_f(matrix, labels), kind="stable")
    return np.sort(order[:most]).astype(np.int64)


def anova_f(matrix: FloatMatrix, labels: Labels) -> NDArray[np.float64]:
    """One-way ANOVA F of each column, shape (columns,); 0 where a column or the labels do not vary.

    Rows with label -1 do not count. The same figure as scikit-learn's `f_classif`, without its copies.
    """
    known = labels >= 0
    present, codes = np.unique(labels[known], return_inverse=True)
    rows, classes = int(known.sum()), len(present)
    if classes < 2 or rows <= classes:
        return np.zeros(matrix.shape[1])
    x = matrix if known.all() else matrix[known]
    center = x.mean(axis=0, dtype=np.float64)
    squares = np.zeros(matrix.shape[1])
    between = np.zeros(matrix.shape[1])
    for code in range(classes):
        part = x[codes == code] - center  # one class at a time bounds the memory
        squares += np.einsum("ij,ij->j", part, part)
        between += part.sum(axis=0) ** 2 / len(part)
    within = np.maximum(squares - between, 0) / (rows - classes)
    with np.errstate(divide="ignore", invalid="ignore"):
        f = between / (classes - 1) / within
    # A column that separates the classes without any spread is the best there is, not a failed division.
    return np.where(
        between <= 1e-12 * np.maximum(squares, 1e-300), 0.0, np.where(within > 0, f, np.finfo(float).max)
    )
