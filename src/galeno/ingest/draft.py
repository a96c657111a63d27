"""`galeno init`: a study drafted from a look at a table.

What a look at the data cannot tell (units, what the columns mean, which of them is known only after the
diagnosis) is left to the person who knows it.
"""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

import polars as pl

from galeno.errors import StudyError
from galeno.ingest.guess import Facts, facts_of, guess_column, guess_missing, is_terms, without, words_of
from galeno.ingest.roles import find_patient, find_record, find_site, find_time, is_identifier
from galeno.ingest.values import number_of
from galeno.study import Class, Column, Judging, Records, Split, Study

FEW_PATIENTS = 500
"""With fewer, the draft gives a larger share to training, and more folds."""
RARE_SHARE = 0.05
"""A class with a smaller share of the rows is rare."""
RARE_ROWS = 30
"""A class with fewer rows is rare."""

_MOST_CLASSES = 200
_GROUPS = frozenset(
    {"sex", "sexo", "gender", "genero", "género", "age", "edad", "race", "raza", "ethnicity", "etnia"}
)


def draft_study(frame: pl.DataFrame, *, name: str, source: str, target: str) -> Study:
    """Draft a study by looking at a table.

    Args:
        frame: raw records, texts or typed.
        name: the study's name.
        source: what `records.source` will say.
        target: column with the confirmed condition; rows without it are not looked at.

    Returns:
        a study whose columns have types, lenient ranges and options; identifiers, times, sites and columns
        with one value are not among them.

    Raises:
        StudyError: no such column, it does not look like classes, or no other column is of use.
    """
    if target not in frame.columns:
        close = get_close_matches(target, frame.columns, n=1, cutoff=0.5)
        raise StudyError(
            f"there is no column {target!r}",
            where=source,
            remedy=f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(frame.columns[:20])}",
        )
    usable = [column for column in frame.columns if column != target and _is_usable_name(column)]
    labelled = frame.filter(frame[target].is_not_null())
    facts = {column: facts_of(labelled[column]) for column in usable}
    codes = guess_missing(facts.values())
    facts = {column: without(fact, codes) for column, fact in facts.items()}
    classes = _draft_classes(without(facts_of(frame[target]), codes), source)
    patient = find_patient(facts)
    terms = {column for column, fact in facts.items() if is_terms(fact)}
    record = find_record(facts, {patient, *terms})
    time = find_time(facts, {patient, record})
    site = find_site(facts, {patient, record, time})
    roles = {patient, record, time, site}
    columns = _draft_columns(facts, roles)
    if not columns:
        raise StudyError(
            "no column beside the target is of use", where=source, remedy="Add columns with findings"
        )
    return Study(
        name=name,
        simulated=source.startswith("cohort:"),
        records=Records(
            source=source,
            target=target,
            patient=patient,
            record=record,
            time=time,
            site=site,
            missing=(*Records.model_fields["missing"].default, *sorted(codes)),
        ),
        classes=classes,
        columns=columns,
        split=_draft_split(frame.height if patient is None else frame[patient].n_unique()),
        evaluation=Judging(groups=_find_groups(columns)),
    )


def _draft_split(patients: int) -> Split:
    """The study's default; few patients must teach more, and be compared on larger shares of them."""
    if patients >= FEW_PATIENTS:
        return Split()
    return Split(train=0.8, validation=0.1, test=0.1, folds=10)


def _is_usable_name(column: str) -> bool:
    return bool(column) and not column.startswith("_") and re.search(r"[\x00-\x1f]", column) is None


def _draft_classes(labels: Facts, source: str) -> tuple[Class, ...]:
    if labels.distinct < 2:
        found = "one value" if labels.distinct else "no value"
        raise StudyError(
            f"the target {labels.name!r} has {found} in {labels.rows} rows",
            where=source,
            remedy="A study tells at least two conditions apart; choose another column",
        )
    numeric = all(number_of(text) is not None for text in labels.texts)
    unique = labels.given >= 20 and labels.distinct > labels.given / 2
    if (numeric and labels.distinct > 50) or labels.distinct > _MOST_CLASSES or unique:
        looks = "a number" if numeric else "an identifier or free text"
        raise StudyError(
            f"the target {labels.name!r} has {labels.distinct} values and looks like {looks}, not classes",
            where=source,
            remedy="Choose a column with conditions, or group its values into one",
        )
    common = int(labels.counts[0])
    return tuple(
        Class(
            name=text,
            rare=bool(count <= common / 2 and (count < RARE_SHARE * labels.given or count < RARE_ROWS)),
        )
        for text, count in zip(labels.texts, labels.counts, strict=True)
    )


def _draft_columns(facts: Mapping[str, Facts], roles: Iterable[str | None]) -> dict[str, Column]:
    columns = {}
    for name, fact in facts.items():
        if name in roles or (is_identifier(fact) and not is_terms(fact)):
            continue
        column = guess_column(fact)
        if column is not None:
            columns[name] = column
    return columns


def _find_groups(columns: Mapping[str, Column]) -> tuple[str, ...]:
    return tuple(
        name
        for name, column in columns.items()
        if words_of(name) & _GROUPS
        and (column.type in ("number", "flag") or (column.type == "category" and column.options))
    )
