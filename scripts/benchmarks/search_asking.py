"""Asking a server one search after the other, and reading from its own log what each took."""

import http.client
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scripts.benchmarks.search_requests import Asked
from scripts.benchmarks.servers import LOG, PORT, Running

Headers = dict[str, str]

SECONDS = 4.0
"""So long a row goes on, at most, warming up apart."""

_WARM = 20
_NDJSON = "application/fhir+ndjson"


@dataclass(slots=True)
class Taken:
    """Milliseconds in the server, of answers and of refusals with what drove them; entries of an answer, CPU of one."""

    ms: list[float] = field(default_factory=list)
    entries: list[int] = field(default_factory=list)
    refused_ms: list[float] = field(default_factory=list)
    refused_driving: list[int] = field(default_factory=list)
    cpu_ms: float = 0.0


def taken(server: Running, asked: Sequence[Asked], headers: Headers) -> Taken:
    """What these searches take, one after the other. Raises RuntimeError for any refusal but `too-costly`."""
    return _ask_all(server, [asked], headers)[0]


def side_by_side(server: Running, one: Sequence[Asked], other: Sequence[Asked], headers: Headers) -> list[Taken]:
    """The same of two lists, taking turns."""
    return _ask_all(server, [one, other], headers)


def answered(found: Taken) -> str:
    """Answers in words."""
    times = sorted(found.ms)
    p95, middle = times[int(len(times) * 0.95)], statistics.median(found.entries)
    return f"p50 {statistics.median(times):.2f} p95 {p95:.2f} ms, {found.cpu_ms:.2f} ms CPU, {middle:.0f} entries"


def _ask_all(server: Running, lists: Sequence[Sequence[Asked]], headers: Headers) -> list[Taken]:
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=120)
    for asked in lists:
        began = time.monotonic()
        for each in asked[:_WARM]:
            answer(connection, each, headers)
            if time.monotonic() - began > SECONDS:
                break
    logged = _settled()
    found = [Taken() for _ in lists]
    sent: list[tuple[Taken, Asked, int | None]] = []
    cpu, began = server.cpu_s, time.monotonic()
    for turn in zip(*lists, strict=True):
        for each, of in zip(turn, found, strict=True):
            sent.append((of, each, answer(connection, each, headers)))
        if time.monotonic() - began > SECONDS * len(lists):
            break
    spent = server.cpu_s - cpu
    for (of, each, entries), ms in zip(sent, _logged(logged, len(sent)), strict=True):
        if entries is None:
            of.refused_ms.append(ms)
            of.refused_driving.append(each.driving)
        else:
            of.ms.append(ms)
            of.entries.append(entries)
    for of in found:
        of.cpu_ms = spent * 1000 / len(sent)
    return found


def answer(connection: http.client.HTTPConnection, asked: Asked, headers: Headers) -> int | None:
    """How many entries (or facets) the answer has; None if the search was refused as too costly."""
    connection.request("GET", "/fhir" + asked.path, headers=headers)
    response = connection.getresponse()
    body = response.read()
    if response.status == 200:
        return max(body.count(b'"fullUrl":'), body.count(b'"name":"facet"'))
    if b'"too-costly"' in body:
        return None
    raise RuntimeError(f"{asked.path} answered {response.status}: {body[:300]!r}")


def _settled() -> int:
    """How many bytes the log has, once it grows no more."""
    size = -1
    while size < LOG.stat().st_size:
        size = LOG.stat().st_size
        time.sleep(0.5)
    return size


def _logged(since: int, number: int) -> list[float]:
    """Milliseconds of so many requests, from the log behind a place; it is written a little later than they end."""
    times: list[float] = []
    for _ in range(50):
        with LOG.open("rb") as log:
            log.seek(since)
            times = [json.loads(line)["ms"] for line in log if line.endswith(b"\n") and b'"route":"/fhir/' in line]
        if len(times) >= number:
            break
        time.sleep(0.1)
    if len(times) != number:
        raise RuntimeError(f"{number} requests were sent, {len(times)} are in the log")
    return times


def lines_taken(server: Running, asked: Asked, headers: Headers, *, most: int) -> tuple[int, float, float]:
    """Lines read (so many at most), seconds, and growth of the server's resident memory in MiB at its peak."""
    before = server.rss_mib
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=300)
    began, number = time.monotonic(), 0
    connection.request("GET", "/fhir" + asked.path, headers={**headers, "Accept": _NDJSON})
    response = connection.getresponse()
    if response.status != 200:
        raise RuntimeError(f"{asked.path} answered {response.status}: {response.read(300)!r}")
    while number < most and (piece := response.read1(2**20)):
        number += piece.count(b"\n")
    seconds = time.monotonic() - began
    connection.close()
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    return min(number, most), seconds, peak - before
