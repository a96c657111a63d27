"""Sounds and images that come in with a record: checked, written anew, and described before a model answers.

A file is held to its size and to what its first bytes say before anything is decoded; decoders are bounded
(see `galeno.media`). What is kept is the clean content, as a data URL (RFC 2397) in its column.
"""

import asyncio
import re
import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, TypeVar

from galeno.errors import BusyError, InputError
from galeno.ingest.values import BLANKS, Value, codes_of
from galeno.media.content import (
    MEDIA_TYPE,
    Kind,
    clean,
    from_data_url,
    is_canonical,
    read_data_url,
    to_data_url,
)
from galeno.media.fault import MediaFault
from galeno.media.limits import LARGEST_SENT, ImageLimits, SoundLimits
from galeno.model.model import Model
from galeno.service.upload import File, fits
from galeno.study import Study

T = TypeVar("T")
AT_ONCE: Final = 2
"""Records with sounds or images that a worker decodes at a time."""
QUEUE: Final = 64
"""Records that may wait for that; more are turned away."""

_SOUNDS = SoundLimits(bytes=LARGEST_SENT)
_IMAGES = ImageLimits(bytes=LARGEST_SENT)
_DECLARED = re.compile(r"data:([^,;]{0,127})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class HeldFile:
    """A file of a record that was kept, without its bytes.

    Args:
        kind: sound or image.
        bytes: how many there are.
        sha256: of them, in hex.
        extent: pixels of width and height; of a sound, samples a second and samples.
    """

    kind: Kind
    bytes: int
    sha256: str
    extent: tuple[int, int]

    @property
    def media_type(self) -> str:
        """audio/flac or image/png."""
        return MEDIA_TYPE[self.kind]


class Decoder:
    """Threads of a worker that decode and describe, so that the event loop need not.

    What takes minutes has one thread more, so that it holds no diagnosis up.

    Args:
        at_once: how many.
        queue: records that may wait for them.
    """

    def __init__(self, at_once: int = AT_ONCE, queue: int = QUEUE) -> None:
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="galeno-decoder")
        self._slow = ThreadPoolExecutor(1, thread_name_prefix="galeno-slow-decoder")
        self._most = at_once + queue
        self._now = 0
        self._lock = threading.Lock()
        self._turns = asyncio.Semaphore(at_once)

    async def run(self, work: Callable[[], T], *, patient: bool = False) -> T:
        """Do some work in one of the threads.

        Args:
            work: what is to be done.
            patient: wait for one of few turns that all such work shares, and so hold nobody else up; for
                batches.

        Raises:
            BusyError: too many are waiting.
        """
        if patient:
            async with self._turns:
                return await asyncio.wrap_future(self._pool.submit(work))
        with self._lock:
            if self._now >= self._most:
                raise BusyError("too many sounds and images are waiting", remedy="Try again", retry_after=2)
            self._now += 1
        future = self._pool.submit(work)
        # not when the caller goes away: a thread that has begun goes on
        future.add_done_callback(self._leave)
        return await asyncio.wrap_future(future)

    async def run_slowly(self, work: Callable[[], T]) -> T:
        """Do some work that takes minutes, one such after the other."""
        return await asyncio.wrap_future(self._slow.submit(work))

    def _leave(self, _: Future[Any]) -> None:
        with self._lock:
            self._now -= 1


def has_media(model: Model, record: Mapping[str, object]) -> bool:
    """Whether a record brings something that takes a decoder, or a network, to read."""
    contract, describer = model.contract, model.describer
    if not contract.files and not describer.columns:
        return False
    return any(record.get(name) is not None for name in (*contract.files, *describer.columns))


def clean_files(
    study: Study, names: tuple[str, ...], record: Mapping[str, object]
) -> dict[str, bytes | None]:
    """The clean contents of a record's sounds and images.

    Args:
        study: says what each column holds.
        names: its columns of sounds and images.
        record: values there are data URLs, files as bytes, or nothing.

    Returns:
        by column that the record names; None where it says in words that there is none.

    Raises:
        InputError: a value is no such file, or breaks a rule; each is named.
    """
    found: dict[str, bytes | None] = {}
    faults: list[tuple[str, str]] = []
    missing = codes_of(study.records.missing)
    for name in names:
        value = record.get(name)
        if value is None or (isinstance(value, str) and value.strip(BLANKS) in missing):
            if name in record:
                found[name] = None
            continue
        kind = _kind_of(study, name)
        if kind is None:
            continue
        try:
            found[name] = clean(kind, _bytes_of(kind, value), _SOUNDS, _IMAGES).data
        except MediaFault as fault:
            faults.append((f"record.{name}", f"{fault.what} ({fault.rule})"))
    if faults:
        raise InputError(faults)
    return found


def type_media(
    model: Model, record: Mapping[str, object], contents: Mapping[str, bytes | None]
) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """A record as the model reads it, with its clean contents and their descriptions.

    Args:
        model: what will answer.
        record: its other values are read as `Contract.answer_record` does.
        contents: as `clean_files` gives them, perhaps for another version of the study.

    Returns:
        typed values with descriptions beside them, and reasons to review.
    """
    files = model.contract.files
    plain = {name: value for name, value in record.items() if name not in files and name not in contents}
    values, faults = model.contract.answer_record(plain)
    given: dict[str, Value] = {
        name: content
        for name, content in contents.items()
        if name in files and name in values and _is_of(model.study, name, content)
    }
    return model.describer.describe_record({**values, **given}), faults


def keep_record(record: Mapping[str, object], contents: Mapping[str, bytes | None]) -> dict[str, object]:
    """The record as it is kept: the clean contents in the place of what was sent."""
    kept = {name: None if data is None else to_data_url(data) for name, data in contents.items()}
    return {**record, **kept}


def hold_file(value: object) -> tuple[HeldFile, bytes] | None:
    """What a kept value is a file of, and its bytes; None for any other value."""
    content = read_data_url(value) if isinstance(value, str) else None
    if content is None:
        return None
    data = content.data
    held = HeldFile(content.kind, len(data), sha256(data).hexdigest(), extent_of(content.kind, data))
    return held, data


def hold_files(record: Mapping[str, Any], files: Collection[str]) -> dict[str, Any]:
    """A kept record for readers: a `HeldFile` in the place of each file.

    Args:
        record: as it was kept.
        files: columns of sounds and images: elsewhere, a text that looks like a file is a text.
    """
    held = {name: hold_file(record[name]) for name in files if name in record}
    return {**record, **{name: file[0] for name, file in held.items() if file is not None}}


def extent_of(kind: Kind, data: bytes) -> tuple[int, int]:
    """Pixels of width and height, or samples a second and samples, from the head of a clean file."""
    if kind == "image":
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")  # IHDR (PNG, 11.2.2)
    # STREAMINFO (RFC 9639, 8.2): 20 bits of rate, 8 of channels and depth, 36 of samples
    told = int.from_bytes(data[18:26], "big")
    return max(told >> 44, 1), told & (2**36 - 1)


def attach_files(study: Study, record: Mapping[str, object], files: Mapping[str, File]) -> dict[str, object]:
    """Files of a form as values of a record.

    Raises:
        InputError: a column came twice, or a file is called what its column does not take.
    """
    faults = []
    for name, file in files.items():
        kind = _kind_of(study, name)
        if name in record:
            faults.append((f"record.{name[:64]}", "stands in the record and came as a file as well"))
        elif kind is not None and not file.fits(kind):
            faults.append((f"record.{name}", f"The file is no {kind} by its content type (wrong_type)"))
    if faults:
        raise InputError(faults)
    return {**record, **{name: file.data for name, file in files.items()}}


def _bytes_of(kind: Kind, value: object) -> bytes:
    """The file in a value.

    Raises:
        MediaFault: there is none.
    """
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str) or not value.startswith("data:"):
        raise MediaFault("wrong_type", f"A {kind} is sent as data:TYPE;base64,DATA or as a file of a form")
    declared = _DECLARED.match(value[:256])
    if declared is not None and not fits(declared[1].strip().lower(), kind):
        raise MediaFault("wrong_type", f"The file is no {kind} by its content type")
    return from_data_url(value, LARGEST_SENT)


def _kind_of(study: Study, name: str) -> Kind | None:
    """What a column holds; None where that is no file, or there is no such column."""
    column = study.columns.get(name)
    if column is None or not column.holds_file:
        return None
    return "sound" if column.type == "sound" else "image"


def _is_of(study: Study, name: str, content: bytes | None) -> bool:
    kind = _kind_of(study, name)
    return content is None or (kind is not None and is_canonical(content, kind))
