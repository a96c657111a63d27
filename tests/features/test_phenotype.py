"""The phenotype encoder: groups by kind, likelihood ratios, and a package that needs no knowledge files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from feature_cases import make_frame, make_study, random_rows
from named_knowledge import named_knowledge, no_knowledge

from galeno.errors import KnowledgeError, MissingExtraError
from galeno.features.assemble import Assembler
from galeno.records import PATIENT, FloatMatrix
from galeno.study import Study

TYPES = {"signs": "terms"}
DISEASES = {"sano": ["OMIM:100001", "OMIM:100002"], "grave": ["OMIM:100004"]}


@pytest.fixture(scope="module", autouse=True)
def knowledge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with named_knowledge(tmp_path_factory.mktemp("knowledge")):
        yield


def study_of(**phenotype: Any) -> Study:
    return make_study(TYPES, phenotype=phenotype)


def fit(
    cells: list[str | None], study: Study, labels: list[int] | None = None
) -> tuple[Assembler, FloatMatrix]:
    frame = make_frame([{"signs": cell} for cell in cells], TYPES)
    return Assembler.fit(study, frame, np.array(labels or [0] * len(cells)), 1, 1)


def value(assembler: Assembler, cell: str, name: str) -> float:
    row = assembler.transform_record({"signs": cell})
    return float(row[assembler.names.index(f"signs: {name}")])


CELLS = ["HP:0007359", "HP:0007359", "HP:0002133", "HP:0001250", "HP:0001166", "HP:0001166;-HP:0001250"]


def test_a_group_holds_all_that_are_a_kind_of_it() -> None:
    assembler, _ = fit([*CELLS, "-HP:0012638"], study_of())
    assert "signs: Seizure" in assembler.names
    assert "signs: Status epilepticus" not in assembler.names  # one patient has it
    assert value(assembler, "HP:0002133", "Seizure") == 1
    assert value(assembler, "HP:0001275", "Seizure") == 1  # an alternative id
    assert value(assembler, "HP:0000518", "Seizure") == 0
    assert value(assembler, "-HP:0001250", "Seizure") == 0
    assert value(assembler, "-HP:0001250", "no Seizure") == 1
    assert value(assembler, "-HP:0012638", "no Seizure") == 1  # none of the kind, not this one either
    assert value(assembler, "-HP:0002133", "no Seizure") == 0


def test_of_groups_of_the_same_patients_the_most_specific_is_taken() -> None:
    assembler, _ = fit(CELLS, study_of())
    assert "signs: Arachnodactyly" in assembler.names
    assert "signs: Abnormality of the skeletal system" not in assembler.names


def test_most_groups() -> None:
    rows, _ = random_rows(60, seed=3)
    cells = [row["signs"] for row in rows]
    assembler, _ = fit(cells, study_of(groups=2))
    assert sum(name.split(": ")[1] != "number of signs" for name in assembler.names) <= 5
    bare, _ = fit(cells, study_of(groups=0))
    assert bare.names == ("signs: number of signs", "signs: missing")


def test_what_one_patient_has_is_not_learned() -> None:
    cells = ["HP:0000518", "HP:0000518", "HP:0001166", "HP:0001166;HP:0001251"]
    frame = make_frame([{"signs": cell} for cell in cells], TYPES)
    owned = frame.with_columns(pl.Series(PATIENT, ["a", "a", "b", "c"]))
    assembler, _ = Assembler.fit(study_of(knowledge="none"), owned, np.zeros(4, int), 1, 1)
    assert assembler.names == ("signs: HP:0001166", "signs: number of signs")


def test_ratios_tell_the_classes_apart() -> None:
    rows, labels = random_rows(150, seed=4, missing=0.0)
    assembler, matrix = fit([row["signs"] for row in rows], study_of(diseases=DISEASES), labels.tolist())
    own, other = (matrix[:, assembler.names.index(f"signs: for {name}")] for name in ("sano", "grave"))
    assert ((own > other) == (labels == 0))[labels != 1].mean() > 0.85
    assert value(assembler, "HP:0001250", "for sano") > 0 > value(assembler, "HP:0001250", "for grave")
    assert value(assembler, "-HP:0001250", "for sano, by absent signs") < 0


def test_a_class_of_several_diseases_has_their_mean_likelihood() -> None:
    rows, _ = random_rows(80, seed=5, missing=0.0)
    cells = [row["signs"] for row in rows]
    single = [fit(cells, study_of(diseases={"sano": each}))[0] for each in DISEASES["sano"]]
    both, _ = fit(cells, study_of(diseases={"sano": DISEASES["sano"]}))

    def ratio(assembler: Assembler) -> float:
        encoder = assembler._encoders[0][1]
        return value(assembler, "HP:0001250;HP:0001252", "for sano") * float(
            encoder.state()[1]["scale"][0, 0]
        )

    expected = np.log(np.mean(np.exp([ratio(each) for each in single])))
    assert ratio(both) == pytest.approx(expected, abs=1e-5)


def test_diseases_come_from_class_names_and_codes() -> None:
    study = make_study(TYPES, phenotype={})
    fhir = {
        "classes": {"sano": {"code": "900007", "system": "http://www.orpha.net"}, "leve": {"code": "J18.9"}}
    }
    coded = Study.model_validate({**study.model_dump(mode="json"), "fhir": fhir})
    rows, labels = random_rows(60, seed=6)
    assembler, _ = fit([row["signs"] for row in rows], coded, labels.tolist())
    assert [name for name in assembler.names if " for " in name and "absent" not in name] == [
        "signs: for sano"
    ]
    raw = study.model_dump(mode="json")
    raw["classes"][0] = {"name": "healthy", "values": ["MONDO:0000004"]}
    raw["classes"][1] = {"name": "OMIM:123456789"}  # not in the knowledge base: nothing was promised
    assembler, _ = fit([row["signs"] for row in rows], Study.model_validate(raw), labels.tolist())
    assert "signs: for healthy" in assembler.names
    assert "signs: for OMIM:123456789" not in assembler.names


def test_a_disease_that_is_named_must_be_known() -> None:
    with pytest.raises(KnowledgeError, match=r"OMIM:999998.*'sano'"):
        fit(CELLS, study_of(diseases={"sano": "OMIM:999998"}))
    with pytest.raises(KnowledgeError, match="GALENO_DISEASE_MERGE"):
        fit(CELLS, study_of(diseases={"sano": "MONDO:0099999"}))


def test_a_package_answers_without_the_knowledge_files(tmp_path: Path) -> None:
    rows, labels = random_rows(90, seed=7)
    frame = make_frame(rows, TYPES)
    assembler, _ = Assembler.fit(study_of(diseases=DISEASES), frame, labels, 1, 1)
    assembler.save(tmp_path)
    with no_knowledge():
        loaded = Assembler.load(tmp_path)
        assert loaded.transform(frame).tobytes() == assembler.transform(frame).tobytes()
        assert value(loaded, "HP:0002133", "Seizure") == 1


def test_without_the_extra_terms_are_taken_as_they_are() -> None:
    with no_knowledge():
        assembler, _ = fit(CELLS, study_of())
        assert "signs: HP:0007359" in assembler.names
        assert value(assembler, "HP:0007359", "HP:0007359") == 1
        assert value(assembler, "HP:0002133", "HP:0007359") == 0
        assert fit(CELLS, study_of(knowledge="optional", diseases=DISEASES))[0].names == assembler.names
        for asked in ({"knowledge": "required"}, {"diseases": DISEASES}):
            with pytest.raises(MissingExtraError, match="rare"):
                fit(CELLS, study_of(**asked))
