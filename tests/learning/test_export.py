"""Exported graphs answer as the estimators did, with the same bytes each time."""

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from galeno.errors import LearningError, ParityError
from galeno.learning.export import build_member, check_parity, compare, export, fitted_output
from galeno.learning.fourier import FourierSVC
from galeno.model.ensemble import Ensemble, Link, open_native, open_session, run_session
from galeno.records import FloatMatrix, Labels
from galeno.study import FAMILIES, Family


def make(family: Family, seed: int = 0) -> Any:
    """A small estimator, unfitted."""
    from lightgbm import LGBMClassifier
    from xgboost import XGBClassifier

    return {
        "logistic": lambda: LogisticRegression(max_iter=500),
        "tree": lambda: DecisionTreeClassifier(max_depth=6, random_state=seed),
        "forest": lambda: RandomForestClassifier(15, n_jobs=1, random_state=seed),
        "extra_trees": lambda: ExtraTreesClassifier(15, n_jobs=1, random_state=seed),
        "xgboost": lambda: XGBClassifier(n_estimators=15, n_jobs=1, random_state=seed),
        "lightgbm": lambda: LGBMClassifier(n_estimators=15, n_jobs=1, random_state=seed, verbose=-1),
        "svm": lambda: FourierSVC(random_state=seed),
        "mlp": lambda: MLPClassifier((8,), max_iter=20, random_state=seed),
    }[family]()


def draw(rows: int, k: int, seed: int) -> tuple[FloatMatrix, Labels]:
    """Numbers of very different sizes, flags, and values that repeat."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(rows, 6))
    labels = (matrix[:, :1] * np.linspace(-1, 1, k) * 2 + rng.gumbel(size=(rows, k))).argmax(axis=1)
    matrix[:, 1] = matrix[:, 1] > 0.5
    matrix[:, 2] = np.round(matrix[:, 2], 1)
    matrix[:, 3] *= 1000
    labels[:k] = np.arange(k)
    return np.ascontiguousarray(matrix, dtype=np.float32), labels.astype(np.int64)


@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_graphs_answer_as_the_estimator_and_are_the_same_each_time(family: Family, k: int) -> None:
    matrix, labels = draw(300, k, 1)
    fresh, _ = draw(3000, k, 2)
    graphs = []
    for _ in range(2):
        estimator = make(family).fit(matrix, labels)
        graphs.append(export(estimator, family, 6, range(k), k))
    assert graphs[0] == graphs[1]
    graph = graphs[0]
    expected = fitted_output(estimator, family, np.vstack([fresh, matrix]))
    assert check_parity(graph.onnx, expected, np.vstack([fresh, matrix])) < 1e-4
    assert graph.output == ("scores" if family == "svm" else "probability")
    model = onnx.load_model_from_string(graph.onnx)
    assert [len(model.graph.input), len(model.graph.output)] == [1, 1]
    assert (graph.native is not None) == (family in ("xgboost", "lightgbm"))
    if graph.native is not None:
        native = open_native(graph.native, graph.native_suffix, threads=1)(fresh)
        assert np.abs(native - expected[:3000]).max() < 1e-6


@given(
    k=st.integers(2, 5),
    seed=st.integers(0, 1000),
    family=st.sampled_from(["lightgbm", "xgboost", "forest", "svm"]),
)
@settings(max_examples=15, deadline=None)
def test_parity_on_rows_at_the_thresholds(k: int, seed: int, family: Family) -> None:
    """The training rows themselves, and their neighbours in float32."""
    matrix, labels = draw(120, k, seed)
    estimator = make(family, seed).fit(matrix, labels)
    near = np.vstack(
        [matrix, np.nextafter(matrix, np.float32(np.inf)), np.nextafter(matrix, np.float32(-np.inf))]
    )
    graph = export(estimator, family, 6, range(k), k)
    check_parity(graph.onnx, fitted_output(estimator, family, near), near)


@pytest.mark.parametrize("family", ["tree", "forest", "extra_trees", "xgboost", "lightgbm"])
def test_parity_on_new_values_that_fall_on_thresholds(family: Family) -> None:
    """Laboratory values have few digits: the middle between two training values is itself a value."""
    rng = np.random.default_rng(9)
    hundredths = rng.integers(0, 400, (4000, 6))
    labels = (hundredths[:, :3] / 100 + rng.gumbel(size=(4000, 3))).argmax(axis=1)
    learned, fresh = (
        np.ascontiguousarray((values / 100 - 1.234) / 0.7071, dtype=np.float32)
        for values in (hundredths // 2 * 2, hundredths)
    )
    estimator = make(family).fit(learned, labels)
    graph = export(estimator, family, 6, range(3), 3)
    check_parity(graph.onnx, fitted_output(estimator, family, fresh), fresh)


def test_the_best_iteration_is_exported() -> None:
    from xgboost import XGBClassifier

    matrix, labels = draw(300, 3, 3)
    stopped = XGBClassifier(n_estimators=50, early_stopping_rounds=2, n_jobs=1)
    stopped.fit(matrix, labels, eval_set=[(matrix[:50], np.roll(labels[:50], 1))], verbose=False)
    assert stopped.best_iteration < 20
    graph = export(stopped, "xgboost", 6, range(3), 3)
    expected = fitted_output(stopped, "xgboost", matrix)
    check_parity(graph.onnx, expected, matrix)
    assert graph.native is not None
    assert np.abs(open_native(graph.native, "ubj", threads=1)(matrix) - expected).max() < 1e-6


@pytest.mark.parametrize("k", [2, 5])
def test_linear_machines_are_one_product(k: int) -> None:
    matrix, labels = draw(300, k, 10)
    matrix[:, 3] /= 1000
    estimator = LinearSVC(random_state=0).fit(matrix, labels)
    graph = export(estimator, "svm", 6, range(k), k)
    expected = fitted_output(estimator, "svm", matrix)
    assert expected.shape == (300, k)
    assert check_parity(graph.onnx, expected, matrix) < 1e-5
    assert (expected.argmax(axis=1) == estimator.predict(matrix)).all()


def test_absent_classes_get_no_probability() -> None:
    matrix, labels = draw(200, 2, 5)
    estimator = make("xgboost").fit(matrix, labels)
    member = build_member(
        estimator,
        "xgboost",
        matrix,
        name="xgboost",
        columns=np.arange(6),
        classes_present=[1, 3],
        n_classes=4,
        weight=1.0,
        link=Link(),
    )
    p = Ensemble([member], 4, 6).probabilities(matrix)
    assert (p[:, [0, 2]] == 0).all()
    assert p[:, [1, 3]] == pytest.approx(estimator.predict_proba(matrix), abs=1e-5)
    assert member.has_native


def test_one_class_alone_is_a_constant() -> None:
    matrix, _ = draw(20, 2, 6)
    graph = export(None, "tree", 6, [2], 3)
    assert run_session(open_session(graph.onnx, threads=1), matrix).tolist() == [[1.0]] * 20


def test_an_unlike_graph_is_refused() -> None:
    matrix, labels = draw(200, 3, 7)
    one, other = make("tree").fit(matrix, labels), make("logistic").fit(matrix, labels)
    graph = export(one, "tree", 6, range(3), 3)
    with pytest.raises(ParityError, match=r"of 200 rows .*learning\.families"):
        check_parity(graph.onnx, fitted_output(other, "logistic", matrix), matrix)
    with pytest.raises(ParityError, match="shape"):
        check_parity(graph.onnx, np.ones((200, 2)), matrix)
    expected = fitted_output(one, "tree", matrix)
    broken = expected.copy()
    broken[3, 1] = np.nan
    with pytest.raises(ParityError, match="1 of 200"):
        compare(broken, expected)
    assert check_parity(graph.onnx, expected[:0], matrix[:0]) == 0


@pytest.mark.parametrize("present", [[0], [0, 0, 1], [2, 1, 0], [0, 1, 5], [-1, 0, 1]])
def test_classes_must_fit_the_estimator(present: list[int]) -> None:
    matrix, labels = draw(100, 3, 8)
    estimator = make("tree").fit(matrix, labels)
    with pytest.raises(LearningError, match="class"):
        export(estimator, "tree", 6, present, 4)
