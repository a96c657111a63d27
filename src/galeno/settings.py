"""Settings from the environment, typed. docs/settings.md lists them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from galeno.errors import SettingError


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says; a command's own options come first.

    Attributes:
        home: GALENO_HOME, the folder that holds lake, runs, packages and registry.
        threads: GALENO_THREADS, threads per fit and per ONNX session.
        registry: GALENO_REGISTRY, an MLflow tracking URI; empty means SQLite in the home.
    """

    home: Path
    threads: int
    registry: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Read the settings.

        Raises:
            SettingError: GALENO_THREADS is not a whole number above 0.
        """
        env = os.environ if environment is None else environment
        threads = env.get("GALENO_THREADS") or str(min(os.cpu_count() or 1, 8))
        if not threads.isdecimal() or int(threads) < 1:
            raise SettingError(
                "GALENO_THREADS is not a whole number above 0",
                where="environment",
                remedy="Set it to the number of cores that Galeno may use, or unset it",
            )
        home = Path(env.get("GALENO_HOME") or Path.home() / ".galeno")
        return cls(home=home.expanduser(), threads=int(threads), registry=env.get("GALENO_REGISTRY", ""))
