"""How candidates are compared: as they would answer, calibrated and with the decision rule."""

import numpy as np

from galeno.learning.decision import fit_balanced, fit_decision, macro_f1
from galeno.model.calibration import Calibration
from galeno.model.decision import DecisionRule
from galeno.records import Labels, Probabilities
from galeno.study import Study


def finish(probabilities: Probabilities, labels: Labels, study: Study) -> tuple[Calibration, DecisionRule]:
    """Calibration and decision rule, fitted on out-of-fold probabilities.

    Rows whose class had no rows in the fold's fitting part have probability zero there, and do not calibrate.
    """
    known = np.where(probabilities[np.arange(len(labels)), labels] > 0, labels, -1)
    calibration = Calibration.fit(study.learning.calibration, probabilities, known)
    if study.learning.decision == "probability":
        return calibration, DecisionRule.plain(len(study.classes))
    fit = fit_balanced if study.learning.decision == "balanced_accuracy" else fit_decision
    return calibration, fit(calibration.apply(probabilities), labels)


def score_candidate(probabilities: Probabilities, labels: Labels, study: Study) -> dict[str, float]:
    """Figures of out-of-fold probabilities: macro_f1, accuracy, rare_recall, log_loss, and the score.

    The score is macro-F1 and the mean recall of the study's rare classes, weighted as the study says;
    without rare classes among the rows it is macro-F1.
    """
    calibration, decision = finish(probabilities, labels, study)
    calibrated = calibration.apply(probabilities)
    answers = decision.answers(calibrated)
    figures = {
        "macro_f1": macro_f1(labels, answers),
        "accuracy": float(np.mean(answers == labels)),
        "log_loss": log_loss(calibrated, labels),
    }
    recalls = [
        float(np.mean(answers[labels == index] == index))
        for index, each in enumerate(study.classes)
        if each.rare and np.any(labels == index)
    ]
    weight = study.learning.rare_weight if recalls else 0.0
    figures["rare_recall"] = float(np.mean(recalls)) if recalls else figures["macro_f1"]
    figures["score"] = (1 - weight) * figures["macro_f1"] + weight * figures["rare_recall"]
    return figures


def log_loss(probabilities: Probabilities, labels: Labels) -> float:
    """Mean -ln of the true class' probability, clipped at 1e-4: one absurd answer must not decide."""
    true = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.clip(true, 1e-4, 1)).mean())
