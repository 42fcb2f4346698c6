"""The index of the audit follows the logs: at once, from any process, again from nothing, and within its time."""

import asyncio
import json
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fhirmedia.backends.audit_files import slot_logs
from fhirmedia.backends.audit_index_sql import AuditIndexSql
from fhirmedia.backends.chained_table import SqliteChainedLog
from fhirmedia.core.audit_chain import ChainedRow
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Facts, Key, Record
from fhirmedia.ports.index import Page
from fhirmedia.r4.checker import check
from fhirmedia.r4.query import EVERYTHING, All, DateTest, Match
from tests.audit.histories import URL, WIDE, fill, index_of, narrowed
from tests.audit.logs import NOON, SALT, a_disclosure, as_intruder, open_log, touch


async def test_events_are_found_as_soon_as_they_are_durable(tmp_path: Path) -> None:
    log, index = open_log(tmp_path), index_of(tmp_path)
    for number in range(1, 4):
        await log.append(a_disclosure("read", touch("Media/m", of=["anna"])).encode())
        hits = await index.search(narrowed(EVERYTHING), page=WIDE)
        assert hits.total == number
    await log.close()
    await index.close()


async def test_events_of_other_processes_are_found_once(tmp_path: Path) -> None:
    one, other = index_of(tmp_path), index_of(tmp_path)
    log = open_log(tmp_path)
    for _ in range(50):
        await log.append(a_disclosure("read", touch("Media/m", of=["anna"])).encode())
    done = await asyncio.gather(*(asyncio.to_thread(index.drain, seconds=10) for index in (one, other, one, other)))
    assert all(done)
    assert (await other.search(narrowed(EVERYTHING), page=WIDE)).total == 50
    for each in (log, one, other):
        await each.close()


class Overtaken:
    """A log whose reader is always overtaken by another process."""

    def __init__(self, log: SqliteChainedLog, other: AuditIndexSql) -> None:
        self._log = log
        self._other = other
        self.log_id = log.log_id

    def rows(self, *, after: int = 0) -> Iterator[ChainedRow]:
        rows = list(self._log.rows(after=after))
        self._other.drain(seconds=10)
        return iter(rows)

    def pick(self, sequences: Collection[int]) -> Iterator[ChainedRow]:
        return self._log.pick(sequences)


async def test_rows_another_process_indexed_meanwhile_are_left_alone(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    for _ in range(20):
        await log.append(a_disclosure("read", touch("Media/m", of=["anna"])).encode())
    await log.close()
    other = index_of(tmp_path)
    index = AuditIndexSql(
        tmp_path / "index.db",
        logs=lambda: [Overtaken(each, other) for each in slot_logs(tmp_path)],
        base_url=URL,
        seconds=10,
    )
    assert (await index.search(narrowed(EVERYTHING), page=WIDE)).total == 20
    await index.close()
    await other.close()


class Counted:
    """A log that notes how many rows were taken each time somebody read on."""

    def __init__(self, log: SqliteChainedLog, taken: list[int]) -> None:
        self._log = log
        self._taken = taken
        self.log_id = log.log_id

    def rows(self, *, after: int = 0) -> Iterator[ChainedRow]:
        self._taken.append(0)
        for row in self._log.rows(after=after):
            self._taken[-1] += 1
            yield row

    def pick(self, sequences: Collection[int]) -> Iterator[ChainedRow]:
        return self._log.pick(sequences)


@pytest.mark.parametrize(("touched", "most"), [(1, 250), (1_000, 5)])
async def test_rows_that_name_many_are_brought_in_a_few_at_a_time(tmp_path: Path, touched: int, most: int) -> None:
    """A search of a page of a thousand is a row; hundreds of them at once took as many megabytes."""
    taken: list[int] = []
    log = open_log(tmp_path)
    page = a_disclosure("search-type", *(touch(f"Media/m{number}", of=[f"p{number}"]) for number in range(touched)))
    await asyncio.gather(*(log.append(page.encode()) for _ in range(300 if touched == 1 else 12)))
    await log.close()
    index = AuditIndexSql(
        tmp_path / "index.db",
        logs=lambda: [Counted(each, taken) for each in slot_logs(tmp_path)],
        base_url=URL,
        seconds=10,
    )
    assert index.drain(seconds=60)
    await index.close()
    assert max(taken) <= most
    assert sum(taken) == (300 if touched == 1 else 12)


async def test_records_are_projected_with_their_facts(tmp_path: Path) -> None:
    log, index = open_log(tmp_path), index_of(tmp_path)
    disclosure = a_disclosure("search-type", touch("Media/m", of=["anna", "bo"]), user="Patient/ce")
    await log.append(disclosure.encode(), SALT + b"GET /fhir/Media")
    keys = [Key("AuditEvent", name) for name in ("disclosures-0-1-2", "x", "disclosures-0-1-3", "disclosures-9-1-1")]
    first, *others = await index.read([*keys, Key("Media", "disclosures-0-1-1"), keys[0]])
    assert others == [None, None, None, None, first]
    assert first == Record(keys[0], 1, 1, NOON, "create", first.body if first else None, Facts(patients=("bo", "ce")))
    assert first.body is not None
    event = json.loads(first.body)
    assert check(event, type="AuditEvent") == []
    assert event["id"] == "disclosures-0-1-2"
    await log.close()
    await index.close()


async def test_index_can_be_thrown_away(tmp_path: Path) -> None:
    await fill(tmp_path)
    index = index_of(tmp_path)
    before = await index.search(narrowed(EVERYTHING), page=WIDE)
    await index.close()
    (tmp_path / "index.db").unlink()
    again = index_of(tmp_path)
    assert await again.search(narrowed(EVERYTHING), page=WIDE) == before
    await again.close()
    with closing(sqlite3.connect(tmp_path / "index.db")) as connection:
        connection.execute("PRAGMA user_version=99")
    later = index_of(tmp_path)
    assert await later.search(narrowed(EVERYTHING), page=WIDE) == before
    await later.close()


async def test_row_that_was_tampered_with_hides_no_other(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    for _ in range(3):
        await log.append(a_disclosure("read", touch("Media/m")).encode())
    await log.close()
    with as_intruder(log.path) as connection:
        connection.execute("UPDATE audit_row SET disclosure = x'00' WHERE sequence = 2")
    index = index_of(tmp_path)
    hits = await index.search(narrowed(EVERYTHING), page=WIDE)
    assert [key.id for key in hits.keys] == ["disclosures-0-1-1", "disclosures-0-3-1"]
    await index.close()


async def test_search_that_takes_too_long_is_refused(tmp_path: Path) -> None:
    await fill(tmp_path)
    log = open_log(tmp_path)
    await asyncio.gather(*(log.append(a_disclosure().encode()) for _ in range(500)))
    await log.close()
    index = index_of(tmp_path, seconds=0)
    with pytest.raises(Failure) as refused:
        await index.search(narrowed(EVERYTHING), page=WIDE)
    assert refused.value.category is Category.UNAVAILABLE  # nothing is left out silently
    assert await asyncio.to_thread(index.drain, seconds=10)
    slow = All(tuple(Match("date", (DateTest("ne", at, at + 1),)) for at in range(100)))
    with pytest.raises(Failure) as refused:
        await index.search(narrowed(slow), page=WIDE)
    assert refused.value.category is Category.TOO_COSTLY
    await index.close()


async def test_catching_up_goes_on_where_it_stopped(tmp_path: Path) -> None:
    log, index = open_log(tmp_path), index_of(tmp_path)
    await asyncio.gather(*(log.append(a_disclosure().encode()) for _ in range(2_500)))
    await log.close()
    rounds = 1
    while not await asyncio.to_thread(index.drain, seconds=0):
        rounds += 1
    assert 5 <= rounds <= 15
    assert (await index.search(narrowed(EVERYTHING), page=Page(1, total="accurate"))).total == 2_500
    await index.close()
