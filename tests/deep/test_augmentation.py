"""Augmented pictures stay pictures, and mixed targets stay probabilities."""

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def seeded(needs_deep: None) -> None:
    import torch

    torch.manual_seed(1)


def test_an_image_changes_within_bounds() -> None:
    import torch

    from galeno.deep.augmentation import ImageAugmentation

    images = torch.full((64, 3, 28, 28), 100.0)
    images[:, :, 8:20, 8:20] = 180.0
    made = ImageAugmentation(0.0, 255.0, flip=False)(images)
    assert made.shape == images.shape
    assert torch.isfinite(made).all()
    assert len({float(row.sum()) for row in made}) == 64
    # The bright square is still where it was, but for cover and shift.
    inside, outside = made[:, :, 10:18, 10:18].mean(dim=(1, 2, 3)), made[:, :, 24:, 24:].mean(dim=(1, 2, 3))
    assert (inside > outside).float().mean() > 0.9
    assert abs(float(made.mean()) - float(images.mean())) < 15


@pytest.mark.parametrize("flip", [False, True])
def test_only_flips_mirror(flip: bool) -> None:
    import torch

    from galeno.deep.augmentation import ImageAugmentation

    images = torch.zeros(128, 1, 28, 28)
    images[..., :14] = 200.0
    made = ImageAugmentation(0.0, 255.0, flip=flip)(images)
    mirrored = (made[..., :10].mean(dim=(1, 2, 3)) < made[..., 18:].mean(dim=(1, 2, 3))).float().mean()
    assert (0.3 < mirrored < 0.7) if flip else mirrored < 0.05


def test_a_sound_keeps_its_shape_and_most_of_itself() -> None:
    import torch

    from galeno.deep.augmentation import SoundAugmentation

    windows = torch.full((64, 1, 64, 96), -30.0)
    floor = torch.full((1, 1, 64, 1), -50.0)
    made = SoundAugmentation(floor, 5.0)(windows)
    assert made.shape == windows.shape
    masked = (made == -50.0).float().mean(dim=(1, 2, 3))
    assert 0.02 < float(masked.mean()) < 0.4
    assert float(masked.max()) < 0.6


def test_mixing_keeps_probabilities_and_the_greater_part_of_each_row() -> None:
    import torch

    from galeno.deep.augmentation import mix

    targets = torch.eye(4).repeat(8, 1)
    batch = targets.reshape(32, 4, 1, 1).repeat(1, 1, 8, 8)
    mixed, blended = mix(batch, targets, 0.4)
    np.testing.assert_allclose(blended.sum(dim=1).numpy(), 1, rtol=1e-5)
    assert (blended.argmax(dim=1) == targets.argmax(dim=1)).all()
    np.testing.assert_allclose(mixed[:, :, 0, 0].numpy(), blended.numpy(), rtol=1e-5)
    assert mix(batch, targets, 0.0)[0] is batch
