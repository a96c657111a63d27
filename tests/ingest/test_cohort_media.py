"""Cohorts with sounds and images: seeded, readable but for a few files, learnable, each modality a part."""

import io
import re
import unicodedata
import wave
from itertools import pairwise
from pathlib import Path

import numpy as np
import PIL.Image
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from galeno.ingest.cohort import KINDS, simulate
from galeno.ingest.cohort_findings import FINDINGS
from galeno.ingest.cohort_media import EVERYTHING, IMAGES, LUNGS, MEDIA_KINDS
from galeno.ingest.source import read_source
from galeno.knowledge.opened import open_vocabulary
from galeno.media.content import clean
from galeno.media.fault import MediaFault
from galeno.study_file import load_study

FILES = {
    "lungs": {"file": "sound"},
    "images": {"image": "image"},
    "everything": {"breath": "sound", "smear": "image"},
}
CLASSES = {"lungs": LUNGS, "images": IMAGES, "everything": EVERYTHING}
RULES = ("empty_file", "truncated", "wrong_type")
ANSWER_WORDS = re.compile(r"asma|asthma|epoc|copd|insuficiencia|failure|neumon|pneumon|icc\b|chf\b")


@pytest.fixture(scope="module", params=sorted(MEDIA_KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def lungs() -> pl.DataFrame:
    return simulate("lungs", 150, seed=5)


@pytest.fixture(scope="module")
def images() -> pl.DataFrame:
    return simulate("images", 400, seed=5)


@pytest.fixture(scope="module")
def everything() -> pl.DataFrame:
    return simulate("everything", 240, seed=1)


def whole(file: bytes) -> bool:
    """Whether a file is as long as it says (WAV), or has its end (PNG)."""
    if file.startswith(b"RIFF"):
        return int.from_bytes(file[4:8], "little") + 8 == len(file)
    return file.startswith(b"\x89PNG") and file.endswith(b"IEND\xaeB`\x82")


def keep_whole(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    return frame.filter(
        pl.Series([file is not None and whole(file) for file in frame[column]], dtype=pl.Boolean)
    )


def learn(matrix: NDArray[np.float64], labels: NDArray[np.str_], groups: NDArray[np.int64]) -> float:
    """Accuracy on the third of the groups that did not teach."""
    held = groups % 3 == 0
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(matrix[~held], labels[~held])
    return float(model.score(matrix[held], labels[held]))


def patients(frame: pl.DataFrame) -> NDArray[np.int64]:
    return frame["patient_id"].str.slice(1).cast(pl.Int64).to_numpy()


def hear(file: bytes) -> NDArray[np.float64]:
    """Mean, spread and peaks of log power in 20 bands, shape (60,)."""
    with wave.open(io.BytesIO(file)) as opened:
        sound = np.frombuffer(opened.readframes(opened.getnframes()), dtype="<i2") / 32768
    frames = np.lib.stride_tricks.sliding_window_view(sound, 256)[::128] * np.hanning(256)
    power = np.abs(np.fft.rfft(frames)) ** 2
    edges = np.geomspace(3, 128, 21).astype(int)
    bands = np.log(np.column_stack([power[:, a : b + 1].mean(axis=1) for a, b in pairwise(edges)]) + 1e-9)
    return np.concatenate([bands.mean(axis=0), bands.std(axis=0), np.quantile(bands, 0.97, axis=0)])


def see(file: bytes) -> NDArray[np.float64]:
    """Histograms of the colours and grey around the middle, shape (46,)."""
    with PIL.Image.open(io.BytesIO(file)) as picture:
        pixels = np.asarray(picture, dtype=np.float64)
    colours = [np.histogram(pixels[..., c], 10, (0, 255))[0] / 1024 for c in range(3)]
    away = np.hypot(*(axis - 15.5 for axis in np.mgrid[0:32, 0:32]))
    grey = pixels.mean(axis=2)
    rings = [grey[(away >= r) & (away < r + 2)] for r in range(0, 16, 2)]
    return np.concatenate([*colours, [r.mean() for r in rings], [r.std() for r in rings]])


def test_same_seed_same_frame(kind: str) -> None:
    first = simulate(kind, 12, seed=1)
    assert first.equals(simulate(kind, 12, seed=1))
    assert first.equals(read_source(f"cohort:{kind}?n=12&seed=1"))
    assert not first.equals(simulate(kind, 12, seed=2))


@settings(max_examples=12, deadline=None)
@given(st.sampled_from(sorted(MEDIA_KINDS)), st.integers(1, 8), st.integers(0, 1000))
def test_any_size_has_the_same_form(kind: str, n: int, seed: int) -> None:
    frame = simulate(kind, n, seed)
    assert frame.columns == simulate(kind, 1, 0).columns
    for name, dtype in frame.schema.items():
        assert dtype == (pl.Binary if name in FILES[kind] else pl.String)
    assert frame["patient_id"].n_unique() == n
    assert frame["condition"].is_in(list(CLASSES[kind])).all()


def test_study_names_every_column(kind: str, repository: Path) -> None:
    study = load_study(repository / "studies" / kind / "study.yaml")
    roles = study.records
    special = {roles.target, roles.patient, roles.record} - {None}
    assert set(study.columns) | special == set(simulate(kind, 1).columns)
    assert set(study.class_names) == set(CLASSES[kind])
    assert {n: c.type for n, c in study.columns.items() if c.type in ("sound", "image")} == FILES[kind]
    assert roles.source == f"cohort:{kind}?n={MEDIA_KINDS[kind]}&seed=7"


def test_the_order_of_kinds_is_kept() -> None:
    assert KINDS == ("severity", "orphan", "lungs", "images", "everything")  # chance starts from the place


def test_a_patient_stays_the_same(lungs: pl.DataFrame, images: pl.DataFrame) -> None:
    for frame, most in ((lungs, 3), (images, 2)):
        rows = frame.group_by("patient_id").agg(pl.len(), pl.exclude("patient_id").drop_nulls().n_unique())
        assert rows["condition"].max() == 1
        assert rows["age"].max() == 1
        assert rows["len"].max() == most
        assert rows["len"].min() == 1


def test_a_few_files_are_faulty(lungs: pl.DataFrame, images: pl.DataFrame, everything: pl.DataFrame) -> None:
    columns = ((lungs, "file", "sound"), (images, "image", "image"), (everything, "smear", "image"))
    for frame, column, kind in columns:
        files = frame[column].drop_nulls().to_list()
        rules = []
        for file in files:
            if not whole(file):
                with pytest.raises(MediaFault) as caught:
                    clean("sound" if kind == "sound" else "image", file)
                rules.append(caught.value.rule)
        assert sorted(rules) == sorted(RULES[turn % 3] for turn in range(round(0.01 * len(files))))
        for file in [file for file in files if whole(file)][:8]:
            assert clean("sound" if kind == "sound" else "image", file).kind == kind


def test_modalities_are_missing_but_not_as_an_answer(everything: pl.DataFrame) -> None:
    for name, share in {"breath": 0.3, "smear": 0.3, "note": 0.2, "signs": 0.33}.items():
        assert everything[name].is_null().mean() == pytest.approx(share, abs=0.1)
        gaps = everything.group_by("condition").agg(pl.col(name).is_null().mean())[name]
        assert gaps.max() - gaps.min() < 0.3
    lacking = everything.select(pl.sum_horizontal(pl.col("breath", "smear", "note", "signs").is_null()))
    assert lacking.to_series().max() >= 3


def test_signs_are_hpo_terms(everything: pl.DataFrame) -> None:
    vocabulary = open_vocabulary()
    assert vocabulary is not None, "the extra `rare` is part of the development environment"
    for finding in FINDINGS.values():
        assert vocabulary.find(finding.term) == finding.term
    for cell in everything["signs"].drop_nulls():
        assert re.fullmatch(r"-?HP:\d{7}(; -?HP:\d{7})*", cell)


def test_note_does_not_hold_the_answer(everything: pl.DataFrame) -> None:
    notes = everything["note"].drop_nulls()
    for note in notes:
        plain = unicodedata.normalize("NFKD", note).encode("ascii", "ignore").decode().lower()
        assert not ANSWER_WORDS.search(plain), note
    assert notes.n_unique() > 0.9 * len(notes)
    assert 0.1 < notes.str.contains(r"\b(?:Denies|Without|Female|Male|old)\b|y/o").mean() < 0.5
    assert notes.str.contains(r"Niega|No refiere|Sin ").mean() > 0.3


def test_form_and_note_agree(everything: pl.DataFrame) -> None:
    ticked = everything.filter(pl.col("cough") == "yes")["note"].drop_nulls()
    assert not ticked.str.contains(r"(?:Niega|No refiere|Sin) tos|(?:Denies|No|Without) cough").any()
    assert ticked.str.contains("tos|cough").mean() > 0.5


def test_lungs_can_be_learned_but_not_by_heart(lungs: pl.DataFrame) -> None:
    good = keep_whole(lungs, "file")
    heard = np.array([hear(file) for file in good["file"]])
    assert 0.45 < learn(heard, good["condition"].to_numpy(), patients(good)) < 0.9


def test_images_can_be_learned_but_not_by_heart(images: pl.DataFrame) -> None:
    good = keep_whole(images, "image")
    seen = np.array([see(file) for file in good["image"]])
    assert 0.65 < learn(seen, good["condition"].to_numpy(), patients(good)) < 0.92


def test_a_chest_tells_wheezes_from_crackles(everything: pl.DataFrame) -> None:
    good = keep_whole(everything, "breath")
    heard = np.array([hear(file) for file in good["breath"]])
    wheezy = good["condition"].is_in(["asthma", "copd"]).to_numpy()
    assert 0.65 < learn(heard, wheezy, patients(good)) < 0.97


def test_a_smear_tells_asthma_from_copd(everything: pl.DataFrame) -> None:
    good = keep_whole(everything, "smear").filter(pl.col("condition").is_in(["asthma", "copd"]))
    seen = np.array([see(file) for file in good["smear"]])
    assert 0.7 < learn(seen, good["condition"].to_numpy(), patients(good)) < 0.97


def test_terms_tell_heart_failure_from_pneumonia(everything: pl.DataFrame) -> None:
    good = everything.filter(pl.col("condition").is_in(["heart_failure", "pneumonia"])).drop_nulls("signs")
    said = np.array([[one.term in cell.split("; ") for one in FINDINGS.values()] for cell in good["signs"]])
    assert 0.65 < learn(said.astype(np.float64), good["condition"].to_numpy(), patients(good)) < 0.97
