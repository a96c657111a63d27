"""Simulated breath sounds, as a stethoscope on the chest of somebody who does not exist would record them.

Breath is noise that falls with frequency and swells with the flow of air. On it lie wheezes (tones of 100 to
1,000 Hz with harmonics that last longer than 80 ms) and crackles (damped sinusoids of 5 to 20 ms, early or
late in inspiration), heart sounds, the noise of the room, and the colour of the stethoscope. What these are
is from Sovijärvi et al., "Definition of terms for applications of respiratory sounds", Eur Respir Rev 2000;
10: 597-610; every number was chosen by hand to be plausible and to overlap, none comes from recordings.
"""

import io
import wave
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

RATE = 4000
"""Samples a second."""
STETHOSCOPES: Mapping[str, tuple[float, float]] = {
    "bell": (95.0, 1.1),
    "diaphragm": (260.0, 1.1),
    "extended": (200.0, 2.2),
}
"""Filter of the stethoscope: what it passes best, Hz, and how wide, octaves (standard deviation)."""
ZONES: Mapping[str, tuple[float, float, float]] = {
    "anterior left": (0.9, 0.45, 1.6),
    "anterior right": (1.0, 0.45, 1.0),
    "posterior left upper": (0.85, 0.6, 0.6),
    "posterior right upper": (0.85, 0.6, 0.5),
    "posterior left base": (1.0, 1.1, 0.6),
    "posterior right base": (1.0, 1.1, 0.5),
}
"""Where the stethoscope lies: how loud breath, crackles and heart are there."""

_FLOOR = 0.12
"""What a stethoscope passes far from its best frequency."""
_CRACKLE = 0.03
"""Seconds after which a crackle has died away."""
_LOUDEST = 0.9

_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Manner:
    """How a kind of patient breathes and sounds, on average.

    Attributes:
        rate: breaths a minute.
        loudness: of breath noise, 1 in a healthy chest.
        exhaling: share of a breath that is expiration.
        expiration: loudness of expiration beside inspiration.
        edge: frequency above which breath noise falls, Hz.
        wheezing: chance that the patient wheezes.
        pitch: median frequency of a wheeze, Hz.
        voices: most tones at once.
        inhaled: chance that a wheeze is in inspiration.
        held: mean length of a wheeze, as a share of the phase it is in.
        crackling: chance that the patient crackles.
        crackles: mean number a breath.
        ring: frequency of a crackle, Hz.
        decay: time in which a crackle falls to a third, ms.
        moment: when crackles come, as a share of inspiration: mean and standard deviation.
        pulse: heart beats a minute.
        gallop: chance of a third heart sound.
    """

    rate: float = 15.0
    loudness: float = 1.0
    exhaling: float = 0.58
    expiration: float = 0.42
    edge: float = 240.0
    wheezing: float = 0.02
    pitch: float = 350.0
    voices: int = 1
    inhaled: float = 0.1
    held: float = 0.4
    crackling: float = 0.06
    crackles: float = 5.0
    ring: float = 450.0
    decay: float = 3.0
    moment: tuple[float, float] = (0.5, 0.25)
    pulse: float = 72.0
    gallop: float = 0.0


MANNERS: Mapping[str, Manner] = {
    "healthy": Manner(),
    "asthma": Manner(
        rate=18, loudness=0.9, exhaling=0.64, expiration=0.6, wheezing=0.82, pitch=430, voices=3, inhaled=0.3,
        held=0.55, pulse=84,
    ),
    "heart_failure": Manner(
        rate=20, edge=260, wheezing=0.12, pitch=320, crackling=0.88, crackles=11, ring=620, decay=1.6,
        moment=(0.74, 0.14), pulse=90, gallop=0.45,
    ),
    "copd": Manner(
        rate=18, loudness=0.5, exhaling=0.71, expiration=0.75, edge=200, wheezing=0.6, pitch=185, held=0.5,
        crackling=0.35, crackles=4, ring=330, decay=4.5, moment=(0.2, 0.1), pulse=84,
    ),
    "pneumonia": Manner(
        rate=21, loudness=1.1, expiration=0.85, edge=340, wheezing=0.1, pitch=260, crackling=0.86, crackles=7,
        ring=360, decay=4.2, moment=(0.5, 0.25), pulse=94,
    ),
}  # fmt: skip
"""Conditions of `cohort:lungs`."""


@dataclass(frozen=True, slots=True)
class Chest:
    """One simulated chest: how it sounds whenever and wherever one listens.

    Attributes:
        manner: what was drawn for it; `wheezing` and `crackling` are 0 or 1.
        force: how loud wheezes and crackles are beside the breath.
        gallop: whether there is a third heart sound.
    """

    manner: Manner
    force: float
    gallop: bool


def draw_chest(manner: Manner, rng: np.random.Generator) -> Chest:
    """A chest of somebody who breathes in a manner.

    Args:
        manner: averages.
        rng: source of chance.
    """

    def about(value: float, spread: float) -> float:
        return float(value * np.exp(rng.normal(0, spread)))

    own = replace(
        manner,
        rate=float(np.clip(about(manner.rate, 0.18), 9, 34)),
        loudness=about(manner.loudness, 0.3),
        exhaling=float(np.clip(rng.normal(manner.exhaling, 0.05), 0.42, 0.8)),
        expiration=about(manner.expiration, 0.3),
        edge=about(manner.edge, 0.18),
        wheezing=float(rng.random() < manner.wheezing),
        pitch=float(np.clip(about(manner.pitch, 0.32), 100, 900)),
        voices=1 + int(rng.integers(manner.voices)),
        crackling=float(rng.random() < manner.crackling),
        crackles=about(manner.crackles, 0.3),
        ring=about(manner.ring, 0.2),
        decay=about(manner.decay, 0.25),
        moment=(float(np.clip(rng.normal(manner.moment[0], 0.08), 0.05, 0.9)), manner.moment[1]),
        pulse=float(np.clip(about(manner.pulse, 0.15), 45, 140)),
    )
    return Chest(own, about(1.0, 0.5), bool(rng.random() < manner.gallop))


def listen(
    chest: Chest, stethoscope: str, zone: str, seconds: float, rng: np.random.Generator
) -> NDArray[np.int16]:
    """A recording of a chest.

    Args:
        chest: whose.
        stethoscope: one of `STETHOSCOPES`.
        zone: one of `ZONES`.
        seconds: length.
        rng: source of chance; the same chest sounds different the next time.

    Returns:
        shape (samples,), `RATE` a second, not clipped.
    """
    size = round(seconds * RATE)
    breath, crackle, heart = ZONES[zone]
    breaths = _breaths(chest.manner, seconds, rng)
    sound = breath * _airflow(chest.manner, breaths, size, rng)
    if chest.manner.wheezing:
        sound += breath * chest.force * _wheezes(chest.manner, breaths, size, rng)
    if chest.manner.crackling:
        sound += crackle * chest.force * _crackles(chest.manner, breaths, size, rng)
    sound += heart * _heart(chest, size, rng)
    sound += np.exp(rng.normal(np.log(0.1), 0.5)) * _noise(size, 60.0, 900.0, rng)
    sound = 0.09 * np.exp(rng.normal(0, 0.3)) * _through(sound, stethoscope)
    return np.asarray(np.rint(32767 * _LOUDEST * np.tanh(sound / _LOUDEST)), dtype=np.int16)


def write_wav(samples: NDArray[np.int16]) -> bytes:
    """Samples, shape (n,), as a WAV file of one channel, 16 bit, `RATE` a second."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()


def _breaths(manner: Manner, seconds: float, rng: np.random.Generator) -> list[tuple[float, float, float]]:
    """Starts of inspiration and expiration, and the end, seconds; the first may begin before 0."""
    period = 60 / manner.rate
    start = -period * rng.random()
    found = []
    while start < seconds:
        length = period * np.exp(rng.normal(0, 0.07))
        turn = start + length * (1 - manner.exhaling)
        found.append((start, turn, start + length))
        start += length
    return found


def _airflow(
    manner: Manner, breaths: list[tuple[float, float, float]], size: int, rng: np.random.Generator
) -> _Floats:
    """Noise of the breath: inspiration swells and falls, expiration starts strong, fades and is duller."""
    inspired, expired = np.zeros(size), np.zeros(size)
    for start, turn, end in breaths:
        _add(inspired, start, np.sin(np.pi * _shares(turn - start)) ** 1.3)
        share = _shares(end - turn)
        _add(expired, turn, 2.6 * np.sqrt(share) * (1 - share) ** 1.5)
    sound = inspired * _noise(size, 90.0, manner.edge, rng)
    sound += manner.expiration * expired * _noise(size, 80.0, 0.75 * manner.edge, rng)
    return manner.loudness * sound


def _noise(size: int, low: float, high: float, rng: np.random.Generator) -> _Floats:
    """Noise of effective value 1 that falls by 6 dB an octave below `low` and by 12 above `high`, Hz."""
    frequency = np.fft.rfftfreq(size, 1 / RATE)
    spectrum = rng.standard_normal((len(frequency), 2)).view(np.complex128)[:, 0]
    gain = frequency / np.hypot(frequency, low) / (1 + (frequency / high) ** 2)
    values = np.fft.irfft(spectrum * gain, size)
    return np.asarray(values / np.sqrt(np.mean(values**2)), dtype=np.float64)


def _wheezes(
    manner: Manner, breaths: list[tuple[float, float, float]], size: int, rng: np.random.Generator
) -> _Floats:
    """Tones with harmonics, one to three at once, in most breaths."""
    sound = np.zeros(size)
    for start, turn, end in breaths:
        if rng.random() < 0.2:
            continue
        inhaled = rng.random() < manner.inhaled
        begin, length = (start, turn - start) if inhaled else (turn, end - turn)
        for _ in range(manner.voices):
            held = max(0.1, length * min(manner.held * np.exp(rng.normal(0, 0.3)), 0.9))
            first = begin + rng.random() * (length - held) * 0.7
            pitch = float(np.clip(manner.pitch * np.exp(rng.normal(0, 0.18)), 100, 1000))
            _add(sound, first, rng.uniform(0.5, 1.1) * _tone(pitch, held, rng))
    return sound


def _tone(pitch: float, seconds: float, rng: np.random.Generator) -> _Floats:
    """A wheeze: it slides and trembles, and its harmonics are weaker and weaker."""
    share = _shares(seconds)
    time = share * seconds
    slide = 1 + rng.normal(0, 0.1) * share
    tremble = 1 + 0.012 * np.sin(2 * np.pi * rng.uniform(3, 7) * time + rng.uniform(0, 6))
    turns = np.cumsum(pitch * slide * tremble) / RATE
    weights = (1.0, rng.uniform(0.15, 0.45), rng.uniform(0.02, 0.2))
    values = sum(
        weight * np.sin(2 * np.pi * (n + 1) * turns)
        for n, weight in enumerate(weights)
        if (n + 1) * pitch < 0.4 * RATE
    )
    return np.asarray(values * np.sin(np.pi * share) ** 0.6, dtype=np.float64)


def _crackles(
    manner: Manner, breaths: list[tuple[float, float, float]], size: int, rng: np.random.Generator
) -> _Floats:
    """Short damped sinusoids, most of them in inspiration."""
    sound = np.zeros(size)
    time = np.arange(round(_CRACKLE * RATE)) / RATE
    for start, turn, end in breaths:
        for _ in range(rng.poisson(manner.crackles)):
            share = np.clip(rng.normal(*manner.moment), 0, 1)
            first = start + share * (turn - start)
            if rng.random() < 0.12:
                first = turn + rng.random() * (end - turn)
            ring = manner.ring * np.exp(rng.normal(0, 0.15))
            damped = np.exp(-1000 * time / manner.decay) * np.sin(2 * np.pi * ring * time)
            _add(sound, first, np.exp(rng.normal(np.log(3.2), 0.45)) * damped)
    return sound


def _heart(chest: Chest, size: int, rng: np.random.Generator) -> _Floats:
    """First and second heart sound of each beat, and the third where there is one."""
    sound = np.zeros(size)
    period = 60 / chest.manner.pulse
    parts = [(0.0, 45.0, 1.0), (0.36 * period + 0.05, 60.0, 0.75)]
    if chest.gallop:
        parts.append((0.36 * period + 0.19, 38.0, 0.6))
    loud = np.exp(rng.normal(np.log(0.9), 0.4))
    time = np.arange(-0.06, 0.06, 1 / RATE)
    beat = -period * rng.random()
    while beat < size / RATE:
        for wait, pitch, weight in parts:
            burst = np.exp(-((time / 0.022) ** 2)) * np.cos(2 * np.pi * pitch * time)
            _add(sound, beat + wait - 0.06, loud * weight * burst)
        beat += period * np.exp(rng.normal(0, 0.03))
    return sound


def _shares(seconds: float) -> _Floats:
    """Where each sample of a span stands in it, between 0 and 1."""
    size = max(1, round(seconds * RATE))
    return (np.arange(size) + 0.5) / size


def _add(sound: _Floats, seconds: float, piece: _Floats) -> None:
    """Adds a piece at a time; what lies outside the recording is cut off."""
    first = round(seconds * RATE)
    begin, end = max(first, 0), min(first + len(piece), len(sound))
    if begin < end:
        sound[begin:end] += piece[begin - first : end - first]


def _through(sound: _Floats, stethoscope: str) -> _Floats:
    best, width = STETHOSCOPES[stethoscope]
    frequency = np.maximum(np.fft.rfftfreq(len(sound), 1 / RATE), 1.0)
    gain = _FLOOR + (1 - _FLOOR) * np.exp(-0.5 * (np.log2(frequency / best) / width) ** 2)
    gain *= frequency / np.hypot(frequency, 20.0)
    return np.asarray(np.fft.irfft(np.fft.rfft(sound) * gain, len(sound)), dtype=np.float64)
