"""Rotation: a new master key, and every patient's key wrapped by it, while the service runs.

The sealed values stay as they are; only the vault's small rows change. A rotation that was killed is
gone on with by the next one, because the vault remembers which master key the last finished one ended with.
"""

from typing import TypedDict

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from galeno.errors import KeyRingError
from galeno.progress import Reporter, Silent
from galeno.storage.cipher import unwrap, wrap
from galeno.storage.keys import KeyRing
from galeno.storage.vault import Vault, WrappedKey

_BATCH = 500
_PASSES = 100


class Rotation(TypedDict):
    """What a rotation did."""

    current: str
    """Id of the master key that wraps all keys now."""
    resumed: bool
    """Whether it went on with one that did not end."""
    rewrapped: int
    """Patients' keys that this call wrapped anew."""
    dropped: list[str]
    """Master keys that were destroyed."""


def rotate(ring: KeyRing, vault: Vault, reporter: Reporter | None = None, *, batch: int = _BATCH) -> Rotation:
    """Give the ring a new master key, wrap every patient's key with it, and drop keys nobody needs.

    The key before the new one is kept, so that a vault's backup from before the rotation still opens;
    older ones are destroyed. Safe beside running services, erasures and other rotations. A call after
    one that was killed, or that failed, goes on with it instead of making another key.

    Args:
        ring: the master keys.
        vault: the patients' keys.
        reporter: told of every batch.
        batch: keys in one transaction.

    Raises:
        KeyRingError: the ring is not this vault's, or keys in the vault do not open; those that do are
            wrapped anew all the same.
        OutputError: the file of keys cannot be written.
        JournalError: the vault does not answer; call again later.
    """
    reporter = reporter or Silent()
    with vault.alone(ring) as finished:
        resumed = ring.current != finished
        if not resumed:
            ring.add()
    reporter.note(f"master key {ring.current}: {'going on with it' if resumed else 'made'}")
    rewrapped = 0
    # Services wrap keys of new patients with the old master key until they have seen the new one, so that
    # a pass may leave some; `finish` shuts that door.
    for _ in range(_PASSES):
        rewrapped += _rewrap_all(ring, vault, reporter, batch, rewrapped)
        if vault.finish(ring):
            break
    else:
        raise KeyRingError(
            "new keys are still wrapped with an old master key",
            where=vault.name,
            remedy="See that all services read the same file of keys, and rotate again",
        )
    vault.sweep()
    return Rotation(
        current=ring.current, resumed=resumed, rewrapped=rewrapped, dropped=_drop_old(ring, vault)
    )


def _rewrap_all(ring: KeyRing, vault: Vault, reporter: Reporter, batch: int, done: int) -> int:
    """One pass over the vault, in the order of the pseudonyms.

    Returns:
        keys that were wrapped anew.
    """
    keys = ring.keys
    masters = {kid: AESGCM(key) for kid, key in keys.wrapping.items()}
    count, faults, after = 0, 0, ""
    while rows := vault.stale(keys.current, batch, after):
        after = rows[-1].patient
        changes: list[tuple[WrappedKey, WrappedKey]] = []
        for old in rows:
            try:
                key = unwrap(masters[old.kid], old)
            except (KeyRingError, KeyError):
                faults += 1
                continue
            changes.append((old, wrap(masters[keys.current], old.patient, keys.current, key)))
        count += vault.rewrap(changes) if changes else 0
        reporter.rows(done + count)
    if faults:
        raise KeyRingError(
            f"{faults} of the patients' keys do not open with the file of keys",
            where=vault.name,
            remedy="Restore the file of keys that belongs to this vault, or erase these patients",
        )
    return count


def _drop_old(ring: KeyRing, vault: Vault) -> list[str]:
    """Destroy master keys older than the previous one, once nothing is wrapped with them."""
    dropped = []
    with vault.alone(ring):
        keep = {ring.current, ring.keys.previous}
        for kid in ring.keys.wrapping:
            if kid not in keep and vault.count(kid) == 0:
                ring.drop(kid)
                dropped.append(kid)
    return dropped
