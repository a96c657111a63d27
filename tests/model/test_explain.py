"""Explanations: SHAP values of the input columns."""

from itertools import combinations, pairwise
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_model import draw_records

from galeno.features.assemble import Assembler
from galeno.model import explain as room
from galeno.model.explain import explain, reference_record
from galeno.model.model import Model
from galeno.model.parts import ModelParts

RECORDS = [
    {k: v for k, v in row.items() if k != "patient"} for row in draw_records(40, 9)[0].iter_rows(named=True)
]


def probabilities(model: Model, values: dict[str, object]) -> dict[str, float]:
    return {one.condition: one.probability for one in model.diagnose_typed(values).ranking}


def shapley(model: Model, record: dict[str, object]) -> dict[str, dict[str, float]]:
    """By the definition: what a column adds to every set of the others, through whole records."""
    values, _ = model.contract.answer_record(record)
    reference = reference_record(model)
    names = list(values)
    asked = {}
    for size in range(len(names) + 1):
        for chosen in combinations(names, size):
            mixed = {name: values[name] if name in chosen else reference[name] for name in names}
            asked[frozenset(chosen)] = probabilities(model, mixed)
    found = {}
    for name in names:
        total = dict.fromkeys(model.classes, 0.0)
        for chosen, before in asked.items():
            if name not in chosen:
                weight = 1 / (len(names) * comb(len(names) - 1, len(chosen)))
                after = asked[chosen | {name}]
                for c in model.classes:
                    total[c] += weight * (after[c] - before[c])
        found[name] = total
    return found


@pytest.mark.parametrize("row", [0, 7])
def test_values_are_those_of_the_definition(model: Model, row: int) -> None:
    wanted = shapley(model, RECORDS[row])
    for one in explain(model, RECORDS[row], seed=1):
        assert one.method == "shapley_exact"
        for part in one.contributions:
            assert part.contribution == pytest.approx(wanted[part.column][one.condition], abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(RECORDS), st.tuples(st.integers(0, 3), st.integers(0, 99)), st.booleans(), st.data())
def test_contributions_add_up(
    model: Model, record: dict[str, object], numbers: tuple[int, int], sample: bool, data: st.DataObject
) -> None:
    conditions, seed = numbers
    told = {name: record[name] for name in data.draw(st.sets(st.sampled_from(sorted(record))))}
    with pytest.MonkeyPatch.context() as patch:
        if sample:
            patch.setattr(room, "EXACT", 0)
        found = explain(model, told, conditions=conditions, permutations=3, seed=seed)
        assert found == explain(model, told, conditions=conditions, permutations=3, seed=seed)
    diagnosis = model.diagnose(told)
    assert [(e.condition, e.probability) for e in found] == [
        (r.condition, r.probability) for r in diagnosis.ranking[:conditions]
    ]
    for one in found:
        assert {part.column for part in one.contributions} == set(model.study.features_columns)
        assert one.base + sum(p.contribution for p in one.contributions) == pytest.approx(
            one.probability, abs=1e-12
        )
        sizes = [abs(part.contribution) for part in one.contributions]
        assert sizes == sorted(sizes, reverse=True)


def test_base_is_the_answer_to_the_reference(model: Model) -> None:
    wanted = probabilities(model, reference_record(model))
    for record in RECORDS[:5]:
        for one in explain(model, record, seed=0):
            assert one.base == pytest.approx(wanted[one.condition], abs=1e-6)


def test_sampling_comes_near_the_exact_values(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = explain(model, RECORDS[3], seed=0)
    monkeypatch.setattr(room, "EXACT", 0)
    sampled = explain(model, RECORDS[3], permutations=2000, seed=0)
    assert sampled[0].method == "shapley_sampling_2000"
    for wanted, found in zip(exact, sampled, strict=True):
        by_name = {part.column: part.contribution for part in wanted.contributions}
        for part in found.contributions:
            assert part.contribution == pytest.approx(by_name[part.column], abs=0.01)


@pytest.mark.parametrize("most", [0, 8])
def test_a_column_that_is_not_used_contributes_nothing(
    parts: ModelParts, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(room, "EXACT", most)
    model = _without(parts, "age")
    for one in explain(model, RECORDS[0], seed=5):
        found = {part.column: part.contribution for part in one.contributions}
        assert found["age"] == 0
        assert any(found.values())


def test_the_reference_explains_itself_by_nothing(model: Model) -> None:
    reference = {name: value for name, value in reference_record(model).items() if value is not None}
    for one in explain(model, reference, seed=0):
        assert one.base == one.probability
        assert all(part.contribution == 0 for part in one.contributions)


def test_values_are_shown_as_they_were_read(model: Model) -> None:
    record = {"age": "41", "fever": "sí", "colour": "red", "seen": "2024-03-01", "temperature": "n/a"}
    found = {part.column: part.value for part in explain(model, record, seed=0)[0].contributions}
    assert found == {
        "age": 41.0,
        "fever": True,
        "colour": "red",
        "seen": "2024-03-01T00:00:00",
        "temperature": None,
        "note": None,
    }


def test_mixed_encodings_are_encodings_of_mixed_records(model: Model) -> None:
    assembler: Assembler = model.assembler
    sources = np.array(assembler.encoded_sources)
    values = [model.contract.answer_record(record)[0] for record in RECORDS[:12]]
    rng = np.random.default_rng(3)
    for one, other in pairwise(values):
        chosen = [name for name in one if rng.random() < 0.5]
        mixed = {name: one[name] if name in chosen else other[name] for name in one}
        encoded = np.where(
            np.isin(sources, chosen), assembler.encode_record(one), assembler.encode_record(other)
        )
        assert np.array_equal(encoded, assembler.encode_record(mixed))
        assert np.array_equal(assembler.finish(encoded[np.newaxis])[0], assembler.transform_record(mixed))


def _without(parts: ModelParts, name: str) -> Model:
    """The model with an assembler that writes 0 wherever it wrote something of this column."""

    class Blind(Assembler):
        def finish(self, encoded: np.ndarray) -> np.ndarray:
            matrix = super().finish(encoded).copy()
            matrix[:, [place for place, source in enumerate(self.sources) if source == name]] = 0
            return matrix

        def transform_record(self, values: object) -> np.ndarray:
            return self.finish(self.encode_record(values)[np.newaxis])[0]

    model = Model(parts)
    model.assembler = Blind(parts.assembler._encoders, parts.assembler._projection, parts.assembler._kept)
    return model
