"""The text encoder: one free-text column in Spanish or English, without any download."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse
from threadpoolctl import threadpool_limits

from galeno.features.encoder import Arrays, CrossFitted, FeatureColumn, Sample, column_or_nulls
from galeno.features.terms import Terms, character_grams, count_patients, count_terms, word_grams
from galeno.features.tokens import drop_punctuation, fold, mark_negations, split_words
from galeno.recipes import Features, TextFeatures
from galeno.records import FloatMatrix
from galeno.study import Column


class TextEncoder:
    """TF-IDF of word n-grams and of character n-grams inside words, and their main directions (SVD).

    Texts are folded to lower case without accents. Words under a negation are marked for the word n-grams;
    character n-grams see them unmarked, so that a negated finding keeps its likeness to the finding.
    A term is kept when enough patients have it (`Sample.fewest_patients`), which also keeps names and
    numbers of one patient out of the package. No text at all is marked where the fitting rows had such.
    """

    def __init__(
        self,
        source: str,
        recipe: TextFeatures,
        words: Terms,
        characters: Terms,
        components: NDArray[np.float32],
        *,
        marks_missing: bool,
    ) -> None:
        """Join the parts; `components` has shape (words + characters, components)."""
        self._source, self._recipe = source, recipe
        self._words, self._characters, self._components = words, characters, components
        self._marks_missing = marks_missing
        self._ends = np.cumsum(
            [len(words.vocabulary), len(characters.vocabulary), components.shape[1]]
        ).tolist()
        self.columns: tuple[FeatureColumn, ...] = self._name_columns()

    @classmethod
    def fit(
        cls, columns: Mapping[str, Column], sample: Sample, features: Features, seed: int, threads: int
    ) -> tuple[Self, CrossFitted]:
        """Learn terms, weights and directions from the sample's rows alone."""
        del threads  # the SVD runs on one, so that its bits do not depend on how many there are
        (source,) = columns
        recipe = features.text
        tokens = [split_words(fold(text)) for text in _read(sample.frame, source)]
        documents, least = int(sample.patients.max(initial=-1)) + 1, sample.fewest_patients()
        word_docs = [word_grams(_words(t, recipe), recipe.words) if recipe.words else [] for t in tokens]
        words = Terms.fit(count_patients(word_docs, sample.patients), documents, least, recipe.max_terms)
        cache: dict[str, list[str]] = {}
        character_docs = (_grams_of(t, recipe.characters, cache) for t in tokens)
        characters = Terms.fit(
            count_patients(character_docs, sample.patients), documents, least, recipe.max_terms
        )
        empty = sum(not t for t in tokens)
        marks = 0 < empty < len(tokens)
        bare = np.zeros((len(words.vocabulary) + len(characters.vocabulary), 0), np.float32)
        encoder = cls(source, recipe, words, characters, bare, marks_missing=marks)
        components = _learn_directions(encoder._weigh(tokens), recipe.svd, seed)
        return cls(source, recipe, words, characters, components, marks_missing=marks), {}

    def write(self, frame: pl.DataFrame, out: FloatMatrix) -> None:
        """Write every row of the frame."""
        self._write_texts(_read(frame, self._source), out)

    def write_record(self, values: Mapping[str, object], out: NDArray[np.float32]) -> None:
        """Write one record."""
        text = values.get(self._source)
        self._write_texts(["" if text is None else str(text)], out[np.newaxis])

    def write_records(self, records: Sequence[Mapping[str, object]], out: FloatMatrix) -> None:
        """Write several records, one by one: a text is long enough to be worth its own call."""
        for values, row in zip(records, out, strict=True):
            self.write_record(values, row)

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """All it learned."""
        state = {
            "source": self._source,
            "recipe": self._recipe.model_dump(mode="json"),
            "marks_missing": self._marks_missing,
            "words": list(self._words.vocabulary),
            "characters": list(self._characters.vocabulary),
        }
        arrays: Arrays = {
            "word_idf": self._words.idf,
            "character_idf": self._characters.idf,
            "components": self._components,
        }
        return state, arrays

    @classmethod
    def from_state(cls, state: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The encoder that `state` came from."""
        return cls(
            state["source"],
            TextFeatures.model_validate(state["recipe"]),
            Terms(state["words"], arrays["word_idf"]),
            Terms(state["characters"], arrays["character_idf"]),
            arrays["components"],
            marks_missing=state["marks_missing"],
        )

    def _write_texts(self, texts: list[str], out: FloatMatrix) -> None:
        tokens = [split_words(fold(text)) for text in texts]
        weights = self._weigh(tokens)
        rows = np.repeat(np.arange(len(texts)), np.diff(weights.indptr))
        out[rows, weights.indices] = weights.data
        _, grams, end = self._ends
        if self._components.shape[1]:
            # Sparse times dense adds in the same order for one row and for many; a matrix product need not.
            out[:, grams:end] = weights @ self._components
        if self._marks_missing:
            out[:, end] = [not t for t in tokens]

    def _weigh(self, tokens: list[list[str]]) -> sparse.csr_array:
        """Weights of both kinds of n-grams, shape (texts, words + characters)."""
        recipe = self._recipe
        grams = (word_grams(_words(t, recipe), recipe.words) if recipe.words else [] for t in tokens)
        words = self._words.weigh(count_terms(grams, self._words.index))
        characters = self._characters.weigh(self._count_characters(tokens))
        return sparse.hstack([words, characters], format="csr")

    def _count_characters(self, tokens: list[list[str]]) -> sparse.csr_array:
        """Counts of character n-grams: words in texts times n-grams in words."""
        bare = [drop_punctuation(t) for t in tokens]
        known = {
            word: place for place, word in enumerate(dict.fromkeys(word for words in bare for word in words))
        }
        longest = self._recipe.characters
        in_words = count_terms((character_grams(word, longest) for word in known), self._characters.index)
        counts = count_terms(bare, known) @ in_words
        counts.sort_indices()
        return counts

    def _name_columns(self) -> tuple[FeatureColumn, ...]:
        source = self._source
        named = [FeatureColumn(f"{source}: {term}", source, "ngrams") for term in self._words.vocabulary]
        named += [
            FeatureColumn(f"{source}: ~{term}~", source, "ngrams") for term in self._characters.vocabulary
        ]
        named += [
            FeatureColumn(f"{source} svd {i + 1}", source, "svd") for i in range(self._components.shape[1])
        ]
        if self._marks_missing:
            named.append(FeatureColumn(f"{source} missing", source, "table"))
        return tuple(named)


def _read(frame: pl.DataFrame, name: str) -> list[str]:
    return column_or_nulls(frame, name, pl.String()).fill_null("").to_list()


def _words(tokens: list[str], recipe: TextFeatures) -> list[str]:
    return list(mark_negations(tokens)) if recipe.negation else drop_punctuation(tokens)


def _grams_of(tokens: list[str], longest: int, cache: dict[str, list[str]]) -> set[str]:
    found: set[str] = set()
    for word in set(drop_punctuation(tokens)):
        if word not in cache:
            cache[word] = character_grams(word, longest)
        found.update(cache[word])
    return found


def _learn_directions(weights: sparse.csr_array, most: int, seed: int) -> NDArray[np.float32]:
    """Right singular vectors, shape (terms, components), scaled so that the components have mean square 1."""
    from sklearn.utils.extmath import randomized_svd  # takes seconds, and answering does not need it

    terms = weights.shape[1]
    count = min(most, terms - 1, weights.shape[0] - 1)
    if count < 1 or not weights.nnz:
        return np.zeros((terms, 0), np.float32)
    with threadpool_limits(limits=1):
        _, values, vectors = randomized_svd(
            weights.astype(np.float64), n_components=count, n_iter=5, random_state=seed, flip_sign=True
        )
    kept = values > 1e-6 * values[0]
    vectors = _fix_signs(vectors[kept])
    scale = np.sqrt((values[kept] ** 2).mean() / weights.shape[0])
    return np.ascontiguousarray((vectors / scale).T.astype(np.float32))


def _fix_signs(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest entry of each row positive."""
    largest = vectors[np.arange(len(vectors)), np.abs(vectors).argmax(axis=1)]
    return np.asarray(vectors * np.where(largest < 0, -1.0, 1.0)[:, np.newaxis])
