"""Use cases around the diagnoses: forms, consents, records, models, the audit trail."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from galeno.errors import InputError, NotFoundError, PackageError
from galeno.governance import audit
from galeno.governance.access import Action, Caller
from galeno.records import RegisteredModel
from galeno.service.counter import Counter
from galeno.service.diagnosing import check_patient_id
from galeno.service.intake import admit_records
from galeno.storage import schema
from galeno.storage.ids import now, written
from galeno.study import Study

MOST_RECORDS = 10_000
"""Training records of one request."""
AUDIT_PAGE = 500
LANGUAGES = ("es", "en")


class Steering(Counter):
    """Forms, consents, training records, models, audit."""

    async def read_form(self, caller: Caller, study: str) -> dict[str, Any]:
        """What a form for this study is drawn from: groups of fields with types, units, ranges, options.

        Raises:
            NotFoundError: no such study has a champion.
            AccessError: the caller may not.
        """
        await self.permit(caller, Action.FORMS_READ)
        model = self.rooms.shelf.get(study).model
        return draw_form(model.study, model.reference.ranges)

    async def read_policy(self, caller: Caller, study: str) -> dict[str, Any]:
        """The data policy that a patient of this study is asked to accept."""
        await self.permit(caller, Action.POLICIES_READ)
        privacy = self.study(study).privacy
        policy = privacy.policy
        return {
            "study": study,
            "required": privacy.consent,
            "version": policy.version,
            "text": {"es": policy.es, "en": policy.en},
        }

    async def give_consent(
        self,
        caller: Caller,
        patient_id: str,
        *,
        study: str | None = None,
        policy_version: str | None = None,
        language: str | None = None,
        accepted: bool = True,
        training: bool = True,
        time: datetime | None = None,
    ) -> dict[str, Any]:
        """Keep what a patient said to the data policy.

        Args:
            caller: who writes it down.
            patient_id: the hospital's own id.
            study: the study; may be left out where just one asks for consent.
            policy_version: that was shown; the present one by default.
            language: in which it was shown; the study's by default.
            accepted: False for a refusal.
            training: whether models may learn from the patient.
            time: when it was said; now by default.

        Raises:
            InputError: a field is not valid.
            NotFoundError: no such study.
            AccessError: the caller may not.
        """
        await self.permit(caller, Action.CONSENTS_CREATE)
        check_patient_id(patient_id)
        declared = self.study(study) if study else self._only_asking()
        present = declared.privacy.policy.version
        shown = present if policy_version is None else policy_version
        faults = []
        if shown != present:
            faults.append(("policy_version", f"is not the present version {present}"))
        if language is not None and language not in LANGUAGES:
            faults.append(("language", f"is none of: {', '.join(LANGUAGES)}"))
        if time is not None and (
            time.tzinfo is None or time > datetime.now(time.tzinfo) + timedelta(minutes=5)
        ):
            faults.append(("time", "has no time zone or is in the future"))
        if faults:
            raise InputError(faults)
        patient = self.rooms.cipher.pseudonym(patient_id)
        rows = self._consents.record(
            patient,
            declared.name,
            declared.privacy.policy,
            language=language or declared.language,
            accepted=accepted,
            training=training,
            actor=caller.name,
            created=None if time is None else written(time),
        )
        row = dict(rows[0][1])
        entry = self.entry(
            caller,
            Action.CONSENTS_CREATE,
            patient=patient,
            study=declared.name,
            subject=row["id"],
            detail="accepted" if accepted else "refused",
        )
        await self.record(entry, rows, patient=patient, identity=patient_id)
        return row

    async def withdraw_consent(self, caller: Caller, consent_id: str) -> dict[str, Any]:
        """Note that a patient took a consent back; from now on it does not count.

        Raises:
            NotFoundError: no such consent.
            AccessError: the caller may not.
        """
        await self.permit(caller, Action.CONSENTS_CREATE)
        table = schema.consents
        query = select(table).where(table.c.id == consent_id)
        row = await self.read(lambda connection: connection.execute(query).mappings().first())
        if row is None:
            raise NotFoundError("no such consent", where="consents")
        entry = self.entry(
            caller,
            Action.CONSENTS_CREATE,
            patient=row["patient"],
            study=row["study"],
            subject=consent_id,
            detail="withdrawn",
        )
        moment = await self.record(
            entry, then=lambda connection: self._consents.withdraw(connection, consent_id)
        )
        return {**row, "withdrawn": moment}

    async def list_consents(self, caller: Caller, patient_id: str) -> list[dict[str, Any]]:
        """Everything that a patient said to data policies, oldest first."""
        await self.permit(caller, Action.CONSENTS_READ)
        check_patient_id(patient_id)
        patient = self.rooms.cipher.pseudonym(patient_id)
        table = schema.consents
        query = select(table).where(table.c.patient == patient).order_by(table.c.id)
        found = await self.read(
            lambda connection: [dict(row) for row in connection.execute(query).mappings().all()]
        )
        await self.record(self.entry(caller, Action.CONSENTS_READ, patient=patient))
        return found

    async def add_records(
        self, caller: Caller, study: str, records: Sequence[Mapping[str, object]]
    ) -> dict[str, Any]:
        """Hold new training records to the study's contract and put the good ones into the lake.

        Args:
            caller: who sends them.
            study: name of the study.
            records: columns as `galeno run` reads them, target and patient included.

        Returns:
            batch, version of the lake table, and the validation report; a batch that is there already is
            not added again.

        Raises:
            InputError: no records, too many, or none that holds to the contract.
            NotFoundError: no such study.
            AccessError: the caller may not.
        """
        await self.permit(caller, Action.RECORDS_CREATE)
        model = self.rooms.shelf.get(study).model
        if not 0 < len(records) <= MOST_RECORDS:
            raise InputError([("records", f"must be 1 to {MOST_RECORDS} records")])
        work = partial(admit_records, self.rooms.home, model.contract, records)
        # thousands of sounds and images take minutes
        done = await (self.decoder.run_slowly(work) if model.contract.files else asyncio.to_thread(work))
        entry = self.entry(
            caller,
            Action.RECORDS_CREATE,
            study=study,
            subject=done["batch"],
            detail=f"{done['report']['good']} of {done['report']['read']} taken",
        )
        await self.record(entry)
        return done

    async def list_models(self, caller: Caller) -> list[dict[str, Any]]:
        """All registered models with their figures, and whether they were stopped."""
        await self.permit(caller, Action.MODELS_LIST)
        await self.record(self.entry(caller, Action.MODELS_LIST))
        return [
            {**_public(model), "stopped": self.stopped.get(model.study)}
            for model in self.rooms.shelf.standing.models
        ]

    async def read_card(self, caller: Caller, study: str, version: str) -> str:
        """The card of a model, in Markdown.

        Raises:
            NotFoundError: no such model.
        """
        await self.permit(caller, Action.MODELS_LIST)
        for model in self.rooms.shelf.standing.models:
            if (model.study, model.version) == (study, version):
                try:
                    return await asyncio.to_thread(
                        (Path(model.package) / "card.md").read_text, encoding="utf-8"
                    )
                except OSError:
                    raise PackageError(
                        "the model's card cannot be read", where=f"{study} {version}"
                    ) from None
        raise NotFoundError("no such model", where="models")

    async def promote(self, caller: Caller, study: str, version: str) -> dict[str, Any]:
        """Make a version the champion; requests in flight end with the one that they began with.

        Raises:
            NotFoundError: no such study or version.
            AccessError: the caller may not.
        """
        await self.permit(caller, Action.MODELS_PROMOTE)
        entry = await self.rooms.registrar.promote(study, version)
        return await self._swapped(caller, entry, "promoted")

    async def roll_back(self, caller: Caller, study: str) -> dict[str, Any]:
        """Make the champion before this one champion again.

        Raises:
            NotFoundError: no such study.
            ConflictError: there was no champion before.
            AccessError: the caller may not.
        """
        await self.permit(caller, Action.MODELS_PROMOTE)
        entry = await self.rooms.registrar.rollback(study)
        return await self._swapped(caller, entry, "rolled back")

    async def stop(self, caller: Caller, study: str, reason: str) -> None:
        """The stop switch: this study's model answers no more until it is started again.

        Raises:
            NotFoundError: no such study.
            AccessError: the caller may not.
        """
        await self.permit(caller, Action.MODELS_STOP)
        self.study(study)
        row = {"study": study, "stopped": now(), "actor": caller.name, "reason": reason}

        def write(connection: Connection) -> None:
            connection.execute(delete(schema.stops).where(schema.stops.c.study == study))
            connection.execute(insert(schema.stops).values(row))

        await self.record(self.entry(caller, Action.MODELS_STOP, study=study, detail="stopped"), then=write)
        await self.refresh()

    async def start(self, caller: Caller, study: str) -> None:
        """Let a stopped model answer again.

        Raises:
            NotFoundError: no such study.
            AccessError: the caller may not.
        """
        await self.permit(caller, Action.MODELS_STOP)
        self.study(study)
        remove = delete(schema.stops).where(schema.stops.c.study == study)
        await self.record(
            self.entry(caller, Action.MODELS_STOP, study=study, detail="started"),
            then=lambda connection: connection.execute(remove).rowcount,
        )
        await self.refresh()

    async def read_audit(self, caller: Caller, *, after: int = 0, limit: int = 100) -> list[dict[str, Any]]:
        """Entries of the audit trail in their order, after one of them. Reading it is an entry as well."""
        await self.permit(caller, Action.AUDIT_READ)
        most = min(limit, AUDIT_PAGE)
        found = await self.read(lambda connection: audit.read(connection, after=after, limit=most))
        await self.record(self.entry(caller, Action.AUDIT_READ, detail=f"{len(found)} after {after}"))
        return found

    def _only_asking(self) -> Study:
        asking = [study for study in self.studies() if study.privacy.consent] or list(self.studies())
        if len(asking) == 1:
            return asking[0]
        raise InputError([("study", "is needed: " + (", ".join(s.name for s in asking) or "there is none"))])

    async def _swapped(self, caller: Caller, entry: RegisteredModel, detail: str) -> dict[str, Any]:
        await self.record(
            self.entry(
                caller,
                Action.MODELS_PROMOTE,
                study=entry.study,
                model=f"{entry.version}@{entry.package_sha256[:12]}",
                detail=detail,
            )
        )
        await self.rooms.shelf.refresh()
        return _public(entry)


def draw_form(study: Study, ranges: Mapping[str, tuple[float, float]]) -> dict[str, Any]:
    """The input schema of a study, for a form.

    Args:
        study: the study.
        ranges: lowest and highest training value by column; outside of it a diagnosis needs review.
    """
    fields = []
    for name, column in study.features_columns.items():
        seen = ranges.get(name)
        fields.append(
            {
                "name": name,
                "type": column.type,
                "label": {"es": column.label.es or name, "en": column.label.en or name},
                "group": column.group,
                "unit": column.unit,
                "units": [column.unit, *(c.unit for c in column.convert)] if column.unit else [],
                "convert": [c.model_dump() for c in column.convert],
                "min": column.min,
                "max": column.max,
                "usual": None if seen is None else {"min": seen[0], "max": seen[1]},
                "options": list(column.options),
                "required": column.required,
            }
        )
    return {
        "study": study.name,
        "title": study.title,
        "question": study.question,
        "intended_use": study.intended_use,
        "simulated": study.simulated,
        "language": study.language,
        "consent": study.privacy.consent,
        "conditions": [
            {
                "name": c.name,
                "label": {"es": c.label.es or c.name, "en": c.label.en or c.name},
                "rare": c.rare,
            }
            for c in study.classes
        ],
        "groups": list(dict.fromkeys(str(field["group"]) for field in fields)),
        "fields": fields,
    }


def _public(model: RegisteredModel) -> dict[str, Any]:
    """What is told of a model: not where it lies."""
    told = model.to_dict()
    del told["package"]
    return told
