"""Members of a zip file, read within bounds."""

import io
import lzma
import zipfile
import zlib
from pathlib import Path

from galeno.media.fault import MediaFault

_BLOCK = 1 << 20
_ENCRYPTED = 0x1
_DIRECTORY_END = b"PK\x05\x06"
_LONGEST_END = (1 << 16) + 22
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    UnicodeError,
    OverflowError,
    MemoryError,
)


def open_archive(source: Path | bytes) -> zipfile.ZipFile:
    """Open a zip file, or the bytes of one.

    Raises:
        MediaFault: damaged; truncated where bytes lack the directory at their end.
    """
    try:
        return zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source)
    except _BROKEN:
        if isinstance(source, bytes) and _DIRECTORY_END not in source[-_LONGEST_END:]:
            raise MediaFault("truncated", "The archive ends before its directory") from None
        raise MediaFault("damaged", "The archive is no zip file that can be read") from None


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, most: int) -> bytes:
    """Read a member of at most so many bytes, whatever its header says.

    Raises:
        MediaFault: damaged or too_large.
    """
    if member.file_size > most:
        raise _too_large(most)
    file = read_start(archive, member, most + 1)
    if len(file) > most:
        raise _too_large(most)
    return file


def read_start(archive: zipfile.ZipFile, member: zipfile.ZipInfo, length: int) -> bytes:
    """Read the first bytes of a member, at most so many.

    Raises:
        MediaFault: damaged.
    """
    if member.flag_bits & _ENCRYPTED:
        raise MediaFault("damaged", "The file in the archive is protected by a password")
    blocks: list[bytes] = []
    left = length
    try:
        with archive.open(member) as reader:
            while left and (block := reader.read(min(_BLOCK, left))):
                left -= len(block)
                blocks.append(block)
    except _BROKEN:
        raise MediaFault("damaged", "The file in the archive cannot be unpacked") from None
    return b"".join(blocks)


def _too_large(most: int) -> MediaFault:
    return MediaFault("too_large", f"The file in the archive is larger than {most:,} bytes")
