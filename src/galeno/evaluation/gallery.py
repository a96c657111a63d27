"""The examples as a page shows them: captions, descriptions in words, and pictures as data URLs."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from galeno.evaluation.examples import Example, Marked, Outcome, Part
from galeno.study import Study

TONES: Final[dict[Outcome, str]] = {"right": "good", "wrong": "bad", "unsure": "warn"}
"""Colours of the outcomes, in their order on the page."""
_PLACES: Final = (
    ("upper_left", "upper_middle", "upper_right"),
    ("middle_left", "centre", "middle_right"),
    ("lower_left", "lower_middle", "lower_right"),
)


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture and its words."""

    source: str
    """A data URL."""
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Card:
    """One example: the sound or image alone, then with what speaks in it."""

    kind: str
    tone: str
    outcome: str
    answered: str
    pictures: Sequence[Picture]


class Gallery:
    """Examples in the reader's language.

    Args:
        study: whose records they are.
        examples: of its test part.
        say: the words.
        label: what a reader calls a class.
        figure: a number as the language writes it, with so many digits.
        percent: a share in per cent.
    """

    def __init__(
        self,
        study: Study,
        examples: Sequence[Example],
        say: Callable[..., str],
        label: Callable[[str], str],
        *,
        figure: Callable[[float, int], str],
        percent: Callable[[float], str],
    ) -> None:
        self._study, self._examples = study, examples
        self._say, self._label, self._figure, self._percent = say, label, figure, percent

    @property
    def wanted(self) -> bool:
        """Whether the study has any sounds or images."""
        return any(column.holds_file for column in self._study.features_columns.values())

    @property
    def text(self) -> str:
        """How the examples were chosen, or why there are none."""
        if not (self._study.simulated or self._study.privacy.examples_in_report):
            return self._say("examples_withheld")
        if not self._examples:
            return self._say("examples_absent")
        return self._say("examples_text", least=self._share(self._study.evaluation.review_below))

    @property
    def warning(self) -> str:
        """What a reader owes to real patients; empty where nobody is."""
        return "" if self._study.simulated or not self._examples else self._say("examples_real")

    @property
    def columns(self) -> dict[str, list[Card]]:
        """Column to its examples, in their order."""
        found: dict[str, list[Card]] = {}
        for example in self._examples:
            found.setdefault(example.column, []).append(self._card(example))
        return found

    def _card(self, example: Example) -> Card:
        first, second = example.extent
        key = "example_sound" if example.kind == "sound" else "example_image"
        digits = 1 if example.kind == "sound" else 0
        extent = self._say(key, first=self._figure(first, digits), second=self._figure(second, 0))
        answered = self._say(
            "example_answered",
            truth=self._label(example.truth),
            answer=self._label(example.answer),
            share=self._share(example.probability),
        )
        title = self._say("spectrogram" if example.kind == "sound" else "picture")
        plain = Picture(_to_url(example.png), title, extent)
        marked = [self._mark(one, example) for one in example.marked]
        outcome = self._say(f"example_{example.outcome}")
        return Card(example.kind, TONES[example.outcome], outcome, answered, (plain, *marked))

    def _mark(self, marked: Marked, example: Example) -> Picture:
        title = self._say(
            "example_marked", condition=self._label(marked.condition), share=self._share(marked.probability)
        )
        told = [
            self._say(
                "part_for" if part.change > 0 else "part_against",
                place=self._place(part, example),
                points=self._figure(100 * abs(part.change), 1),
            )
            for part in marked.parts
        ]
        return Picture(_to_url(marked.png), title, " ".join(told) or self._say("no_part"))

    def _place(self, part: Part, example: Example) -> str:
        """A part in words."""
        if example.kind == "image":
            down, right = (min(2, int(3 * (start + end) / 2)) for start, end in (part.rows, part.columns))
            return self._say(_PLACES[down][right])
        low, high = (self._figure(round(edge, -1), 0) for edge in part.rows)
        start, end = (self._figure(edge, 1) for edge in part.columns)
        return self._say("place_sound", low=low, high=high, start=start, end=end)

    def _share(self, share: float) -> str:
        return self._percent(share).replace(" ", "\N{NO-BREAK SPACE}")


def _to_url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
