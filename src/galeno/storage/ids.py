"""Ids that sort by the time they were made, and times as they are written down."""

import secrets
import time
from datetime import UTC, datetime, timedelta

_LOW = (1 << 62) - 1


def new_id(prefix: str) -> str:
    """An id such as `dx_0199f3a1c2d47...`: the 32 digits are a UUID version 7 (RFC 9562), 74 bits random."""
    noise = secrets.randbits(74)
    number = time.time_ns() // 1_000_000 << 80 | 7 << 76 | (noise >> 62) << 64 | 2 << 62 | noise & _LOW
    return f"{prefix}_{number:032x}"


def now() -> str:
    """The present time, ISO 8601, UTC, microseconds; such texts sort as the times do."""
    return written(datetime.now(UTC))


def later(seconds: float) -> str:
    """The time in so many seconds, written as `now` writes it."""
    return written(datetime.now(UTC) + timedelta(seconds=seconds))


def written(moment: datetime) -> str:
    """A time with its zone as `now` writes it."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def id_at(prefix: str, moment: datetime) -> str:
    """The lowest id that `new_id` could make at a moment: ids made before it sort below.

    Args:
        prefix: of the ids.
        moment: with its time zone.
    """
    milliseconds = max(0, int(moment.timestamp() * 1000))
    return f"{prefix}_{milliseconds << 80:032x}"
