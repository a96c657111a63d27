"""Databases by URL."""

import sqlite3
import stat
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import text

from galeno.errors import ConflictError, JournalError, MissingExtraError, SettingError
from galeno.storage import database


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/some.db"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_goes_by_its_usual_names(scheme: str) -> None:
    assert database.parse_url(f"{scheme}://a:b@h/d").drivername == "postgresql+psycopg"


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "mysql://a:secret@h/d", "sqlite://", "sqlite:///:memory:", "sqlite:///file:x?uri=true"],
)
def test_what_is_no_database_of_ours_is_refused_without_saying_it(url: str) -> None:
    with pytest.raises(SettingError) as refused:
        database.open_engine(url)
    assert "secret" not in str(refused.value)
    assert "Use sqlite:///FILE or postgresql://" in str(refused.value)


def test_name_holds_no_user_password_or_option() -> None:
    name = database.name_of("postgres://ana:secret@db.example:5433/galeno?password=secret2&sslmode=require")
    assert name == "postgresql://db.example:5433/galeno"
    assert database.name_of("sqlite:////a/b.db") == "sqlite:////a/b.db"


def test_postgresql_without_its_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtraError, match=r"galeno\[postgresql\]"):
        database.open_engine("postgresql://h/d")


def test_sqlite_is_durable_and_private(url: str, tmp_path: Path) -> None:
    engine = database.open_engine(url)
    assert not (tmp_path / "some.db").exists()
    with engine.connect() as connection:
        wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}
        found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in wanted}
    assert found == wanted
    with database.writing(engine) as connection:
        connection.execute(text("CREATE TABLE t (x INTEGER PRIMARY KEY)"))
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}
    engine.dispose()


def test_sqlite_file_that_others_may_read_is_closed_to_them(url: str, tmp_path: Path) -> None:
    (tmp_path / "some.db").touch(mode=0o644)
    engine = database.open_engine(url)
    engine.connect().close()
    assert stat.S_IMODE((tmp_path / "some.db").stat().st_mode) == 0o600
    engine.dispose()


def test_writing_keeps_all_or_nothing(fresh_journal_url: str) -> None:
    engine = database.open_engine(fresh_journal_url)
    with database.writing(engine) as connection:
        connection.execute(text("CREATE TABLE t (x INTEGER PRIMARY KEY)"))
    with suppress(ZeroDivisionError), database.writing(engine) as connection:
        connection.execute(text("INSERT INTO t VALUES (1)"))
        raise ZeroDivisionError
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM t")).scalar() == 0
    engine.dispose()


def test_writers_take_turns(url: str) -> None:
    engine = database.open_engine(url)
    with database.writing(engine) as connection:
        connection.execute(text("CREATE TABLE t (x INTEGER)"))
        connection.execute(text("INSERT INTO t VALUES (0)"))

    def add() -> None:
        for _ in range(20):
            with database.writing(engine) as connection:
                value = connection.execute(text("SELECT x FROM t")).scalar_one()
                connection.execute(text("UPDATE t SET x = :x"), {"x": value + 1})

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT x FROM t")).scalar() == 80
    engine.dispose()


def test_a_turn_that_never_comes_is_a_fault(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_PATIENCE", 0.2)
    engine = database.open_engine(url)
    with database.writing(engine):
        began = time.monotonic()
        with (
            pytest.raises(JournalError, match="OperationalError"),
            database.faults("x"),
            database.writing(engine),
        ):
            pass
    assert 0.2 <= time.monotonic() - began < 2
    with database.writing(engine) as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 5000
    engine.dispose()


def test_faults_say_what_and_where_but_no_value(fresh_journal_url: str) -> None:
    engine = database.open_engine(fresh_journal_url)
    with database.writing(engine) as connection:
        connection.execute(text("CREATE TABLE t (x TEXT PRIMARY KEY)"))
        connection.execute(text("INSERT INTO t VALUES ('secret')"))
    with (
        pytest.raises(ConflictError) as conflict,
        database.faults("here"),
        database.writing(engine) as connection,
    ):
        connection.execute(text("INSERT INTO t VALUES (:x)"), {"x": "secret"})
    with (
        pytest.raises(JournalError) as fault,
        database.faults("here"),
        database.writing(engine) as connection,
    ):
        connection.execute(text("INSERT INTO absent VALUES ('secret')"))
    for error in (conflict.value, fault.value):
        assert str(error).startswith("here: ")
        assert "secret" not in str(error)
        assert error.__suppress_context__
    engine.dispose()


def test_only_the_database_itself_is_transient(url: str) -> None:
    engine = database.open_engine(url)
    errors = []
    for statement in ("SELECT * FROM absent", "CREATE TABLE t (x INTEGER PRIMARY KEY)"):
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA query_only = ON")
            try:
                connection.exec_driver_sql(statement)
            except database.SQLAlchemyError as error:
                errors.append(database.is_transient(error))
            connection.exec_driver_sql("PRAGMA query_only = OFF")
    assert errors == [True, True]
    assert database.is_transient(sqlite3.OperationalError("disk I/O error"))
    assert not database.is_transient(ConflictError("no"))
    assert not database.is_transient(ValueError("no"))
    engine.dispose()


def test_folder_that_is_missing_is_a_fault(tmp_path: Path) -> None:
    engine = database.open_engine(f"sqlite:///{tmp_path}/absent/some.db")
    with pytest.raises(JournalError, match="its folder is there"), database.faults("x"), engine.connect():
        pass


def test_file_that_is_no_database_is_a_fault(url: str, tmp_path: Path) -> None:
    (tmp_path / "some.db").write_bytes(b"not a database, but long enough to look at" * 100)
    engine = database.open_engine(url)
    with pytest.raises(JournalError, match="DatabaseError"), database.faults("x"), engine.connect():
        pass
    engine.dispose()


def test_checkpoint_leaves_no_wal(url: str, tmp_path: Path) -> None:
    engine = database.open_engine(url)
    with database.writing(engine) as connection:
        connection.execute(text("CREATE TABLE t (x TEXT)"))
        connection.execute(text("INSERT INTO t VALUES ('a secret')"))
        connection.execute(text("DELETE FROM t"))
    database.checkpoint(engine)
    assert (tmp_path / "some.db-wal").stat().st_size == 0
    assert b"a secret" not in (tmp_path / "some.db").read_bytes()
    engine.dispose()


def test_sqlite_file_is_named(url: str, tmp_path: Path) -> None:
    assert database.sqlite_file(database.open_engine(url)) == tmp_path / "some.db"
    assert database.sqlite_file(database.open_engine("postgresql://h/d")) is None
