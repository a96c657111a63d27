"""The way to the hospital's issuer and back."""

import json
import secrets
from dataclasses import asdict
from typing import Final

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from galeno.errors import IdentityError
from galeno.service.pages.door import Door, Person
from galeno.service.pages.frame import Frame
from galeno.service.pages.issuer import Issuer, Secrets
from galeno.service.pages.session import AWAY, safe_path
from galeno.service.pages.words import mark

PATIENCE: Final = 600
"""Seconds that somebody may take at the issuer."""
CALLBACK: Final = "/sign-in/oidc/callback"

_LATE = mark("The sign-in took too long or was begun elsewhere. Try again.")
_AWAY = mark("The hospital's sign-in does not answer now. Try again, or use a name and password.")
_REFUSED = mark("The hospital's sign-in did not let you in. Try again, or ask an administrator.")
_ROLE = mark("Your hospital account has no role in Galeno. Ask an administrator.")


def router(frame: Frame) -> APIRouter:
    """The routes; none where the settings name no client."""
    routes = APIRouter()
    if not frame.settings.oidc_client_id:
        return routes
    issuer = Issuer(frame.settings, frame.reception.identity.issuer_keys)
    door = Door(frame)

    @routes.get("/sign-in/oidc")
    async def leave(request: Request) -> Response:
        door.slow_down(request)
        once = Secrets(*(secrets.token_urlsafe(48) for _ in range(3)))
        onward = safe_path(request.query_params.get("next", "/"))
        try:
            address = await issuer.address(once, callback_of(frame, request))
        except IdentityError:
            return await door.draw(request, status=503, fault=_AWAY, onward=onward)
        response = RedirectResponse(address, status_code=303)
        kept = json.dumps({"once": asdict(once), "onward": onward})
        await frame.sessions.remember(response, kept, PATIENCE)
        return response

    @routes.get(CALLBACK)
    async def come_back(request: Request) -> Response:
        door.slow_down(request)
        kept = await frame.sessions.recall(request)
        if kept is None:
            return await door.draw(request, status=401, fault=_LATE)
        found = json.loads(kept)
        try:
            claims = await issuer.claims(
                request.query_params, Secrets(**found["once"]), callback_of(frame, request)
            )
            person = Person(*frame.reception.identity.person(claims))
        except IdentityError as error:
            await door.refuse(request, f"issuer: {error.reason}")
            response = await door.draw(request, status=401, fault=_told(error), onward=found["onward"])
        else:
            response = await door.let_in(request, person, "issuer", found["onward"])
        response.delete_cookie(AWAY, path="/")
        return response

    return routes


def callback_of(frame: Frame, request: Request) -> str:
    """Where the issuer sends browsers back to, as it was registered there."""
    base = frame.settings.public_url or str(request.base_url)
    return base.rstrip("/") + CALLBACK


def _told(error: IdentityError) -> str:
    return {"unreachable": _AWAY, "role": _ROLE, "site": _ROLE}.get(error.reason, _REFUSED)
