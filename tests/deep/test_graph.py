"""A graph that answers otherwise than the network is not let through."""

import warnings

import numpy as np
import pytest

from galeno.deep.graph import compare, export_graph, open_graph
from galeno.errors import LearningError, ParityError, SourceError


def test_another_network_fails_the_comparison() -> None:
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        first, second = (torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2)) for _ in range(2))
    rows = np.random.default_rng(0).normal(size=(5, 1, 8, 8)).astype(np.float32)
    graph = export_graph(first, rows, where="here")
    assert compare(first, graph, rows, where="here") < 1e-5
    with pytest.raises(ParityError, match="here"):
        compare(second, graph, rows, where="here")


def test_values_that_are_no_numbers_fail_the_comparison() -> None:
    import torch

    class Root(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.sqrt(x).mean(dim=(2, 3))

    with pytest.raises(ParityError):
        export_graph(Root(), np.full((3, 1, 8, 8), -1, np.float32), where="here")


def test_an_operation_without_counterpart_is_refused_and_no_warning_left() -> None:
    import torch

    class Odd(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.linalg.eigvalsh(x[:, 0])

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(LearningError, match="ONNX"):
            export_graph(Odd(), np.zeros((3, 1, 8, 8), np.float32), where="here")


def test_damaged_graphs_are_refused() -> None:
    with pytest.raises(SourceError, match="here"):
        open_graph(b"no graph", where="here")
