"""Data sets of images in one .npz file."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from galeno.errors import SourceError
from galeno.media.arrays import is_npz_of_images, read_npz
from galeno.media.image import read_image


def pictures(count: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, *shape), dtype=np.uint8)


def test_medmnist(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    parts = {"train": 5, "val": 3, "test": 2}
    arrays = {f"{part}_images": pictures(count, 28, 28) for part, count in parts.items()}
    labels = {f"{part}_labels": np.arange(count, dtype=np.uint8)[:, None] for part, count in parts.items()}
    np.savez_compressed(path, **labels, **arrays)
    assert is_npz_of_images(path)
    frame = read_npz(path)
    assert frame.columns == ["image", "label", "part"]
    assert frame["part"].to_list() == ["train"] * 5 + ["val"] * 3 + ["test"] * 2
    assert frame["label"].to_list() == list("0123401201")
    assert np.array_equal(read_image(frame["image"][6]).pixels, arrays["val_images"][1])


@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 1), (9, 7, 3)])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_plain_arrays(tmp_path: Path, shape: tuple[int, ...], save: object) -> None:
    path = tmp_path / "x.npz"
    images = pictures(4, *shape)
    save(path, images=np.asfortranarray(images), labels=np.array(["a", "b", "a", "é"]), more=np.arange(3))  # type: ignore[operator]
    frame = read_npz(path)
    assert frame.columns == ["image", "label"]
    assert frame["label"].to_list() == ["a", "b", "a", "é"]
    assert np.array_equal(read_image(frame["image"][2]).pixels.reshape(shape), images[2])
    save(path, images=images)  # type: ignore[operator]
    assert read_npz(path).columns == ["image"]


def test_other_types_of_values(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, images=pictures(3, 8, 8) / 255, labels=np.array([0.0, 1.0, 2.0]))
    frame = read_npz(path)
    assert frame["label"].to_list() == ["0", "1", "2"]
    assert np.array_equal(read_image(frame["image"][0]).pixels, pictures(3, 8, 8)[0])


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": np.zeros((3, 4, 4))}, "no array of images"),
        ({"images": np.zeros((4, 4))}, "not \\(n"),
        ({"images": np.zeros((2, 4, 4, 4))}, "not \\(n"),
        ({"images": np.zeros((2, 4, 4), "U3")}, "plain numbers"),
        ({"images": np.array([{"a": 1}, None], object)}, "plain numbers"),
        ({"images": np.zeros((2, 4, 4)), "labels": np.array([{}, 1], object)}, "labels"),
        ({"images": np.zeros((2, 4, 4)), "labels": np.zeros(3)}, "labels"),
        ({"images": np.zeros((2, 4, 4)), "labels": np.zeros((2, 14))}, "labels"),
        ({"images": np.zeros((2, 4, 4)), "labels": np.array([0.5, 1])}, "labels"),
        ({"images": np.zeros((2, 0, 4))}, "no pixels"),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray], said: str) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    with pytest.raises(SourceError, match=said):
        read_npz(path)


def test_broken_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    with pytest.raises(SourceError, match="no such file"):
        read_npz(path)
    np.savez_compressed(path, images=pictures(9, 9, 9))
    whole = path.read_bytes()
    for broken in (b"", b"text", whole[:-30], whole[:60] + bytes(20) + whole[80:]):
        path.write_bytes(broken)
        with pytest.raises(SourceError):
            read_npz(path)


@pytest.mark.parametrize("shape", [(10**9, 100, 100), (3, 10**5, 10**5), (10**7, 1, 1), (100, 9, 9)])
def test_what_a_header_claims_is_looked_at_first(tmp_path: Path, shape: tuple[int, ...]) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("images.npy", header.getvalue() + bytes(1000))
    with pytest.raises(SourceError):
        read_npz(path)


def test_real_radiographs(real_data: Path) -> None:
    path = real_data / "chest_xray" / "dev.npz"
    if not path.is_file():
        pytest.skip("the radiographs are not there")
    frame = read_npz(path)
    assert frame["part"].value_counts().sort("part").rows() == [("train", 4708), ("val", 524)]
    assert set(frame["label"]) == {"0", "1"}


def test_labels_count_for_the_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.npz"
    np.savez_compressed(path, images=pictures(4, 9, 9), labels=np.array(["a" * 1000] * 4))
    assert len(read_npz(path)) == 4
    monkeypatch.setattr("galeno.media.arrays._MOST_BYTES", 10_000)
    with pytest.raises(SourceError, match="more than"):
        read_npz(path)
