"""A network as a candidate like any other: fitted on one float32 matrix, and answered by an ONNX graph.

The matrix holds, in each row, what the network takes of one column; a row that lacks it is all zeros and gets
the shares of the classes. A sound's windows are answered one by one and averaged.
"""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Self

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper, numpy_helper

from galeno.errors import LearningError
from galeno.model.ensemble import open_session, run_session
from galeno.records import FloatMatrix, Labels, Probabilities

NETWORK = "network"
"""Family of its candidates."""
_OPSET = 17
_CHUNK = 256
_TURN = Lock()
"""One network is trained at a time: torch keeps random state and threads for the whole process."""


class Network:
    """A convolutional network; fitted with labels 0..k-1.

    Attributes:
        classes_: the labels.
        graph: ONNX bytes from `x`, float32 (rows, numbers), to `y`, float32 (rows, k), probabilities.
    """

    def __init__(
        self,
        kind: str,
        shape: Sequence[int],
        *,
        flip: bool = False,
        backbone: str = "",
        random_state: int = 0,
    ) -> None:
        """Choose what to train.

        Args:
            kind: `sound` for (windows, bands, frames), `image` for (3, height, width).
            shape: of a row.
            flip: whether mirrored images mean the same.
            backbone: path of a TorchScript network to train on, instead of a new one.
            random_state: seed of all chance.
        """
        self._kind, self._shape, self._flip, self._backbone = kind, tuple(shape), flip, backbone
        self._seed = random_state
        self.classes_ = np.zeros(0, np.int64)
        self.graph = b""

    def fit(
        self, matrix: FloatMatrix, labels: Labels, sample_weight: NDArray[np.float64] | None = None
    ) -> Self:
        """Fit on the rows that have the column.

        Raises:
            ValueError: they hold one class, or none.
            MissingExtraError: torch is not installed.
        """
        del sample_weight  # rare classes weigh more by the recipe
        self.classes_ = np.unique(labels)
        count = len(self.classes_)
        there = np.flatnonzero((matrix != 0).any(axis=1))
        if len(np.unique(labels[there])) < 2:
            raise ValueError("the rows with this column hold fewer than two classes")
        tensors = matrix[there].reshape(-1, *self._shape)
        try:
            with _TURN:
                inner, channels = self._train(tensors, labels[there], count)
        except LearningError as error:
            raise ValueError(error.what) from None
        shares = np.bincount(labels, minlength=count) / len(labels)
        self.graph = _join(inner, self._kind, self._shape, channels, shares)
        return self

    def predict_proba(self, matrix: FloatMatrix) -> Probabilities:
        """Probabilities, shape (rows, k), as the graph gives them."""
        session = open_session(self.graph, threads=1)
        parts = [
            run_session(session, np.ascontiguousarray(matrix[at : at + _CHUNK]))
            for at in range(0, max(len(matrix), 1), _CHUNK)
        ]
        return np.concatenate(parts).astype(np.float64)

    def _train(self, tensors: FloatMatrix, labels: Labels, count: int) -> tuple[bytes, int]:
        """The network's own graph, and its channels."""
        if self._backbone:
            from galeno.deep.backbone import fine_tune

            size, seed = self._shape[-1], self._seed
            path = Path(self._backbone)
            return fine_tune(path, tensors, labels, count, size=size, seed=seed, flip=self._flip), 3
        from galeno.deep.training import train_network

        if self._kind == "sound":
            windows = tensors.reshape(-1, 1, *self._shape[1:])
            repeated = np.repeat(labels, self._shape[0])
            groups = np.repeat(np.arange(len(labels)), self._shape[0])
            return train_network("sound", windows, repeated, count, seed=self._seed, groups=groups), 1
        grey = bool((tensors[:, :1] == tensors).all())
        seen = np.ascontiguousarray(tensors[:, :1] if grey else tensors)
        return train_network("image", seen, labels, count, seed=self._seed, flip=self._flip), seen.shape[1]


def _join(
    inner: bytes, kind: str, shape: tuple[int, ...], channels: int, shares: NDArray[np.float64]
) -> bytes:
    """The network's graph between rows of a matrix and probabilities."""
    model = compose.add_prefix(onnx.load_model_from_string(inner), "network_")
    windows, height, width = shape if kind == "sound" else (1, *shape[1:])
    entry, out = model.graph.input[0].name, model.graph.output[0].name
    whole = [windows, 1, height, width] if kind == "sound" else [shape[0], height, width]
    constants = {
        "inner_shape": np.array([-1, channels, height, width], np.int64),
        "row_shape": np.array([-1, *whole[:1], height, width], np.int64),
        "starts": np.array([0], np.int64),
        "ends": np.array([channels], np.int64),
        "axis": np.array([1], np.int64),
        "window_shape": np.array([-1, windows, len(shares)], np.int64),
        "shares": shares.astype(np.float32)[np.newaxis],
        "zero": np.zeros(1, np.float32),
    }
    before = [
        helper.make_node("Reshape", ["x", "row_shape"], ["rows"]),
        helper.make_node("Slice", ["rows", "starts", "ends", "axis"], ["sliced"])
        if kind != "sound"
        else helper.make_node("Identity", ["rows"], ["sliced"]),
        helper.make_node("Reshape", ["sliced", "inner_shape"], [entry]),
    ]
    after = [
        helper.make_node("Reshape", [out, "window_shape"], ["by_window"]),
        helper.make_node("ReduceMean", ["by_window"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("Softmax", ["mean"], ["answer"], axis=1),
        helper.make_node("Abs", ["x"], ["size"]),
        helper.make_node("ReduceMax", ["size"], ["largest"], axes=[1], keepdims=1),
        helper.make_node("Greater", ["largest", "zero"], ["there"]),
        helper.make_node("Where", ["there", "answer", "shares"], ["y"]),
    ]
    graph = helper.make_graph(
        [*before, *model.graph.node, *after],
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, int(np.prod(shape))])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, len(shares)])],
        [
            *model.graph.initializer,
            *(numpy_helper.from_array(value, name) for name, value in constants.items()),
        ],
    )
    joined = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)])
    joined.ir_version = model.ir_version
    onnx.checker.check_model(joined)
    content: bytes = joined.SerializeToString(deterministic=True)
    return content
