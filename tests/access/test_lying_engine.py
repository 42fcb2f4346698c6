"""A search engine that says everything is the Caller's discloses nothing: what it names is judged by the records."""

from collections.abc import Iterator
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from fhirmedia.access.caller import Caller
from fhirmedia.access.grant import NarrowedQuery
from fhirmedia.backends.elastic import open_engine
from fhirmedia.backends.elastic.engine import ElasticEngine
from fhirmedia.backends.elastic.index import ElasticIndex
from fhirmedia.core.index_address import parse_index_address
from fhirmedia.core.records import Facts, Key, Record
from fhirmedia.ports.documents import DocumentChange
from fhirmedia.ports.index import Hits, Page
from fhirmedia.r4.extract import Extractor
from fhirmedia.r4.json_in import parse_json
from tests.access.houses import House, anna, derm, ids, importer
from tests.access.records import CLINICAL, a

pytestmark = pytest.mark.services

ZONE = ZoneInfo("Europe/Stockholm")
KINDS = [kind for kind in CLINICAL if kind in ("Media", "DocumentReference", "DiagnosticReport")]


@pytest.fixture
def engine(living: House, index_address: str) -> Iterator[ElasticEngine]:
    """An engine asked from the loop of the house."""
    opened = open_engine(parse_index_address(index_address), registry=living.archive.registry, zone=ZONE, budget_s=10)
    yield opened
    living.run(opened.close())


def filled(living: House, engine: ElasticEngine, facts: Facts) -> ElasticIndex:
    """Everything there is, and what was deleted or never there, with the same facts for all."""
    keys = []
    for kind in KINDS:
        for of in ("anna", "bo"):
            for unit in ("derm", "eyes"):
                living.put(importer(), a(kind, f"{of}-{unit}", of=of, unit=unit))
                keys.append(Key(kind, f"{of}-{unit}"))
    living.put(importer(), a("Media", "ended"))
    extractor = Extractor(living.archive.registry, base_url=living.archive.base_url, zone=ZONE)
    records = living.run(living.stores.records.read([*keys, Key("Media", "ended")]))
    living.delete(importer(), "Media/ended")
    changes = []
    for record in records:
        assert isinstance(record, Record) and record.body is not None
        entries = extractor.entries(parse_json(record.body), key=record.key, last_updated_ms=record.changed_at)
        entries = replace(entries, patients=("anna", "bo"))
        changes.append(DocumentChange(replace(record, facts=facts), record.sequence, entries))

    async def fill() -> ElasticIndex:
        await engine.create("lying")
        assert await engine.documents("lying").write(changes, visible=False) == {}
        await engine.finish("lying")
        return engine.index("lying")

    return living.run(fill())


class Overheard:
    """The engine, with what it said."""

    def __init__(self, index: ElasticIndex) -> None:
        self._index = index
        self.said: set[str] = set()

    async def search(self, query: NarrowedQuery, *, page: Page) -> Hits:
        hits = await self._index.search(query, page=page)
        self.said |= {str(key) for key in hits.keys}
        return hits


@pytest.mark.parametrize("caller", [anna(), derm(), derm("user/Media.rs")], ids=["patient", "unit", "one type"])
def test_an_engine_that_gives_everything_away_discloses_nothing(
    living: House, engine: ElasticEngine, caller: Caller
) -> None:
    (unit,) = caller.units or {"derm"}
    lying = Overheard(filled(living, engine, Facts(patients=("anna",), unit=unit)))
    truth, honest = ids(living.search(caller, "Media", "_count=50")), living.stores.index
    living.replace_stores(index=lying)
    found = ids(living.search(caller, "Media", "_count=50"))
    living.replace_stores(index=honest)
    assert found == truth and truth
    assert {*truth} < lying.said, "it named what is hidden, and what is deleted"
    assert {"Media/ended", "Media/bo-eyes"} <= lying.said
