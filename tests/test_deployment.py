"""The Dockerfile and the compose file, checked without a Docker engine; their commands run for real."""

import datetime
import http.server
import ipaddress
import json
import os
import re
import shlex
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import typer
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from postgres import Cluster
from sqlalchemy import make_url

from galeno.cli import app
from galeno.storage import database
from galeno.storage.journal import Journal

ROOT = Path(__file__).resolve().parents[1]
FILES = ("Dockerfile", "compose.yaml", ".dockerignore", "docs/deployment.md")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def instructions() -> list[tuple[str, str]]:
    """Instructions of the Dockerfile with their arguments, continued lines joined."""
    lines = [line for line in read("Dockerfile").splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    pairs = [line.split(maxsplit=1) for line in joined.splitlines() if line.strip()]
    return [(word.upper(), " ".join(rest.split())) for word, rest in pairs]


def stages() -> list[list[tuple[str, str]]]:
    """The instructions of each stage, FROM first."""
    found: list[list[tuple[str, str]]] = []
    for word, rest in instructions():
        if word == "FROM":
            found.append([])
        if found:
            found[-1].append((word, rest))
    return found


def of(stage: list[tuple[str, str]], word: str) -> list[str]:
    return [rest for name, rest in stage if name == word]


def variables(stage: list[tuple[str, str]]) -> dict[str, str]:
    return dict(pair.split("=", 1) for rest in of(stage, "ENV") for pair in shlex.split(rest))


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return dict(yaml.safe_load(read("compose.yaml")))


SERVICES = list(yaml.safe_load(read("compose.yaml"))["services"])


def is_pinned(image: str) -> bool:
    """Whether an image has a tag that says a version."""
    tag = image.rpartition(":")[2] if ":" in image else "latest"
    return tag != "latest" and any(c.isdigit() for c in tag)


def test_the_base_is_one_pinned_public_name_that_can_be_replaced() -> None:
    (word, rest) = instructions()[0]
    assert word == "ARG"
    name, _, base = rest.partition("=")
    assert name == "BASE"
    assert base.startswith("python:3.11")
    assert is_pinned(base)
    assert "/" not in base  # no registry's host
    built = [stage[0][1].split()[0] for stage in stages()]
    assert built == ["${BASE}"] * len(built)
    assert len(built) >= 2


def test_no_file_names_a_registry_or_an_index() -> None:
    host = re.compile(r"(docker\.io|ghcr\.io|quay\.io|gcr\.io|amazonaws|pypi\.org|pythonhosted|mirror)")
    for name in (*FILES, "requirements.lock"):
        assert not host.search(read(name)), name


def test_the_image_does_not_run_as_root() -> None:
    final = stages()[-1]
    words = [word for word, _ in final]
    user = of(final, "USER")[-1]
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user)  # by number, so that a cluster can check it
    assert "RUN" not in words[words.index("USER") :]
    assert "COPY" not in words[words.index("USER") :]


def test_dependencies_are_locked_and_come_before_the_code() -> None:
    build = stages()[0]
    order = [rest for word, rest in build if word in ("COPY", "RUN")]
    lock = next(i for i, rest in enumerate(order) if "requirements.lock ./" in rest)
    install = next(i for i, rest in enumerate(order) if "-r requirements.lock" in rest)
    source = next(i for i, rest in enumerate(order) if rest.startswith("src "))
    assert lock < install < source
    assert "--require-hashes" in order[install]
    own = next(rest for rest in order if "pip install" in rest and rest.rstrip().endswith("."))
    assert "--no-deps" in own
    assert "--no-build-isolation" in own
    assert all("pip install" not in rest for _, rest in stages()[-1])


def test_the_lock_has_the_driver_of_postgresql() -> None:
    names = re.findall(r"^([a-z0-9._-]+)==", read("requirements.lock"), flags=re.MULTILINE)
    assert {"psycopg", "psycopg-binary", "fastapi", "uvicorn", "hatchling"} <= set(names)
    assert names == sorted(names)


def test_the_dockerfile_keeps_its_hands_clean() -> None:
    for word, rest in instructions():
        assert word not in ("ADD", "MAINTAINER", "ONBUILD")
        assert "sudo" not in rest
        assert not re.search(r"(curl|wget)\b", rest)
        if word in ("ENV", "ARG"):
            assert not re.search(r"PASSWORD|SECRET|TOKEN|_KEY\b", rest)
        if "apt-get install" in rest:
            assert "--no-install-recommends" in rest
            assert "rm -rf /var/lib/apt/lists/*" in rest
            assert "apt-get update" in rest
    for word in ("CMD", "ENTRYPOINT"):  # lists, so that signals reach the service and not a shell
        assert all(isinstance(json.loads(rest), list) for rest in of(stages()[-1], word))


def is_sent(path: str) -> bool:
    """Whether .dockerignore lets a path into the build; the last rule that fits decides."""
    sent = True
    rules = [line for line in read(".dockerignore").splitlines() if line and not line.startswith("#")]
    for rule in rules:
        pattern = rule.removeprefix("!")
        places = [PurePosixPath(path), *PurePosixPath(path).parents]
        names = (
            [each.name for each in places] if pattern.startswith("**/") else [str(each) for each in places]
        )
        if any(fnmatch(name, pattern.removeprefix("**/")) for name in names):
            sent = rule.startswith("!")
    return sent


def copied() -> list[str]:
    """What the build takes from the checkout."""
    return [name for rest in of(stages()[0], "COPY") for name in rest.split()[:-1]]


def test_what_is_copied_is_there_and_sent() -> None:
    for name in copied():
        assert (ROOT / name).exists(), name
        assert is_sent(name), name


@pytest.mark.parametrize(
    "name",
    [
        "home/journal.db", "galeno-home/keys.json", "secrets/tls_key", ".git/config", ".env", "src/.env",
        "src/galeno/__pycache__/cli.cpython-311.pyc", "tests/clinic.py", "keys.json", ".venv/bin/python",
    ],
)  # fmt: skip
def test_data_and_keys_are_not_sent(name: str) -> None:
    assert not is_sent(name)


def test_the_package_builds_from_what_is_copied(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="the build backend is not installed: make test installs it")
    for name in copied():
        target = tmp_path / "build" / name
        target.parent.mkdir(exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, target)
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "wheel")],
        cwd=tmp_path / "build",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "wheel").glob("galeno-*.whl"))


def check_serve(arguments: list[str]) -> None:
    """Fail where the command line is not one of galeno's."""
    command: Any = typer.main.get_command(app)
    serve = command.commands[arguments[0]]
    options = {name for parameter in serve.params for name in (*parameter.opts, *parameter.secondary_opts)}
    given = [word.partition("=")[0] for word in arguments[1:] if word.startswith("--")]
    assert set(given) <= options
    assert {"--tls-cert", "--tls-key"} <= set(given)


def test_the_commands_can_be_given(compose: dict[str, Any]) -> None:
    final = stages()[-1]
    assert json.loads(of(final, "ENTRYPOINT")[-1]) == ["galeno"]
    check_serve(json.loads(of(final, "CMD")[-1]))
    check_serve(compose["services"]["galeno"]["command"])


def test_every_setting_that_is_named_is_documented(compose: dict[str, Any]) -> None:
    page = set(re.findall(r"^\| `(GALENO_[A-Z_]+)`", read("docs/settings.md"), flags=re.MULTILINE))
    named = {name for name in variables(stages()[-1]) if name.startswith("GALENO_")}
    named |= {name for name in compose["services"]["galeno"]["environment"] if name.startswith("GALENO_")}
    named |= set(re.findall(r"GALENO_[A-Z_]+", read("docs/deployment.md") + read("compose.yaml")))
    assert named <= page


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_locked_down(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert any(mount.startswith("/tmp") for mount in service["tmpfs"])  # noqa: S108
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["healthcheck"]["retries"] > 0
    assert service["pids_limit"] > 0
    assert service["mem_limit"]
    assert is_pinned(service["image"])
    assert "/" not in service["image"]
    for key in ("privileged", "cap_add", "network_mode", "pid", "ipc", "devices"):
        assert key not in service
    assert "docker.sock" not in str(service)


def test_secrets_are_files_and_nowhere_else(compose: dict[str, Any]) -> None:
    used = {secret for service in compose["services"].values() for secret in service["secrets"]}
    assert used == set(compose["secrets"])
    for name, secret in compose["secrets"].items():
        assert list(secret) == ["file"]
        assert not is_sent(f"secrets/{name}")
    ignored = read(".gitignore").splitlines()
    assert "/secrets/" in ignored
    for service in compose["services"].values():
        for name, value in service["environment"].items():
            if re.search(r"PASSWORD|SECRET|TOKEN", name):
                assert str(value).startswith("/run/secrets/"), name
            assert "://" not in str(value) or make_url_password(str(value)) is None


def make_url_password(value: str) -> str | None:
    return None if value.startswith("${") else make_url(value).password


def test_what_is_written_lies_on_volumes(compose: dict[str, Any]) -> None:
    service = compose["services"]["galeno"]
    mounts = [volume.split(":")[1] for volume in service["volumes"]]
    environment = service["environment"]
    vault = make_url(environment["GALENO_VAULT"]).database or ""
    for path in (environment["GALENO_HOME"], environment["GALENO_KEYS"], vault):
        assert any(PurePosixPath(path).is_relative_to(mount) for mount in mounts), path
    made = next(rest for rest in of(stages()[-1], "RUN") if "install --directory" in rest)
    for mount in mounts:  # a new volume takes the owner of the folder that it covers
        assert mount in made.split()
    named = {volume.split(":")[0] for each in compose["services"].values() for volume in each["volumes"]}
    assert named == set(compose["volumes"])
    assert variables(stages()[-1])["GALENO_HOME"] == environment["GALENO_HOME"]
    # keys, vault and home apart, so that a backup of one does not open another
    assert len({PurePosixPath(environment["GALENO_KEYS"]).parent, PurePosixPath(vault).parent}) == 2


def test_the_database_is_for_the_service_alone(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert "ports" not in services["database"]
    assert services["database"]["networks"] == ["inside"]
    assert compose["networks"]["inside"]["internal"] is True
    assert services["galeno"]["depends_on"]["database"]["condition"] == "service_healthy"


def test_the_two_users_and_health_checks_agree(compose: dict[str, Any]) -> None:
    final = stages()[-1]
    service = compose["services"]["galeno"]
    assert of(final, "USER")[-1] == service["user"]
    check = of(final, "HEALTHCHECK")[-1].partition("CMD ")[2]
    assert json.loads(check) == service["healthcheck"]["test"][1:]
    assert "8443" in of(final, "EXPOSE")[-1]


@contextmanager
def https_server(folder: Path, status: int) -> Iterator[int]:
    """Answers every path with a status, over TLS with a certificate that nobody signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "dx.example.org")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "both.pem"
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def probe(compose: dict[str, Any], port: int) -> int:
    program, *arguments = compose["services"]["galeno"]["healthcheck"]["test"][1:]
    assert program == "python"
    line = [word.replace("8443", str(port)) for word in arguments]
    return subprocess.run([sys.executable, *line], capture_output=True, check=False).returncode


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_the_health_check_tells(compose: dict[str, Any], tmp_path: Path, status: int, healthy: bool) -> None:
    with https_server(tmp_path, status) as port:
        assert (probe(compose, port) == 0) is healthy
    assert probe(compose, port) != 0  # nobody listens there any more


def test_the_journals_password_comes_from_a_file(
    compose: dict[str, Any], postgres: Cluster, tmp_path: Path
) -> None:
    given = compose["services"]["galeno"]["environment"]["GALENO_JOURNAL"]
    assert database.name_of(given) == "postgresql://database/galeno"
    target = make_url(postgres.create_database())
    secret = tmp_path / "pgpass"
    line = f"{target.host}:{target.port}:{target.database}:{target.username}:{target.password}\n"
    secret.write_text(line)
    secret.chmod(0o600)
    url = make_url(given).set(host=target.host, port=target.port, database=target.database)
    url = url.set(username=target.username, query={"passfile": str(secret)})
    assert ipaddress.ip_address(url.host or "").is_loopback
    journal = Journal(url.render_as_string(hide_password=False))
    try:
        journal.migrate()
    finally:
        journal.close()


def test_the_page_shows_the_files_that_are_there() -> None:
    page = read("docs/deployment.md")
    for secret in yaml.safe_load(read("compose.yaml"))["secrets"]:
        assert secret in page
    for name in ("compose.yaml", "Dockerfile"):
        assert name in page
    assert os.linesep not in page or os.linesep == "\n"
