"""Train a small network on sounds or images; what comes back is ONNX and needs no torch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from galeno.deep.extra import require_deep
from galeno.errors import LearningError

Kind = Literal["sound", "image"]
Tensors = NDArray[np.float32] | NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained."""

    epochs: int
    batch: int = 64
    learning_rate: float = 4e-3
    """At its peak, after a fifth of the way (one cycle, Smith & Topin 2018)."""
    weight_decay: float = 0.05
    """Of AdamW (Loshchilov & Hutter, ICLR 2019)."""
    mixup: float = 0.2
    """Alpha of the beta distribution; 0 for none."""
    label_smoothing: float = 0.05
    balance: float = 0.5
    """Rows weigh by their class's frequency to minus this: 0 as they come, 1 every class alike."""
    average: float = 0.99
    """Decay of the moving average of the weights, which is what is kept."""
    augment: bool = True


def usual_recipe(kind: Kind, rows: int) -> Recipe:
    """The recipe for so many rows: the fewer, the more often each is seen."""
    if kind == "sound":
        return Recipe(epochs=int(np.clip(16_000 // rows, 6, 40)), batch=32, mixup=0.4, label_smoothing=0.1)
    return Recipe(epochs=int(np.clip(56_000 // rows, 4, 60)))


def train_network(
    kind: Kind,
    tensors: Tensors,
    labels: NDArray[np.int64],
    n_classes: int,
    *,
    seed: int,
    groups: NDArray[np.int64] | None = None,
    threads: int = 1,
    flip: bool = False,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    recipe: Recipe | None = None,
    watch: Callable[[float], None] | None = None,
) -> bytes:
    """Train a network of `network.py` and write it as ONNX.

    Nothing is held back to stop early: the schedule is fixed beforehand. With one thread on one
    machine's CPU the same input gives the same bytes.

    Args:
        kind: `sound` for windows of a log-mel picture in dB, `image` for pixels.
        tensors: shape (n, c, h, w), float32 or uint8; sounds have one channel, images one or three.
        labels: class of each row, int64, shape (n,), 0..n_classes-1.
        n_classes: columns of the answer.
        seed: of all chance.
        groups: recording that each window is of, shape (n,), so that a long recording does not teach
            more than a short one; None where every row stands for itself. To answer for a recording,
            take the mean over its windows' log-probabilities.
        threads: of torch, while this runs.
        flip: whether mirrored images mean the same.
        device: `auto` takes a GPU where there is one.
        recipe: how to train; None takes `usual_recipe`.
        watch: told the share that is done, 0..1, after each epoch.

    Returns:
        ONNX (opset 17) from `x`, float32 (n, c, h, w) in the units of `tensors` (0..255 for uint8), to
        `y`, float32 (n, n_classes), log-probabilities. Normalisation is part of the graph.

    Raises:
        MissingExtraError: torch is not installed.
        LearningError: shapes or labels do not fit, there are fewer than two rows, or training diverged.
        ParityError: the graph does not answer as the network did.
    """
    check_tensors(kind, tensors, labels, n_classes, groups)
    require_deep(f"a network for the study's {kind}s", "torch")
    from galeno.deep.lesson import Lesson, teach

    lesson = Lesson(
        kind=kind,
        tensors=tensors,
        labels=np.asarray(labels, np.int64),
        n_classes=n_classes,
        groups=np.arange(len(labels)) if groups is None else groups,
        flip=flip,
        recipe=recipe or usual_recipe(kind, len(labels)),
    )
    return teach(lesson, seed=seed, threads=threads, device=device, watch=watch)


def check_tensors(
    kind: Kind,
    tensors: Tensors,
    labels: NDArray[np.int64],
    n_classes: int,
    groups: NDArray[np.int64] | None,
) -> None:
    """Check what a network is to learn from.

    Raises:
        LearningError: shapes, types or labels do not fit, or a value is not finite.
    """
    channels = {1} if kind == "sound" else {1, 3}
    if tensors.ndim != 4 or tensors.shape[1] not in channels or min(tensors.shape[2:]) < 8:
        raise LearningError(f"tensors of shape {tensors.shape} are no {kind}s", where="network")
    if tensors.dtype not in (np.float32, np.uint8):
        raise LearningError(f"tensors of type {tensors.dtype} are not float32 or uint8", where="network")
    if labels.shape != (len(tensors),) or (groups is not None and groups.shape != labels.shape):
        raise LearningError("tensors, labels and groups are not equally many", where="network")
    if len(labels) < 2 or labels.min() < 0 or labels.max() >= n_classes:
        raise LearningError("a network needs two rows or more, each of a class of the study", where="network")
    if tensors.dtype == np.float32 and not np.isfinite(tensors).all():
        raise LearningError("tensors hold values that are not finite", where="network")
