"""Sounds and images of a record: what is taken, what is kept, and how many at a time."""

import asyncio
import threading
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from chest import STUDY, draw_xray, record_breath
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.errors import BusyError, ConsentError, InputError, TooLongError
from galeno.ingest.contract import Contract
from galeno.media.content import clean, to_data_url
from galeno.service import diagnosing, steering
from galeno.service.diagnosing import Diagnosing
from galeno.service.intake import LONGEST_TEXT, unfit
from galeno.service.limits import Places
from galeno.service.lines import LONGEST_LINE, _lines
from galeno.service.media_intake import Decoder, attach_files, clean_files, hold_file, hold_files, keep_record
from galeno.service.steering import Steering
from galeno.service.upload import File
from galeno.study import Study

XRAY, BREATH = draw_xray(ill=True), record_breath(ill=True)


@pytest.fixture(scope="module")
def study() -> Study:
    return Study.model_validate(yaml.safe_load(STUDY))


def test_what_is_kept_is_the_clean_content(study: Study) -> None:
    sent = {"age": 40, "xray": XRAY, "breath": None}
    contents = clean_files(study, Contract(study).files, sent)
    kept = keep_record(sent, contents)
    assert kept == {"age": 40, "xray": to_data_url(clean("image", XRAY).data), "breath": None}
    held = hold_files(kept, Contract(study).files)
    assert held["age"] == 40
    assert (held["xray"].kind, held["xray"].media_type) == ("image", "image/png")
    assert held["xray"].extent == (24, 24)
    assert hold_files(kept, ()) == kept
    again = clean_files(study, Contract(study).files, kept)
    assert again == contents


def test_every_faulty_file_is_named(study: Study) -> None:
    sent = {"xray": BREATH, "breath": "left.wav"}
    with pytest.raises(InputError) as caught:
        clean_files(study, ("xray", "breath"), sent)
    assert {field for field, _ in caught.value.faults} == {"record.xray", "record.breath"}
    assert all(fault.endswith("(wrong_type)") for _, fault in caught.value.faults)


@given(st.text(max_size=80).map(lambda text: f"data:image/png;base64,{text}") | st.text(max_size=80))
def test_other_texts_are_no_files(text: str) -> None:
    assert hold_file(text) is None


def test_long_texts_stand_in_columns_of_files_alone() -> None:
    url = "data:image/png;base64," + "A" * LONGEST_TEXT
    assert unfit(url)
    assert not unfit(url, is_file=True)
    assert unfit("x" * (LONGEST_TEXT + 1), is_file=True)
    assert unfit(b"x")
    assert not unfit(b"x", is_file=True)


@pytest.mark.parametrize(
    ("column", "media_type", "taken"),
    [
        ("xray", "image/jpeg", True),
        ("xray", "application/dicom", True),
        ("xray", "application/octet-stream", True),
        ("xray", "", True),
        ("xray", "audio/wav", False),
        ("xray", "text/html", False),
        ("breath", "audio/x-wav", True),
        ("breath", "video/ogg", True),
        ("breath", "application/dicom", False),
    ],
)
def test_what_a_file_is_called_must_not_contradict(
    study: Study, column: str, media_type: str, taken: bool
) -> None:
    files = {column: File(b"x", media_type)}
    if taken:
        assert attach_files(study, {"age": 1}, files) == {"age": 1, column: b"x"}
    else:
        with pytest.raises(InputError):
            attach_files(study, {}, files)


def test_a_decoder_turns_away_whom_it_cannot_serve_soon() -> None:
    decoder = Decoder(at_once=1, queue=1)
    turn = threading.Event()

    async def work() -> None:
        first = [asyncio.create_task(decoder.run(turn.wait)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await decoder.run(turn.wait)
        patient = asyncio.create_task(decoder.run(turn.wait, patient=True))
        await asyncio.sleep(0)
        turn.set()
        assert await asyncio.gather(*first, patient) == [True] * 3
        assert await decoder.run(lambda: 7) == 7

    asyncio.run(work())


def test_patient_work_holds_nobody_else_up() -> None:
    decoder = Decoder(at_once=1, queue=0)
    turn = threading.Event()

    async def work() -> None:
        batch = [asyncio.create_task(decoder.run(turn.wait, patient=True)) for _ in range(50)]
        await asyncio.sleep(0)
        soon = asyncio.create_task(decoder.run(lambda: sum(task.done() for task in batch)))
        await asyncio.sleep(0)
        turn.set()
        assert await soon <= 1
        assert await asyncio.gather(*batch) == [True] * 50

    asyncio.run(work())


def test_what_takes_minutes_holds_no_diagnosis_up() -> None:
    decoder = Decoder(at_once=1, queue=0)
    turn, running = threading.Event(), threading.Semaphore(1)

    def work() -> bool:
        assert running.acquire(blocking=False)  # one at a time
        turn.wait()
        running.release()
        return True

    async def ask() -> None:
        long = [asyncio.create_task(decoder.run_slowly(work)) for _ in range(3)]
        await asyncio.sleep(0)
        assert await decoder.run(lambda: 7) == 7
        turn.set()
        assert await asyncio.gather(*long) == [True] * 3

    asyncio.run(asyncio.wait_for(ask(), 5))


def test_training_records_with_files_are_decoded_apart(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []

    def admit(*_: object) -> dict[str, Any]:
        threads.append(threading.current_thread().name)
        return {"batch": "b", "report": {"good": 1, "read": 1}}

    async def nothing(*_: object, **__: object) -> None:
        pass

    monkeypatch.setattr(steering, "admit_records", admit)
    shelf = SimpleNamespace(get=lambda _: SimpleNamespace(model=SimpleNamespace(contract=Contract(study))))
    rooms = SimpleNamespace(shelf=shelf, home=None)
    desk: Any = SimpleNamespace(
        permit=nothing, record=nothing, entry=lambda *_, **__: None, rooms=rooms, decoder=Decoder()
    )
    caller: Any = None
    asyncio.run(Steering.add_records(desk, caller, "chest", [{"age": 1}]))
    assert threads
    assert threads[0].startswith("galeno-slow-decoder")


def test_a_thread_counts_until_it_ends() -> None:
    decoder = Decoder(at_once=1, queue=0)
    turn = threading.Event()

    async def work() -> None:
        gone = asyncio.create_task(decoder.run(turn.wait))
        while not decoder._now:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        with pytest.raises(BusyError):
            await decoder.run(turn.wait)
        turn.set()
        while decoder._now:
            await asyncio.sleep(0.01)
        assert await decoder.run(lambda: 7) == 7

    asyncio.run(asyncio.wait_for(work(), 5))


def test_one_caller_has_few_places() -> None:
    places = Places(3, each=2)
    with places.take("a"), places.take("a"):
        with pytest.raises(BusyError), places.take("a"):
            pass
        with places.take("b"), pytest.raises(BusyError), places.take("c"):
            pass


def test_places_are_given_back() -> None:
    places = Places(1)
    for _ in range(2):
        with places.take(), pytest.raises(BusyError), places.take():
            pass
    with pytest.raises(ValueError, match="x"), places.take():
        raise ValueError("x")
    with places.take():
        pass


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=20), max_size=12), st.integers(1, 9))
def test_lines_do_not_depend_on_how_they_arrive(parts: list[bytes], step: int) -> None:
    body = b"".join(parts)

    async def read(size: int) -> list[tuple[int, bytes]]:
        async def stream() -> AsyncIterator[bytes]:
            for at in range(0, len(body), size):
                yield body[at : at + size]

        return [line async for line in _lines(stream(), 1000, LONGEST_LINE)]

    wanted = [(n, line) for n, line in enumerate(body.split(b"\n"), start=1) if line.strip()]
    assert asyncio.run(read(step)) == wanted


def test_a_line_has_a_longest_length() -> None:
    async def read(*parts: bytes) -> int:
        async def stream() -> AsyncIterator[bytes]:
            for part in parts:
                yield part

        return len([line async for line in _lines(stream(), 100, 10)])

    assert asyncio.run(read(b"123456\n12", b"3456\n", b"1")) == 3
    with pytest.raises(TooLongError, match="line 2"):
        asyncio.run(read(b"1\n123456", b"78901"))


def test_a_challenger_that_cannot_read_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a fault of the challenger")

    monkeypatch.setattr(diagnosing, "type_media", fail)
    challenger: Any = object()
    assert diagnosing._read_shadow(challenger, {}, {}) is None


def test_consent_comes_before_any_file_is_read(study: Study) -> None:
    contract = Contract(study)
    model = SimpleNamespace(study=study, contract=contract, describer=SimpleNamespace(columns=()))
    read: list[object] = []

    async def refuse(*_: object) -> None:
        raise ConsentError("not given")

    async def run(work: object, **_: object) -> None:
        read.append(work)

    desk: Any = SimpleNamespace(
        need_consent=refuse,
        decoder=SimpleNamespace(run=run),
        rooms=SimpleNamespace(cipher=SimpleNamespace(pseudonym=str, input_hash=str)),
    )
    served: Any = SimpleNamespace(model=model, challenger=None)
    caller: Any = None
    with pytest.raises(ConsentError):
        asyncio.run(Diagnosing._take(desk, caller, served, "p", {"xray": XRAY}))
    assert not read
