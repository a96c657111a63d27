"""Trials survive the disk, and what a killed search left half-written does not count."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.learning.trials import Trial, TrialFolder
from galeno.model.ensemble import Link
from galeno.records import Candidate

numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)
texts = st.text(max_size=8)
values = st.one_of(
    numbers, st.integers(-1000, 1000), texts, st.lists(st.integers(0, 99), max_size=3), st.booleans()
)


@st.composite
def trials(draw: st.DrawFn) -> Trial:
    classes = draw(st.integers(2, 4))
    judged = draw(st.booleans())
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    link = draw(
        st.one_of(
            st.just(Link()),
            st.builds(
                Link,
                st.sampled_from(["log", "softmax"]),
                st.tuples(*[numbers] * classes),
                st.tuples(*[numbers] * classes),
            ),
        )
    )
    return Trial(
        number=0,
        candidate=Candidate("tree", "none", draw(st.dictionaries(texts, values, max_size=3)), "dense"),
        outcome="judged" if judged else draw(st.sampled_from(["pruned", "failed", "out_of_time"])),
        score=draw(numbers) if judged else None,
        figures=draw(st.dictionaries(texts, numbers, max_size=3)) if judged else {},
        link=link,
        seconds=draw(st.floats(0, 1e6)),
        reason=draw(texts),
        suggested=draw(st.none() | st.dictionaries(texts, values, max_size=3)),
        probabilities=rng.dirichlet(np.ones(classes), size=5) if judged else None,
    )


@given(trial=trials())
@settings(max_examples=30, deadline=None)
def test_a_trial_is_read_as_it_was_given_back(trial: Trial, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = TrialFolder(tmp_path_factory.mktemp("trials"))
    written = folder.write(trial)
    (read,) = folder.read()
    for one, other in ((read, written), (written, trial)):
        assert replace(one, probabilities=None) == replace(other, probabilities=None)
    if trial.probabilities is None:
        assert read.probabilities is None
    else:
        assert (read.judged == written.judged).all(), (
            "what the search goes on with is what a resumed one reads"
        )
        assert read.judged == pytest.approx(trial.probabilities, abs=1e-7)


def judged(number: int) -> Trial:
    probabilities = np.full((4, 2), 0.5)
    return Trial(
        number, Candidate("tree", "none"), "judged", 0.5, {}, Link(), 1.0, probabilities=probabilities
    )


def test_trials_after_a_gap_do_not_count(tmp_path: Path) -> None:
    folder = TrialFolder(tmp_path)
    for number in range(4):
        folder.write(judged(number))
    (tmp_path / "0002.json").unlink()
    assert [trial.number for trial in folder.read()] == [0, 1]


def test_probabilities_left_by_a_killed_attempt_do_not_count(tmp_path: Path) -> None:
    """The array is written first; tried again, the candidate may not be judged, for want of time."""
    folder = TrialFolder(tmp_path)
    folder.write(judged(0))
    (tmp_path / "0000.json").unlink()
    assert folder.read() == []
    again = folder.write(replace(judged(0), outcome="out_of_time", score=None, probabilities=None))
    assert again.probabilities is None
    assert folder.read() == [again]


def test_an_unjudged_trial_has_no_probabilities() -> None:
    with pytest.raises(ValueError, match="trial 3 was not judged"):
        _ = replace(judged(3), probabilities=None).judged
