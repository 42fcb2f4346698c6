"""Where documents are written and looked for in a real Elasticsearch, and made-up ones to write."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

from fhirmedia.access.grant import ACTIONS, Grant, Rule
from fhirmedia.backends.elastic import open_engine
from fhirmedia.backends.elastic.engine import ElasticEngine
from fhirmedia.core.index_address import parse_index_address
from fhirmedia.core.records import Facts, Key, Record
from fhirmedia.ports.documents import DocumentChange
from fhirmedia.ports.index import Page
from fhirmedia.r4.query import EVERYTHING, Query
from fhirmedia.r4.registry import load_registry
from fhirmedia.r4.values import IndexEntries, SearchValue, TokenValue
from tests.services import asked

ZONE = ZoneInfo("Europe/Stockholm")
TYPES = ("Media", "Patient")
EVERYBODY = Grant((Rule(frozenset(ACTIONS), frozenset((*TYPES, "ImagingStudy", "Binary")), EVERYTHING),))


class Place:
    """One engine, a loop to ask it from, and the server behind it."""

    def __init__(self, engine: ElasticEngine, address: str, runner: asyncio.Runner) -> None:
        self.engine = engine
        self.address, _, self.prefix = address.rpartition("/")
        self.run = runner.run

    def put(self, key: str, order: int = 1, *, of: str = "p", facts: Facts | None = None, **values: SearchValue) -> Any:
        return self.write(change(key, order, facts=facts or Facts(patients=(of,)), **values))

    def write(self, *changes: DocumentChange) -> Any:
        return self.run(self.engine.documents("g").write(changes, visible=False))

    def found(self, query: Query, *types: str) -> list[str]:
        self.run(self.engine.documents("g").refresh())
        narrowed = EVERYBODY.narrow(query, types=types or TYPES)
        return [str(key) for key in self.run(self.engine.index("g").search(narrowed, page=Page(100))).keys]

    def raw(self, method: str, path: str, body: object = None) -> Any:
        return json.loads(asked(self.address, method, path, body))


def change(
    key: str, order: int = 1, *, facts: Facts | None = None, gone: bool = False, **values: SearchValue
) -> DocumentChange:
    facts = facts or Facts(patients=("p",))
    named = Key(*key.split("/"))
    kept: dict[str, tuple[SearchValue, ...]] = {name: (value,) for name, value in values.items()}
    entries = IndexEntries(named, {"_id": (TokenValue(None, named.id),), **kept}, facts.patients)
    return DocumentChange(Record(named, 1, order, order, "update", b"{}", facts), order, None if gone else entries)


def texted(key: str, words: str) -> DocumentChange:
    plain = change(key)
    assert plain.entries is not None
    return replace(plain, entries=replace(plain.entries, texts={"_content": words}))


def opened(address: str, runner: asyncio.Runner, shapes: Any = None) -> Iterator[Place]:
    where = parse_index_address(address)
    if shapes is None:
        engine = open_engine(where, registry=load_registry(), zone=ZONE, budget_s=10)
    else:
        engine = ElasticEngine(where, shapes, budget_s=10)
    runner.run(engine.create("g"))
    yield Place(engine, address, runner)
    runner.run(engine.close())
