"""A hospital in which `galeno serve` runs, with a user of each role."""

import atexit
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from command_line import INSTALLED, galeno
from small_knowledge import write_small_knowledge, write_small_merge

ROLES = ("clinician", "engineer", "auditor", "admin")


@dataclass
class Hospital:
    """A running service."""

    home: Path
    url: str
    process: subprocess.Popen[bytes]
    keys: dict[str, str] = field(default_factory=dict)

    def client(self, role: str = "clinician", **more: str) -> httpx.Client:
        """Somebody with a key of this role; an empty role has none."""
        headers = dict(more)
        if role:
            headers["Authorization"] = f"Bearer {self.keys[role]}"
        return httpx.Client(base_url=self.url, headers=headers, timeout=30)

    def diagnose(self, patient: str = "p1", study: str = "clinic", **record: Any) -> httpx.Response:
        """A clinician's question."""
        with self.client() as client:
            return client.post(
                f"/v1/studies/{study}/diagnoses", json={"patient_id": patient, "record": record}
            )


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def add_user(home: Path, name: str, role: str, *options: str, **environment: str) -> str:
    """Add a user; returns the key."""
    done = galeno("users", "add", name, "--role", role, "--home", home, "--json", *options, **environment)
    return str(done.ended(0).object["key"])


@cache
def small_knowledge() -> Mapping[str, str]:
    """Settings by which a service knows a few invented diseases, and is not busy reading thousands."""
    folder = Path(tempfile.mkdtemp(prefix="galeno-knowledge-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    ontology, annotations = write_small_knowledge(folder)
    return {
        "GALENO_HPO_ONTOLOGY": str(ontology),
        "GALENO_HPO_ANNOTATIONS": str(annotations),
        "GALENO_DISEASE_MERGE": str(write_small_merge(folder)),
        "GALENO_CACHE": str(folder / "cache"),
    }


@contextmanager
def open_hospital(
    home: Path, *options: str, users: bool = True, wait: bool = True, **environment: str
) -> Iterator[Hospital]:
    """Start the service, wait until it is ready unless told not to, and stop it in the end."""
    keys = {role: add_user(home, f"{role}.one", role, **environment) for role in ROLES} if users else {}
    port = free_port()
    with (home / "service.log").open("ab") as log:
        process = subprocess.Popen(
            [str(INSTALLED), "serve", "--home", str(home), "--port", str(port), *options],
            env={**os.environ, "GALENO_THREADS": "1", **small_knowledge(), **environment},
            stdout=log,
            stderr=log,
        )
        hospital = Hospital(home, f"http://127.0.0.1:{port}", process, keys)
        try:
            if wait:
                wait_until_ready(hospital)
            yield hospital
        finally:
            process = hospital.process  # a test may have started it again
            process.terminate()
            try:
                process.wait(timeout=40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_until_ready(hospital: Hospital, seconds: float = 60) -> None:
    """Wait until the service says that it is ready."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if hospital.process.poll() is not None:
            raise AssertionError((hospital.home / "service.log").read_text())
        try:
            if httpx.get(f"{hospital.url}/readyz", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"not ready in {seconds} s: {(hospital.home / 'service.log').read_text()}")


def wait_for_knowledge(hospital: Hospital, seconds: float = 60) -> None:
    """Wait until rare diseases can be ranked; a service answers before that."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            with hospital.client("clinician" if hospital.keys else "") as client:
                answer = client.get("/v1/terms", params={"q": "fever"})
        except httpx.TransportError:
            assert hospital.process.poll() is None, (hospital.home / "service.log").read_text()
        else:
            if answer.status_code == 200:
                return
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["retry-after"]) >= 1
        time.sleep(0.05)
    raise AssertionError((hospital.home / "service.log").read_text())


def problem(response: httpx.Response, status: int) -> dict[str, Any]:
    """The problem of a response that must have this status."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    told = json.loads(response.text)
    assert {"type", "title", "status", "detail"} <= set(told)
    assert told["status"] == status
    assert "Traceback" not in response.text
    return dict(told)
