"""What a session hands out is judged once more by the records, whatever a store or an index has said."""

from collections.abc import Sequence
from typing import Any

import pytest

from fhirmedia.access.caller import Caller
from fhirmedia.access.policy import grant_for
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key, Record
from fhirmedia.custody.changes import ChangeWalk
from fhirmedia.custody.paging import Walk
from fhirmedia.custody.proposal import Proposal
from fhirmedia.ports.changes import ChangePage, Changes
from fhirmedia.ports.index import Hits, Page
from fhirmedia.r4.query import EVERYTHING, Match, TokenTest
from tests.access.houses import House, anna, derm, importer, refused, registry, someone
from tests.access.records import a
from tests.audit.rows import disclosures

AUDIT = "AuditEvent"
MOST = 1000


def of_last_row(living: House) -> list[tuple[str, str]]:
    return [(str(touch.key), touch.depth) for touch in list(disclosures(living.path))[-1].touched]


def test_a_look_up_tells_what_is_there_and_may_be_read(living: House) -> None:
    living.put(importer(), a("Media", "seen"))
    living.put(importer(), a("Media", "hidden", unit="eyes"))
    living.put(importer(), a("Media", "ended"))
    living.delete(importer(), "Media/ended")

    async def look_up() -> list[Record]:
        asker = living.asker(derm())
        async with living.archive.custodian.session(asker.caller, "search", note=asker.note) as session:
            return await session.look_up([Key("Media", id) for id in ("seen", "hidden", "ended", "never")])

    assert [str(record.key) for record in living.run(look_up())] == ["Media/seen"]
    assert of_last_row(living) == [("Media/seen", "listed")]


def test_types_that_may_be_listed(living: House) -> None:
    async def listable() -> list[str]:
        asker = living.asker(derm("user/Media.rs user/Task.r user/List.s"))
        async with living.archive.custodian.session(asker.caller, "search", note=asker.note) as session:
            return session.listable(["Task", "Media", "List", "Basic"])

    assert living.run(listable()) == ["Media"]


def test_a_store_that_names_every_version_shows_no_more_of_a_history(living: House) -> None:
    living.put(importer(), a("Media", "m", unit="eyes"))
    living.put(importer(), a("Media", "m"))
    honest = living.stores.records

    class Lying:
        def __getattr__(self, name: str) -> Any:
            return getattr(honest, name)

        async def changes(self, page: ChangePage) -> Changes:
            every = [await honest.version(Key("Media", "m"), version) for version in (2, 1)]
            return Changes([record for record in every if record is not None], None, 2)

    living.replace_stores(records=Lying())

    async def history() -> Sequence[Record]:
        asker = living.asker(derm())
        async with living.archive.custodian.session(asker.caller, "history", note=asker.note) as session:
            return (await session.history(Key("Media", "m"), ChangeWalk(before=2**62, count=10))).records

    assert [record.version for record in living.run(history())] == [2]
    assert of_last_row(living) == [("Media/m", "opened")]


async def access_log(living: House, caller: Caller, walk: Walk, **asked: Any) -> list[Record]:
    asker = living.asker(caller)
    async with living.archive.custodian.session(asker.caller, "access-log", note=asker.note) as session:
        query = asked.get("query", EVERYTHING)
        return list((await session.access_log(Key("Patient", "anna"), query, walk=walk)).records)


def auditor() -> Caller:
    return someone("user/AuditEvent.rs", name="auditor", roles=frozenset({"auditor"}))


@pytest.mark.parametrize("caller", [anna(), auditor()], ids=["the patient", "an auditor"])
def test_an_index_that_names_every_event_shows_no_more_of_a_log(living: House, caller: Caller) -> None:
    living.put(importer(), a("Media", "hers"))
    living.put(importer(), a("Media", "his", of="bo"))
    living.run(access_log(living, auditor(), Walk(MOST)))
    honest = living.stores.views[AUDIT]
    every = living.run(
        honest.search(grant_for(auditor(), registry()).narrow(EVERYTHING, types=(AUDIT,)), page=Page(MOST))
    ).keys

    class Lying:
        def __getattr__(self, name: str) -> Any:
            return getattr(honest, name)

        async def search(self, query: object, *, page: Page) -> Hits:
            return Hits((*every, Key(AUDIT, "changes-9999999-1")), None, None)

    living.replace_stores(views={**living.stores.views, AUDIT: Lying()})
    told = living.run(access_log(living, caller, Walk(MOST)))
    assert told
    assert {patient for record in told for patient in record.facts.patients} == {"anna"}
    assert len(told) < len(every)


def test_a_page_of_a_log_is_full_of_what_is_asked_for(living: House) -> None:
    for number in range(3):
        living.put(importer(), a("Media", f"hers{number}"))
        living.put(importer(), a("Media", f"his{number}", of="bo"))
    assert len(living.run(access_log(living, auditor(), Walk(3)))) == 3
    read = Match("subtype", (TokenTest("read"),))
    living.read(derm(), "Media/hers0")
    assert len(living.run(access_log(living, auditor(), Walk(MOST), query=read))) == 1


def test_counting_events_is_refused_to_who_may_not_list_them(living: House) -> None:
    async def number() -> int | None:
        asker = living.asker(derm("user/*.s"))
        async with living.archive.custodian.session(asker.caller, "search", note=asker.note) as session:
            return (await session.search(EVERYTHING, types=(AUDIT,), walk=Walk(0, total="accurate"))).total

    with refused(Category.FORBIDDEN):
        living.run(number())


def test_an_update_that_may_not_be_is_told_without_a_request_that_names_it(living: House) -> None:
    living.upload(importer(), b"bytes", key="Binary/hidden")

    async def require() -> None:
        asker = living.asker(derm())
        async with living.archive.custodian.session(asker.caller, "update", note=asker.note) as session:
            resource = {"resourceType": "Binary", "id": "hidden", "contentType": "text/plain"}
            await session.require_update(Proposal(Key("Binary", "hidden"), "update", {**resource}))

    with pytest.raises(Failure):
        living.run(require())
    assert of_last_row(living) == [("Binary/hidden", "refused")]


def test_who_may_not_read_a_log_is_told_of(living: House) -> None:
    with refused(Category.NOT_FOUND):
        living.run(access_log(living, derm(), Walk(MOST)))
    assert of_last_row(living) == [("Patient/anna", "refused")]


def test_a_patch_that_changes_nothing_is_of_the_version_it_was_made_of(living: House) -> None:
    for text in ("one", "two"):
        living.put(importer(), a("Media", "m", note=[{"text": text}]))

    async def patch(expected: int) -> Record:
        asker = living.asker(derm(), about="Media/m")
        async with living.archive.custodian.session(asker.caller, "patch", note=asker.note) as session:
            return await session.write(Proposal(Key("Media", "m"), "update", None, expected, patched=True))

    assert living.run(patch(2)).version == 2
    with refused(Category.CONFLICT):
        living.run(patch(1))


def test_a_patient_who_is_not_there_is_not_deleted(living: House) -> None:
    with refused(Category.NOT_FOUND):
        living.delete(importer(), "Patient/never")
