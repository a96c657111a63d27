"""The phenotype encoder: one column of HPO terms."""

from collections.abc import Mapping, Sequence
from math import log1p
from typing import Any, NamedTuple, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from galeno.errors import KnowledgeError, MissingExtraError
from galeno.features.encoder import Arrays, CrossFitted, FeatureColumn, Sample, column_or_nulls
from galeno.features.sign_table import Kinds, SignTable
from galeno.knowledge.base import KnowledgeBase
from galeno.knowledge.opened import open_knowledge, open_ratios
from galeno.knowledge.signs import Signs
from galeno.recipes import Features, PhenotypeFeatures
from galeno.records import FloatMatrix
from galeno.study import Column

Documents = list[frozenset[str]]


class Recipe(NamedTuple):
    """What the columns are, in their order."""

    groups: tuple[str, ...]
    """Names of groups that signs imply."""
    deniable: tuple[str, ...]
    """Names of groups that absent signs deny."""
    classes: tuple[str, ...]
    """Class of each disease that signs have ratios for; those of one class stand together."""
    present: bool
    """Whether present signs are weighed for the classes."""
    absent: bool
    """Whether absent ones are."""
    number: bool
    """Whether the number of signs is told."""
    missing: bool
    """Whether a record without signs is marked."""


class PhenotypeEncoder:
    """Signs of a patient as groups, likelihood ratios and their number.

    A group is a term with all that are a kind of it, 1 where the patient has one of them; another column
    is 1 where an absent sign rules the group out. Groups are those that enough patients have
    (`Sample.fewest_patients`); of groups that the same patients have, the most specific. For each class
    that is a known disease, the log-likelihood ratios of the signs are added up, those of present and those
    of absent signs apart; a class of several diseases has the mean of their likelihoods. Nothing here looks
    at labels.
    Without an ontology each term is a group of its own, and terms that no group is made of are ignored.
    """

    def __init__(
        self, source: str, recipe: Recipe, table: SignTable, scale: NDArray[np.float64], release: str
    ) -> None:
        """Join the parts.

        Args:
            source: the column.
            recipe: what is written.
            table: what signs mean.
            scale: divides the ratios of each class, present ones before absent ones, shape (2, classes).
            release: of the ontology; empty without one.
        """
        self._source, self._recipe, self._table = source, recipe, table
        self._scale, self._release = scale, release
        names = list(dict.fromkeys(recipe.classes))
        self._sizes = np.array([recipe.classes.count(name) for name in names], np.int64)
        self._starts = np.cumsum(self._sizes) - self._sizes
        self.columns: tuple[FeatureColumn, ...] = tuple(
            FeatureColumn(f"{source}: {name}", source, "table") for name in _names(recipe, names)
        )

    @classmethod
    def fit(
        cls, columns: Mapping[str, Column], sample: Sample, features: Features, seed: int, threads: int
    ) -> tuple[Self, CrossFitted]:
        """Learn groups from the sample's rows alone; ratios come from the knowledge base.

        Raises:
            MissingExtraError: knowledge is required, and neither files nor the extra `rare` are there.
            KnowledgeError: the knowledge files are damaged, or a disease that the study names is unknown.
        """
        del seed, threads  # nothing here is random or takes long
        (source,) = columns
        base = _open(features.phenotype)
        owners, diseases = _find_diseases(base, features.phenotype)
        signs = [Signs.read(text) for text in _read(sample.frame, source)]
        kinds = Kinds(base)
        implied = [frozenset[str]().union(*map(kinds.of, each.observed)) for each in signs]
        least = sample.fewest_patients()
        groups = _choose(implied, kinds, sample.patients, least, features.phenotype.groups)
        denied = [frozenset(each.excluded) for each in signs]
        denying = [row for row, each in enumerate(denied) if each]
        deniable = [
            group
            for group in groups
            if _patients([row for row in denying if kinds.of(group) & denied[row]], sample.patients) >= least
        ]
        empty = [not each.observed and not each.excluded for each in signs]
        recipe = Recipe(
            tuple(kinds.name(group) for group in groups),
            tuple(kinds.name(group) for group in deniable),
            owners,
            bool(owners) and any(implied),
            bool(owners) and _patients(denying, sample.patients) >= least,
            len({len(each.observed) for each in signs}) > 1,
            0 < sum(empty) < len(empty),
        )
        table = SignTable.of(base, groups, deniable, open_ratios(tuple(diseases)) if diseases else None)
        release = "" if base is None else base.provenance.ontology_version
        bare = cls(source, recipe, table, np.ones((2, len(set(owners)))), release)
        return cls(source, recipe, table, bare._spread(signs), release), {}

    def write(self, frame: pl.DataFrame, out: FloatMatrix) -> None:
        """Write every row of the frame."""
        for text, row in zip(_read(frame, self._source), out, strict=True):
            self._write(text, row)

    def write_record(self, values: Mapping[str, object], out: NDArray[np.float32]) -> None:
        """Write one record."""
        text = values.get(self._source)
        self._write("" if text is None else str(text), out)

    def write_records(self, records: Sequence[Mapping[str, object]], out: FloatMatrix) -> None:
        """Write several records, one by one: looking terms up is all there is to do."""
        for values, row in zip(records, out, strict=True):
            self.write_record(values, row)

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """All it learned."""
        recipe = {name: list(v) if isinstance(v, tuple) else v for name, v in self._recipe._asdict().items()}
        state = {"source": self._source, "release": self._release, "recipe": recipe}
        return state, {"scale": self._scale, **self._table.arrays()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The encoder that `state` came from."""
        recipe: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in state["recipe"].items()
        }
        table = SignTable.from_arrays(arrays)
        return cls(state["source"], Recipe(**recipe), table, arrays["scale"], state["release"])

    def _write(self, text: str, out: NDArray[np.float32]) -> None:
        signs = Signs.read(text)
        recipe, table = self._recipe, self._table
        if not signs.observed and not signs.excluded:
            if recipe.missing:
                out[-1] = 1.0
            return
        observed, excluded = table.find(signs.observed), table.find(signs.excluded)
        for row in observed:
            out[list(table.meanings[row].implied)] = 1.0
        at = len(recipe.groups)
        for row in excluded:
            out[[at + place for place in table.meanings[row].denied]] = 1.0
        at += len(recipe.deniable)
        ratios = self._weigh(observed, excluded) / self._scale
        for kind, wanted in enumerate((recipe.present, recipe.absent)):
            if wanted:
                out[at : at + ratios.shape[1]] = ratios[kind]
                at += ratios.shape[1]
        if recipe.number:
            out[at] = log1p(len(signs.observed))

    def _weigh(self, observed: list[int], excluded: list[int]) -> NDArray[np.float64]:
        """Log-likelihood ratios of the classes, shape (2, classes): of present signs, of absent ones."""
        if not self._sizes.size:
            return np.zeros((2, 0))
        ratios = self._table.ratios
        present = ratios.present[observed].sum(axis=0, dtype=np.float64)
        absent = ratios.absent[excluded].sum(axis=0, dtype=np.float64)
        sums = np.stack([present, absent])
        highest = np.maximum.reduceat(sums, self._starts, axis=1)
        odds = np.exp(sums - np.repeat(highest, self._sizes, axis=1))
        means = np.add.reduceat(odds, self._starts, axis=1) / self._sizes
        return np.asarray(highest + np.log(means), np.float64)

    def _spread(self, signs: Sequence[Signs]) -> NDArray[np.float64]:
        """Standard deviation of the ratios over the fitting rows, 1 where they do not vary."""
        table = self._table
        if not self._sizes.size or not signs:
            return self._scale
        made = np.zeros((len(signs), 2, self._sizes.size))
        for row, each in enumerate(signs):
            if each.observed or each.excluded:
                made[row] = self._weigh(table.find(each.observed), table.find(each.excluded))
        spread = np.std(made, axis=0)
        return np.where(spread > 1e-9, spread, 1.0)


def _open(phenotype: PhenotypeFeatures) -> KnowledgeBase | None:
    if phenotype.knowledge == "none":
        return None
    try:
        return open_knowledge()
    except MissingExtraError:
        if phenotype.knowledge == "required":
            raise
        return None


def _find_diseases(
    base: KnowledgeBase | None, phenotype: PhenotypeFeatures
) -> tuple[tuple[str, ...], list[int]]:
    """The class of each disease, and its place in the knowledge base."""
    if base is None:
        return (), []
    found = [
        (name, each, base.find_disease(each)) for name, ids in phenotype.diseases.items() for each in ids
    ]
    for name, each, place in found:
        if place is None and phenotype.knowledge != "auto":
            mondo = each.startswith("MONDO:")
            raise KnowledgeError(
                f"the disease {each} of the class {name!r} is not in the knowledge base",
                where="features.phenotype.diseases",
                remedy="Name a table of Mondo's in GALENO_DISEASE_MERGE" if mondo else "Check the id",
            )
    known = [(name, place) for name, _, place in found if place is not None]
    return tuple(name for name, _ in known), [place for _, place in known]


def _choose(
    implied: Documents, kinds: Kinds, patients: NDArray[np.int64], least: int, most: int
) -> list[str]:
    """Groups that enough patients have and not every record; where there are too many, the most telling."""
    rows: dict[str, list[int]] = {}
    for row, groups in enumerate(implied):
        for group in groups:
            rows.setdefault(group, []).append(row)
    everyone = int(patients.max(initial=-1)) + 1
    by_rows: dict[tuple[int, ...], tuple[int, str]] = {}
    counts: dict[str, int] = {}
    for group in sorted(rows):
        counts[group] = _patients(rows[group], patients)
        if counts[group] < least or len(rows[group]) == len(implied):
            continue
        candidate = (-len(kinds.of(group)), group)
        key = tuple(rows[group])
        by_rows[key] = min(by_rows.get(key, candidate), candidate)
    ranked = sorted(
        (group for _, group in by_rows.values()),
        key=lambda group: (-min(counts[group], everyone - counts[group]), group),
    )
    return sorted(ranked[:most])


def _patients(rows: list[int], patients: NDArray[np.int64]) -> int:
    return len(set(patients[rows].tolist()))


def _names(recipe: Recipe, classes: list[str]) -> list[str]:
    names = [*recipe.groups, *(f"no {group}" for group in recipe.deniable)]
    if recipe.present:
        names += [f"for {name}" for name in classes]
    if recipe.absent:
        names += [f"for {name}, by absent signs" for name in classes]
    names += ["number of signs"] * recipe.number
    return [*names, "missing"] if recipe.missing else names


def _read(frame: pl.DataFrame, name: str) -> list[str]:
    return column_or_nulls(frame, name, pl.String()).fill_null("").to_list()
