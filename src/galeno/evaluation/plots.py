"""Plots as inline SVG: no script, no style attribute, colours by class name so that pages theme them.

Series differ in colour (Okabe and Ito's palette, safe for colour-blind readers) and in dash. Every
plot has a title and a description for screen readers, and stands beside a table of its figures.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

Interval = tuple[float, float] | None
Say = Callable[..., str]
"""Words in the reader's language, see `words.speaker`."""

SERIES = 7
_CHARACTER = 6.8
"""Average width of a character of plot text, in the plot's units; of wide fonts, so that none is cut."""
_BOLD = 1.12
"""How much wider bold text is."""
_STEADY = 5
"""Bins with fewer rows have a dot, but the line of a reliability diagram passes them by."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One line of a bar plot; values between 0 and `top`."""

    label: str
    value: float | None
    interval: Interval = None
    note: str = ""
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a curve plot, both axes 0 to 1."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    figure: float | None = None


@dataclass(frozen=True, slots=True)
class _Area:
    """The rectangle that data are drawn in; both axes run from 0 to 1."""

    left: float
    top: float
    width: float
    height: float

    def x(self, share: float) -> float:
        return round(self.left + share * self.width, 2)

    def y(self, share: float) -> float:
        return round(self.top + (1 - share) * self.height, 2)


def confusion_plot(
    labels: Sequence[str], counts: Sequence[Sequence[int]], other: Sequence[int], say: Say
) -> Markup:
    """Heat map, one row a true class; the shade is the share of the row."""
    rows = [(label, list(row)) for label, row in zip(labels, counts, strict=True)]
    if sum(other):
        rows.append((say("other_label"), list(other)))
    side = 46.0 if len(labels) <= 8 else 30.0
    names = [shorten(name, 26) for name, _ in rows]
    left = 24 + _CHARACTER * max(len(name) for name in names)
    heads = [shorten(label, 26) for label in labels]
    top = 26 + _CHARACTER * 0.72 * max(len(head) for head in heads)
    spill = _CHARACTER * 0.72 * len(heads[-1])
    body = [
        _text(left, 12, say("answered_as"), "axis", "start"),
        _text(0, top - 6, say("true_class"), "axis", "start"),
    ]
    for column, head in enumerate(heads):
        x = left + (column + 0.5) * side
        body.append(_text(x, top - 6, head, "tick", "start", turn=-45))
    for index, (name, row) in enumerate(rows):
        y = top + index * side
        body.append(_text(left - 8, y + side / 2 + 4, names[index], "tick", "end"))
        for column, count in enumerate(row):
            share = count / sum(row) if sum(row) else 0.0
            tip = say("confusion_tip", true=name, answered=labels[column], count=count, share=f"{share:.0%}")
            right = "right" if index == column else "miss"
            place = (left + column * side, y, side)
            body.append(_cell(place, share, f"heat {right}", tip))
            if count:
                tone = "onheat" if share > 0.55 else "count"
                body.append(_text(left + (column + 0.5) * side, y + side / 2 + 4, str(count), tone))
    width, height = left + len(labels) * side + max(spill, 12), top + len(rows) * side + 6
    return _svg(width, height, say("confusion"), say("confusion_text"), body)


def bar_plot(bars: Sequence[Bar], title: str, text: str, say: Say, most: float = 1.0) -> Markup:
    """Horizontal bars with intervals, from 0 to about `most`; a bar without a value shows its note."""
    top = _round_up(most)
    shown = [shorten(bar.label, 30) for bar in bars]
    widths = [len(label) * (_BOLD if bar.strong else 1) for label, bar in zip(shown, bars, strict=True)]
    left = 12 + _CHARACTER * max(widths, default=1)
    area = _Area(left, 8, 260, 26.0 * len(bars))
    body = _grid(area, say, top, vertical_only=True)
    for index, bar in enumerate(bars):
        y = area.top + index * 26.0
        body.append(_text(left - 8, y + 17, shown[index], "tick strong" if bar.strong else "tick", "end"))
        if bar.value is None:
            body.append(_text(left + 6, y + 17, bar.note, "note", "start"))
            continue
        share = max(0.0, min(1.0, bar.value / top))
        tone = "bar strong" if bar.strong else "bar"
        place = f'x="{left:.1f}" y="{y + 5:.1f}" width="{share * area.width:.1f}" height="16" rx="2"'
        tip = escape(f"{bar.label}: {_number(bar.value, say)}")
        body.append(f'<rect class="{tone}" {place}><title>{tip}</title></rect>')
        end = share
        if bar.interval:
            low, high = (max(0.0, min(1.0, bound / top)) for bound in bar.interval)
            end = max(end, high)
            body.append(
                f'<path class="whisker" d="M{area.x(low)} {y + 13:.1f}H{area.x(high)}'
                f'M{area.x(low)} {y + 9:.1f}v8M{area.x(high)} {y + 9:.1f}v8"/>'
            )
        body.append(_text(area.x(end) + 6, y + 17, bar.note or _number(bar.value, say), "note", "start"))
    return _svg(left + 340, area.height + 34, title, text, body)


def reliability_plot(bins: Sequence[dict[str, float]], say: Say) -> Markup:
    """Share answered right against stated probability; the area of a dot is its rows."""
    area = _Area(52, 12, 300, 300)
    body = [
        *_grid(area, say),
        f'<path class="diagonal" d="M{area.x(0)} {area.y(0)}L{area.x(1)} {area.y(1)}"/>',
    ]
    most = max((b["n"] for b in bins), default=1)
    steady = [b for b in bins if b["n"] >= _STEADY]
    points = " ".join(f"{area.x(b['confidence'])},{area.y(b['accuracy'])}" for b in steady)
    body.append(f'<polyline class="line s0" points="{points}"/>')
    for b in bins:
        radius = 3 + 7 * (b["n"] / most) ** 0.5
        tip = say(
            "reliability_tip",
            stated=_number(b["confidence"], say),
            right=_number(b["accuracy"], say),
            n=int(b["n"]),
        )
        place = f'cx="{area.x(b["confidence"])}" cy="{area.y(b["accuracy"])}" r="{radius:.1f}"'
        body.append(f'<circle class="dot s0" {place}><title>{escape(tip)}</title></circle>')
    body += _axis_names(area, say("stated_probability"), say("share_right"))
    return _svg(372, 360, say("reliability"), say("reliability_text"), body)


def curve_plot(
    curves: Sequence[Curve], axes: tuple[str, str], kind: str, say: Say, *, diagonal: bool
) -> Markup:
    """Curves with a legend; with more than seven the six weakest have colour, the others are grey."""
    ordered = sorted(curves, key=lambda curve: 1.0 if curve.figure is None else curve.figure)
    named = list(curves) if len(curves) <= SERIES else ordered[: SERIES - 1]
    area = _Area(52, 12, 300, 300)
    body = _grid(area, say)
    if diagonal:
        body.append(f'<path class="diagonal" d="M{area.x(0)} {area.y(0)}L{area.x(1)} {area.y(1)}"/>')
    body += [_line(area, curve, "line rest") for curve in curves if curve not in named]
    body += [_line(area, curve, f"line s{index}") for index, curve in enumerate(named)]
    for index, curve in enumerate(named):
        y = 346 + 34 + index * 18
        figure = "" if curve.figure is None else f"  {_number(curve.figure, say)}"
        body.append(f'<path class="line s{index}" d="M{area.left:.0f} {y - 4}h28"/>')
        body.append(_text(area.left + 36, y, shorten(curve.label, 38) + figure, "tick", "start"))
    body += _axis_names(area, say(axes[0]), say(axes[1]))
    return _svg(372, 372 + 18 * len(named), say(kind), say(f"{kind}_text"), body)


def histogram_plot(right: Sequence[int], wrong: Sequence[int], say: Say) -> Markup:
    """Stacked bars of the answers' probability, right below and wrong above."""
    area = _Area(52, 12, 300, 300)
    most = _round_up(max((r + w for r, w in zip(right, wrong, strict=True)), default=1) or 1)
    body = _grid(area, say, most, across=False)
    wide = area.width / max(1, len(right))
    for index, (r, w) in enumerate(zip(right, wrong, strict=True)):
        x = area.left + index * wide + 1
        for tone, low, count in (("bar", 0, r), ("bar wrong", r, w)):
            if count:
                height = count / most * area.height
                body.append(
                    f'<rect class="{tone}" x="{x:.1f}" y="{area.y((low + count) / most)}" '
                    f'width="{wide - 2:.1f}" height="{height:.1f}"><title>{count}</title></rect>'
                )
    for index, (tone, word) in enumerate((("bar", "answered_right"), ("bar wrong", "answered_wrong"))):
        x = area.left + index * 150
        body.append(f'<rect class="{tone}" x="{x:.0f}" y="368" width="14" height="12" rx="2"/>')
        body.append(_text(x + 20, 378, say(word), "tick", "start"))
    body += _axis_names(area, say("stated_probability"), say("rows"))
    return _svg(372, 390, say("histogram"), say("histogram_text"), body)


def shorten(text: str, most: int) -> str:
    """The text, cut with an ellipsis where it is longer than `most` characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _number(value: float, say: Say) -> str:
    return f"{value:.3f}".replace(".", say("decimal"))


def _round_up(most: float) -> float:
    """The next number above that five equal steps divide into round ones."""
    power = 10.0 ** math.floor(math.log10(most / 5))
    step = next(size * power for size in (1, 2, 2.5, 5, 10) if size * power * 5 >= most * (1 - 1e-9))
    return step * 5


def _grid(
    area: _Area, say: Say, top: float = 1.0, *, vertical_only: bool = False, across: bool = True
) -> list[str]:
    body = []
    for step in range(6):
        share = step / 5
        name = f"{share * top:.4g}".replace(".", say("decimal"))
        side = f"{share:.4g}".replace(".", say("decimal"))
        if vertical_only:
            body.append(
                f'<path class="grid" d="M{area.x(share)} {area.top:.1f}V{area.top + area.height:.1f}"/>'
            )
            body.append(_text(area.x(share), area.top + area.height + 16, name, "tick"))
            continue
        if across:
            body.append(f'<path class="grid" d="M{area.x(share)} {area.top}v{area.height}"/>')
        body.append(f'<path class="grid" d="M{area.left} {area.y(share)}h{area.width}"/>')
        body.append(_text(area.x(share), area.top + area.height + 16, side, "tick"))
        body.append(_text(area.left - 6, area.y(share) + 4, name, "tick", "end"))
    return body


def _axis_names(area: _Area, across: str, up: str) -> list[str]:
    middle = area.top + area.height / 2
    return [
        _text(area.left + area.width / 2, area.top + area.height + 36, across, "axis"),
        _text(13, middle, up, "axis", turn=-90),
    ]


def _line(area: _Area, curve: Curve, tone: str) -> str:
    points = " ".join(f"{area.x(x)},{area.y(y)}" for x, y in zip(curve.x, curve.y, strict=True))
    return f'<polyline class="{tone}" points="{points}"><title>{escape(curve.label)}</title></polyline>'


def _cell(at: tuple[float, float, float], share: float, tone: str, tip: str) -> str:
    x, y, side = at
    place = f'x="{x + 1:.1f}" y="{y + 1:.1f}" width="{side - 2:.1f}" height="{side - 2:.1f}" rx="3"'
    return (
        f'<rect class="cell" {place}/><rect class="{tone}" {place} fill-opacity="{share:.3f}">'
        f"<title>{escape(tip)}</title></rect>"
    )


def _text(x: float, y: float, text: str, tone: str, anchor: str = "middle", *, turn: int = 0) -> str:
    turned = f' transform="rotate({turn} {x:.1f} {y:.1f})"' if turn else ""
    return (
        f'<text class="{tone}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{turned}>{escape(text)}</text>'
    )


def _svg(width: float, height: float, title: str, text: str, body: Sequence[str]) -> Markup:
    head = (
        f'<svg class="plot" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title><desc>{escape(text)}</desc>"
    )
    return Markup(head + "".join(body) + "</svg>")  # noqa: S704  (every text in body went through escape)
