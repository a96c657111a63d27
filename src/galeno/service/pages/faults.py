"""Errors in plain words: what was wrong and what to do, in the reader's language, never a value."""

from dataclasses import dataclass
from typing import Final

from galeno.errors import (
    AccessError,
    AuditError,
    BusyError,
    ConflictError,
    ConsentError,
    GalenoError,
    IdentityError,
    InputError,
    JournalError,
    MediaTypeError,
    NotFoundError,
    RegistryError,
    TooLongError,
    TooManyRequestsError,
    TooSlowError,
)
from galeno.service.diagnosing import NotKeptError
from galeno.service.pages.session import FormTooOldError
from galeno.service.pages.words import Words, mark


@dataclass(frozen=True, slots=True)
class Said:
    """What the reader of a page is told about an error.

    Attributes:
        title: what was wrong, in a few words.
        advice: what to do, a sentence or two.
        detail: what the desk said of it; empty where it is nothing for people.
        faults: for InputError: field and fault, both as the desk knows them.
    """

    title: str
    advice: str
    detail: str
    faults: tuple[tuple[str, str], ...] = ()


_SAID: Final[tuple[tuple[type[GalenoError], str, str], ...]] = (
    (
        TooSlowError,
        mark("The form did not arrive in time"),
        mark("The connection is slow or broken. Go back and send it again."),
    ),
    (
        TooLongError,
        mark("That is too much at once"),
        mark("Shorten the texts or choose smaller files, and send the form again."),
    ),
    (
        MediaTypeError,
        mark("This form could not be read"),
        mark("Go back, load the page again and send it once more."),
    ),
    (
        InputError,
        mark("Something in the form is not valid"),
        mark("Go back, correct what is named here and send it again."),
    ),
    (
        IdentityError,
        mark("You could not be signed in"),
        mark("Try again, or ask an administrator."),
    ),
    (
        ConsentError,
        mark("The patient has not given consent"),
        mark("Record the patient's decision on the data policy first."),
    ),
    (
        FormTooOldError,
        mark("This form is too old"),
        mark("Nothing was done. Load the page again, and send the form once more."),
    ),
    (
        AccessError,
        mark("You may not do this"),
        mark("Your role or site does not allow it. Ask an administrator if you need it for your work."),
    ),
    (
        NotFoundError,
        mark("There is nothing here"),
        mark("The address may be wrong, or what was here is not for you to see."),
    ),
    (
        NotKeptError,
        mark("This can no longer be told"),
        mark("The diagnosis itself is kept as it was."),
    ),
    (
        ConflictError,
        mark("This does not fit what is there"),
        mark("Somebody may have changed it meanwhile. Load the page again and look."),
    ),
    (
        RegistryError,
        mark("The model could not be changed"),
        mark("Load the page again and look which version answers now."),
    ),
    (
        TooManyRequestsError,
        mark("That was too often"),
        mark("Wait a moment, then try again."),
    ),
    (
        BusyError,
        mark("Not possible at the moment"),
        mark("Wait a moment, then try again."),
    ),
    (
        JournalError,
        mark("Nothing can be saved at the moment"),
        mark("Nothing was half saved. Go back and send it again in a minute."),
    ),
    (
        AuditError,
        mark("Nothing can be saved at the moment"),
        mark("The audit trail does not accept entries. Tell an administrator."),
    ),
)
_FAULT: Final = (
    mark("This is a fault in Galeno"),
    mark("It was written to the log of the service. Tell an administrator."),
)

_DETAILS: Final = frozenset(
    {
        mark("this model was stopped by its owners"),
        mark("no such diagnosis"),
        mark("no such file in this diagnosis"),
        mark("no such consent"),
        mark("no such model"),
        mark("no such study or version"),
        mark("no such study has a model that answers"),
        mark("no such version of the study's model"),
        mark("there is no earlier champion to go back to"),
        mark("the input of this diagnosis was not kept"),
        mark("the model that answered is no longer there"),
        mark("this file cannot be read any more"),
        mark("the service is stopping"),
        mark("too many sign in at a time"),
    }
)
"""What the desk says that helps somebody in front of a page; the rest is for programs."""


def said_of(error: GalenoError, words: Words) -> Said:
    """What to tell the reader about an error."""
    title, advice = next(
        ((title, advice) for kind, title, advice in _SAID if isinstance(error, kind)), _FAULT
    )
    faults = error.faults if isinstance(error, InputError) else ()
    return Said(
        words.gettext(title),
        words.gettext(advice),
        words.gettext(error.what) if error.what in _DETAILS else "",
        faults,
    )
