"""Contract tests, run over every encoder alone, over all together, and with other settings."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import pytest
from feature_cases import RECORDS, TYPES, make_frame, make_study, random_rows
from hypothesis import given, settings
from hypothesis import strategies as st
from named_knowledge import named_knowledge

from galeno.features.assemble import JSON_FILE, MODALITIES, Assembler
from galeno.features.encoder import Sample
from galeno.ingest.columns import DTYPES
from galeno.records import PATIENT

DISEASES = {"sano": ["OMIM:100001", "OMIM:100002"], "grave": "OMIM:100004"}
CASES: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "table": ({k: v for k, v in TYPES.items() if v != "text"}, {}),
    "text": ({"note": "text"}, {}),
    "terms": ({"signs": "terms"}, {}),
    "terms with knowledge": ({"signs": "terms"}, {"phenotype": {"knowledge": "required"}}),
    "terms of diseases": ({"signs": "terms"}, {"phenotype": {"diseases": DISEASES}}),
    "few groups": ({"signs": "terms", "age": "number"}, {"phenotype": {"groups": 3, "diseases": DISEASES}}),
    "all": (TYPES, {}),
    "robust": (TYPES, {"table": {"scale": "robust", "one_hot_up_to": 2, "quantile_copies": True}}),
    "plain": (
        TYPES,
        {"table": {"scale": "none", "quantile_copies": False}, "text": {"svd": 0, "negation": False}},
    ),
    "words": (TYPES, {"text": {"words": 3, "characters": 0}}),
    "characters": (TYPES, {"text": {"words": 0, "characters": 3, "max_terms": 100}}),
    "pca": (TYPES, {"reduce": "pca", "components": 5}),
    "lda": (TYPES, {"reduce": "lda", "components": 2}),
    "select": (TYPES, {"select": 20, "reduce": "pca"}),
}


@pytest.fixture(scope="module", autouse=True)
def knowledge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with named_knowledge(tmp_path_factory.mktemp("knowledge")):
        yield


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest, knowledge: None) -> tuple[Any, ...]:
    """study, frame, labels, assembler, matrix"""
    types, features = CASES[request.param]
    study = make_study(types, **features)
    rows, labels = random_rows(120, seed=1)
    frame = make_frame(rows, types)
    assembler, matrix = Assembler.fit(study, frame, labels, seed=3, threads=1)
    return study, frame, labels, assembler, matrix


def test_every_column_type_has_one_encoder() -> None:
    taken = [kind for modality in MODALITIES.values() for kind in modality.types]
    assert sorted(taken) == sorted(set(taken)) == sorted(DTYPES)


def test_matrix_is_float32_contiguous_and_finite(case: tuple[Any, ...]) -> None:
    _, frame, _, assembler, matrix = case
    for made in (matrix, assembler.transform(frame)):
        assert made.shape == (frame.height, len(assembler.names))
        assert made.dtype == np.float32
        assert made.flags.c_contiguous
        assert np.isfinite(made).all()


def test_columns_are_described(case: tuple[Any, ...]) -> None:
    study, _, _, assembler, _ = case
    assert (
        len(assembler.names) == len(set(assembler.names)) == len(assembler.sources) == len(assembler.blocks)
    )
    for source, block in zip(assembler.sources, assembler.blocks, strict=True):
        assert source in study.columns or (source == "" and block == "projection")
        assert block in {"table", "copies", "ngrams", "svd", "projection"}


def test_fitting_again_gives_the_same_matrix(case: tuple[Any, ...]) -> None:
    study, frame, labels, assembler, matrix = case
    again, other = Assembler.fit(study, frame, labels, seed=3, threads=2)
    assert other.tobytes() == matrix.tobytes()
    assert again.names == assembler.names


def test_one_row_equals_many_rows(case: tuple[Any, ...]) -> None:
    _, frame, _, assembler, _ = case
    many = assembler.transform(frame)
    one = np.vstack([assembler.transform(frame[i]) for i in range(0, frame.height, 7)])
    assert one.tobytes() == np.ascontiguousarray(many[::7]).tobytes()
    records = np.stack([assembler.transform_record(row) for row in frame.to_dicts()])
    assert assembler.transform_records(frame.to_dicts()).tobytes() == records.tobytes()
    assert assembler.transform_records(frame.to_dicts()[:3]).tobytes() == records[:3].tobytes()
    assert records.tobytes() == many.tobytes()


def test_no_rows_give_no_rows(case: tuple[Any, ...]) -> None:
    _, frame, _, assembler, _ = case
    assert assembler.transform(frame.clear()).shape == (0, len(assembler.names))


def test_empty_record_equals_row_of_nulls_and_absent_columns(case: tuple[Any, ...]) -> None:
    study, _, _, assembler, _ = case
    empty = assembler.transform_record({})
    assert np.isfinite(empty).all()
    nulls = make_frame([{}], {name: column.type for name, column in study.columns.items()})
    assert assembler.transform(nulls)[0].tobytes() == empty.tobytes()
    keyed = nulls.with_columns(other=1.0).select("other")
    assert assembler.transform(keyed)[0].tobytes() == empty.tobytes()


def test_round_trip_is_exact(case: tuple[Any, ...], tmp_path: Any) -> None:
    _, frame, _, assembler, _ = case
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, made in ((first, assembler), (second, None)):
        folder.mkdir()
        (made or Assembler.load(first)).save(folder)
    loaded = Assembler.load(second)
    assert loaded.transform(frame).tobytes() == assembler.transform(frame).tobytes()
    assert (loaded.names, loaded.sources, loaded.blocks) == (
        assembler.names,
        assembler.sources,
        assembler.blocks,
    )
    files = sorted(path.name for path in first.iterdir())
    assert files == ["features.json", "features.npz"]
    for name in files:
        assert (first / name).read_bytes() == (second / name).read_bytes()
    assert (first / JSON_FILE).read_bytes().endswith(b"\n")


def test_views_leave_out_their_blocks(case: tuple[Any, ...]) -> None:
    _, _, _, assembler, matrix = case
    blocks = np.array(assembler.blocks)
    assert assembler.view("all").tolist() == list(range(matrix.shape[1]))
    assert not np.isin(blocks[assembler.view("linear")], ["svd"]).any()
    dense = blocks[assembler.view("dense")]
    assert (
        not np.isin(dense, ["ngrams", "copies"]).any()
        or not np.isin(blocks, ["table", "svd", "projection"]).any()
    )


def test_rows_outside_the_fitting_set_change_nothing(case: tuple[Any, ...]) -> None:
    """Fitted on rows 0-79 of two frames that differ from row 80 on, everything is the same."""
    study, frame, labels, _, _ = case
    types = {name: column.type for name, column in study.columns.items()}
    rows, others = random_rows(40, seed=99, missing=0.5)
    changed = frame[:80].vstack(make_frame([{**row, "ward": "new", "note": "nuevo"} for row in rows], types))
    relabelled = np.concatenate([labels[:80], others])
    first, one = Assembler.fit(study, frame[:80], labels[:80], 3, 1)
    second, two = Assembler.fit(study, changed[:80], relabelled[:80], 3, 1)
    assert one.tobytes() == two.tobytes()
    assert first.transform(frame).tobytes() == second.transform(frame).tobytes()


ASSEMBLERS = {
    name: Assembler.fit(make_study(TYPES, **features), make_frame(rows), labels, seed=3, threads=1)[0]
    for name, features in {
        "plain": {},
        "targets": {"table": {"one_hot_up_to": 2, "scale": "robust"}},
        "chosen": {"select": 15, "reduce": "lda", "components": 2},
    }.items()
    for rows, labels in [random_rows(150, seed=2)]
}


@settings(max_examples=50, deadline=None)
@given(st.lists(RECORDS, min_size=1, max_size=4), st.sampled_from(sorted(ASSEMBLERS)))
def test_any_record_alone_equals_its_row_in_a_frame(records: list[dict[str, Any]], name: str) -> None:
    assembler = ASSEMBLERS[name]
    matrix = assembler.transform(make_frame(records))
    assert np.isfinite(matrix).all()
    for row, record in zip(matrix, records, strict=True):
        assert assembler.transform_record(record).tobytes() == row.tobytes()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(RECORDS, min_size=2, max_size=12),
    st.integers(0, 2**31),
    st.sampled_from(["none", "standard", "robust"]),
)
def test_any_rows_can_be_learned_from(records: list[dict[str, Any]], seed: int, scale: str) -> None:
    varied = [*records, {"age": 1.0, "sex": "F"}, {"age": 2.0, "sex": "M"}]
    labels = np.random.default_rng(seed).integers(-1, 3, len(varied))
    frame = make_frame(varied)
    study = make_study(table={"scale": scale, "one_hot_up_to": 2}, reduce="lda", components=2)
    assembler, matrix = Assembler.fit(study, frame, labels, seed, 1)
    assert np.isfinite(matrix).all()
    made = assembler.transform(frame)
    assert np.isfinite(made).all()
    records_made = np.stack([assembler.transform_record(record) for record in varied])
    assert records_made.tobytes() == made.tobytes()


def test_sample_numbers_patients() -> None:
    frame = make_frame([{"age": 1.0}] * 4)
    labels = np.zeros(4, np.int64)
    assert Sample.of(frame, labels, 3).patients.tolist() == [0, 1, 2, 3]
    owned = frame.with_columns(**{PATIENT: pl.Series(["b", "a", "b", "a"])})
    assert Sample.of(owned, labels, 3).patients.tolist() == [1, 0, 1, 0]
