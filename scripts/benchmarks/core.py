"""`scripts/bench core`: the rows of the core, each with its yardstick; a table on standard output."""

import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmarks.bytes_rows import bytes_rows
from scripts.benchmarks.corpus import DCM, OWNING_UNIT, SCT, corpus
from scripts.benchmarks.load import load
from scripts.benchmarks.prepare import folder_of
from scripts.benchmarks.rows import Row, report
from scripts.benchmarks.servers import PORT, authorization, fhirmedia, wait_for, yardstick
from scripts.benchmarks.timeline import timeline_rows

SECONDS, ROUNDS = 6, 3

MEDIA = """
local n = 0
request = function()
  n = n + 1
  return wrk.format("POST", nil, nil, string.format([[BODY]], n % 900, n))
end
""".replace(
    "BODY",
    json.dumps(
        {
            "resourceType": "Media",
            "extension": [{"url": OWNING_UNIT, "valueReference": {"reference": "Organization/unit-07"}}],
            "status": "completed",
            "modality": {"coding": [{"system": DCM, "code": "XC"}]},
            "subject": {"reference": "Patient/p-%d"},
            "createdDateTime": "2025-03-14T10:00:00Z",
            "bodySite": {"coding": [{"system": SCT, "code": "53120007"}]},
            "deviceName": "Canon EOS R6",
            "content": {"contentType": "image/jpeg", "title": "photograph %d"},
            "note": [{"text": "Follow-up picture, no change since the last visit."}],
        }
    ),
)
"""Lua: creates, each with a body of its own, about patients in turn."""


def core(sizes: Sequence[int], *, only: Sequence[str] | None, json_file: str | None) -> int:
    """Measure, print, and (with a file) keep the rows."""
    groups: dict[str, Callable[[], list[Row]]] = {
        "read": lambda: read_rows(sizes[0]),
        "timeline": lambda: timeline_rows(sizes),
        "create": lambda: create_rows(folder_of(sizes[0])),
        "bytes": lambda: bytes_rows(folder_of(sizes[0])),
        "start": lambda: start_rows(folder_of(sizes[-1])),
    }
    wanted = [measure for name, measure in groups.items() if only is None or name in only]
    return report((row for measure in wanted for row in measure()), json_file=json_file)


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison over its rounds."""

    per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    cpu_us: float
    errors: int


def read_rows(size: int) -> list[Row]:
    """Read by id with 16 connections: ours, the audited yardstick, the bare route, taking turns."""
    folder = folder_of(size)
    path = "/fhir/" + next(f"Media/{each['id']}" for each in corpus(size) if each["resourceType"] == "Media")
    headers = {"Authorization": authorization(folder)}
    with (
        fhirmedia(folder) as ours,
        yardstick("bare_read", folder, "audited", path=path) as audited,
    ):
        sides = {"fhirmedia": ours, "audited yardstick": audited}
        taken: dict[str, list[Side]] = {name: [] for name in sides}
        for _ in range(ROUNDS):
            for name, server in sides.items():
                before = server.cpu_s
                reached = load(
                    f"http://127.0.0.1:{server.port}{path}", connections=16, seconds=SECONDS, headers=headers
                )
                cpu_us = (server.cpu_s - before) / max(reached.per_s * SECONDS, 1) * 1e6
                taken[name].append(
                    Side(reached.per_s, reached.p50_ms, reached.p95_ms, reached.p99_ms, cpu_us, reached.errors)
                )
        rss = ours.rss_mib
    with yardstick("bare_read", folder, "bare", path=path) as bare:
        bare_load = load(f"http://127.0.0.1:{bare.port}{path}", connections=16, seconds=SECONDS)
    ours_s, yard_s = (statistics.median(side.per_s for side in taken[name]) for name in taken)
    middle = {name: sorted(each, key=lambda side: side.per_s)[len(each) // 2] for name, each in taken.items()}
    ratio, yard_cpu = ours_s / yard_s, middle["audited yardstick"].cpu_us
    said = "; ".join(
        f"{name} {side.per_s:,.0f}/s p50 {side.p50_ms:.1f} p95 {side.p95_ms:.1f} p99 {side.p99_ms:.1f} ms, "
        f"{side.cpu_us:.0f} µs CPU"
        for name, side in middle.items()
    )
    void = yard_cpu > 200
    measured = f"{ratio:.0%} ({said}; bare route {bare_load.per_s:,.0f}/s; RSS {rss:.0f} MiB)"
    return [
        Row(
            "read by id, 16 connections",
            measured,
            "≥ 50 % of a yardstick of ≤ 200 µs CPU",
            None if void else ratio >= 0.5,
        )
    ]


def create_rows(folder: Path) -> list[Row]:
    """Creates with 8 connections by one worker and by two, beside the disk's own rate of syncs."""
    headers = {"Authorization": authorization(folder), "Content-Type": "application/fhir+json"}
    reached = {}
    for workers in (1, 2):
        with fhirmedia(folder, workers=workers):
            url = f"http://127.0.0.1:{PORT}/fhir/Media"
            load(url, connections=8, seconds=2, headers=headers, script=MEDIA)
            reached[workers] = load(url, connections=8, seconds=10, headers=headers, script=MEDIA)
    syncs = fsync_rate(folder)
    said = "; ".join(
        f"{workers} worker{'s' if workers > 1 else ''} {each.per_s:,.0f}/s p50 {each.p50_ms:.1f} p95 {each.p95_ms:.1f} "
        f"p99 {each.p99_ms:.1f} ms"
        for workers, each in reached.items()
    )
    best = max(each.per_s for each in reached.values())
    errors = sum(each.errors for each in reached.values())
    measured = f"{said}; {errors} errors (the disk syncs {syncs:,.0f}/s)"
    met = best >= min(500.0, syncs) and errors == 0
    return [Row("create Media, 8 connections", measured, "≥ 500/s, or the disk's rate of syncs", met)]


def start_rows(folder: Path) -> list[Row]:
    """Cold start to ready, and idle memory."""
    taken, rss = [], 0.0
    for _ in range(3):
        started = time.monotonic()
        with fhirmedia(folder) as ours:
            wait_for(PORT, "/readyz")
            taken.append(time.monotonic() - started)
            time.sleep(1)
            rss = ours.rss_mib
    seconds = statistics.median(taken)
    return [
        Row("cold start, exec to ready", f"{seconds:.2f} s", "≤ 2 s", seconds <= 2),
        Row("idle RSS of a worker", f"{rss:.0f} MiB", "≤ 150 MiB", rss <= 150),
    ]


def fsync_rate(folder: Path, *, seconds: float = 1.0) -> float:
    """Appends of 4 KiB with fsync, per second."""
    path = folder / "sync-rate"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    started, done = time.monotonic(), 0
    while time.monotonic() - started < seconds:
        os.write(descriptor, b"x" * 4096)
        os.fsync(descriptor)
        done += 1
    os.close(descriptor)
    path.unlink()
    return done / seconds
