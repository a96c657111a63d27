"""Learned weights in a file that can be read."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.errors import KnowledgeError
from galeno.knowledge.counts import fingerprint_paper
from galeno.knowledge.evidence import FEATURES
from galeno.knowledge.parameters import ABSENCE, Parameters, shipped_parameters

NUMBERS = st.floats(-50, 50)


def arrays(size: int) -> st.SearchStrategy[np.ndarray]:
    return st.lists(NUMBERS, min_size=size, max_size=size).map(np.array)


PARAMETERS = st.builds(
    Parameters,
    arrays(len(FEATURES)),
    st.lists(arrays(len(FEATURES)), min_size=1, max_size=5).map(np.array),
    st.floats(0.1, 5),
    st.floats(0, 0.9),
    arrays(len(ABSENCE)),
    st.dictionaries(st.from_regex(r"[0-9a-f]{12}", fullmatch=True), st.integers(0, 4), max_size=6),
    st.just({"cases": 3, "ontology": "2024-01-01"}),
)


@settings(max_examples=50, deadline=None)
@given(parameters=PARAMETERS)
def test_what_is_written_is_read(parameters: Parameters) -> None:
    text = parameters.to_json()
    read = Parameters.from_json(text)
    for name in ("weights", "folds", "absence"):
        assert np.allclose(getattr(read, name), getattr(parameters, name), rtol=1e-4, atol=1e-300)
    assert read.temperature == pytest.approx(parameters.temperature, abs=1e-4)
    assert read.outside == pytest.approx(parameters.outside, abs=1e-4)
    assert read.fold_of == parameters.fold_of
    assert read.learned_from == parameters.learned_from
    assert read.to_json() == text, "written again, it is the same file"
    assert Parameters.from_json(read.to_json()).sha256 == read.sha256


def test_the_shipped_ones() -> None:
    shipped = shipped_parameters()
    assert shipped.weights.shape == (len(FEATURES),)
    assert shipped.folds.shape[1] == len(FEATURES)
    assert set(shipped.fold_of.values()) == set(range(len(shipped.folds)))
    assert len(shipped.papers) == shipped.learned_from["papers"]
    assert 0 < shipped.outside < 1
    assert shipped.temperature > 0
    assert len(shipped.sha256) == 64
    assert shipped_parameters() is shipped


def test_the_shipped_ones_name_no_paper() -> None:
    """Fingerprints alone, as long as those of the papers that are looked up."""
    one = fingerprint_paper("PMID:31675180")
    assert all(
        len(each) == len(one) and set(each) <= set("0123456789abcdef") for each in shipped_parameters().papers
    )
    assert "PMID" not in shipped_parameters().to_json()


def test_what_is_absent_never_speaks_for_a_disease() -> None:
    excluded = FEATURES.index("excluded")
    shipped = shipped_parameters()
    assert shipped.weights[excluded] > 0
    assert (shipped.folds[:, excluded] > 0).all()


def broken() -> dict[str, str]:
    """Files that are none."""
    good = json.loads(shipped_parameters().to_json())
    lost = {**good, "weights": dict(list(good["weights"].items())[1:])}
    return {
        "empty": "",
        "no JSON": "{",
        "a list": "[]",
        "a number": "3",
        "nothing": "null",
        "a feature lost": json.dumps(lost),
        "no fold": json.dumps({**good, "folds": 3}),
        "folds of nothing": json.dumps({**good, "folds": [{}]}),
        "no temperature": json.dumps({**good, "temperature": "hot"}),
        "papers in a list": json.dumps({**good, "fold_of_paper": ["a"]}),
    }


@pytest.mark.parametrize("kind", list(broken()))
def test_other_files_are_refused(kind: str) -> None:
    with pytest.raises(KnowledgeError, match="parameters of this ranker") as caught:
        Parameters.from_json(broken()[kind], where="somewhere.json")
    assert "somewhere.json" in str(caught.value)
