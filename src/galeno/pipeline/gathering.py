"""From files that a table names to contents: in the lake when a study learns, in the row when it answers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
import polars as pl

from galeno.errors import SourceError
from galeno.ingest.columns import FAULTS
from galeno.ingest.contract import Contract
from galeno.ingest.values import is_file_value
from galeno.media.fault import MediaFault
from galeno.media.limits import LARGEST
from galeno.media.places import Place, open_place
from galeno.progress import Reporter, Silent
from galeno.storage.contents import Contents
from galeno.study import Study

PART = 16 * 2**20
"""Bytes of contents that are answered together, about; each is in memory several times meanwhile."""


def place_of(study: Study, table: Path | None = None) -> Place:
    """Where the files are that a table of this study names.

    Args:
        study: may say so in `records.files`.
        table: the table; by default the study's own source.
    """
    if table is None and isinstance(study.records.source, str) and ":" not in study.records.source:
        table = Path(study.records.source)
    return open_place(study.records.files, table)


def attach_files(
    raw: pl.DataFrame, contract: Contract, place: Place
) -> Iterator[tuple[pl.DataFrame, list[tuple[str, ...]]]]:
    """Put contents where a table names files.

    Args:
        raw: records as a table holds them.
        contract: of the study.
        place: where the files are.

    Yields:
        the records in parts, in order, each with about PART bytes of contents: bytes in the columns of sounds
        and images, null where a file cannot be taken; and for each row what was wrong, as `RULE:column`.
    """
    start = 0
    while start < raw.height:
        attached, faults = _attach_first(raw.slice(start), contract, place)
        start += attached.height
        yield attached, faults


def _attach_first(
    raw: pl.DataFrame, contract: Contract, place: Place
) -> tuple[pl.DataFrame, list[tuple[str, ...]]]:
    """As many of the first rows as make a part, and the faults of each; one row at least."""
    names = [name for name in contract.files if name in raw.columns]
    contents: list[list[bytes | None]] = []
    faults: list[tuple[str, ...]] = []
    size = 0
    for cells in raw.select(names).iter_rows(buffer_size=1) if names else [()] * raw.height:
        read = [_read(contract, name, cell, place) for name, cell in zip(names, cells, strict=True)]
        contents.append([content if isinstance(content, bytes) else None for content, _ in read])
        faults.append(
            tuple(contract.reason(name, rule) for name, (_, rule) in zip(names, read, strict=True) if rule)
        )
        size += sum(len(content or b"") for content in contents[-1])
        if size >= PART:
            break
    made = [pl.Series(name, [row[at] for row in contents], pl.Binary) for at, name in enumerate(names)]
    return raw.head(len(faults)).with_columns(made), faults


@dataclass(frozen=True, slots=True)
class Gathered:
    """What the files of a table hold, until it is known whose rows are taken."""

    frame: pl.DataFrame
    """The records as they came; where a cell was a file itself, its digest stands, null where faulty."""
    files: dict[str, tuple[pl.Series, pl.Series]]
    """What `Contract.admit` takes: by column the digests, and the faults as codes."""
    faulty: list[dict[str, Any]]
    """Files that cannot be taken: column, row (from 1), file (its name in the table), rule."""
    folder: Path
    """Holds each content in a file that is called by its digest."""
    kinds: dict[str, str]
    """Of each column: sound or image."""

    def keep(self, good: pl.DataFrame, contents: Contents) -> None:
        """Put the contents of these rows into the lake.

        Raises:
            LakeError: the lake cannot be written to.
        """
        named = {digest: kind for name, kind in self.kinds.items() for digest in good[name].drop_nulls()}
        there = (digest for digest in named if (self.folder / digest).exists())
        contents.keep((digest, named[digest], (self.folder / digest).read_bytes()) for digest in there)


@contextmanager
def gather_files(
    frame: pl.DataFrame, contract: Contract, place: Place, folder: Path, reporter: Reporter | None = None
) -> Iterator[Gathered]:
    """Read what a table names, and hold the clean contents in this block.

    Args:
        frame: raw records.
        contract: of the study.
        place: where the files are.
        folder: for the contents, for its owner alone; it is made here, and removed in the end.
        reporter: told how many files are done.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        yield _gather(frame, contract, place, folder, reporter or Silent())
    finally:
        rmtree(folder, ignore_errors=True)


def _gather(
    frame: pl.DataFrame, contract: Contract, place: Place, folder: Path, watcher: Reporter
) -> Gathered:
    files: dict[str, tuple[pl.Series, pl.Series]] = {}
    faulty: list[dict[str, Any]] = []
    done = 0
    for name in contract.files:
        if name not in frame.columns:
            continue
        shown: list[str | None] = []
        digests: list[str | None] = []
        codes = np.zeros(frame.height, np.uint8)
        for row, cell in enumerate(frame[name].to_list()):
            content, rule = _read(contract, name, cell, place)
            digest = _hold(content, folder) if isinstance(content, bytes) else content
            is_name = isinstance(cell, str) and not is_file_value(cell)
            if rule:
                codes[row] = FAULTS.index(rule)
                told = cell if is_name else ""
                faulty.append({"column": name, "row": row + 1, "file": told, "rule": rule})
            digests.append(None if digest is None else str(digest))
            shown.append(cell if is_name else digests[-1])
            done += 1
            if done % 100 == 0:
                watcher.rows(done)
        files[name] = pl.Series(name, digests, pl.String), pl.Series(codes)
        frame = frame.with_columns(pl.Series(name, shown, pl.String))
    kinds = {name: str(contract.study.columns[name].type) for name in files}
    return Gathered(frame, files, faulty, folder, kinds)


def fingerprint_files(frame: pl.DataFrame, study: Study, place: Place) -> str:
    """Digest of the bytes of the files that a table names; empty where it names none."""
    total = sha256()
    named = 0
    for name, column in study.columns.items():
        if not column.holds_file or name not in frame.columns:
            continue
        for cell in frame[name].to_list():
            if not isinstance(cell, str) or is_file_value(cell):
                continue
            named += 1
            try:
                total.update(sha256(place.read(cell, LARGEST)).digest())
            except MediaFault as fault:
                total.update(fault.rule.encode())
    return total.hexdigest() if named else ""


def fingerprint_models(study: Study) -> str:
    """Digest of the models that a study names by their paths; empty where it names none.

    Raises:
        SourceError: a model is not there.
    """
    total = sha256()
    named = [path for path in (study.features.image.backbone, study.features.text.model) if path]
    for path in map(Path, named):
        files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
        try:
            for file in files:
                total.update(file.name.encode())
                with file.open("rb") as stream:
                    total.update(file_digest(stream, "sha256").digest())
        except OSError as error:
            raise SourceError(
                f"the model cannot be read ({error.strerror})", where=str(path), remedy="Check the path"
            ) from None
    return total.hexdigest() if named else ""


def _hold(content: bytes, folder: Path) -> str:
    """Write a content that is not there yet, and give its digest."""
    digest = sha256(content).hexdigest()
    if not (folder / digest).exists():
        (folder / digest).write_bytes(content)
    return digest


def _read(contract: Contract, name: str, cell: object, place: Place) -> tuple[object, str]:
    """The clean content of a cell (or a digest, or None), and the rule that its file breaks."""
    if isinstance(cell, str) and not contract.is_value(name, cell):
        try:
            cell = place.read(cell, LARGEST)
        except MediaFault as fault:
            return None, fault.rule
    content, code = contract.read_file(name, cell)
    return content, FAULTS[code] if FAULTS[code] != "missing_code" else ""
