"""Public keys that tokens are checked with: fixed ones, or an issuer's by its JWKS (RFC 7517)."""

import asyncio
import ipaddress
import json
import logging
import ssl
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from galeno.errors import IdentityError, SettingError

PublicKey = RSAKey | ECKey

LONGEST = 1_048_576
"""Bytes of a JWKS or discovery page that are read."""
SMALLEST_RSA = 2048
"""Bits of the smallest RSA key that is taken (NIST SP 800-131A)."""

_CURVES: Final = {"ES256": "P-256", "ES384": "P-384"}
_DAMAGED: Final = (ValueError, TypeError, RecursionError, SettingError)
_log = logging.getLogger("galeno.service")


class KeySource(Protocol):
    """Where the key of a token comes from."""

    async def find(self, kid: str | None, algorithm: str) -> PublicKey:
        """The key with an id, for an algorithm.

        Raises:
            IdentityError: there is none (`unknown_key`), or nobody can tell now (`unreachable`).
        """


class FixedKeys:
    """Keys that are known beforehand, such as those in a file.

    Args:
        jwks: a JSON Web Key Set. Keys of other kinds, for encryption only, or of RSA below 2048 bits are
            passed over, as RFC 7517 (section 5) asks for what is not understood.

    Raises:
        SettingError: not a key set, or one without a key that can be used.
    """

    def __init__(self, jwks: Mapping[str, Any]) -> None:
        self._keys = read_keys(jwks)
        if not self._keys:
            raise SettingError(
                "the key set holds no public key that can be used",
                where="keys",
                remedy="Give a JWKS with RSA keys of at least 2048 bits, or EC keys on P-256 or P-384",
            )

    async def find(self, kid: str | None, algorithm: str) -> PublicKey:
        """The key with an id, for an algorithm.

        Raises:
            IdentityError: there is none (`unknown_key`).
        """
        key = choose(self._keys, kid, algorithm)
        if key is None:
            raise unknown_key()
        return key


class RemoteKeys:
    """An issuer's keys, fetched when they are first needed and kept.

    They are fetched again when they are old, and when a token names a key that is not among them (the
    issuer has rotated), but not more often than every `pause` seconds. While the issuer does not answer,
    old keys go on for a day. One instance belongs to one event loop.

    Args:
        url: https address of the JWKS; http on the loopback address only.
        issuer: when given, `url` is a discovery page (OpenID Connect Discovery 1.0, section 4): its
            `issuer` must be this one and its `jwks_uri` holds the keys.
        lifetime: seconds after which the keys are fetched again.
        pause: least seconds between two fetches for an unknown key.
        timeout: seconds that a fetch may take.
        clock: seconds that only go forward.

    Raises:
        SettingError: the address is not https.
    """

    def __init__(
        self,
        url: str,
        *,
        issuer: str = "",
        lifetime: float = 600.0,
        pause: float = 30.0,
        timeout: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        check_address(url, "address of the issuer's keys")
        self._url = url
        self._issuer = issuer
        self._lifetime = lifetime
        self._pause = pause
        self._timeout = timeout
        self._clock = clock
        self._keys: tuple[PublicKey, ...] = ()
        self._fetched: float | None = None
        self._tried: float | None = None
        self._lock = asyncio.Lock()
        self._tls: ssl.SSLContext | None = None

    @classmethod
    def discover(cls, issuer: str, **options: Any) -> "RemoteKeys":
        """The keys that the issuer's discovery page names.

        Args:
            issuer: the issuer as its tokens name it.
            options: as the constructor takes them.

        Raises:
            SettingError: the issuer is not an https address.
        """
        return cls(f"{issuer.rstrip('/')}/.well-known/openid-configuration", issuer=issuer, **options)

    async def find(self, kid: str | None, algorithm: str) -> PublicKey:
        """The key with an id, for an algorithm.

        Raises:
            IdentityError: the issuer has no such key (`unknown_key`), or does not answer (`unreachable`).
        """
        if not self._fresh():
            await self._renew()
        key = choose(self._keys, kid, algorithm)
        if key is None and self._may_try(self._pause):
            await self._fetch(self._pause)
            key = choose(self._keys, kid, algorithm)
        if key is None:
            raise unknown_key()
        return key

    def _fresh(self) -> bool:
        return self._fetched is not None and self._clock() - self._fetched < self._lifetime

    def _may_try(self, pause: float) -> bool:
        return self._tried is None or self._clock() - self._tried >= pause

    async def _renew(self) -> None:
        """Fetch keys that are missing or old; old ones do for a day while the issuer does not answer."""
        usable = self._fetched is not None and self._clock() - self._fetched < 86_400
        if usable and (self._lock.locked() or not self._may_try(5.0)):
            return
        try:
            await self._fetch(5.0)
        except IdentityError:
            if not usable:
                raise
        if not self._fresh() and not usable:
            raise _unreachable()

    async def _fetch(self, pause: float) -> None:
        """Fetch the keys, unless another request has just done so."""
        async with self._lock:
            if not self._may_try(pause):
                return
            try:
                keys = await asyncio.wait_for(self._download(), self._timeout)
            except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError, *_DAMAGED) as error:
                _log.warning("the issuer's keys cannot be read: %s", type(error).__name__)
                raise _unreachable() from None
            finally:
                # Only now, so that those who waited for a slow failure do not try in turn.
                self._tried = self._clock()
            self._keys = keys
            self._fetched = self._tried

    async def _download(self) -> tuple[PublicKey, ...]:
        if self._tls is None and self._url.startswith("https:"):
            self._tls = httpx.create_ssl_context()
        async with httpx.AsyncClient(verify=self._tls or False, timeout=self._timeout) as client:
            address = self._url
            if self._issuer:
                page = await read_json(client, address)
                if page.get("issuer") != self._issuer:
                    raise ValueError("the discovery page is another issuer's")
                address = str(page.get("jwks_uri", ""))
                check_address(address, "jwks_uri")
            keys = read_keys(await read_json(client, address))
        if not keys:
            raise ValueError("no key that can be used")
        return keys


def read_keys(jwks: Mapping[str, Any]) -> tuple[PublicKey, ...]:
    """The keys of a set that can check a signature of ours; others are passed over.

    Raises:
        SettingError: not a JSON Web Key Set.
    """
    entries = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(entries, list):
        raise SettingError("is not a JSON Web Key Set", where="keys", remedy='Give {"keys": [...]}')
    read = (_read_key(entry) for entry in entries if isinstance(entry, dict))
    return tuple(key for key in read if key is not None)


def choose(keys: tuple[PublicKey, ...], kid: str | None, algorithm: str) -> PublicKey | None:
    """The key that fits; without an id only where it is the single one that does.

    Args:
        keys: keys of one issuer.
        kid: id in the token's header.
        algorithm: algorithm in the token's header.
    """
    fitting = [key for key in keys if _fits(key, algorithm) and (kid is None or key.get("kid") == kid)]
    return fitting[0] if len(fitting) == 1 or (fitting and kid is not None) else None


def check_address(address: str, name: str) -> None:
    """Refuse to fetch keys in the clear, where someone between could put in their own.

    Raises:
        SettingError: not https, and not http on the loopback address.
    """
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        host = ""
    if host and (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))):
        return
    raise SettingError(
        f"the {name} is not an https address",
        where="GALENO_OIDC_ISSUER, GALENO_OIDC_JWKS or GALENO_CDS_CLIENTS",
        remedy="Use https; http is taken on the loopback address only",
    )


def unknown_key() -> IdentityError:
    """No key fits the token."""
    return IdentityError("the token is signed with a key that its issuer does not have", reason="unknown_key")


def _unreachable() -> IdentityError:
    return IdentityError(
        "the token's issuer does not give its keys now",
        remedy="Try again in a minute; if it stays so, ask the operator to check the issuer's address",
        reason="unreachable",
    )


def _read_key(entry: dict[str, Any]) -> PublicKey | None:
    if entry.get("use", "sig") != "sig" or "verify" not in entry.get("key_ops", ["verify"]):
        return None
    try:
        if entry.get("kty") == "RSA":
            # Before it is imported, because joserfc warns of weak keys.
            return RSAKey.import_key(entry) if _modulus_bits(entry["n"]) >= SMALLEST_RSA else None
        if entry.get("kty") == "EC" and entry.get("crv") in _CURVES.values():
            return ECKey.import_key(entry)
    except (JoseError, ValueError, TypeError, KeyError):
        _log.warning("a key of an issuer is damaged and passed over")
    return None


def _modulus_bits(modulus: str) -> int:
    """Bits of an RSA key from its `n` (RFC 7518, section 6.3.1.1)."""
    return int.from_bytes(urlsafe_b64decode(modulus + "=" * (-len(modulus) % 4))).bit_length()


def _fits(key: PublicKey, algorithm: str) -> bool:
    if key.get("alg") not in (None, algorithm):
        return False
    if algorithm in _CURVES:
        return isinstance(key, ECKey) and key.get("crv") == _CURVES[algorithm]
    return isinstance(key, RSAKey)


async def read_json(
    client: httpx.AsyncClient, address: str, method: str = "GET", **more: Any
) -> Mapping[str, Any]:
    """Read a page of bounded length.

    Args:
        client: its time limit holds.
        address: of the page.
        method: GET or POST.
        more: headers and content of the request.

    Raises:
        httpx.HTTPError: it cannot be read.
        ValueError: it is too long, or not a JSON object.
    """
    body = bytearray()
    headers = {"Accept": "application/json"} | more.pop("headers", {})
    async with client.stream(method, address, headers=headers, **more) as response:
        response.raise_for_status()
        async for part in response.aiter_bytes():
            body += part
            if len(body) > LONGEST:
                raise ValueError("the page is too long")
    return dict(json.loads(body))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
