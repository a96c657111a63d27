"""The study file: defaults, messages that name line and remedy, overrides, round trips."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.errors import StudyError
from galeno.study import Bound, Class, Column, Gate, Records, Study
from galeno.study_file import dump_study, load_study, study_schema

MINIMAL = """\
name: heart
records:
  source: heart.csv
  target: outcome
  patient: mrn
classes:
  - name: NO
  - name: yes
columns:
  age: {type: number, min: 0, max: 120}
  sex: {type: category, options: [F, M]}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_minimal_study_has_defaults_and_an_anchored_source(tmp_path: Path) -> None:
    study = load_study(write(tmp_path, MINIMAL))
    assert study.class_names == ("NO", "yes")
    assert study.records.source == str((tmp_path / "heart.csv").resolve())
    assert study.gate.bounds == {"accuracy": Bound(min=0.7)}
    assert (study.split.train, study.split.validation, study.split.test) == (0.7, 0.2, 0.1)


PLACES = """\
  files: {files}
features:
  image: {{backbone: {files}}}
  text: {{model: {files}}}
"""


@pytest.mark.parametrize("inside", ["sounds", "../files.zip", "s3://bucket/sounds", "", "/elsewhere"])
@pytest.mark.parametrize("overridden", [False, True])
def test_paths_are_relative_to_the_file(tmp_path: Path, inside: str, overridden: bool) -> None:
    written = PLACES.format(files='""' if overridden else inside or '""')
    text = MINIMAL.replace("  patient: mrn\n", f"  patient: mrn\n{written}")
    keys = ("records.files", "features.image.backbone", "features.text.model")
    study = load_study(write(tmp_path, text), [f'{key}="{inside}"' for key in keys] if overridden else [])
    expected = inside if "://" in inside or not inside else str((tmp_path / inside).resolve())
    places = (study.records.files, study.features.image.backbone, study.features.text.model)
    assert places == (expected,) * 3
    (tmp_path / "folder").mkdir()
    assert load_study(write(tmp_path / "folder", dump_study(study))) == study


@pytest.mark.parametrize(
    ("change", "line", "says"),
    [
        (("max: 120", "max: -1"), "line 10", "min is greater than max"),
        (("type: number", "type: numbr"), "line 10", "Input should be"),
        (("type: number", "typ: number"), "line 10", "did you mean"),
        (("target: outcome", "targt: outcome"), "line 4", "did you mean 'target'"),
        (("- name: yes", "- name: NO"), "line 6", "same name"),
        (("patient: mrn", "patient: age"), "", "cannot be a feature"),
        (("options: [F, M]", "min: 3"), "line 11", "for numbers"),
        (("name: heart", "name: Heart Study"), "line 1", "pattern"),
    ],
)
def test_fault_names_line_and_remedy(tmp_path: Path, change: tuple[str, str], line: str, says: str) -> None:
    assert change[0] in MINIMAL
    with pytest.raises(StudyError) as caught:
        load_study(write(tmp_path, MINIMAL.replace(*change)))
    assert line in str(caught.value)
    assert says in str(caught.value)
    assert "docs/study.md" in str(caught.value)


def test_every_fault_is_listed_at_once(tmp_path: Path) -> None:
    text = MINIMAL.replace("type: number", "type: numbr").replace("name: heart", "name: H")
    with pytest.raises(StudyError, match="2 faults"):
        load_study(write(tmp_path, text))


def test_missing_file_says_how_to_draft_one(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="galeno init"):
        load_study(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: [unclosed", "line 1"),
        ("- a list", "mapping"),
        ("", "mapping"),
        ("name: a\nname: b\n", "line 2: key 'name' stands twice"),
        ("name: \x00", "YAML"),
    ],
)
def test_broken_yaml_is_explained(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(StudyError) as caught:
        load_study(write(tmp_path, text))
    assert says in str(caught.value)


def test_binary_file_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StudyError, match="cannot be read as text"):
        load_study(path)


def test_overrides_reach_any_key(tmp_path: Path) -> None:
    study = load_study(
        write(tmp_path, MINIMAL),
        [
            "records.drop=[age]",
            "learning.budget.trials=6",
            "gate.accuracy=0.2",
            "gate.per_class.NO.recall=0.5",
        ],
    )
    assert study.records.drop == ("age",)
    assert list(study.features_columns) == ["sex"]
    assert study.learning.budget.trials == 6
    assert study.gate.bounds == {"accuracy": Bound(min=0.2), "per_class.NO.recall": Bound(min=0.5)}


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("seed", "KEY=YAML"),
        ("seed=-1", "--set seed"),
        ("seed=[", "not valid YAML"),
        ("name.first=x", "no keys below"),
        ("learning.bugdet.trials=6", "did you mean 'budget'"),
        ("records.drop=[weight]", "not among the columns"),
        ("classes.0.name=x", "no keys below"),
    ],
)
def test_wrong_override_is_explained(tmp_path: Path, override: str, says: str) -> None:
    with pytest.raises(StudyError) as caught:
        load_study(write(tmp_path, MINIMAL), [override])
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("gate", "bounds"),
    [
        ({"accuracy": 0.5, "ece": 0.1}, {"accuracy": Bound(min=0.5), "ece": Bound(max=0.1)}),
        (
            {"per_class": {"a.b": {"recall": 0.4}}},
            {"accuracy": Bound(min=0.7), "per_class.a.b.recall": Bound(min=0.4)},
        ),
        ({"conformal.coverage": {"min": 0.85, "max": 1}, "accuracy": 0}, None),
    ],
)
def test_gate_takes_any_figure(gate: dict[str, object], bounds: dict[str, Bound] | None) -> None:
    parsed = Gate.model_validate(gate)
    if bounds is None:
        assert parsed.bounds["conformal.coverage"] == Bound(min=0.85, max=1)
    else:
        assert parsed.bounds == bounds


def test_unquoted_yes_and_no_are_texts(tmp_path: Path) -> None:
    study = load_study(write(tmp_path, MINIMAL.replace("[F, M]", "[yes, NO, on]")))
    assert study.columns["sex"].options == ("yes", "NO", "on")


names = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=12
).filter(lambda name: not name.startswith("_") and name not in ("target", "patient"))


@settings(max_examples=50, deadline=None)
@given(
    columns=st.dictionaries(
        names, st.sampled_from(["number", "category", "flag", "text", "date"]), min_size=1
    ),
    classes=st.lists(names, min_size=2, max_size=6, unique=True),
    seed=st.integers(0, 2**31 - 1),
)
def test_a_dumped_study_reads_back(
    tmp_path_factory: pytest.TempPathFactory, columns: dict[str, str], classes: list[str], seed: int
) -> None:
    study = Study(
        name="any",
        seed=seed,
        records=Records(source="sklearn:iris", target="target", patient="patient"),
        classes=tuple(Class(name=name) for name in classes),
        columns={name: Column.model_validate({"type": kind}) for name, kind in columns.items()},
    )
    path = write(tmp_path_factory.mktemp("study"), dump_study(study))
    assert load_study(path) == study


def test_schema_describes_every_key() -> None:
    schema = json.loads(study_schema())
    for model in (schema, *schema["$defs"].values()):
        for key, field in model.get("properties", {}).items():
            assert field.get("description"), key


def test_diseases_of_classes(tmp_path: Path) -> None:
    text = (
        MINIMAL
        + "features:\n  phenotype:\n    diseases: {NO: OMIM:154700, yes: [ORPHA:558, 'MONDO:0007947']}\n"
    )
    phenotype = load_study(write(tmp_path, text)).features.phenotype
    assert phenotype.diseases == {"NO": ("OMIM:154700",), "yes": ("ORPHA:558", "MONDO:0007947")}
    assert phenotype.knowledge == "auto"


@pytest.mark.parametrize(
    ("phenotype", "says"),
    [
        ("{diseases: {maybe: OMIM:154700}}", "'maybe', which is not among the classes"),
        ("{diseases: {NO: Marfan}}", "match pattern"),
        ("{diseases: {NO: OMIM:154700}, knowledge: none}", "needs knowledge"),
    ],
)
def test_faults_in_diseases(tmp_path: Path, phenotype: str, says: str) -> None:
    with pytest.raises(StudyError, match=says):
        load_study(write(tmp_path, f"{MINIMAL}features:\n  phenotype: {phenotype}\n"))
