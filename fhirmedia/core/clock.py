"""Time as an argument: whoever needs it takes a Clock."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

Clock = Callable[[], int]
"""Returns the present as milliseconds since 1970-01-01T00:00:00Z."""

_FIRST_MS, _LAST_MS = -62_135_596_800_000, 253_402_300_799_999
"""Of the years 1 to 9999, which FHIR R4 can write."""


def system_clock() -> int:
    """The machine's time in milliseconds, UTC."""
    return time.time_ns() // 1_000_000


def instant(milliseconds: int) -> str:
    """FHIR `instant` text in UTC with three decimals; what is before the year 1 or after 9999 is shown as their ends.

    Offsets lead there: the first hours of the year 1 east of Greenwich, the last of 9999 west of it.
    """
    shown = min(max(milliseconds, _FIRST_MS), _LAST_MS)
    return f"{_second(shown // 1000)}.{shown % 1000:03d}Z"


def http_date(milliseconds: int) -> str:
    """RFC 9110 IMF-fixdate."""
    return _http_second(milliseconds // 1000)


@lru_cache(maxsize=256)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()  # strftime drops zeros of years


@lru_cache(maxsize=4096)
def _http_second(seconds: int) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    days = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return f"{days[moment.weekday()]}, {moment.day:02d} {months[moment.month - 1]} {moment:%Y %H:%M:%S} GMT"
