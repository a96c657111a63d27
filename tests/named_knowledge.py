"""The small knowledge base as the one that the environment names."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from small_knowledge import write_small_knowledge, write_small_merge


@contextmanager
def named_knowledge(folder: Path) -> Iterator[None]:
    """Write the small knowledge base into a folder and name its files while the block runs."""
    ontology, annotations = write_small_knowledge(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GALENO_HPO_ONTOLOGY", str(ontology))
        patch.setenv("GALENO_HPO_ANNOTATIONS", str(annotations))
        patch.setenv("GALENO_DISEASE_MERGE", str(write_small_merge(folder)))
        patch.setenv("GALENO_CACHE", str(folder / "cache"))
        yield


@contextmanager
def no_knowledge() -> Iterator[None]:
    """As on a machine without the extra `rare`, while the block runs."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("ONTOLOGY", "ANNOTATIONS"):
            patch.delenv(f"GALENO_HPO_{name}", raising=False)
        patch.delenv("GALENO_DISEASE_MERGE", raising=False)
        patch.setattr("galeno.knowledge.base.WHEEL", "no-such-distribution")
        patch.setenv(
            "GALENO_CACHE", "/nonexistent/no-knowledge"
        )  # another setting: nothing is held in memory
        yield
