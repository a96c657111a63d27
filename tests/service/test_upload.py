"""Forms with files, taken apart in memory."""

from contextlib import suppress

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from galeno.errors import InputError, TooLongError
from galeno.media.limits import LARGEST_SENT
from galeno.service.upload import (
    LONGEST_FIELD,
    LONGEST_HEAD,
    MOST_FIELDS,
    boundary_of,
    is_upload,
    parse_upload,
)

BOUNDARY = b"cut"


def part(name: str, value: bytes, more: str = "", headers: str = "") -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"{more}\r\n{headers}'
    return b"--cut\r\n" + head.encode() + b"\r\n" + value + b"\r\n"


def whole(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--cut--\r\n"


# names that a client can send: what browsers and httpx escape is escaped, NUL is refused
NAMES = st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters='\\%"'), min_size=1)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(NAMES, st.binary(max_size=300), max_size=5),
    st.dictionaries(NAMES, st.text(st.characters(blacklist_categories=("Cs",))), max_size=5),
)
def test_what_a_client_sends_comes_out(files: dict[str, bytes], fields: dict[str, str]) -> None:
    sent = {f"f{name}": ("x.png", data, "image/png") for name, data in files.items()}
    if not sent:
        return
    request = httpx.Request("POST", "http://here/", files=sent, data={f"d{n}": v for n, v in fields.items()})
    upload = parse_upload(request.read(), boundary_of(request.headers["content-type"]))
    assert {name[1:]: file.data for name, file in upload.files.items()} == files
    assert {file.media_type for file in upload.files.values()} == {"image/png"}
    assert {name[1:]: values for name, values in upload.fields.items()} == {n: [v] for n, v in fields.items()}


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_a_form_or_a_fault(noise: bytes) -> None:
    for body in (noise, b"--cut\r\n" + noise, whole(part("a", b"1"))[:-9] + noise):
        with suppress(InputError):
            parse_upload(body, BOUNDARY)


def test_quoted_names_are_read() -> None:
    upload = parse_upload(whole(part('a\\"b', b"1"), part("c%22%0D%0Ad", b"2")), BOUNDARY)
    assert upload.fields == {'a"b': ["1"], 'c"\r\nd': ["2"]}


@pytest.mark.parametrize("filename", ["x\\", "C:\\files\\", "a;b\\"])
def test_a_name_that_ends_in_a_backslash_is_of_a_file(filename: str) -> None:
    for more in (f'; filename="{filename}"', f'; filename="{filename}"; size=1'):
        assert parse_upload(whole(part("f", b"1", more)), BOUNDARY).files["f"].data == b"1"


def test_files_come_beside_the_fields() -> None:
    fields = [part("a", b"") for _ in range(MOST_FIELDS)]
    body = whole(*fields, part("f", b"1", '; filename="f"'))
    assert len(parse_upload(body, BOUNDARY, 1).fields["a"]) == MOST_FIELDS


@pytest.mark.parametrize(
    ("named", "taken"),
    [
        ("multipart/form-data; boundary=x", True),
        ("Multipart/Form-Data ;boundary=x", True),
        ("multipart/form-dataX; boundary=x", False),
        ("multipart/form-data-x", False),
    ],
)
def test_a_form_is_known_by_its_whole_type(named: str, taken: bool) -> None:
    scope = {"type": "http", "headers": [(b"content-type", named.encode())]}
    assert is_upload(Request(scope)) is taken


def test_a_file_that_was_not_chosen_is_not_there() -> None:
    upload = parse_upload(whole(part("xray", b"", '; filename=""')), BOUNDARY)
    assert not upload.files
    assert not upload.fields


def test_a_file_may_hold_what_looks_like_a_delimiter() -> None:
    data = b"x--cut\r\nx--cut--\n--cut\r\n--cu"
    assert parse_upload(whole(part("f", data, '; filename="f"')), BOUNDARY).files["f"].data == data


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--cut",
        b"--cut\r\n",
        b"x--cut--",
        whole(part("a", b"1"))[:-6],
        whole(part("a", b"1")) + b"more",
        b'--cut\r\nContent-Disposition: form-data; name="a"\r\n--cut--\r\n',
        b"--cut\r\nContent-Disposition: form-data\r\n\r\n1\r\n--cut--\r\n",
        b'--cut\r\nContent-Disposition: attachment; name="a"\r\n\r\n1\r\n--cut--\r\n',
        b"--cut\r\nContent-Type: text/plain\r\n\r\n1\r\n--cut--\r\n",
        b'--cut\r\nContent-Disposition: form-data; name="\xff"\r\n\r\n1\r\n--cut--\r\n',
        whole(part("a", b"\xff")),
        whole(part("a", b"MQ==", headers="Content-Transfer-Encoding: base64\r\n")),
        whole(part("a", b"1", '; filename="x"'), part("a", b"2", '; filename="y"')),
    ],
)
def test_what_is_no_form_is_told(body: bytes) -> None:
    with pytest.raises(InputError):
        parse_upload(body, BOUNDARY)


@pytest.mark.parametrize(
    "body",
    [
        whole(*(part("a", b"") for _ in range(MOST_FIELDS + 1))),
        whole(part("a", b"x" * (LONGEST_FIELD + 1))),
        whole(part("a", b"x" * (LARGEST_SENT + 1), '; filename="x"')),
        whole(part("a" * LONGEST_HEAD, b"1")),
    ],
    ids=["parts", "field", "file", "head"],
)
def test_bounds_hold(body: bytes) -> None:
    with pytest.raises(TooLongError):
        parse_upload(body, BOUNDARY)


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary="a b "',
        f"multipart/form-data; boundary={'x' * 71}",
        "multipart/form-data; boundary=a{b",
    ],
)
def test_a_boundary_is_needed(content_type: str) -> None:
    with pytest.raises(InputError):
        boundary_of(content_type)
