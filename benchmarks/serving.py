"""The service beside `mlflow models serve`: the same booster, the same records, one worker each.

    python benchmarks/serving.py --peer PYTHON [--seconds 20] [--connections 32]

PYTHON is the interpreter of an environment with mlflow, scikit-learn, xgboost-cpu and pandas; it is kept
apart, since MLflow's server needs pandas. Without it only Galeno is measured. Galeno answers with journal,
audit trail, encryption and access control on; every answer is on disk before it is acknowledged.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from load import Asked, Load, load
from synthetic import CATEGORIES, FIT_ROWS, FLAGS, NUMBERS, draw, fit_package

from galeno.pipeline.loading import open_registry

HERE = Path(__file__).parent
RECORDS = 400
PATIENTS = 200


def prepare_home(root: Path, family: str, trees: int) -> None:
    """A home whose champion is one booster of 30 columns."""
    package = root / "packages" / "benchmark" / "booster"
    package.parent.mkdir(parents=True)
    fitted = fit_package(package, family, trees=trees)
    registry = open_registry(root, create=True)
    entry = registry.register("benchmark", str(package), fitted.model.package_sha256, "benchmark", {})
    registry.promote("benchmark", entry.version)


@contextmanager
def running(
    command: list[str], port: int, path: str, log: Path, environment: dict[str, str]
) -> Iterator[int]:
    """A server, until the block ends; its process id. Prints how long it took to answer."""
    started = time.perf_counter()
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, stdout=stream, stderr=stream, env={**os.environ, **environment}, start_new_session=True
        )
        try:
            while not _answers(port, path):
                if process.poll() is not None or time.perf_counter() - started > 120:
                    sys.exit(f"{command[0]} did not start: {log.read_text()[-2000:]}")
                time.sleep(0.02)
            print(f"  started in {time.perf_counter() - started:.2f} s")
            yield process.pid
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=40)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def _answers(port: int, path: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def memory_mb(pid: int) -> float:
    """Resident memory of the largest process of a server."""
    process = psutil.Process(pid)
    return max(p.memory_info().rss for p in [process, *process.children(recursive=True)]) / 1e6


def measure(
    name: str,
    server: tuple[int, int],
    asked: tuple[str, list[bytes], dict[str, str]],
    options: argparse.Namespace,
) -> Load:
    """One connection, then many."""
    port, pid = server
    load(port, asked, 4, 2.0)  # warm
    single = load(port, asked, 1, min(options.seconds, 5.0))
    crowd = load(port, asked, options.connections, options.seconds)
    print(f"  {name:<8} 1 connection    {single}")
    print(f"  {name:<8} {options.connections} connections  {crowd}   memory {memory_mb(pid):.0f} MB")
    return crowd


def measure_galeno(root: Path, options: argparse.Namespace, records: list[dict[str, object]]) -> Load:
    """Start, load, and count what is in the journal."""
    galeno = str(Path(sys.executable).with_name("galeno"))
    added = subprocess.run(
        [galeno, "users", "add", "bench", "--role", "clinician", "--home", str(root), "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    headers = {
        "Authorization": f"Bearer {json.loads(added.stdout)['key']}",
        "Content-Type": "application/json",
    }
    bodies = [
        json.dumps({"patient_id": f"p{i % PATIENTS}", "record": record}).encode()
        for i, record in enumerate(records)
    ]
    asked = Asked("/v1/studies/benchmark/diagnoses", bodies, headers)
    port = free_port()
    command = [galeno, "serve", "--home", str(root), "--port", str(port), "--rate", "100000"]
    with running(command, port, "/readyz", root / "galeno.log", {"OMP_NUM_THREADS": "1"}) as pid:
        return measure("Galeno", (port, pid), asked, options)


def measure_mlflow(folder: Path, options: argparse.Namespace, records: list[dict[str, object]]) -> Load:
    """The same booster in a scikit-learn pipeline behind `mlflow models serve`."""
    training, labels = draw(FIT_ROWS, 0)
    training.write_parquet(folder / "training.parquet")
    (folder / "labels.json").write_text(json.dumps(labels.tolist()))
    plan = {
        "folder": str(folder),
        "numbers": [*NUMBERS, *FLAGS],
        "categories": CATEGORIES,
        "trees": options.trees,
        "depth": 6,
    }
    subprocess.run([options.peer, str(HERE / "serving_peer.py"), json.dumps(plan)], check=True)
    columns = list(records[0])
    bodies = [
        json.dumps({"dataframe_split": {"columns": columns, "data": [list(r.values())]}}).encode()
        for r in records
    ]
    asked = Asked("/invocations", bodies, {"Content-Type": "application/json"})
    port = free_port()
    mlflow = str(Path(options.peer).with_name("mlflow"))
    command = [mlflow, "models", "serve", "-m", str(folder / "model"), "-p", str(port)]
    command += ["--env-manager", "local", "--workers", "1"]
    surroundings = {
        "OMP_NUM_THREADS": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PATH": f"{Path(options.peer).parent}{os.pathsep}{os.environ['PATH']}",
    }
    with running(command, port, "/ping", folder / "mlflow.log", surroundings) as pid:
        return measure("MLflow", (port, pid), asked, options)


def main() -> None:
    """Print both and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", help="Python of the environment with mlflow")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--trees", type=int, default=200)
    parser.add_argument("--family", default="xgboost", choices=["xgboost", "lightgbm"])
    options = parser.parse_args()
    fresh, _ = draw(RECORDS, 1)
    records = list(fresh.iter_rows(named=True))
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "home"
        root.mkdir(mode=0o700)
        prepare_home(root, options.family, options.trees)
        ours = measure_galeno(root, options, records)
    if options.peer:
        with tempfile.TemporaryDirectory() as name:
            peer = measure_mlflow(Path(name), options, records)
        print(f"throughput: {ours.per_second / peer.per_second:.1f} times MLflow's")
        print(f"p99: a {peer.p99_ms / ours.p99_ms:.1f}th of MLflow's")


if __name__ == "__main__":
    main()
