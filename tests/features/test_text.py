from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from feature_cases import make_frame, make_study
from scipy import sparse
from sklearn.metrics import f1_score
from sklearn.svm import LinearSVC

from galeno.features import assemble
from galeno.features.assemble import Assembler
from galeno.records import PATIENT
from galeno.study import Study

NOTE = {"note": "text"}


def fit(
    texts: list[str | None], patients: list[str] | None = None, **text: Any
) -> tuple[Assembler, np.ndarray]:
    frame = make_frame([{"note": value} for value in texts], NOTE)
    if patients:
        frame = frame.with_columns(pl.Series(PATIENT, patients))
    return Assembler.fit(make_study(NOTE, text=text), frame, np.arange(len(texts)) % 3, 1, 1)


def test_negated_and_stated_findings_differ() -> None:
    assembler, matrix = fit(
        ["tiene fiebre", "no fiebre", "tiene fiebre", "no fiebre"], characters=0, svd=0, words=1
    )
    assert assembler.names == ("note: fiebre", "note: no", "note: not_fiebre", "note: tiene")
    assert matrix[0, 0] > 0
    assert matrix[1, 0] == 0


def test_terms_of_one_patient_are_left_out() -> None:
    assembler, _ = fit(["garcia fiebre", "garcia fiebre", "fiebre tos"], ["1", "1", "2"], characters=0, svd=0)
    assert not any("garcia" in name for name in assembler.names)
    assert "note: fiebre" in assembler.names


def test_missing_text_is_marked_where_it_occurred() -> None:
    assembler, matrix = fit(["fiebre", None, " ", "fiebre"], svd=0)
    place = assembler.names.index("note missing")
    assert assembler.blocks[place] == "table"
    assert matrix[:, place].tolist() == [0, 1, 1, 0]
    assert not matrix[1, :place].any()
    assert "note missing" not in fit(["fiebre", "tos fiebre"], svd=0)[0].names


def test_components_are_bounded_by_rows_and_scaled() -> None:
    texts = [
        "dolor de cabeza",
        "dolor de pecho",
        "fiebre alta",
        "fiebre y tos",
        "tos y dolor",
        "cabeza y pecho",
    ]
    assembler, matrix = fit(texts, svd=64)
    places = [i for i, block in enumerate(assembler.blocks) if block == "svd"]
    assert 1 <= len(places) <= 5
    assert np.isclose((matrix[:, places] ** 2).mean(), 1, atol=1e-3)


def test_memory_guard_bounds_the_terms(monkeypatch: Any) -> None:
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefgh"), 6)) for _ in range(400)]
    texts: list[str | None] = [" ".join(rng.choice(words, 30)) for _ in range(100)]
    free, _ = fit(texts, svd=0)
    monkeypatch.setattr(assemble, "NGRAM_BYTES", 100 * 4 * 2 * 150)
    bounded, matrix = fit(texts, svd=0)
    assert len(free.names) > 1000
    assert len(bounded.names) == 300
    assert matrix.nbytes <= 100 * 4 * 2 * 150


def test_real_texts(real_data: Path) -> None:
    """One fold of the 24 kinds of symptom texts; the linear view and a linear model read them."""
    frame = pl.read_csv(real_data / "symptom_texts" / "dev.csv.gz")
    names = sorted(frame["label"].unique())
    labels = np.array([names.index(label) for label in frame["label"]])
    study = Study.model_validate(
        {
            "name": "texts",
            "records": {"source": "dev.csv.gz", "target": "label"},
            "classes": [{"name": name} for name in names],
            "columns": {"text": {"type": "text"}},
        }
    )
    judged = np.arange(len(labels)) % 5 == 0
    assembler, matrix = Assembler.fit(study, frame.filter(~judged), labels[~judged], 1, 1)
    shown = assembler.view("linear")
    model = LinearSVC(C=3.0, random_state=0).fit(sparse.csr_array(matrix[:, shown]), labels[~judged])
    answers = model.predict(assembler.transform(frame.filter(judged))[:, shown])
    assert f1_score(labels[judged], answers, average="macro") > 0.94
