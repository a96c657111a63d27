"""Files that a table names: what is kept, what is refused, and by which name and rule."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile

from galeno.ingest.columns import FAULTS
from galeno.ingest.contract import Contract
from galeno.media.content import to_data_url
from galeno.pipeline import gathering
from galeno.pipeline.gathering import attach_files, fingerprint_files, gather_files, place_of
from galeno.records import KEY
from galeno.storage.contents import TABLE, Contents
from galeno.storage.lake import Lake
from galeno.study import Study


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table of recordings: two good ones, one of them twice, and one for each of some faults."""
    folder = tmp_path / "records" / "recordings"
    folder.mkdir(parents=True)
    times = np.arange(8000) / 4000
    for name, frequency in (("a", 200), ("b", 700)):
        soundfile.write(folder / f"{name}.wav", 0.4 * np.sin(2 * np.pi * frequency * times), 4000)
    soundfile.write(folder / "silent.wav", np.zeros(8000), 4000)
    whole = (folder / "a.wav").read_bytes()
    (folder / "cut.wav").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_text("not a sound at all, whatever it is called")
    names = ["a.wav", "b.wav", "silent.wav", "cut.wav", "empty.wav", "text.wav", "gone.wav", "", "a.wav"]
    path = tmp_path / "records" / "recordings.csv"
    rows = [f"p{row},{name},{'ill' if row % 2 else 'well'}" for row, name in enumerate(names)]
    path.write_text("\n".join(["who,file,condition", *rows]) + "\n")
    return path


def make_study(table: Path, **rules: str) -> Study:
    """A study of the table."""
    return Study.model_validate(
        {
            "name": "breaths",
            "records": {"source": str(table), "target": "condition", "patient": "who", "rules": rules},
            "classes": [{"name": "well"}, {"name": "ill"}],
            "columns": {"file": {"type": "sound"}},
        }
    )


RULES = ["", "", "silent", "truncated", "empty_file", "wrong_type", "missing_file", "", ""]


def test_faults_are_told_by_name_and_rule(table: Path, tmp_path: Path) -> None:
    study, contents = make_study(table), Contents(Lake(tmp_path / "lake"))
    frame = pl.read_csv(table, infer_schema=False)
    held = tmp_path / "held"
    with place_of(study) as place, gather_files(frame, Contract(study), place, held) as gathered:
        found, faulty = gathered.files, gathered.faulty
        admission = Contract(study).admit(gathered.frame, "recordings.csv", files=found)
        gathered.keep(admission.good, contents)
    assert not held.exists()
    digests, codes = found["file"]
    assert [FAULTS[code] for code in codes] == RULES
    assert [(each["file"], each["row"], each["rule"]) for each in faulty] == [
        (name, row, rule)
        for row, (name, rule) in enumerate(zip(frame["file"], RULES, strict=True), start=1)
        if rule
    ]
    assert digests[0] == digests[8] != digests[1]
    assert set(dict(contents.read(digests.drop_nulls().to_list()))) == {digests[0], digests[1]}
    assert admission.good["file"].to_list() == [digests[0], digests[1], None, digests[0]]
    assert admission.quarantine["_rules"].to_list() == [[f"{rule}:file"] for rule in RULES if rule]
    assert admission.quarantine["file"].to_list() == [
        name for name, rule in zip(frame["file"], RULES, strict=True) if rule
    ]


def test_a_study_may_learn_from_the_rest_of_the_row(table: Path, tmp_path: Path) -> None:
    study = make_study(table, file="blank")
    frame = pl.read_csv(table, infer_schema=False)
    with place_of(study) as place, gather_files(frame, Contract(study), place, tmp_path / "h") as gathered:
        admission = Contract(study).admit(gathered.frame, "recordings.csv", files=gathered.files)
    assert admission.good.height == frame.height
    assert {(v.check, v.behaviour) for v in admission.report.violations} == {
        (rule, "blank") for rule in RULES if rule
    }


def test_what_is_diagnosed_gets_contents_beside_its_row(table: Path) -> None:
    study = make_study(table)
    contract = Contract(study)
    frame = pl.read_csv(table, infer_schema=False)
    with place_of(study, table) as place:
        ((attached, faults),) = attach_files(frame, contract, place)
    assert faults == [(f"{rule}:file",) if rule else () for rule in RULES]
    assert attached["file"].dtype == pl.Binary
    assert attached["file"].is_null().to_list() == [rule != "" or row == 7 for row, rule in enumerate(RULES)]
    typed, reasons = contract.answer(attached)
    assert typed["file"].equals(attached["file"])
    assert not any(reasons)


def test_no_more_files_are_read_at_a_time_than_memory_holds(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make_study(table)
    contract = Contract(study)
    frame = pl.read_csv(table, infer_schema=False)
    with place_of(study, table) as place:
        ((whole, faults),) = attach_files(frame, contract, place)
        sizes = whole["file"].bin.size()
        monkeypatch.setattr(gathering, "PART", sizes[0] + 1)
        parts = list(attach_files(frame, contract, place))
        none = pl.DataFrame({"age": ["1", "2"]})
        ((attached, nothing),) = attach_files(none, contract, place)
    assert attached.equals(none)
    assert nothing == [(), ()]
    assert [part.height for part, _ in parts] == [2, 7]
    assert pl.concat([part for part, _ in parts]).equals(whole)
    assert [fault for _, found in parts for fault in found] == faults


def test_values_by_themselves_need_no_file(table: Path) -> None:
    study = make_study(table)
    contract = Contract(study)
    content, code = contract.read_file("file", (table.parent / "recordings" / "a.wav").read_bytes())
    assert isinstance(content, bytes)
    assert code == 0
    url = to_data_url(content)
    frame = pl.DataFrame({"file": [url, url.replace("data:", "DATA:"), "f" * 64, None]})
    with place_of(study, table) as place:
        ((attached, faults),) = attach_files(frame, contract, place)
    assert attached["file"].to_list() == [content, content, None, None]
    assert faults == [(), (), ("missing_file:file",), ()]  # a digest is a name like any other
    typed, _ = contract.answer_record({"file": url})
    assert typed["file"] == content


def test_a_name_never_leads_out_of_its_place(table: Path) -> None:
    (table.parent.parent / "secret.wav").write_bytes((table.parent / "recordings" / "a.wav").read_bytes())
    study = make_study(table)
    frame = pl.DataFrame({"file": ["../secret.wav", str(table.parent.parent / "secret.wav")]})
    with place_of(study, table) as place:
        ((attached, faults),) = attach_files(frame, Contract(study), place)
    assert attached["file"].null_count() == 2
    assert faults == [("missing_file:file",)] * 2


def test_other_files_behind_the_same_names_are_other_records(table: Path) -> None:
    study = make_study(table)
    frame = pl.read_csv(table, infer_schema=False)

    def fingerprint() -> str:
        with place_of(study) as place:
            return fingerprint_files(frame, study, place)

    before = fingerprint()
    assert fingerprint() == before != ""
    (table.parent / "recordings" / "b.wav").write_bytes((table.parent / "recordings" / "a.wav").read_bytes())
    assert fingerprint() != before


def test_only_files_of_good_rows_stay_and_quarantine_holds_no_file(table: Path, tmp_path: Path) -> None:
    whole = (table.parent / "recordings" / "a.wav").read_bytes()
    other = (table.parent / "recordings" / "b.wav").read_bytes()
    study = make_study(table)
    frame = pl.DataFrame(
        {"who": ["p1", "p2", None], "file": [whole, whole[:3000], other], "condition": ["ill", "well", "ill"]}
    )
    lake = Lake(tmp_path / "lake")
    with place_of(study) as place, gather_files(frame, Contract(study), place, tmp_path / "h") as gathered:
        admission = Contract(study).admit(gathered.frame, "sent", files=gathered.files)
        gathered.keep(admission.good, Contents(lake))
    kept = {key for part in lake.scan(TABLE, [KEY]) for key in part[KEY]}
    assert kept == set(admission.good["file"])
    assert admission.quarantine["who"].to_list() == ["p2", None]
    assert admission.quarantine["file"].to_list() == [None, gathered.files["file"][0][2]]
