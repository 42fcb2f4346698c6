"""A full disk: writes are refused with 507 and change nothing, reads go on, and room made is room used at once.

Some room is kept back from writes, because a read is audited and so writes, too. Where somebody else takes that as well
nothing can be disclosed any more, which is 507 again.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.campaign import Nursery, nursery
from tests.faults.small_disk import NOT_PERMITTED
from tests.faults.test_failing_calls import Attempts

Property = Callable[[str, object], None]


def test_a_small_file_system(tmp_path: Path, record_property: Property) -> None:
    command = [sys.executable, "-m", "tests.faults.small_disk", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == NOT_PERMITTED:
        record_property("small file system", "this account may not mount; the shim's full disk alone was tested")
        pytest.skip("mounting needs more rights; test_no_call_finds_room says the same through the shim")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == {
        "before": [201, 201],
        "uploads": [201, 507],
        "full": [507, 507, 507],
        "reads while full": [200],
        "left in tmp": 0,
        "changed": 0,
        "reads to the last byte": [507],
        "writes to the last byte": [507],
        "after": [200, 201, 200],
        "many": [200],
        "problems": [],
    }


def test_no_call_finds_room(tmp_path: Path) -> None:
    with nursery(tmp_path) as nest:
        asyncio.run(fill_and_empty(nest))


async def fill_and_empty(nest: Nursery) -> None:
    attempts = Attempts(nest)
    await attempts.start()
    attempts.examiner.look(attempts.told)
    server, versions = nest.child, attempts.examiner.versions
    for _ in range(3):
        assert await attempts.upload_and_create(nest.control.fill_up) == [507]
        assert attempts.examiner.look(attempts.told) == []
        assert attempts.examiner.versions == versions
        await attempts.read()
    assert await attempts.upload_and_create(nest.control.disarm) == [201, 201]
    assert attempts.examiner.look(attempts.told) == []
    assert nest.child == server
    attempts.close()
