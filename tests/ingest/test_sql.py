"""Records from a database: a real SQLite file."""

import sqlite3
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from galeno.errors import SourceError
from galeno.ingest.sql import read_query, sql_name
from galeno.study import Sql


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "hospital.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE stays (id INTEGER, tsh REAL, sex TEXT, seen TEXT)")
        connection.executemany(
            "INSERT INTO stays VALUES (?, ?, ?, ?)",
            [(1, 1.5, "F", "2024-01-02"), (2, None, "M", None), (3, "SECRET", None, "2024-03-01")],
        )
        connection.commit()
    return path


def test_reads_rows_in_order(database: Path) -> None:
    sql = Sql(url=f"sqlite:///{database}", query="-- all\nSELECT id, sex, seen FROM stays ORDER BY id DESC")
    frame = read_query(sql)
    assert frame.schema == {"id": pl.Int64, "sex": pl.String, "seen": pl.String}
    assert frame["id"].to_list() == [3, 2, 1]


def test_a_column_of_several_types_becomes_text(database: Path) -> None:
    frame = read_query(
        Sql(url=f"sqlite:///{database}", query="WITH s AS (SELECT tsh FROM stays) SELECT * FROM s")
    )
    assert frame["tsh"].to_list() == ["1.5", None, "SECRET"]


def test_variables_come_from_the_environment(database: Path) -> None:
    sql = Sql(url="sqlite:///${GALENO_TEST_DB}", query="select count(*) AS n from stays")
    assert read_query(sql, {"GALENO_TEST_DB": str(database)})["n"].to_list() == [3]
    with pytest.raises(SourceError, match="does not set GALENO_TEST_DB"):
        read_query(sql, {})


@pytest.mark.parametrize("query", ["DELETE FROM stays", "/* select */ DROP TABLE stays", "selectivity", ""])
def test_only_queries_are_run(database: Path, query: str) -> None:
    with pytest.raises(SourceError, match="does not start with SELECT or WITH"):
        read_query(Sql(url=f"sqlite:///{database}", query=query))


def test_a_write_behind_a_with_is_refused(database: Path) -> None:
    url = f"sqlite:///{database}"
    write = "WITH s AS (SELECT 1) DELETE FROM stays RETURNING id"
    with pytest.raises(SourceError, match="refused the query"):
        read_query(Sql(url=url, query=write))
    assert read_query(Sql(url=url, query="SELECT * FROM stays")).height == 3


def test_faults_name_the_database_and_no_password(database: Path) -> None:
    with pytest.raises(SourceError, match=r"sqlite:///.*hospital.db: the database refused"):
        read_query(Sql(url=f"sqlite:///{database}", query="SELECT nothing FROM nowhere"))
    with pytest.raises(SourceError, match="returns no rows"):
        read_query(Sql(url=f"sqlite:///{database}", query="SELECT * FROM stays WHERE id > 9"))
    with pytest.raises(SourceError, match="stands 2 times"):
        read_query(Sql(url=f"sqlite:///{database}", query="SELECT id AS a, sex AS a FROM stays"))
    with pytest.raises(SourceError, match="not an SQLAlchemy URL"):
        read_query(Sql(url="nonsense", query="SELECT 1"))
    with pytest.raises(SourceError, match="driver of the database is not installed") as caught:
        read_query(Sql(url="unheard://me:hunter2@host/records?key=hunter3", query="SELECT 1"))
    assert "hunter" not in str(caught.value)
    assert "unheard://host/records" in str(caught.value)


def test_sql_name() -> None:
    assert sql_name(Sql(url="postgresql+psycopg://me:p@ss@host:5432/db", query="")).count("p@ss") == 0
    assert sql_name(Sql(url="sqlite:///a.db", query="")) == "sql sqlite:///a.db"
    assert sql_name(Sql(url="?", query="")) == "sql"
