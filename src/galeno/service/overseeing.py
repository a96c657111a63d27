"""Use cases of those who look after diagnoses and models: worklist, overview, models, audit trail."""

import asyncio
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from galeno.errors import GalenoError, InputError, NotFoundError
from galeno.evaluation.evaluation import Evaluation
from galeno.evaluation.gate import decide as decide_gate
from galeno.evaluation.gate import gate_from_dict
from galeno.governance.access import Action, Caller, decide
from galeno.records import GateReport, RegisteredModel
from galeno.service.counter import Counter
from galeno.service.diagnosing import sees_all_sites
from galeno.service.overview import Overview, read_overview
from galeno.service.shelf import read_study
from galeno.service.span import Span, last_days
from galeno.service.worklist import Wanted, Worklist, read_worklist
from galeno.storage import schema
from galeno.storage.atomic import read_json
from galeno.storage.commit import Change
from galeno.storage.ids import new_id, written
from galeno.storage.runs import RunFolder
from galeno.storage.standing import CHAMPION
from galeno.study import Study

PAGE_NAMES = (
    "start", "consent", "new", "result", "worklist", "overview", "models", "model", "audit", "other",
)  # fmt: skip
"""Kinds of pages that time is counted for; anything else is `other`."""
LONGEST_LOOK = 3600.0
"""Seconds that one look at a page may count: a page left open is nobody looking."""
TRAIL_PAGE = 100


@dataclass(frozen=True, slots=True)
class ModelSheet:
    """One version of a study's model, with what is known of it.

    Attributes:
        entry: as the registry has it.
        stopped: why the study's model was stopped; None where it was not.
        study: the study as the package holds it; None where that cannot be read.
        evaluation: figures on its test part; None where the package has none.
        champion: the version that answers now; None where none does.
        gate: verdicts; None where they cannot be told.
        card: Markdown; empty where there is none.
    """

    entry: RegisteredModel
    stopped: str | None
    study: Study | None
    evaluation: Evaluation | None
    champion: RegisteredModel | None
    gate: GateReport | None
    card: str

    @property
    def answers(self) -> bool:
        """Whether this version is the champion."""
        return CHAMPION in self.entry.aliases


@dataclass(frozen=True, slots=True)
class TrailWanted:
    """What somebody wants to see of the audit trail.

    Attributes:
        action: only these; empty for all.
        outcome: done, denied or failed; empty for all.
        span: days; None for all.
        before: only entries before this number; None from the end.
    """

    action: str = ""
    outcome: str = ""
    span: Span | None = None
    before: int | None = None


@dataclass(frozen=True, slots=True)
class Trail:
    """Entries of the audit trail, the newest first."""

    entries: tuple[dict[str, Any], ...]
    following: int | None
    """Go on before this number; None at the beginning of the trail."""


class Overseeing(Counter):
    """Worklist, overview, models and audit trail, for pages."""

    async def list_work(self, caller: Caller, wanted: Wanted) -> Worklist:
        """One page of the worklist. A clinician sees the own site's cases, with the hospital's patient ids;
        others see pseudonyms.

        Raises:
            AccessError: the caller may not.
            JournalError: the journal does not answer.
        """
        await self.permit(caller, Action.DIAGNOSES_LIST)
        if not sees_all_sites(caller):
            wanted = replace(wanted, site=caller.site)
        named = decide(caller, Action.DIAGNOSES_READ).allowed

        def work(connection: Connection) -> Worklist:
            found = read_worklist(connection, wanted)
            return self._name(connection, found) if named else found

        found = await self.read(work)
        detail = f"{len(found.rows)} of the worklist" + (", with patient ids" if named else "")
        await self.record(self.entry(caller, Action.DIAGNOSES_LIST, study=wanted.study or "", detail=detail))
        return found

    async def overview(
        self, caller: Caller, span: Span, *, study: str | None = None, purpose: str = ""
    ) -> Overview:
        """What happened in some days, in figures.

        Args:
            caller: who asks.
            span: the days, at most `span.LONGEST`.
            study: only of this one.
            purpose: what for, for the trail, such as the name of a table that is taken away.

        Raises:
            InputError: the days are not in order, or too many.
            AccessError: the caller may not.
            JournalError: the journal does not answer.
        """
        await self.permit(caller, Action.OVERVIEW_READ)
        span.check()
        found = await self.read(lambda connection: read_overview(connection, span, study))
        days = f"{span.since} to {span.until}"
        detail = f"{days}; {purpose}" if purpose else days
        await self.record(self.entry(caller, Action.OVERVIEW_READ, study=study or "", detail=detail))
        return found

    async def read_model(self, caller: Caller, study: str, version: str) -> ModelSheet:
        """One version with figures, gate and card, as far as its package and run are there.

        Raises:
            NotFoundError: no such version.
            AccessError: the caller may not.
            JournalError: the journal does not answer.
        """
        await self.permit(caller, Action.MODELS_LIST)
        standing = self.rooms.shelf.standing
        entry = standing.find(study, version)
        if entry is None:
            raise NotFoundError("no such version of the study's model", where="models")
        sheet = await asyncio.to_thread(self._read_sheet, entry, standing.champion(study))
        await self.record(
            self.entry(
                caller, Action.MODELS_LIST, study=study, model=f"{version}@{entry.package_sha256[:12]}"
            )
        )
        return sheet

    async def read_trail(self, caller: Caller, wanted: TrailWanted) -> Trail:
        """Entries of the audit trail, the newest first. Reading it is an entry as well.

        Raises:
            AccessError: the caller may not.
            InputError: the days are not in order.
            JournalError: the journal does not answer.
        """
        await self.permit(caller, Action.AUDIT_READ)
        if wanted.span is not None:
            wanted.span.check(longest=36_525)
        found = await self.read(lambda connection: _read_trail(connection, wanted))
        detail = f"{len(found)} entries" + (f" of {wanted.action}" if wanted.action else "")
        await self.record(self.entry(caller, Action.AUDIT_READ, detail=detail))
        page = tuple(found[:TRAIL_PAGE])
        return Trail(page, page[-1]["seq"] if len(found) > TRAIL_PAGE else None)

    async def add_time(self, caller: Caller, page: str, seconds: float) -> None:
        """Count how long somebody looked at a page. Who it was is not kept, and nothing is audited.

        Args:
            caller: who looked.
            page: one of PAGE_NAMES; anything else counts as `other`.
            seconds: at most LONGEST_LOOK count.

        Raises:
            InputError: not a length of time.
            JournalError: it could not be kept.
        """
        if not math.isfinite(seconds) or seconds < 0:
            raise InputError([("seconds", "is not a length of time")])
        day = last_days(1).since.isoformat()
        row = {
            "id": new_id("tm"),
            "day": day,
            "page": page if page in PAGE_NAMES else "other",
            "role": caller.role,
            "seconds": round(min(seconds, LONGEST_LOOK), 1),
            "user_hash": self.rooms.cipher.input_hash(f"{day} {caller.name}".encode()),
        }
        await self.rooms.commits.commit(Change(rows=((schema.page_times, row),)))

    def _name(self, connection: Connection, found: Worklist) -> Worklist:
        """The worklist with the hospital's ids of patients who were not erased."""
        names = self.patient_ids(connection, (row.patient for row in found.rows))
        rows = tuple(replace(row, patient_id=names.get(row.patient)) for row in found.rows)
        return replace(found, rows=rows)

    def _read_sheet(self, entry: RegisteredModel, champion: RegisteredModel | None) -> ModelSheet:
        """Everything that a package and its run tell of a version."""
        folder = self.rooms.shelf.folder_of(entry)
        study = read_study(folder)
        evaluation = _read_evaluation(folder)
        gate = self._read_gate(entry.run)
        if gate is None and study is not None and evaluation is not None:
            gate = _judge_again(study, evaluation)
        return ModelSheet(
            entry=entry,
            stopped=self.stopped.get(entry.study),
            study=study,
            evaluation=evaluation,
            champion=champion,
            gate=gate,
            card=_read_card(folder),
        )

    def _read_gate(self, run: str) -> GateReport | None:
        """What the gate said in the run that made a package; None where the run is no longer there."""
        try:
            said = RunFolder.open(self.rooms.home.runs, run).result("gate") if run else None
            return None if said is None else gate_from_dict(said)
        except (GalenoError, KeyError, TypeError):
            return None


def _read_evaluation(folder: Path) -> Evaluation | None:
    try:
        return Evaluation.from_dict(read_json(folder / "evaluation.json"))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _read_card(folder: Path) -> str:
    try:
        return (folder / "card.md").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def _judge_again(study: Study, evaluation: Evaluation) -> GateReport | None:
    """The gate's thresholds held against the figures once more; what the champion had then is not known."""
    try:
        return decide_gate(study.gate, evaluation, None)
    except GalenoError:
        return None


def _read_trail(connection: Connection, wanted: TrailWanted) -> list[dict[str, Any]]:
    """One entry more than a page holds, so that it is known whether there are more."""
    table = schema.audit
    query = select(table).order_by(table.c.seq.desc()).limit(TRAIL_PAGE + 1)
    if wanted.before is not None:
        query = query.where(table.c.seq < wanted.before)
    if wanted.action:
        query = query.where(table.c.action == wanted.action)
    if wanted.outcome:
        query = query.where(table.c.outcome == wanted.outcome)
    if wanted.span is not None:
        # times have no index, but they rise with the numbers: the ends are found by halving
        low = _first_after(connection, written(wanted.span.start))
        high = _first_after(connection, written(wanted.span.end))
        query = query.where(table.c.seq >= low, table.c.seq < high)
    return [dict(row) for row in connection.execute(query).mappings()]


def _first_after(connection: Connection, moment: str) -> int:
    """Number of the first entry that is not before a time; entries of one moment may stand out of order by
    the milliseconds that their transactions took.
    """
    table = schema.audit
    first, last = connection.execute(select(func.min(table.c.seq), func.max(table.c.seq))).one()
    if last is None:
        return 0
    low, high = first, last + 1
    while low < high:
        middle = (low + high) // 2
        query = select(table.c.time).where(table.c.seq >= middle).order_by(table.c.seq).limit(1)
        time = connection.execute(query).scalar()
        if time is not None and time < moment:
            low = middle + 1
        else:
            high = middle
    return int(low)
