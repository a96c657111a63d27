"""New training records that come over the wire, held to the contract as `galeno run` does."""

import io
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

import polars as pl

from galeno.errors import ContractError, InputError
from galeno.governance.leftovers import receive
from galeno.ingest.contract import Admission, Contract
from galeno.ingest.quarantine import write_quarantine
from galeno.ingest.values import BLANKS, codes_of, text_of
from galeno.media.fault import MediaFault
from galeno.media.places import FolderPlace
from galeno.pipeline.context import digest_frame
from galeno.pipeline.gathering import gather_files
from galeno.pipeline.optout import digest_rest, leave_out
from galeno.storage.contents import Contents
from galeno.storage.home import Home
from galeno.storage.lake import Lake

LONGEST_TEXT = 200_000
"""Characters of one value of a record."""
LARGEST = 10**18
"""Whole numbers are smaller."""


def admit_records(
    home: Home,
    contract: Contract,
    records: Sequence[Mapping[str, object]],
) -> dict[str, Any]:
    """Put good records into the lake and bad ones into quarantine.

    Args:
        home: where both are.
        contract: of the study.
        records: column to plain value; a column that a record lacks is missing there. A sound or an image is
            a data URL; no name of a file is taken.

    Returns:
        study, batch, version of the lake's table, opted_out (rows left out), report.

    Raises:
        InputError: a value is not a plain one, or no record holds to the contract.
        LakeError: the lake cannot be written.
        OutputError: the home cannot be written to.
    """
    study = contract.study
    frame = read_texts(records, sorted(contract.inputs | {study.records.target}), contract)
    batch = f"sent-{digest_frame(frame)[:32]}"
    lake = Lake(home.lake)
    with receive(home) as folder, gather_files(frame, contract, _Nowhere(), folder) as gathered:
        try:
            admitted = contract.admit(gathered.frame, "records", files=gathered.files)
        except ContractError as error:
            raise InputError([("records", error.what)]) from None
        with lake.hold_intake():  # no erasure comes between who is left out and what is written
            admission = leave_out(admitted, contract, home)
            if admission is not admitted:
                batch = f"sent-{digest_rest(batch, admission)[:32]}"
            if admission.quarantine.height:
                write_quarantine(home.quarantine / study.name / f"{batch}.parquet", admission)
            if admission.good.is_empty():
                raise InputError(
                    [("records", f"none is taken: {_listed(admission)}")],
                    remedy="GET /v1/studies/{study}/form lists columns, types and ranges",
                )
            gathered.keep(admission.good, Contents(lake))
            version = lake.append(f"{study.name}/{contract.digest[:16]}", admission.good, batch)
    return {
        "study": study.name,
        "batch": batch,
        "version": version,
        "opted_out": sum(v.count for v in admission.report.violations if v.check == "opted_out"),
        "report": admission.report.to_dict(),
    }


class _Nowhere(FolderPlace):
    """No file of this machine may be read by who sends records: `read_texts` refuses their names before."""

    def __init__(self) -> None:
        super().__init__(Path("/nonexistent"))

    def read(self, name: str, most: int) -> bytes:  # noqa: ARG002
        """Raise MediaFault."""
        raise MediaFault("missing_file", "A file of this machine is not read")


def read_texts(
    records: Sequence[Mapping[str, object]], declared: Sequence[str], contract: Contract | None = None
) -> pl.DataFrame:
    """Records as the table that a CSV file of them would be: texts, shape (records, columns).

    Args:
        records: column to plain value.
        declared: columns that are there in any case.
        contract: says which columns hold sounds or images; None where there are none.

    Raises:
        InputError: a value is not a plain one, or no data URL where a sound or an image stands.
    """
    files = () if contract is None else contract.files
    codes = frozenset() if contract is None else codes_of(contract.study.records.missing)
    names = dict.fromkeys([*declared, *(name for record in records for name in record)])
    columns: dict[str, list[str | None]] = {name: [] for name in names}
    for number, record in enumerate(records):
        for name, values in columns.items():
            value = record.get(name)
            fault = unfit(value, is_file=name in files)
            if not fault and name in files and not _is_sent(value, codes):
                fault = "is not a file as data:TYPE;base64,DATA"
            if fault:
                raise InputError([(f"records.{number}.{name[:64]}", fault)])
            values.append(text_of(value))
    return pl.DataFrame(columns, schema=dict.fromkeys(names, pl.String))


def read_csv(data: bytes) -> pl.DataFrame:
    """A CSV table that was sent, as texts.

    Raises:
        InputError: it is not one.
    """
    try:
        return pl.read_csv(io.BytesIO(data), infer_schema=False)
    except pl.exceptions.PolarsError:
        raise InputError([("body", "is not a CSV table in UTF-8 with a line of column names")]) from None


def unfit(value: object, *, is_file: bool = False) -> str:
    """Why a value cannot stand in a record; empty where it can.

    Args:
        value: as it came.
        is_file: it is of a column of sounds or images: bytes and data URLs may stand there, as long as the
            body that they came in.
    """
    if value is None or isinstance(value, bool):
        return ""
    if is_file and (isinstance(value, bytes) or (isinstance(value, str) and value.startswith("data:"))):
        return ""
    if isinstance(value, str):
        return f"is longer than {LONGEST_TEXT} characters" if len(value) > LONGEST_TEXT else ""
    if isinstance(value, float):
        return "" if isfinite(value) else "is not a finite number"
    if isinstance(value, int):
        return "" if abs(value) < LARGEST else "is too large a number"
    return "is not a text, a number, true, false or null"


def _is_sent(value: object, codes: frozenset[str]) -> bool:
    """Whether a value brings its file with it, or says that there is none."""
    return value is None or (
        isinstance(value, str) and (value.startswith("data:") or value.strip(BLANKS) in codes)
    )


def _listed(admission: Admission) -> str:
    found = [f"{v.check} of {v.column} in {v.count}" for v in admission.report.violations]
    return "; ".join(found[:5]) or "no rule was broken"
