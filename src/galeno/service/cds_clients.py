"""Hospital systems that may call CDS Hooks, and the signed token that each call brings.

CDS Hooks 2.0, "Trusting CDS Clients": a JWT on every call, discovery too; asymmetric algorithms; an
allow-list of issuers; `aud` is the address of the endpoint that is called; `jti` is good for one call.
Keys come from our file only: a token's `jku` is not looked at.
"""

import hashlib
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from sqlalchemy import Connection, delete

from galeno.errors import ConflictError, IdentityError, SettingError
from galeno.governance.access import Caller
from galeno.service.tokens import FixedKeys, KeySource, RemoteKeys, read_issuer, verify_token
from galeno.storage import schema
from galeno.storage.commit import Change, GroupCommit

FACE: Final = "cds_hooks"
ALGORITHMS: Final = ("ES384", "RS384")
"""Those that CDS Hooks recommends."""
LONGEST_LIFE: Final = 3600
"""Seconds that a token may live, and that its `jti` must be remembered at most."""
LEEWAY: Final = 30
"""Seconds that clocks may differ."""
SWEEP: Final = 60.0
"""Seconds between two removals of token ids that may be forgotten."""

_LONGEST_FILE: Final = 1_048_576
_ORIGIN: Final = re.compile(r"https://[^/\s*@?#]+|http://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?")
_WHERE: Final = "GALENO_CDS_CLIENTS"


@dataclass(frozen=True, slots=True)
class CdsClient:
    """One hospital system.

    Attributes:
        iss: issuer that its tokens name.
        keys: where its public keys come from.
        site: of its cases.
        tenant: its tokens must name this tenant; empty asks for none.
        origins: web pages that may call from a browser, such as https://ehr.example.org.
    """

    iss: str
    keys: KeySource = field(repr=False)
    site: str = ""
    tenant: str = ""
    origins: frozenset[str] = frozenset()


class _Entry(BaseModel):
    """One object of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    iss: str = Field(min_length=1, max_length=255, pattern=r"^[!-~]+$")
    jwks_url: str | None = Field(None, max_length=2000)
    jwks: dict[str, Any] | None = None
    tenant: str = Field("", max_length=255)
    site: str | None = Field(None, max_length=64)
    origins: list[str] = []

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.jwks_url is None) == (self.jwks is None):
            raise ValueError("give jwks_url or jwks, and not both")
        if not all(_ORIGIN.fullmatch(origin) for origin in self.origins):
            raise ValueError("an origin is https://HOST, without a path or *; http for the loopback only")
        return self

    @property
    def source(self) -> object:
        """What the keys come from, to compare."""
        return self.jwks_url if self.jwks is None else self.jwks


class CdsClients:
    """The allow-list: tells which hospital system calls.

    Args:
        clients: those on the list.
        commits: writes the ids of used tokens to the journal, which all workers share.
        clock: seconds since 1970.

    Raises:
        SettingError: two clients cannot be told apart.
    """

    def __init__(
        self, clients: Sequence[CdsClient], commits: GroupCommit, clock: Callable[[], float] = time.time
    ) -> None:
        self._clients = {(client.iss, client.tenant): client for client in clients}
        self._keys = {client.iss: client.keys for client in clients}
        self._commits = commits
        self._clock = clock
        self._swept = 0.0
        for client in clients:
            if client.tenant and (client.iss, "") in self._clients:
                raise _wrong("an issuer is listed with a tenant and without one")
        if len(self._clients) < len(clients):
            raise _wrong("two clients have the same issuer and tenant")

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._clients)

    @property
    def origins(self) -> frozenset[str]:
        """Web pages from which any client may call."""
        return frozenset().union(*(client.origins for client in self._clients.values()))

    async def identify(self, authorization: str, audience: str, address: str) -> tuple[Caller, CdsClient]:
        """Say which system calls; its token is used up by that.

        Args:
            authorization: the header, `Bearer TOKEN`.
            audience: address of the endpoint that is called, as clients know it.
            address: network address that the request came from.

        Raises:
            IdentityError: the token is not one for this call; `reason` as in service/tokens.py, or `replay`
                or `tenant`.
            JournalError: nobody can tell whether the token was used before.
        """
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise IdentityError(
                "the way of signing in is not known here",
                remedy="Send Authorization: Bearer TOKEN",
                reason="malformed",
            )
        client, claims = await self._verify(token.strip(), audience)
        await self._use_up(client.iss, claims)
        return Caller(client.iss, "clinician", client.site, address, FACE), client

    async def _verify(self, token: str, audience: str) -> tuple[CdsClient, dict[str, Any]]:
        issuer = read_issuer(token)
        keys = self._keys.get(issuer)
        if keys is None:
            raise IdentityError("the token's issuer is not one that is trusted here", reason="issuer")
        claims = await verify_token(
            token,
            keys,
            algorithms=ALGORITHMS,
            issuer=issuer,
            audience=audience,
            now=self._clock(),
            leeway=LEEWAY,
            required=("iat", "jti"),
        )
        latest = self._clock() + LONGEST_LIFE + LEEWAY
        if not isinstance(claims["jti"], str) or not claims["exp"] <= latest:
            raise IdentityError(
                f"the token's jti is not a text, or it lives longer than {LONGEST_LIFE} seconds",
                reason="claim",
            )
        tenant = claims.get("tenant", "")
        client = self._clients.get((issuer, "")) or self._clients.get((issuer, str(tenant)))
        if client is None:
            raise IdentityError("the token's tenant is not one that is trusted here", reason="tenant")
        return client, claims

    async def _use_up(self, issuer: str, claims: dict[str, Any]) -> None:
        """Note the token as used, on disk, before anything is answered."""
        # a jti is unique for its issuer only; hashed, because its length is the client's choice
        name = hashlib.sha256(f"{len(issuer)}|{issuer}|{claims['jti']}".encode()).hexdigest()
        now = self._clock()
        row = {"jti": name, "expires": float(claims["exp"]) + 2 * LEEWAY}
        sweep = None
        if now - self._swept > SWEEP:
            self._swept = now
            sweep = _sweep(now)
        try:
            await self._commits.commit(Change(rows=((schema.tokens_seen, row),), then=sweep))
        except ConflictError:
            raise IdentityError(
                "the token was used before", remedy="Sign a new token for each call", reason="replay"
            ) from None


def read_clients(file: str) -> tuple[CdsClient, ...]:
    """Read the allow-list.

    Args:
        file: JSON, a list of {"iss", "jwks_url" or "jwks", "tenant", "site", "origins"}; empty is no client.
            Where no site is given, the tenant is the site.

    Raises:
        SettingError: it cannot be read, or is not such a list.
    """
    if not file:
        return ()
    path = Path(file)
    try:
        if path.stat().st_size > _LONGEST_FILE:
            raise _wrong(f"the file is longer than {_LONGEST_FILE} bytes")
        entries = TypeAdapter(list[_Entry]).validate_json(path.read_bytes())
    except OSError as error:
        raise _wrong(f"the file of clients cannot be read ({error.strerror})") from None
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in fault["loc"]) or "file"
        raise _wrong(f"{place}: {fault['msg']}") from None
    sources = {entry.iss: entry.source for entry in entries}
    if any(sources[entry.iss] != entry.source for entry in entries):
        raise _wrong("one issuer is listed with different keys")
    keys = {entry.iss: _keys(entry) for entry in entries}
    return tuple(
        CdsClient(
            entry.iss,
            keys[entry.iss],
            entry.tenant if entry.site is None else entry.site,
            entry.tenant,
            frozenset(entry.origins),
        )
        for entry in entries
    )


def _keys(entry: _Entry) -> KeySource:
    try:
        return FixedKeys(entry.jwks) if entry.jwks is not None else RemoteKeys(entry.jwks_url or "")
    except SettingError as error:
        raise SettingError(error.what, where=_WHERE, remedy=error.remedy) from None


def _sweep(now: float) -> Callable[[Connection], None]:
    def work(connection: Connection) -> None:
        connection.execute(delete(schema.tokens_seen).where(schema.tokens_seen.c.expires < now))

    return work


def _wrong(what: str) -> SettingError:
    return SettingError(
        what, where=_WHERE, remedy="docs/cds-hooks.md shows the file; restart the service after a change"
    )
