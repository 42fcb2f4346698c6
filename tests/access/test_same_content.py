"""Content that is there already is not stored again where that is asked for, and only then."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing

from fhirmedia.access.caller import Caller
from fhirmedia.core.errors import Category
from fhirmedia.core.records import Key, Record
from fhirmedia.custody.proposal import Proposal, Proposals
from tests.access.houses import House, derm, importer, refused
from tests.access.records import a, with_content
from tests.audit.rows import disclosures

TEXT = "text/plain"


def write(
    living: House, content: bytes, *, caller: Caller | None = None, content_type: str = TEXT, is_same: bool = True
) -> Record:
    """Put Binary/b, unless it is the same."""

    async def once() -> AsyncIterator[bytes]:
        yield content

    async def work() -> Record:
        asker = living.asker(caller or importer(), about="Binary/b")
        async with living.archive.custodian.session(asker.caller, "update", note=asker.note) as session:
            await session.receive(once(), content_type=content_type, binary_id="b")
            resource = {"resourceType": "Binary", "id": "b", "contentType": content_type}
            return await session.write(Proposal(Key("Binary", "b"), "update", {**resource}, unless_same=is_same))

    return living.run(work())


def test_the_same_is_not_stored_again(living: House) -> None:
    assert write(living, b"one").version == 1
    assert write(living, b"one").version == 1
    assert write(living, b"two").version == 2
    assert write(living, b"two", content_type="text/csv").version == 3
    assert write(living, b"two", content_type="text/csv", is_same=False).version == 4


def test_content_that_was_lost_is_stored_again(living: House) -> None:
    write(living, b"one")
    with closing(sqlite3.connect(living.path / "records.db")) as thief, thief:
        thief.execute("DELETE FROM binary_content WHERE binary_id = 'b'")
    assert write(living, b"one").version == 2


def test_a_record_that_says_the_same_is_not_written_again(living: House) -> None:
    async def put(text: str) -> int:
        asker = living.asker(importer(), about="Media/m")
        async with living.archive.custodian.session(asker.caller, "update", note=asker.note) as session:
            resource = a("Media", "m", note=[{"text": text}])
            return (await session.write(Proposal(Key("Media", "m"), "update", resource, unless_same=True))).version

    assert [living.run(put(text)) for text in ("one", "one", "two", "one")] == [1, 1, 2, 3]


def test_what_was_deleted_is_stored_again(living: House) -> None:
    write(living, b"one")
    assert living.delete(importer(), "Binary/b") == 2
    assert write(living, b"one").version == 3


def test_what_may_not_be_seen_is_not_found_to_be_the_same(living: House) -> None:
    write(living, b"one")
    with refused(Category.NOT_ALLOWED):
        write(living, b"one", caller=derm())


def test_a_claimed_one_stays_what_it_is(living: House) -> None:
    write(living, b"one")
    living.put(importer(), a("Media", "m", **with_content("Binary/b")))
    assert write(living, b"one").version == 1
    with refused(Category.CONFLICT):
        write(living, b"two")


def test_content_behind_a_record(living: House) -> None:
    """What is staged for a record becomes a Binary of its own, unless it stands for these bytes already."""

    async def once(content: bytes) -> AsyncIterator[bytes]:
        yield content

    async def work() -> int:
        asker = living.asker(importer())
        resource = a("Media", "m", **with_content("Binary/inside"))
        async with living.archive.custodian.session(asker.caller, "transaction", note=asker.note) as session:
            await session.receive(once(b"bytes"), content_type=TEXT, binary_id="inside")
            proposal = Proposal(Key("Media", "m"), "update", resource, unless_same=True)
            return (await session.write_all(Proposals((proposal,))))[0].record.version

    assert [living.run(work()), living.run(work())] == [1, 1]
    first, second = list(disclosures(living.path))[-2:]
    assert [(str(touch.key), touch.depth) for touch in first.touched] == [
        ("Binary/inside", "written"),
        ("Media/m", "written"),
    ]
    assert [(str(touch.key), touch.depth) for touch in second.touched] == [("Media/m", "opened")]
    (binary,) = living.run(living.stores.records.read((Key("Binary", "inside"),)))
    assert binary is not None
    assert binary.version == 1
    assert living.download(importer(), "inside") == b"bytes"
