"""The command line: what commands print, every message, every exit code; nothing half-written."""

import gzip
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import typer
from clinic import CANARY, STUDY, open_clinic, visits
from command_line import galeno

from galeno.cli import app
from galeno.pipeline.runner import RunResult, prepare_run
from galeno.study import Study

COMMANDS = [
    *(name for name in typer.main.get_command(app).commands if name != "models"),  # type: ignore[attr-defined]
    *(f"models {name}" for name in ("list", "show", "promote", "rollback")),
]
HIDDEN = "ZZHIDDENZZ"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with good files and every kind of bad one."""
    folder = tmp_path_factory.mktemp("place")
    open_clinic(folder)
    frame = visits(n=60)
    frame.drop("condition").write_csv(folder / "unlabelled.csv")
    frame.drop("lactate", "note").write_csv(folder / "columns.csv")
    frame.with_columns(condition=pl.lit("")).write_csv(folder / "no_labels.csv")
    frame.head(0).write_csv(folder / "header.csv")
    (folder / "empty.csv").touch()
    (folder / "empty.jsonl").touch()
    (folder / "text.xlsx").write_text(HIDDEN, encoding="utf-8")
    (folder / "broken.parquet").write_text(HIDDEN, encoding="utf-8")
    (folder / "latin.csv").write_bytes(f"age,sex\n1,{HIDDEN}ñ\n".encode("latin-1"))
    (folder / "ragged.csv").write_text(f"age,sex\n1,F\n2,M,{HIDDEN}\n", encoding="utf-8")
    (folder / "twice.csv").write_text(f"age,age\n1,{HIDDEN}\n", encoding="utf-8")
    (folder / "cut.csv.gz").write_bytes(gzip.compress(frame.write_csv().encode())[:-20])
    (folder / "fake.csv.gz").write_text(HIDDEN, encoding="utf-8")
    (folder / "lines.jsonl").write_text('{"age": 1}\n' + HIDDEN + "\n", encoding="utf-8")
    (folder / "one.csv").write_text("age,condition\n1,W\n2,W\n", encoding="utf-8")
    pl.DataFrame({"id": range(400), "value": [i * 1.5 for i in range(400)]}).write_csv(folder / "numbers.csv")
    (folder / "folder.csv").mkdir()
    return folder


def files_below(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.name not in {"registry.db-journal", "lock"}}


def write_study(folder: Path, *changes: tuple[str, str]) -> Path:
    text = STUDY
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = folder / "changed.yaml"
    path.write_text(text, encoding="utf-8")
    return path


# Help


@pytest.mark.parametrize("command", ["", "models", *COMMANDS])
def test_help_of_every_command(command: str) -> None:
    shown = galeno(*command.split(), "--help").ended(0)
    assert "Usage: galeno" in shown.out
    assert "..." not in shown.out.partition("Commands:")[2], "the first sentence of a command is cut"


def test_help_imports_nothing_heavy() -> None:
    heavy = {
        "polars",
        "numpy",
        "sklearn",
        "mlflow",
        "onnxruntime",
        "xgboost",
        "pydantic",
        "sqlalchemy",
        "optuna",
    }
    code = (
        "import sys\nfrom galeno.cli import main\nsys.argv = ['galeno', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"sys.stderr.write(' '.join(sorted(set(sys.modules) & {heavy!r})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_version_and_schema() -> None:
    assert galeno("version").ended(0).out.count(".") == 2
    schema = json.loads(galeno("schema").ended(0).out)
    assert {"records", "classes", "columns"} <= set(schema["properties"])


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", "Usage: galeno"),
        ("models", "Usage: galeno models"),
        ("predit", "No such command 'predit'"),
        ("run", "Missing argument 'STUDY.yaml'"),
        ("run s.yaml --sed 3", "No such option: --sed"),
        ("run s.yaml --threads 0", "greater than or equal to 1"),
        ("run s.yaml --threads x", "valid integer"),
        ("init --target x", "Missing option '--from'"),
        ("init --from t.csv", "Missing option '--target'"),
        ("predict m --input x", "Missing option '--output'"),
        ("step learn", "Missing option '--run'"),
        ("verify", "Missing argument 'PACKAGE'"),
        ("verify a b", "unexpected extra argument"),
        ("models promote clinic", "galeno models promote thyroid 2"),
    ],
)
def test_usage_errors_end_with_2(line: str, says: str) -> None:
    outcome = galeno(*line.split()).ended(2)
    assert says in outcome.out + outcome.err


# Messages: one line, exit code 2, no value of a record, nothing left behind

INIT = [
    ("--from {place}/absent.csv --target condition", ["absent.csv: no such file"]),
    ("--from {place}/folder.csv --target condition", ["folder.csv: is a folder"]),
    ("--from {place}/text.xlsx --target condition", ["ending of the file is not known. Known: .csv"]),
    ("--from {place}/empty.csv --target condition", ["empty.csv: holds no rows"]),
    ("--from {place}/header.csv --target condition", ["header.csv: holds no rows"]),
    ("--from {place}/latin.csv --target sex", ["latin.csv: is not UTF-8 text"]),
    ("--from {place}/ragged.csv --target sex", ["ragged.csv, line 3: 3 values where the header has 2"]),
    ("--from {place}/twice.csv --target age", ["column 'age' stands 2 times"]),
    ("--from {place}/cut.csv.gz --target condition", ["cut.csv.gz: the compressed file is damaged"]),
    ("--from {place}/fake.csv.gz --target condition", ["fake.csv.gz: the compressed file is damaged"]),
    ("--from {place}/broken.parquet --target condition", ["broken.parquet: is not a Parquet file"]),
    ("--from {place}/lines.jsonl --target age", ["lines.jsonl, line 2: is not a JSON object"]),
    ("--from {place}/clinic.csv --target conditon", ["no column 'conditon'. Did you mean 'condition'?"]),
    ("--from {place}/clinic.csv --target mrn", ["looks like an identifier or free text"]),
    ("--from {place}/numbers.csv --target value", ["looks like a number, not classes"]),
    ("--from {place}/one.csv --target condition", ["has one value in 2 rows"]),
    ("--from sklearn:none --target target", ["no such bundled set. Known: breast_cancer"]),
    ("--from cohort:none --target target", ["cohort:none", "severity"]),
    ("--from https://user:pw@host/x.csv --target target", ["https://host/x.csv: is a URL"]),
]


@pytest.mark.parametrize(("line", "says"), INIT)
def test_what_init_refuses(place: Path, tmp_path: Path, line: str, says: list[str]) -> None:
    output = tmp_path / "new.yaml"
    outcome = galeno("init", *line.format(place=place).split(), "--output", output)
    message = outcome.refused(*says)
    for word in (HIDDEN, CANARY, "pw"):
        assert word not in message
    assert list(tmp_path.iterdir()) == []


def test_init_refuses_a_folder_that_is_not_there_and_a_file_that_is(place: Path, tmp_path: Path) -> None:
    line = ["init", "--from", place / "clinic.csv", "--target", "condition", "--output"]
    galeno(*line, tmp_path / "absent" / "new.yaml").refused("absent: no such folder. Make it first")
    galeno(*line, tmp_path / "new.yaml").ended(0)
    galeno(*line, tmp_path / "new.yaml").refused("new.yaml: this file is there already. Use --force")
    assert galeno(*line, tmp_path / "new.yaml", "--force").ended(0).out == f"{tmp_path / 'new.yaml'}\n"
    galeno(*line, tmp_path).refused("is a folder")


STUDIES: list[tuple[tuple[str, str], list[str]]] = [
    (("name: clinic", "name: My Clinic"), ["line 1: name: ", "pattern"]),
    (("  target: condition", "  targt: condition"), ["line 4: records.targt: unknown key", "'target'?"]),
    (("max: 120", "max: -1"), ["line 12: columns.age: min is greater than max"]),
    (("type: text", "type: txt"), ["line 15: columns.note.type: Input should be 'number', 'category'"]),
    (("values: [G]", "values: [I]"), ["line 7: classes: one target value belongs to two classes"]),
    (("split: {folds: 2}", "split: {folds: 2, test: 0.5}"), ["add up to 1.4, not to 1"]),
    (("unit: mmol/L", 'unit: "mmol'), ["changed.yaml, line ", "not valid YAML"]),
    (("groups: [sex]", "groups: [gender]"), ["evaluation.groups names 'gender'"]),
    (("  patient: mrn", "  patient: age"), ["column 'age' is the patient and cannot be a feature"]),
    (("  patient: mrn", "  target: visit"), ["line 5: key 'target' stands twice"]),
]


@pytest.mark.parametrize(("change", "says"), STUDIES)
def test_a_faulty_study_file_is_told_by_line(
    tmp_path: Path, change: tuple[str, str], says: list[str]
) -> None:
    outcome = galeno("run", write_study(tmp_path, change), "--home", tmp_path / "home")
    assert "changed.yaml" in outcome.refused(*says)
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    "text", ["", "just text\n", "- a\n- b\n", "a: [1\n", "a: b: c\n", "\ta: 1\n", "a: \x07\n"]
)
def test_what_is_no_study_at_all_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(text, encoding="utf-8")
    assert "study.yaml" in galeno("run", path, "--home", tmp_path / "home").refused()


def test_study_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes("name: ñ\n".encode("latin-1"))
    galeno("run", tmp_path / "absent.yaml").refused("absent.yaml: no such study file", "galeno init")
    galeno("run", tmp_path).refused("is a folder, not a study file")
    galeno("run", tmp_path / "latin.yaml").refused("latin.yaml: cannot be read as text")


OVERRIDES = [
    ("seed", ["--set seed: an override is KEY=YAML. For example --set seed=3"]),
    ("=3", ["an override is KEY=YAML"]),
    ("sed=3", ["--set sed: sed: unknown key; did you mean 'seed'?"]),
    ("seed=abc", ["--set seed: seed: Input should be a valid integer"]),
    ("seed=[1", ["--set seed: the value is not valid YAML"]),
    ("seed.x=1", ["--set seed.x: ", "seed"]),
    ("name.x=1", ["--set name.x: 'name' has no keys below it"]),
    ("learning.budget.trials=0", ["learning.budget.trials: Input should be greater than or equal to 1"]),
    ("learning.families=[forrest]", ["Input should be 'logistic', 'tree', 'forest'"]),
    ("records.drop=[weight]", ["records.drop names 'weight', which is not among the columns"]),
    ("records.drop=[age, sex, lactate, note]", ["records.drop leaves no feature column"]),
    ("gate.accuracy=high", ["gate.accuracy: a threshold is a number, or {min: NUMBER, max: NUMBER}"]),
    ("gate.acuracy=0.8", ["gate.acuracy", "Did you mean accuracy?"]),
    ("gate.per_class.graves.recall=0.8", ["gate.per_class.graves.recall", "grave"]),
    ("gate.gap.age.accuracy=0.1", ["gate.gap.age.accuracy", "sex"]),
    ("split.by=time", ["split.by is time, but records.time names no column"]),
    ("records.source=absent.csv", ["absent.csv: no such file"]),
    (
        "records.source={url: 'nothing://host/db', query: SELECT 1}",
        ["driver of the database is not installed"],
    ),
    ("records.source={url: 'sqlite:////absent/x.db', query: DROP TABLE x}", ["SELECT"]),
    ("records.source={url: 'sqlite:///${ABSENT_VARIABLE}', query: SELECT 1}", ["ABSENT_VARIABLE"]),
]


@pytest.mark.parametrize(("override", "says"), OVERRIDES)
def test_what_set_refuses(place: Path, tmp_path: Path, override: str, says: list[str]) -> None:
    outcome = galeno("run", place / "clinic.yaml", "--home", tmp_path / "home", "--set", override)
    outcome.refused(*says)
    runs = tmp_path / "home" / "runs"
    assert not runs.exists() or list(runs.iterdir()) == []


@pytest.mark.parametrize(
    "study_change", [("target: condition", "target: outcome"), ("lactate: ", "lactat: ")]
)
def test_columns_that_the_records_lack_are_told(
    place: Path, tmp_path: Path, study_change: tuple[str, str]
) -> None:
    (tmp_path / "clinic.csv").write_bytes((place / "clinic.csv").read_bytes())
    outcome = galeno("run", write_study(tmp_path, study_change), "--home", tmp_path / "home")
    name = study_change[1].strip(": ").split()[-1]
    assert CANARY not in outcome.refused(name, "clinic.csv")


PREDICT = [
    ("", "absent.csv", "a.csv", ["absent.csv: no such file. Check the path"]),
    ("", "text.xlsx", "a.csv", ["ending of the file is not known"]),
    ("", "empty.csv", "a.csv", ["empty.csv: holds no rows"]),
    ("", "empty.jsonl", "a.csv", ["empty.jsonl: holds no rows"]),
    ("", "header.csv", "a.csv", ["header.csv: holds no rows"]),
    (
        "",
        "columns.csv",
        "a.csv",
        ["columns.csv: columns that the model needs", "lactate, note. ", "leave cells empty"],
    ),
    ("", "latin.csv", "a.csv", ["latin.csv"]),
    ("", "ragged.csv", "a.csv", ["ragged.csv"]),
    ("", "cut.csv.gz", "a.csv", ["cut.csv.gz: the compressed file is damaged"]),
    ("", "broken.parquet", "a.csv", ["broken.parquet: is not a Parquet file"]),
    ("", "lines.jsonl", "a.csv", ["lines.jsonl, line 2: is not a JSON object"]),
    ("", "clinic.csv", "a.xlsx", ["a.xlsx: the ending is not known. Use one of: .csv"]),
    ("", "clinic.csv", "x/a.csv", ["x: no such folder. Make it first"]),
    ("clinic@2", "clinic.csv", "a.csv", ["clinic has no version or alias '2'. Versions: 1"]),
    ("clinic@x", "clinic.csv", "a.csv", ["clinic has no version or alias 'x'"]),
    ("heart@1", "clinic.csv", "a.csv", ["no study 'heart' is registered. Registered: clinic"]),
    ("clinic", "clinic.csv", "a.csv", ["no package folder here", "STUDY@champion"]),
    (".", "clinic.csv", "a.csv", ["manifest.json: no package there"]),
]


@pytest.mark.parametrize(("model", "source", "output", "says"), PREDICT)
@pytest.mark.usefixtures("done")
def test_what_predict_refuses(
    request: pytest.FixtureRequest, model: str, source: str, output: str, says: list[str]
) -> None:
    place, folder, home = (request.getfixturevalue(name) for name in ("place", "tmp_path", "clinic_home"))
    line = [model or "clinic@champion", "--input", place / source, "--output", folder / output]
    message = galeno("predict", *line, "--home", home).refused(*says)
    assert HIDDEN not in message
    assert CANARY not in message
    assert list(folder.iterdir()) == []


EVALUATE = [
    ("unlabelled.csv", ["no column 'condition', the target of the study", "galeno predict"]),
    ("no_labels.csv", ["no row has a target"]),
    ("columns.csv", ["not there: lactate, note"]),
    ("absent.csv", ["absent.csv: no such file"]),
]


@pytest.mark.parametrize(("source", "says"), EVALUATE)
@pytest.mark.usefixtures("done")
def test_what_evaluate_refuses(clinic_home: Path, place: Path, source: str, says: list[str]) -> None:
    line = ["clinic@champion", "--input", place / source, "--home", clinic_home, "--json"]
    outcome = galeno("evaluate", *line)
    assert HIDDEN not in outcome.refused(*says)


REGISTRY = [
    ("list heart", ["no study 'heart' is registered. Registered: clinic"]),
    ("show heart", ["no study 'heart' is registered"]),
    ("show clinic@9", ["clinic has no version or alias '9'. Versions: 1"]),
    ("promote clinic 9", ["clinic has no version or alias '9'"]),
    ("promote heart@1", ["no study 'heart' is registered"]),
    (
        "rollback clinic",
        ["clinic has no earlier champion to go back to", "galeno models promote clinic VERSION"],
    ),
    ("rollback heart", ["no study 'heart' is registered"]),
]


@pytest.mark.parametrize(("line", "says"), REGISTRY)
def test_what_the_registry_refuses(done: RunResult, clinic_home: Path, line: str, says: list[str]) -> None:
    galeno("models", *line.split(), "--home", clinic_home).refused(*says)


@pytest.mark.parametrize("line", ["list", "show clinic", "promote clinic 1", "rollback clinic"])
def test_a_mistyped_home_is_told_and_not_made(tmp_path: Path, line: str) -> None:
    message = galeno("models", *line.split(), "--home", tmp_path / "hmoe").refused(
        "hmoe: there is no home here"
    )
    assert "--home or GALENO_HOME" in message
    assert list(tmp_path.iterdir()) == []


def test_a_registry_that_does_not_answer(tmp_path: Path) -> None:
    (tmp_path / "registry.db").write_text("no database", encoding="utf-8")
    galeno("models", "list", "--home", tmp_path).refused("registry.db: the registry does not answer")
    address = "postgresql+nothing://user:pw@127.0.0.1:1/db"
    message = galeno("models", "list", GALENO_REGISTRY=address).refused("GALENO_REGISTRY")
    assert "pw" not in message


def test_verify_names_the_changed_file(done: RunResult, tmp_path: Path, place: Path) -> None:
    galeno("verify", tmp_path / "absent").refused("no package there", "galeno run")
    galeno("verify", place / "clinic.csv").refused("no package there")
    galeno("verify", tmp_path).refused("no package there")
    assert galeno("verify", done.package).ended(0).out.endswith(f"sha256 {done.package_sha256}\n")


STEPS = [
    ("train --run clinic-0", ["no step 'train'. The steps are: ingest, split, learn"]),
    ("learn --run clinic-0", ["no run 'clinic-0'"]),
    ("learn --run ../runs", ["no run '../runs'"]),
    (
        "gate --run {run}",
        ["step 'gate' needs step 'ingest', which is not done. Run: galeno step ingest --run {run}"],
    ),
]


@pytest.mark.parametrize(("line", "says"), STEPS)
def test_what_step_refuses(clinic: Study, tmp_path: Path, line: str, says: list[str]) -> None:
    run = prepare_run(clinic, tmp_path)
    galeno("step", *line.format(run=run).split(), "--home", tmp_path).refused(
        *(words.format(run=run) for words in says)
    )


@pytest.mark.parametrize("home", ["{place}/clinic.csv", "{place}/clinic.csv/home", "/proc/galeno-home"])
def test_a_home_that_cannot_be_made(place: Path, home: str) -> None:
    before = files_below(place)
    outcome = galeno("run", place / "clinic.yaml", "--home", home.format(place=place))
    outcome.refused("--home or GALENO_HOME")
    assert files_below(place) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_places_without_permission(place: Path, done: RunResult, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    galeno("run", place / "clinic.yaml", "--home", tmp_path / "home").refused("Permission denied")
    line = ["predict", done.package, "--input", place / "clinic.csv", "--output", tmp_path / "a.csv"]
    galeno(*line).refused("a.csv: cannot be written (Permission denied)")


@pytest.mark.parametrize(
    "line", ["run {place}/clinic.yaml", "predict m --input a --output b", "evaluate m --input a"]
)
def test_a_setting_that_is_no_number(place: Path, tmp_path: Path, line: str) -> None:
    words = line.format(place=place).split()
    outcome = galeno(*words, "--home", tmp_path / "home", GALENO_THREADS="abc")
    outcome.refused("environment: GALENO_THREADS is not a whole number above 0. Set it to")


def test_a_taken_port_is_told_before_the_demo_runs(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        galeno("demo", "--port", port, "--home", tmp_path).refused("cannot listen there")
    assert list(tmp_path.iterdir()) == []


# What commands print


def test_run_prints_what_people_need(done: RunResult, clinic: Study, clinic_home: Path, place: Path) -> None:
    shown = galeno("run", place / "clinic.yaml", "--home", clinic_home).ended(0)
    for path in ("report.html", "card.md"):
        assert path in shown.out
    assert "Registered:  clinic version 1, champion\n" in shown.out
    assert "Gate:        passed: accuracy: " in shown.out
    assert "register" in shown.err


def test_prepare_prints_the_name_only(done: RunResult, clinic: Study, tmp_path: Path) -> None:
    path = Path(str(clinic.records.source)).with_name("clinic.yaml")
    assert galeno("run", path, "--home", tmp_path, "--prepare").ended(0).out == f"{done.run}\n"
    shown = galeno("run", path, "--home", tmp_path, "--prepare", "--json").ended(0)
    assert shown.object == {"run": done.run}


def test_a_refusal_still_prints_the_object(place: Path, make_home: Callable[[], Path]) -> None:
    home = make_home()
    line = ["run", place / "clinic.yaml", "--home", home, "--set", "gate.per_class.grave.recall={min: 1.01}"]
    outcome = galeno(*line, "--json").ended(3)
    assert outcome.object["gate"]["passed"] is False
    assert outcome.object["version"] is None
    assert [line.partition(":")[0] for line in outcome.object["refusals"]] == ["per_class.grave.recall"]
    message = outcome.err.splitlines()[-1]
    assert message.startswith(
        f"Error: {outcome.object['run']}: the gate refused the challenger (per_class.grave.recall"
    )
    assert "nothing was registered. The report says why: " in message
    plain = galeno(*line).ended(3)
    assert "Registered:  no: refused by the gate" in plain.out
    assert galeno("models", "list", "--home", home).ended(0).out == ""


def test_models_are_listed_and_shown(done: RunResult, clinic_home: Path) -> None:
    listed = galeno("models", "list", "--home", clinic_home).ended(0).out.splitlines()
    assert listed[0].split() == ["study", "version", "alias", "macro-F1", "accuracy", "created", "sha256"]
    assert listed[1].split()[:3] == ["clinic", "1", "champion"]
    entries = galeno("models", "list", "clinic", "--home", clinic_home, "--json").ended(0).object
    entry = galeno("models", "show", "clinic", "--home", clinic_home, "--json").ended(0).object
    assert entries == [entry]
    assert entry["package_sha256"] == done.package_sha256
    assert (
        f"package: {done.package}\n"
        in galeno("models", "show", "clinic@1", "--home", clinic_home).ended(0).out
    )


def test_an_empty_home_has_no_models(make_home: Callable[[], Path]) -> None:
    home = make_home()
    empty = galeno("models", "list", "--home", home).ended(0)
    assert (empty.out, empty.err) == ("", "No model is registered yet: galeno run STUDY.yaml\n")
    assert galeno("models", "list", "--home", home, "--json").ended(0).object == []


def test_figures_for_people(done: RunResult, place: Path) -> None:
    frame = visits(n=60).with_columns(condition=pl.col("condition").replace("G", "other"))
    frame.write_csv(place / "labels.csv")
    shown = galeno("evaluate", done.package, "--input", place / "labels.csv").ended(0)
    assert "macro_f1" in shown.out
    assert "class  n" in shown.out
    assert "6 rows are labelled 'other', which is no class of the package" in shown.err


def test_figures_of_patients_stand_beside_those_of_records(done: RunResult, tmp_path: Path) -> None:
    frame = pl.concat([visits(n=30), visits(n=30)])
    first = pl.int_range(frame.height) == 0
    frame.with_columns(condition=pl.when(first).then(pl.lit("G")).otherwise("condition")).write_csv(
        tmp_path / "twice.csv"
    )
    shown = galeno("evaluate", done.package, "--input", tmp_path / "twice.csv").ended(0)
    lines = [line.split() for line in shown.out.splitlines()]
    assert lines[0] == ["figure", "per", "record", "per", "patient"]
    assert lines[1] == ["n", "60", "29"]
    assert lines[2][0] == "accuracy"
    assert len([word for word in lines[2] if word.startswith("(")]) == 2, "both have an interval"
    assert shown.out.count("class, per ") == 2
    assert "1 patients have records of different conditions" in shown.err


def test_what_needs_review_goes_where_it_is_asked_for(done: RunResult, place: Path, tmp_path: Path) -> None:
    line = ["predict", done.package, "--input", place / "clinic.csv", "--output", tmp_path / "a.csv"]
    shown = galeno(*line).ended(0)
    assert "to review" not in shown.err
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    shown = galeno(*line, "--review", tmp_path / "look.csv").ended(0)
    rows = pl.read_csv(tmp_path / "look.csv").height
    assert f"{rows} of 240 records to review: {tmp_path / 'look.csv'}\n" in shown.err
    galeno(*line, "--review", tmp_path / "a.csv").refused("a.csv: two outputs are one file")


def test_an_unexpected_fault_shows_its_kind_only(
    monkeypatch: pytest.MonkeyPatch, place: Path, done: RunResult
) -> None:
    def fail(*_: object) -> None:
        raise ValueError(HIDDEN)

    monkeypatch.setattr("galeno.storage.packages.verify", fail)
    outcome = galeno("verify", done.package)
    assert outcome.code == 1
    assert outcome.err.startswith("Error: unexpected ValueError. This is a fault in Galeno.")
    assert HIDDEN not in outcome.err
    with pytest.raises(ValueError, match=HIDDEN):
        galeno("verify", done.package, GALENO_DEBUG="1")


def test_a_system_that_refuses_is_told_with_the_place(
    monkeypatch: pytest.MonkeyPatch, done: RunResult
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device", "/home/x/lake")

    monkeypatch.setattr("galeno.storage.packages.verify", fail)
    galeno("verify", done.package).refused("/home/x/lake: ", "No space left on device", "Check disk")
