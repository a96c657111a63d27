"""The HTML report: one file that opens offline, without script or outside resource."""

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from galeno.evaluation.content import CandidateLine, Contender, Figures, ReportContent
from galeno.evaluation.evaluation import Evaluation
from galeno.evaluation.fairness import MISSING
from galeno.evaluation.gallery import Gallery
from galeno.evaluation.importance import FEWEST_ROWS
from galeno.evaluation.metrics import MAIN, PER_CLASS
from galeno.evaluation.plots import (
    Bar,
    Curve,
    bar_plot,
    confusion_plot,
    curve_plot,
    histogram_plot,
    reliability_plot,
)
from galeno.evaluation.words import speaker
from galeno.features.assemble import MODALITY_OF
from galeno.records import Verdict, Violation

__all__ = ["CandidateLine", "Contender", "Figures", "ReportContent", "render_report"]

TILES = ("macro_f1", "accuracy", "balanced_accuracy", "auc_ovr", "brier", "ece", "log_loss")
COMPARED = ("macro_f1", "accuracy", "balanced_accuracy", "auc_ovr", "log_loss", "brier")
GROUPED = ("accuracy", "balanced_accuracy", "macro_f1", "auc_ovr", "ece")
_PLOTTED = 15
_RANKED = 20
"""Columns shown with their importance, at most."""
_NAMED = 6
"""Columns of a modality that are named; more are counted."""
_MISSING_CODE = "missing_code"
_MANY_CLASSES = 40
"""More classes than this make an unreadable heat map; the table by class remains."""


def render_report(content: ReportContent) -> str:
    """The report as one HTML page in the study's language.

    Every text is escaped; the style block is allowed by its hash and nothing else is.
    """
    environment = Environment(
        loader=PackageLoader("galeno.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = environment.get_template("report.css").render()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    view = View(content)
    return environment.get_template("report.html").render(
        v=view,
        say=view.say,
        content=content,
        style_hash=digest,
    )


class View:
    """The content as the page shows it: labels, formatted figures, plots."""

    def __init__(self, content: ReportContent) -> None:
        self.content = content
        self.study = content.study
        self.language = content.study.language
        self.say: Callable[..., str] = speaker(self.language)
        self.least = content.study.gate.min_patients
        labels = {c.name: getattr(c.label, self.language) or c.name for c in content.study.classes}
        self.labels: Mapping[str, str] = labels
        self.rare = frozenset(c.name for c in content.study.classes if c.rare)
        self.classes = content.evaluation.classes
        self.test = content.evaluation
        self.gallery = Gallery(
            self.study, content.examples, self.say, self.label, figure=self.figure, percent=self.percent
        )

    def label(self, name: str) -> str:
        """What a reader calls a class."""
        return self.labels.get(name, name)

    def names(self, classes: Sequence[str]) -> str:
        """Classes in one line."""
        return ", ".join(self.label(name) for name in classes)

    def figure(self, value: Any, digits: int = 3) -> str:
        """A figure with the language's decimal mark; a dash where it is not defined."""
        if value is None:
            return "–"
        text = f"{value:,d}" if isinstance(value, int) else f"{value:.{digits}f}"
        if self.language == "es":
            return text.translate(str.maketrans(",.", ".,"))
        return text

    def short(self, value: float) -> str:
        """A threshold, without idle zeros."""
        text = f"{value:.4g}"
        if "e+" in text:
            text = f"{value:.0f}"
        return text.replace(".", ",") if self.language == "es" else text

    def percent(self, share: float) -> str:
        """A share in per cent."""
        return f"{self.short(round(100 * share, 1))} %"

    def cell(self, evaluation: Evaluation, path: str) -> Markup:
        """A figure with its interval in small type."""
        value, _ = evaluation.value(path)
        interval = evaluation.interval(path)
        text = Markup("{}").format(self.figure(value))
        if interval is None or value is None:
            return text
        low, high = (self.figure(bound) for bound in interval)
        return text + Markup(' <span class="ci">{}–{}</span>').format(low, high)

    @property
    def date(self) -> str:
        """When the run ended, to the minute."""
        return self.content.created[:16].replace("T", " ") + " UTC"

    # the gate

    @property
    def gate_line(self) -> str:
        """One sentence about the decision."""
        gate = self.content.gate
        unsure = [v for v in gate.verdicts if v.outcome == "too_few"]
        if not gate.passed:
            refusing = [v for v in gate.verdicts if v.outcome != "passed"]
            if self.study.gate.too_few == "allow":
                refusing = [v for v in refusing if v.outcome == "failed"]
            lines = "; ".join(f"{self.path(v.figure)} ({self.say('outcome_' + v.outcome)})" for v in refusing)
            return self.say("refused_text", lines=lines)
        if unsure:
            return self.say("allowed_text", n=len(unsure))
        return self.say("passed_text", n=len(gate.verdicts))

    def demand(self, verdict: Verdict) -> str:
        """What a line of the gate asks for."""
        value = "–" if verdict.threshold is None else self.short(verdict.threshold)
        if verdict.bound == "champion":
            margin = self.study.gate.margin
            if margin:
                return self.say("beat_champion_margin", value=value, margin=self.short(margin))
            return self.say("beat_champion", value=value)
        return self.say("at_least" if verdict.bound == "min" else "at_most", value=value)

    def path(self, path: str) -> str:
        """A figure's path in words."""
        try:
            keys = self.test.keys(path)
        except KeyError:
            return path
        said = {"gap": "gap", "per_patient": "by_patient"}
        parts = [self.say(said[keys[0]])] if keys[0] in said else []
        inner = [
            key for key in keys if key not in ("per_class", "per_group", "gap", "per_patient", "conformal")
        ]
        parts += [self.label(key) for key in inner[:-1]]
        parts.append(self.say("rows") if inner[-1] == "n" else self.say(inner[-1]))
        return " · ".join(parts)

    # figures

    @property
    def tiles(self) -> list[dict[str, Any]]:
        """Name, value, interval and help of the main figures."""
        paths = [(name, name) for name in TILES]
        if self.test.figures["conformal"]["coverage"] is not None:
            paths += [("coverage", "conformal.coverage"), ("size", "conformal.size")]
        places: dict[str, dict[str, Any]] = {
            "coverage": {"aim": self.percent(self.study.learning.conformal.coverage)},
            "size": {"k": len(self.classes)},
        }
        found = []
        for name, path in paths:
            interval = self.test.interval(path)
            found.append(
                {
                    "name": self.say(name),
                    "value": self.figure(self.test.value(path)[0], 2 if name == "size" else 3),
                    "interval": "" if interval is None else "–".join(self.figure(b) for b in interval),
                    "help": self.say(f"help_{name}", **places.get(name, {})),
                }
            )
        return found

    @property
    def key_text(self) -> str:
        """How many rows and patients judge."""
        counts = {
            "rows": self.figure(self.test.figures["n"]),
            "patients": self.figure(self.test.patients["all"]),
        }
        if not self.test.resamples:
            return self.say("no_intervals", **counts)
        return self.say(
            "key_text", **counts, level=self.percent(self.test.confidence), resamples=self.test.resamples
        )

    @property
    def pooling_text(self) -> str:
        """How the rows of a patient were taken together, and which patients were left out."""
        found = self.test.pooling
        if found is None:
            return ""
        text = self.say(
            "by_patient_text",
            several=self.figure(found["several"]),
            patients=self.figure(self.test.patients["all"]),
            mean=self.figure(found["rows_per_patient"], 1),
        )
        if found["mixed"]:
            text += " " + self.say("patients_mixed", mixed=self.figure(found["mixed"]))
        return text

    def contender(self, line: Contender) -> str:
        """Name of a line of the comparison."""
        name = self.say(f"kind_{line.kind}")
        return f"{name} ({line.name})" if line.name else name

    @property
    def conformal(self) -> str:
        """How the sets came about, what they aim at and what they reach."""
        wanted = self.content.conformal
        found = self.test.figures["conformal"]["coverage"]
        rows = "conformal_out_of_fold" if wanted.get("out_of_fold") else "conformal_validation"
        return self.say(
            "conformal_text",
            rows=self.say(rows),
            aim=self.percent(wanted["coverage"]),
            method=wanted["method"],
            threshold=self.figure(wanted["threshold"]),
            found="–" if found is None else self.percent(found),
        )

    @property
    def calibration(self) -> str:
        """How probabilities were calibrated."""
        return self.say(f"calibration_{self.content.calibration or self.study.learning.calibration}")

    @property
    def absent(self) -> list[str]:
        """Classes without a test patient."""
        return [name for name in self.classes if not self.test.patients["per_class"][name]]

    @property
    def scarce(self) -> list[str]:
        """Classes with fewer test patients than the gate's least."""
        return [name for name in self.classes if 0 < self.test.patients["per_class"][name] < self.least]

    @property
    def unanimous(self) -> bool:
        """Whether a class has an interval without width: no resample shows otherwise."""
        found = (
            self.test.interval(f"per_class.{name}.{figure}") for name in self.classes for figure in PER_CLASS
        )
        return any(interval is not None and interval[0] == interval[1] for interval in found)

    # tables

    @property
    def group_columns(self) -> list[str]:
        """Group columns that were judged."""
        return list(self.test.per_group)

    def column(self, name: str) -> str:
        """What a reader calls a column."""
        column = self.study.columns.get(name)
        return (getattr(column.label, self.language) or name) if column else name

    def group(self, name: str) -> str:
        """What a reader calls a group."""
        return self.say("missing_group") if name == MISSING else name

    def group_patients(self, column: str, group: str) -> int:
        """Patients of a group."""
        return int(self.test.patients["per_group"][column][group]["all"])

    @property
    def faults(self) -> list[Violation]:
        """Rules that were broken."""
        found = self.content.validation
        return [line for line in found.violations if line.check != _MISSING_CODE] if found else []

    @property
    def coded(self) -> list[Violation]:
        """Columns where codes were read as missing, which breaks no rule."""
        found = self.content.validation
        return [line for line in found.violations if line.check == _MISSING_CODE] if found else []

    @property
    def coded_text(self) -> str:
        """How many values were codes for missing."""
        count = sum(line.count for line in self.coded)
        return self.say("coded_text", columns=len(self.coded), count=self.figure(count))

    def rule(self, check: str) -> str:
        """What a broken rule means."""
        return self.say(f"rule_{check}")

    @property
    def overlap(self) -> int:
        """Patients on two sides of the split."""
        return sum(int(count) for count in self.content.split.get("overlap", {}).values())

    @property
    def split_text(self) -> str:
        """By what and in which shares."""
        split = self.content.split
        shares = ", ".join(
            f"{self.say(part)} {self.percent(share)}" for part, share in split["shares"].items()
        )
        by = self.say(f"by_{split['by']}_word")
        text = self.say("split_text", by=by, shares=shares, overlap=self.overlap)
        return " ".join([text, *self._together])

    @property
    def _together(self) -> list[str]:
        """What stays together: rows of a patient, windows of a sound, and patients who share a file."""
        if self.overlap:
            return []
        told = []
        rows, patients = (sum(self.content.split[key].values()) for key in ("rows", "patients"))
        if rows > patients:
            told.append(self.say("split_together", rows=self.figure(rows), patients=self.figure(patients)))
            if any(column.type == "sound" for column in self.study.features_columns.values()):
                told.append(self.say("split_windows"))
        if joined := self.content.split.get("joined"):
            told.append(self.say("split_joined", joined=self.figure(joined)))
        return told

    @property
    def modalities(self) -> list[tuple[str, str, str]]:
        """Modality, its columns, and the share of records without any of them; empty for a table alone."""
        found = self.content.modalities
        if set(found) <= {"table"}:
            return []
        names: dict[str, list[str]] = {modality: [] for modality in found}
        for name, column in self.study.features_columns.items():
            names.setdefault(MODALITY_OF[column.type], []).append(self.column(name))
        return [
            (self.say(f"modality_{modality}"), self._few(names[modality]), self.percent(share))
            for modality, share in found.items()
        ]

    def _few(self, names: Sequence[str]) -> str:
        """Names in one line, or how many they are."""
        return ", ".join(names) if len(names) <= _NAMED else self.figure(len(names))

    @property
    def ranked(self) -> list[CandidateLine]:
        """Candidates, best cross-validated macro-F1 first, failed ones last."""

        def key(line: CandidateLine) -> tuple[bool, float]:
            value = line.cv.get("score", line.cv.get("macro_f1"))
            return (value is None, -(value or 0.0))

        return sorted(self.content.candidates, key=key)

    @property
    def candidate_figures(self) -> list[str]:
        """Figures that candidates were compared in; without rare classes the score is macro-F1."""
        known = ("score", "macro_f1", "balanced_accuracy", "accuracy", "rare_recall", "log_loss")
        idle = () if self.rare else ("score", "rare_recall")
        lines = self.content.candidates
        return [name for name in known if name not in idle and any(name in line.cv for line in lines)]

    def parameters(self, params: Mapping[str, Any]) -> str:
        """Hyperparameters in one line, as code writes them."""
        return ", ".join(
            f"{key}={f'{value:.4g}' if isinstance(value, float) else value}" for key, value in params.items()
        )

    @property
    def majority(self) -> Contender | None:
        """Always the most frequent class, cross-validated."""
        return next((line for line in self.content.contenders if line.kind == "majority" and line.cv), None)

    @property
    def decision(self) -> str:
        """The decision rule in one sentence."""
        weights, offsets = self.content.decision_weights, self.content.decision_offsets
        if len(set(weights.values())) == 1 and len(set(offsets.values())) <= 1:
            return self.say("plain_text")
        listed = " · ".join(
            f"{self.label(name)} {self.figure(float(weight))}; {self.figure(float(offsets.get(name, 0.0)))}"
            for name, weight in weights.items()
        )
        return self.say("weights_text", weights=listed)

    # plots

    def class_bars(self, figure: str) -> Markup:
        """Bars of a figure by class."""
        bars = []
        for name in self.classes:
            value, _ = self.test.value(f"per_class.{name}.{figure}")
            shown = None if name in self.absent else value
            bars.append(
                Bar(
                    self.label(name),
                    shown,
                    self.test.interval(f"per_class.{name}.{figure}"),
                    self.say("no_test_patient") if shown is None else self.figure(shown),
                )
            )
        return bar_plot(bars, self.say(f"{figure}_by_class"), self.say(f"{figure}_by_class_text"), self.say)

    @property
    def confusion(self) -> Markup | None:
        """Heat map, None where there are too many classes to read one."""
        if len(self.classes) > _MANY_CLASSES:
            return None
        counts = self.test.confusion
        return confusion_plot(
            [self.label(name) for name in self.classes], counts["counts"], counts["other"], self.say
        )

    @property
    def reliability(self) -> Markup:
        """Reliability diagram."""
        return reliability_plot(self.test.reliability, self.say)

    @property
    def histogram(self) -> Markup:
        """Probability of the answers."""
        return histogram_plot(self.test.plots["right"], self.test.plots["wrong"], self.say)

    def curves(self, kind: str) -> Markup | None:
        """ROC or PR curves, None where no class has any."""
        figure = "auc" if kind == "roc" else "average_precision"
        curves = [
            Curve(self.label(name), x, y, self.test.value(f"per_class.{name}.{figure}")[0])
            for name, (x, y) in self.test.plots[kind].items()
        ]
        if not curves:
            return None
        names = ("false_positive_rate", "recall") if kind == "roc" else ("recall", "precision")
        return curve_plot(curves, names, kind, self.say, diagonal=kind == "roc")

    @property
    def candidate_bars(self) -> Markup:
        """Cross-validated macro-F1 of the best candidates, members of the model in strong colour."""
        scored = [line for line in self.content.candidates if line.cv.get("macro_f1") is not None]
        scored.sort(key=lambda line: -(line.cv["macro_f1"] or 0.0))
        bars = [
            Bar(
                line.candidate.name,
                line.cv["macro_f1"],
                None,
                self.figure(line.cv["macro_f1"]),
                line.weight > 0,
            )
            for line in scored[:_PLOTTED]
        ]
        return bar_plot(bars, self.say("candidates_plot"), self.say("candidates_plot_text"), self.say)

    @property
    def importance_text(self) -> str:
        """What the importance of columns is, or why there is none."""
        found = self.content.importance
        if found is None:
            return ""
        if found.log_loss is None:
            keys = {"few_rows": "importance_few_rows", "many_columns": "importance_many_columns"}
            columns = len(self.study.features_columns)
            return self.say(keys[found.skipped or "few_rows"], least=FEWEST_ROWS, columns=columns)
        return self.say("importance_text", rows=self.figure(found.rows), loss=self.figure(found.log_loss))

    def important(self, most: int = _RANKED) -> list[tuple[str, float]]:
        """Columns, greatest rise of the log loss first."""
        rises = self.content.importance.rises if self.content.importance else {}
        return sorted(rises.items(), key=lambda item: (-item[1], item[0]))[:most]

    @property
    def importance(self) -> Markup:
        """The columns that the answers hang on most."""
        bars = [Bar(self.column(name), rise, None, self.figure(rise)) for name, rise in self.important()]
        top = max((bar.value or 0.0 for bar in bars), default=1.0)
        return bar_plot(bars, self.say("importance"), self.importance_text, self.say, max(top, 0.01))

    main = MAIN
    compared = COMPARED
    grouped = GROUPED
    per_class = PER_CLASS
