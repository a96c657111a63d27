"""Sealed values open in their place, under their patient's key, and nowhere else."""

import subprocess
import sys
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.errors import InputError, KeyRingError
from galeno.storage import cipher as module
from galeno.storage.cipher import Cipher, PatientKey
from galeno.storage.keys import KeyRing
from galeno.storage.vault import Vault

PLACE = ("diagnoses", "record", "dx_1")
_TEXT = st.text(max_size=12)


@pytest.fixture
def cipher(fresh_journal_url: str, tmp_path: Path) -> Iterator[Cipher]:
    """A cipher with a vault of its own, on SQLite and PostgreSQL."""
    vault = Vault(fresh_journal_url)
    yield Cipher(KeyRing.create(tmp_path / "keys.json"), vault)
    vault.close()


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Cipher]:
    """A cipher on SQLite."""
    vault = Vault(f"sqlite:///{tmp_path}/vault.db")
    yield Cipher(KeyRing.create(tmp_path / "keys.json"), vault)
    vault.close()


def _second(cipher: Cipher, url: str) -> Cipher:
    """What another worker would have."""
    return Cipher(KeyRing.open(cipher.ring.path), Vault(url))


def _key(cipher: Cipher, patient: str) -> PatientKey:
    return cipher.begin({patient: None})[patient]


@settings(max_examples=50, deadline=None)
@given(data=st.binary(max_size=300), place=st.tuples(_TEXT, _TEXT, _TEXT), patient=_TEXT)
def test_opens_what_it_sealed(data: bytes, place: tuple[str, str, str], patient: str) -> None:
    key = PatientKey(patient, bytes(32))
    blob = key.seal(data, *place)
    assert key.open(blob, *place) == data
    assert len(blob) == len(data) + 29
    assert key.seal(data, *place) != blob


@settings(max_examples=50, deadline=None)
@given(one=st.tuples(_TEXT, _TEXT, _TEXT, _TEXT), other=st.tuples(_TEXT, _TEXT, _TEXT, _TEXT))
def test_opens_in_no_other_place(one: tuple[str, str, str, str], other: tuple[str, str, str, str]) -> None:
    blob = PatientKey(one[3], bytes(32)).seal(b"x", *one[:3])
    if one == other:
        return
    with pytest.raises(KeyRingError, match="does not open"):
        PatientKey(other[3], bytes(32)).open(blob, *other[:3])


def test_parts_of_a_place_do_not_run_into_each_other() -> None:
    key = PatientKey("p", bytes(32))
    blob = key.seal(b"x", "ab", "c", "d")
    for place in [("a", "bc", "d"), ("ab", "", "cd"), ("ab|c", "", "d"), ("ab", "c", "dp")]:
        with pytest.raises(KeyRingError):
            key.open(blob, *place)


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_opens_nothing_that_was_changed(data: st.DataObject) -> None:
    key = PatientKey("pt_a", bytes(32))
    blob = bytearray(key.seal(b"of a patient", *PLACE))
    if data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(blob) - 1))
        blob[place] ^= data.draw(st.integers(1, 255))
    else:
        del blob[data.draw(st.integers(0, len(blob) - 1)) :]
    with pytest.raises(KeyRingError, match="does not open") as caught:
        key.open(bytes(blob), *PLACE)
    assert "of a patient" not in str(caught.value)


def test_makes_each_patient_one_key(cipher: Cipher) -> None:
    first = cipher.begin({"pt_a": "a", "pt_b": None})
    assert [key.fresh for key in first.values()] == [True, True]
    blob = first["pt_a"].seal(b"1", *PLACE)
    again = cipher.begin({"pt_a": "a"})
    assert again["pt_a"].open(blob, *PLACE) == b"1"
    assert cipher.open("pt_a", blob, *PLACE) == b"1"
    with pytest.raises(KeyRingError):
        cipher.open("pt_b", blob, *PLACE)
    assert cipher.begin({}) == {}


def test_only_who_made_a_key_calls_it_fresh(cipher: Cipher, fresh_journal_url: str) -> None:
    other = _second(cipher, fresh_journal_url)
    assert _key(cipher, "pt_a").fresh
    assert not _key(other, "pt_a").fresh
    other.vault.close()


def test_finds_without_making(cipher: Cipher) -> None:
    _key(cipher, "pt_a")
    assert list(cipher.find(["pt_a", "pt_b"])) == ["pt_a"]
    assert cipher.vault.count() == 1
    with pytest.raises(KeyRingError, match="key was destroyed"):
        cipher.open("pt_b", b"", *PLACE)


def test_opens_after_a_restart(cipher: Cipher, fresh_journal_url: str) -> None:
    blob = _key(cipher, "pt_a").seal(b"1", *PLACE)
    other = _second(cipher, fresh_journal_url)
    assert other.open("pt_a", blob, *PLACE) == b"1"
    other.vault.close()


def test_erasure_reaches_a_worker_that_has_the_key(cipher: Cipher, fresh_journal_url: str) -> None:
    other = _second(cipher, fresh_journal_url)
    blob = _key(other, "pt_a").seal(b"1", *PLACE)
    kept = _key(other, "pt_b").seal(b"2", *PLACE)
    assert cipher.open("pt_a", blob, *PLACE) == b"1"
    assert cipher.destroy("pt_a")
    for one in (cipher, other):
        with pytest.raises(KeyRingError, match="the patient's key was destroyed"):
            one.open("pt_a", blob, *PLACE)
        assert one.open("pt_b", kept, *PLACE) == b"2"
    assert not cipher.destroy("pt_a")
    # Who comes back is a new patient to us: what was sealed before stays closed.
    assert _key(other, "pt_a").fresh
    with pytest.raises(KeyRingError, match="does not open"):
        cipher.open("pt_a", blob, *PLACE)
    other.vault.close()


def test_an_erasure_in_between_is_not_remembered_over(local: Cipher, tmp_path: Path) -> None:
    """A thread that read a key just before it was destroyed must not bring it back to memory."""
    other = _second(local, f"sqlite:///{tmp_path}/vault.db")
    _key(other, "pt_a")

    class Interrupted(Vault):
        def get(self, patients: Collection[str]) -> dict[str, tuple[str, bytes]]:
            self.__class__ = Vault  # type: ignore[assignment]
            found = self.get(patients)
            other.destroy("pt_a")
            local.find(["pt_b"])
            return found

    local.vault.__class__ = Interrupted
    assert list(local.find(["pt_a"])) == ["pt_a"]
    assert local.find(["pt_a"]) == {}
    other.vault.close()


def test_keys_swapped_in_the_vault_do_not_open(local: Cipher) -> None:
    local.begin({"pt_a": None, "pt_b": None})
    with local.vault.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE keys SET wrapped = (SELECT wrapped FROM keys AS b WHERE b.patient != keys.patient)"
        )
    fresh = Cipher(local.ring, local.vault)
    with pytest.raises(KeyRingError, match="a key in the vault does not open"):
        fresh.find(["pt_a"])


def test_another_ring_is_refused(local: Cipher, tmp_path: Path) -> None:
    blob = _key(local, "pt_a").seal(b"1", *PLACE)
    other = Cipher(KeyRing.create(tmp_path / "other.json"), local.vault)
    with pytest.raises(KeyRingError):
        other.open("pt_a", blob, *PLACE)
    with pytest.raises(KeyRingError, match="not the one that belongs"):
        other.begin({"pt_b": None})
    assert local.vault.count() == 1


def test_threads_share_one_key(cipher: Cipher, fresh_journal_url: str) -> None:
    """Two workers with several threads each meet the same new patients at once."""
    other = _second(cipher, fresh_journal_url)
    patients = [f"pt_{number}" for number in range(20)]

    def work(number: int) -> list[bytes]:
        mine = (cipher, other)[number % 2]
        order = patients if number % 3 else patients[::-1]
        keys = mine.begin(dict.fromkeys(order))
        return [keys[patient].seal(b"1", "t", "c", patient) for patient in patients]

    with ThreadPoolExecutor(6) as pool:
        blobs = list(pool.map(work, range(6)))
    for sealed in blobs:
        for patient, blob in zip(patients, sealed, strict=True):
            assert cipher.open(patient, blob, "t", "c", patient) == b"1"
    assert cipher.vault.count() == 20
    other.vault.close()


_WORKER = """
import sys
from pathlib import Path
from galeno.storage.cipher import Cipher
from galeno.storage.keys import KeyRing
from galeno.storage.vault import Vault

cipher = Cipher(KeyRing.open(Path(sys.argv[1])), Vault(sys.argv[2]))
sys.stdin.readline()
for start in range(0, 60, 5):
    keys = cipher.begin({f"pt_{number}": None for number in range(start, start + 5)})
    for patient, key in keys.items():
        print(patient, int(key.fresh), key.seal(b"1", "t", "c", patient).hex())
"""


def test_processes_share_one_key(cipher: Cipher, fresh_journal_url: str) -> None:
    command = [sys.executable, "-c", _WORKER, str(cipher.ring.path), fresh_journal_url]
    pipe = subprocess.PIPE
    processes = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(2)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    lines = [
        line.split() for process in processes for line in process.communicate(timeout=30)[0].splitlines()
    ]
    assert [process.returncode for process in processes] == [0, 0]
    assert len(lines) == 120
    assert sum(int(fresh) for _, fresh, _ in lines) == 60
    for patient, _, blob in lines:
        assert cipher.open(patient, bytes.fromhex(blob), "t", "c", patient) == b"1"


def test_memory_is_bounded(local: Cipher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CACHE", 10)
    blobs = {patient: _key(local, patient).seal(b"1", *PLACE) for patient in (f"pt_{n}" for n in range(25))}
    assert list(local._known) == [f"pt_{n}" for n in range(15, 25)]
    assert local.open("pt_0", blobs["pt_0"], *PLACE) == b"1"
    assert len(local._known) == 10
    # A group larger than the memory works, too.
    assert len(local.begin(dict.fromkeys(blobs))) == 25


def test_pseudonyms(local: Cipher, tmp_path: Path) -> None:
    name = local.pseudonym("José 7")
    assert name == local.pseudonym("José 7")
    assert name.startswith("pt_")
    assert len(name) == 35
    assert int(name[3:], 16)
    assert len({local.pseudonym(text) for text in ("", "1", "1 ", "01", "José 7", "Jose 7")}) == 6
    other = Cipher(KeyRing.create(tmp_path / "other.json"), local.vault)
    assert other.pseudonym("José 7") != name
    with pytest.raises(InputError, match="not a valid text") as caught:
        local.pseudonym("\ud800")
    assert caught.value.faults[0][0] == "patient_id"


def test_input_hashes(local: Cipher, tmp_path: Path) -> None:
    digest = local.input_hash(b"{}")
    assert len(bytes.fromhex(digest)) == 16
    assert Cipher(KeyRing.open(local.ring.path), local.vault).input_hash(b"{}") == digest
    assert local.input_hash(b"{ }") != digest
    assert Cipher(KeyRing.create(tmp_path / "other.json"), local.vault).input_hash(b"{}") != digest
    assert local.pseudonym("{}") != f"pt_{digest}"


def test_a_lost_file_of_keys_stops_new_values(local: Cipher) -> None:
    """What is sealed with keys that are in memory only could not be opened after a restart."""
    blob = _key(local, "pt_a").seal(b"1", *PLACE)
    local.ring.path.unlink()
    with pytest.raises(KeyRingError, match="is missing"):
        local.begin({"pt_a": None})
    assert local.open("pt_a", blob, *PLACE) == b"1"
