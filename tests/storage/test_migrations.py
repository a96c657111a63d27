"""The journal's migrations."""

import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from galeno.errors import JournalError
from galeno.governance.passwords import Passwords
from galeno.governance.users import Users
from galeno.storage import journal as journal_module
from galeno.storage.journal import Journal
from galeno.storage.schema import HEAD, metadata

MIGRATIONS = Path(journal_module.__file__).parent / "migrations"


def test_migrated_database_is_what_the_schema_says(fresh_journal_url: str) -> None:
    journal = Journal(fresh_journal_url)
    assert journal.revision() is None
    journal.migrate()
    assert journal.revision() == HEAD
    with journal.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert set(inspect(connection).get_table_names()) == {*metadata.tables, "alembic_version"}
    journal.close()


def test_head_is_the_last_migration_and_there_is_one_line_of_them() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_migrations_go_upward_only() -> None:
    scripts = sorted((MIGRATIONS / "versions").glob("*.py"))
    assert scripts
    assert not [script.name for script in scripts if "def downgrade" in script.read_text(encoding="utf-8")]


def test_migrations_are_inside_the_package() -> None:
    assert (files("galeno.storage") / "migrations" / "versions" / "0001_journal.py").is_file()


def test_migrating_again_changes_nothing_and_says_nothing(
    fresh_journal_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    journal = Journal(fresh_journal_url)
    journal.migrate()
    with journal.begin() as connection:
        connection.execute(text("INSERT INTO exports VALUES ('clinic', 'dx_1')"))
    journal.migrate()
    with journal.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM exports")).scalar() == 1
    assert capfd.readouterr() == ("", "")
    journal.close()


def test_journal_of_a_newer_galeno_is_left_alone(fresh_journal_url: str) -> None:
    journal = Journal(fresh_journal_url)
    journal.migrate()
    with journal.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(JournalError, match="newer Galeno"):
        journal.migrate()
    assert journal.revision() == "9999"
    journal.close()


def test_processes_may_migrate_at_once(fresh_journal_url: str) -> None:
    program = "import sys; from galeno.storage.journal import Journal; Journal(sys.argv[1]).migrate()"
    line = [sys.executable, "-c", program, fresh_journal_url]
    started = [subprocess.Popen(line, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    ended = [(process.communicate(timeout=60)[1], process.returncode) for process in started]
    assert ended == [("", 0)] * 3
    journal = Journal(fresh_journal_url)
    assert journal.revision() == HEAD
    journal.close()


def test_a_journal_of_the_first_tables_is_brought_up_to_date_with_its_rows(fresh_journal_url: str) -> None:
    journal = Journal(fresh_journal_url)
    with journal.begin() as connection:
        upgrade(connection, "0001")
        connection.execute(
            text(
                "INSERT INTO users (id, name, role, site, key_hash, key_hint, created) "
                "VALUES ('us_1', 'ana', 'clinician', 'north', 'h', 'abcd', '2026-01-01T00:00:00.000000Z')"
            )
        )
        connection.execute(text("INSERT INTO exports VALUES ('clinic', 'dx_1')"))
        connection.execute(text("INSERT INTO audit_head VALUES (1, 7, 'h')"))
    assert journal.revision() == "0001"
    journal.migrate()
    assert journal.revision() == HEAD
    assert [user.name for user in Users(journal).list()] == ["ana"]
    Passwords(journal).set("ana", "four quiet words here")
    assert Passwords(journal).check("ana", "four quiet words here") is not None
    with journal.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert connection.execute(text("SELECT seq FROM audit_head")).scalar() == 7
        assert connection.execute(text("SELECT count(*) FROM exports")).scalar() == 1
    journal.close()


def upgrade(connection: Connection, revision: str) -> None:
    """Take an empty database to a revision."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
