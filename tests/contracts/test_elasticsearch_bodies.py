"""What is sent to Elasticsearch, without a server: golden bodies, one condition only, no value in an explanation."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fhirmedia.access.grant import ACTIONS, Grant, Rule
from fhirmedia.backends.elastic import clauses
from fhirmedia.backends.elastic.compile import clause_of
from fhirmedia.backends.elastic.counting import division_by, people_body
from fhirmedia.backends.elastic.document import Documents
from fhirmedia.backends.elastic.explaining import told
from fhirmedia.backends.elastic.names import Names
from fhirmedia.backends.elastic.searching import body_of, page_body
from fhirmedia.backends.elastic.shape import fingerprint_of, listing, shape_of
from fhirmedia.backends.elastic.writing import MOST_BYTES, MOST_LINES, BulkWriter, Line, Room, batches
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Facts, Key, Record
from fhirmedia.interactions.media_stats import FACETS
from fhirmedia.ports.index import Page, Position
from fhirmedia.r4.query import All, Chain, FactIn, Match, Not, OfType, Text, TokenTest
from fhirmedia.r4.query import Any as AnyOf
from fhirmedia.r4.values import DateValue, IndexEntries, TokenValue
from tests.contracts.conformance import EVERYBODY, REGISTRY, parsed

GOLDEN = Path(__file__).parent / "search" / "golden"
SHAPE = shape_of(REGISTRY, listing())
IN_A_UNIT = Grant((Rule(frozenset(ACTIONS), frozenset(REGISTRY.types), FactIn("unit", frozenset({"u1", "u7"}))),))


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_a_search_becomes_this_body(path: Path) -> None:
    golden = json.loads(path.read_text("utf-8"))
    search = parsed(golden["search"])
    narrowed = IN_A_UNIT.narrow(search.query, types=search.types)
    page = Page(50, search.sort, total="bounded")
    barred = [Key("Media", "waiting")] if golden.get("without") else []
    assert body_of(narrowed, page_body(page, SHAPE), without=barred) == golden["body"]


def test_a_position_names_what_is_missing_as_the_engine_does() -> None:
    search = parsed("Media?_sort=-when,created,device-name,-_id")
    page = Page(2, search.sort, Position((None, None, None, "Media/a"), Key("Media", "a")))
    assert page_body(page, SHAPE)["search_after"] == [-(2**63), 2**63 - 1, None, "Media/a", "Media/a"]


NARROWED = EVERYBODY.narrow(OfType(frozenset({"Media"})), types=["Media"])
WIDENED: dict[str, dict[str, Any]] = {
    "another query": {"query": {"match_all": {}}},
    "a filter behind the counts": {"post_filter": {"match_all": {}}},
    "suggestions": {"suggest": {}},
    "counts of everything": {"aggs": {"by": {"global": {}}}},
    "buckets nobody has": {"aggs": {"by": {"terms": {"field": "f.kind", "min_doc_count": 0}}}},
    "such buckets within others": {
        "aggs": {"by": {"terms": {"field": "f.kind"}, "aggs": {"x": {"terms": {"field": "sole", "min_doc_count": 0}}}}}
    },
    "significant terms": {"aggs": {"by": {"significant_terms": {"field": "f.kind"}}}},
    "scores": {"min_score": 1},
}


@pytest.mark.parametrize("name", WIDENED)
def test_nothing_is_asked_beside_the_narrowed_query(name: str) -> None:
    with pytest.raises(Failure) as caught:
        body_of(NARROWED, WIDENED[name])
    assert caught.value.category is Category.INTERNAL


def test_our_own_questions_are_allowed() -> None:
    for more in (page_body(Page(50), SHAPE), division_by("kind", "year", with_patients=True), people_body()):
        assert body_of(NARROWED, more)["query"] == {"term": {"rt": "Media"}}


def keys_in(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from node
        for each in node.values():
            yield from keys_in(each)
    elif isinstance(node, list):
        for each in node:
            yield from keys_in(each)


def test_an_explanation_holds_no_value() -> None:
    secret = "19121212-1212"
    search = parsed(
        f"Patient?identifier=urn:oid:1.2.752.129.2.1.3.1|{secret}&name=Hemlig&_sort=birthdate&birthdate=1912&given:contains=hemlig"
    )
    narrowed = IN_A_UNIT.narrow(search.query, types=search.types)
    page = Page(5, search.sort, Position((12345,), Key("Patient", "hidden")))
    text = told("indices pat", body_of(narrowed, page_body(page, SHAPE), without=[Key("Patient", "other")]))
    for value in ("1212", "emlig", "hidden", "other", "u7", "12345"):
        assert value not in text
    assert "t.identifier" in text and "s.given.plain" in text


def test_what_is_inside_a_query_was_answered_before() -> None:
    with pytest.raises(Failure) as caught:
        clause_of(Chain("patient", OfType(frozenset({"Patient"}))))
    assert caught.value.category is Category.INTERNAL


def test_more_terms_than_the_engine_takes_are_not_sent() -> None:
    some = tuple(TokenTest(str(number)) for number in range(clauses.MOST_TERMS))
    assert len(clause_of(Match("identifier", some))["terms"]["t.identifier"]) == clauses.MOST_TERMS
    with pytest.raises(Failure) as caught:
        clause_of(Match("identifier", (*some, TokenTest("one more"))))
    assert caught.value.category is Category.NOT_IMPLEMENTED


def test_clauses_are_joined_without_changing_what_they_mean() -> None:
    one, two = clauses.term("a", "1"), clauses.term("b", "2")
    assert clause_of(All(())) == clauses.EVERY
    assert clause_of(AnyOf(())) == clauses.NONE
    assert clauses.all_of([one, clauses.NONE]) == clauses.NONE
    assert clauses.any_of([one, clauses.EVERY]) == clauses.EVERY
    assert clauses.none_of([clauses.EVERY]) == clauses.NONE
    assert clauses.none_of([clauses.NONE]) == clauses.EVERY
    assert clauses.none_of([clauses.none_of([one, two])]) == clauses.any_of([one, two])
    assert clause_of(Not(Not(OfType(frozenset({"Media"}))))) == clauses.term("rt", "Media")
    assert clause_of(Text("text", (("",),))) == clauses.NONE
    assert clauses.holding("f", "a*b?c\\") == {"wildcard": {"f": {"value": "*a\\*b\\?c\\\\*"}}}


def a_line(number: int, size: int) -> Line:
    return Line("a", Key("Media", str(number)), number, b'{"x":"%b"}' % (b"w" * size))


def test_bulk_respects_bytes() -> None:
    lines = [a_line(number, 300_000) for number in range(40)] + [a_line(40, 6 * 2**20), a_line(41, 1)]
    sizes = [sum(len(encoded) for _, encoded in batch) for batch in batches(lines)]
    assert sum(len(batch) for batch in batches(lines)) == len(lines)
    assert [size for size in sizes if size > MOST_BYTES] == [len(lines[40].encoded())]
    assert len(sizes) == 5


def test_bulk_respects_numbers() -> None:
    assert [len(batch) for batch in batches(a_line(number, 1) for number in range(2_500))] == [
        MOST_LINES,
        MOST_LINES,
        500,
    ]
    assert list(batches([])) == []


def a_record(key: str) -> Record:
    return Record(Key(*key.split("/")), 1, 1, 1, "update", b'{"secret": 1}', Facts(patients=("p",), unit="u1"))


def test_a_document_tells_equal_content_and_holds_no_body() -> None:
    documents = Documents(SHAPE, zone=ZoneInfo("Europe/Stockholm"))
    key, kinds = Key("Media", "m"), (TokenValue("s", "b"), TokenValue("s", "a", spelled="A"))
    moment = DateValue(1_700_000_000_000, 1_700_000_000_001)
    one = documents.content(a_record("Media/m"), IndexEntries(key, {"kind": kinds, "when": (moment,)}))
    other = documents.content(a_record("Media/m"), IndexEntries(key, {"when": (moment,), "kind": kinds[::-1]}))
    assert documents.digest(one) == documents.digest(other)
    assert "secret" not in json.dumps(one)
    changed = documents.content(a_record("Media/m"), IndexEntries(key, {"kind": kinds[:1], "when": (moment,)}))
    assert documents.digest(one) != documents.digest(changed)
    assert one["f"]["year"] == ["2023"] and one["sole"] == "p" and one["acl"]["unit"] == "u1"


def test_what_documents_are_made_by_is_told_by_one_word() -> None:
    def told(zone: str = "Europe/Stockholm", base_url: str = "https://a/fhir", language: str = "sv") -> str:
        return fingerprint_of(REGISTRY, listing(), zone=zone, base_url=base_url, language=language)

    assert told() == told()
    assert len({told(), told(zone="Europe/Oslo"), told(base_url="https://b/fhir"), told(language="nb")}) == 4


def test_the_facets_of_statistics_are_kept() -> None:
    kept = {facet for family in SHAPE.families for facet in family.facets} | {"year", "month"}
    assert kept == set(FACETS)


def test_an_index_of_somebody_else_is_no_generation() -> None:
    names = Names("ours", ["res", "pat"])
    (family, _) = SHAPE.families
    assert names.index("3f-2a", family) == "ours-3f-2a-res"
    assert names.generation("ours-3f-2a-res") == "3f-2a"
    for other in ("ours-3f-2a-other", "theirs-3f-res", "ours-res", "ours--res", "ours-3F-res"):
        assert names.generation(other) is None
    for generation in ("", "-", "A", "a*", "a,b", "../x"):
        with pytest.raises(Failure):
            names.index(generation, family)


class Busy:
    """An engine whose queue is full for some requests; it answers the way the real one does."""

    def __init__(self, full: int) -> None:
        self.full = full

    async def ask(self, *_: Any, **__: Any) -> Any:
        self.full -= 1
        status = 429 if self.full >= 0 else 201
        error = {"error": {"type": "es_rejected_execution_exception"}} if status == 429 else {}
        return type("Answer", (), {"status": 200, "body": {"items": [{"index": {"status": status, **error}}]}})


@pytest.mark.parametrize(("full", "pauses"), [(0, 0), (2, 2), (5, 5)])
def test_a_full_engine_is_asked_again_after_longer_and_longer_pauses(full: int, pauses: int) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    writer = BulkWriter(Busy(full), Room(MOST_BYTES), sleep=sleep)
    assert asyncio.run(writer.write([a_line(1, 1)], visible=False)) == {}
    assert len(waited) == pauses and waited == sorted(waited)


def test_an_engine_that_stays_full_is_unavailable() -> None:
    async def sleep(_: float) -> None:
        return None

    with pytest.raises(Failure) as caught:
        asyncio.run(BulkWriter(Busy(100), Room(MOST_BYTES), sleep=sleep).write([a_line(1, 1)], visible=False))
    assert caught.value.category is Category.UNAVAILABLE


class Slow:
    """An engine that answers when it is told to, and knows how much was under way at most."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.under_way = self.most = self.requests = 0

    async def ask(self, _method: str, _path: str, body: bytes, **_: Any) -> Any:
        self.requests += 1
        self.under_way += len(body)
        self.most = max(self.most, self.under_way)
        try:
            await self.may_answer.wait()
        finally:
            self.under_way -= len(body)
        return type("Answer", (), {"status": 200, "body": {"items": [{"index": {"status": 201}}]}})


def test_all_requests_together_are_bounded() -> None:
    """One document is nearly a request of its own, one is more than that; who is cancelled leaves room to others."""

    async def run() -> Slow:
        engine, room = Slow(), Room(3 * MOST_BYTES)
        sizes = [MOST_BYTES - 10_000] * 11 + [MOST_BYTES + 10_000]
        writers = [
            asyncio.create_task(BulkWriter(engine, room).write([a_line(number, size)], visible=True))
            for number, size in enumerate(sizes)
        ]
        while engine.requests < 3:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        assert engine.requests == 3
        writers[0].cancel()
        while engine.requests < 4:
            await asyncio.sleep(0.01)
        engine.may_answer.set()
        done = await asyncio.gather(*writers, return_exceptions=True)
        assert [isinstance(each, asyncio.CancelledError) for each in done] == [True] + [False] * 11
        assert done[1:] == [{}] * 11
        await asyncio.wait_for(room.take(3 * MOST_BYTES), timeout=1)
        return engine

    engine = asyncio.run(asyncio.wait_for(run(), timeout=60))
    assert engine.requests == 12
    assert engine.most <= 3 * MOST_BYTES + 20_000
