"""A data folder with its house open and a clock of its own, for tests of what looks after it."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fhirmedia.app.house import House, open_house
from fhirmedia.backends.folder import Folder, make_folder
from fhirmedia.cli.checking import Report, check_folder
from fhirmedia.cli.importer import import_caller
from fhirmedia.core.clock import system_clock
from fhirmedia.core.errors import Failure
from fhirmedia.core.records import Key, Record
from fhirmedia.core.settings import Settings
from fhirmedia.custody.telling import RequestNote
from fhirmedia.interactions.archive import Asker
from fhirmedia.interactions.content import upload
from fhirmedia.interactions.delete import delete
from fhirmedia.interactions.update import update
from fhirmedia.r4.codec import dump
from fhirmedia.r4.json_in import parse_json

BASE = "https://archive.example/fhir"
ZONE = "Europe/Stockholm"
HOUR_MS = 3_600_000
UNIT = "https://fhirmedia.org/StructureDefinition/owning-unit"


@dataclass(slots=True)
class Hands:
    """A clock that tests move; it starts at the machine's time, which files are stamped with."""

    now: int

    def __call__(self) -> int:
        return self.now

    def forward(self, hours: float) -> None:
        self.now += int(hours * HOUR_MS)


@dataclass(slots=True)
class Inhabited:
    """The folder and everything on it."""

    folder: Folder
    settings: Settings
    house: House
    clock: Hands

    async def put(self, resource: dict[str, Any], *, check_references: bool = True) -> Record:
        """Write a resource under its own id."""
        key = Key(resource["resourceType"], resource["id"])
        asker = self._asker(check_references=check_references)
        return await update(self.house.archive, asker, key, parse_json(dump(resource)), expected=None)

    async def upload(self, content: bytes, binary_id: str) -> Record:
        """Store bytes as a Binary."""

        async def once() -> AsyncIterator[bytes]:
            yield content

        key = Key("Binary", binary_id)
        archive = self.house.archive
        return await upload(archive, self._asker(), once(), content_type="text/plain", key=key, expected=None)

    async def delete(self, key: str) -> Record:
        """Delete `Type/id`."""
        kind, _, identity = key.partition("/")
        return await delete(self.house.archive, self._asker(), Key(kind, identity), expected=None)

    async def media(self, identity: str, *, binary: str | None = None, **more: Any) -> Record:
        """A Media of patient `p` in unit `derm`; the patient and the unit have to be there."""
        return await self.put(a_media(identity, binary=binary, **more))

    async def check(self, *, reread: bool = False) -> Report:
        """What a check finds."""
        return await check_folder(self.folder, self.settings, base_url=BASE, reread=reread)

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a statement on the database behind everybody's back."""
        with closing(sqlite3.connect(self.folder.records, isolation_level=None, timeout=10)) as connection:
            return connection.execute(statement, values).fetchall()

    def objects(self) -> list[Path]:
        """Every content there is a file of."""
        return sorted(path for path in (self.folder.path / "objects").rglob("*") if path.is_file())

    def object(self, content: bytes) -> Path:
        """Where this content is kept."""
        from hashlib import sha256

        name = sha256(content).hexdigest()
        return self.folder.path / "objects" / name[:2] / name[2:4] / name

    def _asker(self, *, check_references: bool = True) -> Asker:
        return Asker(import_caller(check_references=check_references), RequestNote("test"))


def a_media(identity: str, *, binary: str | None = None, **more: Any) -> dict[str, Any]:
    """A Media of patient `p` in unit `derm`."""
    content = {"title": "none"} if binary is None else {"url": f"Binary/{binary}"}
    return {
        "resourceType": "Media",
        "id": identity,
        "status": "completed",
        "extension": [{"url": UNIT, "valueReference": {"reference": "Organization/derm"}}],
        "subject": {"reference": "Patient/p"},
        "createdDateTime": "2026-03-04",
        "content": content,
        **more,
    }


@asynccontextmanager
async def inhabited(path: Path, *, hours: int = 24, begun_hours_ago: int = 0) -> AsyncIterator[Inhabited]:
    """A folder, opened; a new one gets two Organizations above each other and a Patient. Uploads wait for `hours`."""
    settings = Settings(environment="test", public_url="https://archive.example", unclaimed_hours=hours)
    folder = Folder(path) if path.exists() else make_folder(path, timezone=ZONE)
    clock = Hands(system_clock() - begun_hours_ago * HOUR_MS)
    house = open_house(folder, settings, base_url=BASE, clock=clock)
    here = Inhabited(folder, settings, house, clock)
    try:
        if not here.sql("SELECT 1 FROM record_version LIMIT 1"):
            await here.put({"resourceType": "Organization", "name": "a place", "id": "region"})
            part_of = {"reference": "Organization/region"}
            await here.put({"resourceType": "Organization", "name": "a place", "id": "derm", "partOf": part_of})
            await here.put({"resourceType": "Patient", "id": "p"})
        yield here
    finally:
        await house.close()


async def refused(attempt: Any) -> Failure | None:
    """The Failure of an awaitable, if it fails."""
    try:
        await attempt
    except Failure as failure:
        return failure
    return None


async def together(attempts: Sequence[Any]) -> list[Any]:
    """The results and Failures of awaitables that run at once."""
    return list(await asyncio.gather(*attempts, return_exceptions=True))
