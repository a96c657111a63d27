"""The service is killed, stopped, or given another model while it works; nothing is lost or dropped."""

import asyncio
import http.client
import json
import signal
import time
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from command_line import installed
from crowd import ADDRESS, RECORD, Crowd, ask, kept, verify_audit
from hospital import Hospital
from killing import kill_under_load
from second_version import add_second_version, copy_home
from staffed import OPTIONS, Staffed, connect

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("workers", "requests"), [("1", 2000), ("2", 400)])
def test_what_was_acknowledged_survives_kill_9(
    staffed: Staffed, tmp_path: Path, workers: str, requests: int
) -> None:
    options = ("--workers", workers)
    with staffed.open(tmp_path, *options) as hospital:
        wait_for_workers(hospital, int(workers))
        killed = kill_under_load(hospital, requests, *OPTIONS, *options, kills=1)
    print(killed)
    assert killed.acknowledged + killed.lost == requests
    assert 0 < killed.lost <= 32


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm_lets_requests_end(staffed: Staffed, tmp_path: Path, workers: str) -> None:
    body = json.dumps({"patient_id": "last", "record": RECORD}).encode()
    with ExitStack() as stack:
        hospital = stack.enter_context(staffed.open(tmp_path, "--workers", workers))
        head = (
            f"POST {ADDRESS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {hospital.keys['clinician']}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        begun = [stack.enter_context(connect(hospital)) for _ in range(40)]
        for each in begun:
            each.sendall(head.encode() + body[:10])
        time.sleep(0.5)
        hospital.process.terminate()
        ends = time.monotonic() + 5
        while is_open(hospital):
            assert time.monotonic() < ends, "new connections are still taken"
            time.sleep(0.05)
        assert hospital.process.poll() is None
        for each in begun:
            each.sendall(body[10:])
        answers = [http.client.HTTPResponse(each) for each in begun]
        made = []
        for answer in answers:
            answer.begin()
            assert answer.status == 201
            made.append(json.loads(answer.read())["id"])
        assert hospital.process.wait(timeout=20) in {0, -signal.SIGTERM}
    found = kept(hospital.home)
    assert set(made) <= set(found.diagnoses)
    verify_audit(hospital.home)


def test_a_promoted_version_answers_at_once_and_drops_nothing(staffed: Staffed, tmp_path: Path) -> None:
    both = Staffed(copy_home(staffed.home, tmp_path / "both"), staffed.keys)
    add_second_version(both.home)
    crowd = Crowd()
    switches: list[tuple[float, str]] = []

    def promote() -> None:
        with hospital.client("engineer") as engineer:
            said = engineer.post("/v1/models/clinic/promote", json={"version": "2"})
        assert said.status_code == 200, said.text
        switches.append((time.monotonic(), "2"))
        time.sleep(3)
        installed("models", "promote", "clinic", "1", "--home", hospital.home).ended(0)
        switches.append((time.monotonic(), "1"))
        time.sleep(3)

    async def run() -> None:
        going = asyncio.create_task(asyncio.to_thread(promote))
        await ask(hospital, 100_000, clients=3, pause=0.03, crowd=crowd, until=lambda _: going.done())
        await going

    with both.open(tmp_path, "--workers", "2") as hospital:
        asyncio.run(run())
    assert not crowd.refused
    assert crowd.lost == 0
    assert {version for _, version in crowd.versions} == {"1", "2"}
    for switched, version in switches:
        late = {told for when, told in crowd.versions if switched + 2 < when < switched + 3}
        assert late == {version}
    kept(hospital.home).hold(crowd)


def wait_for_workers(hospital: Hospital, workers: int) -> None:
    """Wait until all workers, and not just the first, have opened the journal."""
    ends = time.monotonic() + 30
    while workers > 1:
        children = psutil.Process(hospital.process.pid).children()
        if (
            sum(any(f.path.endswith("journal.db") for f in child.open_files()) for child in children)
            == workers
        ):
            return
        assert time.monotonic() < ends
        time.sleep(0.05)


def is_open(hospital: Hospital) -> bool:
    """Whether somebody still takes connections."""
    try:
        connect(hospital).close()
    except OSError:
        return False
    return True
