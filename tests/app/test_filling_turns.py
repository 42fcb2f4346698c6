"""Filling in search parameters: writers wait for a turn at most, and parameters have names of their own."""

import json
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fhirmedia.backends import filling as module
from fhirmedia.backends.added_sql import Fill
from fhirmedia.backends.filling import Filling
from fhirmedia.core.errors import Failure
from fhirmedia.core.records import Record
from fhirmedia.r4.added import AddedParameter, read_added, with_added
from fhirmedia.r4.extract import Extractor
from fhirmedia.r4.json_in import parse_json
from fhirmedia.r4.registry import load_registry
from fhirmedia.r4.values import IndexEntries
from tests.app.test_added_parameter import called
from tests.custody.inhabited import BASE, ZONE, Inhabited, inhabited

OWN = load_registry()
MEDIA = 3


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def added(code: str, **changed: Any) -> AddedParameter:
    return read_added(json.dumps(called(code) | changed).encode(), OWN)


async def test_writers_wait_for_no_more_than_a_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parameter = added("slow")
    extractor = Extractor(with_added(OWN, [parameter]), base_url=BASE, zone=ZoneInfo(ZONE))

    def entries_of(record: Record) -> IndexEntries:
        return extractor.entries(parse_json(record.body or b"{}"), key=record.key, last_updated_ms=0)

    turns, put, done = list[Fill | None](), module.put_fill, list[int]()

    def noted(connection: Any, code: str, fill: Fill | None) -> None:
        turns.append(fill)
        put(connection, code, fill)

    monkeypatch.setattr(module, "put_fill", noted)
    async with inhabited(tmp_path / "data") as here:
        for each in range(MEDIA):
            await here.media(f"m{each}", content={"title": "a wound"})
        for turn_s, expected in ((60.0, 1), (0.0, MEDIA)):
            monkeypatch.setattr(module, "TURN_S", turn_s)
            with Filling(here.folder, parameter, own=OWN) as filling:
                assert filling.begin() == MEDIA
                turns.clear()
                done.clear()
                filling.run(entries_of, done=done.append)
                assert (len(turns), sum(done), filling.begin()) == (expected, MEDIA, 0)
            here.sql("DELETE FROM idx_state WHERE name = 'fill/slow'")
        assert (await here.check()).findings == []


@pytest.mark.parametrize("name", ["id", "url"])
async def test_two_that_are_added_have_names_of_their_own(tmp_path: Path, name: str) -> None:
    first = added("first")
    async with inhabited(tmp_path / "data") as here:
        for _ in range(2):
            with Filling(here.folder, first, own=OWN) as filling:
                filling.begin()
        with (
            Filling(here.folder, added("second", **{name: first.resource[name]}), own=OWN) as filling,
            pytest.raises(Failure, match=f"The {name} is that of first"),
        ):
            filling.begin()


@pytest.mark.parametrize("is_stopped", [False, True])
async def test_a_type_that_a_definition_drops_is_rid_of_its_values(tmp_path: Path, is_stopped: bool) -> None:
    parts = {"Media": "Media.note.text", "Observation": "Observation.note.text"}
    wide = added("said", base=[*parts], expression=" | ".join(parts.values()))
    narrow = added("said", base=["Media"], expression=parts["Media"])
    note = [{"text": "a wound"}]
    seen = {"status": "final", "code": {"text": "x"}, "subject": {"reference": "Patient/p"}, "note": note}

    def fill(here: Inhabited, parameter: AddedParameter, *, stopped: bool = False) -> None:
        registry = with_added(OWN, [parameter])
        extractor = Extractor(registry, base_url=BASE, zone=ZoneInfo(ZONE))
        with Filling(here.folder, parameter, own=OWN) as filling:
            filling.begin()
            if not stopped:
                filling.run(
                    lambda record: extractor.entries(
                        parse_json(record.body or b"{}"), key=record.key, last_updated_ms=0
                    ),
                    done=lambda _number: None,
                )
                filling.finish()

    async with inhabited(tmp_path / "data") as here:
        await here.media("m", note=note)
        await here.put({"resourceType": "Observation", "id": "first", **seen})
        fill(here, wide)
        assert (await here.check()).findings == []
    async with inhabited(tmp_path / "data") as here:  # which knows the wide one
        if is_stopped:
            fill(here, narrow, stopped=True)
        fill(here, narrow)
        await here.put({"resourceType": "Observation", "id": "second", **seen})
        assert (await here.check()).findings == []
