"""`scripts/bench rest`: the work of an archive over HTTP beside what a peer reaches, and what single parts cost."""

import http.client
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from scripts.benchmarks.load import Load, load
from scripts.benchmarks.peers import PER_SECOND, bar
from scripts.benchmarks.prepare import folder_of
from scripts.benchmarks.rest_parts import part_rows
from scripts.benchmarks.rest_requests import Archive, Request, script, upload_script
from scripts.benchmarks.rows import Row, report
from scripts.benchmarks.servers import PORT, Running, authorization, fhirmedia, wait_for

WARMUP_S, SECONDS = 2, 8
WORKERS = (1, 2)
BASE = f"http://127.0.0.1:{PORT}/fhir"
WRITES = ("create Media", "update Media", "transaction of 100", "Binary 256 KiB up")


def rest(sizes: Sequence[int], *, only: Sequence[str] | None, json_file: str | None) -> int:
    """Measure, print, and (with a file) keep the rows."""
    return report(_rows(sizes, only), json_file=json_file)


def _rows(sizes: Sequence[int], only: Sequence[str] | None) -> Iterator[Row]:
    for size in sizes:
        with _copy(folder_of(size)) as folder:
            if only is None or "peer" in only:
                yield from peer_rows(folder, size)
            if (only is None or "parts" in only) and size == sizes[0]:
                yield from part_rows(folder, Archive(size))


@contextmanager
def _copy(folder: Path) -> Iterator[Path]:
    """The folder to be written to: the prepared one stays as it was made."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as place:
        yield Path(shutil.copytree(folder, Path(place, "data")))


def peer_rows(folder: Path, size: int) -> Iterator[Row]:
    """Each row of the peer, by one worker and by two; the better of them counts."""
    archive = Archive(size)
    reached: dict[tuple[str, int], dict[int, Load]] = {}
    started: list[float] = []
    rss = 0.0
    with tempfile.TemporaryDirectory() as place:
        scratch = Path(place)
        for workers in WORKERS:
            began = time.monotonic()
            with fhirmedia(folder, workers=workers) as server:
                started.append(wait_for(PORT, "/readyz") + time.monotonic() - began)
                headers = {
                    "Authorization": authorization(folder),
                    "Prefer": "return=minimal",
                    "Accept-Encoding": "gzip",
                }
                rss = rss or server.rss_mib
                for work in PER_SECOND:
                    for connections in PER_SECOND[work]:
                        measured = _measure(work, archive, connections, headers, scratch)
                        reached.setdefault((work, connections), {})[workers] = measured
    for (work, connections), loads in reached.items():
        yield _row(work, connections, loads, size)
    yield Row(f"start to ready, {size:,}", f"{min(started):.2f} s, {rss:.0f} MiB idle", "≤ 2 s, ≤ 150 MiB", None)


def _row(work: str, connections: int, loads: dict[int, Load], size: int) -> Row:
    workers, best = max(loads.items(), key=lambda pair: pair[1].per_s)
    others = ", ".join(f"{number}: {each.per_s:,.0f}/s" for number, each in loads.items() if number != workers)
    errors = sum(each.errors for each in loads.values())
    least = bar(work, connections)
    said = (
        f"{best.per_s:,.1f}/s p50 {best.p50_ms:.1f} p95 {best.p95_ms:.1f} ms by {workers} ({others}), {errors} errors"
    )
    name = f"{work}, {connections} connection{'s' if connections > 1 else ''}, {size:,}"
    return Row(name, said, f"≥ {least:,.1f}/s", best.per_s >= least and not errors)


def _measure(work: str, archive: Archive, connections: int, headers: dict[str, str], scratch: Path) -> Load:
    requests: list[Request] = []
    sent = headers
    match work:
        case "read by id":
            requests = archive.reads()
        case "timeline of one type, newest 50":
            requests = archive.timelines("Media")
        case "whole timeline, three types":
            requests = archive.whole_timelines()
        case "site and month, all patients":
            requests = archive.sites_by_month()
        case "count by modality and status":
            requests = archive.counts()
        case "create Media":
            requests = archive.creates()
        case "update Media":
            requests = archive.updates()
        case "transaction of 100":
            requests = archive.transactions()
        case "Binary 256 KiB down":
            requests = [Request(path) for path in _pictures(headers)]
            sent = {**headers, "Accept": "image/jpeg"}
    if work in WRITES:
        sent = {**headers, "Content-Type": "application/fhir+json"}
    if work == "Binary 256 KiB up":
        sent = {**headers, "Content-Type": "image/jpeg"}
        lua = upload_script(scratch)
    else:
        _require_sound(requests[0], sent)
        lua = script(requests, scratch)
    url = f"{BASE}/Binary"
    load(url, connections=connections, seconds=WARMUP_S, headers=sent, script=lua)
    return load(url, connections=connections, seconds=SECONDS, headers=sent, script=lua)


def _require_sound(request: Request, headers: dict[str, str]) -> None:
    """One answer looked at before thousands are counted."""
    status, body = ask(request.method, "/fhir" + request.path, headers, request.body)
    empty = b'"total":0' in body and "_count" in request.path
    if status >= 300 or empty:
        raise RuntimeError(f"{request.method} {request.path} answered {status}: {body[:300]!r}")


def _pictures(headers: dict[str, str], number: int = 32) -> list[str]:
    """Binaries of 256 KiB, made to be read."""
    made = []
    for _ in range(number):
        picture = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + os.urandom(256 * 1024 - 11)
        connection = http.client.HTTPConnection("127.0.0.1", PORT)
        connection.request("POST", "/fhir/Binary", body=picture, headers={**headers, "Content-Type": "image/jpeg"})
        answer = connection.getresponse()
        answer.read()
        made.append("/" + "/".join(answer.headers["Location"].split("/")[4:6]))
    return made


def ask(method: str, path: str, headers: dict[str, str], body: str = "") -> tuple[int, bytes]:
    """Status and body of one request, without gzip."""
    plain = {name: value for name, value in headers.items() if name != "Accept-Encoding"}
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=120)
    connection.request(method, path, body=body or None, headers=plain)
    response = connection.getresponse()
    return response.status, response.read()


def cpu_per_request(server: Running, url: str, headers: dict[str, str], *, rounds: int = 3) -> float:
    """CPU of the server per request in µs, the median of a few loads."""
    taken = []
    for _ in range(rounds):
        before = server.cpu_s
        reached = load(url, connections=4, seconds=3, headers=headers)
        taken.append((server.cpu_s - before) / max(reached.per_s * 3, 1) * 1e6)
    return statistics.median(taken)
