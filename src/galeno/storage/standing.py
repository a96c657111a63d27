"""What the registry last said, in one small file, so that a service need not open the registry itself.

The registry is the truth. Whoever changes or lists it writes `standing.json`; the service looks at the file
and loads what answers. MLflow, which takes a second and 150 MB to import, stays out of the service.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galeno.errors import RegistryError
from galeno.records import RegisteredModel
from galeno.storage.atomic import read_json, write_json

FORMAT = 1
CHAMPION = "champion"
CHALLENGER = "challenger"


@dataclass(frozen=True, slots=True)
class Standing:
    """Which models there are, and which of them answer."""

    models: tuple[RegisteredModel, ...] = ()

    def champion(self, study: str) -> RegisteredModel | None:
        """The version that answers, None where there is none."""
        return self._named(study, CHAMPION)

    def challenger(self, study: str) -> RegisteredModel | None:
        """The version that may shadow the champion, None where there is none."""
        return self._named(study, CHALLENGER)

    def studies(self) -> tuple[str, ...]:
        """Studies that have a version, in alphabetical order."""
        return tuple(sorted({model.study for model in self.models}))

    def find(self, study: str, version: str) -> RegisteredModel | None:
        """One version, None where there is no such version."""
        known = (model for model in self.models if model.study == study and model.version == version)
        return next(known, None)

    def _named(self, study: str, alias: str) -> RegisteredModel | None:
        known = (model for model in self.models if model.study == study and alias in model.aliases)
        return next(known, None)


def publish(path: Path, models: Sequence[RegisteredModel]) -> bool:
    """Write the standing where it differs from what is there, whole or not at all.

    Returns:
        whether the file changed.

    Raises:
        OutputError: the file cannot be written.
    """
    fresh = Standing(tuple(models))
    try:
        if path.exists() and read_standing(path) == fresh:
            return False
    except RegistryError:
        pass  # a damaged file is replaced
    write_json(path, {"format": FORMAT, "models": [model.to_dict() for model in models]})
    return True


def read_standing(path: Path) -> Standing:
    """Read what was last published; empty where nothing was.

    Raises:
        RegistryError: the file is damaged.
    """
    try:
        return _parse(read_json(path))
    except FileNotFoundError:
        return Standing()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RegistryError(
            f"cannot be read ({type(error).__name__})",
            where=str(path),
            remedy="Write it anew: galeno models list",
        ) from None


def _parse(content: Any) -> Standing:
    if content["format"] != FORMAT:
        raise ValueError("format")
    return Standing(tuple(RegisteredModel.from_dict(entry) for entry in content["models"]))
