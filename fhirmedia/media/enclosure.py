"""The inside of a sandbox's process: requests in on its socket, answers out, bounded by the kernel.

A request is a line of words of which the last is a size, and that many bytes. Before the first one the process says
that it is ready. It ends when its socket does.
"""

import math
import os
import resource
import sys
from collections.abc import Callable, Sequence

READY = b"ready\n"
"""Said once, when everything is loaded and given up."""

Answer = Callable[[Sequence[str], bytes], tuple[bytes, bool]]
"""From the words of a request but its size, and its bytes, to what is said, and whether the process is fit for more."""


def answer_requests(answer: Answer, *, memory_bytes: int, cpu_s: int) -> None:
    """Answer until there are no more requests; `cpu_s` is the processor time of one. What is needed is loaded before.

    Returns when the socket ends, also in the middle of something.
    """
    _enclose(memory_bytes)
    try:
        with open(0, "rb", closefd=False) as incoming, open(1, "wb", closefd=False) as outgoing:
            resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
            outgoing.write(READY)
            outgoing.flush()
            while request := incoming.readline(200):
                *words, size = request.decode("ascii").split()
                content = incoming.read(int(size))
                if len(content) < int(size):
                    return
                spent = resource.getrusage(resource.RUSAGE_SELF)
                limit = math.ceil(spent.ru_utime + spent.ru_stime) + cpu_s
                resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
                said, is_fit = answer(words, content)
                outgoing.write(said)
                outgoing.flush()
                if not is_fit:
                    return
    except (BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
        sys.exit(0)


def _enclose(memory_bytes: int) -> None:
    """Give up memory beyond the bound, written files, core dumps and processes of its own; let others go first."""
    os.nice(10)
    for what, bound in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
    ):
        resource.setrlimit(what, (bound, bound))
