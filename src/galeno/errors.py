"""Every error that Galeno raises on purpose.

GalenoError                  exit code 2
├── StudyError               study.yaml or a --set override is wrong
├── SourceError              a file, query or data set cannot be read
├── ContractError            records break a rule whose behaviour is "refuse"
├── LakeError                a lake table or version is missing or damaged
├── LearningError            the records cannot teach what the study asks
├── PackageError             a package is missing, damaged or of another format
│   └── ParityError          ONNX answers differ from the fitted model's
├── RegistryError            no such study, version or alias; registry not reachable
├── RunError                 no such run or step, or another process holds it
├── OutputError              a result cannot be written where it was asked for
├── SettingError             an environment setting is wrong
├── MissingExtraError        an optional dependency is not installed
└── GateRefusedError         exit code 3: the gate refused the challenger

A message says what was wrong, where, and what to do; it never holds a value
of a record.
"""


class GalenoError(Exception):
    """Base of all expected failures.

    Args:
        what: what was wrong, one sentence without a full stop.
        where: file, line, column or key it was found in.
        remedy: what the reader can do about it.
    """

    exit_code = 2

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what = what
        self.where = where
        self.remedy = remedy
        text = f"{where}: {what}" if where else what
        super().__init__(f"{text}. {remedy}" if remedy else text)


class StudyError(GalenoError):
    """The study file, or an override of it, does not say something valid."""


class SourceError(GalenoError):
    """A source of records is missing or cannot be read."""


class ContractError(GalenoError):
    """Records break a rule whose behaviour in the study is `refuse`."""


class LakeError(GalenoError):
    """A table or version is not in the lake."""


class LearningError(GalenoError):
    """The records cannot teach what the study asks for."""


class PackageError(GalenoError):
    """A model package is missing, damaged, or of a format not known here."""


class ParityError(PackageError):
    """The packaged graphs do not answer as the fitted estimators did."""


class RegistryError(GalenoError):
    """The registry has no such study, version or alias, or cannot be reached."""


class RunError(GalenoError):
    """No such run or step, a step out of order, or a run held by another process."""


class OutputError(GalenoError):
    """A result cannot be written where it was asked for."""


class SettingError(GalenoError):
    """A setting from the environment is not valid."""


class MissingExtraError(GalenoError):
    """A feature needs an optional dependency that is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs an optional dependency",
            remedy=f"Install it with: pip install 'galeno[{extra}]'",
        )


class GateRefusedError(GalenoError):
    """The challenger did not pass the gate; nothing was registered."""

    exit_code = 3
