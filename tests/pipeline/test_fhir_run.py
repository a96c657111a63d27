"""`galeno run` over a bulk export: the faulty lines are told, the others are records."""

import json
from pathlib import Path

from fhir_cases import condition, observation, patient, ward_study

from galeno.pipeline.runner import prepare_run, run_step
from galeno.progress import Silent


class Listener(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_an_export_is_ingested(tmp_path: Path) -> None:
    lines = []
    for number in range(30):
        name = f"p{number}"
        own = {"subject": {"reference": f"Patient/{name}"}}
        lines += [
            patient(id=name, identifier=[]),
            observation("8310-5", 36 + number / 10, "Cel", **own),
            condition("J18.9" if number % 2 else "J45.9", **own),
        ]
    lines.append(observation("8310-5", 36, "Cel", status="banana"))
    export = tmp_path / "export"
    export.mkdir()
    (export / "all.ndjson").write_text("\n".join(json.dumps(line) for line in lines))
    declared = ward_study().records.model_dump()
    study = ward_study(records={**declared, "source": f"fhir:{export}", "record": None, "site": None})
    listener = Listener()
    run = prepare_run(study, tmp_path / "home")
    result = run_step(run, "ingest", tmp_path / "home", reporter=listener)
    assert result["report"]["good"] == 30
    assert "all.ndjson, line 91: Observation.status: is none of" in listener.notes[0]
    [told] = (tmp_path / "home" / "runs" / run).rglob("unread.json")
    [fault] = json.loads(told.read_text())
    assert (fault["file"], fault["line"]) == ("all.ndjson", 91)
