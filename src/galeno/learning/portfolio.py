"""The candidates that every search tries first: strong defaults, the quick and the different ones first."""

from collections.abc import Mapping, Sequence
from importlib import import_module

from galeno.features.assemble import MODALITY_OF, ONLY, TENSOR, fuses_late
from galeno.features.layout import SOUND_TENSOR
from galeno.learning.network import NETWORK
from galeno.records import Candidate
from galeno.study import Family, Study

MOST_ROWS: Mapping[Family, int] = {"svm": 20_000, "mlp": 100_000}
"""Families whose time grows too fast for more training rows than this."""

SMALL, LARGE = 3_000, 30_000
"""Training rows at which the portfolio changes."""

LINEAR: frozenset[Family] = frozenset({"logistic", "svm", "mlp"})
"""Families that see n-grams and rank copies; the others see their dense summary."""

BASELINE = Candidate("logistic", "none", {}, "linear")
"""Plain logistic regression; every search judges it first, whatever the study's families."""


_Line = tuple[Family, str, Mapping[str, object]]
_Seen = tuple[_Line, str]
"""A line, and the view that it sees."""


def view_of(family: Family) -> str:
    """The view of the feature matrix that suits a family."""
    return "linear" if family in LINEAR else "dense"


def usable_families(study: Study, n_rows: int) -> list[Family]:
    """The study's families that can be loaded, without those that would take too long on so many rows."""
    loaded = [family for family in study.learning.families if is_loadable(family)]
    return [family for family in loaded if n_rows <= MOST_ROWS.get(family, n_rows)] or loaded


def is_loadable(family: Family) -> bool:
    """Whether the family's library loads: LightGBM's needs OpenMP (libgomp.so.1), which slim systems lack."""
    if family != "lightgbm":
        return True
    try:
        import_module("lightgbm")
    except OSError:
        return False
    return True


def allows(study: Study, candidate: Candidate) -> bool:
    """Whether the study lets this candidate into the model; the baseline is judged all the same."""
    if candidate.family == NETWORK:
        return True  # tried only where the study asks for one
    return candidate.family in study.learning.families and candidate.balance in study.learning.balance


def portfolio(study: Study, n_rows: int) -> list[Candidate]:
    """The baseline, then what suits so many rows, as far as the study allows it.

    The lists come from cross-validation on a dozen clinical tables: balancing by the full inverse class size
    helps on small tables and harms on large ones, where calibration and the decision rule do that work.

    Args:
        study: which families and balancing strategies may be tried.
        n_rows: training rows.
    """
    families = usable_families(study, n_rows)
    chosen: list[Candidate] = [BASELINE, *_networks(study)]
    lines = _SMALL if n_rows <= SMALL else _MEDIUM if n_rows <= LARGE else _LARGE
    if any(column.holds_file for column in study.features_columns.values()):
        lines = (*_MEDIA, *lines)
    if all(column.type == "text" for column in study.features_columns.values()):
        lines = (*_TEXT, *lines)
    told = [(line, view_of(line[0])) for line in lines]
    if fuses_late(study):
        late = [line for line in _LATE if line[1] == "late" or study.features.fusion != "late"]
        late = [*_alone(study), *late]
        told = late if study.features.fusion == "late" else _alternate(late, told)
    for (family, balance, params), view in told:
        if family in families and balance in study.learning.balance:
            chosen.append(Candidate(family, balance, params, view))
    return chosen


def _networks(study: Study) -> list[Candidate]:
    """A network for each column of sounds or images that the study wants one for."""
    audio, image = study.features.audio, study.features.image
    found: list[Candidate] = []
    for name, column in study.features_columns.items():
        seen = f"{TENSOR}{name}"
        if column.type == "sound" and audio.network == "required":
            found.append(Candidate(NETWORK, "none", {"kind": "sound", "shape": list(SOUND_TENSOR)}, seen))
        if column.type == "image" and image.network == "required":
            about = {"kind": "image", "shape": [3, image.size, image.size], "flip": image.flip}
            found.append(Candidate(NETWORK, "none", about, seen))
        if column.type == "image" and image.backbone and image.fine_tune:
            about = {
                "kind": "image",
                "shape": [3, image.backbone_size, image.backbone_size],
                "flip": image.flip,
                "backbone": image.backbone,
            }
            found.append(Candidate(NETWORK, "none", about, seen))
    return found


def _alone(study: Study) -> list[_Seen]:
    """Candidates that see one modality each; the ensemble weighs what they say."""
    there = dict.fromkeys(MODALITY_OF[column.type] for column in study.features_columns.values())
    return [(line, f"{ONLY}{modality}") for modality in there for line in _ALONE[modality]]


def _alternate(one: Sequence[_Seen], other: Sequence[_Seen]) -> list[_Seen]:
    """Both in turn, so that a short budget tries the best of both."""
    paired = [each for pair in zip(one, other, strict=False) for each in pair]
    return [*paired, *one[len(other) :], *other[len(one) :]]


_XGB: Mapping[str, object] = {"n_estimators": 150, "learning_rate": 0.1, "subsample": 0.8}
_XGB_SMALL: Mapping[str, object] = {
    "n_estimators": 100,
    "max_depth": 3,
    "learning_rate": 0.1,
    "subsample": 0.8,
    "colsample_bytree": 0.4,
}
_LGB: Mapping[str, object] = {
    "num_leaves": 31,
    "min_child_samples": 2,
    "min_child_weight": 0.1,
    "subsample": 0.8,
    "subsample_freq": 1,
    "colsample_bytree": 0.9,
}
_LGB_SMALL: Mapping[str, object] = {
    "n_estimators": 100,
    "num_leaves": 8,
    "learning_rate": 0.06,
    "subsample": 0.8,
    "subsample_freq": 1,
    "colsample_bytree": 0.4,
    "min_child_samples": 5,
}
_MLP: Mapping[str, object] = {"hidden_layer_sizes": [64], "max_iter": 150, "learning_rate_init": 0.003}

_LATE: Sequence[_Seen] = (
    (("logistic", "none", {"C": 1.0}), "late"),
    (("xgboost", "weights", {"power": 0.5, **_XGB_SMALL}), "fused"),
    (("logistic", "weights", {"power": 1.0, "C": 0.1}), "late"),
    (("extra_trees", "weights", {"power": 0.5, "min_samples_leaf": 3, "max_features": 0.5}), "fused"),
    (("svm", "weights", {"power": 0.5, "C": 1.0}), "late"),
    (("logistic", "none", {"C": 0.02}), "fused"),
    (("forest", "none", {"min_samples_leaf": 4, "max_features": "sqrt"}), "late"),
)
"""On what each modality says by itself, and on that beside its numbers."""

_MEDIA: Sequence[_Line] = (
    ("svm", "weights", {"power": 1.0, "C": 3.0, "cosines": 3000}),
    ("logistic", "none", {"C": 0.1}),
    ("svm", "none", {"C": 1.0, "cosines": 3000}),
)
"""Before the others where there are sounds or images; trees are weak on main directions."""
_MEDIA_ALONE: Sequence[_Line] = _MEDIA[:2]
_ALONE: Mapping[str, Sequence[_Line]] = {
    "audio": _MEDIA_ALONE,
    "image": _MEDIA_ALONE,
    "table": (("xgboost", "none", _XGB_SMALL),),
    "text": (("svm", "none", {"kernel": "linear", "C": 1.0}),),
    "phenotype": (("logistic", "none", {"C": 1.0}),),
}
"""By modality."""

_TEXT: Sequence[_Line] = (
    ("svm", "none", {"kernel": "linear", "C": 3.0}),
    ("svm", "none", {"kernel": "linear", "C": 10.0}),
    ("svm", "none", {"kernel": "linear", "C": 1.0}),
    ("logistic", "none", {"C": 300.0}),
    ("svm", "weights", {"power": 0.5, "kernel": "linear", "C": 3.0}),
)
"""Before the others where there is free text alone."""

_SMALL: Sequence[_Line] = (
    ("xgboost", "weights", {"power": 0.5, **_XGB_SMALL}),
    ("logistic", "weights", {"power": 1.0, "C": 1.0}),
    ("extra_trees", "weights", {"power": 1.0, "min_samples_leaf": 2, "max_features": 0.5}),
    ("svm", "weights", {"power": 1.0, "C": 1.0}),
    ("forest", "none", {"max_features": "sqrt"}),
    ("mlp", "none", {"alpha": 1.0, **_MLP}),
    ("lightgbm", "weights", {"power": 0.5, **_LGB_SMALL}),
    ("forest", "weights", {"power": 1.0, "min_samples_leaf": 3, "max_features": 0.3}),
    ("logistic", "none", {"C": 0.1}),
    ("svm", "weights", {"power": 1.0, "C": 10.0}),
    ("xgboost", "none", _XGB_SMALL),
    ("logistic", "weights", {"power": 1.0, "C": 0.1}),
    ("mlp", "weights", {"power": 0.5, "alpha": 3.0, **_MLP}),
    ("forest", "weights", {"power": 1.0, "max_features": "sqrt"}),
    ("svm", "weights", {"power": 0.5, "C": 3.0}),
    ("logistic", "smote", {"C": 0.5}),
    ("tree", "weights", {"power": 0.5, "min_samples_leaf": 5, "max_depth": 8}),
)
"""Up to SMALL training rows."""

_MEDIUM: Sequence[_Line] = (
    ("forest", "weights", {"power": 0.3, "max_features": 0.5, "n_estimators": 200}),
    ("xgboost", "weights", {"power": 0.3, **_XGB, "max_depth": 6, "colsample_bytree": 1.0}),
    ("lightgbm", "weights", {"power": 0.3, **_LGB, "n_estimators": 80, "learning_rate": 0.1}),
    ("forest", "weights", {"power": 0.5, "max_features": 0.5, "n_estimators": 150}),
    ("lightgbm", "weights", {"power": 0.3, **_LGB, "n_estimators": 300, "learning_rate": 0.03}),
    ("xgboost", "weights", {"power": 0.5, **_XGB, "max_depth": 5, "colsample_bytree": 0.6}),
    ("logistic", "weights", {"power": 0.5, "C": 10.0}),
    ("forest", "weights", {"power": 0.5, "max_features": 0.6, "criterion": "entropy", "n_estimators": 200}),
    ("svm", "weights", {"power": 0.5, "C": 3.0}),
    ("extra_trees", "weights", {"power": 0.5, "max_features": 1.0, "n_estimators": 150}),
    ("mlp", "none", {"alpha": 0.3, **_MLP}),
    ("forest", "smote", {"max_features": 0.5, "n_estimators": 120}),
    ("tree", "weights", {"power": 0.5, "min_samples_leaf": 5, "max_depth": 12}),
)
"""Up to LARGE training rows."""

_LARGE: Sequence[_Line] = (
    (
        "lightgbm",
        "none",
        {
            "n_estimators": 250,
            "num_leaves": 31,
            "learning_rate": 0.03,
            "subsample": 0.8,
            "subsample_freq": 1,
            "colsample_bytree": 0.4,
            "min_child_samples": 100,
        },
    ),
    (
        "xgboost",
        "none",
        {
            "n_estimators": 250,
            "max_depth": 6,
            "learning_rate": 0.03,
            "subsample": 0.8,
            "colsample_bytree": 0.4,
            "min_child_weight": 20,
            "reg_lambda": 5,
        },
    ),
    (
        "xgboost",
        "none",
        {
            "n_estimators": 250,
            "max_depth": 4,
            "learning_rate": 0.07,
            "subsample": 0.8,
            "colsample_bytree": 0.5,
            "min_child_weight": 5,
        },
    ),
    ("forest", "none", {"n_estimators": 80, "min_samples_leaf": 20, "max_features": 0.15}),
    ("logistic", "none", {"C": 0.05}),
    ("tree", "none", {"min_samples_leaf": 50, "max_depth": 12}),
)
"""More training rows."""
