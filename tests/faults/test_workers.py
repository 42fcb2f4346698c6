"""Several workers on one folder: sequences without gaps, one chain, one winner of each race; none survives alone."""

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from fhirmedia.backends.audit_files import slot_logs
from tests.faults.examine import examine
from tests.faults.ledger import Ledger, read_ledger
from tests.faults.resources import PATIENT, a_media
from tests.faults.wire import Wire
from tests.faults.writers import JSON, Writer
from tests.servers import Served, served_process

Property = Callable[[str, object], None]
WRITERS, RACERS = 8, 6


def port_of(served: Served) -> int:
    return int(served.base.removeprefix("http://127.0.0.1:").removesuffix("/fhir"))


def test_two_workers_write_one_file(tmp_path: Path, full_counts: bool, record_property: Property) -> None:
    folder, ledger = tmp_path / "data", Ledger(tmp_path / "ledger")
    with served_process(folder, "--workers", "2") as (served, _):
        served.put(PATIENT)
        headers = served.headers("user/*.cruds")
        unexpected = asyncio.run(write_for(60 if full_counts else 4, port_of(served), headers, ledger))
        races = asyncio.run(race(100 if full_counts else 20, port_of(served), headers))
    assert unexpected == Counter()
    assert races == Counter({(200, 1): 100 if full_counts else 20})
    assert examine(folder, list(read_ledger(tmp_path / "ledger"))) == []
    served_rows = {log.log_id: sum(1 for _ in log.rows()) for log in slot_logs(folder / "audit")}
    assert len(served_rows) == 2
    assert min(served_rows.values()) > 0
    record_property("acknowledgements", ledger.count)
    record_property("rows read by worker", sorted(served_rows.values()))


async def write_for(seconds: float, port: int, headers: dict[str, str], ledger: Ledger) -> Counter[str]:
    """What writers met that they should not have met."""
    writers = [Writer(number, port, headers, ledger=ledger, heard=lambda: None) for number in range(WRITERS)]
    tasks = [asyncio.create_task(writer.run()) for writer in writers]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert all(writer.lost_writes == 0 for writer in writers)
    return Counter(each for writer in writers for each in writer.unexpected)


async def race(rounds: int, port: int, headers: dict[str, str]) -> Counter[tuple[int, int]]:
    """Several clients change the same version at once: how many rounds had how many winners."""
    wires = [Wire(port) for _ in range(RACERS)]
    created = await wires[0].ask("POST", "Media", headers | JSON, json.dumps(a_media("raced for")).encode())
    identity = json.loads(created.body)["id"]
    won: Counter[tuple[int, int]] = Counter()
    for version in range(1, rounds + 1):
        bodies = [json.dumps(a_media(f"{version}-{number}", id=identity)).encode() for number in range(RACERS)]
        sent = headers | JSON | {"If-Match": f'W/"{version}"'}
        answers = await asyncio.gather(
            *(wire.ask("PUT", f"Media/{identity}", sent, body) for wire, body in zip(wires, bodies, strict=True))
        )
        statuses = Counter(answer.status for answer in answers)
        assert statuses == {200: 1, 412: RACERS - 1}
        assert [answer.version for answer in answers if answer.status == 200] == [version + 1]
        won[200, statuses[200]] += 1
    for wire in wires:
        wire.close()
    return won


def test_a_worker_that_is_killed_takes_the_others_along(tmp_path: Path) -> None:
    folder, ledger = tmp_path / "data", Ledger(tmp_path / "ledger")
    with served_process(folder, "--workers", "2") as (served, pid):
        served.put(PATIENT)
        workers = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        assert len(workers) == 2
        asyncio.run(write_until_gone(port_of(served), served.headers("user/*.cruds"), ledger, victim=workers[1]))
        assert os.waitpid(pid, 0)[1] != 0
    assert ledger.count > 0
    assert examine(folder, list(read_ledger(tmp_path / "ledger"))) == []


async def write_until_gone(port: int, headers: dict[str, str], ledger: Ledger, *, victim: int) -> None:
    writers = [Writer(number, port, headers, ledger=ledger, heard=lambda: None) for number in range(WRITERS)]
    tasks = [asyncio.create_task(writer.run()) for writer in writers]
    await asyncio.sleep(0.7)
    os.kill(victim, signal.SIGKILL)
    await asyncio.sleep(0.7)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(writer.lost_writes for writer in writers) > 0
    assert [each for writer in writers for each in writer.unexpected] == []
