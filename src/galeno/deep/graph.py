"""From a torch module to ONNX bytes that say the same, and the check of graphs that others made."""

import io
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from galeno.errors import LearningError, ParityError, SourceError

if TYPE_CHECKING:
    from torch import nn

OPSET = 17
TOLERANCE = 1e-4
"""Largest difference between torch and the graph that is let through, relative to 1."""
_COMPARED = 256
"""Rows that torch and the graph are compared on."""
_STANDARD = {"", "ai.onnx"}


def export_graph(network: "nn.Module", example: NDArray[np.float32], *, where: str) -> bytes:
    """Write a module in evaluation mode as ONNX with a free number of rows, and compare the two.

    The bytes depend on the module alone: names of tools, versions and source lines are taken out.

    Args:
        network: on the CPU; takes one float32 tensor `x`, gives one tensor `y`.
        example: rows to trace and compare on, at least one, shape (n, c, h, w).
        where: for messages.

    Raises:
        LearningError: an operation of the module has no counterpart in ONNX.
        ParityError: the answers differ by more than TOLERANCE.
    """
    graph = plain_bytes(write_graph(network, (example[:2],), ["x"], ["y"], where=where))
    picked = np.unique(np.linspace(0, len(example) - 1, _COMPARED).astype(np.int64))
    compare(network, graph, example[picked], where=where)
    return graph


def write_graph(
    network: "nn.Module",
    inputs: tuple[NDArray[Any], ...],
    names: list[str],
    outputs: list[str],
    *,
    where: str,
    axes: dict[str, dict[int, str]] | None = None,
) -> bytes:
    """The module traced on inputs, as torch writes it.

    The exporter that traces is used: the newer one needs another package, onnxscript.

    Raises:
        LearningError: an operation of the module has no counterpart in ONNX.
    """
    import torch

    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        # Deprecation of this exporter, and the tracer's remarks on shapes that are constants.
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                network.eval(),
                tuple(torch.from_numpy(np.ascontiguousarray(array)) for array in inputs),
                buffer,
                input_names=names,
                output_names=outputs,
                dynamic_axes=axes or {name: {0: "n"} for name in [*names, *outputs]},
                opset_version=OPSET,
                dynamo=False,
            )
        except (RuntimeError, torch.onnx.errors.OnnxExporterError, ValueError, TypeError) as error:
            raise LearningError(
                f"the network cannot be written as ONNX ({type(error).__name__})", where=where
            ) from None
    return buffer.getvalue()


def plain_bytes(graph: bytes) -> bytes:
    """The same graph without the tool's name and version, and without remarks."""
    model = onnx.load_from_string(graph)
    model.producer_name = model.producer_version = model.doc_string = ""
    model.graph.name = "network"
    model.graph.doc_string = ""
    del model.metadata_props[:]
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    written: bytes = model.SerializeToString(deterministic=True)
    return written


def compare(network: "nn.Module", graph: bytes, rows: NDArray[np.float32], *, where: str) -> float:
    """Largest difference between module and graph on some rows.

    Raises:
        ParityError: it is above TOLERANCE, or one of them has a value that is no number.
    """
    import torch

    rows = np.ascontiguousarray(rows, dtype=np.float32)
    with torch.no_grad():
        expected = network.eval()(torch.from_numpy(rows)).numpy().astype(np.float64)
    found = open_graph(graph, where=where).run(None, {"x": rows})[0]
    if found.shape != expected.shape:
        raise ParityError(f"answers of shape {found.shape} instead of {expected.shape}", where=where)
    gap = np.abs(found - expected) / np.maximum(1, np.abs(expected))
    worst = float(gap.max(initial=0)) if np.isfinite(gap).all() else float("inf")
    if worst > TOLERANCE:
        raise ParityError(f"the graph differs by {worst:.1e} from the network", where=where)
    return worst


def open_graph(graph: bytes, *, where: str) -> Any:
    """A session with one thread on graph bytes.

    Raises:
        SourceError: onnxruntime cannot open them.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise SourceError(f"the graph cannot be opened ({type(error).__name__})", where=where) from None
