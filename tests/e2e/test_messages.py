"""The installed command itself: exit codes and one clear message, from a process of its own."""

from collections.abc import Callable
from pathlib import Path

import pytest
from clinic import CANARY, open_clinic
from command_line import installed


def test_good_news_is_0() -> None:
    assert "Usage: galeno" in installed("--help").ended(0).out


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("run absent.yaml", "absent.yaml: no such study file. Draft one with: galeno init"),
        ("init --from clinic.csv --target mrn", "looks like an identifier or free text"),
        ("predict clinic@1 --home hmoe --input clinic.csv --output a.csv", "hmoe: there is no home here"),
    ],
)
def test_bad_input_is_2_with_one_message(tmp_path: Path, line: str, says: str) -> None:
    open_clinic(tmp_path)
    outcome = installed(*line.split(), folder=tmp_path)
    message = outcome.refused(says)
    assert outcome.err == f"{message}\n"
    assert CANARY not in message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clinic.csv", "clinic.yaml"]


def test_a_refusal_by_the_gate_is_3(tmp_path: Path, make_home: Callable[[], Path]) -> None:
    study, home = open_clinic(tmp_path), make_home()
    line = ["run", study, "--home", home, "--set", "gate.accuracy=1.01", "--json"]
    outcome = installed(*line).ended(3)
    assert outcome.object["gate"]["passed"] is False
    assert outcome.object["version"] is None
    assert "the gate refused the challenger (accuracy: " in outcome.err.splitlines()[-1]
    report = Path(outcome.object["report"]).read_text(encoding="utf-8")
    assert "at least 1.01" in report
    assert list((home / "packages").iterdir()) == []
