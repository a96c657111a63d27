"""Plots are well-formed SVG with a title and a description, whatever their labels hold."""

import xml.etree.ElementTree as ET  # our own output

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.evaluation.plots import (
    Bar,
    Curve,
    bar_plot,
    confusion_plot,
    curve_plot,
    histogram_plot,
    reliability_plot,
    shorten,
)
from galeno.evaluation.words import speaker

SVG = "{http://www.w3.org/2000/svg}"
say = speaker("en")
labels = st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="￾￿"), max_size=60)


def drawn(plot):
    root = ET.fromstring(str(plot))  # noqa: S314
    assert root.get("role") == "img"
    assert root.find(f"{SVG}title").text
    assert root.find(f"{SVG}desc").text
    width, height = (float(root.get(side)) for side in ("width", "height"))
    for rect in root.iter(f"{SVG}rect"):
        assert float(rect.get("x")) >= 0
        assert float(rect.get("x")) + float(rect.get("width")) <= width + 1
        assert float(rect.get("y")) + float(rect.get("height")) <= height + 1
        assert float(rect.get("width")) >= 0
    return root


@settings(max_examples=30, deadline=None)
@given(st.lists(labels, min_size=1, max_size=6), st.integers(0, 10**6))
def test_confusion_holds_every_count(names, count):
    root = drawn(confusion_plot(names, [[count] * len(names)] * len(names), [0] * len(names), say))
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert (texts.count(str(count)) >= len(names) ** 2) == bool(count)


def test_labels_outside_the_classes_get_a_row():
    root = drawn(confusion_plot(["a", "b"], [[1, 0], [0, 1]], [0, 3], say))
    assert any(text.text == "none of the classes" for text in root.iter(f"{SVG}text"))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(labels, st.none() | st.floats(0, 1), st.booleans()), max_size=8),
    st.floats(0.001, 1),
)
def test_bars_stay_inside(rows, most):
    bars = [
        Bar(name, value, None if value is None else (0.0, 1.0), strong=strong) for name, value, strong in rows
    ]
    root = drawn(bar_plot(bars, "title", "text", say, most))
    assert len(list(root.iter(f"{SVG}rect"))) == sum(bar.value is not None for bar in bars)


@pytest.mark.parametrize("many", [0, 1, 7, 24])
def test_curves_beyond_seven_are_grey(many):
    curves = [Curve(f"c{i}", [0, 0.5, 1], [0, 0.8, 1], i / 24) for i in range(many)]
    root = drawn(curve_plot(curves, ("recall", "precision"), "pr", say, diagonal=False))
    grey = [line for line in root.iter(f"{SVG}polyline") if line.get("class") == "line rest"]
    assert len(grey) == (18 if many == 24 else 0)
    assert len(list(root.iter(f"{SVG}polyline"))) == many


def test_histogram_and_reliability_take_empty_input():
    drawn(histogram_plot([0] * 20, [0] * 20, say))
    drawn(histogram_plot([5, 0], [1, 3], say))
    drawn(reliability_plot([], say))
    drawn(reliability_plot([{"n": 4, "confidence": 0.9, "accuracy": 0.5, "low": 0.8, "high": 1.0}], say))


def test_long_labels_are_cut():
    assert shorten("a" * 30, 10) == "a" * 9 + "…"
    assert shorten("short", 10) == "short"
