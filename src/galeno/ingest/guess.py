"""What a column looks like: its type, its range, its options. Guesses for a draft, not rules."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from galeno.ingest.columns import read_codes
from galeno.ingest.values import FALSE, TRUE, codes_of, comma_number_of, number_of, time_of
from galeno.knowledge.signs import looks_like_ids
from galeno.study import Column, Records

MAX_OPTIONS = 50
"""A category with more levels than this is drafted without options."""
MISSING = codes_of(Records.model_fields["missing"].default)
"""Missing codes of a study that names none."""

_MOST = 0.95
_MANY = 0.8
_JUNK_WORDS = 10
_CODE_NAMES = {"id", "code", "cod", "codigo", "código", "type", "tipo", "source"}
_KNOWN_RANGES: tuple[tuple[frozenset[str], tuple[tuple[float, float], ...]], ...] = (
    (frozenset({"age", "edad", "años"}), ((0, 120),)),
    (frozenset({"temperature", "temperatura", "temp"}), ((25, 45), (77, 113))),
    (frozenset({"height", "talla", "estatura", "altura"}), ((0.2, 2.6), (20, 260))),
    (frozenset({"weight", "peso"}), ((0, 500),)),
    (frozenset({"bmi", "imc"}), ((5, 150),)),
    (frozenset({"spo2", "sao2", "saturation", "saturacion", "saturación"}), ((0, 100),)),
    (frozenset({"pulse", "pulso", "heartrate", "hr"}), ((0, 350),)),
    (frozenset({"ph"}), ((6, 8.5),)),
)


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """What a column holds; the base of every guess."""

    name: str
    texts: tuple[str, ...]
    """Distinct values, most frequent first, missing ones left out."""
    counts: NDArray[np.int64]
    """Rows of each of them."""
    rows: int
    dtype: pl.DataType

    @property
    def given(self) -> int:
        """Rows that are not missing."""
        return int(self.counts.sum())

    @property
    def distinct(self) -> int:
        """Number of different values."""
        return len(self.texts)

    @property
    def words(self) -> frozenset[str]:
        """The words of the column's name, in lower case."""
        return words_of(self.name)


def words_of(name: str) -> frozenset[str]:
    """The words of a column name: `patientId` and `patient_id` give patient and id."""
    spaced = re.sub(r"(?<=[a-zà-ÿ])(?=[A-Z])", " ", name)
    return frozenset(re.findall(r"[^\W_]+", spaced.lower()))


def facts_of(values: pl.Series) -> Facts:
    """Look at a column of shape (n,)."""
    if values.dtype in (pl.List(pl.String), pl.Array):
        values = values.cast(pl.List(pl.String)).list.drop_nulls().list.join("; ")
    texts = read_codes(values, MISSING).drop_nulls().alias("text")
    table = texts.value_counts().sort("count", "text", descending=[True, False])
    return Facts(
        values.name,
        tuple(table["text"]),
        table["count"].to_numpy().astype(np.int64),
        len(values),
        values.dtype,
    )


def guess_missing(columns: Iterable[Facts]) -> frozenset[str]:
    """Words that stand for a missing value here: in two columns or more they are where a number should be."""
    columns_of_word = Counter(
        text
        for facts in columns
        if _numbers(facts) is not None
        for text in facts.texts
        if _number_of(text) is None
    )
    return frozenset(word for word, columns in columns_of_word.items() if columns > 1)


def without(facts: Facts, codes: frozenset[str]) -> Facts:
    """The same column with more missing codes."""
    kept = np.array([text not in codes for text in facts.texts], dtype=bool)
    texts = tuple(text for text in facts.texts if text not in codes)
    return replace(facts, texts=texts, counts=facts.counts[kept])


def guess_column(facts: Facts) -> Column | None:
    """Draft a column.

    Returns:
        None where it holds nothing to learn from: empty, or one value in every row.
    """
    if not facts.distinct or (facts.distinct == 1 and facts.given == facts.rows):
        return None
    if is_terms(facts) or facts.dtype == pl.Boolean or _is_flag(facts):
        return Column(type="terms" if is_terms(facts) else "flag")
    numbers = _numbers(facts)
    if numbers is not None:
        low, high = guess_range(facts.words, numbers)
        return Column(type="number", min=low, max=high)
    if is_date(facts):
        return Column(type="date")
    if _is_prose(facts):
        return Column(type="text")
    options = facts.texts if facts.distinct <= MAX_OPTIONS else ()
    return Column(type="category", options=_in_order(options))


def is_terms(facts: Facts) -> bool:
    """Whether nearly all values are ids of HPO terms; a few may be names or slips of the finger."""
    ids = np.array([looks_like_ids(text) for text in facts.texts], dtype=bool)
    return facts.distinct > 0 and _share(facts, ids) >= _MANY


def is_date(facts: Facts) -> bool:
    """Whether nearly all values are dates."""
    if facts.dtype.is_temporal():
        return True
    dated = np.array([not text.isdecimal() and time_of(text) is not None for text in facts.texts], dtype=bool)
    return facts.distinct > 0 and _share(facts, dated) >= _MOST


def guess_range(words: frozenset[str], numbers: NDArray[np.float64]) -> tuple[float, float]:
    """A lenient range: extreme true values stay in, absurd ones fall out.

    Args:
        words: words of the column's name; age, temperature and the like have ranges that are known.
        numbers: the values, shape (n,), n > 0.

    Returns:
        lowest and highest possible value.
    """
    for names, ranges in _KNOWN_RANGES:
        if names & words:
            for low, high in ranges:
                if np.mean((numbers >= low) & (numbers <= high)) >= _MOST:
                    return low, high
    sizes = np.abs(numbers[numbers != 0])
    if not sizes.size:
        return 0.0, 1.0
    sane = numbers[np.abs(numbers) <= 100 * np.quantile(sizes, 0.95)]
    low, high = float(sane.min()), float(sane.max())
    if low >= 0:
        return 0.0, _round_up(3 * high)
    span = high - low
    return -_round_up(span - low), _round_up(high + span)


def _round_up(number: float) -> float:
    """The next number with two digits: 317 gives 320."""
    if number <= 0:
        return 0.0
    step = 10.0 ** (np.floor(np.log10(number)) - 1)
    return float(f"{np.ceil(number / step - 1e-9) * step:.6g}")


def _number_of(text: str) -> float | None:
    number = number_of(text)
    return comma_number_of(text) if number is None else number


def _share(facts: Facts, mask: NDArray[np.bool_]) -> float:
    return float(facts.counts[mask].sum() / max(facts.given, 1))


def _is_flag(facts: Facts) -> bool:
    words = [text.lower() for text in facts.texts]
    yes = np.array([word in TRUE for word in words], dtype=bool)
    no = np.array([word in FALSE for word in words], dtype=bool)
    rest = [word for word in words if word not in TRUE and word not in FALSE]
    junk = len(rest) <= _JUNK_WORDS and all(number_of(word) is None for word in rest)  # 0, 1, 2, 3 is a scale
    return bool(yes.any() and no.any()) and _share(facts, yes | no) >= _MOST and junk


def _numbers(facts: Facts) -> NDArray[np.float64] | None:
    """The column's numbers, each as often as it stands there; None where it is not a number column."""
    parsed = [_number_of(text) for text in facts.texts]
    numeric = np.array([number is not None for number in parsed], dtype=bool)
    if not numeric.any() or _share(facts, numeric) < _MANY or (~numeric).sum() > _JUNK_WORDS:
        return None
    values = np.array([number for number in parsed if number is not None])
    whole = bool((values == np.round(values)).all())
    if whole and values.size <= MAX_OPTIONS and (values.size <= 2 or facts.words & _CODE_NAMES):
        return None  # 1 and 2 for the sexes, or a code: names, not quantities
    return np.repeat(values, facts.counts[numeric])


def _is_prose(facts: Facts) -> bool:
    lengths = np.array([len(text.split()) for text in facts.texts])
    mean = float((lengths * facts.counts).sum() / facts.given)
    vocabulary = {word for text in facts.texts[:500] for word in text.lower().split()}
    return mean >= 4 and facts.distinct > min(MAX_OPTIONS, facts.given / 3) and len(vocabulary) >= 30


def _in_order(options: tuple[str, ...]) -> tuple[str, ...]:
    numbers = {option: number_of(option) for option in options}
    return tuple(sorted(options, key=lambda option: (numbers[option] is None, numbers[option] or 0.0)))
