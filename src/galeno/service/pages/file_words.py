"""Sounds and images in words: what is wrong with a file, how long or large it is, where it speaks.

Pure: no request, no desk.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np

from galeno.media.content import Kind
from galeno.media.picture import HIGHEST_SHOWN
from galeno.model.relevance import Relevance
from galeno.service.media_intake import HeldFile
from galeno.service.pages.words import Words, mark

_FAULTS: Final[Mapping[str, str]] = {
    "missing_file": mark("There is no such file. Choose it again."),
    "empty_file": mark("The file is empty. Choose another one."),
    "wrong_type": mark("This is not a file of the kind that belongs here. Choose another one."),
    "truncated": mark("The file is cut off: its end is missing. Choose another one."),
    "damaged": mark("The file is damaged and cannot be read. Choose another one."),
    "too_large": mark("The file is too large or too long. Choose a smaller part of it."),
    "too_short": mark("The sound is too short: at least half a second is needed."),
    "silent": mark("The sound is silent. Check the microphone or the file."),
    "clipped": mark("The sound is overdriven. Record it again, less loud."),
    "blank_image": mark("The image has one colour only. Choose another one."),
}
_REASONS: Final[Mapping[str, str]] = {
    "missing_file": mark("%(name)s: there was no such file."),
    "empty_file": mark("%(name)s: the file was empty."),
    "wrong_type": mark("%(name)s: the file was of another kind."),
    "truncated": mark("%(name)s: the file was cut off."),
    "damaged": mark("%(name)s: the file could not be read."),
    "too_large": mark("%(name)s: the file was too large."),
    "too_short": mark("%(name)s: the sound was too short."),
    "silent": mark("%(name)s: the sound was silent."),
    "clipped": mark("%(name)s: the sound was overdriven."),
    "blank_image": mark("%(name)s: the image had one colour only."),
}
_PLACES: Final = (
    (mark("upper left"), mark("upper middle"), mark("upper right")),
    (mark("middle left"), mark("centre"), mark("middle right")),
    (mark("lower left"), mark("lower middle"), mark("lower right")),
)
_FOR: Final = mark(
    "Speaks most for %(condition)s: %(place)s. Hidden, its probability falls by %(points)s points."
)
_AGAINST: Final = mark(
    "Speaks most against %(condition)s: %(place)s. Hidden, its probability rises by %(points)s points."
)
LEAST: Final = 0.005
"""Changes of a probability below it are not told: half a percentage point."""


def fault_text(rule: str, words: Words) -> str:
    """What is wrong with a file and what to do; empty for a rule that is not of files."""
    return words.gettext(_FAULTS[rule]) if rule in _FAULTS else ""


def file_reason(rule: str, name: str, words: Words) -> str:
    """Why a diagnosis needs review where a file could not be used; empty for another reason.

    Args:
        rule: that the file breaks.
        name: of its column, as people call it.
        words: the reader's language.
    """
    return words.gettext(_REASONS[rule], name=name) if rule in _REASONS else ""


def kind_text(kind: Kind, words: Words) -> str:
    """Sound or image."""
    return words.gettext("Sound") if kind == "sound" else words.gettext("Image")


def extent_text(held: HeldFile, words: Words) -> str:
    """How long a sound, or how large an image is."""
    if held.kind == "image":
        width, height = held.extent
        return words.gettext("image, %(size)s", size=f"{width}\u00a0×\u00a0{height}")
    rate, samples = held.extent
    return words.gettext("sound, %(seconds)s s", seconds=words.number(samples / rate, 1))


def axes_text(held: HeldFile, words: Words) -> str:
    """What the axes of a spectrogram of a sound are, as `media.picture` draws it."""
    rate, samples = held.extent
    return words.gettext(
        "Upwards 0 to %(high)s Hz, to the right 0 to %(seconds)s s.",
        high=words.number(min(HIGHEST_SHOWN, rate / 2), 0),
        seconds=words.number(samples / rate, 1),
    )


def place_text(relevance: Relevance, kind: Kind, label: str, words: Words) -> tuple[str, ...]:
    """Where a file speaks most for and most against a condition, a sentence each.

    Args:
        relevance: of the file.
        kind: of the file.
        label: of the condition.
        words: the reader's language.

    Returns:
        one sentence or two; one that says so where no part matters.
    """
    values = relevance.values
    told = []
    for sign, text in ((1, _FOR), (-1, _AGAINST)):
        row, column = np.unravel_index(int(np.argmax(values * sign)), values.shape)
        most = float(values[row, column] * sign)
        if most >= LEAST:
            place = _place(relevance, kind, (int(row), int(column)), words)
            told.append(words.gettext(text, condition=label, place=place, points=words.number(most * 100, 1)))
    nothing = words.gettext("No single part of it changes the probability by as much as half a point.")
    return tuple(told) or (nothing,)


def _place(relevance: Relevance, kind: Kind, cell: tuple[int, int], words: Words) -> str:
    """A cell of the map in words."""
    row, column = cell
    rows, columns = relevance.row_edges, relevance.column_edges
    if kind == "image":
        down, right = (_third(edges, at) for edges, at in ((rows, row), (columns, column)))
        return words.gettext(_PLACES[down][right])
    return words.gettext(
        "%(low)s to %(high)s Hz, second %(start)s to %(end)s",
        low=words.number(round(rows[row], -1), 0),
        high=words.number(round(rows[row + 1], -1), 0),
        start=words.number(columns[column], 1),
        end=words.number(columns[column + 1], 1),
    )


def _third(edges: tuple[float, ...], at: int) -> int:
    """In which third of the whole the middle of a cell lies."""
    return min(2, int(3 * (edges[at] + edges[at + 1]) / 2 / edges[-1]))
