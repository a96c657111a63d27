"""Backbones by path: ONNX as it is, TorchScript exported or trained on, and what is refused unopened."""

import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from galeno.deep.backbone import fine_tune, load_backbone
from galeno.errors import LearningError, MissingExtraError, SourceError

if TYPE_CHECKING:
    from torch import nn

SIZE = 16


def make_onnx(
    path: Path,
    *,
    names: tuple[str, str] = ("x", "y"),
    rows: int | str = "n",
    channels: int = 3,
    kind: int = TensorProto.FLOAT,
    domain: str = "",
    flat: bool = True,
) -> Path:
    """A convolution and a mean over all places."""
    weight = np.random.default_rng(0).normal(size=(5, channels, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", [names[0], "w"], ["c"], domain=domain),
        helper.make_node("GlobalAveragePool", ["c"], ["p" if flat else names[1]]),
    ]
    if flat:
        nodes.append(helper.make_node("Flatten", ["p"], [names[1]]))
    source = helper.make_tensor_value_info(names[0], kind, [rows, channels, SIZE, SIZE])
    target = helper.make_tensor_value_info(names[1], TensorProto.FLOAT, [rows, 5] if flat else None)
    graph = helper.make_graph(nodes, "g", [source], [target], [numpy_helper.from_array(weight, "w")])
    domains = sorted({"", domain})
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid(name, 17) for name in domains])
    model.ir_version = 8
    path.write_bytes(model.SerializeToString())
    return path


def make_script(
    path: Path, network: "nn.Module | None" = None, channels: int = 3, *, traced: bool = False
) -> Path:
    import torch
    from torch import nn

    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        network = network or nn.Sequential(
            nn.Conv2d(channels, 6, 3, stride=2),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        made = torch.jit.trace(network.eval(), torch.rand(2, channels, SIZE, SIZE)) if traced else None
        torch.jit.save(made or torch.jit.script(network), str(path))
    return path


def answer(graph: bytes, tensors: NDArray[Any]) -> NDArray[np.float32]:
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    found: NDArray[np.float32] = session.run(["y"], {"x": tensors.astype(np.float32)})[0]
    return found


def images(n: int, channels: int = 3) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Stripes one way or the other."""
    rng = np.random.default_rng(4)
    labels = np.arange(n, dtype=np.int64) % 2
    stripe = np.where(np.arange(SIZE) % 4 < 2, 60, 180)
    both = np.stack([np.tile(stripe, (SIZE, 1)), np.tile(stripe[:, None], (1, SIZE))])
    pixels = both[labels][:, None] + rng.normal(0, 10, (n, channels, SIZE, SIZE))
    return np.clip(pixels, 0, 255).astype(np.uint8), labels


def test_onnx_that_fits_stays_as_it_is(tmp_path: Path) -> None:
    path = make_onnx(tmp_path / "b.onnx")
    assert load_backbone(path, SIZE) == path.read_bytes()


@pytest.mark.parametrize("rows", ["batch", 1])
@pytest.mark.parametrize("names", [("x", "y"), ("input", "features"), ("y", "x")])
def test_onnx_gets_the_names_and_free_rows(tmp_path: Path, names: tuple[str, str], rows: int | str) -> None:
    rng = np.random.default_rng(1).normal(size=(4, 3, SIZE, SIZE))
    expected = answer(make_onnx(tmp_path / "plain.onnx").read_bytes(), rng)
    graph = load_backbone(make_onnx(tmp_path / "b.onnx", names=names, rows=rows), SIZE)
    onnx.checker.check_model(onnx.load_from_string(graph))
    assert (answer(graph, rng) == expected).all()


def _external(path: Path) -> Path:
    model = onnx.load(make_onnx(path))
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/hostname"
    path.write_bytes(model.SerializeToString())
    return path


def _junk(path: Path) -> Path:
    path.write_bytes(b"\x08\x08no graph at all")
    return path


def _cut(path: Path) -> Path:
    make_onnx(path).write_bytes(path.read_bytes()[:200])
    return path


@pytest.mark.parametrize(
    "make",
    [
        _external,
        _junk,
        _cut,
        lambda path: make_onnx(path, domain="mine"),
        lambda path: make_onnx(path, channels=2),
        lambda path: make_onnx(path, kind=TensorProto.DOUBLE),
        lambda path: make_onnx(path, flat=False),
        lambda path: path,
    ],
    ids=["external", "junk", "cut", "custom", "channels", "double", "not flat", "absent"],
)
def test_other_onnx_is_refused(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    with pytest.raises(SourceError, match=r"b\.onnx"):
        load_backbone(make(tmp_path / "b.onnx"), SIZE)


def test_another_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        load_backbone(make_onnx(tmp_path / "b.onnx"), SIZE + 1)


def test_onnx_needs_no_torch(tmp_path: Path, without_torch: None) -> None:
    assert load_backbone(make_onnx(tmp_path / "b.onnx"), SIZE)


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_torchscript_becomes_onnx(tmp_path: Path, channels: int, traced: bool) -> None:
    import torch

    path = make_script(tmp_path / "b.pt", channels=channels, traced=traced)
    graph = load_backbone(path, SIZE)
    assert graph == load_backbone(path, SIZE)
    rows = np.random.default_rng(1).normal(size=(5, channels, SIZE, SIZE)).astype(np.float32)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        expected = torch.jit.load(str(path)).eval()(torch.from_numpy(rows)).numpy()
    np.testing.assert_allclose(answer(graph, rows), expected, atol=1e-5)


def test_a_backbone_of_one_channel_gets_the_mean_of_three(tmp_path: Path) -> None:
    tensors, labels = images(24)
    path = make_script(tmp_path / "b.pt", channels=1)
    graph = fine_tune(path, tensors, labels, 2, size=SIZE, seed=1, epochs=1, device="cpu")
    grey = np.repeat(tensors.mean(axis=1, keepdims=True, dtype=np.float32), 3, axis=1)
    np.testing.assert_allclose(answer(graph, tensors), answer(graph, grey), atol=1e-5)


def test_a_backbone_is_trained_on(tmp_path: Path) -> None:
    tensors, labels = images(96)
    path = make_script(tmp_path / "b.pt")
    told: list[float] = []
    graphs = [
        fine_tune(path, tensors, labels, 2, size=SIZE, seed=1, epochs=10, device="cpu", watch=told.append)
        for _ in range(2)
    ]
    assert graphs[0] == graphs[1]
    assert told[9] == 1.0
    found = answer(graphs[0], tensors)
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, rtol=1e-5)
    assert (found.argmax(axis=1) == labels).mean() > 0.9


def test_onnx_cannot_be_trained_on(tmp_path: Path) -> None:
    tensors, labels = images(8)
    with pytest.raises(LearningError, match="trained on"):
        fine_tune(make_onnx(tmp_path / "b.onnx"), tensors, labels, 2, size=SIZE, seed=0)


def test_images_of_another_size_are_refused(tmp_path: Path) -> None:
    tensors, labels = images(8)
    with pytest.raises(LearningError, match="pixels"):
        fine_tune(make_script(tmp_path / "b.pt"), tensors, labels, 2, size=SIZE + 1, seed=0)


def test_images_of_other_channels_are_refused(tmp_path: Path) -> None:
    tensors, labels = images(8, channels=1)
    with pytest.raises(SourceError, match="images"):
        fine_tune(make_script(tmp_path / "b.pt"), tensors, labels, 2, size=SIZE, seed=0)


def _pickled(path: Path) -> None:
    import torch

    torch.save(torch.nn.Linear(2, 2).state_dict(), path)


def _zeros(path: Path) -> None:
    path.write_bytes(bytes(1000))


def _half(path: Path) -> None:
    make_script(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _scrambled(path: Path) -> None:
    """A whole archive whose program is no program."""
    make_script(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, b"class ..." if name.endswith(".py") else data)


def _reads_files(path: Path) -> None:
    import torch

    class Reader(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean(dim=(2, 3)) + torch.from_file("/etc/hostname", False, 3)

    make_script(path, Reader())


def _not_rows(path: Path) -> None:
    import torch

    make_script(path, torch.nn.Conv2d(3, 4, 3))


@pytest.mark.parametrize(
    "make", [_pickled, _zeros, _half, _scrambled, _reads_files, _not_rows], ids=lambda make: make.__name__
)
def test_other_torchscript_is_refused(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "b.pt"
    make(path)
    tensors, labels = images(8)
    with pytest.raises(SourceError, match=r"b\.pt"):
        load_backbone(path, SIZE)
    with pytest.raises(SourceError, match=r"b\.pt"):
        fine_tune(path, tensors, labels, 2, size=SIZE, seed=0, epochs=1)


def _with_code(path: Path, replace: tuple[bytes, bytes]) -> Path:
    """A backbone whose program says something else."""
    import torch

    class Plain(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.neg(x.mean(dim=(2, 3)))

    make_script(path, Plain())
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    old, new = replace
    assert any(old in data for data in members.values())
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data.replace(old, new) if name.endswith(".py") else data)
    return path


_RETURN = b"    return torch.neg(torch.mean(x, [2, 3]))"
_SAVES = {
    "blank": b'torch. save(x, "%s")',
    "blank before": b'torch .save(x, "%s")',
    "backslash": b'torch.\\\n    save(x, "%s")',
    "comment": b'torch.save # no\n    (x, "%s")',
    "pieces": b'getattr(torch, "sa" "ve")(x, "%s")',
    "escape": b'getattr(torch, "s\\141ve")(x, "%s")',
    "operator": b'ops. aten.save(x, "%s")',
}


@pytest.mark.parametrize("call", _SAVES.values(), ids=_SAVES)
def test_a_program_that_writes_files_is_refused(tmp_path: Path, call: bytes) -> None:
    written = tmp_path / "written"
    code = b"    " + call % bytes(written) + b"\n" + _RETURN
    path = _with_code(tmp_path / "b.pt", (_RETURN, code))
    with pytest.raises(SourceError, match=r"b\.pt: .*opens files|opens files.*b\.pt"):
        load_backbone(path, SIZE)
    assert not written.exists()


@pytest.mark.parametrize("call", [b'torch.save(x, "%s")', b'self.hidden(x, "%s")'])
def test_what_the_words_let_through_is_refused_in_the_graph(tmp_path: Path, call: bytes) -> None:
    from galeno.deep.scripted import export_scripted

    written = tmp_path / "written"
    code = b"    " + call % bytes(written) + b"\n" + _RETURN
    hidden = b"\n  def hidden(self: __torch__.Plain,\n    x: Tensor,\n    name: str) -> NoneType:\n"
    hidden += b"    if True:\n      torch.save(x, name)\n    return None\n"
    path = _with_code(tmp_path / "b.pt", (_RETURN, code + hidden if b"hidden" in call else code))
    with pytest.raises(SourceError, match="opens files"):
        export_scripted(path.read_bytes(), SIZE, "b.pt")
    assert not written.exists()


def test_code_under_another_case_of_its_ending_is_looked_into(tmp_path: Path) -> None:
    path = _with_code(
        tmp_path / "b.pt", (_RETURN, b'    torch.save(x, "%s")\n' % bytes(tmp_path / "w") + _RETURN)
    )
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name.replace(".py", ".PY"), data)
    with pytest.raises(SourceError, match="opens files"):
        load_backbone(path, SIZE)


def test_attributes_with_numbers_for_names_are_no_fault(tmp_path: Path) -> None:
    from torch import nn

    inner = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), nn.AdaptiveAvgPool2d(1))
    path = make_script(tmp_path / "b.pt", nn.Sequential(inner, nn.Flatten()))
    with zipfile.ZipFile(path) as archive:
        assert any(b"getattr(" in archive.read(name) for name in archive.namelist() if name.endswith(".py"))
    assert load_backbone(path, SIZE)


def test_a_part_that_is_called_ops_is_no_fault(tmp_path: Path) -> None:
    import torch
    from torch import nn

    class Parts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.ops = nn.ModuleList([nn.Conv2d(3, 4, 3), nn.ReLU()])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for part in self.ops:
                x = part(x)
            return x.mean(dim=(2, 3))

    assert load_backbone(make_script(tmp_path / "b.pt", Parts()), SIZE)


def test_torchscript_without_torch_names_the_extra(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    path = make_script(tmp_path / "b.pt")
    request.getfixturevalue("without_torch")
    with pytest.raises(MissingExtraError, match=r"galeno\[deep\]"):
        load_backbone(path, SIZE)
