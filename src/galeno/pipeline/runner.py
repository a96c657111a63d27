"""Running a study: a plain loop over steps, each with its result kept under the run.

A run's name holds a key over the study, the data and the code version, so the
same command finds the run it started before and goes on after the last step
that was done. Orchestrators call `run_step` with a run and a step name.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from galeno.errors import RunError
from galeno.evaluation.gate import check_gate
from galeno.ingest.source import read_records, source_name
from galeno.pipeline.context import StepContext, digest_frame
from galeno.pipeline.gathering import fingerprint_files, fingerprint_models, place_of
from galeno.pipeline.steps import STEPS
from galeno.progress import Reporter, Silent
from galeno.storage.home import Home
from galeno.storage.runs import RunFolder
from galeno.study import Study


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run ended with."""

    run: str
    version: str | None
    """Registry version; None when the gate refused."""
    package: str
    package_sha256: str
    gate: dict[str, Any]
    metrics: dict[str, Any]
    """Figures on the test part, the shape that `evaluate --json` prints."""
    report: str
    card: str
    standing: str
    """What the registry says of it, for people."""
    refusals: list[str]
    """The lines of the gate that refused; empty when it passed."""

    def to_dict(self) -> dict[str, Any]:
        """The object that `run --json` prints."""
        return asdict(self)

    @property
    def gate_lines(self) -> list[str]:
        """The gate's verdicts, a line each."""
        outcomes = {"passed": "passed", "failed": "failed", "too_few": "too few patients to tell"}
        return [f"{outcomes[verdict['outcome']]}: {_line(verdict)}" for verdict in self.gate["verdicts"]]


def run_study(
    study: Study,
    home: Path,
    *,
    reporter: Reporter | None = None,
    threads: int = 1,
    fresh: bool = False,
) -> RunResult:
    """Take a study's records to a registered package.

    Args:
        study: the declared study.
        home: folder of lake, runs, packages and registry; made if it is not there.
        reporter: who is told about progress.
        threads: threads per fit.
        fresh: forget an earlier run of the same study, data and code.

    Raises:
        GalenoError: of the step that failed. A refusal by the gate is not raised: see `gate`.
    """
    watcher = reporter or Silent()
    watcher.step("records")
    home = home.resolve()
    folder = _open_or_create(study, home, fresh=fresh)
    with folder.hold():
        for name in STEPS:
            _advance(folder, name, home, watcher, threads)
    return _result(folder)


def prepare_run(study: Study, home: Path, *, fresh: bool = False) -> str:
    """Make a run without doing a step of it, for orchestrators that call `run_step`.

    Returns:
        The run's name: the same for the same study, data and code, unless `fresh`.

    Raises:
        GalenoError: the records cannot be read, or the home cannot be made.
    """
    return _open_or_create(study, home.resolve(), fresh=fresh).name


def run_step(
    run: str, name: str, home: Path, *, reporter: Reporter | None = None, threads: int = 1
) -> dict[str, Any]:
    """Do one step of a run, if it is not done yet, and return its result.

    Raises:
        RunError: no such run or step, or an earlier step is not done.
        GalenoError: of the step.
    """
    if name not in STEPS:
        raise RunError(f"no step {name!r}", remedy=f"The steps are: {', '.join(STEPS)}")
    folder = RunFolder.open(Home(home.resolve()).runs, run)
    names = list(STEPS)
    for earlier in names[: names.index(name)]:
        if folder.result(earlier) is None:
            raise RunError(
                f"step {name!r} needs step {earlier!r}, which is not done",
                where=run,
                remedy=f"Run: galeno step {earlier} --run {run}",
            )
    with folder.hold():
        return _advance(folder, name, home.resolve(), reporter or Silent(), threads)


def _advance(folder: RunFolder, name: str, home: Path, reporter: Reporter, threads: int) -> dict[str, Any]:
    done = folder.result(name)
    if done is not None:
        return done
    reporter.step(name)
    study = Study.model_validate(folder.facts["study"])
    context = StepContext(
        study=study,
        home=Home(home),
        run=folder,
        reporter=reporter,
        threads=study.learning.threads or threads,
    )
    folder.finish(name, STEPS[name](context))
    return dict(_need(folder, name))


def _open_or_create(study: Study, home: Path, *, fresh: bool) -> RunFolder:
    check_gate(study.gate, study.class_names, study.evaluation.groups)
    study = settle_networks(study)
    place = Home(home).create()
    frame, _ = read_records(study)
    with closing(place_of(study)) as place_of_files:
        files = fingerprint_files(frame, study, place_of_files)
    declared = study.model_dump(mode="json")
    facts = {
        "study": declared,
        "source": source_name(study.records.source),
        "data_sha256": digest_frame(frame),
        "code": version("galeno"),
        **({"files_sha256": files} if files else {}),
        **({"models_sha256": models} if (models := fingerprint_models(study)) else {}),
    }
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    name = f"{study.name}-{key[:12]}"
    if fresh:
        name = f"{name}-{datetime.now(UTC):%Y%m%d%H%M%S%f}"
    return RunFolder.create(
        place.runs, name, {**facts, "created": datetime.now(UTC).isoformat(timespec="seconds")}
    )


def settle_networks(study: Study) -> Study:
    """The study with its networks wanted or not, where it leaves that to what is installed."""
    settled = "required" if find_spec("torch") is not None else "none"
    features = study.features.model_copy(
        update={
            name: recipe.model_copy(
                update={"network": "none" if getattr(recipe, "fine_tune", False) else settled}
            )
            for name, recipe in (("audio", study.features.audio), ("image", study.features.image))
            if recipe.network == "auto"
        }
    )
    return study.model_copy(update={"features": features})


def _result(folder: RunFolder) -> RunResult:
    evaluated, gate, packaged, registered = (
        _need(folder, step) for step in ("evaluate", "gate", "package", "register")
    )
    return RunResult(
        run=folder.name,
        version=registered["version"],
        package=registered["package"],
        package_sha256=packaged["package_sha256"],
        gate=dict(gate),
        metrics=dict(evaluated["test"]),
        report=packaged["report"],
        card=packaged["card"],
        standing=registered["standing"],
        refusals=_refusals(gate, folder.facts["study"]["gate"]["too_few"]),
    )


def _refusals(gate: Mapping[str, Any], too_few: str) -> list[str]:
    refusing = ("failed", "too_few") if too_few == "refuse" else ("failed",)
    return [_line(verdict) for verdict in gate["verdicts"] if verdict["outcome"] in refusing]


def _line(verdict: Mapping[str, Any]) -> str:
    return f"{verdict['figure']}: {verdict['reason']}"


def _need(folder: RunFolder, step: str) -> Mapping[str, Any]:
    result = folder.result(step)
    if result is None:
        raise RunError(f"step {step!r} is not done", where=folder.name)
    return result
