"""What all use cases share: access, audit, the journal, and the models that answer."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, select

from galeno.errors import AccessError, BusyError, ConsentError, NotFoundError
from galeno.governance.access import Action, Caller, require
from galeno.governance.consent import Consents
from galeno.model.relevance import Relevance
from galeno.records import AuditEntry, Explanation
from galeno.service.answers import Answer
from galeno.service.library import Library
from galeno.service.media_intake import Decoder, HeldFile
from galeno.service.registrar import Registrar
from galeno.service.shelf import Served, Shelf
from galeno.service.together import Together
from galeno.storage import database, schema
from galeno.storage.cipher import Cipher
from galeno.storage.commit import Change, GroupCommit
from galeno.storage.home import Home
from galeno.storage.ids import now
from galeno.storage.journal import Journal
from galeno.storage.keys import KeyRing
from galeno.study import Study

T = TypeVar("T")
READERS = 8
"""Reads of the journal at a time; more wait."""
INPUTS = 2
"""Kept inputs that are read at a time; each may hold many megabytes, a few times over."""
SHOWN = 2
"""Kept inputs that are decoded at a time, to be explained or drawn."""


@dataclass(frozen=True)
class Rooms:
    """What the desk works with."""

    home: Home
    journal: Journal
    ring: KeyRing
    commits: GroupCommit
    cipher: Cipher
    shelf: Shelf
    registrar: Registrar
    library: Library


class Counter:
    """The part of the desk that every use case goes through.

    Args:
        rooms: journal, keys and models.
        diagnosed: told of every diagnosis that was made.
    """

    def __init__(self, rooms: Rooms, diagnosed: Callable[[Answer], None] = lambda _: None) -> None:
        self.rooms = rooms
        self.diagnosed = diagnosed
        self.stopped: Mapping[str, str] = {}
        """Studies whose model was stopped, with the reason; brought up to date by `refresh`."""
        self._consents = Consents()
        self._together = Together()
        self.explained: OrderedDict[str, tuple[Explanation, ...]] = OrderedDict()
        """The latest explanations by diagnosis."""
        self.located: OrderedDict[tuple[str, str, str], tuple[Relevance, HeldFile]] = OrderedDict()
        """The latest maps of relevance, and what they are of, by diagnosis, column and condition."""
        self.decoder = Decoder()
        """Where sounds and images are decoded."""
        self._readers = asyncio.Semaphore(READERS)
        self._inputs = asyncio.Semaphore(INPUTS)
        self._shown = asyncio.Semaphore(SHOWN)
        self._locating: dict[tuple[str, str, str], asyncio.Task[tuple[Relevance, HeldFile]]] = {}
        # one map at a time, so that a thread of the decoder is left for diagnoses
        self._locator = asyncio.Semaphore(1)

    def study(self, name: str) -> Study:
        """The study as its champion knows it.

        Raises:
            NotFoundError: no such study has a champion.
        """
        return self.rooms.shelf.get(name).model.study

    def studies(self) -> tuple[Study, ...]:
        """The studies that have a champion, in alphabetical order."""
        return tuple(self.study(name) for name in self.rooms.shelf.names())

    async def permit(
        self, caller: Caller, action: Action, *, site: str | None = None, subject: str = ""
    ) -> None:
        """Let the caller do this, or say no and write that down.

        Raises:
            AccessError: the caller may not.
            JournalError: the refusal could not be written down.
        """
        try:
            require(caller, action, site=site)
        except AccessError as error:
            await self.deny(caller, action, error.what, subject=subject)
            raise

    async def deny(self, caller: Caller, action: Action, detail: str, *, subject: str = "") -> None:
        """Write a refusal down.

        Raises:
            JournalError: it could not be written.
        """
        entry = self.entry(caller, action, outcome="denied", detail=detail, subject=subject)
        await self.rooms.commits.commit(Change(audit=(entry,)))

    async def note_stranger(self, address: str, face: str) -> None:
        """Write down that somebody came with a wrong key or token.

        Raises:
            JournalError: it could not be written.
        """
        entry = AuditEntry(
            action="sign_in", outcome="denied", time=now(), actor="", role="", address=address, face=face
        )
        await self.rooms.commits.commit(Change(audit=(entry,)))

    async def refresh(self) -> None:
        """Read which models were stopped."""
        query = select(schema.stops.c.study, schema.stops.c.reason)
        self.stopped = await self.read(
            lambda connection: {row.study: row.reason for row in connection.execute(query)}
        )

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Read from the journal in a thread, so that a slow database holds nobody else up.

        Raises:
            JournalError: the journal does not answer.
        """

        def work() -> T:
            with self.rooms.journal.read() as connection:
                return query(connection)

        async def wait() -> T:
            async with self._readers:
                return await asyncio.to_thread(work)

        return await database.in_time(wait(), self.rooms.journal.name)

    def serving(self, study: str) -> Served:
        """The model of a study that answers now.

        Raises:
            NotFoundError: no such study has a champion.
            BusyError: the model was stopped.
        """
        served = self.rooms.shelf.get(study)
        if study in self.stopped:
            raise BusyError(
                "this model was stopped by its owners",
                where=study,
                remedy="Diagnose without it until it is started again",
                retry_after=300,
            )
        return served

    async def need_consent(self, caller: Caller, study: Study, patient: str, action: Action) -> None:
        """Go on only where the study asks for no consent, or the patient gave it.

        Raises:
            ConsentError: the study asks for consent, and there is none to its present policy.
        """
        if not study.privacy.consent:
            return
        policy = study.privacy.policy
        if await self.read(lambda connection: self._consents.given(connection, patient, study.name, policy)):
            return
        entry = self.entry(
            caller, action, outcome="denied", patient=patient, study=study.name, detail="no consent"
        )
        await self.rooms.commits.commit(Change(audit=(entry,)))
        raise ConsentError(
            f"the patient has not consented to version {policy.version} of the data policy",
            where=study.name,
            remedy="Record the consent: POST /v1/consents",
        )

    def entry(self, caller: Caller, action: Action, **about: Any) -> AuditEntry:
        """An entry of the audit trail about this caller."""
        return AuditEntry(
            action=str(action),
            outcome=about.pop("outcome", "done"),
            time=about.pop("time", None) or now(),
            actor=caller.name,
            role=caller.role,
            site=caller.site,
            address=caller.address,
            face=caller.face,
            purpose=caller.purpose,
            detail="; ".join(part for part in (about.pop("detail", ""), caller.reason) if part),
            **about,
        )

    async def record(
        self,
        entry: AuditEntry,
        rows: Sequence[tuple[Table, Mapping[str, Any]]] = (),
        *,
        patient: str | None = None,
        identity: str | None = None,
        then: Callable[[Connection], Any] | None = None,
    ) -> Any:
        """Write rows and what was done in one transaction; returns what `then` returned.

        Raises:
            JournalError: nothing was kept.
            BusyError: too many are waiting to write.
        """
        change = Change(rows=tuple(rows), audit=(entry,), patient=patient, identity=identity, then=then)
        return await self.rooms.commits.commit(change)

    def patient_id(self, patient: str, sealed: bytes) -> str:
        """The hospital's own id of a patient, from the row of `identities`.

        Raises:
            KeyRingError: the patient's key was destroyed.
            JournalError: the vault does not answer.
        """
        return self.rooms.cipher.open(patient, sealed, "identities", "sealed", patient).decode()

    def patient_ids(self, connection: Connection, patients: Iterable[str]) -> Mapping[str, str]:
        """The hospital's own ids of some patients, by pseudonym; those who were erased are left out.

        Raises:
            JournalError: the vault does not answer.
        """
        table = schema.identities
        query = select(table.c.patient, table.c.sealed).where(table.c.patient.in_(set(patients)))
        sealed = {row.patient: row.sealed for row in connection.execute(query)}
        keys = self.rooms.cipher.find(sealed)
        return {
            patient: keys[patient].open(sealed[patient], "identities", "sealed", patient).decode()
            for patient in keys
        }

    async def find(self, caller: Caller, action: Action, diagnosis_id: str) -> Mapping[str, Any]:
        """The row of a diagnosis that the caller may see: without its input, with whether there is one
        (`captured`).

        Raises:
            NotFoundError: no such diagnosis, or one of another site.
            AccessError: the caller's role may not do this.
        """
        await self.permit(caller, action)
        table = schema.diagnoses
        plain = [column for column in table.c if column.name != "record"]
        captured = table.c.record.is_not(None).label("captured")
        query = select(*plain, captured).where(table.c.id == diagnosis_id)
        row = await self.read(lambda connection: connection.execute(query).mappings().first())
        if row is not None:
            try:
                require(caller, action, site=row["site"])
            except AccessError as error:
                # told as absent: that the case exists elsewhere is nobody's business here
                await self.deny(caller, action, error.what, subject=diagnosis_id)
                row = None
        if row is None:
            raise NotFoundError("no such diagnosis", where="diagnoses")
        return dict(row)
