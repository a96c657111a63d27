"""The encoder of described values: learned from its rows alone, the same in every way of asking."""

import numpy as np
import polars as pl
import pytest
from media_cases import make_media_rows, make_media_study

from galeno.errors import LearningError
from galeno.features.assemble import Assembler
from galeno.features.describer import Describer
from galeno.features.encoder import DESCRIPTION
from galeno.records import PATIENT

SETTINGS = {
    "plain": {},
    "early": {"fusion": "early"},
    "networks": {"audio": {"network": "required"}, "image": {"network": "required"}},
    "selected": {"select": 20, "reduce": "pca"},
}


@pytest.fixture(scope="module", params=SETTINGS)
def fitted(request: pytest.FixtureRequest) -> tuple[Assembler, pl.DataFrame, np.ndarray, np.ndarray]:
    """An assembler, described rows, the matrix of the fitting rows and their labels."""
    study = make_media_study(**SETTINGS[request.param])
    frame, labels = make_media_rows(40, 11)
    described = Describer.of(study).describe_frame(frame)
    assembler, matrix = Assembler.fit(study, described, labels, 7, 1)
    return assembler, described, matrix, labels


def test_one_record_gives_what_many_give(fitted: tuple) -> None:
    assembler, described, _, _ = fitted
    whole = assembler.transform(described)
    records = list(described.iter_rows(named=True))
    one_by_one = np.stack([assembler.transform_record(record) for record in records])
    assert (whole == one_by_one).all()
    assert (whole == assembler.transform_records(records)).all()
    assert np.isfinite(whole).all()


def test_saved_and_loaded_is_the_same(fitted: tuple, tmp_path_factory: pytest.TempPathFactory) -> None:
    assembler, described, _, _ = fitted
    first, second = (tmp_path_factory.mktemp(name) for name in ("first", "second"))
    assembler.save(first)
    loaded = Assembler.load(first)
    loaded.save(second)
    assert (loaded.transform(described) == assembler.transform(described)).all()
    assert [path.read_bytes() for path in sorted(first.iterdir())] == [
        path.read_bytes() for path in sorted(second.iterdir())
    ]


def test_missing_files_are_zeros_and_marked(fitted: tuple) -> None:
    assembler, described, _, _ = fitted
    bare = described.with_columns(
        pl.lit(None, pl.Binary).alias(name) for name in described.columns if name not in ("age", PATIENT)
    )
    matrix = assembler.transform(bare)
    media = [i for i, block in enumerate(assembler.blocks) if block in ("media", "tensor")]
    assert media
    assert not matrix[:, media].any()
    for name, block, column in zip(assembler.names, assembler.blocks, matrix.T, strict=True):
        if name in ("breath missing", "film missing"):
            assert (column == 1).all()
        if block == "late" and not name.startswith("table"):
            assert not column.any()


def test_views_hide_tensors_and_experts(fitted: tuple) -> None:
    assembler, *_ = fitted
    for view in ("all", "linear", "dense"):
        assert not {assembler.blocks[i] for i in assembler.view(view)} & {"tensor", "late"}
    late = {assembler.blocks[i] for i in assembler.view("late")}
    assert late == {"late"} or "late" not in assembler.blocks


def test_experts_say_of_fitting_rows_what_they_did_not_see() -> None:
    """With labels that mean nothing, cross-fitted experts know nothing; experts of the same rows would."""
    study = make_media_study()
    frame, _ = make_media_rows(120, 5, missing=0.0)
    described = Describer.of(study).describe_frame(frame)
    labels = np.random.default_rng(0).integers(0, 2, 60).repeat(2)
    assembler, matrix = Assembler.fit(study, described, labels, 7, 1)
    told = {name: i for i, name in enumerate(assembler.names)}
    for modality in ("audio", "image"):
        high, low = told[f"{modality} for high"], told[f"{modality} for low"]
        fair = ((matrix[:, high] > matrix[:, low]) == labels).mean()
        seen = assembler.transform(described)
        unfair = ((seen[:, high] > seen[:, low]) == labels).mean()
        assert fair < 0.65 < unfair


def test_experts_know_what_their_modality_tells() -> None:
    study = make_media_study()
    frame, labels = make_media_rows(80, 5, missing=0.3)
    described = Describer.of(study).describe_frame(frame)
    assembler, matrix = Assembler.fit(study, described, labels, 7, 1)
    told = {name: i for i, name in enumerate(assembler.names)}
    for modality, source in (("audio", "breath"), ("image", "film")):
        there = described[f"{source}{DESCRIPTION}"].is_not_null().to_numpy()
        speaks = matrix[:, told[f"{modality} for high"]] > matrix[:, told[f"{modality} for low"]]
        assert (speaks == labels)[there].mean() > 0.9
        assert not matrix[~there][:, [told[f"{modality} for high"], told[f"{modality} for low"]]].any()


def test_what_no_fitting_row_had_says_nothing_later() -> None:
    study = make_media_study()
    frame, labels = make_media_rows(30, 4)
    describer = Describer.of(study)
    silent = describer.describe_frame(frame.with_columns(pl.lit(None, pl.Binary).alias("breath")))
    assembler, matrix = Assembler.fit(study, silent, labels, 7, 1)
    assert "breath" not in assembler.sources
    later = assembler.transform(describer.describe_frame(frame))
    assert later.shape == matrix.shape
    assert (later == assembler.transform(silent)).all()


def test_selection_leaves_tensors_out_of_the_contest() -> None:
    study = make_media_study(select=12, image={"network": "required"}, fusion="early")
    frame, labels = make_media_rows(40, 4)
    described = Describer.of(study).describe_frame(frame)
    assembler, _ = Assembler.fit(study, described, labels, 7, 1)
    assert sum(block != "tensor" for block in assembler.blocks) == 12
    assert len(assembler.view("tensor film")) == 3 * 28 * 28


def test_a_view_of_one_modality_shows_no_other() -> None:
    study = make_media_study()
    frame, labels = make_media_rows(40, 4)
    assembler, _ = Assembler.fit(study, Describer.of(study).describe_frame(frame), labels, 7, 1)
    for modality, source in (("audio", "breath"), ("image", "film"), ("table", "age")):
        assert {assembler.sources[i] for i in assembler.view(f"only {modality}")} == {source}
    with pytest.raises(LearningError, match="no view"):
        assembler.view("other")


def test_a_backbone_is_trained_on_alone() -> None:
    with pytest.raises(ValueError, match="fine_tune"):
        make_media_study(image={"fine_tune": True})
    with pytest.raises(ValueError, match="set network to none"):
        make_media_study(image={"fine_tune": True, "backbone": "b.pt", "network": "required"})
