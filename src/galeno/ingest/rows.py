"""Rules about whole rows, as Polars masks: duplicates, keys, patients with two targets."""

from hashlib import sha256

import polars as pl


def row_keys(frame: pl.DataFrame) -> pl.Series:
    """A key of each row's content that does not depend on the order of rows or columns.

    Args:
        frame: raw columns, shape (n, columns).

    Returns:
        String, shape (n,): hexadecimal SHA-256 of the raw values, a dash and the number of the
        occurrence, so that equal rows of different patients stay apart.
    """
    if not frame.height:
        return pl.Series([], dtype=pl.String)
    texts = frame.select(comparable(frame[name]) for name in sorted(frame.columns))
    joined = texts.select(
        pl.concat_str([pl.col(name).fill_null("\0") for name in texts.columns], separator="\x1f").alias(
            "digest"
        )
    )["digest"]
    digests = pl.Series("digest", [sha256(text.encode()).hexdigest() for text in joined.to_list()])
    occurrence = pl.col("digest").cum_count().over("digest").cast(pl.String)
    return digests.to_frame().select(key=pl.concat_str("digest", pl.lit("-"), occurrence))["key"]


def comparable(values: pl.Series) -> pl.Series:
    """A column as texts; lists and other nested values by their JSON."""
    if values.dtype.is_nested():
        return (
            values.to_frame("value")
            .select(pl.struct("value").struct.json_encode())
            .to_series()
            .alias(values.name)
        )
    if values.dtype in (pl.Binary, pl.Object):
        texts = [None if value is None else sha256(repr(value).encode()).hexdigest() for value in values]
        return pl.Series(values.name, texts, pl.String)
    return values.cast(pl.String)


def seen_before(texts: pl.Series) -> pl.Series:
    """Rows whose text stood in an earlier row; null never counts. Boolean, shape (n,)."""
    return ~texts.is_first_distinct() & texts.is_not_null()


def repeated_rows(frame: pl.DataFrame, patients: pl.Series) -> pl.Series:
    """Rows equal in every column to an earlier row of the same, named, patient. Boolean, shape (n,)."""
    texts = frame.select(comparable(frame[name]) for name in frame.columns)
    first = texts.select(first=pl.struct(pl.all()).is_first_distinct())["first"]
    return ~first & patients.is_not_null()


def two_targets(patients: pl.Series, targets: pl.Series) -> pl.Series:
    """Rows of patients who have more than one known target. Boolean, shape (n,)."""
    frame = pl.DataFrame({"patient": patients, "target": targets})
    several = pl.col("target").drop_nulls().n_unique().over("patient") > 1
    return frame.select(several=several & pl.col("patient").is_not_null())["several"]
