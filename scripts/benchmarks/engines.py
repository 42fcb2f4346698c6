"""`scripts/bench search --engine both`: our server with Elasticsearch beside the raw searches and our server without.

Elasticsearch is started for the run, filled from the prepared folder, and ended. The server without it is started
first: as it starts it lets go of every index of the folder, so that each run fills a new one.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from scripts.benchmarks.corpus import UNITS
from scripts.benchmarks.engine_filling import Filled, filled, part_row
from scripts.benchmarks.engine_lag import lag_row
from scripts.benchmarks.engine_node import PREFIX, address_of, asked, bytes_each, elasticsearch
from scripts.benchmarks.engine_recorder import recorder
from scripts.benchmarks.engine_searches import Raw, measured, recorded, works
from scripts.benchmarks.prepare import BASE, folder_of, read_once
from scripts.benchmarks.rows import Row, report
from scripts.benchmarks.search_requests import Drawn
from scripts.benchmarks.servers import PEER_LOG, PORT, Running, authorization, fhirmedia
from scripts.real_servers.elastic import Node

BYTES_EACH = 1024
_PUBLIC = {"FHIRMEDIA_PUBLIC_URL": BASE.removesuffix("/fhir")}
"""Two servers on one folder answer under one address."""


def engines(sizes: Sequence[int], *, only: Sequence[str] | None, json_file: str | None) -> int:
    """Measure, print, and (with a file) keep the rows."""
    return report((row for size in sizes for row in _rows(size, only)), json_file=json_file)


def _rows(size: int, only: Sequence[str] | None) -> Iterator[Row]:
    folder = read_once(folder_of(size))
    with fhirmedia(folder, port=PORT + 2, log_file=PEER_LOG, environment=_PUBLIC) as database, elasticsearch() as node:
        environment = {**_PUBLIC, "FHIRMEDIA_INDEX": address_of(node)}
        found = filled(folder, node, environment)
        if only is None or "filling" in only:
            yield from found.rows(size)
            yield part_row(folder, address_of(node))
        if only is None or "size" in only:
            yield _size_row(node, found, size)
        if only is None or "searches" in only:
            yield from _search_rows(size, node, found, database)
        if only is None or "lag" in only:
            with fhirmedia(folder, environment=environment) as ours:
                yield lag_row(size, ours, node, found.generation, {"Authorization": authorization(folder)})
                said = f"{ours.rss_mib:.0f} MiB"
                yield Row("RSS of the server that indexes, after that", said, "", None)
        if only is None or "size" in only:
            asked(node, "POST", f"/{PREFIX}-{found.generation}-*/_forcemerge?max_num_segments=1")
            each, number = bytes_each(node, found.generation)
            yield Row("the same, merged into one segment", f"{each:.0f} bytes of {number:,}", "", None)


def _size_row(node: Node, found: Filled, size: int) -> Row:
    each, number = bytes_each(node, found.generation)
    work = f"size on disk per document, {size:,}"
    return Row(work, f"{each:.0f} bytes of {number:,}", f"≤ {BYTES_EACH:,} bytes", each <= BYTES_EACH)


def _search_rows(size: int, node: Node, found: Filled, database: Running) -> Iterator[Row]:
    """First what our engine sends is written down, by a server of ours that asks through a recorder."""
    folder, drawn = read_once(folder_of(size)), Drawn(size)
    everywhere = {"Authorization": authorization(folder)}
    of_units = {"Authorization": authorization(folder, units=UNITS[:5])}
    # Each search is asked by two sides.
    settings = {"index.requests.cache.enable": False}
    asked(node, "PUT", f"/{PREFIX}-{found.generation}-*/_settings", settings)
    with recorder(node.port) as recording:
        through = {**_PUBLIC, "FHIRMEDIA_INDEX": address_of(node, port=recording.port)}
        with fhirmedia(folder, environment=through) as server:
            asked_for = works(drawn, everywhere, of_units)
            turns = [(work, recorded(work, server.port, recording)) for work in asked_for]
    with ExitStack() as stack:
        ours = stack.enter_context(fhirmedia(folder, environment={**_PUBLIC, "FHIRMEDIA_INDEX": address_of(node)}))
        raw = stack.enter_context(Raw(address_of(node)))
        for work, each in turns:
            yield measured(work, each, ours=ours, database=database, raw=raw)
