import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from galeno.features.audio import describe_sound, log_mel, mel_frequencies, sound_blocks, sound_names

RATE = 4000
NAMES = sound_names()
KINDS = np.repeat([kind for kind, _ in sound_blocks()], [count for _, count in sound_blocks()])

Sound = NDArray[np.float32]


def breath(seconds: float = 4.0, rate: int = RATE, seed: int = 0) -> Sound:
    """Noise that falls by 12 dB an octave and swells three times in ten seconds."""
    count = round(seconds * rate)
    waves = np.fft.rfft(np.random.default_rng(seed).normal(size=count))
    frequencies = np.fft.rfftfreq(count, 1 / rate)
    noise = np.fft.irfft(waves / (1 + (frequencies / 200) ** 2), count)
    swell = 0.2 + np.sin(np.pi * 0.3 * np.arange(count) / rate) ** 2
    return (0.1 * swell * noise / noise.std()).astype(np.float32)


def tone(frequency: float, seconds: float = 2.0, rate: int = RATE) -> Sound:
    return np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate).astype(np.float32)


def describe(sound: Sound) -> dict[str, float]:
    return dict(zip(NAMES, describe_sound(sound, RATE).tolist(), strict=True))


def add_clicks(sound: Sound, frequency: float = 600) -> Sound:
    """The sound with eight crackles of 10 ms a second."""
    click = np.exp(-np.arange(40) / 8) * np.sin(2 * np.pi * frequency / RATE * np.arange(40))
    clicks = np.zeros(len(sound), np.float32)
    for start in range(300, len(sound) - 40, 500):
        clicks[start : start + 40] = click
    return sound + clicks


@settings(max_examples=40, deadline=None)
@given(
    rate=st.integers(2000, 48_000),
    seconds=st.floats(0.0, 1.5),
    loud=st.sampled_from([0.0, 1e-7, 1e-3, 1.0]),
    kind=st.sampled_from(["noise", "clicks", "tone", "constant"]),
    seed=st.integers(0, 99),
)
def test_any_sound_gives_as_many_finite_numbers(
    rate: int, seconds: float, loud: float, kind: str, seed: int
) -> None:
    count = int(rate * seconds)
    random = np.random.default_rng(seed)
    made = {
        "noise": random.uniform(-1, 1, count),
        "clicks": random.random(count) < 0.001,
        "tone": np.sin(np.arange(count) * random.uniform(0, 3)),
        "constant": np.ones(count),
    }
    described = describe_sound((loud * made[kind]).astype(np.float32), rate)
    assert described.shape == (len(NAMES),)
    assert described.dtype == np.float32
    assert np.isfinite(described).all()
    assert np.abs(described).max() < 1e4


@pytest.mark.parametrize("count", [0, 1, 2, 100, 255, 256, 257, 4001])
def test_silence_and_what_is_no_number_are_described_alike(count: int) -> None:
    silent = describe_sound(np.zeros(count, np.float32), RATE)
    assert np.isfinite(silent).all()
    for nothing in (np.nan, np.inf, -np.inf):
        assert np.array_equal(describe_sound(np.full(count, nothing, np.float32), RATE), silent)


@pytest.mark.parametrize("rate", [0, -4000, 999, 800_000])
def test_a_rate_that_no_recorder_has_is_refused(rate: int) -> None:
    for make in (describe_sound, log_mel):
        with pytest.raises(ValueError, match="rate must be between"):
            make(breath(), rate)


def test_every_number_has_its_own_name_and_kind() -> None:
    assert len(set(NAMES)) == len(NAMES) == len(KINDS) == len(describe_sound(breath(), RATE))
    assert len(set(KINDS)) == len(sound_blocks())
    assert all(
        name.startswith("convolution ") == (kind == "convolutions")
        for name, kind in zip(NAMES, KINDS, strict=True)
    )
    assert all(name.startswith("mel ") == (kind == "logmel") for name, kind in zip(NAMES, KINDS, strict=True))


def test_no_number_is_the_same_for_all_sounds() -> None:
    sounds = [breath(2.0), breath(seed=1), *(tone(frequency) + breath(2.0) for frequency in (200, 400, 900))]
    sounds += [add_clicks(breath(), frequency) for frequency in (700, 1400)]
    described = np.stack([describe_sound(sound, RATE) for sound in sounds])
    assert not [name for name, spread in zip(NAMES, np.ptp(described, axis=0), strict=True) if not spread > 0]


@settings(max_examples=15, deadline=None)
@given(gain=st.floats(0.1, 1.0), offset=st.floats(-0.2, 0.2), seed=st.integers(0, 20))
def test_gain_and_offset_change_nothing(gain: float, offset: float, seed: int) -> None:
    sound = breath(2.0, seed=seed)
    moved = (np.float32(gain) * sound + np.float32(offset)).astype(np.float32)
    assert np.allclose(describe_sound(moved, RATE), describe_sound(sound, RATE), rtol=1e-3, atol=1e-2)
    assert np.allclose(log_mel(moved, RATE), log_mel(sound, RATE), atol=0.01)


def test_the_same_bits_whatever_the_threads() -> None:
    sound = breath(3.0, 44_100)
    with threadpool_limits(limits=1):
        once = describe_sound(sound, 44_100)
    with threadpool_limits(limits=2):
        again = describe_sound(sound.copy(), 44_100)
    assert once.tobytes() == again.tobytes()


@pytest.mark.parametrize("rate", [8000, 11_025, 44_100, 47_999])
def test_the_rate_of_recording_hardly_matters(rate: int) -> None:
    seconds = 4.0
    fine = np.fft.rfft(breath(seconds))
    fine[-round(200 * seconds) :] = 0  # where the filters of two rates may differ
    narrow = np.fft.irfft(fine, round(seconds * RATE)).astype(np.float32)
    count = round(seconds * rate)
    wide = (np.fft.irfft(fine, count) * count / len(narrow)).astype(np.float32)
    inside = mel_frequencies() < 1700
    pictures = log_mel(narrow, RATE)[inside, 4:-4], log_mel(wide, rate)[inside, 4:-4]
    assert np.abs(pictures[0] - pictures[1]).mean() < 0.5


@pytest.mark.parametrize("rate", [RATE, 22_050])
@pytest.mark.parametrize("frequency", [90.0, 150.0, 400.0, 1000.0, 1700.0])
def test_a_tone_peaks_in_the_band_of_its_frequency(frequency: float, rate: int) -> None:
    picture = log_mel(tone(frequency, rate=rate), rate)
    assert picture.shape == (64, 78)
    assert picture.dtype == np.float32
    nearest = int(np.abs(mel_frequencies() - frequency).argmin())
    assert np.abs(picture[:, 4:-4].argmax(axis=0) - nearest).max() <= 1


def test_frames_of_the_picture_come_every_25_milliseconds() -> None:
    sound = np.zeros(RATE, np.float32)
    sound[2400:] = tone(500, 0.4)
    loud = log_mel(sound, RATE).max(axis=0) > -20
    assert abs(0.025 * int(loud.argmax()) + 0.032 - 0.6) < 0.05
    assert log_mel(sound, RATE).min() >= -80


def test_a_wheeze_raises_the_tones_of_its_band_and_harmonicity() -> None:
    sound = breath()
    bare = describe(sound)
    sound[4000:12_000] += 0.15 * tone(400)
    wheeze = describe(sound)
    for name in NAMES:
        if name.startswith("tones 300-600 Hz") and name.endswith("90 %"):
            assert wheeze[name] > bare[name] + 5
        if name.startswith("tones 600-1600 Hz") and name.endswith("90 %"):
            assert wheeze[name] < bare[name] + 3
    assert wheeze["harmonicity 90 %"] > bare["harmonicity 90 %"] + 0.1
    assert wheeze["contrast 320-500 Hz 90 %"] > bare["contrast 320-500 Hz 90 %"] + 5


def test_a_tone_that_does_not_last_is_no_wheeze() -> None:
    name = "tones 300-600 Hz lasting 7 of 41 90 %"
    heights = {}
    for seconds in (0.0, 0.03, 0.3):
        sound = breath()
        for start in range(0, len(sound) - 1600, 1600):
            sound[start : start + round(seconds * RATE)] += 0.2 * tone(400, seconds)
        heights[seconds] = describe(sound)[name]
    assert heights[0.03] < heights[0.0] + 3
    assert heights[0.3] > heights[0.0] + 6


def test_crackles_are_counted_where_they_are() -> None:
    sound = breath()
    bare = describe(sound)
    crackles, octave = describe(add_clicks(sound)), "crackles 500-1000 Hz"
    # The logarithm of one more than starts a second, of which there are eight.
    assert crackles[f"{octave} strong starts"] == pytest.approx(np.log(9), abs=0.4)
    assert crackles[f"{octave} strong starts"] > bare[f"{octave} strong starts"] + 1
    assert crackles[f"{octave} kurtosis 50 %"] > bare[f"{octave} kurtosis 50 %"] + 0.5
    assert crackles["wavelet 500-1000 Hz kurtosis"] > bare["wavelet 500-1000 Hz kurtosis"] + 1


def test_rhythm_tells_how_fast_the_breath_is() -> None:
    count = 40_000
    noise = np.random.default_rng(1).normal(size=count)
    at = {}
    for rate in (0.3, 2.0):
        swell = 0.1 + np.sin(np.pi * rate * np.arange(count) / RATE) ** 2
        at[rate] = describe_sound((0.1 * swell * noise).astype(np.float32), RATE)
    slow, fast = (NAMES.index(f"rhythm of 150-300 Hz at {band} Hz") for band in ("0.1-0.4", "1.5-3"))
    assert at[0.3][slow] > at[2.0][slow] + 2
    assert at[2.0][fast] > at[0.3][fast] + 2


@pytest.mark.parametrize(("frequency", "octave"), [(1500, "1000-2000"), (700, "500-1000"), (170, "125-250")])
def test_the_energy_of_a_tone_is_in_its_octave(frequency: float, octave: str) -> None:
    described = describe(tone(frequency))
    shares = {name: value for name, value in described.items() if name.endswith(" Hz share dB")}
    assert max(shares, key=shares.__getitem__) == f"wavelet {octave} Hz share dB"
    assert sum(10 ** (share / 10) for share in shares.values()) == pytest.approx(1, abs=1e-3)


def test_the_length_hardly_matters() -> None:
    sound = breath(40.0)
    long, short = describe_sound(sound, RATE), describe_sound(sound[: 20 * RATE], RATE)
    other = describe_sound(tone(400, 10.0) + breath(10.0), RATE)
    scale = np.abs(other - long) + 1e-3
    assert np.median(np.abs(long - short) / scale) < 0.1


def test_a_knock_does_not_set_the_level() -> None:
    sound = breath()
    knocked = sound.copy()
    knocked[8000:8040] = 1.0
    pictures = log_mel(sound, RATE), log_mel(knocked, RATE)
    assert np.median(np.abs(pictures[0] - pictures[1])) < 1.0


def test_ten_seconds_take_no_more_than_a_tenth_of_one() -> None:
    sound = breath(10.0)
    describe_sound(sound, RATE)
    took = []
    for _ in range(5):
        start = time.process_time()
        describe_sound(sound, RATE)
        took.append(time.process_time() - start)
    assert min(took) < 0.1
