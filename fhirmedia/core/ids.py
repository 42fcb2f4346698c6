"""Server-made ids: UUIDv7 text (RFC 9562), so that inserts and pages by Key follow creation."""

import os
import re
import time

FHIR_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}\Z")
"""R4 datatype id."""


def new_id() -> str:
    """A UUIDv7 in lower case: 48 bits of milliseconds, 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10))
    value = (
        (milliseconds & 0xFFFF_FFFF_FFFF) << 80
        | 0x7 << 76
        | (random >> 68 & 0xFFF) << 64
        | 0b10 << 62
        | random & 0x3FFF_FFFF_FFFF_FFFF
    )
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
