"""Works that share a transaction leave exactly what they leave one after the other, whoever of them is refused."""

import asyncio
import random
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fhirmedia.backends.chained_table import ChangeChain
from fhirmedia.backends.folder import make_folder
from fhirmedia.backends.following.generations import begin
from fhirmedia.backends.index_rows import IndexWriter
from fhirmedia.backends.maintenance_sql import SqliteUpkeepTransaction
from fhirmedia.backends.records_sql import SqliteRecordStore
from fhirmedia.backends.records_transaction import TransactionParts
from fhirmedia.backends.sqlite import open_reader
from fhirmedia.core.digests import digest_of
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Facts, Key, Method
from fhirmedia.ports.records import Blob, Content, Draft, RecordTransaction
from fhirmedia.r4.codec import prepare
from fhirmedia.r4.values import DateValue, IndexEntries, TokenValue, UriValue

NOON = 1_700_000_000_000
KEYS = tuple(Key("Media", f"m{number}") for number in range(4))
BINARIES = ("b0", "b1", "b2")
TABLES = (
    "record_version", "version_reach", "blob", "binary_content", "binary_referrer", "unclaimed_binary",
    "audit_row", "raw_query", "res_row", "idx_patient", "idx_token", "idx_date", "idx_uri", "idx_words",
    "index_outbox", "index_outbox_patient",
)  # fmt: skip
GROUPS, WORKS = 12, 8

Work = Callable[[RecordTransaction], Any]


def a_draft(
    chance: random.Random, key: Key, *, method: Method, binaries: tuple[str, ...] = (), often: float = 0.5
) -> Draft:
    patients = tuple(chance.sample(("p0", "p1"), chance.randint(0, 2)))
    facts = Facts(patients=patients, unit=chance.choice((None, "u0", "u1")), binaries=binaries)
    if method == "delete":
        return Draft(key, method, None, facts, None)
    values: dict[str, Any] = {"status": (TokenValue(None, chance.choice("abc")),)}
    if chance.random() < often:
        values["when"] = values["date"] = (DateValue(NOON, NOON + chance.randint(1, 5)),)
    if chance.random() < often:
        values["url"] = tuple(UriValue(f"u{number}") for number in range(chance.randint(1, 3)))
    texts = {"_content": chance.choice(("arm", "leg", "arm and leg"))} if chance.random() < often + 0.2 else {}
    resource = prepare({"resourceType": "Media", "status": chance.choice(("x", "y"))})
    return Draft(key, method, resource, facts, IndexEntries(key, values, patients, texts))


def an_upload(chance: random.Random, binary_id: str) -> Draft:
    digest = digest_of(chance.choice((b"one", b"two")))
    content = Content("text/plain", Blob(digest, 3, b"s" * 20, (1,)))
    resource = prepare({"resourceType": "Binary", "contentType": "text/plain"})
    return Draft(Key("Binary", binary_id), "create", resource, Facts(owner="o"), None, content)


def a_work(seed: int) -> Work:
    """Random writes and looks; what it saw, or the Failure it ends with."""

    def work(transaction: RecordTransaction) -> list[object]:
        chance, seen = random.Random(seed), list[object]()
        for _ in range(chance.randint(1, 5)):
            key, binary_id = chance.choice(KEYS), chance.choice(BINARIES)
            match chance.randrange(9):
                case 0 | 1 | 2:
                    claimed = tuple(chance.sample(BINARIES, chance.randint(0, 1)))
                    seen.append(transaction.put(a_draft(chance, key, method="update", binaries=claimed)))
                case 3:
                    seen.append(transaction.put(a_draft(chance, key, method="delete")))
                case 4:
                    seen.append(transaction.put(an_upload(chance, binary_id)))
                case 5:
                    seen.append(transaction.current(key))
                case 6:
                    seen.append(transaction.content(binary_id))
                case 7:
                    found = transaction.referrers(binary_id)
                    seen.append(sorted((each.sequence, each.facts.patients) for each in found))
                case _:
                    seen.append([transaction.has_dependents(patient) for patient in ("p0", "p1")])
        if chance.random() < 0.3:
            raise Failure(Category.CONFLICT, "refused at its end")
        transaction.audit(repr(seen).encode(), b"query" if chance.random() < 0.3 else None)
        return seen

    return work


def everything(transaction: RecordTransaction) -> None:
    """All that repeats gets its numbers here, so that both sides give the same."""
    chance = random.Random(0)
    for _ in range(60):
        transaction.put(a_draft(chance, Key("Media", "first"), method="update", binaries=BINARIES, often=1))
    transaction.audit(b"first")


def opened(place: Path, index: IndexWriter | None = None) -> tuple[SqliteRecordStore, Path]:
    folder = make_folder(place, timezone="Europe/Stockholm")
    parts = TransactionParts(index or IndexWriter(), ChangeChain())
    store = SqliteRecordStore(
        folder.records, lock_file=folder.write_lock, parts=parts, clock=lambda: NOON, on_broken=unexpected
    )
    return store, folder.records


def unexpected() -> None:
    raise AssertionError("the store called its storage broken")


def told(outcome: object) -> object:
    return outcome.category if isinstance(outcome, Failure) else outcome


def follow(transaction: SqliteUpkeepTransaction) -> None:
    transaction.beside(lambda connection: begin(connection, "g", fingerprint="f", types=frozenset({"Media"}), now=1))


def rows(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    reader = open_reader(path)
    found = {table: sorted(reader.execute(f"SELECT * FROM {table}"), key=repr) for table in TABLES}
    reader.close()
    return found


@pytest.mark.parametrize("seed", range(6))
async def test_together_is_one_after_the_other(tmp_path: Path, seed: int) -> None:
    together, together_path = opened(tmp_path / "together")
    apart, apart_path = opened(tmp_path / "apart")
    for each in (together, apart):
        await each.write(follow)
    for store in (together, apart):
        await store.write(everything)
    refused = written = 0
    for group in range(GROUPS):
        works = [a_work(seed * 10_000 + group * 100 + number) for number in range(WORKS)]
        at_once = await asyncio.gather(*(together.write(work) for work in works), return_exceptions=True)
        in_turn: list[object] = []
        for work in works:
            in_turn += await asyncio.gather(apart.write(work), return_exceptions=True)
        assert [told(each) for each in at_once] == [told(each) for each in in_turn]
        refused += sum(isinstance(each, Failure) for each in at_once)
        written += sum(isinstance(each, list) for each in at_once)
    assert refused > GROUPS
    assert written > GROUPS
    assert refused + written == GROUPS * WORKS
    for store in (together, apart):
        await store.close()
    left, right = rows(together_path), rows(apart_path)
    for table in TABLES:
        assert left[table] == right[table], table
        assert left[table], table


def a_put(identity: str) -> Work:
    draft = a_draft(random.Random(1), Key("Media", identity), method="update")
    return lambda transaction: transaction.put(draft)


async def test_what_a_refused_work_corrected_is_not_what_the_next_one_sees(tmp_path: Path) -> None:
    store, _ = opened(tmp_path / "data")
    key = Key("Media", "m")
    first = await store.write(a_put("m"))

    def correcting(transaction: SqliteUpkeepTransaction) -> None:
        transaction.correct(replace(first, facts=Facts(patients=("wrong",))), None)
        a_put("m")(transaction)
        raise Failure(Category.CONFLICT, "refused at its end")

    def deleting(transaction: SqliteUpkeepTransaction) -> None:
        current = transaction.current(key)
        assert current is not None
        transaction.put(Draft(key, "delete", None, current.facts, None))

    refused, deleted = await asyncio.gather(store.write(correcting), store.write(deleting), return_exceptions=True)
    assert (told(refused), deleted) == (Category.CONFLICT, None)
    versions = [await store.version(key, number) for number in (1, 2, 3)]
    assert [found and (found.method, found.facts) for found in versions] == [
        ("update", first.facts),
        ("delete", first.facts),
        None,
    ]
    await store.close()


class Exposed(IndexWriter):
    """An index that shows the connection it is given."""

    connection: sqlite3.Connection

    def begin(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        super().begin(connection)


@pytest.mark.parametrize("refused", [True, False])
async def test_nothing_is_stored_once_the_transaction_has_ended(tmp_path: Path, refused: bool) -> None:
    index = Exposed()
    store, path = opened(tmp_path / "data", index)

    def ending(transaction: RecordTransaction) -> None:
        a_put("ending")(transaction)
        index.connection.execute("ROLLBACK")
        if refused:
            raise Failure(Category.CONFLICT, "refused at its end")

    works = (a_put("before"), ending, a_put("after"))
    outcomes = await asyncio.gather(*(store.write(work) for work in works), return_exceptions=True)
    assert [told(each) for each in outcomes] == [Category.UNAVAILABLE] * 3
    assert not any(rows(path).values())
    assert (await store.write(a_put("later"))).sequence == 1
    await store.close()
