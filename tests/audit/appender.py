"""A worker to be killed: forks from a warm parent, appends as fast as it can, and says what was acknowledged.

`python -m tests.audit.appender FOLDER` forks a child for each line it reads; `… FOLDER once` appends a row and waits.
"""

import asyncio
import os
import sys
from itertools import count
from pathlib import Path

from fhirmedia.backends.disclosures_sql import LogLimits
from tests.audit.logs import open_log

WRITERS = 8


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


async def append_until_killed(folder: Path) -> None:
    log = open_log(folder, limits=LogLimits(attest_rows=20, attest_s=0.05, segment_rows=400))

    async def work(worker: int) -> None:
        for number in count():
            name = f"{os.getpid()}.{worker}.{number}"
            await log.append(name.encode(), None)
            say(f"ack {name}")

    await asyncio.gather(*(work(worker) for worker in range(WRITERS)))


async def append_once(folder: Path) -> None:
    log = open_log(folder)
    await log.append(b"once")
    say("ack once")
    sys.stdin.readline()
    await log.close()


def main() -> None:
    folder = Path(sys.argv[1])
    if sys.argv[2:] == ["once"]:
        asyncio.run(append_once(folder))
        return
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            say(f"pid {os.getpid()}")
            asyncio.run(append_until_killed(folder))
        os.waitpid(child, 0)
        say("dead")


if __name__ == "__main__":
    main()
