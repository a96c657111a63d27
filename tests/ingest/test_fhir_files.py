"""Sounds and images in Bundles and exports become values of columns, or are told of."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from chest import draw_xray, record_breath
from fhir_cases import NOW, WARD, bundle, document, patient
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.ingest import fhir_files
from galeno.ingest.contract import Contract
from galeno.ingest.fhir import FhirRecord, read_bundle
from galeno.ingest.fhir_bulk import read_bulk
from galeno.ingest.fhir_check import FhirInputError
from galeno.ingest.fhir_files import plain_resource
from galeno.study import Study

XRAY, BREATH = draw_xray(ill=True), record_breath(ill=True)
MODALITY = "http://dicom.nema.org/resources/ontology/DCM"
PLACE = "Bundle.entry[1].resource"


def study(columns: dict[str, str], fhir: dict[str, Any] | None = None) -> Study:
    """The ward with columns of files."""
    own = {name: {"type": kind} for name, kind in columns.items()}
    mapped = {**WARD["fhir"]["columns"], **(fhir or {})}
    return Study.model_validate(
        {**WARD, "columns": {**WARD["columns"], **own}, "fhir": {**WARD["fhir"], "columns": mapped}}
    )


STUDY = study({"xray": "image", "breath": "sound"})
CODED = study(
    {"chest": "image", "hand": "image", "breath": "sound"},
    {
        "chest": {"resource": "DocumentReference", "code": "36643-5", "also": ["24648-8"]},
        "hand": {"resource": "DocumentReference", "code": "HAND", "system": "urn:own"},
    },
)


def attachment(file: bytes, kind: str, **changes: Any) -> dict[str, Any]:
    return {"contentType": kind, "data": base64.b64encode(file).decode(), **changes}


def media(file: bytes = XRAY, kind: str = "image/png", claims: Any = None, **changes: Any) -> dict[str, Any]:
    return {
        "resourceType": "Media",
        "id": "m1",
        "status": "completed",
        "subject": {"reference": "Patient/p1"},
        "createdDateTime": "2026-11-20T10:00:00Z",
        "content": attachment(file, kind, **(claims or {})),
        **changes,
    }


def documented(*attachments: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return document(b"", content=[{"attachment": each} for each in attachments], **changes)


def concept(code: str, system: str = "http://loinc.org") -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def read(*resources: Any, of: Study = STUDY) -> FhirRecord:
    return read_bundle(of, bundle(*resources), now=NOW)


def files(*resources: Any, of: Study = STUDY) -> dict[str, Any]:
    return {name: each for name, each in read(*resources, of=of).record.items() if isinstance(each, bytes)}


def faults(*resources: Any, of: Study = STUDY) -> list[str]:
    with pytest.raises(FhirInputError) as caught:
        read(*resources, of=of)
    return [issue.expression for issue in caught.value.issues]


@pytest.mark.parametrize("resource", ["document", "media"])
@pytest.mark.parametrize(
    ("file", "kind", "column"),
    [
        (XRAY, "image/png", "xray"),
        (XRAY, "image/png; name=x", "xray"),
        (XRAY, "application/dicom", "xray"),
        (BREATH, "audio/wav", "breath"),
    ],
)
def test_the_only_column_of_a_kind_takes_a_file(resource: str, file: bytes, kind: str, column: str) -> None:
    sent = media(file, kind) if resource == "media" else documented(attachment(file, kind))
    found = read(sent)
    assert found.record[column] == file
    assert found.paths[column].startswith(PLACE)
    assert found.basis == (f"{sent['resourceType']}/{sent['id']}",)
    assert not found.issues


def test_a_note_and_files_stand_in_one_document() -> None:
    found = read(
        documented(
            attachment(b"tos", "text/plain"), attachment(XRAY, "image/png"), attachment(BREATH, "audio/wav")
        )
    )
    assert found.record["note"] == "tos"
    assert (found.record["xray"], found.record["breath"]) == (XRAY, BREATH)


def test_codes_choose_among_columns() -> None:
    assert files(documented(attachment(XRAY, "image/png"), type=concept("36643-5")), of=CODED) == {
        "chest": XRAY
    }
    assert files(documented(attachment(XRAY, "image/png"), category=[concept("24648-8")]), of=CODED) == {
        "chest": XRAY
    }
    assert files(media(modality=concept("HAND", "urn:own")), of=CODED) == {"hand": XRAY}
    r5 = documented(attachment(XRAY, "image/png"), modality=[concept("HAND", "urn:own")])
    assert files(r5, of=CODED) == {"hand": XRAY}
    # a sound is no image, whatever its code
    assert files(documented(attachment(BREATH, "audio/wav"), type=concept("36643-5")), of=CODED) == {
        "breath": BREATH
    }


def test_a_file_that_no_column_takes_is_told() -> None:
    found = read(media(), of=CODED)
    assert not any(isinstance(each, bytes) for each in found.record.values())
    assert any("no column of this study takes this image" in issue.text for issue in found.issues)


def test_the_latest_file_counts_and_voided_ones_do_not() -> None:
    old = media(draw_xray(ill=False), createdDateTime="2020-01-01T00:00:00Z")
    assert files(media(), {**old, "id": "m2"}) == {"xray": XRAY}
    for status in ("entered-in-error", "not-done"):
        voided = media(draw_xray(ill=False), createdDateTime="2026-11-21T00:00:00Z", status=status)
        assert files(media(), {**voided, "id": "m2"}) == {"xray": XRAY}
    assert f"{PLACE}.status" in faults(media(status="banana"))
    assert f"{PLACE}.createdDateTime" in faults(media(createdDateTime="2030-01-01T00:00:00Z"))


def test_another_patients_file_is_refused() -> None:
    assert f"{PLACE}.subject" in faults(media(subject={"reference": "Patient/p2"}))


def test_claims_of_size_and_hash_are_held() -> None:
    digest = base64.b64encode(hashlib.sha1(XRAY).digest()).decode()  # noqa: S324 - FHIR's
    for size in (len(XRAY), str(len(XRAY))):
        assert files(media(claims={"size": size, "hash": digest})) == {"xray": XRAY}
    place = f"{PLACE}.content"
    for claims in ({"size": len(XRAY) + 1}, {"size": "many"}, {"size": -1}, {"size": True}):
        assert f"{place}.size" in faults(media(claims=claims))
    for claims in ({"hash": base64.b64encode(bytes(20)).decode()}, {"hash": "no"}, {"hash": 7}):
        assert f"{place}.hash" in faults(media(claims=claims))
    wrong = documented(attachment(XRAY, "image/png", size=1))
    assert f"{PLACE}.content[0].attachment.size" in faults(wrong)


@pytest.mark.parametrize("data", ["***", "QUJD*", 7, ["QUJD"], {}])
def test_what_is_not_base64_is_told(data: Any) -> None:
    assert f"{PLACE}.content.data" in faults(media(claims={"data": data}))


def test_base64_may_be_wrapped() -> None:
    wrapped = base64.encodebytes(XRAY).decode()
    assert files(media(claims={"data": wrapped})) == {"xray": XRAY}


def test_a_file_has_a_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fhir_files, "LARGEST_SENT", 100)
    assert f"{PLACE}.content.data" in faults(media(bytes(101)))
    assert f"{PLACE}.content.data" in faults(media(bytes(1000)))
    assert files(media(bytes(100))) == {"xray": bytes(100)}


def binary(**changes: Any) -> dict[str, Any]:
    return {"resourceType": "Binary", "id": "b1", **attachment(XRAY, "image/png"), **changes}


@pytest.mark.parametrize("url", ["Binary/b1", "Binary/b1/_history/2", "urn:uuid:1", "https://here/Binary/b1"])
def test_a_binary_of_the_bundle_is_found(url: str) -> None:
    full = url if ":" in url else ""
    pointing = documented({"contentType": "image/png", "url": url})
    sent = bundle(pointing)
    sent["entry"].append({"resource": binary(), **({"fullUrl": full} if full else {})})
    found = read_bundle(STUDY, sent, now=NOW)
    assert found.record["xray"] == XRAY
    assert not found.issues


def test_nothing_is_fetched() -> None:
    for url in ("https://elsewhere/Binary/b1", "file:///etc/passwd", "Binary/b2", "b1"):
        found = read(documented({"contentType": "image/png", "url": url}), binary())
        assert "xray" not in found.record
        assert any("addresses are not fetched" in issue.text for issue in found.issues)


def test_a_document_as_r5_writes_it_is_read() -> None:
    sent = {
        **documented(attachment(XRAY, "image/png", size=str(len(XRAY)), height=24, width=24)),
        "version": "2",
        "context": [{"reference": "Encounter/e1"}],
        "relatesTo": [{"code": concept("replaces"), "target": {"reference": "DocumentReference/d0"}}],
        "bodySite": [{"concept": concept("51185008", "http://snomed.info/sct")}],
        "attester": [{"mode": concept("legal")}],
    }
    sent["content"][0]["profile"] = [{"valueUri": "urn:x"}]
    assert files(sent) == {"xray": XRAY}


@settings(max_examples=150, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["attachment", "contentType", "data", "url", "hash", "size", "coding", "code"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    ),
    st.sampled_from(["DocumentReference", "Media"]),
    st.sampled_from(["content", "context", "type", "modality", "relatesTo", "bodySite"]),
)
def test_any_json_is_read_or_refused(odd: Any, kind: str, name: str) -> None:
    sent = {**(media() if kind == "Media" else documented(attachment(XRAY, "image/png"))), name: odd}
    plain_resource(sent)
    try:
        found = read(sent)
    except FhirInputError:
        return
    assert all(isinstance(each, bytes) for key, each in found.record.items() if key in {"xray", "breath"})


def test_a_study_without_files_says_that_it_reads_none() -> None:
    found = read_bundle(study({}), bundle(media(), documented(attachment(b"tos", "text/plain"))), now=NOW)
    assert any("sounds and images are not read" in issue.text for issue in found.issues)


def test_an_export_brings_files(tmp_path: Path) -> None:
    """Binary resources may come in a later file than what points at them."""
    lines = {
        "A": [
            documented({"contentType": "image/png", "url": "https://server/fhir/Binary/b1"}),
            media(BREATH, "audio/wav"),
        ],
        "P": [patient(), {"resourceType": "Binary", "id": "b2", "contentType": "text/plain", "data": "QQ=="}],
        "Z": [binary()],
    }  # fmt: skip
    for name, resources in lines.items():
        text = "\n".join(json.dumps(each) for each in resources)
        (tmp_path / f"{name}.ndjson").write_text(text + "\n")
    found = read_bulk(tmp_path, STUDY, now=NOW)
    assert not found.faults
    assert found.frame.schema["xray"] == pl.Binary
    assert found.frame["xray"].to_list() == [XRAY]
    assert found.frame["breath"].to_list() == [BREATH]
    typed, reasons = Contract(STUDY).answer(found.frame)
    assert reasons == [()]
    assert typed["xray"].null_count() == 0


def test_a_faulty_file_of_an_export_is_told_by_line(tmp_path: Path) -> None:
    lines = [patient(), media(claims={"size": 3}), media(BREATH, "audio/wav", id="m2")]
    (tmp_path / "all.ndjson").write_text("\n".join(json.dumps(each) for each in lines))
    found = read_bulk(tmp_path, STUDY, now=NOW)
    (fault,) = found.faults
    assert (fault.line, fault.what) == (2, "Media.content.size: is not the size of the file")
    assert found.frame["breath"].to_list() == [BREATH]
    assert found.frame["xray"].to_list() == [None]


def test_a_file_is_there_once_however_many_point_at_it() -> None:
    held = {
        "resourceType": "Binary",
        "id": "b",
        "contentType": "image/png",
        "data": base64.b64encode(XRAY).decode(),
    }
    binaries = fhir_files.Binaries()
    binaries.add(held)
    sent = documented(*[{"contentType": "image/png", "url": "Binary/b"}] * fhir_files.MOST_ATTACHMENTS)
    found = fhir_files.FileMap(STUDY).read(None, sent, PLACE, binaries)
    assert len({id(each.meaning.value) for each in found}) == 1
    assert found[0].meaning.value == XRAY


def test_a_resource_has_so_many_files() -> None:
    sent = documented(*[attachment(XRAY, "image/png")] * (fhir_files.MOST_ATTACHMENTS + 1))
    assert faults(sent) == [PLACE]


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 12, 13, 14, 31])
def test_base64_is_decoded_part_by_part(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fhir_files, "_CHUNK", 8)
    file = bytes(range(size))
    text = base64.b64encode(file).decode()
    assert fhir_files._decode(text) == file
    assert fhir_files._decode("\n ".join(text)) == file
    assert isinstance(fhir_files._decode("QQ==QUJD" + text), tuple)
    assert isinstance(fhir_files._decode("é" + text), tuple)
