"""The k-th call to the disk fails, for every k of an upload and the create that claims it.

Whatever fails, and however: the answer is a success, 503 or 507, or the process ends with 70; what was refused changed
nothing; what was acknowledged is there; reads go on.
"""

import asyncio
import errno
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from fhirmedia.app.house import DISK_BROKEN_EXIT
from tests.faults.campaign import Nursery, nursery
from tests.faults.control import SHORT
from tests.faults.examine import Examiner
from tests.faults.ledger import Shown, Told, Written, sha256
from tests.faults.resources import JPEG, PATIENT, a_media
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
        self.examiner = Examiner(nest.folder)
        self._nest = nest
        self._wire = Wire(nest.port)
        self._serial = 0

    async def start(self) -> None:
        """A server, and a Patient and a Media to read."""
        if self._nest.child is None:
            self._nest.spawn()
        for resource in (PATIENT, a_media("known", id="known")):
            path = f"{resource['resourceType']}/{resource['id']}"
            answer = await self._ask("PUT", path, JSON, json.dumps(resource).encode())
            assert answer.status in (200, 201)
            self.told.append(Written(path, answer.version, sha256(answer.body)))
        await self.read()

    async def upload_and_create(self, failing: Callable[[], None]) -> list[int]:
        """The statuses of both; a server that ends is replaced."""
        content = os.urandom(1_200_000)
        statuses: list[int] = []
        self.fired = 0
        failing()
        try:
            answer = await self._ask("POST", "Binary", BYTES, JPEG + content)
            statuses.append(answer.status)
            if answer.status == 201:
                binary = json.loads(answer.body)["id"]
                self.told.append(Written(f"Binary/{binary}", 1, sha256(answer.body), sha256(JPEG + content)))
                body = json.dumps(a_media("claims it", binary=binary)).encode()
                answer = await self._ask("POST", "Media", JSON, body)
                statuses.append(answer.status)
                if answer.status == 201:
                    self.told.append(Written(f"Media/{json.loads(answer.body)['id']}", 1, sha256(answer.body)))
        except Lost:
            await self._replace()
        self._nest.control.disarm()
        self.fired += self._nest.control.fired
        return statuses

    async def read(self) -> None:
        """A record written long before is there to be read."""
        self._serial += 1
        request = f"{id(self)}-{self._serial}"
        try:
            answer = await self._ask("GET", "Media/known", {"X-Request-Id": request})
        except Lost:
            await self._replace()
            answer = await self._ask("GET", "Media/known", {"X-Request-Id": request})
        assert answer.status == 200
        self.told.append(Shown(request, "Media/known", answer.version))

    def close(self) -> None:
        """Let go of the connection."""
        self._wire.close()

    async def _replace(self) -> None:
        assert await asyncio.to_thread(self._nest.ended) == DISK_BROKEN_EXIT
        self.outcomes["process ended"] += 1
        self.fired += self._nest.control.fired
        self._nest.spawn()

    async def _ask(self, method: str, path: str, headers: dict[str, str], *pieces: bytes) -> Answer:
        return await self._wire.ask(method, path, self._nest.headers | headers, *pieces)


async def sweep(nest: Nursery, operation: str, error: int) -> Counter[str]:
    """Fail the first call, then the second, until none is left to fail."""
    attempts = Attempts(nest)
    await attempts.start()
    attempts.examiner.look(())
    before = attempts.examiner.versions - {(each.key, each.version) for each in attempts.told}
    for after in range(MOST):
        statuses = await attempts.upload_and_create(partial(nest.control.fail_once, operation, error, after=after))
        if attempts.fired == 0:
            break
        attempts.outcomes[", then ".join(map(str, statuses)) or "no answer"] += 1
        assert set(statuses) <= {201, 503, 507}, (after, statuses)
        await attempts.read()
        assert attempts.examiner.look(attempts.told) == [], after
    assert 0 < attempts.outcomes.total() < MOST
    assert await attempts.upload_and_create(nest.control.disarm) == [201, 201]
    attempts.close()
    assert [*attempts.examiner.look(attempts.told), *attempts.examiner.look_for_halves()] == []
    unsaid = attempts.examiner.versions - before - {(each.key, each.version) for each in attempts.told}
    assert len(unsaid) <= attempts.outcomes["process ended"], "what was refused left a version"
    return attempts.outcomes


@pytest.fixture(scope="module")
def nest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """One folder and one warm process for all cases."""
    with nursery(tmp_path_factory.mktemp("nursery")) as ready:
        yield ready


@pytest.mark.parametrize(("operation", "name"), CASES)
def test_every_call_fails_once(operation: str, name: str, nest: Nursery, record_property: Property) -> None:
    outcomes = asyncio.run(sweep(nest, operation, ERRORS[name]))
    record_property(f"{operation} fails with {name}", "; ".join(f"{what}: {n}" for what, n in outcomes.items()))
