"""The door: finds out who somebody is, slows down who guesses, and writes down who came and who did not."""

import asyncio
from dataclasses import dataclass
from typing import Final

from fastapi import Request, Response

from galeno.errors import BusyError, TooManyRequestsError
from galeno.governance.access import Caller, Role
from galeno.governance.passwords import Passwords
from galeno.records import AuditEntry
from galeno.service.limits import Limiter
from galeno.service.pages.frame import Frame
from galeno.service.pages.session import FACE, address_of, safe_path
from galeno.storage.commit import Change
from galeno.storage.ids import now

AT_ONCE: Final = 2
"""Passwords that are hashed at a time: each takes 19 MiB."""
WAITING: Final = 32
"""Sign-ins that may wait for that; more get 503."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who was found to be who they say."""

    name: str
    role: Role
    site: str


class Door:
    """Lets people in.

    Args:
        frame: draws the pages and keeps the sessions.
    """

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self._passwords = Passwords(frame.desk.rooms.journal)
        # A person mistypes a few times; a program that guesses gets no further than that.
        self._by_name = Limiter(1 / 6, 20)
        self._by_address = Limiter(1 / 2, 40)
        self._hashing = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def by_password(self, request: Request, name: str, password: str) -> Person | None:
        """Who signs in with name and password; None where they do not fit, which is written down.

        Raises:
            TooManyRequestsError: too many tries for this name or from this address.
            BusyError: too many sign in at a time.
            JournalError: the journal does not answer.
        """
        self.slow_down(request)
        self._take(self._by_name, name[:64].casefold())
        if self._waiting >= WAITING:
            raise BusyError("too many sign in at a time")
        self._waiting += 1
        try:
            async with self._hashing:
                user = await asyncio.to_thread(self._passwords.check, name, password)
        finally:
            self._waiting -= 1
        if user is None:
            # What was typed may be a password in the wrong field: only names that exist are written down.
            known = await asyncio.to_thread(self._passwords.known, name[:64])
            await self.refuse(request, "password", name[:64] if known else "")
            return None
        return Person(user.name, user.role, user.site)

    async def by_token(self, request: Request, token: str) -> Person | None:
        """Who signs in with a one-time address; None where it is used or old, which is written down."""
        self.slow_down(request)
        user = await asyncio.to_thread(self._passwords.redeem, token)
        if user is None:
            await self.refuse(request, "one-time address")
            return None
        return Person(user.name, user.role, user.site)

    def slow_down(self, request: Request) -> None:
        """Bound the tries from one address.

        Raises:
            TooManyRequestsError: too many.
        """
        self._take(self._by_address, address_of(request))

    async def let_in(self, request: Request, person: Person, way: str, onward: str) -> Response:
        """Open a session and lead on. Written down first: without audit nobody comes in."""
        caller = Caller(person.name, person.role, person.site, address_of(request), FACE)
        await self._write(caller, "sign_in", way)
        response = self.frame.redirect(safe_path(onward))
        await self.frame.sessions.open(
            request,
            response,
            user=person.name,
            role=person.role,
            site=person.site,
            language=self.frame.language(request),
        )
        return response

    async def let_out(self, request: Request) -> None:
        """End the session of a request."""
        session = await self.frame.sessions.close(request)
        if session is not None:
            await self._write(session.caller(), "sign_out", "")

    async def refuse(self, request: Request, way: str, name: str = "") -> None:
        """Write a failed sign-in down."""
        entry = AuditEntry(
            action="sign_in",
            outcome="denied",
            time=now(),
            actor=name,
            role="",
            address=address_of(request),
            face=FACE,
            detail=way,
        )
        await self.frame.desk.rooms.commits.commit(Change(audit=(entry,)))

    async def _write(self, caller: Caller, action: str, detail: str) -> None:
        entry = AuditEntry(
            action=action,
            outcome="done",
            time=now(),
            actor=caller.name,
            role=caller.role,
            site=caller.site,
            address=caller.address,
            face=caller.face,
            detail=detail,
        )
        await self.frame.desk.rooms.commits.commit(Change(audit=(entry,)))

    def _take(self, limiter: Limiter, key: str) -> None:
        wait = limiter.take(key)
        if wait is not None:
            raise TooManyRequestsError("too many tries to sign in", retry_after=max(1, round(wait)))

    async def draw(
        self, request: Request, *, status: int = 200, fault: str = "", name: str = "", onward: str = "/"
    ) -> Response:
        """The sign-in page."""
        return await self.frame.page(
            request,
            None,
            "sign_in.html",
            status=status,
            fault=fault,
            name=name,
            onward=onward,
            issuer=self.frame.settings.oidc_client_id != "",
            idle=request.query_params.get("why") == "idle",
        )
