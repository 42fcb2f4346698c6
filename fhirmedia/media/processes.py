"""Processes for content of unknown making: few, bounded, expendable, and reused as long as they behave.

A process has no descriptor but a socket and /dev/null, no environment, and a session of its own; `enclosure` is its
inside.
"""

import asyncio
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass

from fhirmedia.media.enclosure import READY

_GONE_WITHIN_S, _LOOK_S = 1.0, 0.005
"""The socket of a process that dies ends a moment before the process does."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process and the two ends of our side of its socket."""

    process: subprocess.Popen[bytes]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def was_killed(self) -> bool:
        """Whether it is gone since somebody else killed it, such as a kernel short of memory; to be asked before `end`.

        None of its own bounds does that: beyond its processor time it gets SIGXCPU, beyond its memory it gets none.
        """
        given_up_at = time.monotonic() + _GONE_WITHIN_S
        while self.process.poll() is None and time.monotonic() < given_up_at:  # noqa: ASYNC110 (the kernel is at it)
            await asyncio.sleep(_LOOK_S)
        return self.process.poll() == -signal.SIGKILL

    def end(self) -> None:
        """Now, and leave nothing behind."""
        self.writer.transport.abort()
        self.process.kill()
        self.process.wait()


class Processes:
    """Idle processes of one program, a module of ours."""

    def __init__(self, module: str, *, wall_s: float) -> None:
        self._command = (sys.executable, "-I", "-m", module)
        self._wall_s = wall_s
        self._idle: list[Process] = []
        self._is_closed = False

    async def take(self) -> Process | None:
        """A process that is ready: an idle one, else a new one; None where none could be started in time."""
        while self._idle:
            process = self._idle.pop()
            if process.process.poll() is None and not process.reader.at_eof():
                return process
            process.end()
        return await self._started()

    def give_back(self, process: Process) -> None:
        """It has answered and may be taken again."""
        if self._is_closed:
            process.end()
        else:
            self._idle.append(process)

    def close(self) -> None:
        """End those that are idle now, and the others when they are given back."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().end()

    async def _started(self) -> Process | None:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                reader, writer = await asyncio.open_connection(sock=ours)
            except BaseException:
                ours.close()
                raise
            try:
                process = Process(self._spawn(theirs.fileno()), reader, writer)
            except OSError:
                writer.transport.abort()
                return None
        is_ready = False
        try:
            async with asyncio.timeout(self._wall_s):
                is_ready = await reader.readline() == READY
        except (OSError, TimeoutError):
            pass
        finally:
            if not is_ready:
                process.end()
        return process if is_ready else None

    def _spawn(self, descriptor: int) -> subprocess.Popen[bytes]:
        """The program, with nothing of ours but its end of a socket.

        Not in a thread: one that is cancelled would leave a process that nobody ends, and it would hold the
        interpreter all the same.
        """
        return subprocess.Popen(
            self._command,
            stdin=descriptor,
            stdout=descriptor,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={},
            start_new_session=True,
        )
