"""A batch of diagnoses: who is told of it is told once, when it is over or its service died."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, insert, select, update

from galeno.service.answers import Answer
from galeno.service.notify import outbox_row
from galeno.storage import schema
from galeno.storage.ids import later, new_id, now
from galeno.study import Study

PATIENCE = 120.0
"""Seconds without a further diagnosis after which a batch that did not end is told all the same."""
LISTED = 20
"""Ids that a message names."""


@dataclass
class Batch:
    """What of a batch is to be told."""

    id: str = field(default_factory=lambda: new_id("bt"))
    reasons: dict[str, None] = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)

    def message(self, study: Study, answers: Sequence[Answer]) -> Mapping[str, Any] | None:
        """The message so far, with these diagnoses in it; None where none of them is to be told."""
        told = [answer for answer in answers if outbox_row(study, answer.id, answer.diagnosis.reasons)]
        self.ids += [answer.id for answer in told]
        self.reasons |= dict.fromkeys(reason for answer in told for reason in answer.diagnosis.reasons)
        row = outbox_row(study, self.id, tuple(self.reasons), batch=self.id)
        if not told or row is None:
            return None
        more = f"\n... {len(self.ids)}" if len(self.ids) > LISTED else ""
        body = row["body"] + "\n" + "\n".join(self.ids[:LISTED]) + more
        return {**row, "body": body, "due": later(PATIENCE)}


def keep_message(connection: Connection, row: Mapping[str, Any]) -> None:
    """Put the message of a batch into the outbox, in the place of the one before."""
    table = schema.outbox
    mine = table.c.dedupe == row["dedupe"]
    if connection.execute(select(table.c.id).where(mine)).first() is None:
        connection.execute(insert(table).values(dict(row)))
    else:
        changed = {name: row[name] for name in ("subject", "body", "due")}
        connection.execute(update(table).where(mine, table.c.sent.is_(None)).values(changed))


def release_message(connection: Connection, study: str, batch: Batch) -> None:
    """The batch is over: its message is due."""
    table = schema.outbox
    mine = table.c.dedupe == f"{study}/{batch.id}"
    connection.execute(update(table).where(mine, table.c.sent.is_(None)).values(due=now()))
