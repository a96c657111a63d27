"""Phrases of the knowledge base in the reader's language: frequencies, inheritance, onset, notices.

Names of signs and diseases stand as the files have them.
"""

import re
from typing import Final

from galeno.service.pages.words import Words, mark

PHRASES: Final = (
    # subontology of frequency
    mark("Obligate"),
    mark("Very frequent"),
    mark("Frequent"),
    mark("Occasional"),
    mark("Very rare"),
    mark("Excluded"),
    # modes of inheritance
    mark("Autosomal dominant inheritance"),
    mark("Autosomal recessive inheritance"),
    mark("X-linked inheritance"),
    mark("X-linked dominant inheritance"),
    mark("X-linked recessive inheritance"),
    mark("Y-linked inheritance"),
    mark("Mitochondrial inheritance"),
    mark("Multifactorial inheritance"),
    mark("Polygenic inheritance"),
    mark("Digenic inheritance"),
    mark("Semidominant inheritance"),
    mark("Sporadic"),
    # onset
    mark("Antenatal onset"),
    mark("Embryonal onset"),
    mark("Fetal onset"),
    mark("Congenital onset"),
    mark("Neonatal onset"),
    mark("Pediatric onset"),
    mark("Infantile onset"),
    mark("Childhood onset"),
    mark("Juvenile onset"),
    mark("Adult onset"),
    mark("Young adult onset"),
    mark("Middle age onset"),
    mark("Late onset"),
)
"""Names of terms that the pages can say in both languages; any other stands as it is."""

_NOTICES: Final = (
    (
        re.compile(r"^(?P<old>\S+) is now (?P<name>.+)$"),
        mark("%(old)s is now %(name)s."),
    ),
    (
        re.compile(r"^(?P<name>.+) was given more than once$"),
        mark("%(name)s was given more than once."),
    ),
    (
        re.compile(r"^(?P<name>.+) says nothing of the patient and was left out$"),
        mark("%(name)s is too general and was left out."),
    ),
    (
        re.compile(r"^(?P<name>.+) was taken for a (?:wider|related|narrower) name of it$"),
        mark("A name that is not quite the same was taken for %(name)s."),
    ),
)
"""What the desk tells of signs that were replaced or left out; any other notice stands as it is."""

_COUNT = re.compile(r"^(\d+)\s*/\s*(\d+)$")
_PERCENT = re.compile(r"^(\d+(?:\.\d+)?)\s*%$")


def say_phrase(phrase: str, words: Words) -> str:
    """A phrase of the files."""
    return words.gettext(phrase) if phrase in PHRASES else phrase


def say_notice(notice: str, words: Words) -> str:
    """A notice of the desk."""
    for pattern, message in _NOTICES:
        match = pattern.match(notice)
        if match:
            return words.gettext(message, **match.groupdict())
    return notice


def say_frequency(frequency: str, words: Words) -> str:
    """How frequent a sign is, as annotated: 3/8, 45.5% or a term."""
    count, percent = _COUNT.match(frequency), _PERCENT.match(frequency)
    if count:
        return words.ngettext(
            "%(seen)s of %(num)s patient", "%(seen)s of %(num)s patients", int(count[2]), seen=count[1]
        )
    if percent:
        value = float(percent[1])
        return words.percent(value / 100, 0 if value == int(value) else 1)
    return say_phrase(frequency, words)
