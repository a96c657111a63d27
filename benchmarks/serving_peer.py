"""Run by the peer's Python: fit the same booster behind a scikit-learn pipeline, and save it for MLflow."""

import json
import sys
from pathlib import Path

import mlflow.sklearn
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from xgboost import XGBClassifier

plan = json.loads(sys.argv[1])
folder = Path(plan["folder"])
training = pd.read_parquet(folder / "training.parquet")
labels = json.loads((folder / "labels.json").read_text())
encode = ColumnTransformer(
    [
        ("numbers", SimpleImputer(), plan["numbers"]),
        ("categories", OneHotEncoder(handle_unknown="ignore"), plan["categories"]),
    ]
)
booster = XGBClassifier(n_estimators=plan["trees"], max_depth=plan["depth"], n_jobs=1, tree_method="hist")
mlflow.sklearn.save_model(
    make_pipeline(encode, booster).fit(training, labels),
    str(folder / "model"),
    skops_trusted_types=["numpy.dtype", "xgboost.core.Booster", "xgboost.sklearn.XGBClassifier"],
)
