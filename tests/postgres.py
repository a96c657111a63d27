"""A real PostgreSQL server for the tests: Debian's binaries, loopback only, fsync on.

Without the binaries the tests are skipped, unless GALENO_REQUIRE_POSTGRES is 1: then they fail.
"""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

_SERVERS = Path("/usr/lib/postgresql")


class Cluster:
    """A server with a data folder of its own."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries = binaries
        self._data = folder / "data"
        self._log = folder / "log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        password = secrets.token_hex(16)
        self.url = f"postgresql://galeno:{password}@127.0.0.1:{self.port}/postgres"
        (folder / "password").write_text(password)
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            for path in (folder, folder / "password"):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        self._run(
            "initdb", "--pgdata", self._data, "--username=galeno", "--auth=scram-sha-256",
            "--pwfile", folder / "password", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync",
        )  # fmt: skip

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=on"
        self._run("pg_ctl", "start", "--wait", "-D", self._data, "-l", self._log, "-o", options)

    def stop(self, mode: str = "fast") -> None:
        """Stop the server: `fast` ends the sessions, `immediate` is as a crash."""
        self._run("pg_ctl", "stop", "--wait", "-D", self._data, "-m", mode)

    def freeze(self, sign: int = signal.SIGSTOP) -> None:
        """Let the server and all its sessions hang without hanging up; SIGCONT lets them go on."""
        server = psutil.Process(int((self._data / "postmaster.pid").read_text().split()[0]))
        for process in (server, *server.children()):
            process.send_signal(sign)

    def create_database(self) -> str:
        """A new, empty database.

        Returns:
            its URL.
        """
        name = f"t_{uuid.uuid4().hex}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return self.url.removesuffix("postgres") + name

    def drop_database(self, url: str) -> None:
        """Remove a database, whoever is still connected to it."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{url.rpartition("/")[2]}" WITH (FORCE)'.encode())

    def _run(self, program: str, *arguments: str | Path) -> None:
        """Run one of the server's programs; the server refuses to be root, so root becomes `postgres`."""
        command = [str(self._binaries / program), *map(str, arguments)]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        # Not captured through pipes: the server would keep them open after pg_ctl is done.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(command, cwd="/", check=False, stdout=output, stderr=output, timeout=60)
            output.seek(0)
            assert done.returncode == 0, output.read().decode(errors="replace")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A running PostgreSQL server."""
    found = sorted(_SERVERS.glob("*/bin"), key=lambda path: int(path.parent.name))
    if not found:
        reason = f"no PostgreSQL server in {_SERVERS} (Debian: apt-get install postgresql)"
        if os.environ.get("GALENO_REQUIRE_POSTGRES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="galeno-postgres-"))
    try:
        cluster = Cluster(found[-1], folder)
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop("immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_url(postgres: Cluster) -> str:
    """URL of the server's database `postgres`."""
    return postgres.url


@pytest.fixture
def fresh_postgres_url(postgres: Cluster) -> Iterator[str]:
    """URL of an empty database."""
    url = postgres.create_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh_journal_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty journal, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/journal.db"
    url: str = request.getfixturevalue("fresh_postgres_url")
    return url
