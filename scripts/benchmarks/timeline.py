"""The patient timeline at several sizes, timed by the server itself."""

import http.client
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

from scripts.benchmarks.corpus import HEAVY, drawn
from scripts.benchmarks.prepare import folder_of, read_once
from scripts.benchmarks.rows import Row
from scripts.benchmarks.servers import LOG, PORT, authorization, fhirmedia

SEARCHES = 400
TYPES = "Media,DocumentReference,ImagingStudy,DiagnosticReport"


def timeline_rows(sizes: Sequence[int]) -> list[Row]:
    """p50 of ordinary patients at each size, their ratio, and p95 of the patient with 5 000 items."""
    taken = {size: _measure(read_once(folder_of(size)), size) for size in sizes}
    largest, smallest = max(sizes), min(sizes)
    p50 = {size: statistics.median(ordinary) for size, (ordinary, _) in taken.items()}
    heavy = sorted(taken[largest][1])
    p95_heavy = heavy[int(len(heavy) * 0.95)]
    growth = p50[largest] / p50[smallest]
    said = ", ".join(f"p50 {value:.2f} ms at {size:,}" for size, value in p50.items())
    ordered = sorted(taken[largest][0])
    tail = f"p95 {ordered[int(len(ordered) * 0.95)]:.2f} p99 {ordered[int(len(ordered) * 0.99)]:.2f} ms"
    met = p50[largest] <= 5 and growth <= 1.5
    return [
        Row("patient timeline, 4 types, newest 50", f"{said} ({tail}), ratio {growth:.2f}", "≤ 5 ms, ratio ≤ 1.5", met),
        Row(
            "the same, patient with 5 000 items",
            f"p50 {statistics.median(heavy):.2f} ms, p95 {p95_heavy:.2f} ms",
            "p95 ≤ 50 ms",
            p95_heavy <= 50,
        ),
    ]


def _measure(folder: Path, size: int) -> tuple[list[float], list[float]]:
    """Milliseconds in the server for ordinary patients, drawn as often as they have items, and for the heavy one."""
    rng = Random(7)
    last = size // 31
    ordinary = [f"p-{drawn(rng, last)}" for _ in range(SEARCHES)]
    headers = {"Authorization": authorization(folder)}
    with fhirmedia(folder):
        connection = http.client.HTTPConnection("127.0.0.1", PORT)
        for patient in [*ordinary[:50], *ordinary, *[HEAVY] * SEARCHES]:
            connection.request("GET", f"/fhir/?_type={TYPES}&patient={patient}&_sort=-when&_count=50", headers=headers)
            response = connection.getresponse()
            body = response.read()
            if response.status != 200 or b'"searchset"' not in body:
                raise RuntimeError(f"a timeline answered {response.status}")
        time.sleep(0.2)
    times = [json.loads(line)["ms"] for line in LOG.read_bytes().splitlines() if b'"route":"/fhir/"' in line]
    return times[50 : 50 + SEARCHES], times[50 + SEARCHES :]
