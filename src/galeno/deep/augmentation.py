"""Random changes that leave the answer as it is, for a batch at once; all chance is torch's own."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class ImageAugmentation:
    """Another angle, machine or exposure. Pixels are brought to 0..1 by `low` and `high`, and back."""

    low: float
    high: float
    flip: bool

    def __call__(self, images: Tensor) -> Tensor:
        """Images (n, c, h, w), each changed in its own way."""
        light = (images - self.low) / (self.high - self.low)
        light = _cover(_sharpen(_expose(_move(light, self.flip))))
        return light * (self.high - self.low) + self.low


@dataclass(frozen=True, slots=True)
class SoundAugmentation:
    """Another gain, stethoscope or room (values in dB), and masks (SpecAugment, Park et al. 2019)."""

    floor: Tensor
    """What a masked place gets: the mean of each mel band, shape (1, 1, mels, 1)."""
    deviation: float

    def __call__(self, windows: Tensor) -> Tensor:
        """Windows (n, 1, mels, frames), each changed in its own way."""
        n, _, mels, frames = windows.shape
        made = windows + self.deviation * (
            0.3 * _normal(windows)
            + 0.3 * _normal(windows) * torch.linspace(-1, 1, mels, device=windows.device).reshape(1, 1, -1, 1)
            + 0.15 * torch.rand(n, 1, 1, 1, device=windows.device) * torch.randn_like(windows)
        )
        shift = int(torch.randint(frames, ()))
        made = torch.roll(made, shift, dims=3)
        hidden = _stripe(n, mels, 0.2, windows)[:, None, :, None]
        for _ in range(2):
            hidden = hidden | _stripe(n, frames, 0.15, windows)[:, None, None, :]
        return torch.where(hidden, self.floor, made)


def mix(batch: Tensor, targets: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Blend each row and its target with another's (mixup, Zhang et al., ICLR 2018).

    Args:
        batch: shape (n, c, h, w).
        targets: probabilities, shape (n, classes).
        alpha: of the beta distribution; 0 leaves all as it is.
    """
    if alpha <= 0:
        return batch, targets
    # A beta variable as the share of two gamma variables; the larger share stays with the row itself.
    shape = torch.full((len(batch),), alpha)
    first, second = torch._standard_gamma(shape), torch._standard_gamma(shape)
    share = (first / (first + second).clamp_min(1e-6)).to(batch.device)
    share = torch.maximum(share, 1 - share)
    other = torch.randperm(len(batch)).to(batch.device)
    blend = share[:, None, None, None]
    return (
        blend * batch + (1 - blend) * batch[other],
        share[:, None] * targets + (1 - share[:, None]) * targets[other],
    )


def _normal(like: Tensor) -> Tensor:
    return torch.randn(len(like), 1, 1, 1, device=like.device)


def _uniform(like: Tensor, low: float, high: float) -> Tensor:
    return torch.rand(len(like), 1, 1, 1, device=like.device) * (high - low) + low


def _stripe(n: int, length: int, share: float, like: Tensor) -> Tensor:
    """True in one stripe of each row, no wider than the share; shape (n, length)."""
    wide = torch.rand(n, 1, device=like.device) * share * length
    start = torch.rand(n, 1, device=like.device) * (length - wide)
    places = torch.arange(length, device=like.device)[None, :]
    return (places >= start) & (places < start + wide)


def _move(images: Tensor, flip: bool) -> Tensor:
    """Turn by up to 10 degrees, zoom by up to 12 %, shift by up to 7 % (2 pixels of 28), mirror."""
    angle = _uniform(images, -10, 10).flatten() * (math.pi / 180)
    wide, high = (_uniform(images, 0.88, 1.12).flatten() for _ in range(2))
    right, down = (_uniform(images, -0.14, 0.14).flatten() for _ in range(2))
    if flip:
        wide = wide * torch.where(torch.rand_like(wide) < 0.5, -1.0, 1.0)
        high = high * torch.where(torch.rand_like(high) < 0.5, -1.0, 1.0)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    theta = torch.stack(
        [
            torch.stack([cosine * wide, -sine * high, right], dim=1),
            torch.stack([sine * wide, cosine * high, down], dim=1),
        ],
        dim=1,
    )
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _expose(images: Tensor) -> Tensor:
    """Gamma, contrast and brightness."""
    made = images.clamp(0, 1) ** torch.exp(_uniform(images, -0.35, 0.35))
    middle = made.mean(dim=(1, 2, 3), keepdim=True)
    return (made - middle) * _uniform(images, 0.7, 1.3) + middle + _uniform(images, -0.12, 0.12)


def _sharpen(images: Tensor) -> Tensor:
    """Softer or harder edges, and noise."""
    soft = functional.avg_pool2d(
        functional.pad(images, (1, 1, 1, 1), mode="replicate"), kernel_size=3, stride=1
    )
    made = soft + (images - soft) * _uniform(images, 0.3, 1.7)
    return made + _uniform(images, 0, 0.03) * torch.randn_like(images)


def _cover(images: Tensor) -> Tensor:
    """A grey rectangle over half of the images (cutout, DeVries & Taylor 2017)."""
    n, _, height, width = images.shape
    rows, columns = _stripe(n, height, 0.35, images), _stripe(n, width, 0.35, images)
    chosen = torch.rand(n, 1, 1, 1, device=images.device) < 0.5
    hidden = chosen & rows[:, None, :, None] & columns[:, None, None, :]
    return torch.where(hidden, images.mean(dim=(2, 3), keepdim=True), images)
