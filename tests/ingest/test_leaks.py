"""Columns that give the answer away, and columns that only look like it."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.ingest.draft import draft
from galeno.ingest.leaks import Leak, find_leaks
from galeno.ingest.source import read_source
from galeno.study import Column

N = 120
LABELS = ["normal"] * 50 + ["asthma"] * 40 + ["copd"] * 20 + ["mixed"] * 10
PLAIN = [f"v{i % 4}" for i in range(N)]


def leaks_of(
    values: list[str | None],
    labels: list[str] = LABELS,
    name: str = "finding",
    kind: str = "category",
    patients: list[str] | None = None,
) -> tuple[Leak, ...]:
    return find_leaks(
        {name: pl.Series(name, values, pl.String)},
        {name: Column.model_validate({"type": kind})},
        pl.Series("condition", labels, pl.String),
        None if patients is None else pl.Series(patients),
    )


def test_the_diagnosis_in_other_words() -> None:
    words = {"normal": ["N"], "asthma": ["Asthma", "asthma "], "copd": ["COPD"], "mixed": ["Asthma + COPD"]}
    values = [words[label][i % len(words[label])] for i, label in enumerate(LABELS)]
    assert leaks_of(values) == (Leak("finding"),)
    codes = [str(sorted(words).index(label)) for label in LABELS]
    assert leaks_of(codes, kind="number") == (Leak("finding"),)
    values[:5] = [None] * 5
    assert leaks_of(values) == (Leak("finding"),)
    assert not leaks_of([None if i % 5 == 0 else value for i, value in enumerate(values)])


def test_a_class_that_is_not_told_apart_is_no_leak() -> None:
    values = ["x" if label in ("copd", "mixed") else label for label in LABELS]
    assert [leak.value for leak in leaks_of(values)] == ["normal"], "only that healthy patients were marked"
    assert not leaks_of(
        ["y" if value == "normal" and i % 4 == 0 else value for i, value in enumerate(values)]
    )


@pytest.mark.parametrize(
    ("label", "found"), [("normal", True), ("asthma", False), ("copd", False), ("mixed", False)]
)
def test_a_sign_of_one_disease_is_real_but_one_of_the_healthy_is_suspect(label: str, found: bool) -> None:
    values = ["sign" if given == label else plain for given, plain in zip(LABELS, PLAIN, strict=True)]
    assert leaks_of(values) == ((Leak("finding", "sign", label),) if found else ())


def test_a_healthy_class_that_is_not_the_commonest() -> None:
    labels = [{"normal": "asthma", "asthma": "healthy_control"}.get(label, label) for label in LABELS]
    values = ["0" if label == "healthy_control" else p for label, p in zip(labels, PLAIN, strict=True)]
    assert leaks_of(values, labels) == (Leak("finding", "0", "healthy_control"),)


@pytest.mark.parametrize("shift", [2, 6])
def test_a_value_may_go_astray_a_little(shift: int) -> None:
    """98 % of a value's patients, and 90 % of the class's, must be the same."""
    values = ["sign" if label == "normal" else p for label, p in zip(LABELS, PLAIN, strict=True)]
    values[:shift] = PLAIN[:shift]
    assert bool(leaks_of(values)) is (shift == 2)


def test_two_classes_are_told_apart_by_true_signs_too() -> None:
    diseases = ["otitis"] * 60 + ["rhinitis"] * 60
    flag = ["1" if label == "otitis" else "0" for label in diseases]
    place = [f"{label}{i % 2}" for i, label in enumerate(diseases)]
    assert leaks_of(flag, diseases, kind="flag") == (Leak("finding", sure=False),)
    assert leaks_of(flag, diseases, name="final_diagnosis", kind="flag") == (Leak("final_diagnosis"),)
    assert leaks_of(flag, diseases, name="conditionCode") == (Leak("conditionCode"),)
    assert leaks_of(place, diseases) == (Leak("finding", sure=False),)
    healthy = ["normal" if label == "otitis" else label for label in diseases]
    assert leaks_of(place, healthy) == (Leak("finding"),)


@pytest.mark.parametrize("kind", ["date", "terms", "sound", "image"])
def test_other_columns_are_not_looked_at(kind: str) -> None:
    assert leaks_of(LABELS)
    assert not leaks_of(LABELS, kind=kind)


def test_a_quantity_is_no_code() -> None:
    """Age tells children from adults, and no one wrote it for the diagnosis."""
    labels = ["child" if i % 90 < 18 else "adult" for i in range(N * 4)]
    assert not leaks_of([str(i % 90) for i in range(N * 4)], labels, kind="number")


def test_patients_are_counted_not_rows() -> None:
    """Eight patients with fifteen rows each are eight, and too few to tell."""
    labels = ["normal"] * 60 + ["ill"] * 60
    patients = [f"p{i // 15}" for i in range(N)]
    values = [f"{label}{i % 3}" for i, label in enumerate(labels)]
    assert leaks_of(values, labels)
    assert not leaks_of(values, labels, patients=patients)


@given(st.integers(0, 2**32 - 1), st.integers(2, 60), st.integers(2, 5), st.integers(6, 150))
@settings(max_examples=150, deadline=None)
def test_columns_of_chance_are_kept(seed: int, levels: int, classes: int, patients: int) -> None:
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(classes, 0.5))
    labels = [f"c{i}" for i in rng.choice(classes, patients, p=shares)]
    assert not leaks_of([f"v{i}" for i in rng.integers(0, levels, patients)], labels)


@given(st.permutations(range(N)))
@settings(max_examples=25, deadline=None)
def test_order_does_not_matter(order: list[int]) -> None:
    values = ["sign" if label == "normal" else p for label, p in zip(LABELS, PLAIN, strict=True)]
    mixed = leaks_of([values[i] for i in order], [LABELS[i] for i in order])
    assert mixed == leaks_of(values) != ()


REAL: list[tuple[str, str, tuple[str, ...]]] = [
    ("lungs/recordings.csv", "condition", ("condition_text", "sound")),
    ("thyroid/dev.csv.gz", "condition", ("diagnosis",)),
    ("codiesp_es/dev.jsonl.gz", "main_chapter", ()),
    ("ddxplus/fr_dev.parquet", "PATHOLOGY", ()),  # all with stridor have one disease, and it is real
]
"""Other tables are in test_draft."""


@pytest.mark.parametrize(("file", "target", "expected"), REAL)
def test_real_records(real_data: Path, file: str, target: str, expected: tuple[str, ...]) -> None:
    frame = read_source(str(real_data / file))
    drafted = draft(frame, name="s", source=file, target=target)
    assert tuple(leak.column for leak in drafted.leaks) == expected
    assert drafted.study.records.drop == expected


@pytest.mark.parametrize(
    "name", ["sklearn:breast_cancer", "sklearn:iris", "sklearn:wine", "cohort:severity?n=600"]
)
def test_built_in_records(name: str) -> None:
    target = "target" if name.startswith("sklearn") else "condition"
    assert draft(read_source(name), name="s", source=name, target=target).leaks == ()


def test_a_part_of_the_lung_patients_shows_the_same(real_data: Path) -> None:
    frame = read_source(str(real_data / "lungs" / "recordings.csv"))
    patients = frame["patient_id"].unique().sort()
    for seed in range(5):
        some = patients.sample(fraction=0.7, seed=seed).to_list()
        part = frame.filter(pl.col("patient_id").is_in(some))
        leaks = draft(part, name="s", source="x.csv", target="condition").leaks
        assert [leak.column for leak in leaks] == ["condition_text", "sound"]


def test_lists_and_empty_columns_are_passed_over() -> None:
    frame = pl.DataFrame({"drugs": [["a"], ["b", "c"]] * 60, "age": range(N), "condition": LABELS})
    assert draft(frame, name="s", source="x.parquet", target="condition").leaks == ()
    assert leaks_of([None] * N) == ()
