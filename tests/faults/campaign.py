"""Servers killed at random moments under concurrent writers, the folder examined after each."""

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from fhirmedia.core.clock import system_clock
from fhirmedia.issuer.minting import mint
from tests.faults.building import shimmed
from tests.faults.control import Control
from tests.faults.examine import Examiner, examine
from tests.faults.ledger import Ledger, read_ledger
from tests.faults.resources import PATIENT
from tests.faults.wire import Wire
from tests.faults.writers import JSON, Writer
from tests.servers import make_demo_folder

WRITERS = 6
LOOK_AT_ALL_EVERY = 20
PREY = (
    ("sync", "received bytes"),
    ("rename", "received bytes"),
    ("mkdir", "objects"),
    ("sync", "objects"),
    ("write", "records log"),
    ("sync", "records log"),
    ("write", "records"),
    ("sync", "records"),
    ("sync", "audit log"),
    ("sync", "audit"),
    ("write", "checkpoints"),
    ("sync", "checkpoints"),
)
"""Calls that a kill waits for, now and then; chance alone seldom meets the short ones."""


@dataclass(slots=True)
class Outcome:
    """What a campaign came to."""

    kills: int = 0
    in_flight: int = 0
    acknowledged: int = 0
    phases: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    unexpected: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Nursery:
    """The warm process, and the port its children serve on."""

    process: subprocess.Popen[bytes]
    port: int
    folder: Path
    control: Control
    headers: dict[str, str]
    child: int | None = None

    def spawn(self) -> int:
        """The pid of a new child; it answers what is sent to the port once it has started."""
        assert self.process.stdin
        self.control.clear()
        self.process.stdin.write(b"go\n")
        self.process.stdin.flush()
        self.child = int(self._line().removeprefix("pid "))
        return self.child

    def ended(self) -> int:
        """Wait for the child to end; its exit code, negative for a signal."""
        code = int(self._line().removeprefix("ended "))
        self.child = None
        return code

    def close(self) -> None:
        """End the child, if there is one, and the process."""
        if self.child is not None:
            with suppress(ProcessLookupError):
                os.kill(self.child, signal.SIGKILL)
            self.ended()
        self.process.communicate()

    def _line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().decode().rstrip("\n")


@contextmanager
def nursery(place: Path, *words: str) -> Iterator[Nursery]:
    """A warm process on a new demo folder in `place`, under the shim; ended with its child at the end."""
    root = place.resolve()
    folder = make_demo_folder(root / "data").path
    control = Control(root / "control")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(512)
        listener.set_inheritable(True)
        port = listener.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.nursery", str(folder), str(listener.fileno()), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=shimmed(root, control=control.path),
            pass_fds=[listener.fileno()],
        )
    token = mint(
        folder,
        scope="user/*.cruds system/*.cruds",
        audience=f"http://127.0.0.1:{port}/fhir",
        now_s=system_clock() // 1000,
        roles=["importer"],
    )
    assert process.stdout
    assert process.stdout.readline() == b"warm\n"
    nest = Nursery(process, port, folder, control, {"Authorization": f"Bearer {token}"})
    try:
        yield nest
    finally:
        nest.close()


async def campaign(place: Path, kills: int, *words: str, seed: int = 5, until_red: bool = False) -> Outcome:
    """Kill that many servers; `until_red` stops at the first problem."""
    outcome = Outcome()
    with nursery(place, *words) as nest:
        await _kill(nest, place, kills, outcome, seed=seed, until_red=until_red)
    return outcome


async def _kill(nest: Nursery, place: Path, kills: int, outcome: Outcome, *, seed: int, until_red: bool) -> None:
    chance, heard = random.Random(seed), asyncio.Event()
    ledger, examiner = Ledger(place / "ledger"), Examiner(nest.folder)
    writers = [Writer(number, nest.port, nest.headers, ledger=ledger, heard=heard.set) for number in range(WRITERS)]
    tasks: list[asyncio.Task[None]] = []
    for number in range(kills):
        victim = nest.spawn()
        if not tasks:
            await asyncio.wait_for(_first_patient(nest), 30)
            tasks = [asyncio.create_task(writer.run()) for writer in writers]
        heard.clear()
        await asyncio.wait_for(heard.wait(), 30)
        await _moment(nest.control, chance)
        os.kill(victim, signal.SIGKILL)
        ended = await asyncio.to_thread(nest.ended)
        outcome.kills += ended == -signal.SIGKILL
        outcome.phases.update(nest.control.phases())
        await asyncio.sleep(0.003)  # the clients notice
        outcome.in_flight += any(writer.lost_writes for writer in writers)
        told = [each for writer in writers for each in writer.told]
        for writer in writers:
            writer.lost_writes = 0
            writer.told.clear()
        outcome.problems += await asyncio.to_thread(examiner.look, told)
        if number % LOOK_AT_ALL_EVERY == 0:
            outcome.problems += await asyncio.to_thread(examiner.look_for_halves)
        if until_red and outcome.problems:
            break
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    outcome.acknowledged = ledger.count
    outcome.problems += await asyncio.to_thread(examine, nest.folder, list(read_ledger(place / "ledger")))
    outcome.unexpected.update(each for writer in writers for each in writer.unexpected)
    ledger.close()


async def _moment(control: Control, chance: random.Random) -> None:
    """Any moment within a tenth of a second, or half of the times the beginning of a certain call."""
    clock = asyncio.get_running_loop().time
    until = clock() + chance.uniform(0, 0.1)
    if chance.random() < 0.5:
        await asyncio.sleep(until - clock())
    prey = chance.choice(PREY)
    while clock() < until and not control.is_under_way(*prey):
        await asyncio.sleep(0)


async def _first_patient(nest: Nursery) -> None:
    wire = Wire(nest.port)
    answer = await wire.ask("PUT", "Patient/anna", nest.headers | JSON, json.dumps(PATIENT).encode())
    assert answer.status == 201
    wire.close()
