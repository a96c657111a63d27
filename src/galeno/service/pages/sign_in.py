"""Signing in and out with a name and password or a one-time address; language and theme."""

from fastapi import APIRouter, Request, Response

from galeno.errors import TooManyRequestsError
from galeno.service.pages.door import Door
from galeno.service.pages.frame import LANGUAGE, THEME, THEMES, YEAR, Frame
from galeno.service.pages.session import COOKIE, safe_path
from galeno.service.pages.words import LANGUAGES, mark

_WRONG = mark("Name and password do not fit. Check both and try again.")
_USED = mark("This address has been used or is too old. Ask for a new one.")
_WAIT = mark("Too many tries. Wait a moment, then try again.")


def router(frame: Frame) -> APIRouter:
    """The routes."""
    door = Door(frame)
    routes = APIRouter()
    _add_sign_in(routes, frame, door)
    _add_welcome(routes, frame, door)
    _add_choices(routes, frame)
    return routes


def _add_sign_in(routes: APIRouter, frame: Frame, door: Door) -> None:
    """Name and password, and the way out."""

    @routes.get("/sign-in")
    async def show(request: Request) -> Response:
        onward = safe_path(request.query_params.get("next", "/"))
        if frame.sessions.demo or await frame.sessions.find(request) is not None:
            return frame.redirect(onward)
        return await door.draw(request, onward=onward)

    @routes.post("/sign-in")
    async def sign_in(request: Request) -> Response:
        form = await frame.form(request, None, 10_000)
        name, onward = form.text("name")[:64], safe_path(form.get("next", "/"))
        try:
            person = await door.by_password(request, name, form.get("password", ""))
        except TooManyRequestsError as error:
            response = await door.draw(request, status=429, fault=_WAIT, name=name, onward=onward)
            response.headers["retry-after"] = str(error.retry_after)
            return response
        if person is None:
            return await door.draw(request, status=401, fault=_WRONG, name=name, onward=onward)
        return await door.let_in(request, person, "password", onward)

    @routes.post("/sign-out")
    async def sign_out(request: Request) -> Response:
        session = await frame.sessions.find(request)
        if session is not None:
            await frame.form(request, session, 10_000)
            await door.let_out(request)
        response = frame.redirect("/sign-in")
        response.delete_cookie(COOKIE, path="/")
        return response


def _add_welcome(routes: APIRouter, frame: Frame, door: Door) -> None:
    """One-time addresses: a page with a button, so that a program that only looks does not use it up."""

    @routes.get("/welcome")
    async def welcome(request: Request, token: str = "") -> Response:
        session = await frame.sessions.find(request)
        return await frame.page(request, session, "welcome.html", token=token, fault="")

    @routes.post("/welcome")
    async def enter(request: Request) -> Response:
        session = await frame.sessions.find(request)
        form = await frame.form(request, session, 10_000)
        person = await door.by_token(request, form.get("token", ""))
        if person is None:
            return await frame.page(request, session, "welcome.html", status=401, token="", fault=_USED)
        return await door.let_in(request, person, "one-time address", "/")


def _add_choices(routes: APIRouter, frame: Frame) -> None:
    """How the pages speak and look, remembered in the browser and the session."""

    @routes.post("/language")
    async def choose_language(request: Request) -> Response:
        session = await frame.sessions.find(request)
        form = await frame.form(request, session, 10_000)
        response = frame.redirect(safe_path(form.get("next", "/")))
        language = form.get("language", "")
        if language in LANGUAGES:
            frame.sessions.set_cookie(response, LANGUAGE, language, seconds=YEAR)
            if session is not None:
                await frame.sessions.note(session, language=language)
        return response

    @routes.post("/theme")
    async def choose_theme(request: Request) -> Response:
        session = await frame.sessions.find(request)
        form = await frame.form(request, session, 10_000)
        response = frame.redirect(safe_path(form.get("next", "/")))
        theme = form.get("theme", "")
        if theme in THEMES:
            frame.sessions.set_cookie(response, THEME, theme, seconds=YEAR)
        return response
