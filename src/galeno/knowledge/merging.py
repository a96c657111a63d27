"""Which entries of OMIM, Orphanet and DECIPHER are one disease: a table from Mondo, that the user brings."""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from galeno.errors import SourceError

EXACT = ("skos:exactMatch", "http://www.w3.org/2004/02/skos/core#exactMatch")
"""The predicate of SSSOM that says two entries are the same disease."""
TABLE = ("disease_id", "mondo_id")
SSSOM = ("subject_id", "predicate_id", "object_id")
LARGEST = 500_000_000
"""Bytes that a table may hold when it is unpacked."""

_SPELLINGS: Mapping[str, str] = {
    "omim": "OMIM", "mim": "OMIM", "orpha": "ORPHA", "orphanet": "ORPHA", "ordo": "ORPHA",
    "decipher": "DECIPHER", "mondo": "MONDO",
}  # fmt: skip
_ENTRY = re.compile(r"(?:.*/)?([A-Za-z]+)[:_/](?:entry/)?([0-9]+)")
_ADDRESS = re.compile(r"https?://(?:www\.)?omim\.org/entry/([0-9]+)")


def normalise_disease(entry: str) -> str:
    """Write a disease's id as the HPO annotations do.

    Orphanet:558, orpha:558 and http://www.orpha.net/ORDO/Orphanet_558 are ORPHA:558; MIM:154700 is
    OMIM:154700; an id of any other database is returned as it is, without spaces around it.
    """
    text = entry.strip()
    address = _ADDRESS.fullmatch(text)
    if address:
        return f"OMIM:{address[1]}"
    match = _ENTRY.fullmatch(text)
    database = _SPELLINGS.get(match[1].lower()) if match else None
    return f"{database}:{match[2]}" if match and database else text


def read_merge(path: Path) -> dict[str, tuple[str, str]]:
    """Read which entries are one disease.

    Args:
        path: TSV, gzipped or not, in one of two shapes. Columns disease_id, mondo_id and mondo_label; or a
            mapping set in SSSOM (Matentzoglu et al., Database 2022, baac035) between Mondo and the entries,
            in either direction, of which only rows with skos:exactMatch count.

    Returns:
        Entry, such as OMIM:100050 or ORPHA:558, to the id and the label of its Mondo disease. An entry that
        the table gives to several diseases is given to the first.

    Raises:
        SourceError: the file cannot be read, has neither shape, or says nothing about any entry.
    """
    rows = csv.reader(
        (line for line in io.StringIO(_unpack(path)) if not line.startswith("#")),
        delimiter="\t",
        quoting=csv.QUOTE_NONE,
    )
    try:
        header = [name.strip() for name in next(rows, [])]
        if all(name in header for name in TABLE):
            pairs = _table(header, rows)
        elif all(name in header for name in SSSOM):
            pairs = _mapping_set(header, rows)
        else:
            raise _broken(
                path, "the table has neither the columns disease_id and mondo_id nor those of SSSOM"
            )
    except csv.Error:
        raise _broken(path, "the table is damaged") from None
    if not pairs:
        raise _broken(path, "the table gives no OMIM, Orphanet or DECIPHER entry to a Mondo disease")
    return pairs


def _table(header: Sequence[str], rows: Iterator[list[str]]) -> dict[str, tuple[str, str]]:
    entry, group = (header.index(name) for name in TABLE)
    label = header.index("mondo_label") if "mondo_label" in header else -1
    pairs: dict[str, tuple[str, str]] = {}
    for row in rows:
        if len(row) > max(entry, group):
            _add(pairs, row[entry], row[group], row[label] if 0 <= label < len(row) else "")
    return pairs


def _mapping_set(header: Sequence[str], rows: Iterator[list[str]]) -> dict[str, tuple[str, str]]:
    place = {name: number for number, name in enumerate(header)}
    pairs: dict[str, tuple[str, str]] = {}
    for row in rows:
        said = {name: row[number].strip() for name, number in place.items() if number < len(row)}
        if said.get("predicate_id") not in EXACT or said.get("predicate_modifier"):
            continue
        sides = [
            (said.get(f"{side}_id", ""), said.get(f"{side}_label", ""))
            for side in ("subject", "object")
        ]  # fmt: skip
        for (group, label), (entry, _) in (sides, sides[::-1]):
            _add(pairs, entry, group, label)
    return pairs


def _add(pairs: dict[str, tuple[str, str]], entry: str, group: str, label: str) -> None:
    """Keep a pair of an entry and a Mondo disease; anything else, as OMIM's phenotypic series, is none."""
    entry, group = normalise_disease(entry), normalise_disease(group)
    if group.startswith("MONDO:") and entry.partition(":")[0] in {"OMIM", "ORPHA", "DECIPHER"}:
        pairs.setdefault(entry, (group, label.strip()))


def _unpack(path: Path) -> str:
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            with gzip.open(file) if packed else file as stream:
                content = stream.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise _broken(path, "the table is longer than any table of diseases")
        return content.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not whole or not UTF-8"
        raise _broken(path, f"the table cannot be read ({reason})") from None


def _broken(path: Path, what: str) -> SourceError:
    return SourceError(
        what,
        where=str(path),
        remedy="Name a TSV with the columns disease_id, mondo_id and mondo_label, or Mondo's SSSOM mappings",
    )
