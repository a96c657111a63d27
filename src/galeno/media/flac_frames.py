"""The frames of a FLAC stream, as far as it takes to know whether the last ones are there (RFC 9639)."""

from dataclasses import dataclass
from functools import cache
from typing import Self

from galeno.media.fault import MediaFault

STREAM_INFO = 34
"""Bytes of the block that describes the stream."""
_LONGEST_HEADER = 16
_TAIL = 1 << 18
"""Bytes at the end that are searched; frames of lung sounds have some thousand."""


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What a stream says of itself.

    Args:
        raw: the block.
        block: samples of a block, where all have the same.
        rate: samples a second.
        total: samples; 0 where it is not said.
    """

    raw: bytes
    block: int
    rate: int
    total: int

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read the block.

        Raises:
            MediaFault: truncated, or damaged where it is of another length.
        """
        if len(raw) < STREAM_INFO:
            raise MediaFault("truncated", "The sound ends before its header says")
        if len(raw) > STREAM_INFO:
            raise MediaFault("damaged", "The sound has a header of another kind")
        packed = int.from_bytes(raw[10:18], "big")
        return cls(raw, int.from_bytes(raw[2:4], "big"), packed >> 44, packed & (1 << 36) - 1)


def ends_early(stream: bytes) -> bool:
    """Whether a stream stops before its last frame does.

    Args:
        stream: `fLaC`, the block that describes the stream, and frames.
    """
    info = StreamInfo.parse(stream[8 : 8 + STREAM_INFO])
    end, start = len(stream), max(8 + STREAM_INFO, len(stream) - _TAIL)
    while (at := stream.rfind(b"\xff", start, end)) >= 0:
        behind = _frame_end(stream[at : at + _LONGEST_HEADER], info.block)
        if behind is not None:
            return behind < info.total or _crc(stream[at:], 0x8005, 16) != 0
        end = at
    return True


def _frame_end(header: bytes, block: int) -> int | None:
    """Number of the sample behind a frame; None where there is no header of a frame."""
    if len(header) < 6 or header[1] & 0xFE != 0xF8 or header[3] & 1:
        return None
    length = 8 - (header[4] ^ 0xFF).bit_length()
    if length in {1, 8}:
        return None
    number = header[4] & (0x7F >> length)
    for byte in header[5 : 4 + max(length, 1)]:
        number = number << 6 | byte & 0x3F
    at = 4 + max(length, 1)
    code = header[2] >> 4
    wide = {6: 1, 7: 2}.get(code, 0)
    size = int.from_bytes(header[at : at + wide], "big") + 1 if wide else _block_size(code)
    at += wide + {12: 1, 13: 2, 14: 2}.get(header[2] & 0xF, 0)
    if at >= len(header) or _crc(header[: at + 1], 0x07, 8):
        return None
    return number + size if header[1] & 1 else number * block + size


def _block_size(code: int) -> int:
    """Samples of a block, by its code in the header."""
    if code == 1:
        return 192
    return 144 << code if code < 6 else 1 << code


def _crc(data: bytes, polynomial: int, bits: int) -> int:
    """Cyclic redundancy check, high bit first, from zero; over data with its own check it is zero."""
    table, shift, mask, value = _table(polynomial, bits), bits - 8, (1 << bits) - 1, 0
    for byte in data:
        value = (value << 8 ^ table[value >> shift ^ byte]) & mask
    return value


@cache
def _table(polynomial: int, bits: int) -> tuple[int, ...]:
    """The check of each byte."""
    top, mask = 1 << bits - 1, (1 << bits) - 1
    made = []
    for byte in range(256):
        value = byte << bits - 8
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value & top else 0)) & mask
        made.append(value)
    return tuple(made)
