"""The vault of patients' keys, on SQLite and PostgreSQL."""

import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from galeno.errors import JournalError, KeyRingError
from galeno.storage.keys import KeyRing
from galeno.storage.vault import Vault, WrappedKey


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    return KeyRing.create(tmp_path / "keys.json")


def _rows(*patients: str, kid: str = "k1", wrapped: bytes = b"w") -> list[WrappedKey]:
    return [WrappedKey(patient, kid, wrapped + patient.encode()) for patient in patients]


def test_puts_and_gets(fresh_journal_url: str, ring: KeyRing) -> None:
    vault = Vault(fresh_journal_url)
    assert vault.epoch() == 0
    assert vault.get(["pt_a"]) == {}
    assert vault.count() == 0
    assert vault.standing() is None
    assert vault.put(_rows("pt_b", "pt_a"), ring.keys) == {"pt_a": ("k1", b"wpt_a"), "pt_b": ("k1", b"wpt_b")}
    assert vault.get(["pt_a", "pt_x"]) == {"pt_a": ("k1", b"wpt_a")}
    assert vault.get([]) == {}
    assert vault.count() == vault.count("k1") == 2
    assert vault.count("k2") == 0
    assert vault.standing() == "k1"
    vault.close()
    again = Vault(fresh_journal_url)
    assert again.get(["pt_b"]) == {"pt_b": ("k1", b"wpt_b")}
    again.close()


def test_the_first_key_stands(fresh_journal_url: str, ring: KeyRing) -> None:
    vault = Vault(fresh_journal_url)
    vault.put(_rows("pt_a"), ring.keys)
    stored = vault.put(_rows("pt_a", "pt_b", wrapped=b"late"), ring.keys)
    assert stored == {"pt_a": ("k1", b"wpt_a"), "pt_b": ("k1", b"latept_b")}
    vault.close()


def test_many_keys(fresh_journal_url: str, ring: KeyRing) -> None:
    vault = Vault(fresh_journal_url)
    patients = [f"pt_{number:04}" for number in range(1203)]
    assert len(vault.put(_rows(*patients), ring.keys)) == 1203
    assert sorted(vault.get(patients)) == patients
    vault.close()


def test_destroys(fresh_journal_url: str, ring: KeyRing) -> None:
    vault, other = Vault(fresh_journal_url), Vault(fresh_journal_url)
    vault.put(_rows("pt_a", "pt_b"), ring.keys)
    assert other.epoch() == 0
    assert vault.destroy("pt_a")
    assert other.epoch() == 1
    assert sorted(other.get(["pt_a", "pt_b"])) == ["pt_b"]
    assert not other.destroy("pt_a")
    assert vault.epoch() == 2
    vault.close()
    other.close()


def test_leaves_no_bytes_of_a_destroyed_key(tmp_path: Path, ring: KeyRing) -> None:
    vault = Vault(f"sqlite:///{tmp_path}/vault.db")
    reader = Vault(f"sqlite:///{tmp_path}/vault.db")
    vault.put(_rows("pt_secret", "pt_b", wrapped=b"MARKER"), ring.keys)
    assert reader.count() == 2
    vault.destroy("pt_secret")
    for path in tmp_path.glob("vault.db*"):
        assert b"MARKERpt_secret" not in path.read_bytes(), path.name
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b"MARKERpt_b" in (tmp_path / "vault.db").read_bytes()
    vault.close()
    reader.close()


def test_stale_goes_on_where_it_stopped(fresh_journal_url: str, ring: KeyRing) -> None:
    vault = Vault(fresh_journal_url)
    vault.put(_rows("pt_a", "pt_b", "pt_c"), ring.keys)
    assert [row.patient for row in vault.stale("k2", 2)] == ["pt_a", "pt_b"]
    assert [row.patient for row in vault.stale("k2", 2, "pt_b")] == ["pt_c"]
    assert vault.stale("k1", 2) == []
    vault.close()


def test_rewraps_only_what_is_still_the_same(fresh_journal_url: str, ring: KeyRing) -> None:
    vault = Vault(fresh_journal_url)
    old = _rows("pt_a", "pt_b", "pt_c")
    new = _rows("pt_a", "pt_b", "pt_c", kid="k2", wrapped=b"n")
    vault.put(old, ring.keys)
    vault.destroy("pt_b")
    vault.destroy("pt_c")
    vault.put(_rows("pt_c", wrapped=b"another"), ring.keys)
    assert vault.rewrap(list(zip(old, new, strict=True))) == 1
    assert vault.get(["pt_a", "pt_b", "pt_c"]) == {
        "pt_a": ("k2", b"npt_a"),
        "pt_c": ("k1", b"anotherpt_c"),
    }
    vault.close()


def test_knows_its_ring(fresh_journal_url: str, ring: KeyRing, tmp_path: Path) -> None:
    vault = Vault(fresh_journal_url)
    vault.put(_rows("pt_a"), ring.keys)
    other = KeyRing.create(tmp_path / "other.json")
    with pytest.raises(KeyRingError, match="not the one that belongs"):
        vault.put(_rows("pt_b"), other.keys)
    with pytest.raises(KeyRingError, match="not the one that belongs"):
        vault.finish(other)
    with pytest.raises(KeyRingError, match="not the one that belongs"), vault.alone(other):
        pass
    assert vault.count() == 1
    vault.close()


def test_takes_no_old_ring_after_a_rotation(fresh_journal_url: str, ring: KeyRing) -> None:
    vault = Vault(fresh_journal_url)
    old = ring.keys
    vault.put(_rows("pt_a"), old)
    ring.add()
    # The rotation has begun, not ended: both may be used.
    vault.put(_rows("pt_b"), old)
    vault.put(_rows("pt_c", kid="k2"), ring.keys)
    assert not vault.finish(ring)
    rows = vault.stale("k2", 9)
    vault.rewrap([(row, row._replace(kid="k2")) for row in rows])
    assert vault.finish(ring)
    assert vault.standing() == "k2"
    with pytest.raises(KeyRingError, match="older than the last rotation"):
        vault.put(_rows("pt_d"), old)
    assert vault.count() == 3
    vault.close()


def test_alone_keeps_others_from_putting(fresh_journal_url: str, ring: KeyRing) -> None:
    vault, other = Vault(fresh_journal_url), Vault(fresh_journal_url)
    other.put(_rows("pt_a"), ring.keys)
    with ThreadPoolExecutor(1) as pool:
        with vault.alone(ring) as finished:
            assert finished == "k1"
            waiting = pool.submit(other.put, _rows("pt_b"), ring.keys)
            threading.Event().wait(0.2)
            assert not waiting.done()
            assert vault.count() == 1
        assert len(waiting.result(10)) == 1
    vault.close()
    other.close()


def test_many_set_it_up_at_once(fresh_journal_url: str, ring: KeyRing) -> None:
    vaults = [Vault(fresh_journal_url) for _ in range(6)]
    start = threading.Barrier(len(vaults))

    def put(number: int) -> dict[str, tuple[str, bytes]]:
        start.wait()
        return vaults[number].put(_rows("pt_a", "pt_b", wrapped=bytes([number])), ring.keys)

    with ThreadPoolExecutor(len(vaults)) as pool:
        answers = list(pool.map(put, range(len(vaults))))
    assert all(answer == answers[0] for answer in answers)
    assert vaults[0].count() == 2
    for vault in vaults:
        vault.close()


def test_a_vault_that_cannot_be_opened(tmp_path: Path, ring: KeyRing) -> None:
    vault = Vault(f"sqlite:///{tmp_path}/absent/vault.db")
    for use in (vault.epoch, vault.count, vault.sweep, lambda: vault.put(_rows("pt_a"), ring.keys)):
        with pytest.raises(JournalError) as caught:
            use()
        assert "pt_a" not in str(caught.value)
    (tmp_path / "absent").mkdir()
    assert vault.epoch() == 0
    vault.close()
