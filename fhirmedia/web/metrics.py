"""What `/metrics` shows: requests, their time, and what custody wants watched. Labels hold no ids."""

import os
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


def share_metrics(folder: Path) -> None:
    """Let all workers of a folder count together; called before the first metric is made."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)


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
        self.audit_head = Gauge(
            "fhirmedia_audit_head", "Rows in the disclosure log of a worker.", ["log"],
            registry=self._registry, multiprocess_mode="max",
        )  # fmt: skip

    def answered(self, route: str, method: str, *, status: int, seconds: float) -> None:
        """Count one answer."""
        counters = self._counters.get((route, method, status))
        if counters is None:
            counters = (self._requests.labels(route, method, str(status)), self._seconds.labels(route))
            self._counters[route, method, status] = counters
        counters[0].inc()
        counters[1].observe(seconds)

    def page(self) -> bytes:
        """The text a scraper reads."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]  # the library types only part of itself
        return generate_latest(together)
