"""Tables in files, good and bad."""

import gzip
import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.errors import SourceError
from galeno.ingest.tables import frame_of_rows, iter_table, read_table


def put(path: Path, content: str | bytes) -> Path:
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if path.name.endswith(".gz") else data)
    return path


def test_csv_is_text(tmp_path: Path) -> None:
    frame = read_table(put(tmp_path / "a.csv", 'id,tsh,note\n001,1.50,"a, ""b""\nc"\n002,,\n'))
    assert frame.schema == {"id": pl.String, "tsh": pl.String, "note": pl.String}
    assert frame.rows() == [("001", "1.50", 'a, "b"\nc'), ("002", "", "")]


@pytest.mark.parametrize(("name", "delimiter"), [("a.csv.gz", ","), ("a.csv", ";"), ("a.tsv", "\t")])
def test_delimiters_and_compression(tmp_path: Path, name: str, delimiter: str) -> None:
    text = "\ufeffa,b\r\n1,x\r\n2,y\r\n".replace(",", delimiter)
    assert read_table(put(tmp_path / name, text)).to_dict(as_series=False) == {
        "a": ["1", "2"],
        "b": ["x", "y"],
    }


def test_parquet_keeps_types(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": [1, None], "b": [0.5, 2.0], "c": ["x", None], "d": [True, False]})
    frame.write_parquet(tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet").equals(frame)


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.jsonl.gz"])
def test_json_lines_become_text(tmp_path: Path, name: str) -> None:
    rows = [{"a": 1, "b": "x", "c": None}, {"a": 2.5, "b": True, "d": [1]}]
    frame = read_table(put(tmp_path / name, "\n\n".join(map(json.dumps, rows))))
    assert frame.rows() == [("1", "x", None, None), ("2.5", "true", None, "[1]")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "holds no rows"),
        ("a.csv", "a,b\n", "holds no rows"),
        ("a.csv", "\n1,2\n", "names no columns"),
        ("a.csv", "a,,c\n1,2,3\n", "column 2 has no name"),
        ("a.csv", "a,b,a\n1,2,3\n", "line 1: column 'a' stands 2 times"),
        ("a.csv", "a,b\n1,2\nSECRET\n", "line 3: 1 values where the header has 2 columns"),
        ("a.csv", "a,b\n1,2\n1,SECRET,3\n", "line 3: 3 values where the header has 2 columns"),
        ("a.csv", "a,b\n1,caf\xe9\n".encode("latin-1"), "not UTF-8"),
        ("a.csv", "a,\xe9\n1,2\n".encode("latin-1"), "not UTF-8"),
        ("a.csv", 'a,b\n1,"SECRET\n2,3\n', "never closed"),
        ("a.parquet", b"PAR1 SECRET", "not a Parquet file"),
        ("a.jsonl", '{"a": 1}\n{"a": SECRET}\n', "line 2: is not a JSON object"),
        ("a.jsonl", "[1]\n", "line 1: is not a JSON object"),
        ("a.jsonl", "\n", "holds no rows"),
        ("a.jsonl", b'{"a": "\xff"}\n', "not UTF-8"),
        ("a.xlsx", "PK", "ending of the file is not known"),
    ],
)
def test_faults_are_named_without_values(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    path = put(tmp_path / name, content)
    with pytest.raises(SourceError) as caught:
        read_table(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.csv.gz", "a.jsonl.gz"])
def test_a_cut_archive_is_damaged(tmp_path: Path, name: str) -> None:
    text = "a\n" + "\n".join(str(i * 7919) for i in range(5000)) if "csv" in name else '{"a": 1}\n' * 5000
    whole = gzip.compress(text.encode())
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match="damaged or cut short"):
        read_table(tmp_path / name)
    (tmp_path / name).write_bytes(b"no archive")
    with pytest.raises(SourceError, match="damaged or cut short"):
        read_table(tmp_path / name)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        read_table(tmp_path / "a.csv")
    (tmp_path / "b.csv").mkdir()
    with pytest.raises(SourceError, match="is a folder"):
        read_table(tmp_path / "b.csv")


@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.text("ab ,\"'\n;é", max_size=4), st.integers(-9, 9).map(str)), min_size=1, max_size=9
    ),
    part=st.integers(1, 4),
)
def test_parts_join_to_the_whole(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], part: int
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    frame = pl.DataFrame(rows, schema={"text": pl.String, "number": pl.String}, orient="row")
    frame.write_csv(folder / "a.csv", quote_style="always")
    frame.write_parquet(folder / "a.parquet")
    frame.write_ndjson(folder / "a.jsonl")
    for name in ("a.csv", "a.parquet", "a.jsonl"):
        parts = list(iter_table(folder / name, part))
        assert [p.height for p in parts[:-1]] == [part] * (len(parts) - 1)
        assert pl.concat(parts).equals(frame)
        assert read_table(folder / name).equals(frame)


def test_rows_of_a_driver() -> None:
    frame = frame_of_rows(["a", "b", "c"], [(1, "x", 1), (2, None, 0.5)], "here")
    assert frame.schema == {"a": pl.Int64, "b": pl.String, "c": pl.Float64}
    mixed = frame_of_rows(["a", "b"], [(2**70, "x"), (1, 3)], "here")
    assert mixed.rows() == [(float(2**70), "x"), (1.0, "3")]
    with pytest.raises(SourceError, match="stands 2 times"):
        frame_of_rows(["a", "a"], [(1, 2)], "here")
