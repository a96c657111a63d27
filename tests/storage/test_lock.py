"""A lock that another opening of the same file cannot take, and that goes with its block."""

import os
from pathlib import Path

import pytest

from galeno.storage.lock import lock


def test_who_does_not_wait_is_told_that_it_is_taken(tmp_path: Path) -> None:
    def opened() -> int:
        return os.open(tmp_path / "a.lock", os.O_RDWR | os.O_CREAT, 0o600)

    with lock(opened()) as first:
        assert first
        with lock(opened(), wait=False) as second:
            assert not second
    descriptor = opened()
    with lock(descriptor, wait=False) as third:
        assert third
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
