"""The report: one offline file, everything escaped, honest about what was not measured."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from galeno.evaluation.gate import decide
from galeno.evaluation.importance import Importance
from galeno.evaluation.report import CandidateLine, render_report
from galeno.records import Candidate, GateReport
from galeno.study import Study

VOID = {"meta", "link", "br", "img", "hr"}


class Reader(HTMLParser):
    """Collects ids and outside references, and checks that tags close in order."""

    def __init__(self, page):
        super().__init__()
        self.open, self.ids, self.links, self.tags, self.outside, self.styles = [], [], [], [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name == "style" or name.startswith("on"):
                self.styles.append((tag, name))
            if name == "href" and value.startswith("#"):
                self.links.append(value[1:])
            elif name in ("src", "href", "data", "action") and not value.startswith("data:"):
                self.outside.append(value)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def page(content):
    return render_report(content)


def test_one_file_without_script_style_attribute_or_outside_resource(page):
    found = Reader(page)
    assert found.open == []
    assert "script" not in found.tags
    assert found.styles == []
    assert found.outside == []
    assert "url(" not in page
    assert "@import" not in page


def test_the_policy_allows_the_one_style_block_and_nothing_else(page):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:")
    assert page.count("<style") == 1


def test_every_link_leads_to_a_section_and_ids_are_unique(page):
    found = Reader(page)
    assert set(found.links) <= set(found.ids)
    assert len(set(found.ids)) == len(found.ids)
    assert len(found.links) == 13


def test_it_says_what_the_issue_asks_for(page):
    for text in (
        "Simulated records", "Refused by the gate", "Terminal · Recall (failed)", "too few patients to tell",
        "Most frequent condition", "Plain logistic regression", "Best single candidate", "This model",
        "Not measurable: no test patient has Orphan", "Confusion matrix", "Calibration error", "Greatest gap",
        "missing_target", "No patient of Orphan in test", "xgboost+weights", "stopped: out of time",
        "Lake version", "outside the range", "1,549 values in 2 columns", "only cross-validated",
        "an aim and no guarantee", "need not be the most probable", "Terminal 1.300; 0.250",
        "scikit-learn", "champion: ", "C-reactive protein", "9f2c4be1" * 8,
    ):  # fmt: skip
        assert text in page, text
    assert page.count("<svg") == page.count("</svg>") == 9


def test_intervals_stand_beside_figures(content, page):
    low, high = content.evaluation.interval("macro_f1")
    assert f"{low:.3f}–{high:.3f}" in page


def test_patients_are_told_beside_their_rows(content, page, make_content):
    told = page[page.index('id="by_patient"') : page.index('id="importance"')]
    found = content.evaluation
    assert f"{found.per_patient['accuracy']:.3f}" in told
    assert f"{found.per_patient['per_class']['terminal']['recall']:.3f}" in told
    pooling = found.pooling
    assert f"{pooling['several']} of {found.patients['all']} patients have several rows" in told
    assert f"a patient has {pooling['rows_per_patient']:.1f} on average" in told
    assert pooling["mixed"] > 0
    assert f"{pooling['mixed']} patients whose rows have different conditions are left out" in told
    assert "Se dejan fuera" in render_report(make_content("es"))


def test_spanish_has_its_words_and_decimal_comma(make_content):
    page = render_report(make_content("es"))
    assert '<html lang="es">' in page
    for text in (
        "Registros simulados",
        "Rechazado por el control de calidad",
        "Sensibilidad",
        "Enfermedad crónica",
        "0,7",
    ):
        assert text in page
    for text in ("Recall", "Refused", "Patients", "None"):
        assert text not in page


def test_real_records_carry_no_banner(make_content, make_study):
    study = make_study(simulated=False)
    assert "Simulated" not in render_report(make_content(study=study))


@pytest.mark.parametrize("language", ["en", "es"])
def test_hostile_texts_are_only_texts(language, make_content, make_study):
    nasty = '<script>alert("x")</script>'
    study = make_study(language).model_dump()
    study |= {"title": nasty, "question": nasty}
    study["classes"][0]["label"] = {"es": nasty, "en": nasty}
    study["columns"]["age"]["label"] = {"es": nasty, "en": nasty}
    study = Study.model_validate(study)
    lines = [CandidateLine(Candidate(nasty, "none", {nasty: nasty}), {"macro_f1": 0.5}, note=nasty)]
    page = render_report(
        make_content(language, study, source=nasty, run=nasty, candidates=lines, libraries={nasty: nasty})
    )
    assert "<script" not in page
    assert Reader(page).open == []


def test_a_report_of_little_is_whole(content, make_content, make_study, make_evaluation):
    study = make_study(evaluation={"groups": [], "bootstrap": 0})
    bare = make_content(
        study=study,
        evaluation=make_evaluation(study, n=30, bootstrap=0),
        gate=GateReport(True, ()),
        validation=None,
        candidates=(),
        contenders=(),
        conformal={},
        decision_weights={},
        importance=None,
        libraries={},
        parity=None,
    )
    page = render_report(bare)
    assert Reader(page).open == []
    assert "No validation report was kept" in page
    assert "patients judge this model" in page
    assert "No confidence intervals" in page


def test_a_passed_gate_says_so(content, make_content, make_study):
    study = make_study(gate={"accuracy": 0.5})
    passed = decide(study.gate, content.evaluation, None)
    page = render_report(make_content(study=study, gate=passed))
    assert "Passed the gate" in page
    assert "Requirements of the study: 1, all met" in page
    lenient = make_study(gate={"per_class": {"huerfana": {"recall": 0.3}}, "too_few": "allow"})
    unsure = decide(lenient.gate, content.evaluation, None)
    assert unsure.passed
    assert "could not be told for want of patients" in render_report(make_content(study=lenient, gate=unsure))


def test_no_test_row_still_makes_a_report(make_content, make_study, make_evaluation):
    study = make_study()
    empty = make_evaluation(study, n=0, bootstrap=20)
    page = render_report(make_content(study=study, evaluation=empty, gate=decide(study.gate, empty, None)))
    assert Reader(page).open == []
    assert "nan" not in re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)


def test_every_class_is_named_even_without_a_patient(page):
    for name in ("Not ill", "Mild disease", "Acute disease", "Chronic disease", "Terminal", "Orphan"):
        assert name in page


def test_a_refusal_is_told_before_anything_else(page):
    assert page.index("Refused by the gate") < page.index("<nav")
    assert page.index('id="gate"') < page.index('id="key_figures"')


def test_the_importance_of_columns_is_told_with_what_it_is_not(page, content, make_content):
    told = page[page.index('id="importance"') :]
    assert told.index("C-reactive protein") < told.index(">Age<") < told.index(">note<")
    assert "600 validation" in told
    assert "no proof of a cause" in told
    wide = make_content(importance=Importance({}, skipped="many_columns"))
    assert "Not measured: 5 columns would take longer" in render_report(wide)
    few = make_content("es", importance=Importance({}, skipped="few_rows"))
    assert "tiene menos de 40 filas" in render_report(few)


def test_the_plain_rule_is_told_as_such(make_content):
    even = dict.fromkeys(("no_enfermo", "leve", "aguda", "cronica", "terminal", "huerfana"), 1.0)
    page = render_report(make_content(decision_weights=even, decision_offsets={}))
    assert "The most probable condition is named first." in page
    assert "need not be the most probable" not in page


def test_without_rare_classes_there_is_no_recall_of_them(make_content, make_study, page):
    assert "Recall of rare classes" in page
    classes = [c | {"rare": False} for c in make_study().model_dump()["classes"]]
    assert "Recall of rare classes" not in render_report(make_content(study=make_study(classes=classes)))


def test_rows_of_a_patient_are_told_to_stay_together(page, content, make_content, make_study):
    rows, patients = (sum(content.split[key].values()) for key in ("rows", "patients"))
    assert f"There are more rows ({rows:,}) than patients ({patients:,}): all rows of a patient stay" in page
    assert "windows" not in page
    study = make_study().model_dump()
    study["columns"]["breath"] = {"type": "sound"}
    assert "So do the windows" in render_report(make_content(study=Study.model_validate(study)))
    alone = content.split | {"rows": content.split["patients"]}
    assert "There are more rows" not in render_report(make_content(split=alone))
    torn = content.split | {"overlap": {"train_test": 1}}
    assert "There are more rows" not in render_report(make_content(split=torn))
    assert "share a file" not in page
    joined = render_report(make_content(split=content.split | {"joined": 3}))
    assert "3 patients share a file with another one and stay on his side." in joined
