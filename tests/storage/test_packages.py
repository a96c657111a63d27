"""Sealed folders: any changed byte is found, nothing outside is reached."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.errors import PackageError
from galeno.storage.packages import MANIFEST, check_name, read_manifest, seal, verify

ABOUT = {"study": "thyroid", "classes": ["sano", "hipotiroidismo"], "galeno": "0.1.0"}


def make(folder: Path, **more: bytes) -> str:
    files = {
        "model.json": b'{"members": 1}\n',
        "members/0.onnx": bytes(range(256)),
        "provenance.json": b"{}\n",
    }
    for name, content in {**files, **more}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return seal(folder, ["model.json", "members/0.onnx"], ABOUT)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    make(tmp_path / "package")
    return tmp_path / "package"


def test_a_sealed_package_verifies(package: Path) -> None:
    manifest = verify(package)
    assert set(manifest.files) == {"model.json", "members/0.onnx", "provenance.json"}
    assert manifest.about == ABOUT
    assert not manifest.files["provenance.json"].identity
    assert read_manifest(package) == manifest


def test_same_content_same_bytes(tmp_path: Path) -> None:
    assert make(tmp_path / "one") == make(tmp_path / "two")
    assert (tmp_path / "one" / MANIFEST).read_bytes() == (tmp_path / "two" / MANIFEST).read_bytes()


def test_sealing_again_changes_nothing(package: Path) -> None:
    before = (package / MANIFEST).read_bytes()
    make(package)
    assert (package / MANIFEST).read_bytes() == before


def test_provenance_is_sealed_but_not_identity(tmp_path: Path) -> None:
    one = make(tmp_path / "one")
    two = make(tmp_path / "two", **{"provenance.json": b'{"run": "x"}\n'})
    assert one == two
    assert read_manifest(tmp_path / "one").seal != read_manifest(tmp_path / "two").seal


@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_any_flipped_bit_is_found(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "package"
        make(folder)
        path = folder / data.draw(
            st.sampled_from([MANIFEST, MANIFEST, "model.json", "members/0.onnx", "provenance.json"])
        )
        content = bytearray(path.read_bytes())
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] ^= data.draw(st.integers(1, 255))
        path.write_bytes(content)
        with pytest.raises(PackageError, match=path.name.replace(".", r"\.")):
            verify(folder)


def test_every_byte_of_the_manifest_counts(package: Path) -> None:
    path = package / MANIFEST
    content = path.read_bytes()
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 0x01
        path.write_bytes(changed)
        with pytest.raises(PackageError):
            read_manifest(package)


@pytest.mark.parametrize("cut", [0, 1, 100])
def test_truncated_or_longer_files_are_found(package: Path, cut: int) -> None:
    for name in ("members/0.onnx", MANIFEST):
        content = (package / name).read_bytes()
        (package / name).write_bytes(content[:cut])
        with pytest.raises(PackageError, match=Path(name).name):
            verify(package)
        (package / name).write_bytes(content + b"\n")
        with pytest.raises(PackageError, match=Path(name).name):
            verify(package)
        (package / name).write_bytes(content)


def test_missing_and_extra_files_are_named(package: Path) -> None:
    (package / "notes.txt").write_text("x")
    with pytest.raises(PackageError, match=r"notes\.txt.*does not belong.*Remove it"):
        verify(package)
    (package / "notes.txt").unlink()
    (package / "members" / "0.onnx").unlink()
    with pytest.raises(PackageError, match=r"0\.onnx.*missing.*undamaged copy"):
        verify(package)


def test_no_package_there(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "absent"):
        with pytest.raises(PackageError, match=r"no package there.*galeno run"):
            verify(place)


def test_links_and_special_files_are_refused(package: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    shutil.move(package / "model.json", outside)
    (package / "model.json").symlink_to(outside)
    with pytest.raises(PackageError, match=r"model\.json.*plain files"):
        verify(package)
    with pytest.raises(PackageError, match="plain files"):
        seal(package, [], ABOUT)
    (package / "model.json").unlink()
    shutil.move(outside, package / "model.json")
    (package / "folder").symlink_to(tmp_path)
    with pytest.raises(PackageError, match="plain files"):
        verify(package)
    (package / "folder").unlink()
    os.mkfifo(package / "pipe")
    with pytest.raises(PackageError, match="plain files"):
        verify(package)


def test_a_manifest_that_is_a_link_is_refused(package: Path, tmp_path: Path) -> None:
    shutil.move(package / MANIFEST, tmp_path / "elsewhere.json")
    (package / MANIFEST).symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(PackageError, match="plain file"):
        verify(package)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../x",
        "/etc/passwd",
        "a/../../x",
        "a//b",
        "./a",
        "a\\b",
        "c:x",
        "a\nb",
        "a\0b",
        MANIFEST,
        " a",
        "a/",
    ],
)
def test_names_that_leave_the_package_are_refused(package: Path, name: str) -> None:
    """Even in a manifest whose hashes are all right."""
    assert not check_name(name)
    with pytest.raises(PackageError):
        seal(package, [name], ABOUT)
    from galeno.storage.packages import _canonical, _hash_identity, _hash_json

    body = json.loads((package / MANIFEST).read_bytes())
    body["files"][name] = body["files"]["model.json"]
    del body["seal"]
    body["package_sha256"] = _hash_identity(body)
    body["seal"] = _hash_json(body)
    (package / MANIFEST).write_bytes(_canonical(body))
    with pytest.raises(PackageError, match="manifest"):
        verify(package)


def test_another_format_says_update(package: Path) -> None:
    path = package / MANIFEST
    path.write_bytes(path.read_bytes().replace(b'"format": 1', b'"format": 2'))
    with pytest.raises(PackageError, match=r"format 1.*Update galeno"):
        verify(package)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff\xfe", b"[" * 100_000, b'{"format": 1}'])
def test_a_manifest_that_is_none(package: Path, content: bytes) -> None:
    (package / MANIFEST).write_bytes(content)
    with pytest.raises(PackageError, match="manifest"):
        verify(package)


def test_about_must_be_json(package: Path) -> None:
    for about in ({"x": float("nan")}, {"x": {1, 2}}):
        with pytest.raises(PackageError, match="plain JSON"):
            seal(package, [], about)
