"""The page of one diagnosis."""

from collections.abc import Mapping
from datetime import UTC, datetime

from fastapi import Request, Response

from galeno.errors import BusyError
from galeno.service.answers import StoredDiagnosis
from galeno.service.diagnosing import NotKeptError
from galeno.service.following import OTHER
from galeno.service.media_intake import HeldFile
from galeno.service.pages.again import Again
from galeno.service.pages.file_words import extent_text
from galeno.service.pages.frame import Frame
from galeno.service.pages.result import (
    Spoken,
    column_label,
    condition_label,
    draw_result,
    draw_spoken,
    reason_codes,
)
from galeno.service.pages.session import Session
from galeno.service.pages.sign_names import SignNames
from galeno.service.pages.signs import parse_signs
from galeno.service.pages.words import Words
from galeno.study import Study


class ResultPage:
    """Draws diagnoses.

    Args:
        frame: templates and sessions.
    """

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._desk = frame.desk
        self._names = SignNames(frame.desk)

    async def draw(self, request: Request, session: Session, diagnosis_id: str, again: Again) -> Response:
        """The page of a diagnosis.

        Raises:
            NotFoundError: no such diagnosis, or one of another site.
            AccessError: the caller may not.
        """
        stored = await self._desk.read_diagnosis(session.caller(), diagnosis_id)
        study = self._desk.study(stored.study)
        words = self._frame.words(request, session)
        names = await self._name_signs(session, stored, words)
        files = _files(stored, study, words)
        busy, spoken = False, None
        try:
            spoken = await self._spoken(session, stored, words, names, files)
        except BusyError:
            busy = True
        return await self._frame.page(
            request,
            session,
            "diagnosis.html",
            status=again.status,
            stored=stored,
            study=study,
            result=draw_result(stored, study, words, names, files),
            spoken=spoken,
            busy=busy,
            files={name: column_label(study, name, words) for name in files},
            conditions={
                **{name: condition_label(study, name, words) for name in study.class_names},
                OTHER: condition_label(study, OTHER, words),
            },
            codes=reason_codes(words),
            sent=again.sent,
            faults=again.faults,
            labels=_labels(words),
            today=datetime.now(UTC).date().isoformat(),
        )

    async def _name_signs(self, session: Session, stored: StoredDiagnosis, words: Words) -> Mapping[str, str]:
        """Names of the signs that were entered, by their ids."""
        columns = self._desk.study(stored.study).columns
        record = stored.record or {}
        texts = [
            record[name] for name, column in columns.items() if column.type == "terms" and record.get(name)
        ]
        listed = (";".join(map(str, text)) if isinstance(text, list) else str(text) for text in texts)
        ids = [sign.token for text in listed for sign in parse_signs(text)]
        return await self._names.of(session, ids, words)

    async def _spoken(
        self,
        session: Session,
        stored: StoredDiagnosis,
        words: Words,
        names: Mapping[str, str],
        files: Mapping[str, str],
    ) -> tuple[Spoken, ...] | None:
        """What spoke for and against; None where that can no longer be told.

        Raises:
            BusyError: it cannot be told now.
        """
        if stored.record is None:
            return None
        try:
            explanations = await self._desk.explain(session.caller(), stored.id)
        except NotKeptError:
            return None
        return draw_spoken(explanations, self._desk.study(stored.study), words, names, files)


def _files(stored: StoredDiagnosis, study: Study, words: Words) -> dict[str, str]:
    """What the sounds and images are, by their columns, in the order of the study."""
    record = stored.record or {}
    held = ((name, record.get(name)) for name in study.features_columns)
    return {name: extent_text(file, words) for name, file in held if isinstance(file, HeldFile)}


def _labels(words: Words) -> dict[str, str]:
    return {
        "agrees": words.gettext("Do you agree?"),
        "condition": words.gettext("Own diagnosis"),
        "reason": words.gettext("Reason"),
        "rating": words.gettext("Usefulness"),
        "comment": words.gettext("Comment"),
        "confirmed": words.gettext("Confirmed condition"),
        "confirmed_on": words.gettext("Confirmed on"),
    }
