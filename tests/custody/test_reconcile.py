"""A check finds whatever does not agree, names it, calls nothing else wrong, and a repair restores what can be."""

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Awaitable
from contextlib import closing
from pathlib import Path

import pytest

from fhirmedia.backends.index_rebuild import rebuild
from fhirmedia.backends.sqlite import disk_failed, open_writer
from fhirmedia.backends.words_check import words_agree
from fhirmedia.cli.checking import repair_folder
from fhirmedia.custody import dependents
from tests.custody.damages import CURABLE, FILM, LASTING, M2, PICTURE, edit_facts, flip
from tests.custody.inhabited import BASE, Inhabited, a_media, inhabited


async def furnish(here: Inhabited) -> None:
    """Records of several kinds: claimed and unclaimed uploads, versions, deletions, values that repeat."""
    await here.upload(PICTURE, "picture")
    await here.upload(FILM, "film")
    await here.upload(b"nobody wants this", "loose")
    await here.media("m", binary="picture")
    await here.media("m", binary="picture", note=[{"text": "seen"}])
    await here.media("n", binary="film", deviceName="camera")
    await here.media("gone", binary="picture")
    await here.delete("Media/gone")
    await here.upload(b"thrown away", "away")
    await here.delete("Binary/away")
    await here.put(
        {
            "resourceType": "ImagingStudy",
            "id": "s",
            "status": "available",
            "subject": {"reference": "Patient/p"},
            "started": "2026-02-03T10:00:00+01:00",
            "series": [
                {"uid": "1.2.3", "modality": {"code": "CT"}, "started": "2026-02-03"},
                {"uid": "1.2.4", "modality": {"code": "MR"}, "started": "2026-02-04"},
            ],
        }
    )


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A furnished folder that nobody has open."""
    path = tmp_path_factory.mktemp("template") / "data"

    async def make() -> None:
        async with inhabited(path) as here:
            await furnish(here)

    asyncio.run(make())
    return path


@pytest.fixture
def data(template: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(template, tmp_path / "data")
    return tmp_path / "data"


async def repaired(here: Inhabited) -> int:
    """Repair; how many damages are left."""
    mender = here.house.mender
    return (await repair_folder(here.folder, here.settings, mender, base_url=BASE, reread=True)).damages


def everything(here: Inhabited) -> list:
    """The rows of every table but those that only grow."""
    names = [
        name for (name,) in here.sql("SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE 'CREATE %'")
    ]
    stable = sorted(set(names) - {"audit_row", "raw_query", "res_row", "sqlite_sequence"})
    # A row made anew may have another number; what it says is compared without that.
    rows = [(name, sorted(map(repr, here.sql(f"SELECT * FROM {name}")))) for name in stable if "idx" not in name]
    index = (
        "SELECT type, id, sequence, recency, holds, sole_patient, unit, enterprise, status FROM res_row ORDER BY 1, 2"
    )
    return [rows, here.sql(index)]


async def test_what_was_written_is_sound(data: Path) -> None:
    async with inhabited(data) as here:
        report = await here.check(reread=True)
        assert report.findings == []
        assert (report.versions, report.objects) == (14, 4)


@pytest.mark.parametrize("name", LASTING)
async def test_what_cannot_be_made_anew_is_named_and_left(data: Path, name: str) -> None:
    damage, expected = LASTING[name]
    async with inhabited(data) as here:
        damage(here)
        report = await here.check(reread=True)
        found = {(each.part, each.where) for each in report.findings if each.severity == "damage"}
        assert found == expected
        before = here.sql("SELECT * FROM record_version ORDER BY sequence")
        assert report.lasting == report.damages
        assert await repaired(here) == report.damages
        assert here.sql("SELECT * FROM record_version ORDER BY sequence") == before


@pytest.mark.parametrize("name", CURABLE)
async def test_what_can_be_made_anew_is_named_and_repaired(data: Path, name: str) -> None:
    damage, expected = CURABLE[name]
    async with inhabited(data) as here:
        before = everything(here)
        audited = here.sql("SELECT count(*) FROM audit_row")[0][0]
        damage(here)
        report = await here.check()
        found = {(each.part, each.where) for each in report.findings if each.severity == "damage"}
        assert found == expected if expected is not None else found
        assert report.lasting == 0
        assert await repaired(here) == 0
        assert everything(here) == before
        assert here.sql("SELECT count(*) FROM audit_row")[0][0] > audited


async def test_without_reading_the_bytes_only_their_size_is_seen(data: Path) -> None:
    async with inhabited(data) as here:
        flip(here.object(FILM))
        assert (await here.check()).damages == 0
        assert (await here.check(reread=True)).damages == 1
        here.object(FILM).write_bytes(FILM[:-1])
        assert (await here.check()).damages == 1


async def test_a_repair_is_written_to_the_audit(data: Path) -> None:
    async with inhabited(data) as here:
        edit_facts(M2, lambda facts: facts.pop("patients"))(here)
        await repaired(here)
        rows = here.sql("SELECT disclosure FROM audit_row ORDER BY sequence DESC LIMIT 2")
        settled, corrected = (json.loads(content) for (content,) in rows)
        assert corrected["touched"] == [["Media", "m", 2, "written", []]]
        assert {row["interaction"] for row in (settled, corrected)} == {"repair"}
        assert corrected["subject"] == "system"
        assert corrected["reason"] != settled["reason"]


async def test_facts_that_wait_for_a_change_elsewhere_are_no_damage(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dependents, "AT_ONCE", 1)
    async with inhabited(data) as here:
        await here.put({"resourceType": "Organization", "name": "a place", "id": "county"})
        part_of = {"reference": "Organization/county"}
        await here.put({"resourceType": "Organization", "name": "a place", "id": "derm", "partOf": part_of})
        report = await here.check()
        waiting = {"Media/n/_history/1", "Media/gone/_history/2"}
        assert report.damages == 0
        assert {each.where for each in report.findings if each.part == "facts"} == waiting
        assert await repaired(here) == 0
        assert (await here.check()).findings == []
        enterprises = here.sql("SELECT id, enterprise FROM res_row WHERE type = 'Media' ORDER BY id")
        assert enterprises == [("m", "county"), ("n", "county")]


async def test_facts_of_old_versions_are_judged_by_what_was_so_then(tmp_path: Path) -> None:
    async with inhabited(tmp_path / "data") as here:
        for number in range(3):
            above = f"above{number}"
            await here.put({"resourceType": "Organization", "name": "a place", "id": above})
            await here.put(
                {
                    "resourceType": "Organization",
                    "name": "a place",
                    "id": "derm",
                    "partOf": {"reference": f"Organization/{above}"},
                }
            )
            await here.media("m", note=[{"text": str(number)}])
        assert (await here.check()).findings == []


def without_unit(identity: str, encounter: str) -> dict:
    """A Media whose unit would be that of its Encounter."""
    media = a_media(identity, encounter={"reference": encounter})
    del media["extension"]
    return media


async def test_references_to_what_is_absent_or_deleted_decide_nothing(data: Path) -> None:
    async with inhabited(data) as here:
        await here.put(without_unit("x", "Encounter/never"), check_references=False)
        await here.put({"resourceType": "Encounter", "id": "e", "status": "planned", "class": {"code": "AMB"}})
        await here.delete("Encounter/e")
        await here.put(without_unit("y", "Encounter/e"), check_references=False)
        assert (await here.check()).findings == []


async def test_a_type_that_is_no_longer_served_is_worth_a_note(data: Path) -> None:
    async with inhabited(data) as here:
        here.sql("UPDATE record_version SET type = 'Coverage' WHERE type = 'ImagingStudy'")
        report = await here.check()
        notes = [each.where for each in report.findings if each.severity == "note"]
        assert notes == ["Coverage/s/_history/1"]


async def test_a_check_beside_a_writer_finds_nothing_wrong(data: Path) -> None:
    async with inhabited(data) as here:
        written = 0

        async def write() -> None:
            nonlocal written
            for number in range(1, 41):
                written = number
                await here.upload(b"content %d" % number, f"w{number}")
                await here.media(f"w{number % 7}", binary=f"w{number}")
                if number % 5 == 0:
                    await here.delete(f"Media/w{number % 7}")

        writing, during = asyncio.create_task(write()), 0
        while not writing.done():
            report = await asyncio.to_thread(asyncio.run, here.check())
            assert [each for each in report.findings if each.severity == "damage"] == []
            during += 1
        await writing
        assert during >= 2
        assert written == 40


@pytest.mark.parametrize("table", ["idx_words", "idx_words_idx"])
async def test_a_full_text_index_that_is_missing_is_named(data: Path, table: str) -> None:
    async with inhabited(data) as here:
        here.sql(f"DROP TABLE {table}")
        found = [(each.part, each.where) for each in (await here.check()).findings]
        assert ("database", table) in found
        assert {part for part, _ in found} == {"database"}


async def test_a_full_text_index_that_contradicts_itself_is_no_broken_disk(data: Path) -> None:
    async with inhabited(data) as here:
        here.sql("UPDATE idx_words_content SET c0 = 'other'")
        with pytest.raises(sqlite3.DatabaseError) as refused:
            here.sql("INSERT INTO idx_words (idx_words) VALUES ('integrity-check')")
        assert not disk_failed(refused.value)


async def test_an_index_is_built_anew_over_a_damaged_one(data: Path) -> None:
    async with inhabited(data) as here:
        here.sql("UPDATE idx_words_data SET block = zeroblob(40) WHERE id > 10")
        with closing(open_writer(here.folder.records)) as writer:
            assert rebuild(writer, []) == 0
        assert here.sql("SELECT count(*) FROM idx_words") == [(0,)]
        assert words_agree(here.folder.records)


async def test_a_number_that_went_missing_is_given_again(data: Path) -> None:
    """The numbers of parameters are remembered by whoever writes, so this is repaired with the house opened anew."""
    async with inhabited(data) as here:
        here.sql("DELETE FROM idx_term WHERE text = 'status' AND kind = 'token'")
    async with inhabited(data) as here:
        found = {each.where for each in (await here.check()).findings}
        assert found == {"Media/m", "Media/n", "ImagingStudy/s"}
        assert await repaired(here) == 0


async def test_many_versions_cross_batches(tmp_path: Path) -> None:
    async with inhabited(tmp_path / "data") as here:
        asks: list[Awaitable[object]] = [here.put(a_media(f"m{number}")) for number in range(600)]
        await asyncio.gather(*asks)
        report = await here.check()
        assert (report.versions, report.findings) == (603, [])
        here.sql("UPDATE res_row SET unit = 'other' WHERE id = 'm599'")
        assert [each.where for each in (await here.check()).findings] == ["Media/m599"]
