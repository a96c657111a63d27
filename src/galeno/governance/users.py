"""Users with a key of their own: made once, shown once, kept as a hash.

A key is 256 random bits, so that its SHA-256 cannot be guessed backwards: slow hashes such as argon2 are
for passwords, which people choose, and would cost every request tens of milliseconds (NIST SP 800-63B,
5.1.2.2, asks for a salted slow hash only of secrets below 112 bits). The database finds a key by its
hash; how long that takes tells nothing about the key.
"""

import hashlib
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, cast

from sqlalchemy import RowMapping, select

from galeno.errors import ConflictError, InputError, NotFoundError
from galeno.governance.access import ROLES, Role
from galeno.storage import schema
from galeno.storage.ids import later, new_id, now
from galeno.storage.journal import Journal

PREFIX: Final = "gk_"
"""What a key begins with, so that scanners for leaked secrets can be told about it."""

_NAME: Final = re.compile(r"[A-Za-z0-9._@-]{1,64}")
_KEY: Final = re.compile(r"gk_[A-Za-z0-9_-]{43}")
_UNKNOWN_KEPT: Final = 1024


@dataclass(frozen=True, slots=True)
class User:
    """A person or system that may sign in with a key.

    Attributes:
        id: `us_...`.
        name: unique, also over those whose key was revoked.
        role: what the user is here for.
        site: hospital or department; empty where a home knows no sites.
        hint: last four characters of the key, to tell keys apart.
        created: ISO time.
        expires: ISO time after which the key is not taken; None is never.
        revoked: ISO time at which the key was revoked; None is not.
    """

    id: str
    name: str
    role: Role
    site: str
    hint: str
    created: str
    expires: str | None = None
    revoked: str | None = None

    def active(self, at: str) -> bool:
        """Whether the key is taken at an ISO time."""
        return self.revoked is None and (self.expires is None or at < self.expires)


class Users:
    """The users in the journal.

    Args:
        journal: where they are kept.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def add(
        self, name: str, role: str, *, site: str = "", expires_days: int | None = 365
    ) -> tuple[User, str]:
        """Add a user.

        Args:
            name: 1 to 64 of letters, digits and . _ - @.
            role: one of the four roles.
            site: at most 64 characters; empty where the home knows no sites.
            expires_days: days that the key is good for; None is for ever.

        Returns:
            the user, and the key, which nobody can show again.

        Raises:
            InputError: name, role, site or days are not valid.
            ConflictError: there is, or was, a user of that name; names are not given twice, so that the
                audit trail stays clear.
            JournalError: the journal does not answer.
        """
        _check(name, role, site, expires_days)
        key, kept = _make_key(expires_days)
        row = {
            "id": new_id("us"), "name": name, "role": role, "site": site, "created": now(), "revoked": None,
        } | kept  # fmt: skip
        try:
            with self._journal.begin() as connection:
                connection.execute(schema.users.insert(), row)
        except ConflictError:
            raise ConflictError(
                "there is, or was, a user of that name",
                remedy="Choose another name, or give that user a new key",
            ) from None
        return read_user(row), key

    def renew(self, name: str, *, expires_days: int | None = 365) -> tuple[User, str]:
        """Give a user a new key in place of the old one, also after the old one expired or was revoked.

        Returns:
            the user, and the key, which nobody can show again.

        Raises:
            InputError: the days are not valid.
            NotFoundError: no such user.
            JournalError: the journal does not answer.
        """
        _check(name, "clinician", "", expires_days)
        key, kept = _make_key(expires_days)
        return self._change(name, {**kept, "revoked": None}), key

    def revoke(self, name: str) -> User:
        """Take a user's key no more; the name stays taken. A second time changes nothing.

        Raises:
            NotFoundError: no such user.
            JournalError: the journal does not answer.
        """
        return self._change(name, {"revoked": now()}, once=True)

    def list(self) -> tuple[User, ...]:
        """All users, the revoked too, by name.

        Raises:
            JournalError: the journal does not answer.
        """
        table = schema.users
        with self._journal.read() as connection:
            rows = connection.execute(select(table).order_by(table.c.name)).mappings().all()
        return tuple(read_user(row) for row in rows)

    def find(self, key: str) -> User | None:
        """The user of a key; None where it is unknown, expired or revoked.

        Raises:
            JournalError: the journal does not answer.
        """
        if not _KEY.fullmatch(key):
            return None
        table = schema.users
        with self._journal.read() as connection:
            row = connection.execute(select(table).where(table.c.key_hash == _hash(key))).mappings().first()
        user = read_user(row) if row is not None else None
        return user if user is not None and user.active(now()) else None

    def _change(self, name: str, values: Mapping[str, Any], *, once: bool = False) -> User:
        table = schema.users
        with self._journal.begin() as connection:
            query = select(table).where(table.c.name == name).with_for_update()
            row = connection.execute(query).mappings().first()
            if row is None:
                raise NotFoundError("there is no such user", remedy="List the users to see their names")
            if once and row["revoked"] is not None:
                return read_user(row)
            connection.execute(table.update().where(table.c.id == row["id"]).values(**values))
        return read_user({**row, **values})


class KeyCache:
    """Users of keys that were seen lately, so that a request does not ask the database.

    A revoked or expired key is refused after `seconds` at the latest. Keys are held as hashes only.

    Args:
        users: where users are looked up.
        seconds: how long an answer is good for.
        clock: seconds that only go forward.
    """

    def __init__(
        self, users: Users, seconds: float = 5.0, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._users = users
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[bytes, tuple[float, User]] = {}
        self._unknown: dict[bytes, float] = {}

    def cached(self, key: str) -> User | None:
        """The user of a key without asking the database; None means: ask `find`."""
        entry = self._known.get(_digest(key))
        return entry[1] if entry is not None and self._clock() < entry[0] else None

    def find(self, key: str) -> User | None:
        """The user of a key; None where it is unknown, expired or revoked. May block on the database.

        Raises:
            JournalError: the journal does not answer.
        """
        user = self.cached(key)
        if user is not None or not _KEY.fullmatch(key):
            return user
        digest = _digest(key)
        # One asks, those who came at the same time read what it found.
        with self._lock:
            user = self.cached(key)
            if user is not None or self._clock() < self._unknown.get(digest, 0.0):
                return user
            user = self._users.find(key)
            self._keep(digest, user)
        return user

    def _keep(self, digest: bytes, user: User | None) -> None:
        until = self._clock() + self._seconds
        if user is not None:
            # Only keys that exist come in here, so that it grows with the users only.
            self._known[digest] = (until, user)
            return
        self._known.pop(digest, None)
        if len(self._unknown) >= _UNKNOWN_KEPT:
            self._unknown.clear()
        self._unknown[digest] = until


def _make_key(expires_days: int | None) -> tuple[str, dict[str, Any]]:
    """A new key, and what is kept of it."""
    key = PREFIX + secrets.token_urlsafe(32)
    expires = None
    if expires_days is not None:
        expires = later(timedelta(days=expires_days).total_seconds())
    return key, {"key_hash": _hash(key), "key_hint": key[-4:], "expires": expires}


def _check(name: str, role: str, site: str, expires_days: int | None) -> None:
    faults = []
    if not _NAME.fullmatch(name):
        faults.append(("name", "must be 1 to 64 of letters, digits and . _ - @"))
    if role not in ROLES:
        faults.append(("role", f"must be one of {', '.join(ROLES)}"))
    if len(site) > 64 or not (site.isprintable() and site == site.strip()):
        faults.append(("site", "must have at most 64 characters, all printable, none blank at its ends"))
    if expires_days is not None and not 1 <= expires_days <= 3650:
        faults.append(("expires_days", "must be from 1 to 3650"))
    if faults:
        raise InputError(faults, where="user")


def read_user(row: Mapping[str, Any] | RowMapping) -> User:
    """A row of `schema.users` as a user."""
    return User(
        id=row["id"],
        name=row["name"],
        role=cast("Role", row["role"]),
        site=row["site"],
        hint=row["key_hint"],
        created=row["created"],
        expires=row["expires"],
        revoked=row["revoked"],
    )


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def _hash(key: str) -> str:
    return _digest(key).hex()
