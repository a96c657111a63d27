"""Arrays in the cache, behind their own checksum: a damaged file is as good as none."""

from collections.abc import Mapping
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galeno.errors import GalenoError
from galeno.storage.atomic import write_bytes

_DIGEST = 32
"""Bytes of a sha256."""


def read_arrays(path: Path) -> dict[str, NDArray[Any]] | None:
    """What `write_arrays` kept; None where nothing was, or it is damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if sha256(content[_DIGEST:]).digest() != content[:_DIGEST]:
        return None
    with np.load(BytesIO(content[_DIGEST:]), allow_pickle=False) as held:
        return {name: held[name] for name in held.files}


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Keep arrays; a cache that cannot be written is none."""
    held = BytesIO()
    named: dict[str, Any] = dict(arrays)
    np.savez(held, **named)
    content = held.getvalue()
    try:
        write_bytes(path, sha256(content).digest() + content)
    except (OSError, GalenoError):
        return
