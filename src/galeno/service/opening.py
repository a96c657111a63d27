"""Open what the desk works with: journal, keys, models. For the service and for commands alike."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select

from galeno.errors import SettingError
from galeno.governance.access import Action, Caller
from galeno.governance.audit import Trail, move_anchor
from galeno.governance.leftovers import drop_received
from galeno.records import AuditEntry
from galeno.service.counter import Rooms
from galeno.service.library import Library
from galeno.service.registrar import Registrar
from galeno.service.shelf import Shelf
from galeno.settings import ServiceSettings
from galeno.storage import schema
from galeno.storage.cipher import Cipher
from galeno.storage.commit import GroupCommit
from galeno.storage.home import Home
from galeno.storage.ids import now
from galeno.storage.journal import Journal
from galeno.storage.keys import KeyRing
from galeno.storage.vault import Vault


@dataclass(frozen=True)
class Stores:
    """Journal, keys and pseudonyms of a home, without models."""

    home: Home
    journal: Journal
    ring: KeyRing
    vault: Vault
    cipher: Cipher
    trail: Trail


@contextmanager
def open_stores(root: Path, settings: ServiceSettings) -> Iterator[Stores]:
    """Open journal and keys of a home; both are made where there is no data yet.

    Raises:
        OutputError: the home cannot be made.
        KeyRingError: the keys are missing though there is data, damaged, or readable by others.
        JournalError: a database does not answer.
        MissingExtraError: PostgreSQL's driver is not installed.
    """
    home = Home(root.resolve()).create()
    journal = Journal(settings.journal or home.journal_url)
    if settings.vault and settings.vault == (settings.journal or home.journal_url):
        raise SettingError(
            "journal and keys are in one database, so that a backup of one holds the other",
            where="GALENO_VAULT",
            remedy="Give the patients' keys a database of their own",
        )
    vault = Vault(settings.vault or home.vault_url)
    try:
        journal.migrate()
        keys = Path(settings.keys) if settings.keys else home.keys
        ring = KeyRing.open_or_create(keys, data_exists=_written(journal) or vault.count() > 0)
        yield Stores(home, journal, ring, vault, Cipher(ring, vault), Trail(ring.audit_key))
    finally:
        journal.close()
        vault.close()


@contextmanager
def open_rooms(root: Path, settings: ServiceSettings, *, threads: int = 1) -> Iterator[Rooms]:
    """Open everything that the desk works with, and load the champions.

    Raises:
        GalenoError: as `open_stores`, and PackageError where a champion is damaged.
    """
    with open_stores(root, settings) as stores:
        drop_received(stores.home)
        shelf = Shelf(stores.home, threads=threads)
        shelf.load()
        commits = GroupCommit(stores.journal, stores.cipher, stores.trail)
        commits.start()
        try:
            yield Rooms(
                home=stores.home,
                journal=stores.journal,
                ring=stores.ring,
                commits=commits,
                cipher=stores.cipher,
                shelf=shelf,
                registrar=Registrar(stores.home),
                library=Library(stores.home),
            )
        finally:
            commits.close()
            move_anchor(stores.journal, stores.ring.audit_key, stores.home.anchor)


def note(stores: Stores, caller: Caller, action: Action, **about: Any) -> None:
    """Write down what a command did.

    Raises:
        JournalError: it could not be written.
    """
    entry = AuditEntry(
        action=str(action),
        outcome="done",
        time=now(),
        actor=caller.name,
        role=caller.role,
        face=caller.face,
        purpose=caller.purpose,
        **about,
    )
    with stores.journal.begin() as connection:
        stores.trail.extend(connection, [entry])


def _written(journal: Journal) -> bool:
    """Whether the journal holds anything that keys protect."""
    with journal.read() as connection:
        return any(
            connection.execute(select(table).limit(1)).first() is not None
            for table in (schema.audit, schema.identities)
        )
