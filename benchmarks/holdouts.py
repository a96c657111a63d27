"""The whole loop against plain models, on repeated holdouts of real tables.

    python benchmarks/holdouts.py DATA [NAME ...] [--repeats 3] [--set KEY=YAML ...]

DATA is a folder with thyroid/ and tables/ (see GALENO_TEST_DATA). For each repeat 30 % of every class are
kept apart; `galeno init` and `galeno run` see the rest only; macro-F1 is taken on what was kept apart. The
peers learn from the same rows through the same encoders: balanced logistic regression, balanced random
forest, plain XGBoost. Printed are Galeno's ratio to each peer and to the best of the three per table picked
in hindsight.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from xgboost import XGBClassifier

from galeno.features.assemble import Assembler
from galeno.ingest.contract import Contract
from galeno.ingest.tables import read_table
from galeno.pipeline.context import label_indices
from galeno.pipeline.drafting import draft_file
from galeno.pipeline.loading import load
from galeno.pipeline.runner import run_study
from galeno.pipeline.scoring import evaluate_file
from galeno.records import TARGET
from galeno.study import Study
from galeno.study_file import load_study

SHARE = 0.3
TABLES = {
    "arrhythmia": "class",
    "audiology": "class",
    "cardiotocography": "NSP",
    "dermatology": "class",
    "heart_cleveland": "num",
    "lymphography": "class",
    "primary_tumor": "class",
    "stroke": "stroke",
}
JUDGED_BY_US = ("gate.accuracy=0", "gate.too_few=allow", "evaluation.bootstrap=0")
"""The internal gate would only refuse what is judged here anyway."""


def hold_out(labels: Sequence[str], seed: int) -> np.ndarray:
    """Mask of the rows that are kept apart: 30 % of each class, never a whole class."""
    rng = np.random.default_rng(seed)
    values = np.array(labels)
    apart = np.zeros(len(values), dtype=bool)
    for name in np.unique(values):
        rows = rng.permutation(np.flatnonzero(values == name))
        apart[rows[: min(int(len(rows) * SHARE + rng.random()), len(rows) - 1)]] = True
    return apart


def judge_peers(study: Study, known: pl.DataFrame, apart: pl.DataFrame) -> Iterator[tuple[str, float]]:
    """Macro-F1 of plain models on the rows kept apart."""
    contract = Contract(study)
    good = contract.admit(known, "known").good
    typed, _ = contract.answer(apart)
    labels = label_indices(good[TARGET], study.class_names)
    truth = label_indices(contract.targets(apart), study.class_names)
    assembler, matrix = Assembler.fit(study, good, labels, study.seed, 2)
    shown = assembler.view("dense")
    for name, peer in {
        "logistic": LogisticRegression(max_iter=1000, class_weight="balanced"),
        "forest": RandomForestClassifier(300, class_weight="balanced", n_jobs=2, random_state=0),
        "xgboost": XGBClassifier(n_jobs=2, random_state=0),
    }.items():
        present, positions = np.unique(labels, return_inverse=True)
        peer.fit(matrix[:, shown], positions)
        answers = present[peer.predict(assembler.transform(typed)[:, shown])]
        yield name, float(f1_score(truth, answers, average="macro"))


def run_once(path: Path, target: str, seed: int, sets: Sequence[str]) -> dict[str, float]:
    """Macro-F1 of Galeno and its peers on one holdout."""
    raw = read_table(path)
    apart = hold_out(raw[target].to_list(), seed)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        known, kept = raw.filter(pl.Series(~apart)), raw.filter(pl.Series(apart))
        known.write_csv(place / "known.csv")
        kept.write_csv(place / "apart.csv")
        draft_file(str(place / "known.csv"), target, place / "study.yaml")
        study = load_study(place / "study.yaml", [*sets, *JUDGED_BY_US])
        result = run_study(study, place / "home", threads=2)
        found = evaluate_file(load(result.package), place / "apart.csv")
        return {"galeno": found["macro_f1"], **dict(judge_peers(study, known, kept))}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("names", nargs="*", help="thyroid, or tables by name; all tables by default")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--set", dest="sets", action="append", default=[])
    options = parser.parse_args()
    means = []
    for name in options.names or TABLES:
        path, target, sets = options.data / "tables" / f"{name}.csv.gz", TABLES.get(name, ""), options.sets
        if name == "thyroid":
            path, target = options.data / "thyroid" / "dev.csv.gz", "condition"
            sets = [*sets, "records.drop=[diagnosis]"]
        runs = [run_once(path, target, seed, sets) for seed in range(1, options.repeats + 1)]
        mean = {key: float(np.mean([run[key] for run in runs])) for key in runs[0]}
        mean["best in hindsight"] = max(mean[key] for key in mean if key != "galeno")
        means.append(mean)
        print(name, {key: round(value, 3) for key, value in mean.items()}, flush=True)
    total = {key: float(np.mean([mean[key] for mean in means])) for key in means[0]}
    print("mean", {key: round(value, 3) for key, value in total.items()})
    print(
        "ratio", {key: round(total["galeno"] / value, 3) for key, value in total.items() if key != "galeno"}
    )


if __name__ == "__main__":
    main()
