"""DICOM: windows, tables, frames, colours, bounds, and pydicom's own files."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pydicom.data
import pytest
from media_files import dicom_file, dicom_set, jpeg_dicom, pixels, rle_dicom
from pydicom.dataset import Dataset
from pydicom.uid import BasicTextSRStorage, DeflatedExplicitVRLittleEndian, JPEGLSLossless

from galeno.media.dicom import read_dicom
from galeno.media.fault import MediaFault
from galeno.media.image import read_image

RAMP = np.arange(24 * 32, dtype=np.int16).reshape(24, 32)


def fault(file: bytes) -> str:
    with pytest.raises(MediaFault) as raised:
        read_image(file)
    return raised.value.rule


def shown(values: np.ndarray, **elements: object) -> np.ndarray:
    return read_image(dicom_file(dicom_set(values, **elements))).pixels


def test_values_go_through_the_window() -> None:
    made = shown(RAMP, RescaleSlope=2, RescaleIntercept=-100, WindowCenter=400, WindowWidth=401)
    # PS3.3 C.11.2.1.2.1: ((x - (c - 0.5)) / (w - 1) + 0.5) * 255
    wanted = np.clip((RAMP * 2.0 - 100 - 399.5) / 400 + 0.5, 0, 1) * 255
    assert np.abs(made - wanted).max() <= 0.51
    exact = shown(RAMP, WindowCenter=400, WindowWidth=400, VOILUTFunction="LINEAR_EXACT")
    assert np.abs(exact - np.clip((RAMP - 400.0) / 400 + 0.5, 0, 1) * 255).max() <= 0.51
    curved = shown(RAMP, WindowCenter=400, WindowWidth=400, VOILUTFunction="SIGMOID")
    assert np.abs(curved - 255 / (1 + np.exp(-4 * (RAMP - 400.0) / 400))).max() <= 0.51


def test_the_first_of_several_windows_counts() -> None:
    several = shown(RAMP, WindowCenter=[400, 10], WindowWidth=[401, 5])
    assert np.array_equal(several, shown(RAMP, WindowCenter=400, WindowWidth=401))


def test_without_a_window_least_is_black_and_most_white_but_for_padding() -> None:
    assert (shown(RAMP).min(), shown(RAMP).max()) == (0, 255)
    padded = RAMP.copy()
    padded[:4] = -2000
    made = shown(padded, PixelPaddingValue=-2000)
    assert not made[:4].any()
    assert np.array_equal(made[4:], shown(RAMP[4:]))
    assert np.array_equal(shown(RAMP, RescaleSlope=-1), 255 - shown(RAMP))


def test_monochrome1_is_turned() -> None:
    window = {"WindowCenter": 400, "WindowWidth": 401}
    assert np.array_equal(
        shown(RAMP, PhotometricInterpretation="MONOCHROME1", **window), 255 - shown(RAMP, **window)
    )


def test_a_table_of_values_of_interest() -> None:
    table = Dataset()
    table.LUTDescriptor = [768, 0, 16]
    table.LUTData = struct.pack("<768H", *[(255 - index // 4) * 257 for index in range(768)])
    made = shown(RAMP.astype(np.uint16), VOILUTSequence=[table])
    assert np.array_equal(made, 255 - RAMP // 4)


def test_the_middle_frame_is_shown_with_its_own_window() -> None:
    frames = np.stack([RAMP, RAMP + 1000, RAMP * 2, RAMP, RAMP])
    assert np.array_equal(
        shown(frames, WindowCenter=800, WindowWidth=801), shown(RAMP * 2, WindowCenter=800, WindowWidth=801)
    )
    groups = []
    for index in range(5):
        window, group = Dataset(), Dataset()
        window.WindowCenter, window.WindowWidth = 100 * (index + 1), 201
        group.FrameVOILUTSequence = [window]
        groups.append(group)
    own = shown(frames, PerFrameFunctionalGroupsSequence=groups)
    assert np.array_equal(own, shown(RAMP * 2, WindowCenter=300, WindowWidth=201))


def test_colours_and_palettes() -> None:
    colour = pixels(colour=True)
    dataset = dicom_set(
        colour[:, :, 0], SamplesPerPixel=3, PlanarConfiguration=0, PhotometricInterpretation="RGB"
    )
    dataset.PixelData = colour.tobytes()
    assert np.array_equal(read_image(dicom_file(dataset)).pixels, colour)
    palette = dicom_set(pixels() >> 4, PhotometricInterpretation="PALETTE COLOR")
    for name, shift in (("Red", 0), ("Green", 1), ("Blue", 2)):
        setattr(palette, f"{name}PaletteColorLookupTableDescriptor", [16, 0, 16])
        data = struct.pack("<16H", *[(16 * index + shift) * 256 for index in range(16)])
        setattr(palette, f"{name}PaletteColorLookupTableData", data)
    made = read_image(dicom_file(palette)).pixels
    assert np.abs(made[:, :, 1].astype(int) - ((pixels() >> 4).astype(int) * 16 + 1)).max() <= 1
    assert read_image(jpeg_dicom(np.kron(colour, np.ones((8, 8, 1), np.uint8)))).pixels.shape == (192, 256, 3)


def test_bits_and_run_lengths() -> None:
    assert np.array_equal(read_image(rle_dicom(RAMP)).pixels, shown(RAMP))
    four = dicom_set(pixels() >> 4, BitsStored=4, HighBit=3)
    assert np.array_equal(read_image(dicom_file(four)).pixels, (pixels() >> 4) * 17)


def test_what_is_no_image_or_cannot_be_read() -> None:
    report = dicom_set(RAMP, SOPClassUID=BasicTextSRStorage)
    for name in ("PixelData", "Rows", "Columns"):
        delattr(report, name)
    assert fault(dicom_file(report)) == "wrong_type"
    dataset = dicom_set(RAMP)
    dicom_file(dataset)
    dataset.PixelData = b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0\x04\0\0\0abcd\xfe\xff\xdd\xe0\0\0\0\0"
    dataset["PixelData"].VR = "OB"
    assert fault(dicom_file(dataset, JPEGLSLossless)) == "wrong_type"
    assert fault(dicom_file(dicom_set(RAMP, Rows=25))) == "truncated"
    assert fault(dicom_file(dicom_set(RAMP, Rows=60_000, Columns=60_000))) == "too_large"
    assert fault(dicom_file(dicom_set(RAMP, SamplesPerPixel=2))) in {"damaged", "truncated"}


def test_what_is_deflated_unpacks_within_bounds() -> None:
    dataset = dicom_set(RAMP)
    file = dicom_file(dataset, DeflatedExplicitVRLittleEndian)
    start = 144 + struct.unpack("<I", file[140:144])[0]
    packing = zlib.compressobj(9, wbits=-15)
    packed = b"".join(packing.compress(bytes(1 << 20)) for _ in range(200)) + packing.flush()
    assert len(packed) < 1 << 18
    assert fault(file[:start] + packed) == "too_large"
    assert fault(file[:-20]) in {"truncated", "damaged"}


def test_elements_and_runs_without_end_stop() -> None:
    file = dicom_file(dicom_set(RAMP))
    start = file.rfind(b"\xe0\x7f\x10\x00")
    assert fault(file[:start] + b"\x09\x00\x10\x10LO\x00\x00" * 300_000 + file[start:]) == "too_large"
    packed = rle_dicom(RAMP)
    start = packed.rfind(b"\xfe\xff\x00\xe0")
    runs = struct.pack("<16I", 2, 64, 66, *([0] * 13)) + b"\x81\x00" * 100_000
    frame = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(runs)) + runs + b"\xfe\xff\xdd\xe0\0\0\0\0"
    assert fault(packed[:start] + frame) == "too_large"
    nothing = struct.pack("<16I", 1, 64, *([0] * 14)) + b"\x80" * 100_000
    frame = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(nothing)) + nothing + b"\xfe\xff\xdd\xe0\0\0\0\0"
    assert fault(packed[:start] + frame) == "too_large"


def own_files() -> list[Path]:
    folder = Path(pydicom.data.__file__).parent / "test_files"
    return sorted(path for path in folder.iterdir() if path.is_file())


@pytest.mark.parametrize("path", own_files(), ids=lambda path: path.name)
def test_each_of_pydicoms_files_is_an_image_or_a_fault(path: Path) -> None:
    try:
        image = read_dicom(path.read_bytes())
    except MediaFault:
        return
    assert image.pixels.dtype == np.uint8
    assert image.pixels.max() > image.pixels.min()


def test_pydicoms_files_look_as_they_should() -> None:
    folder = Path(pydicom.data.__file__).parent / "test_files"
    bars = [
        read_dicom((folder / name).read_bytes()).pixels
        for name in (
            "SC_rgb_dcmtk_+eb+cr.dcm",
            "SC_rgb_rle.dcm",
            "SC_rgb_rle_16bit.dcm",
            "SC_rgb_rle_32bit.dcm",
            "SC_ybr_full_422_uncompressed.dcm",
            "SC_rgb_jpeg_dcmtk.dcm",
            "SC_rgb_dcmtk_+eb+cy+n1.dcm",
        )
    ]
    for picture in bars:
        assert np.abs(picture[5::10, 50].astype(int) - bars[0][5::10, 50]).max() < 8
    assert bars[0][5, 5].tolist() == [255, 0, 0]
    small = read_dicom((folder / "MR_small.dcm").read_bytes()).pixels
    for other in (
        "MR_small_RLE.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_implicit.dcm",
        "MR_small_jp2klossless.dcm",
    ):
        assert np.array_equal(read_dicom((folder / other).read_bytes()).pixels, small)
    assert fault((folder / "MR_truncated.dcm").read_bytes()) == "truncated"
    for other in ("rtplan.dcm", "test-SR.dcm", "waveform_ecg.dcm", "dicomdirtests/DICOMDIR"):
        assert fault((folder / other).read_bytes()) == "wrong_type"
