"""The service when things go wrong: a full disk, a database that is away, junk, slow clients, too many."""

import asyncio
import gzip
import json
import random
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from crowd import ADDRESS, RECORD, ask, kept
from hospital import Hospital, problem
from staffed import Staffed, connect

BOUND = 10.0
"""Seconds after which an answer would have come too late."""
PLAIN = {"Content-Encoding": "identity"}


BOMB = gzip.compress(b" " * 20_000_000)
MANY = json.dumps({"patient_id": "p", "record": {f"c{i}": i for i in range(10_000)}}).encode()
JUNK: dict[str, tuple[bytes, dict[str, str], int, str]] = {
    "gzip bomb": (BOMB, {"Content-Encoding": "gzip"}, 415, "Content-Encoding"),
    "gzip bomb without a word": (BOMB, {}, 422, "body"),
    "a megabyte of junk": (random.Random(1).randbytes(999_999), {}, 422, "body"),
    "more than a megabyte": (b"x" * 2_000_000, {}, 413, "body"),
    "deep": (b"[" * 500_000, {}, 422, "body"),
    "10,000 columns": (MANY, {}, 422, "record.c0"),
    "NaN": (b'{"patient_id": "p", "record": {"age": NaN}}', {}, 422, "record.age"),
    "wrong unit": (b'{"patient_id": "p", "record": {"lactate": 55.8}}', {}, 422, "record.lactate"),
    "no patient": (b'{"patient_id": " ", "record": {}}', {}, 422, "patient_id"),
    "half a character": (b'{"patient_id": "\\ud800", "record": {}}', {}, 422, "body"),
    "NUL": (b'{"patient_id": "p", "record": {"note": "\\u0000", "sex": "\\u0000"}}', {}, 422, "record.sex"),
}


@pytest.fixture(scope="module")
def hospital(staffed: Staffed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    """For what leaves the service as it was; it takes 8 requests at a time."""
    with staffed.open(tmp_path_factory.mktemp("junk"), "--in-flight", "8") as opened:
        yield opened


@pytest.mark.parametrize("name", JUNK)
def test_junk_is_refused_by_its_field(hospital: Hospital, name: str) -> None:
    body, headers, status, where = JUNK[name]
    with hospital.client("clinician", **{"Content-Type": "application/json", **headers}) as client:
        answer = client.post(ADDRESS, content=body)
        assert problem(answer, status)["errors"][0]["field"] == where
        assert (
            client.post(ADDRESS, json={"patient_id": "p", "record": RECORD}, headers=PLAIN).status_code == 201
        )


@pytest.mark.parametrize("name", JUNK)
def test_junk_in_a_batch_spoils_its_own_line_only(hospital: Hospital, name: str) -> None:
    body, headers, status, where = JUNK[name]
    good = json.dumps({"patient_id": "p", "record": RECORD}).encode()
    lines = b"\n".join((good, body.replace(b"\n", b" "), good))
    with hospital.client("clinician", **{"Content-Type": "application/x-ndjson", **headers}) as client:
        answer = client.post(f"{ADDRESS}:batch", content=lines)
    if headers:
        problem(answer, status)
        return
    assert answer.status_code == 200
    told = [json.loads(line) for line in answer.text.splitlines()]
    faults = told[1]["problem"]["errors"]
    if status == 413:  # the rest of it is not read
        assert [line["status"] for line in told] == [201, 413]
        assert faults[0]["field"] == "line 2"
    else:
        assert [line["status"] for line in told] == [201, 422, 201]
        assert faults[0]["field"] == where


def test_dates_to_come_are_refused(hospital: Hospital) -> None:
    made = hospital.diagnose("future", **RECORD).json()["id"]
    with hospital.client() as client:
        outcome = {"condition": "ill", "confirmed_on": "2999-01-01"}
        told = problem(client.post(f"/v1/diagnoses/{made}/outcome", json=outcome), 422)
        assert told["errors"][0]["field"] == "confirmed_on"
        consent = {"patient_id": "p", "study": "clinic", "time": "2999-01-01T00:00:00Z"}
        told = problem(client.post("/v1/consents", json=consent), 422)
        assert told["errors"][0]["field"] == "time"


@pytest.mark.slow
def test_slow_clients_hold_nobody_up(hospital: Hospital) -> None:
    """More clients than the service takes requests at a time send half of their headers, or of their body."""
    head = f"POST {ADDRESS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    key = f"Authorization: Bearer {hospital.keys['clinician']}\r\n"
    halves = [head, f"{head}Content-Length: 100\r\n\r\n", f"{head}{key}Content-Length: 100\r\n\r\n{{"]
    with ExitStack() as stack:
        slow = []
        for half in halves:
            for _ in range(20):
                slow.append(stack.enter_context(connect(hospital)))
                slow[-1].sendall(half.encode())
        ends = time.monotonic() + 30
        taken = []
        while time.monotonic() < ends and len(taken) < 20:
            started = time.monotonic()
            answer = hospital.diagnose("quick", **RECORD)
            if answer.status_code == 201:
                taken.append(time.monotonic() - started)
            else:
                problem(answer, 503)
                time.sleep(0.2)
        assert len(taken) == 20
        assert statistics.median(taken) < 1


def test_more_than_it_can_do_is_refused_at_once(staffed: Staffed, tmp_path: Path) -> None:
    with staffed.open(tmp_path, "--in-flight", "2") as hospital:
        crowd = asyncio.run(ask(hospital, 400, clients=32))
        assert crowd.statuses == {503}
        for answer in crowd.refused:
            problem(answer, 503)
            assert int(answer.headers["retry-after"]) > 0
        assert crowd.acknowledged
        assert crowd.lost == 0
        assert crowd.slowest < BOUND
    kept(hospital.home).hold(crowd)
