"""Places: beside the table, folders, archives, an object store, and names that lead elsewhere."""

import os
import struct
import unicodedata
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep

import httpx
import pytest

from galeno.errors import SourceError
from galeno.media.fault import MediaFault
from galeno.media.places import ZipPlace, open_place

MOST = 1000


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in members.items():
            made.writestr(name, data)
    return path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "recordings" / "deep").mkdir(parents=True)
    (folder / "other").mkdir()
    (folder / "a.wav").write_bytes(b"beside")
    (folder / "recordings" / "b.wav").write_bytes(b"below")
    (folder / "recordings" / "deep" / "c.wav").write_bytes(b"deep")
    for name in ("recordings", "other"):
        (folder / name / "twice.wav").write_bytes(name.encode())
    (folder / "empty.wav").write_bytes(b"")
    (folder / "large.wav").write_bytes(bytes(MOST + 1))
    (tmp_path / "secret.wav").write_bytes(b"secret")
    (folder / "link.wav").symlink_to(tmp_path / "secret.wav")
    (folder / "near.wav").symlink_to(folder / "a.wav")
    archive(
        folder / "more.zip", {"z.wav": b"zipped", "top/y.wav": b"top", "one/w.wav": b"1", "two/w.wav": b"2"}
    )
    archive(tmp_path / "outside.zip", {"z.wav": b"outside"})
    (folder / "table.csv").write_text("file\n")
    return folder / "table.csv"


def rule(place: object, name: str) -> str:
    with pytest.raises(MediaFault) as raised:
        place.read(name, MOST)  # type: ignore[attr-defined]
    return raised.value.rule


def test_beside_the_table(table: Path) -> None:
    with open_place("", table) as place:
        wanted = {
            "a.wav": b"beside",
            "b.wav": b"below",
            "recordings/b.wav": b"below",
            "recordings\\b.wav": b"below",
            "./a.wav": b"beside",
            " a.wav ": b"beside",
            "deep/c.wav": b"deep",
            "near.wav": b"beside",
            "z.wav": b"zipped",
            "more.zip/z.wav": b"zipped",
            "more.zip/top/y.wav": b"top",
            "y.wav": b"top",
        }
        assert {name: place.read(name, MOST) for name in wanted} == wanted
        for name in (
            "absent.wav",
            "A.wav",
            "twice.wav",
            "w.wav",
            "recordings",
            "more.zip/absent.wav",
            "c.wav",
        ):
            assert rule(place, name) == "missing_file"
        assert rule(place, "empty.wav") == "empty_file"
        assert rule(place, "large.wav") == "too_large"


OUTSIDE = [
    "", " ", ".", "..", "../secret.wav", "recordings/../../secret.wav", "..\\secret.wav", "/etc/passwd",
    "link.wav", "C:\\x.wav", "\\\\host\\x.wav", "file:///etc/passwd", "http://h/x.wav", "a\0.wav", "x" * 5000,
    "../outside.zip/z.wav",
]  # fmt: skip


@pytest.mark.parametrize("name", OUTSIDE)
def test_names_do_not_lead_out(table: Path, name: str) -> None:
    for files in ("", "recordings", "more.zip"):
        with open_place(files, table) as place:
            assert rule(place, name) == "missing_file"


def test_a_folder_and_an_archive(table: Path) -> None:
    with open_place("recordings", table) as place:
        assert place.read("b.wav", MOST) == b"below"
        assert rule(place, "c.wav") == rule(place, "a.wav") == "missing_file"
    with open_place(str(table.parent / "more.zip"), None) as place:
        assert place.read("top/y.wav", MOST) == place.read("y.wav", MOST) == b"top"
        assert rule(place, "w.wav") == "missing_file"
    (table.parent / "broken.zip").write_bytes(b"no zip")
    for files in ("absent", "broken.zip", "gs://bucket/x", "table.csv"):
        with pytest.raises(SourceError):
            open_place(files, table)


def test_names_in_either_normal_form(table: Path) -> None:
    forms = [unicodedata.normalize(form, "Müller é.wav") for form in ("NFC", "NFD")]
    assert forms[0] != forms[1]
    for written in forms:
        folder = table.parent / f"form{len(written)}"
        folder.mkdir()
        (folder / written).write_bytes(b"same")
        archive(folder / "in.zip", {f"top/{written}": b"zipped"})
        for asked in forms:
            with open_place(folder.name, table) as place:
                assert place.read(asked, MOST) == b"same"
                assert place.read(f"in.zip/{asked}", MOST) == b"zipped"


def test_members_are_bounded_whatever_their_header_says(table: Path) -> None:
    bomb = archive(table.parent / "bomb.zip", {"x.wav": bytes(10_000_000)})
    with open_place("bomb.zip", table) as place:
        assert rule(place, "x.wav") == "too_large"
    lying = bytearray(bomb.read_bytes())
    for start in (lying.find(b"PK\x03\x04") + 22, lying.find(b"PK\x01\x02") + 24):
        lying[start : start + 4] = struct.pack("<I", 10)
    bomb.write_bytes(lying)
    with open_place("bomb.zip", table) as place:
        assert rule(place, "x.wav") in {"too_large", "damaged"}


def test_odd_members_are_damaged(table: Path) -> None:
    path = archive(table.parent / "odd.zip", {"x.wav": b"x" * 100})
    plain = path.read_bytes()
    for offset, value in ((6, 1), (8, 99)):
        odd = bytearray(plain)
        odd[odd.find(b"PK\x03\x04") + offset] = odd[odd.find(b"PK\x01\x02") + offset + 2] = value
        path.write_bytes(odd)
        with open_place("odd.zip", table) as place:
            assert rule(place, "x.wav") == "damaged"
    wrong = bytearray(plain)
    wrong[wrong.find(b"PK\x01\x02") + 16] ^= 1
    path.write_bytes(wrong)
    with open_place("odd.zip", table) as place:
        assert rule(place, "x.wav") == "damaged"


def test_what_is_no_regular_file_is_not_there(table: Path) -> None:
    os.mkfifo(table.parent / "pipe.wav")
    with open_place("", table) as place:
        assert rule(place, "pipe.wav") == "missing_file"


def test_many_members_of_an_archive_are_read_from_one_opening(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = {f"m{number}.wav": b"%d" % number for number in range(300)}
    archive(table.parent / "many.zip", members)
    opened: list[object] = []
    real = zipfile.ZipFile.__init__

    def counting(self: zipfile.ZipFile, file: object, *rest: object, **options: object) -> None:
        opened.append(file)
        real(self, file, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(zipfile.ZipFile, "__init__", counting)
    with open_place("", table) as place:
        for name, data in members.items():
            assert place.read(f"many.zip/{name}", MOST) == data
    assert len(opened) == 1


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Address of a real S3 server with a bucket of two files."""
    server = pytest.importorskip("moto.server", reason="the S3 server moto is not installed")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    address = f"http://{host}:{port}"
    for path, data in (("", b""), ("/lungs/a.wav", b"stored"), ("/lungs/deep/b.wav", b"x" * (MOST + 1))):
        httpx.put(f"{address}/sounds{path}", content=data).raise_for_status()
    yield address
    running.stop()


def test_an_object_store(s3: str, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "y", "ENDPOINT_URL": s3}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    with open_place("s3://sounds/lungs/", table) as place:
        assert place.read("a.wav", MOST) == b"stored"
        assert place.read("s3://sounds/lungs/a.wav", MOST) == b"stored"
        assert rule(place, "absent.wav") == rule(place, "../a.wav") == rule(place, "deep") == "missing_file"
        assert rule(place, "deep/b.wav") == "too_large"
    with open_place("", table) as place:
        assert place.read("s3://sounds/lungs/a.wav", MOST) == b"stored"
        assert place.read("a.wav", MOST) == b"beside"
    with open_place("s3://absent", table) as place:
        assert rule(place, "a.wav") == "missing_file"


def test_a_damaged_archive_that_nobody_named_is_passed_over(table: Path) -> None:
    whole = (table.parent / "more.zip").read_bytes()
    # Its end is there, its directory is not.
    broken = bytearray(whole)
    at = whole.index(b"PK\x01\x02")
    broken[at : at + 4] = b"XXXX"
    (table.parent / "abroken.zip").write_bytes(bytes(broken))
    assert zipfile.is_zipfile(table.parent / "abroken.zip")
    with open_place("", table) as place:
        assert rule(place, "absent.wav") == "missing_file"
        assert place.read("z.wav", MOST) == b"zipped"
        assert rule(place, "abroken.zip/z.wav") == "damaged"


def test_a_damaged_member_of_an_archive_that_nobody_named_is_damaged(table: Path) -> None:
    path = table.parent / "more.zip"
    broken = bytearray(path.read_bytes())
    at = broken.index(b"z.wav") + 5
    broken[at : at + 4] = bytes(byte ^ 0xFF for byte in broken[at : at + 4])
    path.write_bytes(bytes(broken))
    with open_place("", table) as place:
        assert rule(place, "z.wav") == "damaged"


def test_archives_that_are_links_out_of_the_folder_are_not_looked_into(table: Path) -> None:
    (table.parent / "more.zip").unlink()
    (table.parent / "linked.zip").symlink_to(table.parent.parent / "outside.zip")
    with open_place("", table) as place:
        assert rule(place, "z.wav") == "missing_file"


def test_threads_share_one_archive(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    several = 4

    class Slow(ZipPlace):
        def __init__(self, path: Path) -> None:
            opened.append(path)
            sleep(0.05)
            super().__init__(path)

    monkeypatch.setattr("galeno.media.places.ZipPlace", Slow)
    with open_place("", table) as place, ThreadPoolExecutor(several) as pool:
        read = list(pool.map(lambda _: place.read("more.zip/z.wav", MOST), range(several)))
    assert read == [b"zipped"] * several
    assert len(opened) == 1
