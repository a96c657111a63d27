"""Columns whose cells are files: which columns, of what kind, and whether the files are there."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import get_args

import polars as pl

from galeno.ingest.columns import read_codes
from galeno.media.content import IMAGE_ENDINGS, SOUND_ENDINGS, Kind, kind_of
from galeno.media.fault import MediaFault
from galeno.media.image import read_image
from galeno.media.limits import ImageLimits
from galeno.media.places import Place

LOOKED_FOR = 20
"""So many of the named files are looked for."""

_ENDINGS: dict[Kind, tuple[str, ...]] = {"sound": SOUND_ENDINGS, "image": IMAGE_ENDINGS}
_DATA_URLS: dict[Kind, tuple[str, ...]] = {
    "sound": ("data:audio/",),
    "image": ("data:image/", "data:application/dicom"),
}
_NOT_NEAR = ("data:", "s3://", "s3a://")
_SEEN = 3
"""So many images tell how large they are."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A column whose cells are files."""

    column: str
    kind: Kind
    looked: int = 0
    """Files that were looked for; 0 where the cells are the files themselves, or are far away."""
    found: int = 0
    """Files of them that were found before it was clear that they are there."""
    side: int = 0
    """Longest side, in pixels, of the images that were seen; 0 for none."""
    mixed: bool = False
    """Whether the column names files of the other kind too."""


def kinds_of(values: pl.Series, missing: frozenset[str]) -> tuple[Kind, ...]:
    """The kinds of file that a column's cells are, or name; the commonest first.

    Args:
        values: file bytes (Binary), or texts: paths, or data URLs; shape (n,).
        missing: missing codes, from `codes_of`.

    Returns:
        nothing where half of the values or fewer are of a known kind. Texts are judged by their endings.
    """
    if values.dtype == pl.Binary:
        cells = values.drop_nulls().head(LOOKED_FOR).to_list()
        counts = {kind: sum(kind_of(cell) == kind for cell in cells) for kind in get_args(Kind)}
        given = len(cells)
    elif values.dtype == pl.String:
        texts = read_codes(values, missing).drop_nulls().str.to_lowercase()
        counts = {kind: int(_are(texts, kind).sum()) for kind in get_args(Kind)}
        given = len(texts)
    else:
        return ()
    if not given or 2 * sum(counts.values()) <= given:
        return ()
    return tuple(kind for kind in sorted(counts, key=lambda kind: -counts[kind]) if counts[kind])


def find_attachments(
    frame: pl.DataFrame, columns: Iterable[str], missing: frozenset[str], place: Place | None
) -> dict[str, Attachment]:
    """Find the columns of files, and look for some of the files.

    Args:
        frame: raw records.
        columns: those to look at.
        missing: missing codes.
        place: where named files are; None where no place is known.

    Returns:
        by column name, in order.
    """
    kinds = {column: kinds_of(frame[column], missing) for column in columns}
    return {column: _look(frame[column], found, missing, place) for column, found in kinds.items() if found}


def find_copies(
    frame: pl.DataFrame, attachments: Mapping[str, Attachment], missing: frozenset[str]
) -> dict[str, str]:
    """Columns that name the same files as another one, by their last parts: column to the one that stays.

    The column whose files are found stays, else the first.
    """
    order = sorted(attachments.values(), key=lambda found: not found.found)
    stems: dict[str, pl.Series] = {}
    copies: dict[str, str] = {}
    for found in order:
        if frame[found.column].dtype != pl.String:
            continue
        names = read_codes(frame[found.column], missing).str.extract(r"([^/\\]+)$")
        same = [kept for kept, stem in stems.items() if names.equals(stem, check_names=False)]
        if same:
            copies[found.column] = same[0]
        else:
            stems[found.column] = names
    return copies


def _are(texts: pl.Series, kind: Kind) -> pl.Series:
    """Whether texts in lower case name files of a kind, or are such files as data URLs."""
    return (
        texts.to_frame("text")
        .select(
            pl.any_horizontal(
                *(pl.col("text").str.ends_with(ending) for ending in _ENDINGS[kind]),
                *(pl.col("text").str.starts_with(start) for start in _DATA_URLS[kind]),
            )
        )
        .to_series()
    )


def _look(
    values: pl.Series, kinds: tuple[Kind, ...], missing: frozenset[str], place: Place | None
) -> Attachment:
    kind, mixed = kinds[0], len(kinds) > 1
    if values.dtype == pl.Binary:
        cells = values.drop_nulls().head(_SEEN).to_list() if kind == "image" else []
        return Attachment(values.name, kind, side=max(map(_side, cells), default=0), mixed=mixed)
    texts = read_codes(values, missing).drop_nulls().unique(maintain_order=True)
    names = [name for name in texts.head(LOOKED_FOR).to_list() if not name.startswith(_NOT_NEAR)]
    if place is None or not names:
        return Attachment(values.name, kind, mixed=mixed)
    found, sides = 0, [0]
    for name in names:
        try:
            file = place.read(name, ImageLimits().bytes)
        except MediaFault as fault:
            found += fault.rule != "missing_file"  # too large or empty, but there
            continue
        found += 1
        if kind == "image":
            sides.append(_side(file))
        if kind == "sound" or sum(side > 0 for side in sides) >= _SEEN:
            break
    return Attachment(values.name, kind, len(names), found, max(sides), mixed)


def _side(file: bytes) -> int:
    """Longest side of an image in pixels; 0 where it cannot be read."""
    try:
        height, width = read_image(file).pixels.shape[:2]
    except MediaFault:
        return 0
    return int(max(height, width))
