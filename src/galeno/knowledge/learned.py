"""What confirmed cases teach about their diseases: counts of signs in the home, added to and taken back."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from galeno.errors import ConflictError, KnowledgeError, LearningError, NotFoundError, OutputError
from galeno.knowledge.base import KnowledgeBase
from galeno.knowledge.cases import Case
from galeno.knowledge.counts import LearnedRows, TermCounts, count_cases, count_rows, fingerprint_paper
from galeno.storage.atomic import alone, replacing
from galeno.storage.ids import new_id, now

__all__ = [
    "Entry", "Learned", "LearnedRows", "TermCounts", "count_cases", "count_rows", "fingerprint_paper",
]  # fmt: skip

FILE = "learned.jsonl"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One batch of confirmed cases, or the taking back of one.

    Attributes:
        id: such as kl_0199f3a1...
        time: when it was learned, ISO 8601, UTC.
        source_sha256: of the file that the cases came from, or of their content.
        ontology: release of the ontology that the signs were counted with.
        patients: cases that taught something.
        left_out: cases without a usable sign.
        diseases: how many diseases they have.
        repeated: papers of theirs that another standing batch had taught for the same disease.
        undone: time at which the batch was taken back; empty where it stands.
    """

    id: str
    time: str
    source_sha256: str
    ontology: str
    patients: int
    left_out: int
    diseases: int
    repeated: int = 0
    undone: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Learned:
    """The file of learned batches in a folder.

    The counts of a disease with one patient are that patient's signs. The file is readable by its owner only,
    and no package holds any of it.

    Attributes:
        path: learned.jsonl; it need not be there yet.
        batches: standing and undone ones, in the order they were learned.
    """

    path: Path
    batches: tuple[tuple[Entry, Mapping[str, TermCounts]], ...] = field(default=(), repr=False)

    @classmethod
    def open(cls, folder: Path) -> "Learned":
        """Read what a folder has learned.

        Raises:
            KnowledgeError: the file is damaged, or of another format.
        """
        path = folder / FILE
        return cls(path, tuple(_read(path)))

    def learn(
        self,
        cases: Iterable[Case],
        base: KnowledgeBase,
        *,
        source_sha256: str = "",
        names: Mapping[str, str] | None = None,
    ) -> tuple["Learned", Entry]:
        """Add a batch of confirmed cases to the file.

        Args:
            cases: patients with HPO ids, each with the disease that was confirmed. Ids of several databases
                are taken for one disease; two of one database that the base does not merge are refused.
            base: gives the ontology.
            source_sha256: of the file that the cases came from; empty takes one of their content.
            names: of diseases that the base lacks, by id.

        Returns:
            the file as it is now, and the batch.

        Raises:
            LearningError: a case has no confirmed disease or several, or none of them has a usable sign.
            ConflictError: the same cases were learned before, and stand.
            OutputError: the file cannot be written.
        """
        kept = list(cases)
        diseases, left_out = count_cases(kept, base, names or {})
        if not diseases:
            raise LearningError(
                "none of the cases has a sign that the ontology knows", remedy="Give their signs as HPO terms"
            )
        source = source_sha256 or _fingerprint_cases(kept)
        with _writing(self.path):
            current = Learned.open(self.path.parent)
            standing = [(entry, counts) for entry, counts in current.batches if not entry.undone]
            for entry, _ in standing:
                if entry.source_sha256 == source:
                    raise ConflictError(
                        f"these cases were learned before, as {entry.id}", remedy="Undo that batch first"
                    )
            entry = Entry(
                id=new_id("kl"),
                time=now(),
                source_sha256=source,
                ontology=base.ontology.version,
                patients=sum(each.patients for each in diseases.values()),
                left_out=left_out,
                diseases=len(diseases),
                repeated=_repeated(diseases, _total(counts for _, counts in standing)),
            )
            changed = Learned(self.path, (*current.batches, (entry, diseases)))
            changed._write()
        return changed, entry

    def undo(self, entry_id: str) -> tuple["Learned", Entry]:
        """Take a batch back: its counts leave the file, the line that it was there stays.

        Returns:
            the file as it is now, and the batch.

        Raises:
            NotFoundError: there is no such batch.
            ConflictError: it was taken back before.
            OutputError: the file cannot be written.
        """
        with _writing(self.path):
            batches = list(Learned.open(self.path.parent).batches)
            places = [place for place, (entry, _) in enumerate(batches) if entry.id == entry_id]
            if not places:
                raise NotFoundError(
                    "there is no such batch of learned cases",
                    remedy="List them with: galeno knowledge list",
                )
            entry = batches[places[0]][0]
            if entry.undone:
                raise ConflictError(f"{entry.id} was taken back before, at {entry.undone}")
            undone = Entry(**{**asdict(entry), "undone": now()})
            batches[places[0]] = undone, {}
            changed = Learned(self.path, tuple(batches))
            changed._write()
        return changed, undone

    def entries(self) -> tuple[Entry, ...]:
        """All batches, undone ones included, in the order they were learned."""
        return tuple(entry for entry, _ in self.batches)

    def counts(self) -> dict[str, TermCounts]:
        """What stands, summed over the batches, by the disease's id as the cases gave it."""
        return _total(counts for entry, counts in self.batches if not entry.undone)

    def papers(self) -> frozenset[str]:
        """Fingerprints of all papers whose cases stand; see `fingerprint_paper`."""
        return frozenset(paper for each in self.counts().values() for paper in each.papers)

    def fingerprint(self) -> str:
        """sha256 of what stands; empty where nothing does."""
        standing = [entry.id for entry, _ in self.batches if not entry.undone]
        return hashlib.sha256("\n".join(standing).encode()).hexdigest() if standing else ""

    def rows(self, base: KnowledgeBase, merge: Mapping[str, tuple[str, str]] | None = None) -> LearnedRows:
        """What stands, as rows for the profiles of a base's diseases.

        Args:
            base: gives diseases and terms their indices; entries that it has merged are counted together.
            merge: see `merging.read_merge`; makes entries one that the base lacks, and names them.
        """
        return count_rows(self.counts(), base, merge)

    def _write(self) -> None:
        with replacing(self.path, mode=0o600) as temporary:
            lines = [
                {
                    "format": FORMAT,
                    **entry.to_dict(),
                    "counts": {name: _written(each) for name, each in c.items()},
                }
                for entry, c in self.batches
            ]
            temporary.write_text(
                "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8"
            )


def _total(batches: Iterable[Mapping[str, TermCounts]]) -> dict[str, TermCounts]:
    total: dict[str, TermCounts] = {}
    for counts in batches:
        for disease, each in counts.items():
            total[disease] = total[disease] + each if disease in total else each
    return total


def _repeated(new: Mapping[str, TermCounts], before: Mapping[str, TermCounts]) -> int:
    """Papers that teach a disease again."""
    return sum(len({*new[each].papers} & {*before[each].papers}) for each in new if each in before)


def _fingerprint_cases(cases: Sequence[Case]) -> str:
    content = [[case.id, *sorted(case.patient.observed), *sorted(case.truth)] for case in cases]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _written(counts: TermCounts) -> dict[str, Any]:
    """Counts as JSON: seen and ruled_out as {term: patients}."""
    return {**asdict(counts), "papers": list(counts.papers)}


def _read(path: Path) -> Iterator[tuple[Entry, Mapping[str, TermCounts]]]:
    try:
        lines = path.read_bytes().decode("utf-8").splitlines()
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError):
        raise KnowledgeError("what was learned from cases cannot be read", where=str(path)) from None
    for number, line in enumerate(lines, start=1):
        try:
            yield _parse(json.loads(line))
        except (ValueError, TypeError, KeyError, AttributeError):
            raise KnowledgeError(
                "what was learned from cases is damaged or of another format",
                where=f"{path}, line {number}",
                remedy="Put the file back from a backup, or move it away and learn the cases again",
            ) from None


def _parse(content: dict[str, Any]) -> tuple[Entry, Mapping[str, TermCounts]]:
    """One line of the file; ValueError, TypeError, KeyError or AttributeError where it is none."""
    if content.pop("format") != FORMAT:
        raise ValueError("format")
    counts = {
        disease: TermCounts(
            patients=int(each["patients"]),
            seen={term: int(seen) for term, seen in each["seen"].items()},
            ruled_out={term: int(absent) for term, absent in each["ruled_out"].items()},
            papers=tuple(each["papers"]),
            name=str(each["name"]),
        )
        for disease, each in content.pop("counts").items()
    }
    return Entry(**content), counts


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Keep other processes from writing meanwhile, in a folder that is the owner's alone."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot be written ({error.strerror})",
            where=str(path),
            remedy="Choose a home that you may write to",
        ) from None
    with alone(path):
        yield
