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
├── GateRefusedError         exit code 3: the gate refused the challenger
├── KnowledgeError           the files of phenotypes and diseases are missing or damaged
├── KeyRingError             the keys that protect patient data are missing, exposed or do not fit
├── JournalError             the journal does not answer; transient, the caller may try again
├── BusyError                more is asked than can be done now; transient
│   └── TooManyRequestsError one caller asks too often
├── IdentityError            nobody can tell who is asking
├── AccessError              who is asking may not do that
├── ConsentError             the patient has not consented
├── InputError               what was sent is not valid, with a fault for each field
│   ├── TooLongError         it is longer than the service takes
│   ├── TooSlowError         it did not come to its end in time
│   └── MediaTypeError       it is of a media type or encoding that is not taken
├── NotFoundError            no such diagnosis, patient, user or study
├── ConflictError            what is asked does not fit what is there
└── AuditError               exit code 4: the audit trail was changed

A message says what was wrong, where, and what to do; it never holds a value
of a record.
"""

from collections.abc import Sequence


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


class KnowledgeError(GalenoError):
    """The ontology, its annotations or what was learned from cases cannot be read."""


class KeyRingError(GalenoError):
    """The file of keys is missing, readable by others, or does not fit the data."""


class JournalError(GalenoError):
    """The journal cannot be read or written now; nothing of the request was kept."""


class BusyError(GalenoError):
    """More is asked than can be done now.

    Args:
        what: what was wrong.
        retry_after: seconds after which to try again.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "", retry_after: int = 1) -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.retry_after = retry_after


class TooManyRequestsError(BusyError):
    """One caller asks too often."""


class IdentityError(GalenoError):
    """The key or token is missing, unknown, expired or revoked.

    Args:
        what: what was wrong; never the key, the token or a claim of it.
        reason: code for programs and logs, such as `expired`; service/tokens.py lists them.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "", reason: str = "unknown") -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.reason = reason


class AccessError(GalenoError):
    """The caller's role does not allow the action."""


class ConsentError(GalenoError):
    """The study asks for the patient's consent, and there is none to its present policy."""


class InputError(GalenoError):
    """What was sent is not valid.

    Args:
        faults: field (dotted path, such as `record.age`) and what is wrong with it; never the value.
    """

    def __init__(self, faults: Sequence[tuple[str, str]], *, where: str = "", remedy: str = "") -> None:
        field, fault = faults[0]
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        super().__init__(f"{field}: {fault}{more}", where=where, remedy=remedy)
        self.faults = tuple(faults)


class TooLongError(InputError):
    """What was sent is longer than the service takes."""


class TooSlowError(InputError):
    """What was sent did not come to its end in time."""


class MediaTypeError(InputError):
    """What was sent has a media type or an encoding that is not taken."""


class NotFoundError(GalenoError):
    """There is no such thing, or none that the caller may know of."""


class ConflictError(GalenoError):
    """What is asked does not fit what is there."""


class AuditError(GalenoError):
    """An entry of the audit trail was changed, removed or put elsewhere."""

    exit_code = 4


class GateRefusedError(GalenoError):
    """The challenger did not pass the gate; nothing was registered."""

    exit_code = 3
