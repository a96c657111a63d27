"""Sounds and images in the lake: each content once, by the digest of what it holds."""

from collections.abc import Collection, Iterable, Iterator
from hashlib import sha256

import polars as pl

from galeno.records import KEY
from galeno.storage.lake import Lake

TABLE = "media/contents"
"""Table of the lake; a study called `media` has tables named by digests only."""
CHUNK = 64 * 2**20
"""Bytes that are written at a time, about."""
_SCHEMA = {KEY: pl.String(), "kind": pl.String(), "content": pl.Binary()}


class Contents:
    """The contents that the rows of a lake name by their digests.

    Args:
        lake: the lake.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def keep(self, contents: Iterable[tuple[str, str, bytes]]) -> None:
        """Write those that are not there yet.

        The lake's `hold_intake` is to be held until the rows that name them are there too: else they are
        removed as contents that nobody names.

        Args:
            contents: digest, kind (sound or image) and clean bytes of each.

        Raises:
            LakeError: the lake cannot be written to.
        """
        held = {str(key) for part in self._lake.scan(TABLE, [KEY]) for key in part[KEY]}
        waiting: list[tuple[str, str, bytes]] = []
        size = 0
        for digest, kind, content in contents:
            if digest in held:
                continue
            held.add(digest)
            waiting.append((digest, kind, content))
            size += len(content)
            if size >= CHUNK:
                self._write(waiting)
                waiting, size = [], 0
        self._write(waiting)

    def read(self, digests: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """Digest and bytes of each that is there, in no order.

        Raises:
            LakeError: the table is damaged.
        """
        if digests:
            for part in self._lake.scan(TABLE, [KEY, "content"], digests):
                yield from part.iter_rows()

    def remove(self, digests: Collection[str]) -> None:
        """Remove contents for good, also from earlier versions of the table.

        Raises:
            LakeError: the table is damaged, or cannot be written to.
        """
        self._lake.remove(TABLE, KEY, digests)

    def _write(self, waiting: list[tuple[str, str, bytes]]) -> None:
        if waiting:
            batch = sha256("\n".join(sorted(digest for digest, _, _ in waiting)).encode()).hexdigest()
            self._lake.append(TABLE, pl.DataFrame(waiting, schema=_SCHEMA, orient="row"), batch)
