"""Decoders that say nothing: what they warn of may be a value of a patient's header."""

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

for _name in ("PIL", "pydicom"):
    _logger = logging.getLogger(_name)
    _logger.addHandler(logging.NullHandler())
    _logger.propagate = False


class _Silence:
    """Warnings are off while at least one thread decodes.

    `warnings.catch_warnings` alone mixes up the filters of threads that overlap.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._within = 0
        self._caught = warnings.catch_warnings()

    def begin(self) -> None:
        with self._turn:
            if not self._within:
                self._caught = warnings.catch_warnings()
                self._caught.__enter__()
                warnings.simplefilter("ignore")
            self._within += 1

    def end(self) -> None:
        with self._turn:
            self._within -= 1
            if not self._within:
                self._caught.__exit__(None, None, None)


_SILENCE = _Silence()


@contextmanager
def quiet() -> Iterator[None]:
    """Let Pillow and pydicom decode without warnings and logs; threads may do so at once."""
    _SILENCE.begin()
    try:
        yield
    finally:
        _SILENCE.end()
