"""What a form sent: `application/x-www-form-urlencoded` of bounded length (WHATWG URL, section 5).

A form that takes files comes as `multipart/form-data`, see `galeno.service.upload`.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from galeno.errors import InputError, MediaTypeError, TooLongError
from galeno.service.face import Reception
from galeno.service.upload import MOST_FIELDS, File, is_upload, read_upload

MEDIA_TYPE: Final = "application/x-www-form-urlencoded"
NO_FILES: Final[Mapping[str, File]] = MappingProxyType({})


class Form(Mapping[str, str]):
    """Fields of a form. A field that came more than once gives its last value here, all of them in `all`.

    Args:
        pairs: names and values of the fields.
        files: that were chosen, by the names of their fields; they are no values of the mapping.
    """

    def __init__(self, pairs: list[tuple[str, str]], files: Mapping[str, File] = NO_FILES) -> None:
        self.files = files
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def __getitem__(self, name: str) -> str:
        """The last value of a field."""
        return self._values[name][-1]

    def __iter__(self) -> Iterator[str]:
        """Names of the fields."""
        return iter(self._values)

    def __len__(self) -> int:
        """How many fields there are."""
        return len(self._values)

    def all(self, name: str) -> list[str]:
        """All values of a field, in order; none where it did not come."""
        return list(self._values.get(name, ()))

    def text(self, name: str) -> str:
        """A value without the blanks around it; empty where it did not come."""
        return self._values[name][-1].strip() if name in self._values else ""


async def read_form_body(request: Request, reception: Reception, limit: int, *, files: int = 0) -> Form:
    """Read a form.

    Args:
        request: the POST.
        reception: reads bodies of bounded length.
        limit: bytes that are read; with files, bytes of all the other fields.
        files: how many may come. Take a place for uploads first.

    Raises:
        MediaTypeError: it is not a form.
        InputError: it is too long, holds too many fields, or is not text.
    """
    if files and is_upload(request):
        upload = await read_upload(request, reception, files)
        pairs = [(name, value) for name, values in upload.fields.items() for value in values]
        if sum(len(name) + len(value) for name, value in pairs) > limit:
            raise TooLongError([("body", f"holds texts of more than {limit} characters")])
        return _clean(pairs, upload.files)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in {MEDIA_TYPE, ""}:
        raise MediaTypeError([("body", f"must be {MEDIA_TYPE}")])
    body = await reception.body(request, limit)
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=MOST_FIELDS,
        )
    except ValueError:
        raise InputError([("body", "cannot be read as a form")]) from None
    return _clean(pairs)


def _clean(pairs: list[tuple[str, str]], files: Mapping[str, File] = NO_FILES) -> Form:
    if any("\x00" in name or "\x00" in value for name, value in pairs):
        raise InputError([("body", "cannot be read as a form")])
    # Browsers send line ends as CR LF, whatever was typed.
    return Form([(name, value.replace("\r\n", "\n")) for name, value in pairs], files)
