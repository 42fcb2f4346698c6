"""What single parts of the REST interface cost: checking, transactions by their parts, XML, `$everything`, history."""

import asyncio
import http.client
import json
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from fhirmedia.backends.chained_table import ChangeChain
from fhirmedia.backends.folder import Folder
from fhirmedia.backends.index_rows import IndexWriter
from fhirmedia.backends.records_sql import SqliteRecordStore
from fhirmedia.backends.records_transaction import TransactionParts
from fhirmedia.core.clock import system_clock
from fhirmedia.core.ids import new_id
from fhirmedia.core.records import Key
from fhirmedia.ports.records import Draft, RecordTransaction
from fhirmedia.r4.checker import check
from fhirmedia.r4.codec import prepare
from fhirmedia.r4.extract import Extractor
from fhirmedia.r4.facts import facts_of
from fhirmedia.r4.json_in import parse_json
from fhirmedia.r4.json_types import JsonObject
from fhirmedia.r4.registry import load_registry
from scripts.benchmarks.corpus import HEAVY, HEAVY_ITEMS
from scripts.benchmarks.load import load
from scripts.benchmarks.prepare import BASE
from scripts.benchmarks.rest_requests import Archive
from scripts.benchmarks.rows import Row
from scripts.benchmarks.servers import PORT, Running, authorization, fhirmedia

ROUNDS = 15
TRANSACTION_PER_S = 800.0


def part_rows(folder: Path, archive: Archive) -> Iterator[Row]:
    """All of them; those of one process first."""
    yield from transaction_rows(folder, archive)
    headers = {"Authorization": authorization(folder)}
    with fhirmedia(folder) as server:
        yield whole_transactions(headers, archive)
        yield xml_row(server, headers, archive)
        yield history_row(headers)
        yield everything_row(server, headers)


def transaction_rows(folder: Path, archive: Archive) -> Iterator[Row]:
    """CPU of a hundred mixed resources by parts, and of checking and extracting one Media."""
    registry, zone = load_registry(), ZoneInfo("Europe/Stockholm")
    extractor = Extractor(registry, base_url=BASE, zone=zone)
    texts = [json.dumps([entry["resource"] for entry in archive.bundle()["entry"]]) for _ in range(ROUNDS)]
    taken: dict[str, list[float]] = {name: [] for name in ("parse", "check", "extract", "SQL", "commit")}
    store = SqliteRecordStore(
        Folder(folder).records,
        lock_file=Folder(folder).write_lock,
        parts=TransactionParts(IndexWriter(), ChangeChain()),
        clock=system_clock,
        on_broken=lambda: None,
    )

    async def store_all(drafts: list[Draft]) -> tuple[float, float]:
        def work(transaction: RecordTransaction) -> tuple[float, float]:
            began = time.thread_time()
            for draft in drafts:
                transaction.put(draft)
            transaction.has_dependents("nobody")  # what waits is written before it is asked for
            return time.thread_time() - began, time.monotonic()

        spent, ended = await store.write(work)
        return spent, time.monotonic() - ended

    async def run() -> None:
        for text in texts:
            resources: list[JsonObject] = _timed(taken["parse"], partial(parsed, text))
            _timed(taken["check"], partial(checked_all, resources))
            drafts = _timed(taken["extract"], partial(drafted, resources))
            spent, commit = await store_all(drafts)
            taken["SQL"].append(spent)
            taken["commit"].append(commit)
        await store.close()

    def drafted(resources: list[JsonObject]) -> list[Draft]:
        return [draft(resource) for resource in resources]

    def draft(resource: JsonObject) -> Draft:
        key = Key(str(resource["resourceType"]), new_id())
        entries = extractor.entries(resource, key=key, last_updated_ms=0)
        facts = facts_of(resource, entries=entries, registry=registry, base_url=BASE, lookup=lambda _: None)
        return Draft(key, "create", prepare(resource), facts, entries)

    asyncio.run(run())
    middle = {name: statistics.median(each) * 1000 for name, each in taken.items()}
    said = ", ".join(f"{name} {value:.1f}" for name, value in middle.items())
    yield Row("transaction of 100 by parts", f"{said} ms", "-", None)
    media = next(
        each
        for each in json.loads(texts[0])
        if each["resourceType"] == "Media"  # type-name: what the bar speaks of
    )
    sound = parse_json(json.dumps(media).encode())
    key = Key(str(sound["resourceType"]), new_id())
    checked = _each_ms(lambda: check(sound, type=key.type))
    extracted = _each_ms(lambda: extractor.entries(sound, key=key, last_updated_ms=0))
    yield Row("strict check of a Media", f"{checked:.3f} ms", "≤ 0.3 ms", checked <= 0.3)
    yield Row("index entries of a Media", f"{extracted:.3f} ms", "≤ 0.15 ms", extracted <= 0.15)


def whole_transactions(headers: dict[str, str], archive: Archive) -> Row:
    """Transactions over HTTP by one process, resources per second."""
    sent = {**headers, "Content-Type": "application/fhir+json", "Prefer": "return=minimal"}
    bundles = [json.dumps(archive.bundle()) for _ in range(ROUNDS)]
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=120)
    times = []
    for bundle in bundles:
        began = time.monotonic()
        connection.request("POST", "/fhir/", body=bundle, headers=sent)
        response = connection.getresponse()
        body = response.read()
        times.append(time.monotonic() - began)
        if response.status != 200:
            raise RuntimeError(f"a transaction answered {response.status}: {body[:300]!r}")
    rate = 100 / statistics.median(times)
    return Row(
        "transaction of 100, one process, one client", f"{rate:,.0f} resources/s", "≥ 800/s", rate >= TRANSACTION_PER_S
    )


def xml_row(server: Running, headers: dict[str, str], archive: Archive) -> Row:
    """CPU of the server per read, of the same resource."""
    url = f"http://127.0.0.1:{PORT}/fhir{archive.reads()[0].path}"
    spent: dict[str, list[float]] = {"xml": [], "json": []}
    for _ in range(3):
        for form, taken in spent.items():
            before = server.cpu_s
            reached = load(url, connections=8, seconds=3, headers={**headers, "Accept": f"application/fhir+{form}"})
            taken.append((server.cpu_s - before) / max(reached.per_s * 3, 1) * 1e6)
    as_xml, as_json = (statistics.median(taken) for taken in spent.values())
    ratio = as_xml / as_json
    return Row("XML read", f"{as_xml:.0f} µs of CPU, JSON {as_json:.0f}, ratio {ratio:.2f}", "≤ 2", ratio <= 2)


def history_row(headers: dict[str, str]) -> Row:
    """A page of the history of a type beside a page of its search, 50 entries each."""
    paths = {"history": "/fhir/Media/_history?_count=50", "search": "/fhir/Media?_sort=-_lastUpdated&_count=50"}
    reached = {
        name: load(f"http://127.0.0.1:{PORT}{path}", connections=1, seconds=4, headers=headers)
        for name, path in paths.items()
    }
    history, search = (reached[name].p50_ms for name in paths)
    met = history <= search * 1.1 and not reached["history"].errors
    return Row("history page of 50", f"p50 {history:.2f} ms, search page {search:.2f} ms", "as fast", met)


def everything_row(server: Running, headers: dict[str, str]) -> Row:
    """Growth of memory over a Patient's everything, read as it comes."""
    path = f"/fhir/Patient/{HEAVY}/$everything"
    before = server.rss_mib
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=300)
    number, began = 0, time.monotonic()
    while path:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        if response.status != 200:
            return Row("$everything", f"answered {response.status}", "RSS growth ≤ 32 MiB", met=False)
        bundle: dict[str, Any] = json.loads(response.read())
        number += len(bundle.get("entry", ()))
        following = next((link["url"] for link in bundle.get("link", ()) if link["relation"] == "next"), "")
        path = following.partition(f":{PORT}")[2]
    seconds = time.monotonic() - began
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    said = f"{number:,} items in {seconds:.1f} s, RSS growth {peak - before:.0f} MiB"
    met = peak - before <= 32 and number >= min(HEAVY_ITEMS, number)
    return Row("$everything of a patient with 5 000 items", said, "RSS growth ≤ 32 MiB", met)


def parsed(text: str) -> list[JsonObject]:
    """The resources of an array in JSON."""
    found: Any = parse_json(f'{{"all":{text}}}'.encode())["all"]
    return list(found)


def checked_all(resources: list[JsonObject]) -> None:
    """The strict check of each."""
    for resource in resources:
        check(resource, type=str(resource["resourceType"]))


def _timed(taken: list[float], work: Callable[[], Any]) -> Any:
    began = time.thread_time()
    result = work()
    taken.append(time.thread_time() - began)
    return result


def _each_ms(work: Callable[[], object], *, number: int = 300) -> float:
    """CPU of one call, the median of a few hundreds of them."""
    times = []
    for _ in range(7):
        began = time.thread_time()
        for _ in range(number):
            work()
        times.append((time.thread_time() - began) / number * 1000)
    return statistics.median(times)
