"""The clean content of a file: what is kept, and what an encoder sees.

A sound is written anew as FLAC from its samples, an image as PNG from its pixels. Nothing else of the file
survives: no tags, EXIF, DICOM elements, comments, thumbnails or trailing bytes. What can be heard or seen
stays: a spoken name, or one that is burned into the pixels, is not detected.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass

from galeno.media.fault import MediaFault
from galeno.media.image import read_image, write_image
from galeno.media.limits import ImageLimits, SoundLimits
from galeno.media.signature import Kind, format_of, kind_of
from galeno.media.sound import read_sound, write_sound

__all__ = [
    "ENDING",
    "IMAGE_ENDINGS",
    "MEDIA_TYPE",
    "SOUND_ENDINGS",
    "Content",
    "Kind",
    "clean",
    "from_data_url",
    "is_canonical",
    "kind_of",
    "read_data_url",
    "to_data_url",
]

SOUND_ENDINGS = (".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3")
"""Endings of names, in lower case, by which a column of paths is taken for sounds."""
IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".npy", ".dcm", ".dicom")
"""Endings of names, in lower case, by which a column of paths is taken for images."""

ENDING: Mapping[Kind, str] = {"sound": "flac", "image": "png"}
"""What a content is kept as."""
MEDIA_TYPE: Mapping[Kind, str] = {"sound": "audio/flac", "image": "image/png"}
"""Of a content."""

_DATA_URL = re.compile(r"data:[^,;]{0,127}(?:;[^,;]{1,127}){0,8},", re.IGNORECASE)
_LONGEST_HEAD = 2048


@dataclass(frozen=True, slots=True)
class Content:
    """What is kept of a file.

    Args:
        kind: sound or image.
        data: FLAC or PNG.
    """

    kind: Kind
    data: bytes


def clean(
    kind: Kind,
    file: bytes,
    sounds: SoundLimits = SoundLimits(),  # noqa: B008 - frozen
    images: ImageLimits = ImageLimits(),  # noqa: B008 - frozen
) -> Content:
    """Read a file, check it, and write what it holds anew.

    Args:
        kind: what it must be.
        file: the file, as it came. The data of a content gives the same content again.
        sounds: bounds of a sound.
        images: bounds of an image.

    Raises:
        MediaFault: the file breaks a rule.
    """
    if kind == "sound":
        return Content(kind, write_sound(read_sound(file, sounds)))
    return Content(kind, write_image(read_image(file, images)))


def is_canonical(data: bytes, kind: Kind) -> bool:
    """Whether bytes begin as a content of this kind does; nothing is decoded."""
    return format_of(data) == ENDING[kind]


def to_data_url(content: bytes) -> str:
    """A content as a data URL (RFC 2397).

    Raises:
        ValueError: the bytes are neither FLAC nor PNG.
    """
    for kind in ENDING:
        if is_canonical(content, kind):
            return f"{_head(kind)}{base64.b64encode(content).decode('ascii')}"
    raise ValueError("a content is FLAC or PNG")


def read_data_url(text: str) -> Content | None:
    """The content that `to_data_url` made a text of; None for any other text."""
    for kind in ENDING:
        head = _head(kind)
        if not text.startswith(head):
            continue
        try:
            data = base64.b64decode(text[len(head) :], validate=True)
        except (binascii.Error, ValueError):
            return None
        return Content(kind, data) if is_canonical(data, kind) else None
    return None


def _head(kind: Kind) -> str:
    return f"data:{MEDIA_TYPE[kind]};base64,"


def from_data_url(text: str, most: int) -> bytes:
    """The file in a data URL (RFC 2397, base64 only); its media type is not believed, and not looked at.

    Args:
        text: `data:audio/wav;base64,...`.
        most: bytes that the file may have; a longer text is refused before it is decoded.

    Raises:
        MediaFault: wrong_type, empty_file or too_large.
    """
    head = _DATA_URL.match(text[:_LONGEST_HEAD])
    if head is None or not head.group().lower().endswith(";base64,"):
        raise MediaFault("wrong_type", "The file is not given as data:TYPE;base64,DATA")
    length = len(text) - head.end()
    if length * 3 // 4 - 2 > most:
        raise MediaFault("too_large", f"The file is larger than {most:,} bytes")
    if not length:
        raise MediaFault("empty_file", "The file is empty")
    try:
        file = base64.b64decode(text[head.end() :], validate=True)
    except (binascii.Error, ValueError):
        raise MediaFault("wrong_type", "The file is not in base64") from None
    if len(file) > most:
        raise MediaFault("too_large", f"The file is larger than {most:,} bytes")
    return file
