"""A network among the candidates: fitted on rows of the matrix, answered by its graph."""

import os

import numpy as np
import onnx
import pytest

from galeno.learning.network import Network
from galeno.model.ensemble import open_session, run_session

if not os.environ.get("GALENO_REQUIRE_DEEP"):
    pytest.importorskip("torch", reason="needs the extra deep")

SHAPE = (3, 28, 28)


def make_rows(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images with a bright square on the left or on the right; every sixth row has none."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    grey = rng.normal(0.4, 0.1, (count, 28, 28))
    for image, label in zip(grey, labels, strict=True):
        left = 4 if label else 16
        image[9:19, left : left + 8] += 0.4
    rows = np.repeat(grey[:, np.newaxis], 3, axis=1).clip(0.01, 1).reshape(count, -1).astype(np.float32)
    rows[5::6] = 0
    return rows, labels.astype(np.int64)


@pytest.fixture(scope="module")
def fitted() -> Network:
    """Fitted on a hundred rows."""
    rows, labels = make_rows(100, 1)
    return Network("image", SHAPE, random_state=3).fit(rows, labels)


def test_it_learns_and_knows_what_it_lacks(fitted: Network) -> None:
    rows, labels = make_rows(60, 2)
    answers = fitted.predict_proba(rows)
    there = rows.any(axis=1)
    assert answers.shape == (60, 2)
    assert np.allclose(answers.sum(axis=1), 1, atol=1e-5)
    assert (answers.argmax(axis=1) == labels)[there].mean() > 0.9
    assert np.allclose(answers[~there], [0.5, 0.5], atol=1e-6)


def test_the_graph_is_the_answer(fitted: Network) -> None:
    rows, _ = make_rows(10, 4)
    found = run_session(open_session(fitted.graph, threads=1), rows)
    assert np.abs(found - fitted.predict_proba(rows)).max() < 1e-6
    graph = onnx.load_model_from_string(fitted.graph).graph
    assert [entry.name for entry in graph.input] == ["x"]
    assert [entry.name for entry in graph.output] == ["y"]


def test_the_same_rows_and_seed_give_the_same_graph() -> None:
    rows, labels = make_rows(24, 5)
    graphs = [Network("image", SHAPE, random_state=3).fit(rows, labels).graph for _ in range(2)]
    assert graphs[0] == graphs[1]


def test_windows_of_a_sound_are_answered_together() -> None:
    rng = np.random.default_rng(0)
    shape = (8, 64, 96)
    labels = np.arange(16) % 2
    pictures = rng.normal(-60, 4, (16, *shape))
    pictures[labels == 1, :, 20:30] += 25
    network = Network("sound", shape, random_state=1).fit(pictures.reshape(16, -1).astype(np.float32), labels)
    answers = network.predict_proba(pictures.reshape(16, -1).astype(np.float32))
    assert answers.shape == (16, 2)
    assert (answers.argmax(axis=1) == labels).mean() > 0.8


def test_rows_without_the_column_teach_nothing() -> None:
    rows, labels = make_rows(12, 6)
    with pytest.raises(ValueError, match="fewer than two classes"):
        Network("image", SHAPE).fit(np.zeros_like(rows), labels)
