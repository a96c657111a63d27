"""`galeno serve`: check what was asked for, open the home, and answer until told to stop."""

import errno
import ipaddress
import logging
import multiprocessing
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from galeno.errors import SettingError
from galeno.service.app import AppOptions, create_app
from galeno.service.metrics import SHARED
from galeno.service.patience import Connection
from galeno.settings import ServiceSettings

GRACE = 30
"""Seconds that requests in flight have to end in when the service stops."""
SETTLE = 3.0
"""Seconds in which the workers of a service that was killed let go of its port."""
BACKLOG = 512
"""Connections that wait for a worker."""

_log = logging.getLogger("galeno.service")


@dataclass(frozen=True)
class ServeOptions:
    """Where and how the service listens."""

    app: AppOptions
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    certificate: Path | None = None
    key: Path | None = None
    behind_proxy: str = ""
    """Addresses of proxies that end TLS and whose forwarded headers are believed; empty for none."""


def check(options: ServeOptions) -> None:
    """Refuse what would put patients' data at risk.

    Raises:
        SettingError: demo mode, or plain HTTP, on an address that others reach; half a certificate.
    """
    loopback = is_loopback(options.host)
    if options.app.demo and not loopback:
        raise SettingError(
            "demo mode lets everybody in, so it listens on the loopback address only",
            where=f"--host {options.host}",
            remedy="Leave --demo out, or use --host 127.0.0.1",
        )
    if (options.certificate is None) != (options.key is None):
        raise SettingError("TLS needs a certificate and its key", remedy="Give --tls-cert and --tls-key")
    for path in (options.certificate, options.key):
        if path is not None and not path.is_file():
            raise SettingError(
                "there is no such file", where=str(path), remedy="Check --tls-cert and --tls-key"
            )
    if not loopback and options.certificate is None and not options.behind_proxy:
        raise SettingError(
            "patients' data would cross the network unencrypted",
            where=f"--host {options.host}",
            remedy="Give --tls-cert and --tls-key, or --behind-proxy ADDRESS of the proxy that ends TLS",
        )


def serve(options: ServeOptions, settings: ServiceSettings, say: Callable[[str], None]) -> None:
    """Answer until SIGTERM or SIGINT; requests in flight end first.

    Args:
        options: where and how to listen.
        settings: of the environment.
        say: is told, for people, where the service is.

    Raises:
        SettingError: see `check`; or the address is taken.
        GalenoError: the home cannot be opened.
    """
    check(options)
    listener = listen(options.host, options.port)
    port = listener.getsockname()[1]
    address = f"http{'' if options.certificate is None else 's'}://{_shown(options.host)}:{port}"
    if options.workers == 1:
        config = _config(options, create_app(options.app, settings))
        say(f"Galeno answers at {address}")
        with listener:
            uvicorn.Server(config).run(sockets=[listener])
        return
    # opened once before the workers are, so that a home that does not open gives one message, and not
    # each worker makes the keys and the tables
    from galeno.service.opening import open_stores

    with open_stores(options.app.home, settings):
        pass
    shared = Path(tempfile.mkdtemp(prefix="galeno-metrics-"))
    os.environ[SHARED] = str(shared)
    try:
        config = _config(options, partial(_create_worker, options.app, settings))
        say(f"Galeno answers at {address} with {options.workers} workers")
        with listener:
            _Workers(config, sockets=[listener]).run()
    finally:
        shutil.rmtree(shared, ignore_errors=True)


class _Workers(Multiprocess):
    """The supervisor of several workers."""

    def terminate_all(self) -> None:
        """Stop the workers, and take no connection that none of them would answer any more."""
        for listener in self.sockets:
            listener.close()
        super().terminate_all()


def _create_worker(options: AppOptions, settings: ServiceSettings) -> ASGIApp:
    """The application of one worker, which ends with its supervisor: left alone it would keep the port."""
    supervisor = multiprocessing.parent_process()

    def follow() -> None:
        if supervisor is not None:
            supervisor.join()
            signal.raise_signal(signal.SIGTERM)

    threading.Thread(target=follow, name="galeno-supervisor", daemon=True).start()
    return create_app(options, settings)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes a free one.

    Raises:
        SettingError: the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    ends = time.monotonic() + SETTLE
    while True:
        try:
            return socket.create_server((host, port), family=family, backlog=BACKLOG)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and time.monotonic() < ends:
                time.sleep(0.1)
                continue
            raise SettingError(
                f"cannot listen there ({error.strerror})",
                where=f"{host}:{port}",
                remedy="Stop what listens there, or choose another --port",
            ) from None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _config(options: ServeOptions, app: object) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # an application, or a partial that makes one in each worker
        factory=isinstance(app, partial),
        workers=options.workers,
        loop="uvloop",
        http=Connection,
        lifespan="on",
        ws="none",
        access_log=False,  # the audit trail says who did what; addresses may hold ids
        log_level="warning",
        server_header=False,
        date_header=False,
        proxy_headers=bool(options.behind_proxy),
        forwarded_allow_ips=options.behind_proxy or None,
        ssl_certfile=None if options.certificate is None else str(options.certificate),
        ssl_keyfile=None if options.key is None else str(options.key),
        timeout_graceful_shutdown=GRACE,
        timeout_keep_alive=75,
        backlog=BACKLOG,
    )
