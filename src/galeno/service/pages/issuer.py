"""Signing in at the hospital's issuer: OpenID Connect Core 1.0, code flow with PKCE (RFC 7636).

Authlib makes the requests of the protocol; the ID token is checked as all tokens are (service/tokens.py).
"""

import asyncio
import hmac
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from galeno.errors import IdentityError, SettingError
from galeno.service.issuer_keys import check_address, read_json
from galeno.service.tokens import KeySource, RemoteKeys, verify_token
from galeno.settings import ServiceSettings

SCOPE: Final = "openid profile"
KEPT: Final = 600.0
"""Seconds for which the discovery page is kept."""
TIMEOUT: Final = 10.0
"""Seconds that the issuer has to answer in."""

_log = logging.getLogger("galeno.service")


@dataclass(frozen=True, slots=True)
class Secrets:
    """What one sign-in is recognised by when it comes back.

    Attributes:
        state: comes back in the address; ties the answer to this browser (RFC 6749, 10.12).
        nonce: comes back in the ID token; ties the token to this sign-in.
        verifier: 43 to 128 characters that only we know; the issuer has seen their hash.
    """

    state: str
    nonce: str
    verifier: str


class Issuer:
    """The hospital's issuer.

    Args:
        settings: issuer, client and its secret.
        keys: the issuer's keys; None fetches those that its discovery page names.

    Raises:
        SettingError: the client has no issuer, or its secret cannot be read.
    """

    def __init__(self, settings: ServiceSettings, keys: KeySource | None = None) -> None:
        if not settings.oidc_issuer:
            raise SettingError(
                "there is a client, but no issuer that it belongs to",
                where="GALENO_OIDC_CLIENT_ID",
                remedy="Set GALENO_OIDC_ISSUER",
            )
        self._issuer = settings.oidc_issuer
        self._client = settings.oidc_client_id
        self._secret = _read_secret(settings.oidc_client_secret_file)
        self._keys = keys if keys is not None else RemoteKeys.discover(self._issuer)
        self._page: Mapping[str, Any] = {}
        self._fetched = 0.0

    async def address(self, secrets: Secrets, callback: str) -> str:
        """Where to send the browser.

        Args:
            secrets: of this sign-in.
            callback: where the issuer sends the browser back to.

        Raises:
            IdentityError: the issuer does not answer (`unreachable`).
        """
        page = await self._discover()
        address: str = prepare_grant_uri(
            page["authorization_endpoint"],
            client_id=self._client,
            response_type="code",
            redirect_uri=callback,
            scope=SCOPE,
            state=secrets.state,
            nonce=secrets.nonce,
            code_challenge=create_s256_code_challenge(secrets.verifier),
            code_challenge_method="S256",
        )
        return address

    async def claims(self, answer: Mapping[str, str], secrets: Secrets, callback: str) -> Mapping[str, Any]:
        """Claims of who signed in.

        Args:
            answer: query of the address that the issuer sent the browser back to.
            secrets: of this sign-in.
            callback: as it was given to `address`.

        Raises:
            IdentityError: the answer is not to this sign-in (`state`, `issuer`, `nonce`), the issuer refused
                (`refused`) or does not answer (`unreachable`), or a reason of service/tokens.py.
        """
        if not hmac.compare_digest(answer.get("state", "").encode(), secrets.state.encode()):
            raise _foreign("state")
        if answer.get("iss", self._issuer) != self._issuer:  # RFC 9207
            raise _foreign("issuer")
        if not answer.get("code"):
            raise IdentityError("the issuer did not let you in", remedy="Sign in again", reason="refused")
        token = await self._exchange(answer["code"], secrets.verifier, callback)
        claims = await verify_token(
            token, self._keys, issuer=self._issuer, audience=self._client, required=("sub", "iat", "nonce")
        )
        if not hmac.compare_digest(str(claims["nonce"]).encode(), secrets.nonce.encode()):
            raise _foreign("nonce")
        # OpenID Connect Core 1.0, 3.1.3.7: a token for several must have been issued to this one.
        several = not isinstance(claims["aud"], str) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else self._client) != self._client:
            raise _foreign("audience")
        return claims

    async def _discover(self) -> Mapping[str, Any]:
        if self._page and time.monotonic() - self._fetched < KEPT:
            return self._page
        address = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
        page = await self._read(address)
        ends = [str(page.get(name, "")) for name in ("authorization_endpoint", "token_endpoint")]
        if page.get("issuer") != self._issuer:
            raise _unreachable("the discovery page is another issuer's")
        try:
            for end in ends:
                check_address(end, "address of the issuer")
        except SettingError:
            raise _unreachable("the discovery page names no https addresses") from None
        self._page, self._fetched = page, time.monotonic()
        return page

    async def _exchange(self, code: str, verifier: str, callback: str) -> str:
        """Get the ID token for a code."""
        page = await self._discover()
        body = prepare_token_request(
            "authorization_code", redirect_uri=callback, code=code, code_verifier=verifier
        )
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        auth = ClientAuth(self._client, self._secret, self._method(page))
        address, headers, body = auth.prepare("POST", page["token_endpoint"], headers, body)
        answer = await self._read(address, "POST", headers=headers, content=body.encode())
        if not isinstance(answer.get("id_token"), str):
            raise _unreachable("no ID token")
        return str(answer["id_token"])

    def _method(self, page: Mapping[str, Any]) -> str:
        """How to say who we are (OpenID Connect Core 1.0, 9)."""
        if not self._secret:
            return "none"
        offered = page.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        return "client_secret_basic" if "client_secret_basic" in offered else "client_secret_post"

    async def _read(self, address: str, method: str = "GET", **more: Any) -> Mapping[str, Any]:
        tls = httpx.create_ssl_context() if address.startswith("https:") else False
        try:
            async with httpx.AsyncClient(verify=tls, timeout=TIMEOUT) as client:
                return await asyncio.wait_for(read_json(client, address, method, **more), TIMEOUT)
        except httpx.HTTPStatusError as error:
            if error.response.status_code in {400, 401, 403}:
                raise IdentityError(
                    "the issuer did not take the code", remedy="Sign in again", reason="refused"
                ) from None
            raise _unreachable(str(error.response.status_code)) from None
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError, ValueError, TypeError) as error:
            raise _unreachable(type(error).__name__) from None


def _read_secret(path: str) -> str:
    if not path:
        return ""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise SettingError(
            "the client's secret cannot be read",
            where="GALENO_OIDC_CLIENT_SECRET_FILE",
            remedy="Name a file that the service may read, with nothing but the secret in it",
        ) from None


def _foreign(reason: str) -> IdentityError:
    return IdentityError("the issuer's answer is not to this sign-in", remedy="Sign in again", reason=reason)


def _unreachable(why: str) -> IdentityError:
    _log.warning("the issuer does not answer as it should: %s", why)
    return IdentityError(
        "the hospital's sign-in does not answer now",
        remedy="Try again in a minute, or sign in with a name and password",
        reason="unreachable",
    )
