"""One patient as files know him: by the hospital's id, by the pseudonym, or by a mention in a text.

An id shorter than LEAST_LETTERS stands in other words and numbers by chance. It is looked for in columns of
patients only, not in free texts nor in the bytes of files.
"""

import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import polars as pl

from galeno.records import PATIENT

LEAST_LETTERS = 5
ERASED = "[erased]"
"""What stands in a text of others where the patient was named."""
PATIENT_COLUMNS = frozenset({PATIENT, "patient", "patient_id"})
"""Columns that Galeno itself names patients in."""

_WHOLE = re.compile(r"-?\d+")
_REGEX_SIGNS = re.compile(r"([\\.+*?()|\[\]{}^$#&~-])")


@dataclass(frozen=True, slots=True)
class Person:
    """Who is looked for.

    Attributes:
        patient_id: the hospital's own id, without blanks around it.
        pseudonym: the name in journal, audit trail and captured data.
    """

    patient_id: str
    pseudonym: str

    @property
    def telling(self) -> bool:
        """Whether the id is long enough to be looked for anywhere."""
        return len(self.patient_id) >= LEAST_LETTERS

    @property
    def names(self) -> tuple[str, ...]:
        """Values of a column that mean the patient; tables write whole numbers in two ways."""
        plain = self.patient_id.removesuffix(".0")
        forms = (plain, f"{plain}.0") if _WHOLE.fullmatch(plain) else (self.patient_id,)
        return (*forms, self.pseudonym)

    @property
    def mention(self) -> str:
        """Regular expression of the id as a word of its own, for Polars and DataFusion (Rust's regex)."""
        word = _REGEX_SIGNS.sub(r"\\\1", self.patient_id)
        before = r"\b" if self.patient_id[0].isalnum() else ""
        after = r"\b" if self.patient_id[-1].isalnum() else ""
        return f"{before}{word}{after}"

    @property
    def needles(self) -> tuple[bytes, ...]:
        """Bytes that would name the patient in a file: as UTF-8 and as JSON writes it in ASCII."""
        escaped = json.dumps(self.patient_id)[1:-1]
        return tuple({self.patient_id.encode("utf-8"), escaped.encode("ascii")})

    def own_columns(self, frame: pl.DataFrame, roles: Collection[str] = ()) -> list[str]:
        """Columns in which the patient's name makes a row the patient's.

        Args:
            frame: the table, or no row of it: only names and types are read.
            roles: further columns that are known to hold ids of patients or records.
        """
        named = PATIENT_COLUMNS | frozenset(roles)
        return [
            name
            for name, dtype in frame.schema.items()
            if (dtype == pl.String or dtype.is_integer() or dtype == pl.Float64)
            and (name in named or (self.telling and dtype == pl.String))
        ]

    def own_rows(self, frame: pl.DataFrame, roles: Collection[str] = ()) -> pl.Series:
        """Which rows are the patient's. Boolean, shape (rows,)."""
        columns = [pl.col(name).cast(pl.String) for name in self.own_columns(frame, roles)]
        return _any(frame, (column.str.strip_chars().is_in(self.names) for column in columns))

    def text_columns(self, frame: pl.DataFrame) -> list[str]:
        """Columns of texts that may mention the patient; none where the id is too short to tell."""
        return [name for name, dtype in frame.schema.items() if dtype == pl.String] if self.telling else []

    def mentions(self, frame: pl.DataFrame) -> pl.Series:
        """Which rows have a text that names the patient. Boolean, shape (rows,)."""
        return _any(frame, (pl.col(name).str.contains(self.mention) for name in self.text_columns(frame)))

    def without_mentions(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The same rows with ERASED in the place of the patient's name."""
        return frame.with_columns(
            pl.col(name).str.replace_all(self.mention, ERASED) for name in self.text_columns(frame)
        )


def _any(frame: pl.DataFrame, conditions: Iterable[pl.Expr]) -> pl.Series:
    found = pl.any_horizontal(pl.lit(value=False), *(each.fill_null(value=False) for each in conditions))
    return frame.select(found=pl.repeat(value=False, n=pl.len()) | found).to_series()
