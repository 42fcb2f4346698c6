"""Texts of many contents, of equal ones, and of ones that fail: nobody else's records, searches or writes suffer."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fhirmedia.backends import attached_words
from fhirmedia.backends.facts_codec import encode_facts
from fhirmedia.backends.text_sandbox import TextSandbox
from fhirmedia.core.digests import digest_of
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Facts
from fhirmedia.custody import texts_job
from fhirmedia.media.text_kept import KEPT_MAX
from fhirmedia.ports.texts import ReadText
from tests.custody.inhabited import UNIT, Inhabited
from tests.custody.test_texts_job import SAID, found, house, outcomes, waiting


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def reader(anyio_backend: str) -> AsyncIterator[TextSandbox]:
    one = TextSandbox()
    yield one
    await one.close()


async def test_what_fails_for_a_reason_of_its_own_keeps_nothing_else_waiting(
    tmp_path: Path, reader: TextSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path / "data", reader) as here:
        for each in ("old", "spoilt"):
            await here.upload(each.encode(), each)
            await here.media(each, binary=each)
        here.sql("UPDATE record_version SET facts = X'7B' WHERE type = 'Media' AND id = 'spoilt'")
        job = here.house.texts_job
        for _ in range(2):
            with pytest.raises(ValueError, match="truncated"):
                await job.work_off()
        assert (waiting(here), await found(here, "old")) == (["spoilt"], ["old"])

        async def ill(*_: object, **__: object) -> None:
            raise Failure(Category.INTERNAL, "ill")

        here.sql("UPDATE record_version SET facts = ? WHERE id = 'spoilt'", encode_facts(Facts()))
        await job.work_off()
        await here.upload(b"more", "more")
        monkeypatch.setattr(reader, "read", ill)
        with pytest.raises(Failure, match="ill"):
            await job.work_off()
        assert here.sql("SELECT binary_id, attempts FROM pending_text") == [("more", 1)]


async def test_equal_bytes_that_are_read_worse_take_no_words_away(tmp_path: Path, reader: TextSandbox) -> None:
    async with house(tmp_path / "data", reader) as here:
        await here.upload(SAID, "a")
        await here.media("m", binary="a")
        await here.house.texts_job.work_off()
        await here.upload(SAID, "b")
        await here.media("n", binary="b")
        await kept(here, ReadText("too-costly", ""))
        await here.house.texts_job.work_off()
        assert outcomes(here) == [(digest_of(SAID), "extracted")]
        assert (await here.check()).findings == []
        await here.media("m", binary="a", note=[{"text": "later"}])
        assert await found(here, "lungan") == ["m", "n"]


async def test_a_text_that_can_be_read_at_last_reaches_whoever_holds_equal_bytes(
    tmp_path: Path, reader: TextSandbox
) -> None:
    async with house(tmp_path / "data", reader) as here:
        await here.upload(SAID, "a")
        await here.media("m", binary="a")
        await kept(here, ReadText("too-costly", ""))
        await here.upload(SAID, "b")
        await here.media("n", binary="b")
        await here.house.texts_job.work_off()
        assert (await found(here, "lungan"), waiting(here)) == (["m", "n"], [])
        assert (await here.check()).findings == []


async def kept(here: Inhabited, text: ReadText) -> None:
    """The next text that waits came to this."""
    job = here.house.texts_job
    one = await job._store.waiting_text()
    assert one is not None
    await job._store.write(lambda transaction: job._keep(one, "plain/-", text, transaction))


@pytest.mark.parametrize(
    ("room", "words"), [(11, ["second"]), (20, ["second", "longest"]), (24, ["second", "longest", "third"])]
)
async def test_a_record_with_many_contents_has_the_room_of_one(
    tmp_path: Path, reader: TextSandbox, monkeypatch: pytest.MonkeyPatch, room: int, words: list[str]
) -> None:
    """The writer spells the words of a record at each of its writes, while everybody else waits."""
    assert attached_words.ROOM == KEPT_MAX
    monkeypatch.setattr(attached_words, "ROOM", room)
    async with house(tmp_path / "data", reader) as here:
        for name, said in (("a", b"first"), ("b", b"second longestpart"), ("c", b"third")):
            await here.upload(said, name)
        unit = {"url": UNIT, "valueReference": {"reference": "Organization/derm"}}
        more = [{"url": "http://x.example/e", "valueAttachment": {"url": f"Binary/{name}"}} for name in "bc"]
        await here.media("m", binary="a", extension=[unit, *more])
        await here.house.texts_job.work_off()
        asked = ("first", "second", "longest", "long", "third")
        assert [word for word in asked if await found(here, word)] == [
            word for word in asked if any(each.startswith(word) for each in words)
        ]
        assert (await here.check()).findings == []


async def test_writers_get_as_much_time_as_the_job(
    tmp_path: Path, reader: TextSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path / "data", reader) as here:
        job, slept, sleep = here.house.texts_job, list[float](), asyncio.sleep

        async def noted(seconds: float) -> None:
            slept.append(seconds)
            await sleep(0)

        async def slow(_work: object) -> str:
            await sleep(0.05)
            return "written"

        with monkeypatch.context() as patched:
            patched.setattr(texts_job.asyncio, "sleep", noted)
            patched.setattr(job._store, "write", slow)
            assert await job._write(lambda _transaction: None) == "written"
        assert [seconds >= 0.045 for seconds in slept] == [True]
