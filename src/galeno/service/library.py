"""The library: what a worker knows of rare diseases, read once in a thread, and again after it learned."""

import asyncio
import logging
import threading
import time
from dataclasses import dataclass

from galeno.errors import BusyError, GalenoError, KnowledgeError, MissingExtraError, NotFoundError
from galeno.knowledge.cases import Patient
from galeno.knowledge.learned import FILE
from galeno.knowledge.mentions import Mentions
from galeno.knowledge.names import TermNames
from galeno.knowledge.ontology import Ontology
from galeno.knowledge.ranker import Ranker
from galeno.pipeline.rare import FOLDER, open_ranker
from galeno.storage.home import Home

_log = logging.getLogger("galeno.service")

RETRY_SECONDS = 60.0
"""After so long knowledge that could not be read is tried again."""
LOADING = 2
"""Seconds after which a client may ask again while the files are read."""

Stamp = tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Held:
    """What was read, of one release; whoever takes it ends with it."""

    ranker: Ranker
    names: TermNames
    mentions: Mentions

    @property
    def ontology(self) -> Ontology:
        """Terms of the release."""
        return self.ranker.base.ontology


class Library:
    """Knowledge of rare diseases, for all threads of a worker.

    Args:
        home: whose confirmed cases the ranker learned from.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._turn = threading.Lock()
        self._thread: threading.Thread | None = None
        self._held: Held | None = None
        self._stamp: Stamp = None
        self._tried = float("-inf")
        self.problem: GalenoError | None = None
        """Why there is nothing, or nothing newer."""

    def start(self) -> None:
        """Begin to read in a thread, unless one is at it."""
        with self._turn:
            if self._thread is None:
                self._tried = time.monotonic()
                self._thread = threading.Thread(target=self._load, name="galeno-library", daemon=True)
                self._thread.start()

    def ready(self) -> bool:
        """Whether diseases can be ranked now."""
        return self._held is not None

    def get(self) -> Held:
        """What is known now; begins to read where nobody has.

        Raises:
            BusyError: the files are being read, or could not be.
            NotFoundError: there are no files of phenotypes and diseases.
        """
        if self._held is not None:
            return self._held
        if self.problem is None or self._due():
            self.start()
        if isinstance(self.problem, MissingExtraError):
            raise NotFoundError(
                "this service has no knowledge of rare diseases",
                where="knowledge",
                remedy="Its owners install galeno[rare], or name the files of the HPO",
            )
        if self.problem is not None:
            raise BusyError(
                "the knowledge of rare diseases cannot be read",
                where="knowledge",
                remedy="The log of the service says more",
                retry_after=round(RETRY_SECONDS),
            )
        raise BusyError(
            "the knowledge of rare diseases is being read",
            where="knowledge",
            remedy="Try again",
            retry_after=LOADING,
        )

    async def watch(self, seconds: float = 2.0) -> None:
        """Read again whenever the home has learned or forgotten cases; ends when it is cancelled."""
        while True:
            await asyncio.sleep(seconds)
            if self._look() != self._stamp or (self.problem is not None and self._due()):
                self.start()

    def _due(self) -> bool:
        return time.monotonic() - self._tried >= RETRY_SECONDS

    def _load(self) -> None:
        """Read everything and let it answer once, so that the first patient need not wait."""
        self._stamp = self._look()
        # what is not foreseen ends the thread, is told by it, and is not tried again at once
        problem: GalenoError | None = KnowledgeError("something unexpected happened while it was read")
        try:
            held = self._open()
        except GalenoError as error:
            if str(error) != str(self.problem):
                level = logging.INFO if isinstance(error, MissingExtraError) else logging.WARNING
                _log.log(level, "rare diseases cannot be ranked: %s", error)
            problem = error
        else:
            # one reference: a reader sees the old or the new, never something between
            self._held, problem = held, None
        finally:
            with self._turn:
                self.problem, self._thread = problem, None

    def _open(self) -> Held:
        """A ranker with what the home has learned by now, and names, made once an ontology."""
        ranker = open_ranker(self._home.root)
        known, ontology = self._held, ranker.base.ontology
        if known is not None and known.ontology is ontology:
            return Held(ranker, known.names, known.mentions)
        names = TermNames.of(ontology)
        names.search("fever", 1)
        ranker.rank(Patient((ontology.ids[ontology.is_phenotype.nonzero()[0][-1]],)), top=1)
        return Held(ranker, names, Mentions.of(ontology, names))

    def _look(self) -> Stamp:
        try:
            found = (self._home.root / FOLDER / FILE).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size
