"""The command line: a command parses, calls one function, prints.

Rooms are imported inside the commands, so that `galeno --help` answers at once.
Results go to standard output, progress and messages to standard error.
"""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from galeno.errors import GalenoError, GateRefusedError
from galeno.operations import add_operations
from galeno.options import Home, Json, choose_home
from galeno.rare import add_rare
from galeno.settings import ServiceSettings, Settings

if TYPE_CHECKING:
    from galeno.model.model import Model
    from galeno.pipeline.runner import RunResult

app = typer.Typer(
    name="galeno",
    help="From patient records to a diagnostic model that is gated, packaged and registered.\n\n"
    "Start with: galeno demo, or with your own table: galeno init --from TABLE --target COLUMN.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
models = typer.Typer(help="List, show, promote and roll back registered models.", no_args_is_help=True)
app.add_typer(models, name="models")
add_operations(app)
add_rare(app)

Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=YAML", help="Override a study key, e.g. learning.budget.minutes=5. Repeatable."
    ),
]
ModelName = Annotated[
    str, typer.Argument(metavar="MODEL", help="A package folder, STUDY@champion or STUDY@VERSION.")
]
InputFile = Annotated[
    Path,
    typer.Option("--input", "-i", help="Records: CSV(.gz), Parquet, JSON lines, or .npz arrays of images."),
]
Files = Annotated[
    str,
    typer.Option(
        "--files",
        metavar="PLACE",
        help="Where the sounds and images are that the records name: a folder, a .zip or s3://BUCKET/PREFIX. "
        "Default: as the study says, or beside the records.",
    ),
]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="Threads. Default: GALENO_THREADS.")]


class _MissingOption(typer.BadParameter):
    """An option that only some inputs need, told as the parser tells of those that all need."""

    def format_message(self) -> str:
        return self.message


@app.command()
def demo(
    home: Home = None,
    serve: Annotated[
        bool,
        typer.Option("--serve/--no-serve", help="Start the service afterwards, on this machine only."),
    ] = True,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port of the service.")] = 8000,
    as_json: Json = False,
) -> None:
    """Run the built-in simulated study, and serve its model.

    Prints an address for each role that signs in to the pages once.
    """
    from galeno.pipeline.example import example_study
    from galeno.pipeline.runner import run_study

    if serve:
        _check_port(port)
    place = choose_home(home)
    with _progress() as reporter:
        result = run_study(example_study("severity"), place, reporter=reporter, threads=_settings().threads)
    _print_run(result, as_json=as_json)
    if not as_json:
        ask = f"galeno predict severity@champion --home {place} --input YOUR.csv --output ANSWERS.csv"
        typer.echo(f"\nAsk it:      {ask}")
    if serve:
        _serve_demo(place, port)


@app.command()
def init(
    source: Annotated[
        str,
        typer.Option("--from", help="CSV(.gz), Parquet, JSON lines, image arrays (.npz), or sklearn:NAME."),
    ],
    target: Annotated[
        str | None,
        typer.Option("--target", help="Column with the confirmed condition. Of .npz files: label."),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Study file; its stem names the study.")
    ] = Path("study.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite the study file if it is there.")] = False,
) -> None:
    """Draft a study file by looking at a table."""
    if target is None and not source.lower().endswith(".npz"):
        raise _MissingOption("Missing option '--target'.")

    from galeno.pipeline.drafting import draft_file

    notes = draft_file(source, target or "label", output, force=force)
    for note in notes:
        typer.echo(note, err=True)
    typer.echo(str(output))


@app.command()
def run(
    study: Annotated[Path, typer.Argument(metavar="STUDY.yaml", help="The study file.")],
    home: Home = None,
    overrides: Overrides = None,
    threads: Threads = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start over instead of going on with an earlier, equal run.")
    ] = False,
    prepare: Annotated[
        bool,
        typer.Option("--prepare", help="Only make the run and print its name; galeno step does the steps."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Take a study's records to a registered model.

    Records, split, learning, evaluation, gate, package, registry. A run that was killed goes on where it
    stopped. Exit code 3: refused by the gate.
    """
    from galeno.study_file import load_study

    declared = load_study(study, overrides or [])  # a faulty study is told before the slow imports

    from galeno.pipeline.runner import prepare_run, run_study

    if prepare:
        name = prepare_run(declared, choose_home(home), fresh=fresh)
        typer.echo(json.dumps({"run": name}) if as_json else name)
        return
    with _progress() as reporter:
        result = run_study(
            declared,
            choose_home(home),
            reporter=reporter,
            threads=threads or _settings().threads,
            fresh=fresh,
        )
    _print_run(result, as_json=as_json)


@app.command()
def step(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="ingest, split, learn, fit, evaluate, gate, package, register."),
    ],
    run_name: Annotated[str, typer.Option("--run", help="Name of the run, as galeno run prints it.")],
    home: Home = None,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Do one step of a run alone, for orchestrators.

    The run comes from galeno run --prepare. A step that is done is not done again.
    """
    from galeno.pipeline.runner import run_step

    with _progress() as reporter:
        result = run_step(
            run_name, name, choose_home(home), reporter=reporter, threads=threads or _settings().threads
        )
    typer.echo(json.dumps(result, ensure_ascii=False) if as_json else f"{run_name}: {name} done")


@app.command()
def predict(
    model: ModelName,
    input_file: InputFile,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="CSV(.gz), Parquet or JSON lines(.gz), by its ending.")
    ],
    home: Home = None,
    review: Annotated[
        Path | None,
        typer.Option(
            "--review",
            metavar="FILE",
            help="For the records of low confidence or with a faulty file, with the names of their files and "
            "the reasons. Default: beside the output of a study with sounds or images, as "
            "ANSWERS.review.csv for ANSWERS.csv.",
        ),
    ] = None,
    files: Files = "",
    threads: Threads = None,
) -> None:
    """Diagnose every record of a file.

    In batches of bounded memory; no record is dropped. A record whose sound or image cannot be read is
    answered without it. Where the study has sounds or images and names the patients, each record also tells
    the answer of its patient, from the mean probability of all records that the patient has in the file.
    """
    from galeno.pipeline.loading import load
    from galeno.pipeline.scoring import predict_file

    loaded = load(model, home=choose_home(home), threads=threads or _settings().threads)
    with _progress() as reporter:
        done = predict_file(loaded, input_file, output, review=review, files=files, reporter=reporter)
    if done.review is not None:
        typer.echo(f"{done.flagged} of {done.rows} records to review: {done.review}", err=True)
    typer.echo(f"{done.rows} records diagnosed: {output}", err=True)


@app.command()
def evaluate(
    model: ModelName,
    input_file: InputFile,
    home: Home = None,
    files: Files = "",
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Judge a model on labelled records.

    Record by record, and patient by patient where patients have several.
    """
    from galeno.pipeline.loading import load
    from galeno.pipeline.scoring import evaluate_file
    from galeno.terminal import print_figures

    loaded = load(model, home=choose_home(home), threads=threads or _settings().threads)
    figures = evaluate_file(loaded, input_file, files=files)
    if as_json:
        typer.echo(json.dumps(figures, ensure_ascii=False, allow_nan=False))
        return
    print_figures(figures, _record_noun(loaded))


@app.command()
def report(
    name: Annotated[
        str, typer.Argument(metavar="RUN", help="A run, as galeno run prints it, or STUDY[@VERSION].")
    ],
    home: Home = None,
) -> None:
    """Say where the report of a run is: one page for a browser.

    Figures, gate, and, of a study with sounds or images, examples of right, wrong and low-confidence answers
    with what spoke in them; of real patients only where the study allows it.
    """
    from galeno.pipeline.packaging import find_report
    from galeno.storage.home import Home as HomeFolder

    typer.echo(str(find_report(name, HomeFolder(choose_home(home)))))


@app.command()
def verify(package: Annotated[Path, typer.Argument(metavar="PACKAGE", help="A package folder.")]) -> None:
    """Check every byte of a package against its manifest."""
    from galeno.storage.packages import verify as verify_package

    manifest = verify_package(package)
    typer.echo(f"{package}: intact, {len(manifest.files)} files, sha256 {manifest.package_sha256}")


@app.command()
def schema() -> None:
    """Print the JSON schema of study files, for editors."""
    from galeno.study_file import study_schema

    typer.echo(study_schema(), nl=False)


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as installed

    typer.echo(installed("galeno"))


@models.command("list")
def list_models(
    study: Annotated[str | None, typer.Argument(metavar="STUDY", help="Only this study.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """List registered models."""
    from galeno.terminal import print_table, shown

    versions = _registry(home).versions(study)
    if as_json:
        typer.echo(json.dumps([version.to_dict() for version in versions], ensure_ascii=False))
        return
    if not versions:
        typer.echo("No model is registered yet: galeno run STUDY.yaml", err=True)
        return
    rows = [
        [
            entry.study,
            entry.version,
            ", ".join(entry.aliases),
            shown(entry.metrics.get("macro_f1")),
            shown(entry.metrics.get("accuracy")),
            entry.created[:16],
            entry.package_sha256[:12],
        ]
        for entry in versions
    ]
    print_table(["study", "version", "alias", "macro-F1", "accuracy", "created", "sha256"], rows)


@models.command("show")
def show_model(
    model: Annotated[
        str, typer.Argument(metavar="STUDY[@VERSION]", help="Champion unless a version is named.")
    ],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show one registered model."""
    study, _, wanted = model.partition("@")
    entry = _registry(home).get(study, wanted or "champion")
    if as_json:
        typer.echo(json.dumps(entry.to_dict(), ensure_ascii=False))
        return
    for key, value in entry.to_dict().items():
        typer.echo(
            f"{key}: {json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value}"
        )


@models.command()
def promote(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="Name of the study, or STUDY@VERSION.")],
    version_number: Annotated[
        str | None, typer.Argument(metavar="VERSION", help="The version that shall answer.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Make a registered version the champion."""
    name, _, wanted = study.partition("@")
    chosen = version_number or wanted
    if not chosen:
        raise typer.BadParameter("name the version, for example: galeno models promote thyroid 2")
    entry = _registry(home).promote(name, chosen)
    if as_json:
        typer.echo(json.dumps(entry.to_dict(), ensure_ascii=False))
    else:
        typer.echo(f"{entry.study}@champion is now version {entry.version}")


@models.command()
def rollback(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="Name of the study.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Go back to the champion before this one."""
    entry = _registry(home).rollback(study)
    if as_json:
        typer.echo(json.dumps(entry.to_dict(), ensure_ascii=False))
    else:
        typer.echo(f"{entry.study}@champion is version {entry.version} again")


def main() -> None:
    """Entry point: expected failures print one message and set the exit code; no traceback."""
    try:
        app()
    except GalenoError as error:
        typer.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # the reader (head, less) went away; keep Python from complaining when it closes the stream
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        # of the file system, such as a full disk: the path is no value of a record
        where = f"{error.filename}: " if error.filename else ""
        what = f"the system refused to read or write ({error.strerror or type(error).__name__})"
        typer.echo(f"Error: {where}{what}. Check disk and permissions", err=True)
        sys.exit(2)
    except Exception as error:
        if os.environ.get("GALENO_DEBUG"):
            raise
        # the message of an unexpected error may hold a value of a record, so only its kind is shown
        typer.echo(
            f"Error: unexpected {type(error).__name__}. This is a fault in Galeno. "
            "GALENO_DEBUG=1 shows where; check for patient data before you share it.",
            err=True,
        )
        sys.exit(1)


def _check_port(port: int) -> None:
    """See that the service will be able to listen, before minutes of work."""
    from galeno.service.serve import listen

    listen("127.0.0.1", port).close()


def _serve_demo(home: Path, port: int) -> None:
    """Serve a home on the loopback address, with a user of each role to look at it with."""
    from galeno.service.app import AppOptions
    from galeno.service.invite import invite_demo
    from galeno.service.serve import ServeOptions
    from galeno.service.serve import serve as answer

    settings = ServiceSettings.from_environment()

    def invite(line: str) -> None:
        typer.echo(line, err=True)
        base = settings.public_url or f"http://127.0.0.1:{port}"
        typer.echo("\nOpen one of these in a browser; each signs in once, within 30 minutes:")
        for invitation in invite_demo(home, settings, base):
            typer.echo(f"  {invitation.role + ':':<11} {invitation.address}")
        typer.echo(
            f"Another one: galeno users welcome demo.clinician --home {home}. Ctrl-C stops the service."
        )

    answer(ServeOptions(AppOptions(home), port=port), settings, say=invite)


def _settings() -> Settings:
    return Settings.from_environment()


def _registry(home: Path | None) -> Any:
    from galeno.pipeline.loading import open_registry

    return open_registry(choose_home(home))


def _progress() -> Any:
    from galeno.terminal import terminal_reporter

    return terminal_reporter()


def _print_run(result: "RunResult", *, as_json: bool) -> None:
    from galeno.terminal import shown

    if as_json:
        typer.echo(json.dumps(result.to_dict(), ensure_ascii=False, allow_nan=False))
    else:
        typer.echo(f"Run:         {result.run}")
        typer.echo(f"Report:      {result.report}")
        typer.echo(f"Model card:  {result.card}")
        typer.echo(f"Package:     {result.package}")
        typer.echo(f"Registered:  {result.standing}")
        for key in ("accuracy", "balanced_accuracy", "macro_f1"):
            typer.echo(f"{key + ':':<20} {shown(result.metrics.get(key))}")
        for line in result.gate_lines:
            typer.echo(f"Gate:        {line}")
    if not result.gate["passed"]:
        raise GateRefusedError(
            f"the gate refused the challenger ({'; '.join(result.refusals)}); nothing was registered",
            where=result.run,
            remedy=f"The report says why: {result.report}",
        )


def _record_noun(model: "Model") -> str:
    """What one row is: a study with sounds has a row for each recording."""
    return "recording" if any(c.type == "sound" for c in model.study.columns.values()) else "record"
