"""Notifications: told once, through real channels, whatever happens in between."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from clinic import CANARY, clinic_study
from sqlalchemy import insert, select, update

from galeno.errors import NotFoundError
from galeno.service.notify import TRIES, Courier, outbox_row
from galeno.storage import schema
from galeno.storage.ids import new_id
from galeno.storage.journal import Journal
from galeno.study import Study

# Apprise looks at all its plug-ins when it is used first, and one of them takes a module that is to go.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

BOX = schema.outbox


class Channel:
    """A webhook that answers as it is told, and keeps what it took."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.calls = 0
        self.status: Callable[[int], int] = lambda _: 200
        self.seconds: Callable[[int], float] = lambda _: 0.0
        turn = threading.Lock()
        channel = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with turn:
                    channel.calls += 1
                    call = channel.calls
                time.sleep(channel.seconds(call))
                status = channel.status(call)
                if status == 200:
                    channel.taken.append(json.loads(body))
                try:
                    self.send_response(status)
                    self.end_headers()
                except OSError:
                    pass  # who asked has gone

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"json://127.0.0.1:{self.server.server_address[1]}/told"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def channel() -> Iterator[Channel]:
    channel = Channel()
    yield channel
    channel.close()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(f"sqlite:///{tmp_path}/journal.db")
    journal.migrate()
    yield journal
    journal.close()


@pytest.fixture
def plain(tmp_path: Path) -> Study:
    return clinic_study(tmp_path / "clinic")


def told(study: Study, *urls: str, **changed: Any) -> Study:
    """The study with channels."""
    notifications = study.notifications.model_copy(update={"urls": urls, **changed.pop("told", {})})
    return study.model_copy(update={"notifications": notifications, **changed})


def put(journal: Journal, study: Study, count: int = 1) -> list[str]:
    """Write messages as a diagnosis does."""
    rows = [outbox_row(study, new_id("dx"), ["low_confidence"]) for _ in range(count)]
    with journal.begin() as connection:
        connection.execute(insert(BOX), [dict(row) for row in rows if row])
    return [row["id"] for row in rows if row]


def box(journal: Journal) -> list[dict[str, Any]]:
    with journal.read() as connection:
        return [dict(row) for row in connection.execute(select(BOX).order_by(BOX.c.id)).mappings()]


def make_due(journal: Journal) -> None:
    """Let the time pass."""
    with journal.begin() as connection:
        connection.execute(update(BOX).values(due="2020-01-01T00:00:00.000000Z"))


def test_tells_only_what_the_study_asks_for(plain: Study) -> None:
    assert outbox_row(plain, "dx_1", ["low_confidence"]) is None
    study = told(plain, "json://h")
    assert outbox_row(study, "dx_1", []) is None
    assert outbox_row(study, "dx_1", ["several_not_ruled_out", "out_of_range:age"]) is None
    wide = told(plain, "json://h", told={"reasons": ("out_of_range", "missing:text")})
    row = outbox_row(wide, "dx_1", ["low_confidence", "out_of_range:age", "missing:image", "missing:text"])
    assert row is not None
    assert set(row) == {column.name for column in BOX.columns}
    assert "out_of_range:age" in row["body"]
    assert "missing:text" in row["body"]
    assert "missing:image" not in row["body"]
    assert "low_confidence" not in row["body"]


def test_messages_name_the_case_in_the_study_s_language(
    plain: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = told(plain, "json://h", title="Grave o no", language="es")
    row = outbox_row(study, "dx_1", ["low_confidence"])
    assert row is not None
    assert row["subject"] == "Un diagnóstico necesita revisión: Grave o no"
    assert "Motivos:\n- confianza baja (low_confidence)" in row["body"]
    assert "dx_1" in row["body"]
    assert "http" not in row["body"]
    monkeypatch.setenv("GALENO_PUBLIC_URL", "https://galeno.hospital.example")
    english = outbox_row(told(plain, "json://h"), "dx_1", ["low_confidence"])
    assert english is not None
    assert english["subject"] == "A diagnosis needs review: clinic"
    assert "Open it: https://galeno.hospital.example/v1/diagnoses/dx_1" in english["body"]


def test_a_batch_is_told_once(plain: Study) -> None:
    study = told(plain, "json://h")
    row = outbox_row(study, "dx_1", ["low_confidence", "low_confidence"], batch="bt_7")
    other = outbox_row(study, "dx_2", ["low_confidence"], batch="bt_7")
    assert row is not None
    assert other is not None
    assert row["dedupe"] == other["dedupe"] == "clinic/bt_7"
    assert row["body"].count("low_confidence") == 1
    assert "dx_1" not in row["body"]
    single = outbox_row(study, "dx_1", ["low_confidence"])
    assert single is not None
    assert single["dedupe"] == "clinic/dx_1"


def test_sends_once(journal: Journal, plain: Study, channel: Channel) -> None:
    study = told(plain, channel.url)
    put(journal, study, 6)
    courier = Courier(journal, lambda _: study)

    async def deliver() -> list[int]:
        return [await courier.deliver_due() for _ in range(3)]

    assert asyncio.run(deliver()) == [4, 2, 0]
    assert len(channel.taken) == 6
    rows = box(journal)
    assert {message["message"] for message in channel.taken} == {row["body"] for row in rows}
    assert all(row["sent"] and row["error"] is None and row["attempts"] == 1 for row in rows)
    assert channel.taken[0]["title"] == "A diagnosis needs review: clinic"
    assert CANARY not in json.dumps(channel.taken)


def test_a_channel_that_fails_at_first_gets_it_later(
    journal: Journal, plain: Study, channel: Channel
) -> None:
    study = told(plain, channel.url)
    channel.status = lambda call: 500 if call < 3 else 200
    put(journal, study)
    courier = Courier(journal, lambda _: study, seconds=0.02, first_wait=0.05)

    async def wait() -> None:
        running = asyncio.create_task(courier.run())
        while not channel.taken:
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.2)
        running.cancel()

    asyncio.run(asyncio.wait_for(wait(), 20))
    assert channel.calls == 3
    (row,) = box(journal)
    assert row["sent"]
    assert row["attempts"] == 3


def test_waits_grow_and_end(journal: Journal, plain: Study, channel: Channel) -> None:
    study = told(plain, channel.url)
    channel.status = lambda _: 503
    put(journal, study)
    courier = Courier(journal, lambda _: study)
    waits = []
    for attempt in range(1, TRIES + 1):
        make_due(journal)
        asyncio.run(courier.deliver_due())
        (row,) = box(journal)
        assert row["attempts"] == attempt
        waits.append(row["due"])
    assert waits[:-1] == sorted(waits[:-1])
    assert row["failed"]
    assert not row["sent"]
    assert json.loads(row["error"])["fault"] == "the channel json did not take the message"
    make_due(journal)
    assert asyncio.run(courier.deliver_due()) == 0
    assert channel.calls == TRIES


def test_a_slow_channel_holds_nobody_up(journal: Journal, plain: Study, channel: Channel) -> None:
    study = told(plain, channel.url)
    channel.seconds = lambda call: 1.5 if call == 1 else 0
    put(journal, study)
    courier = Courier(journal, lambda _: study, patience=0.3)

    async def deliver() -> tuple[int, float]:
        beats = 0
        started = time.perf_counter()
        delivery = asyncio.create_task(courier.deliver_due())
        while not delivery.done():
            await asyncio.sleep(0.005)
            beats += 1
        return beats, time.perf_counter() - started

    beats, seconds = asyncio.run(deliver())
    assert seconds < 1.4
    assert beats > 10
    (row,) = box(journal)
    assert json.loads(row["error"])["fault"].startswith("the channel json did not")
    make_due(journal)
    asyncio.run(courier.deliver_due())
    assert box(journal)[0]["sent"]


def test_who_was_told_is_not_told_again(journal: Journal, plain: Study, channel: Channel) -> None:
    broken = Channel()
    broken.status = lambda call: 500 if call == 1 else 200
    study = told(plain, channel.url, broken.url)
    put(journal, study)
    courier = Courier(journal, lambda _: study)
    asyncio.run(courier.deliver_due())
    assert (len(channel.taken), len(broken.taken)) == (1, 0)
    make_due(journal)
    asyncio.run(courier.deliver_due())
    assert (len(channel.taken), len(broken.taken)) == (1, 1)
    assert box(journal)[0]["sent"]
    broken.close()


def test_several_couriers_send_each_message_once(
    fresh_journal_url: str, plain: Study, channel: Channel
) -> None:
    study = told(plain, channel.url)
    journals = [Journal(fresh_journal_url) for _ in range(3)]
    journals[0].migrate()
    put(journals[0], study, 12)
    couriers = [Courier(journal, lambda _: study) for journal in journals]

    async def deliver() -> None:
        while any(await asyncio.gather(*(courier.deliver_due() for courier in couriers))):
            pass

    asyncio.run(deliver())
    assert channel.calls == len(channel.taken) == 12
    assert len({message["message"] for message in channel.taken}) == 12
    for journal in journals:
        journal.close()


def test_secrets_come_from_the_environment_and_are_told_nowhere(
    journal: Journal, plain: Study, channel: Channel, caplog: pytest.LogCaptureFixture
) -> None:
    address = channel.url.replace("json://", "json://user:${HOOK_PASSWORD}@")
    study = told(plain, address)
    put(journal, study)
    asyncio.run(Courier(journal, lambda _: study, environment={}).deliver_due())
    assert "HOOK_PASSWORD" in box(journal)[0]["error"]
    channel.status = lambda _: 401
    make_due(journal)
    courier = Courier(journal, lambda _: study, environment={"HOOK_PASSWORD": "s3cretword"})
    asyncio.run(courier.deliver_due())
    assert channel.calls == 1
    assert "s3cretword" not in json.dumps(box(journal)) + caplog.text


@pytest.mark.parametrize("urls", [("nonsense",), ("unheard-of://x",), ()])
def test_channels_that_are_none_fail_and_are_said(
    journal: Journal, plain: Study, urls: tuple[str, ...]
) -> None:
    put(journal, told(plain, "json://h"))
    asyncio.run(Courier(journal, lambda _: told(plain, *urls)).deliver_due())
    assert "channel" in json.loads(box(journal)[0]["error"])["fault"]


def test_a_study_that_is_gone_waits(journal: Journal, plain: Study) -> None:
    def gone(_: str) -> Study:
        raise NotFoundError("no such study")

    put(journal, told(plain, "json://h"))
    asyncio.run(Courier(journal, gone).deliver_due())
    (row,) = box(journal)
    assert json.loads(row["error"])["fault"] == "the study has no champion"
    assert not row["failed"]


CRASHED = """\
import os, sys
from galeno.service.notify import Courier
from galeno.storage.journal import Journal

rows = Courier(Journal(sys.argv[1]), lambda _: None)._claim()
print(len(rows), flush=True)
os.kill(os.getpid(), 9)
"""


def test_a_crash_between_claim_and_send_loses_none(
    journal: Journal, tmp_path: Path, plain: Study, channel: Channel
) -> None:
    study = told(plain, channel.url)
    put(journal, study, 2)
    crashed = subprocess.run(
        [sys.executable, "-c", CRASHED, f"sqlite:///{tmp_path}/journal.db"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (crashed.stdout, crashed.returncode) == ("2\n", -9)
    courier = Courier(journal, lambda _: study)
    assert asyncio.run(courier.deliver_due()) == 0  # the lease still runs
    make_due(journal)
    assert asyncio.run(courier.deliver_due()) == 2
    assert len(channel.taken) == 2


def test_a_lease_that_ran_out_marks_nothing(journal: Journal, plain: Study) -> None:
    put(journal, told(plain, "json://h"))
    slow = Courier(journal, lambda _: plain)
    (row,) = slow._claim()
    make_due(journal)
    (other,) = Courier(journal, lambda _: plain)._claim()
    slow._mark(row, "", ())
    assert not box(journal)[0]["sent"]
    slow._mark(other, "", ())
    assert box(journal)[0]["sent"]


def test_a_journal_that_is_away_is_waited_for(
    tmp_path: Path, plain: Study, channel: Channel, caplog: pytest.LogCaptureFixture
) -> None:
    study = told(plain, channel.url)
    journal = Journal(f"sqlite:///{tmp_path}/journal.db")
    courier = Courier(journal, lambda _: study, seconds=0.02)

    async def wait() -> None:
        running = asyncio.create_task(courier.run())
        await asyncio.sleep(0.2)
        journal.migrate()
        put(journal, study)
        while not channel.taken:
            await asyncio.sleep(0.02)
        running.cancel()

    asyncio.run(asyncio.wait_for(wait(), 20))
    assert caplog.text.count("notifications wait") == 1
    journal.close()
