"""What all pages share: templates, navigation, language, errors, and the routes put together.

A part is a module with `router(frame: Frame) -> APIRouter`. Its handlers take the request and whatever of
the path they need, ask `frame.need(request, Action....)` for the session, `frame.form(request, session)`
for what a form sent, the desk (`frame.desk`, with `session.caller()`) for everything else, and answer with
`frame.page(...)` or `frame.redirect(path, notice)`. A GalenoError that leaves a handler becomes a page.
"""

import logging
import secrets
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse

from galeno.errors import GalenoError, JournalError, NotFoundError
from galeno.governance.access import Action, decide
from galeno.service.face import Reception
from galeno.service.pages import assets
from galeno.service.pages.faults import said_of
from galeno.service.pages.form_body import Form
from galeno.service.pages.session import (
    STRANGER,
    Session,
    Sessions,
    SignInNeededError,
    onward_of,
    stranger_token,
)
from galeno.service.pages.words import LANGUAGES, NAMES, Words, choose_language, mark, words_of
from galeno.service.problems import FAULT_PAGE, headers_of, status_of

LANGUAGE: Final = "galeno_language"
THEME: Final = "galeno_theme"
THEMES: Final = ("auto", "light", "dark")
POLICY: Final = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": POLICY,
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    # Our own addresses hold ids only, and a form that came too late leads back to its page by it.
    "referrer-policy": "same-origin",
    "vary": "Cookie, Accept-Language",
}
"""On every page; the guard adds the others."""
YEAR: Final = 365 * 86_400

_TEMPLATES = Path(__file__).parent / "templates"
_log = logging.getLogger("galeno.service")
_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


@dataclass(frozen=True, slots=True)
class Entry:
    """One place of the navigation; `also` are addresses that belong to it."""

    path: str
    label: str
    action: Action
    also: tuple[str, ...] = ()
    current: bool = False

    def holds(self, path: str) -> bool:
        """Whether a page belongs here."""
        return any(path == place or path.startswith(place + "/") for place in (self.path, *self.also))


ENTRIES: Final = (
    Entry("/new", mark("New diagnosis"), Action.DIAGNOSES_CREATE, ("/consent",)),
    Entry("/rank", mark("Rare diseases"), Action.DISEASE_RANK, ("/rankings",)),
    Entry("/worklist", mark("Worklist"), Action.DIAGNOSES_LIST, ("/diagnoses",)),
    Entry("/overview", mark("Overview"), Action.OVERVIEW_READ),
    Entry("/models", mark("Models"), Action.MODELS_LIST),
    Entry("/audit", mark("Audit trail"), Action.AUDIT_READ),
)
"""In this order; each role sees what it may do."""


class Redirect(RedirectResponse):
    """Go elsewhere with GET, and be told something there, once."""

    def __init__(self, path: str, notice: str | None = None) -> None:
        super().__init__(path, status_code=303)
        self.notice = notice


class Frame:
    """Draws pages.

    Args:
        reception: desk, identity and settings.
        secure: browsers reach the pages over TLS.
    """

    def __init__(self, reception: Reception, secure: bool) -> None:
        self.reception = reception
        self.desk = reception.desk
        self.settings = reception.settings
        self.secure = secure
        self.sessions = Sessions(reception, secure=secure)
        self.assets = assets.read_assets()
        self._environments = {language: self._environment(words_of(language)) for language in LANGUAGES}
        self._fault_pages = {language: self._draw_fault(language) for language in LANGUAGES}

    async def need(self, request: Request, action: Action | None = None) -> Session:
        """The session of a request, whose role may do something. As `Sessions.need`."""
        return await self.sessions.need(request, action)

    async def form(self, request: Request, session: Session | None, limit: int = 200_000) -> Form:
        """What a form sent, its token checked. As `Sessions.form`."""
        return await self.sessions.form(request, session, limit)

    async def page(
        self, request: Request, session: Session | None, name: str, /, *, status: int = 200, **data: Any
    ) -> Response:
        """Draw a page.

        Args:
            request: what was asked.
            session: who is signed in; None for nobody.
            name: file in `templates`.
            status: HTTP status.
            data: what the template names, beside what every page has.

        Raises:
            JournalError: the notice that was shown could not be taken away.
        """
        notice = None if session is None else session.notice
        stranger = None if session is not None else self._stranger(request)
        language = self.language(request, session)
        about = {**self._about(request, session, language), "notice": notice, **data}
        body = self._environments[language].get_template(name).render(about)
        response = HTMLResponse(body, status_code=status, headers=dict(HEADERS))
        response.headers["content-language"] = language
        if stranger is not None:
            self.sessions.set_cookie(response, STRANGER, stranger)
        if session is not None and notice is not None:
            await self.sessions.note(session, notice=None)
        return response

    @staticmethod
    def _stranger(request: Request) -> str | None:
        """A cookie that the forms of somebody who is not signed in are tied to; None where there is one."""
        if stranger_token(request):
            return None
        request.cookies[STRANGER] = secrets.token_urlsafe(24)
        return request.cookies[STRANGER]

    def redirect(self, path: str, notice: str | None = None) -> Response:
        """Go to another page of ours, with 303.

        Args:
            path: where to.
            notice: shown there once, in the reader's language.
        """
        return Redirect(path, notice)

    def words(self, request: Request, session: Session | None = None) -> Words:
        """Messages, numbers and dates in the reader's language."""
        return words_of(self.language(request, session))

    def language(self, request: Request, session: Session | None = None) -> str:
        """The reader's language: the session's, the cookie's, or what the browser asks for."""
        chosen = session.language if session is not None else request.cookies.get(LANGUAGE, "")
        return choose_language(request.headers.get("accept-language", ""), chosen)

    async def error(self, request: Request, error: GalenoError) -> Response:
        """The page of an error: what was wrong and what to do, never a value."""
        status, _ = status_of(error)
        if status == 500:
            _log.error("%s: %s", type(error).__name__, error)
        try:
            session = await self.sessions.find(request)
        except JournalError:
            session = None
            request.scope["galeno.session"] = None
        if session is not None:
            session = replace(session, notice=None)  # it waits for a page that is well
        said = said_of(error, self.words(request, session))
        response = await self.page(request, session, "error.html", status=status, said=said, code=status)
        for name, value in headers_of(error).items():
            if name.lower() == "retry-after":
                response.headers[name] = value
        return response

    def handler(self, handle: _Handler) -> _Handler:
        """A handler whose errors become pages and whose notices are kept."""

        async def handled(request: Request) -> Response:
            language = request.scope["galeno.language"] = self.language(request)
            request.scope[FAULT_PAGE] = self._fault_pages[language]
            try:
                response = await handle(request)
                await self._keep_notice(request, response)
            except SignInNeededError as needed:
                response = self.redirect(needed.address)
            except GalenoError as error:
                response = await self.error(request, error)
            for cookie in request.scope.get("galeno.cookies", ()):
                response.headers.append("set-cookie", cookie)
            for name, value in HEADERS.items():
                response.headers.setdefault(name, value)
            return response

        return handled

    async def _keep_notice(self, request: Request, response: Response) -> None:
        if isinstance(response, Redirect) and response.notice is not None:
            session = await self.sessions.find(request)
            if session is not None:
                await self.sessions.note(session, notice=response.notice)

    def _draw_fault(self, language: str) -> Response:
        """What is shown when a page fails in a way that nobody expected: drawn beforehand, so that it can."""
        about: dict[str, Any] = {
            "session": None, "nav": [], "csrf": "", "demo": self.sessions.demo, "theme": "auto", "here": "/",
            "idle_minutes": 0, "language": language, "notice": None, "code": 500,
            "said": said_of(GalenoError(""), words_of(language)),
        }  # fmt: skip
        body = self._environments[language].get_template("error.html").render(about)
        return HTMLResponse(body, status_code=500, headers=dict(HEADERS))

    def _about(self, request: Request, session: Session | None, language: str) -> dict[str, Any]:
        """What every template knows."""
        theme = request.cookies.get(THEME, "auto")
        return {
            "session": session,
            "nav": self._navigation(request, session),
            "csrf": stranger_token(request) if session is None else session.csrf,
            "demo": self.sessions.demo,
            "theme": theme if theme in THEMES else "auto",
            "here": onward_of(request),
            "idle_minutes": self.settings.idle_minutes,
            "language": language,
        }

    def _navigation(self, request: Request, session: Session | None) -> list[Entry]:
        if session is None:
            return []
        path, caller = request.url.path, session.caller()
        return [
            replace(entry, current=entry.holds(path))
            for entry in ENTRIES
            if decide(caller, entry.action).allowed
        ]

    def _environment(self, words: Words) -> Environment:
        """Templates of one language: compiled once, with everything they print escaped."""
        environment = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=select_autoescape(default=True, default_for_string=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
        )
        environment.install_gettext_translations(words.translations, newstyle=True)  # type: ignore[attr-defined]
        environment.filters["capitalize_first"] = lambda text: text[:1].upper() + text[1:]
        environment.globals.update(
            format_date=words.date,
            format_time=words.time,
            format_number=words.number,
            format_percent=words.percent,
            languages=NAMES,
            themes=THEMES,
            version=version("galeno"),
            static=lambda name: assets.address_of(self.assets, name),
            sheets=[name for name in _in_order(self.assets) if name.endswith(".css")],
            scripts=[name for name in self.assets if name.endswith(".js")],
        )
        return environment


def add_pages(app: FastAPI, reception: Reception, *, secure: bool) -> None:
    """Give an application its pages; who looks for a page that is not there gets one that says so.

    Args:
        app: answers with problems where somebody else asks.
        reception: desk, identity and settings.
        secure: browsers reach the pages over TLS.
    """
    frame = Frame(reception, secure)
    app.include_router(_routes(frame))
    as_problem: Any = app.exception_handlers[HTTPException]

    async def missing(request: Request, error: Exception) -> Response:
        wanted = "text/html" in request.headers.get("accept", "")
        if wanted and getattr(error, "status_code", 0) == 404:
            return await frame.error(request, NotFoundError("there is nothing at this address"))
        response: Response = await as_problem(request, error)
        return response

    app.add_exception_handler(HTTPException, missing)


def router(reception: Reception, *, secure: bool) -> APIRouter:
    """All pages and the files that they load."""
    return _routes(Frame(reception, secure))


def _routes(frame: Frame) -> APIRouter:
    kind = _route_kind(frame)
    routes = APIRouter(include_in_schema=False)
    for part in _parts(frame):
        for route in part.routes:
            if isinstance(route, APIRoute):
                routes.add_api_route(
                    route.path,
                    route.endpoint,
                    methods=sorted(route.methods or ()),
                    include_in_schema=False,
                    response_model=None,
                    route_class_override=kind,
                )
    routes.include_router(assets.router(frame.assets), include_in_schema=False)
    return routes


def _parts(frame: Frame) -> list[APIRouter]:
    """The routers of the parts. Here, because each part builds on this file."""
    from galeno.service.pages import audit, care, models, oidc, overview, rare, sign_in, worklist

    parts = (sign_in, oidc, care, rare, worklist, overview, models, audit)
    return [part.router(frame) for part in parts]


def _route_kind(frame: Frame) -> type[APIRoute]:
    """Routes whose answers are pages, the errors too."""

    class PageRoute(APIRoute):
        def get_route_handler(self) -> _Handler:
            return frame.handler(super().get_route_handler())

    return PageRoute


def _in_order(found: Mapping[str, assets.Asset]) -> list[str]:
    """The shared sheet first, so that the others can build on it."""
    return sorted(found, key=lambda name: (name != "style.css", name))
