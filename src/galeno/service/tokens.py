"""Signed tokens (JWT, RFC 7519), checked the same way for OIDC and for CDS Hooks.

Asymmetric algorithms only: `none` and HMAC never pass, whatever a caller lists. Keys come from us, never
from a token's header (`jku`, `jwk`, `x5u` are not looked at; RFC 8725, section 3). What is wrong is an
IdentityError whose `reason` is one of:

    malformed     not a JWT, or one with a header that is not understood
    algorithm     signed with an algorithm that is not taken
    unknown_key   no key of the issuer fits the token
    signature     the signature is not the key's
    expired       `exp` has passed
    early         `nbf` or `iat` lies ahead
    issuer        `iss` is not one that is trusted
    audience      `aud` does not name this service
    claim         a claim is missing or of the wrong type
    unreachable   the issuer's keys cannot be read now
"""

import binascii
import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Collection
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError

from galeno.errors import IdentityError
from galeno.service.issuer_keys import FixedKeys, KeySource, RemoteKeys

__all__ = ["ALGORITHMS", "FixedKeys", "KeySource", "RemoteKeys", "read_issuer", "verify_token"]

ALGORITHMS: Final = ("ES256", "ES384", "RS256", "RS384", "PS256")
"""Algorithms that may be taken at all (RFC 7518, section 3.1)."""
LONGEST: Final = 16_384
"""Characters of a token that are read."""

_CHECKED: Final = ("iss", "sub", "aud", "exp", "nbf", "iat", "jti")


async def verify_token(
    token: str,
    keys: KeySource,
    *,
    algorithms: Collection[str] = ALGORITHMS,
    issuer: str | Collection[str],
    audience: str | Collection[str],
    now: float | None = None,
    leeway: int = 30,
    required: Collection[str] = ("iss", "aud", "exp"),
) -> dict[str, Any]:
    """Check a token's signature, issuer, audience and times.

    Args:
        token: the compact form, three parts.
        keys: where the issuer's keys come from.
        algorithms: algorithms that are taken, of `ALGORITHMS`.
        issuer: issuer, or issuers, that are trusted.
        audience: name, or names, of this service; the token must name one.
        now: seconds since 1970; None takes the clock.
        leeway: seconds that clocks may differ.
        required: claims that must be there; `iss`, `aud` and `exp` always must.

    Returns:
        its claims.

    Raises:
        IdentityError: with the `reason` above; the message never holds the token or a claim's value.
    """
    header = _read_header(token)
    algorithm = header["alg"]
    if algorithm not in ALGORITHMS or algorithm not in algorithms:
        raise IdentityError(
            "the token is signed with an algorithm that is not taken",
            remedy=f"Sign it with one of {', '.join(algorithms)}",
            reason="algorithm",
        )
    key = await keys.find(header.get("kid"), algorithm)
    try:
        claims = jwt.decode(token, key, algorithms=[algorithm]).claims
    except (JoseError, ValueError, TypeError):
        raise IdentityError("the token's signature does not fit", reason="signature") from None
    _check_times(claims, dict.fromkeys(("iss", "aud", "exp", *required)), now, leeway)
    _check_parties(claims, _names(issuer), _names(audience))
    return claims


def read_issuer(token: str) -> str:
    """The issuer that a token names, NOT verified: good only to choose whose keys to check it with.

    Raises:
        IdentityError: not a JWT (`malformed`), or one without an issuer (`claim`).
    """
    _read_header(token)
    issuer = _read_part(token.split(".")[1]).get("iss")
    if not isinstance(issuer, str) or not issuer:
        raise IdentityError("the token names no issuer", reason="claim")
    return issuer


def _read_header(token: str) -> dict[str, Any]:
    """The header, held to what we understand: a JWS in three parts, no extension that must be known."""
    if len(token) > LONGEST or token.count(".") != 2 or not token.isascii():
        raise _malformed()
    header = _read_part(token.split(".", 1)[0])
    kid = header.get("kid")
    if not isinstance(header.get("alg"), str) or not isinstance(kid, str | None):
        raise _malformed()
    # RFC 7515, 4.1.11: a critical extension that is not understood makes the token invalid.
    if "crit" in header or "b64" in header or "zip" in header:
        raise _malformed()
    return header


def _read_part(part: str) -> dict[str, Any]:
    try:
        content = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        raise _malformed() from None
    if not isinstance(content, dict):
        raise _malformed()
    return content


def _malformed() -> IdentityError:
    return IdentityError(
        "what was sent is neither a key of Galeno nor a signed token",
        remedy="Send Authorization: Bearer KEY",
        reason="malformed",
    )


def _check_times(claims: dict[str, Any], required: Collection[str], now: float | None, leeway: int) -> None:
    """Hold `exp`, `nbf`, `iat`, and what must be there, to RFC 7519, section 4.1."""
    missing = ", ".join(name for name in required if claims.get(name) in (None, ""))
    if missing:
        raise IdentityError(f"the token lacks {missing}", reason="claim")
    registry = jwt.JWTClaimsRegistry(now=int(time.time() if now is None else now), leeway=leeway)
    try:
        registry.validate({name: claims[name] for name in _CHECKED if name in claims})
    except ExpiredTokenError:
        raise IdentityError(
            "the token has expired", remedy="Sign in again for a new one", reason="expired"
        ) from None
    except InvalidClaimError as error:
        raise _wrong_claim(error.claim, claims[error.claim]) from None


def _wrong_claim(name: str, value: object) -> IdentityError:
    if name in {"nbf", "iat"} and isinstance(value, int | float) and not isinstance(value, bool):
        return IdentityError("the token is not valid yet", remedy="See that the clocks agree", reason="early")
    return IdentityError(f"the token's {name} is of the wrong type", reason="claim")


def _check_parties(claims: dict[str, Any], issuer: Collection[str], audience: Collection[str]) -> None:
    """Trust the issuers that are listed and no other: an empty list trusts nobody."""
    if claims["iss"] not in issuer:
        raise IdentityError("the token's issuer is not one that is trusted here", reason="issuer")
    named = [claims["aud"]] if isinstance(claims["aud"], str) else claims["aud"]
    if not set(named) & set(audience):
        raise IdentityError("the token is not meant for this service", reason="audience")


def _names(names: str | Collection[str]) -> Collection[str]:
    return (names,) if isinstance(names, str) else names
