"""Ids that sort by the time they were made, and times as they are written down."""

import secrets
import time
from datetime import UTC, datetime, timedelta


def new_id(prefix: str) -> str:
    """An id such as `dx_0199f3a1c2d4...`: 48 bits of milliseconds (as UUID version 7), 80 random bits."""
    return f"{prefix}_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


def now() -> str:
    """The present time, ISO 8601, UTC, microseconds; such texts sort as the times do."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def later(seconds: float) -> str:
    """The time in so many seconds, written as `now` writes it."""
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
