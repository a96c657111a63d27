"""Ids that sort by the time they were made, and times as they are written down."""

import secrets
import time
from datetime import UTC, datetime


def new_id(prefix: str) -> str:
    """An id such as `dx_0199f3a1c2d47...`: the digits of a UUID of version 7 (RFC 9562, section 5.7).

    48 bits of milliseconds, 74 random bits; a card of CDS Hooks bears the same digits as its uuid.
    """
    random = secrets.randbits(74)
    high = (time.time_ns() // 1_000_000) << 16 | 0x7000 | random >> 62
    low = 0x8000_0000_0000_0000 | random & 0x3FFF_FFFF_FFFF_FFFF
    return f"{prefix}_{high:016x}{low:016x}"


def now() -> str:
    """The present time, ISO 8601, UTC, microseconds; such texts sort as the times do."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
