"""A table with a column of HPO ids goes from `galeno init` to a diagnosis without an edit."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from command_line import galeno
from named_knowledge import named_knowledge, no_knowledge

from galeno.model.explain import explain
from galeno.model.model import Model

SIGNS = {
    "OMIM:100001": ("HP:0001250", "HP:0001263", "HP:0000252", "HP:0001252"),
    "OMIM:100004": ("HP:0001166", "HP:0002650", "HP:0001639"),
    "none of them": ("HP:0001945", "HP:0004322"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("terms")
    rng = np.random.default_rng(5)
    everything = sorted({sign for signs in SIGNS.values() for sign in signs})
    rows = []
    for number in range(210):
        name = list(SIGNS)[number % 3]
        signs = [sign for sign in SIGNS[name] if rng.random() < 0.6] + [str(rng.choice(everything))]
        absent = [f"-{rng.choice(everything)}"] if rng.random() < 0.3 else []
        rows.append((f"p{number}", int(rng.integers(1, 80)), "; ".join([*signs, *absent]), name))
    table = pl.DataFrame(rows, schema=["patient_id", "age", "hpo_terms", "diagnosis"], orient="row")
    table.write_csv(folder / "cases.csv")
    table.with_columns(pl.col("hpo_terms").str.split("; ")).write_parquet(folder / "lists.parquet")
    with named_knowledge(folder / "knowledge"):
        yield folder


@pytest.fixture(scope="module")
def package(folder: Path, make_home: Callable[[], Path]) -> Path:
    study = folder / "study.yaml"
    galeno("init", "--from", folder / "cases.csv", "--target", "diagnosis", "-o", study).ended(0)
    assert "type: terms" in study.read_text(encoding="utf-8")
    sets = ("learning.budget.trials=2", "learning.families=[logistic]", "evaluation.bootstrap=20")
    ended = galeno("run", study, "--home", make_home(), "--json", *(w for s in sets for w in ("--set", s)))
    return Path(ended.ended(0).object["package"])


def test_the_package_tells_the_diseases_apart(folder: Path, package: Path) -> None:
    galeno("evaluate", package, "--input", folder / "cases.csv", "--json").ended(0)
    model = Model.load(package)
    assert "hpo_terms: for OMIM:100001" in model.assembler.names
    diagnosis = model.diagnose({"hpo_terms": "Focal seizure; developmental delay", "age": 3})
    assert diagnosis.condition == "OMIM:100001"
    assert "bad_value:hpo_terms" in model.diagnose({"hpo_terms": "HP:0001250; HP:0012825"}).reasons
    assert "missing:phenotype" in model.diagnose({"age": 3}).reasons


def test_lists_are_read_as_texts_are(folder: Path, package: Path) -> None:
    for name in ("cases.csv", "lists.parquet"):
        galeno("predict", package, "--input", folder / name, "--output", folder / f"{name}.csv").ended(0)
    assert (folder / "cases.csv.csv").read_bytes() == (folder / "lists.parquet.csv").read_bytes()


def test_a_column_of_terms_is_explained_as_one_input(package: Path) -> None:
    model = Model.load(package)
    first, *_ = explain(model, {"hpo_terms": "HP:0001166;HP:0002650", "age": 30}, seed=1)
    assert {one.column for one in first.contributions} == {"age", "hpo_terms"}
    assert first.contributions[0].column == "hpo_terms"
    assert first.contributions[0].value == "HP:0001166;HP:0002650"
    assert first.base + sum(one.contribution for one in first.contributions) == pytest.approx(
        first.probability
    )
    assert model.reference.columns["hpo_terms"]["terms"] > 1


def test_it_answers_without_the_knowledge_files(package: Path) -> None:
    record = {"hpo_terms": "HP:0007359;HP:0001263;-HP:0001166", "age": 3}
    known = Model.load(package).diagnose(record)
    with no_knowledge():
        alone = Model.load(package).diagnose(record)
    assert alone == known
