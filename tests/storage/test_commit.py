"""Group commit: durable, together, and each for itself when something is wrong."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from commit_parts import SmallSeal, SmallTrail, audited_ids, diagnosis, id_of, kept_ids
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from postgres import Cluster
from sqlalchemy import Connection, delete, event, func, insert, select

from galeno.errors import BusyError, ConflictError, GalenoError, JournalError, KeyRingError, NotFoundError
from galeno.storage import schema
from galeno.storage.commit import Change, GroupCommit, Sealed
from galeno.storage.ids import new_id
from galeno.storage.journal import Journal


class Bench:
    """A journal with its writer and small parts."""

    def __init__(self, url: str, **sizes: int) -> None:
        self.journal = Journal(url)
        self.journal.migrate()
        self.seal = SmallSeal()
        self.trail = SmallTrail()
        self.commits = GroupCommit(self.journal, self.seal, self.trail, **sizes)

    def close(self) -> None:
        self.trail.gate.set()
        self.commits.close()
        self.journal.close()

    async def settle(self, changes: list[Change], first: str = "dx_first") -> list[Any]:
        """Commit all in one group, after a first one that holds the writer up; errors come as results."""
        with self.held():
            blocked = asyncio.create_task(self.commits.commit(diagnosis(id=first)))
            await asyncio.to_thread(self.trail.held.wait, 10)
            tasks = [asyncio.create_task(self.commits.commit(change)) for change in changes]
            while self.commits.waiting < len(changes):
                await asyncio.sleep(0.001)
        await blocked
        return await asyncio.gather(*tasks, return_exceptions=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the writer up inside a transaction."""
        self.trail.held.clear()
        self.trail.gate.clear()
        try:
            yield
        finally:
            self.trail.gate.set()


@pytest.fixture
def bench(fresh_journal_url: str) -> Iterator[Bench]:
    bench = Bench(fresh_journal_url)
    bench.commits.start()
    yield bench
    bench.close()


@pytest.fixture
def file_bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(f"sqlite:///{tmp_path}/journal.db", depth=4)
    bench.commits.start()
    yield bench
    bench.close()


@pytest.fixture
def wide_bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(f"sqlite:///{tmp_path}/journal.db")
    bench.commits.start()
    yield bench
    bench.close()


def run(main: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(main, 60))


def test_what_was_committed_is_there_sealed_and_audited(bench: Bench) -> None:
    change = diagnosis(id="dx_1")
    assert run(bench.commits.commit(change)) is None
    with bench.journal.read() as connection:
        row = connection.execute(select(schema.diagnoses)).one()._mapping
        identity = connection.execute(select(schema.identities)).one()
    key = bench.seal.keys["pt_1"]
    assert key.open(row["record"], "diagnoses", "record", "dx_1") == b'{"age": 41}'
    assert key.open(row["answer"], "diagnoses", "answer", "dx_1") == b'{"ranking": []}'
    assert key.open(identity.sealed, "identities", "sealed", "pt_1") == b"hospital-7"
    plain = {name: value for name, value in change.rows[0][1].items() if not isinstance(value, Sealed)}
    assert {name: row[name] for name in plain} == plain
    assert (row["version"], row["reviewed"]) == (None, None)
    assert audited_ids(bench.journal) == ["dx_1"]


def test_those_who_wait_share_one_transaction_and_one_wakeup(bench: Bench) -> None:
    commits: list[Connection] = []
    event.listen(bench.journal.engine, "commit", commits.append)
    calls: list[object] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        threadsafe = loop.call_soon_threadsafe

        def counted(callback: Callable[..., object], *arguments: Any, **named: Any) -> asyncio.Handle:
            if threading.current_thread().name == "galeno-journal":
                calls.append(callback)
            return threadsafe(callback, *arguments, **named)

        loop.call_soon_threadsafe = counted  # type: ignore[method-assign]
        assert await bench.settle([diagnosis() for _ in range(100)]) == [None] * 100

    run(main())
    assert (len(commits), len(calls)) == (2, 2)  # the one that held the writer up, and all that waited
    assert len(kept_ids(bench.journal)) == 101


def test_then_runs_inside_and_hands_its_result_over(bench: Bench) -> None:
    count = select(func.count()).select_from(schema.diagnoses)
    change = diagnosis()
    counted = Change(change.rows, change.audit, change.patient, then=lambda c: c.execute(count).scalar())
    assert run(bench.commits.commit(counted)) == 1
    assert bench.commits.commit_now(counted_again := Change(then=lambda c: c.execute(count).scalar())) == 1
    assert counted_again.rows == ()


def test_bad_changes_fail_alone(bench: Bench) -> None:
    def refuse(_connection: Connection) -> None:
        raise NotFoundError("no such diagnosis")

    def stumble(connection: Connection) -> None:
        connection.execute(insert(schema.exports).values(study="x", cursor="x"))
        connection.execute(insert(schema.exports).values(study="x", cursor="x"))

    good = [diagnosis() for _ in range(3)]
    bad = [
        (diagnosis(id="dx_first"), ConflictError),
        (diagnosis(condition=None), ConflictError),
        (diagnosis(colour="red"), ValueError),
        (Change(diagnosis().rows, patient=None), ValueError),
        (diagnosis(condition="\ud800"), ConflictError),
        (Change((*diagnosis().rows, *diagnosis().rows), patient="pt_1", then=refuse), NotFoundError),
        (Change(then=stumble), ConflictError),
        (Change(then=lambda _connection: {}["absent"]), KeyError),
        (Change(((schema.audit_head, {"id": 2**70, "seq": 1, "hash": ""}),)), ConflictError),
    ]
    mixed = [good[0], *(change for change, _ in bad), good[1], good[2]]
    results = run(bench.settle(mixed))
    assert [results[0], *results[-2:]] == [None, None, None]
    assert [type(result) for result in results[1:-2]] == [kind for _, kind in bad]
    kept = ["dx_first", *map(id_of, good)]
    assert sorted(kept_ids(bench.journal)) == sorted(kept)
    assert sorted(audited_ids(bench.journal)) == sorted(kept)
    with bench.journal.read() as connection:
        assert connection.execute(select(schema.exports)).all() == []
    assert not bench.commits.failing


def test_text_that_postgresql_cannot_hold_fails_alone(fresh_postgres_url: str) -> None:
    bench = Bench(fresh_postgres_url)
    bench.commits.start()
    good, bad = diagnosis(), diagnosis(condition="a\0secret")
    results = run(bench.settle([good, bad]))
    assert results[0] is None
    assert isinstance(results[1], ConflictError)
    assert "secret" not in str(results[1])
    bench.close()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["good", "twin", "null", "refused", "then"]), min_size=1, max_size=12))
def test_of_any_group_the_good_ones_are_kept(wide_bench: Bench, kinds: list[str]) -> None:
    def refuse(_connection: Connection) -> None:
        raise NotFoundError("no")

    known = kept_ids(wide_bench.journal)
    first = new_id("dx")
    changes = []
    for kind in kinds:
        change = diagnosis(**{"twin": {"id": first}, "null": {"condition": None}}.get(kind, {}))
        then = {"refused": refuse, "then": lambda _connection: "done"}.get(kind)
        changes.append(Change(change.rows, change.audit, change.patient, then=then))
    results = run(wide_bench.settle(changes, first))
    answers = {"good": None, "then": "done"}
    errors = {"twin": ConflictError, "null": ConflictError, "refused": NotFoundError}
    for kind, result in zip(kinds, results, strict=True):
        assert result == answers[kind] if kind in answers else type(result) is errors[kind]
    new = [id_of(change) for change, kind in zip(changes, kinds, strict=True) if kind in answers]
    assert Counter(kept_ids(wide_bench.journal)) == Counter([*known, first, *new])
    assert Counter(audited_ids(wide_bench.journal)) == Counter([*known, first, *new])


def test_full_queue_is_refused_and_loses_nothing(file_bench: Bench) -> None:
    async def main() -> list[Any]:
        with file_bench.held():
            first = asyncio.create_task(file_bench.commits.commit(diagnosis()))
            await asyncio.to_thread(file_bench.trail.held.wait, 10)
            tasks = [asyncio.create_task(file_bench.commits.commit(diagnosis())) for _ in range(4)]
            while file_bench.commits.waiting < 4:
                await asyncio.sleep(0.001)
            with pytest.raises(BusyError) as busy:
                await file_bench.commits.commit(diagnosis())
            with pytest.raises(BusyError):
                file_bench.commits.commit_now(diagnosis())
            assert busy.value.retry_after == 1
        return await asyncio.gather(first, *tasks)

    assert run(main()) == [None] * 5
    assert len(kept_ids(file_bench.journal)) == 5


def test_close_writes_what_waits_and_refuses_the_rest(bench: Bench) -> None:
    async def main() -> list[Any]:
        with bench.held():
            tasks = [asyncio.create_task(bench.commits.commit(diagnosis())) for _ in range(50)]
            await asyncio.to_thread(bench.trail.held.wait, 10)
            closing = asyncio.create_task(asyncio.to_thread(bench.commits.close))
            await asyncio.sleep(0.05)
            with pytest.raises(BusyError, match="stopping"):
                await bench.commits.commit(diagnosis())
        await closing
        return await asyncio.gather(*tasks)

    assert run(main()) == [None] * 50
    assert len(kept_ids(bench.journal)) == 50
    bench.commits.start()
    assert run(bench.commits.commit(diagnosis())) is None


def test_without_its_thread_it_writes_in_the_callers(fresh_journal_url: str) -> None:
    bench = Bench(fresh_journal_url)
    threads = [_in_thread(bench.commits.commit_now, diagnosis()) for _ in range(4)]
    for thread in threads:
        thread.join()
    assert len(kept_ids(bench.journal)) == 4
    with pytest.raises(RuntimeError, match="start"):
        run(bench.commits.commit(diagnosis()))
    bench.close()


def test_who_stopped_waiting_disturbs_nobody(bench: Bench) -> None:
    async def main() -> None:
        with bench.held():
            left = asyncio.create_task(bench.commits.commit(diagnosis()))
            await asyncio.to_thread(bench.trail.held.wait, 10)
            stays = asyncio.create_task(bench.commits.commit(diagnosis()))
            await asyncio.sleep(0.01)
            left.cancel()
        await stays

    run(main())
    with bench.held():
        forgotten = asyncio.new_event_loop()
        task = forgotten.create_task(bench.commits.commit(diagnosis()))
        forgotten.run_until_complete(asyncio.sleep(0.05))
        task.cancel()
        forgotten.run_until_complete(asyncio.gather(task, return_exceptions=True))
        forgotten.close()
    assert run(bench.commits.commit(diagnosis())) is None


def test_database_full_fails_all_and_recovers_by_itself(file_bench: Bench) -> None:
    pages = {"limit": 1_000_000}

    def limit(connection: Any, _record: object, _proxy: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages['limit']}")

    event.listen(file_bench.journal.engine, "checkout", limit)
    run(file_bench.commits.commit(diagnosis(id="dx_before")))
    pages["limit"] = 1  # no more than there are
    big = diagnosis(record=Sealed(os.urandom(3_000_000)))
    results = run(_gather(file_bench.commits, [big, diagnosis(record=Sealed(os.urandom(100_000)))]))
    assert [type(result) for result in results] == [JournalError, JournalError]
    assert file_bench.commits.failing
    assert kept_ids(file_bench.journal) == ["dx_before"]
    assert audited_ids(file_bench.journal) == ["dx_before"]
    pages["limit"] = 1_000_000
    assert run(file_bench.commits.commit(big)) is None
    assert sorted(kept_ids(file_bench.journal)) == sorted(["dx_before", id_of(big)])
    assert not file_bench.commits.failing


def test_server_gone_fails_all_and_recovers_by_itself(
    postgres: Cluster, fresh_postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(fresh_postgres_url)
    bench.commits.start()
    before = [diagnosis() for _ in range(10)]
    assert run(_gather(bench.commits, before)) == [None] * 10
    postgres.stop("immediate")  # as a crash: nothing that was acknowledged may be in memory only
    try:
        results = run(_gather(bench.commits, [diagnosis(), Change(), diagnosis()]))
        assert [type(result) for result in results] == [JournalError] * 3
        assert bench.commits.failing
    finally:
        postgres.start()
    after = diagnosis()
    assert run(bench.commits.commit(after)) is None
    assert sorted(kept_ids(bench.journal)) == sorted(map(id_of, [*before, after]))
    assert not bench.commits.failing
    said = [record.getMessage() for record in caplog.records if record.name == "galeno.storage"]
    assert len(said) == 2  # gone, back
    assert "galeno:" not in "".join(said)
    bench.close()


def test_keys_that_cannot_be_had_fail_only_those_who_need_them(bench: Bench) -> None:
    for fault in (JournalError("the vault is gone"), KeyRingError("the ring does not fit")):
        bench.seal.fault = fault
        plain = Change(then=lambda _connection: "kept")
        results = run(_gather(bench.commits, [diagnosis(), plain, diagnosis()]))
        assert [type(result) for result in results] == [type(fault), str, type(fault)]
        bench.commits.commit_now(plain)
        assert not bench.commits.failing
    bench.seal.fault = None
    assert run(bench.commits.commit(diagnosis(id="dx_1"))) is None
    assert kept_ids(bench.journal) == ["dx_1"]


def test_identity_is_kept_once_even_when_the_first_commit_failed(bench: Bench) -> None:
    with pytest.raises(ConflictError):
        run(bench.commits.commit(diagnosis(condition=None)))
    assert set(bench.seal.keys) == {"pt_1"}  # the key is there, the identity is not yet
    run(_gather(bench.commits, [diagnosis() for _ in range(3)]))
    again = GroupCommit(bench.journal, bench.seal, bench.trail)
    again.commit_now(diagnosis())
    again.commit_now(diagnosis(patient="pt_2"))
    with bench.journal.read() as connection:
        assert set(connection.execute(select(schema.identities.c.patient)).scalars()) == {"pt_1", "pt_2"}


def test_identity_comes_back_with_the_patient_after_an_erasure(bench: Bench) -> None:
    run(bench.commits.commit(diagnosis()))
    with bench.journal.begin() as connection:
        connection.execute(delete(schema.identities))
    bench.seal.keys.clear()
    run(bench.commits.commit(diagnosis()))
    with bench.journal.read() as connection:
        identity = connection.execute(select(schema.identities)).one()
    assert bench.seal.keys["pt_1"].open(identity.sealed, "identities", "sealed", "pt_1") == b"hospital-7"


def test_erasure_under_way_is_waited_for(bench: Bench) -> None:
    tombstone = {"patient": "pt_1", "erased": "", "actor": "", "counts": "{}"}
    with bench.journal.begin() as connection:
        connection.execute(insert(schema.erasures).values(tombstone))
        thread = _in_thread(bench.commits.commit_now, diagnosis())
        thread.join(0.3)
        assert thread.is_alive()
        bench.seal.keys.clear()  # the erasure destroyed the key; what comes after gets a new one
    thread.join(10)
    assert not thread.is_alive()
    with bench.journal.read() as connection:
        row = connection.execute(select(schema.diagnoses)).one()
    assert bench.seal.keys["pt_1"].open(row.record, "diagnoses", "record", row.id) == b'{"age": 41}'


def test_acknowledged_commits_survive_a_kill(fresh_journal_url: str) -> None:
    journal = Journal(fresh_journal_url)
    journal.migrate()
    program = Path(__file__).with_name("commit_parts.py")
    with subprocess.Popen(
        [sys.executable, str(program), fresh_journal_url], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(300)]
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.readlines()
    acknowledged = [line.strip() for line in lines if line.endswith("\n")]
    assert len(acknowledged) >= 300
    kept = Counter(kept_ids(journal))
    assert [name for name in acknowledged if kept[name] != 1] == []
    assert Counter(audited_ids(journal)) == kept
    assert len(kept) - len(acknowledged) <= 16  # those on their way
    journal.close()


async def _gather(commits: GroupCommit, changes: list[Change]) -> list[Any]:
    return await asyncio.gather(*(commits.commit(change) for change in changes), return_exceptions=True)


def _in_thread(call: Callable[[Change], Any], change: Change) -> threading.Thread:
    """Call in a thread; an error of ours is an answer, too."""

    def quiet() -> None:
        try:
            call(change)
        except GalenoError:
            return

    thread = threading.Thread(target=quiet)
    thread.start()
    return thread
