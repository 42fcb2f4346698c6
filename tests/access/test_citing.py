"""Parts of content: each request is judged anew, and one that would repeat a durable row names that row instead."""

from dataclasses import replace
from typing import Any

import pytest

from fhirmedia.access.caller import Caller
from fhirmedia.core.audit_chain import RowName
from fhirmedia.core.errors import Category
from fhirmedia.core.records import Key
from fhirmedia.custody.citing import CITABLE_MS, REMEMBERED_MAX, Citations, Said
from fhirmedia.interactions.content import download
from tests.access.houses import House, derm, importer, refused
from tests.access.records import a, with_content
from tests.audit.rows import by_request, disclosures


@pytest.fixture
def content(living: House) -> str:
    """The id of a Binary behind Media/m of dermatology."""
    id = living.upload(importer(), b"bytes of a picture")
    living.put(importer(), a("Media", "m", **with_content(f"Binary/{id}")))
    return id


def part(living: House, caller: Caller, id: str, *, is_part: bool = True, **changes: Any) -> str:
    """The row behind the permission for a part, or for the whole."""

    async def ask() -> str:
        asker = living.asker(caller, about=f"Binary/{id}")
        depth = changes.pop("depth", "downloaded")
        asker = replace(asker, note=replace(asker.note, **changes))
        ticket = await download(living.archive, asker, Key("Binary", id), depth=depth, is_part=is_part)
        assert b"".join([each async for each in ticket.stream(0, 5)]) == b"bytes"
        return str(ticket.row)

    return living.run(ask())


def test_parts_are_told_once(living: House, content: str) -> None:
    before = living.rows()
    first = part(living, derm(), content)
    assert {part(living, derm(), content) for _ in range(5)} == {first}
    assert living.rows() == before + 1
    log_id, _, sequence = first.rpartition("-")
    assert log_id == "disclosures-0"
    told = [row for row in disclosures(living.path) if row.interaction == "content"]
    assert [touch.key for touch in told[-1].touched] == [Key("Binary", content), Key("Media", "m")]
    assert int(sequence) > 0


def test_a_whole_is_always_told_and_a_part_of_it_may_cite_it(living: House, content: str) -> None:
    first = part(living, derm(), content, is_part=False)
    assert part(living, derm(), content) == first
    second = part(living, derm(), content, is_part=False)
    assert second != first
    assert part(living, derm(), content) == second


def test_a_row_is_cited_for_five_minutes(living: House, content: str) -> None:
    first = part(living, derm(), content)
    living.hands.now += CITABLE_MS - 1
    assert part(living, derm(), content) == first
    living.hands.now += 1
    second = part(living, derm(), content)
    assert second != first
    living.hands.now -= 1
    third = part(living, derm(), content)
    assert third not in (first, second)


@pytest.mark.parametrize(
    "changes",
    [{"address": "192.0.2.7"}, {"raw_query": b"_format=x"}, {"depth": "opened"}],
    ids=lambda changes: next(iter(changes)),
)
def test_what_the_row_does_not_say_is_told(living: House, content: str, changes: dict[str, Any]) -> None:
    first = part(living, derm(), content)
    own = part(living, derm(), content, **changes)
    assert own != first
    assert part(living, derm(), content, **changes) == own
    assert part(living, derm(), content) == first


@pytest.mark.parametrize(
    "changes",
    [
        {"token_id": "another"},
        {"purpose": "http://terminology.hl7.org/CodeSystem/v3-ActReason|ETREAT"},
        {"user": "Practitioner/kim"},
        {"client": "another"},
        {"subject": "urn:tests|another"},
        {"units": frozenset({"derm", "eyes"})},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_another_token_is_another_row(living: House, content: str, changes: dict[str, Any]) -> None:
    first = part(living, derm(), content)
    own = part(living, replace(derm(), **changes), content)
    assert own != first
    assert part(living, derm(), content) == first


def test_a_new_version_of_what_vouches_is_told(living: House, content: str) -> None:
    first = part(living, derm(), content)
    living.put(importer(), a("Media", "m", **with_content(f"Binary/{content}", title="anew")))
    assert part(living, derm(), content) != first


def test_a_row_opens_nothing_once_access_is_gone(living: House, content: str) -> None:
    part(living, derm(), content)
    living.delete(importer(), "Media/m")
    with refused(Category.NOT_FOUND):
        part(living, derm(), content)
    (row,) = by_request(living.path)[living.last_request]
    assert (row.outcome, row.issue) == ("4", "not-found")


def test_what_is_remembered_is_bounded() -> None:
    citations = Citations()
    said = [Said(derm(), "content", str(number), b"", ()) for number in range(REMEMBERED_MAX + 1)]
    for number, each in enumerate(said):
        citations.keep(each, RowName("disclosures-0", number), now=0)
    assert citations.find(said[0], now=0) is None
    assert citations.find(said[1], now=0) == RowName("disclosures-0", 1)
    citations.keep(said[1], RowName("disclosures-0", 9), now=0)
    citations.keep(said[0], RowName("disclosures-0", 8), now=0)
    assert citations.find(said[1], now=0) == RowName("disclosures-0", 9)
    assert citations.find(said[2], now=0) is None
