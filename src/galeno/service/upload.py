"""A form with files: `multipart/form-data` of bounded length (RFC 7578), taken apart in memory.

Nothing is written to disk, and no part is looked into: what a file is, `media_intake` says.
"""

import asyncio
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from starlette.requests import Request

from galeno.errors import InputError, TooLongError
from galeno.media.content import Kind
from galeno.media.limits import LARGEST_SENT

if TYPE_CHECKING:
    from galeno.service.face import Reception

MEDIA_TYPE: Final = "multipart/form-data"
LONGEST_FIELD: Final = 1_000_000
"""Bytes of a part that is no file."""
MOST_FIELDS: Final = 2000
"""Parts that are no files."""
LONGEST_HEAD: Final = 4096
"""Bytes of the headers of one part."""

_BOUNDARY = re.compile(r"""[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]""")
_PARAMETER = re.compile(
    r';\s*([a-z*]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"(?=\s*(?:;|$))|"([^"]*)"|([^\s;"]+))', re.IGNORECASE
)
_ESCAPED = re.compile(r"%22|%0D|%0A", re.IGNORECASE)
_FITTING: Mapping[Kind, tuple[str, ...]] = {
    "sound": ("audio/", "video/ogg", "application/ogg", "application/octet-stream"),
    "image": ("image/", "application/dicom", "application/octet-stream"),
}


@dataclass(frozen=True, slots=True)
class File:
    """A file that was sent; its name is not kept, since it may hold a patient's.

    Args:
        data: the bytes.
        media_type: what the sender calls them, in lower case; empty where he does not.
    """

    data: bytes
    media_type: str = ""

    def fits(self, kind: Kind) -> bool:
        """Whether the sender's word for it is one for a file of this kind; the bytes have the last word."""
        return fits(self.media_type, kind)


@dataclass(frozen=True, slots=True)
class Upload:
    """What a form sent: fields as texts, and files, by their names."""

    fields: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, File] = field(default_factory=dict)


def fits(media_type: str, kind: Kind) -> bool:
    """Whether a media type, in lower case, may be one of a file of this kind; none at all may."""
    return not media_type or media_type.startswith(_FITTING[kind])


def is_upload(request: Request) -> bool:
    """Whether a request brings such a form."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == MEDIA_TYPE


async def read_upload(request: Request, reception: "Reception", files: int) -> Upload:
    """Read a form with files. Take one of the desk's places for uploads first.

    Args:
        request: the POST.
        reception: reads bodies of bounded length.
        files: that the study has columns for.

    Raises:
        TooLongError: the whole, a file, a field or a head is too long, or there are too many parts.
        InputError: it is not such a form.
    """
    boundary = boundary_of(request.headers.get("content-type", ""))
    body = await reception.body(request, reception.upload_limit)
    # in a thread: tens of megabytes take a while, for which nobody else should wait
    return await asyncio.to_thread(parse_upload, body, boundary, files)


def boundary_of(content_type: str) -> bytes:
    """The boundary that a content type names (RFC 2046, section 5.1.1).

    Raises:
        InputError: it names none, or no valid one.
    """
    named = dict(_parameters(content_type.partition(";")[2]))
    boundary = named.get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise InputError([("Content-Type", "names no valid boundary of multipart/form-data")])
    return boundary.encode("ascii")


def parse_upload(body: bytes, boundary: bytes, files: int = 0) -> Upload:
    """Take a body apart.

    Args:
        body: all of it.
        boundary: of its parts.
        files: parts that may come beside MOST_FIELDS.

    Raises:
        TooLongError: a part is too long, or there are too many.
        InputError: the body is not made as RFC 7578 says.
    """
    upload, most = Upload(), MOST_FIELDS + files
    for number, (start, stop) in enumerate(_parts(body, boundary), start=1):
        if number > most:
            raise TooLongError([("body", f"holds more than {most} parts")])
        end = body.find(b"\r\n\r\n", start, min(stop, start + LONGEST_HEAD + 4))
        if end < 0:
            if stop - start > LONGEST_HEAD:
                raise TooLongError([("body", f"holds a part with a head of more than {LONGEST_HEAD} bytes")])
            raise _broken()
        name, filename, media_type = _read_head(body[start:end])
        if filename:
            _add_file(upload, name, body, (end + 4, stop), media_type)
        elif filename is None or end + 4 < stop:  # a browser sends an empty one where no file was chosen
            _add_field(upload, name, body[end + 4 : stop])
    return upload


def _parts(body: bytes, boundary: bytes) -> Iterator[tuple[int, int]]:
    """Where each part begins and ends, headers included."""
    delimiter = b"\r\n--" + boundary
    if not body.startswith(delimiter[2:]):
        raise _broken()
    at = len(delimiter) - 2
    while not body.startswith(b"--", at):
        if not body.startswith(b"\r\n", at):
            raise _broken()
        start = at + 2
        stop = body.find(delimiter, start)
        if stop < 0:
            raise _broken()
        yield start, stop
        at = stop + len(delimiter)
    if body[at + 2 : at + 66].strip(b"\r\n"):
        raise _broken()


def _read_head(head: bytes) -> tuple[str, str | None, str]:
    """The name of a part, its file's name (None where it is no file), and its media type."""
    name: str | None = None
    filename: str | None = None
    media_type = ""
    try:
        lines = head.decode("utf-8").split("\r\n")
    except UnicodeDecodeError:
        raise _broken() from None
    for line in lines:
        title, _, value = line.partition(":")
        title = title.strip().lower()
        if title == "content-disposition":
            kind, _, rest = value.partition(";")
            if kind.strip().lower() != "form-data":
                raise _broken()
            named = dict(_parameters(rest))
            name, filename = named.get("name"), named.get("filename", named.get("filename*"))
        elif title == "content-type":
            media_type = value.partition(";")[0].strip().lower()
        elif title == "content-transfer-encoding" and value.strip().lower() not in {"binary", "8bit", "7bit"}:
            raise InputError([("body", "holds a part in a transfer encoding, which is not taken")])
    if not name or "\x00" in name:
        raise _broken()
    return name, filename, media_type


def _parameters(text: str) -> Iterator[tuple[str, str]]:
    """Parameters of a header, names in lower case; browsers write three signs in percents (WHATWG HTML)."""
    for found in _PARAMETER.finditer(f";{text}"):
        # a name that ends in a backslash is quoted as it is: browsers escape no backslash
        value = found[3] or found[4] or re.sub(r"\\(.)", r"\1", found[2] or "")
        yield found[1].lower(), _ESCAPED.sub(lambda each: chr(int(each[0][1:], 16)), value)


def _add_file(upload: Upload, name: str, body: bytes, place: tuple[int, int], media_type: str) -> None:
    if name in upload.files:
        raise InputError([(name[:64], "came twice; one file is taken")])
    if place[1] - place[0] > LARGEST_SENT:
        raise TooLongError([(name[:64], f"is larger than {LARGEST_SENT >> 20} MiB")])
    upload.files[name] = File(body[place[0] : place[1]], media_type)


def _add_field(upload: Upload, name: str, value: bytes) -> None:
    if len(value) > LONGEST_FIELD:
        raise TooLongError([(name[:64], f"is longer than {LONGEST_FIELD} bytes")])
    try:
        upload.fields.setdefault(name, []).append(value.decode("utf-8"))
    except UnicodeDecodeError:
        raise InputError([(name[:64], "is not text in UTF-8")]) from None


def _broken() -> InputError:
    return InputError([("body", "is not made as multipart/form-data is")])
