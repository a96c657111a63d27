"""A whole report's content, judged on made-up rows."""

import numpy as np
import pytest

from galeno.evaluation.gate import decide
from galeno.evaluation.importance import Importance
from galeno.evaluation.judge import judge
from galeno.evaluation.report import CandidateLine, Contender, ReportContent
from galeno.records import Candidate, ValidationReport, Violation
from galeno.study import Judging, Study

NAMES = ("no_enfermo", "leve", "aguda", "cronica", "terminal", "huerfana")
LABELS = {
    "es": ("No enfermo", "Enfermedad leve", "Enfermedad aguda", "Enfermedad crónica", "Terminal", "Huérfana"),
    "en": ("Not ill", "Mild disease", "Acute disease", "Chronic disease", "Terminal", "Orphan"),
}


def build_study(language="en", **changes):
    """A study of six classes; the last has no test patient."""
    data = {
        "name": "severity",
        "title": {"es": "Gravedad al llegar a urgencias", "en": "Severity on arrival"}[language],
        "question": "How ill is this patient on arrival?",
        "intended_use": "",
        "owner": "Emergency department",
        "language": language,
        "simulated": True,
        "records": {"source": "cohort:severity", "target": "severity", "patient": "patient_id"},
        "classes": [
            {
                "name": name,
                "label": {key: LABELS[key][i] for key in LABELS},
                "rare": name in ("terminal", "huerfana"),
            }
            for i, name in enumerate(NAMES)
        ],
        "columns": {
            "age": {
                "type": "number",
                "unit": "years",
                "min": 0,
                "max": 120,
                "label": {"es": "Edad", "en": "Age"},
            },
            "sex": {"type": "category", "options": ["F", "M"], "label": {"es": "Sexo", "en": "Sex"}},
            "crp": {"type": "number", "label": {"es": "Proteína C reactiva", "en": "C-reactive protein"}},
            "fever": {"type": "flag"},
            "note": {"type": "text"},
        },
        "evaluation": {"groups": ["sex", "age"], "bootstrap": 60},
        "gate": {"accuracy": 0.7, "per_class": {"terminal": {"recall": 0.9}, "huerfana": {"recall": 0.3}}},
    }
    return Study.model_validate(data | changes)


def build_evaluation(study, *, n=600, skill=2.2, seed=3, bootstrap=60, sharpness=1.6):
    """Rows of five of the six classes, two rows for some patients."""
    rng = np.random.default_rng(seed)
    k = len(NAMES)
    labels = rng.choice(k, n, p=[0.42, 0.25, 0.17, 0.13, 0.03, 0.0])
    scores = rng.normal(size=(n, k)) + np.array([0.6, 0.4, 0.2, 0.0, -0.8, -2.5])
    scores[np.arange(n), labels] += skill
    probabilities = np.exp(scores * sharpness)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    answers = probabilities.argmax(axis=1)
    ages = np.array(["<18", "18-<40", "40-<65", "65-<80", ">=80"])
    groups = {
        "sex": rng.choice(["F", "M", "missing"], n, p=[0.5, 0.48, 0.02]),
        "age": rng.choice(ages, n, p=[0.005, 0.25, 0.4, 0.25, 0.095]),
    }
    patients = rng.integers(0, int(n * 0.9), n).astype(str)
    sets = probabilities > 0.15
    sets[np.arange(n), answers] = True
    return judge(
        labels,
        probabilities,
        answers,
        sets,
        NAMES,
        patients=patients,
        groups=groups,
        judging=Judging(bootstrap=bootstrap),
        seed=1,
        unknown={},
    )


def make_split():
    """Evidence as learning.split writes it."""
    shares = {"train": 0.7, "validation": 0.2, "test": 0.1}
    patients = {
        "no_enfermo": 2500,
        "leve": 1500,
        "aguda": 1000,
        "cronica": 800,
        "terminal": 180,
        "huerfana": 2,
    }
    classes = {
        name: {part: {"rows": round(n * s * 1.1), "patients": round(n * s)} for part, s in shares.items()}
        for name, n in patients.items()
    }
    return {
        "by": "patient",
        "seed": 7,
        "shares": shares,
        "rows": {part: sum(c[part]["rows"] for c in classes.values()) for part in shares},
        "patients": {part: sum(c[part]["patients"] for c in classes.values()) for part in shares},
        "classes": classes,
        "folds": [],
        "rows_without_class": 0,
        "overlap": {"train_validation": 0, "train_test": 0, "validation_test": 0, "folds": 0},
        "absent": {"train": [], "validation": ["huerfana"], "test": ["huerfana"]},
        "digests": {},
    }


def make_candidates():
    """A dozen candidates, two of them members, one failed."""
    rng = np.random.default_rng(0)
    lines = []
    for family in ("logistic", "tree", "forest", "extra_trees", "xgboost", "lightgbm", "svm", "mlp"):
        for balance in ("none", "weights"):
            score = float(rng.uniform(0.6, 0.86))
            params = {"n_estimators": 400, "learning_rate": 0.0513, "max_depth": 6}
            cv = {
                "score": score - 0.01,
                "macro_f1": score,
                "accuracy": score + 0.05,
                "rare_recall": score - 0.1,
            }
            weight = {"xgboost": 0.6, "lightgbm": 0.4}.get(family, 0.0) if balance == "weights" else 0.0
            lines.append(
                CandidateLine(Candidate(family, balance, params), cv, weight, float(rng.uniform(0.5, 20)))
            )
    lines.append(CandidateLine(Candidate("svm", "smote"), {}, note="stopped: out of time"))
    return lines


def build_content(language="en", study=None, **changes):
    """Everything a report says."""
    study = study or build_study(language)
    evaluation = build_evaluation(study)
    weak = build_evaluation(study, skill=0.9)
    return ReportContent(
        **{
            "study": study,
            "evaluation": evaluation,
            "gate": decide(study.gate, evaluation, weak),
            "split": make_split(),
            "source": "cohort:severity",
            "package_sha256": "9f2c4be1" * 8,
            "run": "severity-20260301-101500",
            "created": "2026-03-01T10:15:00Z",
            "lake_version": 3,
            "validation": ValidationReport(
                "cohort:severity",
                6700,
                6580,
                120,
                (
                    Violation("range", "age", 41, (3, 77, 190), "blank"),
                    Violation("range", "crp", 12, (5, 9, 14), "convert"),
                    Violation("missing_target", "severity", 120, (8, 21), "quarantine"),
                    Violation("missing_code", "crp", 1540, (1, 2), "blank"),
                    Violation("missing_code", "sex", 9, (4,), "blank"),
                ),
            ),
            "candidates": make_candidates(),
            "contenders": [
                Contender("majority", cv={"macro_f1": 0.1}, test=build_evaluation(study, skill=0.0)),
                Contender("logistic", cv={"macro_f1": 0.61}, test=weak),
                Contender("single", "xgboost+weights", {"macro_f1": 0.84}),
                Contender("model", cv={"macro_f1": 0.85}, test=evaluation),
            ],
            "calibration": "temperature",
            "conformal": {"coverage": 0.9, "method": "lac", "threshold": 0.853},
            "decision_weights": {name: 1.0 + 0.3 * (name == "terminal") for name in NAMES},
            "decision_offsets": {name: 0.25 * (name == "terminal") for name in NAMES},
            "importance": Importance(
                {"age": 0.21, "sex": -0.004, "crp": 0.32, "fever": 0.09, "note": 0.15}, 600, 0.51
            ),
            "missing": {"age": 0.01, "crp": 0.23},
            "parity": 3.2e-7,
            "libraries": {"python": "3.11.7", "scikit-learn": "1.9.1", "xgboost": "3.2.0"},
        }
        | changes
    )


@pytest.fixture
def make_study():
    """Builds a study; keys may be changed."""
    return build_study


@pytest.fixture
def make_evaluation():
    """Builds an evaluation of made-up rows."""
    return build_evaluation


@pytest.fixture
def make_content():
    """Builds a report's content; fields may be changed."""
    return build_content


@pytest.fixture
def content():
    """The example in English."""
    return build_content("en")
