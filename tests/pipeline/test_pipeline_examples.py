"""Which records a report shows: never of real patients unasked, always the same, of every outcome."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from striped_cells import Cells

from galeno.evaluation.report import render_report
from galeno.pipeline import packaging
from galeno.pipeline.context import StepContext
from galeno.pipeline.describe import describe
from galeno.pipeline.examples import EACH, Answered, Case, choose_cases, make_examples
from galeno.pipeline.runner import RunResult
from galeno.progress import Silent
from galeno.storage.contents import Contents
from galeno.storage.home import Home
from galeno.storage.runs import RunFolder
from galeno.study import Study


def answered(rows: list[tuple[int, int, float, str]]) -> Answered:
    """Rows of truth, answer, probability and patient."""
    labels, answers, stated, patients = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Answered(
        np.array(labels, np.int64), np.array(answers, np.int64), np.array(stated, float), patients
    )


ROWS = [
    (0, 0, 0.99, "a"), (0, 0, 0.90, "b"), (0, 0, 0.80, "c"), (1, 1, 0.70, "d"), (1, 1, 0.95, "a"),
    (0, 1, 0.60, "e"), (0, 1, 0.97, "f"), (1, 0, 0.55, "g"), (1, 2, 0.30, "h"), (2, 2, 0.35, "i"),
    (2, 2, 0.34, "i"), (-1, 0, 1.00, "j"), (1, 0, 0.98, "k"),
]  # fmt: skip


def test_each_outcome_has_its_cases() -> None:
    contents = [str(row) for row in range(12)] + [None]
    cases = choose_cases(answered(ROWS), contents, 0.5)
    # right ones near the middle of .99 .95 .90 .80 .70, the surest wrong ones, the least sure ones; each time
    # the second one of another condition, and none of a patient who is shown already where another will do
    chosen = {"right": (1, 4), "wrong": (6, 7), "unsure": (10, 8)}
    assert cases == [Case(row, outcome) for outcome, rows in chosen.items() for row in rows]


def test_a_patient_and_a_content_are_not_shown_twice() -> None:
    rows = [(0, 0, 0.9, "a"), (0, 0, 0.9, "a"), (0, 0, 0.6, "b")]
    assert [case.row for case in choose_cases(answered(rows), ["x", "y", "z"], 0.5)] == [0, 2]
    assert [case.row for case in choose_cases(answered(rows), ["x", "y", "x"], 0.5)] == [0, 1]
    alone = [(0, 0, 0.9, "a"), (0, 0, 0.9, "a")]
    assert len(choose_cases(answered(alone), ["x", "y"], 0.5)) == 2
    assert len(choose_cases(answered(alone), ["x", "x"], 0.5)) == 1


table = st.lists(
    st.tuples(
        st.integers(-1, 3), st.integers(0, 3), st.floats(0, 1), st.sampled_from("abcde"),
        st.none() | st.sampled_from("uvwxyz"),
    ),
    max_size=40,
)  # fmt: skip


@given(table, st.floats(0, 1))
def test_what_is_shown_is_what_it_is_called(
    rows: list[tuple[int, int, float, str, str | None]], least: float
) -> None:
    contents = [row[4] for row in rows]
    found = answered([row[:4] for row in rows])
    cases = choose_cases(found, contents, least)
    assert cases == choose_cases(found, contents, least)
    shown = [contents[case.row] for case in cases]
    assert None not in shown
    assert len(set(shown)) == len(shown)
    for outcome in ("right", "wrong", "unsure"):
        assert sum(case.outcome == outcome for case in cases) <= EACH
    for case in cases:
        truth, answer, stated, *_ = rows[case.row]
        assert truth >= 0
        assert (truth == answer and stated >= least) == (case.outcome == "right")
        if case.outcome == "wrong":
            assert truth != answer
        if case.outcome == "unsure":
            assert stated < least


def of(study: Study, home: Home, run: str) -> StepContext:
    return StepContext(study, home, RunFolder.open(home.runs, run), Silent(), threads=1)


@pytest.fixture
def context(cells: Cells) -> StepContext:
    """The run of the pictures, whose patients are told to be real."""
    return of(cells.model.study, Home(cells.home), cells.run)


@pytest.fixture
def simulated(context: StepContext) -> StepContext:
    """The same, told to be simulated."""
    return replace(context, study=context.study.model_copy(update={"simulated": True}))


def test_without_permission_nothing_of_real_patients_is_even_read(
    context: StepContext, cells: Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("contents were read")

    assert not context.study.simulated
    monkeypatch.setattr(Contents, "read", refuse)
    assert make_examples(context) == ()
    page = (cells.home / "runs" / cells.run / "package" / packaging.REPORT).read_text(encoding="utf-8")
    assert "the study does not allow their sounds and images in a report" in page
    assert "<img" not in page


def test_with_permission_they_are_shown_and_the_reader_is_warned(context: StepContext) -> None:
    privacy = context.study.privacy.model_copy(update={"examples_in_report": True})
    allowed = replace(context, study=context.study.model_copy(update={"privacy": privacy}))
    page = render_report(describe(allowed, package_sha256="0" * 64, created="2026-01-02", libraries={}))
    assert page.count("<img") >= 2
    assert "They are of real patients" in page


def test_simulated_ones_are_shown_as_the_model_answers_them(simulated: StepContext, cells: Cells) -> None:
    examples = make_examples(simulated)
    assert {example.outcome for example in examples} == {"right", "wrong", "unsure"}
    assert {example.column for example in examples} == {"picture"}
    for example in examples:
        conditions = [marked.condition for marked in example.marked]
        assert conditions == list(dict.fromkeys((example.answer, example.truth)))
        # the record that is taken apart is the row that was judged
        assert example.marked[0].probability == pytest.approx(example.probability, abs=1e-4)
        assert example.extent == (28, 28)
    assert make_examples(simulated) == examples


def test_the_report_holds_pictures_and_nothing_of_whose_they_are(
    simulated: StepContext, cells: Cells
) -> None:
    content = describe(simulated, package_sha256="0" * 64, created="2026-01-02", libraries={})
    page = render_report(content)
    assert page.count("<img") == sum(1 + len(example.marked) for example in content.examples)
    assert "the windows" not in page
    assert "There are more rows (120) than patients (40)" in page
    told = re.sub(r"base64,[^\"]*", "", page[page.index('id="examples"') : page.index('id="records"')])
    table: pl.DataFrame = cells.table
    for name in ("scan", "mrn", "picture"):
        for value in table[name].to_list():
            assert not re.search(rf"\b{re.escape(value)}\b", told)
    assert not re.search("[0-9a-f]{32}", told)
    assert content.modalities == {"table": 0, "image": 0}
    assert "By modality" in page


def test_a_study_without_sounds_and_images_has_none(
    clinic: Study, clinic_home: Path, done: RunResult
) -> None:
    context = of(clinic.model_copy(update={"simulated": True}), Home(clinic_home), done.run)
    assert make_examples(context) == ()
    assert 'id="examples"' not in (clinic_home / "runs" / done.run / "package" / packaging.REPORT).read_text(
        encoding="utf-8"
    )


def test_a_content_that_is_gone_is_left_out(simulated: StepContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Contents, "read", lambda *_: iter(()))
    assert make_examples(simulated) == ()
