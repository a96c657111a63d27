"""Simulated breath sounds: files that a player opens, with wheezes and crackles where they belong."""

import io
import wave
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from galeno.ingest.breath import MANNERS, RATE, STETHOSCOPES, ZONES, Manner, draw_chest, listen, write_wav

QUIET = Manner(wheezing=0, crackling=0)
ZONE = "posterior left base"


def record(
    manner: Manner, seed: int, *, stethoscope: str = "extended", zone: str = ZONE
) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    return listen(draw_chest(manner, rng), stethoscope, zone, 6.0, rng) / 32768


def spectrum(sound: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frequencies, Hz, and power of frames of 128 ms, shape (frames, frequencies)."""
    frames = sound[: len(sound) // 512 * 512].reshape(-1, 512) * np.hanning(512)
    return np.fft.rfftfreq(512, 1 / RATE), np.abs(np.fft.rfft(frames)) ** 2


def tonality(sound: NDArray[np.float64]) -> float:
    """How far the strongest frequency of 100 to 1,000 Hz stands out, in the most tonal tenth of frames."""
    frequency, power = spectrum(sound)
    band = power[:, (frequency >= 100) & (frequency <= 1000)]
    return float(np.quantile(band.max(axis=1) / band.mean(axis=1), 0.9))


def spikes(sound: NDArray[np.float64]) -> float:
    """Kurtosis of the sound above 300 Hz, where crackles stand out of the breath."""
    whole = np.fft.rfft(sound)
    whole[np.fft.rfftfreq(len(sound), 1 / RATE) < 300] = 0
    high = np.fft.irfft(whole, len(sound))
    return float(np.mean(high**4) / np.mean(high**2) ** 2)


def middle(values: list[float]) -> float:
    return float(np.median(values))


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(sorted(MANNERS)),
    st.sampled_from(sorted(STETHOSCOPES)),
    st.sampled_from(sorted(ZONES)),
    st.integers(5, 80),
    st.integers(0, 10_000),
)
def test_any_recording_can_be_played(name: str, stethoscope: str, zone: str, tenths: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    samples = listen(draw_chest(MANNERS[name], rng), stethoscope, zone, tenths / 10, rng)
    with wave.open(io.BytesIO(write_wav(samples))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
        read = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    assert np.array_equal(read, samples)
    assert len(samples) == tenths * RATE // 10
    assert np.mean(np.abs(samples) > 32700) == 0  # never clipped
    assert np.sqrt(np.mean((samples / 32768) ** 2)) > 0.002  # never silent


def test_same_seed_same_file() -> None:
    assert np.array_equal(record(MANNERS["copd"], 1), record(MANNERS["copd"], 1))
    assert not np.array_equal(record(MANNERS["copd"], 1), record(MANNERS["copd"], 2))


def test_a_wheeze_is_a_tone() -> None:
    wheezy = replace(QUIET, wheezing=1, pitch=400)
    plain = middle([tonality(record(QUIET, seed)) for seed in range(15)])
    assert middle([tonality(record(wheezy, seed)) for seed in range(15)]) > 1.3 * plain


def test_a_crackle_is_a_spike() -> None:
    crackly = replace(QUIET, crackling=1, crackles=8)
    plain = middle([spikes(record(QUIET, seed)) for seed in range(15)])
    assert middle([spikes(record(crackly, seed)) for seed in range(15)]) > 1.3 * plain


def test_fine_crackles_are_higher_than_coarse_ones() -> None:
    def centre(ring: float, seed: int) -> float:
        sound = record(replace(QUIET, crackling=1, crackles=25, loudness=0.1, ring=ring), seed)
        frequency, power = spectrum(sound)
        high = frequency >= 200
        return float((power.sum(axis=0) * frequency)[high].sum() / power.sum(axis=0)[high].sum())

    fine = [centre(MANNERS["heart_failure"].ring, seed) for seed in range(10)]
    coarse = [centre(MANNERS["pneumonia"].ring, seed) for seed in range(10)]
    assert middle(fine) > middle(coarse) + 50


def test_copd_breathes_quietly() -> None:
    def loudness(name: str, seed: int) -> float:
        return float(np.std(record(replace(MANNERS[name], wheezing=0, crackling=0), seed)))

    copd = middle([loudness("copd", seed) for seed in range(20)])
    assert copd < 0.8 * middle([loudness("healthy", seed) for seed in range(20)])


@pytest.mark.parametrize(("narrow", "low"), [("bell", True), ("diaphragm", False)])
def test_a_stethoscope_colours_the_sound(narrow: str, low: bool) -> None:
    def share(stethoscope: str) -> float:
        frequency, power = spectrum(record(QUIET, 3, stethoscope=stethoscope))
        return float(power[:, frequency < 150].sum() / power.sum())

    assert (share(narrow) > share("extended")) == low


def test_the_heart_is_loudest_at_its_place() -> None:
    def share(zone: str) -> float:
        frequency, power = spectrum(record(replace(QUIET, loudness=0.1), 3, zone=zone))
        return float(power[:, frequency < 80].sum() / power.sum())

    assert share("anterior left") > share("posterior right base")
