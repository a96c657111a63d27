"""What is tried first, and that nothing is tried that the study does not allow."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.features.assemble import Assembler
from galeno.learning.network import NETWORK
from galeno.learning.portfolio import BASELINE, LARGE, MOST_ROWS, SMALL, portfolio, usable_families, view_of
from galeno.study import BALANCES, FAMILIES, Study

from .learning_cases import draw_records, make_study

some_families = st.lists(st.sampled_from(FAMILIES), min_size=1, unique=True)
some_balances = st.lists(st.sampled_from(BALANCES), min_size=1, unique=True)


@given(
    some_families,
    some_balances,
    st.sampled_from([10, SMALL, SMALL + 1, LARGE, LARGE + 1, 10**6]),
    st.booleans(),
)
@settings(max_examples=50, deadline=None)
def test_it_keeps_to_the_study(families: list[str], balances: list[str], rows: int, text: bool) -> None:
    columns = {"x0": "number", "note": "text"} if text else None
    study = make_study(columns=columns, families=families, balance=balances)
    first, *others = portfolio(study, rows)
    assert first == BASELINE
    for candidate in others:
        assert candidate.family in usable_families(study, rows)
        assert candidate.balance in balances
        assert ("power" in candidate.params) == (candidate.balance == "weights")
        assert candidate.view == view_of(candidate.family)  # type: ignore[arg-type]
    tried = [(candidate.name, sorted(map(str, candidate.params.items()))) for candidate in others]
    assert len(tried) == len(set(map(str, tried))), "a candidate is tried twice"


@pytest.mark.parametrize("rows", [100, 10_000, 100_000])
def test_every_study_that_allows_all_has_several_families_to_begin_with(rows: int) -> None:
    families = {candidate.family for candidate in portfolio(make_study(), rows)}
    assert len(families) >= 5


def test_slow_families_are_left_out_of_many_rows_unless_there_is_no_other() -> None:
    most = MOST_ROWS["svm"]
    assert "svm" in usable_families(make_study(), most)
    assert "svm" not in usable_families(make_study(), most + 1)
    assert usable_families(make_study(families=["svm"]), most + 1) == ["svm"]


def test_the_views_are_those_of_the_matrix() -> None:
    frame, labels = draw_records(60)
    assembler, _ = Assembler.fit(make_study(), frame, labels, 1, 1)
    for family in FAMILIES:
        assert assembler.view(view_of(family)).size


@pytest.mark.parametrize(
    "recipe", [{"network": "required"}, {"backbone": "b.pt", "fine_tune": True, "network": "none"}]
)
@pytest.mark.parametrize("flip", [True, False])
def test_a_network_is_told_whether_a_mirrored_image_means_the_same(
    recipe: dict[str, object], flip: bool
) -> None:
    study = Study.model_validate(
        {
            "name": "s",
            "records": {"source": "x.csv", "target": "t"},
            "classes": [{"name": "a"}, {"name": "b"}],
            "columns": {"film": {"type": "image"}},
            "features": {"image": {**recipe, "flip": flip}},
        }
    )
    networks = [one for one in portfolio(study, 2000) if one.family == NETWORK]
    assert [one.params["flip"] for one in networks] == [flip]


def test_a_library_that_does_not_load_costs_its_family_and_no_more() -> None:
    # as on a slim system without OpenMP; in a process of its own, where nothing is imported yet
    code = """
import sys
from importlib.abc import MetaPathFinder

class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "lightgbm":
            raise OSError("libgomp.so.1: cannot open shared object file")

sys.meta_path.insert(0, Missing())
import galeno.pipeline.steps
from galeno.learning.portfolio import portfolio, usable_families
from galeno.pipeline.example import example_study
study = example_study("severity")
assert "lightgbm" in study.learning.families
assert "lightgbm" not in usable_families(study, 100)
assert "lightgbm" not in {candidate.family for candidate in portfolio(study, 100)}
"""
    subprocess.run([sys.executable, "-c", code], check=True)
