"""Encoder state on disk: JSON beside a .npz file that holds no pickle and has the same bytes every time."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galeno.errors import PackageError

_TIMESTAMP = (1980, 1, 1, 0, 0, 0)
"""Earliest time that a zip file can hold."""


def pack_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The arrays as an uncompressed .npz file, sorted by name; equal arrays give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(arrays):
            entry = zipfile.ZipInfo(f"{name}.npy", _TIMESTAMP)
            entry.create_system = 3  # the same on every system
            content = io.BytesIO()
            np.lib.format.write_array(content, np.ascontiguousarray(arrays[name]), allow_pickle=False)
            archive.writestr(entry, content.getvalue())
    return buffer.getvalue()


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read what `pack_arrays` made.

    Raises:
        PackageError: the file is missing, damaged, or holds anything but plain arrays.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise PackageError(
            f"not a file of plain arrays ({type(error).__name__})",
            where=str(path),
            remedy="Take an undamaged copy of the package, or run the study again",
        ) from None
