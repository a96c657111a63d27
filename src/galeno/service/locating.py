"""Use cases of a diagnosis' sounds and images: read a file, and see where it speaks for a condition."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from galeno.errors import BusyError, InputError, NotFoundError
from galeno.governance.access import Action, Caller
from galeno.media.fault import MediaFault
from galeno.model.relevance import Relevance, locate
from galeno.service.diagnosing import Diagnosing, NotKeptError, T
from galeno.service.media_intake import HeldFile, hold_file
from galeno.service.media_picture import draw_file, draw_relevance

LOCATED = 64
"""Maps of relevance that a worker remembers; one takes seconds to make."""
WAITING = 16
"""Maps that may be waited for; more are turned away."""

Key = tuple[str, str, str]
"""Diagnosis, column and condition."""
Located = tuple[Relevance, HeldFile]


class Locating(Diagnosing):
    """Read the files of a diagnosis, and what speaks in them."""

    async def read_file(self, caller: Caller, diagnosis_id: str, column: str) -> tuple[HeldFile, bytes]:
        """A sound (FLAC) or an image (PNG) of a diagnosis' input, as the model read it.

        Raises:
            NotFoundError: no such diagnosis, one of another site, or no file in this column.
            NotKeptError: its input was not kept.
            AccessError: the caller may not.
        """
        row = await self.find(caller, Action.DIAGNOSES_READ, diagnosis_id)
        held = await self._read_input(row, partial(self._take_file, row, column))
        entry = self._read_entry(caller, Action.DIAGNOSES_READ, row, detail="a file of the input")
        await self.record(entry)
        return held

    async def draw_file(self, caller: Caller, diagnosis_id: str, column: str) -> bytes:
        """The picture of a file, as PNG: an image, or the spectrogram of a sound.

        Raises:
            NotKeptError: the file cannot be read any more.
            BusyError: too many are waiting.
            GalenoError: as `read_file`.
        """
        async with self._shown:
            held, data = await self.read_file(caller, diagnosis_id, column)
            return await self._decode(partial(draw_file, held, data))

    async def locate(
        self, caller: Caller, diagnosis_id: str, column: str, condition: str | None = None
    ) -> Located:
        """Where a sound or an image of a diagnosis speaks for a condition, by the model that answered.

        Args:
            caller: who is asking.
            diagnosis_id: of the diagnosis.
            column: of the sound or image.
            condition: one of the study's; by default the first of the answer's ranking.

        Returns:
            the relevance, and what the file is.

        Raises:
            NotFoundError: no such diagnosis, one of another site, or no file in this column.
            InputError: the study has no such condition.
            NotKeptError: the input was not kept, the file cannot be read any more, or the model that answered
                is no longer there.
            BusyError: too many are waiting.
        """
        return (await self._locate(caller, diagnosis_id, column, condition))[1]

    async def draw_relevance(
        self, caller: Caller, diagnosis_id: str, column: str, condition: str | None = None
    ) -> bytes:
        """The picture of a file with its relevance drawn over, as PNG.

        Raises:
            GalenoError: as `locate`.
        """
        row, (found, held) = await self._locate(caller, diagnosis_id, column, condition)
        async with self._shown:
            _, data = await self._read_input(row, partial(self._take_file, row, column))
            return await self._decode(partial(draw_relevance, found, held, data))

    async def _locate(
        self, caller: Caller, diagnosis_id: str, column: str, condition: str | None
    ) -> tuple[Mapping[str, Any], Located]:
        """The row of the diagnosis, and what `locate` says."""
        row = await self.find(caller, Action.DIAGNOSES_EXPLAIN, diagnosis_id)
        key = (diagnosis_id, column, condition or str(row["condition"]))
        found = self.located.get(key)
        if found is None:
            # whoever asks meanwhile waits for the same; it goes on when who asked first goes away
            found = await asyncio.shield(self._locating.get(key) or self._begin(row, key))
        else:
            self.located.move_to_end(key)
        entry = self._read_entry(caller, Action.DIAGNOSES_EXPLAIN, row, detail="relevance in a file")
        await self.record(entry)
        return row, found

    def _begin(self, row: Mapping[str, Any], key: Key) -> "asyncio.Task[Located]":
        if len(self._locating) >= WAITING:
            raise BusyError("too many sounds and images are waiting", remedy="Try again", retry_after=5)
        task = asyncio.create_task(self._find_relevance(row, key))
        self._locating[key] = task

        def end(done: "asyncio.Task[Located]") -> None:
            del self._locating[key]
            if not done.cancelled() and done.exception() is None:
                self.located[key] = done.result()
                while len(self.located) > LOCATED:
                    self.located.popitem(last=False)

        task.add_done_callback(end)
        return task

    async def _find_relevance(self, row: Mapping[str, Any], key: Key) -> Located:
        _, column, condition = key
        model = await self._model_of(row)
        if condition not in model.classes:
            raise InputError([("condition", "is none of this study's conditions")])
        if column not in model.contract.files:
            raise NotFoundError("no such file in this diagnosis", where="diagnoses")
        async with self._locator:
            record = await self._read_input(row, dict)
            held, _ = await asyncio.to_thread(self._take_file, row, column, record)
            return await self._decode(partial(locate, model, record, column, condition)), held

    async def _decode(self, work: Callable[[], T]) -> T:
        """Do this in one of the decoder's threads.

        Raises:
            NotKeptError: a file cannot be read.
            BusyError: too many are waiting.
        """
        try:
            return await self.decoder.run(work)
        except MediaFault:
            raise NotKeptError("this file cannot be read any more", where="diagnoses") from None

    def _take_file(
        self, row: Mapping[str, Any], column: str, record: Mapping[str, Any]
    ) -> tuple[HeldFile, bytes]:
        """A file of a record, and what it is.

        Raises:
            NotFoundError: there is none in this column.
        """
        held = hold_file(record.get(column)) if column in self._files_of(row) else None
        if held is None:
            raise NotFoundError("no such file in this diagnosis", where="diagnoses")
        return held
