"""Which models had learned from a patient: the runs and packages whose batches of the lake hold his rows."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl
from polars.exceptions import PolarsError

from galeno.governance.lake_rows import Traces
from galeno.records import KEY
from galeno.storage.atomic import read_json
from galeno.storage.home import Home
from galeno.storage.runs import RunFolder

Use = Literal["taught", "judged", "unknown"]


@dataclass(frozen=True, slots=True)
class LearnedModel:
    """A model and what a patient's rows were for it.

    Attributes:
        study: the study's name.
        version: in the registry; None where the gate refused it or the run did not end.
        package_sha256: of its package; empty where the run did not get so far.
        run: the run that made it.
        use: `taught` (training or validation part: the model's figures come from these rows too), `judged`
            (test part alone), or `unknown` where the run is no longer there to tell.
    """

    study: str
    version: str | None
    package_sha256: str
    run: str
    use: Use

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def list_runs(home: Home) -> Iterator[RunFolder]:
    """The runs of a home, by name."""
    for path in sorted(home.runs.glob("*/run.json")):
        yield RunFolder(path.parent)


def find_models(home: Home, traces: Mapping[str, Traces]) -> tuple[LearnedModel, ...]:
    """Models that were made from batches with the patient's rows, by study and run.

    Args:
        home: with its runs and packages.
        traces: what each table of the lake holds of the patient, before it is removed.

    Raises:
        RunError: a run's results cannot be read.
    """
    found = []
    runs = set()
    for run in list_runs(home):
        runs.add(run.name)
        keys = touched_keys(run, traces)
        if keys:
            found.append(_of_run(run, keys))
    found += [model for model in _of_packages(home, traces) if model.run not in runs]
    return tuple(sorted(found, key=lambda model: (model.study, model.run)))


def touched_keys(run: RunFolder, traces: Mapping[str, Traces]) -> frozenset[str]:
    """Keys of the patient's rows that a run read from the lake."""
    ingested = run.result("ingest")
    if ingested is None or ingested["table"] not in traces:
        return frozenset()
    keys = traces[ingested["table"]].keys
    return frozenset().union(*(keys.get(batch, frozenset()) for batch in ingested["batches"]))


def _of_run(run: RunFolder, keys: frozenset[str]) -> LearnedModel:
    packaged = run.result("package") or {}
    registered = run.result("register") or {}
    return LearnedModel(
        study=run.facts["study"]["name"],
        version=registered.get("version"),
        package_sha256=packaged.get("package_sha256", ""),
        run=run.name,
        use=_use(run.root / "split" / "sides.parquet", keys),
    )


def _use(sides: Path, keys: frozenset[str]) -> Use:
    try:
        parts = set(pl.read_parquet(sides).filter(pl.col(KEY).is_in(list(keys)))["part"].to_list())
    except (OSError, PolarsError):
        return "unknown"
    return "taught" if parts & {"train", "validation"} else "judged" if parts else "unknown"


def _of_packages(home: Home, traces: Mapping[str, Traces]) -> Iterator[LearnedModel]:
    """Packages by what they say of where they come from, for runs that were removed."""
    for path in sorted(home.packages.glob("*/*/provenance.json")):
        try:
            provenance, manifest = read_json(path), read_json(path.parent / "manifest.json")
            held = traces.get(provenance["lake"]["table"])
            batches = provenance["lake"].get("batches", [provenance["data_sha256"]])
            if held is not None and not held.keys.keys().isdisjoint(batches):
                yield LearnedModel(
                    study=path.parts[-3],
                    version=None,
                    package_sha256=manifest["package_sha256"],
                    run=provenance["run"],
                    use="unknown",
                )
        except (OSError, ValueError, KeyError, TypeError):  # no package that Galeno can open
            continue
