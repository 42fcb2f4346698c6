"""Time as an argument: whoever needs it takes a Clock."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

Clock = Callable[[], int]
"""Returns the present as milliseconds since 1970-01-01T00:00:00Z."""


def system_clock() -> int:
    """The machine's time in milliseconds, UTC."""
    return time.time_ns() // 1_000_000


def instant(milliseconds: int) -> str:
    """FHIR `instant` text in UTC with three decimals."""
    return f"{_second(milliseconds // 1000)}.{milliseconds % 1000:03d}Z"


def http_date(milliseconds: int) -> str:
    """RFC 9110 IMF-fixdate."""
    return _http_second(milliseconds // 1000)


@lru_cache(maxsize=256)
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


@lru_cache(maxsize=4096)
def _http_second(seconds: int) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    days = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return f"{days[moment.weekday()]}, {moment.day:02d} {months[moment.month - 1]} {moment:%Y %H:%M:%S} GMT"
