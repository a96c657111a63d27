"""What was typed in a form with files, where the files are too much: they are dropped as they come in."""

from collections.abc import MutableMapping
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request

from galeno.errors import InputError
from galeno.service.pages.form import LONGEST_TEXT
from galeno.service.pages.form_body import Form
from galeno.service.upload import LONGEST_HEAD, boundary_of, parse_upload

LONGEST_PART: Final = 4 * LONGEST_TEXT + 2 * LONGEST_HEAD
"""Bytes of a part that are kept: a head, and more than any text that a field takes."""
MOST_PARTS: Final = 16
"""So many times LONGEST_PART is kept in all, and once more for each file: more than a form may have."""


class Typed:
    """Looks at a form while somebody else reads it, and remembers the beginning of each of its parts.

    Args:
        request: the POST, `multipart/form-data`.
        files: how many may come.

    Attributes:
        request: the same one, to be read in place of it.

    Raises:
        InputError: it names no boundary.
    """

    def __init__(self, request: Request, files: int) -> None:
        self.request = Request(request.scope, self._receive)
        self._source = request.receive
        self._files = files
        self._boundary = boundary_of(request.headers.get("content-type", ""))
        self._delimiter = b"\r\n--" + self._boundary
        self._kept = bytearray()
        self._held = bytearray(b"\r\n")  # the first delimiter has no line before it
        self._room = LONGEST_PART
        self._most = (MOST_PARTS + files) * LONGEST_PART
        self._whole = False

    async def read(self) -> Form:
        """What was typed, once all has come in; of the files their names only, without their bytes.

        Raises:
            InputError: a text is too long, or it is not such a form.
            ClientDisconnect: the client went away.
        """
        while not self._whole:
            if (await self._receive())["type"] == "http.disconnect":
                raise ClientDisconnect
        upload = parse_upload(bytes(self._kept[2:]), self._boundary, self._files)
        pairs = [(name, value) for name, values in upload.fields.items() for value in values]
        if any(len(value) > LONGEST_TEXT or "\x00" in name + value for name, value in pairs):
            raise InputError([("body", "holds a text that is too long, or none")])  # it may have been cut
        return Form([(name, value.replace("\r\n", "\n")) for name, value in pairs], upload.files)

    async def _receive(self) -> MutableMapping[str, Any]:
        message = await self._source()
        self._keep(message.get("body", b""))
        if not message.get("more_body", False) and not self._whole:
            self._whole = True
            self._take(len(self._held))
        return message

    def _keep(self, piece: bytes) -> None:
        """Keep what there is room for; what may be the beginning of a delimiter waits for its end."""
        self._held += piece
        while (at := self._held.find(self._delimiter)) >= 0:
            self._take(at)
            self._room = LONGEST_PART
            self._take(len(self._delimiter))
        self._take(max(0, len(self._held) - len(self._delimiter) + 1))

    def _take(self, length: int) -> None:
        room = min(length, self._room, self._most - len(self._kept))
        self._kept += self._held[:room]
        self._room -= room
        del self._held[:length]
