"""The clinic's home with users, and the service over copies of it."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hospital import Hospital, open_hospital
from second_version import copy_home

OPTIONS = ("--no-ui", "--rate", "100000")


@dataclass(frozen=True)
class Staffed:
    """A home with a user of each role, to be copied."""

    home: Path
    keys: dict[str, str]

    @contextmanager
    def open(self, folder: Path, *options: str, **environment: str) -> Iterator[Hospital]:
        """The service over a copy of it."""
        home = copy_home(self.home, folder / "home")
        with open_hospital(home, *OPTIONS, *options, users=False, **environment) as hospital:
            hospital.keys.update(self.keys)
            yield hospital


def connect(hospital: Hospital) -> socket.socket:
    """A connection to the service."""
    address = ("127.0.0.1", int(hospital.url.rpartition(":")[2]))
    return socket.create_connection(address, timeout=20)
