"""A real OpenID Connect issuer on the loopback address: discovery, JWKS, and tokens signed by joserfc."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

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
            return 200, json.dumps({"issuer": self.url, "jwks_uri": f"{self.url}/jwks"}).encode()
        return (200, json.dumps(self.jwks).encode()) if path == "/jwks" else (404, b"")


@contextmanager
def local_issuer() -> Iterator[LocalIssuer]:
    """An issuer that listens until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            time.sleep(issuer.delay)
            status, body = issuer.page(self.path)
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                if status in {301, 302}:
                    self.send_header("Location", f"{issuer.url}/jwks")
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
