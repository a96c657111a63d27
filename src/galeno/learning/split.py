"""Who teaches, who calibrates and who judges: a patient stands on one side only.

By patient, the split is stratified: a patient's stratum is the rarest class among its rows. Scarce classes
are seated first. One with a handful of patients or more stands in every part. One with fewer teaches: of two
patients both, of three or four all but one, who calibrates; to learn from half of them so as to judge on the
other half would serve nobody, and the report names the classes that the test part cannot judge. The seats
left over are filled so that every stratum, and the whole, keeps the study's shares within rounding. By time
the latest patients judge, and by site whole sites judge: there nothing is moved to please a class, and
absent classes are named instead.

Patients are ordered by a hash of their id and the seed, so the answer does not depend on the order of rows.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from galeno.errors import LearningError
from galeno.records import KEY, PATIENT, SITE, TARGET, TIME, UNIT, Part, owner_column
from galeno.study import Study

PARTS: tuple[Part, ...] = get_args(Part)
"""In the order of the study file; positions in it are part codes."""
HANDFUL = 5
"""A class with fewer patients has none in the test part of a split by patient."""
PRIORITY = (PARTS.index("train"), PARTS.index("test"), PARTS.index("validation"))
"""Which part gets a patient of a scarce class first."""

_Ints = NDArray[np.int64]
_Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Split:
    """The sides of every row of one frame.

    Attributes:
        parts: shape (rows,), `train`, `validation` or `test`.
        folds: shape (rows,), fold 0 to n_folds - 1 of training rows, -1 elsewhere.
        evidence: JSON-ready counts, overlaps (all 0), absent classes and digests; no ids, no values.
    """

    parts: NDArray[np.str_]
    folds: _Ints
    evidence: Mapping[str, Any]

    def rows(self, part: Part) -> _Ints:
        """Row indices of a part, ascending."""
        return np.flatnonzero(self.parts == part)

    @property
    def n_folds(self) -> int:
        """Folds inside the training part; fewer than the study asks when patients are fewer."""
        return int(self.folds.max()) + 1


@dataclass(frozen=True, slots=True)
class _Patients:
    """The patients of a frame, those who share a file as one, in hash order.

    Attributes:
        ids: one per patient.
        of_row: shape (rows,), each row's position in `ids`.
        persons: shape (rows,), a number for each patient by himself, to count them.
        present: shape (patients, classes), whether the patient has a row of the class.
        strata: shape (patients,), rarest class of each; the number of classes where it has none.
    """

    ids: list[str]
    of_row: _Ints
    persons: _Ints
    present: _Bools
    strata: _Ints

    def __len__(self) -> int:
        return len(self.ids)


def split(frame: pl.DataFrame, study: Study) -> Split:
    """Give every row its part and every training row its fold.

    Args:
        frame: rows with the columns KEY, PATIENT and TARGET, and TIME or SITE where the study splits by them.
            Rows whose target is none of the classes go with their patient.
        study: shares, number of folds, seed, classes and what to split by.

    Returns:
        A Split over the rows in the order given.

    Raises:
        LearningError: too few patients, no times, or fewer than two sites.
    """
    labels = _labels(frame, study.class_names)
    patients = _patients(frame, labels, study)
    if len(patients) < 2:
        raise LearningError(
            f"{len(patients)} patients cannot both teach and judge",
            where="split",
            remedy="Give records of more patients, or check that records.patient names the right column"
            + ("; patients who share a file count as one" if UNIT in frame.columns else ""),
        )
    shares = np.array([getattr(study.split, part) for part in PARTS])
    about: dict[str, Any] = {}
    if study.split.by == "time":
        codes, about = _by_time(frame, patients, shares)
    elif study.split.by == "site":
        codes, about = _by_site(frame, patients, shares, study.seed)
    else:
        codes = _stratified(patients, shares)
        _every_part(codes)
    folds = _folds(patients, codes, study.split.folds)
    parts = np.array(PARTS)[codes[patients.of_row]]
    row_folds = folds[patients.of_row]
    evidence = {
        "by": study.split.by,
        "seed": study.seed,
        "shares": dict(zip(PARTS, shares.tolist(), strict=True)),
        **_evidence(patients, parts, row_folds, labels, study.class_names),
        **about,
    }
    return Split(parts=parts, folds=row_folds, evidence=evidence)


def _labels(frame: pl.DataFrame, classes: Sequence[str]) -> _Ints:
    names = pl.DataFrame({TARGET: list(classes), "label": np.arange(len(classes), dtype=np.int64)})
    joined = frame.select(pl.col(TARGET).cast(pl.String)).join(
        names, on=TARGET, how="left", maintain_order="left"
    )
    return joined["label"].fill_null(-1).to_numpy().astype(np.int64)


def _patients(frame: pl.DataFrame, labels: _Ints, study: Study) -> _Patients:
    def named(who: str) -> pl.Expr:
        return pl.coalesce(pl.col(who).cast(pl.String), pl.col(KEY).cast(pl.String))

    per_row = frame.select(named(owner_column(frame.columns)).alias(PATIENT))
    persons = frame.select(named(PATIENT).rank("dense").cast(pl.Int64)).to_series().to_numpy()
    ids = sorted(per_row[PATIENT].unique().to_list(), key=lambda patient: _hash(f"{study.seed}\0{patient}"))
    positions = pl.DataFrame({PATIENT: ids, "position": np.arange(len(ids), dtype=np.int64)})
    joined = per_row.join(positions, on=PATIENT, how="left", maintain_order="left")
    of_row = joined["position"].to_numpy().astype(np.int64)
    present = np.zeros((len(ids), len(study.classes)), dtype=np.bool_)
    known = labels >= 0
    present[of_row[known], labels[known]] = True
    rarity = _rarest_first(present)
    strata = np.full(len(ids), len(study.classes), dtype=np.int64)
    for label in rarity[::-1]:
        strata[present[:, label]] = label
    return _Patients(ids=ids, of_row=of_row, persons=persons, present=present, strata=strata)


def _rarest_first(present: _Bools) -> _Ints:
    """Class indices by number of patients, ties by class order."""
    return np.argsort(present.sum(axis=0), kind="stable").astype(np.int64)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _stratified(patients: _Patients, shares: NDArray[np.float64]) -> _Ints:
    """Part code of each patient: scarce classes are seated first, then every stratum is filled."""
    codes = _seat(patients)
    order = [*_rarest_first(patients.present).tolist(), patients.present.shape[1]]
    seen = 0
    given = np.zeros(len(PARTS))
    for stratum in order:
        members = np.flatnonzero(patients.strata == stratum)
        if not members.size:
            continue
        seen += members.size
        seated = np.bincount(codes[members][codes[members] >= 0], minlength=len(PARTS))
        counts = _counts(members.size, shares, seated, shares * seen - given)
        given += counts
        free = members[codes[members] < 0]
        free = free[_by_pattern(patients.present[free])]
        codes[free] = _interleave(counts - seated)
    return codes


def _seat(patients: _Patients) -> _Ints:
    """Give each class a patient in each part that it has patients for; -1 for those not seated.

    Training is served for all classes before test and validation are, so every class is learned from.
    Patients with fewer classes are taken first: those with several may serve another class.
    """
    codes = np.full(len(patients), -1, dtype=np.int64)
    breadth = patients.present.sum(axis=1)
    total = patients.present.sum(axis=0)
    for part in PRIORITY:
        for label in _rarest_first(patients.present):
            for _ in range(_seats(int(total[label]), PARTS[part]) - _sitting(patients, codes == part, label)):
                able = np.flatnonzero(patients.present[:, label] & (codes < 0))
                if able.size:
                    codes[able[np.argmin(breadth[able])]] = part
    return codes


def _seats(patients: int, part: Part) -> int:
    """How many of a class' patients a part gets before shares are looked at."""
    if patients >= HANDFUL:
        return 1
    calibrating = int(patients >= 3)
    return {"train": patients - calibrating, "validation": calibrating, "test": 0}[part]


def _sitting(patients: _Patients, seated: _Bools, label: int) -> int:
    return int(patients.present[seated, label].sum())


def _counts(size: int, shares: NDArray[np.float64], seated: _Ints, due: NDArray[np.float64]) -> _Ints:
    """How many of a stratum's patients each part gets.

    Args:
        size: patients in the stratum.
        shares: of each part, summing to one.
        seated: patients that already have a part.
        due: what each part lacks over all strata so far, this one included.
    """
    ideal = shares * size
    counts = np.maximum(np.floor(ideal + 1e-9).astype(np.int64), seated)
    while counts.sum() > size:
        over = np.where(counts > seated, counts - ideal, -np.inf)
        counts[np.argmax(over)] -= 1
    while counts.sum() < size:
        open_parts = counts < np.ceil(ideal - 1e-9)
        lacking = np.where(open_parts if open_parts.any() else True, due - counts, -np.inf)
        counts[np.argmax(lacking)] += 1
    return counts


def _by_pattern(present: _Bools) -> _Ints:
    """Order that puts patients with the same classes side by side, in hash order among themselves."""
    return np.lexsort(present.T).astype(np.int64)


def _interleave(counts: _Ints) -> _Ints:
    """Part codes, each as often as counted, spread evenly."""
    codes = np.repeat(np.arange(len(counts)), counts)
    places = np.concatenate([(np.arange(count) + 0.5) / count for count in counts if count] or [np.empty(0)])
    return codes[np.argsort(places, kind="stable")].astype(np.int64)


def _by_time(
    frame: pl.DataFrame, patients: _Patients, shares: NDArray[np.float64]
) -> tuple[_Ints, dict[str, Any]]:
    """Part code of each patient by its last time; patients without any time count as earliest."""
    times = _special(frame, TIME, "time")
    last = (
        pl.DataFrame({"position": patients.of_row, TIME: times})
        .group_by("position")
        .agg(pl.col(TIME).max())
        .sort(TIME, "position", nulls_last=False)
    )
    borders = np.rint(np.cumsum(shares) * len(patients)).astype(np.int64)
    codes = np.empty(len(patients), dtype=np.int64)
    codes[last["position"].to_numpy()] = np.searchsorted(borders, np.arange(len(patients)), side="right")
    _every_part(codes)
    return codes, {"patients_without_time": int(last[TIME].null_count())}


def _by_site(
    frame: pl.DataFrame, patients: _Patients, shares: NDArray[np.float64], seed: int
) -> tuple[_Ints, dict[str, Any]]:
    """Part code of each patient by its site, the one most of its rows come from.

    The largest sites come first, each to the part that lacks most patients. With two sites the smaller
    judges and validation patients are drawn from the other. Patients without a site teach.
    """
    sites = _special(frame, SITE, "site").cast(pl.String)
    home = (
        pl.DataFrame({"position": patients.of_row, SITE: sites})
        .drop_nulls()
        .group_by("position", SITE)
        .len()
        .sort(["position", "len", SITE], descending=[False, True, False])
        .unique("position", keep="first")
    )
    sizes = {str(site): int(count) for site, count in home.group_by(SITE).len().iter_rows()}
    names = sorted(sizes, key=lambda site: (-sizes[site], _hash(f"{seed}\0{site}")))
    if len(names) < 2:
        raise LearningError(
            f"{len(names)} sites cannot both teach and judge",
            where="split.by: site",
            remedy="Use split.by: patient, or give records of more sites",
        )
    part_of = dict(zip(names, _seat_sites([sizes[name] for name in names], shares), strict=True))
    codes = np.zeros(len(patients), dtype=np.int64)
    codes[home["position"].to_numpy()] = [part_of[site] for site in home[SITE]]
    if len(names) == 2:
        others = np.flatnonzero(codes == 0)
        inner = shares[:2] / shares[:2].sum()
        counts = np.rint(inner * others.size).astype(np.int64)
        counts[0] = others.size - counts[1]
        order = np.lexsort((np.arange(others.size), patients.strata[others]))
        codes[others[order]] = _interleave(counts)
    own = pl.DataFrame({"position": patients.of_row, SITE: sites}).join(home, on="position", how="inner")
    return codes, {
        "sites": {part: sum(p == code for p in part_of.values()) for code, part in enumerate(PARTS)},
        "rows_away_from_home_site": own.filter(pl.col(SITE) != pl.col(f"{SITE}_right")).height,
        "patients_without_site": len(patients) - home.height,
    }


def _seat_sites(sizes: Sequence[int], shares: NDArray[np.float64]) -> list[int]:
    """Part code of each site; sizes are patients, largest first."""
    if len(sizes) == 2:
        return [PARTS.index("train"), PARTS.index("test")]
    lacking = shares * sum(sizes)
    seats: list[int] = []
    for number, size in enumerate(sizes):
        empty = np.array([code not in seats for code in range(len(PARTS))])
        must = empty if len(sizes) - number <= empty.sum() else np.ones(len(PARTS), dtype=np.bool_)
        part = int(np.argmax(np.where(must, lacking, -np.inf)))
        lacking[part] -= size
        seats.append(part)
    return seats


def _special(frame: pl.DataFrame, column: str, role: str) -> pl.Series:
    if column not in frame.columns or frame[column].null_count() == frame.height:
        raise LearningError(
            f"no row has a {role}",
            where=f"split.by: {role}",
            remedy=f"Check records.{role}, or use split.by: patient",
        )
    return frame[column]


def _every_part(codes: _Ints) -> None:
    if len(np.unique(codes)) < len(PARTS):
        raise LearningError(
            f"{len(codes)} patients are too few for three parts",
            where="split",
            remedy=f"Give records of more patients; by patient, a class with {HANDFUL} of them can be judged",
        )


def _folds(patients: _Patients, codes: _Ints, wanted: int) -> _Ints:
    """Fold of each training patient, -1 elsewhere: strata laid end to end and dealt out in turn.

    Every stratum, and every pattern of classes, differs by at most one patient between folds.
    """
    training = np.flatnonzero(codes == PARTS.index("train"))
    if training.size < 2:
        raise LearningError(
            f"{training.size} training patients cannot be cross-validated",
            where="split",
            remedy="Give records of more patients, or raise split.train",
        )
    pattern = patients.present[training].T
    order = np.lexsort((*pattern, patients.strata[training]))
    folds = np.full(len(patients), -1, dtype=np.int64)
    folds[training[order]] = np.arange(training.size) % min(wanted, training.size)
    return folds


def _evidence(
    patients: _Patients, parts: NDArray[np.str_], folds: _Ints, labels: _Ints, classes: Sequence[str]
) -> dict[str, Any]:
    """Counts and overlaps, taken from the rows as they will be used and not from how they were dealt."""
    sides: dict[str, _Ints] = {part: np.flatnonzero(parts == part) for part in PARTS}
    fold_sides = [np.flatnonzero(folds == fold) for fold in range(int(folds.max()) + 1)]
    owners = {part: set(patients.of_row[rows].tolist()) for part, rows in sides.items()}
    fold_owners = [set(patients.of_row[rows].tolist()) for rows in fold_sides]
    overlap = {
        f"{one}_{other}": len(owners[one] & owners[other])
        for number, one in enumerate(PARTS)
        for other in PARTS[number + 1 :]
    }
    overlap["folds"] = sum(len(owner) for owner in fold_owners) - len(set().union(*fold_owners))
    if any(overlap.values()):
        raise LearningError("a patient stands on two sides of the split", where="split")
    counts = {part: _count(patients, rows, labels, classes) for part, rows in sides.items()}
    return {
        "rows": {part: int(rows.size) for part, rows in sides.items()},
        "patients": {part: _count_persons(patients, rows) for part, rows in sides.items()},
        "classes": {name: {part: counts[part][name] for part in PARTS} for name in classes},
        "folds": [
            {
                "rows": int(rows.size),
                "patients": _count_persons(patients, rows),
                "classes": _count(patients, rows, labels, classes),
            }
            for rows in fold_sides
        ],
        "rows_without_class": int(np.sum(labels < 0)),
        "overlap": overlap,
        "absent": {part: [name for name in classes if not counts[part][name]["patients"]] for part in PARTS},
        "digests": {part: _digest(patients.ids[owner] for owner in owners[part]) for part in PARTS},
    }


def _count(
    patients: _Patients, rows: _Ints, labels: _Ints, classes: Sequence[str]
) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for label, name in enumerate(classes):
        own = rows[labels[rows] == label]
        counts[name] = {"rows": int(own.size), "patients": _count_persons(patients, own)}
    return counts


def _count_persons(patients: _Patients, rows: _Ints) -> int:
    return len(np.unique(patients.persons[rows]))


def _digest(ids: Iterable[str]) -> str:
    """Of a set of patients: tells two sets apart without naming anyone."""
    return _hash("".join(sorted(_hash(patient) for patient in ids)))
