"""Run folders: results appear when a step is done, and one process works on a run at a time."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from galeno.errors import RunError
from galeno.storage.runs import RunFolder

HOLDER = """
import sys, time
from pathlib import Path
from galeno.storage.runs import RunFolder

with RunFolder(Path(sys.argv[1])).hold():
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path, "heart-1", {"code": "0.1.0", "unit": "µg/l"})


def test_a_run_is_found_again_with_its_facts(run: RunFolder, tmp_path: Path) -> None:
    again = RunFolder.open(tmp_path, "heart-1")
    assert again.name == "heart-1"
    assert again.facts == {"code": "0.1.0", "unit": "µg/l"}


def test_the_facts_of_a_run_stay(run: RunFolder, tmp_path: Path) -> None:
    assert RunFolder.create(tmp_path, "heart-1", {"code": "other"}).facts["code"] == "0.1.0"


@pytest.mark.parametrize("name", ["heart-2", "../heart-1", "", ".", "heart-1/steps", "/etc"])
def test_what_is_no_run_is_told(run: RunFolder, tmp_path: Path, name: str) -> None:
    with pytest.raises(RunError, match="no run"):
        RunFolder.open(tmp_path, name)


def test_a_result_is_there_when_the_step_is_done(run: RunFolder) -> None:
    assert run.result("learn") is None
    run.finish("learn", {"best": 3})
    assert run.result("learn") == {"best": 3}
    assert [path.name for path in (run.root / "steps").iterdir()] == ["learn.json"]


def test_a_damaged_result_is_told(run: RunFolder) -> None:
    run.finish("learn", {"best": 3})
    (run.root / "steps" / "learn.json").write_text('{"best": ', encoding="utf-8")
    with pytest.raises(RunError, match=r"learn\.json: cannot be read.*--fresh"):
        run.result("learn")


def test_a_workplace_is_emptied_unless_kept(run: RunFolder) -> None:
    (run.workplace("fit") / "half").write_text("written", encoding="utf-8")
    assert [path.name for path in run.workplace("fit", keep=True).iterdir()] == ["half"]
    assert list(run.workplace("fit").iterdir()) == []


def test_a_run_is_held_by_one_at_a_time_and_free_again(run: RunFolder) -> None:
    with (
        run.hold(),
        pytest.raises(RunError, match=r"another process is working on this run.*Wait"),
        run.hold(),
    ):
        pass
    with run.hold():
        pass


def test_a_killed_process_lets_go(run: RunFolder) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(run.root)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunError, match="another process"), run.hold():
            pass
        os.kill(holder.pid, signal.SIGKILL)
    with run.hold():
        pass


def test_results_are_plain_json(run: RunFolder) -> None:
    run.finish("gate", {"passed": True, "verdicts": ()})
    text = (run.root / "steps" / "gate.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"passed": True, "verdicts": []}
    with pytest.raises(ValueError, match="JSON"):
        run.finish("evaluate", {"auc": float("nan")})
    assert run.result("evaluate") is None
