"""One column under its rules: a reader that types one value, or a whole column, in the same way."""

import math
from collections.abc import Iterable
from decimal import Decimal

import numpy as np
import polars as pl

from galeno.ingest.values import (
    BLANKS,
    Fault,
    Parse,
    Reading,
    Value,
    category_parser,
    code_of,
    codes_of,
    comma_number_of,
    date_parser,
    file_parser,
    flag_parser,
    number_of,
    terms_parser,
    text_of,
    text_parser,
)
from galeno.knowledge.opened import open_vocabulary
from galeno.media.fault import RULES
from galeno.study import Column, ColumnType, Rules

DTYPES: dict[ColumnType, pl.DataType] = {
    "number": pl.Float64(),
    "flag": pl.Boolean(),
    "category": pl.String(),
    "text": pl.String(),
    "date": pl.Datetime("us"),
    "terms": pl.String(),
    "sound": pl.Binary(),
    "image": pl.Binary(),
}
"""Polars type of each column type; a sound or an image in the lake is the String of its digest."""
FAULTS = ("", "missing_code", "type", "category", "range", "convert", "decimal_comma", *RULES)
"""Faults by their code in `ColumnReader.read_column`."""

_CODE = {fault: code for code, fault in enumerate(FAULTS)}
_COMMA = r"^[+-]?([0-9]{1,3},([0-9]{1,2}|[0-9]{4,})|0{1,3},[0-9]{3})$"
"""What `comma_number_of` takes."""
_NOT_SCALAR = (pl.List, pl.Array, pl.Struct, pl.Binary, pl.Object, pl.Duration, pl.Time)


class ColumnReader:
    """Types the values of one column; what breaks a rule becomes None, unless the behaviour is keep.

    Args:
        name: the column.
        column: its declaration.
        codes: the study's missing codes.
        rules: the study's behaviours.
    """

    def __init__(self, name: str, column: Column, codes: Iterable[str], rules: Rules) -> None:
        self.name = name
        self.column = column
        self.behaviours: dict[str, str] = {
            "type": column.rules.type or rules.type,
            "range": column.rules.range or rules.range,
            "category": column.rules.category or rules.category,
            "required": column.rules.required or rules.required,
            "convert": "convert",
            "decimal_comma": "convert",
            "missing_code": "blank",
            **dict.fromkeys(RULES, rules.file),
        }
        options = {code_of(option.strip(BLANKS)) for option in column.options}
        self._codes = (codes_of(codes) - options) | codes_of(
            column.missing
        )  # an option that is declared is not missing
        self._numeric_codes = frozenset(
            number for number in map(number_of, self._codes) if number is not None
        )
        self._low = -math.inf if column.min is None else column.min
        self._high = math.inf if column.max is None else column.max
        self._keep_range = self.behaviours["range"] == "keep"
        self.read: Parse = self._parser()
        """Type one value: `read(value) -> (typed value, fault or None)`."""

    def read_column(self, values: pl.Series) -> tuple[pl.Series, pl.Series]:
        """Type a whole column.

        Args:
            values: of any type, shape (n,).

        Returns:
            the typed values (see DTYPES) and UInt8 codes into FAULTS, each of shape (n,).
        """
        values = _plain(values)
        if self.column.type == "terms" and isinstance(values.dtype, pl.List | pl.Array):
            return self._read_lists(values)
        if self.column.holds_file:
            return self._read_files(values)
        if isinstance(values.dtype, _NOT_SCALAR):
            typed = pl.Series(values.name, [None] * len(values), DTYPES[self.column.type])
            return typed, values.is_not_null().cast(pl.UInt8) * _CODE["type"]
        if self.column.type == "number" and (values.dtype.is_numeric() or values.dtype == pl.String):
            return self._read_numbers(values)
        return self._read_distinct(values)

    def _parser(self) -> Parse:
        if self.column.type == "number":
            return self._read_number
        if self.column.type == "flag":
            return flag_parser(self._codes)
        if self.column.type == "category":
            return category_parser(self._codes, self.column.options, self.behaviours["category"] == "keep")
        if self.column.type == "terms":
            return terms_parser(self._codes, open_vocabulary(), self.behaviours["category"] == "keep")
        if self.column.holds_file:
            return file_parser(self._codes, "sound" if self.column.type == "sound" else "image")
        return date_parser(self._codes) if self.column.type == "date" else text_parser(self._codes)

    def _read_files(self, values: pl.Series) -> tuple[pl.Series, pl.Series]:
        """`read` over a column of files."""
        readings = [self.read(value) for value in values.to_list()]
        typed = pl.Series(values.name, [value for value, _ in readings], DTYPES[self.column.type])
        return typed, pl.Series([_CODE[fault or ""] for _, fault in readings], dtype=pl.UInt8)

    def _read_lists(self, values: pl.Series) -> tuple[pl.Series, pl.Series]:
        """`read` over a column of lists."""
        readings = [self.read(value) for value in values.to_list()]
        typed = pl.Series(values.name, [value for value, _ in readings], DTYPES[self.column.type])
        return typed, pl.Series([_CODE[fault or ""] for _, fault in readings], dtype=pl.UInt8)

    def _read_number(self, value: object) -> Reading:
        fine: Fault = None
        number: float | None
        if isinstance(value, float) and math.isfinite(value):
            number = float(value)
        elif isinstance(value, str):
            text = value.strip(BLANKS)
            number = number_of(text)
            if number is None and text in self._codes:
                return None, "missing_code" if text else None
            if number is None:
                number, fine = comma_number_of(text), "decimal_comma"
            if number is None:
                return None, "type"
        else:
            number = _float_of(value)
            if number is None or not math.isfinite(number):
                return None, None if value is None or number != number else "type"  # noqa: PLR0124  (NaN)
        if number in self._numeric_codes:
            return None, "missing_code"
        if self._low <= number <= self._high:
            return number, fine
        return self._out_of_range(number)

    def _out_of_range(self, number: float) -> Reading:
        for conversion in self.column.convert:
            converted = number * conversion.scale + conversion.offset
            if self._low <= converted <= self._high:
                return converted, "convert"
        return number if self._keep_range else None, "range"

    def _read_numbers(self, values: pl.Series) -> tuple[pl.Series, pl.Series]:
        """`_read_number` over a column, in Polars expressions."""
        column = pl.col("value")
        if values.dtype == pl.String:
            text = column.str.strip_chars(BLANKS)
            number = text.cast(pl.Float64, strict=False)
            comma = number.is_null() & text.str.contains(_COMMA)
            number = pl.when(comma).then(text.str.replace(",", ".", literal=True)).otherwise(text)
            number = number.cast(pl.Float64, strict=False)
            coded = _is_in(text, self._codes - {""})
            given = text.is_not_null() & (text != "")
        else:
            number = column.cast(pl.Float64).fill_nan(None)
            coded = comma = pl.lit(value=False)
            given = number.is_not_null()
        finite = number.is_finite().fill_null(value=False)
        frame = (
            values.alias("value")
            .to_frame()
            .select(
                number=pl.when(finite).then(number),
                coded=(coded & ~finite) | _is_in(number, self._numeric_codes),
                given=given,
                comma=comma,
            )
        )
        return self._limit(frame, values.name)

    def _limit(self, frame: pl.DataFrame, name: str) -> tuple[pl.Series, pl.Series]:
        number = pl.col("number")
        inside = number.is_between(self._low, self._high)
        value: pl.Expr = pl.when(inside | self._keep_range).then(number)
        fault: pl.Expr = (
            pl.when(inside & pl.col("comma"))
            .then(_CODE["decimal_comma"])
            .when(inside)
            .then(_CODE[""])
            .otherwise(_CODE["range"])
        )
        for conversion in reversed(self.column.convert):
            converted = number * conversion.scale + conversion.offset
            fits = ~inside & converted.is_between(self._low, self._high)
            value = pl.when(fits).then(converted).otherwise(value)
            fault = pl.when(fits).then(_CODE["convert"]).otherwise(fault)
        result = frame.select(
            value=pl.when(~pl.col("coded")).then(value),
            fault=pl.when(pl.col("coded"))
            .then(_CODE["missing_code"])
            .when(~pl.col("given").fill_null(value=False))
            .then(_CODE[""])
            .when(number.is_null())
            .then(_CODE["type"])
            .otherwise(fault)
            .cast(pl.UInt8),
        )
        return result["value"].alias(name), result["fault"]

    def _read_distinct(self, values: pl.Series) -> tuple[pl.Series, pl.Series]:
        """`read` over the distinct values of a column."""
        distinct = values.unique().drop_nulls()
        readings = [self.read(value) for value in distinct.to_list()]
        typed: list[Value] = [value for value, _ in readings]
        codes = pl.Series([_CODE[fault or ""] for _, fault in readings], dtype=pl.UInt8)
        dtype = DTYPES[self.column.type]
        return (
            _replace(values, distinct, pl.Series(typed, dtype=dtype)).alias(values.name),
            _replace(values, distinct, codes).fill_null(0),
        )


def read_codes(values: pl.Series, codes: frozenset[str]) -> pl.Series:
    """A column as texts that can be compared, such as identifiers or target values.

    Args:
        values: of any type, shape (n,).
        codes: missing codes, from `codes_of`.

    Returns:
        String, shape (n,); null where the value is missing or is not a scalar.
    """
    values = _plain(values)
    if isinstance(values.dtype, _NOT_SCALAR):
        return pl.Series(values.name, [None] * len(values), pl.String)
    distinct = values.unique().drop_nulls()
    texts = [None if (text := text_of(value)) is None else code_of(text) for value in distinct.to_list()]
    texts = [None if text in codes else text for text in texts]
    return _replace(values, distinct, pl.Series(texts, dtype=pl.String)).alias(values.name)


def _float_of(value: object) -> float | None:
    """A Python or NumPy number as a float; None where it is not one or too large."""
    if isinstance(value, np.generic):
        value = value.item()
    if not isinstance(value, int | float | Decimal):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _is_in(column: pl.Expr, known: frozenset[str] | frozenset[float]) -> pl.Expr:
    return column.is_in(sorted(known)).fill_null(value=False) if known else pl.lit(value=False)


def _plain(values: pl.Series) -> pl.Series:
    if isinstance(values.dtype, pl.Categorical | pl.Enum):
        return values.cast(pl.String)
    if isinstance(values.dtype, pl.Decimal | pl.Float32):
        values = values.cast(pl.Float64)
    return values.fill_nan(None) if values.dtype.is_float() else values


def _replace(values: pl.Series, old: pl.Series, new: pl.Series) -> pl.Series:
    if old.is_empty():
        return pl.Series(values.name, [None] * len(values), new.dtype)
    return values.replace_strict(old, new, default=None, return_dtype=new.dtype)
