"""Files that are either the old one or the new one, whatever happens in between."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from galeno.errors import OutputError
from galeno.storage.lock import lock


@contextmanager
def replacing(path: Path, mode: int | None = None) -> Iterator[Path]:
    """Write a file so that it appears whole or not at all, even after a crash.

    Args:
        path: the file.
        mode: its permissions; None takes what the umask leaves.

    Yields:
        a temporary path in the same folder. When the block ends well, that file is
        flushed to disk and renamed to `path`; when it raises, it is removed.

    Raises:
        OutputError: the folder of `path` cannot be written to, or `path` is a folder.
    """
    if path.is_dir():
        raise OutputError("is a folder, not a file", where=str(path), remedy="Name a file in it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.", suffix=path.suffix)
    except OSError as error:
        raise OutputError(
            f"cannot be written ({error.strerror})",
            where=str(path),
            remedy="Choose a folder that you may write to",
        ) from None
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask() if mode is None else mode)
        _flush(temporary)
        temporary.replace(path)
        _flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep other processes that ask the same out meanwhile, so that what was read last is written last.

    Args:
        path: the file that is read and written; the lock is a file beside it.

    Raises:
        OutputError: the folder cannot be written to.
    """
    try:
        descriptor = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise OutputError(
            f"cannot be written ({error.strerror})",
            where=str(path),
            remedy="Choose a folder that you may write to",
        ) from None
    with lock(descriptor):
        yield


def write_bytes(path: Path, data: bytes) -> None:
    """Write bytes atomically.

    Raises:
        OutputError: the place cannot be written to.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically, with the line ends as they are.

    Raises:
        OutputError: the place cannot be written to.
    """
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically: keys in their order, two spaces of indent, a newline at the end.

    Raises:
        OutputError: the place cannot be written to.
        ValueError: a number is NaN or infinite.
    """
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file; OSError and ValueError are left to the caller, who knows what the file means."""
    return json.loads(path.read_bytes())


def _flush(path: Path) -> None:
    """Make a file, or the names in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
