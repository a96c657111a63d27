"""The backbone of a package, which is opened only where it is whole in itself."""

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from galeno.errors import PackageError
from galeno.features.backbone import Backbone

SIZE = 4


def make_backbone(*, external: bool) -> ModelProto:
    """The image plus a weight, in one row."""
    weight = numpy_helper.from_array(np.ones((1, 3, SIZE, SIZE), np.float32), "w")
    if external:
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        entry = weight.external_data.add()
        entry.key, entry.value = "location", "backbone.bin"
    nodes = [helper.make_node("Add", ["x", "w"], ["s"]), helper.make_node("Flatten", ["s"], ["y"])]
    source = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, SIZE, SIZE])
    target = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3 * SIZE * SIZE])
    model = helper.make_model(
        helper.make_graph(nodes, "g", [source], [target], [weight]),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    model.ir_version = 8
    return model


def test_a_whole_graph_answers() -> None:
    backbone = Backbone(make_backbone(external=False).SerializeToString(), SIZE)
    assert backbone.embed(np.zeros((SIZE, SIZE), np.uint8)) == pytest.approx(np.ones(backbone.width))


def test_numbers_in_another_file_are_not_looked_for(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("here")
    (folder / "backbone.bin").write_bytes(np.ones(3 * SIZE * SIZE, np.float32).tobytes())
    monkeypatch.chdir(folder)
    with pytest.raises(PackageError, match="another file"):
        Backbone(make_backbone(external=True).SerializeToString(), SIZE).embed(
            np.zeros((SIZE, SIZE), np.uint8)
        )


def test_a_damaged_graph_is_told() -> None:
    cut = make_backbone(external=False).SerializeToString()[:60]
    for bad in (cut, b"", b"\x08\x08no graph at all"):
        with pytest.raises(PackageError):
            assert Backbone(bad, SIZE).width
