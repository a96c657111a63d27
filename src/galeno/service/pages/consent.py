"""Pages of consent: the data policy, who is asked, what the patient says, and taking it back."""

from collections.abc import Mapping
from typing import Final

from fastapi import APIRouter, Request, Response

from galeno.errors import InputError
from galeno.governance.access import Action, decide
from galeno.service.pages.again import Again
from galeno.service.pages.form import PATIENT, desk_faults
from galeno.service.pages.form_body import Form
from galeno.service.pages.frame import Frame
from galeno.service.pages.session import Session
from galeno.service.pages.words import mark
from galeno.service.receiving import Standing

ACCEPT: Final = "accept"
DECLINE: Final = "decline"
ON: Final = "on"

_RECORDED = mark("The patient's decision was recorded.")
_DECLINED = mark("The refusal was recorded. Diagnose this patient without Galeno.")
_WITHDRAWN = mark("The consent was withdrawn. From now on it does not count.")
_STANDING: Final[Mapping[str, str]] = {
    "never_asked": mark("This patient has not been asked yet."),
    "refused": mark("This patient declined when last asked."),
    "withdrawn": mark("This patient withdrew the consent."),
    "other_version": mark("This patient accepted an older version of the policy and has to be asked again."),
    "given": "",
}


async def draw_consent(
    frame: Frame,
    request: Request,
    session: Session,
    study: str,
    again: Again,
    *,
    standing: Standing | None = None,
) -> Response:
    """The data policy in the reader's language, and the patient's decision.

    Args:
        frame: draws.
        request: what was asked.
        session: who is signed in.
        study: name of the study.
        again: what was typed.
        standing: where the patient stands; None while nobody asked.
    """
    policy = await frame.desk.read_policy(session.caller(), study)
    words = frame.words(request, session)
    texts, language = policy["text"], words.language
    shown = next((code for code in (language, *texts) if texts[code]), language)
    return await frame.page(
        request,
        session,
        "consent.html",
        status=again.status,
        study=frame.desk.study(study),
        policy=policy,
        text=texts[shown],
        text_language=shown,
        sent=again.sent,
        faults=again.faults,
        labels={PATIENT: words.gettext("Patient id"), "answer": words.gettext("The patient's decision")},
        standing=standing,
        standing_text=words.gettext(_STANDING[standing.reason]) if standing and not standing.given else "",
        may_diagnose=decide(session.caller(), Action.DIAGNOSES_CREATE).allowed,
    )


def add_routes(routes: APIRouter, frame: Frame) -> None:
    """Add the routes."""

    @routes.get("/consent/{study}")
    async def show(request: Request, study: str) -> Response:
        session = await frame.need(request, Action.CONSENTS_CREATE)
        return await draw_consent(frame, request, session, study, Again())

    @routes.post("/consent/{study}")
    async def answer(request: Request, study: str) -> Response:
        session = await frame.need(request, Action.CONSENTS_CREATE)
        sent = await frame.form(request, session, 10_000)
        words = frame.words(request, session)
        try:
            standing = await frame.desk.look_up_consent(session.caller(), study, sent.text(PATIENT))
        except InputError as error:
            faults = desk_faults({"fields": []}, error.faults, words)
            return await draw_consent(frame, request, session, study, Again(sent, faults, 422))
        if "look_up" in sent:
            return await draw_consent(frame, request, session, study, Again(sent), standing=standing)
        if sent.get("answer", "") in {ACCEPT, DECLINE}:
            return await _keep(frame, session, study, sent, words.language)
        if standing.given and standing.consent:
            return _onward(frame, session, study, standing.consent)
        again = Again(sent, {"answer": words.gettext("Say whether the patient accepts.")}, 422)
        return await draw_consent(frame, request, session, study, again, standing=standing)

    @routes.post("/consent/{consent}/withdraw")
    async def withdraw(request: Request, consent: str) -> Response:
        session = await frame.need(request, Action.CONSENTS_CREATE)
        await frame.form(request, session, 10_000)
        row = await frame.desk.withdraw_consent(session.caller(), consent)
        return frame.redirect(f"/consent/{row['study']}", _WITHDRAWN)


async def _keep(frame: Frame, session: Session, study: str, sent: Form, language: str) -> Response:
    """Keep what the patient said, and go on."""
    accepted = sent["answer"] == ACCEPT
    kept = await frame.desk.give_consent(
        session.caller(),
        sent.text(PATIENT),
        study=study,
        policy_version=sent.get("version") or None,
        language=language,
        accepted=accepted,
        training=sent.get("training") == ON,
    )
    if accepted:
        return _onward(frame, session, study, kept["id"])
    return frame.redirect(f"/consent/{study}", _DECLINED)


def _onward(frame: Frame, session: Session, study: str, consent: str) -> Response:
    """To the form, for those who may diagnose."""
    if decide(session.caller(), Action.DIAGNOSES_CREATE).allowed:
        return frame.redirect(f"/new/{study}?consent={consent}")
    return frame.redirect(f"/consent/{study}", _RECORDED)
