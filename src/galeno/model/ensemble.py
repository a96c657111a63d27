"""A weighted mean of graphs.

Each member sees its own columns of the one feature matrix and answers for the
classes that its fitting rows held; the others get probability zero from it. The
graphs run in ONNX Runtime; boosters may keep their own safe format beside it,
which answers large batches some three times faster.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Literal, Self

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from galeno.errors import PackageError
from galeno.records import FloatMatrix, Probabilities

SMALL = 512
"""Up to so many rows ONNX answers, above it the booster's own format where there is one."""
CHUNK = 65_536
"""Rows answered at a time, which bounds memory."""

LINK_FLOOR = 1e-5
"""Smaller probabilities are raised to it before a link takes their logarithm."""

Predict = Callable[[FloatMatrix], NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Link:
    """From a graph's output to probabilities.

    probability  as it is
    log          softmax(scale * ln p + bias) by class, for probabilities that promise too much
    softmax      softmax(scale * score + bias) by class, for scores
    """

    kind: Literal["probability", "log", "softmax"] = "probability"
    scale: tuple[float, ...] = ()
    bias: tuple[float, ...] = ()

    def apply(self, output: NDArray[Any]) -> Probabilities:
        """Probabilities, float64, of the same shape (rows, k)."""
        values = np.asarray(output, dtype=np.float64)
        if self.kind == "probability":
            return values
        if self.kind == "log":
            values = np.log(np.maximum(values, LINK_FLOOR))
        values = values * np.asarray(self.scale) + np.asarray(self.bias)
        values = np.exp(values - values.max(axis=1, keepdims=True))
        probabilities: Probabilities = values / values.sum(axis=1, keepdims=True)
        return probabilities

    def to_dict(self) -> dict[str, Any]:
        """JSON values that `from_dict` reads."""
        if self.kind == "probability":
            return {"kind": self.kind}
        return {"kind": self.kind, "scale": list(self.scale), "bias": list(self.bias)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The link that `to_dict` wrote."""
        return cls(data["kind"], tuple(data.get("scale", ())), tuple(data.get("bias", ())))


@dataclass(frozen=True, slots=True)
class Member:
    """One graph of an ensemble."""

    name: str
    """Candidate that it is, for people."""
    onnx: bytes
    columns: NDArray[np.int64]
    """Columns of the feature matrix that it sees, shape (features,)."""
    class_index: NDArray[np.int64]
    """Study class of each output column, shape (k,)."""
    weight: float
    link: Link = field(default_factory=Link)
    native: bytes | None = None
    native_suffix: str = ""
    """ubj (XGBoost) or txt (LightGBM)."""
    parity: float | None = None
    """Largest difference between the graph and the fitted estimator that was seen when it was packaged."""
    native_parity: float | None = None
    """The same for the native format, which is used only where this was measured."""

    @property
    def has_native(self) -> bool:
        """Whether large batches may be answered by the booster itself."""
        return self.native is not None and self.native_parity is not None


class Ensemble:
    """Members that answer together.

    Args:
        members: at least one, weights above zero.
        n_classes: classes of the study.
        n_features: columns of the feature matrix.
        threads: for each member's session.

    Raises:
        PackageError: a graph cannot be opened, or columns or classes are out of place.
    """

    def __init__(
        self, members: Sequence[Member], n_classes: int, n_features: int, *, threads: int = 1
    ) -> None:
        self.members = tuple(members)
        self.n_classes = n_classes
        self.n_features = n_features
        total = float(sum(member.weight for member in members))
        if not self.members or not total > 0 or any(not member.weight > 0 for member in members):
            raise PackageError("an ensemble has members, each with a weight above zero")
        self._parts = [
            _Part(member, member.weight / total, n_classes, n_features, threads) for member in self.members
        ]

    def probabilities(self, matrix: FloatMatrix) -> Probabilities:
        """Weighted mean of the members' probabilities.

        Args:
            matrix: float32, shape (rows, n_features).

        Returns:
            float64, shape (rows, n_classes); rows sum to one.
        """
        if len(matrix) <= CHUNK:
            return self._mean(matrix)
        answers = np.empty((len(matrix), self.n_classes))
        for start in range(0, len(matrix), CHUNK):
            answers[start : start + CHUNK] = self._mean(matrix[start : start + CHUNK])
        return answers

    def _mean(self, matrix: FloatMatrix) -> Probabilities:
        total = np.zeros((len(matrix), self.n_classes))
        if len(matrix):
            for part in self._parts:
                part.add(matrix, total)
            total /= np.add.reduce(total, axis=1, keepdims=True)
        return total


class _Part:
    """A member ready to answer."""

    def __init__(self, member: Member, share: float, n_classes: int, n_features: int, threads: int) -> None:
        columns, classes = member.columns, member.class_index
        if not (len(columns) and columns.min() >= 0 and columns.max() < n_features):
            raise PackageError("columns of a member are out of place", where=member.name)
        if not (len(classes) and classes.min() >= 0 and classes.max() < n_classes):
            raise PackageError("classes of a member are out of place", where=member.name)
        self._share = share
        self._link = member.link
        self._classes = None if np.array_equal(classes, np.arange(n_classes)) else classes
        self._columns = None if np.array_equal(columns, np.arange(n_features)) else columns
        session = open_session(member.onnx, threads=threads, where=member.name)
        if session.get_inputs()[0].shape[1] != len(columns):
            raise PackageError("a graph takes another number of columns than it is given", where=member.name)
        self._graph: Predict = partial(run_session, session)
        self._member, self._threads = member, threads

    def add(self, matrix: FloatMatrix, total: Probabilities) -> None:
        seen = matrix if self._columns is None else matrix.take(self._columns, axis=1)
        predict = self._native if len(matrix) > SMALL and self._member.has_native else self._graph
        answers = self._link.apply(predict(seen))
        if self._share != 1.0:
            answers = answers * self._share
        if self._classes is None:
            total += answers
        else:
            total[:, self._classes] += answers

    @cached_property
    def _native(self) -> Predict:
        """Opened at the first large batch: the booster's library takes a second to import.

        Where it does not load (LightGBM without OpenMP), the graph answers, more slowly.
        """
        member = self._member
        try:
            return open_native(
                member.native or b"", member.native_suffix, threads=self._threads, where=member.name
            )
        except OSError:
            return self._graph


def open_session(graph: bytes, *, threads: int, where: str = "") -> ort.InferenceSession:
    """A session on the graph's bytes; graphs that refer to files outside are refused.

    Raises:
        PackageError: the graph is damaged.
    """
    if b"location" in graph:
        # External tensors name their file under this key; a package's graphs are whole in themselves.
        raise PackageError("the graph refers to a file outside the package", where=where)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4
    # Threads that wait by spinning take a core from whoever shares the machine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except _ORT_ERRORS as error:
        raise PackageError(f"the graph cannot be opened ({type(error).__name__})", where=where) from None


def run_session(session: ort.InferenceSession, matrix: FloatMatrix) -> NDArray[np.float32]:
    """The graph's one output for the rows of a matrix."""
    output: NDArray[np.float32] = session.run(["y"], {"x": np.ascontiguousarray(matrix)})[0]
    return output


def open_native(model: bytes, suffix: str, *, threads: int, where: str = "") -> Predict:
    """A booster from its own format; neither format can hold code.

    Raises:
        PackageError: the bytes are damaged, or the format is not known.
    """
    openers = {"ubj": _open_xgboost, "txt": _open_lightgbm}
    if suffix not in openers:
        raise PackageError(f"no booster format {suffix!r} is known here", where=where)
    predict = openers[suffix](model, threads)
    if predict is None:
        raise PackageError("the booster is damaged", where=where)
    return predict


def _open_xgboost(model: bytes, threads: int) -> Predict | None:
    import xgboost

    try:
        booster = xgboost.Booster({"nthread": threads}, model_file=bytearray(model))
    except xgboost.core.XGBoostError:
        return None
    return lambda matrix: _two_columns(booster.inplace_predict(matrix, validate_features=False))


def _open_lightgbm(model: bytes, threads: int) -> Predict | None:
    import lightgbm

    try:
        booster = lightgbm.Booster(model_str=model.decode("utf-8"))
    except (lightgbm.basic.LightGBMError, UnicodeDecodeError):
        return None
    return lambda matrix: _two_columns(booster.predict(matrix, num_threads=threads))


def _two_columns(answers: NDArray[Any]) -> NDArray[Any]:
    return np.column_stack([1 - answers, answers]) if answers.ndim == 1 else answers


_ORT_ERRORS = (
    ort.capi.onnxruntime_pybind11_state.Fail,
    ort.capi.onnxruntime_pybind11_state.InvalidArgument,
    ort.capi.onnxruntime_pybind11_state.InvalidGraph,
    ort.capi.onnxruntime_pybind11_state.InvalidProtobuf,
    ort.capi.onnxruntime_pybind11_state.NoSuchFile,
    ort.capi.onnxruntime_pybind11_state.NotImplemented,
    ort.capi.onnxruntime_pybind11_state.RuntimeException,
)
