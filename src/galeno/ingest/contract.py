"""The contract: what a study says a good record is, held against what came in.

Rules about one value are in `columns.py`, rules about whole rows in `rows.py`;
here they get their behaviours and become a report, good rows and a quarantine.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

import polars as pl

from galeno.errors import ContractError
from galeno.ingest.columns import DTYPES, FAULTS, ColumnReader, read_codes
from galeno.ingest.rows import repeated_rows, row_keys, seen_before, two_targets
from galeno.ingest.values import Value, code_of, codes_of, is_file_value
from galeno.knowledge.opened import open_vocabulary
from galeno.media.fault import RULES as MEDIA_RULES
from galeno.records import KEY, PATIENT, ROW, SITE, TARGET, TIME, ValidationReport, Violation
from galeno.study import Column, Study

RULES = "_rules"
"""Quarantine column: the rules that a row broke, as `rule:column`."""
FIRST_ROWS = 10
"""Row numbers kept of a violation."""

_VERSION = 1
_REASONS = {
    "type": "bad_value",
    "category": "bad_value",
    "range": "out_of_range",
    **{rule: rule for rule in MEDIA_RULES},
}


@dataclass(frozen=True, slots=True, eq=False)
class Admission:
    """What the contract made of one source."""

    good: pl.DataFrame
    """Typed columns of the study, then KEY, PATIENT, TARGET, ROW, and TIME and SITE where the study
    names them; rows in the order of the source."""
    quarantine: pl.DataFrame
    """ROW, RULES, and the columns as they came."""
    report: ValidationReport


@dataclass(slots=True, eq=False)
class _Findings:
    """Violations, and which rows go to quarantine for what."""

    height: int
    violations: list[Violation] = field(default_factory=list)
    sent: list[tuple[str, pl.Series]] = field(default_factory=list)

    def add(self, check: str, column: str, mask: pl.Series, behaviour: str) -> None:
        rows = mask.arg_true()
        if rows.is_empty():
            return
        first = tuple(int(row) + 1 for row in rows.head(FIRST_ROWS))
        self.violations.append(Violation(check, column, len(rows), first, behaviour))
        if behaviour == "quarantine":
            self.sent.append((f"{check}:{column}", mask))


class Contract:
    """The rules of a study, ready to be held against records.

    Args:
        study: the study.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        roles = study.records
        self._codes = codes_of(roles.missing)
        self._readers = {
            name: ColumnReader(name, column, roles.missing, roles.rules)
            for name, column in study.columns.items()
        }
        self._classes = {code_of(value): c.name for c in study.classes for value in c.raw}
        self._target_codes = self._codes - set(self._classes)  # a class that is declared is not missing
        self._record = tuple(
            (
                name,
                self._readers[name].read,
                {fault: f"{reason}:{name}" for fault, reason in _REASONS.items()},
            )
            for name in study.features_columns
        )
        self.files = tuple(name for name, c in study.features_columns.items() if c.holds_file)
        """Input columns that hold sounds or images."""
        known = self._known_columns()
        self.inputs = frozenset(name for name in known if name != roles.target)
        """Columns that a record may have when it is diagnosed."""
        self.dates = tuple(name for name, c in study.features_columns.items() if c.type == "date")
        """Input columns that hold dates."""
        self.digest = _digest(study)
        """Hexadecimal SHA-256 of everything that decides what a good row is; the source is not in it."""

    def admit(
        self,
        frame: pl.DataFrame,
        source: str,
        *,
        files: Mapping[str, tuple[pl.Series, pl.Series]] | None = None,
    ) -> Admission:
        """Sort records into good ones and quarantined ones.

        Args:
            frame: raw records, texts or typed.
            source: name for the report and for messages.
            files: of columns of sounds and images: the digests, and the faults as codes into FAULTS, each of
                shape (rows,); such a column in `frame` holds what was read, for the quarantine.

        Raises:
            ContractError: a column is missing, or a rule whose behaviour is `refuse` is broken.
        """
        self._refuse_missing_columns(frame, source)
        findings = _Findings(frame.height)
        self._check_unknown_columns(frame, findings)
        found = files or {}
        read = frame.with_columns(digests.alias(name) for name, (digests, _) in found.items())
        typed = self._type_columns(read, findings, found)
        good = typed.with_columns(self._special_columns(read, typed, findings))
        self._refuse(findings, source)
        sent = pl.Series("sent", [False]).new_from_index(0, frame.height)
        for _, mask in findings.sent:
            sent = sent | mask
        good = good.filter(~sent)
        report = ValidationReport(
            source, frame.height, good.height, frame.height - good.height, tuple(findings.violations)
        )
        return Admission(good, _quarantine(frame, sent, findings), report)

    def answer(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, list[tuple[str, ...]]]:
        """Type records that are to be diagnosed. No row is dropped; what breaks a rule is blanked.

        Args:
            frame: raw records, shape (n, any columns); feature columns that it lacks are taken as missing.

        Returns:
            the feature columns, shape (n, features), and for each row the reasons to review it
            (`bad_value:COLUMN`, `out_of_range:COLUMN`).
        """
        reasons: list[tuple[str, ...]] = [()] * frame.height
        columns = []
        for name in self.study.features_columns:
            values, faults = self._read(frame, name)
            columns.append(values)
            for fault, reason in _REASONS.items():
                for row in (faults == FAULTS.index(fault)).arg_true():
                    reasons[row] = (*reasons[row], f"{reason}:{name}")
        return pl.DataFrame(columns), reasons

    def answer_record(self, values: Mapping[str, object]) -> tuple[dict[str, Value], tuple[str, ...]]:
        """`answer` for one record, in plain Python.

        Args:
            values: column to raw value; columns that are not features are ignored.

        Returns:
            feature column to typed value, None where missing, and the reasons to review it.
        """
        typed: dict[str, Value] = {}
        reasons: list[str] = []
        for name, read, reviewed in self._record:
            raw = values.get(name)
            if raw is None:
                typed[name] = None
                continue
            typed[name], fault = read(raw)
            if fault is not None and fault in reviewed:
                reasons.append(reviewed[fault])
        return typed, tuple(reasons)

    def read_file(self, name: str, value: object) -> tuple[Value, int]:
        """One cell of a column of sounds or images: its clean content, and its fault as a code of FAULTS."""
        content, fault = self._readers[name].read(value)
        return content, FAULTS.index(fault or "")

    def reason(self, name: str, fault: str) -> str:
        """The reason to review a record whose value has this fault."""
        return f"{_REASONS[fault]}:{name}"

    def is_value(self, name: str, text: str) -> bool:
        """Whether a text is a value of a column of sounds or images by itself, and not the name of a file."""
        return is_file_value(text) or self._readers[name].read(text)[1] in (None, "missing_code")

    def typed(self, frame: pl.DataFrame, names: tuple[str, ...]) -> pl.DataFrame:
        """Any declared columns, typed, faults blanked; null where the frame lacks one. Shape (n, names)."""
        return pl.DataFrame([self._read(frame, name)[0] for name in names])

    def missing_columns(self, frame: pl.DataFrame) -> list[str]:
        """Feature columns that a frame lacks."""
        return [name for name in self.study.features_columns if name not in frame.columns]

    def targets(self, frame: pl.DataFrame) -> pl.Series:
        """The class name of each row; null where the target is missing or none of the classes. Shape (n,).

        Raises:
            ContractError: the frame has no target column.
        """
        return self._class_of(self.raw_targets(frame))

    def raw_targets(self, frame: pl.DataFrame) -> pl.Series:
        """The target of each row as it came, stripped; null where missing. String, shape (n,).

        Raises:
            ContractError: the frame has no target column.
        """
        target = self.study.records.target
        if target not in frame.columns:
            raise ContractError(
                f"there is no target column {target!r}", remedy="Add it, or check records.target in the study"
            )
        return read_codes(frame[target], self._target_codes)

    def patients(self, frame: pl.DataFrame) -> pl.Series:
        """The patient of each row: patient id, else record id, else a key of its own. String, shape (n,)."""
        roles = self.study.records
        named = [
            read_codes(frame[column], self._codes)
            for column in (roles.patient, roles.record)
            if column is not None and column in frame.columns
        ]
        keys = row_keys(frame.select(name for name in self._known_columns() if name in frame.columns))
        return pl.select(pl.coalesce(*named, keys)).to_series().alias(PATIENT)

    def _read(self, frame: pl.DataFrame, name: str) -> tuple[pl.Series, pl.Series]:
        if name in frame.columns:
            return self._readers[name].read_column(frame[name])
        absent = pl.Series(name, [None], DTYPES[self.study.columns[name].type])
        return absent.new_from_index(0, frame.height), pl.Series([0], dtype=pl.UInt8).new_from_index(
            0, frame.height
        )

    def _class_of(self, raw: pl.Series) -> pl.Series:
        classes = self._classes
        return raw.replace_strict(list(classes), list(classes.values()), default=None, return_dtype=pl.String)

    def _known_columns(self) -> list[str]:
        roles = self.study.records
        special = (roles.target, roles.patient, roles.record, roles.time, roles.site)
        return list(dict.fromkeys([*self.study.columns, *(name for name in special if name is not None)]))

    def _refuse_missing_columns(self, frame: pl.DataFrame, source: str) -> None:
        needed = [*self.study.features_columns, *self.study.evaluation.groups]
        absent = [
            name
            for name in self._known_columns()
            if name not in frame.columns and (name in needed or name not in self.study.columns)
        ]
        if absent:
            raise ContractError(
                f"columns that the study names are not there: {_listed(absent)}",
                where=source,
                remedy="Add what is missing, or take it out of the study",
            )

    def _check_unknown_columns(self, frame: pl.DataFrame, findings: _Findings) -> None:
        unknown = sorted(set(frame.columns) - set(self._known_columns()))
        if unknown:
            behaviour = self.study.records.rules.unknown_column
            findings.violations.append(
                Violation("unknown_column", _listed(unknown), frame.height, (), behaviour)
            )

    def _type_columns(
        self, frame: pl.DataFrame, findings: _Findings, found: Mapping[str, tuple[pl.Series, pl.Series]]
    ) -> pl.DataFrame:
        columns = []
        for name, reader in self._readers.items():
            if name in found:
                values, faults = found[name]
            elif reader.column.holds_file and name not in self.files:
                continue  # it is no feature, and its files are not looked at
            else:
                values, faults = self._read(frame, name)
            columns.append(values)
            _add_faults(findings, reader, faults)
            if reader.column.required:
                findings.add("required", name, values.is_null(), reader.behaviours["required"])
        return pl.DataFrame(columns)

    def _special_columns(
        self, frame: pl.DataFrame, typed: pl.DataFrame, findings: _Findings
    ) -> list[pl.Series]:
        roles, rules = self.study.records, self.study.records.rules
        known = frame.select(name for name in self._known_columns() if name in frame.columns)
        keys = row_keys(known)
        raw = self.raw_targets(frame)
        targets = self._class_of(raw)
        findings.add("missing_target", roles.target, raw.is_null(), rules.missing_target)
        findings.add(
            "unknown_class", roles.target, raw.is_not_null() & targets.is_null(), rules.unknown_class
        )
        records = read_codes(frame[roles.record], self._codes) if roles.record else None
        patients = read_codes(frame[roles.patient], self._codes) if roles.patient else None
        if records is not None and roles.record:
            findings.add("duplicate", roles.record, seen_before(records), rules.duplicate)
        if patients is not None and roles.patient:
            findings.add("missing_patient", roles.patient, patients.is_null(), rules.missing_patient)
            unnamed = records.is_null() if records is not None else pl.Series([True])
            findings.add(
                "duplicate", roles.patient, repeated_rows(frame, patients) & unnamed, rules.duplicate
            )
            findings.add("two_targets", roles.patient, two_targets(patients, targets), rules.two_targets)
        who = [ids for ids in (patients, records) if ids is not None]
        rows = pl.Series(ROW, range(1, frame.height + 1), pl.Int64)
        special = [
            keys.alias(KEY),
            pl.select(pl.coalesce(*who, keys)).to_series().alias(PATIENT),
            targets.alias(TARGET),
            rows,
        ]
        return special + self._time_and_site(frame, typed, findings)

    def _time_and_site(
        self, frame: pl.DataFrame, typed: pl.DataFrame, findings: _Findings
    ) -> list[pl.Series]:
        roles = self.study.records
        special = []
        if roles.time:
            declared = self.study.columns.get(roles.time)
            if declared and declared.type == "date":
                times = typed[roles.time]
            else:
                reader = ColumnReader(roles.time, Column(type="date"), roles.missing, roles.rules)
                times, faults = reader.read_column(frame[roles.time])
                _add_faults(findings, reader, faults)
            special.append(times.alias(TIME))
        if roles.site:
            special.append(read_codes(frame[roles.site], self._codes).alias(SITE))
        return special

    def _refuse(self, findings: _Findings, source: str) -> None:
        refused = [violation for violation in findings.violations if violation.behaviour == "refuse"]
        if not refused:
            return
        listed = "; ".join(_describe(violation) for violation in refused[:5])
        more = f"; and {len(refused) - 5} more" if len(refused) > 5 else ""
        raise ContractError(
            f"refused by the study's rules: {listed}{more}",
            where=source,
            remedy="Correct the source, or name another behaviour under records.rules",
        )


def _add_faults(findings: _Findings, reader: ColumnReader, faults: pl.Series) -> None:
    for code in sorted(faults.unique().to_list()):
        if code:
            check = FAULTS[code]
            behaviour = reader.behaviours[check]
            if check == "range" and behaviour == "convert":  # none of the known units explains it
                behaviour = "blank"
            findings.add("range" if check == "convert" else check, reader.name, faults == code, behaviour)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _describe(violation: Violation) -> str:
    rows = ", ".join(map(str, violation.rows[:3])) + (", ..." if violation.count > 3 else "")
    if violation.check == "unknown_column":
        return f"unknown_column: {violation.column}"
    return f"{violation.check} of {violation.column!r} in {violation.count} rows ({rows})"


def _quarantine(frame: pl.DataFrame, sent: pl.Series, findings: _Findings) -> pl.DataFrame:
    raw = frame.rename({name: f"{name}_source" for name in (ROW, RULES) if name in frame.columns})
    marks = [
        pl.when(pl.lit(mask.filter(sent))).then(pl.lit(rule)).alias(str(position))
        for position, (rule, mask) in enumerate(findings.sent)
    ]
    rules = (
        pl.select(pl.concat_list(marks).list.drop_nulls().alias(RULES))
        if marks
        else pl.DataFrame(schema={RULES: pl.List(pl.String)})
    )
    rows = pl.Series(ROW, range(1, frame.height + 1), pl.Int64).filter(sent)
    return pl.DataFrame([rows, rules[RULES], *raw.filter(sent).get_columns()])


def _digest(study: Study) -> str:
    columns = {
        name: column.model_dump(mode="json", exclude={"label", "group"})
        for name, column in study.columns.items()
    }
    parts = {
        "version": _VERSION,
        "records": study.records.model_dump(mode="json", exclude={"source", "drop", "files"}),
        "classes": [{"name": c.name, "values": c.raw} for c in study.classes],
        "columns": columns,
    }
    if any(column.type == "terms" for column in study.columns.values()):
        vocabulary = open_vocabulary()  # which ids are signs, and which names they have, differs by release
        parts["terms"] = "" if vocabulary is None else vocabulary.version
    return sha256(json.dumps(parts, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()
