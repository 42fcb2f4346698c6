"""The last guards: an index that lies, a log that fails, a ticket that comes too early, bytes that changed."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from typing import Any

import pytest

from fhirmedia.access.grant import NarrowedQuery
from fhirmedia.backends.chained_table import ChangeChain
from fhirmedia.backends.folder import Folder
from fhirmedia.core.disclosure import Disclosure, decode_disclosure
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key
from fhirmedia.custody.content import CHECKED_BYTES, ContentTicket
from fhirmedia.custody.paging import Walk
from fhirmedia.custody.proposal import Proposal
from fhirmedia.ports.index import Hits, Page, Position
from fhirmedia.r4.query import OfType
from tests.access.houses import House, anna, derm, eyes, ids, importer, refused, someone
from tests.access.records import CLINICAL, TEXT, Resource, a, with_content
from tests.audit.rows import disclosures

EVERYTHING = [(kind, of, unit) for kind in CLINICAL for of in ("anna", "bo") for unit in ("derm", "eyes")]


def everything(living: House) -> list[Key]:
    for kind, of, unit in EVERYTHING:
        living.put(importer(), a(kind, f"{of}-{unit}", of=of, unit=unit))
    living.put(importer(), a("Media", "ended"))
    living.delete(importer(), "Media/ended")
    return [Key(kind, f"{of}-{unit}") for kind, of, unit in EVERYTHING] + [Key("Media", "ended"), Key("Media", "never")]


class LyingIndex:
    """Answers every search with every Key."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys = tuple(keys)

    async def search(self, query: NarrowedQuery, *, page: Page) -> Hits:
        assert isinstance(query, NarrowedQuery)
        return Hits(self._keys, Position((), self._keys[-1]), None)


def test_a_lying_index_discloses_nothing(living: House) -> None:
    living.replace_stores(index=LyingIndex(everything(living)))
    hers, ours = {"anna-derm", "anna-eyes"}, {"anna-derm", "bo-derm"}
    for caller, own in ((anna(), hers), (derm(), ours), (derm("user/Media.rs"), ours)):
        found = ids(living.search(caller, "Media", "_count=3"))
        assert {key.partition("/")[2] for key in found} == own
        if caller.scopes == derm("user/Media.rs").scopes:
            assert {key.partition("/")[0] for key in found} == {"Media"}
    row = list(disclosures(living.path))[-1]
    assert {touch.key.type for touch in row.touched} == {"Media"}
    assert {touch.key.id for touch in row.touched} == ours, "the row names what was given and nothing else"


class Log:
    """A disclosure log that keeps rows in a list, and fails from a moment on."""

    def __init__(self) -> None:
        self.rows: list[Disclosure] = []
        self.broken = False

    async def append(self, disclosure: bytes, raw_query: bytes | None = None) -> None:
        await asyncio.sleep(0)
        if self.broken:
            raise Failure(Category.UNAVAILABLE, "The audit log cannot be written.")
        self.rows.append(decode_disclosure(disclosure))

    async def close(self) -> None:
        return None


def test_without_a_log_nothing_is_disclosed(living: House) -> None:
    keys = everything(living)
    id = living.upload(derm(), b"bytes")
    log, closing = Log(), living.stores.disclosures
    living.replace_stores(disclosures=log)
    log.broken = True
    before = living.run(living.stores.records.read(keys))
    for act in (
        lambda: living.read(derm(), "Media/anna-derm"),
        lambda: living.vread(derm(), "Media/anna-derm", 1),
        lambda: living.history(derm(), "Media/anna-derm"),
        lambda: living.search(derm(), "Media"),
        lambda: living.search(derm(), "Media", "_summary=count"),
        lambda: living.download(derm(), id),
        lambda: living.read(derm(), "Media/anna-eyes"),
        lambda: living.read(derm(), "Media/never"),
        lambda: living.read(derm("user/Patient.r"), "Media/anna-derm"),
        lambda: living.put(derm(), a("Media", "anna-eyes")),
        lambda: living.delete(derm(), "Media/anna-eyes"),
    ):
        with refused(Category.UNAVAILABLE):
            act()
    assert living.run(living.stores.records.read(keys)) == before
    log.broken = False
    assert living.read(derm(), "Media/anna-derm")["id"] == "anna-derm"
    living.replace_stores(disclosures=closing)


class BrokenChain(ChangeChain):
    """A change log that cannot be extended."""

    def row(self, *_: Any) -> Any:
        raise Failure(Category.UNAVAILABLE, "The audit log cannot be written.")


def test_without_its_row_no_change_is_made(living: House) -> None:
    living.put(importer(), a("Media", "m"))
    id = living.upload(derm(), b"bytes")
    sound = living.stores.records._parts
    object.__setattr__(sound, "changes", BrokenChain())
    for act in (
        lambda: living.create(derm(), a("Media", "x")),
        lambda: living.put(derm(), a("Media", "m")),
        lambda: living.delete(derm(), "Media/m"),
        lambda: living.upload(derm(), b"more"),
        lambda: living.create(derm(), a("Media", "x", **with_content(f"Binary/{id}"))),
    ):
        with refused(Category.UNAVAILABLE):
            act()
    assert living.read(derm(), "Media/m")["meta"]["versionId"] == "1"
    assert ids(living.search(derm(), "Media")) == ["Media/m"]
    assert living.download(derm(), id) == b"bytes"


def test_a_ticket_opens_nothing_before_its_row_is_durable(living: House) -> None:
    id = living.upload(derm(), b"bytes")

    async def early() -> None:
        asker = living.asker(derm())
        async with living.archive.custodian.session(derm(), "content", note=asker.note) as session:
            ticket = await session.content(Key("Binary", id), depth="opened")
            with refused(Category.INTERNAL):
                await anext(ticket.stream(0, 5))

    living.run(early())


class OtherBytes:
    """An object store whose bytes have changed."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    async def read(self, _digest: object, *, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        for at in range(start, len(self.content) if stop is None else stop, CHECKED_BYTES):
            yield self.content[at : min(at + CHECKED_BYTES, stop or len(self.content))]


def test_changed_bytes_never_leave(living: House) -> None:
    content = bytes(range(256)) * (CHECKED_BYTES // 128)
    id = living.upload(derm(), content, type="application/octet-stream")
    sound = living.stores.objects
    for at, sent in ((0, 0), (CHECKED_BYTES - 1, 0), (CHECKED_BYTES, CHECKED_BYTES), (len(content) - 1, CHECKED_BYTES)):
        changed = bytearray(content)
        changed[at] ^= 1
        living.replace_stores(objects=OtherBytes(bytes(changed)))
        assert _until_refused(living, id) == content[:sent]
    living.replace_stores(objects=sound)
    assert living.download(derm(), id) == content
    assert (
        living.download(derm(), id, start=CHECKED_BYTES - 3, stop=CHECKED_BYTES + 4)
        == content[-3 + CHECKED_BYTES :][:7]
    )
    assert living.download(derm(), id, start=len(content) - 1) == content[-1:]


def _until_refused(living: House, id: str) -> bytes:
    sent = bytearray()

    async def whole() -> None:
        asker = living.asker(derm())
        async with living.archive.custodian.session(derm(), "content", note=asker.note) as session:
            ticket: ContentTicket = await session.content(Key("Binary", id), depth="downloaded")
        async for part in ticket.stream(0, ticket.size):
            sent.extend(part)

    with refused(Category.CORRUPT):
        living.run(whole())
    return bytes(sent)


def test_a_binary_without_content_is_damage(living: House) -> None:
    id = living.upload(derm(), b"bytes")

    async def none(*_: object) -> None:
        return None

    living.stores.records.content = none
    with refused(Category.CORRUPT):
        living.download(derm(), id)
    with refused(Category.NOT_FOUND):
        living.download(eyes(), id)


def test_everything_is_asked_of_the_present_grant(living: House) -> None:
    """A caller whose scopes reach nothing is refused before anything is looked for."""
    living.put(importer(), a("Media", "m"))
    nobody = someone("user/*.cruds", all_units=False)
    for act in (
        lambda: living.read(nobody, "Media/m"),
        lambda: living.vread(nobody, "Media/m", 1),
        lambda: living.history(nobody, "Media/m"),
        lambda: living.search(nobody, "Media"),
        lambda: living.create(nobody, a("Media", "m")),
        lambda: living.put(nobody, a("Media", "m")),
        lambda: living.delete(nobody, "Media/m"),
        lambda: living.upload(nobody, b"x"),
        lambda: living.download(nobody, "b"),
    ):
        with refused(Category.FORBIDDEN):
            act()


def test_both_versions_have_to_permit(living: House) -> None:
    living.put(importer(), a("Media", "turned", unit="eyes"))
    living.put(importer(), a("Media", "turned"))
    living.put(importer(), a("Media", "lost"))
    living.put(importer(), a("Media", "lost", unit="eyes"))
    assert living.vread(derm(), "Media/turned", 2)["meta"]["versionId"] == "2"
    for key, version in (("turned", 1), ("turned", 3), ("lost", 1), ("lost", 2), ("lost", 3)):
        with refused(Category.NOT_FOUND):
            living.vread(derm(), f"Media/{key}", version)
    assert living.history(derm(), "Media/turned")["total"] == 1
    with refused(Category.NOT_FOUND):
        living.history(derm(), "Media/lost")


def test_a_projected_type_is_searched_by_itself(living: House) -> None:
    """Asked for beside others it would be looked for where it is not."""
    living.put(importer(), a("Media", "m"))
    auditor = someone(roles=frozenset({"auditor"}))

    async def search(*types: str) -> list[str]:
        query = OfType(frozenset(types))
        async with living.archive.custodian.session(
            auditor, "search-system", note=living.asker(auditor).note
        ) as session:
            found = await session.search(query, types=types, walk=Walk(50))
        return [str(record.key) for record in found.records]

    assert living.run(search("AuditEvent", "Media")) == ["Media/m"]
    assert all(key.startswith("AuditEvent/") for key in living.run(search("AuditEvent")))
    assert living.run(search("AuditEvent")) != []


@pytest.mark.parametrize("kind", ["Media", "Binary"])
def test_an_id_of_ours_is_given_once(living: House, kind: str) -> None:
    async def create() -> None:
        async with living.archive.custodian.session(derm(), "create", note=living.asker(derm()).note) as session:
            body = a("Media", "one") if kind == "Media" else {"resourceType": kind, "contentType": TEXT}
            if kind == "Binary":
                await session.receive(_once(b"x"), content_type=TEXT, binary_id="one")
            await session.write(Proposal(Key(kind, "one"), "create", body))

    living.run(create())
    with refused(Category.CONFLICT):
        living.run(create())


def test_a_binary_comes_with_bytes_and_a_body(living: House) -> None:
    async def create(body: Resource | None, *, received: bool) -> None:
        async with living.archive.custodian.session(derm(), "create", note=living.asker(derm()).note) as session:
            if received:
                await session.receive(_once(b"x"), content_type=TEXT, binary_id="one")
            await session.write(Proposal(Key("Binary", "one"), "create", body))

    for body, received in ((None, True), ({"resourceType": "Binary", "contentType": TEXT}, False), (None, False)):
        with refused(Category.INTERNAL):
            living.run(create(body, received=received))


def test_damage_opens_nothing(living: House) -> None:
    """Rows that are lost take nothing with them but what they held."""
    kept, lost = living.upload(importer(), b"x"), living.upload(importer(), b"y")
    for id in (kept, lost):
        living.put(importer(), a("Media", f"of-{id}", **with_content(f"Binary/{id}")))
    with closing(sqlite3.connect(Folder(living.path).records)) as connection, connection:
        connection.execute("DELETE FROM binary_content WHERE binary_id = ?", (kept,))
        connection.execute("DELETE FROM record_version WHERE type = 'Binary' AND id = ?", (lost,))
    for id, category in ((kept, Category.CORRUPT), (lost, Category.NOT_FOUND)):
        with refused(category):
            living.download(derm(), id)
        with refused(Category.UNPROCESSABLE):
            living.create(derm(), a("Media", "x", **with_content(f"Binary/{id}")))


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
