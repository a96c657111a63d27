"""The example studies that come with Galeno."""

from importlib.resources import files
from pathlib import Path

from galeno.errors import StudyError
from galeno.study import Study
from galeno.study_file import load_study


def example_study(name: str) -> Study:
    """One of the studies in `studies/`, from the installed package or the checkout.

    Raises:
        StudyError: there is no such example.
    """
    installed = Path(str(files("galeno"))) / "studies"
    folder = installed if installed.is_dir() else Path(__file__).resolve().parents[3] / "studies"
    studies = {path.parent.name: path for path in sorted(folder.glob("*/study.yaml"))}
    if name not in studies:
        raise StudyError(
            f"no example study {name!r}", where=str(folder), remedy=f"There are: {', '.join(studies)}"
        )
    return load_study(studies[name])
