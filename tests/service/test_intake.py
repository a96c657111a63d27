"""Training records over the wire."""

from pathlib import Path
from threading import Thread
from typing import Any

import polars as pl
import pytest
import yaml
from chest import STUDY, draw_xray, record_breath
from clinic import CANARY
from sqlalchemy import insert

from galeno.errors import InputError
from galeno.governance.access import Caller
from galeno.governance.consent import Consents
from galeno.governance.erasure import erase, unfinished
from galeno.governance.leftovers import drop_received
from galeno.governance.orphans import drop_orphans
from galeno.ingest.contract import Admission, Contract
from galeno.media.content import clean, to_data_url
from galeno.pipeline.optout import leave_out
from galeno.records import PATIENT
from galeno.service.intake import admit_records, unfit
from galeno.service.opening import open_stores
from galeno.settings import ServiceSettings
from galeno.storage.contents import TABLE
from galeno.storage.home import Home
from galeno.storage.lake import Lake
from galeno.study import Study


def visit(name: str, patient: str, condition: str = "W") -> dict[str, object]:
    return {
        "visit": name,
        "mrn": patient,
        "age": 50,
        "sex": "F",
        "lactate": 1.5,
        "note": "tos",
        "condition": condition,
    }


def test_who_wants_no_learning_is_in_neither_lake_nor_quarantine(clinic: Study, tmp_path: Path) -> None:
    home = Home(tmp_path / "home").create()
    with open_stores(home.root, ServiceSettings()) as stores:
        patient = stores.cipher.pseudonym(CANARY)
        said = Consents().record(
            patient, "clinic", clinic.privacy.policy, language="en", accepted=True, training=False, actor="a"
        )
        with stores.journal.begin() as connection:
            for table, row in said:
                connection.execute(insert(table).values(dict(row)))
        contract = Contract(clinic)
        sent = [
            visit("V1", "p1"),
            visit("V2", CANARY),
            visit("V3", CANARY, "unheard of"),
            visit("V4", "p2", "?"),
        ]
        done = admit_records(stores.home, contract, sent)
        assert done["opted_out"] == 2
        assert done["report"]["good"] == 1
        assert admit_records(stores.home, contract, sent)["version"] == done["version"]
        with pytest.raises(InputError, match="opted_out"):
            admit_records(stores.home, contract, [visit("V5", CANARY)])
    lake = Lake(home.lake).read(f"clinic/{contract.digest[:16]}", done["version"])
    assert lake[PATIENT].to_list() == ["p1"]
    kept = [pl.read_parquet(file) for file in home.quarantine.rglob("*.parquet")]
    assert [frame["mrn"].to_list() for frame in kept] == [["p2"]]


def test_who_is_erased_while_his_rows_come_in_is_in_neither(
    clinic: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    erasers: list[Thread] = []

    def leave_out_before_an_erasure(*parts: Any) -> Admission:
        admission = leave_out(*parts)
        if admission.good.height + admission.quarantine.height == 4:
            erasers.append(Thread(target=erase, args=(CANARY,), kwargs=given, daemon=True))
            erasers[0].start()
            erasers[0].join(1)
        return admission

    monkeypatch.setattr("galeno.service.intake.leave_out", leave_out_before_an_erasure)
    contract = Contract(clinic)
    with open_stores(tmp_path / "home", ServiceSettings()) as stores:
        given = {
            **{name: getattr(stores, name) for name in ("home", "journal", "cipher", "vault", "trail")},
            "caller": Caller(name="ana", role="admin", face="cli"),
        }
        admit_records(stores.home, contract, [visit("V0", CANARY)])
        sent = [visit("V1", "p1"), visit("V2", CANARY), visit("V3", CANARY, "?"), visit("V4", "p2", "?")]
        done = admit_records(stores.home, contract, sent)
        erasers[0].join(30)
        assert not erasers[0].is_alive()
        with stores.journal.read() as connection:
            assert unfinished(connection) == ()
        assert done["opted_out"] == 0
        assert admit_records(stores.home, contract, sent)["opted_out"] == 2
    table = f"clinic/{contract.digest[:16]}"
    lake = Lake(stores.home.lake)
    assert set(lake.read(table, lake.version(table) or 0)[PATIENT]) == {"p1"}
    kept = [pl.read_parquet(file) for file in stores.home.quarantine.rglob("*.parquet")]
    assert {patient for frame in kept for patient in frame["mrn"]} == {"p2"}


def chest_records() -> list[dict[str, object]]:
    return [
        {
            "mrn": f"p{number}",
            "age": 40 + number,
            "xray": to_data_url(clean("image", draw_xray(ill=False, seed=number)).data),
            "breath": to_data_url(clean("sound", record_breath(ill=False, seed=number)).data),
            "condition": "W",
        }
        for number in range(2)
    ]


def test_an_erasure_between_contents_and_rows_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path / "home").create()
    append, erasers = Lake.append, []

    def append_during_an_erasure(lake: Lake, table: str, frame: pl.DataFrame, batch: str) -> int:
        if table != TABLE:
            erasers.append(Thread(target=drop_orphans, args=(home,), daemon=True))
            erasers[0].start()
            erasers[0].join(1)
        return append(lake, table, frame, batch)

    monkeypatch.setattr(Lake, "append", append_during_an_erasure)
    admit_records(home, Contract(Study.model_validate(yaml.safe_load(STUDY))), chest_records())
    erasers[0].join(10)
    assert not erasers[0].is_alive()
    assert sum(part.height for part in Lake(home.lake).scan(TABLE, ["_key"])) == 4


def test_contents_wait_in_one_place_of_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path / "home").create()
    seen: list[int] = []
    admit = Contract.admit

    def look(*args: object, **more: object) -> object:
        seen.extend(len(list(path.iterdir())) for path in home.receiving.iterdir() if path.is_dir())
        assert drop_received(home) == 0  # who is at work is left alone
        return admit(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Contract, "admit", look)
    admit_records(home, Contract(Study.model_validate(yaml.safe_load(STUDY))), chest_records())
    assert seen == [4]
    assert list(home.receiving.iterdir()) == []


@pytest.mark.parametrize(
    ("value", "fits"),
    [(1, True), (1.5, True), ("a", True), (None, True), (True, True), (10**18, False), (float("nan"), False),
     ([], False), ({}, False), ("x" * 200_001, False)],
)  # fmt: skip
def test_plain_values_stand_in_a_record(value: object, fits: bool) -> None:
    assert (unfit(value) == "") is fits
