"""The pages over loopback: time and bytes of each, from press to result, many sessions at once, memory.

    python benchmarks/pages.py --home HOME [--sessions 50] [--rounds 4] [--workers 2]

HOME is a home in which `galeno demo --no-serve` has run; it is copied first. Each session has cookies of its
own and goes from consent to form, result, feedback and worklist, as a browser without script does.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

GALENO = Path(sys.executable).with_name("galeno")
NAMES = tuple(f"clinician.{number}" for number in range(4))
"""More than one: tries are limited for each name."""
PASSWORD = "four quiet words here"  # noqa: S105  (of users who live for a minute)
STUDY = "severity"
NOTE = "Disnea desde hace dos días, tos con esputo y fiebre alta."


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--sessions", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch) / "home"
        shutil.copytree(asked.home, home)
        home.chmod(0o700)
        for name in NAMES:
            add_user(home, name)
        with running(home, asked.workers) as (url, process):
            asyncio.run(measure(url, process, asked.sessions, asked.rounds))


def add_user(home: Path, name: str) -> None:
    """A clinician with a password."""
    subprocess.run(
        [GALENO, "users", "add", name, "--role", "clinician", "--home", home], check=True, capture_output=True
    )
    subprocess.run(
        [GALENO, "users", "password", name, "--password-stdin", "--home", home],
        input=f"{PASSWORD}\n", check=True, capture_output=True, text=True,
    )  # fmt: skip


@contextmanager
def running(home: Path, workers: int) -> Iterator[tuple[str, psutil.Process]]:
    """The service, until the block ends; its address and its first process."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with (home / "service.log").open("wb") as log:
        process = subprocess.Popen(
            [GALENO, "serve", "--home", home, "--port", str(port), "--workers", str(workers)],
            env={**os.environ, "GALENO_THREADS": "1"}, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            for _ in range(600):
                try:
                    if httpx.get(f"{url}/readyz").status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                time.sleep(0.1)
            time.sleep(2)  # the other workers
            yield url, psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(timeout=40)


def memory(process: psutil.Process) -> float:
    """What all processes of the service hold for themselves alone, MiB."""
    return sum(each.memory_full_info().uss for each in [process, *process.children(recursive=True)]) / 2**20


class Visitor:
    """A browser without script, signed in; writes down what it waited for and what went wrong."""

    def __init__(self, url: str, number: int) -> None:
        self.client = httpx.AsyncClient(base_url=url, follow_redirects=True, timeout=60)
        self.number = number
        self.taken: dict[str, list[float]] = {}
        self.errors: list[str] = []
        self.form = ""

    async def ask(self, step: str, path: str, **fields: str) -> httpx.Response:
        """Get a page, or post a form to it."""
        started = time.perf_counter()
        response = await (self.client.post(path, data=fields) if fields else self.client.get(path))
        self.taken.setdefault(step, []).append(1000 * (time.perf_counter() - started))
        if response.status_code != 200:
            self.errors.append(f"{step}: {response.status_code}")
        return response

    async def sign_in(self) -> None:
        """Name and password; whoever is told to wait does so."""
        for _ in range(60):
            page = await self.client.get("/sign-in")
            fields = {
                "csrf": token(page),
                "name": NAMES[self.number % 4],
                "password": PASSWORD,
                "next": "/worklist",
            }
            done = await self.client.post("/sign-in", data=fields)
            if done.status_code == 200:
                return
            await asyncio.sleep(min(float(done.headers.get("retry-after", "2")), 5))
        sys.exit("cannot sign in")

    async def story(self, number: int) -> httpx.Response:
        """From consent to worklist; returns the result page."""
        patient = f"bench-{self.number}-{number}"
        page = await self.ask("consent", f"/consent/{STUDY}")
        version = re.search(r'name="version" value="([^"]+)"', page.text)
        form = await self.ask(
            "record consent", f"/consent/{STUDY}", csrf=token(page), patient_id=patient, answer="accept",
            version=version[1] if version else "",
        )  # fmt: skip
        self.form = form.url.raw_path.decode()
        typed = {"csrf": token(form), "patient_id": patient, "v.age": str(20 + number % 70)}
        typed["v.note"] = NOTE
        result = await self.ask("press to result", f"/new/{STUDY}", **typed)
        if "/diagnoses/" not in result.url.path:
            self.errors.append("no result")
            return result
        said = {"csrf": token(result), "agrees": "yes", "rating": "4"}
        await self.ask("feedback", f"{result.url.path}/feedback", **said)
        await self.ask("worklist", "/worklist?state=all")
        return result


def token(page: httpx.Response) -> str:
    """The token that a page's forms send back."""
    found = re.search(r'name="csrf" content="([^"]*)"', page.text)
    return found[1] if found else ""


async def measure(url: str, process: psutil.Process, sessions: int, rounds: int) -> None:
    """One session at its leisure, then all at once, then memory."""
    one = Visitor(url, 0)
    await one.sign_in()
    for number in range(30):
        result = await one.story(number)
    print("one session, warm")
    report([one], skip=10)
    for path in (
        "/sign-in",
        f"/consent/{STUDY}",
        one.form,
        result.url.path,
        "/worklist?state=all",
        "/models",
    ):
        total, count = await weigh(one.client, path)
        print(f"  {path.split('?')[0][:24]:24} {total / 1000:6.1f} kB in {count} files as sent")
    crowd = [Visitor(url, number) for number in range(1, sessions + 1)]
    for each in crowd:  # as many as the limits on guessing allow
        await each.sign_in()
    await asyncio.gather(*(each.story(0) for each in crowd))  # caches of all workers
    before = memory(process)
    started = time.perf_counter()
    held = []
    for number in range(1, rounds + 1):
        await asyncio.gather(*(each.story(number) for each in crowd))
        held.append(round(memory(process), 1))
    seconds = time.perf_counter() - started
    print(f"{sessions} sessions at once: {sessions * rounds} stories in {seconds:.1f} s")
    report(crowd, skip=1)
    errors = [error for each in [one, *crowd] for error in each.errors]
    print(f"  errors: {len(errors)} {sorted(set(errors))[:5]}")
    print(f"memory, MiB: {before:.1f} before, after each round {json.dumps(held)}")
    for each in [one, *crowd]:
        await each.client.aclose()
    if errors:
        sys.exit(1)


def report(visitors: list[Visitor], skip: int) -> None:
    """Times of each step."""
    for step in visitors[0].taken:
        taken = sorted(value for each in visitors for value in each.taken.get(step, [])[skip:])
        print(
            f"  {step:16} median {statistics.median(taken):7.1f} ms"
            f"   p95 {taken[int(0.95 * (len(taken) - 1))]:7.1f} ms   max {taken[-1]:7.1f} ms"
        )


async def weigh(client: httpx.AsyncClient, path: str) -> tuple[int, int]:
    """Bytes of a page with all files that it loads, as they go over the wire, and their number."""
    page = await client.get(path)
    files = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text))
    answers = [page, *[await client.get(file) for file in sorted(files)]]
    return sum(answer.num_bytes_downloaded for answer in answers), len(answers)


if __name__ == "__main__":
    main()
