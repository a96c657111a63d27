"""Weeks of a clinic that never were: diagnoses, feedback, outcomes and looks at pages, through the tables."""

import asyncio
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic_core import to_json

from galeno.records import AuditEntry
from galeno.service.counter import Rooms
from galeno.storage import schema
from galeno.storage.commit import Change, Sealed

CONDITIONS = ("well", "ill", "grave")
REASONS = ("findings_missing", "known_history", "other_condition")


@dataclass
class PastWeeks:
    """The rows as they were written, for tests that count for themselves."""

    diagnoses: list[dict[str, Any]] = field(default_factory=list)
    feedback: list[dict[str, Any]] = field(default_factory=list)
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    times: list[dict[str, Any]] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    """Pseudonym to the hospital's id."""


def fill(
    rooms: Rooms, *, number: int = 300, days: int = 60, sites: tuple[str, ...] = ("",), seed: int = 7
) -> PastWeeks:
    """Write diagnoses of the last days, the first half of them by version 1 and the others by version 2."""
    draw, past = random.Random(seed), PastWeeks()
    end = datetime.now(UTC)
    moments = sorted(end - timedelta(seconds=draw.random() * days * 86_400) for _ in range(number))
    for place, moment in enumerate(moments):
        row = _diagnosis(
            rooms, past, draw, moment, site=draw.choice(sites), version="1" if place < number / 2 else "2"
        )
        past.diagnoses.append(row)
        _follow(past, draw, row, moment, end)
    for _ in range(number):
        day = (end - timedelta(days=draw.randrange(days))).date().isoformat()
        past.times.append(
            {
                "id": _id("tm", end, draw),
                "day": day,
                "page": draw.choice(("new", "result", "worklist")),
                "role": "clinician",
                "seconds": round(draw.expovariate(1 / 40), 1),
                "user_hash": f"{day}{draw.randrange(4)}",
            }
        )
    asyncio.run(_write(rooms, past))
    return past


def _diagnosis(
    rooms: Rooms, past: PastWeeks, draw: random.Random, moment: datetime, *, site: str, version: str
) -> dict[str, Any]:
    name = f"HC-{draw.randrange(10**5):05d}"
    patient = rooms.cipher.pseudonym(name)
    past.names[patient] = name
    confidence = round(0.34 + 0.66 * draw.betavariate(4, 1.5), 4)
    condition = draw.choices(CONDITIONS, (6, 3, 1))[0]
    rest = round((1 - confidence) / 2, 6)
    ranking = [(condition, confidence), *((other, rest) for other in CONDITIONS if other != condition)]
    review = confidence < 0.6 or draw.random() < 0.05
    return {
        "id": _id("dx", moment, draw),
        "study": "clinic",
        "created": _text(moment),
        "patient": patient,
        "site": site,
        "actor": draw.choice(("ana.ruiz", "luis.gil", "eva.mora")),
        "face": draw.choices(("pages", "api", "fhir"), (6, 3, 1))[0],
        "version": version,
        "package_sha256": version * 64,
        "condition": condition,
        "confidence": confidence,
        "needs_review": review,
        "record": Sealed(to_json({"age": draw.randrange(20, 90), "sex": draw.choice("FM"), "lactate": 2.1})),
        "answer": Sealed(
            to_json(
                {
                    "ranking": ranking,
                    "not_ruled_out": [condition],
                    "reasons": ["low_confidence"] if review else [],
                }
            )
        ),
        "latency_ms": round(4 + draw.expovariate(1 / 6), 3),
        "reviewed": None,
    }


def _follow(
    past: PastWeeks, draw: random.Random, row: dict[str, Any], moment: datetime, end: datetime
) -> None:
    """What clinicians said of a diagnosis, sometimes twice, and what was confirmed."""
    about = {"diagnosis": row["id"], "patient": row["patient"]}
    for _ in range(draw.choices((0, 1, 2), (4, 5, 1))[0]):
        moment = min(end, moment + timedelta(minutes=draw.randrange(1, 300)))
        agrees = draw.random() < 0.8
        own = draw.choice(CONDITIONS) if not agrees and draw.random() < 0.6 else None
        row["reviewed"] = _text(moment)
        past.feedback.append(
            {
                "id": _id("fb", moment, draw), **about, "created": _text(moment),
                "actor": draw.choice(("ana.ruiz", "eva.mora", "sol.vega")), "role": "clinician",
                "agrees": agrees, "condition": own, "rating": draw.choice((None, 3, 4, 5)), "comment": None,
                "reason": None if agrees or draw.random() < 0.2 else draw.choice(REASONS),
            }
        )  # fmt: skip
    for number in range(draw.choices((0, 1, 2), (7, 2, 1))[0]):
        condition = row["condition"] if draw.random() < 0.8 else draw.choice((*CONDITIONS, "other"))
        past.outcomes.append(
            {
                "id": f"oc_{row['id'][3:]}{number}", **about, "study": row["study"], "condition": condition,
                "confirmed_on": moment.date().isoformat(), "actor": "ana.ruiz", "source": "pages",
                "created": _text(min(end, moment + timedelta(days=1, minutes=number))),
            }
        )  # fmt: skip


async def _write(rooms: Rooms, past: PastWeeks) -> None:
    tables = (
        (schema.diagnoses, past.diagnoses),
        (schema.feedback, past.feedback),
        (schema.outcomes, past.outcomes),
    )
    of: dict[str, list[Any]] = {}
    for table, rows in tables:
        for row in rows:
            of.setdefault(row["patient"], []).append((table, row))
    changes = [
        Change(rows=tuple(rows), audit=_audit(rows), patient=patient, identity=past.names[patient])
        for patient, rows in of.items()
    ]
    changes.append(Change(rows=tuple((schema.page_times, row) for row in past.times)))
    await asyncio.gather(*(rooms.commits.commit(change) for change in changes))


def _audit(rows: list[Any]) -> tuple[AuditEntry, ...]:
    return tuple(
        AuditEntry(
            action="diagnoses.create", outcome="done", time=_text(datetime.now(UTC)), actor=row["actor"],
            role="clinician", site=row["site"], face=row["face"], patient=row["patient"], study=row["study"],
            subject=row["id"], model=f"{row['version']}@{row['package_sha256'][:12]}",
            latency_ms=row["latency_ms"],
        )
        for table, row in rows
        if table is schema.diagnoses
    )  # fmt: skip


def _id(prefix: str, moment: datetime, draw: random.Random) -> str:
    number = int(moment.timestamp() * 1000) << 80 | 7 << 76 | draw.getrandbits(76)
    return f"{prefix}_{number:032x}"


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
