"""What the SQL index promises beyond its answers: sound rows whatever is undone, plans that hold, bounded time."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool
from sqlmodel import SQLModel

from fhirmedia.access.grant import ACTIONS, Grant, NarrowedQuery, Rule
from fhirmedia.backends import index_chains, index_tables
from fhirmedia.backends.index_rebuild import is_complete, rebuild
from fhirmedia.backends.index_rows import IndexWriter
from fhirmedia.backends.index_sql import SqlSearchIndex, search_within
from fhirmedia.backends.migrations import make_schema
from fhirmedia.backends.sqlite import open_writer
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Facts, Key, Record
from fhirmedia.ports.index import Page
from fhirmedia.r4.query import (
    EVERYTHING,
    All,
    Any,
    Chain,
    CompositeTest,
    DateTest,
    FactIn,
    Has,
    InCompartment,
    Match,
    Not,
    OfType,
    Query,
    ReferenceTest,
    SortKey,
    StringTest,
    TokenTest,
)
from fhirmedia.r4.values import DateValue, IndexEntries, ReferenceValue, SearchValue, StringValue, TokenValue
from tests.laws.archives import Archive

TYPES = frozenset({"Media", "Patient", "Task"})
FULL = Grant((Rule(frozenset(ACTIONS), TYPES, EVERYTHING),))
NEWEST = (SortKey("when", descending=True),)
DAY = 86_400_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with closing(open_writer(tmp_path / "records.db")) as connection:
        make_schema(connection)
    return tmp_path / "records.db"


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_writer(path)) as opened:
        yield opened


def media(number: int, *, status: TokenValue | None = None, **values: tuple[SearchValue, ...]) -> IndexEntries:
    if status is not None:
        values["status"] = (status,)
    return IndexEntries(Key("Media", f"m{number:05}"), values, ("p",))


def put(writer: IndexWriter, connection: sqlite3.Connection, entries: IndexEntries, *, sequence: int) -> None:
    record = Record(entries.key, 1, sequence, sequence, "update", b"{}", Facts(patients=("p",), unit="u"))
    writer.put(connection, record, entries)


def written(writer: IndexWriter, connection: sqlite3.Connection, *entries: IndexEntries, sequence: int = 1) -> None:
    connection.execute("BEGIN IMMEDIATE")
    writer.begin(connection)
    for number, each in enumerate(entries, sequence):
        put(writer, connection, each, sequence=number)
    connection.execute("COMMIT")


def search(path: Path, query: Query, page: Page, *, budget_s: float = 10.0) -> list[str]:
    async def run() -> list[str]:
        index = SqlSearchIndex(path, readers=1, budget_s=budget_s)
        try:
            hits = await index.search(FULL.narrow(query, types=TYPES), page=page)
        finally:
            await index.close()
        return [key.id for key in hits.keys]

    return asyncio.run(run())


def explained(path: Path, query: NarrowedQuery, page: Page) -> str:
    async def run() -> str:
        index = SqlSearchIndex(path, readers=1)
        try:
            return await index.explain(query, page=page)
        finally:
            await index.close()

    return asyncio.run(run())


def status(code: str, system: str) -> Match:
    return Match("status", (TokenTest(code, system),))


def test_what_was_undone_gives_no_number_away(path: Path, connection: sqlite3.Connection) -> None:
    writer = IndexWriter()
    connection.execute("BEGIN IMMEDIATE")
    writer.begin(connection)
    put(writer, connection, media(1, status=TokenValue("http://undone", "a")), sequence=1)
    connection.execute("ROLLBACK")
    written(writer, connection, media(2, status=TokenValue("http://other", "a")))
    written(writer, connection, media(3, status=TokenValue("http://undone", "a")), sequence=2)
    assert search(path, status("a", "http://undone"), Page(5)) == ["m00003"]
    assert search(path, status("a", "http://other"), Page(5)) == ["m00002"]


def test_savepoints_undo_their_rows(path: Path, connection: sqlite3.Connection) -> None:
    writer = IndexWriter()
    connection.execute("BEGIN IMMEDIATE")
    writer.begin(connection)
    put(writer, connection, media(1, status=TokenValue("http://kept", "a")), sequence=1)
    connection.execute("SAVEPOINT work")
    put(writer, connection, media(2, status=TokenValue("http://undone", "a")), sequence=2)
    connection.execute("ROLLBACK TO work")
    connection.execute("RELEASE work")
    put(writer, connection, media(3, status=TokenValue("http://late", "a")), sequence=2)
    connection.execute("COMMIT")
    assert [search(path, status("a", f"http://{name}"), Page(5)) for name in ("kept", "undone", "late")] == [
        ["m00001"],
        [],
        ["m00003"],
    ]


def test_several_processes_agree_on_numbers(path: Path, connection: sqlite3.Connection) -> None:
    one, other = IndexWriter(), IndexWriter()
    with closing(open_writer(path)) as elsewhere:
        for round in range(3):
            written(one, connection, media(2 * round, status=TokenValue(f"s{round}", "a")), sequence=2 * round + 1)
            entries = media(2 * round + 1, status=TokenValue(f"s{round}", "a"))
            written(other, elsewhere, entries, sequence=2 * round + 2)
    for round in range(3):
        assert search(path, status("a", f"s{round}"), Page(5)) == [f"m{2 * round:05}", f"m{2 * round + 1:05}"]
    assert connection.execute("SELECT count(*) FROM idx_term WHERE kind = 'system'").fetchone() == (3,)


TABLES = (
    "idx_token",
    "idx_date",
    "idx_reference",
    "idx_string",
    "idx_uri",
    "idx_number",
    "idx_quantity",
    "idx_patient",
)


def rows(connection: sqlite3.Connection) -> dict[str, list[tuple[object, ...]]]:
    """Every index row with the Key of its resource and without numbers that depend on history."""
    found: dict[str, list[tuple[object, ...]]] = {}
    for table in TABLES:
        columns = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})") if name != "rid"]
        text = "(SELECT text || '/' || kind FROM idx_term i WHERE i.id = t.{0})"
        shown = [text.format(name) if name in ("param", "system") else f"t.{name}" for name in columns]
        found[table] = sorted(
            connection.execute(f"SELECT r.type, r.id, {', '.join(shown)} FROM {table} t JOIN res_row r USING (rid)"),
            key=repr,
        )
        assert len(found[table]) == connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    found["res_row"] = sorted(row[1:] for row in connection.execute("SELECT * FROM res_row"))
    return found


def bits_apart(content: dict[str, list[tuple[object, ...]]]) -> dict[str, list[tuple[object, ...]]]:
    """Ranks of roles follow history: only the first three bits of `how` are compared."""
    people = [(*row[:-1], row[-1] & 7) for row in content["idx_patient"] if isinstance(row[-1], int)]
    return {**content, "idx_patient": people}


def test_a_rebuild_gives_what_a_history_of_writes_gave(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "lived.db", seed=7, size=60)
    with closing(open_writer(archive.path)) as lived, closing(open_writer(tmp_path / "built.db")) as built:
        make_schema(built)
        progress: list[int] = []
        done = rebuild(built, iter(archive.current.values()), batch=10, on_progress=progress.append)
        assert (done, progress[0], progress[-1]) == (len(archive.current), 10, done)
        assert bits_apart(rows(built)) == bits_apart(rows(lived))
        before = rows(lived)
        rebuild(lived, iter(archive.current.values()))
        assert rows(lived) == before


def test_a_rebuild_that_was_interrupted_is_known(connection: sqlite3.Connection) -> None:
    def resources() -> Iterator[tuple[Record, IndexEntries]]:
        entries = media(1)
        yield Record(entries.key, 1, 1, 1, "update", b"{}", Facts()), entries
        raise KeyboardInterrupt

    assert is_complete(connection)
    with pytest.raises(KeyboardInterrupt):
        rebuild(connection, resources(), batch=1)
    assert not is_complete(connection)
    assert rebuild(connection, iter(())) == 0
    assert is_complete(connection)


def test_dependents_are_other_records_about_the_patient(path: Path, connection: sqlite3.Connection) -> None:
    writer = IndexWriter()
    itself = IndexEntries(Key("Patient", "p"), {}, ())
    named_only = IndexEntries(Key("Task", "t"), {"owner": (ReferenceValue(Key("Patient", "q")),)}, ())
    written(writer, connection, itself, named_only)
    connection.execute("UPDATE idx_patient SET how = how & ~6 WHERE type = 'Task'")
    assert not writer.has_dependents(connection, "q")
    written(writer, connection, media(1), sequence=3)
    assert writer.has_dependents(connection, "p")
    writer.remove(connection, Key("Media", "m00001"))
    writer.remove(connection, Key("Task", "t"))
    assert not writer.has_dependents(connection, "p")


def test_two_dates_of_when_are_refused(connection: sqlite3.Connection) -> None:
    twice = media(1, when=(DateValue(0, 1), DateValue(5, 6)))
    with pytest.raises(Failure) as caught:
        put(IndexWriter(), connection, twice, sequence=1)
    assert caught.value.category is Category.INTERNAL


def test_what_it_cannot_answer_is_refused(path: Path) -> None:
    nested = CompositeTest((("a", CompositeTest((("b", TokenTest("x")),))),))
    for query in (
        Match("relation", (nested,)),
        Match("relation", (CompositeTest((("when", DateTest("eq", 0, 1)),)),)),
    ):
        with pytest.raises(Failure) as caught:
            search(path, query, Page(5))
        assert caught.value.category is Category.NOT_IMPLEMENTED


def test_a_search_beyond_its_budget_is_stopped(path: Path, connection: sqlite3.Connection) -> None:
    written(IndexWriter(), connection, *(media(number, when=(DateValue(number, number + 1),)) for number in range(800)))
    costly = Not(Match("when", tuple(DateTest("sa", number, number) for number in range(2000, 2900))))
    page = Page(0, total="accurate")
    with pytest.raises(Failure) as caught:
        search(path, costly, page, budget_s=0.0)
    assert caught.value.category is Category.TOO_COSTLY
    assert search(path, costly, Page(2)) == ["m00000", "m00001"]


def test_within_a_transaction_only_the_budget_is_a_refusal(path: Path, connection: sqlite3.Connection) -> None:
    written(IndexWriter(), connection, *(media(number, when=(DateValue(number, number + 1),)) for number in range(800)))
    costly = Not(Match("when", tuple(DateTest("sa", number, number) for number in range(2000, 2900))))
    narrowed, page = FULL.narrow(costly, types=TYPES), Page(0, total="accurate")
    connection.execute("BEGIN IMMEDIATE")
    with pytest.raises(Failure) as caught:
        search_within(connection, narrowed, page=page, budget_s=0.0)
    assert caught.value.category is Category.TOO_COSTLY
    assert connection.in_transaction
    connection.execute("DROP TABLE res_row")
    with pytest.raises(sqlite3.OperationalError):
        search_within(connection, narrowed, page=page, budget_s=9.0)
    connection.execute("ROLLBACK")


def test_an_inner_query_is_answered_first_and_bounded(
    path: Path, connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of(number: int) -> tuple[ReferenceValue, ...]:
        return (ReferenceValue(Key("Patient", f"p{number % 7}")),)

    people = [
        IndexEntries(Key("Patient", f"p{number}"), {"name": (StringValue(name, name),)}, (f"p{number}",))
        for number, name in enumerate(("berg", "bergman", "berg", "lind", "lind", "lind", "lind"))
    ]
    written(IndexWriter(), connection, *people, *(media(number, subject=of(number)) for number in range(70)))
    monkeypatch.setattr(index_chains, "FEW", 1)
    named = Match("name", (StringTest("starts", "berg"),))
    bergs = All((OfType(frozenset({"Patient"})), named))
    pictures = OfType(frozenset({"Media"}))
    chained = All((pictures, Chain("subject", bergs)))
    pictured = All(
        (OfType(frozenset({"Patient"})), Has("subject", All((pictures, Match("_id", (TokenTest("m00004"),))))))
    )
    assert search(path, chained, Page(4)) == ["m00000", "m00001", "m00002", "m00007"]
    assert search(path, All((pictures, Not(Chain("subject", bergs)))), Page(2)) == ["m00003", "m00004"]
    assert search(path, pictured, Page(4)) == ["p4"]
    assert search(
        path, All((pictures, Chain("subject", All((OfType(frozenset({"Patient"})), Not(named)))))), Page(2)
    ) == ["m00003", "m00004"]
    monkeypatch.setattr(index_chains, "HOP_AT_MOST", 2)
    assert search(path, chained, Page(4)) == ["m00000", "m00001", "m00002", "m00007"]
    assert search(path, All((Not(Chain("subject", bergs)), pictures)), Page(2)) == ["m00003", "m00004"]
    monkeypatch.setattr(index_chains, "BOUNDED", 69)
    with pytest.raises(Failure) as caught:
        search(path, chained, Page(4))
    assert caught.value.category is Category.TOO_COSTLY
    assert search(path, pictured, Page(4)) == ["p4"]


def test_a_search_nobody_waits_for_is_stopped(path: Path, connection: sqlite3.Connection) -> None:
    written(
        IndexWriter(), connection, *(media(number, when=(DateValue(number, number + 1),)) for number in range(2000))
    )
    tests = tuple(DateTest("eb", number, number) for number in range(900))
    costly = FULL.narrow(All((Match("when", tests), Not(Match("when", tests)))), types=TYPES)

    async def run() -> int:
        index = SqlSearchIndex(path, readers=1)
        waiting = asyncio.ensure_future(index.search(costly, page=Page(5)))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        # With one reader this answer has to wait for the one that was given up.
        hits = await index.search(FULL.narrow(EVERYTHING, types=TYPES), page=Page(3))
        await index.close()
        return len(hits.keys)

    assert asyncio.run(run()) == 3


def filled(connection: sqlite3.Connection, count: int) -> None:
    patient = ReferenceValue(Key("Patient", "p"))
    made = [
        media(
            number,
            status=TokenValue("s", "done"),
            identifier=(TokenValue("i", str(number)),),
            patient=(patient,),
            when=(DateValue(number * DAY, (number + 1) * DAY),),
            created=(DateValue(number * DAY, (number + 1) * DAY),),
            device=(ReferenceValue(Key("Device", str(number))),),
            **{
                "device:Device.model": (StringValue(f"m{number}", f"M{number}"),),
                "device:Device.made": (DateValue(number * DAY, (number + 1) * DAY),) * (number % 10 == 0),
                "device:Device._type": (TokenValue(None, "Device"),),
            },
        )
        for number in range(count)
    ]
    written(IndexWriter(), connection, *made)


PATIENT = Match("patient", (ReferenceTest(Key("Patient", "p")),))
MONTH = All((Match("created", (DateTest("ge", 9 * DAY, 9 * DAY),)), Match("created", (DateTest("lt", 12 * DAY, 0),))))
DEVICE = Match("device", (ReferenceTest(Key("Device", "3")),))
MODEL = Match("device:Device.model", (StringTest("starts", "m7"),))
MADE = Match("device:Device.made", (DateTest("ge", 9 * DAY, 9 * DAY),))
NEVER = All((Match("device:Device._type", (TokenTest("Device", "nowhere"),)), Not(OfType(frozenset()))))
UNUSED = Match("x:Y.z", (TokenTest("b"),))
PLANS = {
    "a timeline": (PATIENT, Page(5, NEWEST), "D patient", "SEARCH p USING PRIMARY KEY (patient=?)"),
    "a compartment": (InCompartment("p"), Page(5, NEWEST), "D patient", "SEARCH p USING PRIMARY KEY (patient=?)"),
    "all, newest first": (EVERYTHING, Page(5, NEWEST), "S", "SEARCH r USING INDEX res_row_recency (recency<?)"),
    "by key": (status("done", "s"), Page(5), "S", "SEARCH r USING INDEX res_row_key (type=?)"),
    "an id": (Match("_id", (TokenTest("m00003"),)), Page(5), "D ids", "SEARCH r USING INDEX res_row_key"),
    "an identifier": (Match("identifier", (TokenTest("3", "i"),)), Page(5, NEWEST), "D value of identifier", "code=?"),
    "a chain": (Any((DEVICE, MODEL)), Page(5, NEWEST), "D value of device, device:Device.model", "param=? AND plain>?"),
    "a chain to none": (Any((DEVICE, NEVER)), Page(5), "D value of device, device:Device._type", "target=?"),
    "a chain to dates": (Any((DEVICE, MADE)), Page(5, NEWEST), "D value of device, device:Device.made", "(param=?)"),
    "a chain to nothing": (Any((DEVICE, UNUSED)), Page(5), "D value of device, x:Y.z", "target=?"),
    "a stretch of time": (MONTH, Page(5, NEWEST), "D dates of created", "(param=? AND lo>? AND lo<?)"),
}


@pytest.mark.parametrize("name", PLANS)
def test_plans(path: Path, connection: sqlite3.Connection, name: str) -> None:
    filled(connection, 300)
    query, page, shape, step = PLANS[name]
    kinds = frozenset({"Media"})
    in_unit = Grant((Rule(frozenset(ACTIONS), kinds, FactIn("unit", frozenset({"u", "v"}))),))
    told = explained(path, in_unit.narrow(query, types=kinds), page)
    assert told.startswith(f"shape {shape}\n")
    assert step in told
    if name in ("a timeline", "a compartment", "by key"):
        assert "TEMP B-TREE" not in told
    assert "m00003" not in told
    assert "'p'" not in told


def test_the_migrated_schema_is_the_declared_one(connection: sqlite3.Connection) -> None:
    with closing(sqlite3.connect(":memory:")) as declared:
        engine = create_engine("sqlite://", creator=lambda: declared, poolclass=StaticPool)
        SQLModel.metadata.create_all(engine)
        # No metadata can declare the full-text index.
        ours = "(name LIKE 'idx_%' OR name LIKE 'res_row%') AND name NOT LIKE 'idx_words%'"
        select = f"SELECT name, sql FROM sqlite_master WHERE {ours} ORDER BY name"
        wanted = [(name, sql and " ".join(sql.split())) for name, sql in declared.execute(select)]
        assert [(name, sql and " ".join(sql.split())) for name, sql in connection.execute(select)] == wanted
        assert {index_tables.ResRow.__tablename__, "idx_token"} <= {name for name, _ in wanted}
