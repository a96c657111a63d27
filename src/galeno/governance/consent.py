"""Consents: what patients said to the data policies, and from whom no model may learn.

Nothing is overwritten: every answer of a patient is a row, and the latest one counts. The policy's version is
part of the answer, so that a new policy asks again (GDPR articles 7 and 13).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, Table, select, update

from galeno.errors import NotFoundError
from galeno.hospital import Policy
from galeno.storage import schema
from galeno.storage.ids import new_id, now


@dataclass(frozen=True, slots=True)
class ConsentStatus:
    """Where a patient stands with a study.

    Attributes:
        given: whether the latest answer accepts the present policy and was not taken back.
        reason: given, never_asked, refused, withdrawn or other_version.
        training: whether models may learn from the patient, as far as this study was told.
        consent: id of the latest answer; None where there is none.
    """

    given: bool
    reason: str
    training: bool
    consent: str | None


class Consents:
    """The rules of consent over the journal's `consents`. It keeps nothing; every call reads anew."""

    def status(self, connection: Connection, patient: str, study: str, policy: Policy) -> ConsentStatus:
        """Where a patient stands with a study.

        Args:
            connection: to the journal.
            patient: pseudonym.
            study: name of the study.
            policy: the study's present policy.
        """
        table = schema.consents
        query = (
            select(table)
            .where(table.c.patient == patient, table.c.study == study)
            .order_by(table.c.created.desc(), table.c.id.desc())
            .limit(1)
        )
        latest = connection.execute(query).mappings().first()
        if latest is None:
            return ConsentStatus(False, "never_asked", True, None)
        reason = _judge(latest, policy)
        return ConsentStatus(reason == "given", reason, _allows_training(latest), latest["id"])

    def given(self, connection: Connection, patient: str, study: str, policy: Policy) -> bool:
        """Whether a patient (pseudonym) has accepted a study's present policy and not taken it back."""
        return self.status(connection, patient, study, policy).given

    def record(
        self,
        patient: str,
        study: str,
        policy: Policy,
        *,
        language: str,
        accepted: bool,
        training: bool,
        actor: str,
        created: str | None = None,
    ) -> tuple[tuple[Table, Mapping[str, Any]], ...]:
        """The rows of a `commit.Change` that keep what a patient said.

        Args:
            patient: pseudonym.
            study: name of the study.
            policy: that the patient was shown.
            language: in which it was shown.
            accepted: False for a refusal, which also keeps models from learning.
            training: whether models may learn from the patient.
            actor: who wrote it down.
            created: when it was said; now by default.
        """
        row = {
            "id": new_id("cs"),
            "patient": patient,
            "study": study,
            "policy_version": policy.version,
            "language": language,
            "accepted": accepted,
            "training": training and accepted,
            "created": created or now(),
            "actor": actor,
            "withdrawn": None,
        }
        return ((schema.consents, row),)

    def withdraw(self, connection: Connection, consent: str) -> str:
        """Note that a consent was taken back; doing so again changes nothing.

        Args:
            connection: a write transaction of the journal.
            consent: id of the consent.

        Returns:
            when it was taken back.

        Raises:
            NotFoundError: no such consent.
        """
        table = schema.consents
        row = connection.execute(select(table.c.withdrawn).where(table.c.id == consent)).first()
        if row is None:
            raise NotFoundError("no such consent", where="consents")
        moment = str(row.withdrawn or now())
        connection.execute(update(table).where(table.c.id == consent).values(withdrawn=moment))
        return moment

    def training_excluded(self, connection: Connection) -> set[str]:
        """Pseudonyms of the patients from whom no model may learn.

        That is who said so in the latest answer to any study (a refusal or a withdrawal says so too), and
        who was erased and has not consented to training since: the hospital's own tables still name them.
        """
        table = schema.consents
        query = select(table.c.patient, table.c.study, table.c.accepted, table.c.training, table.c.withdrawn)
        latest: dict[tuple[str, str], bool] = {}
        for row in connection.execute(query.order_by(table.c.created, table.c.id)).mappings():
            latest[row["patient"], row["study"]] = _allows_training(row)
        against = {patient for (patient, _), allowed in latest.items() if not allowed}
        erased = set(connection.execute(select(schema.erasures.c.patient)).scalars())
        return against | (erased - {patient for patient, _ in latest})


def _judge(row: RowMapping, policy: Policy) -> str:
    if not row["accepted"]:
        return "refused"
    if row["withdrawn"] is not None:
        return "withdrawn"
    return "given" if row["policy_version"] == policy.version else "other_version"


def _allows_training(row: RowMapping) -> bool:
    return bool(row["accepted"] and row["training"] and row["withdrawn"] is None)
