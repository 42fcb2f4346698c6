"""Whom counts are about stands in the audit, and who may not list what is counted counts so often and no more."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhirmedia.access.caller import Caller
from fhirmedia.access.grant import Grant, NarrowedQuery, Rule
from fhirmedia.backends.index_memory import MemoryIndex
from fhirmedia.backends.quota_sql import HOUR_MS, QuotaSql
from fhirmedia.core.disclosure import Disclosure
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Facts, Key, Record
from fhirmedia.custody import asked_patients as telling
from fhirmedia.custody.asked_patients import asked_patients, few_patients
from fhirmedia.interactions.explain_search import explain
from fhirmedia.interactions.media_stats import media_stats
from fhirmedia.interactions.search import Where, search
from fhirmedia.r4.query import EVERYTHING, All, InCompartment, Match, Missing, Not, ReferenceTest, StringTest
from fhirmedia.r4.query import Any as Some
from fhirmedia.r4.query_string import decode_query
from fhirmedia.r4.values import IndexEntries
from tests.access.houses import House, derm, house, importer, refused, someone
from tests.access.records import a
from tests.audit.rows import disclosures

MANY = 6
MEDIA = frozenset({"Media"})


def refers(*keys: str) -> Match:
    return Match("subject", tuple(ReferenceTest(Key(*key.split("/"))) for key in keys))


@pytest.mark.parametrize(
    ("query", "patients"),
    [
        (InCompartment("p"), ("p",)),
        (refers("Patient/p", "Group/p"), ("p",)),
        (refers("Patient/p", "Patient/q"), ("p", "q")),
        (All((refers("Patient/p"), All((InCompartment("q"), refers("Patient/p"))))), ("p", "q")),
        (refers("Group/p"), ()),
        (Match("subject", (ReferenceTest(url="https://other/Patient/p"),)), ()),
        (Match("name", (StringTest("p", "exact"),)), ()),
        (Some((refers("Patient/p"), Missing("subject"))), ()),
        (Not(refers("Patient/p")), ()),
        (EVERYTHING, ()),
    ],
)
def test_who_is_asked_about_by_name(query: Any, patients: tuple[str, ...]) -> None:
    assert asked_patients(query) == patients


class Held(MemoryIndex):
    """An index, and records that have the facts it was told."""

    def __init__(self, *patients: str) -> None:
        super().__init__()
        self.facts = {Key("Media", f"m{number:04}"): Facts(patients=(each,)) for number, each in enumerate(patients)}
        self.read_so_far = 0
        for key, facts in self.facts.items():
            self.put(IndexEntries(key, {}, facts.patients), facts)

    async def read(self, keys: Any) -> list[Record | None]:
        self.read_so_far += len(keys)
        return [Record(key, 1, 1, 0, "create", b"{}", self.facts[key]) for key in keys]


def everything() -> NarrowedQuery:
    return Grant((Rule(frozenset({"read", "search"}), MEDIA, EVERYTHING),)).narrow(EVERYTHING, types=MEDIA)


def behind(held: Held) -> tuple[str, ...]:
    return asyncio.run(few_patients(held, held, everything()))  # type: ignore[arg-type]  # because it reads, and no more


def test_few_are_named_and_many_are_not() -> None:
    assert behind(Held()) == ()
    assert behind(Held(*"pqpq")) == ("p", "q")
    assert behind(Held(*"pqrs")) == ("p", "q", "r", "s")
    assert behind(Held(*"pqrst")) == ()


def test_few_are_found_behind_many_records_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "FIRST_LOOKED_AT", 4)
    monkeypatch.setattr(telling, "LOOKED_AT", 4)
    monkeypatch.setattr(telling, "LOOKED_AT_MOST", 8)
    assert behind(Held(*"pppppppq")) == ("p", "q")
    held = Held(*"ppppppppqrstu")
    assert behind(held) == ("p",)
    assert held.read_so_far == 8
    held = Held(*"pqpqrstuvwxyz")
    assert behind(held) == ()
    assert held.read_so_far == 8


def test_a_record_that_is_gone_names_nobody() -> None:
    class Gone(Held):
        async def read(self, keys: Any) -> list[Record | None]:
            return [None, *(await super().read(keys))[1:]]

    assert behind(Gone("p", "q")) == ("q",)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("told") / "data") as living:
        for number in range(MANY):
            living.put(importer(), a("Patient", f"p{number}"))
            living.put(importer(), a("Media", f"m{number}", of=f"p{number}", identifier=[{"value": f"v{number}"}]))
        living.put(importer(), a("Media", "again", of="p0", unit="eyes", identifier=[{"value": "v0"}]))
        yield living


def asked(living: House, caller: Caller, query: str) -> tuple[Any, Disclosure]:
    """What a count says (None: hidden), by `$media-stats` or as a search, and the row it left."""
    path, _, parameters = query.partition("?")
    *above, last = path.split("/")
    compartment = (above[0], above[1]) if len(above) > 1 else None
    pairs = decode_query(parameters.encode())
    asker = living.asker(caller, query=parameters)
    if last == "$media-stats":
        where = Where(None if compartment else above[0], compartment)
        told = json.loads(living.run(media_stats(living.archive, asker, where, pairs, lenient=False)))
        number = told["parameter"][0].get("valueInteger")
    else:
        found = living.run(search(living.archive, asker, Where(last, compartment), pairs, lenient=False))
        number = json.loads(found.bundle).get("total")
    (row,) = (each for each in disclosures(living.path) if each.request_id == living.last_request)
    return number, row


def named(row: Disclosure) -> tuple[tuple[str, ...], set[tuple[str, str]]]:
    return row.patients, {(str(touch.key), touch.depth) for touch in row.touched}


def listed(*patients: str) -> tuple[tuple[str, ...], set[tuple[str, str]]]:
    return patients, {(f"Patient/{each}", "listed") for each in patients}


NOBODY = listed()
COUNTS = ("Media?_summary=count", "Media/$media-stats?facet=kind")


@pytest.mark.parametrize(
    ("query", "number", "patients"),
    [
        ("Media/$media-stats?patient=Patient/p1", 1, listed("p1")),
        ("Media/$media-stats?patient=p1&facet=kind", 1, listed("p1")),
        ("Patient/p1/$media-stats?_type=Media", 1, listed("p1")),
        ("Media/$media-stats?patient=Patient/nobody", 0, listed("nobody")),
        ("Media/$media-stats?identifier=v0", 2, listed("p0")),
        ("Media/$media-stats?identifier=v1,v2", 2, listed("p1", "p2")),
        ("Media/$media-stats?identifier=nothing", 0, NOBODY),
        ("Media/$media-stats", MANY + 1, NOBODY),
        ("Media?_summary=count&identifier=v0", 2, listed("p0")),
        ("Media?_count=0&patient=Patient/p1", 1, listed("p1")),
        ("Media?_summary=count", MANY + 1, NOBODY),
        ("SearchParameter?_summary=count&_id=device-name", 1, NOBODY),
    ],
)
def test_a_count_names_whom_it_is_about(filled: House, query: str, number: int, patients: Any) -> None:
    told, row = asked(filled, someone(), query)
    assert (told, row.outcome, named(row)) == (number, "0", patients)


def test_the_wider_question_of_a_facet_names_whom_it_is_about(filled: House) -> None:
    filled.put(importer(), a("Media", "video", of="p5", content={"contentType": "video/mp4", "title": "x"}))
    try:
        told, row = asked(filled, someone(), "Media/$media-stats?identifier=v0,v1&kind=video&facet=kind")
        assert told == 0
        assert named(row) == listed("p0", "p1")
    finally:
        filled.delete(importer(), "Media/video")


def test_nobody_is_named_who_is_hidden(filled: House) -> None:
    told, row = asked(filled, derm(), "Media/$media-stats?identifier=v0,v1")
    assert (told, named(row)) == (2, listed("p0", "p1"))
    told, row = asked(filled, someone(name="eyes", units=frozenset({"eyes"})), "Media/$media-stats?identifier=v0,v1")
    assert (told, named(row)) == (1, listed("p0"))


def test_an_explanation_names_whom_it_is_about(filled: House) -> None:
    for query, expected in (("patient=Patient/p1", listed("p1")), ("identifier=v0", NOBODY)):
        asker = filled.asker(someone(), query=query)
        filled.run(explain(filled.archive, asker, Where("Media"), decode_query(query.encode()), lenient=False))
        (row,) = (each for each in disclosures(filled.path) if each.request_id == filled.last_request)
        assert named(row) == expected


def test_an_analyst_is_told_a_total_with_the_floor(filled: House) -> None:
    analyst = someone("user/*.s", name="analyst")
    assert asked(filled, analyst, "Media?_summary=count")[0] == 5
    told, row = asked(filled, analyst, "Media?_summary=count&patient=Patient/p1")
    assert (told, row.outcome, named(row)) == (None, "0", listed("p1"))
    told, row = asked(filled, analyst, "Media?_summary=count&identifier=v1")
    assert (told, named(row)) == (None, NOBODY)
    for query in ("Media?_count=1", "AuditEvent?_summary=count"):
        with refused(Category.FORBIDDEN):
            asked(filled, analyst, query)


def test_an_analyst_counts_nothing_inside_a_transaction(filled: House) -> None:
    entry = {"request": {"method": "GET", "url": "Media?_summary=count"}}
    with refused(Category.INVALID) as said:
        filled.transaction(someone("user/*.s", name="analyst"), entry)
    assert "by itself" in said.text
    assert filled.transaction(someone(), entry)


def limited(living: House, per_hour: int) -> QuotaSql:
    quota = QuotaSql(living.path / "run" / f"few-{per_hour}.db", per_hour=per_hour)
    living.replace_stores(quota=quota)
    return quota


@pytest.mark.parametrize("query", COUNTS)
def test_an_analyst_counts_so_often_and_no_more(filled: House, query: str) -> None:
    before, name = filled.stores.quota, f"counter of {query}"
    analyst = someone("user/*.s", name=name)
    quota = limited(filled, 3)
    try:
        for _ in range(3):
            asked(filled, analyst, query)
        with pytest.raises(Failure) as failed:
            asked(filled, analyst, query)
        assert (failed.value.category, failed.value.retry_after_s) == (Category.THROTTLED, 1201)
        (row,) = (each for each in disclosures(filled.path) if each.request_id == filled.last_request)
        assert (row.outcome, row.issue, row.subject) == ("4", "throttled", f"urn:tests|{name}")
        asked(filled, someone("user/*.s", name="another"), query)
        for _ in range(5):
            asked(filled, someone(name=name), query)  # who may list is not counted
        with refused(Category.FORBIDDEN):  # nor what is refused for want of rights
            asked(filled, someone("user/Patient.s", name=name), query)
    finally:
        filled.replace_stores(quota=before)
        quota.close()


def test_a_quota_comes_back_evenly_and_is_shared(tmp_path: Path) -> None:
    one, other = (QuotaSql(tmp_path / "quota.db", per_hour=4) for _ in range(2))
    now = 1_000_000_000_000
    assert [each.spend("kim", now=now) for each in (one, other, one, other)] == [0, 0, 0, 0]
    wait_s = one.spend("kim", now=now)
    assert wait_s == 901
    assert other.spend("sam", now=now) == 0
    assert other.spend("kim", now=now + 899_000) == 2
    assert other.spend("kim", now=now + 1000 * wait_s) == 0
    assert one.spend("kim", now=now + 1000 * wait_s) > 0
    later = now + 3 * HOUR_MS
    assert [one.spend("kim", now=later) > 0 for _ in range(5)] == [False] * 4 + [True]
    one.close()
    other.close()


def test_a_clock_that_was_ahead_locks_nobody_out(tmp_path: Path) -> None:
    quota = QuotaSql(tmp_path / "quota.db", per_hour=4)
    now = 1_000_000_000_000
    assert quota.spend("kim", now=now + 1000 * HOUR_MS) == 0
    assert quota.spend("kim", now=now) == 901
    assert quota.spend("kim", now=now + 901_000) == 0
    assert quota.spend("kim", now=now + 901_000) > 0
    quota.close()


def test_a_file_that_is_damaged_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "quota.db"
    path.write_bytes(b"no database at all" * 100)
    quota = QuotaSql(path, per_hour=1)
    assert [quota.spend("kim", now=1), quota.spend("kim", now=1)] == [0, 3601]
    quota.close()
