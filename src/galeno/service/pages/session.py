"""Who is signed in to the pages: sessions in the journal, so that every worker knows them.

The browser holds 256 random bits in a cookie, the journal their SHA-256 only. A session ends after some
minutes without a request, after twelve hours in any case, when its user signs out, and at once when the
user is revoked (OWASP Session Management Cheat Sheet).
"""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast
from urllib.parse import quote

from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import Response

from galeno.errors import AccessError, IdentityError
from galeno.governance.access import Action, Caller, Role
from galeno.service.face import Reception
from galeno.service.pages.form_body import Form, read_form_body
from galeno.storage import schema
from galeno.storage.ids import later, now

COOKIE: Final = "galeno_session"
STRANGER: Final = "galeno_form"
"""Cookie that the forms of somebody who is not signed in are tied to."""
AWAY: Final = "galeno_away"
"""Cookie of somebody who is away at the issuer."""
LIFETIME: Final = 12 * 3600.0
"""Seconds after which a session ends however busy it is."""
TOUCH: Final = 60.0
"""Seconds between notes of when a session was last used."""
DEMO: Final = "demo"
FACE: Final = "pages"
_LONGEST = 64


class SignInNeededError(IdentityError):
    """Nobody is signed in: the page sends the browser to the sign-in.

    Args:
        onward: where to go afterwards, a path of ours.
        idle: whether there was a session that ended for want of requests.
    """

    def __init__(self, onward: str, *, idle: bool = False) -> None:
        super().__init__("nobody is signed in", remedy="Sign in", reason="missing")
        self.onward = onward
        self.idle = idle

    @property
    def address(self) -> str:
        """The sign-in page that leads on."""
        why = "&why=idle" if self.idle else ""
        return f"/sign-in?next={quote(self.onward, safe='/')}{why}"


class FormTooOldError(AccessError):
    """A form without the token of this session: too old, from another session, or made up elsewhere."""

    def __init__(self) -> None:
        super().__init__("this form is too old, or was not one of ours", remedy="Load the page again")


@dataclass(frozen=True, slots=True)
class Session:
    """One browser that somebody is signed in with.

    Attributes:
        id: SHA-256 of the cookie, in hex.
        user: name of the user.
        role: what the user is here for.
        site: the user's site; empty where the home knows none.
        language: `en` or `es`.
        csrf: what every form must send back.
        created: ISO time.
        seen: ISO time of the last request that was noted.
        expires: ISO time at which it ends in any case.
        notice: shown once, on the next page.
        demo: nobody signed in: demo mode.
        address: network address of this request.
    """

    id: str
    user: str
    role: Role
    site: str
    language: str
    csrf: str
    created: str
    seen: str
    expires: str
    notice: str | None = None
    demo: bool = False
    address: str = ""

    def caller(self, address: str | None = None, *, purpose: str = "treatment", reason: str = "") -> Caller:
        """The caller as the desk knows callers.

        Args:
            address: network address of the request; None takes this request's.
            purpose: `treatment`, or `emergency` with a reason.
            reason: why the glass is broken.
        """
        place = self.address if address is None else address
        return Caller(self.user, self.role, self.site, place, FACE, purpose, self.demo, reason)


class Sessions:
    """The sessions in the journal.

    Args:
        reception: desk and settings.
        secure: browsers reach the pages over TLS.
    """

    def __init__(self, reception: Reception, *, secure: bool) -> None:
        self._reception = reception
        self._journal = reception.desk.rooms.journal
        self._idle = reception.settings.idle_minutes * 60.0
        self._secure = secure

    @property
    def demo(self) -> bool:
        """Whether everybody is let in."""
        return self._reception.identity.demo

    async def find(self, request: Request) -> Session | None:
        """The session of a request; None where there is none. Read once a request.

        Raises:
            JournalError: the journal does not answer.
        """
        if "galeno.session" not in request.scope:
            request.scope["galeno.session"] = await self._find(request)
        found: Session | None = request.scope["galeno.session"]
        return found

    async def need(self, request: Request, action: Action | None = None) -> Session:
        """The session of a request, whose role may do something.

        Args:
            request: what was asked.
            action: what for; None is allowed to everybody who is signed in.

        Raises:
            SignInNeededError: nobody is signed in.
            AccessError: the role may not do that; written down.
            JournalError: the journal does not answer.
        """
        session = await self.find(request)
        if session is None and self.demo:
            session = await self._open_demo(request)
        if session is None:
            raise SignInNeededError(onward_of(request), idle=bool(request.scope.get("galeno.idle")))
        if action is not None:
            await self._reception.desk.permit(session.caller(), action)
        return session

    async def form(self, request: Request, session: Session | None, limit: int = 200_000) -> Form:
        """What a form sent; its token must be this session's.

        Args:
            request: the POST.
            session: who is signed in; None for forms that take no sign-in.
            limit: bytes that are read.

        Raises:
            FormTooOldError: the form is not one of ours.
            InputError: too long, or not a form.
        """
        # Browsers say where a request comes from; what comes from elsewhere is nobody's wish here.
        if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
            raise FormTooOldError
        form = await read_form_body(request, self._reception, limit)
        expected = stranger_token(request) if session is None else session.csrf
        if not expected or not hmac.compare_digest(form.get("csrf", "").encode(), expected.encode()):
            raise FormTooOldError
        return form

    async def open(
        self, request: Request, response: Response, *, user: str, role: str, site: str, language: str
    ) -> Session:
        """Begin a session with a cookie of its own; one that the browser had ends.

        Raises:
            JournalError: it could not be kept.
        """
        await self.close(request)
        token = secrets.token_urlsafe(32)
        row = {
            "id": digest(token), "user": user, "role": role, "site": site, "language": language,
            "csrf": secrets.token_urlsafe(32), "created": now(), "seen": now(), "expires": later(LIFETIME),
        }  # fmt: skip
        await asyncio.to_thread(self._insert, row)
        self.set_cookie(response, COOKIE, token)
        session = replace(_session(row), demo=self.demo, address=address_of(request))
        request.scope["galeno.session"] = session
        return session

    async def remember(self, response: Response, content: str, seconds: int) -> None:
        """Remember what must fit when somebody comes back from the issuer.

        Raises:
            JournalError: it could not be kept.
        """
        token = secrets.token_urlsafe(32)
        row = dict.fromkeys(("user", "role", "site", "language", "csrf"), "")
        times = {"created": now(), "seen": now(), "expires": later(seconds)}
        await asyncio.to_thread(self._insert, {"id": digest(token), **row, **times, "oidc": content})
        self.set_cookie(response, AWAY, token, seconds=seconds)

    async def recall(self, request: Request) -> str | None:
        """What was remembered for this browser, once; None where there is nothing, or it is too old.

        Raises:
            JournalError: the journal does not answer.
        """
        return await asyncio.to_thread(self._take, digest(request.cookies.get(AWAY, "")))

    async def close(self, request: Request) -> Session | None:
        """End the session of a request; returns it.

        Raises:
            JournalError: the journal does not answer.
        """
        session = await self.find(request)
        if session is not None:
            await asyncio.to_thread(self._delete, session.id)
            request.scope["galeno.session"] = None
        return session

    async def note(self, session: Session, **values: str | None) -> None:
        """Change a session's notice or language.

        Raises:
            JournalError: it could not be kept.
        """
        await asyncio.to_thread(self._update, session.id, values)

    def set_cookie(self, response: Response, name: str, value: str, *, seconds: int | None = None) -> None:
        """A cookie as all of ours are: not for scripts, not for other sites, over TLS where there is TLS."""
        response.set_cookie(
            name, value, max_age=seconds, path="/", httponly=True, samesite="lax", secure=self._secure
        )

    async def _open_demo(self, request: Request) -> Session:
        """Everybody's session in demo mode; identity sees that the loopback address asks."""
        caller = await self._reception.identity.identify(None, address_of(request), FACE)
        carrier = Response()
        language = str(request.scope.get("galeno.language", "en"))
        session = await self.open(
            request, carrier, user=caller.name, role=caller.role, site=caller.site, language=language
        )
        request.scope["galeno.cookies"] = carrier.headers.getlist("set-cookie")
        return session

    async def _find(self, request: Request) -> Session | None:
        token = request.cookies.get(COOKIE, "")
        if not 20 <= len(token) <= _LONGEST:
            return None
        row = await asyncio.to_thread(self._read, digest(token))
        if row is None or not row["user"]:
            return None
        at = now()
        if row["expires"] <= at or not self._active(row, at):
            await asyncio.to_thread(self._delete, row["id"])
            return None
        age = _seconds_since(row["seen"])
        if age > self._idle:
            await asyncio.to_thread(self._delete, row["id"])
            request.scope["galeno.idle"] = True
            return None
        if age > min(TOUCH, self._idle / 4):
            await asyncio.to_thread(self._update, row["id"], {"seen": at})
        return replace(_session(row), demo=self.demo, address=address_of(request))

    def _active(self, row: Mapping[str, Any], at: str) -> bool:
        """Whether the user may still be signed in: not revoked, nor past its end."""
        if row["user"] == DEMO and row["known"] is None:
            return self.demo
        if row["known"] is None:
            return str(row["user"]).startswith("oidc:")  # at the issuer; ends with the session
        expires = row["user_expires"]
        return row["user_revoked"] is None and (expires is None or at < expires)

    def _read(self, key: str) -> Mapping[str, Any] | None:
        sessions, users = schema.sessions, schema.users
        query = (
            select(
                sessions,
                users.c.name.label("known"),
                users.c.revoked.label("user_revoked"),
                users.c.expires.label("user_expires"),
            )
            .outerjoin(users, users.c.name == sessions.c.user)
            .where(sessions.c.id == key)
        )
        with self._journal.read() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else dict(row)

    def _insert(self, row: Mapping[str, Any]) -> None:
        table = schema.sessions
        with self._journal.begin() as connection:
            connection.execute(table.delete().where(table.c.expires < now()))
            connection.execute(table.insert(), dict(row))

    def _update(self, key: str, values: Mapping[str, str | None]) -> None:
        table = schema.sessions
        with self._journal.begin() as connection:
            connection.execute(table.update().where(table.c.id == key).values(**values))

    def _take(self, key: str) -> str | None:
        table = schema.sessions
        with self._journal.begin() as connection:
            there = (table.c.id == key) & (table.c.user == "")
            row = connection.execute(select(table).where(there).with_for_update()).mappings().first()
            connection.execute(table.delete().where(there))
        return None if row is None or row["expires"] <= now() else row["oidc"]

    def _delete(self, key: str) -> None:
        table = schema.sessions
        with self._journal.begin() as connection:
            connection.execute(table.delete().where(table.c.id == key))


def digest(token: str) -> str:
    """What the journal keeps of a random token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def address_of(request: Request) -> str:
    """Network address that a request came from."""
    return request.client.host if request.client else ""


def stranger_token(request: Request) -> str:
    """Token of the forms of somebody who is not signed in; empty without the cookie it is made from."""
    cookie = request.cookies.get(STRANGER, "")
    return digest(f"form:{cookie}") if 20 <= len(cookie) <= _LONGEST else ""


def onward_of(request: Request) -> str:
    """Where to go after the sign-in: the page that was asked for, or the one that a form was on."""
    if request.method in {"GET", "HEAD"}:
        query = request.url.query
        return request.url.path + (f"?{query}" if query else "")
    referrer = request.headers.get("referer", "")
    base = str(request.base_url)
    return "/" + referrer.removeprefix(base) if referrer.startswith(base) else "/"


def safe_path(path: str) -> str:
    """A path of ours, or the start page: nobody is sent elsewhere by an address that somebody made up."""
    plain = path.isascii() and path.isprintable() and "\\" not in path and len(path) < 2000
    return path if plain and path.startswith("/") and not path.startswith("//") else "/"


def _session(row: Mapping[str, Any]) -> Session:
    return Session(
        id=row["id"],
        user=row["user"],
        role=cast("Role", row["role"]),
        site=row["site"],
        language=row["language"],
        csrf=row["csrf"],
        created=row["created"],
        seen=row["seen"],
        expires=row["expires"],
        notice=row.get("notice"),
    )


def _seconds_since(moment: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(moment)) / timedelta(seconds=1)
