"""A real OpenID Connect issuer on the loopback address.

Discovery, JWKS, tokens signed by joserfc, and the code flow with PKCE, held to the letter of its standards.
"""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey


def make_key(kid: str, algorithm: str = "ES256") -> ECKey | RSAKey:
    """A fresh private key that says its id."""
    parameters = {"kid": kid, "use": "sig"}
    if algorithm.startswith("ES"):
        return ECKey.generate_key({"ES256": "P-256", "ES384": "P-384"}[algorithm], parameters)  # type: ignore[arg-type]
    return RSAKey.generate_key(2048, parameters)  # type: ignore[arg-type]


class LocalIssuer:
    """The issuer. `keys` are those it publishes; `pages` may be overwritten with any bytes."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.keys: list[Any] = []
        self.asked: list[str] = []
        self.delay = 0.0
        self.pages: dict[str, tuple[int, bytes]] = {}
        self.client = "galeno-pages"
        self.secret = ""
        """Of the client; empty for a public one."""
        self.callback = ""
        """The one address that codes are sent to; empty takes any."""
        self.signing_in: dict[str, Any] = {}
        """Claims of who signs in, and `refused` for somebody who may not."""
        self.codes: dict[str, dict[str, str]] = {}

    @property
    def jwks(self) -> dict[str, Any]:
        """The published key set."""
        return {"keys": [key.as_dict(private=False) for key in self.keys]}

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Claims of a clinician, good for five minutes; a change to None takes a claim away."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.url,
            "aud": "galeno",
            "sub": "ana-1",
            "iat": now,
            "exp": now + 300,
            "role": "clinician",
            "site": "north",
        }
        return {name: value for name, value in (claims | changes).items() if value is not None}

    def sign(self, key: Any = None, *, algorithm: str = "ES256", header: Any = None, **changes: Any) -> str:
        """A token."""
        key = self.keys[0] if key is None else key
        head = {"alg": algorithm, "kid": key.kid} | (header or {})
        head = {name: value for name, value in head.items() if value is not None}
        return jwt.encode(head, self.claims(**changes), key, algorithms=[algorithm])

    def page(self, path: str) -> tuple[int, bytes]:
        """What is answered to a path."""
        if path in self.pages:
            return self.pages[path]
        if path == "/.well-known/openid-configuration":
            ends = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "jwks"}
            told = {"issuer": self.url} | {name: f"{self.url}/{end}" for name, end in ends.items()}
            return 200, json.dumps(told).encode()
        return (200, json.dumps(self.jwks).encode()) if path == "/jwks" else (404, b"")

    def authorize(self, query: str) -> str:
        """Where the browser is sent with a code (RFC 6749, 4.1.2; RFC 9207)."""
        asked = dict(parse_qsl(query))
        assert asked["response_type"] == "code"
        assert asked["client_id"] == self.client
        assert "openid" in asked["scope"].split()
        assert asked["code_challenge_method"] == "S256"
        assert len(asked["code_challenge"]) == 43
        assert len(asked["state"]) > 20 < len(asked["nonce"])
        assert asked["redirect_uri"] == self.callback or not self.callback
        answer = {"state": asked["state"], "iss": self.url}
        if self.signing_in.get("refused"):
            answer["error"] = "access_denied"
        else:
            answer["code"] = secrets.token_urlsafe(16)
            self.codes[answer["code"]] = asked
        return f"{asked['redirect_uri']}?{urlencode(answer)}"

    def exchange(self, body: str, authorization: str) -> tuple[int, bytes]:
        """The ID token for a code, once (RFC 6749, 4.1.3; RFC 7636, 4.6)."""
        sent = dict(parse_qsl(body))
        expected = base64.b64encode(f"{self.client}:{self.secret}".encode()).decode()
        known = authorization == f"Basic {expected}" if self.secret else sent.get("client_id") == self.client
        asked = self.codes.pop(sent.get("code", ""), None)
        hashed = hashlib.sha256(sent.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(hashed).decode().rstrip("=")
        if not known or sent.get("grant_type") != "authorization_code":
            return 401, b'{"error": "invalid_client"}'
        if asked is None or (asked["code_challenge"], asked["redirect_uri"]) != (
            challenge,
            sent.get("redirect_uri"),
        ):
            return 400, b'{"error": "invalid_grant"}'
        claims = {"aud": self.client, "nonce": asked["nonce"]} | self.signing_in
        token = self.sign(**claims)
        answer = {"access_token": "a", "token_type": "Bearer", "expires_in": 60, "id_token": token}
        return 200, json.dumps(answer).encode()


@contextmanager
def local_issuer() -> Iterator[LocalIssuer]:
    """An issuer that listens until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            time.sleep(issuer.delay)
            parts = urlsplit(self.path)
            if parts.path == "/authorize" and parts.path not in issuer.pages:
                self.answer(302, b"", issuer.authorize(parts.query))
                return
            self.answer(*issuer.page(self.path), f"{issuer.url}/jwks")

        def do_POST(self) -> None:
            issuer.asked.append(self.path)
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if self.path in issuer.pages:
                self.answer(*issuer.pages[self.path], "")
                return
            self.answer(*issuer.exchange(body, self.headers.get("Authorization", "")), "")

        def answer(self, status: int, body: bytes, location: str) -> None:
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                if status in {301, 302}:
                    self.send_header("Location", location)
                self.end_headers()
                self.wfile.write(body)
            except (BrokenPipeError, ConnectionResetError):
                pass

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer = LocalIssuer(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
