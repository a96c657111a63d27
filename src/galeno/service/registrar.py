"""The registrar: promotes and rolls back in a process of its own, so that MLflow never weighs on a worker."""

import asyncio
import json
import re
import sys

from galeno.errors import ConflictError, GalenoError, NotFoundError, RegistryError
from galeno.records import RegisteredModel
from galeno.storage.home import Home
from galeno.storage.registry import NO_CHAMPION_BEFORE, NO_STUDY, NO_VERSION

SECONDS = 120.0
"""After so long the registry is taken not to answer."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_ERROR = "Error: "


class Registrar:
    """Changes which model answers.

    Args:
        home: whose registry is changed; GALENO_REGISTRY counts as for `galeno models`.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._turn = asyncio.Lock()

    async def promote(self, study: str, version: str) -> RegisteredModel:
        """Make a version the champion.

        Raises:
            NotFoundError: no such study or version.
            RegistryError: the registry does not answer.
        """
        return _entry(await self._run("promote", study, version))

    async def rollback(self, study: str) -> RegisteredModel:
        """Make the champion before this one champion again.

        Raises:
            NotFoundError: no such study.
            ConflictError: there was no champion before.
            RegistryError: the registry does not answer.
        """
        return _entry(await self._run("rollback", study))

    async def publish(self) -> None:
        """Write the standing anew from the registry.

        Raises:
            RegistryError: the registry does not answer.
        """
        await self._run("list")

    async def _run(self, action: str, *names: str) -> str:
        """Standard output of `galeno models ACTION ... --json`."""
        for name in names:
            if not _NAME.fullmatch(name):
                raise NotFoundError("no such study or version", where="models")
        # -P: a folder called galeno where the service was started must not become the program.
        program = [sys.executable, "-P", "-m", "galeno", "models", action]
        options = ["--home", str(self._home.root), "--json", "--", *names]
        async with self._turn:
            process = await asyncio.create_subprocess_exec(
                *program,
                *options,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            try:
                out, err = await asyncio.wait_for(process.communicate(), SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()
                raise RegistryError("the registry does not answer (timeout)", where="models") from None
        if process.returncode:
            raise _translate(err.decode(errors="replace"))
        return out.decode()


def _entry(text: str) -> RegisteredModel:
    try:
        return RegisteredModel.from_dict(json.loads(text))
    except (ValueError, KeyError, TypeError):
        raise RegistryError("the registry's answer is not understood", where="models") from None


def _translate(text: str) -> GalenoError:
    """The error that the command ended with, without paths of this machine."""
    lines = [line.removeprefix(_ERROR) for line in text.splitlines() if line.startswith(_ERROR)]
    said = lines[-1] if lines else ""
    if NO_STUDY in said or NO_VERSION in said:
        return NotFoundError("no such study or version", where="models")
    if NO_CHAMPION_BEFORE in said:
        return ConflictError("there is no earlier champion to go back to", where="models")
    return RegistryError("the registry does not answer", where="models")
