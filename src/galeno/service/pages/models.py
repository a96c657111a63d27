"""Models: versions, figures, gate and card of each; promote, roll back, stop and start, each confirmed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from galeno.errors import NotFoundError
from galeno.evaluation.metrics import MAIN, PER_CLASS
from galeno.governance.access import Action, decide
from galeno.records import Verdict
from galeno.service.overseeing import ModelSheet
from galeno.service.pages.card_page import draw_card
from galeno.service.pages.frame import Frame
from galeno.service.pages.naming import Naming
from galeno.service.pages.words import Words, mark
from galeno.storage.standing import CHAMPION
from galeno.study import LOWER_IS_BETTER

FIGURES: Final[Mapping[str, tuple[str, str]]] = {
    "accuracy": (mark("Accuracy"), mark("share answered right")),
    "balanced_accuracy": (mark("Balanced accuracy"), mark("mean recall of the conditions")),
    "macro_f1": (mark("Macro-F1"), mark("mean F1, each condition counts the same")),
    "weighted_f1": (mark("Weighted F1"), mark("mean F1, weighted by rows")),
    "log_loss": (mark("Log loss"), mark("lower is better")),
    "brier": (mark("Brier score"), mark("squared error, lower is better")),
    "ece": (mark("Calibration error"), mark("stated probability against share right, lower is better")),
    "auc_ovr": (mark("AUC, one against the rest"), mark("ranking of cases, 0.5 is chance")),
    "conformal.coverage": (mark("Coverage"), mark("lists of conditions not ruled out that hold the truth")),
    "conformal.size": (mark("Conditions not ruled out"), mark("mean number")),
    "precision": (mark("Precision"), ""),
    "recall": (mark("Recall"), ""),
    "f1": (mark("F1"), ""),
    "auc": (mark("AUC"), ""),
    "average_precision": (mark("Average precision"), ""),
}
"""Name and what it says, by path in the evaluation."""
LISTED: Final = ("accuracy", "balanced_accuracy", "macro_f1", "ece")
"""Figures of the list of versions."""
OUTCOMES: Final = {
    "passed": mark("passed"),
    "failed": mark("failed"),
    "too_few": mark("too few patients to tell"),
}
LONGEST_REASON: Final = 300


@dataclass(frozen=True, slots=True)
class Step:
    """Something that is confirmed before it is done.

    Attributes:
        action: who may.
        title: what is asked.
        text: what will happen.
        button: what the button says.
        danger: whether it takes a diagnosis away from somebody.
        reason: whether a reason is asked for.
    """

    action: Action
    title: str
    text: str
    button: str
    danger: bool = False
    reason: bool = False


STEPS: Final[Mapping[str, Step]] = {
    "promote": Step(
        Action.MODELS_PROMOTE,
        mark("Let version %(version)s answer?"),
        mark(
            "From now on version %(version)s answers every new diagnosis of this study. Requests in flight"
            " end with the version that they began with. You can go back at any time."
        ),
        mark("Let it answer"),
    ),
    "rollback": Step(
        Action.MODELS_PROMOTE,
        mark("Go back to the version before?"),
        mark(
            "The version that answered before version %(version)s answers again. Requests in flight end with"
            " the version that they began with."
        ),
        mark("Go back"),
    ),
    "stop": Step(
        Action.MODELS_STOP,
        mark("Stop this model?"),
        mark(
            "No version of this study answers until it is started again. Clinicians are told that the model"
            " was stopped and diagnose without it. What was diagnosed stays."
        ),
        mark("Stop the model"),
        danger=True,
        reason=True,
    ),
    "start": Step(
        Action.MODELS_STOP,
        mark("Start this model again?"),
        mark("Version %(version)s answers new diagnoses of this study again."),
        mark("Start the model"),
    ),
}
DONE: Final = {
    "promote": mark("The version answers now."),
    "rollback": mark("The version before answers again."),
    "stop": mark("The model was stopped."),
    "start": mark("The model answers again."),
}


def router(frame: Frame) -> APIRouter:
    """The pages of the models."""
    routes = APIRouter()
    desk = frame.desk
    _add_steering(routes, frame)

    @routes.get("/models")
    async def models(request: Request) -> Response:
        session = await frame.need(request, Action.MODELS_LIST)
        caller = session.caller()
        listed: dict[str, list[dict[str, Any]]] = {}
        for model in await desk.list_models(caller):
            listed.setdefault(model["study"], []).insert(0, model)
        return await frame.page(
            request,
            session,
            "models.html",
            listed=listed,
            champions={
                model["study"]: model
                for versions in listed.values()
                for model in versions
                if CHAMPION in model["aliases"]
            },
            naming=Naming(desk, frame.language(request, session)),
            figures=FIGURES,
            shown=LISTED,
            may=_may(caller),
        )

    @routes.get("/models/{study}/{version}")
    async def model(study: str, version: str, request: Request) -> Response:
        session = await frame.need(request, Action.MODELS_LIST)
        sheet = await desk.read_model(session.caller(), study, version)
        words = frame.words(request, session)
        naming = Naming(desk, words.language)
        return await frame.page(
            request,
            session,
            "model.html",
            sheet=sheet,
            entry=sheet.entry,
            naming=naming,
            title=naming.study(study),
            figures=FIGURES,
            main=[*MAIN, "conformal.coverage", "conformal.size"],
            per_class=PER_CLASS,
            gate=_gate(sheet, words, naming),
            outcomes=OUTCOMES,
            card=draw_card(sheet.card),
            may=_may(session.caller()),
        )

    return routes


def _add_steering(routes: APIRouter, frame: Frame) -> None:
    """What changes which model answers: each is asked once more, then done."""
    desk = frame.desk

    @routes.get("/models/{study}/{step}/confirm")
    async def confirm_study(study: str, step: str, request: Request) -> Response:
        return await _confirm(frame, request, study, step, "")

    @routes.get("/models/{study}/{version}/promote")
    async def confirm_promotion(study: str, version: str, request: Request) -> Response:
        return await _confirm(frame, request, study, "promote", version)

    @routes.post("/models/{study}/{version}/promote")
    async def promote(study: str, version: str, request: Request) -> Response:
        session = await frame.need(request, Action.MODELS_PROMOTE)
        await frame.form(request, session)
        await desk.promote(session.caller(), study, version)
        return frame.redirect(f"/models/{study}/{version}", DONE["promote"])

    @routes.post("/models/{study}/rollback")
    async def roll_back(study: str, request: Request) -> Response:
        session = await frame.need(request, Action.MODELS_PROMOTE)
        await frame.form(request, session)
        entry = await desk.roll_back(session.caller(), study)
        return frame.redirect(f"/models/{study}/{entry['version']}", DONE["rollback"])

    @routes.post("/models/{study}/stop")
    async def stop(study: str, request: Request) -> Response:
        session = await frame.need(request, Action.MODELS_STOP)
        form = await frame.form(request, session)
        reason = form.get("reason", "").strip()
        if not reason or len(reason) > LONGEST_REASON:
            return await _confirm(frame, request, study, "stop", "", typed=reason, fault=True)
        await desk.stop(session.caller(), study, reason)
        return frame.redirect("/models", DONE["stop"])

    @routes.post("/models/{study}/start")
    async def start(study: str, request: Request) -> Response:
        session = await frame.need(request, Action.MODELS_STOP)
        await frame.form(request, session)
        await desk.start(session.caller(), study)
        return frame.redirect("/models", DONE["start"])


def _may(caller: Any) -> dict[str, bool]:
    return {
        "promote": decide(caller, Action.MODELS_PROMOTE).allowed,
        "stop": decide(caller, Action.MODELS_STOP).allowed,
    }


async def _confirm(
    frame: Frame,
    request: Request,
    study: str,
    step: str,
    version: str,
    *,
    typed: str = "",
    fault: bool = False,
) -> Response:
    """Ask once more, with the version that it is about and the one that answers now."""
    if step not in STEPS or (step == "promote") != bool(version):
        raise NotFoundError("no such page", where="models")
    asked = STEPS[step]
    session = await frame.need(request, asked.action)
    standing = frame.desk.rooms.shelf.standing
    champion = standing.champion(study)
    entry = standing.find(study, version) if version else champion
    if entry is None:
        raise NotFoundError("no such version of the study's model", where="models")
    words = frame.words(request, session)
    naming = Naming(frame.desk, words.language)
    onward = f"/models/{study}/{version}/promote" if version else f"/models/{study}/{step}"
    return await frame.page(
        request,
        session,
        "model_confirm.html",
        status=422 if fault else 200,
        asked=asked,
        question=words.gettext(asked.title, version=entry.version),
        text=words.gettext(asked.text, version=entry.version),
        study=study,
        title=naming.study(study),
        entry=entry,
        champion=champion if champion is not None and champion != entry else None,
        onward=onward,
        back=f"/models/{study}/{version}" if version else "/models",
        figures=FIGURES,
        shown=[name for name in MAIN if name in entry.metrics],
        lower=LOWER_IS_BETTER,
        typed=typed,
        fault=fault,
        longest=LONGEST_REASON,
    )


def _gate(sheet: ModelSheet, words: Words, naming: Naming) -> list[tuple[str, str, Verdict]]:
    """Each line of the gate: the figure, what was asked of it, and the verdict."""
    if sheet.gate is None:
        return []
    return [
        (_path(verdict.figure, sheet, words, naming), _demand(verdict, words), verdict)
        for verdict in sheet.gate.verdicts
    ]


def _path(path: str, sheet: ModelSheet, words: Words, naming: Naming) -> str:
    """A figure's path in words, as far as there are any."""
    if path in FIGURES:
        return words.gettext(FIGURES[path][0])
    head, _, rest = path.partition(".")
    if head == "per_patient" and rest in FIGURES:
        return words.gettext("%(figure)s by patient", figure=words.gettext(FIGURES[rest][0]))
    name, _, figure = rest.rpartition(".")
    if head == "per_class" and figure in FIGURES:
        label = naming.condition(sheet.entry.study, name)
        return f"{words.gettext(FIGURES[figure][0])} · {label}"
    return path


def _demand(verdict: Verdict, words: Words) -> str:
    """What a line of the gate asks for."""
    value = words.number(verdict.threshold)
    if verdict.bound == "champion":
        return words.gettext("as good as the version that answered, %(value)s", value=value)
    if verdict.bound == "min":
        return words.gettext("at least %(value)s", value=value)
    return words.gettext("at most %(value)s", value=value)
