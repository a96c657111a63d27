"""What a sign says for a disease against all others."""

import numpy as np
import pytest
from small_knowledge import write_small_knowledge, write_small_merge

from galeno.knowledge.base import KnowledgeBase
from galeno.knowledge.ontology import PHENOTYPE
from galeno.knowledge.ratios import UNKNOWN, SignRatios, weigh_signs

DISEASES = ("OMIM:100001", "OMIM:100004")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeBase:
    folder = tmp_path_factory.mktemp("knowledge")
    ontology, annotations = write_small_knowledge(folder)
    return KnowledgeBase.load(ontology, annotations, merge=write_small_merge(folder))


@pytest.fixture(scope="module")
def ratios(base: KnowledgeBase) -> SignRatios:
    places = [base.find_disease(each) for each in DISEASES]
    return weigh_signs(base, [place for place in places if place is not None])


def at(base: KnowledgeBase, values: np.ndarray, term: str, disease: int = 0) -> float:
    return float(values[base.ontology.index[term], disease])


def test_known_signs_speak_for_a_disease_and_unknown_ones_hardly_against(
    base: KnowledgeBase, ratios: SignRatios
) -> None:
    present = ratios.present
    assert present.shape == (len(base.ontology.ids), 2)
    assert present.dtype == np.float32
    assert at(base, present, "HP:0001250") > 0.5
    assert at(base, present, "HP:0001250", 1) < 0
    assert present.min() >= np.float32(np.log(UNKNOWN))
    assert at(base, present, PHENOTYPE) == np.float32(np.log(UNKNOWN))


def test_a_finer_sign_speaks_as_the_known_one(base: KnowledgeBase, ratios: SignRatios) -> None:
    assert at(base, ratios.present, "HP:0002133") == at(base, ratios.present, "HP:0001250")


def test_absence_of_a_frequent_sign_speaks_against(base: KnowledgeBase, ratios: SignRatios) -> None:
    assert at(base, ratios.absent, "HP:0001250") < -1
    assert abs(at(base, ratios.absent, "HP:0001166")) < 0.4
    assert np.isfinite(ratios.absent).all()


def test_no_disease_has_no_ratio(base: KnowledgeBase) -> None:
    assert weigh_signs(base, []).present.shape == (len(base.ontology.ids), 0)
