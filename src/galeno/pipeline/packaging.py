"""The package step: evidence, evaluation, card and provenance beside the graphs; sealed; then the report."""

import os
import platform
import shutil
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from galeno.errors import NotFoundError
from galeno.evaluation.card import render_card
from galeno.evaluation.report import render_report
from galeno.pipeline.context import StepContext
from galeno.pipeline.describe import describe
from galeno.pipeline.loading import open_registry
from galeno.storage.atomic import replacing, write_json, write_text
from galeno.storage.home import Home
from galeno.storage.packages import seal
from galeno.storage.runs import REPORT, RunFolder

LIBRARIES = ("galeno", "numpy", "polars", "scikit-learn", "xgboost-cpu", "lightgbm", "onnx", "onnxruntime")


def seal_package(context: StepContext) -> dict[str, Any]:
    """Complete the package in the run's folder, seal it, and write the report beside it.

    Returns:
        package, package_sha256, report, card: paths as texts.
    """
    place = context.place("package")
    folder = place / "model"
    shutil.copytree(context.made("fit") / "package", folder)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    evaluated = context.result("evaluate")["test"]
    write_json(folder / "evidence.json", context.result("split")["evidence"])
    write_json(folder / "evaluation.json", evaluated)
    write_json(folder / "provenance.json", _provenance(context, created))
    study = context.study
    # figures follow from the model and the split; their last digits differ between machines, so they stay out
    identity = (*context.result("fit")["files"], "evidence.json")
    about = {"study": study.name, "classes": list(study.class_names), "simulated": study.simulated}
    # the card is none of the identity: it names the hash, and the second seal covers the card
    sha256 = seal(folder, identity, about)
    content = describe(context, package_sha256=sha256, created=created, libraries=_libraries())
    write_text(folder / "card.md", render_card(content))
    seal(folder, identity, about)
    report = place / REPORT
    personal = bool(content.examples) and not study.simulated
    with replacing(report, mode=0o600 if personal else None) as temporary:
        temporary.write_text(render_report(content), encoding="utf-8", newline="")
    return {
        "package": str(folder),
        "package_sha256": sha256,
        "report": str(report),
        "card": str(folder / "card.md"),
    }


def find_report(name: str, home: Home) -> Path:
    """The report of a run, or of the run that a registered model came from.

    Args:
        name: a run, or STUDY[@VERSION] as for `galeno models show`.
        home: of both.

    Raises:
        NotFoundError: no such run or model, its run has no package yet, or the report was removed.
    """
    run = name
    if not (home.runs / name).is_dir():
        study, _, version_name = name.partition("@")
        run = open_registry(home.root).get(study, version_name or "champion").run
    path = RunFolder.open(home.runs, run).root / "package" / REPORT
    if not path.is_file():
        raise NotFoundError("there is no report", where=run, remedy="galeno run STUDY.yaml makes it")
    return path


def copy_folder(source: Path, target: Path) -> None:
    """Copy a folder so that the target appears whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.parent / f".{target.name}.{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(source, temporary)
    for path in temporary.rglob("*"):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
    temporary.rename(target)


def _provenance(context: StepContext, created: str) -> dict[str, Any]:
    """What led to this package and may differ between equal packages: times, run, source, libraries."""
    ingested = context.result("ingest")
    return {
        "run": context.run.name,
        "created": created,
        "source": context.run.facts["source"],
        "data_sha256": context.run.facts["data_sha256"],
        "lake": {name: ingested[name] for name in ("table", "version", "batches")},
        "libraries": _libraries(),
    }


def _libraries() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}
