"""Galeno: from patient records to a diagnostic model that is gated, packaged and registered.

    import galeno

    model = galeno.load("thyroid@champion")
    diagnosis = model.diagnose({"age": 61, "TSH": 9.4})

Names are loaded when they are first used, so that importing the package is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from galeno.errors import GalenoError
    from galeno.model.model import Model
    from galeno.pipeline.loading import load
    from galeno.pipeline.runner import run_study
    from galeno.records import Diagnosis
    from galeno.study import Study
    from galeno.study_file import load_study

__all__ = ["Diagnosis", "GalenoError", "Model", "Study", "load", "load_study", "run_study"]

_HOMES = {
    "Diagnosis": "galeno.records",
    "GalenoError": "galeno.errors",
    "Model": "galeno.model.model",
    "Study": "galeno.study",
    "load": "galeno.pipeline.loading",
    "load_study": "galeno.study_file",
    "run_study": "galeno.pipeline.runner",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'galeno' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
