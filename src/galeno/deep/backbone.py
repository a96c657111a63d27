"""A network that the user names by its path: taken as it is, or trained on.

ONNX is data: operators of a published standard, which onnxruntime runs; files that refer to other files
or to operators of others are refused. TorchScript (`torch.jit.save`) holds a program in a small language
of tensors, which torch interprets; it cannot reach Python. Of what that language has, the operators
that open files and those that libraries added are refused: their names are looked for before anything is
loaded, since opening may run a part of the program, and the graphs are looked through before they run.
Pickled modules and weights (`torch.save`) can run anything when they are opened, and are never opened.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnx.compose
from numpy.typing import NDArray

from galeno.deep.extra import require_deep
from galeno.deep.graph import open_graph, plain_bytes
from galeno.deep.training import Recipe, Tensors, check_tensors
from galeno.errors import LearningError, SourceError
from galeno.storage.graphs import find_model_reference

MOST_BYTES = 512 * 1024 * 1024
WIDEST = 16_384
"""Numbers a row that a backbone may give."""
_MOST_CODE = 32 * 1024 * 1024
_REACHES_OUT = re.compile(
    rb"\b(?:save|from_file|rpc_sync|rpc_async|rpc_remote)\b|(?<![\w.])ops\b(?! : |\.(?:prim|aten)\.)"
)
"""Words, which neither blanks nor comments can take apart; as the name of something else, torch writes `ops`
only where it declares an attribute."""
_ATTRIBUTE = re.compile(rb'\bgetattr\(([\w.()]+), "[^"\\\n]*"\)')
"""As torch writes it; only here could a text, put together from pieces, become a name."""
_REMEDY = "Name an ONNX file, or a TorchScript file that torch.jit.save wrote."


def load_backbone(path: Path, size: int) -> bytes:
    """A backbone as ONNX: its input `x` is float32 (n, 1 or 3, size, size), its output `y` float32 (n, d).

    An ONNX file stays as it is, but for the names of input and output and a number of rows that is
    fixed. A TorchScript file is exported; this alone needs torch.

    Args:
        path: file ending in `.onnx`, or in `.pt`, `.pth` or `.ts`.
        size: side of the images, in pixels.

    Raises:
        SourceError: no such file, too large, damaged, or not of one input and one output as above.
        MissingExtraError: TorchScript, and torch is not installed.
        LearningError: TorchScript with an operation that has no counterpart in ONNX.
        ParityError: the export answers otherwise than the TorchScript.
    """
    data = _read(path)
    if path.suffix == ".onnx":
        return _check_onnx(data, size, path.name)
    _check_archive(data, path.name)
    require_deep("a TorchScript backbone", "torch")
    from galeno.deep.scripted import export_scripted

    return _check_onnx(export_scripted(data, size, path.name), size, path.name)


def fine_tune(
    path: Path,
    tensors: Tensors,
    labels: NDArray[np.int64],
    n_classes: int,
    *,
    size: int,
    seed: int,
    threads: int = 1,
    epochs: int = 8,
    flip: bool = False,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    watch: Callable[[float], None] | None = None,
) -> bytes:
    """Put a linear head on a TorchScript backbone and train both.

    Args:
        path: TorchScript, as `load_backbone` takes it.
        tensors: images (n, 1 or 3, size, size), float32 in the units that the backbone wants, or uint8,
            of which the graph makes 0..1. Of three channels a backbone that takes one gets the mean.
        labels: class of each row, int64, shape (n,).
        n_classes: columns of the answer.
        size: side of the images, in pixels.
        seed: of all chance.
        threads: of torch, while this runs.
        epochs: how often every image is seen.
        flip: whether mirrored images mean the same.
        device: `auto` takes a GPU where there is one.
        watch: told the share that is done, 0..1, after each epoch.

    Returns:
        ONNX from `x`, float32 in the units of `tensors`, to `y`, log-probabilities (n, n_classes).

    Raises:
        SourceError, MissingExtraError, LearningError, ParityError: see `load_backbone` and `train_network`.
    """
    check_tensors("image", tensors, labels, n_classes, None)
    if tensors.shape[2:] != (size, size):
        raise LearningError(f"images are not {size} pixels a side", where=path.name)
    data = _read(path)
    if path.suffix == ".onnx":
        raise LearningError(
            "ONNX cannot be trained on",
            where=path.name,
            remedy="Name a TorchScript file, or take it as it is.",
        )
    _check_archive(data, path.name)
    require_deep("training a backbone on", "torch")
    from galeno.deep.lesson import Lesson
    from galeno.deep.scripted import tune_scripted

    lesson = Lesson(
        kind="image",
        tensors=tensors,
        labels=np.asarray(labels, np.int64),
        n_classes=n_classes,
        groups=np.arange(len(labels)),
        flip=flip,
        recipe=Recipe(epochs=epochs, batch=32, learning_rate=1e-3),
    )
    return tune_scripted(
        data, lesson, where=path.name, seed=seed, threads=threads, device=device, watch=watch
    )


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise SourceError(f"the backbone is larger than {MOST_BYTES >> 20} MiB", where=path.name)
        return path.read_bytes()
    except OSError as error:
        raise SourceError(
            f"the backbone cannot be read ({type(error).__name__})", where=path.name, remedy=_REMEDY
        ) from None


def _check_archive(data: bytes, where: str) -> None:
    """Refuse what is no TorchScript, and what opens files or calls a library's operators."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            names = {member.filename.partition("/")[2] for member in members}
            if not {"constants.pkl", "data.pkl"} <= names:
                raise SourceError("not a TorchScript file", where=where, remedy=_REMEDY)
            # torch finds members whatever the case of their names
            code = [member for member in members if member.filename.lower().endswith(".py")]
            sizes = [sum(member.file_size for member in some) for some in (members, code)]
            if sizes[0] > 2 * MOST_BYTES or sizes[1] > _MOST_CODE:
                raise SourceError("the backbone is too large when unpacked", where=where)
            reaching = any(_reaches_out(archive.read(member)) for member in code)
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, zlib.error) as error:
        raise SourceError(
            f"not a TorchScript file ({type(error).__name__})", where=where, remedy=_REMEDY
        ) from None
    if reaching:
        raise SourceError(
            "the TorchScript opens files or calls operators that are not torch's own", where=where
        )


def _reaches_out(code: bytes) -> bool:
    """Whether code names an operator that is refused, or may put such a name together."""
    if _REACHES_OUT.search(code):
        return True
    changed = 1
    while changed:
        code, changed = _ATTRIBUTE.subn(rb"\1", code)
    return re.search(rb"\bgetattr\b", code) is not None


def _check_onnx(data: bytes, size: int, where: str) -> bytes:
    try:
        model = onnx.load_from_string(data)
    except Exception as error:
        raise SourceError(f"not an ONNX file ({type(error).__name__})", where=where, remedy=_REMEDY) from None
    outside = find_model_reference(model)
    if outside is not None:
        raise SourceError(outside, where=where, remedy="Save it as one file, with ONNX's own operators.")
    channels = _channels(model, size, where)
    model, changed = _rename(model)
    graph = plain_bytes(model.SerializeToString()) if changed else data
    _try(graph, channels, size, where)
    return graph


def _channels(model: Any, size: int, where: str) -> int:
    """Channels of the one float input (n, 1 or 3, size, size); any other graph is refused."""
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    shape = [dimension.dim_value for dimension in inputs[0].type.tensor_type.shape.dim] if inputs else []
    fits = (
        len(inputs) == 1
        and len(model.graph.output) == 1
        and inputs[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        and len(shape) == 4
        and shape[1] in {1, 3}
        and all(side in {0, size} for side in shape[2:])
    )
    if not fits:
        raise SourceError(
            f"the graph does not go from one float input (n, 1 or 3, {size}, {size}) to one output",
            where=where,
        )
    return int(shape[1])


def _rename(model: Any) -> tuple[Any, bool]:
    """Input `x`, output `y`, any number of rows; and whether that changed the graph."""
    constants = {tensor.name for tensor in model.graph.initializer}
    source = next(value for value in model.graph.input if value.name not in constants)
    target = model.graph.output[0]
    fixed = any(
        value.type.tensor_type.shape.dim and value.type.tensor_type.shape.dim[0].dim_value
        for value in (source, target)
    )
    if (source.name, target.name) == ("x", "y") and not fixed:
        return model, False
    if (source.name, target.name) != ("x", "y"):
        model = onnx.compose.add_prefix(model, "backbone.")
        source = next(v for v in model.graph.input if v.name.removeprefix("backbone.") not in constants)
        target = model.graph.output[0]
        model.graph.node.insert(0, onnx.helper.make_node("Identity", ["x"], [source.name]))
        model.graph.node.append(onnx.helper.make_node("Identity", [target.name], ["y"]))
        source.name, target.name = "x", "y"
    del model.graph.value_info[:]
    for value in (source, target):
        if value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_param = "n"
    return model, True


def _try(graph: bytes, channels: int, size: int, where: str) -> None:
    """Run it on two grey images, and on one of them."""
    session = open_graph(graph, where=where)
    rows = np.full((2, channels, size, size), 0.5, np.float32)
    try:
        both, one = (session.run(["y"], {"x": part})[0] for part in (rows, rows[:1]))
    except Exception as error:
        raise SourceError(
            f"the graph does not answer for images of {size} pixels a side ({type(error).__name__})",
            where=where,
            remedy="Set backbone_size, and export it with a free number of rows.",
        ) from None
    if (
        both.dtype != np.float32
        or both.ndim != 2
        or len(both) != 2
        or len(one) != 1
        or not 1 <= both.shape[1] <= WIDEST
    ):
        raise SourceError("the graph does not give one row of numbers an image", where=where)
