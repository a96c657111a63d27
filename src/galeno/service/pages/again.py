"""A form that was not taken: what was typed and why, so that the page can be drawn again with both."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Again:
    """What a page is drawn again with; without arguments it is drawn for the first time.

    Attributes:
        sent: what was typed, by the fields' names.
        faults: what is wrong, by the fields' ids, in the reader's language.
        status: HTTP status of the page.
        trouble: why nothing was saved where no field is to blame: consent, busy, large, journal or session.
        lost: names of the fields whose files were sent; no page can hand a file back to a browser, so they
            must be chosen again.
    """

    sent: Mapping[str, str] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)
    status: int = 200
    trouble: str = ""
    lost: Collection[str] = ()
