"""Signs as they are typed: one a line, by id or name, a minus before those that are absent.

Pure. The lines are what forms send, with the script and without it; the script only shows them as a list.
Cells of tables are read by `knowledge.signs`; a line is that and, behind an id, the name that was shown with
it, which may hold commas.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from galeno.knowledge.signs import ABSENT, ID, tokens_of
from galeno.service.pages.words import Words

MOST_LINES: Final = 500
"""Signs of one patient, as the desk takes them."""
MOST_READ: Final = 4 * MOST_LINES
"""Signs that are read of a text, so that one that is far too long takes no time."""
LONGEST_LINE: Final = 200

_ABSENT = re.compile(rf"^\s*[{ABSENT}]\s*")
_ID = re.compile(rf"^{ID}(?!\w)[\s,]*(.*)$", re.DOTALL)
# Runs of blanks are tried once, from their beginning: a long one would else take quadratic time.
_BETWEEN = re.compile(rf"[;\n|]+|(?<![,\s])[,\s]++(?=[{ABSENT}]?{ID}(?!\w))")
_EDGES = re.compile(r"^[\s,]++|(?<![\s,])[\s,]++$")
_PLACE = re.compile(r"^(\w+)\[(\d+)\]$")


@dataclass(frozen=True, slots=True)
class Sign:
    """One sign of a patient.

    Attributes:
        token: id of a term, or a name or synonym.
        present: False for one that was looked for and is absent.
        label: what stands beside an id; empty for none.
    """

    token: str
    present: bool = True
    label: str = ""

    @property
    def line(self) -> str:
        """As it is typed."""
        return ("" if self.present else "- ") + f"{self.token} {self.label}".strip()


def parse_signs(text: str) -> tuple[Sign, ...]:
    """Signs of lines; of one that stands there twice the first counts.

    Args:
        text: a line a sign; several ids may stand in one line, with blanks, commas or semicolons between.

    Returns:
        the signs in their order, at most MOST_READ.
    """
    found: dict[str, Sign] = {}
    # "- HP:0001250" is one sign: the mark belongs to the id behind it.
    lines = (_ABSENT.sub("-", line) for line in text.splitlines())
    for part in dict.fromkeys(part for line in lines for part in _parts(line)):
        bare = _EDGES.sub("", _ABSENT.sub("", part))
        if not bare:
            continue
        token, label = _read(bare)
        found.setdefault(token.casefold(), Sign(token, _ABSENT.match(part) is None, label))
        if len(found) == MOST_READ:
            break
    return tuple(found.values())


def write_signs(signs: Iterable[Sign]) -> str:
    """The lines of signs."""
    return "\n".join(sign.line for sign in signs)


def with_sign(signs: Iterable[Sign], added: Sign) -> tuple[Sign, ...]:
    """Signs and one more, which counts more than what was said of it before."""
    return (*(sign for sign in signs if sign.token.casefold() != added.token.casefold()), added)


def cell_of(signs: Iterable[Sign]) -> str:
    """Signs as a record holds them, see `knowledge.signs`: absent ones with a minus."""
    return ";".join(("" if sign.present else "-") + sign.token for sign in signs)


def shape_fault(signs: Sequence[Sign], words: Words) -> str:
    """What is wrong with the lines as such; empty for nothing."""
    if len(signs) > MOST_LINES:
        return words.gettext("At most %(most)s signs; leave some out.", most=words.number(MOST_LINES))
    if any(len(sign.token) > LONGEST_LINE for sign in signs):
        return words.gettext("One sign a line; for sentences there is the text.")
    return ""


def is_id(token: str) -> bool:
    """Whether a token is written as the id of a term."""
    return _ID.match(token) is not None


def place_of(field: str) -> tuple[str, int] | None:
    """`terms[3]` as its name and number; None for other fields."""
    match = _PLACE.match(field)
    return None if match is None else (match[1], int(match[2]))


def _parts(line: str) -> list[str]:
    """A line, cut before each id and at semicolons."""
    cuts = [0]
    for match in _BETWEEN.finditer(line):
        cuts += match.span()
    cuts.append(len(line))
    return [line[start:end] for start, end in zip(cuts[::2], cuts[1::2], strict=True)]


def _read(text: str) -> tuple[str, str]:
    """Token and label of one sign: `HP:0001250 Seizure`, `Seizure (HP:0001250)`, or a name."""
    known = _ID.match(text)
    if known:
        return f"HP:{known[1]}", known[2].strip()
    tokens = tokens_of(text) or []
    return (tokens[0].text, "") if len(tokens) == 1 and tokens[0].is_id else (text, "")
