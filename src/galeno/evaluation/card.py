"""The model card: Markdown for people, in the study's language. What nobody stated is said to be so."""

import re
from collections.abc import Iterable, Sequence

from galeno.evaluation.content import ReportContent
from galeno.evaluation.metrics import MAIN, PER_CLASS
from galeno.evaluation.report import GROUPED, View


def render_card(content: ReportContent) -> str:
    """The card as Markdown, ending in a newline.

    Follows CLINICAL.md [27]: intended use, population, data dates, predictors, outcome, missing
    data, figures with intervals, calibration, subgroups, limits, version, owner.
    """
    view = View(content)
    say, study = view.say, content.study
    parts = [f"# {_plain(study.title or study.name)}", f"{say('card')} · Galeno"]
    if study.simulated:
        parts.append(f"> **{say('simulated')}**")
    parts += [
        _facts(view),
        _section(say("question"), _stated(view, study.question)),
        _section(say("intended_use"), _stated(view, study.intended_use)),
        _section(say("owner"), _stated(view, study.owner)),
        _section(say("population"), _population(view)),
        _section(say("outcome"), _outcome(view)),
        _section(say("predictors"), _predictors(view)),
        _section(say("missing_data"), _missing(view)),
        _section(say("training"), _training(view)),
        _section(say("performance"), _performance(view)),
        _section(say("calibration"), _calibration(view)),
        _section(say("subgroups"), _subgroups(view)),
        _section(say("gate"), _gate(view)),
        _section(say("limits"), _limits(view)),
    ]
    return "\n\n".join(parts) + "\n"


def _facts(view: View) -> str:
    content, say = view.content, view.say
    lines = [
        *([(say("version"), content.version)] if content.version else []),
        (say("package"), f"`{content.package_sha256}`"),
        (say("run"), _plain(content.run)),
        (say("date"), view.date),
        (say("lake_version"), "–" if content.lake_version is None else str(content.lake_version)),
    ]
    return "\n".join(f"- {name}: {value}" for name, value in lines)


def _population(view: View) -> str:
    content, say = view.content, view.say
    rows, patients = sum(content.split["rows"].values()), sum(content.split["patients"].values())
    text = say(
        "population_text",
        rows=view.figure(rows),
        patients=view.figure(patients),
        source=_plain(content.source),
    )
    dates = say("not_stated")
    if content.dates:
        dates = say("dates_text", first=content.dates[0], last=content.dates[1])
    header = [say("class"), *(say(part) for part in content.split["rows"])]
    rows_of = [
        [
            view.label(name),
            *(f"{view.figure(p['rows'])} ({view.figure(p['patients'])})" for p in parts.values()),
        ]
        for name, parts in content.split["classes"].items()
    ]
    table = _table(header, rows_of)
    return f"{text} {say('data_dates')}: {dates}.\n\n{view.split_text} {say('rows_patients')}:\n\n{table}"


def _outcome(view: View) -> str:
    return view.say(
        "outcome_text",
        column=_plain(view.study.records.target),
        k=len(view.classes),
        names=_plain(view.names(view.classes)),
    )


def _predictors(view: View) -> str:
    say, missing = view.say, view.content.missing
    rows = []
    for name, column in view.study.features_columns.items():
        low, high = ("" if bound is None else view.short(bound) for bound in (column.min, column.max))
        numeric = column.type == "number"
        label = view.column(name)
        rows.append(
            [
                label if label == name else f"{label} ({name})",
                say(f"type_{column.type}"),
                (column.unit or say("not_stated")) if numeric else "",
                f"{low}–{high}" if low or high else "",
                view.percent(missing[name]) if name in missing else say("not_stated"),
            ]
        )
    header = [say("column"), say("type"), say("unit"), say("range"), say("missing_share")]
    return "\n\n".join([_table(header, rows), *_modalities(view), *_importance(view)])


def _modalities(view: View) -> list[str]:
    if not view.modalities:
        return []
    header = [view.say(key) for key in ("modality", "columns", "lacking")]
    title = view.say("modalities")
    return [f"**{title}.** {view.say('modalities_text')}", _table(header, view.modalities)]


def _importance(view: View) -> list[str]:
    if view.content.importance is None:
        return []
    ranked = "; ".join(f"{view.column(name)} {view.figure(rise)}" for name, rise in view.important(10))
    title = view.say("importance")
    return [f"**{title}.** {view.importance_text}" + (f" {_plain(ranked)}." if ranked else "")]


def _missing(view: View) -> str:
    say, validation = view.say, view.content.validation
    codes = ", ".join(f"`{code}`" if code else '`""`' for code in view.study.records.missing)
    text = say("missing_text", codes=codes)
    if validation is None:
        return f"{text} {say('no_validation')}"
    numbers = {
        "rows_read": validation.read,
        "rows_good": validation.good,
        "rows_quarantined": validation.quarantined,
    }
    counts = " ".join(f"{say(key)}: {view.figure(number)}." for key, number in numbers.items())
    if view.coded:
        counts += f" {view.coded_text}"
    rows = [
        [
            f"{view.rule(line.check)} ({line.check})",
            view.column(line.column),
            view.figure(line.count),
            say(f"behaviour_{line.behaviour}"),
        ]
        for line in view.faults
    ]
    if not rows:
        return f"{text}\n\n{counts} {say('no_violations')}"
    return f"{text}\n\n{counts}\n\n" + _table([say("rule"), say("column"), say("count"), say("done")], rows)


def _training(view: View) -> str:
    content, say = view.content, view.say
    members = [line for line in content.candidates if line.weight]
    text = say("candidates_text", n=len(content.candidates), members=len(members))
    if not members:
        return text
    rows = [[line.candidate.name, line.candidate.view, view.figure(line.weight, 2)] for line in members]
    return f"{text}\n\n" + _table([say("members"), say("view"), say("weight")], rows)


def _performance(view: View) -> str:
    say, test = view.say, view.test
    paths = [*((name, name) for name in MAIN), ("coverage", "conformal.coverage"), ("size", "conformal.size")]
    rows = [[say(name), *_with_interval(view, path)] for name, path in paths]
    level = say("interval", level=view.percent(test.confidence))
    parts = [view.key_text, _table([say("measure"), say("test"), level], rows), *_by_patient(view)]
    beside = [line for line in view.content.contenders if line.test]
    if beside:
        shown = ("macro_f1", "accuracy", "balanced_accuracy", "log_loss")
        compared = [
            [view.contender(line), *(view.figure(line.test.value(name)[0]) for name in shown)]
            for line in beside
            if line.test
        ]
        parts.append(_table([say("comparison"), *(say(name) for name in shown)], compared))
    header = [say("class"), say("patients"), *(say(name) for name in PER_CLASS)]
    classes = [
        [
            view.label(name),
            view.figure(test.patients["per_class"][name]),
            *(_cell(view, f"per_class.{name}.{figure}") for figure in PER_CLASS),
        ]
        for name in view.classes
    ]
    parts.append(_table(header, classes))
    if view.unanimous:
        parts.append(say("unanimous"))
    if view.absent:
        parts.append(say("not_measurable", names=_plain(view.names(view.absent))))
    if view.scarce:
        parts.append(say("hardly_measurable", names=_plain(view.names(view.scarce)), least=view.least))
    return "\n\n".join(parts)


def _by_patient(view: View) -> list[str]:
    """The figures of patients, where some have several rows."""
    if view.test.pooling is None:
        return []
    shown = ("macro_f1", "accuracy", "balanced_accuracy", "log_loss")
    rows = [[view.say(name), _cell(view, name), _cell(view, f"per_patient.{name}")] for name in shown]
    header = [view.say(key) for key in ("measure", "by_row", "each_patient")]
    return [f"**{view.say('by_patient')}.** {view.pooling_text}", _table(header, rows)]


def _calibration(view: View) -> str:
    say = view.say
    parts = [view.calibration, f"{say('ece')}: {_cell(view, 'ece')}. {say('brier')}: {_cell(view, 'brier')}."]
    if view.content.decision_weights:
        parts.append(_plain(view.decision))
    if view.content.conformal:
        parts.append(view.conformal)
    return " ".join(parts)


def _subgroups(view: View) -> str:
    say = view.say
    if not view.group_columns:
        return say("no_groups")
    parts = [say("gap_text", least=view.least)]
    for column in view.group_columns:
        rows = []
        for group in view.test.per_group[column]:
            n = view.group_patients(column, group)
            figures = [_cell(view, f"per_group.{column}.{group}.{name}") for name in GROUPED]
            few = [say("too_few")] + [""] * (len(GROUPED) - 1)
            rows.append([view.group(group), view.figure(n), *(few if n < view.least else figures)])
        rows.append([say("gap"), "", *(_cell(view, f"gap.{column}.{name}") for name in GROUPED)])
        parts.append(_table([view.column(column), say("patients"), *(say(name) for name in GROUPED)], rows))
    return "\n\n".join(parts)


def _gate(view: View) -> str:
    say = view.say
    rows = [
        [
            view.path(line.figure),
            view.demand(line),
            view.figure(line.value, 4),
            view.figure(line.n),
            say(f"outcome_{line.outcome}"),
        ]
        for line in view.content.gate.verdicts
    ]
    header = [say("figure"), say("required"), say("found"), say("patients"), say("verdict")]
    verdict = say("passed" if view.content.gate.passed else "refused")
    return f"**{verdict}.** {_plain(view.gate_line)}\n\n" + _table(header, rows)


def _limits(view: View) -> str:
    keys = ["limit_support", "limit_population"]
    if view.study.split.by == "patient":
        keys.append("limit_split")
    if not view.group_columns:
        keys.append("limit_groups")
    return "\n".join(f"- {view.say(key)}" for key in keys)


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n{text}"


def _stated(view: View, text: str) -> str:
    return _plain(text) if text.strip() else view.say("not_stated")


def _cell(view: View, path: str) -> str:
    value, interval = _with_interval(view, path)
    return f"{value} ({interval})" if interval else value


def _with_interval(view: View, path: str) -> tuple[str, str]:
    value, _ = view.test.value(path)
    interval = view.test.interval(path)
    shown = "" if interval is None or value is None else "–".join(view.figure(bound) for bound in interval)
    return view.figure(value), shown


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        f"| {' | '.join(text if text == '---' else _in_cell(text) for text in line)} |" for line in lines
    )


def _in_cell(text: str) -> str:
    return text if text.startswith("`") else _plain(text)


def _plain(text: str) -> str:
    """Text of a study or a file name that Markdown must not read as markup."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(text.split()))
