"""Tables out: what is written is read back, and a file appears whole or not at all."""

import gzip
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.errors import OutputError
from galeno.ingest.tables import read_table
from galeno.storage.writer import open_writer, open_writers

ENDINGS = ["csv", "csv.gz", "parquet", "jsonl", "ndjson", "jsonl.gz", "ndjson.gz"]
TEXTS = st.text(st.characters(exclude_categories=["C"], exclude_characters="\x85\u2028\u2029"), max_size=8)


def write(path: Path, *frames: pl.DataFrame) -> None:
    with open_writer(path) as add:
        for frame in frames:
            add(frame)


@pytest.mark.parametrize("ending", ENDINGS)
def test_frames_become_one_file_with_one_header(tmp_path: Path, ending: str) -> None:
    frame = pl.DataFrame({"text": ['a "b", c', "línea\ndos"], "x": ["1", "2"]})
    path = tmp_path / f"out.{ending}"
    write(path, frame, frame.reverse())
    assert read_table(path).equals(pl.concat([frame, frame.reverse()]))
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", ENDINGS)
@given(cells=st.lists(TEXTS, min_size=1, max_size=6), cut=st.integers(0, 6))
@settings(max_examples=15, deadline=None)
def test_any_text_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, ending: str, cells: list[str], cut: int
) -> None:
    frame = pl.DataFrame({"n": [str(i) for i in range(len(cells))], "text": cells})
    path = tmp_path_factory.mktemp("out") / f"out.{ending}"
    write(path, *(part for part in (frame.head(cut), frame.slice(cut)) if part.height))
    assert read_table(path).equals(frame)


def test_parquet_keeps_its_types_and_takes_nulls_in_one_part(tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    write(
        path,
        pl.DataFrame({"x": [1.5], "b": [True]}),
        pl.DataFrame({"x": [None], "b": [None]}, schema={"x": pl.Float64, "b": pl.Boolean}),
    )
    assert pq.ParquetFile(path).num_row_groups == 2
    assert pl.read_parquet(path).schema == {"x": pl.Float64, "b": pl.Boolean}


def test_a_compressed_file_is_closed_whole(tmp_path: Path) -> None:
    write(tmp_path / "out.csv.gz", pl.DataFrame({"x": list(range(10_000))}))
    assert gzip.decompress((tmp_path / "out.csv.gz").read_bytes()).count(b"\n") == 10_001


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_fault_half_way_leaves_the_earlier_file(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"out.{ending}"
    path.write_text("earlier", encoding="utf-8")
    with pytest.raises(pl.exceptions.ColumnNotFoundError), open_writer(path) as add:
        add(pl.DataFrame({"x": [1]})["absent"].to_frame())
    assert path.read_text(encoding="utf-8") == "earlier"
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("name", ["out.xlsx", "out", "out.csv.zip", "csv"])
def test_an_ending_that_is_not_known_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"ending is not known.*\.csv, \.csv\.gz, \.parquet, \.jsonl"):
        write(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"absent: no such folder\. Make it first"):
        write(tmp_path / "absent" / "out.csv")
    (tmp_path / "out.csv").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        write(tmp_path / "out.csv")


def test_a_disk_that_does_not_take_it_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match=r"out\.csv: cannot be written \(No space left on device\)"),
        open_writer(tmp_path / "out.csv"),
    ):
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ENDINGS)
def test_files_that_belong_together_appear_together(tmp_path: Path, ending: str) -> None:
    one, two = tmp_path / f"one.{ending}", tmp_path / f"two.{ending}"
    with open_writers(one, two) as (write_one, write_two):
        for start in range(2):
            write_one(pl.DataFrame({"x": [str(start)]}))
            write_two(pl.DataFrame({"y": [f"y{start}"]}))
        assert not one.exists()
        assert not two.exists()
    assert read_table(one)["x"].to_list() == ["0", "1"]
    assert read_table(two)["y"].to_list() == ["y0", "y1"]
    assert {file.name for file in tmp_path.iterdir()} == {one.name, two.name}


@pytest.mark.parametrize("ending", ENDINGS)
def test_of_files_that_belong_together_none_appears_alone(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_both() -> None:
        with open_writers(tmp_path / f"one.{ending}", tmp_path / "two.csv") as (write_one, write_two):
            write_one(pl.DataFrame({"x": [1]}))
            monkeypatch.setattr(pl.DataFrame, "write_csv", full)
            write_two(pl.DataFrame({"y": [1]}))

    with pytest.raises(OutputError, match=r"two\.csv: cannot be written \(No space left on device\)"):
        write_both()
    assert list(tmp_path.iterdir()) == []


def full(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


def test_one_place_is_not_for_two_files(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with (
        pytest.raises(OutputError, match=r"out\.csv: two outputs are one file"),
        open_writers(tmp_path / "out.csv", tmp_path / "folder" / ".." / "out.csv"),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_frame_without_rows_leaves_a_header(tmp_path: Path) -> None:
    write(tmp_path / "out.csv", pl.DataFrame({"x": [1], "y": ["a"]}).clear())
    assert (tmp_path / "out.csv").read_text(encoding="utf-8") == "x,y\n"
    write(tmp_path / "out.parquet", pl.DataFrame({"x": [1], "y": ["a"]}).clear())
    assert pl.read_parquet(tmp_path / "out.parquet").schema == {"x": pl.Int64, "y": pl.String}
    write(tmp_path / "out.jsonl", pl.DataFrame({"x": [1], "y": ["a"]}).clear())
    assert (tmp_path / "out.jsonl").read_bytes() == b""
