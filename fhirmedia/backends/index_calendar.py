"""What a time is called in the zone of the deployment: its year or its month."""

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

_HOUR_MS = 3_600_000


class Calendar:
    """Names by the form of `strftime`; a day that lies within one year or month is asked about once."""

    def __init__(self, form: str, zone: ZoneInfo) -> None:
        self._form = form
        self._zone = zone
        self._of_day = lru_cache(maxsize=65_536)(self._name_of_day)

    def of_time(self, milliseconds: int) -> str:
        """Of a time since 1970; empty where no calendar has it."""
        return self.of_hour(milliseconds // _HOUR_MS)

    def of_hour(self, hour: int) -> str:
        """Of a whole hour since 1970."""
        name = self._of_day(hour // 24)
        return self._exact(hour) if name is None else name

    def _name_of_day(self, day: int) -> str | None:
        first, last = self._exact(day * 24), self._exact(day * 24 + 23)
        return first if first == last else None

    def _exact(self, hour: int) -> str:
        try:
            return datetime.fromtimestamp(hour * 3600, UTC).astimezone(self._zone).strftime(self._form)
        except (OverflowError, ValueError):
            return ""
