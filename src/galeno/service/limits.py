"""How often a caller may ask, and how many large things at a time: in bounded memory."""

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from galeno.errors import BusyError, SettingError


class Places:
    """Places for what takes much memory; who finds none is turned away. For one event loop.

    Args:
        most: how many there are.
        each: how many one caller may hold; None for all.
    """

    def __init__(self, most: int, each: int | None = None) -> None:
        self._most = most
        self._each = most if each is None else each
        self._held: Counter[str] = Counter()

    @contextmanager
    def take(self, key: str = "") -> Iterator[None]:
        """Hold a place.

        Args:
            key: for whom, such as a caller's name.

        Raises:
            BusyError: there is none, or the caller holds enough.
        """
        if self._held.total() >= self._most or self._held[key] >= self._each:
            raise BusyError("too many large requests are sent at a time", remedy="Try again", retry_after=2)
        self._held[key] += 1
        try:
            yield
        finally:
            self._held[key] -= 1
            self._held += Counter()  # forgets who holds none


class Limiter:
    """A bucket of `burst` tokens for each key, filled by `per_second`.

    Kept as one number a key, the time at which its bucket is full again (generic cell rate algorithm,
    ITU-T I.371). Buckets that are full again are forgotten; beyond `most` keys the one that was asked for
    least lately is forgotten too, which favours its caller. For one event loop.

    Args:
        per_second: tokens a second, above 0.
        burst: tokens of a full bucket, at least 1.
        most: keys that are remembered.
        clock: seconds that only go forward.

    Raises:
        SettingError: a number is too small.
    """

    def __init__(
        self,
        per_second: float,
        burst: int,
        *,
        most: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not per_second > 0 or burst < 1 or most < 1:
            raise SettingError(
                "a limit of requests is too small",
                remedy="Allow more than 0 a second, and bursts of at least 1",
            )
        self._every = 1.0 / per_second
        self._room = (burst - 1) / per_second
        self._most = most
        self._clock = clock
        self._full: OrderedDict[str, float] = OrderedDict()

    def take(self, key: str) -> float | None:
        """Take a token.

        Args:
            key: whose bucket, such as a caller's name or address.

        Returns:
            None when there was one; else the seconds until there will be one, and nothing is taken.
        """
        now = self._clock()
        full = self._full.get(key)
        if full is None or full < now:
            full = now
        wait = full - now - self._room
        # Who waited for as long as was said must not be turned away by rounding.
        if wait > 1e-6:
            return wait
        self._full[key] = full + self._every
        self._full.move_to_end(key)
        self._forget(now)
        return None

    def __len__(self) -> int:
        """Keys that are remembered."""
        return len(self._full)

    def _forget(self, now: float) -> None:
        """Let two of the least lately used go where they are full: more than one comes in at a time."""
        for _ in range(2):
            key, full = next(iter(self._full.items()))
            if full > now and len(self._full) <= self._most:
                return
            del self._full[key]
