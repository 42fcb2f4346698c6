"""What `/metrics` shows: requests, their time, and what custody wants watched. Labels hold no ids."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector

from fhirmedia.core.errors import Failure

WATCH_S = 5
WATCH_INDEX_S = 1
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

log = logging.getLogger("fhirmedia")


def share_metrics(folder: Path) -> None:
    """Let all workers of a folder count together; called before the first metric is made.

    What processes that are gone have counted is forgotten.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in folder.glob("*.db"):
        if not Path("/proc", file.stem.rpartition("_")[2]).exists():
            file.unlink(missing_ok=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    # The library decided when it was imported, before there was a folder.
    values.ValueClass = values.get_value_class()  # type: ignore[no-untyped-call]  # it types only part of itself


class Metrics:
    """The counters of one process; with shared files `page` shows the sum over all workers."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._counters: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._requests = Counter(
            "fhirmedia_requests_total", "Requests answered.", ["route", "method", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "fhirmedia_request_seconds", "Time to the last byte.", ["route"], buckets=BUCKETS, registry=self._registry
        )
        self.index_mismatch = Counter(
            "fhirmedia_index_mismatch_total", "Hits the index named that the re-check refused.", registry=self._registry
        )
        self.content_damaged = Counter(
            "fhirmedia_content_damaged_total",
            "Reads of a content that is not what was stored; none of it was sent.",
            registry=self._registry,
        )
        self._texts = Counter(
            "fhirmedia_texts_total",
            "Contents whose text was to be read, by what became of it.",
            ["format", "outcome"],
            registry=self._registry,
        )
        self._texts_waiting = Gauge(
            "fhirmedia_texts_waiting",
            "Contents whose words are not in the index yet.",
            registry=self._registry,
            multiprocess_mode="mostrecent",
        )
        self._audit_head, self._audit_attested = (
            Gauge(f"fhirmedia_audit_{name}", meaning, ["log"], registry=self._registry, multiprocess_mode="max")
            for name, meaning in (
                ("head", "Rows in the disclosure log of a worker."),
                ("attested", "Those of them that a signed checkpoint vouches for."),
            )
        )

        self._index = [
            Gauge(f"fhirmedia_{name}", meaning, registry=self._registry, multiprocess_mode="mostrecent")
            for name, meaning in (
                ("index_lag_seconds", "Age of the oldest change the search index has not taken in."),
                ("outbox_depth", "Changes the search index has not taken in."),
                ("index_dead_letters", "Resources the search index refused until they were given up."),
            )
        ]

    def answered(self, route: str, method: str, *, status: int, seconds: float) -> None:
        """Count one answer."""
        counters = self._counters.get((route, method, status))
        if counters is None:
            counters = (self._requests.labels(route, method, str(status)), self._seconds.labels(route))
            self._counters[route, method, status] = counters
        counters[0].inc()
        counters[1].observe(seconds)

    def text_read(self, format: str, outcome: str) -> None:
        """Count a content whose text was read, or could not be."""
        self._texts.labels(format, outcome).inc()

    async def watch(self, disclosures: Callable[[], tuple[str, int, int]]) -> None:
        """Show where the log of this worker ends (its name, its rows, those attested) until cancelled."""
        while True:
            log, rows, attested = disclosures()
            self._audit_head.labels(log).set(rows)
            self._audit_attested.labels(log).set(attested)
            await asyncio.sleep(WATCH_S)

    async def watch_texts(self, waiting: Callable[[], Awaitable[int]]) -> None:
        """Show how many contents wait for their text until cancelled."""
        while True:
            self._texts_waiting.set(await waiting())
            await asyncio.sleep(WATCH_S)

    async def watch_index(self, figures: Callable[[], tuple[float, int, int]]) -> None:
        """Show how far the index beside the database is behind (seconds, changes, dead letters) until cancelled."""
        while True:
            try:
                for gauge, figure in zip(self._index, figures(), strict=True):
                    gauge.set(figure)
            except Failure:
                log.warning("how far the search index is behind cannot be told at present")
            await asyncio.sleep(WATCH_INDEX_S)

    def page(self) -> bytes:
        """The text a scraper reads."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]  # the library types only part of itself
        return generate_latest(together)
