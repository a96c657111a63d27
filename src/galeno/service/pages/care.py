"""Pages of care: the way in, the form of findings, the result; with the routes of consent and judgement."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from galeno.errors import (
    AccessError,
    BusyError,
    ConsentError,
    GalenoError,
    InputError,
    JournalError,
    NotFoundError,
    TooLongError,
)
from galeno.governance.access import Action, decide
from galeno.media.limits import LARGEST_SENT, SoundLimits
from galeno.service.limits import Places
from galeno.service.pages import consent, file_page, judgement
from galeno.service.pages.again import Again
from galeno.service.pages.file_words import fault_text
from galeno.service.pages.form import (
    LOST,
    PATIENT,
    VALUE,
    desk_faults,
    draw_groups,
    field_id,
    has_files,
    labels_of,
    read_record,
)
from galeno.service.pages.form_body import Form, read_form_body
from galeno.service.pages.frame import POLICY, Frame
from galeno.service.pages.result_page import ResultPage
from galeno.service.pages.session import Session, SignInNeededError
from galeno.service.pages.sign_names import SignNames
from galeno.service.pages.signs import cell_of, parse_signs
from galeno.service.pages.typed import Typed
from galeno.service.pages.words import Words
from galeno.service.problems import status_of
from galeno.service.upload import is_upload

FORM_LIMIT: Final = 400_000
"""Bytes of a form of findings, as browsers encode it, without its files."""
FILE_HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": f"{POLICY}; media-src 'self' blob:",
    "permissions-policy": "camera=(), geolocation=(), microphone=(self)",
}
"""Of a form that takes sounds and images: what was chosen or recorded is played before it is sent."""
LONGEST_RECORDING: Final = 30
"""Seconds that a page records from the microphone."""

_TROUBLES: Final = ((ConsentError, "consent"), (BusyError, "busy"), (JournalError, "journal"))


@dataclass(frozen=True, slots=True)
class Limits:
    """How large files may be; the page says it before they are sent.

    Attributes:
        largest: bytes of a file.
        together: bytes of all files.
        together_mib: MiB of all files, to be told; 0 where those of one file are enough.
        seconds: of a sound.
    """

    largest: int
    together: int
    together_mib: int
    seconds: int


class FormPage:
    """The form of a study.

    Args:
        frame: templates and sessions.
    """

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._desk = frame.desk
        self._names = SignNames(frame.desk)
        # whoever is not signed in can take no place from those who are
        self._strangers = Places(1)

    async def open(self, request: Request, session: Session, study: str, consent_id: str) -> Response:
        """The empty form, after the consent where the study asks for one.

        Args:
            request: what was asked.
            session: who is signed in.
            study: name of the study.
            consent_id: id of the consent that was just recorded; empty for none.

        Raises:
            NotFoundError: no such study.
        """
        if not self._desk.study(study).privacy.consent:
            return await self.draw(request, session, study, "", Again())
        patient = await self._patient_of(session, study, consent_id)
        if patient is None:
            return self._frame.redirect(f"/consent/{study}")
        return await self.draw(request, session, study, patient, Again())

    async def draw(
        self, request: Request, session: Session, study: str, patient: str, again: Again
    ) -> Response:
        """The form with what was typed."""
        form = await self._desk.read_form(session.caller(), study)
        words = self._frame.words(request, session)
        takes_files = has_files(form)
        page = await self._frame.page(
            request,
            session,
            "new.html",
            status=again.status,
            form=form,
            groups=draw_groups(form, again.sent, words, again.lost),
            takes_files=takes_files,
            limits=self._limits(study),
            longest=LONGEST_RECORDING,
            lost=bool(again.lost),
            patient=again.sent.get(PATIENT, patient),
            asked=form["consent"],
            faults=again.faults,
            labels={**labels_of(form, words), "form": words.gettext("Form")},
            trouble=again.trouble,
            stopped=study in self._desk.stopped,
            stop_reason=self._desk.stopped.get(study, ""),
        )
        if takes_files:
            page.headers.update(FILE_HEADERS)
        return page

    async def diagnose(self, request: Request, study: str) -> Response:
        """Diagnose what was typed. Whatever goes wrong, what was typed is on the page that answers.

        Raises:
            BusyError: another form of somebody who is not signed in is read just now.
            TooLongError: the texts are too long; or nobody is signed in, and the files are too large.
            InputError: it is no form, or does not come to its end.
        """
        files = self._frame.reception.count_files(study)
        if not files or not is_upload(request):  # other forms are small
            return await self._diagnose(request, study)
        session = await self._frame.sessions.find(request)
        if session is None:
            with self._strangers.take():
                return await self._diagnose(request, study, files)
        typed = Typed(request, files)
        try:
            with self._frame.reception.hold_place(request, session.caller().name):
                return await self._diagnose(typed.request, study, files)
        except (BusyError, TooLongError) as error:
            refused = error.with_traceback(None)  # which would hold what was read so far
        return await self._refuse(typed, study, refused)

    async def _refuse(self, typed: Typed, study: str, error: BusyError | TooLongError) -> Response:
        """The form with what was typed, where there is no place for its files, or they are too large.

        Raises:
            AccessError: it comes from another site, or from somebody who may not.
            GalenoError: what was typed cannot be had; what was wrong before.
        """
        _check_origin(typed.request)
        session = await self._frame.need(typed.request, Action.DIAGNOSES_CREATE)
        try:
            sent = await typed.read()
        except InputError:
            raise error from None
        form = await self._desk.read_form(session.caller(), study)
        words = self._frame.words(typed.request, session)
        if isinstance(error, TooLongError):
            again = _too_large(error, form, sent, words)
        else:
            again = _again(error, form, sent, words)
        return await self.draw(typed.request, session, study, "", again)

    def _limits(self, study: str) -> Limits:
        """How large the files of a study may be."""
        whole = self._frame.reception.upload_limit
        largest = min(LARGEST_SENT, whole)
        several = self._frame.reception.count_files(study) * largest > whole
        return Limits(largest, whole - FORM_LIMIT, whole >> 20 if several else 0, int(SoundLimits().seconds))

    async def _diagnose(self, request: Request, study: str, files: int = 0) -> Response:
        sent = await self._read(request, files)
        try:
            session = await self._frame.need(request, Action.DIAGNOSES_CREATE)
        except SignInNeededError:
            kept = [(name, value) for name in sent for value in sent.all(name) if name not in {"csrf", LOST}]
            lost = _lost(sent)
            kept += [(LOST, name) for name in lost]
            return await self._frame.page(
                request, None, "signed_out.html", status=401, kept=kept, lost=bool(lost)
            )
        lost = _lost(sent)
        if not hmac.compare_digest(sent.get("csrf", "").encode(), session.csrf.encode()):
            # The form is of a session before this one: nothing is done until it is sent from the new page.
            return await self.draw(request, session, study, "", Again(sent, {}, 403, "session", lost))
        form = await self._desk.read_form(session.caller(), study)
        words = self._frame.words(request, session)
        record, faults = read_record(form, sent, words, sent.files)
        faults |= await self._name_signs(session, form, record, words, faults)
        if not sent.text(PATIENT):
            faults = {PATIENT: words.gettext("Enter the patient's id, at most 200 characters."), **faults}
        if not record and not faults:
            faults = {"form": words.gettext("Nothing was entered. Fill in what is known.")}
        if faults:
            return await self.draw(request, session, study, "", Again(sent, faults, 422, lost=lost))
        try:
            answer = await self._desk.diagnose(session.caller(), study, sent.text(PATIENT), record)
        except (InputError, ConsentError, BusyError, JournalError) as error:
            return await self.draw(request, session, study, "", _again(error, form, sent, words))
        return self._frame.redirect(f"/diagnoses/{answer.id}")

    async def _name_signs(
        self,
        session: Session,
        form: Mapping[str, Any],
        record: dict[str, object],
        words: Words,
        wrong_before: Mapping[str, str],
    ) -> dict[str, str]:
        """Put ids in the place of names of signs; what is wrong with those that are not known."""
        faults = {}
        for place, column in enumerate(form["fields"]):
            value = record.get(column["name"])
            if column["type"] != "terms" or not isinstance(value, str) or field_id(place) in wrong_before:
                continue
            signs, wrong = await self._names.resolve(session, parse_signs(value), words)
            record[column["name"]] = cell_of(signs)
            if wrong:
                faults[field_id(place)] = wrong
        return faults

    async def _read(self, request: Request, files: int) -> Form:
        """What was typed, whoever is signed in by now.

        Raises:
            AccessError: it comes from another site.
            InputError: it is too long or no form.
        """
        _check_origin(request)
        return await read_form_body(request, self._frame.reception, FORM_LIMIT, files=files)

    async def _patient_of(self, session: Session, study: str, consent_id: str) -> str | None:
        """The patient of a consent that holds; None where there is none."""
        if not consent_id:
            return None
        try:
            patient = await self._desk.patient_of_consent(session.caller(), study, consent_id)
        except NotFoundError:
            return None
        standing = await self._desk.look_up_consent(session.caller(), study, patient)
        return patient if standing.given else None


def router(frame: Frame) -> APIRouter:
    """The routes."""
    form, result = FormPage(frame), ResultPage(frame)
    routes = APIRouter()

    @routes.get("/")
    async def start(request: Request) -> Response:
        caller = (await frame.need(request)).caller()
        if decide(caller, Action.DIAGNOSES_CREATE).allowed:
            # a home without studies still ranks rare diseases
            return frame.redirect("/new" if frame.desk.studies() else "/rank")
        return frame.redirect("/overview" if decide(caller, Action.OVERVIEW_READ).allowed else "/models")

    @routes.get("/new")
    async def choose(request: Request) -> Response:
        session = await frame.need(request, Action.DIAGNOSES_CREATE)
        studies = frame.desk.studies()
        if len(studies) == 1:
            return frame.redirect(f"/new/{studies[0].name}")
        stopped = frame.desk.stopped
        return await frame.page(request, session, "choose.html", studies=studies, stopped=stopped)

    @routes.get("/new/{study}")
    async def open_form(request: Request, study: str) -> Response:
        session = await frame.need(request, Action.DIAGNOSES_CREATE)
        return await form.open(request, session, study, request.query_params.get("consent", ""))

    @routes.post("/new/{study}")
    async def diagnose(request: Request, study: str) -> Response:
        return await form.diagnose(request, study)

    @routes.get("/diagnoses/{diagnosis}")
    async def show(request: Request, diagnosis: str) -> Response:
        session = await frame.need(request, Action.DIAGNOSES_READ)
        return await result.draw(request, session, diagnosis, Again())

    file_page.add_routes(routes, frame)
    consent.add_routes(routes, frame)
    judgement.add_routes(routes, frame)
    return routes


def _check_origin(request: Request) -> None:
    """Take no form from elsewhere.

    Raises:
        AccessError: it comes from another site.
    """
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise AccessError("this form is too old, or was not one of ours")


def _lost(sent: Form) -> tuple[str, ...]:
    """Fields whose files came with this form, or with one before it and were not chosen again."""
    return tuple(dict.fromkeys((*sent.files, *sent.all(LOST))))


def _again(error: GalenoError, form: Mapping[str, Any], sent: Form, words: Words) -> Again:
    """The form once more, with everything that was typed and why it was not taken."""
    status, _ = status_of(error)
    lost = _lost(sent)
    if isinstance(error, InputError):
        return Again(sent, desk_faults(form, error.faults, words), status, lost=lost)
    return Again(sent, {}, status, next(name for kind, name in _TROUBLES if isinstance(error, kind)), lost)


def _too_large(error: TooLongError, form: Mapping[str, Any], sent: Form, words: Words) -> Again:
    """The form once more, without the files: one of them, or all together, are more than is taken."""
    status, _ = status_of(error)
    named = {name for name, _ in error.faults}
    faults = {
        field_id(place): fault_text("too_large", words)
        for place, column in enumerate(form["fields"])
        if f"{VALUE}{column['name']}"[:64] in named
    }
    return Again(sent, faults, status, "" if faults else "large", _lost(sent))
