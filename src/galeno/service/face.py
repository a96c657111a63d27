"""What every face of the service stands on: who is asking, what was sent, and how problems are told."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from galeno.errors import IdentityError, InputError, NotFoundError, TooLongError, TooManyRequestsError
from galeno.governance.access import Action, Caller
from galeno.service.desk import Desk
from galeno.service.diagnosing import MOST_FAULTS
from galeno.service.identity import Identity
from galeno.service.limits import Limiter, Places
from galeno.settings import ServiceSettings

EMERGENCY = "galeno-emergency"
"""Header with the reason for reading another site's case."""

UPLOADS = 8
"""Large requests that a worker takes in at a time."""
UPLOADS_EACH = 2
"""Of these, those of one caller."""

Body = TypeVar("Body", bound=BaseModel)


@dataclass(frozen=True)
class Reception:
    """Where a request comes in."""

    desk: Desk
    identity: Identity
    settings: ServiceSettings
    body_limit: int
    """Bytes of one request."""
    limiter: Limiter
    """Requests of one caller."""
    failures: Limiter
    """Wrong keys from one address."""
    uploads: Places = field(default_factory=lambda: Places(UPLOADS, UPLOADS_EACH))
    """Large requests."""

    @property
    def upload_limit(self) -> int:
        """Bytes of one request with sounds or images."""
        return self.settings.upload_mib << 20

    @contextmanager
    def hold_place(self, request: Request, holder: str = "", *, always: bool = False) -> Iterator[None]:
        """Take a place for a request that is large, or does not say how large it is.

        Args:
            request: what came.
            holder: whose it is; by default the caller's, who is known by now.
            always: it takes long, however small it is.

        Raises:
            BusyError: there is none, or the caller has enough: such requests are held in memory until they
                are answered.
        """
        caller: Caller | None = request.scope.get("galeno.caller")
        length = request.headers.get("content-length", "")
        if not always and length.isdecimal() and int(length) <= self.body_limit:
            yield
            return
        with self.uploads.take(holder or (caller.name if caller else "")):
            yield

    def takes_files(self, study: str) -> bool:
        """Whether records of this study may hold sounds or images."""
        return self.count_files(study) > 0

    def count_files(self, study: str) -> int:
        """Columns of sounds and images of a study; none where there is no such study."""
        try:
            return len(self.desk.rooms.shelf.get(study).model.contract.files)
        except NotFoundError:
            return 0

    async def caller(self, request: Request, face: str) -> Caller:
        """Who is asking.

        Raises:
            IdentityError: nobody can tell.
            BusyError: too many requests of this caller, or too many wrong keys from this address.
        """
        known: Caller | None = request.scope.get("galeno.caller")
        if known is not None:
            return known
        address = request.client.host if request.client else ""
        credentials = request.headers.get("authorization")
        try:
            caller = await self.identity.identify(credentials, address, face, request.headers.get(EMERGENCY))
        except IdentityError:
            if credentials is not None:
                self._slow_down(self.failures, address, "too many wrong keys from this address")
                await self.desk.note_stranger(address, face)
            raise
        self._slow_down(self.limiter, caller.name, "too many requests")
        request.scope["galeno.caller"] = caller
        return caller

    async def body(self, request: Request, limit: int | None = None) -> bytes:
        """What was sent, of bounded length.

        Raises:
            TooLongError: it is too long.
        """
        most = self.body_limit if limit is None else limit
        parts: list[bytes] = []
        length = 0
        async for part in request.stream():
            length += len(part)
            if length > most:
                raise TooLongError([("body", f"is longer than {most} bytes")])
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def allow(self, action: Action, face: str = "api") -> Callable[[Request], Awaitable[Caller]]:
        """A dependency of a route: the caller, who may do this."""

        async def allowed(request: Request) -> Caller:
            caller = await self.caller(request, face)
            await self.desk.permit(caller, action)
            return caller

        return allowed

    def _slow_down(self, limiter: Limiter, key: str, what: str) -> None:
        wait = limiter.take(key)
        if wait is not None:
            raise TooManyRequestsError(what, retry_after=max(1, round(wait)))


def parse_json(body: bytes, place: str = "body") -> Any:
    """Read JSON; NaN and infinities come through, so that the field that holds them can be named.

    Args:
        body: the text.
        place: where it stood, for messages.

    Raises:
        InputError: it is not JSON.
    """
    try:
        return from_json(body, allow_inf_nan=True, cache_strings="keys")
    except ValueError as error:
        # the message holds a position, never the text
        raise InputError([(place, f"is not JSON: {str(error).split(chr(10), 1)[0]}")]) from None


def read_model(model: type[Body], data: Any) -> Body:
    """Hold JSON values to a model.

    Raises:
        InputError: with each field that is wrong.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise InputError(faults_of(error.errors(include_url=False, include_input=False))) from None


def faults_of(errors: Sequence[Any]) -> list[tuple[str, str]]:
    """Pydantic's errors as fields and faults; its messages hold no input."""
    return [
        (".".join(str(part) for part in error["loc"]) or "body", str(error["msg"]))
        for error in errors[:MOST_FAULTS]
    ]
