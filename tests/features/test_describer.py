"""What is said of a file alone: the same one by one and many at once, and nothing of the others."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from media_cases import make_media_rows, make_media_study, make_square, make_tone

from galeno.errors import PackageError
from galeno.features.describer import Describer, unpack
from galeno.features.encoder import DESCRIPTION
from galeno.features.layout import SOUND_TENSOR, image_tensor, sound_tensor
from galeno.media.sound import read_sound

PLAIN = Describer.of(make_media_study())


def test_a_description_does_not_hang_on_what_is_described_beside_it() -> None:
    tones = [make_tone(frequency, 1) for frequency in (150, 400, 900)]
    films = [make_square(bright, seed) for seed, bright in enumerate((True, False, True))]
    for name, contents in (("breath", tones), ("film", films)):
        alone = [PLAIN.describe(name, [content])[0] for content in contents]
        assert PLAIN.describe(name, [contents[0], None, *contents[1:]]) == [alone[0], None, *alone[1:]]
        assert PLAIN.describe(name, contents, threads=2) == alone
        assert len(set(alone)) == 3
        assert {len(each) for each in alone} == {4 * PLAIN.layout(name)[-1].stop}


def test_record_and_frame_are_described_alike() -> None:
    frame, _ = make_media_rows(6, 3)
    described = PLAIN.describe_frame(frame)
    for row, values in enumerate(frame.iter_rows(named=True)):
        told = PLAIN.describe_record(values)
        for name in ("breath", "film"):
            assert told.get(f"{name}{DESCRIPTION}") == described[f"{name}{DESCRIPTION}"][row]
            assert (values[name] is None) == (f"{name}{DESCRIPTION}" not in told)


def test_what_is_described_already_stays() -> None:
    frame, _ = make_media_rows(4, 3)
    marked = frame.with_columns(pl.lit(b"told").alias(f"breath{DESCRIPTION}"))
    assert PLAIN.describe_frame(marked)[f"breath{DESCRIPTION}"].to_list() == [b"told"] * 4
    record = {"breath": make_tone(200, 1), f"breath{DESCRIPTION}": b"told", "film": None}
    assert PLAIN.describe_record(record) == record


def test_a_study_without_files_is_left_as_it_is() -> None:
    study = make_media_study()
    bare = study.model_copy(update={"columns": {"age": study.columns["age"]}})
    describer = Describer.of(bare)
    values = {"age": 3.0}
    assert not describer.columns
    assert describer.describe_record(values) is values


def test_networks_get_windows_and_thumbnails() -> None:
    study = make_media_study(audio={"network": "required"}, image={"network": "required"})
    describer = Describer.of(study)
    tone, film = make_tone(300, 1), make_square(True, 1, colour=True)
    (sound,), (image,) = describer.describe("breath", [tone]), describer.describe("film", [film])
    windows, thumbnail = describer.layout("breath")[-1], describer.layout("film")[-1]
    numbers, _ = unpack([sound], windows.stop)
    decoded = read_sound(tone)
    expected = sound_tensor(decoded.samples, decoded.rate)
    assert windows.tensor == SOUND_TENSOR == expected.shape
    assert (numbers[0, windows.start :].reshape(SOUND_TENSOR) == expected).all()
    picture, _ = unpack([image], thumbnail.stop)
    red, green, _ = picture[0, thumbnail.start :].reshape(3, 28, 28)
    assert red.max() <= 1
    assert np.abs(green - red / 2).max() < 0.01
    assert describer.digest != PLAIN.digest


def test_grey_is_the_same_in_all_channels() -> None:
    tensor = image_tensor(np.arange(28 * 28, dtype=np.uint8).reshape(28, 28), 32)
    assert tensor.shape == (3, 32, 32)
    assert (tensor[0] == tensor).all()


@pytest.mark.parametrize("seconds", [0.6, 2.0, 12.0])
def test_windows_of_a_sound_of_any_length(seconds: float) -> None:
    decoded = read_sound(make_tone(300, 1, seconds))
    assert np.isfinite(sound_tensor(decoded.samples, decoded.rate)).all()


def test_unpack_marks_what_is_missing() -> None:
    numbers, there = unpack([np.float32([1, 2]).tobytes(), None], 2)
    assert numbers.tolist() == [[1, 2], [0, 0]]
    assert there.tolist() == [True, False]


def test_a_damaged_model_is_told(tmp_path: Path) -> None:
    (tmp_path / "sentences.onnx").write_bytes(b"?")
    (tmp_path / "sentences.json").write_text("{")
    with pytest.raises(PackageError, match="cannot be read"):
        Describer.load(tmp_path, make_media_study())
