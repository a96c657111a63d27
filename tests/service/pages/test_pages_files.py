"""Sounds and images in the pages, over real HTTP and without script."""

import html
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import yaml
from chest import CANARY, STUDY, draw_xray, record_breath
from open_pages import Pages, open_pages, token
from sqlalchemy import select
from starlette.responses import Response

from galeno.errors import PackageError
from galeno.media.content import IMAGE_ENDINGS, SOUND_ENDINGS, Kind, clean, kind_of, to_data_url
from galeno.media.fault import RULES, MediaFault
from galeno.model.relevance import Relevance, locate
from galeno.records import Explanation, ModalityShare
from galeno.service import locating
from galeno.service.counter import INPUTS
from galeno.service.media_intake import HeldFile, hold_file
from galeno.service.pages.file_page import part_of
from galeno.service.pages.file_words import axes_text, extent_text, fault_text, file_reason, place_text
from galeno.service.pages.form import desk_faults, draw_groups, has_files, read_record
from galeno.service.pages.result import draw_spoken, reason_text
from galeno.service.pages.words import words_of
from galeno.service.shelf import Shelf
from galeno.service.steering import draw_form
from galeno.service.upload import File
from galeno.storage import schema
from galeno.study import Study

ES, EN = words_of("es"), words_of("en")
CHEST = Study.model_validate(yaml.safe_load(STUDY))
XRAY, BREATH = draw_xray(ill=True, seed=701), record_breath(ill=True, seed=702, seconds=2.5)


@pytest.fixture(scope="module")
def chest(chest_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    home = tmp_path_factory.mktemp("chest-pages") / "home"
    shutil.copytree(chest_home, home)
    home.chmod(0o700)
    with open_pages(home) as opened:
        opened.add("ana", "clinician", "north")
        opened.add("bea", "clinician", "south")
        opened.add("max", "engineer")
        yield opened


@pytest.fixture(scope="module")
def ana(chest: Pages) -> httpx.Client:
    return chest.signed_in("ana", **{"Accept-Language": "en"})


def text_of(page: httpx.Response) -> str:
    """What is read on a page."""
    body = re.sub(r"<(script|style|svg).*?</\1>", " ", page.text, flags=re.S)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", body))).replace("\u00a0", " ")


def send(client: httpx.Client, files: dict[str, bytes], **typed: str) -> httpx.Response:
    """The form with files, as a browser sends it."""
    fields = {"csrf": token(client.get("/new/chest")), "patient_id": f"{CANARY}-p1", "v.age": "61", **typed}
    sent = {name: (f"{CANARY}.bin", file, "application/octet-stream") for name, file in files.items()}
    return client.post("/new/chest", data=fields, files=sent)


@pytest.fixture(scope="module")
def result(ana: httpx.Client) -> httpx.Response:
    done = send(ana, {"v.xray": XRAY, "v.breath": BREATH})
    assert done.status_code == 200, text_of(done)
    assert done.url.path.startswith("/diagnoses/dx_")
    return done


def test_the_form_takes_files_with_and_without_script(ana: httpx.Client) -> None:
    form = ana.get("/new/chest")
    assert 'enctype="multipart/form-data"' in form.text
    assert len(re.findall(r'<input type="file"', form.text)) == 2
    assert "microphone=(self)" in form.headers["permissions-policy"]
    assert form.headers["content-security-policy"].endswith("media-src 'self' blob:")
    assert "unsafe" not in form.headers["content-security-policy"]
    other = ana.get("/worklist")
    assert "microphone=()" in other.headers["permissions-policy"]
    assert "blob:" not in other.headers["content-security-policy"]


def test_what_was_sent_is_told_in_words(result: httpx.Response, chest: Pages) -> None:
    told = text_of(result)
    assert "image, 24 × 24" in told
    assert "sound, 2.5 s" in told
    assert "By kind of input" in told
    assert "base64" not in result.text
    assert CANARY not in result.text.replace(f"{CANARY}-p1", "")
    assert len(re.findall(r'<img loading="lazy"', result.text)) == 2
    spanish = text_of(chest.signed_in("ana", **{"Accept-Language": "es"}).get(result.url.path))
    assert "sonido, 2,5 s" in spanish
    assert "Por tipo de dato" in spanish


def test_where_a_file_speaks_is_told_and_drawn(ana: httpx.Client, result: httpx.Response) -> None:
    for column in ("xray", "breath"):
        page = ana.get(f"{result.url.path}/files/{column}", params={"condition": "ill"})
        assert page.status_code == 200, text_of(page)
        (alt,) = re.findall(r'relevance/\w+\?condition=ill" alt="([^"]+)"', page.text)
        assert "ill" in alt
        assert len(alt) > 60  # in words, not only that there is a picture
        assert "not a cause" in text_of(page)
        assert len(re.findall("data-locate ", page.text.replace(">", " "))) == 2  # each condition
        for address in re.findall(r'<img[^>]+src="([^"]+)"', page.text)[1:]:
            picture = ana.get(html.unescape(address))
            assert picture.headers["content-type"] == "image/png"
            assert kind_of(picture.content) == "image"
            assert "sandbox" in picture.headers["content-security-policy"]
            assert picture.headers["cache-control"] == "no-store"
    assert ana.get(f"{result.url.path}/files/age").status_code == 404
    assert ana.get(f"{result.url.path}/relevance/xray?condition=unheard").status_code == 422


def test_one_map_is_made_for_all_who_ask_and_one_at_a_time(
    ana: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = send(ana, {"v.xray": XRAY, "v.breath": BREATH})
    asked: list[object] = []
    running = threading.Semaphore(1)

    def slow(*given: Any) -> Relevance:
        assert running.acquire(blocking=False)
        asked.append(given[2])
        time.sleep(0.2)
        running.release()
        return locate(*given)

    monkeypatch.setattr(locating, "locate", slow)
    addresses = [f"{made.url.path}/relevance/{column}" for column in ("xray", "breath")] * 3
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(ana.get, addresses))
    assert [answer.status_code for answer in answers] == [200] * 6
    assert sorted(asked, key=str) == ["breath", "xray"]


def test_few_inputs_are_read_at_a_time(
    ana: httpx.Client, result: httpx.Response, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = threading.Semaphore(INPUTS)
    calls: list[bool] = []

    def slow(value: object) -> object:
        calls.append(running.acquire(blocking=False))
        time.sleep(0.05)
        running.release()
        return hold_file(value)

    monkeypatch.setattr(locating, "hold_file", slow)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ana.get, [f"{result.url.path}/sound/breath"] * 8))
    assert {answer.status_code for answer in answers} == {200}
    assert calls == [True] * 8


def test_a_model_that_is_gone_is_told_in_words(chest: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise PackageError("cannot be read (FileNotFoundError)", where="/somewhere")

    monkeypatch.setattr(Shelf, "version", gone)
    for language, said in (("en", "This can no longer be told"), ("es", "Esto ya no se puede decir")):
        client = chest.signed_in("ana", **{"Accept-Language": language})
        made = send(client, {"v.xray": XRAY})
        assert made.status_code == 200
        assert words_of(language).gettext(
            "This can no longer be told: the findings or the model that answered were not kept."
        ) in text_of(made)
        assert words_of(language).gettext("Show where it speaks") not in text_of(made)
        page = client.get(f"{made.url.path}/files/xray")
        assert page.status_code == 409
        assert said in text_of(page)
        assert client.get(f"{made.url.path}/relevance/xray").status_code == 409


def test_a_kept_file_that_cannot_be_read_is_a_conflict(
    ana: httpx.Client, result: httpx.Response, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MediaFault("damaged", "The image cannot be decoded")

    for name in ("locate", "draw_file"):
        monkeypatch.setattr(locating, name, fail)
    for part in ("picture", "relevance"):
        answer = ana.get(f"{result.url.path}/{part}/xray", params={"condition": "well"})
        assert answer.status_code == 409
        assert "cannot be read any more" in text_of(answer)


def test_a_sound_is_played_in_parts(ana: httpx.Client, result: httpx.Response) -> None:
    address = result.url.path + "/sound/breath"
    whole = ana.get(address)
    assert whole.content == clean("sound", BREATH).data
    assert whole.headers["content-type"] == "audio/flac"
    assert whole.headers["accept-ranges"] == "bytes"
    part = ana.get(address, headers={"range": "bytes=10-19"})
    assert part.status_code == 206
    assert part.content == whole.content[10:20]
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole.content)}"
    assert ana.get(result.url.path + "/sound/xray").status_code == 404


@pytest.mark.parametrize(
    ("wanted", "status", "content"),
    [
        ("", 200, b"0123456789"),
        ("bytes=0-", 206, b"0123456789"),
        ("bytes=8-99", 206, b"89"),
        ("bytes=10-", 416, b""),
        ("bytes=5-4", 416, b""),
        ("bytes=-3", 200, b"0123456789"),
        ("bytes=0-1,4-5", 200, b"0123456789"),
        ("lines=0-1", 200, b"0123456789"),
    ],
)
def test_parts_of_a_file(wanted: str, status: int, content: bytes) -> None:
    told = part_of(Response(b"0123456789", media_type="audio/flac"), b"0123456789", wanted)
    assert (told.status_code, told.body) == (status, content)
    assert told.headers["content-length"] == str(len(content))


def test_other_sites_and_roles_see_nothing(chest: Pages, result: httpx.Response) -> None:
    for name, status in (("bea", 404), ("max", 403)):
        client = chest.signed_in(name)
        for part in ("files/xray", "relevance/xray", "picture/xray", "sound/breath"):
            assert client.get(f"{result.url.path}/{part}").status_code == status, (name, part)
    stranger = chest.browser().get(f"{result.url.path}/picture/xray")
    assert stranger.url.path == "/sign-in"


@pytest.mark.parametrize(("language", "said"), [("en", "kind that belongs"), ("es", "no es del tipo")])
def test_a_faulty_file_is_told_at_its_field(chest: Pages, language: str, said: str) -> None:
    client = chest.signed_in("ana", **{"Accept-Language": language})
    again = send(client, {"v.xray": b"only a text" * 20, "v.breath": BREATH})
    assert again.status_code == 422
    told = text_of(again)
    assert said in told
    assert 'value="61"' in again.text  # what was typed stays
    assert f'value="{CANARY}-p1"' in again.text
    lost = words_of(language).gettext("The file that was sent here is not kept: choose it again.")
    assert told.count(lost) == 2  # both must be chosen again
    assert 'href="#field-1"' in again.text
    assert re.search(r'id="field-1"[^>]+aria-invalid="true"', again.text)
    assert not re.search(r'id="field-2"[^>]+aria-invalid="true"', again.text)


def test_a_file_that_breaks_a_rule_is_told_by_it(ana: httpx.Client) -> None:
    for column, file, rule in (
        ("v.xray", XRAY[:60], "truncated"),
        ("v.breath", record_breath(ill=False, seconds=0.1), "too_short"),
        ("v.breath", b"", "empty_file"),
        ("v.xray", BREATH, "wrong_type"),
    ):
        again = send(ana, {column: file})
        assert again.status_code == 422
        assert fault_text(rule, EN) in text_of(again)


def test_files_alone_are_enough_and_none_are_needed(ana: httpx.Client) -> None:
    alone = send(ana, {"v.xray": XRAY}, **{"v.age": ""})
    assert "There is no sound; the model was trained with it." in text_of(alone)
    typed = {"csrf": token(ana.get("/new/chest")), "patient_id": "p2", "v.age": "50"}
    plain = ana.post("/new/chest", data=typed)  # as from a page that keeps what was typed
    assert plain.url.path.startswith("/diagnoses/dx_")
    nothing = ana.post("/new/chest", data={**typed, "v.age": "", "v.xray": "x.png"})
    assert nothing.status_code == 422


def test_texts_beside_files_are_bounded(ana: httpx.Client) -> None:
    assert send(ana, {"v.xray": XRAY}, **{"v.age": "7" * 500_000}).status_code == 413
    assert send(ana, {"v.xray": XRAY}, **{"v.age": "7\x00"}).status_code == 422


def test_a_session_that_ended_keeps_what_was_typed(chest: Pages) -> None:
    client = chest.signed_in("ana", **{"Accept-Language": "en"})
    fields = {"csrf": token(client.get("/new/chest")), "patient_id": "late", "v.age": "44"}
    client.cookies.clear()
    before = diagnoses(chest)
    files = {"v.xray": ("x.png", XRAY, "image/png")}
    late = client.post("/new/chest", data=fields, files=files)
    assert late.status_code == 401
    assert 'value="44"' in late.text
    assert "Only the files have to be chosen again." in text_of(late)
    assert diagnoses(chest) == before
    # what follows is sent without files, but the form goes on saying which one is missing
    kept = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', late.text))
    late = client.post("/new/chest", data=kept)
    kept = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', late.text))
    again = chest.signed_in("ana", **{"Accept-Language": "en"})
    drawn = again.post("/new/chest", data=kept)
    assert drawn.status_code == 403
    assert lost_fields(drawn) == ["v.xray"]
    assert "Check it and send it again. Only the files have to be chosen again." in text_of(drawn)
    typed = {**fields, "csrf": token(drawn), "lost": "v.xray"}
    wrong = again.post("/new/chest", data={**typed, "v.age": "old"}, files={"v.breath": ("b", BREATH)})
    assert wrong.status_code == 422
    assert sorted(lost_fields(wrong)) == ["v.breath", "v.xray"]
    assert again.post("/new/chest", data=typed, files=files).url.path.startswith("/diagnoses/dx_")


def lost_fields(page: httpx.Response) -> list[str]:
    """Fields that say that their file must be chosen again."""
    return re.findall(r'choose it again\.<input type="hidden" name="lost" value="([^"]+)">', page.text)


MUCH = bytes(30 << 20)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"v.breath": bytes((32 << 20) + 1)}, "is too large or too long"),
        ({"v.xray": MUCH, "v.breath": MUCH}, "The files together are too large"),
    ],
)
def test_files_that_are_too_large_take_nothing_with_them(
    ana: httpx.Client, files: dict[str, bytes], said: str
) -> None:
    ana.headers["Accept"] = "text/html"
    page = send(ana, files, **{"v.age": "61,5"})
    assert page.status_code == 413
    assert said in text_of(page)
    assert 'value="61,5"' in page.text
    assert f'value="{CANARY}-p1"' in page.text
    assert lost_fields(page) == list(files)
    assert token(page)


def test_what_is_too_much_even_to_be_dropped_is_a_page(ana: httpx.Client, chest: Pages) -> None:
    client = chest.signed_in("ana", **{"Accept-Language": "es", "Accept": "text/html,*/*;q=0.8"})
    page = send(client, {"v.xray": MUCH[: 20 << 20]}, **{"v.age": "7" * 500_000})
    assert page.status_code == 413
    assert "Es demasiado de una vez" in text_of(page)
    long = client.post("/rank", data={"text": "x" * 1_200_000})
    assert long.status_code == 413
    assert "Es demasiado de una vez" in text_of(long)


def test_a_form_that_finds_no_place_keeps_what_was_typed(chest: Pages) -> None:
    client = chest.signed_in("ana", **{"Accept-Language": "en"})
    cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    head = (
        f"POST /new/chest HTTP/1.1\r\nHost: x\r\nCookie: {cookies}\r\nContent-Length: 9000000\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
    ).encode()
    address = httpx.URL(chest.url)
    large = BREATH + bytes(2_000_000)
    with ExitStack() as open_uploads:
        for _ in range(2):  # all that one caller may hold
            other = open_uploads.enter_context(socket.create_connection((address.host, address.port or 0)))
            other.sendall(head)
        until = time.monotonic() + 10
        while (page := send(client, {"v.breath": large})).status_code != 503:
            assert time.monotonic() < until
        assert "Not possible at the moment" in text_of(page)
        assert 'value="61"' in page.text
        assert lost_fields(page) == ["v.breath"]
        elsewhere = {"Sec-Fetch-Site": "cross-site"}
        forged = client.post("/new/chest", files={"v.breath": large}, headers=elsewhere)
        assert forged.status_code == 403
        assert "Findings" not in text_of(forged)


def diagnoses(pages: Pages) -> int:
    """How many were made."""
    with pages.journal.read() as connection:
        return len(connection.execute(select(schema.diagnoses.c.id)).all())


def test_forms_without_files_take_none(ana: httpx.Client, result: httpx.Response) -> None:
    said = {"csrf": token(result), "agrees": "yes"}
    sent = ana.post(f"{result.url.path}/feedback", data=said, files={"x": ("x.png", XRAY)})
    assert sent.status_code == 415


def test_a_form_knows_whether_it_takes_files() -> None:
    form = draw_form(CHEST, {})
    assert has_files(form)
    assert not has_files({"fields": [field for field in form["fields"] if field["type"] == "number"]})
    record, faults = read_record(form, {}, EN, {"v.xray": File(XRAY, "image/png")})
    assert (record, faults) == ({"xray": XRAY}, {})
    record, faults = read_record(form, {}, EN, {"v.xray": File(XRAY, "audio/wav")})
    assert record == {}
    assert list(faults) == ["field-1"]
    assert faults["field-1"].startswith(fault_text("wrong_type", EN))


def test_a_form_offers_what_is_read_and_names_it() -> None:
    """A phone offers m4a and webp where any sound or image is asked for, and neither is read."""
    form = draw_form(CHEST, {})
    endings = {"xray": IMAGE_ENDINGS, "breath": SOUND_ENDINGS}
    for words in (EN, ES):
        fields = {field.column: field for group in draw_groups(form, {}, words) for field in group.fields}
        for column, known in endings.items():
            offered = fields[column].accept.split(",")
            assert [each for each in offered if each.startswith(".")] == list(known)
            assert not any(each.endswith("/*") for each in offered)
            told = desk_faults(form, [(f"record.{column}", "is no file of it (wrong_type)")], words)
            assert list(told.values()) == [fields[column].refusal]
        assert "DICOM" in fields["xray"].refusal
        assert "FLAC" in fields["breath"].refusal


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_words_in_both_languages(rule: str) -> None:
    for say in (lambda words: fault_text(rule, words), lambda words: file_reason(rule, "Placa", words)):
        assert say(EN)
        assert say(ES) != say(EN)
        assert say(EN).endswith(".")
    assert reason_text(CHEST, f"{rule}:xray", EN) == file_reason(rule, "xray", EN)


@pytest.mark.parametrize("modality", ["table", "text", "phenotype", "audio", "image"])
def test_every_missing_modality_has_words(modality: str) -> None:
    spanish, english = (reason_text(CHEST, f"missing:{modality}", words) for words in (ES, EN))
    assert spanish != english
    assert modality not in {"audio", "phenotype"} or modality not in english


def test_an_extent_is_read_from_the_head_of_a_file() -> None:
    assert extent_text(held("image", draw_xray(ill=False, side=31)), EN) == "image, 31\u00a0×\u00a031"
    sound = held("sound", record_breath(ill=False, seconds=12.34))
    assert extent_text(sound, ES) == "sonido, 12,3 s"
    assert axes_text(sound, EN) == "Upwards 0 to 2,000 Hz, to the right 0 to 12.3 s."


def held(kind: Kind, file: bytes) -> HeldFile:
    """What is held of a file."""
    found = hold_file(to_data_url(clean(kind, file).data))
    assert found is not None
    return found[0]


def relevance(cells: dict[tuple[int, int], float], rows: tuple[float, ...]) -> Relevance:
    values = np.zeros((len(rows) - 1, 10))
    for cell, value in cells.items():
        values[cell] = value
    columns = tuple(np.linspace(0, 10 if rows[-1] > 1 else 1, 11).tolist())
    return Relevance("x", "ill", 0.8, values, rows, columns)


SQUARE = tuple(np.linspace(0, 1, 11).tolist())


@pytest.mark.parametrize(
    ("cell", "place"),
    [((0, 0), "upper left"), ((5, 5), "centre"), ((9, 9), "lower right"), ((4, 0), "middle left")],
)
def test_a_place_in_an_image_has_words(cell: tuple[int, int], place: str) -> None:
    told = place_text(relevance({cell: 0.123}, SQUARE), "image", "Ill", EN)
    assert told == (f"Speaks most for Ill: {place}. Hidden, its probability falls by 12.3 points.",)


def test_a_place_in_a_sound_has_words() -> None:
    bands = (60.0, 300.0, 600.0, 1900.0)
    told = place_text(relevance({(1, 3): 0.2, (0, 0): -0.1}, bands), "sound", "Ill", EN)
    assert "300 to 600 Hz, second 3.0 to 4.0" in told[0]
    assert told[1].startswith("Speaks most against Ill: 60 to 300 Hz, second 0.0 to 1.0.")
    assert len(place_text(relevance({(1, 3): 0.001}, bands), "sound", "Ill", EN)) == 1


def test_modalities_are_told_where_there_are_several() -> None:
    shares = (ModalityShare("image", 0.3), ModalityShare("audio", -0.1), ModalityShare("table", 0.0001))
    spoken = draw_spoken([Explanation("ill", 0.5, 0.7, (), "exact", shares)], CHEST, EN)[0]
    assert [(each.label, each.points) for each in spoken.modalities] == [
        ("Image", "+30.0"),
        ("Sound", "\u221210.0"),
        ("Measurements and answers", "0.0"),
    ]
    assert spoken.modalities[1].size == pytest.approx(-1 / 3)
    alone = draw_spoken([Explanation("ill", 0.5, 0.7, (), "exact", shares[:1])], CHEST, EN)[0]
    assert alone.modalities == ()
