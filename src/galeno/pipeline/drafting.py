"""`galeno init`: a study file from a look at a table."""

import re
from pathlib import Path

from galeno.errors import OutputError, StudyError
from galeno.ingest.draft import draft_study
from galeno.ingest.source import read_source
from galeno.storage.atomic import write_text
from galeno.study_file import dump_study


def draft_file(source: str, target: str, output: Path, *, force: bool = False) -> list[str]:
    """Draft a study and write it.

    Args:
        source: path of a table, or `sklearn:NAME`.
        target: column with the confirmed condition.
        output: the study file; its stem becomes the study's name.
        force: overwrite it.

    Returns:
        What the reader should look at next, one sentence each.

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
    study = draft_study(read_source(place), name=name, source=place, target=target)
    write_text(output, dump_study(study))
    rare = [c.name for c in study.classes if c.rare]
    return [
        f"{len(study.columns)} columns, {len(study.classes)} classes"
        + (f", {len(rare)} of them rare" if rare else "")
        + f"; patient: {study.records.patient or 'every row is one'}",
        "Look through it: units are blank, ranges are guesses, and a column that is known only after the "
        "diagnosis must go to records.drop",
    ]
