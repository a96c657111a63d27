"""Pages of rare diseases: signs or a text in, ranked diseases out, and what to look for next."""

import asyncio
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from galeno.errors import (
    AccessError,
    BusyError,
    GalenoError,
    InputError,
    JournalError,
    NotFoundError,
)
from galeno.governance.access import Action
from galeno.service.asked import RankedRow, TermMention
from galeno.service.library import LOADING
from galeno.service.pages.again import Again
from galeno.service.pages.form_body import Form, read_form_body
from galeno.service.pages.frame import Frame
from galeno.service.pages.rare_form import (
    AGE_UNITS,
    ONSETS,
    SEXES,
    SIGNS,
    Piece,
    add_mentions,
    cut_text,
    mark_of,
    read_asked,
    read_signs,
    text_fault,
)
from galeno.service.pages.rare_result import draw_ranking, ids_of
from galeno.service.pages.result import share
from galeno.service.pages.session import Session, SignInNeededError
from galeno.service.pages.sign_names import SignNames, language_of
from galeno.service.pages.signs import Sign, parse_signs, place_of, write_signs
from galeno.service.pages.words import Words, mark
from galeno.service.problems import status_of

LIMIT: Final = 400_000
"""Bytes of a form, as browsers encode it."""
FOUND: Final = 8
"""Terms that are offered while somebody types."""
LATEST: Final = 20
"""Rankings that are listed below the form."""
_DISEASE: Final = 60
"""Characters of a disease's id."""
_COMMENT: Final = 4000

_THANKS = mark("Your feedback was saved.")


@dataclass(frozen=True, slots=True)
class Seen:
    """What a form holds after its text was read."""

    sent: Mapping[str, str]
    signs: Sequence[Sign]
    pieces: Sequence[Piece] = ()
    """The text with its mentions, where it was read just now."""


class RankPage:
    """Form and result of a ranking.

    Args:
        frame: templates and sessions.
    """

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._desk = frame.desk
        self._names = SignNames(frame.desk)

    async def open(self, request: Request, session: Session) -> Response:
        """The empty form, with the latest rankings of the reader's site."""
        latest, _ = await self._desk.list_rankings(session.caller(), limit=LATEST, named=True)
        return await self.draw(request, session, Seen({}, ()), Again(), latest)

    async def draw(
        self,
        request: Request,
        session: Session,
        seen: Seen,
        again: Again,
        latest: Sequence[RankedRow] = (),
    ) -> Response:
        """The form with what was typed."""
        words = self._frame.words(request, session)
        text = seen.sent.get("text", "")
        return await self._frame.page(
            request,
            session,
            "rank.html",
            status=again.status,
            sent={**seen.sent, SIGNS: write_signs(await self._names.label(session, seen.signs, words))},
            read=seen.sent.get("read", ""),
            pieces=seen.pieces,
            recognised=bool(seen.pieces) and any(piece.kind for piece in seen.pieces),
            text=text,
            faults=again.faults,
            labels=_labels(words),
            trouble=again.trouble or await self._trouble(session),
            sexes=SEXES,
            units=AGE_UNITS,
            onsets=ONSETS,
            latest=[(row, share(row.probability, words)) for row in latest],
        )

    async def show(self, request: Request, session: Session, ranking: str, again: Again) -> Response:
        """The page of a ranking.

        Raises:
            NotFoundError: no such ranking, or one of another site.
            AccessError: the caller may not.
        """
        stored = await self._desk.read_ranking(session.caller(), ranking)
        words = self._frame.words(request, session)
        # in English they stand as they were when it was ranked
        ids = ids_of(stored.ranking) if language_of(words) != "en" else ()
        view = draw_ranking(stored, words, await self._names.of(session, ids, words))
        return await self._frame.page(
            request,
            session,
            "ranking.html",
            status=again.status,
            stored=stored,
            view=view,
            lines=write_signs(await self._names.label(session, parse_signs(view.lines), words)),
            sent=again.sent,
            faults=again.faults,
            labels=_labels(words),
        )

    async def rank(self, request: Request) -> Response:
        """Read what was typed, and rank it unless it was only to be read."""
        sent = await self._read(request)
        try:
            session = await self._frame.need(request, Action.DISEASE_RANK)
        except SignInNeededError:
            kept = [(name, value) for name in sent for value in sent.all(name) if name != "csrf"]
            return await self._frame.page(request, None, "signed_out.html", status=401, kept=kept)
        seen = Seen(sent, read_signs(sent))
        if not hmac.compare_digest(sent.get("csrf", "").encode(), session.csrf.encode()):
            return await self.draw(request, session, seen, Again(sent, {}, 403, "session"))
        if sent.text("do") == "edit":
            return await self.draw(request, session, seen, Again())
        words = self._frame.words(request, session)
        try:
            seen, wrong = await self._look(session, seen, words)
            if wrong or sent.text("do") == "find":
                again = Again(sent, {"text": wrong} if wrong else {}, 422 if wrong else 200)
                return await self.draw(request, session, seen, again)
            return await self._rank(request, session, seen, words)
        except (BusyError, JournalError, NotFoundError) as error:
            return await self.draw(request, session, seen, _again(error, sent))

    async def _rank(self, request: Request, session: Session, seen: Seen, words: Words) -> Response:
        asked, faults = read_asked(seen.sent, seen.signs, words)
        if not faults:
            try:
                made = await self._desk.rank(session.caller(), asked)
            except InputError as error:
                tokens = {"terms": asked.terms, "excluded": asked.excluded}
                faults = await self._faults(session, error, tokens, words)
            else:
                return self._frame.redirect(f"/rankings/{made.id}")
        return await self.draw(request, session, seen, Again(seen.sent, faults, 422))

    async def _look(self, session: Session, seen: Seen, words: Words) -> tuple[Seen, str]:
        """Add what the text mentions, unless it was read before: a sign that was taken out stays out."""
        text = seen.sent.get("text", "")
        wrong = text_fault(text, words)
        this = mark_of(text)
        if wrong or not this:
            return seen, wrong
        asked_again = seen.sent.get("do") == "find"
        if this == seen.sent.get("read") and not asked_again:
            return seen, ""
        mentions: tuple[TermMention, ...] = await self._desk.find_mentions(session.caller(), text)
        signs = add_mentions(seen.signs, mentions)
        return Seen({**seen.sent, "read": this}, signs, cut_text(text, mentions)), ""

    async def _faults(
        self, session: Session, error: InputError, tokens: Mapping[str, Sequence[str]], words: Words
    ) -> dict[str, str]:
        """What the desk found wrong, by the fields' ids."""
        unknown = []
        faults: dict[str, str] = {}
        for field, _ in error.faults:
            place = place_of(field)
            if place and place[0] in tokens and place[1] < len(tokens[place[0]]):
                unknown.append(tokens[place[0]][place[1]])
            elif field == "patient_id":
                faults[field] = words.gettext("Enter the patient's id, at most 200 characters.")
            elif field == "excluded":
                faults[SIGNS] = words.gettext("A sign cannot be both present and absent.")
            else:
                faults[field if field in {"age", "onset"} else SIGNS] = words.gettext(
                    "This value is not accepted."
                )
        if unknown:
            said = [self._names.unknown(session, token, words) for token in unknown]
            faults[SIGNS] = " ".join(await asyncio.gather(*said))
        return faults

    async def _trouble(self, session: Session) -> str:
        """Why nothing can be ranked now; empty where it can."""
        try:
            await self._desk.find_terms(session.caller(), "HP:0000118", 1)
        except NotFoundError:
            return "nothing"
        except BusyError as error:
            return "loading" if error.retry_after <= LOADING else "failed"
        return ""

    async def _read(self, request: Request) -> Form:
        """What was typed, whoever is signed in by now.

        Raises:
            AccessError: it comes from another site.
            InputError: it is too long or no form.
        """
        if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
            raise AccessError("this form is too old, or was not one of ours")
        return await read_form_body(request, self._frame.reception, LIMIT)


def router(frame: Frame) -> APIRouter:
    """The routes."""
    page = RankPage(frame)
    routes = APIRouter()

    @routes.get("/rank")
    async def open_form(request: Request) -> Response:
        session = await frame.need(request, Action.DISEASE_RANK)
        return await page.open(request, session)

    @routes.post("/rank")
    async def rank(request: Request) -> Response:
        return await page.rank(request)

    @routes.get("/rankings/{ranking}")
    async def show(request: Request, ranking: str) -> Response:
        session = await frame.need(request, Action.DIAGNOSES_READ)
        return await page.show(request, session, ranking, Again())

    @routes.post("/rankings/{ranking}/feedback")
    async def judge(request: Request, ranking: str) -> Response:
        session = await frame.need(request, Action.FEEDBACK_CREATE)
        sent = await frame.form(request, session, 50_000)
        words = frame.words(request, session)
        faults = _feedback_faults(sent, words)
        if not faults:
            agrees = sent.text("agrees") == "yes"
            try:
                await frame.desk.judge_ranking(
                    session.caller(),
                    ranking,
                    agrees=agrees,
                    disease=None if agrees else sent.text("disease").upper() or None,
                    comment=sent.text("comment") or None,
                )
            except InputError as error:
                faults = {name: words.gettext("This value is not accepted.") for name, _ in error.faults}
            else:
                return frame.redirect(f"/rankings/{ranking}", _THANKS)
        return await page.show(request, session, ranking, Again(sent, faults, 422))

    @routes.get("/terms")
    async def find_terms(request: Request) -> Response:
        session = await frame.need(request, Action.FORMS_READ)
        words = frame.words(request, session)
        return _as_json(await _find(frame, session, request.query_params.get("q", ""), words))

    return routes


async def _find(frame: Frame, session: Session, q: str, words: Words) -> dict[str, Any]:
    """Terms for the list below the field; why there are none where nothing can be looked for."""
    try:
        found = await SignNames(frame.desk).search(session, q, FOUND, words)
    except (BusyError, NotFoundError):
        return {"terms": [], "note": words.gettext("Terms cannot be searched at the moment.")}
    return {
        "terms": [{"id": term.id, "label": term.label, "matched": term.matched} for term in found],
        "note": "",
    }


def _as_json(content: object) -> Response:
    return Response(to_json(content), media_type="application/json")


def _feedback_faults(sent: Form, words: Words) -> dict[str, str]:
    """What is wrong with a judgement, by the fields' ids."""
    faults = {}
    if sent.text("agrees") not in {"yes", "no"}:
        faults["agrees"] = words.gettext("Say whether you agree.")
    if len(sent.text("disease")) > _DISEASE:
        faults["disease"] = words.gettext("This value is not accepted.")
    if len(sent.text("comment")) > _COMMENT:
        most = words.number(_COMMENT)
        faults["comment"] = words.gettext("At most %(most)s characters; shorten the text.", most=most)
    return faults


def _again(error: GalenoError, sent: Mapping[str, str]) -> Again:
    """The form once more, with everything that was typed and why nothing was ranked."""
    status, _ = status_of(error)
    troubles = ((NotFoundError, "nothing"), (BusyError, "busy"), (JournalError, "journal"))
    return Again(sent, {}, status, next(name for kind, name in troubles if isinstance(error, kind)))


def _labels(words: Words) -> dict[str, str]:
    return {
        "patient_id": words.gettext("Patient id"),
        "text": words.gettext("Text"),
        SIGNS: words.gettext("Signs"),
        "age": words.gettext("Age"),
        "sex": words.gettext("Sex"),
        "onset": words.gettext("Onset"),
        "agrees": words.gettext("Do you agree?"),
        "disease": words.gettext("Own diagnosis"),
        "comment": words.gettext("Comment"),
    }
