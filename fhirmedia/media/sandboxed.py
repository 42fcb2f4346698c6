"""The program of a sandbox's process that draws: pictures in, renditions out.

A request is a line `format width size` and that many bytes. An answer is a line `drawn type size` and that many bytes,
or a line `too-large` or `unreadable`.
"""

from collections.abc import Sequence

from fhirmedia.media.enclosure import answer_requests
from fhirmedia.media.pictures import TooManyPixels, draw, prepare
from fhirmedia.media.renditions import DRAWN, TOO_LARGE, UNREADABLE

MEMORY_BYTES = 1280 * 2**20
"""Address space, of which an idle process uses some 100 MB."""

CPU_S = 10
"""Processor time of one drawing."""


def answer(words: Sequence[str], content: bytes) -> tuple[bytes, bool]:
    """What is said, and whether the process is fit for another one."""
    format, width = words
    try:
        content_type, drawn = draw(content, format=format, width=int(width))
    except TooManyPixels:
        return f"{TOO_LARGE}\n".encode(), True
    except MemoryError:
        return f"{TOO_LARGE}\n".encode(), False
    except Exception:  # noqa: BLE001 (decoders raise whatever comes to them; what they say may quote the picture)
        return f"{UNREADABLE}\n".encode(), True
    return f"{DRAWN} {content_type} {len(drawn)}\n".encode() + drawn, True


if __name__ == "__main__":
    prepare()
    answer_requests(answer, memory_bytes=MEMORY_BYTES, cpu_s=CPU_S)
