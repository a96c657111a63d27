"""Nothing learns from what it is judged on; and these checks would notice if it did.

Three kinds of evidence from the real steps of a run. Where the labels are random, every figure stays at
chance, whatever memory the features offer: identifiers, hundreds of columns to select from, balancing,
projections, rows of the same patient. Rows of the test part can be anything without a byte of the model
changing. And each check is held against a pipeline with a leak built in, which it has to catch.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from galeno.features.assemble import Assembler
from galeno.ingest.source import read_source
from galeno.learning.balance import resample
from galeno.learning.split import Split, split
from galeno.learning.trials import TrialFolder
from galeno.pipeline.context import Rows, StepContext, digest_frame
from galeno.pipeline.runner import run_step, run_study
from galeno.progress import Silent
from galeno.records import KEY, PATIENT, FloatMatrix, Labels, Part
from galeno.storage.home import Home
from galeno.storage.runs import RunFolder
from galeno.study import Study

SIGMAS = 4
"""How far above chance a figure may be; its standard error is that of random answers."""


@dataclass(frozen=True)
class Case:
    """Records whose labels are random, and a study that invites a mistake."""

    frame: pl.DataFrame
    columns: dict[str, str]
    features: dict[str, Any]
    learning: dict[str, Any]


def noise(rows: int, columns: int, rng: np.random.Generator) -> dict[str, Any]:
    return {f"x{number}": rng.normal(size=rows).round(4) for number in range(columns)}


def numbers(columns: int) -> dict[str, str]:
    return {f"x{number}": "number" for number in range(columns)}


def identifier() -> Case:
    """An address that three patients share: its level tells who they are."""
    rng = np.random.default_rng(1)
    rows = 600
    frame = pl.DataFrame(
        {"who": [f"p{n}" for n in range(rows)], "y": rng.choice(["no", "yes"], rows), **noise(rows, 2, rng)}
    ).with_columns(pl.Series("address", [f"street {n}" for n in rng.permutation(rows) // 3]))
    return Case(
        frame, {"address": "category", **numbers(2)}, {}, {"families": ["logistic", "tree", "xgboost"]}
    )


def selection() -> Case:
    """Hundreds of noise columns; the best of them tell the classes apart on the rows they were chosen on."""
    rng = np.random.default_rng(2)
    rows = 240
    frame = pl.DataFrame(
        {"who": [f"p{n}" for n in range(rows)], "y": rng.choice(["no", "yes"], rows), **noise(rows, 300, rng)}
    )
    return Case(frame, numbers(300), {"select": 25}, {"families": ["logistic"]})


def projection() -> Case:
    """Discriminant scores of many noise columns."""
    rng = np.random.default_rng(3)
    rows = 300
    frame = pl.DataFrame(
        {"who": [f"p{n}" for n in range(rows)], "y": rng.choice(["no", "yes"], rows), **noise(rows, 150, rng)}
    )
    return Case(frame, numbers(150), {"reduce": "lda"}, {"families": ["tree"]})


def balanced(balance: str) -> Case:
    """One row in six is of the scarce class, and rows made up near it are easy to remember."""
    rng = np.random.default_rng(4)
    rows = 480
    frame = pl.DataFrame(
        {
            "who": [f"p{n}" for n in range(rows)],
            "y": rng.choice(["no", "yes"], rows, p=[5 / 6, 1 / 6]),
            **noise(rows, 6, rng),
        }
    )
    return Case(frame, numbers(6), {}, {"families": ["tree"], "balance": [balance]})


def signature() -> Case:
    """Five rows a patient, nearly alike: who knows one of them knows the others' class."""
    rng = np.random.default_rng(5)
    patients, each = 160, 5
    who = np.repeat(np.arange(patients), each)
    frame = pl.DataFrame({"who": [f"p{n}" for n in who], "y": rng.choice(["no", "yes"], patients)[who]})
    body = rng.normal(size=(patients, 4))[who] + 0.01 * rng.normal(size=(len(who), 4))
    frame = frame.with_columns(*(pl.Series(f"x{n}", body[:, n]) for n in range(4)))
    frame = frame.with_columns(pl.Series("phone", [f"+34 {600 + n}" for n in who]))
    return Case(frame, {"phone": "category", **numbers(4)}, {}, {"families": ["xgboost"]})


CASES: dict[str, Callable[[], Case]] = {
    "identifier": identifier,
    "selection": selection,
    "projection": projection,
    "smote": lambda: balanced("smote"),
    "adasyn": lambda: balanced("adasyn"),
    "undersample": lambda: balanced("undersample"),
    "signature": signature,
}


def make_study(case: Case, folder: Path, **changes: Any) -> Study:
    """Write the records, and the study of them."""
    source = folder / "records.csv"
    case.frame.write_csv(source)
    study = {
        "name": "leakage",
        "records": {"source": str(source), "target": "y", "patient": "who"},
        "classes": [{"name": "no"}, {"name": "yes", "rare": True}],
        "columns": {name: {"type": kind} for name, kind in case.columns.items()},
        "split": {"train": 0.5, "validation": 0.1, "test": 0.4, "folds": 4},
        "features": {"table": {"quantile_copies": False, "one_hot_up_to": 4}, **case.features},
        "learning": {"budget": {"trials": 3}, "ensemble": 3, **case.learning},
        "evaluation": {"bootstrap": 0},
    }
    return Study.model_validate(study | changes)


def start(study: Study, home: Path) -> StepContext:
    """A run with its records read."""
    place = Home(home).create()
    facts = {
        "study": study.model_dump(mode="json"),
        "source": "records.csv",
        "data_sha256": digest_frame(read_source(study.records.source)),
    }
    context = StepContext(study, place, RunFolder.create(place.runs, study.name, facts), Silent(), 1)
    go_on(context, "ingest")
    return context


def go_on(context: StepContext, *steps: str) -> None:
    for step in steps:
        run_step(context.run.name, step, context.home.root, threads=2)


def everything(context: StepContext) -> Rows:
    return context.rows("train", "validation", "test")


def above_chance(labels: Labels, scores: Any, patients: Any) -> tuple[float, float]:
    """By how much the AUC over patients is above a half, and its standard error were the scores random."""
    table = pl.DataFrame({"who": patients, "label": labels, "score": scores})
    table = table.group_by("who").agg(pl.col("label").max(), pl.col("score").mean()).sort("who")
    positive = int(table["label"].sum())
    negative = table.height - positive
    error = ((positive + negative + 1) / (12 * positive * negative)) ** 0.5
    return float(roc_auc_score(table["label"], table["score"])) - 0.5, error


def check_search_is_at_chance(context: StepContext) -> None:
    """No candidate is better than chance on the rows held out of its folds."""
    rows = context.rows("train")
    judged = [trial for trial in TrialFolder(context.made("learn")).read() if trial.outcome == "judged"]
    assert len(judged) >= 2
    for trial in judged:
        excess, error = above_chance(rows.labels, trial.judged[:, 1], rows.frame[PATIENT])
        assert excess < SIGMAS * error, f"{trial.candidate.name} in cross-validation"


def check_test_is_at_chance(context: StepContext) -> None:
    """The model is not better than chance on the patients of the test part."""
    rows = context.rows("test")
    patients = dict(zip(rows.frame[PATIENT].to_list(), rows.labels.tolist(), strict=True))
    positive = sum(patients.values())
    negative = len(patients) - positive
    error = ((positive + negative + 1) / (12 * positive * negative)) ** 0.5
    figures = context.result("evaluate")["test"]["per_patient"]
    assert figures["auc_ovr"] < 0.5 + SIGMAS * error, "AUC on the test part"
    assert figures["macro_f1"] < 0.5 + SIGMAS * 0.5 / len(patients) ** 0.5, "macro-F1 on the test part"


@pytest.mark.parametrize("name", CASES)
def test_random_labels_give_chance(name: str, tmp_path: Path) -> None:
    context = start(make_study(CASES[name](), tmp_path), tmp_path / "home")
    go_on(context, "split", "learn", "fit", "evaluate")
    check_search_is_at_chance(context)
    check_test_is_at_chance(context)


def test_a_whole_run_on_random_labels_registers_nothing(tmp_path: Path) -> None:
    result = run_study(make_study(identifier(), tmp_path), tmp_path / "home", threads=2)
    assert result.version is None
    assert not result.gate["passed"]
    assert result.metrics["auc_ovr"] < 0.6


# --- the same checks, against pipelines with a leak ---


def leak_encoder(monkeypatch: pytest.MonkeyPatch, seen: Rows) -> None:
    """Encoders, selection and projection are fitted on all rows, and nothing is cross-fitted."""

    class Seeing(Assembler):
        @classmethod
        def fit(cls, study: Study, frame: pl.DataFrame, _: Labels, seed: int, threads: int) -> Any:
            assembler, _ = Assembler.fit(study, seen.frame, seen.labels, seed, threads)
            return assembler, assembler.transform(frame)

    monkeypatch.setattr("galeno.learning.folds.Assembler", Seeing)
    monkeypatch.setattr("galeno.learning.fitting.Assembler", Seeing)


def leak_balancer(monkeypatch: pytest.MonkeyPatch, study: Study, seen: Rows) -> None:
    """Rows are made up from all rows, before they are divided."""
    _, matrix = Assembler.fit(study, seen.frame, seen.labels, study.seed, 1)

    def seeing(_: FloatMatrix, __: Labels, balance: Any, seed: int) -> tuple[FloatMatrix, Labels]:
        return resample(matrix, seen.labels, balance, seed)

    monkeypatch.setattr("galeno.learning.candidates.resample", seeing)


def leak_patients(monkeypatch: pytest.MonkeyPatch) -> None:
    """The split is by row."""

    def by_row(frame: pl.DataFrame, study: Study) -> Split:
        return split(frame.with_columns(pl.col(KEY).alias(PATIENT)), study)

    monkeypatch.setattr("galeno.pipeline.steps.split", by_row)


def leak_test_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Members are refitted on the test part too."""
    honest = StepContext.rows

    def rows(context: StepContext, *parts: Part) -> Rows:
        return (
            honest(context, *parts, "test") if parts == ("train", "validation") else honest(context, *parts)
        )

    monkeypatch.setattr(StepContext, "rows", rows)


@pytest.mark.parametrize("name", ["identifier", "selection", "projection"])
def test_an_encoder_that_sees_all_rows_is_caught(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = start(make_study(CASES[name](), tmp_path), tmp_path / "home")
    go_on(context, "split")
    leak_encoder(monkeypatch, everything(context))
    go_on(context, "learn", "fit", "evaluate")
    with pytest.raises(AssertionError, match="in cross-validation"):
        check_search_is_at_chance(context)
    with pytest.raises(AssertionError, match="on the test part"):
        check_test_is_at_chance(context)


@pytest.mark.parametrize("name", ["smote", "adasyn"])
def test_a_balancer_that_sees_all_rows_is_caught(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make_study(CASES[name](), tmp_path)
    context = start(study, tmp_path / "home")
    go_on(context, "split")
    leak_balancer(monkeypatch, study, everything(context))
    go_on(context, "learn", "fit", "evaluate")
    with pytest.raises(AssertionError, match="in cross-validation"):
        check_search_is_at_chance(context)
    with pytest.raises(AssertionError, match="on the test part"):
        check_test_is_at_chance(context)


def test_a_split_by_row_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = start(make_study(signature(), tmp_path), tmp_path / "home")
    leak_patients(monkeypatch)
    go_on(context, "split", "learn", "fit", "evaluate")
    with pytest.raises(AssertionError, match="in cross-validation"):
        check_search_is_at_chance(context)
    with pytest.raises(AssertionError, match="on the test part"):
        check_test_is_at_chance(context)


def test_learning_from_the_test_part_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = start(make_study(signature(), tmp_path), tmp_path / "home")
    go_on(context, "split")
    leak_test_rows(monkeypatch)
    go_on(context, "learn", "fit", "evaluate")
    check_search_is_at_chance(context)
    with pytest.raises(AssertionError, match="on the test part"):
        check_test_is_at_chance(context)


# --- what the test and validation parts say has no way into the model ---


def mixed_case() -> Case:
    """Something to learn, and every part of the encoders and the balancer at work."""
    rng = np.random.default_rng(6)
    patients, each = 90, 3
    who = np.repeat(np.arange(patients), each)
    ill = (rng.random(patients) < 0.3)[who]
    rows = len(who)
    frame = pl.DataFrame(
        {
            "who": [f"p{n:03d}" for n in who],
            "y": np.where(ill, "yes", "no"),
            "day": [f"2024-{1 + n // 28 % 12:02d}-{1 + n % 28:02d}" for n in range(rows)],
            "ward": [f"w{n}" for n in rng.integers(0, 25, rows)],
            **noise(rows, 10, rng),
        }
    ).with_columns(x0=pl.Series(ill + rng.normal(size=rows)), x1=pl.Series(1.5 * ill + rng.normal(size=rows)))
    frame = frame.with_columns(x2=pl.when(pl.Series(rng.random(rows) < 0.2)).then(None).otherwise("x2"))
    return Case(
        frame,
        {"ward": "category", **numbers(10)},
        {"reduce": "lda", "select": 12},
        {
            "families": ["logistic", "tree", "svm"],
            "balance": ["none", "weights", "smote"],
            "budget": {"trials": 7},
        },
    )


def run_parts(case: Case, folder: Path, by: str, leak: pytest.MonkeyPatch | None = None) -> StepContext:
    """A run up to the fitted model."""
    folder.mkdir()
    study = make_study(case, folder)
    records = study.records.model_copy(update={"time": "day"})
    parts = study.split.model_copy(update={"by": by, "validation": 0.2, "test": 0.3})
    context = start(study.model_copy(update={"records": records, "split": parts}), folder / "home")
    go_on(context, "split")
    if leak is not None:
        leak_encoder(leak, everything(context))
    go_on(context, "learn", "fit")
    return context


def change(case: Case, context: StepContext, part: Part, *, labels: bool) -> Case:
    """The same records, but nonsense in all rows of a part: values, levels, gaps and, if asked, labels."""
    patients = context.rows(part).frame[PATIENT].unique().to_list()
    here = pl.col("who").is_in(patients)
    rng = np.random.default_rng(9)
    frame = case.frame.with_columns(
        *(
            pl.when(here)
            .then(pl.Series(1e4 * rng.normal(size=case.frame.height)).round(3))
            .otherwise(f"x{n}")
            .alias(f"x{n}")
            for n in range(9)
        ),
        x9=pl.when(here).then(None).otherwise("x9"),
        ward=pl.when(here).then(pl.lit("nowhere")).otherwise("ward"),
    )
    if labels:
        other = pl.when(pl.col("y") == "yes").then(pl.lit("no")).otherwise(pl.lit("yes"))
        frame = frame.with_columns(y=pl.when(here).then(other).otherwise("y"))
    return replace(case, frame=frame)


def model_files(context: StepContext) -> dict[str, bytes]:
    folder = context.made("fit") / "package"
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def learned(context: StepContext) -> str:
    """What the search found, but its times."""
    result = context.result("learn")
    trials = [{key: value for key, value in trial.items() if key != "seconds"} for trial in result["trials"]]
    arrays = [
        trial.judged.tobytes().hex() for trial in TrialFolder(context.made("learn")).read() if trial.score
    ]
    return json.dumps([result["selection"], result["majority"], trials, arrays])


@pytest.fixture(scope="module")
def by_time(tmp_path_factory: pytest.TempPathFactory) -> StepContext:
    """The mixed records as they are, the latest patients judging."""
    return run_parts(mixed_case(), tmp_path_factory.mktemp("mixed") / "one", "time")


@pytest.mark.parametrize("by", ["time", "patient"])
def test_rows_of_the_test_part_do_not_reach_the_model(by: str, tmp_path: Path, by_time: StepContext) -> None:
    """Split by time, their labels may change too; stratified, labels decide who is in which part."""
    case = mixed_case()
    one = by_time if by == "time" else run_parts(case, tmp_path / "one", by)
    other = run_parts(change(case, one, "test", labels=by == "time"), tmp_path / "other", by)
    assert one.result("split")["evidence"]["digests"] == other.result("split")["evidence"]["digests"]
    assert learned(one) == learned(other)
    files = model_files(one)
    assert {"features.json", "features.npz", "model.json", "reference.json"} <= files.keys()
    assert any(name.startswith("members/") for name in files)
    assert [name for name, content in model_files(other).items() if content != files.get(name)] == []
    assert files.keys() == model_files(other).keys()


def test_rows_of_the_validation_part_do_not_reach_the_search(tmp_path: Path, by_time: StepContext) -> None:
    """They set the conformal threshold, and members learn from them in the end; nothing is chosen by them."""
    case, one = mixed_case(), by_time
    other = run_parts(change(case, one, "validation", labels=True), tmp_path / "other", "time")
    assert learned(one) == learned(other)
    models = [json.loads(model_files(context)["model.json"]) for context in (one, other)]
    assert models[0]["calibration"] == models[1]["calibration"]
    assert models[0]["decision"] == models[1]["decision"]
    assert models[0]["conformal"] != models[1]["conformal"]
    assert model_files(one)["features.npz"] != model_files(other)["features.npz"]


def test_a_model_that_the_test_part_reaches_is_caught(tmp_path: Path) -> None:
    case = mixed_case()
    with pytest.MonkeyPatch.context() as leak:
        one = run_parts(case, tmp_path / "one", "time", leak)
        other = run_parts(change(case, one, "test", labels=True), tmp_path / "other", "time", leak)
    assert learned(one) != learned(other)
    assert model_files(one)["features.npz"] != model_files(other)["features.npz"]
