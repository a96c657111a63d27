"""ONNX graphs that refer to something outside of them, wherever in the file they do."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import GraphProto, ModelProto, TensorProto, helper, numpy_helper

from galeno.storage.graphs import find_reference


def make_model(nodes: list[Any], functions: list[Any] | None = None) -> ModelProto:
    source, target = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2]) for name in ("x", "y"))
    opsets = [helper.make_opsetid(name, 17 if not name else 1) for name in ("", "own")]
    graph = helper.make_graph(nodes, "g", [source], [target])
    return helper.make_model(graph, opset_imports=opsets, functions=functions or [])


def external() -> TensorProto:
    tensor = numpy_helper.from_array(np.ones(2, np.float32), "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "secret"
    return tensor


def inner_graph() -> GraphProto:
    return helper.make_graph([], "i", [], [helper.make_tensor_value_info("w", 1, [2])], [external()])


def plain() -> ModelProto:
    body = [helper.make_node("Relu", ["a"], ["b"])]
    function = helper.make_function("own", "Mine", ["a"], ["b"], body, [helper.make_opsetid("", 17)])
    return make_model([helper.make_node("Mine", ["x"], ["y"], domain="own")], [function])


def in_a_function_s_graph() -> ModelProto:
    body = [helper.make_node("If", ["a"], ["b"], then_branch=inner_graph(), else_branch=inner_graph())]
    function = helper.make_function("own", "Mine", ["a"], ["b"], body, [helper.make_opsetid("", 17)])
    return make_model([helper.make_node("Mine", ["x"], ["y"], domain="own")], [function])


def in_a_graph() -> ModelProto:
    return make_model(
        [helper.make_node("If", ["x"], ["y"], then_branch=inner_graph(), else_branch=inner_graph())]
    )


def in_a_sparse_attribute() -> ModelProto:
    model = make_model([helper.make_node("Constant", [], ["y"])])
    attribute = model.graph.node[0].attribute.add()
    attribute.name, attribute.type = "sparse_value", 11
    attribute.sparse_tensor.values.CopyFrom(external())
    return model


def in_sparse_weights() -> ModelProto:
    model = make_model([helper.make_node("Relu", ["x"], ["y"])])
    model.graph.sparse_initializer.add().indices.CopyFrom(external())
    return model


def of_another_domain() -> ModelProto:
    return make_model([helper.make_node("Relu", ["x"], ["y"], domain="own")])


def of_compiled_code() -> ModelProto:
    return make_model([helper.make_node("EPContext", ["x"], ["y"], domain="com.microsoft")])


def test_a_whole_graph_is_no_fault() -> None:
    assert find_reference(plain().SerializeToString()) is None


@pytest.mark.parametrize(
    "make",
    [
        in_a_function_s_graph,
        in_a_graph,
        in_a_sparse_attribute,
        in_sparse_weights,
        of_another_domain,
        of_compiled_code,
    ],
    ids=lambda make: make.__name__,
)
def test_a_reference_is_found_wherever_it_is(make: Callable[[], ModelProto]) -> None:
    assert find_reference(make().SerializeToString()) is not None


def test_junk_is_no_graph() -> None:
    with pytest.raises(ValueError, match="not an ONNX file"):
        find_reference(b"\x08\x08no graph at all")
