"""Law: Elasticsearch and the reference evaluator give the same resources, in the same order, with the same total."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from fhirmedia.access.grant import NarrowedQuery
from fhirmedia.backends.elastic.engine import ElasticEngine
from fhirmedia.backends.index_memory import MemoryIndex
from fhirmedia.core.index_address import parse_index_address
from fhirmedia.ports.documents import DocumentChange
from fhirmedia.ports.index import Hits, Page
from tests.contracts.beside import Beside, filled
from tests.laws.archives import TYPES, Archive
from tests.laws.asking import Asker
from tests.laws.shapes import FixedShape

pytestmark = pytest.mark.services

STOCKHOLM = ZoneInfo("Europe/Stockholm")
ARCHIVES, CHANGES = 2, 40
EXAMPLES = min(settings.default.max_examples, 2_000)

Stocked = list[tuple[Archive, Beside]]


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


@pytest.fixture(scope="module")
def engines(
    tmp_path_factory: pytest.TempPathFactory, runner: asyncio.Runner, module_index_address: str
) -> Iterator[Stocked]:
    folder: Path = tmp_path_factory.mktemp("archives")
    engine = ElasticEngine(parse_index_address(module_index_address), FixedShape(STOCKHOLM), budget_s=10)
    archives = [Archive(folder / f"{seed}.db", seed=seed, size=CHANGES) for seed in range(ARCHIVES)]
    yield [(archive, runner.run(stocked(engine, f"a{seed}", archive))) for seed, archive in enumerate(archives)]
    runner.run(engine.close())


async def stocked(engine: ElasticEngine, generation: str, archive: Archive) -> Beside:
    changes = [DocumentChange(record, record.sequence, entries) for record, entries in archive.current.values()]
    return Beside(await filled(engine, generation, changes), archive.oracle, TYPES)


async def walk(index: MemoryIndex | Beside, query: NarrowedQuery, page: Page) -> list[Hits]:
    pages, after = list[Hits](), page.after
    while True:
        hits = await index.search(query, page=Page(page.count, page.sort, after, page.total, page.total_limit))
        pages.append(hits)
        if hits.next is None:
            return pages
        after = hits.next


def test_the_same_pages(
    engines: Stocked, runner: asyncio.Runner, record_property: Callable[[str, object], None]
) -> None:
    answers = Counter[str]()

    @settings(max_examples=EXAMPLES)
    @given(st.integers(0, ARCHIVES - 1), st.integers(0, 2**64 - 1))
    def agree(archive: int, seed: int) -> None:
        content, engine = engines[archive]
        asked = Asker(seed)
        query, page = asked.search()
        narrowed = asked.grant().narrow(query, types=asked.types())
        note(f"{narrowed.query!r}\n{page!r}")
        wanted = asyncio.run(walk(content.oracle, narrowed, page))
        assert runner.run(walk(engine, narrowed, page)) == wanted
        found = sum(len(hits.keys) for hits in wanted)
        answers["none" if not found else "all" if found == len(content.current) else "some"] += 1

    agree()
    share = answers["some"] / answers.total()
    record_property("queries", answers.total())
    record_property("queries that return some but not all", f"{share:.0%}")
    assert share >= 0.3


def test_the_same_counts(
    engines: Stocked, runner: asyncio.Runner, record_property: Callable[[str, object], None]
) -> None:
    counted = Counter[str]()

    @settings(max_examples=EXAMPLES // 2)
    @given(st.integers(0, ARCHIVES - 1), st.integers(0, 2**64 - 1))
    def agree(archive: int, seed: int) -> None:
        content, engine = engines[archive]
        asked = Asker(seed)
        narrowed = asked.grant().narrow(asked.query(), types=asked.types())
        by, with_patients = asked.pick(("status", "odd", "year", "month")), asked.pick((True, False))
        note(f"{by} {with_patients} {narrowed.query!r}")
        wanted = asyncio.run(content.oracle.buckets(narrowed, by=by, with_patients=with_patients))
        assert runner.run(engine.buckets(narrowed, by=by, with_patients=with_patients)) == wanted
        spans = runner.run(engine.divisions(narrowed, by=(by, "year"), with_patients=with_patients))
        oracle = content.oracle.divisions(narrowed, by=(by, "year"), with_patients=with_patients)
        assert spans == asyncio.run(oracle)
        assert runner.run(engine.patients(narrowed)) == asyncio.run(content.oracle.patients(narrowed))
        counted["several" if len(wanted) > 1 else "one or none"] += 1

    agree()
    record_property("counts with several values", f"{counted['several'] / counted.total():.0%}")
    assert counted["several"] >= 0.2 * counted.total()
