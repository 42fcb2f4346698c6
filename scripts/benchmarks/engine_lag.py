"""How long after its answer a write is found, under a steady stream of writes over HTTP.

The writes are new versions of Media that are there, so that the archive stays as large as it is. Elasticsearch itself
is asked twenty times a second which of them a search finds in their new state.
"""

import http.client
import itertools
import json
import threading
import time
from dataclasses import dataclass, field
from random import Random
from typing import Any

from scripts.benchmarks.corpus import corpus
from scripts.benchmarks.engine_node import PREFIX, asked
from scripts.benchmarks.rows import Row
from scripts.benchmarks.search_asking import Headers
from scripts.benchmarks.servers import Running
from scripts.real_servers.elastic import Node

PER_S, SECONDS = 100, 30.0
BAR_S = 2.0
_WRITERS = 16
_LOOK_S = 0.05
_GIVEN_UP_S = 30.0
_MOST = 1_000
"""Asked for at once."""


@dataclass(slots=True)
class Writes:
    """When each was answered (by Key), and how many were not as they should; filled by several threads."""

    answered: dict[str, float] = field(default_factory=dict)
    failed: int = 0
    turn: threading.Lock = field(default_factory=threading.Lock)


def lag_row(size: int, server: Running, node: Node, generation: str, headers: Headers) -> Row:
    """p50 and p99 of the time from the answer to the first search that finds it."""
    writes, resources = Writes(), _drawn(size, int(PER_S * SECONDS))
    where = f"{PREFIX}-{generation}-*"
    newest = asked(node, "POST", f"/{where}/_search", {"size": 0, "aggs": {"newest": {"max": {"field": "order"}}}})
    before = int(newest["aggregations"]["newest"]["value"] or 0)
    upcoming, began = itertools.count(), time.monotonic() + 0.2
    arguments = (writes, resources, upcoming, began, server.port, headers)
    writers = [threading.Thread(target=_write, args=arguments, daemon=True) for _ in range(_WRITERS)]
    for each in writers:
        each.start()
    found: dict[str, float] = {}
    ended = 0.0
    while not ended or time.monotonic() - ended < _GIVEN_UP_S:
        with writes.turn:
            waiting = [key for key in writes.answered if key not in found]
        if waiting:
            seen = _found(node, where, waiting[:_MOST], before)
            found.update(dict.fromkeys(seen, time.monotonic()))
        if not ended and not any(each.is_alive() for each in writers):
            ended = time.monotonic()
        if ended and len(found) == len(writes.answered):
            break
        time.sleep(_LOOK_S)
    taken = sorted(at - writes.answered[key] for key, at in found.items())
    rate = len(writes.answered) / (max(writes.answered.values(), default=began + 1) - began)
    lost = len(writes.answered) - len(found)
    if not taken:
        return Row("index lag", "nothing was found", f"p99 ≤ {BAR_S:g} s", met=False)
    p50, p99 = (taken[int(len(taken) * share)] for share in (0.5, 0.99))
    said = f"p50 {p50:.2f} p99 {p99:.2f} s at {rate:.0f} writes/s; {writes.failed} refused, {lost} never found"
    met = p99 <= BAR_S and not lost and not writes.failed and rate >= 0.95 * PER_S
    return Row(f"index lag under {PER_S} writes/s, {SECONDS:g} s, {size:,}", said, f"p99 ≤ {BAR_S:g} s", met)


def _drawn(size: int, number: int) -> list[dict[str, Any]]:
    """Media of the archive, as they are but for a word; fewer where it has fewer."""
    places = frozenset(Random(17).sample(range(size), min(4 * number, size)))
    kept = (each for place, each in enumerate(corpus(size)) if place in places)
    chosen = [each for each in kept if each["resourceType"] == "Media"]
    Random(18).shuffle(chosen)
    del chosen[number:]
    for each in chosen:
        each["note"] = [{"text": f"{each['note'][0]['text']} Seen again."}]
        each["deviceName"] = f"Canon EOS R{time.time_ns() % 10_000}"
    return chosen


def _write(
    writes: Writes,
    resources: list[dict[str, Any]],
    upcoming: "itertools.count[int]",
    began: float,
    port: int,
    headers: Headers,
) -> None:
    """One client of several: the next resource, when its time has come."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    sent = {**headers, "Content-Type": "application/fhir+json", "Prefer": "return=minimal"}
    while (number := next(upcoming)) < len(resources):
        resource = resources[number]
        key = f"{resource['resourceType']}/{resource['id']}"
        body = json.dumps(resource)
        time.sleep(max(0.0, began + number / PER_S - time.monotonic()))
        connection.request("PUT", f"/fhir/{key}", body, sent)
        response = connection.getresponse()
        response.read()
        with writes.turn:
            if response.status < 300:
                writes.answered[key] = time.monotonic()
            else:
                writes.failed += 1
    connection.close()


def _found(node: Node, where: str, keys: list[str], before: int) -> list[str]:
    """Those that a search finds in a state that is newer."""
    newer = {"bool": {"filter": [{"terms": {"key": keys}}, {"range": {"order": {"gt": before}}}]}}
    body = {"size": len(keys), "query": newer, "docvalue_fields": ["key"], "stored_fields": "_none_"}
    hits = asked(node, "POST", f"/{where}/_search", body)["hits"]["hits"]
    return [hit["fields"]["key"][0] for hit in hits]
