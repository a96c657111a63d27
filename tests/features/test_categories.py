import numpy as np
import polars as pl
import pytest
from feature_cases import make_study
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import TargetEncoder

from galeno.features.assemble import Assembler
from galeno.features.categories import CategoryEncoder
from galeno.features.crossfit import FOLDS, deal_patients
from galeno.features.encoder import Sample
from galeno.records import PATIENT


def fit(values: list[str | None], labels: np.ndarray, up_to: int = 12, classes: int = 3) -> CategoryEncoder:
    encoder, _ = CategoryEncoder.fit(
        ["c"], Sample.of(pl.DataFrame({"c": values}), labels, classes), up_to, seed=0
    )
    return encoder


def encode(encoder: CategoryEncoder, values: list[str | None]) -> np.ndarray:
    out = np.zeros((len(values), len(encoder.columns)), np.float32)
    encoder.write(pl.DataFrame({"c": values}, schema={"c": pl.String}), out)
    return out


def test_few_levels_have_a_column_each_and_missing_one_too() -> None:
    encoder = fit(["b", "a", None, "c", "a", "b", "c", None], np.zeros(8, np.int64))
    assert [c.name for c in encoder.columns] == ["c=a", "c=b", "c=c", "c missing"]
    assert encode(encoder, ["b", None, "new"]).tolist() == [[0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]]


def test_two_levels_have_one_column() -> None:
    encoder = fit(["F", "M", "F", "M"], np.zeros(4, np.int64))
    assert [c.name for c in encoder.columns] == ["c=M"]
    assert encode(encoder, ["F", "M", None, "new"]).ravel().tolist() == [0, 1, 0, 0]


def test_level_of_one_patient_is_as_unseen() -> None:
    encoder = fit(["a", "a", "b", "b", "c", "c", "only"], np.zeros(7, np.int64))
    assert "c=only" not in [c.name for c in encoder.columns]
    assert not encode(encoder, ["only"]).any()
    frame = pl.DataFrame({"c": ["a", "b", "a", "b", "hers", "hers"], PATIENT: ["1", "1", "2", "2", "3", "3"]})
    owned, _ = CategoryEncoder.fit(["c"], Sample.of(frame, np.zeros(6, np.int64), 3), 12, seed=0)
    assert [c.name for c in owned.columns] == ["c=b"]


@pytest.mark.parametrize("values", [[None, None], ["a", "a"], [], ["x", "y"]])
def test_column_that_does_not_vary_gives_nothing(values: list[str | None]) -> None:
    frame = pl.DataFrame({"c": pl.Series(values, dtype=pl.String)})
    encoder, crossed = CategoryEncoder.fit(
        ["c"], Sample.of(frame, np.zeros(len(values), np.int64), 3), 12, seed=0
    )
    assert encoder.columns == ()
    assert crossed == {}
    assert encode(encoder, ["a", None]).shape == (2, 0)


def test_encodings_are_those_of_scikit_learn() -> None:
    """Equal up to the scaling of each column."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 600)
    values = np.array([f"l{v:02}" for v in (rng.integers(0, 20, 600) + 5 * labels)], dtype=object)
    counts = {v: int((values == v).sum()) for v in values}
    values[[i for i, v in enumerate(values) if counts[v] < 2]] = "l05"
    encoder = fit(values.tolist(), labels, up_to=5)
    levels = sorted(set(values))
    ours = encode(encoder, levels)[:, :3].astype(np.float64)
    peer = TargetEncoder(target_type="multiclass", smooth=20.0, random_state=0).fit(
        values.reshape(-1, 1), labels
    )
    theirs = peer.transform(np.array(levels, dtype=object).reshape(-1, 1))
    for column in range(3):
        assert np.corrcoef(ours[:, column], theirs[:, column])[0, 1] > 1 - 1e-9


def test_unseen_level_gets_the_overall_shares() -> None:
    rng = np.random.default_rng(1)
    values = [f"l{v}" for v in rng.integers(0, 30, 900)]
    encoder = fit(values, rng.integers(0, 2, 900), up_to=5, classes=2)
    assert [c.name for c in encoder.columns] == ["c class 1", "c frequency"]
    unseen = encode(encoder, ["new"])[0]
    assert abs(unseen[0]) < 0.2
    assert unseen[1] == 0


def test_absent_class_has_no_column() -> None:
    rng = np.random.default_rng(1)
    values = [f"l{v}" for v in rng.integers(0, 30, 900)]
    labels = np.where(rng.random(900) < 0.5, 0, 2)
    encoder = fit(values, labels)
    assert [c.name for c in encoder.columns] == ["c class 2", "c frequency"]


def test_identifier_tells_nothing_about_random_labels() -> None:
    """Cross-fitting leaves a model of the fitted matrix at chance, by row or by patient."""
    rng = np.random.default_rng(5)
    for repeats in (1, 4):
        patients = [f"p{i}" for i in np.repeat(np.arange(1200 // repeats), repeats)]
        labels = np.repeat(rng.integers(0, 2, 1200 // repeats), repeats)
        groups = [f"g{i}" for i in np.repeat(np.arange(600 // repeats), 2 * repeats)]
        frame = pl.DataFrame({"ident": patients, "pair": groups, PATIENT: patients})
        study = make_study({"ident": "category", "pair": "category"}, table={"one_hot_up_to": 2})
        _, matrix = Assembler.fit(study, frame, labels, seed=1, threads=1)
        for column in range(matrix.shape[1]):
            auc = roc_auc_score(labels, matrix[:, column])
            assert 0.42 < auc < 0.58
        half = rng.permutation(1200 // repeats) < 600 // repeats
        train = np.repeat(half, repeats)
        model = LogisticRegression().fit(matrix[train], labels[train])
        assert 0.42 < roc_auc_score(labels[~train], model.decision_function(matrix[~train])) < 0.58


def test_fitting_on_own_labels_would_leak() -> None:
    """The check above can fail: the same identifier encoded by `transform` gives its labels away."""
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 2, 1200)
    frame = pl.DataFrame({"pair": [f"g{i // 2}" for i in range(1200)]})
    study = make_study({"pair": "category"}, table={"one_hot_up_to": 2})
    assembler, matrix = Assembler.fit(study, frame, labels, seed=1, threads=1)
    column = assembler.names.index("pair class 1")
    assert roc_auc_score(labels, assembler.transform(frame)[:, column]) > 0.8
    assert roc_auc_score(labels, matrix[:, column]) < 0.58


def test_patients_are_dealt_evenly_and_stay_together() -> None:
    rng = np.random.default_rng(2)
    patients = rng.integers(0, 300, 1000)
    labels = (patients % 10 == 0).astype(np.int64)
    sample = Sample(pl.DataFrame({"c": ["a"] * 1000}), labels, 2, np.unique(patients, return_inverse=True)[1])
    folds = deal_patients(sample, seed=4)
    for patient in np.unique(sample.patients):
        assert len(set(folds[sample.patients == patient].tolist())) == 1
    rare = [len(set(sample.patients[(folds == f) & (labels == 1)].tolist())) for f in range(FOLDS)]
    assert max(rare) - min(rare) <= 1
    assert (deal_patients(sample, seed=4) == folds).all()
    assert (deal_patients(sample, seed=5) != folds).any()
