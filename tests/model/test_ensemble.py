"""Ensembles: weighted means, columns, links, batches, and graphs that are refused."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from synthetic_model import fit_parts

from galeno.errors import PackageError
from galeno.model.ensemble import CHUNK, SMALL, Ensemble, Link, Member, open_native, open_session
from galeno.model.parts import ModelParts, _from_spans, _to_spans


def graph_of(weights: np.ndarray[Any, np.dtype[np.float32]], *, external: bool = False) -> bytes:
    """Softmax(x @ weights)."""
    constant = onnx.numpy_helper.from_array(weights, "w")
    if external:
        constant.ClearField("raw_data")
        constant.data_location = TensorProto.EXTERNAL
        constant.external_data.add(key="location", value="/etc/hostname")
    nodes = [helper.make_node("MatMul", ["x", "w"], ["z"]), helper.make_node("Softmax", ["z"], ["y"], axis=1)]
    ends = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, size])]
        for name, size in zip("xy", weights.shape, strict=True)
    ]
    graph = helper.make_graph(nodes, "g", *ends, [constant])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return bytes(model.SerializeToString())


def member(columns: list[int], classes: list[int], weight: float, seed: int, **more: Any) -> Member:
    weights = np.random.default_rng(seed).normal(size=(len(columns), len(classes))).astype(np.float32)
    return Member("m", graph_of(weights), np.array(columns), np.array(classes), weight, **more)


def answer(matrix: np.ndarray[Any, Any], columns: list[int], k: int, seed: int) -> np.ndarray[Any, Any]:
    weights = np.random.default_rng(seed).normal(size=(len(columns), k)).astype(np.float32)
    scores = np.exp(matrix[:, columns] @ weights)
    return scores / scores.sum(axis=1, keepdims=True)


def test_weighted_mean_over_columns_and_classes() -> None:
    matrix = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    ensemble = Ensemble([member([0, 1, 2, 3, 4], [0, 1, 2], 3, 1), member([4, 1], [2, 0], 1, 2)], 3, 5)
    expected = 0.75 * answer(matrix, [0, 1, 2, 3, 4], 3, 1)
    expected[:, [2, 0]] += 0.25 * answer(matrix, [4, 1], 2, 2)
    p = ensemble.probabilities(matrix)
    assert p == pytest.approx(expected, abs=1e-6)
    assert p.dtype == np.float64
    assert p.sum(axis=1) == pytest.approx(1, abs=1e-12)
    for row in range(5):
        assert ensemble.probabilities(matrix[row : row + 1]) == pytest.approx(p[row : row + 1], abs=1e-6)
    assert ensemble.probabilities(matrix[:0]).shape == (0, 3)


def test_more_rows_than_a_chunk() -> None:
    matrix = np.random.default_rng(0).normal(size=(CHUNK + 7, 3)).astype(np.float32)
    ensemble = Ensemble([member([0, 1, 2], [0, 1], 1, 1)], 2, 3, threads=2)
    p = ensemble.probabilities(matrix)
    assert p[-9:] == pytest.approx(ensemble.probabilities(matrix[-9:]), abs=1e-6)


def test_links() -> None:
    scores = np.array([[2.0, -1.0, 1000.0], [0.0, 0.0, 0.0]], dtype=np.float32)
    assert Link().apply(scores).tolist() == scores.tolist()
    p = Link("softmax", (1.0, 1.0, 0.001), (0.0, 0.5, 0.0)).apply(scores)
    raw = np.exp([[2.0, -0.5, 1.0], [0.0, 0.5, 0.0]])
    assert p == pytest.approx(raw / raw.sum(axis=1, keepdims=True))
    for link in (Link(), Link("softmax", (2.0, 1.0), (0.1, 0.0))):
        assert Link.from_dict(link.to_dict()) == link


def test_boosters_answer_large_batches_as_their_graphs_do() -> None:
    parts = fit_parts(("xgboost", "lightgbm"))
    plain = [
        Member(m.name, m.onnx, m.columns, m.class_index, m.weight, m.link) for m in parts.ensemble.members
    ]
    assert all(m.has_native for m in parts.ensemble.members)
    matrix = np.random.default_rng(1).normal(size=(SMALL + 100, parts.ensemble.n_features)).astype(np.float32)
    graphs = Ensemble(plain, 3, parts.ensemble.n_features)
    assert parts.ensemble.probabilities(matrix) == pytest.approx(graphs.probabilities(matrix), abs=1e-5)


def test_a_booster_without_measured_parity_is_not_used() -> None:
    unproven = member([0], [0, 1], 1, 1, native=b"not a booster", native_suffix="ubj")
    matrix = np.ones((SMALL + 1, 1), dtype=np.float32)
    assert Ensemble([unproven], 2, 1).probabilities(matrix).shape == (SMALL + 1, 2)


def test_what_is_refused() -> None:
    good = member([0, 1], [0, 1], 1, 1)
    for members, n_classes, n_features in (
        ([], 2, 2),
        ([member([0, 1], [0, 1], 0, 1)], 2, 2),
        ([good], 1, 2),
        ([good], 2, 1),
        ([Member("m", good.onnx, np.array([0]), np.array([0, 1]), 1.0)], 2, 2),
        ([Member("m", b"no graph", np.array([0]), np.array([0, 1]), 1.0)], 2, 2),
        ([Member("m", good.onnx[:-20], np.array([0, 1]), np.array([0, 1]), 1.0)], 2, 2),
    ):
        with pytest.raises(PackageError):
            Ensemble(members, n_classes, n_features)
    with pytest.raises(PackageError, match="outside the package"):
        open_session(graph_of(np.ones((2, 2), np.float32), external=True), threads=1)
    with pytest.raises(PackageError, match="no booster format"):
        open_native(b"", "pkl", threads=1)


@pytest.mark.parametrize("suffix", ["ubj", "txt"])
def test_a_damaged_booster_is_a_package_error(suffix: str) -> None:
    with pytest.raises(PackageError, match="damaged"):
        open_native(b"\xff\x00 nonsense", suffix, threads=1)


def test_columns_are_kept_as_spans() -> None:
    for columns in ([0, 1, 2, 5, 6, 9], [3], [2, 1, 0], list(range(1000))):
        spans = _to_spans(np.array(columns))
        assert _from_spans(spans).tolist() == columns
    assert _to_spans(np.arange(5, 1000)) == [[5, 1000]]
    assert _from_spans([]).tolist() == []


def test_parts_have_recorded_parity(parts: ModelParts) -> None:
    for one in parts.ensemble.members:
        assert one.parity is not None
        assert one.parity < 1e-4
