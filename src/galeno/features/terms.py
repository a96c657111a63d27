"""TF-IDF of n-grams: which terms are kept, and what they weigh."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

_LOGS = np.array([0.0] + [1.0 + math.log(count) for count in range(1, 256)])
"""Sublinear weight of a count; counts above 255 weigh like 255."""


class Terms:
    """A sorted vocabulary with inverse document frequencies.

    Weights are (1 + ln count) * (1 + ln((1 + n) / (1 + df))), rows scaled to length 1, as scikit-learn's
    TfidfVectorizer with sublinear_tf has them.
    """

    def __init__(self, vocabulary: Sequence[str], idf: NDArray[np.float64]) -> None:
        """Keep terms, sorted, and their weights, shape (terms,)."""
        self.vocabulary = tuple(vocabulary)
        self.idf = idf
        self.index: dict[str, int] = {term: place for place, term in enumerate(self.vocabulary)}

    @classmethod
    def fit(cls, counts: Mapping[str, int], documents: int, least: int, most: int) -> Self:
        """Keep the terms of enough documents.

        Args:
            counts: how many documents (patients) have each term.
            documents: how many there are.
            least: fewest documents of a term that is kept.
            most: terms kept at most, those of most documents first, then by alphabet.
        """
        ranked = sorted((-count, term) for term, count in counts.items() if count >= least)[:most]
        kept = sorted((term, -negative) for negative, term in ranked)
        frequencies = np.array([count for _, count in kept], np.float64)
        idf = 1.0 + np.log((1.0 + documents) / (1.0 + frequencies))
        return cls([term for term, _ in kept], idf)

    def weigh(self, counts: sparse.csr_array) -> sparse.csr_array:
        """Weights of counted terms, shape (rows, terms); each row depends on its own counts alone."""
        rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
        places = np.minimum(counts.data, len(_LOGS) - 1).astype(np.int64)
        data = _LOGS[places] * self.idf[counts.indices]
        lengths = np.sqrt(np.bincount(rows, weights=data * data, minlength=counts.shape[0]))
        data /= lengths[rows]
        return sparse.csr_array((data.astype(np.float32), counts.indices, counts.indptr), shape=counts.shape)


def count_terms(documents: Iterable[Iterable[str]], index: Mapping[str, int]) -> sparse.csr_array:
    """How often each known term stands in each document, shape (documents, terms), indices sorted."""
    indices: list[int] = []
    ends = [0]
    find = index.get
    for document in documents:
        indices.extend(place for place in map(find, document) if place is not None)
        ends.append(len(indices))
    shape = (len(ends) - 1, len(index))
    counts = sparse.csr_array(
        (np.ones(len(indices)), np.array(indices, np.int32), np.array(ends, np.int32)), shape=shape
    )
    counts.sum_duplicates()
    return counts


def count_patients(documents: Iterable[Iterable[str]], patients: NDArray[np.int64]) -> Counter[str]:
    """How many patients have each term."""
    by_patient: dict[int, set[str]] = {}
    for patient, document in zip(patients.tolist(), documents, strict=True):
        by_patient.setdefault(patient, set()).update(document)
    counted: Counter[str] = Counter()
    for terms in by_patient.values():
        counted.update(terms)
    return counted


def word_grams(words: Sequence[str], longest: int) -> list[str]:
    """All runs of 1 to `longest` words."""
    grams = list(words)
    for size in range(2, longest + 1):
        grams.extend(" ".join(words[at : at + size]) for at in range(len(words) - size + 1))
    return grams


def character_grams(word: str, longest: int) -> list[str]:
    """All runs of 2 to `longest` characters of a word with a space on each side."""
    padded = f" {word} "
    length = len(padded)
    return [
        padded[at : at + size]
        for size in range(2, min(longest, length) + 1)
        for at in range(length - size + 1)
    ]
