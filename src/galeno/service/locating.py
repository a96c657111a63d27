"""Use cases of a diagnosis' sounds and images: read a file, and see where it speaks for a condition."""

import asyncio
from functools import partial
from typing import Any

from galeno.errors import ConflictError, InputError, NotFoundError
from galeno.governance.access import Action, Caller
from galeno.model.relevance import Relevance, locate
from galeno.service.diagnosing import Diagnosing
from galeno.service.media_intake import HeldFile, hold_file

LOCATED = 64
"""Maps of relevance that a worker remembers; one takes seconds to make."""


class Locating(Diagnosing):
    """Read the files of a diagnosis, and what speaks in them."""

    async def read_file(self, caller: Caller, diagnosis_id: str, column: str) -> tuple[HeldFile, bytes]:
        """A sound (FLAC) or an image (PNG) of a diagnosis' input, as the model read it.

        Raises:
            NotFoundError: no such diagnosis, one of another site, or no file in this column.
            ConflictError: its input was not kept.
            AccessError: the caller may not.
        """
        row = await self.find(caller, Action.DIAGNOSES_READ, diagnosis_id)
        held = await asyncio.to_thread(self._held, row, column)
        entry = self._read_entry(caller, Action.DIAGNOSES_READ, row, detail="a file of the input")
        await self.record(entry)
        return held

    async def locate(
        self, caller: Caller, diagnosis_id: str, column: str, condition: str | None = None
    ) -> tuple[Relevance, HeldFile, bytes]:
        """Where a sound or an image of a diagnosis speaks for a condition, by the model that answered.

        Args:
            caller: who is asking.
            diagnosis_id: of the diagnosis.
            column: of the sound or image.
            condition: one of the study's; by default the first of the answer's ranking.

        Returns:
            the relevance, and the file that it is of.

        Raises:
            NotFoundError: no such diagnosis, one of another site, or no file in this column.
            InputError: the study has no such condition.
            ConflictError: the input was not kept.
            RegistryError: the model is no longer there.
            BusyError: too many are waiting.
        """
        row = await self.find(caller, Action.DIAGNOSES_EXPLAIN, diagnosis_id)
        held, data = await asyncio.to_thread(self._held, row, column)
        wanted = condition or str(row["condition"])
        key = (diagnosis_id, column, wanted)
        found: Relevance | None = self.located.get(key)
        if found is None:
            model = await asyncio.to_thread(self.rooms.shelf.version, row["study"], row["version"])
            if wanted not in model.classes:
                raise InputError([("condition", "is none of this study's conditions")])
            if column not in model.contract.files:
                raise NotFoundError("no such file in this diagnosis", where="diagnoses")
            record = await asyncio.to_thread(self._unseal, row, "record")
            found = await self.decoder.run(partial(locate, model, record, column, wanted))
            self.located[key] = found
            while len(self.located) > LOCATED:
                self.located.popitem(last=False)
        else:
            self.located.move_to_end(key)
        entry = self._read_entry(caller, Action.DIAGNOSES_EXPLAIN, row, detail="relevance in a file")
        await self.record(entry)
        return found, held, data

    def _held(self, row: Any, column: str) -> tuple[HeldFile, bytes]:
        if row["record"] is None:
            raise ConflictError("the input of this diagnosis was not kept", where="diagnoses")
        held = hold_file(self._unseal(row, "record").get(column))
        if held is None:
            raise NotFoundError("no such file in this diagnosis", where="diagnoses")
        return held
