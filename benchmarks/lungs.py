"""How well a study of recordings names the disease of patients whom it never heard, by the command line.

    python benchmarks/lungs.py --data FOLDER [--folds 5] [--seed 0] [--set KEY=YAML ...] [--table-alone]

FOLDER holds `recordings.csv` and the files that it names, in it or in `recordings/`. Patients are shared out
to folds, each condition evenly; all recordings of a patient are in one fold. For each fold `galeno init` and
`galeno run` see the other folds alone, in a folder and a home of their own, and `galeno predict` answers for
the fold, whose table lacks the condition. The study stays as it was drafted, but for --set. A refusal by the
gate is no end: the package of the run answers all the same.

Printed are accuracy and macro-F1 over the four commonest conditions, by patient (`patient_condition`) and by
recording, with 95 % intervals from resamples of whole patients; beside them the commonest condition of the
other folds and, with --table-alone, a study of the same table without its files, whose probabilities are
averaged by patient. All is written to a temporary folder, or to the one that --keep names.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

PATIENT, TABLE = "patient_id", "recordings.csv"
REFUSED = 3
"""Exit code of `galeno run` where the gate refuses."""
SCORED = 4
"""Conditions that macro-F1 is taken over."""


@dataclass(frozen=True, slots=True)
class Row:
    """One recording: whose it is, what it is, and what was said of it and of its patient."""

    patient: str
    truth: str
    said: str
    patient_said: str


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def share_out(conditions: dict[str, str], folds: int, seed: int) -> dict[str, int]:
    """The fold of each patient: each condition evenly, and folds of nearly one size."""
    rng = np.random.default_rng(seed)
    fold_of: dict[str, int] = {}
    for condition in sorted(set(conditions.values())):
        own = sorted(patient for patient, its in conditions.items() if its == condition)
        for patient in rng.permutation(own):
            fold_of[str(patient)] = len(fold_of) % folds
    return fold_of


def place_table(table: pl.DataFrame, data: Path, folder: Path, column: str) -> Path:
    """A table with copies of its files beside it, as a user has them (a link may not lead out of a place)."""
    folder.mkdir(parents=True)
    for name in table[column].drop_nulls().unique() if column in table.columns else ():
        inside = next((part for part in ("", "recordings") if (data / part / name).is_file()), None)
        if inside is not None:
            target = folder / inside / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(data / inside / name, target)
    table.write_csv(folder / TABLE)
    return folder / TABLE


def galeno(*words: str, allowed: Sequence[int] = (0,)) -> str:
    """What a command prints; ends where it fails otherwise than allowed."""
    done = subprocess.run(
        [sys.executable, "-m", "galeno", *words], capture_output=True, text=True, check=False
    )
    if done.returncode not in allowed:
        raise SystemExit(f"galeno {' '.join(words)} ended with {done.returncode}\n{done.stderr[-3000:]}")
    return done.stdout


def answer_fold(table: pl.DataFrame, apart: pl.Series, folder: Path, chosen: argparse.Namespace) -> list[Row]:
    """Learn from the other folds, answer for this one."""
    known = place_table(table.filter(~apart), chosen.data, folder / "known", chosen.file)
    hidden = table.filter(apart).drop(chosen.target, *chosen.hide, strict=False)
    asked = place_table(hidden, chosen.data, folder / "asked", chosen.file)
    study, home, answers = str(folder / "lungs.yaml"), str(folder / "home"), str(folder / "answers.csv")
    galeno("init", "--from", str(known), "--target", chosen.target, "--output", study)
    sets = [word for each in chosen.sets for word in ("--set", each)]
    threads = ["--threads", str(chosen.threads)]
    ran = galeno("run", study, "--home", home, *sets, *threads, "--json", allowed=(0, REFUSED))
    package = json.loads(ran)["package"]
    galeno("predict", package, "--home", home, "--input", str(asked), "--output", answers, *threads)
    said = pl.read_csv(answers, infer_schema=False)
    if said.height != hidden.height:
        raise SystemExit(f"{hidden.height} rows were asked, {said.height} answered")
    known_rows = table.filter(apart)
    pooled = pool(said, known_rows[PATIENT])
    columns = (known_rows[PATIENT], known_rows[chosen.target], said["condition"], pooled)
    return [Row(*each) for each in zip(*columns, strict=True)]


def pool(answers: pl.DataFrame, patients: pl.Series) -> pl.Series:
    """The answer of each row's patient; from the mean probabilities where the answers do not have it."""
    if "patient_condition" in answers.columns:
        return answers["patient_condition"]
    chances = [name for name in answers.columns if name.startswith("p_")]
    means = answers.select(pl.col(name).cast(pl.Float64).mean().over(patients) for name in chances)
    best = means.to_numpy().argmax(axis=1)
    return pl.Series([chances[place].removeprefix("p_") for place in best])


def answer_most_common(table: pl.DataFrame, apart: pl.Series, target: str) -> list[Row]:
    """The commonest condition among the patients of the other folds, for everyone."""
    others = table.filter(~apart).unique(PATIENT)[target].to_list()
    common = min(Counter(others).items(), key=lambda item: (-item[1], item[0]))[0]
    held = table.filter(apart)
    return [Row(*each, common, common) for each in zip(held[PATIENT], held[target], strict=True)]


def score(pairs: Sequence[tuple[str, str]], conditions: Sequence[str]) -> tuple[float, float]:
    """Accuracy over all, and the mean F1 of some conditions, without those that never occur."""
    found = []
    for condition in conditions:
        both = sum(truth == said == condition for truth, said in pairs)
        either = sum((truth == condition) + (said == condition) for truth, said in pairs)
        if either:
            found.append(2 * both / either)
    accuracy = sum(truth == said for truth, said in pairs) / len(pairs)
    return accuracy, sum(found) / len(found)


def judge(rows: Sequence[Row], conditions: Sequence[str], resampled: int, seed: int) -> dict[str, Any]:
    """Figures by patient and by recording: value, and the ends of its interval."""
    of_patient: dict[str, list[Row]] = {}
    for row in rows:
        of_patient.setdefault(row.patient, []).append(row)
    units: dict[str, list[list[tuple[str, str]]]] = {
        "patient": [[(own[0].truth, own[0].patient_said)] for own in of_patient.values()],
        "recording": [[(row.truth, row.said) for row in own] for own in of_patient.values()],
    }
    report: dict[str, Any] = {"patients": len(of_patient), "recordings": len(rows)}
    for unit, groups in units.items():
        rng = np.random.default_rng(seed)
        value = score([pair for group in groups for pair in group], conditions)
        draws = []
        for _ in range(resampled):
            drawn = rng.integers(len(groups), size=len(groups))
            draws.append(score([pair for place in drawn for pair in groups[place]], conditions))
        ends = np.quantile(np.array(draws), (0.025, 0.975), axis=0)
        for place, figure in enumerate(("accuracy", "macro_f1")):
            report[f"{unit}_{figure}"] = [value[place], float(ends[0, place]), float(ends[1, place])]
    return report


def tell(label: str, report: dict[str, Any]) -> None:
    """Two lines of figures."""
    say(f"{label}: {report['patients']} patients, {report['recordings']} recordings")
    for unit in ("patient", "recording"):
        parts = []
        for figure in ("accuracy", "macro_f1"):
            value, low, high = report[f"{unit}_{figure}"]
            parts.append(f"{figure} {value:.3f} ({low:.3f} to {high:.3f})")
        say(f"  by {unit:10s} {'   '.join(parts)}")


def tell_mistakes(rows: Sequence[Row]) -> None:
    """What was said of the patients of each condition."""
    patients = {row.patient: (row.truth, row.patient_said) for row in rows}
    for truth, count in Counter(truth for truth, _ in patients.values()).most_common():
        said = Counter(said for its, said in patients.values() if its == truth)
        say(f"  {truth:14s} {count:3d}: " + ", ".join(f"{name} {n}" for name, n in said.most_common()))


def run_folds(
    table: pl.DataFrame, fold_of: dict[str, int], label: str, answer: Callable[[pl.Series, int], list[Row]]
) -> list[Row]:
    """All recordings, each answered while its patient was held out."""
    folds = table[PATIENT].replace_strict(fold_of, return_dtype=pl.Int64)
    rows: list[Row] = []
    for fold in range(max(fold_of.values()) + 1):
        start = time.perf_counter()
        own = answer(folds == fold, fold)
        rows += own
        right = sum(
            truth == said for _, truth, said in {(row.patient, row.truth, row.patient_said) for row in own}
        )
        took = time.perf_counter() - start
        if took > 1:
            patients = len({row.patient for row in own})
            say(f"  {label}, fold {fold + 1}: {right} of {patients} patients right, {took:.0f} s")
    return rows


def measure(chosen: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All figures."""
    table = pl.read_csv(chosen.data / TABLE, infer_schema=False)
    patients = table.unique(PATIENT)
    fold_of = share_out(
        dict(zip(patients[PATIENT], patients[chosen.target], strict=True)), chosen.folds, chosen.seed
    )
    conditions = [name for name, _ in Counter(sorted(patients[chosen.target])).most_common(SCORED)]
    silent = table.drop(chosen.file)
    ways: dict[str, Callable[[pl.Series, int], list[Row]]] = {
        "drafted study": lambda apart, fold: answer_fold(table, apart, folder / f"fold-{fold + 1}", chosen),
        "commonest condition": lambda apart, _: answer_most_common(table, apart, chosen.target),
    }
    if chosen.table_alone:
        ways["table alone"] = lambda apart, fold: answer_fold(
            silent, apart, folder / f"table-{fold + 1}", chosen
        )
    report: dict[str, Any] = {"folds": chosen.folds, "seed": chosen.seed, "sets": chosen.sets}
    for label, answer in ways.items():
        rows = run_folds(table, fold_of, label, answer)
        report[label] = judge(rows, conditions, chosen.resampled, chosen.seed)
        if not chosen.json:
            tell(label, report[label])
        if label == "drafted study" and not chosen.json:
            tell_mistakes(rows)
    report["conditions"] = conditions
    return report


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--data", type=Path, required=True, help="folder with recordings.csv")
    options.add_argument("--folds", type=int, default=5)
    options.add_argument("--seed", type=int, default=0, help="of the folds and the resamples")
    options.add_argument("--set", dest="sets", action="append", default=[], metavar="KEY=YAML")
    options.add_argument("--table-alone", action="store_true", help="a study without the sounds, besides")
    options.add_argument("--target", default="condition")
    options.add_argument("--file", default="file", help="column of the files")
    options.add_argument(
        "--hide", nargs="*", default=["condition_text"], help="columns that a fold's table lacks too"
    )
    options.add_argument("--resampled", type=int, default=2000, help="resamples for the intervals")
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--keep", type=Path, help="folder for tables, homes and answers, which stay")
    options.add_argument("--json", action="store_true", help="one line for machines, at the end")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        report = measure(chosen, chosen.keep or Path(name))
    if chosen.json:
        say(json.dumps(report))


if __name__ == "__main__":
    main()
