"""Sounds and images over real HTTP: in as forms and data URLs, out clean, and hostile ones refused."""

import base64
import hashlib
import io
import json
import socket
import struct
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest
from chest import CANARY, draw_xray, record_breath
from fhir_cases import bundle, document
from hospital import Hospital, add_user, problem
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from galeno.governance.lake_rows import list_tables
from galeno.media.content import clean, is_canonical, kind_of, to_data_url
from galeno.model.model import Model
from galeno.records import KEY, PATIENT
from galeno.service.capture import export_home, table_of
from galeno.service.face import UPLOADS_EACH
from galeno.settings import ServiceSettings
from galeno.storage.contents import Contents
from galeno.storage.home import Home
from galeno.storage.lake import Lake
from galeno.storage.standing import read_standing

ADDRESS = "/v1/studies/chest/diagnoses"
XRAY, BREATH = draw_xray(ill=True, seed=501), record_breath(ill=True, seed=502)


def data_url(file: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(file).decode()}"


def send(client: httpx.Client, patient: str = "p1", record: Any = None, **files: Any) -> httpx.Response:
    """A form with the X-ray and the breath sound, or what else is given."""
    sent = {name: file if isinstance(file, tuple) else ("x", file) for name, file in files.items()}
    data = {"patient_id": patient}
    if record is not None:
        data["record"] = json.dumps(record)
    return client.post(ADDRESS, data=data, files=sent)


@pytest.fixture(scope="module")
def told(chest_hospital: Hospital) -> dict[str, Any]:
    """A diagnosis that was made from a form."""
    with chest_hospital.client() as client:
        answer = send(
            client,
            f"{CANARY}-patient",
            {"age": 50},
            xray=(f"{CANARY}.png", XRAY, "image/png"),
            breath=(f"{CANARY}.wav", BREATH, "audio/wav"),
        )
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_a_form_is_diagnosed(told: dict[str, Any]) -> None:
    assert told["condition"] == "ill"
    assert told["confidence"] > 0.9


def test_data_urls_and_files_are_the_same_to_a_model(chest_hospital: Hospital, told: dict[str, Any]) -> None:
    record = {
        "age": 50,
        "xray": data_url(XRAY, "image/png"),
        "breath": data_url(BREATH, "audio/x-wav"),
    }
    answer = chest_hospital.diagnose("p2", "chest", **record)
    assert answer.status_code == 201, answer.text
    assert answer.json()["ranking"] == told["ranking"]


def test_a_patient_may_lack_either(chest_hospital: Hospital) -> None:
    for record in ({}, {"age": 40}, {"xray": data_url(XRAY, "image/png"), "breath": None}, {"xray": ""}):
        answer = chest_hospital.diagnose("p3", "chest", **record)
        assert answer.status_code == 201, answer.text
        assert "missing:audio" in answer.json()["review_reasons"]


def test_a_reader_is_told_of_files_and_gets_them_clean(
    chest_hospital: Hospital, told: dict[str, Any]
) -> None:
    with chest_hospital.client() as client:
        read = client.get(f"/v1/diagnoses/{told['id']}")
        assert read.status_code == 200
        record = read.json()["record"]
        assert record["age"] == 50
        assert CANARY not in read.text.replace(f"{CANARY}-patient", "")
        for column, kind, media_type, sent in (
            ("xray", "image", "image/png", XRAY),
            ("breath", "sound", "audio/flac", BREATH),
        ):
            assert CANARY.encode() in sent
            described = record[column]
            assert described["media_type"] == media_type
            assert described["href"] == f"/v1/diagnoses/{told['id']}/files/{column}"
            file = client.get(described["href"])
            assert file.status_code == 200
            assert file.content == clean(kind, sent).data
            assert described["sha256"] == hashlib.sha256(file.content).hexdigest()
            assert described["bytes"] == len(file.content)
            assert CANARY.encode() not in file.content
            assert file.headers["content-type"] == media_type
            assert file.headers["x-content-type-options"] == "nosniff"
            assert file.headers["cache-control"] == "no-store"
            assert "sandbox" in file.headers["content-security-policy"]
            named = file.headers["content-disposition"]
            assert named.startswith("attachment; filename=")
            assert CANARY not in named
        for column in ("age", "nothing", "a/b"):
            problem(client.get(f"/v1/diagnoses/{told['id']}/files/{column}"), 404)
    with chest_hospital.client("auditor") as auditor:
        entries = auditor.get("/v1/audit", params={"limit": 500}).json()["entries"]
    read_entries = [e for e in entries if e["subject"] == told["id"] and e["action"] == "diagnoses.read"]
    assert len(read_entries) >= 3


def test_the_explanation_holds_columns_of_files(chest_hospital: Hospital, told: dict[str, Any]) -> None:
    with chest_hospital.client() as client:
        answer = client.get(f"/v1/diagnoses/{told['id']}/explanation")
    assert answer.status_code == 200, answer.text
    first = answer.json()["explanation"][0]
    assert {each["column"] for each in first["contributions"]} == {"age", "xray", "breath"}
    assert "base64" not in answer.text
    assert isinstance(first["modalities"], list)


def test_relevance_is_told_and_drawn(chest_hospital: Hospital, told: dict[str, Any]) -> None:
    address = f"/v1/diagnoses/{told['id']}/relevance"
    with chest_hospital.client() as client:
        for column, kind in (("xray", "image"), ("breath", "sound")):
            answer = client.get(f"{address}/{column}", params={"condition": "ill"})
            assert answer.status_code == 200, answer.text
            found = answer.json()
            assert (found["kind"], found["column"], found["condition"]) == (kind, column, "ill")
            assert found["probability"] == pytest.approx(told["confidence"], abs=1e-4)
            assert len(found["values"]) == len(found["row_edges"]) - 1
            assert {len(row) for row in found["values"]} == {len(found["column_edges"]) - 1}
            assert client.get(f"{address}/{column}").json() == found  # remembered, and the first condition
            drawn = client.get(f"{address}/{column}", headers={"accept": "image/png"})
            assert drawn.headers["content-type"] == "image/png"
            assert "sandbox" in drawn.headers["content-security-policy"]
            assert kind_of(drawn.content) == "image"
        problem(client.get(f"{address}/xray", params={"condition": "unheard of"}), 422)
        problem(client.get(f"{address}/age"), 404)


def test_other_sites_see_neither_files_nor_relevance(chest_hospital: Hospital, told: dict[str, Any]) -> None:
    key = add_user(chest_hospital.home, "elsewhere", "clinician", "--site", "elsewhere")
    with chest_hospital.client("", Authorization=f"Bearer {key}") as stranger:
        problem(stranger.get(f"/v1/diagnoses/{told['id']}/files/xray"), 404)
        problem(stranger.get(f"/v1/diagnoses/{told['id']}/relevance/xray"), 404)


def test_nothing_of_a_header_reaches_the_disk(chest_hospital: Hospital, told: dict[str, Any]) -> None:
    assert told["id"]
    for path in chest_hospital.home.glob("journal*"):
        assert CANARY.encode() not in path.read_bytes()


def bomb() -> bytes:
    """A PNG of a few kilobytes that claims 60,000 by 60,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(4_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def endless() -> bytes:
    """A WAV header that claims ten hours, and FLAC silence would be the same."""
    samples = 10 * 3600 * 4000
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + 2 * samples, b"WAVE", b"fmt ", 16, 1, 1, 4000,
                       8000, 2, 16, b"data", 2 * samples)  # fmt: skip
    return head + bytes(100_000)


HOSTILE = {
    "bomb": ("xray", bomb(), "image/png"),
    "endless": ("breath", endless(), "audio/wav"),
    "broken": ("xray", XRAY[:40], "image/png"),
    "cut": ("breath", BREATH[:200], "audio/wav"),
    "text": ("xray", b"<svg onload=alert(1)>" * 20, "image/png"),
    "html": ("xray", XRAY, "text/html"),
    "swapped": ("xray", BREATH, "image/png"),
    "empty": ("xray", b"", "image/png"),
    "noise": ("breath", b"OggS" + bytes(range(256)) * 40, "audio/ogg"),
    "dicom": ("xray", bytes(128) + b"DICM" + bytes(400), "application/dicom"),
    "array": ("xray", b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (9,)}\n", ""),
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_a_hostile_file_is_a_problem_of_its_field(chest_hospital: Hospital, name: str) -> None:
    column, file, media_type = HOSTILE[name]
    with chest_hospital.client() as client:
        sent = send(client, **{column: ("x", file, media_type) if media_type else ("x", file)})
        (error,) = problem(sent, 422)["errors"]
        assert error["field"] == f"record.{column}"
        assert error["detail"].endswith(")")
        if media_type:
            inline = chest_hospital.diagnose("p4", "chest", **{column: data_url(file, media_type)})
            assert problem(inline, 422)["errors"][0]["field"] == f"record.{column}"
        assert send(client, xray=XRAY).status_code == 201


@pytest.mark.parametrize(
    "value",
    ["/etc/passwd", "x1.png", "s3://bucket/x.png", "0" * 64, "data:image/png,raw", 7, True, "data:;base64,"],
)
def test_only_files_stand_in_columns_of_files(chest_hospital: Hospital, value: Any) -> None:
    answer = chest_hospital.diagnose("p5", "chest", xray=value)
    assert problem(answer, 422)["errors"][0]["field"] == "record.xray"


def test_a_long_text_elsewhere_is_refused(chest_hospital: Hospital) -> None:
    problem(chest_hospital.diagnose("p5", "chest", age=data_url(bytes(300_000), "image/png")), 422)
    with chest_hospital.client() as client:
        problem(send(client, age=XRAY), 422)
        problem(send(client, nothing=XRAY), 422)


def test_forms_are_held_to_their_shape(chest_hospital: Hospital) -> None:
    with chest_hospital.client() as client:
        for data, files in (
            ({}, {"xray": XRAY}),
            ({"patient_id": "p", "more": "1"}, {"xray": XRAY}),
            ({"patient_id": "p", "record": "["}, {"xray": XRAY}),
            ({"patient_id": "p", "record": "[]"}, {"xray": XRAY}),
            ({"patient_id": ["p", "q"]}, {"xray": XRAY}),
            ({"patient_id": "p", "record": '{"xray": null}'}, {"xray": XRAY}),
        ):
            problem(client.post(ADDRESS, data=data, files=files), 422)
        head = {"content-type": "multipart/form-data; boundary=x"}
        problem(client.post(ADDRESS, content=b"nothing", headers=head), 422)
        problem(client.post(ADDRESS, content=b"x" * (49 << 20), headers=head), 413)
        explained = client.post(
            ADDRESS, data={"patient_id": "p6", "explain": "true"}, files={"xray": ("x", XRAY)}
        )
        assert explained.json()["explanation"][0]["condition"]


def test_a_batch_takes_data_urls(chest_hospital: Hospital) -> None:
    good = {"patient_id": "p7", "record": {"xray": data_url(XRAY, "image/png")}}
    bad = {"patient_id": "p7", "record": {"xray": data_url(b"nothing", "image/png")}}
    body = "\n".join(json.dumps(each) for each in [good, bad] * 40)
    with chest_hospital.client() as client:
        answer = client.post(
            f"{ADDRESS}:batch", content=body, headers={"content-type": "application/x-ndjson"}
        )
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["status"] for line in lines] == [201, 422] * 40


def test_many_at_a_time_are_answered_or_asked_to_wait(chest_hospital: Hospital) -> None:
    def one(number: int) -> int:
        with chest_hospital.client() as client:
            return send(client, f"p{number}", xray=draw_xray(ill=True, seed=number)).status_code

    with ThreadPoolExecutor(12) as pool:
        assert set(pool.map(one, range(48))) <= {201, 503}
    with chest_hospital.client() as client:
        assert client.get("/readyz").status_code == 200
        assert send(client, xray=XRAY).status_code == 201


def test_other_studies_take_no_files(hospital: Hospital) -> None:
    with hospital.client() as client:
        form = {"patient_id": "p", "record": json.dumps({"age": 50})}
        assert client.post("/v1/studies/clinic/diagnoses", data=form, files={}).status_code == 415
        sent = client.post("/v1/studies/clinic/diagnoses", data=form, files={"age": ("x", XRAY)})
        problem(sent, 422)
        # the limit of a plain study is what it was
        long = json.dumps({"patient_id": "p", "record": {"note": "x" * 1_000_001}}).encode()
        head = {"content-type": "application/json"}
        problem(client.post("/v1/studies/clinic/diagnoses", content=long, headers=head), 413)


def test_a_text_that_looks_like_a_file_is_a_text(hospital: Hospital) -> None:
    note = data_url(b"\x89PNG\r\n\x1a\n" + bytes(40), "image/png")
    made = hospital.diagnose("p1", note=note)
    assert made.status_code == 201, made.text
    address = f"/v1/diagnoses/{made.json()['id']}"
    with hospital.client() as client:
        assert client.get(address).json()["record"] == {"note": note}
        problem(client.get(f"{address}/files/note"), 404)
        problem(client.get(f"{address}/relevance/note"), 404)


@contextmanager
def begun(hospital: Hospital, path: str, length: int, media_type: str) -> Iterator[None]:
    """An engineer's request whose body does not come."""
    port = int(hospital.url.rpartition(":")[2])
    head = {
        "Host": "localhost",
        "Authorization": f"Bearer {hospital.keys['engineer']}",
        "Content-Type": media_type,
        "Content-Length": str(length),
        "Expect": "100-continue",
    }
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "", ""]
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.sendall("\r\n".join(lines).encode())
        line.settimeout(10)
        assert line.recv(100).startswith(b"HTTP/1.1 100")  # it is being read
        yield


def test_training_records_with_files_take_places_however_small(chest_hospital: Hospital) -> None:
    path = "/v1/studies/chest/records"
    with chest_hospital.client("engineer") as engineer:
        problem(engineer.post(path, json={"records": []}), 422)
        with ExitStack() as held:
            for _ in range(UPLOADS_EACH):
                held.enter_context(begun(chest_hospital, path, 50, "application/json"))
            problem(engineer.post(path, json={"records": []}), 503)


def test_large_tables_of_outcomes_take_places(hospital: Hospital) -> None:
    path, table = "/v1/studies/clinic/outcomes", b"diagnosis_id,condition,confirmed_on\n"
    with hospital.client("engineer") as engineer:

        def send_table() -> httpx.Response:
            head = {"content-type": "text/csv"}
            return engineer.post(path, content=iter([table]), headers=head)  # its length is not announced

        assert send_table().json()["imported"] == 0
        with ExitStack() as held:
            for _ in range(UPLOADS_EACH):
                held.enter_context(begun(hospital, path, 2_000_000, "text/csv"))
            problem(send_table(), 503)


def test_the_canonical_data_url_is_kept(chest_hospital: Hospital) -> None:
    sound = clean("sound", BREATH).data
    answer = chest_hospital.diagnose("p9", "chest", breath=to_data_url(sound))
    with chest_hospital.client() as client:
        record = client.get(f"/v1/diagnoses/{answer.json()['id']}").json()["record"]
    assert record["breath"]["sha256"] == hashlib.sha256(sound).hexdigest()


def test_training_records_bring_their_files(chest_hospital: Hospital) -> None:
    good = {
        "mrn": f"{CANARY}-new",
        "age": 44,
        "xray": data_url(draw_xray(ill=True, seed=901), "image/png"),
        "breath": None,
        "condition": "I",
    }
    with chest_hospital.client("engineer") as engineer:
        address = "/v1/studies/chest/records"
        done = engineer.post(address, json={"records": [good]})
        assert done.status_code == 201, done.text
        assert done.json()["report"]["good"] == 1
        for value in ("x1.png", "/etc/passwd", "s3://bucket/x.png", "a.zip/x.png", "0" * 64, 7):
            refused = engineer.post(address, json={"records": [{**good, "xray": value}]})
            assert problem(refused, 422)["errors"][0]["field"] == "records.0.xray"
        bad = {**good, "xray": data_url(XRAY[:60], "image/png")}
        other = {**good, "xray": data_url(draw_xray(ill=True, seed=902), "image/png"), "age": 45}
        done = engineer.post(address, json={"records": [bad, other]})
        assert done.json()["report"]["quarantined"] == 1
    lake = Lake(chest_hospital.home / "lake")
    (table,) = [each for each in list_tables(chest_hospital.home / "lake") if each.startswith("chest/")]
    rows = lake.read(table, lake.version(table) or 0)
    digests = set(rows.filter(rows[PATIENT] == f"{CANARY}-new")["xray"].to_list())
    assert len(digests) == 2
    held = dict(Contents(lake).read(digests))
    assert set(held) == digests
    assert all(is_canonical(content, "image") for content in held.values())
    for path in (chest_hospital.home / "quarantine").rglob("*.parquet"):
        for frame in [pl.read_parquet(path)]:
            assert "base64" not in str(frame.to_dicts())
            assert "xray" in frame.columns


def test_captured_diagnoses_hold_clean_files(chest_hospital: Hospital, told: dict[str, Any]) -> None:
    standing = read_standing(chest_hospital.home / "standing.json").champion("chest")
    assert standing is not None
    study = Model.load(Path(standing.package)).study
    exported = export_home(Home(chest_hospital.home), [study], ServiceSettings())
    assert exported["chest"] > 0
    lake = Lake(chest_hospital.home / "lake")
    table = table_of("chest")
    rows = lake.read(table, lake.version(table) or 0)
    (row,) = rows.filter(rows[KEY] == told["id"]).to_dicts()
    assert row["xray"] == clean("image", XRAY).data
    assert row["breath"] == clean("sound", BREATH).data


def test_a_bundle_with_files_is_diagnosed(chest_hospital: Hospital) -> None:
    def sent(file: bytes, kind: str = "image/png") -> dict[str, Any]:
        data = base64.b64encode(file).decode()
        return bundle(
            {
                "resourceType": "Media",
                "id": "m1",
                "status": "completed",
                "subject": {"reference": "Patient/p1"},
                "content": {"contentType": kind, "data": data},
            },
            document(BREATH, "audio/wav"),
        )

    with chest_hospital.client() as client:
        address = "/fhir/$predict-diagnosis?study=chest"
        answer = client.post(address, json=sent(XRAY))
        assert answer.status_code == 200, answer.text
        assert base64.b64encode(XRAY).decode()[:40] not in answer.text
        refused = client.post(address, json=sent(XRAY[:50]))
        assert refused.status_code == 422
        (issue,) = refused.json()["issue"]
        assert issue["expression"] == ["Bundle.entry[1].resource.content"]
        assert "truncated" in issue["diagnostics"]


def dicom(seed: int) -> bytes:
    """A DICOM file of 24 by 24 pixels that names its patient."""
    named = Dataset()
    named.PatientName = named.PatientID = CANARY
    named.SOPClassUID, named.SOPInstanceUID = SecondaryCaptureImageStorage, "1.2.3.4"
    named.Rows = named.Columns = 24
    named.SamplesPerPixel, named.PhotometricInterpretation = 1, "MONOCHROME2"
    named.BitsAllocated = named.BitsStored = 8
    named.HighBit, named.PixelRepresentation = 7, 0
    named.PixelData = np.random.default_rng(seed).integers(0, 255, 576, np.uint8).tobytes()
    named.file_meta = FileMetaDataset()
    named.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    named.file_meta.MediaStorageSOPClassUID = named.SOPClassUID
    named.file_meta.MediaStorageSOPInstanceUID = named.SOPInstanceUID
    made = io.BytesIO()
    named.save_as(made, enforce_file_format=True)
    return made.getvalue()


def test_a_dicom_file_loses_its_patient(chest_hospital: Hospital) -> None:
    file = dicom(seed=77)
    assert CANARY.encode() in file
    with chest_hospital.client() as client:
        made = send(client, xray=("x.dcm", file, "application/dicom"))
        assert made.status_code == 201, made.text
        kept = client.get(f"/v1/diagnoses/{made.json()['id']}/files/xray")
    assert kind_of(kept.content) == "image"
    assert CANARY.encode() not in kept.content
