"""The k-th call to the disk fails, for every k of an upload and the create that claims it.

Whatever fails, and however: the answer is a success, 503 or 507, or the process ends with 70; what was refused changed
nothing; what was acknowledged is there; reads go on.
"""

import asyncio
import errno
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from fhirmedia.app import DISK_BROKEN_EXIT
from tests.faults.campaign import Nursery, nursery
from tests.faults.control import SHORT
from tests.faults.examine import Examiner
from tests.faults.ledger import Shown, Told, Written, sha256
from tests.faults.resources import PATIENT, a_media, picture
from tests.faults.wire import Answer, Lost, Wire
from tests.faults.writers import BYTES, JSON

Property = Callable[[str, object], None]
ERRORS = {"EIO": errno.EIO, "ENOSPC": errno.ENOSPC, "EINTR": errno.EINTR, "a short write": SHORT}
CASES = [
    *(("write", name) for name in ERRORS),
    *((operation, name) for operation in ("sync", "rename", "open", "mkdir") for name in ("EIO", "ENOSPC", "EINTR")),
]
MOST = 400
"""More calls of one kind than an upload and a create make."""


class Attempts:
    """One server after another on one folder, and what they said."""

    def __init__(self, nest: Nursery) -> None:
        self.told: list[Told] = []
        self.outcomes: Counter[str] = Counter()
        self.fired = 0
        self._nest = nest
        self._wire = Wire(nest.port)
        self._examiner = Examiner(nest.folder)
        self._serial = 0
        self._is_up = False

    async def start(self) -> None:
        """A server, and a Patient and a Media to read."""
        self._nest.spawn()
        for resource in (PATIENT, a_media("known", id="known")):
            path = f"{resource['resourceType']}/{resource['id']}"
            answer = await self._ask("PUT", path, JSON, json.dumps(resource).encode())
            assert answer.status in (200, 201)
            self.told.append(Written(path, answer.version, sha256(answer.body)))
        await self.read()

    async def upload_and_create(self, failing: Callable[[], None]) -> list[int]:
        """The statuses of both, without those of a server that ended, which is replaced."""
        self._serial += 1
        content = picture(1_200_000, seed=self._serial)
        statuses: list[int] = []
        failing()
        try:
            answer = await self._ask("POST", "Binary", BYTES, content)
            statuses.append(answer.status)
            if answer.status == 201:
                binary = json.loads(answer.body)["id"]
                self.told.append(Written(f"Binary/{binary}", 1, sha256(answer.body), sha256(content)))
                body = json.dumps(a_media(f"{self._serial}", binary=binary)).encode()
                answer = await self._ask("POST", "Media", JSON, body)
                statuses.append(answer.status)
                if answer.status == 201:
                    key = f"Media/{json.loads(answer.body)['id']}"
                    self.told.append(Written(key, 1, sha256(answer.body)))
        except Lost:
            assert await asyncio.to_thread(self._nest.ended) == DISK_BROKEN_EXIT
            self.outcomes["process ended"] += 1
            self.fired = self._nest.control.fired
            self._nest.spawn()
            return []
        self._nest.control.disarm()
        self.fired = self._nest.control.fired
        return statuses

    async def read(self) -> None:
        """A record written long before is there to be read."""
        self._serial += 1
        request = f"read-{self._serial}"
        answer = await self._ask("GET", "Media/known", {"X-Request-Id": request})
        assert answer.status == 200
        self.told.append(Shown(request, "Media/known", answer.version))

    def look(self) -> list[str]:
        """What is missing or half now."""
        told = list(self.told)
        self.told.clear()
        return [*self._examiner.look(told), *self._examiner.look_for_halves()]

    async def _ask(self, method: str, path: str, headers: dict[str, str], *pieces: bytes) -> Answer:
        return await self._wire.ask(method, path, self._nest.headers | headers, *pieces)


async def sweep(nest: Nursery, operation: str, error: int) -> Counter[str]:
    """Fail the first call, then the second, until none is left to fail."""
    attempts = Attempts(nest)
    await attempts.start()
    control, fired = nest.control, 0
    for after in range(MOST):
        statuses = await attempts.upload_and_create(lambda: control.fail_once(operation, error, after=after))
        if attempts.fired == 0:
            break
        fired += 1
        if statuses:
            attempts.outcomes["then ".join(f"{status} " for status in statuses).rstrip()] += 1
        assert set(statuses) <= {201, 503, 507}, (after, statuses)
        await attempts.read()
        assert attempts.look() == [], after
    assert attempts.outcomes.total() > 0
    assert fired < MOST
    assert await attempts.upload_and_create(control.disarm) == [201, 201]
    assert attempts.look() == []
    assert attempts.outcomes["process ended"] or not list((nest.folder / "tmp").iterdir())
    return attempts.outcomes


@pytest.mark.parametrize(("operation", "name"), CASES)
def test_every_call_fails_once(operation: str, name: str, tmp_path: Path, record_property: Property) -> None:
    with nursery(tmp_path) as nest:
        outcomes = asyncio.run(sweep(nest, operation, ERRORS[name]))
    record_property(f"{operation} fails with {name}", ", ".join(f"{what}: {n}" for what, n in outcomes.items()))
