"""What is expected of a disease after a few patients."""

from pathlib import Path

import pytest
from small_knowledge import write_small_knowledge

from galeno.knowledge.base import KnowledgeBase
from galeno.knowledge.learned import TermCounts, count_rows
from galeno.knowledge.profiles import Rows, collect_rows
from galeno.knowledge.prototypes import Prototypes, family_of

SEIZURE, FOCAL, DELAY, FEVER = "HP:0001250", "HP:0007359", "HP:0001263", "HP:0001945"
NEW = "OMIM:777777"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeBase:
    """The small base, nothing merged."""
    folder: Path = tmp_path_factory.mktemp("knowledge")
    return KnowledgeBase.load(*write_small_knowledge(folder))


def told(rows: Rows, base: KnowledgeBase, place: int) -> dict[str, tuple[float, float]]:
    """Share and patients of each sign of one disease."""
    mine = rows.take(rows.disease == place)
    pairs = zip(mine.term, mine.share, mine.patients, strict=True)
    return {base.ontology.ids[t]: (round(float(s), 4), float(m)) for t, s, m in pairs}


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("Developmental and epileptic encephalopathy 96", "developmental and epileptic encephalopathy"),
        ("Arthrogryposis, distal, type 12", "arthrogryposis"),
        ("Charcot-Marie-Tooth disease, axonal, type 2A1", "charcot-marie-tooth disease"),
        ("Glycogen storage disease IXa", "glycogen storage disease"),
        ("Fanconi anemia, complementation group D2", "fanconi anemia"),
        ("Marfan syndrome", "marfan syndrome"),
        ("", ""),
    ],
)
def test_families(name: str, family: str) -> None:
    """The number, the type and the inheritance go."""
    assert family_of(name) == family


def test_a_new_disease_without_family(base: KnowledgeBase) -> None:
    """Its patients' counts and nothing else."""
    learned = count_rows({NEW: TermCounts(4, {FEVER: 3}, {}, name="Something new")}, base)
    rows = Prototypes(base, collect_rows(base)).describe(learned)
    assert told(rows, base, len(base.diseases)) == {FEVER: (0.75, 4.0)}
    assert set(rows.reference.tolist()) == {-1}


def test_a_new_disease_of_a_family(base: KnowledgeBase) -> None:
    """Signs that the siblings show are expected, at the weight of one patient; rare ones are not."""
    name = "Invented epileptic encephalopathy 7"
    learned = count_rows({NEW: TermCounts(1, {FEVER: 1}, {}, name=name)}, base)
    signs = told(Prototypes(base, collect_rows(base)).describe(learned), base, len(base.diseases))
    assert signs[FEVER] == (0.5, 2.0)
    assert 0.125 <= signs[SEIZURE][0] < 0.5
    assert signs[SEIZURE][1] == 2.0
    assert "HP:0000252" not in signs


def test_patients_outweigh_the_family(base: KnowledgeBase) -> None:
    """With more patients the siblings count for less."""
    name = "Invented epileptic encephalopathy 7"
    shares = []
    for patients in (1, 3, 10):
        learned = count_rows({NEW: TermCounts(patients, {FEVER: patients}, {}, name=name)}, base)
        shares.append(
            told(Prototypes(base, collect_rows(base)).describe(learned), base, len(base.diseases))[SEIZURE][0]
        )
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] < 0.1


def test_a_known_disease_keeps_its_own(base: KnowledgeBase) -> None:
    """It has annotations, so nothing is borrowed; without them it borrows like a new one."""
    known = base.find_disease("OMIM:100001")
    assert known is not None
    learned = count_rows({"OMIM:100001": TermCounts(2, {FOCAL: 1, SEIZURE: 2}, {})}, base)
    prototypes = Prototypes(base, collect_rows(base))
    assert told(prototypes.describe(learned), base, known) == {FOCAL: (0.5, 2.0), SEIZURE: (1.0, 2.0)}
    borrowed = told(prototypes.describe(learned, unknown={known}), base, known)
    assert set(borrowed) > {FOCAL, SEIZURE}
    assert borrowed[FOCAL][1] == 3.0


def test_tells_nothing_twice(base: KnowledgeBase) -> None:
    """No sign has a row whose share a kind of it already implies."""
    name = "Invented epileptic encephalopathy 7"
    learned = count_rows({NEW: TermCounts(2, {FOCAL: 2, DELAY: 1}, {}, name=name)}, base)
    rows = Prototypes(base, collect_rows(base)).describe(learned)
    shares = dict(zip(rows.term.tolist(), rows.share.tolist(), strict=True))
    for term, share in shares.items():
        for above in base.ontology.ancestors.row(term).tolist():
            assert above == term or shares.get(above, 1.0) > share


def test_nothing_learned(base: KnowledgeBase) -> None:
    """No rows, of the right types."""
    rows = Prototypes(base, collect_rows(base)).describe(count_rows({}, base))
    assert all(column.size == 0 for column in rows)
    assert rows.share.dtype.kind == "f"
