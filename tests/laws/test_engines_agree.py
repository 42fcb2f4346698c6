"""Law: the SQL index and the reference evaluator give the same resources, in the same order, with the same total."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from fhirmedia.access.grant import NarrowedQuery
from fhirmedia.backends.index_facets import SqlIndexCounts
from fhirmedia.backends.index_memory import MemoryIndex
from fhirmedia.backends.index_sql import SqlSearchIndex
from fhirmedia.ports.index import Hits, Page
from tests.laws.archives import Archive
from tests.laws.asking import Asker

STOCKHOLM = ZoneInfo("Europe/Stockholm")
ARCHIVES, CHANGES = 6, 35
EXAMPLES = min(5 * settings.default.max_examples, 5_000)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


@pytest.fixture(scope="module")
def engines(
    tmp_path_factory: pytest.TempPathFactory, runner: asyncio.Runner
) -> Iterator[list[tuple[Archive, SqlSearchIndex]]]:
    folder: Path = tmp_path_factory.mktemp("archives")
    archives = [Archive(folder / f"{seed}.db", seed=seed, size=CHANGES) for seed in range(ARCHIVES)]
    made = [(archive, SqlSearchIndex(archive.path, readers=1)) for archive in archives]
    yield made
    for _, engine in made:
        runner.run(engine.close())


async def walk(index: MemoryIndex | SqlSearchIndex, query: NarrowedQuery, page: Page) -> list[Hits]:
    pages, after = list[Hits](), page.after
    while True:
        hits = await index.search(query, page=Page(page.count, page.sort, after, page.total, page.total_limit))
        pages.append(hits)
        if hits.next is None:
            return pages
        after = hits.next


def test_both_engines_walk_the_same_pages(
    engines: list[tuple[Archive, SqlSearchIndex]],
    runner: asyncio.Runner,
    record_property: Callable[[str, object], None],
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
        wanted = runner.run(walk(content.oracle, narrowed, page))
        assert runner.run(walk(engine, narrowed, page)) == wanted
        found = sum(len(hits.keys) for hits in wanted)
        answers["none" if not found else "all" if found == len(content.current) else "some"] += 1

    agree()
    share = answers["some"] / answers.total()
    record_property("queries", answers.total())
    record_property("queries that return some but not all", f"{share:.0%}")
    assert share >= 0.3


def test_both_engines_count_the_same(
    engines: list[tuple[Archive, SqlSearchIndex]],
    runner: asyncio.Runner,
    record_property: Callable[[str, object], None],
) -> None:
    counted = Counter[str]()

    @settings(max_examples=EXAMPLES // 2)
    @given(st.integers(0, ARCHIVES - 1), st.integers(0, 2**64 - 1))
    def agree(archive: int, seed: int) -> None:
        content, engine = engines[archive]
        asked = Asker(seed)
        narrowed = asked.grant().narrow(asked.query(), types=asked.types())
        by, with_patients = asked.pick(("status", "odd", "year", "month", "nothing")), asked.pick((True, False))
        note(f"{by} {with_patients} {narrowed.query!r}")
        counts = SqlIndexCounts(engine, zone=STOCKHOLM)
        wanted = runner.run(content.oracle.buckets(narrowed, by=by, with_patients=with_patients))
        assert runner.run(counts.buckets(narrowed, by=by, with_patients=with_patients)) == wanted
        assert runner.run(counts.patients(narrowed)) == runner.run(content.oracle.patients(narrowed))
        counted["several" if len(wanted) > 1 else "one or none"] += 1

    agree()
    record_property("counts with several values", f"{counted['several'] / counted.total():.0%}")
    assert counted["several"] >= 0.2 * counted.total()
