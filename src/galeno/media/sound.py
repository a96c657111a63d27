"""A sound: read from a file within bounds, checked, and written as plain FLAC.

libsndfile decodes (https://libsndfile.github.io/libsndfile/); what a header claims is compared with what
is there before anything is decoded, and decoding stops at the bounds.
"""

from dataclasses import dataclass

import numpy as np
import soundfile
from numpy.typing import NDArray

from galeno.media.containers import check_container
from galeno.media.fault import MediaFault
from galeno.media.flac_frames import ends_early
from galeno.media.limits import SoundLimits
from galeno.media.signature import SOUND_FORMATS, format_of, kind_of
from galeno.media.tape import Tape

__all__ = [
    "Sound",
    "SoundLimits",
    "clipped_share",
    "read_sound",
    "to_integers",
    "write_sound",
]

HIGHEST_RATE = 48_000
"""Samples a second; faster sounds are brought to this or below by a whole factor."""
_RATES = (1_000, 384_000)
_CHANNELS = 32
_BLOCK = 1 << 16
_SUBTYPES = {
    "PCM_S8": 16,
    "PCM_U8": 16,
    "PCM_16": 16,
    "PCM_24": 24,
    "PCM_32": 24,
    "FLOAT": 24,
    "DOUBLE": 24,
    "ULAW": 16,
    "ALAW": 16,
    "IMA_ADPCM": 16,
    "MS_ADPCM": 16,
    "VORBIS": 16,
    "OPUS": 16,
    "MPEG_LAYER_III": 16,
}
"""Encodings that are taken, with the bits that a sample of each is kept in."""
_FINE = 1 << 23
_COARSE = 1 << 15


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """A sound of one channel.

    Args:
        samples: float32 in -1..1, each a multiple of 2**-15 (or 2**-23 where the file was that fine).
        rate: samples a second.
    """

    samples: NDArray[np.float32]
    rate: int

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.samples) / self.rate


def read_sound(file: bytes, limits: SoundLimits = SoundLimits()) -> Sound:  # noqa: B008 - frozen
    """Read WAV, FLAC, OGG (Vorbis, Opus) or MP3; several channels are averaged.

    Args:
        file: the file, as it came.
        limits: its bounds.

    Returns:
        the sound at its own rate, or at a whole fraction of it that is at most HIGHEST_RATE.

    Raises:
        MediaFault: empty_file, wrong_type, truncated, damaged, too_large, too_short, silent or clipped.
    """
    if not file:
        raise MediaFault("empty_file", "The file is empty")
    if len(file) > limits.bytes:
        raise MediaFault("too_large", f"The file is larger than {limits.bytes >> 20} MiB")
    found = format_of(file)
    if found not in SOUND_FORMATS:
        said = "an image, not a sound" if kind_of(file) else "not a sound in WAV, FLAC, OGG or MP3"
        raise MediaFault("wrong_type", f"The file is {said}")
    sounding = check_container(file, found, limits.seconds)
    try:
        samples, rate, bits = _decode(sounding, limits)
    except MediaFault as fault:
        if fault.rule == "damaged" and found == "flac" and ends_early(sounding):
            raise MediaFault("truncated", "The sound ends before its header says") from None
        raise
    sound = Sound(_on_grid(samples, bits), rate)
    _check(sound, limits)
    if rate > HIGHEST_RATE:
        from scipy import signal  # takes a while, and few sounds need it

        factor = -(-rate // HIGHEST_RATE)
        slower = signal.resample_poly(sound.samples, 1, factor).astype(np.float32)
        sound = Sound(_on_grid(slower, bits), round(rate / factor))
        # What was above hearing is gone, and perhaps all there was.
        _check(sound, limits)
    return sound


def write_sound(sound: Sound) -> bytes:
    """The sound as FLAC: one channel, 16 bits where its samples need no more, else 24, and no tags.

    Args:
        sound: as `read_sound` gives it; other samples are rounded to 24 bits.

    Returns:
        the bytes, the same for the same sound with the same libFLAC. `read_sound` gives the sound back.
    """
    fine = to_integers(sound)
    small = not np.any(fine & 0xFF)
    tape = Tape()
    with soundfile.SoundFile(
        tape,
        "w",
        samplerate=sound.rate,
        channels=1,
        format="FLAC",
        subtype="PCM_16" if small else "PCM_24",
        compression_level=0.5,
    ) as writer:
        # libsndfile takes the upper bits of 32.
        writer.write(fine << 8)
    return tape.getvalue()


def to_integers(sound: Sound) -> NDArray[np.int32]:
    """The samples as integers of 24 bits."""
    scaled = np.clip(sound.samples, -1, 1) * np.float32(_FINE)
    np.rint(scaled, out=scaled)
    return np.clip(scaled, -_FINE, _FINE - 1, out=scaled).astype(np.int32)


def _decode(file: bytes, limits: SoundLimits) -> tuple[NDArray[np.float32], int, int]:
    """Samples, rate and bits of a file whose container is whole."""
    try:
        with soundfile.SoundFile(Tape(file)) as reader:
            bits = _check_header(reader, limits)
            most = int(limits.seconds * min(reader.samplerate, HIGHEST_RATE))
            blocks = _blocks(reader, most)
            claimed = reader.frames
    except (soundfile.SoundFileError, OSError, ValueError, RuntimeError, OverflowError, TypeError):
        raise MediaFault("damaged", "The sound cannot be decoded to its end") from None
    samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    if len(samples) < claimed < 1 << 48:
        raise MediaFault("truncated", "The sound ends before its header says")
    return samples, reader.samplerate, bits


def _check_header(reader: soundfile.SoundFile, limits: SoundLimits) -> int:
    """Bits of a sample; a header out of bounds raises."""
    bits = _SUBTYPES.get(reader.subtype)
    if bits is None:
        raise MediaFault("wrong_type", "The sound is in an encoding that is not read")
    if not _RATES[0] <= reader.samplerate <= _RATES[1]:
        raise MediaFault("damaged", f"The sound has no sampling rate of {_RATES[0]:,} to {_RATES[1]:,} Hz")
    if not 1 <= reader.channels <= _CHANNELS:
        raise MediaFault("damaged", f"The sound has more than {_CHANNELS} channels")
    if 1 << 48 > reader.frames > limits.seconds * min(reader.samplerate, HIGHEST_RATE):
        raise _too_long(limits.seconds)
    return bits


def _blocks(reader: soundfile.SoundFile, most: int) -> list[NDArray[np.float32]]:
    """The sound's blocks, as the mean of its channels; more than `most` samples raise MediaFault."""
    blocks: list[NDArray[np.float32]] = []
    total = 0
    while True:
        block = reader.read(_BLOCK, dtype="float32", always_2d=True)
        total += len(block)
        if total > most:
            raise _too_long(most / min(reader.samplerate, HIGHEST_RATE))
        if not len(block):
            return blocks
        if not np.all(np.isfinite(block)):
            raise MediaFault("damaged", "The sound has samples that are no numbers")
        np.clip(block, -1, 1, out=block)
        blocks.append(block[:, 0].copy() if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float32))


def _too_long(seconds: float) -> MediaFault:
    return MediaFault("too_large", f"The sound is longer than {seconds:g} seconds at {HIGHEST_RATE:,} Hz")


def _on_grid(samples: NDArray[np.float32], bits: int) -> NDArray[np.float32]:
    """Samples rounded to so many bits, so that writing and reading them again changes nothing."""
    # Powers of two: single precision loses nothing here.
    steps = np.float32(_FINE if bits == 24 else _COARSE)
    made = np.clip(samples, -1, 1) * steps
    np.rint(made, out=made)
    np.clip(made, -steps, steps - 1, out=made)
    made /= steps
    return made


def _check(sound: Sound, limits: SoundLimits) -> None:
    """Raise MediaFault for a sound that is too short, silent or clipped."""
    if sound.seconds < limits.shortest:
        raise MediaFault("too_short", f"The sound is shorter than {limits.shortest:g} seconds")
    mean = float(sound.samples.mean(dtype=np.float64))
    if float(np.abs(sound.samples - np.float32(mean)).max()) < limits.silent:
        raise MediaFault("silent", "The sound is silent")
    if clipped_share(sound) > limits.clipped:
        raise MediaFault("clipped", f"More than {limits.clipped:.0%} of the sound is clipped")


def clipped_share(sound: Sound) -> float:
    """Share of the samples in runs of three or more at the sound's own top or bottom.

    The top of a clipped sound is flat wherever it is: many recordings are turned down after they were
    clipped. One step of 16 bits counts as equal. A side is looked at if it reaches half of the sound's
    peak, or else the silence of a sound with only one side would count.
    """
    peak = max(float(sound.samples.max()), -float(sound.samples.min()))
    step = 1.5 / _COARSE
    return sum(
        _in_runs(side >= side.max() - step) / len(side)
        for side in (sound.samples, -sound.samples)
        if peak > 16 * step and side.max() >= peak / 2
    )


def _in_runs(flat: NDArray[np.bool_]) -> int:
    """How many of the true values stand in runs of three or more."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flat, [False]]).astype(np.int8)))
    lengths = edges[1::2] - edges[::2]
    return int(lengths[lengths >= 3].sum())
