"""kill -9 of the service while many ask; what was acknowledged must be in the journal, once."""

import asyncio
from dataclasses import dataclass

import psutil
from crowd import Crowd, ask, kept, start, verify_audit
from hospital import Hospital


@dataclass(frozen=True)
class Killed:
    """What became of it."""

    acknowledged: int
    lost: int
    """Requests that nobody answered; they may be in the journal or not."""
    kept: int
    """Diagnoses in the journal."""
    restarts: tuple[float, ...]
    """Seconds from the start of the process until it was ready."""


def kill_under_load(
    hospital: Hospital, requests: int, *options: str, kills: int = 2, clients: int = 32
) -> Killed:
    """Ask, kill the service in between and start it again, and hold the journal against the answers.

    Args:
        hospital: the service; its home has no diagnoses yet.
        requests: how many in all.
        options: of `galeno serve`.
        kills: how often.
        clients: requests at a time.
    """
    crowd = Crowd()
    restarts: list[float] = []

    async def kill() -> None:
        for number in range(1, kills + 1):
            while len(crowd.acknowledged) < number * requests // (kills + 1) - clients:
                await asyncio.sleep(0.002)
            crowd.up.clear()
            workers = psutil.Process(hospital.process.pid).children(recursive=True)
            hospital.process.kill()
            await asyncio.to_thread(hospital.process.wait)
            # an orphaned worker answers until it sees that its supervisor is gone; it is not the service anew
            _, left = await asyncio.to_thread(psutil.wait_procs, workers, timeout=10)
            assert not left, "workers outlive their supervisor"
            restarts.append(await asyncio.to_thread(start, hospital, *options))
            crowd.up.set()

    async def run() -> None:
        await asyncio.gather(ask(hospital, requests, clients=clients, crowd=crowd, seconds=600), kill())

    asyncio.run(run())
    assert not crowd.refused, [answer.text for answer in crowd.refused[:3]]
    found = kept(hospital.home)
    found.hold(crowd)
    assert len(found.diagnoses) <= requests
    verify_audit(hospital.home)
    return Killed(len(crowd.acknowledged), crowd.lost, len(found.diagnoses), tuple(restarts))
