"""Folds divide the rows, and their encoders never saw the rows held out."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.features.assemble import Assembler
from galeno.learning.folds import prepare_folds

from .learning_cases import deal, draw_records, fold_up, make_study


def test_every_row_is_held_out_once_and_fitted_on_otherwise(tmp_path: Path) -> None:
    frame, labels = draw_records(50)
    study = make_study()
    divisions = [deal(50), np.roll(deal(50, 4), 1)]
    folds = prepare_folds(study, frame, labels, divisions, tmp_path, threads=2)
    assert len(folds) == 7
    for group in (folds[:3], folds[3:]):
        assert np.concatenate([fold.held_out for fold in group]).tolist() != []
        assert sorted(np.concatenate([fold.held_out for fold in group])) == list(range(50))
    for fold in folds:
        assert sorted([*fold.fitting, *fold.held_out]) == list(range(50))
        assert len(fold.matrix) == len(fold.fitting)
        assert len(fold.held_out_matrix) == len(fold.held_out)
        assert fold.matrix.dtype == np.float32
        assert {"all", "linear", "dense", "late", "fused"} < set(fold.views)
        assembler, matrix = Assembler.fit(study, frame[fold.fitting], labels[fold.fitting], study.seed, 1)
        assert (fold.matrix == matrix).all()
        assert (fold.held_out_matrix == assembler.transform(frame[fold.held_out])).all()


@given(
    seed=st.integers(0, 100),
    features=st.sampled_from([{"reduce": "lda"}, {"reduce": "pca"}, {"select": 3}, {}]),
)
@settings(max_examples=12, deadline=None)
def test_rows_held_out_teach_the_fold_nothing(
    seed: int, features: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Other values and other labels there, and the fitting rows' matrix is the same, bit by bit."""
    frame, labels = draw_records(60, seed=seed)
    study = make_study(columns={"x0": "number", "x1": "number", "flag": "flag", "ward": "category"})
    table = {"one_hot_up_to": 3}
    study = study.model_validate({**study.model_dump(), "features": {"table": table, **features}})
    rng = np.random.default_rng(seed)
    frame = frame.with_columns(pl.Series("ward", [f"w{n}" for n in rng.integers(0, 15, 60)]))
    held_out = deal(60) == 1
    other_frame = frame.with_columns(
        pl.when(pl.Series(held_out)).then(pl.lit(999.0)).otherwise(pl.col("x0")).alias("x0"),
        pl.when(pl.Series(held_out)).then(pl.lit("elsewhere")).otherwise(pl.col("ward")).alias("ward"),
    )
    other_labels = np.where(held_out, rng.integers(0, 3, 60), labels)
    one, other = (
        fold_up(study, *rows, tmp_path_factory.mktemp("folds"))[1]
        for rows in ((frame, labels), (other_frame, other_labels))
    )
    assert one.matrix.tobytes() == other.matrix.tobytes()
    unchanged = fold_up(study, frame, other_labels, tmp_path_factory.mktemp("folds"))[1]
    assert one.held_out_matrix.tobytes() == unchanged.held_out_matrix.tobytes()
