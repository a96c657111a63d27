"""Charts as inline SVG: classes only, so that the sheet themes them and no style or script is needed.

Every chart has a title and a description for screen readers, and stands beside a table of its figures.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from galeno.service.pages.words import Words

WIDTH = 600.0
"""Units of every chart; about as many pixels, so that its text is as large as the page's small text."""
_LEFT, _RIGHT, _TOP, _HEIGHT, _FOOT = 46.0, 12.0, 10.0, 168.0, 24.0
_LABELS = 6
_CHARACTER = 6.4
"""Average width of a character of chart text."""
_ROW = 30.0


@dataclass(frozen=True, slots=True)
class Series:
    """Figures of one kind, one for each place along the chart."""

    name: str
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Range:
    """One line of a range chart: the middle, and how far the slowest go."""

    name: str
    middle: float
    high: float
    highest: float


def column_chart(
    title: str, text: str, places: Sequence[str], series: Sequence[Series], words: Words
) -> Markup:
    """Columns of whole numbers, series on top of each other, with a legend where there are several.

    Args:
        title: what it shows.
        text: how to read it, for screen readers.
        places: name of each column.
        series: from the bottom up, at most four.
        words: the reader's language.
    """
    top = _round_up(max((sum(column) for column in zip(*(s.values for s in series), strict=True)), default=0))
    body = _legend([s.name for s in series]) if len(series) > 1 else []
    above = 20.0 if len(series) > 1 else 0.0
    body += _grid(top, above, words)
    wide = (WIDTH - _LEFT - _RIGHT) / max(1, len(places))
    gap = min(2.0, wide * 0.2)
    for index, place in enumerate(places):
        low = 0.0
        tip = ", ".join(f"{s.name} {words.number(s.values[index])}" for s in series)
        rectangles = []
        for number, each in enumerate(series, start=1):
            value = each.values[index]
            if value:
                x = _LEFT + index * wide + gap / 2
                y = _y(low + value, top, above)
                height = value / top * _HEIGHT
                rectangles.append(
                    f'<rect class="column series-{number}" x="{x:.1f}" y="{y:.1f}" '
                    f'width="{wide - gap:.1f}" height="{height:.1f}"></rect>'
                )
            low += value
        if rectangles:
            body.append(f"<g><title>{escape(place)}: {escape(tip)}</title>{''.join(rectangles)}</g>")
    body += _places(places, wide, above)
    return _svg(_TOP + above + _HEIGHT + _FOOT, title, text, body)


def line_chart(title: str, text: str, places: Sequence[str], values: Sequence[float], words: Words) -> Markup:
    """One line of numbers over an area.

    Args:
        title: what it shows.
        text: how to read it, for screen readers.
        places: name of each point.
        values: the numbers.
        words: the reader's language.
    """
    top = _round_up(max(values, default=0))
    body = _grid(top, 0, words)
    wide = (WIDTH - _LEFT - _RIGHT) / max(1, len(places))
    points = [
        (_LEFT + (index + 0.5) * wide, _y(value, top, 0), place, value)
        for index, (place, value) in enumerate(zip(places, values, strict=True))
    ]
    if points:
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y, _, _ in points)
        base = _y(0, top, 0)
        body.append(f'<path class="area" d="M{points[0][0]:.1f} {base}L{path}L{points[-1][0]:.1f} {base}Z"/>')
        body.append(f'<path class="line" d="M{path}"/>')
    for x, y, place, value in points:
        tip = f"<title>{escape(place)}: {escape(words.number(value))}</title>"
        body.append(
            f'<circle class="point" cx="{x:.1f}" cy="{y:.1f}" r="{min(2.5, wide / 3):.1f}">{tip}</circle>'
        )
    body += _places(places, wide, 0)
    return _svg(_TOP + _HEIGHT + _FOOT, title, text, body)


def range_chart(title: str, text: str, ranges: Sequence[Range], unit: str, words: Words) -> Markup:
    """A bar up to the middle, a thin one up to `high`, a tick at `highest`, a line for each range.

    Args:
        title: what it shows.
        text: how to read it, for screen readers.
        ranges: from the top down.
        unit: of the values.
        words: the reader's language.
    """
    top = _round_up(max((each.highest for each in ranges), default=0))
    names = [shorten(each.name, 26) for each in ranges]
    left = 12 + _CHARACTER * max((len(name) for name in names), default=1)
    width, height = WIDTH - left - 70, _ROW * len(ranges)
    body = []
    for step in range(5):
        x = left + step / 4 * width
        body.append(f'<path class="grid-line" d="M{x:.1f} 4V{height + 4:.1f}"/>')
        body.append(_text(x, height + 20, words.number(step / 4 * top)))
    for index, each in enumerate(ranges):
        y = 4 + index * _ROW
        middle, high, highest = (value / top * width for value in (each.middle, each.high, each.highest))
        figures = " / ".join(
            words.number(value, _digits(value)) for value in (each.middle, each.high, each.highest)
        )
        body.append(
            f"<g><title>{escape(each.name)}: {escape(figures)} {escape(unit)}</title>"
            f'<rect class="reach" x="{left:.1f}" y="{y + 11:.1f}" width="{high:.1f}" height="8"></rect>'
            f'<rect class="column" x="{left:.1f}" y="{y + 7:.1f}" width="{middle:.1f}" height="16"></rect>'
            f'<path class="tick" d="M{left + highest:.1f} {y + 7:.1f}v16"/></g>'
        )
        body.append(_text(left - 8, y + 19, names[index], "end"))
        body.append(
            _text(left + highest + 6, y + 19, words.number(each.highest, _digits(each.highest)), "start")
        )
    return _svg(height + 28, title, text, body)


def shorten(text: str, most: int) -> str:
    """The text, cut with an ellipsis where it is longer than `most` characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _round_up(most: float) -> float:
    """The next number above that four equal steps divide into whole ones."""
    if most <= 4:
        return 4.0
    power = 10.0 ** math.floor(math.log10(most / 4))
    steps = (size * power for size in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10))
    return 4 * next(step for step in steps if step % 1 == 0 and step * 4 >= most * (1 - 1e-9))


def _grid(top: float, above: float, words: Words) -> list[str]:
    body = []
    for step in range(5):
        y = _y(step / 4 * top, top, above)
        kind = "axis" if step == 0 else "grid-line"
        body.append(f'<path class="{kind}" d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"/>')
        body.append(_text(_LEFT - 6, y + 4, words.number(step / 4 * top), "end"))
    return body


def _places(places: Sequence[str], wide: float, above: float) -> list[str]:
    """Names below the chart, as many as are readable; the first and those at equal steps after it."""
    if not places:
        return []
    room = _CHARACTER * max(len(place) for place in places) + 14
    most = max(1, min(_LABELS, int((WIDTH - _LEFT) / room)))
    step = math.ceil(len(places) / most)
    y = _TOP + above + _HEIGHT + 18
    return [
        _text(
            _LEFT + (index + 0.5) * wide, y, places[index], "start" if index == 0 and step > 1 else "middle"
        )
        for index in range(0, len(places), step)
    ]


def _legend(names: Sequence[str]) -> list[str]:
    body, x = [], _LEFT
    for number, name in enumerate(names, start=1):
        body.append(f'<rect class="column series-{number}" x="{x:.0f}" y="2" width="12" height="12"></rect>')
        body.append(_text(x + 18, 12, name, "start"))
        x += 34 + _CHARACTER * len(name)
    return body


def _y(value: float, top: float, above: float) -> float:
    return round(_TOP + above + (1 - value / top) * _HEIGHT, 2)


def _digits(value: float) -> int:
    return 0 if value >= 100 else 1


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(height: float, title: str, text: str, body: Sequence[str]) -> Markup:
    head = (
        f'<svg class="chart" viewBox="0 0 {WIDTH:.0f} {height:.0f}" role="img" '
        f'aria-label="{escape(title)}"><title>{escape(title)}</title><desc>{escape(text)}</desc>'
    )
    return Markup(head + "".join(body) + "</svg>")  # noqa: S704  (every text in body went through escape)
