"""The contract: what is admitted, what is quarantined, what is blanked."""

from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.errors import ContractError
from galeno.ingest.contract import RULES, Contract
from galeno.ingest.draft import draft_study
from galeno.ingest.tables import read_table
from galeno.records import KEY, PATIENT, ROW, SITE, TARGET, TIME, Violation
from galeno.study import Study

COLUMNS: dict[str, Any] = {
    "age": {"type": "number", "min": 0, "max": 120},
    "temperature": {
        "type": "number",
        "min": 30,
        "max": 45,
        "convert": [{"unit": "F", "scale": 5 / 9, "offset": -160 / 9}],
    },
    "sex": {"type": "category", "options": ["F", "M"]},
    "fever": {"type": "flag"},
    "note": {"type": "text"},
    "seen": {"type": "date"},
}
ROWS: dict[str, list[str]] = {
    "patient": ["1", "1", "2", "3", "4"],
    "record": ["a", "b", "c", "d", "e"],
    "age": ["30", "31", "455", "?", "65526"],
    "temperature": ["37", "98.6", "38,5", "0", ""],
    "sex": ["F", "M", "X", "", "F"],
    "fever": ["yes", "no", "perhaps", "1", "0"],
    "note": ["well", "", "ill", "NA", "worse"],
    "seen": ["2024-01-02", "31/12/2024", "later", "", "2024-01-02T10:00"],
    "label": ["1", "0", "1", "0", "0"],
}


def study(
    rules: dict[str, str] | None = None, columns: dict[str, Any] | None = None, **records: Any
) -> Study:
    return Study.model_validate(
        {
            "name": "s",
            "records": {
                "source": "x.csv",
                "target": "label",
                "patient": "patient",
                "record": "record",
                "rules": rules or {},
                **records,
            },
            "classes": [{"name": "ill", "values": [1]}, {"name": "well", "values": [0]}],
            "columns": columns or COLUMNS,
        }
    )


def frame(**changes: list[str | None]) -> pl.DataFrame:
    return pl.DataFrame({**ROWS, **changes})


def found(violations: tuple[Violation, ...]) -> set[tuple[str, str, int, tuple[int, ...], str]]:
    return {(v.check, v.column, v.count, v.rows, v.behaviour) for v in violations}


def test_faults_are_blanked_converted_and_reported() -> None:
    admission = Contract(study()).admit(frame(), "x.csv")
    assert admission.report.read == admission.report.good == 5
    assert admission.good["age"].to_list() == [30, 31, None, None, None]
    assert admission.good["temperature"].to_list() == [37, pytest.approx(37), 38.5, None, None]
    assert admission.good["sex"].to_list() == ["F", "M", None, None, "F"]
    assert admission.good["fever"].to_list() == [True, False, None, True, False]
    assert admission.good["note"].to_list() == ["well", None, "ill", None, "worse"]
    assert admission.good["seen"][1] == datetime(2024, 12, 31)
    assert admission.good[TARGET].to_list() == ["ill", "well", "ill", "well", "well"]
    assert admission.good[PATIENT].to_list() == ["1", "1", "2", "3", "4"]
    assert admission.good[ROW].to_list() == [1, 2, 3, 4, 5]
    assert found(admission.report.violations) == {
        ("missing_code", "age", 1, (4,), "blank"),
        ("range", "age", 2, (3, 5), "blank"),
        ("range", "temperature", 1, (2,), "convert"),
        ("range", "temperature", 1, (4,), "blank"),
        ("decimal_comma", "temperature", 1, (3,), "convert"),
        ("category", "sex", 1, (3,), "blank"),
        ("type", "fever", 1, (3,), "blank"),
        ("missing_code", "note", 1, (4,), "blank"),
        ("type", "seen", 1, (3,), "blank"),
        ("two_targets", "patient", 2, (1, 2), "keep"),
    }


def test_each_rule_can_send_rows_to_quarantine() -> None:
    rules = dict.fromkeys(("type", "range", "category", "required", "two_targets"), "quarantine")
    columns = {**COLUMNS, "age": {**COLUMNS["age"], "required": True}}
    admission = Contract(study(rules, columns)).admit(frame(), "x.csv")
    assert admission.good[ROW].to_list() == []
    assert admission.quarantine[ROW].to_list() == [1, 2, 3, 4, 5]
    assert [sorted(rules) for rules in admission.quarantine[RULES].to_list()] == [
        ["two_targets:patient"],
        ["two_targets:patient"],
        ["category:sex", "range:age", "required:age", "type:fever", "type:seen"],
        ["range:temperature", "required:age"],
        ["range:age", "required:age"],
    ]
    assert admission.quarantine["age"].to_list() == ROWS["age"]


def test_row_rules() -> None:
    raw = frame(
        record=["a", "a", "c", "", "e"],
        patient=["1", "1", "?", "3", "4"],
        label=["1", "1", "0", "9", ""],
    )
    admission = Contract(study()).admit(raw, "x.csv")
    assert admission.good[ROW].to_list() == [1]
    assert dict(zip(admission.quarantine[ROW], admission.quarantine[RULES].to_list(), strict=True)) == {
        2: ["duplicate:record"],
        3: ["missing_patient:patient"],
        4: ["unknown_class:label"],
        5: ["missing_target:label"],
    }
    kept = dict.fromkeys(("duplicate", "missing_patient", "missing_target", "unknown_class"), "keep")
    good = Contract(study(kept)).admit(raw, "x.csv").good
    assert good[TARGET].to_list() == ["ill", "ill", "well", None, None]
    assert good[PATIENT].to_list() == ["1", "1", "c", "3", "4"]


def test_equal_rows_are_duplicates_only_of_a_named_patient() -> None:
    raw = pl.DataFrame({"patient": ["1", "1", "2"], "age": ["5", "5", "5"], "label": ["0", "0", "0"]})
    columns = {"age": COLUMNS["age"]}
    named = Contract(study(columns=columns, record=None)).admit(raw, "x")
    assert named.quarantine[RULES].to_list() == [["duplicate:patient"]]
    unnamed = Contract(study(columns=columns, record=None, patient=None)).admit(raw.drop("patient"), "x")
    assert unnamed.report.good == 3
    assert unnamed.good[PATIENT].n_unique() == 3
    assert unnamed.good[KEY].to_list() == unnamed.good[PATIENT].to_list()


def test_time_and_site_are_carried() -> None:
    contract = Contract(study(columns={"age": COLUMNS["age"]}, time="seen", site="sex"))
    admission = contract.admit(frame(), "x")
    assert admission.good[TIME].to_list()[:3] == [datetime(2024, 1, 2), datetime(2024, 12, 31), None]
    assert admission.good[SITE].to_list() == ["F", "M", "X", None, "F"]
    assert ("type", "seen", 1, (3,), "blank") in found(admission.report.violations)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"range": "refuse"}, "range of 'age' in 2 rows (3, 5); range of 'temperature' in 1 rows (4)"),
        ({"type": "refuse"}, "type of 'fever' in 1 rows (3)"),
        ({"category": "refuse"}, "category of 'sex' in 1 rows (3)"),
        ({"two_targets": "refuse"}, "two_targets of 'patient' in 2 rows (1, 2)"),
    ],
)
def test_refuse_names_source_rule_column_and_rows_but_no_value(rules: dict[str, str], message: str) -> None:
    with pytest.raises(ContractError) as caught:
        Contract(study(rules)).admit(frame(), "records.csv")
    assert str(caught.value).startswith("records.csv: refused by the study's rules: ")
    assert message in str(caught.value)
    assert not any(value in str(caught.value) for value in ("455", "65526", "perhaps", "X"))


def test_unknown_and_missing_columns() -> None:
    raw = frame(extra=["1"] * 5)
    admission = Contract(study()).admit(raw, "x")
    assert ("unknown_column", "extra", 5, (), "keep") in found(admission.report.violations)
    with pytest.raises(ContractError, match="unknown_column: extra"):
        Contract(study({"unknown_column": "refuse"})).admit(raw, "x")
    with pytest.raises(ContractError, match="columns that the study names are not there: age, record"):
        Contract(study()).admit(frame().drop("age", "record"), "x")
    dropped = Contract(study(drop=["note"]))
    assert dropped.admit(frame().drop("note"), "x").good["note"].null_count() == 5
    assert dropped.missing_columns(frame().drop("note", "age")) == ["age"]


def test_typed_frames_mean_the_same() -> None:
    typed = pl.DataFrame(
        {
            "patient": [1, 1, 2, 3, 4],
            "record": ["a", "b", "c", "d", "e"],
            "age": [30.0, 31.0, 455.0, float("nan"), 65526.0],
            "temperature": [37.0, 98.6, 38.5, 0, None],
            "sex": pl.Series(["F", "M", "X", None, "F"], dtype=pl.Categorical),
            "fever": [True, False, None, True, False],
            "note": ["well", None, "ill", "NA", "worse"],
            "seen": [datetime(2024, 1, 2), datetime(2024, 12, 31), None, None, datetime(2024, 1, 2, 10)],
            "label": [1.0, 0.0, 1.0, 0.0, 0.0],
        }
    )
    contract = Contract(study())
    texts, numbers = contract.admit(frame(), "x").good, contract.admit(typed, "x").good
    assert numbers.drop(KEY).equals(texts.drop(KEY))


def test_answer_drops_nothing_and_gives_reasons() -> None:
    quarantine = dict.fromkeys(("type", "range", "category", "required"), "quarantine")
    contract = Contract(study(quarantine, drop=["note"]))
    typed, reasons = contract.answer(frame().drop("fever"))
    assert typed.columns == ["age", "temperature", "sex", "fever", "seen"]
    assert typed.schema["fever"] == pl.Boolean
    assert reasons == [
        (),
        (),
        ("out_of_range:age", "bad_value:sex", "bad_value:seen"),
        ("out_of_range:temperature",),
        ("out_of_range:age",),
    ]
    assert typed["age"].to_list() == [30, 31, None, None, None]


def test_typed_gives_dropped_columns_too() -> None:
    contract = Contract(study(drop=["sex"]))
    assert contract.typed(frame(), ("sex", "age"))["sex"].to_list() == ["F", "M", None, None, "F"]


def test_targets_and_patients() -> None:
    contract = Contract(study())
    raw = frame(label=["1.0", "0", "sick", "?", " 1 "])
    assert contract.targets(raw).to_list() == ["ill", "well", None, None, "ill"]
    assert contract.raw_targets(raw).to_list() == ["1", "0", "sick", None, "1"]
    assert contract.patients(raw).to_list() == ["1", "1", "2", "3", "4"]
    assert contract.patients(raw.drop("patient")).to_list() == ["a", "b", "c", "d", "e"]
    assert contract.patients(raw.drop("patient", "record")).n_unique() == 5
    with pytest.raises(ContractError, match="no target column 'label'"):
        contract.targets(raw.drop("label"))


def test_a_class_called_like_a_missing_code_is_a_class() -> None:
    declared = study().model_dump()
    declared["classes"] = [{"name": "None"}, {"name": "A"}]
    contract = Contract(Study.model_validate(declared))
    assert contract.targets(frame(label=["None", "A", "NA", "", "None"])).to_list() == [
        "None",
        "A",
        None,
        None,
        "None",
    ]


def test_digest_follows_the_rules_and_not_the_source() -> None:
    digest = Contract(study()).digest
    assert digest == Contract(study(source="other.csv", drop=["note"])).digest
    labelled = {**COLUMNS, "age": {**COLUMNS["age"], "label": {"es": "Edad"}}}
    assert digest == Contract(study(columns=labelled)).digest
    narrower = {**COLUMNS, "age": {**COLUMNS["age"], "max": 110}}
    assert digest != Contract(study(columns=narrower)).digest
    assert digest != Contract(study({"range": "quarantine"})).digest
    assert digest != Contract(study(missing=["?"])).digest


RAW = st.none() | st.sampled_from(
    ["", "?", "37", "98.6", "36,6", "500", "F", "yes", "x y", "2024-01-02", " 1.0 "]
)
RAW |= st.floats(allow_nan=True) | st.integers(-1000, 1000) | st.booleans() | st.dates()


@settings(max_examples=50, deadline=None)
@given(values=st.fixed_dictionaries({}, optional=dict.fromkeys([*COLUMNS, "other"], RAW)))
def test_one_record_is_answered_as_a_frame_of_one_row(values: dict[str, object]) -> None:
    contract = Contract(study())
    typed, reasons = contract.answer(pl.DataFrame([values]) if values else pl.DataFrame([{"other": 1}]))
    assert contract.answer_record(values) == (typed.row(0, named=True), reasons[0])


@settings(max_examples=30, deadline=None)
@given(
    places=st.lists(st.integers(0, 4), max_size=12),
    order=st.randoms(use_true_random=False),
    behaviour=st.sampled_from(["quarantine", "keep"]),
)
def test_no_row_is_lost_and_order_does_not_matter(places: list[int], order: Any, behaviour: str) -> None:
    contract = Contract(study({"duplicate": behaviour, "range": "quarantine"}))
    raw = frame()[places]
    admission = contract.admit(raw, "x")
    assert admission.report.good + admission.report.quarantined == len(places)
    assert sorted([*admission.good[ROW], *admission.quarantine[ROW]]) == list(range(1, len(places) + 1))
    assert admission.good[KEY].n_unique() == admission.good.height
    order.shuffle(places)
    again = contract.admit(frame()[places], "x")
    assert again.good.drop(ROW).sort(KEY).equals(admission.good.drop(ROW).sort(KEY))


def test_thyroid_ages_are_blanked_and_no_row_is_lost(real_data: Path) -> None:
    raw = read_table(real_data / "thyroid" / "dev.csv.gz")
    contract = Contract(draft_study(raw, name="thyroid", source="dev.csv.gz", target="condition"))
    admission = contract.admit(raw, "dev.csv.gz")
    assert (admission.report.read, admission.report.good) == (6421, 6421)
    ages = raw["age"].cast(pl.Float64)
    outside = [row for row, age in enumerate(ages, start=1) if age is not None and age > 120]
    (violation,) = [v for v in admission.report.violations if v.column == "age"]
    assert (violation.check, violation.behaviour, list(violation.rows)) == ("range", "blank", outside)
    assert admission.good["age"].max() <= 120  # type: ignore[operator]  # a number column's maximum is a number


def test_equal_rows_of_unnamed_patients_stay(real_data: Path) -> None:
    raw = read_table(real_data / "symptom_checklist" / "dev.csv.gz")
    contract = Contract(draft_study(raw, name="checklist", source="x", target="diseases"))
    assert contract.admit(raw, "x").report.good == 2389
