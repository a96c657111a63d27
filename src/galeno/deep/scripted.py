"""TorchScript backbones in torch: opened, looked through, exported, trained on."""

import io
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from galeno.deep.adapter import GreyBackbone, HeadedBackbone, LogProbabilities
from galeno.deep.augmentation import ImageAugmentation
from galeno.deep.graph import export_graph
from galeno.deep.lesson import Lesson, calm, choose_device, fit, spread
from galeno.deep.network import Normalisation
from galeno.errors import LearningError, SourceError

_SLOWER = 0.1
"""The backbone's learning rate, relative to the head's."""
_BLOCK = 64
_SPACES = {"aten", "prim"}
"""Operators that torch brings with it."""
_REFUSED = {
    "aten::save",
    "aten::from_file",
    "prim::PythonOp",
    "prim::IgnoredPythonOp",
    "prim::rpc_async",
    "prim::rpc_remote",
    "prim::rpc_sync",
}
_CALLS = {"prim::CallFunction", "prim::CallMethod"}
"""Left where all calls are written out, they lead to a program that cannot be seen."""


def export_scripted(data: bytes, size: int, where: str) -> bytes:
    """The backbone as ONNX, for three channels or, where it does not take them, for one.

    Raises:
        SourceError: damaged, or it takes neither.
        LearningError, ParityError: see `export_graph`.
    """
    with calm(0, 1, torch.device("cpu")):
        backbone = _open(data, where)
        for channels in (3, 1):
            rows = torch.rand(3, channels, size, size)
            if _answers(backbone, rows):
                return export_graph(_traced(backbone, rows), rows.numpy(), where=where)
    raise SourceError(
        f"the backbone gives no rows of numbers for images (n, 3 or 1, {size}, {size})", where=where
    )


def tune_scripted(
    data: bytes,
    lesson: Lesson,
    *,
    where: str,
    seed: int,
    threads: int,
    device: str,
    watch: Callable[[float], None] | None,
) -> bytes:
    """Head and backbone trained on the lesson's images; see `backbone.fine_tune`."""
    place = choose_device(device)
    whole = lesson.tensors.dtype == np.uint8
    low, high = (0.0, 255.0) if whole else (float(lesson.tensors.min()), float(lesson.tensors.max()))
    with calm(seed, threads, place):
        backbone = _open(data, where)
        inputs = torch.from_numpy(np.ascontiguousarray(lesson.tensors))
        scale = 1 / 255 if whole else 1.0
        example = inputs[:2].float() * scale
        if not _answers(backbone, example):
            if not _answers(backbone, example.mean(dim=1, keepdim=True)):
                raise SourceError(
                    f"the backbone gives no rows of numbers for images {inputs.shape[1:]}", where=where
                )
            backbone = GreyBackbone(backbone)
        network = HeadedBackbone(
            backbone, scale, _feature_statistics(backbone, inputs, scale), lesson.n_classes
        )
        change = ImageAugmentation(low, max(high, low + 1e-6), lesson.flip)
        try:
            trained = fit(
                network,
                inputs,
                lesson,
                change=change,
                device=place,
                watch=watch,
                slower={"backbone": _SLOWER},
            )
        except RuntimeError as error:
            raise LearningError(
                f"the backbone cannot be trained on ({type(error).__name__})", where=where
            ) from None
        example = inputs[spread(len(inputs))].float()
        return export_graph(_traced(LogProbabilities(trained), example[:2]), example.numpy(), where=where)


def _open(data: bytes, where: str) -> nn.Module:
    with warnings.catch_warnings():
        # torch would rather have another format, which holds Python's pickles.
        warnings.simplefilter("ignore")
        try:
            backbone = torch.jit.load(io.BytesIO(data), map_location="cpu")
            refused = any(_is_refused(node.kind()) for node in _nodes(backbone))
        except (RuntimeError, ValueError, TypeError, OSError) as error:
            raise SourceError(
                f"the TorchScript cannot be opened ({type(error).__name__})", where=where
            ) from None
    if refused:
        raise SourceError(
            "the TorchScript opens files or calls operators that are not torch's own", where=where
        )
    return backbone.eval()


def _is_refused(kind: str) -> bool:
    return kind in _REFUSED | _CALLS or kind.partition("::")[0] not in _SPACES


def _nodes(backbone: nn.Module) -> Iterator[Any]:
    """Every operation of the module's methods, calls written out, and of the methods of those within it."""
    for depth, module in enumerate(backbone.modules()):
        compiled = module._c
        for name in compiled._method_names():
            method = compiled._get_method(name)
            # Kept: its nodes live no longer than it does.
            graph = method.graph if depth else method.inlined_graph
            waiting = list(graph.nodes())
            while waiting:
                node = waiting.pop()
                if not depth or node.kind() not in _CALLS:
                    yield node
                waiting.extend(inner for block in node.blocks() for inner in block.nodes())


def _answers(backbone: nn.Module, rows: Tensor) -> bool:
    """Whether it gives one row of floats for each image."""
    with torch.no_grad():
        try:
            found = backbone(rows)
        except (RuntimeError, TypeError, ValueError):
            return False
    return (
        isinstance(found, Tensor)
        and found.dtype == torch.float32
        and found.ndim == 2
        and len(found) == len(rows)
    )


def _traced(network: nn.Module, rows: Tensor) -> nn.Module:
    """The exporter takes a program inside a module only where the module is a program too."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        return torch.jit.trace(network.eval(), rows, check_trace=False)


def _feature_statistics(backbone: nn.Module, inputs: Tensor, scale: float) -> Normalisation:
    with torch.no_grad():
        found = torch.cat([backbone(part.float() * scale) for part in inputs.split(_BLOCK)])
    deviation = found.std(dim=0, keepdim=True)
    return Normalisation(
        found.mean(dim=0, keepdim=True), deviation.clamp_min(float(deviation.max()) * 0.01 + 1e-6)
    )
