"""A source is what `records.source` says."""

from pathlib import Path

import polars as pl
import pytest

from galeno.errors import SourceError
from galeno.ingest.source import read_source, source_name
from galeno.study import Sql


def test_each_kind_of_source(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\n1\n")
    assert read_source(str(tmp_path / "a.csv")).rows() == [("1",)]
    assert read_source("sklearn:iris").height == 150
    sql = Sql(url="sqlite://", query="SELECT 1 AS x")
    assert read_source(sql).rows() == [(1,)]
    assert source_name(str(tmp_path / "a.csv")) == "a.csv"
    assert source_name("sklearn:iris") == "sklearn:iris"
    assert source_name(sql) == "sql sqlite://"


def test_the_cohort_takes_patients_and_seed() -> None:
    one = read_source("cohort:severity?n=60&seed=3")
    assert one.equals(read_source("cohort:severity?seed=3&n=60"))
    assert not one.equals(read_source("cohort:severity?n=60&seed=4"))
    assert set(one.dtypes) == {pl.String}
    assert 60 <= one.height < 200


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("sklearn:titanic", "no such bundled set"),
        ("cohort:severity?n=0", "'n' is not known or not a whole number"),
        ("cohort:severity?m=5", "'m' is not known"),
        ("s3://bucket/a.csv?token=hunter2", "is a URL"),
        ("nowhere.csv", "no such file"),
    ],
)
def test_faults(source: str, message: str) -> None:
    with pytest.raises(SourceError) as caught:
        read_source(source)
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)
