"""What a form sent: `application/x-www-form-urlencoded` of bounded length (WHATWG URL, section 5)."""

from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from galeno.errors import InputError, MediaTypeError
from galeno.service.face import Reception

MEDIA_TYPE: Final = "application/x-www-form-urlencoded"
MOST_FIELDS: Final = 2000


class Form(Mapping[str, str]):
    """Fields of a form. A field that came more than once gives its last value here, all of them in `all`."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
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


async def read_form_body(request: Request, reception: Reception, limit: int) -> Form:
    """Read a form.

    Args:
        request: the POST.
        reception: reads bodies of bounded length.
        limit: bytes that are read.

    Raises:
        MediaTypeError: it is not a form.
        InputError: it is too long, holds too many fields, or is not text.
    """
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
    if any("\x00" in name or "\x00" in value for name, value in pairs):
        raise InputError([("body", "cannot be read as a form")])
    # Browsers send line ends as CR LF, whatever was typed.
    return Form([(name, value.replace("\r\n", "\n")) for name, value in pairs])
