"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from galeno.settings import Settings

Home = Annotated[
    Path | None,
    typer.Option(
        "--home",
        help="Folder of lake, runs, packages, registry and journal. Default: GALENO_HOME or ~/.galeno.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines.")]


def choose_home(home: Path | None) -> Path:
    """The home that was named, else the one of the environment."""
    return home or Settings.from_environment().home
