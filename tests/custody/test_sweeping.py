"""Leftovers go, in their time; nothing that anybody refers to, or is just about to, ever does."""

import asyncio
import fcntl
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fhirmedia.cli.importer import import_caller
from fhirmedia.core.digests import digest_of
from fhirmedia.core.records import Key
from fhirmedia.custody.proposal import Proposal
from fhirmedia.custody.sweeping import Swept
from fhirmedia.custody.telling import RequestNote
from tests.custody.inhabited import Inhabited, inhabited, refused

PICTURE = b"bytes of a picture"
IMPORTER = import_caller(check_references=True)


def newest(here: Inhabited, binary_id: str) -> tuple[int, str]:
    """Version and method of the newest version of a Binary."""
    return here.sql(
        "SELECT version, method FROM record_version WHERE type = 'Binary' AND id = ? ORDER BY version DESC LIMIT 1",
        binary_id,
    )[0]


def audited(here: Inhabited) -> list[dict]:
    """What the log of changes says the sweeper did."""
    rows = here.sql("SELECT disclosure FROM audit_row ORDER BY sequence")
    return [said for (content,) in rows if (said := json.loads(content))["request_id"].startswith("sweep-")]


async def test_an_unclaimed_upload_is_deleted_then_released_then_removed(tmp_path: Path) -> None:
    async with inhabited(tmp_path / "data") as here:
        await here.upload(PICTURE, "b")
        assert await here.house.sweeper.sweep() == Swept()

        here.clock.forward(24.1)
        assert await here.house.sweeper.sweep() == Swept(deleted=1)
        assert newest(here, "b") == (2, "delete")
        assert here.object(PICTURE).exists()

        here.clock.forward(23.8)
        assert await here.house.sweeper.sweep() == Swept()

        here.clock.forward(0.3)
        assert await here.house.sweeper.sweep() == Swept(released=1, objects=1)
        assert here.objects() == []
        assert here.sql("SELECT count(*) FROM blob") == [(0,)]
        assert here.sql("SELECT count(*) FROM binary_content") == [(0,)]
        assert here.sql("SELECT count(*) FROM unclaimed_binary") == [(0,)]

        assert await here.house.sweeper.sweep() == Swept()
        said = audited(here)
        assert [(row["interaction"], row.get("touched", [])) for row in said] == [
            ("delete", [["Binary", "b", 2, "written", []]]),
            ("sweep", [["Binary", "b", 2, "written", []]]),
            ("sweep", []),
        ]
        assert all(row["client"] == "fhirmedia" and row["time"] <= here.clock.now for row in said)
        assert (await here.check(reread=True)).findings == []


async def test_the_setting_is_what_an_upload_waits_for(tmp_path: Path) -> None:
    async with inhabited(tmp_path / "data", hours=72) as here:
        await here.upload(PICTURE, "b")
        here.clock.forward(71)
        assert await here.house.sweeper.sweep() == Swept()
        here.clock.forward(1.1)
        assert await here.house.sweeper.sweep() == Swept(deleted=1)


async def test_a_short_setting_does_not_shorten_the_day_after_a_deletion(tmp_path: Path) -> None:
    async with inhabited(tmp_path / "data", hours=1) as here:
        await here.upload(PICTURE, "b")
        here.clock.forward(1.1)
        assert await here.house.sweeper.sweep() == Swept(deleted=1)
        here.clock.forward(23.5)
        assert await here.house.sweeper.sweep() == Swept()
        assert here.object(PICTURE).exists()
        here.clock.forward(1)
        assert await here.house.sweeper.sweep() == Swept(released=1, objects=1)


async def test_what_is_or_was_referred_to_stays(tmp_path: Path) -> None:
    async with inhabited(tmp_path / "data") as here:
        await here.upload(PICTURE, "claimed")
        await here.media("m", binary="claimed")
        await here.upload(b"another", "once-claimed")
        await here.media("n", binary="once-claimed")
        await here.delete("Media/n")
        for _ in range(4):
            here.clock.forward(200)
            assert await here.house.sweeper.sweep() == Swept()
        assert newest(here, "claimed") == (1, "update-as-create")
        assert newest(here, "once-claimed") == (1, "update-as-create")
        assert here.object(PICTURE).exists()
        assert here.object(b"another").exists()


async def test_bytes_of_two_uploads_go_with_the_last_of_them(tmp_path: Path) -> None:
    async with inhabited(tmp_path / "data") as here:
        await here.upload(PICTURE, "left")
        await here.upload(PICTURE, "kept")
        await here.media("m", binary="kept")
        here.clock.forward(25)
        assert await here.house.sweeper.sweep() == Swept(deleted=1)
        here.clock.forward(25)
        assert await here.house.sweeper.sweep() == Swept(released=1)
        assert here.object(PICTURE).read_bytes() == PICTURE
        assert (await here.check(reread=True)).findings == []


async def test_what_its_owner_deleted_is_released_after_a_day(tmp_path: Path) -> None:
    async with inhabited(tmp_path / "data", hours=1000) as here:
        await here.upload(PICTURE, "b")
        here.clock.forward(2)
        await here.delete("Binary/b")
        here.clock.forward(23.9)
        assert await here.house.sweeper.sweep() == Swept()
        here.clock.forward(0.2)
        assert await here.house.sweeper.sweep() == Swept(released=1, objects=1)


async def test_a_deletion_of_another_resource_with_the_id_does_not_prolong_an_upload(tmp_path: Path) -> None:
    async with inhabited(tmp_path / "data") as here:
        await here.upload(PICTURE, "same")
        await here.media("same")
        here.clock.forward(23.9)
        await here.delete("Media/same")
        here.clock.forward(0.2)
        assert await here.house.sweeper.sweep() == Swept(deleted=1)


async def test_an_upload_written_anew_after_its_deletion_lives(tmp_path: Path) -> None:
    async with inhabited(tmp_path / "data") as here:
        await here.upload(PICTURE, "b")
        await here.delete("Binary/b")
        here.clock.forward(20)
        await here.upload(b"better", "b")
        here.clock.forward(10)
        assert await here.house.sweeper.sweep() == Swept()
        await here.media("m", binary="b")
        here.clock.forward(100)
        assert await here.house.sweeper.sweep() == Swept()
        assert (await here.check(reread=True)).damages == 0


async def test_the_same_bytes_uploaded_between_mark_and_sweep_stay(tmp_path: Path) -> None:
    """The description goes with the old upload and comes back with the new one, whose file is too young to go."""
    async with inhabited(tmp_path / "data", hours=1, begun_hours_ago=100) as here:
        await here.upload(PICTURE, "old")
        here.clock.forward(2)
        assert (await here.house.sweeper.sweep()).deleted == 1
        here.clock.forward(98)

        async def chunks() -> AsyncIterator[bytes]:
            yield PICTURE

        async with here.house.archive.custodian.session(IMPORTER, "update", note=RequestNote("test")) as session:
            await session.receive(chunks(), content_type="text/plain", binary_id="new")
            # The new upload has stored its bytes; its record is not written yet.
            assert await here.house.sweeper.sweep() == Swept(released=1)
            assert here.sql("SELECT count(*) FROM blob") == [(0,)]
            body = {"resourceType": "Binary", "contentType": "text/plain"}
            await session.write(Proposal(Key("Binary", "new"), "update", body))
        await here.media("m", binary="new")
        assert await here.house.sweeper.sweep() == Swept()
        assert here.object(PICTURE).read_bytes() == PICTURE
        assert (await here.check(reread=True)).damages == 0


async def test_bytes_stored_again_are_young_again(tmp_path: Path) -> None:
    async with inhabited(tmp_path / "data") as here:
        await here.upload(PICTURE, "b")
        before = here.object(PICTURE).stat()
        time.sleep(0.02)
        await here.upload(PICTURE, "c")
        after = here.object(PICTURE).stat()
        assert after.st_ctime_ns > before.st_ctime_ns


async def test_storing_waits_while_the_same_bytes_are_about_to_go(tmp_path: Path) -> None:
    """Between the look at a file's age and its removal nobody may put a young one in its place."""
    async with inhabited(tmp_path / "data") as here:
        await here.upload(PICTURE, "b")
        shelf = os.open(here.object(PICTURE).parent, os.O_RDONLY)
        fcntl.flock(shelf, fcntl.LOCK_EX)
        again = asyncio.create_task(here.upload(PICTURE, "c"))
        await asyncio.sleep(0.2)
        assert not again.done()
        here.object(PICTURE).unlink()
        os.close(shelf)
        await again
        assert here.object(PICTURE).read_bytes() == PICTURE


async def test_a_removal_waits_while_bytes_are_given_their_name(tmp_path: Path) -> None:
    async with inhabited(tmp_path / "data") as here:
        orphan = here.object(b"orphan")
        orphan.parent.mkdir(parents=True)
        orphan.write_bytes(b"orphan")
        here.clock.forward(25)
        shelf = os.open(orphan.parent, os.O_RDONLY)
        fcntl.flock(shelf, fcntl.LOCK_SH)
        sweep = asyncio.create_task(here.house.sweeper.sweep())
        await asyncio.sleep(0.3)
        assert orphan.exists()
        assert not sweep.done()
        os.close(shelf)
        assert await sweep == Swept(objects=1)


async def test_a_file_no_record_describes_goes_when_it_is_a_day_old(tmp_path: Path) -> None:
    async with inhabited(tmp_path / "data") as here:
        await here.upload(PICTURE, "b")
        here.sql("DELETE FROM unclaimed_binary")
        here.sql("DELETE FROM binary_content")
        here.sql("DELETE FROM blob")
        here.clock.forward(23.9)
        assert await here.house.sweeper.sweep() == Swept()
        here.clock.forward(0.2)
        assert await here.house.sweeper.sweep() == Swept(objects=1)
        assert [row["reason"] for row in audited(here)] == ["1 objects that belong to no record"]


async def test_a_file_stays_while_either_table_knows_it(tmp_path: Path) -> None:
    async with inhabited(tmp_path / "data") as here:
        await here.upload(PICTURE, "b")
        here.sql("DELETE FROM unclaimed_binary")
        here.sql("DELETE FROM blob")
        here.clock.forward(1000)
        assert await here.house.sweeper.sweep() == Swept()
        assert here.object(PICTURE).exists()


async def test_what_was_being_received_goes_when_it_has_not_grown_for_a_day(tmp_path: Path) -> None:
    async with inhabited(tmp_path / "data") as here:
        (here.folder.path / "tmp" / "abandoned").write_bytes(b"half")
        here.clock.forward(23.9)
        assert await here.house.sweeper.sweep() == Swept()
        here.clock.forward(0.2)
        assert await here.house.sweeper.sweep() == Swept(incoming=1)
        assert list((here.folder.path / "tmp").iterdir()) == []


async def test_nothing_is_swept_while_sweeps_are_paused(tmp_path: Path) -> None:
    async with inhabited(tmp_path / "data") as here:
        await here.upload(PICTURE, "b")
        (here.folder.path / "tmp" / "abandoned").write_bytes(b"half")
        orphan = here.object(b"orphan")
        orphan.parent.mkdir(parents=True)
        orphan.write_bytes(b"orphan")
        here.clock.forward(1000)
        with here.folder.sweeps_paused():
            assert await here.house.sweeper.sweep() == Swept()
        assert await here.house.sweeper.sweep() == Swept(deleted=1, objects=1, incoming=1)


@pytest.mark.parametrize("claim_first", [True, False])
async def test_a_claim_in_flight_and_a_sweep_exclude_each_other(tmp_path: Path, claim_first: bool) -> None:
    async with inhabited(tmp_path / "data") as here:
        for number in range(20):
            await here.upload(b"picture %d" % number, f"b{number}")
        here.clock.forward(25)
        claims = [refused(here.media(f"m{number}", binary=f"b{number}")) for number in range(20)]
        sweep = here.house.sweeper.sweep()
        both = [*claims, sweep] if claim_first else [sweep, *claims]
        results = await asyncio.gather(*both)
        swept = results.pop(-1 if claim_first else 0)
        refusals = sum(result is not None for result in results)
        assert refusals == swept.deleted
        claimed = here.sql("SELECT count(DISTINCT binary_id) FROM binary_referrer")[0][0]
        assert claimed == 20 - swept.deleted
        assert (await here.check()).damages == 0


async def test_one_process_sweeps_and_the_next_takes_over(tmp_path: Path) -> None:
    async with inhabited(tmp_path / "data") as here:
        await here.upload(PICTURE, "b")
        here.clock.forward(25)
        other = here.folder.take_sweeper()
        assert other is not None
        task = asyncio.create_task(here.house.sweeper.run(first_s=0.02, every_s=0.02))
        await asyncio.sleep(0.3)
        assert newest(here, "b") == (1, "update-as-create")
        other.close()
        for _ in range(200):
            if newest(here, "b")[1] == "delete":
                break
            await asyncio.sleep(0.02)
        assert newest(here, "b") == (2, "delete")
        assert here.folder.take_sweeper() is None
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        mine = here.folder.take_sweeper()
        assert mine is not None
        mine.close()


async def test_a_sweep_that_fails_is_tried_again(tmp_path: Path) -> None:
    async with inhabited(tmp_path / "data") as here:
        await here.upload(PICTURE, "b")
        here.clock.forward(25)
        incoming = here.folder.path / "tmp"
        incoming.rmdir()
        task = asyncio.create_task(here.house.sweeper.run(first_s=0.02, every_s=0.02))
        for _ in range(200):
            if newest(here, "b")[1] == "delete":
                break
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.2)
        assert not task.done()
        incoming.mkdir()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_an_entry_that_stands_for_nothing_is_passed_over(tmp_path: Path) -> None:
    async with inhabited(tmp_path / "data") as here:
        here.sql("INSERT INTO unclaimed_binary (binary_id, uploaded_at) VALUES ('a', 0)")
        await here.upload(PICTURE, "b")
        here.clock.forward(25)
        assert await here.house.sweeper.sweep() == Swept(deleted=1)


async def test_more_than_one_transaction_takes_is_swept_in_one_round(tmp_path: Path) -> None:
    async with inhabited(tmp_path / "data") as here:
        await asyncio.gather(*(here.upload(PICTURE, f"b{number}") for number in range(120)))
        here.clock.forward(25)
        assert await here.house.sweeper.sweep() == Swept(deleted=120)
        here.clock.forward(25)
        assert await here.house.sweeper.sweep() == Swept(released=120, objects=1)


async def test_leftovers_are_told_of(tmp_path: Path) -> None:
    async with inhabited(tmp_path / "data") as here:
        orphan = here.object(b"orphan")
        orphan.parent.mkdir(parents=True)
        orphan.write_bytes(b"orphan")
        report = await here.check()
        assert [(each.where, each.severity) for each in report.findings] == [(digest_of(b"orphan"), "note")]
