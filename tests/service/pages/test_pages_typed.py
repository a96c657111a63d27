"""What was typed is kept however a form comes in, and the files are not."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect, Request

from galeno.errors import InputError
from galeno.service.pages.form import LONGEST_TEXT
from galeno.service.pages.form_body import Form
from galeno.service.pages.typed import LONGEST_PART, MOST_PARTS, Typed

BOUNDARY = "b-0"


def part(name: str, content: bytes, filename: str = "") -> bytes:
    file = f'; filename="{filename}"' if filename else ""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
    return head.encode() + content + b"\r\n"


def watch(pieces: Sequence[bytes], files: int = 2, *, ends: bool = True) -> Typed:
    left = list(pieces)

    async def receive() -> dict[str, object]:
        if not left and not ends:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left) or not ends}

    kind = f"multipart/form-data; boundary={BOUNDARY}".encode()
    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", kind)]}
    return Typed(Request(scope, receive), files)


def read(body: bytes, cuts: Sequence[int] = (), reads: int = 0) -> Form:
    """Read a body that comes in pieces, some of which somebody else reads first."""
    places = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    typed = watch([body[start:stop] for start, stop in pairwise(places)])

    async def both() -> Form:
        for _ in range(min(reads, len(places) - 1)):
            await typed.request.receive()
        return await typed.read()

    return asyncio.run(both())


texts = st.text(st.characters(exclude_characters="\x00\r", exclude_categories=["Cs"]), max_size=40)


@given(
    typed=st.dictionaries(st.sampled_from(["v.age", "v.note", "patient_id"]), texts),
    file=st.one_of(st.binary(max_size=60), st.just(b"\r\n--b-" * 40_000)),
    cuts=st.lists(st.integers(0, 10**6), max_size=8),
    reads=st.integers(0, 9),
)
def test_all_that_was_typed_is_there_however_it_comes(
    typed: dict[str, str], file: bytes, cuts: list[int], reads: int
) -> None:
    body = part("v.xray", file + b".", "x.png")
    body += b"".join(part(name, value.encode()) for name, value in typed.items())
    body += part("v.breath", file + b".", "b.wav") + f"--{BOUNDARY}--\r\n".encode()
    form = read(body, cuts, reads)
    assert dict(form) == typed
    assert list(form.files) == ["v.xray", "v.breath"]
    assert all(len(kept.data) <= LONGEST_PART for kept in form.files.values())


def test_a_text_is_whole_or_not_taken() -> None:
    end = f"--{BOUNDARY}--\r\n".encode()
    longest = "\U0001f9e1" * LONGEST_TEXT  # four bytes each
    assert read(part("v.note", longest.encode()) + end)["v.note"] == longest
    for text in (longest + "x", longest * 3, "a\x00"):
        with pytest.raises(InputError):
            read(part("v.note", text.encode()) + end)


def test_little_is_kept_of_much() -> None:
    """Of many parts no more than a form may have is kept; it is then no form."""
    typed = watch([part(f"v.{number}", bytes(LONGEST_PART)) for number in range(100)])
    with pytest.raises(InputError):
        asyncio.run(typed.read())
    assert len(typed._kept) <= (MOST_PARTS + 2) * LONGEST_PART


def test_a_client_that_goes_away_ends_it() -> None:
    typed = watch([part("v.note", b"half")], ends=False)
    with pytest.raises(ClientDisconnect):
        asyncio.run(typed.read())
