"""The commands that look after a service, over a home in which one has answered."""

import io
import json
import re
import shutil
import sqlite3
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from clinic import CANARY
from command_line import galeno
from hospital import Hospital, open_hospital

if TYPE_CHECKING:
    from galeno.pipeline.runner import RunResult

PATIENT = f"{CANARY}0007"
"""One of the patients that the clinic's model learned from."""
OTHER = f"{CANARY}0008"
NOTE = "fiebre con ZZQWJX"


@pytest.fixture(scope="module")
def answered(
    done: "RunResult", clinic_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Hospital, list[str]]:
    """A home whose service answered for two patients and was stopped."""
    home = tmp_path_factory.mktemp("operations") / "home"
    shutil.copytree(clinic_home, home)
    home.chmod(0o700)
    with open_hospital(home) as hospital:
        asked = (PATIENT, OTHER, PATIENT)
        answers = [hospital.diagnose(one, age=50, sex="F", lactate=6.0, note=NOTE) for one in asked]
        made = [answer.json()["id"] for answer in answers]
        with hospital.client() as client:
            said = {"agrees": True, "comment": f"seen with {PATIENT}"}
            assert client.post(f"/v1/diagnoses/{made[0]}/feedback", json=said).status_code == 201
    return home, hospital, made


@pytest.fixture
def home(answered: tuple[Path, Hospital, list[str]], tmp_path: Path) -> Path:
    """A copy of that home, to be changed."""
    copy = tmp_path / "home"
    shutil.copytree(answered[0], copy)
    return copy


def test_a_password_is_set_without_being_shown(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    galeno("users", "add", "new.one", "--role", "clinician", "--home", home).ended(0)
    line = ("users", "password", "new.one", "--password-stdin", "--home", home)
    monkeypatch.setattr(sys, "stdin", io.StringIO("short\n"))
    galeno(*line).refused("password: must have at least 12 characters")
    monkeypatch.setattr(sys, "stdin", io.StringIO("four quiet words here\r\n"))
    done = galeno(*line).ended(0)
    assert "quiet" not in done.out + done.err
    monkeypatch.setattr(sys, "stdin", io.StringIO("four quiet words here\n"))
    galeno("users", "password", "nobody", *line[3:]).refused("no such user")
    with sqlite3.connect(home / "journal.db") as journal:
        kept = journal.execute("SELECT password FROM users WHERE name = 'new.one'").fetchone()[0]
        noted = journal.execute("SELECT detail FROM audit ORDER BY seq DESC LIMIT 1").fetchone()[0]
    journal.close()
    assert kept.startswith("$argon2id$")
    assert noted == "password set"


def test_an_address_that_signs_in_once(home: Path) -> None:
    galeno("users", "add", "new.one", "--role", "clinician", "--home", home).ended(0)
    line = ("users", "welcome", "new.one", "--home", home)
    address = galeno(*line).ended(0).out.strip()
    assert re.fullmatch(r"http://127\.0\.0\.1:8000/welcome\?token=[\w-]{43}", address)
    public = galeno(*line, "--json", GALENO_PUBLIC_URL="https://galeno.example").ended(0).object
    assert public["address"].startswith("https://galeno.example/welcome?token=")
    galeno("users", "revoke", "new.one", "--home", home).ended(0)
    galeno(*line).refused("no such user")


def test_users_are_added_listed_and_revoked(home: Path) -> None:
    added = galeno("users", "add", "new.one", "--role", "clinician", "--site", "north", "--home", home)
    key = added.ended(0).out.strip()
    assert key.startswith("gk_")
    assert "not shown again" in added.err
    listed = galeno("users", "list", "--home", home).ended(0).out
    assert "new.one" in listed
    assert key not in listed
    galeno("users", "revoke", "new.one", "--home", home).ended(0)
    assert "revoked" in galeno("users", "list", "--home", home).out
    galeno("users", "add", "x", "--role", "surgeon", "--home", home).refused("role", "clinician")
    galeno("users", "add", "new.one", "--role", "admin", "--home", home).refused("a user of that name")
    galeno("users", "revoke", "nobody", "--home", home).refused("user")
    assert galeno("users", "renew", "new.one", "--home", home).ended(0).out.strip() != key
    assert all(key.encode() not in file.read_bytes() for file in home.rglob("*") if file.is_file())


def test_the_audit_trail_is_verified_and_exported(home: Path, tmp_path: Path) -> None:
    told = galeno("audit", "verify", "--home", home, "--json").ended(0).object
    assert told["faults"] == []
    assert told["entries"] > 5
    out = tmp_path / "audit.ndjson"
    galeno("audit", "export", "--home", home, "--output", out).ended(0)
    events = [json.loads(line) for line in out.read_text().splitlines()]
    assert {event["resourceType"] for event in events} == {"AuditEvent"}
    assert CANARY not in out.read_text()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit SET actor = 'somebody' WHERE seq = 3",
        "DELETE FROM audit WHERE seq = 4",
        "DELETE FROM audit WHERE seq > 6",
        "UPDATE audit SET seq = CASE seq WHEN 2 THEN -3 WHEN 3 THEN -2 END WHERE seq IN (2, 3);"
        "UPDATE audit SET seq = -seq WHERE seq < 0",
    ],
)
def test_a_changed_trail_is_found(home: Path, change: str) -> None:
    with sqlite3.connect(home / "journal.db") as database:
        database.executescript(change)
    outcome = galeno("audit", "verify", "--home", home)
    assert outcome.code == 4
    assert "the audit trail was changed" in outcome.err


def test_outcomes_are_imported_once(
    home: Path, answered: tuple[Path, Hospital, list[str]], tmp_path: Path
) -> None:
    table = tmp_path / "outcomes.csv"
    table.write_text(f"diagnosis_id,condition,confirmed_on\n{answered[2][0]},ill,2026-01-05\n")
    first = galeno("outcomes", "import", "clinic", "--input", table, "--home", home, "--json")
    assert first.ended(0).object["imported"] == 1
    again = galeno("outcomes", "import", "clinic", "--input", table, "--home", home, "--json")
    assert again.ended(0).object["known"] == 1
    table.write_text("diagnosis_id,condition,confirmed_on\nx,ill,yesterday\n")
    outcome = galeno("outcomes", "import", "clinic", "--input", table, "--home", home)
    outcome.ended(2)
    assert "row 1, confirmed_on" in outcome.err


def test_everything_of_a_patient_is_exported(home: Path) -> None:
    told = galeno("privacy", "export", PATIENT, "--home", home).ended(0).out
    held = json.loads(told)
    assert NOTE in told
    assert PATIENT in told
    assert OTHER not in told
    assert len(held["diagnoses"]) == 2
    bundle = json.loads(galeno("privacy", "export", PATIENT, "--fhir", "--home", home).ended(0).out)
    assert bundle["resourceType"] == "Bundle"
    galeno("privacy", "export", "unheard of", "--home", home).refused("nothing")


def test_an_erased_patient_is_in_no_file(home: Path) -> None:
    report = galeno("privacy", "erase", PATIENT, "--yes", "--home", home, "--json").ended(0).object
    assert report["remains"] == []
    # other tests may have registered more versions of the clinic's model in the home that was copied
    assert {model["study"] for model in report["models"]} == {"clinic"}
    for file in home.rglob("*"):
        if file.is_file() and file.name != "service.log":
            assert PATIENT.encode() not in file.read_bytes(), file
    left = json.loads(galeno("privacy", "export", OTHER, "--home", home).ended(0).out)
    assert len(left["diagnoses"]) == 1
    galeno("audit", "verify", "--home", home).ended(0)


def test_keys_are_rotated(home: Path) -> None:
    before = json.loads((home / "keys.json").read_text())["current"]
    done = galeno("keys", "rotate", "--home", home, "--json").ended(0).object
    assert done["current"] != before
    told = galeno("privacy", "export", PATIENT, "--home", home).ended(0).out
    assert NOTE in told


def test_a_home_without_its_keys_is_not_opened(home: Path) -> None:
    (home / "keys.json").rename(home / "elsewhere.json")
    galeno("users", "list", "--home", home).refused("file of keys is missing")
    assert not (home / "keys.json").exists()


def test_keys_that_others_can_read_are_refused(home: Path) -> None:
    (home / "keys.json").chmod(0o644)
    galeno("users", "list", "--home", home).refused("keys.json")


def test_a_mistyped_home_is_told(tmp_path: Path) -> None:
    galeno("users", "list", "--home", tmp_path / "nowhere").refused("there is no home here")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--demo", "--host", "0.0.0.0"], "loopback"),  # noqa: S104
        (["--host", "0.0.0.0"], "unencrypted"),  # noqa: S104
        (["--tls-cert", "missing.pem"], "certificate"),
        (["--tls-cert", "missing.pem", "--tls-key", "missing.key"], "no such file"),
    ],
)
def test_unsafe_ways_to_serve_are_refused(home: Path, options: list[str], said: str) -> None:
    galeno("serve", "--home", home, *options).ended(2)
    assert said in galeno("serve", "--home", home, *options).err
