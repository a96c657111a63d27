"""The knowledge that the environment names, read once a process."""

from functools import cache, lru_cache
from pathlib import Path
from threading import Lock

from galeno.errors import MissingExtraError
from galeno.knowledge.base import KnowledgeBase
from galeno.knowledge.names import TermNames
from galeno.knowledge.ratios import SignRatios, weigh_signs
from galeno.knowledge.signs import Vocabulary
from galeno.settings import KnowledgeSettings

_OPENING = Lock()
KEPT = 2
"""Releases that a process holds: one in use and one that is replaced."""


def open_knowledge(settings: KnowledgeSettings | None = None) -> KnowledgeBase:
    """The knowledge base; read when first asked for, and again when its files have changed.

    Raises:
        MissingExtraError: no files are named, and the extra `rare` is not installed.
        KnowledgeError: a file is missing or damaged.
        SourceError: the table of entries that are one disease is.
    """
    chosen = settings or KnowledgeSettings.from_environment()
    files = (chosen.ontology, chosen.annotations, chosen.merge, chosen.translation)
    with _OPENING:  # who comes while it is read waits, and does not read it too
        return _open(chosen, tuple(_stamp(path) for path in files))


def open_vocabulary(settings: KnowledgeSettings | None = None) -> Vocabulary | None:
    """Ids and names of signs; None where no files are named and the extra `rare` is not installed.

    Raises:
        KnowledgeError: a file is missing or damaged.
    """
    try:
        base = open_knowledge(settings)
    except MissingExtraError:
        return None
    hashes = base.provenance.ontology_sha256, base.provenance.translation_sha256
    return _vocabulary(hashes, settings or KnowledgeSettings.from_environment())


def open_ratios(diseases: tuple[int, ...], settings: KnowledgeSettings | None = None) -> SignRatios:
    """What signs say for some diseases of `open_knowledge`, see `ratios.weigh_signs`; worked out once.

    Args:
        diseases: indices into its diseases.
        settings: which files; None asks the environment.
    """
    chosen = settings or KnowledgeSettings.from_environment()
    return _weigh(chosen, open_knowledge(chosen).provenance.annotations_sha256, diseases)


@lru_cache(maxsize=8)
def _weigh(settings: KnowledgeSettings, sha256: str, diseases: tuple[int, ...]) -> SignRatios:
    del sha256  # it is here so that changed files are weighed again
    return weigh_signs(open_knowledge(settings), diseases)


@lru_cache(maxsize=KEPT)
def _open(settings: KnowledgeSettings, stamps: tuple[tuple[int, int], ...]) -> KnowledgeBase:
    del stamps  # they are here so that a changed file is read again
    base = KnowledgeBase.load(
        settings.ontology, settings.annotations, merge=settings.merge, cache=settings.cache
    )
    return base if settings.translation is None else base.translate(settings.translation)


@lru_cache(maxsize=KEPT)
def _vocabulary(hashes: tuple[str, str], settings: KnowledgeSettings) -> Vocabulary:
    del hashes
    ontology = open_knowledge(settings).ontology

    @cache
    def names() -> TermNames:
        return TermNames.of(ontology)

    return Vocabulary(ontology, lambda text: names().exact(text))


def _stamp(path: Path | None) -> tuple[int, int]:
    try:
        status = None if path is None else path.stat()
    except OSError:
        return -1, -1
    return (0, 0) if status is None else (status.st_mtime_ns, status.st_size)
