"""From the name of a model to a model that answers."""

from pathlib import Path

from galeno.errors import PackageError, RegistryError
from galeno.model.model import Model
from galeno.settings import Settings
from galeno.storage.home import Home
from galeno.storage.registry import Registry
from galeno.storage.standing import CHAMPION


def open_registry(home: Path, *, create: bool = False) -> Registry:
    """The registry of a home, or the one that GALENO_REGISTRY names.

    Args:
        home: the home.
        create: make the home if it is not there; else a mistyped home is told, not made.

    Raises:
        RegistryError: there is no such home.
        OutputError: the home cannot be made.
    """
    named = Settings.from_environment().registry
    if named:
        return Registry(named, standing=Home(home).standing)
    if not create and not home.is_dir():
        raise RegistryError(
            "there is no home here",
            where=str(home),
            remedy="Name it with --home or GALENO_HOME; galeno run makes one",
        )
    place = Home(home).create()
    return Registry(place.registry_uri, standing=place.standing)


def load(model: str | Path, *, home: str | Path | None = None, threads: int | None = None) -> Model:
    """Load a model from a package folder, or by name from the registry.

    Args:
        model: path of a package, `STUDY@champion` or `STUDY@VERSION`.
        home: the home whose registry is asked; GALENO_HOME by default.
        threads: threads of each inference session; GALENO_THREADS by default.

    Raises:
        PackageError: no package there, or it is damaged.
        RegistryError: no such study, version or alias.
    """
    settings = Settings.from_environment()
    workers = threads or settings.threads
    path = Path(model)
    if path.is_dir():
        return Model.load(path, threads=workers)
    name = str(model)
    if "@" not in name:
        raise PackageError(
            "no package folder here",
            where=name,
            remedy="Name a package folder, or STUDY@champion for a registered model",
        )
    study, _, wanted = name.partition("@")
    entry = open_registry(Path(home) if home else settings.home).get(study, wanted or CHAMPION)
    loaded = Model.load(Path(entry.package), threads=workers)
    if loaded.package_sha256 != entry.package_sha256:
        raise RegistryError(
            "the package is not the one that was registered",
            where=entry.package,
            remedy=f"Restore it, or promote another version of {study}",
        )
    return loaded.with_version(entry.version)
