"""The ring of master keys: one file, readable by its owner only, that everything sealed hangs on.

It holds the key of the pseudonyms, the key of the audit trail, and the numbered keys (k1, k2, ...) that
wrap the patients' own keys in the vault. The highest number is the current one. The first two never
change: with another pseudonym key no patient would be found again.
"""

import base64
import binascii
import hashlib
import hmac
import json
import os
import re
import secrets
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from galeno.errors import KeyRingError
from galeno.storage.atomic import replacing

FORMAT = 1
KEY_LENGTH = 32
"""Bytes of each key: AES-256 and HMAC-SHA256."""

_KID = re.compile(r"k[1-9][0-9]{0,8}")
_RESTORE = "Restore it from its backup; without it nothing that is sealed can be opened"


@dataclass(frozen=True, slots=True)
class Keys:
    """What the file held when it was read.

    Attributes:
        pseudonym: 32 bytes, makes pseudonyms of patient ids.
        audit: 32 bytes, seals the audit trail.
        current: id of the key that wraps now; the highest one.
        wrapping: 32 bytes by key id.
    """

    pseudonym: bytes = field(repr=False)
    audit: bytes = field(repr=False)
    current: str
    wrapping: Mapping[str, bytes] = field(repr=False)

    def mark(self, kid: str) -> bytes:
        """A value by which a vault knows its ring again; it gives nothing away of the keys.

        Raises:
            KeyError: no such key.
        """
        message = b"galeno vault mark|" + kid.encode() + b"|" + self.pseudonym + self.audit
        return hmac.digest(self.wrapping[kid], message, hashlib.sha256)

    @property
    def previous(self) -> str | None:
        """The key before the current one; None for a ring of one key."""
        older = [kid for kid in self.wrapping if kid != self.current]
        return max(older, key=_number) if older else None


class KeyRing:
    """The ring behind a file; threads may share it.

    What was read stays in use until `reload_if_changed` or a change by this object.

    Args:
        path: the file.

    Raises:
        KeyRingError: there is no such file, others may read it, or it is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._turn = threading.Lock()
        self._keys, self._seen = _read(path)

    @classmethod
    def open(cls, path: Path) -> "KeyRing":
        """The ring in a file.

        Raises:
            KeyRingError: there is no such file, others may read it, or it is damaged.
        """
        return cls(path)

    @classmethod
    def create(cls, path: Path) -> "KeyRing":
        """Make a file with new random keys. It appears whole, and never over another.

        Raises:
            KeyRingError: the file is there already, or cannot be made.
        """
        keys = Keys(
            pseudonym=secrets.token_bytes(KEY_LENGTH),
            audit=secrets.token_bytes(KEY_LENGTH),
            current="k1",
            wrapping={"k1": secrets.token_bytes(KEY_LENGTH)},
        )
        if not _create(path, _to_json(keys)):
            raise KeyRingError(
                "the file of keys is there already",
                where=str(path),
                remedy="Use it, or move it away if nothing was sealed with it",
            )
        return cls(path)

    @classmethod
    def open_or_create(cls, path: Path, *, data_exists: bool) -> "KeyRing":
        """The ring in a file, made now if it is not there. Several processes may do so at once.

        Args:
            path: the file.
            data_exists: whether something was sealed before; new keys could not open it, so none are made.

        Raises:
            KeyRingError: as `open` and `create` do, and where data is there but its keys are not.
        """
        if path.exists():
            return cls(path)
        if data_exists:
            raise KeyRingError(
                "the file of keys is missing, and there is data that needs it",
                where=str(path),
                remedy=_RESTORE,
            )
        try:
            return cls.create(path)
        except KeyRingError:
            # Another process was faster.
            if path.exists():
                return cls(path)
            raise

    @property
    def keys(self) -> Keys:
        """What is in use now, as one thing: `current` and the rest always fit together."""
        return self._keys

    @property
    def pseudonym_key(self) -> bytes:
        """Makes pseudonyms, 32 bytes."""
        return self._keys.pseudonym

    @property
    def audit_key(self) -> bytes:
        """Seals the audit trail, 32 bytes."""
        return self._keys.audit

    @property
    def current(self) -> str:
        """Id of the key that wraps now."""
        return self._keys.current

    def key(self, kid: str) -> bytes:
        """A wrapping key, 32 bytes.

        Raises:
            KeyRingError: the ring does not hold it.
        """
        try:
            return self._keys.wrapping[kid]
        except KeyError:
            raise KeyRingError(
                "the file of keys does not hold a key that data was sealed with",
                where=f"{self.path}: {kid}",
                remedy="Use the file of keys that belongs to this vault, in its newest state",
            ) from None

    def reload_if_changed(self) -> bool:
        """Read the file again if it is another one by now; costs a look at its entry in the folder.

        Returns:
            whether it was read again.

        Raises:
            KeyRingError: the file is gone, others may read it, it is damaged, or it is of another home.
        """
        try:
            if _look(os.stat(self.path)) == self._seen:  # noqa: PTH116  # a Path's costs twice as much
                return False
        except OSError as error:
            raise _unreadable(self.path, error) from None
        with self._turn:
            keys, seen = _read(self.path)
            self._check_same(keys)
            self._keys, self._seen = keys, seen
        return True

    def add(self) -> str:
        """Make a new key and make it the current one; the old ones stay.

        Two processes must not do so at once; `rotation.rotate` sees to that.

        Returns:
            its id.

        Raises:
            KeyRingError: as `reload_if_changed`.
            OutputError: the file cannot be written.
        """
        with self._turn:
            keys, _ = _read(self.path)
            self._check_same(keys)
            kid = f"k{_number(keys.current) + 1}"
            wrapping = {**keys.wrapping, kid: secrets.token_bytes(KEY_LENGTH)}
            self._write(Keys(keys.pseudonym, keys.audit, kid, wrapping))
        return kid

    def drop(self, kid: str) -> None:
        """Destroy a key: what is wrapped with it can never be opened again, not from a backup either.

        Args:
            kid: its id; nothing happens if the ring does not hold it.

        Raises:
            KeyRingError: it is the current one, or as `reload_if_changed`.
            OutputError: the file cannot be written.
        """
        with self._turn:
            keys, _ = _read(self.path)
            self._check_same(keys)
            if kid == keys.current:
                raise KeyRingError("the current key cannot be dropped", where=f"{self.path}: {kid}")
            wrapping = {other: key for other, key in keys.wrapping.items() if other != kid}
            self._write(Keys(keys.pseudonym, keys.audit, keys.current, wrapping))

    def _write(self, keys: Keys) -> None:
        with replacing(self.path, mode=0o600) as temporary:
            temporary.write_bytes(_to_json(keys))
        self._keys, self._seen = _read(self.path)

    def _check_same(self, keys: Keys) -> None:
        same = hmac.compare_digest(keys.pseudonym, self._keys.pseudonym)
        if not (same and hmac.compare_digest(keys.audit, self._keys.audit)):
            raise KeyRingError(
                "the file of keys was exchanged for another one", where=str(self.path), remedy=_RESTORE
            )


def _number(kid: str) -> int:
    return int(kid[1:])


def _look(entry: os.stat_result) -> tuple[int, int, int, int]:
    return entry.st_ino, entry.st_mtime_ns, entry.st_size, entry.st_mode


def _unreadable(path: Path, error: OSError) -> KeyRingError:
    if isinstance(error, FileNotFoundError):
        return KeyRingError("the file of keys is missing", where=str(path), remedy=_RESTORE)
    return KeyRingError(f"the file of keys cannot be read ({error.strerror})", where=str(path))


def _read(path: Path) -> tuple[Keys, tuple[int, int, int, int]]:
    """The keys in a file, and by what to see that it is still the same file."""
    try:
        with path.open("rb") as stream:
            entry = os.fstat(stream.fileno())
            content = stream.read()
    except OSError as error:
        raise _unreadable(path, error) from None
    # Windows knows no such bits; there the folder's access list has to do it.
    if os.name == "posix" and entry.st_mode & 0o077:
        raise KeyRingError(
            "others than its owner may read or write the file of keys",
            where=str(path),
            remedy="Take their rights away with chmod 600; if others had access, rotate the keys",
        )
    try:
        keys = _from_json(json.loads(content))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        keys = None
    if keys is None:
        raise KeyRingError(
            "the file of keys is damaged or of another format", where=str(path), remedy=_RESTORE
        )
    return keys, _look(entry)


def _from_json(value: Any) -> Keys | None:
    """The keys in the file's JSON; None, or an error of Python's, where it is not as it should be."""
    wrapping = {kid: _decode(key) for kid, key in value["keys"].items()}
    current = value["current"]
    whole = all(_KID.fullmatch(kid) for kid in wrapping) and current in wrapping
    if value["format"] != FORMAT or not whole or current != max(wrapping, key=_number):
        return None
    return Keys(_decode(value["pseudonym"]), _decode(value["audit"]), current, MappingProxyType(wrapping))


def _decode(text: str) -> bytes:
    key = base64.b64decode(text, validate=True)
    if len(key) != KEY_LENGTH:
        raise binascii.Error("not of a key's length")
    return key


def _to_json(keys: Keys) -> bytes:
    value = {
        "format": FORMAT,
        "pseudonym": base64.b64encode(keys.pseudonym).decode(),
        "audit": base64.b64encode(keys.audit).decode(),
        "current": keys.current,
        "keys": {kid: base64.b64encode(key).decode() for kid, key in keys.wrapping.items()},
    }
    return json.dumps(value, indent=2).encode() + b"\n"


def _create(path: Path, content: bytes) -> bool:
    """Make a file with this content and mode 0600, unless there is one.

    A renamed file would replace another one; a link is refused instead, and appears as whole.

    Returns:
        whether it was made.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name[:100]}.") as temporary:
            temporary.write(content)
            temporary.flush()
            os.fsync(temporary.fileno())
            os.link(temporary.name, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        if isinstance(error, FileExistsError) and path.exists():
            return False
        raise KeyRingError(
            f"the file of keys cannot be made ({error.strerror})",
            where=str(path),
            remedy="Choose a place that you may write to",
        ) from None
    return True
