"""A patient stands on one side; scarce classes stand where they can; nothing depends on row order."""

import hashlib
import json
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from galeno.errors import LearningError
from galeno.learning.split import HANDFUL, PARTS, Split, split
from galeno.records import KEY, PATIENT, SITE, TARGET, TIME, UNIT
from galeno.study import Study

CLASSES = ("a", "b", "c", "d")
EASY = settings(max_examples=50, deadline=None)


def make_study(**changes: Any) -> Study:
    seed = changes.pop("seed", 7)
    return Study.model_validate(
        {
            "name": "s",
            "seed": seed,
            "records": {"source": "x.csv", "target": "t", "patient": "p", "time": "when", "site": "where"},
            "classes": [{"name": name} for name in CLASSES],
            "columns": {"x": {"type": "number"}},
            "split": changes,
        }
    )


def make_frame(rows: list[tuple[str, str | None]], **more: list[Any]) -> pl.DataFrame:
    """Rows of (patient, class)."""
    return pl.DataFrame(
        {
            KEY: [f"k{n}" for n in range(len(rows))],
            PATIENT: [p for p, _ in rows],
            TARGET: [t for _, t in rows],
        }
        | more,
        schema_overrides={PATIENT: pl.String, TARGET: pl.String},
    )


def one_class_each(sizes: dict[str, int]) -> pl.DataFrame:
    return make_frame([(f"{name}{n}", name) for name, size in sizes.items() for n in range(size)])


def sides(frame: pl.DataFrame, result: Split) -> dict[str, tuple[str, int]]:
    pairs = zip(result.parts.tolist(), result.folds.tolist(), strict=True)
    return dict(zip(frame[KEY].to_list(), pairs, strict=True))


@st.composite
def visits(draw: st.DrawFn) -> pl.DataFrame:
    """Patients with one to four visits, classes of very different frequency, some visits without a class.

    Fewer than a score may be too few for three parts, which is refused.
    """
    n = draw(st.integers(20, 120))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    share = np.array([0.6, 0.3, 0.07, 0.03])
    rows: list[tuple[str, str | None]] = []
    for patient in range(n):
        classes = rng.choice(len(CLASSES), size=rng.integers(1, 5), p=share)
        rows += [(f"p{patient}", None if rng.random() < 0.05 else CLASSES[c]) for c in classes]
    return make_frame(rows)


@EASY
@given(visits(), st.integers(0, 100))
def test_no_patient_stands_on_two_sides(frame: pl.DataFrame, seed: int) -> None:
    result = split(frame, make_study(seed=seed))
    table = frame.with_columns(part=pl.Series(result.parts), fold=pl.Series(result.folds))
    per_patient = table.group_by(PATIENT).agg(pl.col("part", "fold").n_unique())
    assert per_patient["part"].max() == 1
    assert per_patient["fold"].max() == 1
    assert set(result.evidence["overlap"].values()) == {0}
    assert ((result.folds >= 0) == (result.parts == "train")).all()


@EASY
@given(visits(), st.randoms(use_true_random=False))
def test_answer_does_not_depend_on_row_order(frame: pl.DataFrame, random: Any) -> None:
    order = list(range(frame.height))
    random.shuffle(order)
    shuffled = frame[order]
    first, second = split(frame, make_study()), split(shuffled, make_study())
    assert sides(frame, first) == sides(shuffled, second)
    assert first.evidence == second.evidence


@EASY
@given(st.lists(st.integers(0, 60), min_size=4, max_size=4), st.integers(0, 100))
def test_scarce_classes_stand_where_they_can(sizes: list[int], seed: int) -> None:
    assume(sum(sizes) >= 8 and max(sizes) >= HANDFUL)
    result = split(one_class_each(dict(zip(CLASSES, sizes, strict=True))), make_study(seed=seed))
    for name, size in zip(CLASSES, sizes, strict=True):
        counts = result.evidence["classes"][name]
        held = {part for part in PARTS if counts[part]["patients"]}
        expected = PARTS if size >= HANDFUL else ("train", "validation") if size >= 3 else ("train",)
        assert held == set(expected if size else ())
        if size < HANDFUL:
            assert counts["validation"]["patients"] == (size >= 3)
        assert all((name in result.evidence["absent"][part]) == (part not in held) for part in PARTS)


@EASY
@given(visits(), st.integers(0, 100))
def test_every_class_is_learned_from(frame: pl.DataFrame, seed: int) -> None:
    result = split(frame, make_study(seed=seed))
    train = set(frame[TARGET].filter(pl.Series(result.parts == "train")).drop_nulls())
    assert train == set(frame[TARGET].drop_nulls())


@EASY
@given(st.lists(st.integers(10, 300), min_size=4, max_size=4), st.integers(0, 100))
def test_shares_are_exact_within_rounding(sizes: list[int], seed: int) -> None:
    frame = one_class_each(dict(zip(CLASSES, sizes, strict=True)))
    result = split(frame, make_study(seed=seed, train=0.7, validation=0.2, test=0.1))
    for part, share in zip(PARTS, (0.7, 0.2, 0.1), strict=True):
        assert abs(result.evidence["patients"][part] - share * sum(sizes)) < 2
        for name, size in zip(CLASSES, sizes, strict=True):
            assert abs(result.evidence["classes"][name][part]["patients"] - share * size) < 1 + 1e-6


@EASY
@given(st.lists(st.integers(1, 80), min_size=4, max_size=4), st.integers(2, 8))
def test_folds_are_stratified(sizes: list[int], folds: int) -> None:
    assume(sum(sizes) >= 20)
    result = split(one_class_each(dict(zip(CLASSES, sizes, strict=True))), make_study(folds=folds))
    told = result.evidence["folds"]
    assert len(told) == result.n_folds == folds
    for name in CLASSES:
        counts = [fold["classes"][name]["patients"] for fold in told]
        assert max(counts) - min(counts) <= 1
    patients = [fold["patients"] for fold in told]
    assert max(patients) - min(patients) <= 1


@EASY
@given(visits(), st.integers(0, 50))
def test_latest_patients_judge(frame: pl.DataFrame, seed: int) -> None:
    rng = np.random.default_rng(seed)
    days = rng.integers(0, 1000, frame.height).tolist()
    frame = frame.with_columns(
        pl.Series(TIME, [datetime(2020, 1, 1) + timedelta(days=day) for day in days]).cast(pl.Datetime("us"))
    )
    result = split(frame, make_study(by="time", seed=seed))
    last = frame.with_columns(part=pl.Series(result.parts)).group_by(PATIENT, "part").agg(pl.col(TIME).max())
    times = {part: last.filter(pl.col("part") == part)[TIME] for part in PARTS}
    assert times["train"].max() <= times["validation"].min()
    assert times["validation"].max() <= times["test"].min()
    for part, share in zip(PARTS, (0.7, 0.2, 0.1), strict=True):
        assert abs(len(times[part]) - share * len(last)) <= 1
    assert result.evidence["patients_without_time"] == 0


def test_patients_without_time_teach() -> None:
    frame = one_class_each({"a": 40})
    times = [None if n < 4 else datetime(2021, 1, 1 + n % 28) for n in range(40)]
    frame = frame.with_columns(pl.Series(TIME, times, dtype=pl.Datetime("us")))
    result = split(frame, make_study(by="time"))
    assert set(result.parts[:4]) == {"train"}
    assert result.evidence["patients_without_time"] == 4


@EASY
@given(visits(), st.integers(3, 9), st.integers(0, 50))
def test_whole_sites_judge(frame: pl.DataFrame, n_sites: int, seed: int) -> None:
    names = sorted(frame[PATIENT].unique().to_list())
    site_of = {name: f"site {n % n_sites}" for n, name in enumerate(names)}
    frame = frame.with_columns(pl.col(PATIENT).replace_strict(site_of).alias(SITE))
    result = split(frame, make_study(by="site", seed=seed))
    parts = frame.with_columns(part=pl.Series(result.parts)).group_by(SITE).agg(pl.col("part").n_unique())
    assert parts["part"].max() == 1
    assert set(result.parts) == set(PARTS)
    assert result.evidence["rows_away_from_home_site"] == 0
    assert sum(result.evidence["sites"].values()) == min(n_sites, len(names))


def test_two_sites_share_training_and_validation() -> None:
    frame = one_class_each({"a": 60, "b": 40})
    where = ["north" if n % 5 else "south" for n in range(100)]
    frame = frame.with_columns(pl.Series(SITE, where))
    result = split(frame, make_study(by="site"))
    assert {part for part, site in zip(result.parts, where, strict=True) if site == "south"} == {"test"}
    assert {part for part, site in zip(result.parts, where, strict=True) if site == "north"} == {
        "train",
        "validation",
    }


def test_visitor_goes_with_its_home_site() -> None:
    rows = [(f"p{n}", "a") for n in range(30)] + [("p0", "b")]
    where: list[str | None] = [f"site {n % 3}" for n in range(30)]
    frame = make_frame([*rows, ("p0", "b"), ("p99", "a")]).with_columns(
        pl.Series(SITE, [*where, "site 0", "site 1", None])
    )
    result = split(frame, make_study(by="site"))
    assert len(set(result.parts[[0, 30, 31]])) == 1
    assert result.evidence["rows_away_from_home_site"] == 1
    assert result.evidence["patients_without_site"] == 1
    assert result.parts[32] == "train"


def test_evidence_is_json_and_names_nobody() -> None:
    frame = make_frame([(f"secret-{n}", "a" if n else "b") for n in range(50)])
    result = split(frame, make_study())
    text = json.dumps(result.evidence, allow_nan=False)
    assert "secret" not in text
    assert result.evidence["absent"] == {
        "train": ["c", "d"],
        "validation": ["b", "c", "d"],
        "test": ["b", "c", "d"],
    }
    test = {frame[PATIENT][int(row)] for row in result.rows("test")}
    hashes = sorted(hashlib.sha256(patient.encode()).hexdigest() for patient in test)
    assert result.evidence["digests"]["test"] == hashlib.sha256("".join(hashes).encode()).hexdigest()
    assert result.evidence["rows"]["test"] == len(test) == 5


def test_row_without_patient_is_its_own() -> None:
    frame = make_frame([("p1", "a")] * 3).vstack(make_frame([(None, "a")] * 20))
    frame = frame.with_columns(pl.Series(KEY, [f"k{n}" for n in range(23)]))
    result = split(frame, make_study())
    assert sum(result.evidence["patients"].values()) == 21


def test_seed_changes_the_split() -> None:
    frame = one_class_each({"a": 100})
    assert (split(frame, make_study(seed=1)).parts != split(frame, make_study(seed=2)).parts).any()


def test_fewer_training_patients_than_folds() -> None:
    assert split(one_class_each({"a": 6}), make_study(folds=10)).n_folds == 4


@pytest.mark.parametrize(
    ("frame", "by", "message"),
    [
        (one_class_each({"a": 1}), "patient", "1 patients cannot both teach and judge"),
        (one_class_each({"a": 4, "b": 4}), "patient", "8 patients are too few for three parts"),
        (one_class_each({"a": 20}), "time", "no row has a time"),
        (one_class_each({"a": 20}), "site", "no row has a site"),
        (one_class_each({"a": 20}).with_columns(pl.lit("x").alias(SITE)), "site", "1 sites cannot"),
        (
            one_class_each({"a": 3}).with_columns(pl.lit(datetime(2020, 1, 1)).alias(TIME)),
            "time",
            "too few for three parts",
        ),
    ],
)
def test_refusals_say_what_to_do(frame: pl.DataFrame, by: str, message: str) -> None:
    with pytest.raises(LearningError, match=message) as caught:
        split(frame, make_study(by=by))
    assert caught.value.remedy


def test_seventy_thousand_stays_are_quick() -> None:
    rng = np.random.default_rng(0)
    patients = rng.integers(0, 50_000, 72_000)
    labels = rng.choice(CLASSES, 72_000, p=[0.85, 0.12, 0.02, 0.01])
    frame = make_frame(list(zip((f"p{p}" for p in patients), labels.tolist(), strict=True)))
    result = split(frame, make_study())
    patients_of = result.evidence["patients"]
    total = sum(patients_of.values())
    assert abs(patients_of["test"] - 0.1 * total) < 2


def test_patients_who_share_a_file_stay_together_and_are_counted_each() -> None:
    frame = one_class_each({"a": 30, "b": 30})
    unit = pl.when(pl.col(PATIENT).rank("dense") <= 20).then(pl.lit("one")).otherwise(pl.col(PATIENT))
    shared = frame.with_columns(unit.alias(UNIT))
    found = split(shared, make_study())
    assert len(set(found.parts[(shared[UNIT] == "one").to_numpy()])) == 1
    assert sum(found.evidence["patients"].values()) == frame[PATIENT].n_unique() == 60
    assert sum(part["patients"] for part in found.evidence["classes"]["a"].values()) == 30
    folds = found.evidence["folds"]
    assert sum(fold["patients"] for fold in folds) == found.evidence["patients"]["train"]
