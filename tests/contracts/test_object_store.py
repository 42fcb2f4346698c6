"""What every object store must do, whoever built it: the files today."""

import asyncio
import hashlib
import os
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhirmedia.backends.objects_files import FileObjectStore
from fhirmedia.core.digests import Digest, digest_of
from fhirmedia.core.errors import Category, Failure
from fhirmedia.ports.objects import ObjectStore

MIB = 2**20
ABSENT = digest_of(b"nobody stored this")


@dataclass(frozen=True, slots=True)
class Opened:
    """A store, how many unfinished uploads it keeps, and how to let go of it."""

    store: ObjectStore
    unfinished: Callable[[], int]
    close: Callable[[], object]


def open_files(place: Path) -> Opened:
    def broken() -> None:
        raise AssertionError("the store called its storage broken")

    store = FileObjectStore(place, on_broken=broken)
    return Opened(store, lambda: len(os.listdir(place / "tmp")), lambda: asyncio.run(store.close()))


BACKENDS = {"files": open_files}


@pytest.fixture(params=BACKENDS)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    found = BACKENDS[request.param](tmp_path)
    yield found
    found.close()


@pytest.fixture
def store(opened: Opened) -> ObjectStore:
    return opened.store


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        await asyncio.sleep(0)
        yield part


async def everything(store: ObjectStore, digest: Digest, start: int = 0, stop: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in store.read(digest, start=start, stop=stop)])


async def held(store: ObjectStore) -> list[Digest]:
    return sorted([digest async for digest in store.digests()])


def split(content: bytes, cuts: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(content) + 1) for cut in cuts), len(content)]
    return [content[start:stop] for start, stop in pairwise(edges)]


SIZES = (0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB, 3 * MIB + 17)


@pytest.mark.parametrize("size", SIZES)
async def test_what_goes_in_is_described_and_comes_out(store: ObjectStore, size: int) -> None:
    content = os.urandom(size)
    blob = await store.put(pieces(*split(content, [size // 3, size // 2])))
    assert blob.digest == digest_of(content)
    assert blob.size == size
    assert blob.sha1 == hashlib.sha1(content).digest()
    assert blob.crcs == tuple(zlib.crc32(content[at : at + MIB]) for at in range(0, size, MIB))
    assert await store.size(blob.digest) == size
    assert await everything(store, blob.digest) == content
    assert await held(store) == [blob.digest]


@settings(max_examples=30)
@given(cuts=st.lists(st.integers(0, 2**22), max_size=12), seed=st.integers(0, 3))
def test_how_it_is_cut_up_makes_no_difference(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], seed: int
) -> None:
    content = bytes([seed]) * (MIB + 12_345)

    async def twice() -> None:
        opened = open_files(tmp_path_factory.mktemp("cut"))
        try:
            assert await opened.store.put(pieces(*split(content, cuts))) == await opened.store.put(pieces(content))
        finally:
            await opened.store.close()  # type: ignore[attr-defined]  # the files have a close of their own

    asyncio.run(twice())


async def test_many_small_pieces_are_held_as_one(store: ObjectStore) -> None:
    content = os.urandom(2 * MIB + 99)
    small = [content[at : at + 700] for at in range(0, len(content), 700)]
    assert await store.put(pieces(*small)) == await store.put(pieces(content))


async def test_the_same_bytes_twice_are_held_once(store: ObjectStore) -> None:
    first = await store.put(pieces(b"same"))
    assert await store.put(pieces(b"sa", b"me")) == first
    assert await held(store) == [first.digest]


async def test_many_puts_at_once(store: ObjectStore, opened: Opened) -> None:
    same, own = os.urandom(MIB + 5), [os.urandom(MIB * 2 + number) for number in range(4)]
    blobs = await asyncio.gather(*(store.put(pieces(*split(content, [7]))) for content in (same, same, same, *own)))
    assert [blob.digest for blob in blobs] == [digest_of(content) for content in (same, same, same, *own)]
    for content in (same, *own):
        assert await everything(store, digest_of(content)) == content
    assert opened.unfinished() == 0


async def test_absent_bytes(store: ObjectStore) -> None:
    assert await store.size(ABSENT) is None
    with pytest.raises(Failure) as refused:
        await everything(store, ABSENT)
    assert refused.value.category is Category.CORRUPT
    await store.delete(ABSENT)


async def test_deleted_bytes_are_absent_and_may_come_back(store: ObjectStore) -> None:
    blob = await store.put(pieces(b"come and go"))
    await store.delete(blob.digest)
    await store.delete(blob.digest)
    assert await store.size(blob.digest) is None
    assert await held(store) == []
    assert await store.put(pieces(b"come and go")) == blob
    assert await everything(store, blob.digest) == b"come and go"


async def test_a_reader_keeps_what_is_deleted_under_it(store: ObjectStore) -> None:
    content = os.urandom(3 * MIB)
    blob = await store.put(pieces(content))
    reading = store.read(blob.digest)
    first = await anext(reading)
    await store.delete(blob.digest)
    rest = b"".join([chunk async for chunk in reading])
    assert first + rest == content


EDGES = (0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB, 2 * MIB + 100)


@pytest.mark.parametrize("start", EDGES)
async def test_ranges(store: ObjectStore, start: int) -> None:
    content = os.urandom(2 * MIB + 100)
    digest = (await store.put(pieces(content))).digest
    for stop in EDGES:
        if start <= stop:
            assert await everything(store, digest, start, stop) == content[start:stop]
    assert await everything(store, digest, start) == content[start:]


async def test_more_than_there_is_cannot_be_read(store: ObjectStore) -> None:
    digest = (await store.put(pieces(b"short"))).digest
    with pytest.raises(Failure) as refused:
        await everything(store, digest, 0, 6)
    assert refused.value.category is Category.CORRUPT


@pytest.mark.parametrize("before", [0, 5, MIB, 3 * MIB])
async def test_a_stream_that_fails_leaves_nothing(store: ObjectStore, opened: Opened, before: int) -> None:
    class Gone(Exception):
        pass

    async def failing() -> AsyncIterator[bytes]:
        yield os.urandom(before)
        raise Gone

    with pytest.raises(Gone):
        await store.put(failing())
    await settled(opened)
    assert await held(store) == []


@pytest.mark.parametrize("after_s", [0, 0.001, 0.005, 0.02])
async def test_a_cancelled_put_leaves_nothing(store: ObjectStore, opened: Opened, after_s: float) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0)
            yield os.urandom(MIB // 2)

    putting = asyncio.create_task(store.put(endless()))
    await asyncio.sleep(after_s)
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    await settled(opened)
    assert await held(store) == []


async def test_puts_that_are_given_up_touch_no_other(store: ObjectStore, opened: Opened) -> None:
    """A write still under way when its upload ends must not reach a file opened since."""
    good = [os.urandom(2 * MIB) for _ in range(4)]

    async def given_up() -> None:
        putting = asyncio.create_task(store.put(pieces(*[bytes(MIB)] * 3)))
        await asyncio.sleep(0.0005)
        putting.cancel()
        with suppress(asyncio.CancelledError):
            await putting

    for _ in range(10):
        await asyncio.gather(*(given_up() for _ in good), *(store.put(pieces(content)) for content in good))
        for content in good:
            assert await everything(store, digest_of(content)) == content
    await settled(opened)


async def settled(opened: Opened) -> None:
    """Wait until no upload is left unfinished; fails if that does not come about."""
    async with asyncio.timeout(5):
        while opened.unfinished():
            await asyncio.sleep(0.005)
