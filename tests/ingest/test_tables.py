"""Tables in files, good and bad."""

import gzip
import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.errors import SourceError
from galeno.ingest import tables
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


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.jsonl"])
def test_parts_have_fewer_rows_where_rows_are_long(tmp_path: Path, name: str) -> None:
    frame = pl.DataFrame({"number": list("0123456789"), "file": ["A" * 100_000] * 10})
    write = {"csv": pl.DataFrame.write_csv, "parquet": pl.DataFrame.write_parquet}
    write.get(name.partition(".")[2], pl.DataFrame.write_ndjson)(frame, tmp_path / name)
    for size, most in ((1, 1), (250_000, 3), (10**7, 7)):
        parts = list(iter_table(tmp_path / name, 7, size))
        assert pl.concat(parts).equals(frame)
        assert max(part.height for part in parts) in {most, max(1, most - 1)}
        assert all(part.estimated_size() < size + 200_000 for part in parts)


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_a_cell_may_be_longer_than_a_block(tmp_path: Path, name: str) -> None:
    cells = ["first", "x\ny", "A" * (20 << 20), "last"]
    rows = "".join(f'{number},"{cell}"\n' for number, cell in enumerate(cells))
    frame = read_table(put(tmp_path / name, f"number,file\n{rows}"))
    assert frame["number"].to_list() == ["0", "1", "2", "3"]
    assert frame["file"].to_list() == cells


def test_larger_blocks_go_on_where_smaller_ones_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "BLOCKS", (64, 1024, 4096))
    lengths = [3] * 50 + [500] + [3] * 50 + [3000] + [3] * 50
    rows = [f'{number},"{"A" * length}"' for number, length in enumerate(lengths)]
    path = put(tmp_path / "a.csv", "\n".join(["number,file", *rows]))
    assert [len(cell) for cell in read_table(path)["file"]] == lengths
    numbers = [str(number) for number in range(len(lengths))]
    assert read_table(path)["number"].to_list() == numbers
    spaced = "\n".join(row.replace('"A', '"\nA') + "\n" * (at % 3) for at, row in enumerate(rows))
    assert read_table(put(path, f"number,file\n{spaced}"))["number"].to_list() == numbers
    with pytest.raises(SourceError, match="line 154: 1 values"):
        read_table(put(path, "\n".join(["number,file", *rows, "SECRET"])))
    with pytest.raises(SourceError, match=r"a row is longer than .*, or a quote is opened and never closed"):
        read_table(put(path, "\n".join(["number,file", f'0,"{"A" * 10_000}"'])))
    with pytest.raises(SourceError, match="or a quote is opened and never closed") as caught:
        read_table(put(path, "\n".join(["number,file", '0,"SECRET', *["1,2"] * 5000])))
    assert "SECRET" not in str(caught.value)


def test_rows_of_a_driver() -> None:
    frame = frame_of_rows(["a", "b", "c"], [(1, "x", 1), (2, None, 0.5)], "here")
    assert frame.schema == {"a": pl.Int64, "b": pl.String, "c": pl.Float64}
    mixed = frame_of_rows(["a", "b"], [(2**70, "x"), (1, 3)], "here")
    assert mixed.rows() == [(float(2**70), "x"), (1.0, "3")]
    with pytest.raises(SourceError, match="stands 2 times"):
        frame_of_rows(["a", "a"], [(1, 2)], "here")
