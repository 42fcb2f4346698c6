"""Power is lost at chosen moments of a traced life, and what survived is opened again."""

import asyncio
import random
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest.mock import patch

from fhirmedia.app import house
from fhirmedia.backends.folder import Folder, open_folder
from fhirmedia.cli.importer import import_caller
from fhirmedia.core.records import Key
from fhirmedia.core.settings import Settings
from fhirmedia.custody.telling import RequestNote
from fhirmedia.interactions.archive import Asker
from fhirmedia.interactions.content import upload
from fhirmedia.interactions.search import Where, search
from fhirmedia.interactions.update import update
from fhirmedia.r4.json_types import JsonObject
from fhirmedia.r4.registry import load_registry
from tests.faults.building import shimmed
from tests.faults.disk_model import Disk, Loss, Step, fingerprint, materialise, read_trace
from tests.faults.examine import examine
from tests.faults.ledger import Told, parse_line
from tests.faults.resources import JPEG

registry_once = cache(load_registry)
"""It is the same in every life, and takes longer than a recovery."""

BOUNDARIES = frozenset("SRL")


@dataclass(frozen=True, slots=True)
class Cut:
    """What the disk may hold, and what clients had been told by then."""

    state: dict[str, bytes | None]
    told: tuple[Told, ...]


@dataclass(frozen=True, slots=True)
class Life:
    """A traced run of `power_scenario` in `root`."""

    root: Path
    steps: tuple[Step, ...]

    @property
    def boundaries(self) -> int:
        """Syncs and renames."""
        return sum(step.operation in BOUNDARIES for step in self.steps)

    def every_cut(self) -> Iterator[Cut]:
        """Before and after each sync and rename: names and bytes lost, and bytes alone; equal ones once."""
        known: set[tuple[bytes, int]] = set()
        disk, chance = Disk(self.root), random.Random(0)
        for step, following in zip(self.steps, (*self.steps[1:], None), strict=True):
            disk.apply(step)
            if step.operation not in BOUNDARIES and following and following.operation not in BOUNDARIES:
                continue
            losses: tuple[Loss, ...] = ("everything", "data")
            for loss in losses:
                cut = _cut(disk, loss, chance)
                mark = (fingerprint(cut.state), len(cut.told))
                if mark not in known:
                    known.add(mark)
                    yield cut

    def random_cuts(self, count: int, *, seed: int) -> Iterator[Cut]:
        """Anywhere, with any part of what was not synced."""
        chance = random.Random(seed)
        wanted = sorted(chance.randrange(len(self.steps)) for _ in range(count))
        disk = Disk(self.root)
        for number, step in enumerate(self.steps):
            disk.apply(step)
            while wanted and wanted[0] == number:
                wanted.pop(0)
                yield _cut(disk, "random", chance)


def live(place: Path, *words: str, forget: bool = False) -> Life:
    """Run the scenario under the shim; the trace, replayed as a whole, must give the folder as it is."""
    root = place.resolve() / "root"
    root.mkdir()
    trace = root.with_name("trace")
    command = [sys.executable, "-m", "tests.faults.power_scenario", str(root), *words]
    subprocess.run(command, env=shimmed(root, trace=trace, forget=forget), check=True, stdout=subprocess.DEVNULL)
    life = Life(root, tuple(read_trace(trace)))
    disk = Disk(root)
    for step in life.steps:
        disk.apply(step)
    there = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    assert disk.files() == {name: path.read_bytes() for name, path in there.items() if not name.endswith("-shm")}
    return life


def judge(cut: Cut, place: Path) -> list[str]:
    """What recovery lost or left half on the surviving folder; `place` is used and left empty."""
    materialise(cut.state, place)
    try:
        data = place / "data"
        if not (data / "VERSION").exists():
            return ["the folder is gone"] if cut.told else []
        try:
            folder = open_folder(data, timezone="Europe/Stockholm", allow_volatile=True)
            asyncio.run(_resume(folder))
        except Exception as refused:
            return [f"the folder does not open: {refused}"]
        return examine(folder.path, cut.told)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _cut(disk: Disk, loss: Loss, chance: random.Random) -> Cut:
    told = disk.files().get("marks", b"")
    state = disk.survivors(loss, chance)
    state.pop("marks", None)
    return Cut(state, tuple(map(parse_line, told.splitlines())))


async def _resume(folder: Folder) -> None:
    """The server on a surviving folder, as far as it takes to write, receive and search."""
    with patch.object(house, "load_registry", registry_once):
        opened = house.open_house(folder, Settings(environment="test"), base_url="http://127.0.0.1/fhir")
    asker = Asker(import_caller(check_references=False), RequestNote("after"))
    key = Key("Patient", "after")
    try:
        patient: JsonObject = {"resourceType": key.type, "id": key.id}
        assert (await update(opened.archive, asker, key, patient, expected=None)).version == 1
        await upload(opened.archive, asker, _chunk(), content_type="image/jpeg", key=None, expected=None)
        for kind in ("Media", "AuditEvent"):
            await search(opened.archive, asker, Where(kind), [("patient", "anna")], lenient=False)
    finally:
        await opened.close()


async def _chunk() -> AsyncIterator[bytes]:
    yield JPEG
