"""Rotation beside running services, erasures and kills."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from galeno.errors import KeyRingError
from galeno.progress import Silent
from galeno.storage.cipher import Cipher
from galeno.storage.keys import KeyRing, Keys
from galeno.storage.rotation import rotate
from galeno.storage.vault import Vault, WrappedKey

PLACE = ("diagnoses", "record", "dx_1")


@pytest.fixture
def cipher(fresh_journal_url: str, tmp_path: Path) -> Iterator[Cipher]:
    """A cipher with a vault of its own, on SQLite and PostgreSQL."""
    vault = Vault(fresh_journal_url)
    yield Cipher(KeyRing.create(tmp_path / "keys.json"), vault)
    vault.close()


def _second(cipher: Cipher, url: str) -> Cipher:
    return Cipher(KeyRing.open(cipher.ring.path), Vault(url))


def _fill(cipher: Cipher, number: int, prefix: str = "pt_") -> dict[str, bytes]:
    keys = cipher.begin({f"{prefix}{n:05}": None for n in range(number)})
    return {patient: key.seal(patient.encode(), *PLACE) for patient, key in keys.items()}


def _check(cipher: Cipher, sealed: dict[str, bytes]) -> None:
    keys = cipher.find(sealed)
    for patient, blob in sealed.items():
        assert keys[patient].open(blob, *PLACE) == patient.encode()


class _Log(Silent):
    def __init__(self) -> None:
        self.done: list[int] = []
        self.notes: list[str] = []

    def rows(self, done: int) -> None:
        self.done.append(done)

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_rotates(cipher: Cipher, fresh_journal_url: str) -> None:
    sealed = _fill(cipher, 25)
    log = _Log()
    done = rotate(cipher.ring, cipher.vault, log, batch=10)
    assert done == {"current": "k2", "resumed": False, "rewrapped": 25, "dropped": []}
    assert log.done == [10, 20, 25]
    assert log.notes == ["master key k2: made"]
    assert cipher.vault.count("k2") == 25
    _check(cipher, sealed)
    other = _second(cipher, fresh_journal_url)
    _check(other, sealed)
    other.vault.close()


def test_destroys_keys_before_the_previous_one(cipher: Cipher, fresh_journal_url: str) -> None:
    sealed = _fill(cipher, 3)
    backup = cipher.vault.get(sealed)
    assert rotate(cipher.ring, cipher.vault)["dropped"] == []
    assert list(cipher.ring.keys.wrapping) == ["k1", "k2"]
    assert rotate(cipher.ring, cipher.vault)["dropped"] == ["k1"]
    assert list(cipher.ring.keys.wrapping) == ["k2", "k3"]
    other = _second(cipher, fresh_journal_url)
    _check(other, sealed)
    assert {kid for kid, _ in backup.values()} == {"k1"}
    with pytest.raises(KeyRingError, match="does not hold a key"):
        other.ring.key("k1")
    other.vault.close()


def test_an_empty_vault(cipher: Cipher) -> None:
    assert rotate(cipher.ring, cipher.vault)["rewrapped"] == 0
    assert cipher.ring.current == "k2"
    _check(cipher, _fill(cipher, 2))
    assert cipher.vault.count("k2") == 2


def test_a_worker_takes_the_new_key_by_itself(cipher: Cipher, fresh_journal_url: str) -> None:
    worker = _second(cipher, fresh_journal_url)
    sealed = _fill(worker, 3)
    for round_ in range(3):
        rotate(cipher.ring, cipher.vault)
        sealed |= _fill(worker, 3, f"pt_{round_}_")
        _check(worker, sealed)
        assert worker.ring.current == cipher.ring.current == f"k{round_ + 2}"
    assert {cipher.vault.count("k2"), cipher.vault.count("k3")} == {0}
    worker.vault.close()


def test_a_rotation_that_ends_while_a_key_is_made(cipher: Cipher, fresh_journal_url: str) -> None:
    """The worker has wrapped with a key that is no longer taken, even destroyed: it does so again."""
    worker = _second(cipher, fresh_journal_url)
    _fill(worker, 1)

    class Late(Vault):
        def put(self, rows: Sequence[WrappedKey], keys: Keys) -> dict[str, tuple[str, bytes]]:
            self.__class__ = Vault  # type: ignore[assignment]
            rotate(cipher.ring, cipher.vault)
            rotate(cipher.ring, cipher.vault)
            return self.put(rows, keys)

    worker.vault.__class__ = Late
    sealed = _fill(worker, 4)
    assert cipher.vault.count("k3") == 4
    _check(cipher, sealed)
    _check(worker, sealed)
    worker.vault.close()


def test_goes_on_after_any_kill(cipher: Cipher) -> None:
    """Stopped by an error at each point where the state on the disk differs."""
    sealed = _fill(cipher, 10)

    class Stop(Exception):  # noqa: N818
        pass

    class Stopper(Silent):
        def __init__(self, note: bool, rows: int) -> None:
            self.at = (note, rows)

        def note(self, _text: str) -> None:
            if self.at[0]:
                raise Stop

        def rows(self, done: int) -> None:
            if done >= self.at[1]:
                raise Stop

    for stopper in (Stopper(True, 0), Stopper(False, 4), Stopper(False, 6)):
        with pytest.raises(Stop):
            rotate(cipher.ring, cipher.vault, stopper, batch=4)
        assert list(cipher.ring.keys.wrapping) == ["k1", "k2"]
        _check(cipher, sealed)
    # The last one had wrapped everything but not said so.
    assert cipher.vault.count("k1") == 0
    assert rotate(cipher.ring, cipher.vault) == {
        "current": "k2",
        "resumed": True,
        "rewrapped": 0,
        "dropped": [],
    }
    assert rotate(cipher.ring, cipher.vault)["current"] == "k3"


_ROTATE = """
import sys, time
from pathlib import Path
from galeno.progress import Silent
from galeno.storage.keys import KeyRing
from galeno.storage.rotation import rotate
from galeno.storage.vault import Vault

class Slow(Silent):
    def rows(self, done):
        print(done, flush=True)
        time.sleep(float(sys.argv[3]))

print(rotate(KeyRing.open(Path(sys.argv[1])), Vault(sys.argv[2]), Slow(), batch=20)["current"], flush=True)
"""


def _start(cipher: Cipher, url: str, pause: float) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", _ROTATE, str(cipher.ring.path), url, str(pause)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_goes_on_after_a_kill(cipher: Cipher, fresh_journal_url: str) -> None:
    sealed = _fill(cipher, 300)
    for _ in range(2):
        with _start(cipher, fresh_journal_url, 0.1) as process:
            assert process.stdout is not None
            while int(process.stdout.readline()) < 60:
                pass
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
    assert cipher.ring.reload_if_changed()
    assert list(cipher.ring.keys.wrapping) == ["k1", "k2"]
    assert 0 < cipher.vault.count("k1") < 240
    _check(cipher, sealed)
    left = cipher.vault.count("k1")
    done = rotate(cipher.ring, cipher.vault)
    assert done == {"current": "k2", "resumed": True, "rewrapped": left, "dropped": []}
    worker = _second(cipher, fresh_journal_url)
    _check(worker, sealed)
    worker.vault.close()


def test_beside_writers_and_erasures(cipher: Cipher, fresh_journal_url: str) -> None:
    """Two workers write and one erases while another process rotates twice."""
    workers = [_second(cipher, fresh_journal_url) for _ in range(2)]
    sealed = _fill(cipher, 200)
    gone = list(sealed)[::10]
    enough = threading.Event()

    def write(number: int) -> dict[str, bytes]:
        written: dict[str, bytes] = {}
        while not enough.is_set():
            written |= _fill(workers[number], 2, f"pt_w{number}_{len(written)}_")
            time.sleep(0.01)
        return written

    with ThreadPoolExecutor(2) as pool, _start(cipher, fresh_journal_url, 0.02) as process:
        writers = [pool.submit(write, number) for number in range(2)]
        try:
            for patient in gone:
                assert cipher.destroy(patient)
            assert process.communicate(timeout=30)[0].splitlines()[-1] == "k2"
            assert rotate(cipher.ring, cipher.vault)["dropped"] == ["k1"]
        finally:
            enough.set()
        for writer in writers:
            sealed |= writer.result(30)
    for patient in gone:
        del sealed[patient]
    assert len(sealed) == cipher.vault.count() > 190
    assert cipher.vault.count("k1") == 0
    fresh = _second(cipher, fresh_journal_url)
    for one in (*workers, fresh):
        assert one.find(gone) == {}
        _check(one, sealed)
    for one in (*workers, fresh):
        one.vault.close()


def test_two_rotations_at_once_make_one_key(cipher: Cipher, fresh_journal_url: str) -> None:
    sealed = _fill(cipher, 100)
    with _start(cipher, fresh_journal_url, 0.2) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert rotate(cipher.ring, cipher.vault)["resumed"]
        assert process.communicate(timeout=30)[0].splitlines()[-1] == "k2"
    assert list(cipher.ring.keys.wrapping) == ["k1", "k2"]
    _check(cipher, sealed)


def test_a_damaged_key_does_not_keep_the_others_back(cipher: Cipher) -> None:
    sealed = _fill(cipher, 6)
    with cipher.vault.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE keys SET kid = 'k9' WHERE patient = 'pt_00002'")
        connection.exec_driver_sql(
            "UPDATE keys SET wrapped = (SELECT wrapped FROM keys WHERE patient = 'pt_00000')"
            " WHERE patient = 'pt_00004'"
        )
    for _ in range(2):
        with pytest.raises(KeyRingError, match="2 of the patients' keys do not open"):
            rotate(cipher.ring, cipher.vault, batch=2)
        assert list(cipher.ring.keys.wrapping) == ["k1", "k2"]
    assert cipher.vault.count("k2") == 4
    for patient in ("pt_00002", "pt_00004"):
        cipher.destroy(patient)
        del sealed[patient]
    assert rotate(cipher.ring, cipher.vault)["resumed"]
    _check(cipher, sealed)


def test_another_ring_rotates_nothing(cipher: Cipher, tmp_path: Path) -> None:
    _fill(cipher, 2)
    other = KeyRing.create(tmp_path / "other.json")
    with pytest.raises(KeyRingError, match="not the one that belongs"):
        rotate(other, cipher.vault)
    assert other.current == "k1"
    assert cipher.vault.count("k1") == 2
