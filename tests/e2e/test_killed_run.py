"""kill -9 at any stage: the same command goes on, and the package is that of a run that was not killed."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from clinic import open_clinic
from command_line import galeno, installed, started

from galeno.pipeline.runner import run_study
from galeno.study_file import load_study

OVERRIDES = ["learning.budget.trials=6", "learning.families=[logistic, tree, forest]"]
LINE = [word for override in OVERRIDES for word in ("--set", override)]
STAGES = {"learn": "learn/0001.json", "fit": "steps/learn.json", "register": "steps/package.json"}
"""What has appeared when the stage is at work."""


def wait_for(home: Path, pattern: str) -> None:
    ends = time.monotonic() + 120
    while not list(home.glob(f"runs/*/{pattern}")):
        assert time.monotonic() < ends, f"{pattern} did not appear"
        time.sleep(0.005)


@pytest.fixture(scope="module")
def study_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return open_clinic(tmp_path_factory.mktemp("killed"))


def test_a_run_killed_again_and_again_ends_with_the_same_package(
    study_file: Path, make_home: Callable[[], Path]
) -> None:
    expected = run_study(load_study(study_file, OVERRIDES), make_home(), threads=2)
    home = make_home()
    for stage, sign in STAGES.items():
        with started("run", study_file, "--home", home, *LINE) as process:
            wait_for(home, sign)
            # stopped, it is still at work but cannot end before it is killed
            os.kill(process.pid, signal.SIGSTOP)
            assert not list(home.glob(f"runs/*/steps/{stage}.json")), f"{stage} was over too soon"
            if stage == "learn":
                busy = "another process is working on this run. Wait for it to end"
                galeno("run", study_file, "--home", home, *LINE).refused(f"runs/{expected.run}: {busy}")
                galeno("step", "ingest", "--run", expected.run, "--home", home).refused(busy)
            os.kill(process.pid, signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
    outcome = galeno("run", study_file, "--home", home, *LINE, "--json").ended(0)
    assert outcome.object["package_sha256"] == expected.package_sha256
    assert (outcome.object["run"], outcome.object["version"]) == (expected.run, "1")
    assert [line for line in outcome.err.splitlines() if not line.startswith(" ")] == ["records", "register"]
    packages = [path.name for path in (home / "packages" / "clinic").iterdir()]
    assert [name for name in packages if not name.startswith(".")] == [expected.package_sha256[:16]]
    assert len(galeno("models", "list", "--home", home, "--json").ended(0).object) == 1
    galeno("verify", outcome.object["package"]).ended(0)


def test_an_orchestrator_runs_the_steps(study_file: Path, make_home: Callable[[], Path]) -> None:
    home = make_home()
    expected = run_study(load_study(study_file), make_home(), threads=2)
    name = installed("run", study_file, "--home", home, "--prepare").ended(0).out.strip()
    for step in ("ingest", "split", "learn", "fit", "evaluate", "gate"):
        assert galeno("step", step, "--run", name, "--home", home).ended(0).out == f"{name}: {step} done\n"
    line = ["--run", name, "--home", home, "--json"]
    package = galeno("step", "package", *line).ended(0).object
    assert package["package_sha256"] == expected.package_sha256
    assert galeno("step", "register", *line).ended(0).object["version"] == "1"
