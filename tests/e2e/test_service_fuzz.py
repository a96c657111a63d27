"""schemathesis asks the running service whatever its own OpenAPI description allows, and what it does not."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import schemathesis
from hospital import Hospital, open_hospital, wait_for_knowledge
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from second_version import add_second_version, copy_home

from galeno.pipeline.loading import open_registry

if TYPE_CHECKING:
    from galeno.pipeline.runner import RunResult

SEED = 7
FAST = ("--rate", "100000")
IGNORED = ("positive_data_acceptance", "negative_data_rejection", "unsupported_method", "use_after_free")
"""What is right by its form may be refused for what it says; all other checks of schemathesis count."""
KEYS = ("missing_required_header", "ignored_auth")
"""Where there are keys, nothing is told without one."""
SLOW = ("POST /v1/models/{study}/promote", "POST /v1/models/{study}/rollback")
"""Each call that is let in starts a process of the registry."""
EXAMPLES = {"clinician": 6, "engineer": 3, "": 3}
"""Examples a route and caller. Nobody, in demo mode, asks what neither of the others may."""
ALONE = r"^/(cds-services|v1/audit)"


@schemathesis.serializer("application/x-ndjson")
def _lines(context: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


@pytest.fixture(scope="module")
def second_home(done: "RunResult", clinic_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose champion also maps FHIR; copy it before a service opens it."""
    home = copy_home(clinic_home, tmp_path_factory.mktemp("fuzz") / "home")
    add_second_version(home)
    open_registry(home).promote("clinic", "2")
    return home


@pytest.fixture(scope="module")
def hospital(second_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with open_hospital(copy_home(second_home, tmp_path_factory.mktemp("keys") / "home"), *FAST) as opened:
        yield opened


@pytest.fixture(scope="module")
def demo(second_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    home = copy_home(second_home, tmp_path_factory.mktemp("demo") / "home")
    with open_hospital(home, *FAST, "--demo", users=False) as opened:
        yield opened


def configuration(hospital: Hospital, caller: str) -> SchemathesisConfig:
    """Values that lead somewhere for most addresses, so that not every answer is 404."""
    with hospital.client("clinician" if caller else "") as client:
        made = [
            client.post(
                "/v1/studies/clinic/diagnoses", json={"patient_id": f"f{age}", "record": {"age": age}}
            )
            for age in (30, 50, 70)
        ]
        consent = client.post("/v1/consents", json={"patient_id": "f1", "study": "clinic"}).json()
        wait_for_knowledge(hospital)
        ranked = client.post("/v1/rank", json={"patient_id": "f1", "terms": ["Seizure"]}).json()
    diagnoses = [answer.json()["id"] for answer in made]
    known = {
        "study": ["clinic"],
        "diagnosis": diagnoses,
        "consent": [consent["id"]],
        "version": ["1", "2"],
        "ranking": [ranked["id"]],
        "id": [name.replace("_", "-") for name in diagnoses],
        "service": ["clinic-patient-view"],
    }
    seldom = {"phases": {"coverage": {"enabled": False}}, "generation": {"max-examples": 2}}
    others = [] if caller else [{"exclude-path-regex": ALONE, "enabled": False}]
    return SchemathesisConfig.from_dict(
        {
            "seed": SEED,
            "headers": {"Authorization": f"Bearer {hospital.keys[caller]}"} if caller else {},
            "dictionaries": {name: {"values": values} for name, values in known.items()},
            "parameters": {f"path.{name}": {"dictionary": name, "probability": 0.7} for name in known},
            "generation": {
                "max-examples": EXAMPLES[caller],
                "deterministic": True,
                "no-shrink": True,
                "database": "none",
            },
            "phases": {"stateful": {"enabled": False}},
            "operations": [*others, *({"include-name": name, **seldom} for name in SLOW)],
            "checks": {
                **{name: {"enabled": False} for name in (*IGNORED, *(() if caller else KEYS))},
                "not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx", "503"]},
            },
            "request-timeout": 20,
        }
    )


@pytest.mark.slow
@pytest.mark.parametrize("caller", ["clinician", "engineer", ""])
def test_every_route_answers_as_it_is_described(request: pytest.FixtureRequest, caller: str) -> None:
    opened: Hospital = request.getfixturevalue("hospital" if caller else "demo")
    config = configuration(opened, caller)
    description = schemathesis.openapi.from_url(f"{opened.url}/openapi.json", config=config)
    expected = {
        f"{method.upper()} {path}"
        for path, methods in description.raw_schema["paths"].items()
        for method in methods
        if caller or re.match(ALONE, path)
    }
    faults: dict[tuple[str, str, str], str] = {}
    asked: Counter[tuple[str, int]] = Counter()
    errors: list[str] = []
    for event in from_schema(description).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            errors.append(str(event))
        if not isinstance(event, events.ScenarioFinished):
            continue
        for interaction in event.recorder.interactions.values():
            answered = interaction.response
            asked[event.recorder.label, answered.status_code if answered else 0] += 1
        for node in (node for nodes in event.recorder.checks.values() for node in nodes):
            if node.failure_info is not None:
                found = node.failure_info.failure
                faults[event.recorder.label, node.name, found.message] = node.failure_info.code_sample
    assert not errors, errors
    told = "\n\n".join(f"{'; '.join(about)}\n{sample[:500]}" for about, sample in faults.items())
    assert not faults, told
    assert {label for label, _ in asked} == expected
    assert not [label for label, status in asked if status == 0]
    assert sum(asked.values()) > 100
    assert httpx.get(f"{opened.url}/readyz").status_code == 200
    assert "unexpected" not in (opened.home / "service.log").read_text()
