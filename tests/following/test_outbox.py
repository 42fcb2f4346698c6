"""The outbox: a row for each changed Key, in the transaction of the change, under a number that only rises."""

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from fhirmedia.backends.chained_table import ChangeChain
from fhirmedia.backends.folder import make_folder
from fhirmedia.backends.following import generations, outbox_work
from fhirmedia.backends.following.outbox import Outbox
from fhirmedia.backends.following.outbox_rows import OutboxRows
from fhirmedia.backends.index_rows import IndexWriter
from fhirmedia.backends.maintenance_sql import SqliteUpkeepTransaction
from fhirmedia.backends.records_sql import SqliteRecordStore
from fhirmedia.backends.records_transaction import TransactionParts
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Facts, Key, Method
from fhirmedia.ports.records import Draft
from fhirmedia.r4.codec import prepare
from fhirmedia.r4.values import IndexEntries

NOON = 1_700_000_000_000
A, B = Key("Media", "a"), Key("Media", "b")


class House:
    """A store with its clock, its outbox and how often it rang."""

    def __init__(self, path: Path) -> None:
        folder = make_folder(path, timezone="Europe/Stockholm")
        self.now, self.rung = NOON, 0
        parts = TransactionParts(IndexWriter(), ChangeChain(), OutboxRows(self._ring))
        self.path = folder.records
        self.store = SqliteRecordStore(
            self.path, lock_file=folder.write_lock, parts=parts, clock=lambda: self.now, on_broken=lambda: None
        )
        self.outbox = Outbox(self.path)

    def _ring(self) -> None:
        self.rung += 1

    async def follow(self) -> None:
        types = frozenset({"Media", "Patient"})
        await self.beside(lambda connection: generations.begin(connection, "g", fingerprint="f", types=types, now=1))

    async def beside(self, work):  # type: ignore[no-untyped-def]  # it takes any work
        return await self.store.write(lambda transaction: transaction.beside(work))

    async def put(self, key: Key, patients: Sequence[str] = ("p",), *, method: Method = "update", **facts: str) -> None:
        stated = Facts(patients=tuple(patients), **facts)  # type: ignore[arg-type]  # keywords of any type
        body = None if method == "delete" else prepare({"resourceType": key.type})
        entries = None if method == "delete" else IndexEntries(key, {})
        await self.store.write(lambda transaction: transaction.put(Draft(key, method, body, stated, entries)))

    def rows(self, columns: str) -> list[tuple]:
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(f"SELECT {columns} FROM index_outbox ORDER BY number").fetchall()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path / "data")
    yield made
    made.outbox.close()
    await made.store.close()


async def test_nothing_is_written_while_nothing_follows(house: House) -> None:
    await house.put(A)
    assert (house.rows("number"), house.rung) == ([], 0)
    await house.follow()
    await house.put(Key("Encounter", "e"))
    assert (house.rows("number"), house.rung) == ([], 0)
    await house.put(A)
    assert (house.rows("number, type, id"), house.rung) == ([(1, "Media", "a")], 1)
    await house.beside(lambda connection: generations.unfollow(connection, now=2))
    await house.put(A)
    assert (house.rows("number"), house.rung) == ([], 1)


async def test_a_later_change_takes_the_place_under_a_higher_number(house: House) -> None:
    await house.follow()
    await house.put(A)
    await house.put(B)
    house.now += 500
    await house.put(A)
    assert house.rows("number, id, since") == [(2, "b", NOON), (3, "a", NOON)]
    await house.beside(lambda connection: outbox_work.done(connection, [2, 3]))
    assert (house.rows("number"), house.outbox.newest()) == ([], 3)
    await house.put(A, method="delete")
    assert house.rows("number, since") == [(4, NOON + 500)]


async def test_a_refused_work_leaves_no_row(house: House) -> None:
    await house.follow()

    def refused(transaction: SqliteUpkeepTransaction) -> None:
        transaction.put(Draft(A, "update", prepare({"resourceType": "Media"}), Facts(), IndexEntries(A, {})))
        raise Failure(Category.CONFLICT, "no")

    with pytest.raises(Failure):
        await house.store.write(refused)
    assert (house.rows("number"), house.rung) == ([], 0)


async def test_facts_that_change_are_marked_until_the_index_has_them(house: House) -> None:
    await house.follow()
    await house.put(A, unit="derm")
    await house.put(B, unit="derm")
    assert house.outbox.moved(limit=9) == []
    await house.put(A, unit="eyes")
    await house.put(A, unit="eyes")
    assert house.outbox.moved(limit=9) == [A]
    await house.beside(lambda connection: outbox_work.done(connection, [4]))
    assert house.outbox.moved(limit=9) == []
    await house.put(B, method="delete", unit="derm")
    assert house.outbox.moved(limit=9) == [B]


async def test_facts_made_anew_are_a_change_without_a_version(house: House) -> None:
    await house.put(A)
    await house.follow()

    def correct(transaction: SqliteUpkeepTransaction) -> None:
        record = transaction.current(A)
        assert record is not None
        transaction.correct(type(record)(*(getattr(record, name) for name in _FIELDS), Facts(unit="u")), None)

    await house.store.write(correct)
    assert house.rows("number, id, moved") == [(1, "a", 1)]


_FIELDS = ("key", "version", "sequence", "changed_at", "method", "body")


async def test_what_waits_about_a_patient_is_found_by_both_it_was_about(house: House) -> None:
    await house.follow()
    await house.put(A, ("p1",))
    await house.put(B, ("p3",))
    await house.put(A, ("p2",))
    assert house.outbox.of_patients(["p1"], limit=9) == [(3, False)]
    assert house.outbox.of_patients(["p2", "p1"], limit=9) == [(3, False)]
    assert house.outbox.of_patients(["p3", "p4"], limit=9) == [(2, False)]
    await house.beside(lambda connection: outbox_work.done(connection, [3]))
    assert house.outbox.of_patients(["p1", "p2"], limit=9) == []


async def test_claims_are_anothers_no_more_than_once_and_end(house: House) -> None:
    await house.follow()
    for each in "abcde":
        await house.put(Key("Media", each))

    async def claim(worker: str, limit: int = 9, until: int = 1000) -> list[int]:
        now = house.now
        return await house.beside(
            lambda connection: outbox_work.claim(connection, worker, now=now, until=now + until, limit=limit)
        )

    assert await claim("one", 2) == [1, 2]
    assert await claim("two", 2) == [3, 4]
    await house.put(Key("Media", "a"))
    assert await claim("two") == [5, 6]
    await house.beside(lambda connection: outbox_work.done(connection, [1, 2]))
    assert house.rows("number, id") == [(3, "c"), (4, "d"), (5, "e"), (6, "a")]
    assert await claim("three") == []
    await house.beside(lambda connection: outbox_work.release(connection, [4]))
    assert await claim("three") == [4]
    assert set(await house.beside(outbox_work.claimants)) == {"two", "three"}
    house.now += 1000
    assert await claim("three") == [3, 4, 5, 6]
    await house.beside(lambda connection: outbox_work.release_all_of(connection, "three"))
    assert await claim("four") == [3, 4, 5, 6]


async def test_what_is_refused_is_tried_later_and_given_up_in_the_end(house: House) -> None:
    await house.follow()
    await house.put(A)
    for attempt in range(outbox_work.MOST_ATTEMPTS):
        assert house.outbox.backlog(now=house.now).dead == 0
        now = house.now
        (number,) = await house.beside(lambda c, now=now: outbox_work.claim(c, "w", now=now, until=now + 9, limit=9))
        await house.beside(lambda c, n=number, now=now: outbox_work.refused(c, {n: "too deep"}, now=now))
        house.now += 1000 * 2**attempt - 1
        late = house.now
        assert await house.beside(lambda c, now=late: outbox_work.claim(c, "w", now=now, until=now, limit=9)) == []
        house.now += 1
    backlog = house.outbox.backlog(now=house.now)
    assert (backlog.depth, backlog.lag_ms, backlog.dead) == (0, 0, 1)
    assert [(each.key, each.reason, each.since) for each in house.outbox.dead(limit=9)] == [(A, "too deep", NOON)]
    assert house.outbox.of_patients(["p"], limit=9) == [(1, True)]
    with pytest.raises(Failure, match="1 records could not be indexed"):
        await house.beside(generations.require_no_dead)
    assert await house.beside(lambda c: outbox_work.retry_dead(c, B)) == 0
    assert await house.beside(lambda c: outbox_work.retry_dead(c, A)) == 1
    assert house.outbox.backlog(now=house.now).depth == 1
    await house.beside(generations.require_no_dead)


async def test_the_lag_is_the_age_of_the_oldest(house: House) -> None:
    await house.follow()
    assert house.outbox.lag(now=house.now) == (0, 0)
    await house.put(A)
    house.now += 700
    await house.put(B)
    await house.put(A)
    assert house.outbox.lag(now=NOON + 1000) == (1000, 0)
    assert house.outbox.waits_since(NOON)
    assert not house.outbox.waits_since(NOON - 1)


async def test_records_can_be_let_in_anew(house: House) -> None:
    await house.follow()
    await house.put(A, unit="u1")
    await house.put(A, unit="u2")
    await house.beside(lambda connection: outbox_work.enqueue(connection, [A, B], now=NOON + 5))
    assert house.rows("number, id, moved, since") == [(2, "a", 1, NOON), (3, "b", 0, NOON + 5)]
    # They are found by their Patients as well, so that what is refused of a filling is not missed by one's searches.
    await house.beside(lambda connection: outbox_work.done(connection, [2, 3]))
    assert house.outbox.of_patients(["p"], limit=9) == []
    await house.beside(lambda connection: outbox_work.enqueue(connection, [A], now=NOON))
    assert house.outbox.of_patients(["p"], limit=9) == [(4, False)]


async def test_what_another_filling_has_taken_is_no_dead_letter(house: House) -> None:
    await house.follow()
    await house.put(A)
    await house.beside(lambda connection: connection.execute("UPDATE index_outbox SET is_dead = 1"))
    await house.beside(lambda connection: outbox_work.revive(connection, [B]))
    assert house.outbox.backlog(now=NOON).dead == 1
    await house.beside(lambda connection: outbox_work.revive(connection, [A, B]))
    backlog = house.outbox.backlog(now=NOON)
    assert (backlog.dead, backlog.depth) == (0, 1)


async def test_a_clock_that_was_set_back_hides_nothing_that_waits(house: House) -> None:
    await house.follow()
    assert house.outbox.moment(now=NOON - 5000) == NOON - 5000
    await house.put(A)
    assert house.outbox.moment(now=NOON - 5000) == NOON
    assert house.outbox.moment(now=NOON + 5000) == NOON + 5000


async def test_what_another_program_filled_is_lost_when_one_begins(house: House) -> None:
    await house.follow()
    await house.beside(lambda c: generations.publish(c, "g", now=2))
    await house.beside(lambda c: generations.begin(c, "h", fingerprint="other", types=frozenset({"Media"}), now=3))
    assert [each.name for each in house.outbox.generations().targets] == ["h"]
    await house.put(A)
    generations.distrust(house.path, now=4)
    assert house.outbox.generations().targets == ()
    assert house.rows("id") == [("a",)]
    generations.disown(house.path)
    assert house.rows("id") == []
    assert house.outbox.generations().each == ()
    await house.put(A)
    assert house.rows("id") == []


async def test_generations_take_turns(house: House) -> None:
    await house.follow()
    await house.beside(lambda c: generations.publish(c, "g", now=2))
    await house.beside(lambda c: generations.begin(c, "h", fingerprint="f", types=frozenset({"Media"}), now=3))
    assert [(each.name, each.state) for each in house.outbox.generations().targets] == [("g", "live"), ("h", "filling")]
    await house.beside(lambda c: generations.advance(c, "h", position=7, documents=5))
    await house.beside(lambda c: generations.advance(c, "h", position=9, documents=2))
    filled = house.outbox.generations().named("h")
    assert filled is not None
    assert (filled.position, filled.documents) == (9, 7)
    await house.beside(lambda c: generations.publish(c, "h", now=4))
    assert [(each.name, each.state) for each in house.outbox.generations().targets] == [("h", "live"), ("g", "kept")]
    await house.beside(lambda c: generations.publish(c, "g", now=5))
    assert [(each.name, each.state) for each in house.outbox.generations().targets] == [("g", "live"), ("h", "kept")]
    await house.beside(lambda c: generations.begin(c, "i", fingerprint="f", types=frozenset({"Media"}), now=6))
    await house.beside(lambda c: generations.publish(c, "i", now=7))
    states = {each.name: each.state for each in house.outbox.generations().each}
    assert states == {"g": "kept", "h": "lost", "i": "live"}
    await house.beside(lambda c: generations.forget(c, "h"))
    assert house.outbox.generations().named("h") is None
