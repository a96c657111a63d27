"""Dossiers in the cache: they take a second to work out, and are the same for the same rows."""

from dataclasses import fields
from hashlib import sha256
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
from numpy.typing import NDArray

from galeno.knowledge.base import KnowledgeBase
from galeno.knowledge.cached import read_arrays, write_arrays
from galeno.knowledge.dossiers import Dossiers, Scale, Traits, open_dossiers
from galeno.knowledge.ontology import Ontology
from galeno.knowledge.profiles import Listed, Profiles, Rows, Sparse

FORMAT = 1
"""Counted up when dossiers are worked out otherwise."""

_NESTED: tuple[type, ...] = (Dossiers, Profiles, Sparse, Traits, Scale, Listed)


def load_dossiers(base: KnowledgeBase, rows: Rows, cache: Path | None) -> Dossiers:
    """The dossiers of a knowledge base, from the cache where they were worked out before.

    Args:
        base: gives names and traits.
        rows: what is known of its diseases.
        cache: a folder; None keeps none.
    """
    if cache is None:
        return open_dossiers(base, rows)
    path = cache / f"dossiers-{FORMAT}-{_fingerprint(base, rows)}.npz"
    arrays = read_arrays(path)
    if arrays is not None:
        kept: Dossiers = _join(Dossiers, "", arrays, base.ontology)
        return kept
    dossiers, arrays = open_dossiers(base, rows), {}
    _split(dossiers, "", arrays)
    write_arrays(path, arrays)
    return dossiers


def _fingerprint(base: KnowledgeBase, rows: Rows) -> str:
    """Of all that the dossiers are made of."""
    digest = sha256(base.provenance.ontology_sha256.encode())
    digest.update(base.provenance.annotations_sha256.encode())
    digest.update("\n".join(f"{d.id}\t{d.name}" for d in base.diseases).encode())
    for column in rows:
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()[:32]


def _split(record: Any, prefix: str, arrays: dict[str, Any]) -> None:
    for name in _names(type(record)):
        value = getattr(record, name)
        if isinstance(value, np.ndarray):
            arrays[prefix + name] = value
        elif isinstance(value, _NESTED):
            _split(value, f"{prefix}{name}.", arrays)


def _join(kind: Any, prefix: str, arrays: dict[str, NDArray[Any]], ontology: Ontology) -> Any:
    hints = get_type_hints(kind)
    found: dict[str, Any] = {}
    for name in _names(kind):
        if hints[name] is Ontology:
            found[name] = ontology
        elif hints[name] in _NESTED:
            found[name] = _join(hints[name], f"{prefix}{name}.", arrays, ontology)
        else:
            found[name] = arrays[prefix + name]
    return kind(**found)


def _names(kind: Any) -> tuple[str, ...]:
    return kind._fields if issubclass(kind, tuple) else tuple(field.name for field in fields(kind))
