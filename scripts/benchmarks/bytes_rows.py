"""A gibibyte up, the same down, and ranges of it, each beside a bare route."""

import http.client
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

from scripts.benchmarks.rows import Row
from scripts.benchmarks.servers import PORT, Running, authorization, fhirmedia, yardstick

SIZE = 2**30
RUN = 2**20
RANGE, RANGES = 256 * 1024, 1_000
ROUNDS = 3
PATTERN = os.urandom(RUN)


def bytes_rows(folder: Path) -> list[Row]:
    """Upload, download and ranges; memory growth over all of it."""
    token = {"Authorization": authorization(folder)}
    with fhirmedia(folder) as ours, yardstick("bare_bytes", folder, path="/nothing") as bare:
        _upload(ours, "POST", "/fhir/Binary", token, size=8 * RUN)
        before = ours.rss_mib
        ups: dict[str, list[float]] = {"ours": [], "bare": []}
        downs: dict[str, list[float]] = {"ours": [], "bare": []}
        address = ""
        for _ in range(ROUNDS):
            seconds, address = _upload(ours, "POST", "/fhir/Binary", token, size=SIZE)
            ups["ours"].append(seconds)
            ups["bare"].append(_upload(bare, "PUT", "/up", {}, size=SIZE)[0])
            downs["ours"].append(_download(PORT, address, token))
            downs["bare"].append(_download(bare.port, "/down", {}))
        ranges = _ranges(address, token)
        growth = ours.rss_mib - before
        connection = http.client.HTTPConnection("127.0.0.1", PORT)
        connection.request("DELETE", address, headers=token)
        connection.getresponse().read()
    up, down = (statistics.median(each["bare"]) / statistics.median(each["ours"]) for each in (ups, downs))
    rate = {
        name: SIZE / 2**20 / statistics.median(each) for name, each in (("up", ups["ours"]), ("down", downs["ours"]))
    }
    p50 = statistics.median(ranges)
    return [
        Row("upload 1 GiB", f"{up:.0%} of a bare route ({rate['up']:.0f} MiB/s)", "≥ 80 %", up >= 0.8),
        Row("download 1 GiB", f"{down:.0%} of FileResponse ({rate['down']:.0f} MiB/s)", "≥ 60 %", down >= 0.6),
        Row(
            "1 000 random ranges of 256 KiB",
            f"p50 {p50:.2f} ms, p95 {sorted(ranges)[950]:.2f} ms",
            "p50 ≤ 2 ms",
            p50 <= 2,
        ),
        Row("RSS growth over these", f"{growth:.0f} MiB", "≤ 64 MiB", growth <= 64),
    ]


def _upload(server: Running, method: str, path: str, headers: dict[str, str], *, size: int) -> tuple[float, str]:
    def runs() -> Iterator[bytes]:
        for _ in range(size // RUN):
            yield PATTERN

    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    stated = {"Content-Type": "application/octet-stream", "Content-Length": str(size), "Prefer": "return=minimal"}
    started = time.monotonic()
    connection.request(method, path, body=runs(), headers=headers | stated)
    response = connection.getresponse()
    response.read()
    seconds = time.monotonic() - started
    if response.status >= 300:
        raise RuntimeError(f"an upload answered {response.status}")
    location = response.headers.get("Location", "")
    return seconds, "/fhir/" + "/".join(location.split("/")[4:6])


def _download(port: int, path: str, headers: dict[str, str]) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    started = time.monotonic()
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    buffer, received = bytearray(RUN), 0
    while number := response.readinto(buffer):
        received += number
    if response.status != 200 or received != SIZE:
        raise RuntimeError(f"a download answered {response.status} and {received} bytes")
    return time.monotonic() - started


def _ranges(path: str, headers: dict[str, str]) -> list[float]:
    rng, taken = Random(3), []
    connection = http.client.HTTPConnection("127.0.0.1", PORT)
    for _ in range(RANGES):
        start = rng.randrange(SIZE - RANGE)
        started = time.perf_counter()
        connection.request("GET", path, headers=headers | {"Range": f"bytes={start}-{start + RANGE - 1}"})
        response = connection.getresponse()
        if response.status != 206 or len(response.read()) != RANGE:
            raise RuntimeError(f"a range answered {response.status}")
        taken.append((time.perf_counter() - started) * 1000)
    return taken
