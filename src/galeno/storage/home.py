"""The home: the folder that holds lake, runs, packages and registry."""

from dataclasses import dataclass
from pathlib import Path

from galeno.errors import OutputError


@dataclass(frozen=True, slots=True)
class Home:
    """A folder with everything that Galeno keeps."""

    root: Path

    @property
    def lake(self) -> Path:
        """Delta tables of validated records."""
        return self.root / "lake"

    @property
    def runs(self) -> Path:
        """One folder a run, with the result of each step."""
        return self.root / "runs"

    @property
    def packages(self) -> Path:
        """Trained models as files."""
        return self.root / "packages"

    @property
    def registry_uri(self) -> str:
        """MLflow URI of the registry, an SQLite file in the home."""
        return f"sqlite:///{self.root.absolute().as_posix()}/registry.db"

    @property
    def journal_url(self) -> str:
        """SQLAlchemy URL of the journal, an SQLite file in the home."""
        return f"sqlite:///{self.root.absolute().as_posix()}/journal.db"

    @property
    def vault_url(self) -> str:
        """SQLAlchemy URL of the patients' keys, an SQLite file apart from the journal."""
        return f"sqlite:///{self.root.absolute().as_posix()}/vault.db"

    @property
    def keys(self) -> Path:
        """File of the master keys, readable by its owner only."""
        return self.root / "keys.json"

    @property
    def quarantine(self) -> Path:
        """Rows that were sent to the service and broke a rule; those of a run lie with the run."""
        return self.root / "quarantine"

    @property
    def receiving(self) -> Path:
        """Sounds and images of records that come in, a folder a request, until their rows are in the lake."""
        return self.root / "receiving"

    @property
    def standing(self) -> Path:
        """File that says which model of each study answers, written from the registry."""
        return self.root / "standing.json"

    @property
    def anchor(self) -> Path:
        """File with the last known end of the audit trail."""
        return self.root / "audit.anchor"

    def create(self) -> "Home":
        """Make the folders where they are not there yet, readable by their owner only.

        Returns:
            this home.

        Raises:
            OutputError: the folders cannot be made.
        """
        if self.root.exists() and not self.root.is_dir():
            raise OutputError(
                "is a file; a home is a folder",
                where=str(self.root),
                remedy="Choose another folder with --home or GALENO_HOME",
            )
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (self.lake, self.runs, self.packages):
                folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"the home cannot be made ({error.strerror})",
                where=str(self.root),
                remedy="Choose another folder with --home or GALENO_HOME",
            ) from None
        return self
