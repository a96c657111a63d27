"""Small valid files of every format, and what can be done to them."""

import io
from typing import Any, Literal

import numpy as np
import soundfile
from numpy.typing import NDArray
from PIL import Image as pillow  # noqa: N813
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
    SecondaryCaptureImageStorage,
)

RATE = 8000
SOUND_ENCODINGS = {
    "wav": ("WAV", "PCM_16"),
    "wav 8": ("WAV", "PCM_U8"),
    "wav 24": ("WAV", "PCM_24"),
    "wav float": ("WAV", "FLOAT"),
    "wav adpcm": ("WAV", "IMA_ADPCM"),
    "rf64": ("RF64", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "flac 24": ("FLAC", "PCM_24"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}


def tone(seconds: float = 1.0, rate: int = RATE, seed: int = 0) -> NDArray[np.float32]:
    """A tone in noise."""
    time = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(seed).normal(0, 0.05, len(time))
    return np.clip(0.3 * np.sin(2 * np.pi * 220 * time) + noise, -0.99, 0.99).astype(np.float32)


def sound_file(kind: str, samples: NDArray[Any] | None = None, rate: int = RATE) -> bytes:
    """A file of a sound."""
    container, encoding = SOUND_ENCODINGS[kind]
    made = io.BytesIO()
    soundfile.write(made, tone() if samples is None else samples, rate, format=container, subtype=encoding)
    return made.getvalue()


def pixels(height: int = 24, width: int = 32, *, colour: bool = False, seed: int = 0) -> NDArray[np.uint8]:
    """A random picture."""
    shape = (height, width, 3) if colour else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def picture_file(how: str, picture: NDArray[Any] | pillow.Image, **options: Any) -> bytes:
    """A file of an image, by Pillow."""
    made = io.BytesIO()
    image = picture if isinstance(picture, pillow.Image) else pillow.fromarray(picture)
    image.save(made, how, **options)
    return made.getvalue()


def npy_file(array: NDArray[Any]) -> bytes:
    """A .npy file."""
    made = io.BytesIO()
    np.save(made, array, allow_pickle=False)
    return made.getvalue()


def npz_file(**arrays: NDArray[Any]) -> bytes:
    """A .npz file."""
    made = io.BytesIO()
    np.savez_compressed(made, **arrays)
    return made.getvalue()


def dicom_set(values: NDArray[Any], **elements: Any) -> Dataset:
    """A data set of one frame (height, width), or of several."""
    dataset = Dataset()
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = "1.2.3.4"
    frames = values if values.ndim == 3 else values[None]
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = frames.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = 8 * values.dtype.itemsize
    dataset.BitsStored = dataset.BitsAllocated
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(values.dtype.kind == "i")
    data = values.tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    for name, value in elements.items():
        setattr(dataset, name, value)
    return dataset


def dicom_file(dataset: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """A DICOM file."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    made = io.BytesIO()
    dataset.save_as(made, enforce_file_format=True)
    return made.getvalue()


def jpeg_dicom(picture: NDArray[np.uint8]) -> bytes:
    """A DICOM file with a colour picture in JPEG."""
    dataset = dicom_set(picture[:, :, 0])
    dataset.SamplesPerPixel = 3
    dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = "YBR_FULL_422"
    dataset.PixelData = encapsulate([picture_file("JPEG", picture)])
    dataset["PixelData"].VR = "OB"
    return dicom_file(dataset, JPEGBaseline8Bit)


def rle_dicom(values: NDArray[Any]) -> bytes:
    """A DICOM file in run lengths."""
    dataset = dicom_set(values)
    dicom_file(dataset)
    dataset.compress(RLELossless, generate_instance_uid=False)
    return dicom_file(dataset, RLELossless)


def image_files() -> dict[str, bytes]:
    """A small image in every format."""
    grey, colour = pixels(), pixels(colour=True)
    wide = grey.astype(np.uint16) * 17
    return {
        "png": picture_file("PNG", grey),
        "png colour": picture_file("PNG", colour, interlace=1),
        "png 16": picture_file("PNG", wide),
        "png palette": picture_file("PNG", pillow.fromarray(colour).quantize(16)),
        "jpeg": picture_file("JPEG", colour),
        "jpeg progressive": picture_file("JPEG", grey, progressive=True),
        "tiff": picture_file("TIFF", colour),
        "tiff lzw": picture_file("TIFF", grey, compression="tiff_lzw"),
        "tiff deflate": picture_file("TIFF", wide, compression="tiff_adobe_deflate"),
        "npy": npy_file(colour),
        "npz": npz_file(image=grey),
        "dicom": dicom_file(dicom_set(wide, WindowCenter=2000, WindowWidth=3000)),
        "dicom implicit": dicom_file(dicom_set(grey), ImplicitVRLittleEndian),
        "dicom deflated": dicom_file(dicom_set(grey), DeflatedExplicitVRLittleEndian),
        "dicom jpeg": jpeg_dicom(colour),
        "dicom rle": rle_dicom(wide),
    }


def sound_files() -> dict[str, bytes]:
    """A short sound in every format."""
    return {kind: sound_file(kind) for kind in SOUND_ENCODINGS}


Harm = Literal["cut", "flip", "zero", "fill", "drop", "double", "large"]
HARMS: tuple[Harm, ...] = ("cut", "flip", "zero", "fill", "drop", "double", "large")


def harm(file: bytes, how: Harm, at: float, size: int) -> bytes:
    """A file with something done to it.

    Args:
        file: the file.
        how: what is done.
        at: where, as a share of its length.
        size: bytes that it is done to.
    """
    start = min(int(at * len(file)), len(file) - 1)
    end = min(start + size, len(file))
    if how == "cut":
        return file[:start]
    if how == "drop":
        return file[:start] + file[end:]
    if how == "double":
        return file[:end] + file[start:]
    middle = {
        "zero": bytes(end - start),
        "fill": b"\xff" * (end - start),
        "large": (b"\x7f\xff\xff\xff" * size)[: end - start],
        "flip": bytes([file[start] ^ 1 << size % 8]) + file[start + 1 : end],
    }[how]
    return file[:start] + middle + file[end:]
