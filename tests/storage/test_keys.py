"""The ring of master keys: never lost, never shared, never made over existing data."""

import base64
import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.errors import KeyRingError
from galeno.storage.keys import KeyRing


def test_creates_and_opens(tmp_path: Path) -> None:
    made = KeyRing.create(tmp_path / "home" / "keys.json")
    ring = KeyRing.open(made.path)
    assert ring.keys == made.keys
    assert ring.current == "k1"
    material = {ring.pseudonym_key, ring.audit_key, ring.key("k1")}
    assert {len(key) for key in material} == {32}
    assert len(material) == 3
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert [path.name for path in made.path.parent.iterdir()] == ["keys.json"]


def test_file_is_as_documented(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "keys.json")
    value = json.loads(ring.path.read_bytes())
    assert list(value) == ["format", "pseudonym", "audit", "current", "keys"]
    assert value["format"] == 1
    assert base64.b64decode(value["keys"]["k1"]) == ring.key("k1")


def test_shows_no_key(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "keys.json")
    assert repr(ring.keys) == "Keys(current='k1')"
    assert ring.key("k1") not in ring.keys.mark("k1")


def test_never_overwrites(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "keys.json")
    before = ring.path.read_bytes()
    with pytest.raises(KeyRingError, match="there already"):
        KeyRing.create(ring.path)
    assert ring.path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"]


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(KeyRingError, match="is missing"):
        KeyRing.open(tmp_path / "keys.json")
    with pytest.raises(KeyRingError, match="there is data that needs it"):
        KeyRing.open_or_create(tmp_path / "keys.json", data_exists=True)
    assert list(tmp_path.iterdir()) == []
    made = KeyRing.open_or_create(tmp_path / "keys.json", data_exists=False)
    assert KeyRing.open_or_create(tmp_path / "keys.json", data_exists=True).keys == made.keys


def test_place_that_cannot_hold_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(KeyRingError, match="cannot be made"):
        KeyRing.open_or_create(tmp_path / "file" / "keys.json", data_exists=False)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_refuses_what_others_may_touch(tmp_path: Path, mode: int) -> None:
    ring = KeyRing.create(tmp_path / "keys.json")
    ring.path.chmod(mode)
    with pytest.raises(KeyRingError, match="others than its owner"):
        KeyRing.open(ring.path)
    with pytest.raises(KeyRingError, match="others than its owner"):
        ring.reload_if_changed()
    ring.path.chmod(0o400)
    assert KeyRing.open(ring.path).keys == ring.keys


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"format": None},
        {"current": "k2"},
        {"current": None},
        {"keys": {}},
        {"keys": []},
        {"keys": {"k1": "AAAA"}},
        {"keys": {"k1": 1}},
        {"keys": {"../k1": base64.b64encode(bytes(32)).decode()}, "current": "../k1"},
        # The newest key has to be the current one.
        {"keys": dict.fromkeys(("k1", "k2"), base64.b64encode(bytes(32)).decode())},
        {"pseudonym": "no base64"},
        {"pseudonym": None},
        {"audit": base64.b64encode(bytes(31)).decode()},
    ],
)
def test_refuses_a_damaged_file(tmp_path: Path, change: dict[str, object]) -> None:
    ring = KeyRing.create(tmp_path / "keys.json")
    secret = ring.path.read_bytes()
    ring.path.write_text(json.dumps(json.loads(secret) | change))
    with pytest.raises(KeyRingError, match="damaged or of another format") as caught:
        KeyRing.open(ring.path)
    assert json.loads(secret)["pseudonym"] not in str(caught.value)


@settings(max_examples=40, deadline=None)
@given(content=st.binary(max_size=60) | st.sampled_from([b"[]", b"null", b"{}", b'"x"', b"[" * 9000]))
def test_refuses_junk(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "junk.json"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyRingError, match="damaged"):
        KeyRing.open(path)


def test_reloads_only_what_changed(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "keys.json")
    other = KeyRing.open(ring.path)
    assert not other.reload_if_changed()
    assert ring.add() == "k2"
    assert other.current == "k1"
    assert other.reload_if_changed()
    assert not other.reload_if_changed()
    assert other.keys == ring.keys
    assert other.current == "k2"
    assert not ring.reload_if_changed()


def test_adds_and_drops(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "keys.json")
    first = ring.key("k1")
    assert ring.keys.previous is None
    assert [ring.add() for _ in range(10)][-1] == "k11"
    assert ring.keys.previous == "k10"
    assert ring.key("k1") == first
    ring.drop("k1")
    ring.drop("k1")
    with pytest.raises(KeyRingError, match="does not hold a key"):
        ring.key("k1")
    with pytest.raises(KeyRingError, match="current key"):
        ring.drop("k11")
    again = KeyRing.open(ring.path)
    assert again.keys == ring.keys
    assert len(again.keys.wrapping) == 10
    assert base64.b64encode(first) not in ring.path.read_bytes()
    assert stat.S_IMODE(ring.path.stat().st_mode) == 0o600


def test_adds_to_what_is_in_the_file(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "keys.json")
    other = KeyRing.open(ring.path)
    ring.add()
    assert other.add() == "k3"
    assert other.key("k2") == ring.key("k2")


def test_an_exchanged_file_is_not_taken(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "keys.json")
    before = ring.keys
    KeyRing.create(tmp_path / "other.json").path.replace(ring.path)
    for change in (ring.reload_if_changed, ring.add, lambda: ring.drop("k1")):
        with pytest.raises(KeyRingError, match="exchanged"):
            change()
    assert ring.keys == before


def test_a_file_that_vanishes_is_noticed(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "keys.json")
    ring.path.unlink()
    with pytest.raises(KeyRingError, match="is missing"):
        ring.reload_if_changed()


def test_many_processes_make_one_ring(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from galeno.storage.keys import KeyRing; "
        "sys.stdin.readline(); "
        "print(KeyRing.open_or_create(Path(sys.argv[1]), data_exists=False).keys.mark('k1').hex())"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "keys.json")]
    pipe = subprocess.PIPE
    processes = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(4)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    marks = {process.communicate(timeout=30)[0].strip() for process in processes}
    assert marks == {KeyRing.open(tmp_path / "keys.json").keys.mark("k1").hex()}
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"]
