"""Passwords of users who sign in to the pages, and tokens that let somebody in once.

Passwords are hashed with argon2id (RFC 9106) at the parameters of the OWASP Password Storage Cheat Sheet:
19 MiB, two passes, one lane; about 30 ms. Length counts and nothing else is asked of a password (NIST SP
800-63B, 5.1.1.2), but those that everybody tries first, and one's own name, are refused.
"""

import hashlib
import secrets
from typing import Any, Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import RowMapping, select

from galeno.errors import InputError, NotFoundError
from galeno.governance.users import User, read_user
from galeno.storage import schema
from galeno.storage.ids import later, now
from galeno.storage.journal import Journal

SHORTEST: Final = 12
LONGEST: Final = 256
"""Characters; no hash is asked to eat more."""
COMMON: Final = frozenset(
    {
        "123456789012", "1234567890123", "12345678901234", "111111111111", "000000000000", "abcdefghijkl",
        "qwertyuiop12", "qwertyuiop123", "qwertyuiopas", "1q2w3e4r5t6y", "passwordpassword", "password1234",
        "password12345", "contraseña123", "contrasena123", "contraseña1234", "contrasena1234",
        "administrador", "administrator", "hospital1234", "hospital12345", "letmeinletmein", "iloveyou1234",
        "welcome12345", "bienvenido123", "changemechangeme", "changeme1234", "galenogaleno", "galeno123456",
    }
)  # fmt: skip
"""Tried first by everybody, and long enough to pass otherwise; compared without case."""

_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# Of nothing that anybody can type: an unknown name takes as long as a wrong password.
_NOBODY: Final = _HASHER.hash(secrets.token_urlsafe(32))


class Passwords:
    """The passwords in the journal.

    Args:
        journal: where the users are kept.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def set(self, name: str, password: str) -> User:
        """Give a user a password in place of the one before; the user's sessions end.

        Raises:
            InputError: the password is too short, too long, too common, or the name.
            NotFoundError: no such user.
            JournalError: the journal does not answer.
        """
        check_password(name, password)
        hashed = _HASHER.hash(password)
        users, sessions = schema.users, schema.sessions
        with self._journal.begin() as connection:
            row = connection.execute(select(users).where(users.c.name == name)).mappings().first()
            if row is None:
                raise _no_such_user()
            values = {"password": hashed, "welcome": None, "welcome_until": None}
            connection.execute(users.update().where(users.c.id == row["id"]).values(**values))
            connection.execute(sessions.delete().where(sessions.c.user == name))
        return read_user(row)

    def check(self, name: str, password: str) -> User | None:
        """The user whose name and password these are; None where they are not. Takes its time either way.

        Raises:
            JournalError: the journal does not answer.
        """
        table = schema.users
        with self._journal.read() as connection:
            row = connection.execute(select(table).where(table.c.name == name)).mappings().first()
        hashed = None if row is None else row["password"]
        fits = _fits(hashed or _NOBODY, password[: LONGEST + 1])
        if row is None or hashed is None or not fits:
            return None
        user = read_user(row)
        if not user.active(now()):
            return None
        if _HASHER.check_needs_rehash(hashed):
            self._keep(row, _HASHER.hash(password))
        return user

    def known(self, name: str) -> bool:
        """Whether there is a user of that name.

        Raises:
            JournalError: the journal does not answer.
        """
        table = schema.users
        with self._journal.read() as connection:
            return connection.execute(select(table.c.id).where(table.c.name == name)).first() is not None

    def welcome_token(self, name: str, minutes: float = 30) -> str:
        """Make a token that signs a user in once; one that was made before is no longer taken.

        Raises:
            NotFoundError: no such user, or one that was revoked.
            JournalError: the journal does not answer.
        """
        token = secrets.token_urlsafe(32)
        table = schema.users
        with self._journal.begin() as connection:
            row = connection.execute(select(table).where(table.c.name == name)).mappings().first()
            if row is None or not read_user(row).active(now()):
                raise _no_such_user()
            values = {"welcome": _digest(token), "welcome_until": later(minutes * 60)}
            connection.execute(table.update().where(table.c.id == row["id"]).values(**values))
        return token

    def redeem(self, token: str) -> User | None:
        """The user of a token, which is used up by it; None where it is unknown, old or used.

        Raises:
            JournalError: the journal does not answer.
        """
        if not 20 <= len(token) <= 64:
            return None
        table = schema.users
        with self._journal.begin() as connection:
            query = select(table).where(table.c.welcome == _digest(token)).with_for_update()
            row = connection.execute(query).mappings().first()
            if row is None:
                return None
            values = {"welcome": None, "welcome_until": None}
            connection.execute(table.update().where(table.c.id == row["id"]).values(**values))
        user = read_user(row)
        return user if row["welcome_until"] > now() and user.active(now()) else None

    def _keep(self, row: RowMapping, hashed: str) -> None:
        """Keep a hash made with today's parameters, unless the password was changed meanwhile."""
        table = schema.users
        with self._journal.begin() as connection:
            there = (table.c.id == row["id"]) & (table.c.password == row["password"])
            connection.execute(table.update().where(there).values(password=hashed))


def check_password(name: str, password: str) -> None:
    """Refuse a password that is easily guessed.

    Raises:
        InputError: with what is wrong; the password is never named.
    """
    fault = ""
    plain = password.casefold()
    if len(password) < SHORTEST:
        fault = f"must have at least {SHORTEST} characters; a few words in a row are easy to remember"
    elif not _is_text(password):
        fault = "must be plain text"
    elif len(password) > LONGEST:
        fault = f"must have at most {LONGEST} characters"
    elif plain.strip() == name.casefold():
        fault = "must not be the name"
    elif plain in COMMON or len(set(plain)) < 4:
        fault = "is one of those that everybody tries first"
    if fault:
        raise InputError([("password", fault)])


def _is_text(password: str) -> bool:
    """Whether it can be written down at all: a terminal may give half characters."""
    return not any("\ud800" <= letter <= "\udfff" for letter in password)


def _fits(hashed: str, password: str) -> bool:
    try:
        return _HASHER.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _no_such_user() -> Any:
    return NotFoundError("there is no such user", remedy="List the users to see their names")
