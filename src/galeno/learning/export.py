"""From a fitted estimator to graph bytes that answer alike on every machine.

Every graph takes one float32 tensor `x` (rows, features) and gives one float32
tensor `y` (rows, classes that the estimator saw): probabilities, or raw scores
for support vector machines, whose probabilities come from a link outside the
graph. Trees are converted with float32 thresholds and learn on float32
matrices, so that the comparisons at the nodes are the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from skl2onnx import to_onnx
from sklearn.svm import LinearSVC

from galeno.errors import LearningError, ParityError
from galeno.learning.fourier import FourierSVC
from galeno.learning.network import Network
from galeno.model.ensemble import Link, Member, open_native, open_session, run_session
from galeno.records import FloatMatrix, Probabilities
from galeno.study import Family

TOLERANCE = 1e-4
"""Largest difference of probabilities (or of scores, relative to 1) that is let through."""

_BOOSTER_OPSET = 15
_OPSETS = {"": 17, "ai.onnx.ml": 3}
_INPUT, _OUTPUT = "x", "y"


@dataclass(frozen=True, slots=True)
class ExportedGraph:
    """A fitted estimator as bytes."""

    onnx: bytes
    output: Literal["probability", "scores"]
    class_index: tuple[int, ...]
    """Study class of each output column."""
    native: bytes | None = None
    """The booster's own format, for large batches."""
    native_suffix: str = ""
    """ubj (XGBoost) or txt (LightGBM)."""


def build_member(
    estimator: Any,
    family: Family,
    matrix: FloatMatrix,
    *,
    name: str,
    columns: NDArray[np.int64],
    classes_present: Sequence[int],
    n_classes: int,
    weight: float,
    link: Link,
) -> Member:
    """A fitted estimator as an ensemble member whose graph is known to answer alike.

    Args:
        estimator: fitted; None stands for rows of one class alone.
        family: what it is.
        matrix: rows that the graph is compared on, all columns of the feature matrix.
        name: candidate that it is, for people.
        columns: columns of the matrix that it sees.
        classes_present: study class of each of its labels.
        n_classes: classes of the study.
        weight: in the ensemble.
        link: from its output to probabilities of the classes present.

    Raises:
        ParityError: graph and estimator differ by more than TOLERANCE on a row.
    """
    graph = export(estimator, family, len(columns), classes_present, n_classes)
    seen = np.ascontiguousarray(matrix[:, columns])
    expected = np.ones((len(seen), 1)) if estimator is None else fitted_output(estimator, family, seen)
    parity = check_parity(graph.onnx, expected, seen)
    native_parity = _native_parity(graph, expected, seen)
    return Member(
        name=name,
        onnx=graph.onnx,
        columns=np.asarray(columns, dtype=np.int64),
        class_index=np.asarray(graph.class_index, dtype=np.int64),
        weight=weight,
        link=link,
        native=graph.native if native_parity is not None else None,
        native_suffix=graph.native_suffix if native_parity is not None else "",
        parity=_one_digit(parity),
        native_parity=None if native_parity is None else _one_digit(native_parity),
    )


def export(
    estimator: Any, family: Family, n_features: int, classes_present: Sequence[int], n_classes: int
) -> ExportedGraph:
    """Convert a fitted estimator.

    Args:
        estimator: fitted on float32 features and labels 0..k-1, where k = len(classes_present);
            None where there was one class, which then always has probability one.
        family: what it is.
        n_features: columns of the matrix that it was fitted on.
        classes_present: study class of each of its labels, ascending.
        n_classes: number of classes of the study.

    Raises:
        LearningError: the classes do not fit the estimator.
    """
    present = tuple(int(index) for index in classes_present)
    fitted = [0] if estimator is None else [int(label) for label in estimator.classes_]
    if fitted != list(range(len(present))) or sorted(set(present)) != list(present) or not present:
        raise LearningError("the estimator's labels are not 0..k-1 of the classes present", where=family)
    if present[-1] >= n_classes or present[0] < 0:
        raise LearningError("a class present is not a class of the study", where=family)
    native, suffix = _native(estimator, family)
    return ExportedGraph(
        onnx=_freeze(_convert(estimator, family, n_features)),
        output="scores" if family == "svm" else "probability",
        class_index=present,
        native=native,
        native_suffix=suffix,
    )


def fitted_output(estimator: Any, family: Family, matrix: FloatMatrix) -> Probabilities:
    """What the fitted estimator itself answers, in the shape that its graph answers: (rows, k) float64.

    For support vector machines these are scores, one a class; for two classes minus and plus the score.
    """
    if family != "svm":
        return np.asarray(estimator.predict_proba(matrix), dtype=np.float64)
    scores = np.asarray(estimator.decision_function(matrix), dtype=np.float64)
    return np.column_stack([-scores, scores]) if scores.ndim == 1 else scores


def check_parity(
    graph: bytes, expected: Probabilities, matrix: FloatMatrix, *, tolerance: float = TOLERANCE
) -> float:
    """Compare a graph with the fitted estimator on every row given.

    Args:
        graph: ONNX bytes.
        expected: `fitted_output` on the same rows.
        matrix: float32, shape (rows, features).
        tolerance: largest absolute difference let through (relative to the size of a score above 1).

    Returns:
        The largest difference.

    Raises:
        ParityError: the graph answers otherwise.
    """
    if not len(matrix):
        return 0.0
    found = run_session(open_session(graph, threads=1), matrix).astype(np.float64)
    return compare(found, expected, tolerance=tolerance, where="ONNX graph")


def compare(
    found: Probabilities, expected: Probabilities, *, tolerance: float = TOLERANCE, where: str = ""
) -> float:
    """Largest difference between two answers to the same rows.

    Raises:
        ParityError: it is above the tolerance, or one of them has a value that is no number.
    """
    if found.shape != expected.shape:
        raise ParityError(f"answers of shape {found.shape} instead of {expected.shape}", where=where)
    gaps = np.abs(found - expected) / np.maximum(1.0, np.abs(expected))
    worst = float(gaps.max(initial=0.0))
    if not worst <= tolerance:
        rows = int((~(gaps <= tolerance)).any(axis=1).sum())
        raise ParityError(
            f"{rows} of {len(gaps)} rows are answered otherwise than by the fitted model (up to {worst:.2g})",
            where=where,
            remedy="Leave this family out with learning.families and report the case",
        )
    return worst


def _convert(estimator: Any, family: Family, n_features: int) -> onnx.ModelProto:
    if estimator is None:
        return _convert_affine([(np.zeros((n_features, 1)), np.ones(1))], n_features)  # one, for every row
    if family in ("xgboost", "lightgbm"):
        kind = [(_INPUT, FloatTensorType([None, n_features]))]
        if family == "xgboost":
            return convert_xgboost(estimator, name="galeno", initial_types=kind, target_opset=_BOOSTER_OPSET)
        booster = _with_float32_thresholds(estimator)
        return convert_lightgbm(
            booster, name="galeno", initial_types=kind, target_opset=_BOOSTER_OPSET, zipmap=False
        )
    if family == "svm":
        return _convert_machine(estimator, n_features)
    if isinstance(estimator, Network):
        return onnx.load_model_from_string(estimator.graph)
    sample = np.zeros((1, n_features), dtype=np.float32)
    return to_onnx(
        estimator, sample, name="galeno", target_opset=_OPSETS, options={id(estimator): {"zipmap": False}}
    )


def _with_float32_thresholds(estimator: Any) -> Any:
    """The same trees with each threshold at the largest float32 not above it.

    LightGBM's thresholds are doubles between two training values; the graph's are float32, and one that is
    rounded up can reach the value above it. For float32 rows `x <= t` says the same of both.
    """
    import lightgbm

    lines = _lightgbm_text(estimator).split("\n")
    for number, line in enumerate(lines):
        if line.startswith("threshold="):
            exact = np.array(line.removeprefix("threshold=").split(), dtype=np.float64)
            near = exact.astype(np.float32)
            floor = np.where(near > exact, np.nextafter(near, np.float32(-np.inf)), near)
            lines[number] = "threshold=" + " ".join(repr(float(value)) for value in floor)
    # Sizes of the trees in bytes are no longer right, and may be left out.
    kept = [line for line in lines if not line.startswith("tree_sizes=")]
    return lightgbm.Booster(model_str="\n".join(kept))


def _lightgbm_text(estimator: Any) -> str:
    text: str = estimator.booster_.model_to_string(num_iteration=estimator.best_iteration_ or None)
    return text


def _convert_machine(estimator: LinearSVC | FourierSVC, n_features: int) -> onnx.ModelProto:
    """Scores of a linear machine, after cosines of projections where it has them."""
    slopes, heights = estimator.coef_.T, estimator.intercept_
    if len(estimator.classes_) == 2:
        slopes, heights = np.hstack([-slopes, slopes]), np.hstack([-heights, heights])
    if isinstance(estimator, LinearSVC):
        return _convert_affine([(slopes, heights)], n_features)
    return _convert_affine([estimator.cosines, (slopes, heights)], n_features)


def _convert_affine(layers: Sequence[tuple[NDArray[Any], NDArray[Any]]], n_features: int) -> onnx.ModelProto:
    """Layers x @ slopes + heights with cosines between them; slopes of shape (inputs, outputs)."""
    nodes, constants, name = [], [], _INPUT
    for number, (slopes, heights) in enumerate(layers):
        if number:
            nodes.append(helper.make_node("Cos", [name], [f"cosines{number}"]))
            name = f"cosines{number}"
        for kind, values in (("MatMul", slopes), ("Add", heights)):
            constant, result = f"{kind}{number}", f"{kind}{number}_result"
            constants.append(numpy_helper.from_array(np.asarray(values, dtype=np.float32), constant))
            nodes.append(helper.make_node(kind, [name, constant], [result]))
            name = result
    nodes[-1].output[0] = _OUTPUT
    k = layers[-1][0].shape[1]
    graph = helper.make_graph(
        nodes,
        "galeno",
        [helper.make_tensor_value_info(_INPUT, TensorProto.FLOAT, [None, n_features])],
        [helper.make_tensor_value_info(_OUTPUT, TensorProto.FLOAT, [None, k])],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSETS[""])])


def _native(estimator: Any, family: Family) -> tuple[bytes | None, str]:
    """The booster's own safe format, cut at its best iteration."""
    if estimator is None:
        return None, ""
    if family == "xgboost":
        booster = estimator.get_booster()
        best = getattr(estimator, "best_iteration", None) if estimator.early_stopping_rounds else None
        if best is not None:
            booster = booster[: best + 1]
        return bytes(booster.save_raw("ubj")), "ubj"
    if family == "lightgbm":
        return _lightgbm_text(estimator).encode("utf-8"), "txt"
    return None, ""


def _native_parity(graph: ExportedGraph, expected: Probabilities, matrix: FloatMatrix) -> float | None:
    """Largest difference of the native format, or None where there is none that can be trusted."""
    if graph.native is None or not len(matrix):
        return None
    found = open_native(graph.native, graph.native_suffix, threads=1)(matrix)
    try:
        return compare(np.asarray(found, dtype=np.float64), expected)
    except ParityError:
        return None


def _one_digit(value: float) -> float:
    """Its size is what matters; more digits would tell machines apart."""
    return float(f"{value:.0e}")


def _freeze(model: onnx.ModelProto) -> bytes:
    """Same estimator, same bytes: one output, no dead nodes, no names or texts of tools."""
    graph = model.graph
    probabilities = graph.output[-1]
    kept, needed = [], {probabilities.name}
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    names = {graph.input[0].name: _INPUT, probabilities.name: _OUTPUT}
    for node in reversed(kept):
        for name in node.output:
            names.setdefault(name, f"t{len(names)}")
    constants = [constant for constant in graph.initializer if constant.name in needed]
    for constant in constants:
        names.setdefault(constant.name, f"c{len(names)}")
    nodes = []
    for number, node in enumerate(reversed(kept)):
        clean = onnx.NodeProto()
        clean.CopyFrom(node)
        clean.name, clean.doc_string = f"n{number}", ""
        clean.input[:] = [names[name] if name else "" for name in node.input]
        clean.output[:] = [names[name] if name else "" for name in node.output]
        nodes.append(clean)
    renamed = []
    for constant in constants:
        clean_constant = onnx.TensorProto()
        clean_constant.CopyFrom(constant)
        clean_constant.name, clean_constant.doc_string = names[constant.name], ""
        renamed.append(clean_constant)
    features = graph.input[0].type.tensor_type.shape.dim[1].dim_value
    slim = helper.make_graph(
        nodes,
        "galeno",
        [helper.make_tensor_value_info(_INPUT, TensorProto.FLOAT, [None, features])],
        [helper.make_tensor_value_info(_OUTPUT, TensorProto.FLOAT, [None, None])],
        renamed,
    )
    opsets = sorted({(o.domain, o.version) for o in model.opset_import})
    frozen = helper.make_model(
        slim, opset_imports=[helper.make_opsetid(domain, version) for domain, version in opsets]
    )
    frozen.ir_version, frozen.producer_name = min(model.ir_version, 10), "galeno"
    return bytes(frozen.SerializeToString(deterministic=True))
