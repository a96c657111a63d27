"""What is known of diseases: the HPO project's annotations of OMIM, Orphanet and DECIPHER entries."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from galeno.errors import KnowledgeError
from galeno.knowledge.ontology import Ontology

if TYPE_CHECKING:
    import polars as pl

COLUMNS = (
    "database_id", "disease_name", "qualifier", "hpo_id", "reference", "evidence", "onset",
    "frequency", "sex", "modifier", "aspect", "biocuration",
)  # fmt: skip


class Said(IntEnum):
    """How an annotation says how often a sign is seen."""

    NOTHING = 0
    COUNT = 1
    """n of m patients."""
    PERCENT = 2
    BAND = 3
    """A term such as Frequent, which stands for a range."""


BANDS: Mapping[str, tuple[float, float]] = {
    "HP:0040280": (1.0, 1.0),  # obligate
    "HP:0040281": (0.80, 0.99),  # very frequent
    "HP:0040282": (0.30, 0.79),  # frequent
    "HP:0040283": (0.05, 0.29),  # occasional
    "HP:0040284": (0.01, 0.04),  # very rare
    "HP:0040285": (0.0, 0.0),  # excluded
}
"""Range of each frequency term, as the HPO defines them."""

ASPECTS = ("P", "I", "C", "M", "H")
DTYPES: Mapping[str, type[np.generic]] = {
    "disease": np.int32, "term": np.int32, "aspect": np.uint8, "said": np.int8, "share": np.float32,
    "patients": np.int32, "negated": np.bool_, "reference": np.int32, "evidence": np.int8,
    "onset": np.int32, "sex": np.int8, "curated": np.int32,
}  # fmt: skip
"""The arrays of `Annotations`, and what they hold."""


@dataclass(frozen=True)
class Annotations:
    """Rows of phenotype.hpoa as arrays, shape (rows,), in the order of the file.

    Attributes:
        disease: index into `disease_ids`.
        term: index into the ontology's terms: a sign, a mode of inheritance, an onset, ...
        aspect: P (sign), I (inheritance), C (course, onset), M (modifier) or H (history), its letter's code.
        said: how the frequency was given, see `Said`.
        share: the frequency itself, 0 to 1; NaN where none is given.
        patients: patients that a count stands on; 0 otherwise.
        negated: the sign does not belong to the disease (NOT, or 0 of m is not: that is a share of 0).
        reference: index into `references`: the paper or entry that says so.
        evidence: 0 IEA, 1 TAS, 2 PCS.
        onset: index of the onset of this sign; -1 where none is given.
        sex: 0 both, 1 male, 2 female.
        curated: last date of curation, as yyyymmdd; 0 where none is given.
        disease_ids: id of each disease, in the order of the file.
        disease_names: its name.
        references: for example PMID:31675180 or ORPHA:558.
        version: release of the annotations.
    """

    disease: NDArray[np.int32]
    term: NDArray[np.int32]
    aspect: NDArray[np.uint8]
    said: NDArray[np.int8]
    share: NDArray[np.float32]
    patients: NDArray[np.int32]
    negated: NDArray[np.bool_]
    reference: NDArray[np.int32]
    evidence: NDArray[np.int8]
    onset: NDArray[np.int32]
    sex: NDArray[np.int8]
    curated: NDArray[np.int32]
    disease_ids: tuple[str, ...]
    disease_names: tuple[str, ...]
    references: tuple[str, ...]
    version: str

    def __len__(self) -> int:
        return int(self.disease.size)

    def number_papers(self) -> dict[str, list[int]]:
        """Each paper to the indices of the references that name it, alone or among several."""
        numbers: dict[str, list[int]] = {}
        for number, reference in enumerate(self.references):
            for paper in papers_of(reference):
                numbers.setdefault(paper, []).append(number)
        return numbers


def papers_of(reference: str) -> tuple[str, ...]:
    """The sources that a reference names, each once."""
    return tuple(dict.fromkeys(paper.strip() for paper in reference.split(";")))


def parse_annotations(content: bytes, ontology: Ontology, where: str) -> Annotations:
    """Read phenotype.hpoa. Rows with a term that the ontology does not know are left out.

    Args:
        content: the file.
        ontology: gives the terms their indices; obsolete ids are replaced.
        where: name of the file, for errors.

    Raises:
        KnowledgeError: it is not such a file, or a row of it is broken.
    """
    import polars as pl  # a cached release does without it, and it takes a third of a second

    comments = content[:10_000].decode("utf-8", "replace")
    try:
        table = pl.read_csv(
            content, separator="\t", comment_prefix="#", quote_char=None, infer_schema=False
        ).fill_null("")
    except pl.exceptions.PolarsError:
        table = pl.DataFrame()
    if tuple(table.columns) != COLUMNS:
        raise KnowledgeError(
            "this is not a file of HPO annotations, or it is damaged",
            where=where,
            remedy="Take phenotype.hpoa from a release of the HPO, of 2023 or later",
        )
    cut = (~table["aspect"].is_in(ASPECTS)).arg_true()
    if cut.len():
        raise KnowledgeError(
            f"data row {cut[0] + 1} has no aspect: the file was cut off, or is damaged",
            where=where,
            remedy="Take an undamaged release",
        )
    found = {term: ontology.find(term) for term in table["hpo_id"].unique()}
    places = {term: each.term for term, each in found.items() if each is not None}
    table = table.filter(pl.col("hpo_id").is_in(places))
    diseases = table.unique("database_id", keep="first", maintain_order=True)
    references = table["reference"].unique(maintain_order=True)
    said = {text: _frequency(text, where) for text in table["frequency"].unique()}
    onsets = {text: ontology.find(text) for text in table["onset"].unique()}
    curated = pl.col("biocuration").str.extract_all(r"\d{4}-\d\d-\d\d").list.max().str.replace_all("-", "")
    arrays = {
        "disease": _numbered(table["database_id"], diseases["database_id"]),
        "term": table["hpo_id"].replace_strict(places),
        "aspect": table["aspect"].replace_strict({letter: ord(letter) for letter in ASPECTS}),
        "said": table["frequency"].replace_strict({text: int(each[0]) for text, each in said.items()}),
        "share": table["frequency"].replace_strict({text: each[1] for text, each in said.items()}),
        "patients": table["frequency"].replace_strict({text: each[2] for text, each in said.items()}),
        "negated": table["qualifier"] == "NOT",
        "reference": _numbered(table["reference"], references),
        "evidence": table["evidence"].replace_strict({"IEA": 0, "TAS": 1}, default=2),
        "onset": table["onset"].replace_strict(
            {text: -1 if each is None else each.term for text, each in onsets.items()}
        ),
        "sex": table["sex"].str.to_uppercase().replace_strict({"MALE": 1, "FEMALE": 2}, default=0),
        "curated": table.select(curated.cast(pl.Int32).fill_null(0)).to_series(),
    }
    version = re.search(r"^#version: *(\S+)", comments, re.MULTILINE)
    return Annotations(
        **{name: series.to_numpy().astype(DTYPES[name]) for name, series in arrays.items()},
        disease_ids=tuple(diseases["database_id"]),
        disease_names=tuple(diseases["disease_name"]),
        references=tuple(references),
        version=version[1] if version else "unknown",
    )


def _numbered(series: "pl.Series", order: "pl.Series") -> "pl.Series":
    """The place of each value in `order`."""
    return series.replace_strict(order, range(len(order)))


def _frequency(text: str, where: str) -> tuple[Said, float, int]:
    """How the frequency is given, the share, and the patients it stands on."""
    if not text:
        return Said.NOTHING, float("nan"), 0
    if text in BANDS:
        low, high = BANDS[text]
        return Said.BAND, (low + high) / 2, 0
    try:
        if "/" in text:
            seen, of = (int(part) for part in text.split("/"))
            if of > 0 and 0 <= seen <= of:
                return Said.COUNT, seen / of, of
        elif text.endswith("%"):
            share = float(text[:-1]) / 100
            if 0 <= share <= 1:
                return Said.PERCENT, share, 0
    except ValueError:
        pass
    raise KnowledgeError(
        "the frequency is none of n/m, a percentage or a frequency term",
        where=where,
        remedy="Take an undamaged release",
    )


def count_diseases(ids: Sequence[str]) -> dict[str, int]:
    """Diseases of each database."""
    counted: dict[str, int] = {}
    for each in ids:
        database = each.partition(":")[0]
        counted[database] = counted.get(database, 0) + 1
    return counted
