"""Small networks learn what is plain to see, write ONNX, and leave no trace in torch."""

import dataclasses
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

from galeno.deep.training import Kind, Recipe, train_network, usual_recipe
from galeno.errors import LearningError, MissingExtraError

QUICK = Recipe(epochs=6, batch=16)


def shapes(n: int, size: int, channels: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """A disc, or a square ring, on a noisy ground of any brightness."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n, dtype=np.int64) % 2
    rows, columns = np.mgrid[:size, :size] - size / 2
    disc = rows**2 + columns**2 < (size / 4) ** 2
    reach = np.maximum(abs(rows), abs(columns))
    ring = (reach < size / 3) & (reach > size / 4)
    pixels = rng.normal(0, 8, (n, channels, size, size)) + rng.uniform(60, 120, (n, 1, 1, 1))
    pixels += 70 * np.where(labels[:, None, None] == 0, disc, ring)[:, None]
    return np.clip(pixels, 0, 255).astype(np.uint8), labels


def tones(n: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """A lasting low tone, a lasting high tone, or neither, in noise of any level (dB)."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n, dtype=np.int64) % 3
    windows = rng.normal(-40, 4, (n, 1, 64, 48)) + rng.normal(0, 3, (n, 1, 1, 1))
    for row, label in enumerate(labels):
        if label:
            band = (12 if label == 1 else 44) + rng.integers(-4, 5)
            windows[row, 0, band : band + 2, 8:40] += 25
    return windows.astype(np.float32), labels


def answer(graph: bytes, tensors: NDArray[Any]) -> NDArray[np.float32]:
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    found: NDArray[np.float32] = session.run(["y"], {"x": tensors.astype(np.float32)})[0]
    return found


@pytest.mark.parametrize(("size", "channels"), [(28, 1), (32, 3)])
def test_an_image_network_learns_a_shape(size: int, channels: int) -> None:
    tensors, labels = shapes(192, size, channels)
    graph = train_network("image", tensors, labels, 2, seed=3, flip=True, recipe=QUICK)
    others, expected = shapes(64, size, channels, seed=9)
    found = answer(graph, others)
    assert (found.argmax(axis=1) == expected).mean() > 0.9
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, rtol=1e-5)


def test_a_sound_network_learns_a_tone() -> None:
    windows, labels = tones(180)
    graph = train_network(
        "sound",
        windows,
        labels,
        3,
        seed=3,
        groups=np.arange(180) // 3,
        recipe=dataclasses.replace(QUICK, epochs=10),
    )
    others, expected = tones(60, seed=9)
    assert (answer(graph, others).argmax(axis=1) == expected).mean() > 0.9


@pytest.mark.parametrize("kind", ["sound", "image"])
def test_a_graph_is_plain_small_onnx_with_free_rows(kind: Kind) -> None:
    tensors, labels = shapes(24, 64, 1)
    graph = train_network(kind, tensors, labels, 5, seed=0, recipe=Recipe(epochs=1))
    model = onnx.load_from_string(graph)
    onnx.checker.check_model(model)
    assert model.opset_import[0].version == 17
    assert (model.producer_name, model.producer_version, len(model.metadata_props)) == ("", "", 0)
    assert all(not node.doc_string for node in model.graph.node)
    assert len(graph) < (600_000 if kind == "sound" else 1_000_000)
    assert [answer(graph, tensors[:rows]).shape for rows in (1, 7)] == [(1, 5), (7, 5)]


@pytest.mark.parametrize("kind", ["sound", "image"])
def test_the_same_seed_gives_the_same_bytes_and_another_does_not(kind: Kind) -> None:
    tensors, labels = shapes(40, 28, 1)
    recipe = Recipe(epochs=2, batch=16)
    first, second, other = (
        train_network(kind, tensors, labels, 2, seed=seed, recipe=recipe, device="cpu") for seed in (5, 5, 6)
    )
    assert first == second
    assert first != other


def test_torch_is_left_as_it_was() -> None:
    import torch

    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    state = torch.get_rng_state()
    tensors, labels = shapes(20, 28, 1)
    train_network("image", tensors, labels, 2, seed=0, threads=2, recipe=Recipe(epochs=1))
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before
    assert torch.equal(torch.get_rng_state(), state)


def test_progress_is_told_up_to_the_end() -> None:
    told: list[float] = []
    tensors, labels = shapes(20, 28, 1)
    train_network("image", tensors, labels, 2, seed=0, recipe=Recipe(epochs=4), watch=told.append)
    assert told == [0.25, 0.5, 0.75, 1.0]


def test_a_constant_image_and_an_absent_class_are_learned_from() -> None:
    tensors, labels = np.full((6, 1, 28, 28), 7, np.uint8), np.array([0, 0, 0, 2, 2, 2])
    assert np.isfinite(
        answer(train_network("image", tensors, labels, 3, seed=0, recipe=QUICK), tensors)
    ).all()


def test_a_group_counts_once_however_many_windows_it_has() -> None:
    from galeno.deep.lesson import row_weights

    labels, groups = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 2, 3])
    weights = row_weights(labels, groups, balance=0).numpy()
    np.testing.assert_allclose(np.bincount(groups, weights), np.full(4, 1.5), rtol=1e-6)
    even = row_weights(np.array([0, 0, 0, 1]), np.arange(4), balance=1).numpy()
    assert even[:3].sum() == pytest.approx(even[3], rel=1e-6)


def test_few_rows_are_seen_more_often_than_many() -> None:
    assert usual_recipe("image", 4_708).epochs < usual_recipe("image", 500).epochs
    assert usual_recipe("image", 1_000_000).epochs >= 1


@pytest.mark.parametrize(
    ("tensors", "labels"),
    [
        (np.zeros((4, 28, 28), np.uint8), np.zeros(4, np.int64)),
        (np.zeros((4, 2, 28, 28), np.uint8), np.zeros(4, np.int64)),
        (np.zeros((4, 1, 28, 28), np.float64), np.zeros(4, np.int64)),
        (np.full((4, 1, 28, 28), np.nan, np.float32), np.zeros(4, np.int64)),
        (np.zeros((4, 1, 28, 28), np.uint8), np.zeros(3, np.int64)),
        (np.zeros((4, 1, 28, 28), np.uint8), np.array([0, 1, 2, 0])),
        (np.zeros((4, 1, 28, 28), np.uint8), np.array([0, 1, -1, 0])),
        (np.zeros((1, 1, 28, 28), np.uint8), np.zeros(1, np.int64)),
    ],
)
def test_what_cannot_teach_is_refused(tensors: NDArray[Any], labels: NDArray[np.int64]) -> None:
    with pytest.raises(LearningError):
        train_network("image", tensors, labels, 2, seed=0)


def test_without_torch_the_extra_is_named(without_torch: None) -> None:
    tensors, labels = shapes(8, 28, 1)
    with pytest.raises(MissingExtraError, match=r"galeno\[deep\]"):
        train_network("image", tensors, labels, 2, seed=0)
