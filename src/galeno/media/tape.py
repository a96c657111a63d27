"""Bytes that a decoder in C may read as a file."""

import io


class Tape(io.BytesIO):
    """Bytes in memory in which a position before the beginning is the beginning.

    A broken header makes libsndfile seek there; an exception in its callback would be printed.
    """

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a position; never before the beginning or after the end."""
        end = len(self.getbuffer())
        base = {io.SEEK_CUR: self.tell(), io.SEEK_END: end}.get(whence, 0)
        return super().seek(min(max(base + offset, 0), end))
