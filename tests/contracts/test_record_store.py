"""What every record store must do, whoever built it: SQLite today."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fhirmedia.access.grant import ACTIONS, Grant, Rule
from fhirmedia.backends.chained_table import CHANGES, ChangeChain, SqliteChainedLog
from fhirmedia.backends.folder import make_folder
from fhirmedia.backends.index_rows import IndexWriter
from fhirmedia.backends.records_sql import SqliteRecordStore
from fhirmedia.backends.records_transaction import TransactionParts
from fhirmedia.core.audit_chain import GENESIS, ChainedRow, chain_hash
from fhirmedia.core.digests import digest_of
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Facts, Key, Method, Record
from fhirmedia.ports.changes import ChangePage, Changes
from fhirmedia.ports.index import Page
from fhirmedia.ports.records import Blob, Content, Draft, RecordStore, RecordTransaction
from fhirmedia.r4.codec import prepare
from fhirmedia.r4.json_types import JsonObject
from fhirmedia.r4.query import EVERYTHING, All, Match, OfType, UriTest
from fhirmedia.r4.values import IndexEntries, UriValue

NOON = 1_700_000_000_000
FULL = Grant((Rule(frozenset(ACTIONS), frozenset({"Media"}), EVERYTHING),))


class Hand:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> int:
        return self.now


@dataclass(frozen=True, slots=True)
class Opened:
    """A store, its clock, its log of changes, and how another process would open the same."""

    store: RecordStore
    clock: Hand
    changes: Callable[[], list[ChainedRow]]
    again: Callable[[], RecordStore]


def open_sqlite(place: Path) -> Opened:
    folder = make_folder(place / "data", timezone="Europe/Stockholm")
    clock = Hand()

    def again() -> RecordStore:
        parts = TransactionParts(IndexWriter(), ChangeChain())
        return SqliteRecordStore(
            folder.records, lock_file=folder.write_lock, parts=parts, clock=clock, on_broken=unexpected
        )

    return Opened(again(), clock, lambda: list(SqliteChainedLog(CHANGES, [(1, folder.records)]).rows()), again)


BACKENDS = {"sqlite": open_sqlite}


def unexpected() -> None:
    raise AssertionError("the store called its storage broken")


@pytest.fixture(params=BACKENDS)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    found = BACKENDS[request.param](tmp_path)
    yield found
    asyncio.run(found.store.close())


@pytest.fixture
def store(opened: Opened) -> RecordStore:
    return opened.store


def a_draft(
    identity: str, text: str = "one", *, method: Method = "create", content: Content | None = None, **facts: object
) -> Draft:
    key = Key("Media", identity)
    resource: JsonObject = {"resourceType": "Media", "status": text}
    entries = IndexEntries(key, {"status": (UriValue(text),)})
    stated = Facts(**facts)  # type: ignore[arg-type]  # a test names the facts it wants
    if method == "delete":
        return Draft(key, method, None, stated, None)
    return Draft(key, method, prepare(resource), stated, entries, content)


def putting(*drafts: Draft) -> Callable[[RecordTransaction], list[Record]]:
    """Work that writes drafts, each with a row in the log of changes."""

    def work(transaction: RecordTransaction) -> list[Record]:
        records = [transaction.put(draft) for draft in drafts]
        transaction.audit(f"{[f'{each.key} {each.version}' for each in records]}".encode())
        return records

    return work


def every(_key: Key, _facts: Facts) -> bool:
    return True


async def test_versions_count_from_one_and_are_all_kept(store: RecordStore) -> None:
    key = Key("Media", "m")
    assert await store.read([key]) == [None]
    assert await store.version(key, 1) is None
    methods: tuple[Method, ...] = ("create", "update", "delete", "update")
    written = [(await store.write(putting(a_draft("m", f"t{at}", method=how))))[0] for at, how in enumerate(methods)]
    assert [record.version for record in written] == [1, 2, 3, 4]
    assert [record.sequence for record in written] == [1, 2, 3, 4]
    assert [record.deleted for record in written] == [False, False, True, False]
    assert await store.read([key, Key("Media", "other"), key]) == [written[-1], None, written[-1]]
    assert [await store.version(key, number) for number in (1, 2, 3, 4, 5)] == [*written, None]
    assert await store.changes(ChangePage([key], every, before=2**62, count=100)) == Changes(written[::-1], None, 4)
    assert await store.changes(ChangePage([key], every, before=3, count=1)) == Changes([written[1]], 2, 2)


async def test_ids_are_compared_exactly(store: RecordStore) -> None:
    awkward = ["a", "A", "a.", "-", "." * 64, "0", "00", "a-1", "A-1"]
    await store.write(putting(*(a_draft(identity, identity) for identity in awkward)))
    for identity in awkward:
        (found,) = await store.read([Key("Media", identity)])
        assert found is not None
        assert found.key.id == identity
    assert await store.read([Key("media", "a"), Key("Patient", "a"), Key("Media", "a' OR '1'='1")]) == [None] * 3


async def test_many_at_once_are_numbered_without_gaps(opened: Opened) -> None:
    results = await asyncio.gather(*(opened.store.write(putting(a_draft(f"m{at}"))) for at in range(300)))
    assert sorted(record.sequence for (record,) in results) == list(range(1, 301))
    assert_chained(opened.changes(), 300)


async def test_one_that_fails_takes_nobody_with_it(opened: Opened) -> None:
    def failing(transaction: RecordTransaction) -> None:
        putting(a_draft("lost"), a_draft("lost", "two", method="update"))(transaction)
        raise Failure(Category.CONFLICT, "no")

    def write(number: int) -> "asyncio.Future[object]":
        work = failing if number % 3 == 0 else putting(a_draft(f"m{number}"))
        return asyncio.ensure_future(opened.store.write(work))

    results = await asyncio.gather(*map(write, range(90)), return_exceptions=True)
    kept = [result[0] for result in results if isinstance(result, list)]
    assert sum(isinstance(result, Failure) for result in results) == 30
    assert sorted(record.sequence for record in kept) == list(range(1, 61))
    assert await opened.store.read([Key("Media", "lost")]) == [None]
    assert_chained(opened.changes(), 60)


async def test_what_a_work_raises_is_what_its_caller_gets(store: RecordStore) -> None:
    class Odd(Exception):
        pass

    def odd(transaction: RecordTransaction) -> None:
        transaction.put(a_draft("m"))
        raise Odd

    with pytest.raises(Odd):
        await store.write(odd)
    assert await store.read([Key("Media", "m")]) == [None]
    assert (await store.write(putting(a_draft("m"))))[0].sequence == 1


@pytest.mark.parametrize("error", [MemoryError, sqlite3.IntegrityError])
async def test_after_a_work_that_breaks_the_transaction_others_go_on(
    store: RecordStore, error: type[Exception]
) -> None:
    def breaking(transaction: RecordTransaction) -> None:
        transaction.put(a_draft("lost"))
        raise error

    with pytest.raises((Failure, MemoryError)):
        await store.write(breaking)
    (record,) = await store.write(putting(a_draft("m")))
    assert (record.sequence, record.version) == (1, 1)
    assert await store.read([Key("Media", "lost")]) == [None]


async def test_inside_a_work_its_own_writes_are_seen(store: RecordStore) -> None:
    def work(transaction: RecordTransaction) -> list[Record | None]:
        before = transaction.current(Key("Media", "m"))
        first = transaction.put(a_draft("m", "one"))
        second = transaction.put(a_draft("m", "two", method="update"))
        return [before, first, second, transaction.current(Key("Media", "m"))]

    before, first, second, seen = await store.write(work)
    assert before is None
    assert first is not None
    assert second == seen
    assert (first.version, second.version if second else 0) == (1, 2)


async def test_inside_a_work_searches_find_what_it_wrote(store: RecordStore) -> None:
    """And what is undone is not found afterwards, nor is what has become something else, or was deleted."""
    found: list[tuple[Key, ...]] = []

    def looking(status: str, *drafts: Draft) -> Callable[[RecordTransaction], None]:
        def work(transaction: RecordTransaction) -> None:
            for draft in drafts:
                transaction.put(draft)
            query = All((OfType(frozenset({"Media"})), Match("status", (UriTest("exact", status),))))
            narrowed = FULL.narrow(query, types=["Media"])
            hits = transaction.search(narrowed, page=Page(5, total="accurate"))
            assert hits.total == len(hits.keys)
            found.append(hits.keys)
            if "undone" in [draft.key.id for draft in drafts]:
                raise ValueError

        return work

    one, other = Key("Media", "one"), Key("Media", "other")
    await store.write(putting(a_draft("one", "new")))
    await store.write(looking("new", a_draft("other", "new")))
    with pytest.raises(ValueError):
        await store.write(looking("new", a_draft("undone", "new")))
    await store.write(looking("new", a_draft("one", "old", method="update")))
    await store.write(looking("old", a_draft("other", method="delete")))
    await store.write(looking("new"))
    assert [set(keys) for keys in found] == [{one, other}, {one, other, Key("Media", "undone")}, {other}, {one}, set()]


async def test_time_never_goes_back(opened: Opened) -> None:
    times = []
    for now in (NOON, NOON - 60_000, NOON + 5, NOON + 4):
        opened.clock.now = now
        times.append((await opened.store.write(putting(a_draft("m", f"{now}", method="update"))))[0].changed_at)
    assert times == [NOON, NOON, NOON + 5, NOON + 5]


async def test_contents_and_who_refers_to_them(store: RecordStore) -> None:
    blob = Blob(digest_of(b"abc"), 3, b"\1" * 20, (7, 8))
    content = Content("image/png", blob)
    await store.write(putting(a_draft("m", content=content, owner="me")))
    assert await store.content("m", 1) == content
    assert await store.content("m", 2) is None
    assert await store.referrers("m") == []
    first, second = await store.write(putting(a_draft("r1", binaries=("m",)), a_draft("r2", binaries=("m", "n"))))
    await store.write(putting(a_draft("r1", "two", method="update")))
    assert {(each.key.id, each.version) for each in await store.referrers("m")} == {("r1", 1), ("r2", 1)}
    assert [each.facts for each in await store.referrers("n")] == [second.facts]
    assert first.facts.binaries == ("m",)


async def test_a_waiter_that_goes_away_leaves_the_group_alone(opened: Opened) -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow(transaction: RecordTransaction) -> list[Record]:
        entered.set()
        leave.wait(10)
        return putting(a_draft("slow"))(transaction)

    given_up = asyncio.create_task(opened.store.write(slow))
    await asyncio.to_thread(entered.wait, 10)
    others = [asyncio.create_task(opened.store.write(putting(a_draft(f"m{at}")))) for at in range(5)]
    await asyncio.sleep(0)
    given_up.cancel()
    leave.set()
    results = await asyncio.gather(*others)
    assert sorted(record.sequence for (record,) in results) == [2, 3, 4, 5, 6]
    assert_chained(opened.changes(), 6)


async def test_two_stores_on_the_same_records(opened: Opened) -> None:
    other = opened.again()
    try:
        both = (opened.store, other)
        works = [
            store.write(putting(a_draft("shared", f"{at}", method="update"))) for at in range(40) for store in both
        ]
        records = [record for (record,) in await asyncio.gather(*works)]
        assert sorted(record.sequence for record in records) == list(range(1, 81))
        assert sorted(record.version for record in records) == list(range(1, 81))
        assert await other.read([Key("Media", "shared")]) == await opened.store.read([Key("Media", "shared")])
    finally:
        await other.close()
    assert_chained(opened.changes(), 80)


async def test_what_is_closed_refuses(tmp_path: Path) -> None:
    opened = open_sqlite(tmp_path)
    waiting = [asyncio.create_task(opened.store.write(putting(a_draft(f"m{at}")))) for at in range(20)]
    await asyncio.sleep(0)
    await opened.store.close()
    assert len(await asyncio.gather(*waiting)) == 20
    with pytest.raises(Failure) as refused:
        await opened.store.write(putting(a_draft("late")))
    assert refused.value.category is Category.UNAVAILABLE


def assert_chained(rows: list[ChainedRow], count: int) -> None:
    assert [row.sequence for row in rows] == list(range(1, count + 1))
    head = GENESIS
    for row in rows:
        assert row.previous == head
        assert chain_hash(CHANGES, row.sequence, head, row.disclosure) == row.hash
        head = row.hash
