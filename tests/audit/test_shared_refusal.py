"""Those who waited for one commit that failed are each written down, though they got one and the same exception."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fhirmedia.core.errors import Category, Failure
from fhirmedia.interactions.create import create
from tests.access.houses import derm, eyes, house
from tests.access.records import a
from tests.audit.rows import disclosures


class Broken:
    """Records of which every write fails with the same exception."""

    def __init__(self, sound: Any, failed: Exception) -> None:
        self._sound = sound
        self._failed = failed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sound, name)

    async def write(self, work: Callable[[Any], Any]) -> Any:
        await asyncio.sleep(0)
        raise self._failed


def test_each_of_those_who_share_an_exception_has_its_row(tmp_path: Path) -> None:
    with house(tmp_path / "data") as living:
        sound = living.stores.records
        failed = Failure(Category.UNAVAILABLE, "The database cannot take the request at present.")
        living.replace_stores(records=Broken(sound, failed))
        askers = [living.asker(derm()), living.asker(eyes())]

        async def both() -> list[Any]:
            work = [create(living.archive, asker, "Media", a("Media", "-")) for asker in askers]
            return await asyncio.gather(*work, return_exceptions=True)

        async def again(asker: Any) -> None:
            await living.archive.custodian.refused(asker.caller, "create", failed, note=asker.note)

        before = living.rows()
        assert living.run(both()) == [failed, failed]
        assert living.rows() == before + 2
        for asker in askers:  # as routes do with whatever comes out of an interaction
            living.run(again(asker))
        assert living.rows() == before + 2
        rows = list(disclosures(living.path))[-2:]
        assert {(row.client, row.outcome, row.request_id) for row in rows} == {
            ("tests", "8", asker.note.request_id) for asker in askers
        }
        living.replace_stores(records=sound)
