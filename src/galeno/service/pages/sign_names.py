"""Names of signs, asked of the desk: for ids that a page shows, and for words that somebody typed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal

from galeno.errors import BusyError, InputError, NotFoundError
from galeno.service.asked import TermFound
from galeno.service.desk import Desk
from galeno.service.pages.session import Session
from galeno.service.pages.signs import LONGEST_LINE, Sign, is_id
from galeno.service.pages.words import Words

SUGGESTIONS: Final = 3
"""Terms that are named beside one that is not known."""
MOST_FAULTS: Final = 20
"""Signs that are not known and told as such; the others are told after these were mended."""


class SignNames:
    """Looks signs up.

    Args:
        desk: finds terms.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def search(self, session: Session, q: str, limit: int, words: Words) -> tuple[TermFound, ...]:
        """Terms for what was typed, the best first.

        Raises:
            NotFoundError: the service has no knowledge of rare diseases.
            BusyError: it is still being read.
        """
        try:
            return await self._desk.find_terms(session.caller(), q, limit, language_of(words))
        except InputError:
            return ()

    async def of(self, session: Session, ids: Iterable[str], words: Words) -> Mapping[str, str]:
        """The names of ids; without those that are not known, or not now."""
        try:
            return await self._desk.name_terms(session.caller(), ids, language_of(words))
        except (BusyError, NotFoundError):
            return {}

    async def label(self, session: Session, signs: Iterable[Sign], words: Words) -> tuple[Sign, ...]:
        """Signs, with the names of those that have an id only."""
        signs = tuple(signs)
        names = await self.of(session, (sign.token for sign in signs if not sign.label), words)
        return tuple(replace(sign, label=sign.label or names.get(sign.token, "")) for sign in signs)

    async def resolve(
        self, session: Session, signs: Sequence[Sign], words: Words
    ) -> tuple[tuple[Sign, ...], str]:
        """Ids for names and synonyms, and what is wrong with those that are not known.

        Where the service has no knowledge of signs they stay as they are: the study has the last word.
        """
        found = []
        faults: list[str] = []
        for sign in signs:
            if is_id(sign.token) or len(faults) == MOST_FAULTS:
                found.append(sign)
                continue
            try:
                terms = await self.search(session, sign.token, 1, words)
            except (BusyError, NotFoundError):
                return tuple(signs), ""
            said = {name.casefold() for term in terms for name in (term.name, term.label, term.matched)}
            if sign.token.casefold() in said:
                found.append(Sign(terms[0].id, sign.present, terms[0].label))
            else:
                faults.append(await self.unknown(session, sign.token, words))
                found.append(sign)
        return tuple(found), " ".join(faults)

    async def unknown(self, session: Session, token: str, words: Words) -> str:
        """That a sign is not known, with terms that may be meant.

        Raises:
            NotFoundError: the service has no knowledge of rare diseases.
            BusyError: it is still being read.
        """
        shown = token if len(token) <= LONGEST_LINE // 2 else token[: LONGEST_LINE // 2] + " …"
        if is_id(token):
            return words.gettext("%(name)s is not the id of a sign.", name=shown)
        found = await self.search(session, token, SUGGESTIONS, words)
        if not found:
            return words.gettext("“%(name)s” is no sign that is known.", name=shown)
        names = "; ".join(f"{term.label} ({term.id})" for term in found)
        return words.gettext(
            "“%(name)s” is no sign that is known. Is it: %(names)s?", name=shown, names=names
        )


def language_of(words: Words) -> Literal["en", "es"]:
    """The reader's language as the desk knows languages."""
    return "es" if words.language == "es" else "en"
