"""Data sets of images in one .npz file, in MedMNIST's layout or a plain one.

MedMNIST (https://medmnist.com; Yang et al., Scientific Data 10:41, 2023) keeps `train_images`,
`train_labels`, `val_images` and so on; the plain layout has `images` and, perhaps, `labels`.
"""

import io
import zipfile
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from galeno.errors import SourceError
from galeno.media.archive import open_archive, read_member, read_start
from galeno.media.fault import MediaFault
from galeno.media.limits import ImageLimits
from galeno.media.single_array import LARGEST_HEADER, ArrayHeader, read_header

PARTS = ("train", "val", "test")
_MOST_BYTES = 2 << 30
_MOST_PICTURES = 2_000_000
_REMEDY = "Give arrays named images and labels, or train_images, train_labels and so on"


def read_npz(path: Path) -> pl.DataFrame:
    """Read a data set of images.

    Args:
        path: a .npz file with `images` (n, height, width), (n, height, width, 1) or (n, height, width, 3) of
            integers or floats, and `labels` (n,) or (n, 1) of whole numbers or texts, or both of each part
            as `train_images`, `train_labels`, and so on. Other arrays are left alone.

    Returns:
        a row for each image: `image` (Binary, a .npy file of its values), `label` (String; absent where the
        file has no labels) and `part` (String, one of PARTS; absent in the plain layout).

    Raises:
        SourceError: the file is missing, of another layout, damaged, or larger than 2 GiB unpacked.
    """
    if not path.is_file():
        raise SourceError("there is no such file", where=str(path))
    try:
        with open_archive(path) as archive:
            return _read(archive)
    except MediaFault as fault:
        raise SourceError(fault.what, where=str(path), remedy=_REMEDY) from None


def is_npz_of_images(path: Path) -> bool:
    """Whether a file is a data set that `read_npz` reads, by the names in it; nothing is unpacked."""
    try:
        with open_archive(path) as archive:
            return bool(_image_names(archive))
    except MediaFault:
        return False


def _read(archive: zipfile.ZipFile) -> pl.DataFrame:
    names = _image_names(archive)
    if not names:
        raise MediaFault("wrong_type", "The file holds no array of images")
    members = {member.filename: member for member in archive.infolist()}
    labels = [members.get(f"{name.removesuffix('images')}labels.npy") for name in names]
    _check_sizes(archive, [members[f"{name}.npy"] for name in names], [one for one in labels if one])
    frames = []
    for name, label in zip(names, labels, strict=True):
        images = _images(archive, members[f"{name}.npy"])
        part = name.removesuffix("images").removesuffix("_")
        columns: dict[str, pl.Series] = {"image": pl.Series("image", images, pl.Binary)}
        if label is not None:
            columns["label"] = pl.Series("label", _labels(archive, label, len(images)), pl.String)
        if part:
            columns["part"] = pl.Series("part", [part] * len(images), pl.String)
        frames.append(pl.DataFrame(columns))
    made = pl.concat(frames, how="diagonal")
    return made.select([name for name in ("image", "label", "part") if name in made.columns])


def _image_names(archive: zipfile.ZipFile) -> list[str]:
    """The arrays of images, without ending, in the order of the parts."""
    there = set(archive.namelist())
    plain = ["images"] if "images.npy" in there else []
    return [f"{part}_images" for part in PARTS if f"{part}_images.npy" in there] or plain


def _check_sizes(
    archive: zipfile.ZipFile, images: list[zipfile.ZipInfo], labels: list[zipfile.ZipInfo]
) -> None:
    """Raise MediaFault where the arrays are of other shapes, or too many, by their headers."""
    pictures = 0
    total = sum(max(_header(archive, member).bytes, member.file_size) for member in labels)
    for member in images:
        header = _header(archive, member)
        _check_header(header)
        if header.bytes > member.file_size:
            raise MediaFault("truncated", "An array of images ends before its header says")
        total += header.bytes
        pictures += header.shape[0]
    if total > _MOST_BYTES or pictures > _MOST_PICTURES:
        raise MediaFault("too_large", f"The images unpack to more than {_MOST_BYTES >> 30} GiB")


def _check_header(header: ArrayHeader) -> None:
    shape = header.shape
    if header.dtype.kind not in "uif" or header.dtype.itemsize > 8:
        raise MediaFault("wrong_type", "An array of images does not hold plain numbers")
    if len(shape) not in {3, 4} or shape[3:] not in {(), (1,), (3,)}:
        raise MediaFault(
            "wrong_type", "An array of images is not (n, height, width) or (n, height, width, 3)"
        )
    if not 0 < shape[1] * shape[2] <= ImageLimits().pixels:
        raise MediaFault("too_large", f"The images have no pixels or more than {ImageLimits().pixels:,}")


def _header(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> ArrayHeader:
    """An array's header; only its first bytes are unpacked."""
    return read_header(io.BytesIO(read_start(archive, member, LARGEST_HEADER)))


def _images(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> list[bytes]:
    """Each picture of an array, as a .npy file."""
    header = _header(archive, member)
    values = _values(header, read_member(archive, member, _MOST_BYTES + LARGEST_HEADER))
    start = _npy_start(header)
    return [start + np.ascontiguousarray(picture).tobytes() for picture in values]


def _npy_start(header: ArrayHeader) -> bytes:
    """The header of a .npy file of one picture of an array."""
    made = io.BytesIO()
    said = {"descr": header.dtype.str, "fortran_order": False, "shape": header.shape[1:]}
    np.lib.format.write_array_header_1_0(made, said)
    return made.getvalue()


def _labels(archive: zipfile.ZipFile, member: zipfile.ZipInfo, count: int) -> list[str]:
    """The labels of so many pictures, as text."""
    header = _header(archive, member)
    if header.shape not in {(count,), (count, 1)} or header.dtype.kind not in "uifbU":
        raise MediaFault("wrong_type", "The labels are not one whole number or text for each image")
    values = _values(header, read_member(archive, member, _MOST_BYTES)).reshape(count)
    if header.dtype.kind == "f":
        whole = np.rint(np.nan_to_num(values))
        if not np.array_equal(whole, values) or np.any(np.abs(whole) > _MOST_BYTES):
            raise MediaFault("wrong_type", "The labels are not one whole number or text for each image")
        values = whole.astype(np.int64)
    return [str(value) for value in values.tolist()]


def _values(header: ArrayHeader, file: bytes) -> NDArray[Any]:
    """The values of an array, without a copy."""
    if len(file) - header.start < header.bytes:
        raise MediaFault("truncated", "An array ends before its header says")
    values = np.frombuffer(file, header.dtype, prod(header.shape), header.start)
    return values.reshape(header.shape[::-1]).T if header.by_column else values.reshape(header.shape)
