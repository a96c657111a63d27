"""Whether the container of a sound is whole and within bounds, before anything of it is decoded.

WAV: Microsoft and IBM, Multimedia Programming Interface 1.0, and EBU Tech 3306 (RF64). OGG: RFC 3533.
FLAC: RFC 9639. MP3: ISO/IEC 11172-3 and 13818-3.
"""

import zlib
from dataclasses import dataclass

from galeno.media.fault import MediaFault
from galeno.media.flac_frames import STREAM_INFO, StreamInfo
from galeno.media.signature import Format, after_id3, is_mp3_frame

_UNKNOWN = 0xFFFFFFFF
_JUNK = 4096
_MOST_CHUNKS = 10_000
"""Chunks of a WAV, and blocks of what a FLAC says of itself."""
_MOST_PAGES = 300_000
"""Pages of an OGG: more than one for each packet of Opus at its shortest, over ten minutes."""
_TAGS = (b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"ID3")
_BITRATES = {
    # In kbit/s, of MPEG 1 and of MPEG 2 and 2.5, layer III.
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_MP3_RATES = (44_100, 48_000, 32_000)


def check_container(file: bytes, found: Format, seconds: float) -> bytes:
    """Check that a sound is all there.

    Args:
        file: the file.
        found: its format.
        seconds: the longest sound; of FLAC and MP3 the length is known here.

    Returns:
        what is to be decoded: the file, without the tags of FLAC and MP3.

    Raises:
        MediaFault: truncated, damaged or too_large.
    """
    if found == "flac":
        return _check_flac(file, seconds)
    if found == "mp3":
        return _check_mp3(file, seconds)
    body = file[after_id3(file) :]
    if found == "wav":
        _check_wav(body)
    else:
        _check_ogg(body)
    return body


def _check_wav(file: bytes) -> None:
    """The chunk of samples must lie within the file; a recorder that streams may not know how long it is."""
    order = "big" if file[:4] == b"RIFX" else "little"
    said = _number(file, 4, order)
    long = chunks = 0
    start = 12
    while start + 8 <= len(file):
        chunks = _count(chunks, _MOST_CHUNKS)
        name, size = file[start : start + 4], _number(file, start + 4, order)
        if name == b"ds64":
            long = int.from_bytes(file[start + 16 : start + 24], "little")
        if name == b"data":
            if file[:4] == b"RF64" and size == _UNKNOWN:
                size = long
            elif size == _UNKNOWN or (not size and said in {0, _UNKNOWN}):
                return
            if start + 8 + size > len(file):
                raise _cut()
            return
        start += 8 + size + size % 2
    raise _cut() if start > len(file) or len(file) < 44 else _broken()


def _number(file: bytes, start: int, order: str) -> int:
    return int.from_bytes(file[start : start + 4], "big" if order == "big" else "little")


def _check_ogg(file: bytes) -> None:
    """Every page must be there, up to one that says it is the last of its stream."""
    start, last, pages = 0, False, 0
    while file[start : start + 4] == b"OggS":
        pages = _count(pages, _MOST_PAGES)
        segments = file[start + 26 : start + 27]
        lacing = file[start + 27 : start + 27 + segments[0]] if segments else b""
        if not segments or len(lacing) < segments[0]:
            raise _cut()
        last = bool(file[start + 5] & 0x04)
        end = start + 27 + len(lacing) + sum(lacing)
        if end > len(file):
            raise _cut()
        page = file[start : start + 22] + bytes(4) + file[start + 26 : end]
        if _page_check(page) != int.from_bytes(file[start + 22 : start + 26], "little"):
            raise _broken()
        start = end
    if not last:
        raise _cut() if len(file) - start < 27 else _broken()


def _page_check(page: bytes) -> int:
    """The check of a page: the polynomial of zlib, but with the bits of each byte the other way round."""
    value = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{value:032b}"[::-1], 2)


def _check_flac(file: bytes, seconds: float) -> bytes:
    """The stream with no other metadata than what decoding needs."""
    start = after_id3(file) + 4
    info: StreamInfo | None = None
    last = False
    blocks = 0
    while not last:
        blocks = _count(blocks, _MOST_CHUNKS)
        if start + 4 > len(file):
            raise _cut()
        last, kind = bool(file[start] & 0x80), file[start] & 0x7F
        size = int.from_bytes(file[start + 1 : start + 4], "big")
        if kind == 0 and info is None:
            info = StreamInfo.parse(file[start + 4 : start + 4 + size])
        start += 4 + size
    if start >= len(file):
        raise _cut()
    if info is None:
        raise _broken()
    if info.total > seconds * max(info.rate, 1):
        raise _too_long(seconds)
    return b"fLaC" + bytes([0x80]) + STREAM_INFO.to_bytes(3, "big") + info.raw + file[start:]


@dataclass(frozen=True, slots=True)
class _Mp3Frame:
    """Bytes, samples and rate of one frame."""

    size: int
    samples: int
    rate: int


def _check_mp3(file: bytes, seconds: float) -> bytes:
    """The frames, one after the other, without the tags around them."""
    first = start = _first_frame(file)
    length = 0.0
    frames = 0
    while start < len(file) and (frame := _frame(file, start)) is not None:
        start += frame.size
        length += frame.samples / frame.rate
        frames += 1
        if start > len(file):
            raise _cut()
        if length > seconds:
            raise _too_long(seconds)
    rest = file[start : start + 128]
    if rest.strip(b"\0") and not rest.startswith(_TAGS):
        raise _cut() if len(rest) < 4 else _broken()
    if frames - 1 < _claimed_frames(file[first : first + 64]):
        raise _cut()
    return file[first:start]


def _first_frame(file: bytes) -> int:
    """Where the first frame begins that another one follows."""
    start = after_id3(file)
    for at in range(start, min(start + _JUNK, len(file))):
        frame = _frame(file, at)
        if frame is not None and (at + frame.size >= len(file) or _frame(file, at + frame.size) is not None):
            return at
    raise _cut() if start >= len(file) else _broken()


def _frame(file: bytes, start: int) -> _Mp3Frame | None:
    """The frame at a position; None where there is none."""
    head = file[start : start + 4]
    if not is_mp3_frame(head):
        return None
    version = head[1] >> 3 & 3
    full = version == 3
    rate = _MP3_RATES[head[2] >> 2 & 3] >> {3: 0, 2: 1, 0: 2}[version]
    bits = _BITRATES[full][head[2] >> 4] * 1000
    samples = 1152 if full else 576
    return _Mp3Frame(samples // 8 * bits // rate + (head[2] >> 1 & 1), samples, rate)


def _claimed_frames(head: bytes) -> int:
    """Frames that follow, as the Xing or Info header in the first one says; 0 where it does not."""
    for magic in (b"Xing", b"Info"):
        at = head.find(magic)
        if at > 0 and head[at + 7 : at + 8] and head[at + 7] & 1:
            return int.from_bytes(head[at + 8 : at + 12], "big")
    return 0


def _count(steps: int, most: int) -> int:
    """One more step; more than so many raise MediaFault: a small file can hold millions of empty parts."""
    if steps >= most:
        raise MediaFault("too_large", f"The sound has more than {most:,} parts")
    return steps + 1


def _cut() -> MediaFault:
    return MediaFault("truncated", "The sound ends before its header says")


def _broken() -> MediaFault:
    return MediaFault("damaged", "The sound cannot be decoded to its end")


def _too_long(seconds: float) -> MediaFault:
    return MediaFault("too_large", f"The sound is longer than {seconds:g} seconds")
