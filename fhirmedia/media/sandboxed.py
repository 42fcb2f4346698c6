"""The program of a sandbox's process: pictures in on its socket, renditions out, bounded by the kernel.

A request is a line `format width size` and that many bytes. An answer is a line `drawn type size` and that many bytes,
or a line `too-large` or `unreadable`. Before the first request it says `ready`. It ends when its socket does.
"""

import math
import os
import resource
import sys
from typing import BinaryIO

from fhirmedia.media.pictures import TooManyPixels, draw, prepare
from fhirmedia.media.renditions import DRAWN, READY, TOO_LARGE, UNREADABLE

MEMORY_BYTES = 1280 * 2**20
"""Address space, of which an idle process uses some 100 MB."""

CPU_S = 10
"""Processor time of one drawing."""


def main() -> None:
    """Answer requests until there are no more."""
    prepare()
    enclose()
    with open(0, "rb", closefd=False) as incoming, open(1, "wb", closefd=False) as outgoing:
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
        outgoing.write(READY)
        outgoing.flush()
        while request := incoming.readline(200):
            format, width, size = request.decode("ascii").split()
            content = incoming.read(int(size))
            if len(content) < int(size):
                return
            spent = resource.getrusage(resource.RUSAGE_SELF)
            limit = math.ceil(spent.ru_utime + spent.ru_stime) + CPU_S
            resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
            if not _answer(outgoing, content, format=format, width=int(width)):
                return


def enclose() -> None:
    """Give up memory beyond the bound, written files, core dumps and processes of its own; let others go first."""
    os.nice(10)
    for what, bound in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
    ):
        resource.setrlimit(what, (bound, bound))


def _answer(outgoing: BinaryIO, content: bytes, *, format: str, width: int) -> bool:
    """Whether the process is fit for another one."""
    is_fit = True
    try:
        content_type, drawn = draw(content, format=format, width=width)
        outgoing.write(f"{DRAWN} {content_type} {len(drawn)}\n".encode())
        outgoing.write(drawn)
    except TooManyPixels:
        outgoing.write(f"{TOO_LARGE}\n".encode())
    except MemoryError:
        outgoing.write(f"{TOO_LARGE}\n".encode())
        is_fit = False
    except Exception:  # noqa: BLE001 (decoders raise whatever comes to them; what they say may quote the picture)
        outgoing.write(f"{UNREADABLE}\n".encode())
    outgoing.flush()
    return is_fit


if __name__ == "__main__":
    try:
        main()
    except (BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
        sys.exit(0)
