import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from feature_cases import make_frame, make_study, random_rows
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from galeno.errors import LearningError, PackageError
from galeno.features.assemble import ARRAYS_FILE, JSON_FILE, Assembler
from galeno.records import PATIENT


@pytest.fixture(scope="module")
def assembler() -> Assembler:
    rows, labels = random_rows(80, seed=4)
    return Assembler.fit(make_study(), make_frame(rows), labels, 1, 1)[0]


def test_no_varying_column_is_refused() -> None:
    with pytest.raises(LearningError, match="no feature column varies"):
        Assembler.fit(make_study(), make_frame([{"age": 1.0}, {"age": 1.0}]), np.array([0, 1]), 1, 1)


def test_names_are_made_distinct() -> None:
    types = {"age": "number", "age missing": "number"}
    frame = make_frame(
        [{"age": None, "age missing": 1.0}, {"age": 2.0}, {"age": 3.0, "age missing": 4.0}], types
    )
    assembler, _ = Assembler.fit(make_study(types), frame, np.array([0, 1, 2]), 1, 1)
    assert assembler.names == ("age", "age missing", "age missing (2)", "age missing missing")


def test_unknown_view_is_refused(assembler: Assembler) -> None:
    with pytest.raises(LearningError, match="all, linear, dense"):
        assembler.view("sparse")


def test_selection_keeps_the_best_columns() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 200)
    rows = [
        {"age": float(rng.normal()), "lab": float(label), "count": float(rng.normal())} for label in labels
    ]
    assembler, matrix = Assembler.fit(make_study(select=1), make_frame(rows), labels, 1, 1)
    assert assembler.names == ("lab",)
    assert matrix.shape == (200, 1)
    assert assembler.transform_record({"lab": 2.0}).shape == (1,)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (JSON_FILE, b"{"),
        (JSON_FILE, b"[]"),
        (JSON_FILE, b'{"format": 99}'),
        (JSON_FILE, b'{"format": 1, "encoders": [{"modality": "smell"}], "projection": null}'),
        (JSON_FILE, b"\xff\xfe"),
        (ARRAYS_FILE, b"junk"),
        (ARRAYS_FILE, None),
        (JSON_FILE, None),
    ],
)
def test_damaged_package_is_refused(
    assembler: Assembler, tmp_path: Path, name: str, content: bytes | None
) -> None:
    assembler.save(tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(PackageError, match=str(tmp_path)):
        Assembler.load(tmp_path)


def test_state_holds_no_row(tmp_path: Path) -> None:
    """A level, word or identifier that one patient alone has is not in the package."""
    rows, labels = random_rows(60, seed=4)
    rows[7] |= {"ward": "Zimmer-4711", "note": "dolor de Xochiquetzal"}
    assembler, _ = Assembler.fit(make_study(table={"one_hot_up_to": 3}), make_frame(rows), labels, 1, 1)
    assembler.save(tmp_path)
    content = (tmp_path / JSON_FILE).read_text(encoding="utf-8").lower()
    assert "4711" not in content
    assert "xochiquetzal" not in content
    assert json.loads(content)["format"] == 1


def test_random_labels_teach_nothing() -> None:
    """A model of half the fitted matrix stays at chance on the other half, target encodings and all."""
    found = []
    for seed in range(5):
        rows, _ = random_rows(400, seed=seed)
        rng = np.random.default_rng(100 + seed)
        labels = rng.integers(0, 2, 400)
        frame = make_frame(rows).with_columns(pl.Series(PATIENT, [f"p{i // 2}" for i in range(400)]))
        _, matrix = Assembler.fit(make_study(table={"one_hot_up_to": 2}), frame, labels, 1, 1)
        taught = np.arange(400) < 200
        model = LogisticRegression(C=0.1, max_iter=500).fit(matrix[taught], labels[taught])
        found.append(roc_auc_score(labels[~taught], model.decision_function(matrix[~taught])))
    assert 0.44 < np.mean(found) < 0.56
