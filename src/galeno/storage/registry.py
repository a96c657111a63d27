"""The registry: which packages of a study there are, and which one answers.

MLflow keeps it, in SQLite or on a tracking server. A registered model is a study,
a model version is a package, the alias `champion` is the one that answers, and
`challenger` the newest that was registered and not promoted. MLflow is imported only
here and only when asked, with telemetry off and its logging kept quiet.
"""

import json
import logging
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from galeno.errors import MissingExtraError, OutputError, RegistryError
from galeno.records import RegisteredModel
from galeno.storage.atomic import alone
from galeno.storage.standing import CHALLENGER, CHAMPION, publish

if TYPE_CHECKING:
    from mlflow import MlflowClient

NO_STUDY = "is registered"
NO_VERSION = "has no version or alias"
NO_CHAMPION_BEFORE = "has no earlier champion"
"""Words of messages by which the service tells them apart."""

_PACKAGE = "galeno.package"
_SHA256 = "galeno.package_sha256"
_RUN = "galeno.run"
_METRICS = "galeno.metrics"
_HISTORY = "galeno.champions"
_NOISY = ("mlflow", "alembic", "sqlalchemy")

_log = logging.getLogger("galeno.storage")

P = ParamSpec("P")
R = TypeVar("R")


def _guarded(
    method: Callable[Concatenate["Registry", P], R],
) -> Callable[Concatenate["Registry", P], R]:
    """MLflow's and the database's own errors become ours; their texts can hold URIs with passwords."""

    @wraps(method)
    def guarded(self: "Registry", /, *args: P.args, **kwargs: P.kwargs) -> R:
        with _quiet():
            from mlflow.exceptions import MlflowException
            from sqlalchemy.exc import SQLAlchemyError

            try:
                return method(self, *args, **kwargs)
            except (MlflowException, SQLAlchemyError, OSError) as error:
                raise RegistryError(
                    f"the registry does not answer ({type(error).__name__})",
                    where=self._place,
                    remedy="Check the home folder, or the address in GALENO_REGISTRY",
                ) from None
            except ModuleNotFoundError as error:
                if error.name in ("psycopg", "psycopg2"):
                    raise MissingExtraError("a registry in PostgreSQL", "postgresql") from None
                raise

    return guarded


class Registry:
    """Packages by study and version.

    Args:
        uri: MLflow tracking URI: `sqlite:///PATH`, another SQLAlchemy URL, or a server's `https://` address.
        standing: file that is told of every change, where its folder is there; see `standing.py`.
    """

    def __init__(self, uri: str, *, standing: Path | None = None) -> None:
        self._uri = uri
        self._standing = standing
        self.name = re.sub(r"//[^/@]*@", "//", uri)
        """The URI without user and password."""
        self._place = self.name.removeprefix("sqlite:///")
        """What messages name: the file of an SQLite registry, else the URI."""

    @_guarded
    def register(
        self, study: str, package: str, package_sha256: str, run: str, metrics: Mapping[str, float]
    ) -> RegisteredModel:
        """Add a package as the next version of its study, which is its challenger until it is promoted.

        A package whose hash is there already keeps its version; where it lies is brought up to date.

        Args:
            study: the study's name.
            package: path or URI of the package.
            package_sha256: its hash.
            run: the run that made it.
            metrics: figures by name; those that are undefined are left out by the caller.
        """
        self._create(study)
        for known in self._list(study):
            if known.package_sha256 == package_sha256:
                self._client.set_model_version_tag(study, known.version, _PACKAGE, package)
                self._publish()
                return self._find(study, known.version)
        tags = {
            _PACKAGE: package,
            _SHA256: package_sha256,
            _RUN: run,
            _METRICS: json.dumps({name: float(value) for name, value in metrics.items()}, allow_nan=False),
        }
        # The source is a name, not the path: tracking servers refuse local paths. The tag holds the path.
        source = f"galeno:{package_sha256}"
        created = self._client.create_model_version(study, source=source, tags=tags, await_creation_for=0)
        self._client.set_registered_model_alias(study, CHALLENGER, str(created.version))
        self._publish()
        return self._find(study, str(created.version))

    @_guarded
    def versions(self, study: str | None = None) -> list[RegisteredModel]:
        """All versions, oldest first; of one study, or of every study in alphabetical order.

        Raises:
            RegistryError: there is no such study.
        """
        try:
            self._publish()
        except OutputError as error:  # who only lists may lack the right to write
            _log.warning("%s", error)
        if study is not None:
            self._require(study)
            return self._list(study)
        return [entry for name in self._studies() for entry in self._list(name)]

    @_guarded
    def get(self, study: str, version_or_alias: str) -> RegisteredModel:
        """One version, by number or alias.

        Raises:
            RegistryError: there is no such study, version or alias.
        """
        self._require(study)
        entries = self._list(study)
        for entry in entries:
            if version_or_alias == entry.version or version_or_alias in entry.aliases:
                return entry
        if version_or_alias == CHAMPION:
            raise RegistryError(
                f"{study} has no champion yet",
                where=self._place,
                remedy=f"Promote a version: galeno models promote {study} VERSION",
            )
        known = ", ".join(entry.version for entry in entries) or "none"
        raise RegistryError(
            f"{study} {NO_VERSION} {version_or_alias!r}",
            where=self._place,
            remedy=f"Versions: {known}",
        )

    @_guarded
    def champion(self, study: str) -> RegisteredModel | None:
        """The version that answers, or None where the study is not known or has none."""
        if study not in self._studies():
            return None
        return next((entry for entry in self._list(study) if CHAMPION in entry.aliases), None)

    @_guarded
    def promote(self, study: str, version: str) -> RegisteredModel:
        """Make a version the champion, and remember the one before.

        Raises:
            RegistryError: there is no such study or version.
        """
        chosen = self.get(study, version)
        if CHAMPION in chosen.aliases:
            self._publish()
            return chosen
        history = [*self._history(study), chosen.version]
        self._crown(study, chosen.version, history)
        return self._find(study, chosen.version)

    @_guarded
    def rollback(self, study: str) -> RegisteredModel:
        """Make the champion before the present one champion again.

        Raises:
            RegistryError: there is no such study, or no champion before.
        """
        self._require(study)
        known = {entry.version for entry in self._list(study)}
        history = [version for version in self._history(study) if version in known]
        if len(history) < 2:
            raise RegistryError(
                f"{study} {NO_CHAMPION_BEFORE} to go back to",
                where=self._place,
                remedy=f"Choose a version: galeno models promote {study} VERSION",
            )
        self._crown(study, history[-2], history[:-1])
        return self._find(study, history[-2])

    @cached_property
    def _client(self) -> "MlflowClient":
        from mlflow import MlflowClient

        if self._uri.startswith("sqlite:///"):
            Path(self._uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        return MlflowClient(tracking_uri=self._uri, registry_uri=self._uri)

    def _create(self, study: str) -> None:
        if study not in self._studies():
            self._client.create_registered_model(study)

    def _require(self, study: str) -> None:
        names = self._studies()
        if study not in names:
            known = ", ".join(names) or "none yet"
            raise RegistryError(
                f"no study {study!r} {NO_STUDY}", where=self._place, remedy=f"Registered: {known}"
            )

    def _studies(self) -> list[str]:
        return sorted(model.name for model in _all_pages(self._client.search_registered_models))

    def _list(self, study: str) -> list[RegisteredModel]:
        aliases = self._client.get_registered_model(study).aliases
        found = _all_pages(self._client.search_model_versions, filter_string=f"name='{study}'")
        entries = [_entry(version, aliases) for version in found if _SHA256 in version.tags]
        return sorted(entries, key=lambda entry: int(entry.version))

    def _find(self, study: str, version: str) -> RegisteredModel:
        return next(entry for entry in self._list(study) if entry.version == version)

    def _history(self, study: str) -> list[str]:
        text = self._client.get_registered_model(study).tags.get(_HISTORY, "")
        return [version for version in text.split(",") if version]

    def _crown(self, study: str, version: str, history: list[str]) -> None:
        # The alias decides; a history that lags behind after a crash only forgets one step back.
        self._client.set_registered_model_alias(study, CHAMPION, version)
        self._client.set_registered_model_tag(study, _HISTORY, ",".join(history))
        if CHALLENGER in self._find(study, version).aliases:
            self._client.delete_registered_model_alias(study, CHALLENGER)
        self._publish()

    def _publish(self) -> None:
        """Tell the standing; the registry is read under the lock, so that the last writer knows the most."""
        if self._standing is None or not self._standing.parent.is_dir():
            return
        with alone(self._standing):
            publish(self._standing, [entry for name in self._studies() for entry in self._list(name)])


def _entry(version: Any, aliases: Mapping[str, Any]) -> RegisteredModel:
    return RegisteredModel(
        study=version.name,
        version=str(version.version),
        package=version.tags[_PACKAGE],
        package_sha256=version.tags[_SHA256],
        run=version.tags.get(_RUN, ""),
        created=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC).isoformat(timespec="seconds"),
        aliases=tuple(
            sorted(name for name, number in aliases.items() if str(number) == str(version.version))
        ),
        metrics=json.loads(version.tags.get(_METRICS, "{}")),
    )


def _all_pages(search: Callable[..., Any], **arguments: Any) -> Iterator[Any]:
    token = None
    while True:
        page = search(page_token=token, **arguments)
        yield from page
        token = page.token
        if not token:
            return


@contextmanager
def _quiet() -> Iterator[None]:
    """No telemetry, no progress lines of migrations on standard error."""
    for variable in ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        os.environ.setdefault(variable, "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    levels = {name: logging.getLogger(name).level for name in _NOISY}
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # MLflow uses parts of SQLAlchemy that the latest one deprecates.
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
