"""Contents: the same again whatever they came from, and nothing but a fault for what is broken."""

import base64
import subprocess
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from media_files import HARMS, Harm, harm, image_files, picture_file, pixels, sound_file, sound_files

from galeno.media.content import Kind, clean, from_data_url, is_canonical, kind_of, read_data_url, to_data_url
from galeno.media.fault import RULES, MediaFault

FILES: dict[str, tuple[Kind, bytes]] = {
    **{name: ("sound", file) for name, file in sound_files().items()},
    **{name: ("image", file) for name, file in image_files().items()},
}


@pytest.mark.parametrize("name", FILES)
def test_a_content_is_clean(name: str) -> None:
    kind, file = FILES[name]
    assert kind_of(file) == kind
    content = clean(kind, file)
    assert clean(kind, content.data) == content
    assert is_canonical(content.data, kind)
    assert from_data_url(to_data_url(content.data), len(content.data)) == content.data
    assert read_data_url(to_data_url(content.data)) == content


STARTS = [
    b"",
    b"RIFF\0\0\0\0WAVE",
    b"fLaC",
    b"OggS",
    b"ID3\4\0\0\0\0\0\1",
    b"\xff\xfb\x90\0",
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff\xe0",
    b"II*\0",
    b"MM\0*",
    b"\x93NUMPY\1\0",
    b"PK\3\4",
    bytes(128) + b"DICM",
    b"\x08\0\5\0CS\0\0",
]


def only_faults(kind: Kind, file: bytes) -> None:
    try:
        content = clean(kind, file)
    except MediaFault as fault:
        # What is said is for people who must not see a patient's data, nor a library's words.
        assert fault.rule in RULES  # noqa: PT017
    else:
        assert clean(kind, content.data) == content


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(FILES)),
    st.lists(
        st.tuples(st.sampled_from(HARMS), st.floats(0, 1, exclude_max=True), st.integers(1, 64)),
        min_size=1,
        max_size=4,
    ),
)
def test_a_broken_file_is_a_fault_or_a_content(name: str, harms: list[tuple[Harm, float, int]]) -> None:
    kind, file = FILES[name]
    for how, at, size in harms:
        file = harm(file, how, at, size) if file else file
    only_faults(kind, file)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["sound", "image"]),
    st.sampled_from(STARTS),
    st.binary(max_size=400),
)
@example("sound", b"ID3\4\0\0\x7f\x7f\x7f\x7f", b"")
@example("image", b"\x93NUMPY\1\0", b"v\0" + b"[" * 118)
def test_any_bytes_are_a_fault_or_a_content(kind: Kind, start: bytes, rest: bytes) -> None:
    only_faults(kind, start + rest)


def test_a_file_of_the_other_kind_is_of_the_wrong_type() -> None:
    for kind, file in (("sound", picture_file("JPEG", pixels())), ("image", sound_file("flac"))):
        with pytest.raises(MediaFault) as raised:
            clean(kind, file)  # type: ignore[arg-type]
        assert raised.value.rule == "wrong_type"
    assert kind_of(b"name,age\nx,3\n") is None
    assert kind_of("\ufeffpatient".encode("utf-16")) is None


def test_data_urls() -> None:
    file = sound_file("wav")
    code = base64.b64encode(file).decode()
    for head in ("data:audio/wav;base64,", "data:;base64,", "DATA:audio/ogg;codecs=opus;BASE64,"):
        assert from_data_url(head + code, 1 << 20) == file
    for text, rule in (
        (f"data:audio/wav,{code}", "wrong_type"),
        (f"http://host/{code}", "wrong_type"),
        ("data:audio/wav;base64,a b", "wrong_type"),
        ("data:audio/wav;base64,é", "wrong_type"),
        ("data:audio/wav;base64,", "empty_file"),
        ("data:" + "a" * 10_000_000, "wrong_type"),
    ):
        with pytest.raises(MediaFault) as raised:
            from_data_url(text, 1 << 20)
        assert raised.value.rule == rule
    with pytest.raises(MediaFault, match="larger"):
        from_data_url("data:;base64," + code, len(file) - 1)
    assert from_data_url("data:;base64," + code, len(file)) == file
    with pytest.raises(ValueError, match="FLAC or PNG"):
        to_data_url(file)


def test_a_fault_has_a_rule() -> None:
    with pytest.raises(ValueError, match="no rule"):
        MediaFault("strange", "Strange")


def test_reading_starts_without_signal_processing() -> None:
    code = "import sys, galeno.media.content, galeno.media.picture; sys.exit('scipy.signal' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_only_a_content_is_read_from_a_text() -> None:
    sound = to_data_url(clean("sound", sound_file("flac")).data)
    image = to_data_url(clean("image", FILES["png"][1]).data)
    swapped = image.replace("image/png", "audio/flac")
    for wrong in (
        swapped,
        sound[:40],
        f"{image}!",
        "data:audio/flac;base64,AAAA",
        "data:,a pain",
        "pain",
        "",
    ):
        assert read_data_url(wrong) is None
