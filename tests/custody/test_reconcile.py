"""A check finds whatever does not agree, names it, calls nothing else wrong, and a repair restores what can be."""

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from fhirmedia.cli.checking import repair_folder
from fhirmedia.core.digests import digest_of
from tests.custody.inhabited import BASE, Inhabited, a_media, inhabited

PICTURE, FILM = b"bytes of a picture", b"bytes of a film" * 80_000


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


Damage = Callable[[Inhabited], object]


def sql(*statements: str) -> Damage:
    """Damage by statements."""
    return lambda here: [here.sql(statement) for statement in statements]


def edit_body(old: str, new: str) -> Damage:
    """Damage to the body of the newest Media/m."""

    def damage(here: Inhabited) -> None:
        ((body,),) = here.sql("SELECT body FROM record_version WHERE type = 'Media' AND id = 'm' AND version = 2")
        assert old.encode() in body
        here.sql(
            "UPDATE record_version SET body = ? WHERE type = 'Media' AND id = 'm' AND version = 2",
            body.replace(old.encode(), new.encode(), 1),
        )

    return damage


def edit_facts(where: str, change: Callable[[dict], None]) -> Damage:
    """Damage to the facts of a version."""

    def damage(here: Inhabited) -> None:
        ((facts,),) = here.sql(f"SELECT facts FROM record_version WHERE {where}")
        stated = json.loads(facts)
        change(stated)
        here.sql(f"UPDATE record_version SET facts = ? WHERE {where}", json.dumps(stated).encode())

    return damage


def file(content: bytes, act: Callable[[Path], object]) -> Damage:
    """Damage to the file of a content."""
    return lambda here: act(here.object(content))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


M2 = "type = 'Media' AND id = 'm' AND version = 2"
M1 = "type = 'Media' AND id = 'm' AND version = 1"
N1 = "type = 'Media' AND id = 'n' AND version = 1"
RID = "(SELECT rid FROM res_row WHERE type = 'Media' AND id = 'm')"

LASTING = {
    "a content is gone": (file(PICTURE, Path.unlink), {("bytes", digest_of(PICTURE))}),
    "a content is cut short": (
        file(FILM, lambda path: path.write_bytes(FILM[:-1])),
        {("bytes", digest_of(FILM))},
    ),
    "a bit of a content fell over": (file(FILM, flip), {("bytes", digest_of(FILM))}),
    "the SHA-1 of a content is another": (
        sql(f"UPDATE blob SET sha1 = zeroblob(20) WHERE digest = '{digest_of(PICTURE)}'"),
        {("bytes", digest_of(PICTURE))},
    ),
    "a checksum of a content is another": (
        sql(f"UPDATE blob SET crcs = zeroblob(4) WHERE digest = '{digest_of(PICTURE)}'"),
        {("bytes", digest_of(PICTURE))},
    ),
    "a description is gone": (
        sql(f"DELETE FROM blob WHERE digest = '{digest_of(FILM)}'"),
        {("bytes", "Binary/film/_history/1")},
    ),
    "what a Binary stands for is gone": (
        sql("DELETE FROM binary_content WHERE binary_id = 'film'"),
        {("bytes", "Binary/film/_history/1")},
    ),
    "a version is gone": (
        sql(f"DELETE FROM record_version WHERE {M1}", "DELETE FROM binary_referrer WHERE sequence = 7"),
        {("records", "change 7"), ("records", "Media/m/_history/2")},
    ),
    "the only version of an upload is gone": (
        sql("DELETE FROM record_version WHERE type = 'Binary' AND id = 'loose'"),
        {("records", "change 6"), ("records", "Binary/loose/_history/1")},
    ),
    "a time runs backwards": (
        sql("UPDATE record_version SET changed_at = changed_at - 900000 WHERE sequence = 5"),
        {("records", "Binary/film/_history/1")},
    ),
    "a body names another id": (edit_body('"id":"m"', '"id":"q"'), {("records", "Media/m/_history/2")}),
    "a body names another type": (
        edit_body('"resourceType":"Media"', '"resourceType":"Other"'),
        {("records", "Media/m/_history/2")},
    ),
    "a body names another version": (
        edit_body('"versionId":"2"', '"versionId":"3"'),
        {("records", "Media/m/_history/2")},
    ),
    "a body names another time": (
        edit_body('"lastUpdated":"2', '"lastUpdated":"3'),
        {("records", "Media/m/_history/2")},
    ),
    "a body is no JSON": (edit_body('{"', "{"), {("records", "Media/m/_history/2")}),
    "a body is gone": (sql(f"UPDATE record_version SET body = NULL WHERE {M2}"), {("records", "Media/m/_history/2")}),
    "a body has no meta": (edit_body('"meta":{', '"atem":{'), {("records", "Media/m/_history/2")}),
    "what was deleted was never there": (
        sql("DELETE FROM record_version WHERE type = 'Media' AND id = 'gone' AND version = 1"),
        {("records", "change 10"), ("records", "Media/gone/_history/2"), ("records", "Binary/picture")},
    ),
    "what was deleted has no body": (
        sql("UPDATE record_version SET body = NULL WHERE type = 'Media' AND id = 'gone' AND version = 1"),
        {("records", "Media/gone/_history/1")},
    ),
    "a deletion has a body": (
        sql("UPDATE record_version SET body = '{}' WHERE type = 'Media' AND id = 'gone' AND method = 'delete'"),
        {("records", "Media/gone/_history/2")},
    ),
    "an upload has no owner": (
        edit_facts("type = 'Binary' AND id = 'loose'", lambda facts: facts.pop("owner")),
        {("facts", "Binary/loose/_history/1")},
    ),
    "an upload has a patient": (
        edit_facts("type = 'Binary' AND id = 'loose'", lambda facts: facts.update(patients=["p"])),
        {("facts", "Binary/loose/_history/1")},
    ),
    "the facts of an upload cannot be read": (
        sql("UPDATE record_version SET facts = 'x' WHERE type = 'Binary' AND id = 'loose'"),
        {("facts", "Binary/loose/_history/1")},
    ),
}

CURABLE = {
    "facts name no patient": (
        edit_facts(M2, lambda facts: facts.pop("patients")),
        {("facts", "Media/m/_history/2")},
    ),
    "facts of an old version name another unit": (
        edit_facts(M1, lambda facts: facts.update(unit="other")),
        {("facts", "Media/m/_history/1")},
    ),
    "facts of a deletion name another patient": (
        edit_facts("type = 'Media' AND id = 'gone' AND version = 2", lambda facts: facts.update(patients=["q"])),
        {("facts", "Media/gone/_history/2")},
    ),
    "facts cannot be read": (
        sql(f"UPDATE record_version SET facts = '{{' WHERE {N1}"),
        {("facts", "Media/n/_history/1"), ("records", "Binary/film")},
    ),
    "facts that say nothing cannot be read": (
        sql("UPDATE record_version SET facts = '{' WHERE type = 'Organization' AND id = 'region'"),
        {("facts", "Organization/region/_history/1")},
    ),
    "facts name no Binary": (
        edit_facts(N1, lambda facts: facts.pop("binaries")),
        {("facts", "Media/n/_history/1"), ("records", "Binary/film")},
    ),
    "an index row is gone": (sql(f"DELETE FROM idx_token WHERE rid = {RID}"), {("index", "Media/m")}),
    "an index row is too many": (
        sql(f"INSERT INTO idx_token SELECT param, 'forged', rid, system, grp FROM idx_token WHERE rid = {RID} LIMIT 1"),
        {("index", "Media/m")},
    ),
    "an index row is of a kind the resource has not": (
        sql(f"INSERT INTO idx_uri (param, value, rid, grp) SELECT 1, 'urn:x', rid, 0 FROM res_row WHERE rid = {RID}"),
        {("index", "Media/m")},
    ),
    "a resource is not in the index": (
        sql(f"DELETE FROM idx_patient WHERE rid = {RID}", f"DELETE FROM res_row WHERE rid = {RID}"),
        None,
    ),
    "the index shows an older version": (
        sql(f"UPDATE res_row SET sequence = sequence - 1 WHERE rid = {RID}"),
        {("index", "Media/m")},
    ),
    "the index has another unit": (
        sql(f"UPDATE res_row SET unit = 'other' WHERE rid = {RID}"),
        {("index", "Media/m")},
    ),
    "a timeline lacks a resource": (sql(f"DELETE FROM idx_patient WHERE rid = {RID}"), {("index", "Media/m")}),
    "a timeline shows a resource of another": (
        sql(f"INSERT INTO idx_patient SELECT 'q', recency, type, id, rid, how FROM idx_patient WHERE rid = {RID}"),
        {("index", "Media/m")},
    ),
    "what was deleted is in the index": (
        sql(
            "INSERT INTO res_row (rid, type, id, sequence, recency, wide, updated, holds, source, confidentiality)"
            " VALUES (99999999, 'Media', 'gone', 9, 0, 0, 0, 0, 'staff', 'N')"
        ),
        {("index", "Media/gone")},
    ),
    "index rows belong to nothing": (
        sql("INSERT INTO idx_string (param, plain, rid, exact, grp) VALUES (1, 'x', 99999999, 'x', 0)"),
        {("index", "row 99999999 of idx_string")},
    ),
    "a claim is not noted": (
        sql("DELETE FROM binary_referrer WHERE binary_id = 'film'"),
        {("records", "Media/n/_history/1"), ("records", "Binary/film")},
    ),
    "a claim is noted that nobody makes": (
        sql("INSERT INTO binary_referrer (binary_id, sequence) VALUES ('loose', 7)"),
        {("records", "Binary/loose")},
    ),
    "an upload is not known to be unclaimed": (
        sql("DELETE FROM unclaimed_binary WHERE binary_id = 'loose'"),
        {("records", "Binary/loose")},
    ),
    "a claimed Binary counts as unclaimed": (
        sql("INSERT INTO unclaimed_binary (binary_id, uploaded_at) VALUES ('film', 0)"),
        {("records", "Binary/film")},
    ),
}


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


async def test_facts_that_wait_for_a_change_elsewhere_are_no_damage(data: Path) -> None:
    async with inhabited(data) as here:
        await here.put({"resourceType": "Organization", "id": "county"})
        part_of = {"reference": "Organization/county"}
        await here.put({"resourceType": "Organization", "id": "derm", "partOf": part_of})
        report = await here.check()
        waiting = {"Media/m/_history/2", "Media/n/_history/1", "Media/gone/_history/2"}
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
            await here.put({"resourceType": "Organization", "id": above})
            await here.put(
                {"resourceType": "Organization", "id": "derm", "partOf": {"reference": f"Organization/{above}"}}
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
        await here.put(without_unit("x", "Encounter/never"))
        await here.put({"resourceType": "Encounter", "id": "e", "status": "planned", "class": {"code": "AMB"}})
        await here.delete("Encounter/e")
        await here.put(without_unit("y", "Encounter/e"))
        assert (await here.check()).findings == []


async def test_a_type_that_is_no_longer_served_is_worth_a_note(data: Path) -> None:
    async with inhabited(data) as here:
        here.sql("UPDATE record_version SET type = 'Basic' WHERE type = 'ImagingStudy'")
        report = await here.check()
        notes = [each.where for each in report.findings if each.severity == "note"]
        assert notes == ["Basic/s/_history/1"]


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
