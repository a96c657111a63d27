"""A study: one diagnostic question, declared in one file.

These models are the schema of `study.yaml`; the descriptions of their fields
become docs/study.md and the JSON schema that editors use. Reading the file,
with line numbers in its errors, is in `study_file`.
"""

import re
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from galeno.hospital import Answering, Fhir, Notifications, Privacy
from galeno.recipes import Features
from galeno.section import Section, Text

Behaviour = Literal["refuse", "quarantine", "blank", "keep"]
RangeBehaviour = Literal["refuse", "quarantine", "blank", "keep", "convert"]
RowBehaviour = Literal["refuse", "quarantine", "keep"]
ColumnType = Literal["number", "category", "flag", "text", "date", "terms", "sound", "image"]
Family = Literal["logistic", "tree", "forest", "extra_trees", "xgboost", "lightgbm", "svm", "mlp"]
Balance = Literal["none", "weights", "smote", "adasyn", "undersample"]

FAMILIES: tuple[Family, ...] = (
    "logistic",
    "tree",
    "forest",
    "extra_trees",
    "xgboost",
    "lightgbm",
    "svm",
    "mlp",
)
BALANCES: tuple[Balance, ...] = ("none", "weights", "smote", "adasyn", "undersample")


class Label(Section):
    """What a clinician reads."""

    es: str = Field("", description="Label in Spanish.")
    en: str = Field("", description="Label in English.")


class Conversion(Section):
    """A linear change of unit: value in the column's unit = value * scale + offset."""

    unit: str = Field(description="The other unit that values are known to arrive in.")
    scale: float = Field(description="Factor to the column's own unit.")
    offset: float = Field(0.0, description="Added after the factor.")


class ColumnRules(Section):
    """What happens to a value that breaks a rule; empty keys take `records.rules`."""

    type: Behaviour | None = Field(None, description="The value is not of the column's type.")
    range: RangeBehaviour | None = Field(None, description="The number lies outside min and max.")
    category: Behaviour | None = Field(
        None, description="The value is not one of the options, or a term is no sign that the HPO knows."
    )
    required: Behaviour | None = Field(None, description="The value is missing where `required` is true.")


class Column(Section):
    """One input column of a record."""

    type: ColumnType = Field(
        description="number, category, flag (yes or no), text (free text), date, or terms (HPO ids or names "
        "in one cell, such as `HP:0001250; HP:0001263; -HP:0000252`, or a list; `-` or `!` before a term: "
        "looked for and absent), sound (a file: WAV, FLAC, OGG, MP3) or image (PNG, JPEG, TIFF, NPY, DICOM).",
    )
    label: Label = Field(default_factory=Label, description="What a form shows.")
    group: str = Field("", description="Section of the form.")
    unit: str = Field("", description="Unit of measure of a number, for example mmol/L.")
    min: float | None = Field(None, description="Smallest possible value; below it the range rule applies.")
    max: float | None = Field(None, description="Largest possible value; above it the range rule applies.")
    options: tuple[Text, ...] = Field(
        (), description="Known values of a category; empty means any value is taken."
    )
    missing: tuple[Text, ...] = Field((), description="Codes that mean missing in this column alone.")
    convert: tuple[Conversion, ...] = Field(
        (), description="Units that an out-of-range value is tried in when its range rule is `convert`."
    )
    required: bool = Field(False, description="A record without it breaks the `required` rule.")
    rules: ColumnRules = Field(default_factory=ColumnRules, description="Behaviours of this column alone.")

    @property
    def holds_file(self) -> bool:
        """Whether its values are sounds or images."""
        return self.type in ("sound", "image")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min is greater than max")
        if (self.min is not None or self.max is not None or self.convert) and self.type != "number":
            raise ValueError(f"min, max and convert are for numbers, not for {self.type}")
        if self.options and self.type != "category":
            raise ValueError(f"options are for categories, not for {self.type}")
        if self.rules.range == "convert" and not self.convert:
            raise ValueError("rules.range is convert, but the column has no convert list")
        return self


class Rules(Section):
    """What happens when records break a rule, unless a column says otherwise."""

    type: Behaviour = Field("blank", description="A value is not of the column's type.")
    range: RangeBehaviour = Field(
        "blank", description="A number is outside min and max. Columns with a convert list convert first."
    )
    category: Behaviour = Field(
        "blank",
        description="A value is not one of the column's options. Of a cell of terms, only those that are no "
        "sign that the HPO knows are blanked.",
    )
    required: Behaviour = Field("quarantine", description="A required value is missing.")
    duplicate: RowBehaviour = Field(
        "quarantine",
        description="A record id that was seen before, or a row equal to an earlier one of the same patient.",
    )
    two_targets: RowBehaviour = Field(
        "keep",
        description="A patient has rows with different targets. keep suits repeated encounters; "
        "quarantine suits one lasting condition a patient.",
    )
    file: Literal["refuse", "quarantine", "blank"] = Field(
        "quarantine",
        description="A file of a sound or image column is missing, empty, truncated, damaged, of the wrong "
        "type, too large, too short, silent or clipped; blank learns from the rest of the row.",
    )
    missing_target: RowBehaviour = Field("quarantine", description="The target is missing.")
    unknown_class: RowBehaviour = Field("quarantine", description="The target is none of the classes.")
    missing_patient: RowBehaviour = Field("quarantine", description="The patient id is missing.")
    unknown_column: Literal["refuse", "keep"] = Field(
        "keep",
        description="The source has a column that the study does not name; keep ignores and reports it.",
    )


class Sql(Section):
    """A query to any database that SQLAlchemy reaches."""

    url: str = Field(
        description="SQLAlchemy URL; ${NAME} is taken from the environment, so that no password is here."
    )
    query: str = Field(description="A SELECT statement.")


class Records(Section):
    """Where the records come from and what their special columns are."""

    source: str | Sql = Field(
        description="A path (CSV, CSV.gz, Parquet, JSON lines; relative to the study file), "
        "NPZ arrays, `sklearn:breast_cancer` and the like, `cohort:severity` and the like (simulated), "
        "`fhir:FOLDER` (NDJSON files of a FHIR bulk export, read by the `fhir` section), or SQL.",
    )
    files: str = Field(
        "",
        description="Where the files of sounds and images are: a folder, a .zip or `s3://BUCKET/PREFIX`. "
        "Empty: beside the table, in a folder or a .zip beside it.",
    )
    target: str = Field(description="Column with the confirmed condition.")
    patient: str | None = Field(
        None, description="Column with the patient id; without it every row is a patient."
    )
    record: str | None = Field(None, description="Column with the record id.")
    time: str | None = Field(None, description="Column with the time of the encounter.")
    site: str | None = Field(None, description="Column with the site of the encounter.")
    drop: tuple[str, ...] = Field((), description="Columns that are declared below but not used as features.")
    missing: tuple[Text, ...] = Field(
        ("", "?", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"),
        description="Codes that mean missing in every column.",
    )
    rules: Rules = Field(default_factory=Rules, description="Behaviours of the rules.")


class Class(Section):
    """One condition that the study tells apart."""

    name: Text = Field(description="Name used in answers and figures.")
    values: tuple[Text, ...] = Field(
        (), description="Values of the target column that mean this class; empty means the name itself."
    )
    label: Label = Field(default_factory=Label, description="Name shown in pages and reports.")
    rare: bool = Field(False, description="Its recall counts in selection on its own.")

    @property
    def raw(self) -> tuple[str, ...]:
        """The target values that mean this class."""
        return self.values or (self.name,)


class Split(Section):
    """Which patients teach, calibrate and judge."""

    train: float = Field(0.7, gt=0, lt=1, description="Share of patients that candidates learn from.")
    validation: float = Field(0.2, gt=0, lt=1, description="Share that conformal sets are set on.")
    test: float = Field(0.1, gt=0, lt=1, description="Share that judges once, at the end.")
    by: Literal["patient", "time", "site"] = Field(
        "patient",
        description="patient: stratified at random. time: the latest patients judge (needs records.time). "
        "site: whole sites judge (needs records.site). A patient never stands on two sides.",
    )
    folds: int = Field(5, ge=2, le=20, description="Cross-validation folds inside the training part.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train, validation and test add up to {total:g}, not to 1")
        return self


class Budget(Section):
    """When the search ends."""

    minutes: float = Field(
        2.0,
        gt=0,
        description="Wall-clock budget of learning, four fifths of it for the search; not used with trials.",
    )
    trials: int | None = Field(
        None,
        ge=1,
        description="Number of candidates; then the same data, seed and study give the same package hash.",
    )


class Conformal(Section):
    """The set of conditions that are not ruled out."""

    coverage: float = Field(
        0.9, gt=0, lt=1, description="Share of sets that hold the true condition, patients counted alike."
    )
    method: Literal["lac", "aps"] = Field(
        "lac", description="lac gives the smallest sets; aps adapts to hard cases."
    )


class Learning(Section):
    """What is tried, and how the best is chosen."""

    budget: Budget = Field(default_factory=Budget, description="How long candidates are tried.")
    families: tuple[Family, ...] = Field(
        FAMILIES,
        min_length=1,
        description="Model families that may be tried, beside the networks that `features` asks for.",
    )
    balance: tuple[Balance, ...] = Field(
        BALANCES, min_length=1, description="Class-balancing strategies that may be tried, inside folds only."
    )
    rare_weight: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Weight of the rare classes' recall beside macro-F1 when candidates are compared.",
    )
    ensemble: int = Field(
        8, ge=1, le=32, description="Most members of the ensemble; 1 keeps the best single candidate."
    )
    calibration: Literal["none", "temperature", "vector", "isotonic"] = Field(
        "temperature", description="How probabilities are calibrated, on out-of-fold predictions."
    )
    decision: Literal["probability", "macro_f1", "balanced_accuracy"] = Field(
        "macro_f1",
        description="probability: the most probable condition is first. macro_f1: each class has a weight, "
        "learned out of fold, so that rare conditions are not overlooked. balanced_accuracy: each class's "
        "recall counts alike, for where conditions are not as common as among the training records.",
    )
    conformal: Conformal = Field(default_factory=Conformal, description="Conformal sets.")
    threads: int | None = Field(None, ge=1, description="Threads per fit; null takes GALENO_THREADS.")


class Judging(Section):
    """How the model is judged."""

    groups: tuple[str, ...] = Field(
        (), description="Columns whose groups are reported apart, such as sex and age."
    )
    age_bins: tuple[float, ...] = Field(
        (18.0, 40.0, 65.0, 80.0), description="Borders of the groups of a numeric group column."
    )
    bootstrap: int = Field(500, ge=0, le=10000, description="Resamples of patients for confidence intervals.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Level of the intervals.")
    review_below: float = Field(
        0.5, ge=0, le=1, description="A diagnosis whose first probability is lower needs review."
    )


class Bound(Section):
    """A threshold with its direction."""

    min: float | None = Field(None, description="Smallest value that passes.")
    max: float | None = Field(None, description="Largest value that passes.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("give min, max or both")
        return self


LOWER_IS_BETTER = ("log_loss", "brier", "ece", "gap", "size")
"""Figures (last word of the path) for which a bare threshold is a maximum."""


class Gate(BaseModel):
    """What a challenger must reach. Any other key is a figure of the evaluation, with its threshold,
    such as `macro_f1: 0.8`, `ece: 0.1` or `per_class.terminal.recall: {min: 0.5}`.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, Bound] = {}

    champion: Literal["macro_f1", "accuracy", "balanced_accuracy", "log_loss", "none"] = Field(
        "macro_f1",
        description="Figure in which the champion must be beaten on the same test rows; none for no contest.",
    )
    margin: float = Field(0.0, ge=0, description="How much worse than the champion is still let through.")
    min_patients: int = Field(
        5, ge=1, description="Fewer patients than this under a figure are too few to tell."
    )
    too_few: Literal["refuse", "allow"] = Field(
        "refuse", description="What the verdict `too few patients to tell` means."
    )

    @model_validator(mode="before")
    @classmethod
    def _flatten(cls, data: Any) -> Any:
        """Accept nested figures and bare numbers; the default accuracy threshold is 0.7."""
        if not isinstance(data, dict):
            return data
        flat: dict[str, Any] = {"accuracy": {"min": 0.7}}
        flat.update(_flat_bounds(data, ""))
        return flat

    @property
    def bounds(self) -> dict[str, Bound]:
        """Figure path to threshold."""
        return dict(self.__pydantic_extra__ or {})


def _flat_bounds(data: dict[str, Any], prefix: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in data.items():
        path = f"{prefix}{key}"
        if not prefix and key in Gate.model_fields:
            flat[key] = value
        elif isinstance(value, dict) and not set(value) <= {"min", "max"}:
            flat.update(_flat_bounds(value, f"{path}."))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            lower = path.rsplit(".", 1)[-1] in LOWER_IS_BETTER or ".gap." in f".{path}"
            flat[path] = {"max": value} if lower else {"min": value}
        else:
            flat[path] = value
    return flat


class Study(Section):
    """One diagnostic question."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$", description="Lower-case name; the registry and files use it."
    )
    title: str = Field("", description="One line for people.")
    question: str = Field("", description="What is asked of the model, for the model card.")
    intended_use: str = Field(
        "", description="Who may use the answer, for whom and for what; goes into the card."
    )
    owner: str = Field("", description="Who answers for the model.")
    language: Literal["es", "en"] = Field("en", description="Language of the report and card.")
    simulated: bool = Field(False, description="The records are simulated; the report and the card say so.")
    seed: int = Field(7, ge=0, le=2**31 - 1, description="Every random choice comes from it.")
    records: Records = Field(description="Where the records come from.")
    classes: tuple[Class, ...] = Field(min_length=2, description="The conditions, in the order of reports.")
    columns: dict[str, Column] = Field(min_length=1, description="The input columns.")
    split: Split = Field(default_factory=Split, description="Who teaches and who judges.")
    features: Features = Field(default_factory=Features, description="From record to numbers.")
    learning: Learning = Field(default_factory=Learning, description="What is tried.")
    evaluation: Judging = Field(default_factory=Judging, description="How it is judged.")
    gate: Gate = Field(default_factory=Gate, description="What it must reach.")
    answering: Answering = Field(default_factory=Answering, description="How the service answers.")
    privacy: Privacy = Field(default_factory=Privacy, description="What patients were promised.")
    notifications: Notifications = Field(default_factory=Notifications, description="Who is told.")
    fhir: Fhir = Field(default_factory=Fhir, description="FHIR Bundles and codes.")

    @field_validator("classes")
    @classmethod
    def _distinct_classes(cls, classes: tuple[Class, ...]) -> tuple[Class, ...]:
        names = [c.name for c in classes]
        raw = [value for c in classes for value in c.raw]
        if len(set(names)) < len(names):
            raise ValueError("two classes have the same name")
        if len(set(raw)) < len(raw):
            raise ValueError("one target value belongs to two classes")
        return classes

    @model_validator(mode="after")
    def _check_columns(self) -> Self:
        for name in self.columns:
            if not name or name.startswith("_") or re.search(r"[\x00-\x1f]", name):
                raise ValueError(
                    f"column name {name!r} is empty, starts with an underscore or has control characters"
                )
        if not self.features_columns:
            raise ValueError("records.drop leaves no feature column")
        return self

    @model_validator(mode="after")
    def _check_roles(self) -> Self:
        roles = self.records
        special = [roles.target, roles.patient, roles.record, roles.time, roles.site]
        for role, column in zip(("target", "patient", "record"), special[:3], strict=True):
            if column in self.columns and column not in roles.drop:
                raise ValueError(
                    f"column {column!r} is the {role} and cannot be a feature; remove it from columns"
                )
        if self.split.by in ("time", "site") and getattr(roles, self.split.by) is None:
            raise ValueError(f"split.by is {self.split.by}, but records.{self.split.by} names no column")
        for column in roles.drop:
            if column not in self.columns and column not in special:
                raise ValueError(f"records.drop names {column!r}, which is not among the columns")
        for column in self.evaluation.groups:
            if column not in self.columns and column != roles.site:
                raise ValueError(f"evaluation.groups names {column!r}, which is not among the columns")
        return self

    @model_validator(mode="after")
    def _check_codes(self) -> Self:
        for column in self.fhir.columns:
            if column not in self.features_columns:
                raise ValueError(f"fhir.columns names {column!r}, which is not among the input columns")
        for name in self.fhir.classes:
            if name not in self.class_names:
                raise ValueError(f"fhir.classes names {name!r}, which is not among the classes")
        return self

    @model_validator(mode="after")
    def _check_diseases(self) -> Self:
        phenotype = self.features.phenotype
        for name in phenotype.diseases:
            if name not in self.class_names:
                raise ValueError(
                    f"features.phenotype.diseases names {name!r}, which is not among the classes"
                )
        if phenotype.diseases and phenotype.knowledge == "none":
            raise ValueError("features.phenotype.diseases needs knowledge, and features.phenotype has none")
        return self

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes, in order; class indices point into it."""
        return tuple(c.name for c in self.classes)

    @property
    def features_columns(self) -> dict[str, Column]:
        """The columns that features are made of, in order."""
        return {name: column for name, column in self.columns.items() if name not in self.records.drop}
