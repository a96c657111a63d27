"""A patient's name, written wherever a header has room for it, is in no content."""

import io
import struct
import zlib

import numpy as np
import pytest
import soundfile
from media_files import dicom_file, dicom_set, picture_file, pixels, sound_file, tone
from PIL import Image as pillow  # noqa: N813
from PIL.PngImagePlugin import PngInfo
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from galeno.media.content import Kind, clean

NAME = "Okonkwo-Zebedee"


def without_name(kind: Kind, file: bytes, plain: bytes) -> None:
    """The name is in the file, in no form in its content, and the content is that of the plain file."""
    forms = [NAME.encode(code) for code in ("ascii", "utf-16-le", "utf-16-be")]
    assert any(form in file for form in forms), "the test must be able to fail"
    content = clean(kind, file)
    assert not any(form in content.data for form in forms)
    assert content == clean(kind, plain)


def chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def riff(file: bytes, before: bytes = b"", after: bytes = b"") -> bytes:
    start = file.index(b"data")
    body = file[8:start] + before + file[start:] + after
    return b"RIFF" + struct.pack("<I", len(body)) + body


def id3(text: str) -> bytes:
    frame = b"\x03" + text.encode()
    body = b"TPE1" + struct.pack(">I", len(frame)) + b"\0\0" + frame
    size = len(body)
    return b"ID3\x03\0\0" + bytes([size >> 21 & 127, size >> 14 & 127, size >> 7 & 127, size & 127]) + body


def wav_headers() -> dict[str, tuple[bytes, bytes]]:
    plain, name = sound_file("wav"), NAME.encode()
    notes = chunk(b"LIST", b"INFO" + chunk(b"IART", name + b"\0") + chunk(b"ICMT", name))
    broadcast = chunk(b"bext", name.ljust(602, b"\0"))
    cues = chunk(b"cue ", struct.pack("<I", 1) + struct.pack("<II4sIII", 1, 0, b"data", 0, 0, 5))
    labels = chunk(b"LIST", b"adtl" + chunk(b"labl", struct.pack("<I", 1) + name + b"\0"))
    return {
        "LIST before": (riff(plain, before=notes), plain),
        "LIST after": (riff(plain, after=notes), plain),
        "bext": (riff(plain, before=broadcast), plain),
        "cue and labels": (riff(plain, after=cues + labels), plain),
        "id3 chunk": (riff(plain, after=chunk(b"id3 ", id3(NAME))), plain),
        "iXML": (riff(plain, after=chunk(b"iXML", b"<a>" + name + b"</a>")), plain),
        "id3 in front": (id3(NAME) + plain, plain),
        "behind the end": (plain + name, plain),
    }


def tagged(kind: str) -> bytes:
    """A sound whose title, artist and comment are a name."""
    container, encoding = {"flac": ("FLAC", "PCM_16"), "ogg": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS")}[
        kind
    ]
    made = io.BytesIO()
    with soundfile.SoundFile(made, "w", 8000, 1, encoding, format=container) as writer:
        writer.title = writer.artist = writer.comment = NAME
        writer.write(tone())
    return made.getvalue()


def flac_with_blocks() -> bytes:
    """FLAC with a picture, an application block and a cue sheet that name somebody."""
    file, name = sound_file("flac"), NAME.encode()
    picture = struct.pack(">III", 3, 9, len("image/png")) + b"image/png" + name * 3
    blocks = [(6, picture), (2, b"abcd" + name), (1, name)]
    inserted = b"".join(bytes([kind]) + len(data).to_bytes(3, "big") + data for kind, data in blocks)
    return file[:42] + inserted + file[42:]


@pytest.mark.parametrize("kind", wav_headers())
def test_wav(kind: str) -> None:
    without_name("sound", *wav_headers()[kind])


@pytest.mark.parametrize("kind", ["flac", "ogg", "opus"])
def test_vorbis_comments(kind: str) -> None:
    without_name("sound", tagged(kind), sound_file(kind))


def test_flac_blocks() -> None:
    without_name("sound", flac_with_blocks(), sound_file("flac"))
    without_name("sound", id3(NAME) + sound_file("flac"), sound_file("flac"))


def test_mp3_tags() -> None:
    plain = sound_file("mp3")
    old = b"TAG" + NAME.encode().ljust(125, b"\0")
    ape = b"APETAGEX" + struct.pack("<IIII", 2000, 32 + len(NAME), 1, 0) + bytes(8) + NAME.encode()
    for file in (id3(NAME) + plain, plain + old, id3(NAME) + plain + ape + old):
        without_name("sound", file, plain)


def exif() -> pillow.Exif:
    made = pillow.Exif()
    made[0x013B] = made[0x010E] = NAME
    made.get_ifd(0x8769)[0x9286] = NAME
    return made


def test_exif_and_xmp() -> None:
    colour = pixels(64, 64, colour=True)
    options = {
        "exif": exif(),
        "comment": NAME,
        "xmp": f"<x>{NAME}</x>".encode(),
        "icc_profile": NAME.encode(),
    }
    without_name("image", picture_file("JPEG", colour, **options), picture_file("JPEG", colour))
    for name, value in options.items():
        without_name("image", picture_file("JPEG", colour, **{name: value}), picture_file("JPEG", colour))


def test_png_chunks() -> None:
    plain = picture_file("PNG", pixels())
    text = PngInfo()
    text.add_text("Author", NAME)
    without_name("image", picture_file("PNG", pixels(), pnginfo=text), plain)
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", NAME, "en", NAME)
    without_name("image", picture_file("PNG", pixels(), pnginfo=text), plain)
    without_name("image", picture_file("PNG", pixels(), exif=exif()), plain)
    data = b"prIv" + NAME.encode()
    private = struct.pack(">I", len(NAME)) + data + struct.pack(">I", zlib.crc32(data))
    without_name("image", plain[:33] + private + plain[33:], plain)
    without_name("image", plain + NAME.encode(), plain)


def test_tiff_tags_and_other_pages() -> None:
    plain = picture_file("TIFF", pixels())
    without_name("image", picture_file("TIFF", pixels(), description=NAME, artist=NAME), plain)
    page = np.frombuffer(NAME.encode() * 24, np.uint8).reshape(24, -1)
    pages = picture_file("TIFF", pixels(), save_all=True, append_images=[pillow.fromarray(page)])
    without_name("image", pages, plain)


@pytest.mark.parametrize(
    "syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", DeflatedExplicitVRLittleEndian]
)
def test_dicom_elements(syntax: str) -> None:
    other = Dataset()
    other.PatientName = NAME
    dataset = dicom_set(
        pixels(), PatientName=NAME, PatientID=NAME, OtherPatientNames=NAME, PatientComments=NAME
    )
    dataset.ReferringPhysicianName = NAME
    dataset.InstitutionName = NAME
    dataset.RequestAttributesSequence = [other]
    dataset.add_new(0x00091010, "LO", NAME)
    dataset.preamble = NAME.encode().ljust(128, b"\0")
    file = dicom_file(dataset, syntax)
    without_name("image", file, picture_file("PNG", pixels()))
    without_name("image", file + NAME.encode(), picture_file("PNG", pixels()))
