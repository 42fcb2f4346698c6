"""Texts are read behind the writes: whatever happens in between, records get their words, which go with the bytes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fhirmedia.access.caller import Caller
from fhirmedia.backends import reindexing, texts_sql
from fhirmedia.backends.following.documents import DocumentMaker
from fhirmedia.backends.following.outbox_rows import FOLLOWED
from fhirmedia.backends.text_sandbox import TextSandbox
from fhirmedia.cli.checking import repair_folder
from fhirmedia.core.digests import digest_of
from fhirmedia.core.errors import Failure
from fhirmedia.core.records import Key
from fhirmedia.custody import texts_job
from fhirmedia.custody.paging import Walk
from fhirmedia.custody.telling import RequestNote
from fhirmedia.custody.texts_job import RECORDS_AT_ONCE
from fhirmedia.r4.query import Text
from fhirmedia.r4.word_tests import BREAK
from tests.custody.inhabited import BASE, Inhabited, inhabited

SAID = b"Forsta ordet om lungan"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def reader(anyio_backend: str) -> AsyncIterator[TextSandbox]:
    one = TextSandbox()
    yield one
    await one.close()


@asynccontextmanager
async def house(path: Path, reader: TextSandbox, *, hours: int = 24) -> AsyncIterator[Inhabited]:
    """A folder whose texts are read by a process that is there already."""
    async with inhabited(path, hours=hours) as here:
        here.house.texts_job._reader = reader
        yield here


async def found(here: Inhabited, words: str, *types: str) -> list[str]:
    """Ids of the Media that say a word."""
    custodian = here.house.archive.custodian
    caller = Caller.system("test")  # unscoped: a test
    async with custodian.session(caller, "search", note=RequestNote("test")) as session:
        query = Text("_content", ((words,),))
        page = await session.search(query, types=types or ("Media",), walk=Walk(100))
    return sorted(record.key.id for record in page.records)


def waiting(here: Inhabited) -> list[str]:
    return [binary_id for (binary_id,) in here.sql("SELECT binary_id FROM pending_text ORDER BY 1")]


def outcomes(here: Inhabited) -> list[tuple[str, str]]:
    return sorted(here.sql("SELECT digest, outcome FROM attachment_text"))


async def test_words_come_once_the_text_is_read(tmp_path: Path, reader: TextSandbox) -> None:
    async with house(tmp_path / "data", reader) as here:
        await here.upload(SAID, "a")
        await here.media("m", binary="a")
        assert (await found(here, "lungan"), waiting(here)) == ([], ["a"])
        assert await here.house.texts_job.waiting() == 1
        versions = here.sql("SELECT count(*) FROM record_version")
        await here.house.texts_job.work_off()
        assert (await found(here, "lung"), waiting(here)) == (["m"], [])
        assert await here.house.texts_job.waiting() == 0
        assert here.sql("SELECT count(*) FROM record_version") == versions
        await here.media("later", binary="a")
        assert await found(here, "lungan") == ["later", "m"]
        assert (await here.check()).findings == []


async def test_an_index_beside_the_database_is_told_of_the_words(tmp_path: Path, reader: TextSandbox) -> None:
    async with house(tmp_path / "data", reader) as here:
        await here.upload(SAID, "a")
        await here.media("m", binary="a", note=[{"text": "anteckning"}])
        here.sql("INSERT INTO installation (name, value) VALUES (?, 'Media')", FOLLOWED)
        extractor = here.house.texts_job._extractor
        maker = DocumentMaker(here.folder.records, extractor, types=("Media",))

        def said() -> str:
            document = maker.of_keys((Key("Media", "m"),)).changes[Key("Media", "m")][1]
            assert document.entries is not None
            return document.entries.texts["_content"]

        assert said().split(BREAK) == ["anteckning"]
        assert here.sql("SELECT type, id FROM index_outbox") == []
        await here.house.texts_job.work_off()
        assert said().split(BREAK) == ["anteckning", SAID.decode()]
        assert here.sql("SELECT type, id, moved FROM index_outbox") == [("Media", "m", 0)]
        maker.close()


async def test_what_was_there_before_the_claim_is_read_too(tmp_path: Path, reader: TextSandbox) -> None:
    async with house(tmp_path / "data", reader) as here:
        await here.upload(SAID, "a")
        await here.house.texts_job.work_off()
        await here.media("m", binary="a")
        assert await found(here, "lungan") == ["m"]
        await here.upload(b"obunden ett", "free")
        await here.house.texts_job.work_off()
        await here.upload(b"obunden tva", "free")
        assert waiting(here) == ["free"]
        await here.media("n", binary="free")
        await here.house.texts_job.work_off()
        assert (await found(here, "ett"), await found(here, "tva")) == ([], ["n"])


async def test_equal_bytes_await_their_own_turn(tmp_path: Path, reader: TextSandbox) -> None:
    """Nobody learns from the time it takes whether the archive holds the same bytes for others."""
    async with house(tmp_path / "data", reader) as here:
        await here.upload(SAID, "a")
        await here.media("m", binary="a")
        await here.house.texts_job.work_off()
        told: list[str] = []
        here.house.texts_job._told = lambda _format, outcome: told.append(outcome)
        await here.upload(SAID, "b")
        await here.media("n", binary="b")
        assert await found(here, "lungan") == ["m"]
        await here.house.texts_job.work_off()
        assert await found(here, "lungan") == ["m", "n"]
        assert told == ["extracted"]
        assert outcomes(here) == [(digest_of(SAID), "extracted")]


async def test_a_process_that_ends_in_between_leaves_the_rest_to_the_next(tmp_path: Path, reader: TextSandbox) -> None:
    number = 2 * RECORDS_AT_ONCE + 2
    async with house(tmp_path / "data", reader) as here:
        await here.upload(SAID, "a")
        for each in range(number):
            await here.media(f"m{each:02}", binary="a")
        await here.delete("Media/m00")
        job = here.house.texts_job
        one = await job._store.waiting_text()
        assert one is not None
        text = await job._text(one, "plain/-")
        assert text is not None
        more = await job._store.write(lambda transaction: job._keep(one, "plain/-", text, transaction))
        assert more
        assert len(await found(here, "lungan")) == RECORDS_AT_ONCE
        assert (await here.check()).findings == []
        await here.media(f"m{number - 1:02}", binary="a", note=[{"text": "meanwhile"}])
        assert len(await found(here, "lungan")) == RECORDS_AT_ONCE + 1
    async with house(tmp_path / "data", reader) as here:
        assert waiting(here) == ["a"]
        told: list[str] = []
        here.house.texts_job._told = lambda _format, outcome: told.append(outcome)
        await here.house.texts_job.work_off()
        assert len(await found(here, "lungan")) == number - 1
        assert (waiting(here), told) == ([], [])
        assert (await here.check()).findings == []


async def test_a_text_that_was_replaced_while_it_was_read_is_dropped(tmp_path: Path, reader: TextSandbox) -> None:
    async with house(tmp_path / "data", reader) as here:
        await here.upload(SAID, "a")
        job = here.house.texts_job
        one = await job._store.waiting_text()
        assert one is not None
        text = await job._text(one, "plain/-")
        assert text is not None
        await here.upload(b"annat", "a")
        assert not await job._store.write(lambda transaction: job._keep(one, "plain/-", text, transaction))
        assert (waiting(here), outcomes(here)) == (["a"], [])
        await job._store.write(lambda transaction: transaction.try_text_again(one))
        assert here.sql("SELECT attempts FROM pending_text") == [(0,)]


async def test_words_go_with_the_bytes(tmp_path: Path, reader: TextSandbox) -> None:
    async with house(tmp_path / "data", reader, hours=1) as here:
        await here.upload(SAID, "a")
        await here.upload(SAID, "b")
        await here.upload(b"aldrig last", "c")
        await here.media("m", binary="b")
        job = here.house.texts_job
        one = await job._store.waiting_text()
        assert one is not None
        assert one.binary_id == "c"
        await job.work_off()
        assert len(outcomes(here)) == 2
        await here.upload(b"aldrig last", "d")
        here.clock.forward(30)
        await here.house.sweeper.sweep()
        here.clock.forward(30)
        await here.house.sweeper.sweep()
        assert outcomes(here) == [(digest_of(SAID), "extracted")]
        assert waiting(here) == []
        assert await found(here, "lungan") == ["m"]
        assert (await here.check()).damages == 0


async def test_what_cannot_be_read_is_told_and_tried_again_by_a_reindex(
    tmp_path: Path, reader: TextSandbox, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[tuple[str, str]] = []
    async with house(tmp_path / "data", reader) as here:
        here.house.texts_job._told = lambda format, outcome: told.append((format, outcome))
        await here.upload("hålögd".encode("latin-1"), "latin")
        await here.upload(b" ", "empty")
        await here.upload(SAID, "rotten")
        await here.media("m", binary="latin", note=[{"text": "anteckning"}])
        path = here.object(SAID)
        path.write_bytes(b"x" + SAID[1:])
        await here.house.texts_job.work_off()
        assert sorted(told) == [("plain", "damaged"), ("plain", "empty"), ("plain", "undecodable")]
        assert [waiting(here), await found(here, "anteckning")] == [[], ["m"]]
        report = await here.check()
        assert {(each.where, each.severity) for each in report.findings} == {("text of plain/-", "note")}
        assert [" (damaged)" in each.text for each in report.findings] == [True, False]
        lines = [record.getMessage() for record in caplog.records if "no text" in record.getMessage()]
        assert [line.rpartition(": ")[2] for line in lines] == ["damaged", "undecodable"]
        path.write_bytes(SAID)
    number = reindexing.reindex(
        here.folder.records, lambda _record: None, timezone=here.settings.timezone, on_progress=lambda _number: None
    )
    assert number == 0
    async with house(tmp_path / "data", reader) as here:
        assert waiting(here) == ["latin", "rotten"]
        await here.house.texts_job.work_off()
        assert dict(outcomes(here))[str(digest_of(SAID))] == "extracted"


async def test_contents_older_than_texts_are_read_by_and_by(
    tmp_path: Path, reader: TextSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts_sql, "_AT_ONCE", 2)
    async with house(tmp_path / "data", reader) as here:
        for each in range(5):
            await here.upload(b"gammal %d" % each, f"b{each}")
            await here.media(f"m{each}", binary=f"b{each}")
        here.sql("DELETE FROM pending_text")
        assert not await here.house.texts_job._store.has_older_texts()
        here.sql("INSERT INTO idx_state (name, value) VALUES ('texts', '1 ')")
        assert (await here.check()).findings == []
        await here.house.texts_job._store.write(lambda transaction: transaction.queue_older_texts())
        assert waiting(here) == ["b0", "b1"]
        assert here.sql("SELECT value FROM idx_state WHERE name = 'texts'") == [("1 b1",)]
    async with house(tmp_path / "data", reader) as here:
        await here.house.texts_job.work_off()
        assert len(await found(here, "gammal")) == 5
        monkeypatch.setattr(texts_sql, "RECIPE", 2)
        here.sql("UPDATE attachment_text SET words = NULL, outcome = 'empty'")
        await here.house.texts_job.work_off()
        assert len(await found(here, "gammal")) == 5
        assert here.sql("SELECT DISTINCT recipe, outcome FROM attachment_text") == [(2, "extracted")]
        assert not await here.house.texts_job._store.has_older_texts()


async def test_a_text_that_interrupts_its_reader_is_given_up_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts_job, "ATTEMPTS", 2)
    slow = TextSandbox()
    async with house(tmp_path / "data", slow) as here:
        await here.upload(b"x" * 40, "a")
        slow._wall_s = 0.0
        job, told = here.house.texts_job, list[str]()
        job._told = lambda _format, outcome: told.append(outcome)
        one = await job._store.waiting_text()
        assert one is not None
        await job._read(one)
        assert (told, here.sql("SELECT attempts, after FROM pending_text")) == ([], [(1, None)])
        await job.work_off()
        assert (told, waiting(here), outcomes(here)[0][1]) == (["too-costly"], [], "too-costly")
    await slow.close()


async def test_what_can_be_read_at_last_is_read(tmp_path: Path, reader: TextSandbox) -> None:
    async with house(tmp_path / "data", reader) as here:
        await here.upload(SAID, "a")
        await here.media("m", binary="a")
        here.sql("UPDATE pending_text SET attempts = 7")
        job = here.house.texts_job
        one = await job._store.waiting_text()
        assert one is not None
        text = await job._text(one, "plain/-")
        assert text is not None
        assert text.outcome == "extracted"
        assert not await job._store.write(lambda transaction: job._keep(one, "plain/-", text, transaction))
        assert (await found(here, "lungan"), waiting(here)) == (["m"], [])


async def test_where_nothing_can_be_read_at_present_everything_waits(tmp_path: Path) -> None:
    none = TextSandbox()
    none._processes._command = ("/nonexistent",)
    async with house(tmp_path / "data", none) as here:
        await here.upload(SAID, "b")
        with pytest.raises(Failure):
            await here.house.texts_job.work_off()
        assert here.sql("SELECT binary_id, attempts FROM pending_text") == [("b", 0)]


async def test_large_contents_are_not_read_or_by_their_beginning(
    tmp_path: Path, reader: TextSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts_job, "bytes_read", lambda format, size: 0 if size == 31 else min(size, 12))
    async with house(tmp_path / "data", reader) as here:
        await here.upload(b"nothing of this will be read...", "large")
        await here.upload(b"beginning is all that is read", "part")
        await here.upload(b"", "void")
        await here.media("m", binary="part")
        await here.house.texts_job.work_off()
        assert sorted(outcome for _, outcome in outcomes(here)) == ["empty", "too-large", "truncated"]
        assert (await found(here, "beginning"), await found(here, "read")) == (["m"], [])


async def test_what_is_no_text_any_more_does_not_wait(
    tmp_path: Path, reader: TextSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path / "data", reader) as here:
        await here.upload(SAID, "a")
        monkeypatch.setattr(texts_job, "text_format", lambda _content_type: None)
        await here.house.texts_job.work_off()
        assert (waiting(here), outcomes(here)) == ([], [])


async def test_a_damaged_record_keeps_no_other_from_its_words(
    tmp_path: Path, reader: TextSandbox, caplog: pytest.LogCaptureFixture
) -> None:
    async with house(tmp_path / "data", reader) as here:
        await here.upload(SAID, "a")
        await here.media("m", binary="a")
        await here.media("n", binary="a")
        here.sql("UPDATE record_version SET body = X'7B' WHERE type = 'Media' AND id = 'm'")
        await here.house.texts_job.work_off()
        assert waiting(here) == []
        assert await found(here, "lungan") == ["n"]
        assert "a damaged Media could not be given the words of its content" in caplog.messages


async def test_one_process_reads_and_another_takes_over(
    tmp_path: Path, reader: TextSandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("_LOOK_S", "_LOCK_S", "_REST_S", "_PAUSE_S"):
        monkeypatch.setattr(texts_job, name, 0.01)
    async with house(tmp_path / "data", reader) as here:
        held = here.folder.take_reader()
        assert held is not None
        await here.upload(SAID, "a")
        running = asyncio.create_task(here.house.texts_job.run())
        await asyncio.sleep(0.2)
        assert waiting(here) == ["a"]
        held.close()
        for _ in range(3000):
            await asyncio.sleep(0.01)
            if not waiting(here):
                break
        assert waiting(here) == []
        assert here.folder.take_reader() is None
        here.sql("ALTER TABLE pending_text RENAME TO elsewhere")
        await asyncio.sleep(0.2)
        here.sql("ALTER TABLE elsewhere RENAME TO pending_text")
        await here.upload(b"mer", "b")
        for _ in range(3000):
            await asyncio.sleep(0.01)
            if not waiting(here):
                break
        assert waiting(here) == []
        assert any("it will be tried again" in line for line in caplog.messages)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        again = here.folder.take_reader()
        assert again is not None
        again.close()


async def test_a_check_finds_texts_that_nobody_reads_or_has(tmp_path: Path, reader: TextSandbox) -> None:
    async with house(tmp_path / "data", reader) as here:
        await here.upload(SAID, "a")
        await here.media("m", binary="a")
        await here.house.texts_job.work_off()
        before = here.sql("SELECT * FROM attachment_text")
        here.sql("UPDATE attachment_text SET digest = ?", "sha256:" + "0" * 64)
        report = await here.check()
        wheres = {(each.part, each.where) for each in report.findings}
        assert wheres == {("index", "sha256:" + "0" * 64), ("index", "Binary/a"), ("index", "Media/m")}
        mender = here.house.mender
        await repair_folder(here.folder, here.settings, mender, base_url=BASE, reread=False)
        assert (waiting(here), outcomes(here)) == (["a"], [])
        await here.house.texts_job.work_off()
        assert here.sql("SELECT * FROM attachment_text") == before
        assert (await here.check()).findings == []
        assert await found(here, "lungan") == ["m"]
        here.sql("UPDATE attachment_text SET words = X'00'")
        await here.media("m", binary="a", note=[{"text": "still written"}])
        assert (await found(here, "written"), await found(here, "lungan")) == (["m"], [])
