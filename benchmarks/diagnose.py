"""One record diagnosed in process, beside a scikit-learn pipeline's predict_proba on one row.

    python benchmarks/diagnose.py [--records 2000] [--trees 200]

The diagnosis includes validation, encoders, the graph, calibration, decision, conformal set
and reasons; the pipeline imputes, one-hot encodes and predicts with the same booster.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from synthetic import CATEGORIES, FIT_ROWS, FLAGS, NUMBERS, draw, fit_package


def measure(act: Callable[[Any], object], inputs: Sequence[Any], records: int) -> tuple[float, float]:
    """Median and 99th percentile of one call, in milliseconds."""
    for given in inputs[:50]:
        act(given)
    taken = np.empty(records)
    for i in range(records):
        given = inputs[i % len(inputs)]
        start = time.perf_counter_ns()
        act(given)
        taken[i] = time.perf_counter_ns() - start
    return float(np.median(taken)) / 1e6, float(np.quantile(taken, 0.99)) / 1e6


def main() -> None:
    """Print both and their ratio, for each booster."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--records", type=int, default=2000)
    options.add_argument("--trees", type=int, default=200)
    chosen = options.parse_args()
    fresh, _ = draw(300, 1)
    records = list(fresh.iter_rows(named=True))
    training, labels = draw(FIT_ROWS, 0)
    for family in ("lightgbm", "xgboost"):
        with tempfile.TemporaryDirectory() as folder:
            fitted = fit_package(Path(folder) / "package", family, trees=chosen.trees)
        ours = measure(fitted.model.diagnose, records, chosen.records)
        numbers, categories = slice(0, len(NUMBERS) + len(FLAGS)), slice(-len(CATEGORIES), None)
        encode = ColumnTransformer(
            [
                ("numbers", SimpleImputer(), numbers),
                ("categories", OneHotEncoder(handle_unknown="ignore"), categories),
            ]
        )
        pipeline = make_pipeline(encode, type(fitted.estimator)(**fitted.estimator.get_params()))
        pipeline.fit(np.array(training.to_numpy(), dtype=object), labels)
        rows = [np.array([list(record.values())], dtype=object) for record in records]
        theirs = measure(pipeline.predict_proba, rows, chosen.records // 4)
        sys.stdout.write(
            f"{family}: {chosen.trees} trees x 5 classes, {len(records[0])} columns\n"
            f"  galeno diagnose            median {ours[0]:7.3f} ms   p99 {ours[1]:7.3f} ms\n"
            f"  scikit-learn predict_proba median {theirs[0]:7.3f} ms   p99 {theirs[1]:7.3f} ms\n"
            f"  ratio of medians           {theirs[0] / ours[0]:.1f} times faster\n"
        )


if __name__ == "__main__":
    main()
