"""A model answers one record and a frame of them alike, before and after it was packaged."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_model import CLASSES, draw_records, fit_parts

from galeno.errors import PackageError
from galeno.model.model import Model, _join_sets
from galeno.model.parts import ModelParts
from galeno.records import Diagnosis
from galeno.storage.packages import seal

NUMBERS = st.one_of(
    st.floats(-50, 200, width=32).map(lambda v: f"{v:.2f}"),
    st.sampled_from(["", "?", "NA", "ninety", "1e400", "-0", " 38.5 ", "101.3", "65526"]),
)
RECORDS = st.fixed_dictionaries(
    {},
    optional={
        "age": NUMBERS,
        "temperature": NUMBERS,
        "fever": st.sampled_from(["yes", "no", "maybe", "", "1", "0"]),
        "colour": st.sampled_from(["red", "green", "blue", "mauve", "", "NA"]),
        "seen": st.sampled_from(["2024-03-01", "2019-12-31", "not a day", "", "2030-01-01"]),
        "note": st.one_of(st.text("abc ñé", max_size=20), st.sampled_from(["severe pain", "feels well", ""])),
        "unknown": st.just("ignored"),
    },
)


def row_of(answer: Mapping[str, Any], diagnosis: Diagnosis) -> None:
    """One row of an answered frame says what the diagnosis says."""
    ranked = {r.condition: r.probability for r in diagnosis.ranking}
    for name in CLASSES:
        assert answer[f"p_{name}"] == pytest.approx(ranked[name], abs=1e-6)
    assert answer["condition"] == diagnosis.condition == diagnosis.ranking[0].condition
    assert answer["probability"] == pytest.approx(ranked[diagnosis.condition], abs=1e-6)
    assert answer["not_ruled_out"] == "|".join(diagnosis.not_ruled_out)
    assert answer["reasons"] == "|".join(diagnosis.reasons)
    assert answer["needs_review"] == diagnosis.needs_review == bool(diagnosis.reasons)


@given(records=st.lists(RECORDS, min_size=1, max_size=12))
@settings(max_examples=40, deadline=None)
def test_a_frame_is_answered_as_its_records(model: Model, records: list[dict[str, str]]) -> None:
    names = ["age", "temperature", "fever", "colour", "seen", "note"]
    frame = pl.DataFrame(
        {name: [r.get(name) for r in records] for name in names}, schema=dict.fromkeys(names, pl.String)
    )
    answers = model.answer_frame(frame)
    assert answers.height == len(records)
    for answer, record in zip(answers.iter_rows(named=True), records, strict=True):
        row_of(answer, model.diagnose(record))


def test_large_frames_go_through_the_boosters_and_answer_alike(model: Model) -> None:
    raw, _ = draw_records(1500, 5)
    answers = model.answer_frame(raw)
    small = pl.concat([model.answer_frame(raw[i : i + 300]) for i in range(0, 1500, 300)])
    p, q = (frame.select(f"p_{name}" for name in CLASSES).to_numpy() for frame in (answers, small))
    assert np.abs(p - q).max() < 1e-6
    assert answers.drop("^p.*$").equals(small.drop("^p.*$"))


def test_probabilities_and_sets_make_sense(model: Model) -> None:
    raw, labels = draw_records(2000, 6)
    answers = model.answer_frame(raw)
    p = answers.select(f"p_{name}" for name in CLASSES).to_numpy()
    assert p.sum(axis=1) == pytest.approx(1)
    named = np.array([CLASSES.index(c) for c in answers["condition"]])
    assert (named == labels).mean() > 0.7
    sets = answers["not_ruled_out"].str.split("|").to_list()
    assert all(c in s for c, s in zip(answers["condition"], sets, strict=True))
    assert np.mean([CLASSES[y] in s for y, s in zip(labels, sets, strict=True)]) > 0.75


def test_reasons(model: Model) -> None:
    nothing = model.diagnose({})
    assert {"missing:table", "missing:text"} <= set(nothing.reasons)
    odd = model.diagnose(
        {"age": "65526", "temperature": "hot", "colour": "mauve", "note": "feels well", "fever": "no"}
    )
    assert {"out_of_range:age", "bad_value:temperature", "bad_value:colour"} <= set(odd.reasons)
    assert odd.reasons.count("out_of_range:age") == 1
    # Within the study's limits, but hotter than anybody in training.
    assert "out_of_range:temperature" in model.diagnose({"temperature": "44.9"}).reasons
    # Fahrenheit is converted, and then within range.
    assert "out_of_range:temperature" not in model.diagnose({"temperature": "98.6"}).reasons
    review_below = model.study.evaluation.review_below
    raw, _ = draw_records(200, 7)
    for record in raw.iter_rows(named=True):
        diagnosis = model.diagnose(record)
        low = diagnosis.ranking[0].probability < review_below
        assert ("low_confidence" in diagnosis.reasons) == low
        assert ("several_not_ruled_out" in diagnosis.reasons) == (len(diagnosis.not_ruled_out) > 1)


def test_the_ranking_follows_the_decision_rule(model: Model) -> None:
    raw, _ = draw_records(50, 8)
    weights = dict(zip(CLASSES, model.decision.weights, strict=True))
    for record in raw.iter_rows(named=True):
        scores = [r.probability * weights[r.condition] for r in model.diagnose(record).ranking]
        assert scores == sorted(scores, reverse=True)


def test_typed_records_are_answered_alike(model: Model) -> None:
    records = draw_records(20, 4)[0].drop("patient").to_dicts()
    for record in records:
        values, faults = model.contract.answer_record(record)
        assert model.diagnose_typed(values, faults) == model.diagnose(record)
    values, faults = model.contract.answer_record({**records[0], "age": "old"})
    assert "bad_value:age" in model.diagnose_typed(values, faults).reasons
    assert "bad_value:age" not in model.diagnose_typed(values).reasons


def test_an_empty_frame_has_the_columns(model: Model) -> None:
    raw, _ = draw_records(3, 0)
    answers = model.answer_frame(raw[:0])
    assert answers.height == 0
    assert answers.schema == model.answer_frame(raw).schema


def test_typed_columns_are_taken_too(model: Model) -> None:
    typed = pl.DataFrame({"age": [50, None], "temperature": [37.5, math.nan], "fever": [True, False]})
    answers = model.answer_frame(typed)
    for answer, record in zip(answers.iter_rows(named=True), typed.iter_rows(named=True), strict=True):
        row_of(answer, model.diagnose(record))


def test_a_package_answers_as_the_parts_did(model: Model, tmp_path: Path) -> None:
    names = model.save_parts(tmp_path)
    sha256 = seal(tmp_path, names, {"study": model.study.name})
    loaded = Model.load(tmp_path, threads=1)
    raw, _ = draw_records(700, 9)
    assert loaded.answer_frame(raw).equals(model.answer_frame(raw))
    assert loaded.package_sha256 == sha256
    assert loaded.diagnose(raw.row(0, named=True)).package_sha256 == sha256
    named = loaded.with_version("3")
    assert (named.diagnose({}).version, loaded.diagnose({}).version) == ("3", None)
    again = tmp_path / "again"
    assert seal(again, loaded.save_parts(again), {"study": model.study.name}) == sha256


def test_the_same_fit_gives_the_same_package(tmp_path: Path) -> None:
    digests = []
    for number, threads in enumerate((1, 2)):
        folder = tmp_path / str(number)
        digests.append(seal(folder, fit_parts(("lightgbm", "xgboost"), threads).save(folder), {}))
    assert digests[0] == digests[1]


def test_a_package_holds_no_source_and_no_patient(model: Model, tmp_path: Path) -> None:
    names = model.save_parts(tmp_path)
    content = b"".join((tmp_path / name).read_bytes() for name in names)
    assert b"/hospital/secret" not in content
    assert b'"p17"' not in content


def test_damage_is_a_package_error(model: Model, tmp_path: Path) -> None:
    seal(tmp_path, model.save_parts(tmp_path), {})
    path = tmp_path / "model.json"
    good = path.read_text()
    path.write_text(good.replace("temperature", "temporature", 1))
    with pytest.raises(PackageError, match=r"model\.json.*changed"):
        Model.load(tmp_path)
    for change in (
        lambda d: d.pop("members"),
        lambda d: d.update(format=2),
        lambda d: d.update(features=3),
        lambda d: d["classes"].append("more"),
        lambda d: d["members"].clear(),
        lambda d: d["members"][0].update(columns=[[0, 10_000]]),
        lambda d: d["members"][0].update(classes=[0, 1, 9]),
        lambda d: d["members"][0].update(weight=-1),
        lambda d: d["members"][0].update(native={"suffix": "../../x", "parity": 0}),
        lambda d: d["decision"].update(weights=[1]),
    ):
        data = json.loads(good)
        change(data)
        path.write_text(json.dumps(data))
        with pytest.raises(PackageError):
            Model.load(tmp_path, verify=False)
    path.write_text("{")
    with pytest.raises(PackageError, match=r"ValueError|JSONDecodeError"):
        Model.load(tmp_path, verify=False)


def test_parts_must_fit_together(parts: ModelParts) -> None:
    from dataclasses import replace

    from galeno.model.decision import DecisionRule

    with pytest.raises(PackageError, match="do not fit together"):
        replace(parts, decision=DecisionRule.plain(2))
    with pytest.raises(PackageError, match="do not fit together"):
        replace(parts, decision=DecisionRule((1.0,) * 3, (0.0,) * 4))


@pytest.mark.parametrize("k", [2, 9, 64, 65, 130])
def test_sets_of_many_classes_are_joined(k: int) -> None:
    names = tuple(f"c{i}" for i in range(k))
    inside = np.random.default_rng(k).random((300, k)) < 0.3
    expected = ["|".join(name for name, within in zip(names, row, strict=True) if within) for row in inside]
    assert _join_sets(inside, names).to_list() == expected
    assert _join_sets(inside[:0], names).to_list() == []
