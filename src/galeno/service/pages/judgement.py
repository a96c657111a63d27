"""What follows a diagnosis on its page: the clinician's judgement, and the confirmed condition."""

from datetime import date
from typing import Final

from fastapi import APIRouter, Request, Response

from galeno.errors import InputError
from galeno.governance.access import Action
from galeno.ingest.values import time_of
from galeno.service.pages.again import Again
from galeno.service.pages.form_body import Form
from galeno.service.pages.frame import Frame
from galeno.service.pages.result_page import ResultPage
from galeno.service.pages.words import Words, mark

RATINGS: Final = ("1", "2", "3", "4", "5")

_THANKS = mark("Your feedback was saved.")
_CONFIRMED = mark("The confirmed diagnosis was saved.")


def add_routes(routes: APIRouter, frame: Frame) -> None:
    """Add the routes."""
    page = ResultPage(frame)

    @routes.post("/diagnoses/{diagnosis}/feedback")
    async def give_feedback(request: Request, diagnosis: str) -> Response:
        session = await frame.need(request, Action.FEEDBACK_CREATE)
        sent = await frame.form(request, session, 50_000)
        words = frame.words(request, session)
        faults = feedback_faults(sent, words)
        if faults:
            return await page.draw(request, session, diagnosis, Again(sent, faults, 422))
        agrees, rating = sent.text("agrees") == "yes", sent.text("rating")
        try:
            await frame.desk.give_feedback(
                session.caller(),
                diagnosis,
                agrees=agrees,
                condition=None if agrees else sent.text("condition") or None,
                rating=int(rating) if rating else None,
                reason=None if agrees else sent.text("reason") or None,
                comment=sent.text("comment") or None,
            )
        except InputError as error:
            faults = {name: words.gettext("This value is not accepted.") for name, _ in error.faults}
            return await page.draw(request, session, diagnosis, Again(sent, faults, 422))
        return frame.redirect(f"/diagnoses/{diagnosis}", _THANKS)

    @routes.post("/diagnoses/{diagnosis}/outcome")
    async def record_outcome(request: Request, diagnosis: str) -> Response:
        session = await frame.need(request, Action.OUTCOMES_CREATE)
        sent = await frame.form(request, session, 10_000)
        words = frame.words(request, session)
        day, faults = outcome_day(sent, words)
        if faults or day is None:
            return await page.draw(request, session, diagnosis, Again(sent, faults, 422))
        try:
            await frame.desk.record_outcome(
                session.caller(), diagnosis, condition=sent.text("confirmed"), confirmed_on=day
            )
        except InputError as error:
            told = {
                "confirmed_on": words.gettext("This date is not possible."),
                "condition": words.gettext("This value is not accepted."),
            }
            places = {"condition": "confirmed"}
            faults = {places.get(name, name): told.get(name, told["condition"]) for name, _ in error.faults}
            return await page.draw(request, session, diagnosis, Again(sent, faults, 422))
        return frame.redirect(f"/diagnoses/{diagnosis}", _CONFIRMED)


def feedback_faults(sent: Form, words: Words) -> dict[str, str]:
    """What is wrong with a judgement, by the fields' ids."""
    faults = {}
    if sent.text("agrees") not in {"yes", "no"}:
        faults["agrees"] = words.gettext("Say whether you agree.")
    if sent.text("agrees") == "no" and not sent.text("reason"):
        faults["reason"] = words.gettext("Choose why you do not agree.")
    if sent.text("rating") not in {"", *RATINGS}:
        faults["rating"] = words.gettext("Choose one of the options.")
    return faults


def outcome_day(sent: Form, words: Words) -> tuple[date | None, dict[str, str]]:
    """The day of a confirmed condition, and what is wrong with the form, by the fields' ids."""
    faults = {}
    time = time_of(sent.text("confirmed_on"))
    if not sent.text("confirmed"):
        faults["confirmed"] = words.gettext("Choose the confirmed condition.")
    if time is None:
        faults["confirmed_on"] = words.gettext("Enter a date, for example 2026-01-31 or 31/01/2026.")
    return None if time is None else time.date(), faults
