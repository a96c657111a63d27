"""The audit trail: every tampering is found, and nothing else is."""

import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, text, update

from galeno.errors import AuditError
from galeno.governance import audit
from galeno.governance.audit import (
    LONGEST,
    MOST_FAULTS,
    Trail,
    move_anchor,
    read,
    read_anchor,
    read_end,
    verify,
    write_anchor,
)
from galeno.records import AuditEntry
from galeno.storage import schema
from galeno.storage.ids import new_id, now
from galeno.storage.journal import Journal

KEY = b"k" * 32
LENGTH = 12
TABLE = schema.audit
HEAD = schema.audit_head
on_sqlite = pytest.mark.parametrize("fresh_journal_url", ["sqlite"], indirect=True)
"""For what does not touch what databases do differently."""
COLUMNS = [column.name for column in TABLE.columns]


def entry(number: int = 0, **changed: Any) -> AuditEntry:
    made = AuditEntry(
        action="diagnoses.create",
        outcome="done",
        time=now(),
        actor=f"dra.pérez{number}",
        role="clinician",
        site="A",
        address="10.0.0.4",
        face="api",
        patient="pt_" + "a" * 32,
        study="severity",
        model="3@abcdef",
        subject=new_id("dx"),
        input_hash="f" * 32,
        latency_ms=number / 3,
    )
    return replace(made, **changed)


def extend(journal: Journal, *entries: AuditEntry, key: bytes = KEY) -> None:
    with journal.begin() as connection:
        Trail(key).extend(connection, entries)


@pytest.fixture
def journal(fresh_journal_url: str) -> Iterator[Journal]:
    journal = Journal(fresh_journal_url)
    journal.migrate()
    yield journal
    journal.close()


@pytest.fixture
def trail(journal: Journal) -> Journal:
    """A journal with a trail."""
    extend(journal, *(entry(number) for number in range(LENGTH - 1)))
    extend(journal, entry(LENGTH - 1))
    return journal


def snapshot(journal: Journal) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    with journal.read() as connection:
        rows = connection.execute(select(TABLE).order_by(TABLE.c.seq)).mappings().all()
        heads = connection.execute(select(HEAD)).mappings().all()
    return [dict(row) for row in rows], [dict(head) for head in heads]


def put(journal: Journal, rows: list[dict[str, Any]], heads: list[dict[str, Any]]) -> None:
    """Write a trail as somebody with the database's password would."""
    with journal.begin() as connection:
        connection.execute(delete(TABLE))
        connection.execute(delete(HEAD))
        if rows:
            connection.execute(insert(TABLE), rows)
        if heads:
            connection.execute(insert(HEAD), heads)


def test_an_untouched_trail_is_intact(trail: Journal, tmp_path: Path) -> None:
    report = verify(trail, KEY, tmp_path / "anchor")
    assert report.intact
    assert (report.entries, report.first, report.last, report.anchored) == (LENGTH, 1, LENGTH, 0)
    assert report.faults == ()
    assert report.to_dict()["intact"] is True
    rows, _ = snapshot(trail)
    assert [row["previous"] for row in rows] == [audit.FIRST, *(row["hash"] for row in rows[:-1])]


@on_sqlite
def test_an_empty_trail_is_intact(journal: Journal) -> None:
    assert verify(journal, KEY).intact
    with journal.begin() as connection:
        Trail(KEY).extend(connection, [])
    assert verify(journal, KEY).entries == 0
    with journal.read() as connection:
        assert read_end(connection).seq == 0


@on_sqlite
def test_another_key_fits_no_entry(trail: Journal) -> None:
    report = verify(trail, b"x" * 32)
    assert not report.intact
    assert report.found == LENGTH + 1
    with pytest.raises(AuditError):
        extend(trail, entry(), key=b"x" * 32)


def changes(row: dict[str, Any]) -> st.SearchStrategy[tuple[str, Any]]:
    """One column and another value for it."""

    def values(column: str) -> st.SearchStrategy[tuple[str, Any]]:
        if column == "seq":
            made: st.SearchStrategy[Any] = st.integers(-(2**31), 2**31 - 1)
        elif column == "latency_ms":
            made = st.none() | st.floats(allow_nan=False, allow_infinity=False)
        else:
            plain = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=70)
            made = plain | st.sampled_from(["", row[column] + " ", row[column][1:], row[column].swapcase()])
        return made.filter(lambda value: value != row[column]).map(lambda value: (column, value))

    return st.sampled_from(COLUMNS).flatmap(values)


Trails = tuple[list[dict[str, Any]], list[dict[str, Any]]]


def changed(data: st.DataObject, rows: list[dict[str, Any]], heads: list[dict[str, Any]]) -> Trails:
    place = data.draw(st.integers(0, LENGTH - 1))
    column, value = data.draw(changes(rows[place]))
    if column == "seq":
        rows = [row for row in rows if row["seq"] != value or row is rows[place]]
    rows = [{**row, column: value} if row["seq"] == place + 1 else row for row in rows]
    return rows, heads


def shortened(data: st.DataObject, rows: list[dict[str, Any]], heads: list[dict[str, Any]]) -> Trails:
    first = data.draw(st.integers(0, LENGTH - 1))
    last = data.draw(st.integers(first, LENGTH - 1))
    return rows[:first] + rows[last + 1 :], heads


def swapped(data: st.DataObject, rows: list[dict[str, Any]], heads: list[dict[str, Any]]) -> Trails:
    one, other = data.draw(st.lists(st.integers(0, LENGTH - 1), min_size=2, max_size=2, unique=True))
    rows = list(rows)
    rows[one], rows[other] = {**rows[other], "seq": one + 1}, {**rows[one], "seq": other + 1}
    return rows, heads


def truncated(data: st.DataObject, rows: list[dict[str, Any]], heads: list[dict[str, Any]]) -> Trails:
    """The tail is gone, and the noted end made to fit as well as one can without the key."""
    kept = rows[: data.draw(st.integers(0, LENGTH - 1))]
    last = kept[-1] if kept else {"seq": 0, "hash": audit.FIRST}
    forged = [
        {"id": 1, "seq": last["seq"], "hash": last["hash"] + seal}
        for seal in ("", heads[0]["hash"][64:], last["hash"])
    ]
    head = data.draw(st.sampled_from([heads, *([each] for each in forged), *([[]] if kept else [])]))
    return kept, head


def added(data: st.DataObject, rows: list[dict[str, Any]], heads: list[dict[str, Any]]) -> Trails:
    """An entry more at the end, with the noted end moved there."""
    row = {**rows[-1], "seq": LENGTH + 1, "previous": rows[-1]["hash"]}
    head = {**heads[0], "seq": LENGTH + 1, "hash": row["hash"] + heads[0]["hash"][64:]}
    return [*rows, row], data.draw(st.sampled_from([heads, [head]]))


@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_every_tampering_is_found(trail: Journal, data: st.DataObject) -> None:
    original = snapshot(trail)
    tamper: Callable[..., Trails] = data.draw(
        st.sampled_from([changed, shortened, swapped, truncated, added])
    )
    put(trail, *tamper(data, *original))
    try:
        report = verify(trail, KEY)
        assert not report.intact
        assert report.faults
    finally:
        put(trail, *original)
    assert verify(trail, KEY).intact


@on_sqlite
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=5))
def test_any_groups_give_one_chain(journal: Journal, sizes: list[int]) -> None:
    put(journal, [], [])
    for size in sizes:
        extend(journal, *(entry(number) for number in range(size)))
    report = verify(journal, KEY)
    assert report.intact
    assert report.entries == report.last == sum(sizes)


@on_sqlite
def test_it_says_what_is_wrong_and_where(trail: Journal) -> None:
    original = snapshot(trail)
    with trail.begin() as connection:
        connection.execute(update(TABLE).where(TABLE.c.seq == 3).values(actor="nobody"))
    assert verify(trail, KEY).faults == ((3, "was changed"),)
    rows, heads = original
    put(trail, rows[:4] + rows[5:], heads)
    assert verify(trail, KEY).faults == ((5, "is missing"),)
    put(trail, rows[:4] + rows[7:], heads)
    assert verify(trail, KEY).faults == ((5, "and all up to 7 are missing"),)
    put(trail, rows[:-2], heads)
    assert verify(trail, KEY).faults == ((LENGTH - 1, f"and all up to {LENGTH} are missing at the end"),)


@on_sqlite
def test_a_long_list_of_faults_is_bounded(journal: Journal) -> None:
    extend(journal, *(entry(number) for number in range(MOST_FAULTS + 20)))
    with journal.begin() as connection:
        connection.execute(update(TABLE).values(role="admin"))
    report = verify(journal, KEY)
    assert report.found == MOST_FAULTS + 20
    assert len(report.faults) == MOST_FAULTS


def test_long_trails_are_read_in_chunks(journal: Journal) -> None:
    extend(journal, *(entry(number) for number in range(audit._CHUNK + 1)))
    extend(journal, *(entry(number) for number in range(audit._CHUNK - 1)))
    report = verify(journal, KEY)
    assert report.intact
    assert report.entries == 2 * audit._CHUNK


def test_odd_entries_are_kept_all_the_same(journal: Journal) -> None:
    odd = [
        entry(detail="nul \0 byte"),
        entry(actor="half \ud83d of a pair"),
        entry(detail="ñ" * 5000),
        entry(latency_ms=math.nan),
        entry(latency_ms=-0.0),
        entry(latency_ms=3),
        entry(detail='\\u0000 "quoted"\n\x7f\x85\u2028'),
    ]
    extend(journal, *odd)
    assert verify(journal, KEY).intact
    with journal.read() as connection:
        kept = read(connection)
    assert len(kept[2]["detail"]) == LONGEST
    assert kept[3]["latency_ms"] is None
    assert kept[6]["detail"] == odd[6].detail


@on_sqlite
def test_reads_pages_and_filters(trail: Journal) -> None:
    extend(trail, entry(action="audit.read", patient="pt_b"))
    with trail.read() as connection:
        assert [row["seq"] for row in read(connection, limit=3)] == [1, 2, 3]
        assert [row["seq"] for row in read(connection, after=3, limit=2)] == [4, 5]
        assert [row["seq"] for row in read(connection, patient="pt_b")] == [LENGTH + 1]
        assert read(connection, action="audit.read", study="other") == []


def test_nothing_is_written_after_an_end_that_was_changed(trail: Journal) -> None:
    rows, heads = snapshot(trail)
    for kept, head in (
        (rows[:-3], [{"id": 1, "seq": LENGTH - 3, "hash": rows[-4]["hash"] + heads[0]["hash"][64:]}]),
        (rows, []),
        (rows, [{"id": 1, "seq": 0, "hash": ""}]),
    ):
        put(trail, kept, head)
        with pytest.raises(AuditError, match="end of the audit trail"):
            extend(trail, entry())
    put(trail, rows, heads)
    extend(trail, entry())
    assert verify(trail, KEY).intact


def test_an_end_put_back_is_not_written_over(trail: Journal) -> None:
    _, old = snapshot(trail)
    extend(trail, entry(), entry())
    rows, _ = snapshot(trail)
    put(trail, rows, old)
    with pytest.raises(AuditError, match="entries after the noted end"):
        extend(trail, entry())


@on_sqlite
def test_the_anchor_finds_what_the_journal_alone_cannot(trail: Journal, tmp_path: Path) -> None:
    anchor = tmp_path / "anchor"
    old = snapshot(trail)
    extend(trail, entry(), entry())
    end = move_anchor(trail, KEY, anchor)
    assert end.seq == LENGTH + 2
    assert anchor.stat().st_mode & 0o077 == 0
    assert verify(trail, KEY, anchor).anchored == LENGTH + 2
    put(trail, *old)  # the journal as it was once: it fits in itself
    assert verify(trail, KEY).intact
    assert verify(trail, KEY, anchor).faults[0][0] == LENGTH + 1
    with pytest.raises(AuditError):
        move_anchor(trail, KEY, anchor)
    extend(trail, entry(), entry(), entry())  # and it grew beyond
    report = verify(trail, KEY, anchor)
    assert report.faults == ((LENGTH + 2, "the entry that was noted outside of the journal was changed"),)
    with pytest.raises(AuditError):
        move_anchor(trail, KEY, anchor)
    assert read_anchor(anchor) == end


@on_sqlite
def test_an_anchor_does_not_go_back(trail: Journal, tmp_path: Path) -> None:
    anchor = tmp_path / "anchor"
    assert read_anchor(anchor) is None
    with trail.read() as connection:
        end = read_end(connection)
    assert write_anchor(anchor, *end)
    assert write_anchor(anchor, *end)
    assert not write_anchor(anchor, 3, "other")
    assert read_anchor(anchor) == end
    assert move_anchor(trail, KEY, anchor) == end


@on_sqlite
def test_a_damaged_anchor_is_a_fault(trail: Journal, tmp_path: Path) -> None:
    anchor = tmp_path / "anchor"
    for content in ("", "{}", '{"seq": "x", "hash": ""}', "[1]", "\udcff"):
        anchor.write_bytes(content.encode("utf-8", "surrogateescape"))
        assert not verify(trail, KEY, anchor).intact
        with pytest.raises(AuditError, match="cannot be read"):
            read_anchor(anchor)
    anchor.write_text(json.dumps({"seq": 5, "hash": "x"}))
    assert verify(trail, KEY, anchor).faults[0][0] == 5


@pytest.mark.parametrize("value", ["x'ff00ff'", "CAST(x'ff00ff' AS TEXT)", "CAST(actor AS BLOB)"])
def test_what_is_no_text_is_found_too(tmp_path: Path, value: str) -> None:
    journal = Journal(f"sqlite:///{tmp_path}/journal.db")
    journal.migrate()
    extend(journal, entry(), entry(), entry())
    with journal.begin() as connection:
        connection.execute(text(f"UPDATE audit SET actor = {value} WHERE seq = 2"))  # noqa: S608
    assert verify(journal, KEY).faults == ((2, "was changed"),)
    with journal.begin() as connection:  # the connection of verify reads plain texts again
        connection.execute(update(TABLE).where(TABLE.c.seq == 2).values(actor="señor"))
        assert read(connection, after=1, limit=1)[0]["actor"] == "señor"
    journal.close()


WRITER = """\
import sys
from galeno.governance.audit import Trail
from galeno.records import AuditEntry
from galeno.storage.ids import now
from galeno.storage.journal import Journal

journal, trail, who = Journal(sys.argv[1]), Trail(b"k" * 32), sys.argv[2]
sys.stdin.readline()
for number in range(40):
    entry = AuditEntry(action="audit.read", outcome="done", time=now(), actor=who, role="auditor")
    with journal.begin() as connection:
        trail.extend(connection, [entry] * (1 + number % 3))
journal.close()
"""


def test_two_processes_write_one_chain(journal: Journal, fresh_journal_url: str) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, fresh_journal_url, who], stdin=subprocess.PIPE, text=True
        )
        for who in ("one", "other")
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=60)
        assert writer.returncode == 0
    report = verify(journal, KEY)
    assert report.intact
    assert report.entries == 2 * sum(1 + number % 3 for number in range(40))
    with journal.read() as connection:
        actors = [row["actor"] for row in read(connection, limit=1000)]
    assert set(actors) == {"one", "other"}


def test_a_transaction_undone_leaves_no_entry(trail: Journal) -> None:
    writer = Trail(KEY)

    def fail() -> None:
        with trail.begin() as connection:
            writer.extend(connection, [entry()])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with trail.begin() as connection:
        writer.extend(connection, [entry()])
    report = verify(trail, KEY)
    assert report.intact
    assert report.entries == LENGTH + 1
