"""A lake in a folder and in an object store: appends that take turns, removals, addresses."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from galeno.errors import ConflictError, LakeError
from galeno.records import BATCH, KEY
from galeno.storage.lake import Lake

Made = tuple[pl.DataFrame, str]


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Address of a real S3 server with a bucket."""
    server = pytest.importorskip("moto.server", reason="the S3 server moto is not installed")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    address = f"http://{host}:{port}"
    httpx.put(f"{address}/galeno").raise_for_status()
    yield address
    running.stop()


@pytest.fixture(params=["folder", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path | str:
    if request.param == "folder":
        return tmp_path
    for name, value in {
        "ACCESS_KEY_ID": "x",
        "SECRET_ACCESS_KEY": "y",
        "REGION": "us-east-1",
        "ENDPOINT_URL": request.getfixturevalue("s3"),
        "ALLOW_HTTP": "true",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    return f"s3://galeno/{tmp_path.name}/"


def frame(*keys: str) -> pl.DataFrame:
    return pl.DataFrame({KEY: keys, "age": [float(len(key)) for key in keys], "note": [*keys]})


def test_appends_and_reads(root: Path | str) -> None:
    lake = Lake(root)
    assert lake.version("a/b") is None
    assert lake.append("a/b", frame("x", "y"), "one") == 0
    assert lake.append("a/b", frame("x", "y"), "one") == 0
    assert lake.append("a/b", frame("z"), "two") == 1
    assert lake.batches("a/b", 1) == ("one", "two")
    assert lake.read("a/b", 1, ["two"]).drop(BATCH).equals(frame("z"))
    with pytest.raises(LakeError, match="no such table"):
        lake.read("other", 0)


def test_the_next_batch_is_made_from_those_that_are_there(root: Path | str) -> None:
    lake = Lake(root)
    seen: list[tuple[str, ...]] = []

    def make(there: tuple[str, ...]) -> Made | None:
        seen.append(tuple(sorted(there)))
        return (frame(f"k{len(there)}"), f"b{len(there)}") if len(there) < 2 else None

    assert lake.append_next("t", make) is not None
    assert lake.append_next("t", make) is not None
    assert lake.append_next("t", make) is None
    assert seen == [(), ("b0",), ("b0", "b1")]
    version = lake.version("t")
    assert version is not None
    assert lake.read("t", version)[KEY].to_list() == ["k0", "k1"]


@pytest.mark.parametrize("there", [0, 1])
def test_two_who_meet_in_an_object_store_append_one_batch(
    root: Path | str, there: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(root, Path):
        pytest.skip("a folder is locked")
    lake = Lake(root)
    for number in range(there):
        lake.append_next("t", lambda _, n=number: (frame(f"k{n}"), f"b{n}"))  # type: ignore[misc]

    def meet(_: tuple[str, ...]) -> Made:
        Lake(root).append_next("t", lambda _: (frame("other"), "other"))
        return frame("mine"), "mine"

    with pytest.raises(ConflictError, match="at the same time"):
        lake.append_next("t", meet)
    version = lake.version("t")
    assert version is not None
    assert "mine" not in lake.batches("t", version)
    assert "other" in lake.batches("t", version)


def test_writers_at_once_append_each_batch_once(root: Path | str) -> None:
    def work() -> None:
        lake = Lake(root)
        for _ in range(4):
            with suppress(ConflictError):
                lake.append_next("t", lambda there: (frame(f"k{len(there):03d}"), f"b{len(there):03d}"))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lake = Lake(root)
    version = lake.version("t")
    assert version is not None
    keys = lake.read("t", version)[KEY].to_list()
    assert keys == [f"k{number:03d}" for number in range(len(keys))]
    assert len(keys) == 12 or not isinstance(root, Path)


def test_removed_rows_are_in_no_file(root: Path | str) -> None:
    lake = Lake(root)
    lake.remove("t", KEY, ["x"])
    rows = frame("o'hara", "y").with_columns(note=pl.Series(["unmistakable", "no"]))
    lake.append_next("t", lambda _: (rows, "one"))
    lake.append_next("t", lambda _: (frame("z"), "two"))
    lake.remove("t", KEY, [])
    lake.remove("t", KEY, ["o'hara", "absent"])
    version = lake.version("t")
    assert version is not None
    assert lake.read("t", version)[KEY].to_list() == ["y", "z"]
    if isinstance(root, Path):
        left = [pl.read_parquet(path, hive_partitioning=False) for path in root.glob("t/*/*.parquet")]
        assert sorted(key for frame in left if KEY in frame for key in frame[KEY]) == ["y", "z"]
        files = [path for path in root.rglob("*") if path.is_file()]
        assert not [path for path in files if b"unmistakable" in path.read_bytes()]


def test_columns_are_added_but_keep_their_type(root: Path | str) -> None:
    lake = Lake(root)
    lake.append_next("t", lambda _: (frame("x"), "one"))
    lake.append_next("t", lambda _: (frame("y").with_columns(more=pl.lit(1.0)).drop("note"), "two"))
    version = lake.version("t")
    assert version is not None
    assert lake.read("t", version).drop(BATCH).rows() == [("x", 1.0, "x", None), ("y", 1.0, None, 1.0)]
    with pytest.raises(LakeError, match="'age' was of another type"):
        lake.append_next("t", lambda _: (frame("z").with_columns(age=pl.lit("1")), "three"))


@pytest.mark.parametrize("address", ["gs://b/x", "s3://", "s3://key:secret@b/x", "http://h/b", "s3://b/a b"])
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(LakeError, match="a folder or an s3:// address") as refused:
        Lake(address)
    assert "secret" not in str(refused.value)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(gone=st.sets(st.sampled_from(["a", "b", "c", "d"])))
def test_what_was_not_removed_stays(tmp_path_factory: pytest.TempPathFactory, gone: set[str]) -> None:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    lake.append_next("t", lambda _: (frame("a", "b"), "one"))
    lake.append_next("t", lambda _: (frame("c", "d"), "two"))
    lake.remove("t", KEY, gone)
    version = lake.version("t")
    assert version is not None
    assert lake.read("t", version)[KEY].to_list() == sorted({"a", "b", "c", "d"} - gone)
