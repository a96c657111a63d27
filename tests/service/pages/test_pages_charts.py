"""Charts: well-formed, escaped, without style or script, whatever the figures."""

import re
from xml.etree import ElementTree as Tree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.service.pages.charts import Range, Series, column_chart, line_chart, range_chart, shorten
from galeno.service.pages.words import words_of

WORDS = words_of("en")
NASTY = '<script>"&'


def parse(svg: str) -> Tree.Element:
    """The chart as XML, held to what every chart must be."""
    root = Tree.fromstring(svg)  # noqa: S314  (our own)
    assert root.get("role") == "img"
    assert root.get("aria-label")
    assert [child.tag for child in root][:2] == ["title", "desc"]
    assert "style" not in svg
    assert "<script" not in svg
    assert "nan" not in svg
    return root


def heights(root: Tree.Element, kind: str) -> list[float]:
    """Heights of the columns of a series, without its legend."""
    rects = [rect for group in root.iter("g") for rect in group.iter("rect")]
    return [float(rect.get("height", 0)) for rect in rects if kind in (rect.get("class") or "")]


def test_columns_stand_on_each_other_in_proportion() -> None:
    svg = column_chart("t", "d", ["a", "b"], [Series("x", [4, 0]), Series("y", [4, 2])], WORDS)
    root = parse(svg)
    assert heights(root, "series-1") == [84.0]
    assert heights(root, "series-2") == [84.0, 42.0]
    first, second = (rect for rect in next(root.iter("g")).iter("rect"))
    assert float(second.get("y", 0)) + float(second.get("height", 0)) == pytest.approx(
        float(first.get("y", 0))
    )
    assert [text.text for text in root.iter("text")][:2] == ["x", "y"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 10**6), max_size=120))
def test_columns_and_lines_stay_inside(values: list[int]) -> None:
    places = [f"{NASTY}{index}" for index in range(len(values))]
    for svg in (
        column_chart(NASTY, NASTY, places, [Series(NASTY, values)], WORDS),
        line_chart(NASTY, NASTY, places, values, WORDS),
    ):
        root = parse(svg)
        _, _, width, height = map(float, (root.get("viewBox") or "").split())
        for rect in root.iter("rect"):
            assert 0 <= float(rect.get("x", 0)) <= width
            assert 0 <= float(rect.get("y", 0)) <= height
            assert float(rect.get("width", 0)) >= 0
        for point in root.iter("circle"):
            assert 0 <= float(point.get("cy", 0)) <= height


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1e6), min_size=3, max_size=3), st.text(max_size=60))
def test_ranges_stay_inside(values: list[float], name: str) -> None:
    middle, high, highest = sorted(values)
    printable = "".join(each for each in name if each.isprintable())
    root = parse(range_chart("t", "d", [Range(printable, middle, high, highest)] * 2, "ms", WORDS))
    width = float((root.get("viewBox") or "").split()[2])
    for rect in root.iter("rect"):
        assert float(rect.get("x", 0)) + float(rect.get("width", 0)) <= width


def test_charts_of_nothing_are_drawn() -> None:
    parse(column_chart("t", "d", [], [Series("x", [])], WORDS))
    parse(line_chart("t", "d", [], [], WORDS))
    parse(range_chart("t", "d", [], "ms", WORDS))


def test_scales_are_whole_and_names_do_not_crowd() -> None:
    places = [f"Nov {index}" for index in range(90)]
    svg = column_chart("t", "d", places, [Series("x", [13] * 90)], WORDS)
    texts = re.findall(r">([^<>]+)</text>", svg)
    assert texts[:5] == ["0", "4", "8", "12", "16"]
    assert 3 <= len(texts[5:]) <= 6


def test_numbers_are_said_in_the_readers_language() -> None:
    svg = range_chart("t", "d", [Range("x", 1.5, 2.5, 3.5)], "ms", words_of("es"))
    assert "3,5" in svg


def test_long_names_are_cut() -> None:
    assert shorten("abcdef", 4) == "abc…"
    assert shorten("abc", 4) == "abc"
