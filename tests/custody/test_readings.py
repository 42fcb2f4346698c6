"""What is read before the writer's turn is stored only while all it follows from still is what it was."""

import asyncio
import json
import sqlite3
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from fhirmedia.core.errors import Category
from fhirmedia.core.records import Facts, Key, Record
from fhirmedia.custody import reading_ahead, readings
from fhirmedia.custody.intake import Intake
from fhirmedia.custody.readings import Lenders, Reading
from fhirmedia.interactions.create import create
from fhirmedia.interactions.update import update
from fhirmedia.r4.json_in import parse_json
from tests.access.houses import House, derm, eyes, house, importer, refused, someone
from tests.access.records import CONFIDENTIALITY, DEPARTMENT, Resource, a
from tests.fhir.bundling import entry

HELD, MADE_ANEW = True, False


@pytest.fixture
def living(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path / "data") as made:
        yield made


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Key, bool]]:
    """Every Reading that a transaction was given, and whether it held."""
    found: list[tuple[Key, bool]] = []
    holds = Reading.holds

    def noting(reading: Reading, *arguments: Any, **named: Any) -> bool:
        found.append((reading.entries.key, holds(reading, *arguments, **named)))
        return found[-1][1]

    monkeypatch.setattr(Reading, "holds", noting)
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


def test_what_held_is_stored_and_indexed_as_if_made_anew(living: House, judged: list[tuple[Key, bool]]) -> None:
    living.put(importer(), ward(**below("north"), **department("394582007")))
    pictures = [a("Media", "m", unit="ward", note=[{"text": "a mole"}]) for _ in range(2)]
    (first,), (second,) = (at_once(living, creating(living, each)) for each in pictures)
    assert outcomes(judged) == [HELD]
    assert (first.facts, tags(first)) == (second.facts, tags(second))
    with sqlite3.connect(living.path / "records.db") as database:
        rows = "SELECT count(*) FROM {} JOIN res_row USING (rid) WHERE id = ?"
        for table in ("idx_token", "idx_date", "idx_reference", "idx_string", "idx_uri"):
            one, other = (database.execute(rows.format(table), (each.key.id,)).fetchone() for each in (first, second))
            assert one == other
    database.close()
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


def test_an_organization_that_is_written_beside_it_counts_as_it_will_be(
    living: House, judged: list[tuple[Key, bool]]
) -> None:
    living.put(importer(), a("Organization", "south"))
    living.put(importer(), ward(**below("north")))
    living.create(someone(), a("Media", "m", unit="ward"))
    caller = someone(id_prefixes=("*",))
    living.transaction(
        caller,
        entry("POST", "Media", a("Media", "m", unit="ward", deviceName="beside")),
        entry("PUT", "Organization/ward", ward(**below("south"))),
    )
    assert [held for key, held in judged if key.type == "Media"] == [MADE_ANEW]
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
    monkeypatch.setattr(reading_ahead, "_IN_ONE_TURN", 1)
    living.create(someone(), a("Media", "m"))
    living.transaction(someone(), *(entry("POST", "Media", a("Media", f"m{at}")) for at in range(4)))
    assert outcomes(judged) == [HELD, HELD]
    assert living.search(someone(), "Media")["total"] == 5


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[Key]:
    """What was tried to be read ahead."""
    found: list[Key] = []

    def noting(_intake: Intake, key: Key, *_: Any, **__: Any) -> None:
        found.append(key)

    monkeypatch.setattr(Intake, "read_ahead", noting)
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


def record(id: str, sequence: int, body: bytes | None) -> Record:
    return Record(Key("Organization", id), 1, sequence, 0, "update", body, Facts())


def test_lenders_are_known_as_they_were_seen_last() -> None:
    lenders = Lenders()
    assert lenders.known(Key("Organization", "one")) is None
    assert lenders.body(record("one", 5, b'{"name":"old"}')) == {"name": "old"}
    assert lenders.known(Key("Organization", "one")) == (5, {"name": "old"})
    assert lenders.body(record("one", 5, b"not read again")) == {"name": "old"}
    assert lenders.body(record("one", 6, b'{"name":"new"}')) == {"name": "new"}
    assert lenders.known(Key("Organization", "one")) == (6, {"name": "new"})
    assert lenders.body(record("one", 7, None)) is None


def test_the_lenders_seen_longest_ago_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings, "MOST_LENDERS", 2)
    lenders = Lenders()
    for at, name in enumerate(("one", "two", "one", "three")):
        lenders.body(record(name, 1 if name == "one" else at, b"{}"))
    known = {name: lenders.known(Key("Organization", name)) is not None for name in ("one", "two", "three")}
    assert known == {"one": True, "two": False, "three": True}
