"""Use cases of a diagnosis: make it, read it, list it, explain it."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from time import perf_counter
from typing import Any, TypeVar

from pydantic_core import from_json, to_json
from sqlalchemy import Connection, Table, select

from galeno.errors import ConflictError, GalenoError, InputError, NotFoundError, PackageError, RegistryError
from galeno.governance.access import Action, Caller
from galeno.ingest.values import Value
from galeno.model.explain import explain as explain_record
from galeno.model.model import Model
from galeno.records import Diagnosis, Explanation, RankedCondition
from galeno.service.answers import Answer, Feedback, Outcome, StoredDiagnosis
from galeno.service.batch import Batch, keep_message, release_message
from galeno.service.counter import Counter
from galeno.service.intake import unfit
from galeno.service.media_intake import clean_files, has_media, hold_files, keep_record, type_media
from galeno.service.notify import outbox_row
from galeno.service.shelf import Served
from galeno.storage import schema
from galeno.storage.commit import Change, Sealed
from galeno.storage.ids import new_id, now

_log = logging.getLogger("galeno.service")

T = TypeVar("T")
LONGEST_ID = 200
"""Characters of a patient id."""
MOST_FAULTS = 20
"""Faults of one request that are told."""
EXPLAINED = 256
"""Explanations that a worker remembers; one takes some 20 ms to make, and a page is drawn several times."""
PAGE = 200
"""Most diagnoses of one page."""
CLOCK_SKEW = timedelta(days=1)
"""How far ahead of this clock a date may be: time zones, and clocks that go fast."""


class NotKeptError(ConflictError):
    """What a diagnosis was made of, or the model that made it, is no longer there, or cannot be read."""


@dataclass(frozen=True, slots=True)
class _Taken:
    """A record that was taken in.

    Args:
        record: as it is kept.
        values: as the model reads it.
        faults: reasons to review it.
        shadow: values and faults as the challenger reads it, where that took a decoder.
        started: when it came.
        sealed: the record as JSON, and its hash for the trail, where they are long enough to take a while.
        shadowed: whether the challenger, where there is one, could read it.
    """

    record: Mapping[str, object]
    values: Mapping[str, Value]
    faults: tuple[str, ...]
    started: float
    shadow: tuple[Mapping[str, Value], tuple[str, ...]] | None = None
    sealed: tuple[bytes, str] | None = None
    shadowed: bool = True


class Diagnosing(Counter):
    """Make, read, list and explain diagnoses."""

    async def diagnose(
        self,
        caller: Caller,
        study: str,
        patient_id: str,
        record: Mapping[str, object],
        *,
        explain: bool = False,
    ) -> Answer:
        """Diagnose one record. When this returns, the answer is on disk.

        Args:
            caller: who is asking.
            study: name of the study.
            patient_id: the hospital's own id; it is kept encrypted only.
            record: column to raw value; columns that are not there are missing. A sound or an image is the
                bytes of its file, or a data URL.
            explain: also explain the first conditions.

        Raises:
            InputError: an unknown column, or a value that the study's rules do not take.
            AccessError: the caller may not.
            ConsentError: the study asks for consent, and there is none.
            NotFoundError: no such study has a champion.
            BusyError: the model was stopped, or too many are waiting.
            JournalError: the journal does not answer; nothing was kept.
        """
        await self.permit(caller, Action.DIAGNOSES_CREATE)
        served = self.serving(study)
        taken = await self._take(caller, served, patient_id, record)
        answer, change = await self._make(caller, served, patient_id, taken)
        if explain:
            explanations = await self._reason(served.model, taken.record, heavy=taken.sealed is not None)
            answer = replace(answer, explanations=explanations)
            self._remember(answer.id, explanations)
        await self.rooms.commits.commit(change)
        self.diagnosed(answer)
        return answer

    async def diagnose_many(
        self,
        caller: Caller,
        study: str,
        requests: Sequence[tuple[str, Mapping[str, object]]],
        *,
        batch: Batch,
    ) -> list[Answer | GalenoError]:
        """Diagnose several records; each gets its answer or its own error. One wait for the disk.

        Args:
            caller: who is asking.
            study: name of the study.
            requests: patient id and record of each.
            batch: what they belong to; somebody is told of it once, not of each.

        Raises:
            AccessError: the caller may not.
            NotFoundError: no such study has a champion.
            JournalError: the journal does not answer; nothing was kept.
        """
        await self.permit(caller, Action.DIAGNOSES_CREATE)
        declared = self.serving(study).model.study
        made = await asyncio.gather(
            *(self._try(caller, study, patient_id, record) for patient_id, record in requests)
        )
        good = [each for each in made if not isinstance(each, GalenoError)]
        changes = [change for _, change in good]
        message = batch.message(declared, [answer for answer, _ in good])
        if message is not None:
            changes[-1] = replace(changes[-1], then=partial(keep_message, row=message))
        await asyncio.gather(*(self.rooms.commits.commit(change) for change in changes))
        answers = [each if isinstance(each, GalenoError) else each[0] for each in made]
        for each in answers:
            if isinstance(each, Answer):
                self.diagnosed(each)
        return answers

    async def end_batch(self, study: str, batch: Batch) -> None:
        """Nothing more comes of this batch: let it be told, if there is anything to tell."""
        if batch.ids:
            await self.rooms.commits.commit(
                Change(then=lambda connection: release_message(connection, study, batch))
            )

    async def read_diagnosis(
        self, caller: Caller, diagnosis_id: str, *, record: bool = True
    ) -> StoredDiagnosis:
        """One diagnosis with its input, feedback and outcomes.

        Args:
            caller: who is asking.
            diagnosis_id: of the diagnosis.
            record: with its input, which may hold many megabytes of sounds and images.

        Raises:
            NotFoundError: no such diagnosis, or one of another site.
            AccessError: the caller may not.
        """
        row = await self.find(caller, Action.DIAGNOSES_READ, diagnosis_id)
        kept = None
        if record and row["captured"]:
            kept = await self._read_input(row, lambda input_: hold_files(input_, self._files_of(row)))
        stored = await self.read(lambda connection: self._open(connection, row, kept))
        await self.record(self._read_entry(caller, Action.DIAGNOSES_READ, row))
        return stored

    async def list_diagnoses(
        self,
        caller: Caller,
        *,
        study: str | None = None,
        patient_id: str | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> tuple[list[StoredDiagnosis], str | None]:
        """Diagnoses, newest first, without their inputs; clinicians see those of their own site.

        Args:
            caller: who is asking.
            study: only of this study.
            patient_id: only of this patient.
            limit: of one page, at most PAGE.
            after: id that the page before ended with.

        Returns:
            the page, and the id to go on after, None at the end.
        """
        await self.permit(caller, Action.DIAGNOSES_LIST)
        table = schema.diagnoses
        # an input may hold many megabytes of sounds and images
        columns = [column for column in table.c if column.name != "record"]
        query = select(*columns).order_by(table.c.id.desc()).limit(min(limit, PAGE) + 1)
        patient = self.rooms.cipher.pseudonym(patient_id) if patient_id else ""
        if study:
            query = query.where(table.c.study == study)
        if patient:
            query = query.where(table.c.patient == patient)
        if after:
            query = query.where(table.c.id < after)
        if not sees_all_sites(caller):
            query = query.where(table.c.site == caller.site)

        def work(connection: Connection) -> list[StoredDiagnosis]:
            return [self._stored(dict(row)) for row in connection.execute(query).mappings()]

        found = await self.read(work)
        page = found[: min(limit, PAGE)]
        await self.record(
            self.entry(
                caller,
                Action.DIAGNOSES_LIST,
                study=study or "",
                patient=patient,
                detail=f"{len(page)} listed",
            )
        )
        return page, page[-1].id if len(found) > len(page) else None

    async def explain(self, caller: Caller, diagnosis_id: str) -> tuple[Explanation, ...]:
        """Why the first conditions of a diagnosis have their probabilities, by the model that answered.

        Raises:
            NotFoundError: no such diagnosis.
            NotKeptError: its input was not kept, or its model is no longer there.
            BusyError: too many are waiting.
        """
        row = await self.find(caller, Action.DIAGNOSES_EXPLAIN, diagnosis_id)
        _need_input(row)
        explanations = self.explained.get(diagnosis_id)
        if explanations is None:
            model = await self._model_of(row)
            async with self._shown if model.contract.files else nullcontext():
                record = await self._read_input(row, dict)
                explanations = await self._reason(model, record, heavy=has_media(model, record))
            self._remember(diagnosis_id, explanations)
        await self.record(self._read_entry(caller, Action.DIAGNOSES_EXPLAIN, row))
        return explanations

    def _remember(self, diagnosis_id: str, explanations: tuple[Explanation, ...]) -> None:
        """Keep an explanation for as long as the case is likely to be looked at again."""
        self.explained[diagnosis_id] = explanations
        while len(self.explained) > EXPLAINED:
            self.explained.popitem(last=False)

    async def _try(
        self, caller: Caller, study: str, patient_id: str, record: Mapping[str, object]
    ) -> tuple[Answer, Change] | GalenoError:
        try:
            served = self.serving(study)
            taken = await self._take(caller, served, patient_id, record, patient=True)
            return await self._make(caller, served, patient_id, taken, tell=False)
        except GalenoError as error:
            return error

    async def _take(
        self,
        caller: Caller,
        served: Served,
        patient_id: str,
        record: Mapping[str, object],
        *,
        patient: bool = False,
    ) -> _Taken:
        """Hold a record to the study's rules; sounds and images are decoded elsewhere than on the loop.

        Args:
            caller: who is asking.
            served: what answers.
            patient_id: the hospital's own id.
            record: as it came.
            patient: wait for one of the decoder's turns for batches.
        """
        started = perf_counter()
        check_patient_id(patient_id)
        models = (served.model,) if served.challenger is None else (served.model, served.challenger)
        if not any(has_media(model, record) for model in models):
            values, faults = type_record(served.model, record)
            return _Taken(record, values, faults, started)
        check_record(served.model, record)
        # no file of a patient who did not consent is looked into
        pseudonym = self.rooms.cipher.pseudonym(patient_id)
        await self.need_consent(caller, served.model.study, pseudonym, Action.DIAGNOSES_CREATE)
        work = partial(_take_media, served, record, started, self.rooms.cipher.input_hash)
        return await self.decoder.run(work, patient=patient)

    async def _reason(
        self, model: Model, record: Mapping[str, object], *, heavy: bool
    ) -> tuple[Explanation, ...]:
        """Explain a record in a thread."""
        if heavy:
            return await self.decoder.run(partial(_explain, model, record))
        return await asyncio.to_thread(_explain, model, record)

    async def _make(
        self,
        caller: Caller,
        served: Served,
        patient_id: str,
        taken: _Taken,
        *,
        tell: bool = True,
    ) -> tuple[Answer, Change]:
        """Answer one record, and what is to be written for it: with `tell`, a message as well."""
        study = served.entry.study
        patient = self.rooms.cipher.pseudonym(patient_id)
        await self.need_consent(caller, served.model.study, patient, Action.DIAGNOSES_CREATE)
        diagnosis = await self._together.diagnose(served.model, taken.values, taken.faults)
        answer = Answer(
            id=new_id("dx"),
            study=study,
            created=now(),
            patient=patient,
            diagnosis=diagnosis,
        )
        sealed, input_hash = taken.sealed or (to_json(taken.record), None)
        rows: list[tuple[Any, Mapping[str, Any]]] = []
        row = _row(answer, caller, sealed, taken.started)
        if not _captured(answer.id, served.model.study.answering.capture):
            row["record"] = None
            answer = replace(answer, captured=False)
        rows.append((schema.diagnoses, row))
        if served.challenger is not None and taken.shadowed:
            rows += _shadow(answer, served, taken)
        told = outbox_row(served.model.study, answer.id, diagnosis.reasons) if tell else None
        if told is not None:
            rows.append((schema.outbox, told))
        entry = self.entry(
            caller,
            Action.DIAGNOSES_CREATE,
            time=answer.created,
            patient=patient,
            study=study,
            model=f"{diagnosis.version}@{diagnosis.package_sha256[:12]}",
            subject=answer.id,
            input_hash=input_hash or self.rooms.cipher.input_hash(sealed),
            latency_ms=row["latency_ms"],
        )
        return answer, Change(tuple(rows), (entry,), patient, patient_id)

    async def _read_input(self, row: Mapping[str, Any], take: Callable[[dict[str, Any]], T]) -> T:
        """Take what is wanted of the input of a diagnosis, in a thread, when it is its turn.

        Args:
            row: of the diagnosis.
            take: is given the record as it was kept.

        Raises:
            NotKeptError: the input was not kept.
            NotFoundError: it was erased meanwhile.
        """
        _need_input(row)
        table = schema.diagnoses
        query = select(table.c.record).where(table.c.id == row["id"])
        async with self._inputs:
            sealed = await self.read(lambda connection: connection.execute(query).scalar())
            if sealed is None:
                raise NotFoundError("no such diagnosis", where="diagnoses")
            return await asyncio.to_thread(lambda: take(self._unseal({**row, "record": sealed}, "record")))

    async def _model_of(self, row: Mapping[str, Any]) -> Model:
        """The model that made a diagnosis.

        Raises:
            NotKeptError: it is no longer there.
        """
        try:
            return await asyncio.to_thread(self.rooms.shelf.version, row["study"], row["version"])
        except (NotFoundError, PackageError, RegistryError) as error:
            _log.warning("a diagnosis cannot be explained: %s", error)
            raise NotKeptError("the model that answered is no longer there", where="diagnoses") from None

    def _files_of(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        """Columns of sounds and images of a diagnosis, as the version that answered knows them."""
        return self.rooms.shelf.files(row["study"], row["version"])

    def _open(
        self, connection: Connection, row: Mapping[str, Any], record: Mapping[str, Any] | None
    ) -> StoredDiagnosis:
        """A diagnosis with everything that belongs to it."""
        said = _of(connection, schema.feedback, row["id"])
        confirmed = _of(connection, schema.outcomes, row["id"])
        named = select(schema.identities).where(schema.identities.c.patient == row["patient"])
        identity = connection.execute(named).mappings().first()
        return self._stored(
            row,
            record=record,
            patient_id=None if identity is None else self.patient_id(row["patient"], identity["sealed"]),
            feedback=tuple(self._feedback(each) for each in said),
            outcomes=tuple(
                Outcome(
                    **{key: each[key] for key in ("id", "created", "actor", "condition")},
                    confirmed_on=each["confirmed_on"],
                    source=each["source"],
                )
                for each in confirmed
            ),
        )

    def _feedback(self, row: Mapping[str, Any]) -> Feedback:
        comment = None
        if row["comment"] is not None:
            cipher = self.rooms.cipher
            comment = cipher.open(row["patient"], row["comment"], "feedback", "comment", row["id"]).decode()
        keys = ("id", "created", "actor", "agrees", "condition", "rating", "reason")
        return Feedback(**{key: row[key] for key in keys}, comment=comment)

    def _stored(self, row: Mapping[str, Any], **more: Any) -> StoredDiagnosis:
        answer = self._unseal(row, "answer")
        plain = (
            "id", "study", "created", "patient", "site", "actor", "face", "version", "package_sha256",
            "condition", "confidence", "needs_review", "reviewed",
        )  # fmt: skip
        return StoredDiagnosis(
            **{key: row[key] for key in plain},
            ranking=tuple(RankedCondition(condition, p) for condition, p in answer["ranking"]),
            not_ruled_out=tuple(answer["not_ruled_out"]),
            reasons=tuple(answer["reasons"]),
            **more,
        )

    def _unseal(self, row: Mapping[str, Any], column: str) -> Any:
        return from_json(self.rooms.cipher.open(row["patient"], row[column], "diagnoses", column, row["id"]))

    def _read_entry(self, caller: Caller, action: Action, row: Mapping[str, Any], detail: str = "") -> Any:
        about = {"patient": row["patient"], "study": row["study"], "subject": row["id"]}
        return self.entry(caller, action, detail=detail, **about)


def _need_input(row: Mapping[str, Any]) -> None:
    if not row["captured"]:
        raise NotKeptError("the input of this diagnosis was not kept", where="diagnoses")


def check_patient_id(patient_id: str) -> None:
    """Hold a patient id to what is taken.

    Raises:
        InputError: it is empty or too long.
    """
    if not patient_id.strip() or len(patient_id) > LONGEST_ID:
        raise InputError([("patient_id", f"is empty or longer than {LONGEST_ID} characters")])


def check_record(model: Model, record: Mapping[str, object]) -> None:
    """Hold a record to what can stand in one at all.

    Raises:
        InputError: a column that the study does not know, or a value that is not a plain one.
    """
    known = model.contract.inputs
    wrong = [(f"record.{name[:64]}", "is not a column of this study") for name in record if name not in known]
    if wrong:
        raise InputError(wrong[:MOST_FAULTS], remedy="GET /v1/studies/{study}/form lists the columns")
    files = model.contract.files
    wrong = [
        (f"record.{name}", fault)
        for name, value in record.items()
        if (fault := unfit(value, is_file=name in files))
    ]
    if wrong:
        raise InputError(wrong[:MOST_FAULTS])


def type_record(model: Model, record: Mapping[str, object]) -> tuple[dict[str, Value], tuple[str, ...]]:
    """The typed values of a record without sounds and images as the model reads them.

    Returns:
        values by feature column, and reasons to review that the study's rules let through.

    Raises:
        InputError: as `check_record` and `check_values`.
    """
    check_record(model, record)
    values, reasons = model.contract.answer_record(record)
    check_values(model, values, reasons)
    return values, reasons


def check_values(model: Model, values: Mapping[str, Value], reasons: tuple[str, ...]) -> None:
    """Refuse what would be blanked: a clinician who asks is told at once.

    Raises:
        InputError: a value breaks a rule by which it is blanked, or a date is to come.
    """
    if reasons:
        wrong = [
            (f"record.{column}", _say(model, code, column))
            for code, _, column in (reason.partition(":") for reason in reasons)
            if values[column] is None or model.study.columns[column].type == "terms"
        ]
        if wrong:
            raise InputError(wrong[:MOST_FAULTS])
    for column in model.contract.dates:
        value = values.get(column)
        if isinstance(value, datetime) and value > datetime.now(UTC).replace(tzinfo=None) + CLOCK_SKEW:
            raise InputError([(f"record.{column}", "is in the future")])


def sees_all_sites(caller: Caller) -> bool:
    """Whether lists hold other sites' diagnoses for this caller."""
    return caller.demo or caller.role != "clinician"


def _say(model: Model, code: str, column: str) -> str:
    """What is wrong with a value, without the value."""
    rules = model.study.columns[column]
    if code == "out_of_range":
        unit = f" {rules.unit}" if rules.unit else ""
        low = "" if rules.min is None else f" from {rules.min:g}"
        high = "" if rules.max is None else f" to {rules.max:g}"
        return f"is outside what is possible ({(low + high).strip()}{unit}); check the unit"
    if rules.type == "terms":
        return "holds a term that is no sign of the HPO, or one that is said to be both present and absent"
    if rules.options:
        return f"is none of the options: {', '.join(rules.options[:20])}"
    return f"is not a {rules.type}"


def _row(answer: Answer, caller: Caller, record: bytes, started: float) -> dict[str, Any]:
    diagnosis = answer.diagnosis
    return {
        "id": answer.id,
        "study": answer.study,
        "created": answer.created,
        "patient": answer.patient,
        "site": caller.site,
        "actor": caller.name,
        "face": caller.face,
        "version": diagnosis.version or "",
        "package_sha256": diagnosis.package_sha256,
        "condition": diagnosis.condition,
        "confidence": diagnosis.ranking[0].probability,
        "needs_review": diagnosis.needs_review,
        "record": Sealed(record),
        "answer": Sealed(_answer_json(diagnosis)),
        "latency_ms": round((perf_counter() - started) * 1000, 3),
        "reviewed": None,
    }


def _answer_json(diagnosis: Diagnosis) -> bytes:
    return to_json(
        {
            "ranking": [(ranked.condition, ranked.probability) for ranked in diagnosis.ranking],
            "not_ruled_out": diagnosis.not_ruled_out,
            "reasons": diagnosis.reasons,
        }
    )


def _take_media(
    served: Served, record: Mapping[str, object], started: float, hash_of: Callable[[bytes], str]
) -> _Taken:
    """Take in a record with sounds or images; this takes a while.

    Raises:
        InputError: a file or another value breaks a rule.
    """
    model, challenger = served.model, served.challenger
    contents = clean_files(model.study, model.contract.files, record)
    values, faults = type_media(model, record, contents)
    check_values(model, values, faults)
    shadow = _read_shadow(challenger, record, contents)
    kept = keep_record(record, contents)
    sealed = to_json(kept)
    shadowed = challenger is None or shadow is not None
    return _Taken(kept, values, faults, started, shadow, (sealed, hash_of(sealed)), shadowed)


def _read_shadow(
    challenger: Model | None, record: Mapping[str, object], contents: Mapping[str, bytes | None]
) -> tuple[Mapping[str, Value], tuple[str, ...]] | None:
    """The record as the challenger reads it; None where there is none, or it cannot."""
    if challenger is None:
        return None
    try:
        return type_media(challenger, record, contents)
    except Exception as error:  # whatever it is, the champion's answer must not fail of it
        _log.warning("the challenger could not read an input: %s", type(error).__name__)
        return None


def _shadow(answer: Answer, served: Served, taken: _Taken) -> list[tuple[Any, dict[str, Any]]]:
    """What the challenger would have said, for the journal alone."""
    model = served.challenger
    if model is None:
        return []
    started = perf_counter()
    diagnosis = model.diagnose_typed(*(taken.shadow or model.contract.answer_record(taken.record)))
    row = {
        "id": f"{answer.id}.{diagnosis.version}",
        "diagnosis": answer.id,
        "patient": answer.patient,
        "study": answer.study,
        "created": answer.created,
        "version": diagnosis.version or "",
        "package_sha256": diagnosis.package_sha256,
        "condition": diagnosis.condition,
        "confidence": diagnosis.ranking[0].probability,
        "answer": Sealed(_answer_json(diagnosis)),
        "latency_ms": round((perf_counter() - started) * 1000, 3),
    }
    return [(schema.shadows, row)]


def _captured(diagnosis_id: str, share: float) -> bool:
    """Whether the input of this diagnosis is kept: by the random end of its id."""
    return share >= 1 or int(diagnosis_id[-8:], 16) < share * 2**32


def _explain(model: Model, record: Mapping[str, object]) -> tuple[Explanation, ...]:
    return explain_record(model, record, permutations=64, seed=model.study.seed)


def _of(connection: Connection, table: Table, diagnosis_id: str) -> list[dict[str, Any]]:
    query = select(table).where(table.c.diagnosis == diagnosis_id).order_by(table.c.id)
    return [dict(row) for row in connection.execute(query).mappings()]
