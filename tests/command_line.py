"""Two ways to give a command: in this process (quick), or the installed `galeno` in a process of its own."""

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from galeno.cli import main

INSTALLED = Path(sys.executable).with_name("galeno")
"""The command that the installation put beside Python."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def object(self) -> Any:
        """The JSON object that standard output ends with."""
        return json.loads(self.out.splitlines()[-1])

    def ended(self, code: int) -> "Outcome":
        """The same outcome, when it ended with this exit code."""
        assert self.code == code, f"exit code {self.code}\n{self.out}\n{self.err}"
        assert "Traceback" not in self.err
        return self

    def refused(self, *said: str) -> str:
        """The message, which is one line and says all this, of a command that ended with exit code 2."""
        self.ended(2)
        messages = [line for line in self.err.splitlines() if line.startswith("Error: ")]
        assert len(messages) == 1, self.err
        for words in said:
            assert words in self.err, self.err
        assert self.out == ""
        return messages[0]


def galeno(*arguments: object, **environment: str) -> Outcome:
    """Run a command in this process, through the entry point that the installed command calls."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with (
        mock.patch.object(sys, "argv", ["galeno", *map(str, arguments)]),
        mock.patch.dict(os.environ, {"GALENO_THREADS": "2", **environment}),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Outcome(code, out.getvalue(), err.getvalue())


def installed(*arguments: object, folder: Path | None = None, **environment: str) -> Outcome:
    """Run the installed command in a process of its own."""
    done = subprocess.run(
        command(arguments),
        cwd=folder,
        env=surroundings(environment),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


@contextlib.contextmanager
def started(*arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    """The installed command at work; it is killed when the block ends."""
    process = subprocess.Popen(
        command(arguments), env=surroundings({}), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def command(arguments: Sequence[object]) -> list[str]:
    """The command as a list of words."""
    return [str(INSTALLED), *map(str, arguments)]


def surroundings(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process, with what galeno reads from it set as given and nothing else."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GALENO_")}
    return {**inherited, "GALENO_THREADS": "2", **environment}
