"""A lock between processes: a file that one of them has open and locked."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def lock(descriptor: int, *, wait: bool = True) -> Iterator[bool]:
    """Lock an open file for a block, and close it; the system lets go when a process ends, however it ends.

    Args:
        descriptor: of the file, open for writing: network file systems need that.
        wait: for its turn.

    Yields:
        whether it is locked; always, where it waits.
    """
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            locked = True
        except BlockingIOError:
            locked = False
        yield locked
    finally:
        os.close(descriptor)
