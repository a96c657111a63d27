"""Field encryption: every sealed value under its patient's own key, bound to the place where it lies.

AES-256-GCM (NIST SP 800-38D) with a random nonce of 96 bits; a key seals far fewer than the 2^32 values
that section 8.3 allows for such nonces. A sealed value is `version (1 byte) | nonce (12) | ciphertext and
tag`. Its place (table, column, row, patient) is authenticated with it, so that a value which was moved to
another row or patient does not open.
"""

import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping
from os import urandom

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from galeno.errors import InputError, KeyRingError
from galeno.storage.keys import KEY_LENGTH, KeyRing
from galeno.storage.vault import Vault, WrappedKey

_VERSION = b"\x01"
_NONCE = 12
_HEAD = len(_VERSION) + _NONCE
_CACHE = 20_000
"""Patients whose keys are kept in memory; about 0.6 kB each."""


class PatientKey:
    """Seals and opens the values of one patient.

    Args:
        patient: pseudonym.
        key: 32 bytes.
        fresh: whether the key was just made.
    """

    __slots__ = ("_aead", "_tail", "fresh", "patient")

    def __init__(self, patient: str, key: bytes, *, fresh: bool = False) -> None:
        self.patient = patient
        self.fresh = fresh
        self._aead = AESGCM(key)
        self._tail = _join(patient)

    def seal(self, data: bytes, table: str, column: str, row_id: str) -> bytes:
        """Encrypt a value for its place; it opens nowhere else."""
        nonce = urandom(_NONCE)
        return _VERSION + nonce + self._aead.encrypt(nonce, data, _join(table, column, row_id) + self._tail)

    def open(self, blob: bytes, table: str, column: str, row_id: str) -> bytes:
        """Decrypt a value that was sealed for this place.

        Raises:
            KeyRingError: it was sealed for another place or patient, under a key that was destroyed since,
                or was changed.
        """
        try:
            return _open(self._aead, blob, _join(table, column, row_id) + self._tail)
        except InvalidTag:
            raise KeyRingError(
                "a sealed value does not open: it was changed, moved, or its key was destroyed",
                where=f"{table}.{column} of {row_id}",
            ) from None


class Cipher:
    """Pseudonyms, and the keys of patients. One a process; threads may share it.

    Keys are kept in memory; those of an erased patient until the vault's epoch is looked at next, which
    is before every use.

    Args:
        ring: the master keys.
        vault: the patients' keys.
    """

    def __init__(self, ring: KeyRing, vault: Vault) -> None:
        self.ring = ring
        self.vault = vault
        inputs = hmac.digest(ring.audit_key, b"galeno input hash", hashlib.sha256)
        self._inputs = hmac.new(inputs, digestmod=hashlib.sha256)
        self._names = hmac.new(ring.pseudonym_key, digestmod=hashlib.sha256)
        self._turn = threading.Lock()
        self._epoch = -1
        self._known: OrderedDict[str, PatientKey] = OrderedDict()

    def pseudonym(self, patient_id: str) -> str:
        """The name of a patient wherever the id must not stand: `pt_` and 32 hex digits.

        Args:
            patient_id: the hospital's id, taken as it is.

        Raises:
            InputError: the id is not a text that can be written as UTF-8.
        """
        try:
            data = patient_id.encode()
        except UnicodeEncodeError:
            raise InputError([("patient_id", "is not a valid text")]) from None
        return "pt_" + _keyed_hash(self._names, data)

    def input_hash(self, data: bytes) -> str:
        """32 hex digits by which the same input is known again; nobody can try inputs without the key."""
        return _keyed_hash(self._inputs, data)

    def begin(self, patients: Mapping[str, str | None]) -> dict[str, PatientKey]:
        """Keys of patients, made and durable where they were missing.

        Args:
            patients: pseudonyms; what they map to is not looked at.

        Returns:
            pseudonym -> key. One that was made by this very call is `fresh`.

        Raises:
            KeyRingError: the file of keys is gone, damaged, or does not fit the vault.
            JournalError: the vault does not answer.
        """
        self.ring.reload_if_changed()
        found, epoch = self._find(patients)
        missing = [patient for patient in patients if patient not in found]
        if missing:
            made = self._make(missing)
            self._keep(made, epoch)
            found |= made
        return found

    def find(self, patients: Collection[str]) -> dict[str, PatientKey]:
        """Keys of patients as far as they have one: to open many values with one look at the vault.

        Args:
            patients: pseudonyms.

        Returns:
            pseudonym -> key; patients who were erased, or never seen, are not in it.

        Raises:
            KeyRingError: the file of keys is gone, damaged, or does not fit the vault.
            JournalError: the vault does not answer.
        """
        return self._find(patients)[0]

    def open(self, patient: str, blob: bytes, table: str, column: str, row_id: str) -> bytes:
        """Decrypt a value.

        Args:
            patient: pseudonym.
            blob: the sealed value.
            table: where it lies.
            column: where it lies.
            row_id: where it lies.

        Raises:
            KeyRingError: the patient's key was destroyed, or the value was changed or moved.
            JournalError: the vault does not answer.
        """
        key = self.find((patient,)).get(patient)
        if key is None:
            raise KeyRingError("the patient's key was destroyed", where=f"{table}.{column} of {row_id}")
        return key.open(blob, table, column, row_id)

    def destroy(self, patient: str) -> bool:
        """Destroy a patient's key, for all processes: nothing that it sealed opens any more.

        Args:
            patient: pseudonym.

        Returns:
            whether there was one.

        Raises:
            JournalError: the vault does not answer.
        """
        done = self.vault.destroy(patient)
        with self._turn:
            self._known.pop(patient, None)
        return done

    def _find(self, patients: Collection[str]) -> tuple[dict[str, PatientKey], int]:
        """Keys from memory, else from the vault, and the epoch they are of."""
        epoch = self.vault.epoch()
        found: dict[str, PatientKey] = {}
        with self._turn:
            if epoch != self._epoch:
                self._known.clear()
                self._epoch = epoch
            for patient in patients:
                key = self._known.get(patient)
                if key is not None:
                    self._known.move_to_end(patient)
                    found[patient] = key
        missing = [patient for patient in patients if patient not in found]
        if missing:
            read = {
                patient: PatientKey(patient, self._unwrap(WrappedKey(patient, *wrapped)))
                for patient, wrapped in self.vault.get(missing).items()
            }
            self._keep(read, epoch)
            found |= read
        return found, epoch

    def _make(self, patients: Collection[str]) -> dict[str, PatientKey]:
        """Make keys; where another process was faster, its key is taken."""
        made = {patient: secrets.token_bytes(KEY_LENGTH) for patient in patients}
        stored = self._put(made)
        keys: dict[str, PatientKey] = {}
        for patient, wrapped in stored.items():
            key = self._unwrap(WrappedKey(patient, *wrapped))
            keys[patient] = PatientKey(patient, key, fresh=hmac.compare_digest(key, made[patient]))
        return keys

    def _put(self, made: Mapping[str, bytes]) -> dict[str, tuple[str, bytes]]:
        while True:
            keys = self.ring.keys
            master = AESGCM(keys.wrapping[keys.current])
            rows = [wrap(master, patient, keys.current, key) for patient, key in made.items()]
            try:
                return self.vault.put(rows, keys)
            except KeyRingError:
                # A rotation may have ended since the ring was read.
                self.ring.reload_if_changed()
                if self.ring.keys is keys:
                    raise

    def _unwrap(self, wrapped: WrappedKey) -> bytes:
        if wrapped.kid not in self.ring.keys.wrapping:
            self.ring.reload_if_changed()
        return unwrap(AESGCM(self.ring.key(wrapped.kid)), wrapped)

    def _keep(self, keys: Mapping[str, PatientKey], epoch: int) -> None:
        """Remember keys, unless an erasure came in between: one of them may be the erased patient's."""
        with self._turn:
            if epoch != self._epoch:
                return
            for patient, key in keys.items():
                self._known[patient] = key
            while len(self._known) > _CACHE:
                self._known.popitem(last=False)


def wrap(master: AESGCM, patient: str, kid: str, key: bytes) -> WrappedKey:
    """Seal a patient's key under a master key.

    Args:
        master: the master key.
        patient: pseudonym.
        kid: the master key's id.
        key: 32 bytes.
    """
    nonce = urandom(_NONCE)
    sealed = master.encrypt(nonce, key, _join("vault", patient, kid))
    return WrappedKey(patient, kid, _VERSION + nonce + sealed)


def unwrap(master: AESGCM, wrapped: WrappedKey) -> bytes:
    """A patient's key from the vault.

    Args:
        master: the master key with the id that `wrapped` names.
        wrapped: the key as it lies in the vault.

    Raises:
        KeyRingError: the key was changed, is another patient's, or another master key wrapped it.
    """
    try:
        return _open(master, wrapped.wrapped, _join("vault", wrapped.patient, wrapped.kid))
    except InvalidTag:
        raise KeyRingError(
            "a key in the vault does not open with the file of keys",
            where=f"{wrapped.patient} under {wrapped.kid}",
            remedy="Use the file of keys that belongs to this vault",
        ) from None


def _open(aead: AESGCM, blob: bytes, place: bytes) -> bytes:
    if blob[:1] != _VERSION or len(blob) < _HEAD:
        raise InvalidTag
    return aead.decrypt(blob[1:_HEAD], blob[_HEAD:], place)


def _keyed_hash(keyed: hmac.HMAC, data: bytes) -> str:
    """32 hex digits of an HMAC-SHA256. Unlike `hmac.digest`, a copy does not let go of the interpreter for
    short data, which costs the event loop milliseconds when the journal's thread takes it.
    """
    copy = keyed.copy()
    copy.update(data)
    return copy.hexdigest()[:32]


def _join(*parts: str) -> bytes:
    """Texts as bytes that no other texts give: each with its length before it."""
    data = [part.encode() for part in parts]
    return b"".join([len(part).to_bytes(4, "big") + part for part in data])
