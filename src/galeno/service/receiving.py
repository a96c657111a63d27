"""Use cases of receiving a patient: where the consent stands, and going on from a consent to the form."""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from galeno.errors import NotFoundError
from galeno.governance.access import Action, Caller
from galeno.service.counter import Counter
from galeno.service.diagnosing import check_patient_id
from galeno.storage import schema


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a patient stands with a study's data policy.

    Attributes:
        given: whether the present policy was accepted and that was not taken back.
        reason: given, never_asked, refused, withdrawn or other_version.
        training: whether models may learn from the patient.
        consent: id of the latest answer; None where there is none.
        created: when it was given; None where there is none.
    """

    given: bool
    reason: str
    training: bool
    consent: str | None
    created: str | None


class Receiving(Counter):
    """A patient at the desk."""

    async def look_up_consent(self, caller: Caller, study: str, patient_id: str) -> Standing:
        """Where a patient stands with the present data policy of a study.

        Raises:
            InputError: the patient id is empty or too long.
            NotFoundError: no such study.
            AccessError: the caller may not.
        """
        await self.permit(caller, Action.CONSENTS_READ)
        check_patient_id(patient_id)
        policy = self.study(study).privacy.policy
        patient = self.rooms.cipher.pseudonym(patient_id)
        table = schema.consents

        def work(connection: Connection) -> Standing:
            status = self._consents.status(connection, patient, study, policy)
            created = connection.execute(
                select(table.c.created).where(table.c.id == (status.consent or ""))
            ).scalar()
            return Standing(status.given, status.reason, status.training, status.consent, created)

        found = await self.read(work)
        await self.record(
            self.entry(caller, Action.CONSENTS_READ, patient=patient, study=study, detail=found.reason)
        )
        return found

    async def patient_of_consent(self, caller: Caller, study: str, consent_id: str) -> str:
        """The patient id of a consent that the caller wrote down, so that the form need not ask for it again.

        An id of a consent may stand in an address; a patient id may not.

        Raises:
            NotFoundError: no such consent to this study, or somebody else wrote it down.
            AccessError: the caller may not.
        """
        await self.permit(caller, Action.CONSENTS_READ)
        consents, identities = schema.consents, schema.identities
        query = (
            select(consents.c.patient, identities.c.sealed)
            .join(identities, identities.c.patient == consents.c.patient)
            .where(consents.c.id == consent_id, consents.c.study == study, consents.c.actor == caller.name)
        )
        row = await self.read(lambda connection: connection.execute(query).first())
        if row is None:
            raise NotFoundError("no such consent", where="consents")
        await self.record(
            self.entry(caller, Action.CONSENTS_READ, patient=row.patient, study=study, subject=consent_id)
        )
        return self.patient_id(row.patient, row.sealed)
