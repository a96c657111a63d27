"""Many records in one request: lines of JSON in, lines of JSON out, while they come."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from fastapi.responses import StreamingResponse
from pydantic_core import to_json
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from galeno.errors import GalenoError, InputError, TooLongError
from galeno.governance.access import Caller
from galeno.service.answers import Answer
from galeno.service.batch import Batch
from galeno.service.desk import Desk
from galeno.service.face import parse_json, read_model
from galeno.service.problems import of_anything, problem_of
from galeno.service.tell import tell_answer
from galeno.service.wire import DiagnosisRequest

GROUP = 32
"""Records that wait for the disk together."""
LONGEST_LINE = 1_000_000
"""Bytes of one record."""
LONG = 250_000
"""Bytes of a line that takes a while to parse."""
LONGEST_WITH_FILES = 16 << 20
"""Bytes of one record with sounds or images in it."""

Line = tuple[int, bytes]


class Lines(StreamingResponse):
    """Lines as they come, while the request is still being read.

    Starlette's own response listens for the client to go away, and so eats what the client still sends.

    Args:
        content: the lines.
        status_code: before any of them is known.
        media_type: of them.
        close: called when all were sent, or the client went away.
    """

    def __init__(
        self,
        content: AsyncIterator[bytes],
        status_code: int = 200,
        *,
        media_type: str,
        close: Callable[[], None],
    ) -> None:
        super().__init__(content, status_code, media_type=media_type)
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        try:
            await self.stream_response(send)
        finally:
            self._close()


async def answer_lines(
    desk: Desk,
    caller: Caller,
    study: str,
    stream: AsyncIterator[bytes],
    limit: int,
    *,
    longest: int = LONGEST_LINE,
) -> AsyncIterator[bytes]:
    """Diagnose each line of a stream.

    Answers are kept in memory until the client reads them: a client that sends everything before it
    reads anything must not bring both sides to a standstill. `limit` bounds what comes in, and so that.

    Args:
        desk: who answers.
        caller: who asks; the desk has let them in already.
        study: name of the study.
        stream: bytes as they arrive.
        limit: bytes of the whole stream.
        longest: bytes of one line.

    Yields:
        a line for each that came in, in their order, each with `line` and `status`.
    """
    answers: asyncio.Queue[bytes | None] = asyncio.Queue()
    batch = Batch()

    async def work() -> None:
        try:
            async for group in _groups(_lines(stream, limit, longest)):
                for line in await _answer(desk, caller, study, group, batch):
                    answers.put_nowait(line)
            await desk.end_batch(study, batch)
        except GalenoError as error:  # the status line is sent already: the last line says what happened
            problem = problem_of(error)
            answers.put_nowait(_told({"status": problem["status"], "problem": problem}))
        except ClientDisconnect:
            pass  # nobody is there to be told
        except Exception as error:
            answers.put_nowait(_told({"status": 500, "problem": of_anything(error, "POST")}))
        finally:
            answers.put_nowait(None)

    task = asyncio.create_task(work())
    try:
        while (line := await answers.get()) is not None:
            yield line
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _lines(stream: AsyncIterator[bytes], limit: int, longest: int) -> AsyncIterator[Line]:
    """Numbered lines that are not blank."""
    held: list[bytes] = []
    kept = number = length = 0
    async for part in stream:
        length += len(part)
        if length > limit:
            raise TooLongError([("body", f"is longer than {limit} bytes; send it in several parts")])
        *whole, rest = part.split(b"\n")
        if whole:
            whole[0] = b"".join([*held, whole[0]])
            held, kept = [], 0
        held.append(rest)
        kept += len(rest)
        if kept > longest:
            raise TooLongError([(f"line {number + len(whole) + 1}", f"is longer than {longest} bytes")])
        for line in whole:
            number += 1
            if line.strip():
                yield number, line
    last = b"".join(held)
    if last.strip():
        yield number + 1, last


async def _groups(lines: AsyncIterator[Line]) -> AsyncIterator[list[Line]]:
    group: list[Line] = []
    try:
        async for line in lines:
            group.append(line)
            if len(group) == GROUP:
                yield group
                group = []
    except GalenoError:  # what came before is answered all the same
        if group:
            yield group
        raise
    if group:
        yield group


async def _answer(desk: Desk, caller: Caller, study: str, group: list[Line], batch: Batch) -> list[bytes]:
    requests: list[DiagnosisRequest | GalenoError] = []
    for _, line in group:
        try:
            # a long one in a thread, so that nobody else waits for it
            long = len(line) >= LONG
            requests.append(await asyncio.to_thread(_read, line) if long else _read(line))
        except InputError as error:
            requests.append(error)
    good = [request for request in requests if isinstance(request, DiagnosisRequest)]
    asked = [(each.patient_id, each.record) for each in good]
    made = iter(await desk.diagnose_many(caller, study, asked, batch=batch))
    told = []
    for (number, _), request in zip(group, requests, strict=True):
        answer = next(made) if isinstance(request, DiagnosisRequest) else request
        if isinstance(answer, Answer):
            told.append(_told({"line": number, "status": 201, **tell_answer(answer)}))
        else:
            problem = problem_of(answer)
            told.append(_told({"line": number, "status": problem["status"], "problem": problem}))
    return told


def _read(line: bytes) -> DiagnosisRequest:
    request = read_model(DiagnosisRequest, parse_json(line))
    if request.explain:
        raise InputError([("explain", "is not for batches; ask for /v1/diagnoses/{id}/explanation")])
    return request


def _told(line: Mapping[str, Any]) -> bytes:
    return to_json(line) + b"\n"
