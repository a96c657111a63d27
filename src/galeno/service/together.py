"""Requests that come at the same moment are answered by the model together.

One run of a graph over many rows costs half as much a row as one run for each, and so does the arithmetic
around it. Nobody is made to wait for that: what the loop has at hand when it comes round is what is
answered, be it one record.
"""

import asyncio
from collections.abc import Mapping

from galeno.ingest.values import Value
from galeno.model.model import Model
from galeno.records import Diagnosis

Typed = tuple[Mapping[str, Value], tuple[str, ...]]


class Together:
    """Answers for one event loop."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Model, Typed, asyncio.Future[Diagnosis]]] = []

    async def diagnose(self, model: Model, values: Mapping[str, Value], faults: tuple[str, ...]) -> Diagnosis:
        """Answer one typed record, as `Model.diagnose_typed` does."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._answer)
        future: asyncio.Future[Diagnosis] = loop.create_future()
        self._waiting.append((model, (values, faults), future))
        return await future

    def _answer(self) -> None:
        waiting, self._waiting = self._waiting, []
        for model in {id(model): model for model, _, _ in waiting}.values():
            mine = [(typed, future) for asked, typed, future in waiting if asked is model]
            try:
                answers = model.diagnose_many([typed for typed, _ in mine])
            except Exception as error:  # whatever it is, it is theirs who asked
                for _, future in mine:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), answer in zip(mine, answers, strict=True):
                if not future.done():
                    future.set_result(answer)
