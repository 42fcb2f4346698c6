"""What must hold of documents in a real Elasticsearch: typed, versioned, bounded, never lost in silence."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from typing import Any

import pytest

from fhirmedia.access.grant import ACTIONS, Grant, Rule
from fhirmedia.backends.elastic import mapping, open_engine
from fhirmedia.backends.elastic.clauses import MOST_TERMS
from fhirmedia.backends.elastic.engine import ElasticEngine, Shapes
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.index_address import parse_index_address
from fhirmedia.core.records import Facts, Key
from fhirmedia.ports.index import Page
from fhirmedia.r4.fold import bounded
from fhirmedia.r4.query import (
    EVERYTHING,
    FactHas,
    FactIn,
    FactToken,
    InCompartment,
    Match,
    OfType,
    Text,
    TokenTest,
)
from fhirmedia.r4.registry import load_registry
from fhirmedia.r4.values import DateValue, TokenValue
from tests.contracts.place import EVERYBODY, TYPES, ZONE, Place, change, opened, texted
from tests.laws.shapes import FixedShape
from tests.services import indices

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


@pytest.fixture(scope="module")
def place(module_index_address: str, runner: asyncio.Runner) -> Iterator[Place]:
    yield from opened(module_index_address, runner)


@pytest.fixture
def empty(index_address: str, runner: asyncio.Runner) -> Iterator[Place]:
    yield from opened(index_address, runner, FixedShape(ZONE))


def failing(work: Callable[[], Any]) -> Failure:
    with pytest.raises(Failure) as caught:
        work()
    return caught.value


def objects(properties: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, form in properties.items():
        yield name, form
        yield from objects(form.get("properties", {}))


def test_mapping_is_strict_and_typed(place: Place) -> None:
    for index in indices(place.address, place.prefix):
        said = place.raw("GET", f"/{index}")[index]
        assert said["mappings"]["dynamic"] == "strict" and said["mappings"]["_source"] == {"enabled": False}
        kinds = {form.get("type", "object") for _, form in objects(said["mappings"]["properties"])}
        assert kinds <= {"object", "nested", "keyword", "text", "long", "double", "long_range", "double_range"}
        assert {form.get("dynamic", "strict") for _, form in objects(said["mappings"]["properties"])} == {"strict"}
        refused = place.raw("PUT", f"/{index}/_doc/x", {"key": "x", "surprise": True})
        assert refused["error"]["type"] == "strict_dynamic_mapping_exception"
    place.put("Patient/yes", active=TokenValue(None, "true"), of="yes")
    place.put("Patient/no", active=TokenValue(None, "false"), of="no")
    assert place.found(Match("active", (TokenTest("true"),))) == ["Patient/yes"]


def test_many_values_are_not_dropped(place: Place) -> None:
    uids = tuple(TokenValue("urn:dicom:uid", f"1.2.826.0.1.{number}") for number in range(30_000))
    plain = change("ImagingStudy/large")
    assert plain.entries is not None
    large = replace(plain, entries=replace(plain.entries, values={**plain.entries.values, "sop-instance": uids}))
    assert place.write(large) == {}
    for uid in (uids[0], uids[-1]):
        assert place.found(Match("sop-instance", (TokenTest(uid.code, uid.system),)), "ImagingStudy") == [
            "ImagingStudy/large"
        ]


def test_what_cannot_be_kept_is_refused_by_itself(empty: Place) -> None:
    long = change("Media/long", status=TokenValue("s", "x" * 40_000))
    refused = empty.write(change("Media/one"), long, change("Media/two"))
    assert set(refused) == {Key("Media", "long")}
    assert refused[Key("Media", "long")].isascii() and " " not in refused[Key("Media", "long")]
    assert empty.found(EVERYTHING) == ["Media/one", "Media/two"]


def test_documents_of_any_size_get_there(place: Place) -> None:
    texts = [texted(f"Media/size-{number}", f"number{number} " * 60_000) for number in range(8)]
    assert place.write(*texts) == {}
    for number in (0, 7):
        assert place.found(Text("_content", ((f"number{number}",),))) == [f"Media/size-{number}"]


def test_replay_and_reorder(place: Place) -> None:
    new, old = TokenValue("s", "new"), TokenValue("s", "old")
    place.put("Media/replayed", 5, status=new)
    place.put("Media/replayed", 3, status=old)
    assert place.found(Match("status", (TokenTest("new", "s"),))) == ["Media/replayed"]
    place.put("Media/replayed", 5, status=new)
    place.write(change("Media/replayed", 7, gone=True))
    place.put("Media/replayed", 6, status=new)
    place.write(change("Media/replayed", 7, gone=True), change("Media/never", 7, gone=True))
    assert place.found(Match("status", (TokenTest(system="s"),))) == []
    place.put("Media/replayed", 8, status=new)
    assert place.found(Match("status", (TokenTest(system="s"),))) == ["Media/replayed"]


def test_update_never_hides(place: Place) -> None:
    """While a resource is written again and again, it is found every time."""
    place.put("Media/steady", 1, status=TokenValue("t", "steady"))
    assert place.found(Match("status", (TokenTest(system="t"),))) == ["Media/steady"]

    async def write() -> None:
        for order in range(2, 15):
            again = change("Media/steady", order, status=TokenValue("t", "steady"))
            await place.engine.documents("g").write([again], visible=False)
            await place.engine.documents("g").refresh()

    async def look() -> list[int]:
        narrowed = EVERYBODY.narrow(Match("status", (TokenTest(system="t"),)), types=TYPES)
        writing, counts = asyncio.create_task(write()), list[int]()
        while not writing.done():
            counts.append(len((await place.engine.index("g").search(narrowed, page=Page(5))).keys))
        await writing
        return counts

    counts = place.run(look())
    assert len(counts) > 5 and set(counts) == {1}


def test_a_write_says_when_it_is_visible(place: Place) -> None:
    place.run(place.engine.finish("g"))
    seen = change("Media/visible", status=TokenValue("v", "x"))
    place.run(place.engine.documents("g").write([seen], visible=True))
    narrowed = EVERYBODY.narrow(Match("status", (TokenTest(system="v"),)), types=TYPES)
    assert place.run(place.engine.index("g").search(narrowed, page=Page(5))).keys == (Key("Media", "visible"),)


def test_what_waits_is_neither_found_nor_counted(empty: Place) -> None:
    for name in "abc":
        empty.put(f"Media/{name}", status=TokenValue("s", name))
    empty.run(empty.engine.documents("g").refresh())
    index, narrowed = empty.engine.index("g"), EVERYBODY.narrow(OfType(frozenset({"Media"})), types=TYPES)
    without = [Key("Media", "b")]
    hits = empty.run(index.search(narrowed, page=Page(5, total="accurate"), without=without))
    assert (hits.keys, hits.total) == ((Key("Media", "a"), Key("Media", "c")), 2)
    buckets = empty.run(index.buckets(narrowed, by="status", with_patients=True, without=without))
    assert [(each.code, each.count, each.patients) for each in buckets] == [("a", 1, 1), ("c", 1, 1)]
    assert empty.run(index.patients(narrowed, without=[Key("Media", name) for name in "abc"])) == 0


def test_facts_and_spellings_of_any_length_are_kept(empty: Place) -> None:
    label, code = "system|" + "L" * 40_000, "C" * 40_000
    facts = Facts(patients=("p",), labels=(label,), status="S" * 40_000, tokens={"kind": (label,)})
    value = TokenValue("s", bounded(code.lower()), spelled=code)
    assert empty.put("Media/long", facts=facts, status=value) == {}
    for query in (
        FactHas("labels", frozenset({label})),
        FactIn("status", frozenset({"S" * 40_000})),
        FactToken("kind", frozenset({label})),
        FactToken("kind", frozenset({"L" * 40_000})),
    ):
        assert empty.found(query) == ["Media/long"]
    narrowed = EVERYBODY.narrow(EVERYTHING, types=TYPES)
    (bucket,) = empty.run(empty.engine.index("g").buckets(narrowed, by="status", with_patients=False))
    assert (bucket.code, bucket.count) == (value.code, 1)


def test_no_zero_count_buckets(empty: Place) -> None:
    """A value only others have is in no bucket, and neither is one that was there before."""
    empty.put("Media/mine", status=TokenValue("s", "mine"), facts=Facts(patients=("p",), unit="u"))
    empty.put("Media/theirs", status=TokenValue("s", "theirs"), facts=Facts(patients=("q",), unit="v"))
    empty.put("Media/gone", status=TokenValue("s", "gone"), facts=Facts(patients=("p",), unit="u"))
    empty.write(change("Media/gone", 2, gone=True))
    empty.run(empty.engine.documents("g").refresh())
    rule = Rule(frozenset(ACTIONS), frozenset(TYPES), FactIn("unit", frozenset({"u"})))
    narrowed = Grant((rule,)).narrow(EVERYTHING, types=TYPES)
    buckets = empty.run(empty.engine.index("g").buckets(narrowed, by="status", with_patients=False))
    assert [(each.system, each.code, each.count) for each in buckets] == [("s", "mine", 1)]


def test_a_code_is_shown_as_it_is_mostly_written(empty: Place) -> None:
    for number, spelling in enumerate(("Abc", "ABC", "ABC", None)):
        empty.put(f"Media/{number}", status=TokenValue("s", "abc", spelled=spelling), of=str(number))
    empty.run(empty.engine.documents("g").refresh())
    narrowed = EVERYBODY.narrow(EVERYTHING, types=TYPES)
    buckets = empty.run(empty.engine.index("g").buckets(narrowed, by="status", with_patients=True))
    assert [(each.code, each.count, each.patients) for each in buckets] == [("ABC", 4, 4)]


def test_more_patients_than_are_counted_one_by_one_are_estimated(empty: Place) -> None:
    many = [change(f"Media/{number}", facts=Facts(patients=(str(number),))) for number in range(400)]
    empty.write(*many)
    empty.run(empty.engine.documents("g").refresh())
    assert abs(empty.run(empty.engine.index("g").patients(EVERYBODY.narrow(EVERYTHING, types=TYPES))) - 400) <= 8


def test_a_lost_index_is_never_made_by_a_write(empty: Place) -> None:
    empty.put("Media/a")
    for index in indices(empty.address, empty.prefix):
        empty.raw("DELETE", f"/{index}")
    assert failing(lambda: empty.put("Media/b")).category is Category.UNAVAILABLE
    assert failing(lambda: empty.found(EVERYTHING)).category is Category.UNAVAILABLE
    assert indices(empty.address, empty.prefix) == []
    assert not empty.run(empty.engine.is_sound("g")) and empty.run(empty.engine.generations()) == set()


def test_a_full_disk_is_said_and_passes(empty: Place) -> None:
    def blocked(value: bool | None) -> None:
        for index in indices(empty.address, empty.prefix):
            empty.raw("PUT", f"/{index}/_settings", {"index.blocks.read_only_allow_delete": value})

    empty.put("Media/before")
    blocked(True)
    failure = failing(lambda: empty.put("Media/during"))
    assert failure.category is Category.UNAVAILABLE and "read-only" in failure.issues[0].text
    assert empty.found(EVERYTHING) == ["Media/before"]
    blocked(None)
    assert empty.put("Media/after") == {}
    assert empty.found(EVERYTHING) == ["Media/after", "Media/before"]


def test_a_foreign_mapping_is_told(empty: Place) -> None:
    assert empty.run(empty.engine.is_sound("g"))
    index = indices(empty.address, empty.prefix)[0]
    family = index.rpartition("-")[2]
    alias = f"{index}-write"
    empty.raw("DELETE", f"/{index}")
    foreign = {"mappings": {"properties": {"key": {"type": "text"}}}, "aliases": {alias: {}}}
    empty.raw("PUT", f"/{index}", foreign)
    assert not empty.run(empty.engine.is_sound("g")), family
    empty.run(empty.engine.drop("g"))
    empty.run(empty.engine.create("g"))
    assert empty.run(empty.engine.is_sound("g"))


def test_another_fingerprint_is_told(empty: Place, index_address: str) -> None:
    class Later(FixedShape):
        fingerprint = "later"

    async def sound() -> bool:
        engine = ElasticEngine(parse_index_address(index_address), Later(ZONE), budget_s=10)
        try:
            return await engine.is_sound("g")
        finally:
            await engine.close()

    assert not empty.run(sound())


def test_generations_stand_side_by_side(empty: Place) -> None:
    engine = empty.engine
    empty.put(
        "Media/a", 4, when=DateValue(1_700_000_000_000, 1_700_000_000_001), facts=Facts(patients=("p",), unit="u")
    )
    empty.run(engine.create("h"))
    empty.run(engine.documents("h").write([change("Media/a", 4), change("Patient/p", 9)], visible=False))
    for generation in ("g", "h"):
        empty.run(engine.finish(generation))
    assert empty.run(engine.generations()) == {"g", "h"}
    assert empty.run(engine.tally("g")) == {("Media", "u", "2023"): 1}
    assert empty.run(engine.tally("h")) == {("Media", None, None): 1, ("Patient", None, None): 1}
    assert empty.run(engine.newest_order("g")) == 4 and empty.run(engine.newest_order("h")) == 9
    keys = [Key("Media", "a"), Key("Patient", "p"), Key("Media", "never")]
    assert empty.run(engine.orders("g", keys)) == {keys[0]: 4}
    assert empty.run(engine.orders("h", keys)) == {keys[0]: 4, keys[1]: 9}
    told = empty.run(engine.digests("h", keys))
    assert told == {keys[0]: engine.digest(change("Media/a", 77)), keys[1]: engine.digest(change("Patient/p"))}
    assert empty.run(engine.digests("g", keys)) != {keys[0]: told[keys[0]]}
    settings = empty.raw("GET", f"/{empty.prefix}-h-res/_settings?flat_settings=true")[f"{empty.prefix}-h-res"][
        "settings"
    ]
    assert settings["index.refresh_interval"] == "1s" and settings["index.gc_deletes"] == "1h"
    empty.run(engine.drop("g"))
    empty.run(engine.drop("g"))
    assert empty.run(engine.generations()) == {"h"}


def test_a_parameter_that_was_added_gets_its_field(index_address: str, runner: asyncio.Runner) -> None:
    registry = load_registry()
    without = {**registry.types}
    media = without["Media"]
    without["Media"] = replace(media, indexed={code: each for code, each in media.indexed.items() if code != "view"})
    complete, registry.types = registry.types, without
    for place in opened(index_address, runner, Shapes(registry, zone=ZONE)):
        place.put("Media/before")
        registry.types = complete
        assert place.put("Media/after", view=TokenValue("s", "lateral")) == {}
        assert place.found(Match("view", (TokenTest("lateral"),))) == ["Media/after"]
        properties = place.raw("GET", f"/{place.prefix}-g-res/_mapping")[f"{place.prefix}-g-res"]["mappings"][
            "properties"
        ]
        assert not mapping.differs(properties, {"t": {"properties": {"view": properties["t"]["properties"]["site"]}}})


def test_what_cannot_be_bounded_is_refused_at_once_and_harms_nothing(place: Place) -> None:
    tests = tuple(TokenTest(str(number)) for number in range(MOST_TERMS + 1))
    assert failing(lambda: place.found(Match("identifier", tests))).category is Category.NOT_IMPLEMENTED
    prefixes = tuple(TokenTest(str(number), below=True) for number in range(12_000))
    assert failing(lambda: place.found(Match("content-type", prefixes))).category is Category.TOO_COSTLY
    assert isinstance(place.found(InCompartment("p")), list)


def test_errors_hold_nothing_of_what_was_asked(place: Place) -> None:
    secret = "q" * 40_000
    refused = place.write(change("Media/term", status=TokenValue("s", secret)))
    assert refused and secret not in str(refused)


def test_an_engine_that_is_asked_before_it_is_there(runner: asyncio.Runner) -> None:
    engine = open_engine(
        parse_index_address("elasticsearch://127.0.0.1:9"), registry=load_registry(), zone=ZONE, budget_s=1
    )
    asks: list[Callable[[], Coroutine[Any, Any, Any]]] = [
        engine.ping,
        lambda: engine.create("g"),
        lambda: engine.documents("g").write([change("Media/a")], visible=False),
        lambda: engine.index("g").search(EVERYBODY.narrow(EVERYTHING, types=TYPES), page=Page(1)),
        lambda: engine.is_sound("g"),
    ]
    for ask in asks:
        assert failing(lambda ask=ask: runner.run(ask())).category is Category.UNAVAILABLE
    runner.run(engine.close())
