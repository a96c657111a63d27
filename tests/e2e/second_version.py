"""A second package of the clinic, registered as version 2: the same model, which also maps FHIR."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from galeno.model.parts import ModelParts
from galeno.pipeline.loading import open_registry
from galeno.storage.home import Home
from galeno.storage.packages import seal
from galeno.study import Study

FHIR: dict[str, Any] = {
    "columns": {
        "age": {"resource": "Patient", "element": "age"},
        "sex": {"resource": "Patient", "element": "gender", "values": {"female": "F", "male": "M"}},
        "lactate": {"code": "2524-7", "unit": "mmol/L"},
        "note": {"resource": "DocumentReference"},
    },
    "classes": {"grave": {"code": "R65.1", "display": "Grave"}, "ill": {"code": "R69"}},
}


def copy_home(home: Path, target: Path) -> Path:
    """A copy of the clinic's home that may be written to."""
    shutil.copytree(home, target)
    target.chmod(0o700)
    return target


def add_second_version(home: Path) -> str:
    """Register version 2 of the clinic; version 1 stays champion.

    Returns:
        hash of the package.
    """
    registry = open_registry(home)
    first = registry.get("clinic", "1")
    parts = ModelParts.load(Path(first.package))
    study = Study.model_validate({**parts.study.model_dump(), "title": "The second", "fhir": FHIR})
    kept = replace(parts, study=study)
    folder = Home(home).packages / "clinic" / "second"
    files = kept.save(folder)
    shutil.copy(Path(first.package) / "card.md", folder)
    sha256 = seal(folder, files, {"study": study.name})
    registry.register("clinic", str(folder), sha256, "second", {})
    return sha256
