"""Who is asking: a key of ours, a token of the hospital's issuer, or nobody in demo mode."""

import asyncio
import hashlib
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from galeno.errors import IdentityError, InputError
from galeno.governance.access import ROLES, Caller, Role
from galeno.governance.users import PREFIX, KeyCache, User, Users
from galeno.service.tokens import KeySource, RemoteKeys, verify_token
from galeno.settings import ServiceSettings
from galeno.storage.database import in_time

LONGEST_REASON: Final = 300
"""Characters of the reason for an emergency."""

_NOBODY: Final[tuple[str, Role, str]] = ("demo", "clinician", "")
_TOKENS_KEPT: Final = 4096
_TOKEN_SECONDS: Final = 30.0


class Identity:
    """Tells who is asking.

    A key that was seen in the last seconds, and a token that was checked in the last half minute, cost a
    hash and a look-up; `identify` then never waits. A key or token may so outlive its revocation by 5 or
    30 seconds, but a token never its `exp`.

    Args:
        users: those with keys of ours.
        settings: issuer, audience and claims of tokens; an empty issuer takes no tokens.
        demo: let everybody in, from the loopback address only.
        keys: where the issuer's keys come from; None fetches them as the settings say.
        key_seconds: how long a key's user is remembered.

    Raises:
        SettingError: the issuer's address is not https.
    """

    def __init__(
        self,
        users: Users,
        settings: ServiceSettings,
        *,
        demo: bool = False,
        keys: KeySource | None = None,
        key_seconds: float = 5.0,
    ) -> None:
        self._users = KeyCache(users, key_seconds)
        self._settings = settings
        self.demo = demo
        """Whether everybody is let in."""
        self._keys = keys if keys is not None else _issuer_keys(settings)
        self._tokens: OrderedDict[bytes, tuple[float, dict[str, Any]]] = OrderedDict()

    async def identify(
        self, authorization: str | None, address: str, face: str, emergency: str | None = None
    ) -> Caller:
        """Say who is asking.

        Args:
            authorization: the header, `Bearer KEY` or `Bearer TOKEN`.
            address: network address that the request came from.
            face: the way in.
            emergency: why the caller wants to read another site's case; None is no emergency. An empty
                one is an emergency without a reason, which access refuses.

        Raises:
            IdentityError: nobody can tell; `reason` is `missing`, `unknown`, `role`, `site`, `demo`, or one
                of service/tokens.py.
            InputError: the emergency's reason is too long or not plain text.
            JournalError: the journal cannot say whose key it is.
        """
        if self.demo:
            _check_loopback(address)
            name, role, site = _NOBODY
        else:
            name, role, site = await self._sign_in(authorization)
        if emergency is None:
            return Caller(name, role, site, address, face, demo=self.demo)
        reason = _check_reason(emergency)
        return Caller(name, role, site, address, face, purpose="emergency", demo=self.demo, reason=reason)

    async def _sign_in(self, authorization: str | None) -> tuple[str, Role, str]:
        """Name, role and site."""
        if not authorization:
            raise IdentityError(
                "nobody is signed in", remedy="Send Authorization: Bearer KEY", reason="missing"
            )
        scheme, _, credential = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise IdentityError(
                "the way of signing in is not known here",
                remedy="Send Authorization: Bearer KEY",
                reason="malformed",
            )
        credential = credential.strip()
        if credential.startswith(PREFIX):
            user = self._users.cached(credential) or await self._find(credential)
            return user.name, user.role, user.site
        if self._keys is None:
            raise _unknown()
        claims = self._checked(credential) or await self._verify(credential, self._keys)
        return self.person(claims)

    def person(self, claims: Mapping[str, Any]) -> tuple[str, Role, str]:
        """Name, role and site that the claims of a checked token tell.

        Raises:
            IdentityError: `role`, `site` or `claim`.
        """
        return _name(claims), self._role(claims), self._site(claims)

    @property
    def issuer_keys(self) -> KeySource | None:
        """Where the issuer's keys come from; None where no issuer is trusted."""
        return self._keys

    async def _find(self, key: str) -> User:
        """Ask the journal, off the event loop: it may be slow or away."""
        user = await in_time(asyncio.to_thread(self._users.find, key), "journal")
        if user is None:
            raise _unknown()
        return user

    def _checked(self, token: str) -> dict[str, Any] | None:
        """Claims of a token that was checked a moment ago and has not expired since."""
        entry = self._tokens.get(_digest(token))
        return entry[1] if entry is not None and time.time() < entry[0] else None

    async def _verify(self, token: str, keys: KeySource) -> dict[str, Any]:
        claims = await verify_token(
            token,
            keys,
            issuer=self._settings.oidc_issuer,
            audience=self._settings.oidc_audience,
            required=("sub", "iat"),
        )
        self._tokens[_digest(token)] = (min(time.time() + _TOKEN_SECONDS, claims["exp"]), claims)
        if len(self._tokens) > _TOKENS_KEPT:
            self._tokens.popitem(last=False)
        return claims

    def _role(self, claims: Mapping[str, Any]) -> Role:
        """The one role of ours that the claim names, itself or in a list among others."""
        value = _claim(claims, self._settings.oidc_role_claim)
        named = value if isinstance(value, list) else [value]
        roles = [role for role in ROLES if role in named]
        if len(roles) == 1:
            return roles[0]
        found = "names more than one role" if roles else "names no role"
        raise IdentityError(
            f"the token {found} of Galeno",
            where=f"claim {self._settings.oidc_role_claim}",
            remedy=f"Have the issuer give exactly one of {', '.join(ROLES)}",
            reason="role",
        )

    def _site(self, claims: Mapping[str, Any]) -> str:
        value = _claim(claims, self._settings.oidc_site_claim)
        if value is None:
            return ""
        if isinstance(value, str) and len(value) <= 64 and value.isprintable():
            return value.strip()
        raise IdentityError(
            "the token's site is not a text of at most 64 characters",
            where=f"claim {self._settings.oidc_site_claim}",
            remedy="Have the issuer name one site",
            reason="site",
        )


def _issuer_keys(settings: ServiceSettings) -> KeySource | None:
    if not settings.oidc_issuer:
        return None
    if settings.oidc_jwks:
        return RemoteKeys(settings.oidc_jwks)
    return RemoteKeys.discover(settings.oidc_issuer)


def _name(claims: Mapping[str, Any]) -> str:
    """`oidc:` and the subject: the one claim that is unique and never given to another.

    OpenID Connect Core 1.0, section 5.7. No name of ours holds a colon, so that nobody can pass for another.
    """
    subject = claims["sub"]
    if len(subject) > 255 or not (subject.isascii() and subject.isprintable()):
        raise IdentityError("the token's subject is not plain text", where="claim sub", reason="claim")
    return f"oidc:{subject}"


def _claim(claims: Mapping[str, Any], path: str) -> Any:
    """A claim by its name, or by the dotted way into objects; None where there is none."""
    if path in claims:
        return claims[path]
    value: Any = claims
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _check_reason(emergency: str) -> str:
    reason = emergency.strip()
    if len(reason) > LONGEST_REASON or not reason.isprintable():
        raise InputError([("emergency", f"must be one line of at most {LONGEST_REASON} characters")])
    return reason


def _check_loopback(address: str) -> None:
    """Demo mode answers this machine only, also when something forwards to it."""
    try:
        local = ipaddress.ip_address(address).is_loopback
    except ValueError:
        # a Unix socket, or a client inside this process
        local = True
    if not local:
        raise IdentityError(
            "demo mode answers this machine only",
            remedy="Start the service without --demo and add users",
            reason="demo",
        )


def _unknown() -> IdentityError:
    return IdentityError(
        "the key is unknown, expired or revoked",
        remedy="Ask an administrator for a new key",
        reason="unknown",
    )


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
