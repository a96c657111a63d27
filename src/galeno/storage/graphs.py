"""ONNX graphs that others made: whether one is whole in itself, looked at before it is opened."""

from typing import Any, Final

_DOMAINS: Final = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
"""Operators that onnxruntime brings with it."""
_CACHED = "EPContext"
"""An operator of onnxruntime that names a file of compiled code."""


def find_reference(graph: bytes) -> str | None:
    """What a graph refers to outside of itself; None where it is whole.

    Raises:
        ValueError: the bytes are no ONNX graph.
    """
    import onnx  # answering does not need it where there is no network

    try:
        model = onnx.load_from_string(graph)
    except Exception as error:  # protobuf has errors of its own
        raise ValueError(f"not an ONNX file ({type(error).__name__})") from None
    return find_model_reference(model)


def find_model_reference(model: Any) -> str | None:
    """What a parsed graph refers to outside of itself; None where it is whole.

    Every message of the file is looked at, wherever it stands: graphs within nodes and functions, sparse
    tensors, attributes (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).

    Args:
        model: `onnx.ModelProto`.
    """
    own = {(function.domain, function.name) for function in model.functions}
    waiting = [model]
    while waiting:
        message = waiting.pop()
        kind = message.DESCRIPTOR.name
        if kind == "TensorProto":
            if message.data_location or message.external_data:
                return "the graph keeps numbers in another file"
            continue
        if kind == "NodeProto" and not _is_known(message, own):
            return "the graph has operators that are not ONNX's own"
        for field, value in message.ListFields():
            if field.message_type is not None:
                waiting.extend([value] if hasattr(value, "DESCRIPTOR") else value)
    return None


def _is_known(node: Any, own: set[tuple[str, str]]) -> bool:
    if (node.domain, node.op_type) in own:
        return True
    return node.domain in _DOMAINS and node.op_type != _CACHED
