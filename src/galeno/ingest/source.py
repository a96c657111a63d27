"""Where records come from, told by what `records.source` says."""

import re
from pathlib import Path
from urllib.parse import parse_qsl

import polars as pl

from galeno.errors import SourceError
from galeno.ingest.bundled import read_bundled
from galeno.ingest.cohort import simulate
from galeno.ingest.fhir_bulk import LineFault, read_bulk
from galeno.ingest.sql import read_query, sql_name
from galeno.ingest.tables import read_table
from galeno.study import Sql, Study

_COHORT_OPTIONS = ("n", "seed")
_FHIR = "fhir:"


def read_records(study: Study) -> tuple[pl.DataFrame, tuple[LineFault, ...]]:
    """Read all records of a study.

    Returns:
        raw records, and the lines of a FHIR export that could not be read; other sources are read whole
        or not at all.

    Raises:
        SourceError: the source cannot be read.
    """
    source = study.records.source
    if isinstance(source, str) and source.startswith(_FHIR):
        read = read_bulk(source.removeprefix(_FHIR), study)
        return read.frame, read.faults
    return read_source(source), ()


def read_source(source: str | Sql) -> pl.DataFrame:
    """Read all records of a source that needs no study to be understood.

    Args:
        source: a path (CSV, TSV, Parquet, JSON lines), `sklearn:NAME`, `cohort:KIND` (one of
            `cohort.KINDS`) with optional `?n=PATIENTS&seed=SEED`, or an SQL query.

    Returns:
        raw records.

    Raises:
        SourceError: it cannot be read.
    """
    if isinstance(source, Sql):
        return read_query(source)
    scheme, _, rest = source.partition(":")
    if scheme == "sklearn":
        return read_bundled(rest)
    if scheme == "cohort":
        return _simulate(source, rest)
    if source.startswith(_FHIR):
        raise SourceError(
            "a FHIR export is read by a study's fhir section",
            where=source,
            remedy="Declare a study with records.source: fhir:FOLDER and run it",
        )
    if "://" in source:
        raise SourceError(
            "is a URL, which is not read",
            where=re.sub(r"//[^@/]*@", "//", source.partition("?")[0]),
            remedy="Give a file, or records.source.url and records.source.query for a database",
        )
    return read_table(Path(source))


def source_name(source: str | Sql) -> str:
    """A short name of a source for reports and packages: a file's name without its folder, no passwords."""
    if isinstance(source, Sql):
        return sql_name(source)
    if source.startswith(_FHIR):
        return _FHIR + Path(source.removeprefix(_FHIR)).name
    return source if re.match(r"(sklearn|cohort):", source) else Path(source).name


def _simulate(source: str, rest: str) -> pl.DataFrame:
    kind, _, query = rest.partition("?")
    options: dict[str, int] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in _COHORT_OPTIONS or not value.isdecimal() or (name == "n" and int(value) < 1):
            raise SourceError(
                f"option {name!r} is not known or not a whole number",
                where=source,
                remedy=f"For example cohort:{kind}?n=500&seed=1",
            )
        options[name] = int(value)
    return simulate(kind, **options)
