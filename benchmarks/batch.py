"""Parquet to Parquet through a package, beside the same boosters' own predict_proba on a ready matrix.

    python benchmarks/batch.py [--rows 200000] [--threads 2] [--rounds 3]

200 trees x 5 classes x depth 6. The package's way includes reading, validation, encoding,
calibration, decision, conformal sets, reasons and writing. Peak memory is that of a fresh
process which does nothing else, for 1x and 4x the rows.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
from synthetic import Fitted, draw, fit_package

from galeno.model.model import Model
from galeno.pipeline.scoring import predict_file


def score(package: Path, source: Path, threads: int) -> None:
    """In a process of its own: peak memory in MB."""
    model = Model.load(package, threads=threads)
    predict_file(model, source, source.with_suffix(".answers.parquet"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(f"{peak}\n")


def run_score(package: Path, source: Path, threads: int) -> float:
    """Peak memory of a fresh process, in MB."""
    options = ["--package", str(package), "--source", str(source), "--threads", str(threads)]
    done = subprocess.run([sys.executable, __file__, *options], check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])


def write_rows(path: Path, rows: int) -> None:
    """Parquet with row groups of 50,000, as exports have them."""
    frame, _ = draw(rows, 2)
    frame.write_parquet(path, row_group_size=50_000)


def race(fitted: Fitted, source: Path, rounds: int) -> tuple[float, float]:
    """Best rows per second of predict_proba and of the package, taking turns, since machines are shared."""
    raw = pl.read_parquet(source)
    typed, _ = fitted.model.contract.answer(raw)
    matrix = np.ascontiguousarray(fitted.model.assembler.transform(typed)[:, fitted.columns])
    own, package = [], []
    for _ in range(rounds):
        start = time.perf_counter()
        fitted.estimator.predict_proba(matrix)
        middle = time.perf_counter()
        predict_file(fitted.model, source, source.with_suffix(".answers.parquet"))
        own.append(middle - start)
        package.append(time.perf_counter() - middle)
    return raw.height / min(own), raw.height / min(package)


def compare(rows: int, threads: int, rounds: int) -> None:
    """Print rows per second, ratios and memory for each booster."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for times in (1, 4):
            write_rows(folder / f"{times}.parquet", rows * times)
        for family in ("xgboost", "lightgbm"):
            package = folder / family
            own, ours = race(fit_package(package, family, threads=threads), folder / "1.parquet", rounds)
            once, four = (run_score(package, folder / f"{times}.parquet", threads) for times in (1, 4))
            sys.stdout.write(
                f"{family}: {rows:,} rows, {threads} threads\n"
                f"  predict_proba on a ready matrix {own:10,.0f} rows/s\n"
                f"  package, Parquet to Parquet     {ours:10,.0f} rows/s\n"
                f"  ratio                           {ours / own:10.2f}        (at least 0.5 is asked)\n"
                f"  peak memory                     {once:,.0f} MB, with 4 times the rows {four:,.0f} MB\n"
            )


def main() -> None:
    """Compare, or score in a process of its own."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=200_000)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--package", type=Path, help="only measure the memory that this package takes")
    options.add_argument("--source", type=Path)
    chosen = options.parse_args()
    if chosen.package is None:
        compare(chosen.rows, chosen.threads, chosen.rounds)
    else:
        score(chosen.package, chosen.source, chosen.threads)


if __name__ == "__main__":
    main()
