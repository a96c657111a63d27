"""DICOM images: one frame, as a viewer would show it (DICOM PS3.3 C.7.6.3, C.11.1 and C.11.2).

pydicom parses and decodes (https://pydicom.github.io). Nothing but the pixels is kept. A name that is burned
into the pixels, as ultrasound devices and scanned films have it, is not detected and stays; overlays are not
drawn.
"""

import io
import zlib
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image as pillow  # noqa: N813 - so that it is not taken for galeno's Image
from PIL import UnidentifiedImageError
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import get_frame
from pydicom.multival import MultiValue
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi, get_decoder, pixel_array
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from galeno.media.fault import MediaFault
from galeno.media.image import Image, make_image
from galeno.media.levels import shade, stretch, to_bytes
from galeno.media.limits import ImageLimits
from galeno.media.pictures import SCANS, check_size
from galeno.media.quiet import quiet

_TAGS = [
    "SOPClassUID", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames",
    "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue",
    "PixelPaddingRangeLimit", "WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence",
    "RescaleIntercept", "RescaleSlope", "ModalityLUTSequence", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence", "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor", "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData", "BluePaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData", "SegmentedGreenPaletteColorLookupTableData",
    "SegmentedBluePaletteColorLookupTableData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths",
    "FloatPixelData", "DoubleFloatPixelData", "PixelData",
]  # fmt: skip
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_FRAME_GROUPS = ("PixelValueTransformationSequence", "FrameVOILUTSequence")
_GREY = {"MONOCHROME1", "MONOCHROME2"}
_SEQUENCES = (
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "ModalityLUTSequence",
    "VOILUTSequence",
)
_READS = 200_000
"""Reads of a file: more than any image needs, and what some seconds are enough for."""
_MOST_RUNS = 10_000_000
"""Runs of one frame: each is gone through in Python, and some seconds are enough."""
_LONGEST_SEQUENCE = 4 << 20
"""Bytes of a sequence, which pydicom parses only when it is looked at, out of reach of that count."""


class _Deflated(Exception):  # noqa: N818 - not an error, but how pydicom is kept from unpacking
    """The data set is deflated.

    Args:
        packed: it.
    """

    def __init__(self, packed: bytes) -> None:
        super().__init__()
        self.packed = packed


class _Film(io.BytesIO):
    """A file that notices when it is too short, and that is not read for ever."""

    def __init__(self, file: bytes) -> None:
        super().__init__(file)
        self._end = len(file)
        self._left = _READS
        self.cut = False

    def read(self, size: int | None = -1, /) -> bytes:
        """Read; only what is deflated is read to the end."""
        self._left -= 1
        if self._left < 0:
            raise MediaFault("too_large", f"The file has more than {_READS:,} parts")
        data = super().read(size)
        if size is None or size < 0:
            raise _Deflated(data)
        self.cut = self.cut or 0 < len(data) < size
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a position; behind the end means that something is missing."""
        position = super().seek(offset, whence)
        self.cut = self.cut or position > self._end
        return position


def read_dicom(file: bytes, limits: ImageLimits = ImageLimits()) -> Image:  # noqa: B008 - frozen
    """Read the middle frame of a DICOM file.

    Args:
        file: with or without a preamble; uncompressed, deflated, RLE, JPEG (8 bit) or JPEG 2000.
        limits: its bounds.

    Returns:
        the image: grey values rescaled, through the first window or table of values of interest (without
        one, from least to most), MONOCHROME1 turned so that more is brighter; RGB, YBR and palettes as RGB.

    Raises:
        MediaFault: wrong_type, truncated, damaged, too_large or blank_image.
    """
    return make_image(read_dicom_pixels(file, limits))


def read_dicom_pixels(file: bytes, limits: ImageLimits) -> NDArray[np.uint8]:
    """The frame of `read_dicom` in its own size, shape (height, width) or (height, width, 3).

    Raises:
        MediaFault: wrong_type, truncated, damaged or too_large.
    """
    try:
        with quiet():
            return _read(_Film(file), limits)
    except _Deflated as deflated:
        unpacked = _inflate(deflated.packed, limits)
    with quiet():
        # A data set without a preamble is read as it is; unpacked, nothing is deflated any more.
        try:
            return _read(_Film(unpacked), limits)
        except _Deflated:
            raise MediaFault("damaged", "The image cannot be decoded") from None


def _read(film: _Film, limits: ImageLimits) -> NDArray[np.uint8]:
    """The frame of a file that is not deflated; raises _Deflated otherwise."""
    try:
        return _frame(dcmread(cast("Any", film), force=True, specific_tags=list(_TAGS)), film, limits)
    except (MediaFault, _Deflated):
        raise
    except MemoryError:
        raise MediaFault("too_large", "The image unpacks to more than is taken") from None
    except Exception:  # pydicom raises anything over a broken file
        raise _cut() if film.cut else MediaFault("damaged", "The image cannot be decoded") from None


def _inflate(packed: bytes, limits: ImageLimits) -> bytes:
    """What was deflated (PS3.5 A.5)."""
    inflating = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        unpacked = inflating.decompress(packed, limits.bytes + 1)
    except zlib.error:
        raise MediaFault("damaged", "The image cannot be decoded") from None
    if len(unpacked) > limits.bytes:
        raise MediaFault("too_large", f"The file unpacks to more than {limits.bytes >> 20} MiB")
    if not inflating.eof:
        raise _cut()
    return unpacked


def _frame(dataset: Dataset, film: _Film, limits: ImageLimits) -> NDArray[np.uint8]:
    """The middle frame of a data set."""
    if not any(name in dataset for name in _PIXELS):
        if film.cut or _should_hold_image(dataset):
            raise _cut()
        raise MediaFault("wrong_type", "The DICOM file holds no image")
    _check_sequences(dataset)
    check_size(int(dataset.Columns), int(dataset.Rows), limits)
    frames = max(1, int(dataset.get("NumberOfFrames") or 1))
    dataset.NumberOfFrames = frames
    index = frames // 2
    syntax = _syntax(dataset)
    if syntax.is_compressed and syntax.is_encapsulated:
        if film.cut:
            raise _cut()
        _check_encapsulated(dataset, syntax, index, limits)
    else:
        _check_native(dataset, frames)
    for item in _frame_items(dataset, index):
        dataset.update(item)
    values = pixel_array(dataset, index=index)
    photometric = str(dataset.PhotometricInterpretation)
    if photometric == "PALETTE COLOR":
        return _from_palette(values, dataset)
    if values.ndim == 3:
        return _colours(values, dataset)
    return _greys(values, dataset, inverted=photometric == "MONOCHROME1")


def _should_hold_image(dataset: Dataset) -> bool:
    """Whether a data set without pixels was cut where they would come."""
    meta = getattr(dataset, "file_meta", None) or FileMetaDataset()
    what = dataset.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID")
    if what is None:
        # Mandatory, and among the first elements.
        return bool(getattr(dataset, "preamble", None))
    return "Rows" in dataset or "Image Storage" in UID(what).name


def _check_sequences(dataset: Dataset) -> None:
    """Raise MediaFault where a sequence that is looked at is too long to be parsed."""
    for name in _SEQUENCES:
        if name in dataset:
            value = dataset.get_item(name).value
            if isinstance(value, bytes) and len(value) > _LONGEST_SEQUENCE:
                raise MediaFault("too_large", "The file has a sequence that is too long")


def _syntax(dataset: Dataset) -> UID:
    """The transfer syntax; where the file does not say it, the one that it was read as."""
    meta = getattr(dataset, "file_meta", None) or FileMetaDataset()
    dataset.file_meta = meta
    if "TransferSyntaxUID" not in meta:
        implicit, little = dataset.original_encoding
        plain = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else plain
    return meta.TransferSyntaxUID


def _check_native(dataset: Dataset, frames: int) -> None:
    """Raise MediaFault where there are fewer bytes than pixels."""
    name = next(name for name in _PIXELS if name in dataset)
    pixels = int(dataset.Rows) * int(dataset.Columns) * frames * int(dataset.get("SamplesPerPixel") or 1)
    halved = str(dataset.get("PhotometricInterpretation")) == "YBR_FULL_422"
    bits = pixels * int(dataset.BitsAllocated) * 2 // 3 if halved else pixels * int(dataset.BitsAllocated)
    if len(dataset[name].value or b"") * 8 < bits:
        raise _cut()


def _check_encapsulated(dataset: Dataset, syntax: UID, index: int, limits: ImageLimits) -> None:
    """Raise MediaFault where the frame is in a format that is not read, or of another size."""
    try:
        readable = get_decoder(syntax).is_available
    except NotImplementedError:
        readable = False
    if not readable:
        raise _unread()
    frame = get_frame(
        dataset.PixelData,
        index,
        number_of_frames=int(dataset.NumberOfFrames),
        extended_offsets=_offsets(dataset),
    )
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    if syntax == RLELossless:
        _check_runs(frame, 2 * rows * columns + 256)
        return
    if frame.count(b"\xff\xda") > SCANS:
        raise MediaFault("too_large", f"The image has more than {SCANS} scans")
    try:
        with pillow.open(io.BytesIO(frame), formats=("JPEG", "JPEG2000")) as picture:
            size = picture.size
    except UnidentifiedImageError:
        # JPEG of 12 bits, mostly.
        raise _unread() from None
    check_size(*size, limits)
    if size != (columns, rows):
        raise MediaFault("damaged", "The image is not of the size that its header says")


def _offsets(dataset: Dataset) -> tuple[bytes, bytes] | None:
    if "ExtendedOffsetTable" not in dataset or "ExtendedOffsetTableLengths" not in dataset:
        return None
    return dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths


def _check_runs(frame: bytes, most: int) -> None:
    """Raise MediaFault where a segment of runs has or unpacks to too many bytes (PS3.5 annex G)."""
    count = int.from_bytes(frame[:4], "little")
    starts = [int.from_bytes(frame[4 * k : 4 * k + 4], "little") for k in range(1, min(count, 15) + 1)]
    if starts != sorted(starts) or not 1 <= count <= 15 or starts[-1] > len(frame):
        raise MediaFault("damaged", "The image cannot be decoded")
    runs = 0
    for start, end in zip(starts, [*starts[1:], len(frame)], strict=True):
        made, at = 0, start
        if end - start > most:
            raise MediaFault("too_large", "The image has more bytes than its header says")
        while at < end:
            header = frame[at]
            made += header + 1 if header < 128 else 257 - header if header > 128 else 0
            at += header + 2 if header < 128 else 2 if header > 128 else 1
            runs += 1
            if made > most or runs > _MOST_RUNS:
                raise MediaFault("too_large", "The image unpacks to more than its header says")


def _frame_items(dataset: Dataset, index: int) -> list[Dataset]:
    """What an enhanced object says of this frame: of all frames first, then of this one (PS3.3 C.7.6.16)."""
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    single = dataset.get("PerFrameFunctionalGroupsSequence") or []
    groups = [*shared[:1], *single[index : index + 1]]
    return [item for group in groups for name in _FRAME_GROUPS for item in (group.get(name) or [])[:1]]


def _from_palette(values: NDArray[Any], dataset: Dataset) -> NDArray[np.uint8]:
    """Colours from a palette of 8 or 16 bits."""
    colours = apply_color_lut(values, dataset)[:, :, :3]
    return to_bytes(colours) if colours.max() < 256 else stretch(colours, 0, 0xFFFF)


def _colours(values: NDArray[Any], dataset: Dataset) -> NDArray[np.uint8]:
    """Red, green and blue of any number of bits."""
    if values.shape[2] != 3:
        raise MediaFault("damaged", "The image has neither one channel nor three")
    if values.dtype == np.uint8:
        return values
    return stretch(values, 0, float((1 << int(dataset.BitsStored)) - 1))


def _greys(values: NDArray[Any], dataset: Dataset, *, inverted: bool) -> NDArray[np.uint8]:
    """One channel, through what the data set says of its values."""
    if dataset.get("ModalityLUTSequence"):
        values = apply_modality_lut(values, dataset)
        slope, intercept = 1.0, 0.0
    else:
        slope = float(dataset.get("RescaleSlope") or 1)
        intercept = float(dataset.get("RescaleIntercept") or 0)
    table = dataset.get("VOILUTSequence")
    window = _window(dataset)
    if table:
        shown = apply_voi(np.rint(values * slope + intercept).astype(np.int64), dataset)
        made = stretch(shown, 0, float((1 << int(table[0].LUTDescriptor[2])) - 1))
    elif window is not None:
        made = _through_window(values, slope, intercept, window, str(dataset.get("VOILUTFunction") or ""))
    elif values.dtype == np.uint8 and slope > 0:
        made = stretch(values, 0, (1 << int(dataset.BitsStored)) - 1)
    else:
        low, high = _range(values, dataset)
        made = stretch(values, low, high) if slope > 0 else stretch(values, high, low)
    return 255 - made if inverted else made


def _window(dataset: Dataset) -> tuple[float, float] | None:
    """Centre and width of the first window; None where there is none that can be used."""
    found = []
    for name in ("WindowCenter", "WindowWidth"):
        value = dataset.get(name)
        if value is None or value == "":
            return None
        found.append(float(value[0] if isinstance(value, MultiValue) else value))
    centre, width = found
    usable = np.isfinite(centre) and np.isfinite(width) and width > 0
    return (centre, width) if usable else None


def _through_window(
    values: NDArray[Any], slope: float, intercept: float, window: tuple[float, float], function: str
) -> NDArray[np.uint8]:
    """Values through a window, as PS3.3 C.11.2.1.2 and C.11.2.1.3 have it."""
    centre, width = window
    if function == "SIGMOID":
        return shade(values, lambda x: 1 / (1 + np.exp(-4 * (x * slope + intercept - centre) / width)))
    if function != "LINEAR_EXACT" and width > 1:
        centre, width = centre - 0.5, width - 1
    low, high = centre - width / 2, centre + width / 2
    return shade(values, lambda x: (x * slope + intercept - low) / (high - low))


def _range(values: NDArray[Any], dataset: Dataset) -> tuple[float, float]:
    """Least and most of the values, without the padding around them."""
    if values.dtype.kind == "f" and not np.all(np.isfinite(values)):
        raise MediaFault("damaged", "The image has pixels that are no numbers")
    padding = dataset.get("PixelPaddingValue")
    if isinstance(padding, int):
        limit = dataset.get("PixelPaddingRangeLimit")
        other = limit if isinstance(limit, int) else padding
        inside = values[(values < min(padding, other)) | (values > max(padding, other))]
        if inside.size:
            return float(inside.min()), float(inside.max())
    return float(values.min()), float(values.max())


def _unread() -> MediaFault:
    return MediaFault("wrong_type", "The image is compressed in a way that is not read")


def _cut() -> MediaFault:
    return MediaFault("truncated", "The image ends before its header says")
