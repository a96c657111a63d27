"""Cards: what CDS Hooks asks of them, and what a clinician reads."""

import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from galeno.records import Diagnosis, RankedCondition
from galeno.service.answers import Answer
from galeno.service.cds_cards import REASONS, card_id, diagnosis_id, make_card
from galeno.service.cds_wire import Card
from galeno.storage.ids import new_id, now
from galeno.study import Study

URL = "https://dx.example.org"


def make_study(names: tuple[str, ...] = ("cold", "flu", "cf"), **more: object) -> Study:
    return Study.model_validate(
        {
            "name": "resp-dx",
            "records": {"source": "a.csv", "target": "y"},
            "classes": [{"name": name} for name in names],
            "columns": {"age": {"type": "number", "label": {"es": "Edad", "en": "Age"}}},
            **more,
        }
    )


def make_answer(
    study: Study, *shares: float, reasons: tuple[str, ...] = (), version: str | None = "3"
) -> Answer:
    ranking = tuple(RankedCondition(n, p) for n, p in zip(study.class_names, shares, strict=True))
    diagnosis = Diagnosis(
        ranking[0].condition,
        ranking,
        (ranking[0].condition,),
        bool(reasons),
        reasons,
        study.name,
        "a" * 64,
        version,
    )
    return Answer(new_id("dx"), study.name, now(), "pt_" + "0" * 32, diagnosis)


def test_a_card_has_what_cds_hooks_asks() -> None:
    study = make_study()
    answer = make_answer(study, 0.71, 0.2, 0.09)
    card = make_card(study, answer, URL)
    assert card.summary == "Consider cold (71 %)"
    assert card.indicator == "info"
    assert card.source.label == "resp-dx 3"
    assert card.source.url == f"{URL}/v1/models/resp-dx/3/card"
    assert card.detail.splitlines()[:4] == [
        "| Diagnosis | Probability |",
        "|---|---:|",
        "| cold | 71 % |",
        "| flu | 20 % |",
    ]
    assert card.links is not None
    assert card.links[0].url == f"{URL}/v1/diagnoses/{answer.id}"
    assert card.links[0].type == "absolute"
    assert card.suggestions is not None
    assert card.selectionBehavior == "at-most-one"
    assert {reason.code for reason in card.overrideReasons} == set(REASONS)
    assert all(reason.display and reason.system for reason in card.overrideReasons)


def test_without_a_public_address_there_are_no_links() -> None:
    study = make_study()
    card = make_card(study, make_answer(study, 0.71, 0.2, 0.09), "")
    assert card.links is None
    assert card.source.url is None


def test_a_doubtful_diagnosis_warns_and_says_why() -> None:
    study = make_study()
    reasons = ("low_confidence", "out_of_range:age", "missing:text", "something_new:x")
    card = make_card(study, make_answer(study, 0.4, 0.35, 0.25, reasons=reasons), URL)
    assert card.indicator == "warning"
    assert card.summary == "Needs review: cold (40 %)"
    assert (
        "low probability; outside what the model knows: Age; missing: text; something\\_new:x" in card.detail
    )


def test_a_card_speaks_the_studys_language() -> None:
    labelled = {"classes": [{"name": "cf", "label": {"es": "Fibrosis quística"}}, {"name": "other"}]}
    study = make_study(language="es", simulated=True, **labelled)
    card = make_card(study, make_answer(study, 0.8, 0.2, reasons=("out_of_range:age",)), URL)
    assert card.summary == "Revisar: Fibrosis quística (80 %)"
    assert "| Fibrosis quística | 80 % |" in card.detail
    assert "Edad" in card.detail
    assert "registros simulados" in card.detail
    assert card.overrideReasons[0].display == "No concuerda con la exploración"


@pytest.mark.parametrize(("share", "shown"), [(0.9999, "> 99 %"), (0.0001, "< 1 %"), (0.5, "50 %")])
def test_no_certainty_is_made_by_rounding(share: float, shown: str) -> None:
    study = make_study(("a", "b"))
    assert make_card(study, make_answer(study, share, 1 - share), "").summary == f"Consider a ({shown})"


def test_names_do_not_break_the_table() -> None:
    study = make_study(("a|b\n# [x](http://evil.example)", "<b>"))
    detail = make_card(study, make_answer(study, 0.6, 0.4), "").detail
    assert "| a\\|b \\# \\[x\\](http://evil.example) | 60 % |" in detail
    assert "| \\<b\\> |" in detail


def test_only_the_first_conditions_are_shown() -> None:
    study = make_study(tuple(f"c{i}" for i in range(40)))
    detail = make_card(study, make_answer(study, *([1 / 40] * 40)), "").detail
    assert detail.count(" % |") == 5


@settings(max_examples=50, deadline=None)
@given(st.text(min_size=1, max_size=300).filter(str.strip), st.floats(0, 1), st.booleans())
def test_a_summary_is_short_whatever_the_name(name: str, share: float, doubtful: bool) -> None:
    study = make_study((name, "other condition"))
    card = make_card(study, make_answer(study, share, 1 - share, reasons=("low_confidence",) * doubtful), "")
    assert 0 < len(card.summary) < 140
    assert "%" in card.summary


def test_a_card_leads_back_to_its_diagnosis() -> None:
    for _ in range(100):
        made = new_id("dx")
        card = card_id(made)
        assert uuid.UUID(card).version == 7
        assert uuid.UUID(card).variant == uuid.RFC_4122
        assert diagnosis_id(card) == made
        assert diagnosis_id(card.upper()) == made


def test_ids_sort_by_time_and_do_not_repeat() -> None:
    made = [new_id("dx") for _ in range(2000)]
    assert len(set(made)) == len(made)
    stamps = [each[3:15] for each in made]
    assert stamps == sorted(stamps)


def test_the_models_hold_the_rules() -> None:
    study = make_study()
    card = make_card(study, make_answer(study, 0.71, 0.2, 0.09), URL).model_dump(exclude_none=True)
    for change in (
        {"summary": "x" * 140},
        {"summary": ""},
        {"indicator": "hard-stop"},
        {"source": {"label": ""}},
        {"source": {}},
        {"selectionBehavior": None},
        {"overrideReasons": [{"code": "a", "system": "b", "display": ""}]},
        {"uuid": "7"},
        {"actionSelectionBehavior": "any"},
    ):
        with pytest.raises(ValidationError):
            Card.model_validate(card | change)
