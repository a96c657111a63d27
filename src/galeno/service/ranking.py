"""Use cases of rare diseases: rank them for a patient's signs, read that again, find terms."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from functools import partial
from time import perf_counter
from typing import Any, Literal

from pydantic_core import from_json, to_json
from sqlalchemy import Connection, select

from galeno.errors import AccessError, InputError, NotFoundError
from galeno.governance.access import Action, Caller, decide, require
from galeno.service.answers import Answer
from galeno.service.asked import (
    Asked,
    Language,
    RankedRow,
    RankingFeedback,
    StoredRanking,
    TermFound,
    TermMention,
    find_terms,
    name_terms,
    read_asked,
    recognise,
)
from galeno.service.counter import Counter, Rooms, T
from galeno.service.diagnosing import PAGE, check_patient_id, sees_all_sites
from galeno.service.library import Held
from galeno.storage import schema
from galeno.storage.commit import Change, Sealed
from galeno.storage.ids import new_id, now

__all__ = ["Asked", "RankedRow", "Ranking", "RankingFeedback", "StoredRanking", "TermFound", "TermMention"]

RANKERS = 2
"""Rankings and searches of terms at a time; more wait: they are work for a core, and share one lock."""
LONGEST_QUERY = 200
"""Characters that terms are looked for with."""
MOST_TERMS = 50
"""Terms of one search."""
LONGEST_COMMENT = 4000


class Ranking(Counter):
    """Rank rare diseases, and find the terms for it.

    Args:
        rooms: journal, keys, models and knowledge.
        diagnosed: told of every diagnosis that was made.
        ranked: told of every ranking that was made.
    """

    def __init__(
        self,
        rooms: Rooms,
        diagnosed: Callable[[Answer], None] = lambda _: None,
        ranked: Callable[[StoredRanking], None] = lambda _: None,
    ) -> None:
        super().__init__(rooms, diagnosed)
        self.ranked = ranked
        self._rankers = asyncio.Semaphore(RANKERS)

    async def rank(self, caller: Caller, asked: Asked) -> StoredRanking:
        """Rank rare diseases for one patient. When this returns, the ranking is on disk.

        Args:
            caller: who is asking.
            asked: what is known of the patient.

        Raises:
            InputError: a field is not valid, or there is no sign to go by.
            AccessError: the caller may not.
            NotFoundError: the service has no knowledge of rare diseases.
            BusyError: it is still being read, or too many are waiting.
            JournalError: the journal does not answer; nothing was kept.
        """
        await self.permit(caller, Action.DISEASE_RANK)
        started = perf_counter()
        patient = None
        if asked.patient_id is not None:
            check_patient_id(asked.patient_id)
            patient = self.rooms.cipher.pseudonym(asked.patient_id)
        held = self.rooms.library.get()
        record, answer = await self._work(partial(_rank, held, asked))
        made = StoredRanking(
            id=new_id("rk"),
            created=now(),
            patient=patient,
            site=caller.site,
            actor=caller.name,
            face=caller.face,
            version=_version(answer["provenance"]),
            asked=record,
            ranking=answer,
            patient_id=asked.patient_id,
        )
        await self.rooms.commits.commit(self._change(caller, made, started))
        self.ranked(made)
        return made

    async def read_ranking(self, caller: Caller, ranking_id: str) -> StoredRanking:
        """One ranking with what was asked, and feedback.

        Raises:
            NotFoundError: no such ranking, or one of another site.
            AccessError: the caller may not.
        """
        row = await self._find_ranking(caller, Action.DIAGNOSES_READ, ranking_id)
        stored = await self.read(lambda connection: self._open_ranking(connection, row))
        entry = self.entry(caller, Action.DIAGNOSES_READ, patient=row["patient"] or "", subject=ranking_id)
        await self.record(entry)
        return stored

    async def list_rankings(
        self, caller: Caller, *, limit: int = 50, after: str | None = None, named: bool = False
    ) -> tuple[tuple[RankedRow, ...], str | None]:
        """Rankings, the newest first, without what was asked; clinicians see those of their own site.

        Args:
            caller: who is asking.
            limit: of one page, at most PAGE.
            after: id that the page before ended with.
            named: with the hospital's patient ids, for those who may read the cases.

        Returns:
            the page, and the id to go on after, None at the end.

        Raises:
            AccessError: the caller may not.
            JournalError: the journal does not answer.
        """
        await self.permit(caller, Action.DIAGNOSES_LIST)
        named = named and decide(caller, Action.DIAGNOSES_READ).allowed
        limit = min(limit, PAGE)
        table = schema.rankings
        plain = [table.c[each.name] for each in fields(RankedRow) if each.name in table.c]
        query = select(*plain).order_by(table.c.id.desc()).limit(limit + 1)
        if after:
            query = query.where(table.c.id < after)
        if not sees_all_sites(caller):
            query = query.where(table.c.site == caller.site)

        def work(connection: Connection) -> list[RankedRow]:
            rows = [RankedRow(**row) for row in connection.execute(query).mappings()]
            patients = {row.patient for row in rows if row.patient} if named else set()
            ids = self.patient_ids(connection, patients) if patients else {}
            return [replace(row, patient_id=ids.get(row.patient or "")) for row in rows]

        found = await self.read(work)
        page = tuple(replace(row, name=self._name_of(row.disease)) for row in found[:limit])
        detail = f"{len(page)} rankings listed" + (", with patient ids" if named else "")
        await self.record(self.entry(caller, Action.DIAGNOSES_LIST, detail=detail))
        return page, page[-1].id if len(found) > limit else None

    async def judge_ranking(
        self,
        caller: Caller,
        ranking_id: str,
        *,
        agrees: bool,
        disease: str | None = None,
        comment: str | None = None,
    ) -> str:
        """Keep what a clinician said of a ranking; it can have several feedbacks, none is overwritten.

        Args:
            caller: who says it.
            ranking_id: of what.
            agrees: with the first disease.
            disease: id of the clinician's own diagnosis, such as OMIM:154700.
            comment: free text; kept encrypted.

        Returns:
            id of the feedback.

        Raises:
            InputError: a field is not valid.
            NotFoundError: no such ranking.
            AccessError: the caller may not.
        """
        row = await self._find_ranking(caller, Action.FEEDBACK_CREATE, ranking_id)
        faults = []
        if disease is not None and self.rooms.library.get().ranker.base.find_disease(disease) is None:
            faults.append(("disease", "is the id of no disease that is known here, such as OMIM:154700"))
        if comment is not None and len(comment) > LONGEST_COMMENT:
            faults.append(("comment", f"is longer than {LONGEST_COMMENT} characters"))
        if faults:
            raise InputError(faults)
        kept = {
            "id": new_id("rf"),
            "ranking": ranking_id,
            "patient": row["patient"],
            "created": now(),
            "actor": caller.name,
            "role": caller.role,
            "agrees": agrees,
            "disease": disease,
            "comment": None if comment is None else Sealed(comment.encode()),
        }
        entry = self.entry(
            caller,
            Action.FEEDBACK_CREATE,
            patient=row["patient"] or "",
            subject=ranking_id,
            detail="agrees" if agrees else "overrides",
        )
        await self.record(entry, [(schema.ranking_feedback, kept)], patient=_owner(row))
        return str(kept["id"])

    async def find_terms(
        self, caller: Caller, q: str, limit: int = 10, language: Language | None = None
    ) -> tuple[TermFound, ...]:
        """Terms by id, name, synonym or misspelling, the best first. No patient is asked about: what is
        found is not written down, who is refused is.

        Args:
            caller: who is asking.
            q: what was typed.
            limit: of terms, at most MOST_TERMS.
            language: of the labels; None takes the names of the release.

        Raises:
            InputError: nothing was typed, or too much.
            AccessError: the caller may not.
            NotFoundError: the service has no knowledge of rare diseases.
            BusyError: it is still being read.
        """
        await self.permit(caller, Action.FORMS_READ)
        if not q.strip() or len(q) > LONGEST_QUERY:
            raise InputError([("q", f"is empty or longer than {LONGEST_QUERY} characters")])
        if not 1 <= limit <= MOST_TERMS:
            raise InputError([("limit", f"is not a whole number from 1 to {MOST_TERMS}")])
        held = self.rooms.library.get()
        return await self._work(partial(find_terms, held, q.strip(), limit, language))

    async def name_terms(
        self, caller: Caller, ids: Iterable[str], language: Language | None = None
    ) -> Mapping[str, str]:
        """Names of terms by id, in a language where the files carry them; without ids that are not known.

        Raises:
            AccessError: the caller may not.
            NotFoundError: the service has no knowledge of rare diseases.
            BusyError: it is still being read.
        """
        await self.permit(caller, Action.FORMS_READ)
        return name_terms(self.rooms.library.get(), ids, language)

    async def find_mentions(
        self, caller: Caller, text: str, language: Literal["en", "es"] | None = None
    ) -> tuple[TermMention, ...]:
        """Signs that a text mentions, in the order of the text. Nothing of it is kept.

        Raises:
            InputError: the text is too long.
            AccessError: the caller may not.
            NotFoundError: the service has no knowledge of rare diseases.
            BusyError: it is still being read.
        """
        await self.permit(caller, Action.DISEASE_RANK)
        held = self.rooms.library.get()
        return await self._work(partial(recognise, held, text, language))

    async def _work(self, work: Callable[[], T]) -> T:
        """Do this in a thread, when it is its turn."""
        async with self._rankers:
            return await asyncio.to_thread(work)

    def _name_of(self, disease: str) -> str:
        """Name of a disease; empty where it is not known, or not now."""
        if not self.rooms.library.ready():
            return ""
        base = self.rooms.library.get().ranker.base
        place = base.find_disease(disease)
        return "" if place is None else base.diseases[place].name

    def _change(self, caller: Caller, made: StoredRanking, started: float) -> Change:
        """What is to be written for a ranking."""
        record = to_json(made.asked)
        row = {
            "id": made.id,
            "created": made.created,
            "patient": made.patient,
            "site": made.site,
            "actor": made.actor,
            "face": made.face,
            "disease": made.disease,
            "probability": made.probability,
            "absent": made.absent,
            "version": made.version,
            "record": Sealed(record),
            "answer": Sealed(to_json(made.ranking)),
            "latency_ms": round((perf_counter() - started) * 1000, 3),
        }
        entry = self.entry(
            caller,
            Action.DISEASE_RANK,
            time=made.created,
            patient=made.patient or "",
            model=made.version,
            subject=made.id,
            input_hash=self.rooms.cipher.input_hash(record),
            latency_ms=row["latency_ms"],
        )
        return Change(((schema.rankings, row),), (entry,), _owner(row), made.patient_id)

    async def _find_ranking(self, caller: Caller, action: Action, ranking_id: str) -> Mapping[str, Any]:
        """The row of a ranking that the caller may see.

        Raises:
            NotFoundError: no such ranking, or one of another site.
            AccessError: the caller's role may not do this.
        """
        await self.permit(caller, action)
        query = select(schema.rankings).where(schema.rankings.c.id == ranking_id)
        row = await self.read(lambda connection: connection.execute(query).mappings().first())
        if row is not None:
            try:
                require(caller, action, site=row["site"])
            except AccessError as error:
                # told as absent: that the case exists elsewhere is nobody's business here
                await self.deny(caller, action, error.what, subject=ranking_id)
                row = None
        if row is None:
            raise NotFoundError("no such ranking", where="rankings")
        return dict(row)

    def _open_ranking(self, connection: Connection, row: Mapping[str, Any]) -> StoredRanking:
        table = schema.ranking_feedback
        said = connection.execute(select(table).where(table.c.ranking == row["id"]).order_by(table.c.id))
        named = select(schema.identities).where(schema.identities.c.patient == row["patient"])
        identity = connection.execute(named).mappings().first()
        plain = ("id", "created", "patient", "site", "actor", "face", "version")
        return StoredRanking(
            **{key: row[key] for key in plain},
            asked=from_json(self._unseal_ranking(row, "rankings", "record")),
            ranking=from_json(self._unseal_ranking(row, "rankings", "answer")),
            patient_id=None if identity is None else self.patient_id(row["patient"], identity["sealed"]),
            feedback=tuple(self._ranking_feedback(row, dict(each)) for each in said.mappings()),
        )

    def _ranking_feedback(self, ranking: Mapping[str, Any], row: Mapping[str, Any]) -> RankingFeedback:
        comment = None
        if row["comment"] is not None:
            owner = _owner(ranking)
            sealed = row["comment"]
            comment = self.rooms.cipher.open(owner, sealed, "ranking_feedback", "comment", row["id"]).decode()
        keys = ("id", "created", "actor", "agrees", "disease")
        return RankingFeedback(**{key: row[key] for key in keys}, comment=comment)

    def _unseal_ranking(self, row: Mapping[str, Any], table: str, column: str) -> bytes:
        return self.rooms.cipher.open(_owner(row), row[column], table, column, row["id"])


def _owner(row: Mapping[str, Any]) -> str:
    """Whose key seals a ranking: the patient's, or one of its own where no patient was named."""
    return str(row["patient"] or row["id"])


def _rank(held: Held, asked: Asked) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is kept of what was asked, and the ranking, both as plain JSON."""
    read = read_asked(held, asked)
    ranking = held.ranker.rank(read.patient, top=asked.top)
    # what `to_dict` gives, without its copies of every sign: they took longer than all the rest
    answer = from_json(to_json(ranking))
    answer["notices"] = list(dict.fromkeys((*read.notices, *answer["notices"])))
    return from_json(to_json(read.to_dict())), answer


def _version(provenance: Mapping[str, Any]) -> str:
    """Name of what ranked: release, and the beginnings of the hashes of what it was made of."""
    hashes = [str(value)[:8] for name, value in provenance.items() if name.endswith("sha256") and value]
    return "-".join([f"hpo:{provenance.get('ontology_version', 'unknown')}", *hashes])
