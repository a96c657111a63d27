"""One training run, from arrays to ONNX bytes; leaves torch's settings as they were."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from galeno.deep.adapter import LogProbabilities
from galeno.deep.augmentation import ImageAugmentation, SoundAugmentation, mix
from galeno.deep.graph import export_graph
from galeno.deep.network import ImageNetwork, Normalisation, SoundNetwork
from galeno.deep.training import Kind, Recipe, Tensors
from galeno.errors import LearningError

_WARM_UP = 0.2
"""Share of the steps in which the learning rate rises; then it falls as a cosine."""
_SOUND_WIDTHS = (16, 32, 64, 96)
_SMALL_WIDTHS, _LARGE_WIDTHS, _LARGE = (24, 24, 48, 96), (16, 32, 64, 96), 40
"""Channels of the image network below and from so many pixels a side on."""


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What is to be learned; see `training.train_network`."""

    kind: Kind
    tensors: Tensors
    labels: NDArray[np.int64]
    n_classes: int
    groups: NDArray[np.int64]
    flip: bool
    recipe: Recipe


def teach(
    lesson: Lesson, *, seed: int, threads: int, device: str, watch: Callable[[float], None] | None
) -> bytes:
    """Train and export.

    Raises:
        LearningError: training diverged.
        ParityError: the graph does not answer as the network did.
    """
    place = choose_device(device)
    with calm(seed, threads, place):
        inputs = torch.from_numpy(np.ascontiguousarray(lesson.tensors))
        mean, deviation = _statistics(lesson)
        network = _build(lesson, Normalisation(mean, deviation))
        change = _augmentation(lesson, mean.to(place), float(deviation.mean()))
        trained = fit(network, inputs, lesson, change=change, device=place, watch=watch)
        example = np.asarray(lesson.tensors[spread(len(inputs))], np.float32)
        return export_graph(LogProbabilities(trained), example, where=f"network for {lesson.kind}s")


def choose_device(device: str) -> torch.device:
    """`auto` is a GPU where there is one.

    Raises:
        LearningError: a GPU was asked for and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise LearningError("there is no GPU that torch can use", where="network")
    return torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")


@contextmanager
def calm(seed: int, threads: int, device: torch.device) -> Iterator[None]:
    """Own random state, deterministic algorithms and so many threads, in this block alone."""
    before = torch.get_num_threads()
    strict, lenient = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    devices = [torch.cuda.current_device()] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        # On a GPU some matrix products are deterministic only by an environment variable set beforehand.
        torch.use_deterministic_algorithms(device.type == "cpu")
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(strict, warn_only=lenient)
            torch.set_num_threads(before)


def fit(
    network: nn.Module,
    inputs: Tensor,
    lesson: Lesson,
    *,
    change: Callable[[Tensor], Tensor] | None,
    device: torch.device,
    watch: Callable[[float], None] | None,
    slower: Mapping[str, float] | None = None,
) -> nn.Module:
    """Train a network from inputs (n, c, h, w) to logits; back comes its average, on the CPU.

    `slower` names submodules and the share of the learning rate that they get.

    Raises:
        LearningError: training diverged.
    """
    recipe = lesson.recipe
    network = network.to(device, memory_format=torch.channels_last).train()
    targets = _targets(lesson).to(device)
    weights = row_weights(lesson.labels, lesson.groups, recipe.balance).to(device)
    inputs = inputs.to(device)
    n, batch = len(inputs), min(recipe.batch, len(inputs))
    steps = max(1, n // batch)
    optimizer = torch.optim.AdamW(_parameter_groups(network, recipe, slower or {}), betas=(0.9, 0.99))
    total = steps * recipe.epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _pace(step, total))
    decay = min(recipe.average, 1 - 10 / max(total, 20))
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    for epoch in range(recipe.epochs):
        order = torch.randperm(n).to(device)
        for step in range(steps):
            rows = order[step * batch : (step + 1) * batch]
            x, y = inputs[rows].float(), targets[rows]
            with torch.no_grad():
                x, y = mix(change(x) if change else x, y, recipe.mixup)
            logits = network(x.contiguous(memory_format=torch.channels_last))
            loss = (weights[rows] * functional.cross_entropy(logits, y, reduction="none")).mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            average.update_parameters(network)
        if not math.isfinite(float(loss.detach())):
            raise LearningError("training the network diverged", where="network")
        if watch is not None:
            watch((epoch + 1) / recipe.epochs)
    network.load_state_dict(average.module.state_dict())
    return network.to("cpu", memory_format=torch.contiguous_format).eval()


def row_weights(labels: NDArray[np.int64], groups: NDArray[np.int64], balance: float) -> Tensor:
    """How much each row counts, mean 1: groups alike, classes by how many they have to minus `balance`."""
    _, inverse, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    share = 1 / sizes[inverse]
    held = np.bincount(labels, weights=share)
    weights = share * np.maximum(held, 1e-12)[labels] ** -balance
    return torch.from_numpy((weights / weights.mean()).astype(np.float32))


def _pace(step: int, total: int) -> float:
    rise = max(1, round(total * _WARM_UP))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1, total - rise))))


def _targets(lesson: Lesson) -> Tensor:
    smooth = lesson.recipe.label_smoothing
    sure = functional.one_hot(torch.from_numpy(lesson.labels), lesson.n_classes).float()
    return sure * (1 - smooth) + smooth / lesson.n_classes


def _parameter_groups(
    network: nn.Module, recipe: Recipe, slower: Mapping[str, float]
) -> list[dict[str, object]]:
    """Weights decay; offsets and the scales of normalisations do not."""
    groups: dict[tuple[float, float], list[Tensor]] = {}
    for name, value in network.named_parameters():
        if value.requires_grad:
            pace = slower.get(name.partition(".")[0], 1.0)
            decay = recipe.weight_decay if value.ndim > 1 else 0.0
            groups.setdefault((pace, decay), []).append(value)
    return [
        {"params": values, "lr": recipe.learning_rate * pace, "weight_decay": decay}
        for (pace, decay), values in groups.items()
    ]


def _statistics(lesson: Lesson) -> tuple[Tensor, Tensor]:
    """Mean and deviation by mel band of sounds, by channel of images."""
    axes = (0, 3) if lesson.kind == "sound" else (0, 2, 3)
    mean = lesson.tensors.mean(axis=axes, dtype=np.float64, keepdims=True)
    deviation = lesson.tensors.std(axis=axes, dtype=np.float64, keepdims=True)
    deviation = np.maximum(deviation, max(1e-6, float(deviation.max()) * 0.01))
    return torch.from_numpy(mean.astype(np.float32)), torch.from_numpy(deviation.astype(np.float32))


def _build(lesson: Lesson, normalisation: Normalisation) -> nn.Module:
    _, channels, height, width = lesson.tensors.shape
    if lesson.kind == "sound":
        return SoundNetwork(normalisation, (height, width), lesson.n_classes, _SOUND_WIDTHS)
    widths = _SMALL_WIDTHS if min(height, width) < _LARGE else _LARGE_WIDTHS
    return ImageNetwork(normalisation, channels, lesson.n_classes, widths, stride=2)


def _augmentation(lesson: Lesson, mean: Tensor, deviation: float) -> Callable[[Tensor], Tensor] | None:
    if not lesson.recipe.augment:
        return None
    if lesson.kind == "sound":
        return SoundAugmentation(mean, deviation)
    whole = lesson.tensors.dtype == np.uint8
    low, high = (0.0, 255.0) if whole else (float(lesson.tensors.min()), float(lesson.tensors.max()))
    return ImageAugmentation(low, max(high, low + 1e-6), lesson.flip)


def spread(n: int) -> NDArray[np.int64]:
    """Up to 256 rows of n, evenly."""
    return np.unique(np.linspace(0, n - 1, 256).astype(np.int64))
