"""What is read before the writer's turn is stored only while all it follows from still is what it was."""

import asyncio
import json
import sqlite3
from collections.abc import Coroutine, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from fhirmedia.access.policy import grant_for
from fhirmedia.core import breath
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key, Record
from fhirmedia.custody import lenders, reading_ahead, readings
from fhirmedia.custody.proposal import Proposal, Proposals
from fhirmedia.custody.reading_ahead import read_ahead
from fhirmedia.custody.readings import ReadAhead, Readings
from fhirmedia.interactions.create import create
from fhirmedia.interactions.update import update
from fhirmedia.r4.json_in import parse_json
from tests.access.houses import House, derm, eyes, house, ids, importer, refused, someone
from tests.access.records import CONFIDENTIALITY, DEPARTMENT, Resource, a
from tests.fhir.bundling import entry

HELD, MADE_ANEW = True, False


@pytest.fixture
def living(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path / "data") as made:
        yield made


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Key, bool]]:
    """Everything read ahead that a transaction was given, and whether it held."""
    found: list[tuple[Key, bool]] = []
    holds = ReadAhead.holds

    def noting(ahead: ReadAhead, *arguments: Any, **named: Any) -> bool:
        found.append((ahead.reading.entries.key, holds(ahead, *arguments, **named)))
        return found[-1][1]

    monkeypatch.setattr(ReadAhead, "holds", noting)
    return found


def outcomes(judged: list[tuple[Key, bool]]) -> list[bool]:
    return [held for _, held in judged]


def creating(living: House, resource: Resource) -> Coroutine[Any, Any, Record]:
    sent = parse_json(json.dumps(resource).encode())
    return create(living.archive, living.asker(someone()), resource["resourceType"], sent)


def putting(living: House, resource: Resource) -> Coroutine[Any, Any, Record]:
    key, sent = Key(resource["resourceType"], resource["id"]), parse_json(json.dumps(resource).encode())
    return update(living.archive, living.asker(importer(), about=str(key)), key, sent, expected=None)


def at_once(living: House, *works: Coroutine[Any, Any, Record]) -> list[Record]:
    """All of them are read before the first is written; they are written in this order."""

    async def together() -> list[Record]:
        return await asyncio.gather(*works)

    return living.run(together())


def ward(**other: Any) -> Resource:
    return a("Organization", "ward", **other)


def below(parent: str) -> Resource:
    return {"partOf": {"reference": f"Organization/{parent}"}}


def department(code: str) -> Resource:
    return {"type": [{"coding": [{"system": DEPARTMENT, "code": code}]}]}


def tags(record: Record) -> list[str]:
    return [tag["code"] for tag in json.loads(record.body or b"{}")["meta"].get("tag", [])]


def test_once_the_lenders_are_known_it_is_read_ahead(living: House, judged: list[tuple[Key, bool]]) -> None:
    for _ in range(2):
        living.create(someone(), a("Media", "m"))
    assert outcomes(judged) == [HELD], "the first had to look at its Organizations inside the transaction"


VALUES = ("idx_token", "idx_date", "idx_reference", "idx_string", "idx_uri", "idx_number", "idx_quantity")


def indexed(living: House, id: str) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of the index, but for what differs between any two resources."""
    own = {"rid", "id", "sequence", "updated"}
    found = {}
    with closing(sqlite3.connect(living.path / "records.db")) as database:
        database.row_factory = sqlite3.Row
        for table in (*VALUES, "idx_patient", "res_row"):
            joined = "res_row WHERE" if table == "res_row" else f"{table} t JOIN res_row r ON r.rid = t.rid WHERE r."
            wanted = "*" if table == "res_row" else "t.*"
            rows = database.execute(f"SELECT {wanted} FROM {joined} id = ?".replace(". id", ".id"), (id,))
            found[table] = sorted(
                tuple(repr(row[name]) for name in row.keys() if name not in own)  # noqa: SIM118 (a Row is no dict)
                for row in rows
            )
    return found


def test_what_held_is_stored_and_indexed_as_if_made_anew(living: House, judged: list[tuple[Key, bool]]) -> None:
    living.put(importer(), ward(**below("north"), **department("394582007")))
    seen = {"note": [{"text": "a mole"}], "createdDateTime": "2024-02-03", "height": 7, "width": 9}
    (first,), (second,) = (at_once(living, creating(living, a("Media", "m", unit="ward", **seen))) for _ in range(2))
    assert outcomes(judged) == [HELD]
    assert (first.facts, tags(first)) == (second.facts, tags(second))
    rows = indexed(living, first.key.id)
    assert rows == indexed(living, second.key.id)
    assert sum(map(len, rows.values())) > 5
    found = living.search(someone(), "Media", "_content=mole")
    assert {each["resource"]["id"] for each in found["entry"]} == {first.key.id, second.key.id}


def test_an_organization_that_moves_meanwhile_takes_new_records_along(
    living: House, judged: list[tuple[Key, bool]]
) -> None:
    living.put(importer(), a("Organization", "south"))
    living.put(importer(), ward(**below("north"), **department("394582007")))
    living.create(someone(), a("Media", "m", unit="ward"))
    moved = ward(**below("south"), **department("394594003"))
    _, picture = at_once(living, putting(living, moved), creating(living, a("Media", "m", unit="ward")))
    assert outcomes(judged)[-1] is MADE_ANEW
    assert (picture.facts.enterprise, tags(picture)) == ("south", ["394594003"])


@pytest.mark.parametrize("by_search", [True, False], ids=["found", "named"])
def test_an_organization_that_is_written_beside_it_counts_as_it_will_be(
    living: House, by_search: bool, judged: list[tuple[Key, bool]]
) -> None:
    """One that is named is not even tried; of one that a condition finds it is only known then."""
    living.put(importer(), a("Organization", "south"))
    living.put(importer(), ward(**below("north")))
    living.create(someone(), a("Media", "m", unit="ward"))
    moved = ward(**below("south"))
    without_id = {name: value for name, value in moved.items() if name != "id"}
    living.transaction(
        someone(id_prefixes=("*",)),
        entry("POST", "Media", a("Media", "m", unit="ward", deviceName="beside")),
        entry("PUT", "Organization?_id=ward", without_id) if by_search else entry("PUT", "Organization/ward", moved),
    )
    assert [held for key, held in judged if key.type == "Media"] == ([MADE_ANEW] if by_search else [])
    found = living.search(someone(enterprise="south"), "Media")["entry"]
    assert "beside" in [each["resource"].get("deviceName") for each in found]


def test_labels_that_come_meanwhile_stay(living: House, judged: list[tuple[Key, bool]]) -> None:
    living.put(importer(), a("Media", "m"))
    living.put(importer(), a("Media", "m", deviceName="one"))
    assert outcomes(judged) == [HELD]
    labelled = a("Media", "m", meta={"security": [{"system": CONFIDENTIALITY, "code": "R"}]})
    tightened, plain = at_once(living, putting(living, labelled), putting(living, a("Media", "m", deviceName="two")))
    assert outcomes(judged) == [HELD, HELD, MADE_ANEW]
    assert (tightened.facts.confidentiality, plain.facts.confidentiality) == ("R", "R")
    assert (tightened.version, plain.version) == (3, 4)


def test_what_is_proposed_together_is_read_ahead_up_to_a_bound(
    living: House, judged: list[tuple[Key, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_ahead, "MOST", 2)
    monkeypatch.setattr(breath, "SLICE_S", 0.0)
    living.create(someone(), a("Media", "m"))
    living.transaction(someone(), *(entry("POST", "Media", a("Media", f"m{at}")) for at in range(4)))
    assert outcomes(judged) == [HELD, HELD]
    assert living.search(someone(), "Media")["total"] == 5


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[Key]:
    """What was tried to be read ahead."""
    found: list[Key] = []

    def noting(_readings: Readings, _given: Resource, key: Key, *_: Any, **__: Any) -> None:
        found.append(key)

    monkeypatch.setattr(Readings, "ahead", noting)
    return found


@pytest.mark.parametrize("hidden", [True, False], ids=["hidden", "absent"])
def test_an_update_of_what_is_hidden_is_not_looked_at(living: House, hidden: bool, looked: list[Key]) -> None:
    """As if it were absent: it would take longer."""
    living.put(importer(), a("Media", "m", unit="eyes" if hidden else "derm"))
    with refused(Category.NOT_ALLOWED):
        living.put(derm(), a("Media", "m" if hidden else "never"))
    living.put(eyes() if hidden else derm(), a("Media", "m", unit="eyes" if hidden else "derm"))
    assert looked == [Key("Media", "m")], "who may write it has it read ahead"


def test_what_refers_by_search_is_read_in_the_transaction(living: House, looked: list[Key]) -> None:
    by_search = {"subject": {"reference": "Patient?_id=anna"}}
    living.transaction(someone(), entry("POST", "Media", a("Media", "m") | by_search))
    living.transaction(someone(), entry("POST", "Media", a("Media", "m")))
    assert len(looked) == 1


def test_what_gets_other_references_is_made_anew(living: House, judged: list[tuple[Key, bool]]) -> None:
    """The picture is read as of the Patient that its condition was to make; the condition finds Anna."""
    living.create(someone(), a("Media", "m"))
    patient = {"resourceType": "Patient", "active": False}
    of_sought = a("Media", "m", deviceName="of Anna") | {"subject": {"reference": "urn:uuid:anna"}}
    living.transaction(
        someone(),
        entry("PUT", "Patient?_id=anna", patient, full_url="urn:uuid:anna"),
        entry("POST", "Media", of_sought),
    )
    assert [held for key, held in judged if key.type == "Media"] == [MADE_ANEW]
    found = living.search(someone(), "Media", "patient=anna")["entry"]
    assert "of Anna" in [each["resource"].get("deviceName") for each in found]


def test_what_is_refused_is_told_by_the_transaction(living: House, judged: list[tuple[Key, bool]]) -> None:
    security = [{"system": CONFIDENTIALITY, "code": "R"}]
    living.put(importer(), a("Media", "m", meta={"security": security}))
    for _ in range(2):
        with refused(Category.FORBIDDEN) as said:
            living.put(derm(), a("Media", "m", meta={"security": [security[0] | {"code": "N"}]}))
    assert said.issues[0].expression == "Resource.meta.security"
    assert judged == []


def test_a_resource_that_was_deleted_is_read_in_the_transaction(living: House, judged: list[tuple[Key, bool]]) -> None:
    living.put(importer(), a("Media", "m"))
    living.delete(importer(), "Media/m")
    living.put(importer(), a("Media", "m"))
    assert judged == []


def test_who_finds_their_resource_and_binaries_are_not_read_ahead(living: House, looked: list[Key]) -> None:
    living.transaction(someone(), entry("POST", "Media", a("Media", "m"), ifNoneExist="_id=never"))
    living.upload(someone(), b"words")
    living.put(importer(), a("Practitioner", "gone"))
    living.delete(importer(), "Practitioner/gone")
    assert looked == []
    living.transaction(someone(), entry("POST", "Media", a("Media", "m")))
    assert len(looked) == 1


def test_a_large_resource_is_read_in_the_transaction(
    living: House, judged: list[tuple[Key, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    living.create(someone(), a("Media", "m"))
    living.create(someone(), a("Media", "m", note=[{"text": "x" * 2_000}]))
    assert outcomes(judged) == [HELD]
    monkeypatch.setattr(readings, "AHEAD_AT_MOST", 2_000)
    living.create(someone(), a("Media", "m", note=[{"text": "x" * 2_000}]))
    assert outcomes(judged) == [HELD]
    living.put(importer(), a("Media", "m", note=[{"text": "x" * 2_000}]))
    living.put(importer(), a("Media", "m"))
    assert outcomes(judged) == [HELD], "nor what takes the place of one"
    living.put(importer(), a("Media", "m", deviceName="one"))
    assert outcomes(judged) == [HELD, HELD]


def test_what_cannot_be_read_ahead_is_left_to_the_transaction(
    living: House, judged: list[tuple[Key, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    living.put(importer(), a("Media", "m"))

    async def broken(_keys: Any) -> None:
        raise sqlite3.OperationalError

    monkeypatch.setattr(living.stores.records, "read", broken)
    living.put(importer(), a("Media", "m", deviceName="new"))
    assert judged == []


def test_others_have_a_turn_whatever_becomes_of_it(living: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels that may not be lowered refuse every entry; the loop goes round all the same."""
    security = [{"system": CONFIDENTIALITY, "code": "R"}]
    plain = a("Media", "m", meta={"security": [security[0] | {"code": "N"}]})
    for at in range(4):
        living.put(importer(), a("Media", f"m{at}", meta={"security": security}))
    monkeypatch.setattr(breath, "SLICE_S", 0.0)
    turns = []

    async def between() -> None:
        while True:
            turns.append(None)
            await asyncio.sleep(0)

    async def both() -> None:
        beside = asyncio.ensure_future(between())
        stores, custodian = living.stores, living.archive.custodian
        proposals = Proposals(tuple(Proposal(Key("Media", f"m{at}"), "update", plain) for at in range(4)))
        grant = grant_for(derm(), living.archive.registry)
        found = await read_ahead(stores.records, custodian._intake.readings, derm(), grant, proposals)
        assert found == {}
        beside.cancel()

    living.run(both())
    assert len(turns) >= 4


def on_full_disk(living: House, *works: Coroutine[Any, Any, Record]) -> None:
    """All of them are refused at the end of the group they share."""
    records: Any = living.stores.records

    async def together() -> None:
        pages = records._writer.execute("PRAGMA page_count").fetchone()[0]
        records._writer.execute(f"PRAGMA max_page_count = {pages}")
        found = await asyncio.gather(*works, return_exceptions=True)
        assert all(isinstance(each, Failure) and each.category is Category.DISK_FULL for each in found), found
        records._writer.execute("PRAGMA max_page_count = 1073741823")

    living.run(together())


def test_an_organization_that_was_undone_lends_nothing(living: House) -> None:
    long = {"note": [{"text": "x " * 100_000}]}
    on_full_disk(living, putting(living, ward()), creating(living, a("Media", "m", unit="ward", **long)))
    with refused(Category.UNPROCESSABLE):
        living.create(someone(), a("Media", "m", unit="ward"))


def test_a_body_that_was_undone_lends_nothing(living: House) -> None:
    """A group that fails gives its sequences back: the next version of the ward has the number of the undone one."""
    living.put(importer(), a("Organization", "south"))
    living.put(importer(), ward(**below("north")))
    long = {"note": [{"text": "x " * 100_000}]}
    on_full_disk(
        living, putting(living, ward(**below("south"))), creating(living, a("Media", "m", unit="ward", **long))
    )
    living.put(importer(), ward(**below("north"), name="unmoved"))
    for _ in range(2):
        living.create(someone(), a("Media", "m", unit="ward"))
    assert ids(living.search(someone(enterprise="south"), "Media")) == []
    assert len(ids(living.search(someone(enterprise="north"), "Media"))) == 2


@pytest.mark.parametrize("visit", ["hidden", "never"])
def test_an_encounter_that_is_hidden_takes_as_much_as_one_that_is_not_there(
    living: House, visit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    living.put(importer(), a("Encounter", "hidden", of="bo", unit="eyes"))
    living.create(someone(), a("Media", "m", of="bo", unit=None, encounter={"reference": "Encounter/hidden"}))
    extracted: list[Key] = []
    entries = Readings.entries

    def noting(made: Readings, resource: Resource, key: Key) -> Any:
        extracted.append(key)
        return entries(made, resource, key)

    monkeypatch.setattr(Readings, "entries", noting)
    tagged = {"tag": [{"system": DEPARTMENT, "code": "derm"}]}
    for _ in range(2):
        with refused(Category.UNPROCESSABLE):
            picture = a("Media", "m", unit=None, encounter={"reference": f"Encounter/{visit}"}, meta=tagged)
            living.create(someone("user/Media.cruds user/Patient.r"), picture)
    assert len(extracted) == 2


def named(name: str) -> Key:
    return Key("Organization", name)


def test_a_lender_in_use_is_not_forgotten(living: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read ahead and holds keeps its lenders as much as what is made anew."""
    monkeypatch.setattr(lenders, "MOST", 3)
    for at in range(4):
        living.put(importer(), a("Organization", f"u{at}"))
    living.create(someone(), a("Media", "m", unit="u0"))
    for at in range(1, 4):
        living.create(someone(), a("Media", "m", unit=f"u{at}"))
        living.create(someone(), a("Media", "m", unit="u0"))
    known: Any = living.archive.custodian._intake
    assert known._lenders.known(named("u0")) is not None
