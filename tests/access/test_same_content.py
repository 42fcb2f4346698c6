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


async def written(living: House, *proposals: Proposal, content: bytes = b"bytes", binary_id: str) -> list[Record]:
    """What became of these, with content staged for one of them."""

    async def once() -> AsyncIterator[bytes]:
        yield content

    asker = living.asker(importer())
    async with living.archive.custodian.session(asker.caller, "transaction", note=asker.note) as session:
        await session.receive(once(), content_type=TEXT, binary_id=binary_id)
        return [each.record for each in await session.write_all(Proposals(proposals))]


def test_content_may_have_the_id_of_the_record_it_is_behind(living: House) -> None:
    resource = a("Media", "m", **with_content("Binary/m"))
    living.run(written(living, Proposal(Key("Media", "m"), "update", resource), binary_id="m"))
    assert living.download(importer(), "m") == b"bytes"


def test_content_is_there_before_what_claims_it(living: House) -> None:
    media = Proposal(Key("Media", "m"), "update", a("Media", "m", **with_content("Binary/b")))
    binary = {"resourceType": "Binary", "id": "b", "contentType": TEXT}
    made = living.run(written(living, media, Proposal(Key("Binary", "b"), "update", {**binary}), binary_id="b"))
    assert [str(record.key) for record in made] == ["Media/m", "Binary/b"]
    assert living.download(importer(), "b") == b"bytes"


def test_content_is_looked_for_only_where_that_is_asked(living: House) -> None:
    resource = a("Media", "m", **with_content("Binary/b"))
    for is_same, version in ((False, 1), (False, 2), (True, 2)):
        proposal = Proposal(Key("Media", "m"), "update", resource, unless_same=is_same)
        living.run(written(living, proposal, binary_id="b"))
        (binary,) = living.run(living.stores.records.read((Key("Binary", "b"),)))
        assert binary is not None
        assert binary.version == version


def test_what_stayed_as_it_is_is_told_of_where_the_rest_was_refused(living: House) -> None:
    kept = a("Media", "m", of="bo")
    living.put(importer(), kept)
    with refused(Category.CONFLICT):
        living.run(
            written(
                living,
                Proposal(Key("Media", "m"), "update", kept, unless_same=True),
                Proposal(Key("Patient", "bo"), "delete"),
                binary_id="unused",
            )
        )
    row = list(disclosures(living.path))[-1]
    assert ("Media/m", 1, ("bo",)) in [(str(touch.key), touch.version, touch.patients) for touch in row.touched]
