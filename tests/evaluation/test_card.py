"""The card: what CLINICAL.md asks for, and `not stated` where nobody stated it."""

import re
from dataclasses import replace

import pytest

from galeno.evaluation.card import render_card
from galeno.evaluation.gate import decide
from galeno.records import GateReport
from galeno.study import Study


def section(card, title):
    return re.search(rf"## {re.escape(title)}\n\n(.*?)(?=\n\n## |\Z)", card, re.DOTALL)[1]


def test_every_required_part_is_there(content):
    card = render_card(content)
    titles = re.findall(r"^## (.*)$", card, re.MULTILINE)
    assert titles == [
        "Question", "Intended use", "Owner", "Population", "Outcome", "Predictors", "Missing data",
        "How it was learned", "Performance", "Calibration", "Subgroups", "Quality gate", "Limits",
    ]  # fmt: skip
    assert "**Simulated records." in card
    assert card.endswith("\n")
    assert not card.endswith("\n\n")


def test_what_nobody_stated_is_not_stated(content):
    card = render_card(content)
    assert section(card, "Intended use") == "not stated"
    assert "Dates of the data: not stated" in section(card, "Population")
    assert "| C-reactive protein (crp) | number | not stated |" in section(card, "Predictors")
    assert "How the condition was confirmed: not stated" in section(card, "Outcome")


def test_what_was_stated_is_said(make_content, make_study):
    study = make_study(intended_use="Triage nurses, adults")
    card = render_card(make_content(study=study, dates=("2024-01-02", "2025-12-30"), version="4"))
    assert section(card, "Intended use") == "Triage nurses, adults"
    assert "from 2024-01-02 to 2025-12-30" in card
    assert "- Version: 4" in card
    assert section(card, "Owner") == "Emergency department"


def test_figures_carry_intervals(content):
    card = render_card(content)
    low, high = content.evaluation.interval("per_class.terminal.recall")
    value, _ = content.evaluation.value("per_class.terminal.recall")
    assert f"{value:.3f} ({low:.3f}–{high:.3f})" in section(card, "Performance")
    assert "| <18" not in card
    assert "too few" in section(card, "Subgroups")
    assert "Not measurable: no test patient has Orphan" in section(card, "Performance")


def test_patients_are_told_beside_their_rows(content, make_content):
    text = section(render_card(content), "Performance")
    low, high = content.evaluation.interval("per_patient.macro_f1")
    value = content.evaluation.per_patient["macro_f1"]
    assert f"| {value:.3f} ({low:.3f}–{high:.3f}) |" in text
    assert "| Measure | Each row | Each patient |" in text
    alone = replace(content.evaluation, pooling=None)
    assert "Each patient" not in render_card(make_content(evaluation=alone))


@pytest.mark.parametrize("language", ["en", "es"])
def test_tables_are_whole(language, make_content):
    card = render_card(make_content(language))
    for block in re.findall(r"(?:^\|.*\n?)+", card, re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.strip().splitlines()}
        assert len(widths) == 1


def test_spanish_has_its_words(make_content):
    card = render_card(make_content("es"))
    assert "## Uso previsto\n\nno consta" in card
    assert "Registros simulados" in card
    for word in ("Recall", "Patients", "not stated"):
        assert word not in card


def test_hostile_texts_do_not_become_markup(make_content, make_study):
    data = make_study().model_dump()
    data["title"] = "# <img src=x> [a](b)\n## New"
    data["classes"][0]["label"] = {"en": "a | b `c`", "es": ""}
    card = render_card(make_content(study=Study.model_validate(data), source="`x` | <b>"))
    assert "<img" not in card.replace("\\<img", "")
    assert "\n## New" not in card
    assert "a \\| b \\`c\\`" in card


def test_a_card_of_little_is_whole(make_content, make_study, make_evaluation):
    study = make_study(evaluation={"groups": [], "bootstrap": 0})
    evaluation = make_evaluation(study, n=30, bootstrap=0)
    card = render_card(
        make_content(
            study=study,
            evaluation=evaluation,
            gate=GateReport(True, ()),
            validation=None,
            candidates=(),
            contenders=(),
            conformal={},
            missing={},
        )
    )
    assert "None" not in card.replace("`None`", "")
    empty = make_evaluation(study, n=0, bootstrap=0)
    assert "–" in render_card(
        make_content(study=study, evaluation=empty, gate=decide(study.gate, empty, None))
    )


def test_it_says_how_far_the_sets_can_be_trusted(content, make_content):
    text = section(render_card(content), "Calibration")
    assert "by temperature scaling" in text
    assert "an aim and no guarantee. On the test part" in text
    few = content.conformal | {"out_of_fold": True}
    assert "the validation part, which is small" in render_card(make_content(conformal=few))


def test_importance_and_faults_are_told_with_column_names(content):
    card = render_card(content)
    assert "C-reactive protein 0.320; Age 0.210; note 0.150" in section(card, "Predictors")
    missing = section(card, "Missing data")
    assert "| outside the range (range) | Age | 41 | value blanked |" in missing
    assert "Codes read as missing: 1,549 values in 2 columns." in missing


def test_modalities_are_told_where_there_is_more_than_a_table(make_content):
    told = section(render_card(make_content(modalities={"table": 0.0, "text": 0.125})), "Predictors")
    assert "| table | Age, Sex, C-reactive protein, fever | 0 % |" in told
    assert "| free text | note | 12.5 % |" in told
    assert "By modality" not in render_card(make_content(modalities={"table": 0.0}))
