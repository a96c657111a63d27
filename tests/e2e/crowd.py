"""Many clients at once, and the service that they ask."""

import asyncio
import json
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from command_line import INSTALLED, installed, surroundings
from hospital import Hospital, wait_until_ready
from sqlalchemy import Engine, func, select

from galeno.service.opening import open_stores
from galeno.settings import ServiceSettings
from galeno.storage import schema

RECORD = {"age": 61, "sex": "F", "lactate": 6.2, "note": "disnea y fiebre alta"}
ADDRESS = "/v1/studies/clinic/diagnoses"


@dataclass
class Crowd:
    """What many clients were told."""

    acknowledged: dict[str, str] = field(default_factory=dict)
    """Diagnosis id -> pseudonym."""
    versions: list[tuple[float, str]] = field(default_factory=list)
    """When an answer came, and which version gave it."""
    refused: list[httpx.Response] = field(default_factory=list)
    """Answers other than 201."""
    lost: int = 0
    """Requests without an answer."""
    slowest: float = 0.0
    """Seconds that the slowest answer, or loss, took."""

    up: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared while the service is known to be away; who lost a request waits for it."""

    @property
    def statuses(self) -> set[int]:
        """Statuses other than 201."""
        return {answer.status_code for answer in self.refused}

    def take(self, answer: httpx.Response) -> None:
        """Note an answer."""
        if answer.status_code != 201:
            self.refused.append(answer)
            return
        told = answer.json()
        assert told["id"] not in self.acknowledged
        self.acknowledged[told["id"]] = told["patient"]
        self.versions.append((time.monotonic(), told["model"]["version"]))


async def ask(
    hospital: Hospital,
    requests: int,
    *,
    clients: int = 32,
    name: str = "p",
    seconds: float = 120.0,
    pause: float = 0.0,
    crowd: Crowd | None = None,
    until: Callable[[Crowd], bool] = lambda _: False,
) -> Crowd:
    """Ask for a diagnosis of another patient each time.

    Args:
        hospital: the service.
        requests: how many in all.
        clients: how many at a time.
        name: patient ids begin with it.
        seconds: after so long it is over.
        pause: seconds that a client waits after each answer.
        crowd: where to note the answers, to be looked at meanwhile.
        until: whether it is over.
    """
    crowd = Crowd() if crowd is None else crowd
    crowd.up.set()
    ends = time.monotonic() + seconds
    numbers = iter(range(requests))

    async def one() -> None:
        line = Line(hospital)
        for number in numbers:
            if time.monotonic() > ends or until(crowd):
                break
            started = time.monotonic()
            try:
                crowd.take(await line.post(ADDRESS, {"patient_id": f"{name}-{number}", "record": RECORD}))
                crowd.slowest = max(crowd.slowest, time.monotonic() - started)
                await asyncio.sleep(pause)
            except (OSError, EOFError):
                crowd.slowest = max(crowd.slowest, time.monotonic() - started)
                crowd.lost += 1
                line.close()
                await asyncio.sleep(0.05)
                await crowd.up.wait()
        line.close()

    await asyncio.gather(*(one() for _ in range(clients)))
    return crowd


class Line:
    """One clinician's connection, made anew when it is lost. httpx needs 9 ms a request among 32."""

    def __init__(self, hospital: Hospital) -> None:
        self._port = int(hospital.url.rpartition(":")[2])
        self._key = hospital.keys["clinician"]
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, address: str, sent: object) -> httpx.Response:
        """Send JSON; OSError or EOFError where no whole answer comes."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        body = json.dumps(sent).encode()
        head = (
            f"POST {address} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self._key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = httpx.Headers([(name, value) for name, _, value in (x.partition(": ") for x in lines if x)])
        content = await reader.readexactly(int(headers["content-length"]))
        if headers.get("connection") == "close":
            self.close()
        return httpx.Response(int(first.split()[1]), headers=headers, content=content)

    def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


@dataclass
class Kept:
    """What is in a journal."""

    diagnoses: dict[str, str]
    """Id -> pseudonym."""
    subjects: dict[str, int]
    """Diagnosis id -> entries of the audit trail about its making."""

    def hold(self, crowd: Crowd) -> None:
        """See that every acknowledged answer is there, exactly once."""
        missing = crowd.acknowledged.keys() - self.diagnoses.keys()
        assert not missing, f"{len(missing)} of {len(crowd.acknowledged)} acknowledged answers are lost"
        answers = Counter(self.diagnoses.values())
        twice = [patient for patient in crowd.acknowledged.values() if answers[patient] != 1]
        assert not twice, f"{len(twice)} patients have more than the one answer that they asked for"
        assert {self.subjects[name] for name in crowd.acknowledged} <= {1}


def read_kept(engine: Engine) -> Kept:
    """Read what a journal keeps."""
    audit, diagnoses = schema.audit, schema.diagnoses
    made = select(audit.c.subject, func.count()).where(audit.c.action == "diagnoses.create")
    with engine.connect() as connection:
        found = connection.execute(select(diagnoses.c.id, diagnoses.c.patient)).all()
        told = connection.execute(made.group_by(audit.c.subject)).all()
    return Kept({row[0]: row[1] for row in found}, {row[0]: row[1] for row in told})


def kept(home: Path, **environment: str) -> Kept:
    """Read what the journal of a home keeps."""
    with open_stores(home, ServiceSettings.from_environment(environment)) as stores:
        return read_kept(stores.journal.engine)


def verify_audit(home: Path, **environment: str) -> None:
    """See that the audit trail is whole."""
    installed("audit", "verify", "--home", home, **environment).ended(0)


def start(hospital: Hospital, *options: str, **environment: str) -> float:
    """Start the service again, at the address that it had.

    Returns:
        seconds until it was ready.
    """
    port = hospital.url.rpartition(":")[2]
    started = time.monotonic()
    with (hospital.home / "service.log").open("ab") as log:
        hospital.process = subprocess.Popen(
            [str(INSTALLED), "serve", "--home", str(hospital.home), "--port", port, *options],
            env={**surroundings(environment), "GALENO_THREADS": "1"},
            stdout=log,
            stderr=log,
        )
    wait_until_ready(hospital)
    return time.monotonic() - started
