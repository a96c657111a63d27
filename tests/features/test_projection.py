import numpy as np
import polars as pl
from feature_cases import make_frame, make_study, random_rows
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import roc_auc_score

from galeno.features.assemble import Assembler
from galeno.features.encoder import Sample
from galeno.features.projection import Projection, main_directions


def sample_of(labels: np.ndarray) -> Sample:
    return Sample.of(pl.DataFrame({"c": np.zeros(len(labels))}), labels, int(labels.max()) + 1)


def test_pca_is_that_of_scikit_learn() -> None:
    x = (np.random.default_rng(0).normal(size=(200, 6)) * np.arange(1, 7)).astype(np.float32)
    sample = sample_of(np.arange(200) % 2)
    projection, made = Projection.fit("pca", x, np.arange(6), sample, components=3, seed=0)
    theirs = PCA(3, svd_solver="full").fit_transform(x.astype(np.float64))
    assert np.allclose(np.abs(made), np.abs(theirs), atol=1e-4)
    assert np.array_equal(projection.project(x), made)


def test_lda_separates_as_scikit_learn_does() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 600)
    x = (rng.normal(size=(600, 5)) + np.eye(5)[labels] * 2).astype(np.float32)
    projection, _ = Projection.fit("lda", x, np.arange(5), sample_of(labels), components=2, seed=0)
    peer = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(x, labels)
    scores = peer.decision_function(x)
    ours = np.column_stack([projection.project(x), np.ones(600)])
    fitted = ours @ np.linalg.lstsq(ours, scores - scores.mean(axis=1, keepdims=True), rcond=None)[0]
    assert np.corrcoef(fitted.ravel(), (scores - scores.mean(axis=1, keepdims=True)).ravel())[0, 1] > 0.99


def test_lda_of_random_labels_is_at_chance_on_the_fitted_rows() -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 400)
    x = rng.normal(size=(400, 150)).astype(np.float32)
    projection, made = Projection.fit("lda", x, np.arange(150), sample_of(labels), components=1, seed=0)
    assert 0.42 < roc_auc_score(labels, made[:, 0]) < 0.58
    own = roc_auc_score(labels, projection.project(x)[:, 0])
    assert max(own, 1 - own) > 0.7


def test_projection_is_appended() -> None:
    rows, labels = random_rows(100, seed=1)
    assembler, matrix = Assembler.fit(make_study(reduce="lda", components=16), make_frame(rows), labels, 1, 1)
    assert assembler.names[-2:] == ("lda 1", "lda 2")
    assert assembler.sources[-1] == ""
    assert matrix.shape[1] == len(assembler.names)


def test_directions_of_few_rows_are_those_of_the_covariance() -> None:
    x = np.random.default_rng(5).normal(size=(12, 40)) * np.linspace(1, 3, 40)
    turn = main_directions(x, 20)
    values, vectors = np.linalg.eigh(np.cov(x, rowvar=False, bias=True))
    theirs = vectors[:, np.argsort(-values)[:11]]
    theirs *= np.sign(theirs[np.abs(theirs).argmax(axis=0), np.arange(11)])
    assert turn.shape == (40, 11)
    assert np.allclose(turn, theirs, atol=1e-8)
    assert main_directions(np.ones((3, 9)), 5).shape == (9, 0)


def test_directions_of_many_columns_need_no_covariance() -> None:
    x = np.random.default_rng(6).normal(size=(10, 200_000))
    turn = main_directions(x, 3)
    assert turn.shape == (200_000, 3)
    assert np.allclose(turn.T @ turn, np.eye(3))


def test_scores_say_nothing_where_nothing_is_known() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random(4000) < 0.1).astype(np.int64)
    x = rng.normal(size=(4000, 4)).astype(np.float32)
    projection, made = Projection.fit("scores", x, np.arange(4), sample_of(labels), components=2, seed=0)
    for said in (made, projection.project(x)):
        assert np.abs(said.mean(axis=0)).max() < 0.05  # a class of a tenth would give -1.1 with its share
    moved = projection.of(np.array([5, 1, 3, 2]))
    wide = np.zeros((4000, 6), np.float32)
    wide[:, [5, 1, 3, 2]] = x
    assert np.array_equal(moved.project(wide), projection.project(x))
