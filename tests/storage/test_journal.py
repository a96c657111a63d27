"""The journal on SQLite and PostgreSQL."""

import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from postgres import Cluster
from sqlalchemy import insert, select

from galeno.errors import ConflictError, JournalError, SettingError
from galeno.storage.journal import Journal
from galeno.storage.schema import exports, users


@pytest.fixture
def journal(fresh_journal_url: str) -> Iterator[Journal]:
    journal = Journal(fresh_journal_url)
    journal.migrate()
    yield journal
    journal.close()


def test_begin_keeps_and_read_finds(journal: Journal) -> None:
    with journal.begin() as connection:
        connection.execute(insert(exports).values(study="clinic", cursor="dx_1"))
    with journal.read() as connection:
        assert connection.execute(select(exports)).all() == [("clinic", "dx_1")]


def test_begin_that_raises_keeps_nothing(journal: Journal) -> None:
    with suppress(ZeroDivisionError), journal.begin() as connection:
        connection.execute(insert(exports).values(study="clinic", cursor="dx_1"))
        raise ZeroDivisionError
    with journal.read() as connection:
        assert connection.execute(select(exports)).all() == []


def test_reading_writes_nothing(journal: Journal) -> None:
    with journal.read() as connection:
        connection.execute(insert(exports).values(study="clinic", cursor="dx_1"))
    with journal.read() as connection:
        assert connection.execute(select(exports)).all() == []


def test_broken_constraint_is_a_conflict_without_values(journal: Journal) -> None:
    user = dict.fromkeys(("id", "name", "role", "site", "key_hash", "key_hint", "created"), "secret")
    with journal.begin() as connection:
        connection.execute(insert(users).values(user))
    with pytest.raises(ConflictError) as conflict, journal.begin() as connection:
        connection.execute(insert(users).values({**user, "id": "us_2"}))
    assert "secret" not in str(conflict.value)


def test_times_and_texts_come_back_as_they_were(journal: Journal) -> None:
    cursor = "2026-01-01T00:00:00.000000Z ñ 漢 \U0001f9ec"
    with journal.begin() as connection:
        connection.execute(insert(exports).values(study="clinic", cursor=cursor))
    with journal.read() as connection:
        assert connection.execute(select(exports.c.cursor)).scalar() == cursor


def test_file_is_its_owners_only(tmp_path: Path) -> None:
    journal = Journal(f"sqlite:///{tmp_path}/journal.db")
    journal.migrate()
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}
    journal.close()


def test_address_that_is_none_is_a_wrong_setting() -> None:
    with pytest.raises(SettingError):
        Journal("oracle://x")


def test_server_that_is_not_there_is_a_fault_without_the_password() -> None:
    journal = Journal("postgresql://ana:secret@127.0.0.1:1/galeno")
    with pytest.raises(JournalError, match=re.escape("127.0.0.1:1/galeno")) as fault:
        journal.migrate()
    assert "secret" not in str(fault.value)
    assert "ana" not in str(fault.value)


def test_server_that_was_gone_comes_back_by_itself(postgres: Cluster, fresh_postgres_url: str) -> None:
    journal = Journal(fresh_postgres_url)
    journal.migrate()
    postgres.stop()
    try:
        with pytest.raises(JournalError), journal.begin() as connection:
            connection.execute(insert(exports).values(study="lost", cursor=""))
        with pytest.raises(JournalError):
            journal.revision()
    finally:
        postgres.start()
    with journal.begin() as connection:
        connection.execute(insert(exports).values(study="clinic", cursor=""))
    with journal.read() as connection:
        assert connection.execute(select(exports.c.study)).scalars().all() == ["clinic"]
    journal.close()
