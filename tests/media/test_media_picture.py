"""Pictures for reports and pages."""

import io

import numpy as np
from media_files import RATE, pixels
from PIL import Image as pillow  # noqa: N813

from galeno.media.image import Image
from galeno.media.picture import highest_shown, image_png, overlay, spectrogram_png
from galeno.media.sound import Sound


def opened(png: bytes) -> np.ndarray:
    return np.asarray(pillow.open(io.BytesIO(png)), int)


def test_a_tone_is_bright_at_its_frequency_and_time() -> None:
    time = np.arange(4 * RATE) / RATE
    wave = np.where(time > 2, np.sin(2 * np.pi * 500 * time), 0) + np.random.default_rng(0).normal(
        0, 1e-4, len(time)
    )
    sound = Sound(wave.astype(np.float32), RATE)
    shown = opened(spectrogram_png(sound, 200, 400))
    assert shown.shape == (200, 400, 3)
    assert highest_shown(sound) == 2000
    bright = shown[:, :, 0]
    assert abs(int(bright[:, 300].argmax()) - 150) <= 2, "500 of 2000 Hz is a quarter from below"
    assert bright[150, 320] > 200
    assert bright[150, 80] < 100
    assert spectrogram_png(sound) == spectrogram_png(sound)


def test_short_and_slow_sounds_have_a_spectrogram() -> None:
    for length, rate in ((1, 1000), (20, 1000), (500, 1000), (300, 48_000)):
        sound = Sound(np.random.default_rng(0).normal(0, 0.1, length).astype(np.float32), rate)
        assert opened(spectrogram_png(sound, 32, 64)).shape == (32, 64, 3)


def test_an_image_is_brought_to_a_side() -> None:
    assert np.array_equal(opened(image_png(Image(pixels(8, 16)), 64))[::4, ::4], pixels(8, 16))
    assert opened(image_png(Image(pixels(200, 100, colour=True)), 50)).shape == (50, 25, 3)


def test_relevance_is_warm_for_and_cool_against() -> None:
    grey = np.full((40, 60), 128, np.uint8)
    relevance = np.zeros((4, 6))
    relevance[1, 1], relevance[2, 4] = 5, -5
    shown = opened(overlay(grey, relevance))
    assert shown.shape == (40, 60, 3)
    warm, cool = shown[15, 15], shown[25, 45]
    assert warm[0] > warm[2] + 80
    assert cool[2] > cool[0] + 80
    assert shown[0, 59].tolist() == [128, 128, 128]
    png = image_png(Image(pixels()), 32)
    assert np.array_equal(
        opened(overlay(png, np.full((2, 2), np.nan))), opened(overlay(pixels(), np.zeros((1, 1))))
    )
