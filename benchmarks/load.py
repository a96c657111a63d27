"""Load over loopback: so many connections, each with one request at a time."""

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np


@dataclass(frozen=True, slots=True)
class Load:
    """What came of it."""

    requests: int
    failed: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        """Requests answered with 200 or 201 in a second."""
        return (self.requests - self.failed) / self.seconds

    def __str__(self) -> str:
        return (
            f"{self.per_second:8.0f} requests/s   p50 {self.p50_ms:7.1f} ms   p99 {self.p99_ms:7.1f} ms   "
            f"{self.failed} failed of {self.requests}"
        )


class _Connection(asyncio.Protocol):
    """One request after the other on one connection."""

    def __init__(self, requests: Sequence[bytes], until: float, taken: list[float], bad: list[bytes]) -> None:
        self.ended = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._until = until
        self._taken = taken
        self._bad = bad
        self._at = 0
        self._got = b""
        self._started = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, end, body = self._got.partition(b"\r\n\r\n")
        if not end:
            return
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if len(body) < int(length or 0):
            return
        now = time.perf_counter()
        self._taken.append(now - self._started)
        if head[9:12] not in {b"200", b"201"}:
            self._bad.append(head[:120])
        self._got = b""
        if now < self._until:
            self._ask()
        else:
            self._transport.close()

    def connection_lost(self, _: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def _ask(self) -> None:
        self._started = time.perf_counter()
        self._transport.write(self._requests[self._at % len(self._requests)])  # type: ignore[attr-defined]
        self._at += 1


WRK = """\
local requests = {}
for line in io.lines(os.getenv("BODIES")) do
  requests[#requests + 1] = wrk.format("POST", wrk.path, wrk.headers, line)
end
local at = 0
request = function()
  at = at % #requests + 1
  return requests[at]
end
done = function(summary, latency)
  local errors = summary.errors
  local failed = math.max(errors.status, errors.connect + errors.read + errors.write + errors.timeout)
  local p50, p99 = latency:percentile(50) / 1e3, latency:percentile(99) / 1e3
  local told = '{"requests": %d, "failed": %d, "seconds": %f, "p50_ms": %f, "p99_ms": %f}'
  io.stderr:write(string.format(told, summary.requests, failed, summary.duration / 1e6, p50, p99))
end
"""


class Asked(NamedTuple):
    """What is asked again and again."""

    path: str
    bodies: Sequence[bytes]
    headers: dict[str, str]


def load(port: int, asked: Asked, connections: int, seconds: float) -> Load:
    """Ask for a while: by wrk where there is one, which leaves the machine to the server, else from here."""
    wrk = shutil.which("wrk")
    if wrk is None:
        requests = [post(asked.path, body, asked.headers) for body in asked.bodies]
        return asyncio.run(drive(port, requests, connections, seconds))
    # wrk adds its own Host only after the script was read
    named = {"Host": "127.0.0.1", **asked.headers}
    with tempfile.TemporaryDirectory() as folder:
        script, lines = Path(folder) / "ask.lua", Path(folder) / "bodies.ndjson"
        script.write_text(WRK)
        lines.write_bytes(b"\n".join(asked.bodies))
        command = [wrk, "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(script)]
        command += [part for name, value in named.items() for part in ("-H", f"{name}: {value}")]
        done = subprocess.run(
            [*command, f"http://127.0.0.1:{port}{asked.path}"],
            env={**os.environ, "BODIES": str(lines)},
            capture_output=True,
            text=True,
            check=True,
        )
    return Load(**json.loads(done.stderr))


def post(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """The bytes of a request."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def drive(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> Load:
    """Ask for a while; connection i begins with request i, so that they do not ask in step."""
    taken: list[float] = []
    bad: list[bytes] = []
    started = time.perf_counter()
    loop = asyncio.get_running_loop()
    made = []
    for i in range(connections):
        mine = [*requests[i % len(requests) :], *requests[: i % len(requests)]]
        _, connection = await loop.create_connection(
            lambda mine=mine: _Connection(mine, started + seconds, taken, bad), "127.0.0.1", port
        )
        made.append(connection.ended)
    await asyncio.gather(*made)
    if bad:
        print("first failure:", bad[0])
    if not taken:
        return Load(0, 0, seconds, float("nan"), float("nan"))
    p50, p99 = np.quantile(taken, [0.5, 0.99]) * 1000
    return Load(len(taken), len(bad), time.perf_counter() - started, float(p50), float(p99))
