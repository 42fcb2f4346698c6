"""A small audit history in real logs, and its index."""

import asyncio
from contextlib import closing
from pathlib import Path

from fhirmedia.access.grant import ACTIONS, Grant, NarrowedQuery, Rule
from fhirmedia.backends.audit_files import slot_logs
from fhirmedia.backends.audit_index_sql import AuditIndexSql
from fhirmedia.backends.chained_table import TABLES, ChangeChain, SqliteChainedLog
from fhirmedia.backends.sqlite import open_writer
from fhirmedia.core.disclosure import Disclosure
from fhirmedia.ports.index import Page
from fhirmedia.r4.query import EVERYTHING, Query
from tests.audit.logs import NOON, a_disclosure, open_log, touch

URL = "https://media.example.org/fhir"
WIDE = Page(1_000, total="accurate")


def told() -> list[Disclosure]:
    """A small history: reads and searches of three patients, one of whom is a user, too."""
    history = []
    for at in range(12):
        of = (("anna",), ("bo",), ("anna", "bo"), ())[at % 4]
        user = ("Practitioner/kim", "Patient/anna", None)[at % 3]
        history.append(
            a_disclosure(
                ("read", "search-type", "update", "everything")[3 if at == 11 else at % 3],
                touch(f"Media/m{at % 5}", of=of, version=at % 2 + 1),
                at=NOON + at % 7,
                user=user,
                subject=f"https://login.example.org|{user}",
                outcome=("0", "4")[at % 5 == 4],
                client=("viewer", "camera")[at % 2],
            )
        )
    return history


async def fill(folder: Path) -> None:
    """Two slots and the log of changes share the history."""
    one, other = open_log(folder), open_log(folder)
    with closing(open_writer(folder / "records.db")) as records:
        for statement in TABLES:
            records.execute(statement)
        for at, disclosure in enumerate(told()):
            if at % 3 == 0:
                ChangeChain().append(records, disclosure.encode(), None)
            else:
                await (one, other)[at % 3 - 1].append(disclosure.encode())
    await one.close()
    await other.close()


def index_of(folder: Path, *, seconds: float = 10) -> AuditIndexSql:
    changes = SqliteChainedLog("changes", [(1, folder / "records.db")])
    present = [changes] if (folder / "records.db").exists() else []
    return AuditIndexSql(
        folder / "index.db", logs=lambda: [*present, *slot_logs(folder)], base_url=URL, seconds=seconds
    )


def narrowed(query: Query) -> NarrowedQuery:
    everything = Grant((Rule(frozenset(ACTIONS), frozenset({"AuditEvent"}), EVERYTHING),))
    return everything.narrow(query, types=["AuditEvent"])


def found(index: AuditIndexSql, query: Query, page: Page = WIDE) -> list[str]:
    hits = asyncio.run(index.search(narrowed(query), page=page))
    assert hits.total in (None, len(hits.keys))
    return [key.id for key in hits.keys]
