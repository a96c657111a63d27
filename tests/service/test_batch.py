"""A batch is told once."""

from pathlib import Path

from sqlalchemy import select

from galeno.hospital import Notifications
from galeno.records import Diagnosis, RankedCondition
from galeno.service.answers import Answer
from galeno.service.batch import LISTED, Batch, keep_message, release_message
from galeno.storage import schema
from galeno.storage.ids import now
from galeno.storage.journal import Journal
from galeno.study import Study


def answer(number: int, *reasons: str) -> Answer:
    diagnosis = Diagnosis(
        "ill", (RankedCondition("ill", 0.4),), ("ill",), bool(reasons), reasons, "clinic", "f" * 64, "1"
    )
    return Answer(f"dx_{number:03d}", "clinic", now(), "pt_1", diagnosis)


def test_a_batch_is_one_message_with_the_ids_that_need_review(clinic: Study, tmp_path: Path) -> None:
    told = Notifications(urls=("json://127.0.0.1:1",), reasons=("low_confidence", "missing"))
    study = clinic.model_copy(update={"notifications": told})
    batch = Batch()
    journal = Journal(f"sqlite:///{tmp_path}/journal.db")
    journal.migrate()
    assert batch.message(study, [answer(0), answer(1, "several_not_ruled_out")]) is None
    groups = [[answer(2, "low_confidence"), answer(3)], [answer(n, "missing:text") for n in range(4, 30)]]
    with journal.begin() as connection:
        for group in groups:
            message = batch.message(study, group)
            assert message is not None
            keep_message(connection, message)
        row = connection.execute(select(schema.outbox)).one()
        assert row.due > now()
        release_message(connection, study.name, batch)
        released = connection.execute(select(schema.outbox)).one()
    assert released.due <= now()
    lines = released.body.splitlines()
    listed = [line for line in lines if line.startswith("dx_")]
    assert listed == [f"dx_{n:03d}" for n in (2, *range(4, 4 + LISTED - 1))]
    assert lines[-1] == "... 27"
    journal.close()


def test_nobody_is_told_where_the_study_names_nobody(clinic: Study) -> None:
    assert Batch().message(clinic, [answer(1, "low_confidence")]) is None
