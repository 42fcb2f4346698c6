"""A full filling of the index by its command: documents a second, memory; and what a document costs by its parts."""

import asyncio
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from fhirmedia.backends.elastic.client import ElasticClient
from fhirmedia.backends.elastic.engine import ElasticEngine, Shapes
from fhirmedia.backends.elastic.names import Names
from fhirmedia.backends.elastic.writing import Line, batches
from fhirmedia.backends.following.documents import DocumentMaker
from fhirmedia.backends.following.outbox import Outbox
from fhirmedia.core.index_address import parse_index_address
from fhirmedia.r4.extract import Extractor
from fhirmedia.r4.registry import load_registry
from scripts.benchmarks.engine_node import cpu_s
from scripts.benchmarks.prepare import BASE, ZONE
from scripts.benchmarks.rows import Row
from scripts.benchmarks.servers import resident_mib
from scripts.real_servers.elastic import Node

PER_S, RSS_MIB = 3_000, 300
LOOK_S = 0.05
PARTS_OF = 10_000
"""So many documents are taken apart, at most."""

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Filled:
    """What a filling reached: its name, its documents, seconds, the highest resident memory in MiB, and CPU seconds: of
    the process that fills, its start included, and of Elasticsearch.
    """

    generation: str
    documents: int
    seconds: float
    rss_mib: float
    cpu_s: float
    engine_cpu_s: float

    def rows(self, size: int) -> Iterator[Row]:
        """Its speed and its memory."""
        rate = self.documents / self.seconds
        each_us, engine_us = (spent * 1e6 / max(self.documents, 1) for spent in (self.cpu_s, self.engine_cpu_s))
        said = (
            f"{rate:,.0f} documents/s ({self.documents:,} in {self.seconds:.1f} s; CPU of each {each_us:.0f} µs here, "
        )
        said += f"{engine_us:.0f} µs in Elasticsearch)"
        yield Row(f"full rebuild, {size:,}", said, f"≥ {PER_S:,} documents/s", rate >= PER_S)
        said = f"{self.rss_mib:.0f} MiB at most"
        yield Row("RSS of the process that fills", said, f"≤ {RSS_MIB} MiB", self.rss_mib <= RSS_MIB)


def filled(folder: Path, node: Node, environment: Mapping[str, str]) -> Filled:
    """`fhirmedia reindex fill` and `switch`, the first from the moment it has made its indices on.

    Raises RuntimeError if either fails.
    """
    outbox = Outbox(folder / "records.db")
    command = [sys.executable, "-m", "fhirmedia.cli.main", "reindex"]
    surroundings = {**os.environ, **environment}
    process = subprocess.Popen([*command, "fill", "--data", str(folder)], env=surroundings)
    began, rss_mib, spent_s, engine_spent_s = 0.0, 0.0, _cpu_of_children_s(), cpu_s(node)
    try:
        while process.poll() is None:
            if not began and outbox.generations().in_state("filling") is not None:
                began = time.monotonic()
            rss_mib = max(rss_mib, _tree_mib(process.pid))
            time.sleep(LOOK_S)
    finally:
        ended = time.monotonic()
        process.terminate()
        process.wait(30)
    spent_s, engine_spent_s = _cpu_of_children_s() - spent_s, cpu_s(node) - engine_spent_s
    generation = outbox.generations().in_state("filled")
    outbox.close()
    if process.returncode or generation is None or not began:
        raise RuntimeError("reindex fill failed")
    subprocess.run([*command, "switch", "--data", str(folder)], env=surroundings, check=True)
    return Filled(generation.name, generation.documents, ended - began, rss_mib, spent_s, engine_spent_s)


def _cpu_of_children_s() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _tree_mib(pid: int) -> float:
    """The highest resident memory of a process and of those it has started, together."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return resident_mib(pid, "VmHWM") + sum(_tree_mib(int(child)) for child in children)


def part_row(folder: Path, address: str) -> Row:
    """One process and one request at a time, so that the parts add up; Elasticsearch's part includes the way there."""
    return asyncio.run(_part_row(folder, address))


async def _part_row(folder: Path, address: str) -> Row:
    asked, registry = parse_index_address(address), load_registry()
    shapes = Shapes(registry, zone=ZoneInfo(ZONE), base_url=BASE)
    engine, client = ElasticEngine(asked, shapes, budget_s=10), ElasticClient(asked)
    names = Names(asked.prefix, [family.name for family in shapes.now().shape.families])
    maker = DocumentMaker(
        folder / "records.db", Extractor(registry, base_url=BASE, zone=ZoneInfo(ZONE)), types=engine.types
    )
    await engine.create("parts")
    parts: dict[str, list[float]] = {name: [] for name in ("read", "made", "encoded", "sent")}
    number, position = 0, 0
    while number < PARTS_OF:
        at = [time.perf_counter()]
        batch = maker.of_current(position, limit=_AT_ONCE)
        changes = [change for _, change in batch.changes.values()]
        at.append(time.perf_counter())
        making = shapes.now()
        contents = [making.content(change) for change in changes]
        at.append(time.perf_counter())
        lines = []
        for change, content in zip(changes, contents, strict=True):
            family = making.shape.family(change.record.key.type)
            if family is not None:
                lines.append(Line(names.written("parts", family), change.record.key, change.order, content))
        bodies = [b"".join(encoded for _, encoded in each) for each in batches(lines)]
        at.append(time.perf_counter())
        for body in bodies:
            await client.ask("POST", "/_bulk", body, within_s=60.0, filter_path="errors,items.*.status")
        at.append(time.perf_counter())
        for name, start, end in zip(parts, at, at[1:], strict=False):
            parts[name].append((end - start) * 1e6 / max(len(changes), 1))
        number, position = number + len(changes), batch.end
        if not batch.is_more:
            break
    maker.close()
    await engine.drop("parts")
    await engine.close()
    await client.close()
    middle = {name: statistics.median(each) for name, each in parts.items()}
    said = ", ".join(f"{name} {us:.0f}" for name, us in middle.items())
    work = "a document of a filling, by its parts"
    raw_per_s = 1e6 / middle["sent"]
    return Row(work, f"{said} µs; Elasticsearch alone takes {raw_per_s:,.0f}/s, one request at a time", "", None)
