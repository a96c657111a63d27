"""Notifications: what is told, and the courier that brings it.

A message is a row of the outbox, written in the transaction of the diagnosis that it is about, so that a
crash loses neither (the "transactional outbox" of Richardson, Microservices Patterns, section 3.2).
Couriers of several workers take rows by moving their due time: that is a lease, and a courier that dies lets
it run out. A message comes twice only where a crash, or a channel that is too slow, keeps the courier from
knowing that it came.
"""

import asyncio
import json
import logging
import os
import re
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import select, update

from galeno.errors import GalenoError
from galeno.settings import ServiceSettings
from galeno.storage import schema
from galeno.storage.ids import later, new_id, now
from galeno.storage.journal import Journal
from galeno.study import Study

TRIES = 10
"""Deliveries that are tried before a message has failed."""
FIRST_WAIT = 5.0
"""Seconds until the second try; each wait is twice as long as the one before."""
LONGEST_WAIT = 3600.0
PATIENCE = 30.0
"""Seconds that one channel has for one message."""
AT_ONCE = 4
"""Messages that one worker delivers at a time."""

_log = logging.getLogger("galeno.service")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_BOX = schema.outbox


@dataclass(frozen=True, slots=True)
class _Words:
    """The texts of a message in one language."""

    one: str
    batch: str
    reasons: Mapping[str, str]
    why: str
    link: str
    foot: str


_WORDS: Mapping[str, _Words] = {
    "en": _Words(
        one="A diagnosis needs review",
        batch="Diagnoses of a batch need review",
        reasons={
            "low_confidence": "low confidence",
            "several_not_ruled_out": "several conditions are not ruled out",
            "none_not_ruled_out": "no condition conforms",
            "out_of_range": "a value is out of range",
            "bad_value": "a value could not be read",
            "missing": "something is missing",
        },
        why="Reasons",
        link="Open it",
        foot="This message holds no patient data.",
    ),
    "es": _Words(
        one="Un diagnóstico necesita revisión",
        batch="Diagnósticos de un lote necesitan revisión",
        reasons={
            "low_confidence": "confianza baja",
            "several_not_ruled_out": "hay varias enfermedades sin descartar",
            "none_not_ruled_out": "ninguna enfermedad es compatible",
            "out_of_range": "un valor está fuera de rango",
            "bad_value": "un valor no se pudo leer",
            "missing": "falta información",
        },
        why="Motivos",
        link="Abrir",
        foot="Este mensaje no contiene datos del paciente.",
    ),
}


def outbox_row(
    study: Study,
    diagnosis_id: str,
    reasons: Collection[str],
    *,
    batch: str | None = None,
    public_url: str | None = None,
) -> Mapping[str, Any] | None:
    """The row of the outbox that tells of a diagnosis, or of a whole batch.

    Args:
        study: says who is told, of what, and in which language.
        diagnosis_id: the diagnosis.
        reasons: why it needs review, such as `low_confidence` or `out_of_range:age`; of a batch, those of
            all its diagnoses together.
        batch: id of the batch. It is told once, so make one row for all of it.
        public_url: address that clients see, for the link; None takes it from the environment.

    Returns:
        columns of `schema.outbox`; None where nobody is to be told.
    """
    told = study.notifications
    if not told.urls:
        return None
    matching = [reason for reason in reasons if _is_told(reason, told.reasons)]
    if not matching:
        return None
    words = _WORDS[study.language]
    about = batch or diagnosis_id
    address = ServiceSettings.from_environment().public_url if public_url is None else public_url
    lines = [f"{study.title or study.name}: {about}", f"{words.why}:"]
    lines += [f"- {_say(words, reason)}" for reason in dict.fromkeys(matching)]
    if address and batch is None:
        lines.append(f"{words.link}: {address}/v1/diagnoses/{diagnosis_id}")
    lines.append(words.foot)
    moment = now()
    return {
        "id": new_id("ob"),
        "created": moment,
        "study": study.name,
        "subject": f"{words.one if batch is None else words.batch}: {study.title or study.name}",
        "body": "\n".join(lines),
        "dedupe": f"{study.name}/{about}",
        "due": moment,
        "attempts": 0,
        "sent": None,
        "failed": None,
        "error": None,
    }


class Courier:
    """Delivers the messages of the outbox through Apprise.

    Args:
        journal: holds the outbox.
        studies: a study by its name, as it is now; raises a GalenoError where there is none.
        seconds: between looks at the outbox.
        environment: fills `${NAME}` in the channels' addresses; None takes the process's.
        patience: seconds that one channel has for one message.
        first_wait: seconds until the second try.
    """

    def __init__(
        self,
        journal: Journal,
        studies: Callable[[str], Study],
        *,
        seconds: float = 2.0,
        environment: Mapping[str, str] | None = None,
        patience: float = PATIENCE,
        first_wait: float = FIRST_WAIT,
    ) -> None:
        self._journal = journal
        self._studies = studies
        self._seconds = seconds
        self._environment = os.environ if environment is None else environment
        self._patience = patience
        self._first_wait = first_wait

    async def run(self) -> None:
        """Deliver what is due, again and again, until cancelled."""
        told = False
        while True:
            try:
                delivered = await self.deliver_due()
                told = False
            except GalenoError as error:
                delivered = 0
                if not told:
                    _log.warning("notifications wait: %s", error)
                told = True
            if not delivered:
                await asyncio.sleep(self._seconds)

    async def deliver_due(self) -> int:
        """Try to deliver some messages that are due.

        Returns:
            how many were tried.

        Raises:
            JournalError: the journal does not answer; messages that were taken come back when their lease
                runs out.
        """
        rows = await asyncio.to_thread(self._claim)
        await asyncio.gather(*(self._deliver(row) for row in rows))
        return len(rows)

    def _claim(self) -> list[Mapping[str, Any]]:
        """Take messages that are due; whoever moves the due time has the message."""
        claimed: list[Mapping[str, Any]] = []
        with self._journal.read() as connection:
            waiting = select(_BOX).where(_BOX.c.sent.is_(None), _BOX.c.failed.is_(None), _BOX.c.due <= now())
            found = connection.execute(waiting.order_by(_BOX.c.due).limit(AT_ONCE)).mappings()
            rows = [dict(row) for row in found]
        if not rows:
            return []
        with self._journal.begin() as connection:
            for row in rows:
                lease = later(2 * self._patience + 30)
                mine = _mine(row).values(due=lease, attempts=row["attempts"] + 1)
                if connection.execute(mine).rowcount:
                    claimed.append({**row, "due": lease, "attempts": row["attempts"] + 1})
        return claimed

    async def _deliver(self, row: Mapping[str, Any]) -> None:
        delivered = _delivered(row["error"])
        try:
            urls = self._studies(row["study"]).notifications.urls
            fault = "" if urls else "the study names no channel"
        except GalenoError:
            urls, fault = (), "the study has no champion"
        left = [url for url in dict.fromkeys(urls) if _name(url) not in delivered]
        faults = await asyncio.gather(*(self._send(url, row["subject"], row["body"]) for url in left))
        delivered |= {_name(url) for url, told in zip(left, faults, strict=True) if not told}
        fault = "; ".join(dict.fromkeys(told for told in faults if told)) or fault
        await asyncio.to_thread(self._mark, row, fault, delivered)

    async def _send(self, url: str, subject: str, body: str) -> str:
        """Send a message through one channel.

        Returns:
            what went wrong, without the address, which may hold a password; empty where it was taken.
        """
        unset = [name for name in _VARIABLE.findall(url) if name not in self._environment]
        if unset:
            return f"the environment does not set {unset[0]}"
        address = _VARIABLE.sub(lambda match: self._environment[match[1]], url)
        kind = re.match(r"[A-Za-z0-9+.-]{1,20}(?=://)", url)
        channel = f"the channel {kind[0] if kind else 'without a kind'}"
        try:
            taken = await _in_thread(lambda: _notify(address, subject, body, self._patience), self._patience)
        except TimeoutError:
            return f"{channel} did not answer in time"
        if taken is None:
            return f"{channel} has an address that Apprise does not know"
        return "" if taken else f"{channel} did not take the message"

    def _mark(self, row: Mapping[str, Any], fault: str, delivered: Collection[str]) -> None:
        """Note how it went, unless the lease ran out and somebody else has the message."""
        if not fault:
            values: dict[str, Any] = {"sent": now(), "error": None}
        elif row["attempts"] >= TRIES:
            values = {"failed": now(), "error": _error(fault, delivered)}
            _log.error("notification %s was given up after %d tries: %s", row["id"], row["attempts"], fault)
        else:
            wait = min(self._first_wait * 2.0 ** (row["attempts"] - 1), LONGEST_WAIT)
            values = {"due": later(wait), "error": _error(fault, delivered)}
            _log.warning("notification %s waits %.0f s: %s", row["id"], wait, fault)
        with self._journal.begin() as connection:
            connection.execute(_mine(row).values(**values))


def _is_told(reason: str, wanted: Sequence[str]) -> bool:
    return reason in wanted or reason.partition(":")[0] in wanted


def _say(words: _Words, reason: str) -> str:
    """A reason with its code, and the column that it names."""
    return f"{words.reasons.get(reason.partition(':')[0], reason)} ({reason})"


def _mine(row: Mapping[str, Any]) -> Any:
    """An update of a row that nobody else has taken or marked since it was read."""
    same = (_BOX.c.id == row["id"], _BOX.c.due == row["due"], _BOX.c.sent.is_(None), _BOX.c.failed.is_(None))
    return update(_BOX).where(*same)


def _name(url: str) -> str:
    """A name for a channel that tells nothing of it: so that those who were told are not told again."""
    return sha256(url.encode()).hexdigest()[:16]


def _error(fault: str, delivered: Collection[str]) -> str:
    return json.dumps({"fault": fault, "delivered": sorted(delivered)})


def _delivered(error: str | None) -> set[str]:
    return set(json.loads(error)["delivered"]) if error else set()


def _notify(address: str, subject: str, body: str, patience: float) -> bool | None:
    """Whether the channel took the message; None where there is no such kind of channel."""
    # Here, because it costs a tenth of a second and some megabytes that a quiet service need not pay.
    import apprise

    # Its own log may hold addresses.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    channels = apprise.Apprise()
    if not channels.add(address):
        return None
    for channel in channels:
        # Apprise gives up after 4 s; a slow channel that took the message would then get it again.
        channel.socket_read_timeout = max(channel.socket_read_timeout, 0.8 * patience)
    return bool(channels.notify(body=body, title=subject, body_format=apprise.NotifyFormat.TEXT))


async def _in_thread(work: Callable[[], bool | None], seconds: float) -> bool | None:
    """Wait for work in a thread of its own, which holds up neither the service nor its end.

    Raises:
        TimeoutError: it took longer; the thread is left to itself.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[bool | None] = loop.create_future()

    def settle(result: bool | None) -> None:
        if not done.done():
            done.set_result(result)

    def run() -> None:
        result: bool | None = False
        try:
            result = work()
        finally:
            with suppress(RuntimeError):  # the loop has ended, and nobody waits any more
                loop.call_soon_threadsafe(settle, result)

    threading.Thread(target=run, name="galeno-courier", daemon=True).start()
    return await asyncio.wait_for(done, seconds)
