"""`galeno init`: a study file from a look at a table."""

import re
from collections.abc import Iterator
from pathlib import Path

from galeno.errors import OutputError, StudyError
from galeno.ingest.attachments import Attachment
from galeno.ingest.draft import Draft, draft
from galeno.ingest.leaks import Leak
from galeno.ingest.source import read_source
from galeno.media.places import open_place
from galeno.storage.atomic import write_text
from galeno.study_file import dump_study

ARRAYS = ".npz"
"""Ending of a file of image arrays."""

_NAMED = 5
"""So many columns are named for one reason; of the others the number is told."""


def draft_file(source: str, target: str, output: Path, *, force: bool = False) -> list[str]:
    """Draft a study and write it.

    Args:
        source: path of a table or of a file of image arrays, or `sklearn:NAME`.
        target: column with the confirmed condition; `label` in a file of arrays.
        output: the study file; its stem becomes the study's name.
        force: overwrite it.

    Returns:
        What was seen and what the reader should look at next, one line each.

    Raises:
        GalenoError: the table cannot be read or drafted, or the file cannot be written.
    """
    name = re.sub(r"[^a-z0-9_-]+", "_", output.stem.lower()).strip("_-")
    if not name:
        raise StudyError("the file's stem names the study and needs a letter or digit", where=str(output))
    if output.is_dir():
        raise OutputError("is a folder, not a file", where=str(output), remedy="Name a file in it")
    if output.exists() and not force:
        raise OutputError(
            "this file is there already", where=str(output), remedy="Use --force to overwrite it"
        )
    if not output.parent.is_dir():
        raise OutputError("no such folder", where=str(output.parent), remedy="Make it first")
    is_file = re.match(r"^(sklearn|cohort):", source) is None and "://" not in source
    place = str(Path(source).resolve()) if is_file else source
    frame = read_source(place)
    with open_place("", Path(place) if is_file else None) as files:
        drafted = draft(frame, name=name, source=place, target=target, place=files if is_file else None)
    write_text(output, dump_study(drafted.study))
    return list(_notes(drafted))


def _notes(drafted: Draft) -> Iterator[str]:
    study = drafted.study
    rare = sum(c.rare for c in study.classes)
    yield (
        f"{len(study.columns)} column{'s' if len(study.columns) > 1 else ''}, {len(study.classes)} classes"
        + (f", {rare} of them rare" if rare else "")
        + f"; patient: {study.records.patient or 'every row is one'}"
    )
    yield from map(_tell_files, drafted.attachments)
    if drafted.attachments:
        yield _tell_patients(drafted)
    for column, patients in drafted.shared.items():
        yield (
            f"{column}: {patients} of {drafted.patients} patients name the same file and would stay together "
            "on one side of every split; if it stands for no file, put its name in records.missing"
        )
    for leak in drafted.leaks:
        yield _tell_leak(leak, dropped=leak.column in study.records.drop)
    for device in drafted.devices:
        yield (
            f"{device}: tells what a patient was recorded with; where one ward or device saw other "
            "conditions than the next, it gives them away: then put it in records.drop"
        )
    yield from _tell_left_out(drafted)
    if drafted.attachments:
        yield from _tell_thresholds(drafted)
    yield (
        "Look through it: units are blank, ranges are guesses, and a column that is known only after the "
        "diagnosis must go to records.drop"
    )


def _tell_files(found: Attachment) -> str:
    kinds = f"{found.kind}s"
    if found.looked and not found.found:
        told = (
            f"{found.column}: names {kinds}, but none of {found.looked} that were looked for is beside the "
            "table, in a folder or a .zip beside it: say in records.files where they are"
        )
    else:
        told = f"{found.column}: taken as {kinds}" + (", and the files are there" if found.found else "")
    if found.side:
        told += f" (up to {found.side} pixels a side)"
    other = "images" if found.kind == "sound" else "sounds"
    return told + (f"; it has {other} too, which need a column of their own" if found.mixed else "")


def _tell_patients(drafted: Draft) -> str:
    patient = drafted.study.records.patient
    if patient is None:
        return (
            f"No column names patients, so each of {drafted.rows} rows is taken for one; where a patient has "
            "several files, add such a column and name it in records.patient, or figures will be too good"
        )
    return (
        f"{patient} groups {drafted.rows} rows into {drafted.patients} patients: all files of a patient "
        "stay on one side of every split"
    )


def _tell_leak(leak: Leak, *, dropped: bool) -> str:
    if leak.value:
        why = (
            f"its value {leak.value} goes with {leak.label}, and hardly with anything else; it looks as if "
            "written down with the diagnosis"
        )
    elif leak.sure:
        why = "each of its values goes with one class; it looks like the diagnosis in other words"
    else:
        why = "it tells the classes apart by itself"
        return f"{leak.column}: {why}; if it is known only after the diagnosis, put it in records.drop"
    if not dropped:
        return f"{leak.column}: {why}. No other column is left, so it is used: do not trust the figures"
    return f"{leak.column}: {why}. It is in records.drop: take it out of there if it is known before"


def _tell_left_out(drafted: Draft) -> Iterator[str]:
    reasons = dict.fromkeys(drafted.left_out.values())
    for reason in reasons:
        names = [name for name, told in drafted.left_out.items() if told == reason]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        yield f"Left out: {', '.join(names[:_NAMED])}{more} ({reason})"


def _tell_thresholds(drafted: Draft) -> Iterator[str]:
    study = drafted.study
    below = study.evaluation.review_below
    yield f"A diagnosis whose first probability is below {below:g} asks for review: evaluation.review_below"
    accuracy = study.gate.bounds["accuracy"].min
    if accuracy != type(study.gate)().bounds["accuracy"].min:
        yield (
            f"{drafted.patients} patients are few: the gate asks for an accuracy of {accuracy:g}, the share "
            "of the commonest class; look at the intervals in the report, and set gate to what you need"
        )
