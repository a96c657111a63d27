"""Sounds: every format, what is refused, bounds, and the real recordings."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from media_files import RATE, SOUND_ENCODINGS, picture_file, pixels, sound_file, tone

from galeno.media import containers
from galeno.media.fault import MediaFault
from galeno.media.limits import SoundLimits
from galeno.media.signature import after_id3
from galeno.media.sound import Sound, clipped_share, read_sound, write_sound


def fault(file: bytes, limits: SoundLimits | None = None) -> str:
    with pytest.raises(MediaFault) as raised:
        read_sound(file, limits or SoundLimits())
    return raised.value.rule


@pytest.mark.parametrize("kind", SOUND_ENCODINGS)
def test_every_format_is_read_and_gives_the_same_sound_again(kind: str) -> None:
    sound = read_sound(sound_file(kind))
    assert sound.rate == (RATE if kind != "opus" else 8000)
    assert sound.samples.dtype == np.float32
    assert abs(sound.seconds - 1) < 0.02
    again = read_sound(write_sound(sound))
    assert np.array_equal(again.samples, sound.samples)
    assert again.rate == sound.rate
    assert write_sound(again) == write_sound(sound)


@pytest.mark.parametrize("kind", ["wav", "wav 24", "wav float", "flac", "flac 24"])
def test_samples_are_what_was_written(kind: str) -> None:
    steps = 1 << 15 if SOUND_ENCODINGS[kind][1] == "PCM_16" else 1 << 23
    assert np.abs(read_sound(sound_file(kind)).samples - tone()).max() <= 1 / steps


def test_the_same_sound_has_one_content_in_any_lossless_file() -> None:
    whole = np.rint(tone() * 32768).astype(np.int16)
    contents = {
        write_sound(read_sound(sound_file(kind, whole))) for kind in ("wav", "wav 24", "flac", "rf64")
    }
    assert len(contents) == 1
    assert write_sound(read_sound(sound_file("wav", rate=RATE + 1))) not in contents


def test_channels_are_averaged_and_fast_sounds_slowed() -> None:
    left, right = tone(seed=1), tone(seed=2)
    sound = read_sound(sound_file("wav", np.stack([left, right], axis=1)))
    assert np.abs(sound.samples - (left + right) / 2).max() < 1e-4
    fast = read_sound(sound_file("wav", tone(1, 96_000), 96_000))
    assert (fast.rate, len(fast.samples)) == (48_000, 48_000)
    assert read_sound(sound_file("flac", tone(1, 88_200), 88_200)).rate == 44_100


@pytest.mark.parametrize("kind", SOUND_ENCODINGS)
@pytest.mark.parametrize("share", [0.999, 0.9, 0.5, 0.1])
def test_a_file_that_was_cut_is_truncated(kind: str, share: float) -> None:
    file = sound_file(kind)
    assert fault(file[: int(len(file) * share)]) == "truncated"


def test_other_files_are_refused_by_rule() -> None:
    assert fault(b"") == "empty_file"
    assert fault(b"patient,file\n1,a.wav\n") == "wrong_type"
    assert fault(picture_file("PNG", pixels())) == "wrong_type"
    assert fault(sound_file("wav", tone(0.4))) == "too_short"
    assert fault(sound_file("wav", np.zeros(RATE, np.float32))) == "silent"
    assert fault(sound_file("wav", np.full(RATE, 0.25, np.float32))) == "silent"
    assert fault(sound_file("wav", np.clip(tone() * 20, -0.999, 0.999))) == "clipped"
    assert fault(sound_file("wav float", np.where(np.arange(RATE) == 7, np.nan, tone()))) == "damaged"
    huge = np.where(np.arange(2 * RATE).reshape(-1, 2) % 2000 < 2, 3e38, np.stack([tone(), tone()], axis=1))
    assert np.abs(read_sound(sound_file("wav float", huge.astype(np.float32))).samples).max() <= 1
    assert fault(sound_file("flac", tone(3)), SoundLimits(seconds=2)) == "too_large"
    assert fault(sound_file("wav"), SoundLimits(bytes=100)) == "too_large"
    assert fault(sound_file("wav", tone(1, 500), 500)) == "damaged"


def test_a_clipped_sound_that_was_turned_down_is_clipped_and_a_pure_tone_is_not() -> None:
    hard = np.clip(tone() * 20, -1, 1) * 0.3
    assert fault(sound_file("wav", hard)) == "clipped"
    pure = np.sin(2 * np.pi * 100 * np.arange(RATE) / RATE).astype(np.float32) * 0.9
    assert clipped_share(read_sound(sound_file("wav", pure))) < 0.02


def test_a_broken_header_of_a_wav() -> None:
    file = bytearray(sound_file("wav"))
    file[40:44] = b"\xff\xff\xff\x7f"
    assert fault(bytes(file)) == "truncated"
    file[40:44] = b"\xff\xff\xff\xff"
    assert read_sound(bytes(file)).seconds == 1, "who streams does not know the length"


def test_parts_without_end_stop() -> None:
    wav, flac, ogg = (sound_file(kind) for kind in ("wav", "flac", "ogg"))
    assert fault(wav[:12] + b"junk\0\0\0\0" * 20_000 + wav[12:]) == "too_large"
    assert read_sound(wav[:12] + b"junk\0\0\0\0" * 2_000 + wav[12:]).seconds == 1
    assert fault(flac[:42] + b"\x01\0\0\0" * 20_000 + flac[42:]) == "too_large"
    empty = bytearray(ogg[:4] + bytes(23))
    empty[22:26] = containers._page_check(bytes(empty)).to_bytes(4, "little")
    assert fault(bytes(empty) * 300_001) == "too_large"


def test_tags_before_a_sound_are_counted() -> None:
    tag, wav = b"ID3\x04\0\0\0\0\0\0", sound_file("wav")
    assert read_sound(tag * 64 + wav).seconds == 1
    assert fault(tag * 65 + wav) == "wrong_type"
    assert after_id3(tag * 1000) == 640


def test_hours_of_silence_in_a_small_flac_stop_at_the_bounds() -> None:
    made = io.BytesIO()
    with soundfile.SoundFile(made, "w", 4000, 1, "PCM_16", format="FLAC") as writer:
        for _ in range(60):
            writer.write(np.zeros(4000 * 60, np.int16))
    bomb = bytearray(made.getvalue())
    assert len(bomb) < 100_000
    assert fault(bytes(bomb)) == "too_large"
    bomb[21] &= 0xF0
    bomb[22:26] = bytes(4)
    assert fault(bytes(bomb)) == "too_large", "its header no longer says how long it is"


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(-(1 << 23), (1 << 23) - 1), min_size=1, max_size=200),
    st.integers(1000, 48_000),
    st.booleans(),
)
def test_any_samples_come_back(values: list[int], rate: int, coarse: bool) -> None:
    integers = np.array(values) >> 8 << 8 if coarse else np.array(values)
    sound = Sound((integers / (1 << 23)).astype(np.float32), rate)
    limits = SoundLimits(shortest=0, silent=0, clipped=2)
    again = read_sound(write_sound(sound), limits)
    assert np.array_equal(again.samples, sound.samples)
    assert write_sound(again) == write_sound(sound)


def test_of_the_real_recordings_only_the_empty_ones_are_refused(real_data: Path) -> None:
    folder = real_data / "lungs" / "recordings"
    if not folder.is_dir():
        pytest.skip("the lung sounds are not there")
    refused = {}
    for path in sorted(folder.iterdir())[::3] + sorted(folder.glob("p022*")):
        try:
            read_sound(path.read_bytes())
        except MediaFault as found:
            refused[path.stem] = found.rule
    assert refused == dict.fromkeys(["p022_B", "p022_D", "p022_E"], "silent"), "these hold one value only"
