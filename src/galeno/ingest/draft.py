"""`galeno init`: a study drafted from a look at a table.

What a look at the data cannot tell (units, what the columns mean, which of them is known only after the
diagnosis) is left to the person who knows it; columns that look as if written with the diagnosis are declared
but not used.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

import polars as pl

from galeno.errors import StudyError
from galeno.ingest.attachments import Attachment, find_attachments, find_copies
from galeno.ingest.columns import read_codes
from galeno.ingest.guess import (
    MISSING,
    Facts,
    facts_of,
    guess_column,
    guess_missing,
    is_terms,
    without,
    words_of,
)
from galeno.ingest.leaks import Leak, find_leaks
from galeno.ingest.roles import (
    find_file_properties,
    find_patient,
    find_record,
    find_site,
    find_time,
    is_device,
    is_identifier,
)
from galeno.ingest.values import number_of
from galeno.media.places import Place
from galeno.recipes import Features, ImageFeatures
from galeno.study import Budget, Class, Column, Gate, Judging, Learning, Records, Split, Study

MANY_PICTURED = 1000
"""With as many patients who have an image, a network of its own is tried where torch is installed.

Patients and not images: it must hold for patients whom it never saw, and more images of the same tell little
of those.
"""
NETWORK_MINUTES = 6.0
"""Budget of learning then."""
FEW_PATIENTS = 500
"""With fewer, the draft gives a larger share to training, and more folds."""
RARE_SHARE = 0.05
"""A class with a smaller share of the rows is rare."""
RARE_ROWS = 30
"""A class with fewer rows is rare."""
SHARED = 0.1
"""A share of the patients this large that names one and the same file is told."""
PART = "part"
"""The column of a file of arrays that says which part an image came in."""

_MOST_CLASSES = 200
_GROUPS = frozenset(
    {"sex", "sexo", "gender", "genero", "género", "age", "edad", "race", "raza", "ethnicity", "etnia"}
)
_SIZES = (28, 32, 48, 64)
_ONE_FILE = "names the same file wherever it names one"
_OF_FILE = "tells of the file; where one device recorded one condition, it would give that away"
_SURE_OF_TWO = 0.7
"""Of two classes the first always has half or more, so the threshold of review must be higher to find any."""


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """A study, and what was seen on the way to it."""

    study: Study
    rows: int
    patients: int
    attachments: tuple[Attachment, ...] = ()
    """Columns of sounds and images."""
    shared: Mapping[str, int] = field(default_factory=dict)
    """Of those columns in which many patients (see SHARED) name one and the same file: how many do."""
    leaks: tuple[Leak, ...] = ()
    """Columns that give the answer away; those that are sure are in `records.drop`, unless no other column
    would be left."""
    devices: tuple[str, ...] = ()
    """Columns of the study that tell with what device a patient was recorded."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Columns that are no part of the study, each with the reason."""


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """What was seen of a table, before anything is concluded."""

    frame: pl.DataFrame
    """Rows with a target."""
    facts: dict[str, Facts]
    attachments: dict[str, Attachment]
    codes: frozenset[str]
    """Missing codes that were found."""
    left_out: dict[str, str]


def draft_study(frame: pl.DataFrame, *, name: str, source: str, target: str) -> Study:
    """The study of a `draft` that looks for no files."""
    return draft(frame, name=name, source=source, target=target).study


def draft(frame: pl.DataFrame, *, name: str, source: str, target: str, place: Place | None = None) -> Draft:
    """Draft a study by looking at a table.

    Args:
        frame: raw records, texts or typed; sounds and images by their paths, or as bytes.
        name: the study's name.
        source: what `records.source` will say.
        target: column with the confirmed condition; rows without it are not looked at.
        place: where to look for files that the table names.

    Returns:
        a study whose columns have types, lenient ranges and options; identifiers, times, sites and columns
        with one value are not among them, and those that give the class away are dropped.

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
    look = _look(frame, source, target, place)
    labels = without(facts_of(frame[target]), look.codes)
    classes = _draft_classes(labels, source)
    patient, record, time, site = roles = _find_roles(look.facts)
    columns, left_out = _draft_columns(frame.columns, look, {target, *roles})
    if not columns:
        raise StudyError(
            "no column beside the target is of use", where=source, remedy="Add columns with findings"
        )
    leaks = _find_leaks(look, columns, target, patient)
    dropped = tuple(leak.column for leak in leaks if leak.sure)
    patients = frame.height if patient is None else frame[patient].n_unique()
    network = _count_pictured(look, patient) >= MANY_PICTURED
    study = Study(
        name=name,
        simulated=source.startswith("cohort:"),
        records=Records(
            source=source,
            target=target,
            patient=patient,
            record=record,
            time=time,
            site=site,
            drop=dropped if len(dropped) < len(columns) else (),
            missing=(*Records.model_fields["missing"].default, *sorted(look.codes)),
        ),
        classes=classes,
        columns=columns,
        split=_draft_split(patients, network=network),
        features=_draft_features(look.attachments.values(), network=network),
        learning=_draft_learning(columns, network=network),
        evaluation=_draft_judging(columns, classes, look.attachments),
        gate=_draft_gate(labels, patients, look.attachments),
    )
    attachments = tuple(look.attachments.values())
    devices = _find_devices(look, columns, patient) if attachments else ()
    shared = _find_shared(look, patient)
    return Draft(study, frame.height, patients, attachments, shared, leaks, devices, left_out)


def _look(frame: pl.DataFrame, source: str, target: str, place: Place | None) -> _Look:
    """Look at each column but the target."""
    labelled = frame.filter(frame[target].is_not_null())
    usable = [column for column in frame.columns if column != target and _is_usable_name(column)]
    attachments = find_attachments(labelled, usable, MISSING, place)
    copies = find_copies(labelled, attachments, MISSING)
    left_out = {column: f"names the files of {kept}" for column, kept in copies.items()}
    alike = [column for column in attachments if _files(labelled[column]).drop_nulls().n_unique() == 1]
    left_out |= dict.fromkeys(alike, _ONE_FILE)
    attachments = {column: found for column, found in attachments.items() if column not in left_out}
    if source.lower().endswith(".npz") and PART in usable:
        left_out[PART] = "says how the file is split; Galeno draws its own split"
    facts = {
        column: facts_of(labelled[column])
        for column in usable
        if column not in attachments and column not in left_out
    }
    codes = guess_missing(facts.values())
    facts = {column: without(fact, codes) for column, fact in facts.items()}
    if attachments:
        left_out |= dict.fromkeys(find_file_properties(facts), _OF_FILE)
    return _Look(
        labelled,
        {column: fact for column, fact in facts.items() if column not in left_out},
        attachments,
        codes,
        left_out,
    )


def _find_roles(facts: Mapping[str, Facts]) -> tuple[str | None, str | None, str | None, str | None]:
    """Columns with the patient, the record, the time and the site."""
    patient = find_patient(facts)
    terms = {column for column, fact in facts.items() if is_terms(fact)}
    record = find_record(facts, {patient, *terms})
    time = find_time(facts, {patient, record})
    return patient, record, time, find_site(facts, {patient, record, time})


def _files(values: pl.Series) -> pl.Series:
    """The files that cells name, or are; null where there is none."""
    return values if values.dtype == pl.Binary else read_codes(values, MISSING)


def _owners(look: _Look, patient: str | None) -> pl.Series:
    """Whose each row is; without a column of patients, its own."""
    return look.frame[patient] if patient else pl.Series(range(look.frame.height), dtype=pl.Int64)


def _find_shared(look: _Look, patient: str | None) -> dict[str, int]:
    """Columns of files in which many patients name the same, and how many they are."""
    shared = {}
    who = _owners(look, patient)
    for name in look.attachments:
        named = pl.DataFrame([_files(look.frame[name]).alias("file"), who.alias("who")]).drop_nulls("file")
        most = max(named.unique().group_by("file").len()["len"])
        if most > 1 and most >= SHARED * who.n_unique():
            shared[name] = most
    return shared


def _count_pictured(look: _Look, patient: str | None) -> int:
    """Patients with an image."""
    who = _owners(look, patient)
    images = [look.frame[name] for name, found in look.attachments.items() if found.kind == "image"]
    pictured = [who.filter(_files(image).is_not_null()) for image in images]
    return pl.concat(pictured).n_unique() if pictured else 0


def _draft_split(patients: int, *, network: bool) -> Split:
    """The study's default; few patients must teach more, and be compared on larger shares of them.

    Where a network is trained for each fold, there are few of them.
    """
    if patients >= FEW_PATIENTS:
        return Split(folds=3) if network else Split()
    return Split(train=0.8, validation=0.1, test=0.1, folds=10)


def _draft_learning(columns: Mapping[str, Column], *, network: bool) -> Learning:
    """The defaults; networks take their time.

    Images alone are a sample that says nothing of how common a condition is where the model will answer.
    """
    alone = all(column.type == "image" for column in columns.values())
    return Learning(
        budget=Budget(minutes=NETWORK_MINUTES) if network else Budget(),
        decision="balanced_accuracy" if alone else "macro_f1",
    )


def _draft_features(attachments: Iterable[Attachment], *, network: bool) -> Features:
    """The defaults; images are brought to a side at or above their own."""
    side = max((found.side for found in attachments), default=0)
    if not side:
        return Features()
    size = next((size for size in _SIZES if size >= side), _SIZES[-1])
    wanted = "auto" if network else "none"
    return Features(image=ImageFeatures.model_validate({"size": size, "network": wanted}))


def _draft_judging(
    columns: Mapping[str, Column], classes: tuple[Class, ...], attachments: Mapping[str, Attachment]
) -> Judging:
    groups = _find_groups(columns)
    if attachments and len(classes) == 2:
        return Judging(groups=groups, review_below=_SURE_OF_TWO)
    return Judging(groups=groups)


def _draft_gate(labels: Facts, patients: int, attachments: Mapping[str, Attachment]) -> Gate:
    """The default; a handful of patients with files must beat the guess of the commonest class."""
    asked = Gate().bounds["accuracy"].min or 0.0
    share = math.floor(100 * int(labels.counts[0]) / labels.given) / 100
    few = attachments and patients < FEW_PATIENTS and share < asked
    return Gate.model_validate({"accuracy": share}) if few else Gate()


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


def _draft_columns(
    names: Iterable[str], look: _Look, roles: set[str | None]
) -> tuple[dict[str, Column], dict[str, str]]:
    """Columns of the study, in the order of the table, and those left out, each with the reason."""
    columns: dict[str, Column] = {}
    left_out = dict(look.left_out)
    for name in names:
        if name in look.attachments:
            columns[name] = Column(type=look.attachments[name].kind)
        if name in roles or name not in look.facts:
            continue
        fact = look.facts[name]
        if is_identifier(fact) and not is_terms(fact):
            left_out[name] = "tells patients apart"
            continue
        column = guess_column(fact)
        if column is None:
            left_out[name] = "says the same in every row" if fact.distinct else "is empty"
        else:
            columns[name] = column
    return columns, left_out


def _find_leaks(
    look: _Look, columns: Mapping[str, Column], target: str, patient: str | None
) -> tuple[Leak, ...]:
    missing = MISSING | look.codes
    texts = {name: read_codes(look.frame[name], missing) for name in columns if name not in look.attachments}
    plain = {name: column for name, column in columns.items() if name in texts}
    labels = read_codes(look.frame[target], missing)
    people = None if patient is None else read_codes(look.frame[patient], missing)
    return find_leaks(texts, plain, labels, people)


def _find_devices(look: _Look, columns: Mapping[str, Column], patient: str | None) -> tuple[str, ...]:
    """Columns named like a device of which most patients saw one only: it may stand for their ward."""
    found = []
    for name in columns:
        if name not in look.facts or not is_device(look.facts[name]):
            continue
        if patient is None:
            found.append(name)
            continue
        seen = look.frame.group_by(patient).agg(pl.col(name).drop_nulls().n_unique())[name]
        if 2 * (seen > 1).sum() < len(seen):
            found.append(name)
    return tuple(found)


def _find_groups(columns: Mapping[str, Column]) -> tuple[str, ...]:
    return tuple(
        name
        for name, column in columns.items()
        if words_of(name) & _GROUPS
        and (column.type in ("number", "flag") or (column.type == "category" and column.options))
    )
