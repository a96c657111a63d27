"""The audio encoder's part without state: from the samples of a sound to a fixed number of numbers."""

from fractions import Fraction
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from galeno.features.convolutions import convolve, name_convolutions
from galeno.features.rhythm import describe_rhythm, name_rhythm
from galeno.features.spectra import (
    CEPSTRA,
    CONTRAST_EDGES,
    FRAME,
    HIGHEST,
    LOWEST,
    RATE,
    SHAPES,
    FloatArray,
    measure_contrast,
    measure_power,
    measure_shape,
    measure_slopes,
    mel_frequencies,
    to_cepstrum,
    to_decibels,
    to_mel,
)
from galeno.features.wavelets import (
    describe_crackles,
    describe_wavelets,
    name_crackles,
    name_wavelets,
    split_octaves,
)
from galeno.features.wheezes import describe_wheezes, name_wheezes

__all__ = ["AUDIO_VERSION", "describe_sound", "log_mel", "mel_frequencies", "sound_blocks", "sound_names"]

AUDIO_VERSION = 1
"""To be raised whenever a number changes: cached descriptions are known by it."""
_QUANTILES = (0.1, 0.5, 0.9)
_STATISTICS = ("mean", "deviation", "10 %", "50 %", "90 %")
_MELS_TOGETHER = 2
_CONVOLVED = 4
"""Every so manieth mel band is convolved."""
_TYPICAL_SPREAD = np.float32(6.0)
"""dB by which a mel band of a breath rises and falls."""
_SILENCE = 1e-5
"""Root mean square under which a sound in [-1, 1] is not made louder; 16 bits cannot hold it."""
_SLOWEST, _FASTEST = 1000, 768_000
_FINEST = 1000
"""Largest part of the resampling ratio: 44.1 kHz is exact, an odd rate is off by less than 0.1 %."""


def describe_sound(samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """Describe a sound by statistics that hardly change with its level and its length.

    The sound is resampled to 4 kHz, filtered to 60-1900 Hz and set to one level. Frames of 64 ms give mel
    bands, cepstrum, contrast and shape; the whole gives octaves, wheezes, crackles, rhythm and random
    convolutions. The same bits on every run, whatever the number of threads.

    Args:
        samples: one channel in [-1, 1], shape (samples,); what is not finite counts as 0.
        rate: samples a second, 1000 to 768000.

    Returns:
        Finite numbers, shape (len(sound_names()),).

    Raises:
        ValueError: if the rate is out of range.
    """
    sound = _prepare(samples, rate)
    power = measure_power(sound)
    levels, details = to_decibels(power), split_octaves(sound)
    mel = to_mel(power)
    cepstrum = to_cepstrum(mel)
    slopes = measure_slopes(cepstrum)
    some = mel[:, ::_CONVOLVED]
    described = np.concatenate(
        [
            _summarise(mel.reshape(len(mel), -1, _MELS_TOGETHER).mean(axis=2)),
            _summarise(cepstrum),
            slopes.std(axis=0),
            measure_slopes(slopes).std(axis=0),
            _summarise(measure_contrast(levels)),
            _summarise(measure_shape(power)),
            describe_wavelets(details),
            describe_wheezes(power, levels),
            describe_crackles(details),
            describe_rhythm(power),
            convolve((some - some.mean(axis=0)) / _TYPICAL_SPREAD),
        ]
    )
    return described.astype(np.float32)


def sound_blocks() -> tuple[tuple[str, int], ...]:
    """The kinds of numbers in a description, in order, and how many there are of each."""
    return tuple((kind, len(names)) for kind, names in _names().items())


def sound_names() -> tuple[str, ...]:
    """One name for each number of a description, no two the same."""
    return tuple(name for names in _names().values() for name in names)


def log_mel(samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """The picture of a sound: decibels by mel band and frame, of the sound at one level.

    Args:
        samples: one channel in [-1, 1], shape (samples,); what is not finite counts as 0.
        rate: samples a second, 1000 to 768000.

    Returns:
        dB from -80 up, shape (64, frames): bands at `mel_frequencies()`, a frame every 25 ms from 32 ms on.

    Raises:
        ValueError: if the rate is out of range.
    """
    return np.ascontiguousarray(to_mel(measure_power(_prepare(samples, rate))).T)


def _prepare(samples: NDArray[np.float32], rate: int) -> FloatArray:
    """A sound of at least one frame, at RATE, within the band, the power of its middle frames about 1."""
    from scipy import signal  # takes a second, and most studies have no sounds

    if not _SLOWEST <= rate <= _FASTEST:
        raise ValueError(f"rate must be between {_SLOWEST} and {_FASTEST}")
    sound = np.nan_to_num(np.asarray(samples, np.float64), posinf=0.0, neginf=0.0)
    sound = sound - sound.mean() if len(sound) else sound
    ratio = Fraction(RATE, rate).limit_denominator(_FINEST)
    if ratio != 1 and len(sound):
        sound = signal.resample_poly(sound, ratio.numerator, ratio.denominator)
    if len(sound) < FRAME:
        sound = np.pad(sound, (0, FRAME - len(sound)))
    sound = signal.sosfiltfilt(_band_pass(), sound)
    pieces = sound[: len(sound) // FRAME * FRAME].reshape(-1, FRAME)
    middle = float(np.sqrt(np.median(np.square(pieces).mean(axis=1))))
    # A knock on the stethoscope must not set the level; nor must the silence around a single breath.
    level = max(middle, 0.1 * float(sound.std()), _SILENCE)
    leveled: FloatArray = (sound / level).astype(np.float32)
    return leveled


@cache
def _band_pass() -> NDArray[np.float64]:
    """Butterworth of order 3 a side, as second-order sections; run both ways it keeps the phase."""
    from scipy import signal

    sections: NDArray[np.float64] = signal.butter(3, (LOWEST, HIGHEST), "bandpass", fs=RATE, output="sos")
    return sections


def _summarise(values: FloatArray) -> FloatArray:
    """The _STATISTICS over frames, one after the other, shape (statistics * columns,)."""
    quantiles = np.quantile(values, _QUANTILES, axis=0)
    return np.concatenate([values.mean(axis=0), values.std(axis=0), quantiles.ravel()]).astype(np.float32)


@cache
def _names() -> dict[str, tuple[str, ...]]:
    mels = mel_frequencies().reshape(-1, _MELS_TOGETHER).mean(axis=1)
    cepstra = [f"cepstrum {i}" for i in range(CEPSTRA)]
    contrasts = [f"contrast {low:.0f}-{high:.0f} Hz" for low, high in pairwise(CONTRAST_EDGES)]
    deltas = (f"{name} {kind}" for kind in ("slope", "curvature") for name in cepstra)
    return {
        "logmel": _name_statistics([f"mel {frequency:.0f} Hz" for frequency in mels]),
        "mfcc": (*_name_statistics(cepstra), *deltas),
        "contrast": _name_statistics(contrasts),
        "shape": _name_statistics([f"spectrum {shape}" for shape in SHAPES]),
        "wavelet": name_wavelets(),
        "wheeze": name_wheezes(),
        "crackle": name_crackles(),
        "rhythm": name_rhythm(),
        "convolutions": name_convolutions(),
    }


def _name_statistics(columns: list[str]) -> tuple[str, ...]:
    return tuple(f"{column} {statistic}" for statistic in _STATISTICS for column in columns)
