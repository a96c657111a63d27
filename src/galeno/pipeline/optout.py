"""Patients from whom no model may learn, left out of what a run reads: they opted out, or were erased."""

from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Self

import polars as pl

from galeno.governance.consent import Consents
from galeno.ingest.contract import RULES, Admission, Contract
from galeno.records import KEY, PATIENT, ROW, Violation
from galeno.settings import ServiceSettings
from galeno.storage.cipher import Cipher
from galeno.storage.home import Home
from galeno.storage.journal import Journal
from galeno.storage.keys import KeyRing
from galeno.storage.vault import Vault


def leave_out(admission: Admission, contract: Contract, home: Home) -> Admission:
    """What the contract admitted, without the rows of patients from whom no model may learn.

    Args:
        admission: of the source.
        contract: that admitted it.
        home: whose journal and keys are asked; they are not made where there are none.

    Returns:
        the very same admission where there are no such rows; else one whose report counts them as
        `opted_out` and names none of them.

    Raises:
        KeyRingError: somebody opted out, and the keys that tell who are missing or damaged.
        JournalError: the journal does not answer.
    """
    excluded = _Excluded.read(home)
    if not excluded.pseudonyms:
        return admission
    named = contract.patients(admission.quarantine.drop(ROW, RULES))
    good = excluded.among(admission.good[PATIENT])
    quarantine = excluded.among(named)
    count = int(good.sum()) + int(quarantine.sum())
    if count == 0:
        return admission
    report = admission.report
    left_out = Violation("opted_out", contract.study.records.patient or "", count, (), "leave_out")
    kept = admission.good.filter(~good), admission.quarantine.filter(~quarantine)
    return Admission(
        *kept,
        replace(
            report,
            good=kept[0].height,
            quarantined=kept[1].height,
            violations=(*report.violations, left_out),
        ),
    )


def digest_rest(batch: str, admission: Admission) -> str:
    """Name of the batch that is left of one when rows were left out: the same rows give the same name.

    Args:
        batch: digest of the whole source.
        admission: what is left.
    """
    # By the rows' keys: the bytes of a filtered frame depend on how it was filtered.
    return sha256("\n".join([batch, *admission.good[KEY].to_list()]).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class _Excluded:
    """Pseudonyms of those who are left out, and where the key is by which they are known."""

    pseudonyms: frozenset[str]
    keys: Path
    vault: str

    @classmethod
    def read(cls, home: Home) -> Self:
        settings = ServiceSettings.from_environment()
        keys = Path(settings.keys) if settings.keys else home.keys
        none = cls(frozenset(), keys, settings.vault or home.vault_url)
        if not settings.journal and not (home.root / "journal.db").is_file():
            return none
        journal = Journal(settings.journal or home.journal_url)
        try:
            if journal.revision() is None:
                return none
            with journal.read() as connection:
                return replace(none, pseudonyms=frozenset(Consents().training_excluded(connection)))
        finally:
            journal.close()

    def among(self, patients: pl.Series) -> pl.Series:
        """Which of these patients, by the hospital's ids, are left out. Boolean, shape (n,)."""
        cipher = Cipher(KeyRing.open(self.keys), Vault(self.vault))  # the vault is not opened for a pseudonym
        distinct = patients.unique().to_list()
        known = [patient for patient in distinct if cipher.pseudonym(patient) in self.pseudonyms]
        return patients.is_in(known)
