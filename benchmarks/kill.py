"""kill -9 of the service again and again while it answers: every acknowledged answer must be kept, once.

    python benchmarks/kill.py [--requests 20000] [--kills 5] [--workers 1]

The test of the same name does this with fewer requests; both use tests/e2e/killing.py.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "e2e")]

from clinic import clinic_study  # noqa: E402
from hospital import ROLES, add_user  # noqa: E402
from killing import kill_under_load  # noqa: E402
from staffed import OPTIONS, Staffed  # noqa: E402

from galeno.pipeline.runner import run_study  # noqa: E402


def main() -> None:
    """Train the small clinic, kill its service, and say what became of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--workers", default="1")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        home = folder / "trained"
        home.mkdir(mode=0o700)
        run_study(clinic_study(folder / "clinic"), home, threads=2)
        staffed = Staffed(home, {role: add_user(home, f"{role}.one", role) for role in ROLES})
        options = ("--workers", chosen.workers)
        with staffed.open(folder, *options) as hospital:
            killed = kill_under_load(hospital, chosen.requests, *OPTIONS, *options, kills=chosen.kills)
    print(f"{killed.acknowledged} acknowledged, all in the journal, each once; the audit trail is intact")
    print(f"{killed.lost} without an answer, of which {killed.kept - killed.acknowledged} are in the journal")
    print(
        f"{chosen.kills} times killed; ready again after {statistics.median(killed.restarts):.2f} s (median)"
    )


if __name__ == "__main__":
    main()
