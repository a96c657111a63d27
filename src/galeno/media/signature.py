"""What a file is, as its first bytes say; its name and what a sender calls it are never believed."""

from typing import Literal

Kind = Literal["sound", "image"]
Format = Literal["wav", "flac", "ogg", "mp3", "png", "jpeg", "tiff", "npy", "npz", "dicom"]

SOUND_FORMATS: tuple[Format, ...] = ("wav", "flac", "ogg", "mp3")
IMAGE_FORMATS: tuple[Format, ...] = ("png", "jpeg", "tiff", "npy", "npz", "dicom")

_PREAMBLE = 128
_MOST_TAGS = 64
_STARTS: tuple[tuple[bytes, Format], ...] = (
    (b"fLaC", "flac"),
    (b"OggS", "ogg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"\x93NUMPY", "npy"),
    (b"PK\x03\x04", "npz"),
)
_BARE_DICOM = (
    # Group 0002 or 0008 in little or big endian, element below 0x0100, as files without a preamble begin.
    (b"\x02\x00", b"\x00"),
    (b"\x08\x00", b"\x00"),
    (b"\x00\x08", b"\x00"),
)


def format_of(file: bytes) -> Format | None:
    """The format of a file, or None for anything that is neither a sound nor an image known here."""
    if file[_PREAMBLE : _PREAMBLE + 4] == b"DICM":
        return "dicom"
    start = after_id3(file)
    head = file[start : start + 64]
    for magic, name in _STARTS:
        if head.startswith(magic):
            return name
    if head[:4] in {b"RIFF", b"RIFX", b"RF64"} and head[8:12] in {b"WAVE", b""}:
        return "wav"
    if is_mp3_frame(head) or (start and not head):
        return "mp3"
    return "dicom" if _is_bare_dicom(head) else None


def kind_of(file: bytes) -> Kind | None:
    """Whether a file is a sound or an image, by its first bytes; None where it is neither."""
    found = format_of(file)
    if found is None:
        return None
    return "sound" if found in SOUND_FORMATS else "image"


def after_id3(file: bytes) -> int:
    """Offset of what comes after the ID3v2 tags at the beginning (https://id3.org/id3v2.4.0-structure).

    Returns:
        0 where there are none; the length of the file where a tag claims to be longer than that. No more than
        64 tags are passed over: what comes then is no file that is known here.
    """
    start = 0
    for _ in range(_MOST_TAGS):
        if file[start : start + 3] != b"ID3" or len(file) < start + 10:
            break
        size = 0
        for byte in file[start + 6 : start + 10]:
            size = size << 7 | byte & 0x7F
        footer = 10 if file[start + 5] & 0x10 else 0
        start = min(start + 10 + size + footer, len(file))
    return start


def is_mp3_frame(head: bytes) -> bool:
    """Whether bytes begin with the header of an MPEG audio frame of layer III."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    bitrate, rate = head[2] >> 4, head[2] >> 2 & 3
    return version != 1 and layer == 1 and bitrate not in {0, 15} and rate != 3


def _is_bare_dicom(head: bytes) -> bool:
    """Whether bytes look like the first element of a DICOM data set without its preamble."""
    if len(head) < 8 or not any(head.startswith(group) for group, _ in _BARE_DICOM):
        return False
    big = head[0] == 0
    element = int.from_bytes(head[2:4], "big" if big else "little")
    explicit = head[4:6].isalpha() and head[4:6].isupper()
    length = int.from_bytes(head[4:8], "big" if big else "little")
    return element < 0x0100 and (explicit or length < 0x1000)
