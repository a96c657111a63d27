"""Where a sound or an image speaks: the part that carries the sign is the part that counts."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import signal

from galeno.errors import InputError, NotFoundError
from galeno.features.assemble import Assembler
from galeno.features.describer import Describer
from galeno.learning.candidates import fit_candidate
from galeno.learning.export import build_member
from galeno.media.image import make_image, write_image
from galeno.media.sound import Sound, read_sound, write_sound
from galeno.model.calibration import Calibration
from galeno.model.conformal import ConformalSet
from galeno.model.decision import DecisionRule
from galeno.model.ensemble import Ensemble, Link
from galeno.model.explain import explain
from galeno.model.model import Model
from galeno.model.parts import ModelParts
from galeno.model.reference import Reference
from galeno.model.relevance import BANDS, GRID, SPANS, locate
from galeno.records import PATIENT, Candidate
from galeno.study import Study

STUDY = Study.model_validate(
    {
        "name": "where",
        "records": {"source": "where.csv", "target": "class", "patient": "who"},
        "classes": [{"name": "plain"}, {"name": "sign"}],
        "columns": {"age": {"type": "number"}, "breath": {"type": "sound"}, "film": {"type": "image"}},
    }
)
SECONDS = 4


def make_breath(sign: bool, seed: int) -> bytes:
    """Noise; with the sign a tone of 800 Hz in its third second."""
    rng = np.random.default_rng(seed)
    times = np.arange(4000 * SECONDS) / 4000
    wave = 0.05 * rng.normal(size=len(times))
    if sign:
        wave += np.where((times >= 2) & (times < 3), 0.4 * np.sin(2 * np.pi * 800 * times), 0)
    return write_sound(Sound(wave.clip(-1, 1).astype(np.float32), 4000))


def make_film(sign: bool, seed: int) -> bytes:
    """Noise; with the sign a bright square in the lower right."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(60, 120, (28, 28)).astype(np.uint8)
    if sign:
        pixels[18:25, 18:25] = 250
    return write_image(make_image(pixels))


def make_record(sign: bool, seed: int, *, sound: bool = True, image: bool = True) -> dict[str, Any]:
    """A record that shows the sign, or not."""
    return {
        "age": 50.0 + seed % 7,
        "breath": make_breath(sign, seed) if sound else None,
        "film": make_film(sign, seed) if image else None,
    }


@pytest.fixture(scope="module")
def model() -> Model:
    """Learned from records of which a third shows the sign in the sound, a third in the image alone."""
    rows = []
    labels = np.arange(60) % 2
    for row, label in enumerate(labels):
        rows.append(
            {**make_record(bool(label), row, sound=row % 3 != 0, image=row % 3 != 1), PATIENT: str(row)}
        )
    schema = {"age": pl.Float64, "breath": pl.Binary, "film": pl.Binary, PATIENT: pl.String}
    frame = pl.DataFrame(rows, schema=schema)
    describer = Describer.of(STUDY)
    assembler, matrix = Assembler.fit(STUDY, describer.describe_frame(frame), labels, 7, 1)
    columns = assembler.view("dense")
    candidate = Candidate("logistic", "none", {"C": 0.05}, "dense")
    fitted = fit_candidate(candidate, matrix[:, columns], labels, n_classes=2, seed=7)
    member = build_member(
        fitted.estimator, fitted.family, matrix, name="logistic", columns=columns,
        classes_present=[0, 1], n_classes=2, weight=1.0, link=Link(),
    )  # fmt: skip
    ensemble = Ensemble([member], 2, len(assembler.names))
    p = ensemble.probabilities(matrix)
    parts = ModelParts(
        study=STUDY,
        assembler=assembler,
        describer=describer,
        ensemble=ensemble,
        calibration=Calibration.fit("none", p, labels),
        decision=DecisionRule.plain(2),
        conformal=ConformalSet.fit("lac", 0.9, p, labels),
        reference=Reference.fit(STUDY, frame, labels, p),
    )
    return Model(parts)


def test_the_square_is_found_where_it_is(model: Model) -> None:
    record = make_record(True, 1001)
    found = locate(model, record, "film", "sign")
    assert found.values.shape == (GRID, GRID)
    row, column = np.unravel_index(found.values.argmax(), found.values.shape)
    assert found.row_edges[row] >= 0.5
    assert found.column_edges[column] >= 0.5
    assert found.probability == pytest.approx(
        next(r.probability for r in model.diagnose(record).ranking if r.condition == "sign"), abs=1e-9
    )


def test_the_tone_is_found_in_its_band_and_second(model: Model) -> None:
    found = locate(model, make_record(True, 1002), "breath", "sign")
    assert found.values.shape == (BANDS, SPANS)
    row, column = np.unravel_index(found.values.argmax(), found.values.shape)
    assert found.row_edges[row] <= 800 <= found.row_edges[row + 1]
    assert found.column_edges[column] < 3
    assert found.column_edges[column + 1] > 2


def test_what_speaks_for_one_speaks_against_the_other(model: Model) -> None:
    record = make_record(True, 1003)
    one, other = (locate(model, record, "film", name) for name in model.classes)
    assert np.allclose(one.values, -other.values, atol=1e-9)


def test_the_same_record_gives_the_same_map(model: Model) -> None:
    record = make_record(True, 1004)
    assert (
        locate(model, record, "breath", "sign").values == locate(model, record, "breath", "sign").values
    ).all()


def test_a_long_sound_gets_a_coarser_map(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("galeno.model.relevance.SECONDS", 40.0)
    found = locate(model, make_record(True, 1005), "breath", "sign")
    assert found.values.size <= 10
    assert found.column_edges[-1] == pytest.approx(SECONDS)


def test_what_is_not_there_is_told(model: Model) -> None:
    with pytest.raises(NotFoundError, match="no sound or image"):
        locate(model, make_record(True, 1, image=False), "film", "sign")
    with pytest.raises(NotFoundError, match="no sound or image"):
        locate(model, make_record(True, 1), "age", "sign")
    with pytest.raises(InputError):
        locate(model, make_record(True, 1), "film", "flu")


def test_modalities_add_up_to_the_probability(model: Model) -> None:
    for record in (make_record(True, 1006), make_record(True, 1007, sound=False)):
        (first, _) = explain(model, record, conditions=2, seed=1)
        assert {share.modality for share in first.modalities} == {"table", "audio", "image"}
        assert first.base + sum(s.contribution for s in first.modalities) == pytest.approx(first.probability)
        if record["breath"] is None:
            assert {s.modality: s.contribution for s in first.modalities}["audio"] == 0


def test_a_missing_modality_is_no_error(model: Model) -> None:
    diagnosis = model.diagnose(make_record(True, 1008, sound=False))
    assert diagnosis.condition == "sign"
    assert "missing:audio" in diagnosis.reasons
    rows = [
        make_record(True, 1009),
        make_record(True, 1010, sound=False),
        make_record(False, 1011, image=False),
    ]
    answered = model.answer_frame(
        pl.DataFrame(rows, schema_overrides={"breath": pl.Binary, "film": pl.Binary})
    )
    for row, record in enumerate(rows):
        one = model.diagnose(record)
        assert answered["condition"][row] == one.condition
        assert answered["reasons"][row] == "|".join(one.reasons)
        assert answered["probability"][row] == pytest.approx(
            next(r.probability for r in one.ranking if r.condition == one.condition), abs=1e-6
        )


def test_a_fast_sound_is_looked_at_as_it_is_described(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = read_sound(make_breath(True, 1012))
    fast = Sound(signal.resample_poly(slow.samples, 11, 1).astype(np.float32).clip(-1, 1), 44_000)
    record = {**make_record(True, 1012), "breath": write_sound(fast)}
    described: list[Sound] = []
    describe = Describer.describe_sound

    def watch(describer: Describer, sound: Sound) -> bytes:
        described.append(sound)
        return describe(describer, sound)

    monkeypatch.setattr(Describer, "describe_sound", watch)
    found = locate(model, record, "breath", "sign")
    assert {sound.rate for sound in described if len(sound.samples) < len(fast.samples)} == {4000}
    assert len([sound for sound in described if sound.rate == 4000]) == BANDS * SPANS + 1
    row, column = np.unravel_index(found.values.argmax(), found.values.shape)
    assert found.row_edges[row] <= 800 <= found.row_edges[row + 1]
    assert found.column_edges[column] < 3
    assert found.probability == pytest.approx(
        next(r.probability for r in model.diagnose(record).ranking if r.condition == "sign"), abs=1e-9
    )
