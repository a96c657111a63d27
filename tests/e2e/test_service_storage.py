"""The service when its disk is full, or its database away: refusals in time, no loss, and it gets over it."""

import asyncio
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from crowd import RECORD, Crowd, ask, kept, verify_audit
from hospital import Hospital, add_user, open_hospital, problem
from postgres import Cluster
from second_version import copy_home
from staffed import Staffed

pytestmark = pytest.mark.slow
BOUND = 12.0
"""Seconds after which an answer would have come too late; the service waits 10 s for a database."""


@pytest.mark.parametrize("way", ["file system", "file size"])
def test_a_full_disk_is_told_and_gets_over(staffed: Staffed, tmp_path: Path, way: str) -> None:
    with ExitStack() as stack:
        if way == "file system":
            disk = stack.enter_context(small_disk(tmp_path / "disk"))
            for name in ("journal.db", "vault.db"):
                shutil.copy(staffed.home / name, disk)
            places = {
                "GALENO_JOURNAL": f"sqlite:///{disk}/journal.db",
                "GALENO_VAULT": f"sqlite:///{disk}/vault.db",
            }
        else:
            places = {}
        hospital = stack.enter_context(staffed.open(tmp_path, **places))
        crowd = asyncio.run(ask(hospital, 50, clients=8, name="before"))
        assert not crowd.refused
        if way == "file system":
            filler = fill(disk)
        else:
            written = (hospital.home / "journal.db-wal").stat().st_size
            before = resource.prlimit(hospital.process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(hospital.process.pid, resource.RLIMIT_FSIZE, (written, before[1]))
        full = Crowd()
        enough = lambda crowd: len(crowd.refused) > 30  # noqa: E731
        asyncio.run(ask(hospital, 20_000, clients=8, name="full", crowd=full, until=enough, seconds=30))
        assert full.statuses == {503}
        for answer in full.refused:
            problem(answer, 503)
            assert int(answer.headers["retry-after"]) > 0
        assert full.lost == 0
        assert full.slowest < BOUND
        if way == "file system":
            filler.unlink()
        else:
            resource.prlimit(hospital.process.pid, resource.RLIMIT_FSIZE, before)
        wait_until_diagnosed(hospital)
        after = asyncio.run(ask(hospital, 50, clients=8, name="after"))
        assert not after.refused
        found = kept(hospital.home, **places)
        for each in (crowd, full, after):
            found.hold(each)
        verify_audit(hospital.home, **places)


@pytest.mark.parametrize("how", ["stopped", "frozen"])
def test_a_database_that_was_away_comes_back(
    staffed: Staffed, tmp_path: Path, postgres: Cluster, how: str
) -> None:
    places = {"GALENO_JOURNAL": postgres.create_database(), "GALENO_VAULT": postgres.create_database()}
    home = copy_home(staffed.home, tmp_path / "new")
    for name in ("journal.db", "vault.db", "keys.json"):
        (home / name).unlink()
    key = add_user(home, "clinician.one", "clinician", **places)
    crowd = Crowd()

    async def go_away() -> None:
        await asyncio.sleep(1)
        assert crowd.acknowledged
        assert not crowd.refused
        with away(postgres, how):
            await asyncio.sleep(6 if how == "stopped" else 12)  # users are remembered for 5 s
            assert crowd.statuses == {503}

    async def run() -> None:
        going = asyncio.create_task(go_away())
        await ask(hospital, 100_000, clients=16, pause=0.02, crowd=crowd, until=lambda _: going.done())
        await going

    with open_hospital(home, "--no-ui", users=False, **places) as hospital:
        hospital.keys["clinician"] = key
        asyncio.run(run())
        for answer in crowd.refused:
            problem(answer, 503)
            assert int(answer.headers["retry-after"]) > 0
        assert crowd.lost == 0
        assert crowd.slowest < BOUND
        wait_until_diagnosed(hospital)
        after = asyncio.run(ask(hospital, 50, name="after"))
        assert not after.refused
    found = kept(home, **places)
    found.hold(crowd)
    found.hold(after)
    verify_audit(home, **places)


@contextmanager
def away(postgres: Cluster, how: str) -> Iterator[None]:
    """Without the database; with it again afterwards, whatever happens, since other tests need it."""
    frozen = how == "frozen"
    if frozen:
        postgres.freeze()
    else:
        postgres.stop("immediate")
    try:
        yield
    finally:
        if frozen:
            postgres.freeze(signal.SIGCONT)
        else:
            postgres.start()


@contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """A file system of 16 MB."""
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)], check=False)
    if mounted.returncode:
        pytest.skip("nobody may mount a file system here; the other way to fill a disk is tested")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path) -> Path:
    """Take all that is left of a disk."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as stream, suppress(OSError):
        while True:
            stream.write(b"x" * 4096)
    return filler


def wait_until_diagnosed(hospital: Hospital, seconds: float = 15) -> None:
    ends = time.monotonic() + seconds
    while (answer := hospital.diagnose("again", **RECORD)).status_code != 201:
        assert time.monotonic() < ends, answer.text
        time.sleep(0.1)
