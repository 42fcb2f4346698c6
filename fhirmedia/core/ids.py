"""Server-made ids: UUIDv7 text (RFC 9562), so that inserts and pages by Key follow creation."""

import re
import time
from random import getrandbits

FHIR_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}\Z")
"""R4 datatype id."""


def new_id() -> str:
    """A UUIDv7 in lower case: 48 bits of milliseconds, 74 random bits.

    Ids are names, not secrets. The generator is seeded anew in every process that forks.
    """
    milliseconds = time.time_ns() // 1_000_000
    random = getrandbits(74)
    value = (
        (milliseconds & 0xFFFF_FFFF_FFFF) << 80
        | 0x7 << 76
        | (random >> 62 & 0xFFF) << 64
        | 0b10 << 62
        | random & 0x3FFF_FFFF_FFFF_FFFF
    )
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
