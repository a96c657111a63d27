"""The two networks that are learned from scratch, small enough for one core and a few hundred rows."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

Kind = Literal["sound", "image"]


class Normalisation(nn.Module):  # type: ignore[misc]
    """Takes the mean away and divides by the deviation of the rows that were learned from."""

    def __init__(self, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", 1 / deviation)

    def forward(self, x: Tensor) -> Tensor:
        """Shapes broadcast against (n, channels, height, width)."""
        return (x - self.mean) * self.scale


class Pooling(nn.Module):  # type: ignore[misc]
    """Mean and maximum over all places, side by side: (n, channels, h, w) to (n, 2 * channels)."""

    def forward(self, x: Tensor) -> Tensor:
        """Reductions, not pooling layers: their gradients are deterministic on every device."""
        return torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1)


class Places(nn.Module):  # type: ignore[misc]
    """Adds a channel that says how high a place is (Liu et al., NeurIPS 2018): a wheeze is not a hum."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        rows = torch.linspace(-1, 1, height).reshape(1, 1, height, 1)
        self.register_buffer("rows", rows.expand(1, 1, height, width).contiguous())

    def forward(self, x: Tensor) -> Tensor:
        """From (n, c, h, w) to (n, c + 1, h, w)."""
        return torch.cat([x, torch.zeros_like(x[:, :1]) + self.rows], dim=1)


def _convolution(before: int, after: int, *, side: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, side, stride=stride, padding=side // 2, bias=False), nn.BatchNorm2d(after)
    )


class Block(nn.Module):  # type: ignore[misc]
    """Two convolutions and a way around them (He et al., CVPR 2016)."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _convolution(before, after, stride=stride), nn.ReLU(), _convolution(after, after)
        )
        same = before == after and stride == 1
        self.around = nn.Identity() if same else _convolution(before, after, side=1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        """From (n, before, h, w) to (n, after, h / stride, w / stride)."""
        return torch.relu(self.body(x) + self.around(x))


class SoundNetwork(nn.Module):  # type: ignore[misc]
    """Windows of a log-mel picture (n, 1, mels, frames) to logits (n, classes)."""

    def __init__(
        self, normalisation: Normalisation, size: tuple[int, int], n_classes: int, widths: Sequence[int]
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [normalisation, Places(*size)]
        before, side = 2, 5
        for after in widths:
            layers += [_convolution(before, after, side=side, stride=2), nn.ReLU()]
            before, side = after, 3
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(Pooling(), nn.Dropout(0.3), nn.Linear(2 * before, n_classes))

    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        return self.head(self.body(x))


class ImageNetwork(nn.Module):  # type: ignore[misc]
    """Images (n, 1 or 3, side, side) to logits (n, classes)."""

    def __init__(
        self, normalisation: Normalisation, channels: int, n_classes: int, widths: Sequence[int], stride: int
    ) -> None:
        super().__init__()
        layers = [normalisation, _convolution(channels, widths[0], side=5, stride=stride), nn.ReLU()]
        for before, after in pairwise(widths):
            layers.append(Block(before, after, 1 if before == after else 2))
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(Pooling(), nn.Dropout(0.2), nn.Linear(2 * widths[-1], n_classes))

    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        return self.head(self.body(x))
